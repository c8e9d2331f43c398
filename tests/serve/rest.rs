//! `POST /v1/batch` and the document that describes it: answers are held against that document.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{calc, folder};
use super::http_client::{Answer, Server, read};
use crate::support::Schema;

/// The OpenAPI document of a server.
struct Document(Value);

impl Document {
    fn of(server: &Server) -> Document {
        let answer = server.get("/openapi.json", &[]);
        assert_eq!(answer.status(), "200");
        Document(answer.json())
    }

    /// A schema of the document, in which references are those of the document.
    fn validator(&self, schema: &Value) -> Schema {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        Schema::new(&schema)
    }

    /// Holds an answer of `/v1/batch` against what is said of its status.
    fn fits(&self, answer: &Answer) {
        let response = &self.0["paths"]["/v1/batch"]["post"]["responses"][answer.status()];
        let response = match response["$ref"].as_str() {
            Some(to) => self.0.pointer(to.trim_start_matches('#')).unwrap(),
            None => response,
        };
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{} is not described", answer.head);
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        let (valid, body) = (self.validator(schema), answer.json());
        assert_eq!(valid.misfit(&body), None, "{body}");
    }
}

#[test]
fn a_batch_is_answered_by_its_report() {
    let root = folder(&[("a.txt", "hello"), ("b.txt", "1")]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--allow-write", "**"];
    let server = Server::start(root.path(), &args);
    let document = Document::of(&server);
    let batch = json!({"calls": [
        {"id": "find", "tool": "search_files", "args": {"path": ".", "pattern": "a*"}},
        {"id": "read", "tool": "read_text_file", "args": {"path": {"$from": "find", "at": "/0/path"}}},
        {"tool": "edit_file", "args": {"path": "b.txt", "edits": [{"old_text": "1", "new_text": "2"}]}},
        {"tool": "move_file", "args": {"source": "b.txt", "destination": "c.txt"}},
        {"id": "odd", "tool": "half", "args": {"number": 3}},
        {"tool": "add", "args": {"a": {"$from": "odd"}, "b": 1}},
        {"tool": "no_such_tool"},
        {"tool": "trap"},
    ]});
    let answer = server.batch("", &batch);
    assert_eq!(answer.status(), "200", "{}", answer.body);
    document.fits(&answer);
    let report = answer.json();
    let of = |at: usize| &report["results"][at];
    assert_eq!(of(1)["value"], "hello", "{report}");
    assert_eq!(of(3)["changes"][0]["renamed"], json!({"from": "b.txt", "to": "c.txt"}), "{report}");
    let kinds =
        [4, 5, 6, 7].map(|at| of(at)["error"]["kind"].as_str().unwrap_or_default().to_owned());
    assert_eq!(kinds, ["tool", "skipped", "unknown_tool", "trap"], "{report}");
    let report = &document.0["components"]["schemas"]["Report"];
    assert!(document.validator(report).is_valid(&answer.json()));
}

#[test]
fn a_batch_is_run_dry_or_whole_if_that_is_asked() {
    let root = folder(&[("a.txt", "old\n")]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--allow-write", "**"];
    let server = Server::start(root.path(), &args);
    let document = Document::of(&server);
    let write = json!({"tool": "write_file", "args": {"path": "a.txt", "content": "new\n"}});
    let (good, bad) = (json!({"calls": [write]}), json!({"calls": [write, {"tool": "trap"}]}));
    let text = || std::fs::read_to_string(root.path().join("a.txt")).unwrap();
    let dry = server.batch("?dry_run=true", &good);
    document.fits(&dry);
    assert!(dry.json()["diff"].as_str().unwrap().contains("+new"), "{}", dry.body);
    assert_eq!(text(), "old\n");
    let none = server.batch("?atomic=true", &bad);
    document.fits(&none);
    assert!(none.json()["committed"]["no"]["because"].is_string(), "{}", none.body);
    assert_eq!(text(), "old\n");
    let all = server.batch("?atomic", &good);
    document.fits(&all);
    assert_eq!((all.json()["committed"].clone(), text()), (json!("yes"), "new\n".to_owned()));
}

#[test]
fn a_models_message_is_answered_by_the_one_to_send_back() {
    let root = folder(&[("a.txt", "hello")]);
    let server = Server::start(root.path(), &[]);
    let document = Document::of(&server);
    let message = json!({"role": "assistant", "content": [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "read_text_file", "input": {"path": "a.txt"}},
    ]});
    for query in ["", "?format=anthropic", "?answer=message"] {
        let answer = server.batch(query, &message);
        document.fits(&answer);
        let block = &answer.json()["content"][0];
        assert_eq!(
            (&block["tool_use_id"], &block["type"]),
            (&json!("toolu_1"), &json!("tool_result"))
        );
    }
    let report = server.batch("?answer=report", &message);
    document.fits(&report);
    assert_eq!(report.json()["results"][0]["value"], "hello");
    let talk = json!({"role": "assistant", "content": [{"type": "text", "text": "Done."}]});
    let nothing = server.batch("", &talk);
    assert_eq!((nothing.status(), &*nothing.body), ("204", ""));
    assert_eq!(server.batch("?answer=report", &talk).json()["results"], json!([]));
    // One that cannot be ordered is the model's to mend.
    let reads = json!({"path": {"$from": 2}});
    let block = json!({"type": "tool_use", "id": "a", "name": "read_text_file", "input": reads});
    let refused = server.batch("", &json!({"role": "assistant", "content": [block]}));
    assert_eq!(refused.status(), "400");
    document.fits(&refused);
    assert_eq!(refused.json()["message"]["content"][0]["tool_use_id"], "a", "{}", refused.body);
}

#[test]
fn what_is_no_batch_is_refused_by_the_words_of_run() {
    let root = folder(&[]);
    let server = Server::start(root.path(), &[]);
    let document = Document::of(&server);
    let twice = r#"{"calls": [{"id": "a", "tool": "x"}, {"id": "a", "tool": "x"}]}"#;
    let json = ("Content-Type", "application/json");
    for (query, header, body, status, kind, says) in [
        ("", json, "{\"calls\": [", "400", "batch", "not JSON"),
        ("", json, "{\"calls\": 1}", "400", "batch", "wrong shape"),
        ("", json, "", "400", "batch", "not JSON"),
        ("", json, twice, "400", "batch", "\"a\""),
        ("?format=grok", json, twice, "400", "query", "anthropic"),
        ("?x=1", json, twice, "400", "query", "there are format"),
        ("", ("Content-Type", "text/plain"), twice, "415", "media_type", "application/json"),
        ("", ("Origin", "https://evil.example.org"), twice, "403", "forbidden", "--allow-origin"),
    ] {
        let answer = read(server.open(&format!("POST /v1/batch{query}"), &[header], body));
        assert_eq!(answer.status(), status, "{query} {body}");
        document.fits(&answer);
        let error = &answer.json()["error"];
        assert_eq!(error["kind"], kind, "{query} {body}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    let wrong = server.get("/v1/batch", &[]);
    assert_eq!((wrong.status(), wrong.header("Allow")), ("405", Some("POST")));
    // Not read to be refused.
    let mut large = TcpStream::connect(server.address).unwrap();
    large.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /v1/batch HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{{",
        server.address,
        1u64 << 40
    );
    large.write_all(head.as_bytes()).unwrap();
    let answer = read(large);
    assert_eq!(answer.status(), "413", "{}", answer.head);
    document.fits(&answer);
}

#[test]
fn a_batch_for_which_there_is_no_room_is_to_be_sent_again() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--jobs", "1", "--max-waiting", "1"];
    let server = Server::start(root.path(), &args);
    let document = Document::of(&server);
    let add = json!({"tool": "add", "args": {"a": 1, "b": 2}});
    let answer = server.batch("", &json!({"calls": [add, add, add]}));
    assert_eq!(answer.status(), "503", "{}", answer.body);
    document.fits(&answer);
    assert_eq!(
        (answer.header("Retry-After"), &answer.json()["error"]["kind"]),
        (Some("1"), &json!("busy"))
    );
    assert_eq!(server.batch("", &json!({"calls": [add]})).status(), "200");
}

#[test]
fn a_batch_whose_client_has_gone_is_cancelled() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--jobs", "1", "--timeout", "50s"];
    let server = Server::start(root.path(), &args);
    let spin = json!({"calls": [{"tool": "spin"}]}).to_string();
    let spinning = server.open("POST /v1/batch", &[], &spin);
    std::thread::sleep(Duration::from_millis(300));
    drop(spinning);
    // There is room for one call alone.
    let add =
        json!({"calls": [{"tool": "add", "args": {"a": 1, "b": 2}, "limits": {"timeout": "20s"}}]});
    let began = std::time::Instant::now();
    let answer = server.batch("", &add);
    assert_eq!(answer.json()["results"][0]["value"], 3, "{}", answer.body);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_thousand_clients_at_once_are_answered() {
    let root = folder(&[("a.txt", "hello")]);
    let server = Server::start(root.path(), &[]);
    let batch =
        json!({"calls": [{"tool": "read_text_file", "args": {"path": "a.txt"}}]}).to_string();
    let threads: Vec<_> = (0..10)
        .map(|_| {
            let (address, batch) = (server.address, batch.clone());
            std::thread::spawn(move || {
                let open = |_| {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
                    let head = format!(
                        "POST /v1/batch HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
                         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                        batch.len()
                    );
                    stream.write_all(head.as_bytes()).unwrap();
                    stream
                };
                // All are there before any of them says what it wants.
                let mut streams: Vec<TcpStream> = (0..100).map(open).collect();
                for stream in &mut streams {
                    stream.write_all(batch.as_bytes()).unwrap();
                }
                let answers = streams.into_iter().map(read);
                answers.filter(|it| it.json()["results"][0]["value"] == "hello").count()
            })
        })
        .collect();
    let answered: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(answered, 1000);
}

#[test]
fn the_document_describes_what_tools_there_are() {
    let root = folder(&[]);
    let plugin = calc();
    let server = Server::start(root.path(), &["--plugin", plugin.to_str().unwrap()]);
    let document = Document::of(&server);
    assert_eq!(document.0["openapi"], "3.1.0");
    assert!(document.0["security"].is_null());
    let batch = document.validator(&document.0["components"]["schemas"]["Batch"]);
    for (calls, fits) in [
        (json!([{"tool": "add", "args": {"a": 1, "b": 2}}]), true),
        (json!([{"tool": "nothing"}, {"tool": "add", "args": {"a": {"$from": 1}, "b": 2}}]), true),
        (json!([{"tool": "add", "args": {"a": "x", "b": 2}}]), false),
        (json!([{"tool": "none"}]), false),
    ] {
        assert_eq!(batch.is_valid(&json!({"calls": calls})), fits, "{calls}");
    }
}
