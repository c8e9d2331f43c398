//! What is wrong before anything is asked.

use std::net::TcpListener;

use super::script::Api;
use super::stage::{Played, Stage};

fn fails(stage: &Stage, args: &[&str], code: i32, parts: &[&str]) {
    let played = Played(stage.bare(args).output().unwrap()).ends(code);
    for part in parts {
        assert!(played.stderr().contains(part), "{part} is not in {}", played.stderr());
    }
    assert_eq!(played.stdout(), "");
    assert!(stage.server.asked().is_empty());
}

#[test]
fn each_is_said_with_what_would_help() {
    let stage = Stage::new(Api::Openai, &[("empty", "")], vec![]);
    let base = stage.base_url();
    let no_key = ["there is no key", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "--base-url"];
    fails(&stage, &["hello", "--model", "m"], 2, &no_key);
    fails(&stage, &["hello", "--model", "claude-x"], 2, &["ANTHROPIC_API_KEY is not set"]);
    fails(&stage, &["hello", "--base-url", &base], 2, &["which model? --model"]);
    fails(&stage, &["--model", "m"], 2, &["<TASK>"]);
    fails(&stage, &[" ", "--model", "m", "--base-url", &base], 2, &["the task is empty"]);
    fails(&stage, &["-", "--model", "m", "--base-url", &base], 2, &["the task is empty"]);
    fails(
        &stage,
        &["hello", "--model", "m", "--base-url", &base, "--key-env", "NO_SUCH_KEY"],
        2,
        &["NO_SUCH_KEY is not set"],
    );
    fails(&stage, &["hello", "--base-url", "http://example.org"], 2, &["clear text", "--insecure"]);
    fails(
        &stage,
        &["hello", "--model", "m", "--base-url", &base, "--system", "missing"],
        2,
        &["cannot read the system prompt missing"],
    );
    fails(
        &stage,
        &["go on", "--base-url", &base, "--resume"],
        2,
        &["no transcript in", "--resume FILE"],
    );
    fails(
        &stage,
        &["--base-url", &base, "--resume", "go on"],
        2,
        &["there is no transcript go on", "before the flag"],
    );
}

#[test]
fn a_server_that_is_not_there_is_named_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let base = format!("http://{address}");
    drop(listener);
    let stage = Stage::new(Api::Openai, &[], vec![]);
    let reach = format!("cannot reach {address}: ");
    let parts = [&*reach, "refused", "is the server running?"];
    fails(&stage, &["hello", "--model", "m", "--base-url", &base], 3, &parts);
}

#[test]
fn help_shows_how_it_is_done() {
    let stage = Stage::new(Api::Openai, &[], vec![]);
    let played = Played(stage.bare(&["--help"]).output().unwrap()).ends(0);
    for part in
        ["ANTHROPIC_API_KEY", "Ollama", "--key-env", "[default: 50]", "Exit codes", "--resume"]
    {
        assert!(played.stdout().contains(part), "{part} is not in {}", played.stdout());
    }
}
