//! Ways out of a root, out of a grant and out of a declaration, each tried by a guest.
//!
//! `paths` lead out, `swapped` are those that others change meanwhile, `grants` and `declared` are what a call may
//! reach by policy and by its own word.

mod declared;
mod grants;
mod paths;
mod swapped;

use std::path::Path;

use inorder::Host;
use serde_json::Value;

use crate::support::{call, grants, guest, scratch};

const SECRET: &str = "the secret";

/// A root `in` beside a secret, and a host with `fileops` on the root.
fn host(
    files: &[(&str, &str)],
    read: &[&str],
    write: &[&str],
) -> Option<(tempfile::TempDir, Host)> {
    let mut spec = guest("fileops")?;
    spec.grants = grants(read, write);
    let mut all = vec![("secret", SECRET), ("out/secret", SECRET), ("in/here", "here")];
    let inside: Vec<String> = files.iter().map(|(path, _)| format!("in/{path}")).collect();
    all.extend(inside.iter().zip(files).map(|(path, (_, content))| (path.as_str(), *content)));
    let (dir, _) = scratch(&all);
    let host = Host::builder().root(dir.path().join("in")).plugin(spec).build().unwrap();
    Some((dir, host))
}

fn error(host: &Host, tool: &str, args: Value) -> String {
    let result = call(host, tool, args);
    assert_eq!(result["status"], "error", "{tool}: {result}");
    result["error"]["message"].as_str().unwrap().to_owned()
}

/// The name of the error alone.
fn name(host: &Host, tool: &str, args: Value) -> String {
    let message = error(host, tool, args);
    message.split([';', ' ']).next().unwrap().to_owned()
}

fn value(host: &Host, tool: &str, args: Value) -> Value {
    let mut result = call(host, tool, args);
    assert_eq!(result["status"], "ok", "{tool}: {result}");
    result["value"].take()
}

fn unharmed(dir: &Path) {
    assert_eq!(std::fs::read_to_string(dir.join("secret")).unwrap(), SECRET);
    assert_eq!(std::fs::read_to_string(dir.join("out/secret")).unwrap(), SECRET);
    assert_eq!(std::fs::read_dir(dir.join("out")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 3);
}
