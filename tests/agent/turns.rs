//! Answers and their calls, one turn after another.

use serde_json::{Value, json};

use super::script::{Api, BOTH, Step, data};
use super::stage::{KEY, Stage, edit};

#[test]
fn two_calls_of_one_answer_that_edit_one_file_both_count_and_are_answered_in_order() {
    for api in BOTH {
        let calls = [
            ("one", "edit_file", edit("a.txt", "one", "1 \"é\"")),
            ("two", "edit_file", edit("a.txt", "two", "2")),
        ];
        let steps = vec![api.says("I edit.", &calls), api.says("Done,\nboth.", &[])];
        let stage = Stage::new(api, &[("a.txt", "one\ntwo\n")], steps);
        let played = stage.run(&["edit a.txt", "--allow-write", "**"]).ends(0);
        assert_eq!(stage.file("a.txt"), "1 \"é\"\n2\n");
        assert_eq!(played.stdout(), "I edit.\nDone,\nboth.\n");

        let asked = stage.asked();
        assert_eq!(asked.len(), 2);
        let messages = asked[1]["messages"].as_array().unwrap();
        assert!(messages.contains(&api.message("I edit.", &calls)), "{messages:?}");
        let results = api.results(&asked[1]);
        assert_eq!(results.len(), 2);
        for ((id, _, failed), wanted) in results.iter().zip(["one", "two"]) {
            assert_eq!((&**id, *failed), (wanted, false));
        }
        let told = played.stderr();
        for part in ["one", "edit_file", "█", "2 calls in", "2 turns; 2 calls in"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        assert!(told.contains("2,020 tokens in (1,800 cached), 40 out"), "{told}");
        assert!(!told.contains('\x1b'), "{told:?}");
    }
}

#[test]
fn a_request_says_who_asks_for_what_with_which_tools() {
    for api in BOTH {
        let stage = Stage::new(api, &[], vec![api.says("hi", &[])]);
        stage.run(&["hello", "--max-tokens", "77"]).ends(0);
        let asked = &stage.server.asked()[0];
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(asked.method, "POST");
        assert_eq!(asked.header("content-type"), Some("application/json"));
        assert_eq!(asked.header("accept"), Some("text/event-stream"));
        assert_eq!(body["model"], "scripted");
        assert_eq!(body["stream"], true);
        assert_eq!(body["max_tokens"], 77);
        let tools = body["tools"].as_array().unwrap();
        let (tool, system) = match api {
            Api::Anthropic => {
                assert_eq!(asked.path, "/v1/messages");
                assert_eq!(asked.header("x-api-key"), Some(KEY));
                assert_eq!(asked.header("anthropic-version"), Some("2023-06-01"));
                assert_eq!(asked.header("authorization"), None);
                let cached = json!({"type": "ephemeral"});
                let task = json!({"type": "text", "text": "hello", "cache_control": cached});
                assert_eq!(body["messages"], json!([{"role": "user", "content": [task]}]));
                assert_eq!(body["system"][0]["cache_control"], cached);
                (tools.iter().find(|it| it["name"] == "read_text_file"), &body["system"][0]["text"])
            }
            Api::Openai => {
                assert_eq!(asked.path, "/v1/chat/completions");
                assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {KEY}")));
                assert_eq!(asked.header("x-api-key"), None);
                assert_eq!(body["stream_options"], json!({"include_usage": true}));
                assert_eq!(body["messages"][1], json!({"role": "user", "content": "hello"}));
                let named = |it: &&Value| it["function"]["name"] == "read_text_file";
                (tools.iter().find(named), &body["messages"][0]["content"])
            }
        };
        assert!(tool.unwrap().to_string().contains("$from"), "references are not taught");
        assert!(system.as_str().unwrap().contains("$from"));
    }
}

#[test]
fn a_call_may_use_the_result_of_another_of_its_answer() {
    for api in BOTH {
        let calls = [
            ("x", "read_text_file", json!({"path": "name"})),
            ("y", "read_text_file", json!({"path": {"$from": 1}})),
        ];
        let stage = Stage::new(
            api,
            &[("name", "b.txt"), ("b.txt", "found")],
            vec![api.says("", &calls), api.says("ok", &[])],
        );
        stage.run(&["look"]).ends(0);
        let results = api.results(&stage.asked()[1]);
        assert_eq!(results[1], ("y".to_owned(), "found".to_owned(), false));
    }
}

#[test]
fn what_is_denied_or_wrong_is_told_to_the_model_which_goes_on() {
    for api in BOTH {
        let calls = [
            ("w", "write_file", json!({"path": "a.txt", "content": "x"})),
            ("n", "no_such_tool", json!({})),
            ("j", "read_text_file", json!("{\"path\": ")),
            ("r", "read_text_file", json!({"path": "b.txt"})),
            (
                "d",
                "read_text_file",
                json!(format!("{{\"path\": {}{}}}", "[".repeat(120), "]".repeat(120))),
            ),
        ];
        let stage = Stage::new(
            api,
            &[("b.txt", "here")],
            vec![api.says("", &calls), api.says("I may not.", &[])],
        );
        let played = stage.run(&["write"]).ends(0);
        let results = api.results(&stage.asked()[1]);
        let parts = [
            "--allow-write",
            "no_such_tool",
            "JSON",
            "here",
            "lists and objects more than 100 deep",
        ];
        for (at, part) in parts.into_iter().enumerate() {
            assert!(results[at].1.contains(part), "{results:?}");
            assert_eq!(results[at].2, at != 3, "{results:?}");
        }
        assert!(!results[4].1.contains("JSON"), "{results:?}");
        assert!(played.stderr().contains("write_file denied: "), "{}", played.stderr());
        assert!(played.stderr().contains("4 failed"), "{}", played.stderr());
        assert!(!stage.root.path().join("a.txt").exists());
    }
}

#[test]
fn calls_that_cannot_be_ordered_are_answered_too() {
    for api in BOTH {
        let calls = [
            ("p", "read_text_file", json!({"path": {"$from": 2}})),
            ("q", "read_text_file", json!({"path": "a.txt"})),
        ];
        let stage =
            Stage::new(api, &[("a.txt", "")], vec![api.says("", &calls), api.says("ok", &[])]);
        stage.run(&["look"]).ends(0);
        let results = api.results(&stage.asked()[1]);
        assert!(results.iter().all(|it| it.2 && it.1.contains("nothing was run")), "{results:?}");
    }
}

#[test]
fn answers_that_are_cut_off_again_and_again_are_the_end() {
    for api in BOTH {
        let list = || [("a", "list_directory", json!({"path": "."}))];
        let steps = (0..3).map(|_| api.cut_off("", &list())).collect();
        let stage = Stage::new(api, &[], steps);
        let played = stage.run(&["look"]).ends(1);
        assert_eq!(stage.asked().len(), 3);
        assert!(played.stderr().contains("--max-tokens"), "{}", played.stderr());
    }
}

#[test]
fn an_answer_that_is_cut_off_is_not_run() {
    for api in BOTH {
        let write = ("w", "write_file", json!({"path": "a.txt", "content": "half"}));
        let stage =
            Stage::new(api, &[], vec![api.cut_off("", &[write]), api.cut_off("I was go", &[])]);
        let played = stage.run(&["write", "--allow-write", "**"]).ends(1);
        assert!(!stage.root.path().join("a.txt").exists());
        assert!(api.results(&stage.asked()[1])[0].1.contains("cut off"));
        assert!(played.stderr().contains("--max-tokens"), "{}", played.stderr());
    }
}

#[test]
fn an_answer_that_ends_for_a_reason_that_nobody_knows_is_not_run() {
    for api in BOTH {
        let write = ("w", "write_file", json!({"path": "a.txt", "content": "half"}));
        let no_arguments = ("l", "list_allowed_directories", json!(""));
        for calls in [[write], [no_arguments]] {
            let step = Step::Stream(api.stream("", &calls, Some("abort")));
            let stage = Stage::new(api, &[], vec![step]);
            let played = stage.run(&["write", "--allow-write", "**"]).ends(1);
            assert!(!stage.root.path().join("a.txt").exists());
            assert!(played.stderr().contains("the model stopped: abort"), "{}", played.stderr());
            // The model is told so when it is asked again.
            stage.then(vec![api.says("I see.", &[])]);
            let transcript = stage.transcript();
            stage.run(&["--resume", transcript.to_str().unwrap()]).ends(0);
            let (_, said, failed) = api.results(&stage.asked()[1])[0].clone();
            assert!(failed && said.contains("nothing was run") && said.contains("abort"), "{said}");
        }
    }
}

#[test]
fn turns_have_an_end() {
    for api in BOTH {
        let call = || [("a", "list_directory", json!({"path": "."}))];
        let steps = vec![api.says("", &call()), api.says("", &call()), api.says("end", &[])];
        let stage = Stage::new(api, &[], steps);
        let played = stage.run(&["look", "--max-turns", "2"]).ends(1);
        assert_eq!(stage.asked().len(), 2);
        assert!(played.stderr().contains("stopped after 2 turns"), "{}", played.stderr());
        // The results of the second turn are kept, and sent when it goes on.
        let transcript = stage.transcript();
        let played = stage.run(&["--resume", transcript.to_str().unwrap()]).ends(0);
        assert_eq!(played.stdout(), "end\n");
        assert_eq!(api.results(&stage.asked()[2]).len(), 1);
    }
}

#[test]
fn an_empty_answer_is_an_end_and_said() {
    for api in BOTH {
        let stage = Stage::new(api, &[], vec![api.says("", &[])]);
        let played = stage.run(&["hello"]).ends(0);
        assert!(played.stderr().contains("empty"), "{}", played.stderr());
        assert_eq!(played.stdout(), "");
        stage.then(vec![api.says("now", &[])]);
        let transcript = stage.transcript();
        stage.run(&["again", "--resume", transcript.to_str().unwrap()]).ends(0);
        assert_eq!(stage.asked().len(), 2);
    }
}

#[test]
fn calls_without_ids_or_with_odd_ones_are_answered_under_ids_of_their_own() {
    for api in BOTH {
        let read = json!({"path": "a.txt"});
        let calls = [
            ("", "read_text_file", read.clone()),
            ("", "read_text_file", read.clone()),
            ("functions.read:2", "read_text_file", read.clone()),
            ("1", "read_text_file", read),
            ("1", "read_text_file", json!({"path": "./a.txt"})),
        ];
        let stage =
            Stage::new(api, &[("a.txt", "text")], vec![api.says("", &calls), api.says("ok", &[])]);
        stage.run(&["read"]).ends(0);
        let results = api.results(&stage.asked()[1]);
        let mut ids: Vec<&str> = results.iter().map(|it| &*it.0).collect();
        assert_eq!(ids[2..4], ["functions.read:2", "1"]);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 5, "{ids:?}");
        assert!(!ids.contains(&""));
    }
}

#[test]
fn other_servers_of_the_openai_kind_may_leave_out_what_they_do() {
    // No end mark, no usage, no index, the arguments as an object, all in one chunk.
    let call =
        json!({"id": "a", "function": {"name": "read_text_file", "arguments": {"path": "a.txt"}}});
    let stream = data(
        &json!({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}),
    );
    let api = Api::Openai;
    let stage =
        Stage::new(api, &[("a.txt", "text")], vec![Step::Stream(stream), api.says("ok", &[])]);
    let mut command = stage.bare(&["read", "--model", "m", "--base-url", &stage.base_url()]);
    let output = command.env("OPENAI_API_KEY", "not for this server").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(api.results(&stage.asked()[1])[0].1, "text");
    assert_eq!(stage.server.asked()[0].header("authorization"), None);
}

#[test]
fn machines_get_the_lines_of_the_transcript() {
    for api in BOTH {
        let call = ("a", "read_text_file", json!({"path": "a.txt"}));
        let stage = Stage::new(
            api,
            &[("a.txt", "text")],
            vec![api.says("I read.", &[call]), api.says("ok", &[])],
        );
        let played = stage.run(&["read", "--json"]).ends(0);
        assert_eq!(played.stderr(), "");
        assert_eq!(played.stdout(), std::fs::read_to_string(stage.transcript()).unwrap());
        let lines: Vec<Value> =
            played.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<&String> =
            lines.iter().flat_map(|line| line.as_object().unwrap().keys()).collect();
        assert_eq!(kinds, ["start", "user", "answer", "results", "answer", "end"]);
        assert_eq!(lines[0]["start"]["model"], "scripted");
        assert_eq!(lines[3]["results"]["calls"], 1);
        assert_eq!(lines[5]["end"]["reason"], "finished");
        assert_eq!(lines[5]["end"]["tally"]["tokens"]["input"], 2020);
    }
}

#[test]
fn the_system_prompt_can_be_ones_own_or_none() {
    for api in BOTH {
        let files = [("own", "Be brief."), ("none", "")];
        let stage = Stage::new(api, &files, vec![api.says("a", &[]), api.says("b", &[])]);
        stage.run(&["hello", "--system", "own", "--no-transcript"]).ends(0);
        stage.run(&["hello", "--system", "none", "--no-transcript"]).ends(0);
        let asked = stage.asked();
        assert!(asked[0].to_string().contains("Be brief."));
        assert!(asked[1].get("system").is_none() && !asked[1].to_string().contains("\"system\""));
        assert!(!stage.state.path().join("inorder/agent").exists());
    }
}
