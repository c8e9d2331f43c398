//! The linear plugin, run by the command line, against a server on loopback that enforces the schema which Linear's SDK publishes.
//!
//! Needs node, `target/plugins/linear.wasm` of `plugins/linear/build.sh`, and what `package.json` names in `target/linear-tests`
//! (`tests/linear/install.sh`). Without them tests are skipped, unless `INORDER_REQUIRE_KIT` is set.

mod changes;
mod failures;
mod reads;
mod step;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};

use crate::support::{inorder, repository};

/// Whom the server lets in.
const KEY: &str = "lin_api_0123456789abcdef";

/// One for all tests: to read the schema takes it a second or more.
static SERVER: LazyLock<Result<Mutex<Server>, String>> =
    LazyLock::new(|| Server::start().map(Mutex::new));

struct Server {
    port: u64,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// It ends when its standard input does, which is when this process does.
    _child: Child,
}

impl Server {
    fn start() -> Result<Server, String> {
        let root = repository();
        let packages = root.join("target/linear-tests/node_modules");
        if !root.join("target/plugins/linear.wasm").is_file() {
            return Err(
                "needs target/plugins/linear.wasm: plugins/linear/build.sh makes it".to_owned()
            );
        }
        if !packages.join("@linear/sdk").is_dir() {
            return Err("needs the packages of its server: tests/linear/install.sh".to_owned());
        }
        let mut child = Command::new("node")
            .arg(root.join("tests/linear/server.mjs"))
            .arg(root.join("target/linear-tests"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("needs node: {error}"))?;
        let (orders, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut server =
            Server { port: 0, orders, answers: BufReader::new(answers), _child: child };
        server.port = server.line()["port"].as_u64().unwrap();
        Ok(server)
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("the server said no JSON")
    }

    fn tell(&mut self, order: &Value) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        self.line()
    }
}

/// A workspace of the server that no other test uses, and a policy for it.
struct Linear {
    name: &'static str,
    dir: tempfile::TempDir,
}

/// What the user has set.
struct Set<'a> {
    key: &'a str,
    /// Whether the config names the endpoint as GraphQL.
    graphql: bool,
    url: Option<&'a str>,
}

const USUAL: Set = Set { key: KEY, graphql: true, url: None };

impl Linear {
    fn new(name: &'static str) -> Option<Linear> {
        if let Err(missing) = &*SERVER {
            assert!(std::env::var_os("INORDER_REQUIRE_KIT").is_none(), "{missing}");
            let _ = writeln!(std::io::stderr(), "skipped linear::{name}: {missing}");
            return None;
        }
        let linear = Linear { name, dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(linear.dir.path().join("root")).unwrap();
        Some(linear)
    }

    fn server(&self, order: &Value) -> Value {
        let mut order = order.clone();
        order["at"] = self.name.into();
        SERVER.as_ref().unwrap().lock().unwrap().tell(&order)
    }

    /// What becomes of the next requests.
    #[expect(clippy::needless_pass_by_value, reason = "so that an order reads as one line")]
    fn next(&self, next: Value) {
        self.server(&json!({ "next": next }));
    }

    /// The operations that came since this was last asked.
    fn log(&self) -> Vec<String> {
        let log = self.server(&json!({}));
        let name = |it: &Value| {
            format!("{} {}", it["operation"].as_str().unwrap(), it["name"].as_str().unwrap())
        };
        log.as_array().unwrap().iter().map(name).collect()
    }

    fn config(&self, set: &Set) -> std::path::PathBuf {
        let port = SERVER.as_ref().unwrap().lock().unwrap().port;
        let (at, path) = (format!("127.0.0.1:{port}"), format!("/{}/graphql", self.name));
        let url = set.url.map_or(format!("http://{at}{path}"), str::to_owned);
        let graphql =
            if set.graphql { format!("graphql = [\"{at}{path}\"]") } else { String::new() };
        let plugin = repository().join("target/plugins/linear.wasm");
        let config = format!(
            r#"
            roots = ["root"]
            [secrets]
            linear = {{ host = "{at}", header = "Authorization", from-env = "LINEAR_API_KEY" }}
            [plugins.linear]
            path = {plugin:?}
            net = ["{at}"]
            {graphql}
            secrets = ["linear"]
            env = ["LINEAR_API_URL={url}"]
            "#
        );
        let file = self.dir.path().join("inorder.toml");
        std::fs::write(&file, config).unwrap();
        file
    }

    /// The report of a batch, and all that the program said.
    fn run(&self, set: &Set, calls: &Value, flags: &[&str]) -> (Value, String) {
        let config = self.config(set);
        let batch = self.dir.path().join("batch.json");
        std::fs::write(&batch, json!({ "calls": calls }).to_string()).unwrap();
        let mut command = inorder();
        command
            .arg("run")
            .arg(&batch)
            .arg("--config")
            .arg(config)
            .args(["--json", "--no-audit"])
            .args(flags);
        let output = command.env("LINEAR_API_KEY", set.key).output().unwrap();
        let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
        assert!(!said.contains(KEY), "{said}");
        let report =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {said}"));
        (report, said)
    }

    /// One call's result.
    fn result(&self, tool: &str, args: &Value) -> Value {
        self.run(&USUAL, &json!([{ "tool": tool, "args": args }]), &[]).0["results"][0].take()
    }

    /// What a call gives, which must be ok.
    #[expect(clippy::needless_pass_by_value, reason = "so that a call reads as one line")]
    fn call(&self, tool: &str, args: Value) -> Value {
        let mut result = self.result(tool, &args);
        assert_eq!(result["status"], "ok", "{tool} {args}: {result}");
        result["value"].take()
    }

    /// The kind and the message of a call's failure.
    #[expect(clippy::needless_pass_by_value, reason = "so that a call reads as one line")]
    fn failure(&self, tool: &str, args: Value) -> (String, String) {
        let result = self.result(tool, &args);
        let error = &result["error"];
        assert_eq!(error["kind"], "tool", "{tool} {args}: {result}");
        assert_eq!(error["message"], error["value"]["message"], "{result}");
        let text = |field: &str| error["value"][field].as_str().unwrap_or_default().to_owned();
        (text("kind"), text("message"))
    }
}
