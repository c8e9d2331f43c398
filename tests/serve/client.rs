//! A client of the protocol that knows as little as can be: it sends what it is told, and finds answers by their id.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{inorder, repository};

pub struct Client {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    /// Came while something else was waited for.
    kept: Vec<Value>,
    next: u64,
}

/// How a server ended.
pub struct Ended {
    pub code: Option<i32>,
    /// What had not been looked at yet.
    pub messages: Vec<Value>,
    pub stderr: String,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Client {
    /// Starts a server on a folder, and says nothing yet.
    pub fn start(root: &Path, args: &[&str]) -> Client {
        let mut child = inorder()
            .args(["serve", "--no-audit", "--root", root.to_str().unwrap()])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let message = serde_json::from_str(&line);
                let message = message.unwrap_or_else(|_| panic!("not the protocol: {line}"));
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Client { input: child.stdin.take(), child, messages, kept: vec![], next: 0 }
    }

    /// Starts a server and makes the handshake of 2025-11-25.
    pub fn connect(root: &Path, args: &[&str]) -> Client {
        let mut client = Client::start(root, args);
        let answer = client.request("initialize", handshake("2025-11-25"));
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn send(&mut self, message: &Value) {
        self.raw(format!("{message}\n").as_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input was ended");
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }

    /// The next message that nobody looked at.
    pub fn message(&mut self) -> Value {
        if !self.kept.is_empty() {
            return self.kept.remove(0);
        }
        self.messages.recv_timeout(PATIENCE).expect("the server is silent")
    }

    /// The answer to a request.
    pub fn answer(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into();
        let is_it = |message: &Value| message["id"] == id && message.get("method").is_none();
        if let Some(at) = self.kept.iter().position(is_it) {
            return self.kept.remove(at);
        }
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect("no answer came");
            if is_it(&message) {
                return message;
            }
            self.kept.push(message);
        }
    }

    pub fn request(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = format!("request {}", self.next);
        self.send(&request(id.as_str(), method, params));
        self.answer(id)
    }

    /// The result of a call.
    #[expect(clippy::needless_pass_by_value, reason = "so that a call reads as one line")]
    pub fn call(&mut self, tool: &str, args: Value) -> Value {
        let mut answer = self.request("tools/call", json!({"name": tool, "arguments": args}));
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].take()
    }

    /// Nothing came but what was looked at, as far as can be told.
    pub fn nothing_else_came(&mut self) {
        self.request("ping", json!({}));
        assert_eq!(self.kept, Vec::<Value>::new());
    }

    /// Closes the input.
    pub fn end(mut self) -> Ended {
        self.input = None;
        self.ended()
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Ended {
        let mut messages = std::mem::take(&mut self.kept);
        while let Ok(message) = self.messages.recv_timeout(PATIENCE) {
            messages.push(message);
        }
        let code = self.child.wait().unwrap().code();
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ended { code, messages, stderr }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::needless_pass_by_value, reason = "so that a request reads as one line")]
pub fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

#[expect(clippy::needless_pass_by_value, reason = "so that a call reads as one line")]
pub fn call(id: impl Into<Value>, tool: &str, args: Value) -> Value {
    request(id, "tools/call", json!({"name": tool, "arguments": args}))
}

pub fn handshake(version: &str) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "a test", "version": "1"},
    })
}

/// What every request of revision 2026-07-28 says of itself.
pub fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// `support/calc.wat` as a file: `add`, `half`, `spin` .. It is written once, since servers watch what they have loaded.
pub fn calc() -> PathBuf {
    static WRITTEN: LazyLock<PathBuf> = LazyLock::new(|| {
        let bytes = wat::parse_str(include_str!("../support/calc.wat")).unwrap();
        let folder = repository().join("target/test-cache/serve");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("calc.wasm");
        // Another process may test, too.
        if std::fs::read(&path).ok().as_ref() != Some(&bytes) {
            let file = tempfile::NamedTempFile::new_in(&folder).unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            file.persist(&path).unwrap();
        }
        path
    });
    WRITTEN.clone()
}

pub fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}
