//! A client of the protocol over standard input and output, which does as little as can be while it measures.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// A server and the line to it. Dropped, it is killed.
pub struct Client {
    child: Arc<Mutex<Child>>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
    line: String,
    watch: Option<(Sender<Duration>, JoinHandle<()>)>,
}

/// For all that is asked of one server.
const PATIENCE: Duration = Duration::from_secs(600);

impl Client {
    /// Starts a server, and makes the handshake of 2025-11-25.
    pub fn start(command: Command) -> anyhow::Result<Client> {
        let mut client = Client::spawn(command)?;
        let hello = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "inorder's benchmark", "version": "1"},
        });
        let id = client.request("initialize", &hello)?;
        client.answer(id)?;
        client
            .write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string())?;
        Ok(client)
    }

    fn spawn(mut command: Command) -> anyhow::Result<Client> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let input = child.stdin.take().context("it has an input")?;
        let output = BufReader::new(child.stdout.take().context("it has an output")?);
        let child = Arc::new(Mutex::new(child));
        let watch = Some(watch(child.clone()));
        Ok(Client { child, input, output, next: 0, line: String::new(), watch })
    }

    /// `cat`, which answers each line by itself: what the pipes and two processes that wake each other take.
    pub fn of_cat() -> anyhow::Result<Client> {
        Client::spawn(Command::new("cat"))
    }

    /// How long it took until a line as long as that of a call came back from [`Client::of_cat`].
    pub fn echo(&mut self, tool: &str, args: &Value) -> anyhow::Result<Duration> {
        let text = call(self.next, tool, args);
        let began = Instant::now();
        self.write(&text)?;
        self.next += 1;
        self.line.clear();
        self.output.read_line(&mut self.line)?;
        let took = began.elapsed();
        ensure!(self.line == text, "{:?} came back", self.line);
        Ok(took)
    }

    /// Kills the server when so much more time has passed: whoever waits for it then gets an error.
    pub fn give_up_after(&self, patience: Duration) {
        if let Some((sender, _)) = &self.watch {
            let _ = sender.send(patience);
        }
    }

    /// How long it took to be answered. A result that is an error fails.
    pub fn call(&mut self, tool: &str, args: &Value) -> anyhow::Result<Duration> {
        let text = call(self.next, tool, args);
        let began = Instant::now();
        self.write(&text)?;
        self.next += 1;
        self.answer(self.next - 1)?;
        let took = began.elapsed();
        self.ensure_ok()?;
        Ok(took)
    }

    /// Sends a call, and waits for nothing.
    pub fn send(&mut self, tool: &str, args: &Value) -> anyhow::Result<()> {
        self.next += 1;
        self.write(&call(self.next - 1, tool, args))
    }

    /// How long it took until the last of so many calls was answered, each once.
    pub fn at_once(&mut self, count: usize, tool: &str, args: &Value) -> anyhow::Result<Duration> {
        let first = self.next;
        self.next += count as u64;
        let text: String = (first..self.next).map(|id| call(id, tool, args)).collect();
        let mut lines = Vec::with_capacity(count);
        let began = Instant::now();
        let took = std::thread::scope(|scope| {
            // Both at once: a server that is not read from need not read.
            let input = &mut self.input;
            let written = scope.spawn(move || input.write_all(text.as_bytes()));
            while lines.len() < count {
                let mut line = String::new();
                ensure!(self.output.read_line(&mut line)? > 0, "the server has ended");
                if !line.contains("\"method\"") {
                    lines.push(line);
                }
            }
            let took = began.elapsed();
            written.join().ok().context("the writer is gone")??;
            anyhow::Ok(took)
        })?;
        let mut ids = Vec::with_capacity(count);
        for line in lines {
            self.line = line;
            ids.push(self.ensure_ok()?);
        }
        ids.sort_unstable();
        ensure!(ids.iter().copied().eq(first..self.next), "not each call was answered once");
        Ok(took)
    }

    fn request(&mut self, method: &str, params: &Value) -> anyhow::Result<u64> {
        let id = self.next;
        self.next += 1;
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.write(&message.to_string())?;
        Ok(id)
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        let line = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
        self.input.write_all(line.as_bytes()).context("the server does not read")
    }

    /// Reads up to the answer of a request, into `line`.
    fn answer(&mut self, id: u64) -> anyhow::Result<()> {
        let id = format!("\"id\":{id},");
        loop {
            self.line.clear();
            ensure!(self.output.read_line(&mut self.line)? > 0, "the server has ended");
            if self.line.contains(&id) && !self.line.contains("\"method\"") {
                return Ok(());
            }
        }
    }

    fn ensure_ok(&self) -> anyhow::Result<u64> {
        let message: Value = serde_json::from_str(&self.line)?;
        let failed = message["result"]["isError"].as_bool().unwrap_or(false);
        ensure!(message["result"].is_object() && !failed, "a call failed: {}", self.line);
        message["id"].as_u64().context("an answer without an id")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
        drop(child);
        if let Some((sender, watch)) = self.watch.take() {
            drop(sender);
            let _ = watch.join();
        }
    }
}

fn call(id: u64, tool: &str, args: &Value) -> String {
    let params = json!({"name": tool, "arguments": args});
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    format!("{message}\n")
}

/// Kills a server that takes too long, which ends its output too, until the sender is gone.
fn watch(child: Arc<Mutex<Child>>) -> (Sender<Duration>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let watch = std::thread::spawn(move || {
        let mut patience = PATIENCE;
        loop {
            match receiver.recv_timeout(patience) {
                Ok(shorter) => patience = shorter,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
                    return;
                }
            }
        }
    });
    (sender, watch)
}
