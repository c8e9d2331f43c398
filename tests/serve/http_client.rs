//! A server over HTTP, and requests to it written by hand, so that each header is seen.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::client::{handshake, meta, request};
use crate::support::inorder;

pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

/// The status line and headers of an answer, and the messages in it.
pub struct Answer {
    pub head: String,
    pub messages: Vec<Value>,
    pub body: String,
}

impl Server {
    pub fn start(root: &Path, args: &[&str]) -> Server {
        Server::start_on("127.0.0.1:0", root, args)
    }

    pub fn start_on(address: &str, root: &Path, args: &[&str]) -> Server {
        let mut child = inorder()
            .args(["serve", "--no-audit", "--http", address])
            .args(["--root", root.to_str().unwrap()])
            .args(args)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.trim().strip_prefix("serving http://").unwrap_or_else(|| panic!("{line}"));
        let address: SocketAddr = address.strip_suffix("/mcp").unwrap().parse().unwrap();
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
        Server { child, address }
    }

    /// Sends a request and leaves its answer to whoever wants it.
    pub fn open(&self, method: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("{method} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let usual = [
            ("Accept", "application/json, text/event-stream"),
            ("Content-Type", "application/json"),
        ];
        for (name, value) in usual {
            if !headers.iter().any(|(it, _)| *it == name) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).unwrap();
        // One that is refused may not be read to its end.
        let _ = stream.write_all(body.as_bytes());
        stream
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        read(self.open(&format!("GET {path}"), headers, ""))
    }

    /// A request to `/v1/batch`, with this query.
    pub fn batch(&self, query: &str, body: &Value) -> Answer {
        read(self.open(&format!("POST /v1/batch{query}"), &[], &body.to_string()))
    }

    pub fn signal(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    pub fn post(&self, headers: &[(&str, &str)], message: &Value) -> Answer {
        read(self.open("POST /mcp", headers, &message.to_string()))
    }

    /// Makes the handshake of 2025-11-25 for a client with these capabilities.
    pub fn begin(&self, capabilities: &Value) -> Session<'_> {
        let mut params = handshake("2025-11-25");
        params["capabilities"] = capabilities.clone();
        let begun = self.post(&[], &request("begin", "initialize", params));
        let session =
            Session { server: self, id: begun.header("Mcp-Session-Id").unwrap().to_owned() };
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(session.post(&ready).status(), "202");
        session
    }

    /// A request of 2026-07-28.
    pub fn modern(&self, method: &str, mut params: Value) -> TcpStream {
        let name = params["name"].clone();
        params["_meta"] = meta();
        let mut headers = vec![("Mcp-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
        if let Some(name) = name.as_str() {
            headers.push(("Mcp-Name", name));
        }
        self.open("POST /mcp", &headers, &request(1, method, params).to_string())
    }
}

/// A session of 2025-11-25.
pub struct Session<'a> {
    server: &'a Server,
    id: String,
}

impl Session<'_> {
    pub fn open(&self, method: &str, body: &str) -> TcpStream {
        self.server.open(&format!("{method} /mcp"), &self.headers(), body)
    }

    fn headers(&self) -> [(&str, &str); 2] {
        [("Mcp-Session-Id", &self.id), ("Mcp-Protocol-Version", "2025-11-25")]
    }

    /// Takes up the stream on which this event was the last that came.
    pub fn take_up(&self, event: &str) -> Answer {
        let headers = [self.headers().as_slice(), &[("Last-Event-ID", event)]].concat();
        self.server.get("/mcp", &headers)
    }

    pub fn send(&self, message: &Value) -> TcpStream {
        self.open("POST", &message.to_string())
    }

    pub fn post(&self, message: &Value) -> Answer {
        read(self.send(message))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn read(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    // One that is refused early is closed early.
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let lines = body.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
    let messages = lines.filter_map(|line| serde_json::from_str(line).ok());
    let messages = messages.filter(Value::is_object).collect();
    Answer { head: head.to_owned(), messages, body: body.to_owned() }
}

impl Answer {
    pub fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}: {}", self.head, self.body))
    }

    pub fn result(&self) -> &Value {
        let answer = self.messages.iter().find(|it| it["result"].is_object());
        &answer.unwrap_or_else(|| panic!("{}: {:?}", self.head, self.messages))["result"]
    }
}
