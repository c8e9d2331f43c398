//! A folder to work in, a server with a script, and the agent between them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::script::{Api, Step};
use crate::net::server::{Asked, Server};
use crate::support::{inorder, scratch};

pub struct Stage {
    pub api: Api,
    /// The root of the calls.
    pub root: TempDir,
    /// Where nothing of what the tools may do leads.
    pub state: TempDir,
    pub server: Server,
    script: Arc<Mutex<VecDeque<Step>>>,
}

pub const KEY: &str = "sk-very-secret-0123456789";

impl Stage {
    pub fn new(api: Api, files: &[(&str, &str)], steps: Vec<Step>) -> Stage {
        let script: Arc<Mutex<VecDeque<Step>>> = Arc::new(Mutex::new(steps.into()));
        let server = Server::plain({
            let script = script.clone();
            move |_, out| {
                let end = json!({"error": {"message": "the script has come to its end"}});
                let step = script.lock().unwrap().pop_front();
                step.unwrap_or(Step::refusal("400 Bad Request", "", &end)).play(out)
            }
        });
        let (root, _) = scratch(files);
        Stage { api, root, state: tempfile::tempdir().unwrap(), server, script }
    }

    /// What the server says after all that it was to say.
    pub fn then(&self, steps: Vec<Step>) {
        self.script.lock().unwrap().extend(steps);
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// `inorder agent`, without a word on where and with whom.
    pub fn bare(&self, args: &[&str]) -> Command {
        let mut command = inorder();
        command
            .current_dir(self.root.path())
            .env("XDG_STATE_HOME", self.state.path())
            .env_remove("ANTHROPIC_API_KEY")
            .env_remove("OPENAI_API_KEY")
            .env("EXAMPLE_KEY", KEY)
            .arg("agent")
            .args(args);
        command
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare(args);
        command
            .args(["--base-url", &self.base_url(), "--api", self.api.name(), "--model", "scripted"])
            .args(["--key-env", "EXAMPLE_KEY"]);
        command
    }

    pub fn run(&self, args: &[&str]) -> Played {
        Played(self.command(args).output().unwrap())
    }

    /// What was asked, with each request as the API would accept it.
    pub fn asked(&self) -> Vec<Value> {
        let asked: Vec<Asked> = self.server.asked();
        let asked: Vec<Value> =
            asked.iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
        for request in &asked {
            self.api.accepts(request);
        }
        asked
    }

    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.path().join(name)).unwrap()
    }

    /// The transcript that was kept, where there is one.
    pub fn transcript(&self) -> PathBuf {
        let dir = self.state.path().join("inorder/agent");
        let mut files = std::fs::read_dir(dir).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none(), "there are two transcripts");
        file
    }
}

/// How a run of the agent ended.
pub struct Played(pub Output);

impl Played {
    pub fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// Asserts the exit code, and that the key is nowhere in what was printed.
    pub fn ends(self, code: i32) -> Played {
        let (out, err) = (self.stdout(), self.stderr());
        assert_eq!(self.code(), Some(code), "stdout: {out}\nstderr: {err}");
        assert!(!out.contains(KEY) && !err.contains(KEY), "{out}{err}");
        self
    }
}

/// The arguments of an edit.
pub fn edit(path: &str, old: &str, new: &str) -> Value {
    json!({"path": path, "edits": [{"old_text": old, "new_text": new}]})
}
