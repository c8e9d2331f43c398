//! Transcripts: what is kept of a conversation, and going on with it, wherever it was left.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::script::{Api, BOTH, Step};
use super::stage::{KEY, Played, Stage, edit};

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_transcript_cut_anywhere_can_be_continued_and_no_call_is_run_again() {
    for api in BOTH {
        let calls = [
            ("a", "edit_file", edit("a.txt", "x", "xx")),
            ("b", "edit_file", edit("a.txt", "y", "yy")),
        ];
        let read = ("c", "read_text_file", json!({"path": "a.txt"}));
        let steps =
            vec![api.says("I edit.", &calls), api.says("", &[read]), api.says("Done.", &[])];
        let stage = Stage::new(api, &[("a.txt", "xy")], steps);
        stage.run(&["edit", "--allow-write", "**"]).ends(0);
        let whole = std::fs::read(stage.transcript()).unwrap();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|it| it.0).collect();
        assert_eq!(ends.len(), 8, "{}", String::from_utf8_lossy(&whole));
        // At the end of each line, without it, and in its midst.
        let mut cuts: Vec<usize> = ends.iter().flat_map(|end| [end + 1, *end]).collect();
        cuts.extend(ends.windows(2).map(|two| usize::midpoint(two[0], two[1])));
        cuts.sort_unstable();
        for cut in cuts {
            let next = Stage::new(api, &[("a.txt", "xxyy")], vec![api.says("I go on.", &[])]);
            let file = next.state.path().join("t.jsonl");
            std::fs::write(&file, &whole[..cut]).unwrap();
            let args = ["go on", "--allow-write", "**", "--resume", file.to_str().unwrap()];
            let played = next.run(&args).ends(0);
            assert_eq!(played.stdout(), "I go on.\n", "cut at {cut}");
            let asked = next.asked();
            assert_eq!(asked.len(), 1);
            assert!(asked[0].to_string().contains("go on"));
            assert_eq!(next.file("a.txt"), "xxyy");
            // The file is whole again.
            for line in lines(&file) {
                serde_json::from_str::<Value>(&line).unwrap();
            }
            // Of calls whose results were lost the model knows no more than we do.
            let text = asked[0].to_string();
            let answered = lines(&file).iter().filter(|it| it.contains("interrupted")).count();
            assert_eq!(text.contains("interrupted"), answered > 0);
        }
    }
}

#[test]
fn a_record_that_there_was_no_room_for_leaves_no_half_of_a_line() {
    for api in BOTH {
        let text = "x".repeat(150_000);
        let read = ("r", "read_text_file", json!({"path": "big"}));
        let steps = vec![api.says("hi", &[]), api.says("I read.", &[read])];
        let stage = Stage::new(api, &[("big", &text)], steps);
        // What is compiled is larger than the limit, and kept from here on.
        stage.run(&["hello", "--no-transcript"]).ends(0);
        let file = stage.state.path().join("t.jsonl");
        let whole = stage.command(&["read", "--transcript", file.to_str().unwrap()]);
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -f 100; exec \"$0\" \"$@\""]);
        limited.arg(whole.get_program()).args(whole.get_args());
        limited.current_dir(stage.root.path());
        for (name, value) in whole.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let played = Played(limited.output().unwrap()).ends(3);
        assert!(played.stderr().contains("cannot write the transcript"), "{}", played.stderr());
        let kept = lines(&file);
        assert_eq!(kept.len(), 4, "{kept:?}");
        assert!(kept[2].contains("I read.") && kept[3].contains("\"failed\""), "{kept:?}");
        stage.then(vec![api.says("I go on.", &[])]);
        let played = stage.run(&["--resume", file.to_str().unwrap()]).ends(0);
        assert_eq!(played.stdout(), "I go on.\n");
    }
}

#[test]
fn a_transcript_that_is_none_is_refused_with_its_line() {
    let api = Api::Openai;
    let good = Stage::new(api, &[], vec![api.says("hi", &[])]);
    good.run(&["hello"]).ends(0);
    let mut good = lines(&good.transcript());
    let start = good[0].clone();
    good.insert(1, "{\"odd\": 1}".to_owned());
    for (text, part) in [
        (String::new(), "is empty"),
        (good.join("\n") + "\n", "line 2 is no record of a transcript"),
        (start.replace("\"version\":1", "\"version\":2") + "\n", "version 2"),
        (good[2].clone() + "\n", "does not begin as one"),
        (start[..9].to_owned(), "is empty"),
    ] {
        let stage = Stage::new(api, &[], vec![]);
        let file = stage.state.path().join("t.jsonl");
        std::fs::write(&file, &text).unwrap();
        let played = stage.run(&["go on", "--resume", file.to_str().unwrap()]).ends(2);
        assert!(played.stderr().contains(part), "{part} is not in {}", played.stderr());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn a_message_that_was_edited_into_something_else_is_refused_with_its_line() {
    for api in BOTH {
        let stage = Stage::new(api, &[], vec![api.says("hi", &[])]);
        stage.run(&["hello"]).ends(0);
        let start = lines(&stage.transcript())[0].clone();
        let file = stage.state.path().join("t.jsonl");
        let tokens = json!({"input": 1, "cached": 0, "output": 0});
        let results = |message: &str| json!({"results": {"messages": [message], "calls": 0, "failed": 0, "elapsed_ms": 0, "run_ms": 0}});
        for (record, part) in [
            (json!({"user": "hello"}), "an object with a `role`"),
            (json!({"user": 5}), "an object with a `role`"),
            (json!({"user": {"content": "hello"}}), "an object with a `role`"),
            (json!({"user": {"role": "user", "content": ["hello"]}}), "a list of objects"),
            (json!({"user": {"role": "user", "content": [null]}}), "a list of objects"),
            (json!({"answer": {"message": [1], "tokens": tokens}}), "an object with a `role`"),
            (results("x"), "an object with a `role`"),
        ] {
            std::fs::write(&file, format!("{start}\n{record}\n")).unwrap();
            let played = stage.run(&["go on", "--resume", file.to_str().unwrap()]).ends(2);
            for part in ["line 2 is no record of a transcript", part] {
                assert!(played.stderr().contains(part), "{part} is not in {}", played.stderr());
            }
        }
        // Text is content to both.
        let user = json!({"user": {"role": "user", "content": "hello"}});
        std::fs::write(&file, format!("{start}\n{user}\n")).unwrap();
        stage.then(vec![api.says("now", &[])]);
        let played = stage.run(&["--resume", file.to_str().unwrap()]).ends(0);
        assert_eq!(played.stdout(), "now\n");
    }
}

#[test]
fn the_newest_of_the_directory_is_continued_with_its_model_and_only_where_it_was() {
    for api in BOTH {
        let steps = vec![api.says("first", &[]), api.says("second", &[])];
        let stage = Stage::new(api, &[], steps);
        stage.run(&["one"]).ends(0);
        let transcript = stage.transcript();
        assert_eq!(std::fs::metadata(&transcript).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(&transcript).unwrap().contains(KEY));

        // What was said goes to no other server but by saying so.
        let mut elsewhere = stage.bare(&["two", "--resume"]);
        let elsewhere = elsewhere.env("OPENAI_API_KEY", "k").env("ANTHROPIC_API_KEY", "k");
        let refused = Played(elsewhere.output().unwrap()).ends(2);
        assert!(refused.stderr().contains("--base-url http://127.0.0.1"), "{}", refused.stderr());

        let base = stage.base_url();
        let mut resumed = stage.bare(&["two", "--resume", "--base-url", &base]);
        let played = Played(resumed.output().unwrap()).ends(0);
        assert_eq!(played.stdout(), "second\n");
        let asked = stage.asked();
        assert_eq!(asked[1]["model"], "scripted");
        for part in ["one", "first", "two"] {
            assert!(asked[1]["messages"].to_string().contains(part));
        }
        assert_eq!(asked[0]["tools"], asked[1]["tools"]);
        // It is the same file.
        assert_eq!(stage.transcript(), transcript);
        // There the model had the last word.
        let played = stage.run(&["--resume"]).ends(2);
        assert!(played.stderr().contains("had the last word"), "{}", played.stderr());
    }
}

#[test]
fn a_place_can_be_named_once_and_not_where_a_plugin_may_write() {
    let api = Api::Anthropic;
    let stage = Stage::new(api, &[], vec![api.says("hi", &[])]);
    let file = stage.state.path().join("mine/t.jsonl");
    let file = file.to_str().unwrap();
    stage.run(&["hello", "--transcript", file]).ends(0);
    let again = stage.run(&["hello", "--transcript", file]).ends(2);
    assert!(again.stderr().contains("is there already"), "{}", again.stderr());
    let inside = stage.run(&["hello", "--transcript", "t.jsonl", "--allow-write", "**"]).ends(2);
    assert!(inside.stderr().contains("may write where the transcript is"), "{}", inside.stderr());
    assert!(!stage.root.path().join("t.jsonl").exists());
    assert_eq!(stage.asked().len(), 1);
}

/// An agent whose model has called `spin`, which never ends.
fn spinning(stage: &Stage) -> Child {
    let wasm = wat::parse_str(include_str!("../support/calc.wat")).unwrap();
    let plugin = stage.state.path().join("calc.wasm");
    std::fs::write(&plugin, wasm).unwrap();
    let mut command = stage.command(&["spin", "--plugin", plugin.to_str().unwrap()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let dir = stage.state.path().join("inorder/agent");
    let answered = || {
        let files = std::fs::read_dir(&dir).into_iter().flatten();
        let mut texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.any(|text| text.contains("\"answer\""))
    };
    let since = Instant::now();
    while !answered() {
        assert!(since.elapsed() < Duration::from_secs(60), "no answer was kept");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

#[test]
fn a_killed_agent_goes_on_with_the_model_told_that_its_calls_came_to_nothing_known() {
    for api in BOTH {
        let stage = Stage::new(api, &[], vec![api.says("I spin.", &[("s", "spin", json!({}))])]);
        let mut child = spinning(&stage);
        child.kill().unwrap();
        child.wait().unwrap();
        stage.then(vec![api.says("I see.", &[])]);
        let transcript = stage.transcript();
        let played = stage.run(&["--resume", transcript.to_str().unwrap()]).ends(0);
        assert_eq!(played.stdout(), "I see.\n");
        let results = api.results(&stage.asked()[1]);
        assert!(results[0].0 == "s" && results[0].2, "{results:?}");
        assert!(results[0].1.contains("interrupted"), "{results:?}");
        assert!(played.stderr().contains("not run again"), "{}", played.stderr());
    }
}

#[test]
fn ctrl_c_cancels_the_calls_and_keeps_what_they_came_to() {
    for api in BOTH {
        let stage = Stage::new(api, &[], vec![api.says("I spin.", &[("s", "spin", json!({}))])]);
        let child = spinning(&stage);
        // Meanwhile nobody else may write into it.
        let transcript = stage.transcript();
        let other = stage.run(&["go on", "--resume", transcript.to_str().unwrap()]).ends(2);
        assert!(other.stderr().contains("in use by another process"), "{}", other.stderr());
        signal(&child, "-INT");
        let played = Played(child.wait_with_output().unwrap()).ends(1);
        assert!(played.stderr().contains("stopping"), "{}", played.stderr());
        assert!(played.stderr().contains("--resume"), "{}", played.stderr());
        let kept = lines(&transcript);
        assert!(kept[3].contains("results") && kept[3].contains("cancelled"), "{kept:?}");
        assert!(kept[4].contains("\"stopped\""), "{kept:?}");
        assert_eq!(stage.asked().len(), 1);
    }
}

#[test]
fn ctrl_c_does_not_wait_for_a_server_that_says_nothing() {
    for api in BOTH {
        let stage = Stage::new(api, &[], vec![Step::Silence]);
        let mut child = stage
            .command(&["hello"])
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let since = Instant::now();
        while stage.server.asked().is_empty() {
            assert!(since.elapsed() < Duration::from_secs(60), "nothing was asked");
            std::thread::sleep(Duration::from_millis(20));
        }
        signal(&child, "-INT");
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(told.any(|line| line.unwrap().contains("stopping")));
        drop(told);
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
}
