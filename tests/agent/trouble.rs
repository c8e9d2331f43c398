//! Servers that break off, are busy, say too much or the wrong thing.

use serde_json::json;

use super::script::{BOTH, Step};
use super::stage::{KEY, Stage, edit};

#[test]
fn an_answer_that_breaks_off_is_asked_for_again_and_nothing_of_it_was_run() {
    for api in BOTH {
        let calls = || [("a", "edit_file", edit("a.txt", "x", "xx"))];
        let error = Step::Stream(api.beginning("I edit", &[]) + &api.error("overloaded_error"));
        let steps = vec![
            api.breaks_off("I edit.", &calls()),
            error,
            api.says("I edit.", &calls()),
            api.says("Done.", &[]),
        ];
        let stage = Stage::new(api, &[("a.txt", "x")], steps);
        let played = stage.run(&["edit", "--allow-write", "**"]).ends(0);
        assert_eq!(stage.file("a.txt"), "xx");
        let asked = stage.asked();
        assert_eq!(asked.len(), 4);
        assert!(asked[0] == asked[1] && asked[1] == asked[2]);
        let told = played.stderr();
        assert!(told.contains("asking again in 1.00 s (try 2 of 5)"), "{told}");
        assert!(told.contains("in the middle"), "{told}");
        assert!(told.contains("2 turns; 1 call in"), "{told}");
        assert!(played.stdout().ends_with("I edit.\nDone.\n"), "{}", played.stdout());
    }
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    for api in BOTH {
        let busy = json!({"error": {"type": "rate_limit_error", "message": "slowly"}});
        let steps = vec![
            Step::refusal("429 Too Many Requests", "retry-after: 0\r\n", &busy),
            Step::refusal("529 ", "retry-after-ms: 30\r\n", &busy),
            api.says("hi", &[]),
        ];
        let stage = Stage::new(api, &[], steps);
        let played = stage.run(&["hello"]).ends(0);
        let told = played.stderr();
        assert!(told.contains("429 Too Many Requests: rate_limit_error: slowly"), "{told}");
        assert!(told.contains("asking again in 30 ms (try 3 of 5)"), "{told}");
        assert_eq!(stage.asked().len(), 3);
    }
}

#[test]
fn a_server_that_stays_busy_is_given_up_and_what_was_done_is_kept() {
    for api in BOTH {
        let busy = json!({"error": {"message": "slowly"}});
        let step = || Step::refusal("503 Service Unavailable", "retry-after: 0\r\n", &busy);
        let call = ("a", "list_directory", json!({"path": "."}));
        let steps = vec![api.says("", &[call]), step(), step(), step(), step(), step()];
        let stage = Stage::new(api, &[], steps);
        let played = stage.run(&["hello"]).ends(3);
        assert!(played.stderr().contains("asked 5 times"), "{}", played.stderr());
        assert!(played.stderr().contains("1 turn; 1 call in"), "{}", played.stderr());
        assert_eq!(stage.asked().len(), 6);
        stage.then(vec![api.says("at last", &[])]);
        let transcript = stage.transcript();
        let played = stage.run(&["--resume", transcript.to_str().unwrap()]).ends(0);
        assert_eq!(played.stdout(), "at last\n");

        let long = Step::refusal("429 Too Many Requests", "retry-after: 3600\r\n", &busy);
        let stage = Stage::new(api, &[], vec![long]);
        let played = stage.run(&["hello"]).ends(3);
        assert!(played.stderr().contains("3600.00 s"), "{}", played.stderr());
    }
}

#[test]
fn what_a_server_says_of_an_error_is_shown_without_the_key() {
    for api in BOTH {
        let cases = [
            (
                "401 Unauthorized",
                json!({"error": {"type": "authentication_error", "message": format!("bad key {KEY}")}}),
                ["authentication_error: bad key [EXAMPLE_KEY]", "the key is that of EXAMPLE_KEY"],
            ),
            (
                "404 Not Found",
                json!({"type": "error", "error": {"type": "not_found_error", "message": "model: scripted"}}),
                ["404 Not Found: not_found_error: model: scripted", "is that model there"],
            ),
            (
                "429 Too Many Requests",
                json!({"error": {"code": "insufficient_quota", "message": "pay"}}),
                ["insufficient_quota: pay", "429"],
            ),
            ("400 Bad Request", json!("odd"), ["400 Bad Request: \"odd\"", ""]),
        ];
        for (status, body, parts) in cases {
            let stage = Stage::new(api, &[], vec![Step::refusal(status, "", &body)]);
            let played = stage.run(&["hello"]).ends(2);
            for part in parts {
                assert!(played.stderr().contains(part), "{part} is not in {}", played.stderr());
            }
            assert_eq!(stage.asked().len(), 1);
        }
    }
}

#[test]
fn a_key_that_a_server_says_back_is_neither_shown_nor_kept_nor_sent_to_it_again() {
    for api in BOTH {
        let (text, tool) = (format!("Your key is {KEY}, sk-very or not."), format!("tool_{KEY}"));
        let calls = [
            ("a", "read_text_file", json!({"path": KEY})),
            ("b", &*tool, json!({KEY: [KEY]})),
            (KEY, "read_text_file", json!({"path": "a.txt"})),
        ];
        let steps = vec![
            api.says(&text, &calls),
            Step::Stream(api.stream(&text, &[], Some(KEY))),
            Step::refusal("200 OK\r\ncontent-type: sk-very-secret-0123456789", "", &json!(KEY)),
        ];
        let stage = Stage::new(api, &[("a.txt", "here")], steps);
        let played = stage.run(&["read"]).ends(1);
        let said = "Your key is [EXAMPLE_KEY], sk-very or not.\n";
        assert_eq!(played.stdout(), said.repeat(2));
        assert!(
            played.stderr().contains("the model stopped: [EXAMPLE_KEY]"),
            "{}",
            played.stderr()
        );
        assert_eq!(api.results(&stage.asked()[1])[2].1, "here");
        let played = stage.run(&["go on", "--resume"]).ends(2);
        assert!(
            played.stderr().contains("answered with [EXAMPLE_KEY] instead"),
            "{}",
            played.stderr()
        );
        assert!(!std::fs::read_to_string(stage.transcript()).unwrap().contains(KEY));
        assert!(stage.server.asked().iter().all(|asked| !asked.body.contains(KEY)));
    }
}

#[test]
fn an_error_that_will_not_pass_is_not_asked_again() {
    for api in BOTH {
        let error = Step::Stream(api.error("invalid_request_error"));
        let stage = Stage::new(api, &[], vec![error]);
        let played = stage.run(&["hello"]).ends(2);
        assert!(played.stderr().contains("invalid_request_error"), "{}", played.stderr());
        assert_eq!(stage.asked().len(), 1);
    }
}

#[test]
fn what_is_no_stream_of_events_is_an_error() {
    for api in BOTH {
        let whole = json!({"content": [{"type": "text", "text": "hi"}]});
        let steps = vec![
            Step::refusal("200 OK", "", &whole),
            Step::Stream("data: {half\n\n".to_owned()),
            Step::Stream("what is this\n\n".to_owned()),
        ];
        let stage = Stage::new(api, &[], steps);
        for part in ["application/json instead of a stream", "not JSON", "no stream of events"] {
            let played = Stage::run(&stage, &["hello", "--no-transcript"]);
            assert!(played.stderr().contains(part), "{part} is not in {}", played.stderr());
            assert!([Some(2), Some(3)].contains(&played.code()));
        }
    }
}

#[test]
fn an_answer_without_an_end_is_bounded() {
    for api in BOTH {
        let stage = Stage::new(api, &[], vec![Step::Flood(64 << 20)]);
        let played = stage.run(&["hello"]).ends(3);
        assert!(played.stderr().contains("more than 32.0 MiB"), "{}", played.stderr());
        assert_eq!(stage.asked().len(), 1);
    }
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    for api in BOTH {
        let elsewhere = Stage::new(api, &[], vec![api.says("hi", &[])]);
        let to = format!("location: {}/v1\r\n", elsewhere.base_url());
        let stage =
            Stage::new(api, &[], vec![Step::refusal("307 Temporary Redirect", &to, &json!({}))]);
        let played = stage.run(&["hello"]).ends(2);
        assert!(played.stderr().contains("it redirects to"), "{}", played.stderr());
        assert!(elsewhere.server.asked().is_empty());
    }
}
