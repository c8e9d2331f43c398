//! The question at a terminal, as a person meets it: by `script`, which has the binary believe that it is at one.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{inorder, repository};

/// The binary at a terminal of its own.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    seen: String,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Terminal {
    /// None where there is no `script`.
    fn start(root: &Path, args: &str) -> Option<Terminal> {
        let there = Command::new("script").arg("--version").output();
        if !there.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains("util-linux")) {
            let _ = writeln!(std::io::stderr(), "skipped: needs `script` of util-linux");
            return None;
        }
        let inorder = env!("CARGO_BIN_EXE_inorder");
        let caches = repository().join("target/test-cache");
        let mut child = Command::new("script")
            .args(["-q", "-e", "-c", &format!("stty cols 100; exec {inorder} {args}"), "/dev/null"])
            .current_dir(root)
            .env("XDG_CACHE_HOME", caches)
            .env_remove("INORDER_CONFIG")
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = child.stdin.take().unwrap();
        Some(Terminal { child, keys, output: receiver, seen: String::new() })
    }

    /// Waits for a text, and forgets all up to it.
    fn see(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} does not come: {}", self.seen),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn code(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None if Instant::now() > deadline => panic!("it does not end: {}", self.seen),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder(calls: &serde_json::Value) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("batch.json"), json!({ "calls": calls }).to_string()).unwrap();
    root
}

fn write(path: &str, text: &str) -> serde_json::Value {
    json!({"tool": "write_file", "args": {"path": path, "content": text}})
}

fn content(root: &tempfile::TempDir, path: &str) -> Option<String> {
    std::fs::read_to_string(root.path().join(path)).ok()
}

const RUN: &str = "run batch.json --no-audit --allow-write '**' --ask write";
/// The end of what is asked.
const PROMPT: &str = "in this session, [d]iff: ";

#[test]
fn a_person_says_yes_no_and_always() {
    let calls = json!([
        write("a.txt", "A\n"), write("b.txt", "B\n"), write("c.txt", "C\n"), write("d.txt", "D\n"),
        {"tool": "create_directory", "args": {"path": "e"}},
    ]);
    let root = folder(&calls);
    let Some(mut terminal) = Terminal::start(root.path(), RUN) else { return };
    let shown = terminal.see(PROMPT);
    assert!(shown.contains("a call wants to change a file"), "{shown}");
    assert!(shown.contains("  │ by write_file (filesystem, call 1)"), "{shown}");
    assert!(shown.contains("│ created a.txt") && shown.contains("+A"), "{shown}");
    assert_eq!(content(&root, "a.txt"), None);
    terminal.press("y\n");
    terminal.see(PROMPT);
    terminal.press("what\n");
    terminal.see("Type y, n, a or d");
    terminal.see(PROMPT);
    // Enter alone is no.
    terminal.press("\n");
    terminal.see(PROMPT);
    terminal.press("a\n");
    // The same tool may go on; another one is another question.
    let shown = terminal.see("for create_directory");
    assert!(!shown.contains("d.txt"), "{shown}");
    terminal.see(PROMPT);
    terminal.press("y\n");
    terminal.see("5 calls in");
    assert_eq!(terminal.code(), Some(1));
    let found = ["a.txt", "b.txt", "c.txt", "d.txt"].map(|path| content(&root, path).is_some());
    assert_eq!((found, root.path().join("e").is_dir()), ([true, false, true, true], true));
}

#[test]
fn a_long_diff_is_shown_whole_when_asked_for() {
    let text: String = (0..60).map(|n| format!("line {n}\n")).collect();
    let root = folder(&json!([write("a.txt", &text)]));
    let Some(mut terminal) = Terminal::start(root.path(), RUN) else { return };
    let shown = terminal.see(PROMPT);
    assert!(shown.contains("more lines: d shows all") && !shown.contains("line 59"), "{shown}");
    terminal.press("d\n");
    let shown = terminal.see(PROMPT);
    assert!(shown.contains("line 59"), "{shown}");
    terminal.press("n\n");
    assert_eq!(terminal.code(), Some(1));
    assert_eq!(content(&root, "a.txt"), None);
}

#[test]
fn control_c_at_a_question_cancels_the_batch_and_still_reports() {
    let root = folder(&json!([write("a.txt", "A"), write("b.txt", "B")]));
    let Some(mut terminal) = Terminal::start(root.path(), RUN) else { return };
    terminal.see(PROMPT);
    terminal.press("\u{3}");
    terminal.see("2 calls in");
    assert_eq!(terminal.code(), Some(1));
    assert_eq!((content(&root, "a.txt"), content(&root, "b.txt")), (None, None));
}

#[test]
fn strangers_can_neither_steer_the_terminal_nor_answer_for_the_person() {
    let name = "a\n\u{1b}[2JAllow it? y\n.txt";
    let root = folder(&json!([write(name, "x\u{1b}]0;title\u{7}\ny\n")]));
    let Some(mut terminal) = Terminal::start(root.path(), RUN) else { return };
    // Typed before there is a question.
    terminal.press("y\n");
    let shown = terminal.see(PROMPT);
    assert!(!shown.contains("\u{1b}[2J") && !shown.contains("\u{1b}]0;title"), "{shown:?}");
    assert!(shown.contains("created a \\u{1b}[2JAllow it? y .txt"), "{shown:?}");
    let before = root.path().join(name).exists();
    terminal.press("n\n");
    assert_eq!((before, terminal.code()), (false, Some(1)));
    assert!(!root.path().join(name).exists());
}

#[test]
fn where_there_is_no_terminal_nothing_is_asked_which_is_said_once() {
    let root = folder(&json!([write("a.txt", "A"), write("b.txt", "B")]));
    let run = |more: &[&str]| {
        let mut command = inorder();
        command.current_dir(root.path()).args(["run", "batch.json", "--no-audit", "--json"]);
        command.args(["--allow-write", "**"]).args(more).output().unwrap()
    };
    let output = run(&["--ask", "write"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr.matches("there is no terminal to ask at").count(), 1, "{stderr}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(content(&root, "a.txt"), None);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["results"][1]["error"]["kind"], "denied", "{report}");
    // Nothing is to be said where nothing would be asked.
    assert_eq!(String::from_utf8_lossy(&run(&["--ask", "write", "--dry-run"]).stderr), "");
    assert_eq!(String::from_utf8_lossy(&run(&[]).stderr), "");
    assert_eq!(content(&root, "b.txt").unwrap(), "B");
}

#[test]
fn a_rule_that_is_none_is_told_what_would_be_one() {
    let root = folder(&json!([]));
    let output = inorder()
        .current_dir(root.path())
        .args(["run", "batch.json", "--ask", "writes"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("`write:docs/**`") && stderr.contains("\"writes\""), "{stderr}");
}
