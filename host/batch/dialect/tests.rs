//! Messages as the APIs publish them, in, and what has to be sent back, out.

use serde_json::{Value, json};

use super::{Dialect, Reply, read};
use crate::batch::{
    Batch, Call, CallError, Change, Committed, ErrorKind, Json, Outcome, Report, Usage,
};

fn request(message: &Value) -> (Batch, Reply) {
    read(message.to_string().as_bytes(), None).unwrap()
}

/// Ids and tools of the batch, and its arguments.
fn calls(batch: &Batch) -> Value {
    let call = |call: &Call| {
        let refused = call.refused.as_ref().map(|error| error.kind.as_str());
        json!([call.id, call.tool, call.args, refused])
    };
    batch.calls.iter().map(call).collect()
}

/// A report of these results, `Err` with a message.
fn report(results: &[Result<Value, &str>]) -> Report {
    let outcome = |(place, result): (usize, &Result<Value, &str>)| Outcome {
        id: format!("ours-{place}"),
        tool: String::new(),
        result: result
            .clone()
            .map(Json::from)
            .map_err(|message| CallError::new(ErrorKind::Denied, message)),
        usage: Usage::default(),
        changes: vec![],
        bytes: None,
        stdout: String::new(),
        stderr: String::new(),
        _held: None,
    };
    Report { results: results.iter().enumerate().map(outcome).collect(), ..Report::default() }
}

fn two_results() -> Report {
    report(&[Ok(json!({"a": 1})), Err("no")])
}

#[test]
fn anthropic_blocks_are_answered_by_one_message_of_results() {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "any", "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "..", "signature": "x"},
            {"type": "text", "text": "I will look."},
            {"type": "tool_use", "id": "toolu_a", "name": "look", "input": {"path": "."}},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "tool_use", "id": "toolu_b", "name": "read", "input": {"path": {"$from": 1, "at": "/a"}}, "new": 1},
        ],
        "usage": {"input_tokens": 1},
    });
    let (batch, reply) = request(&message);
    assert_eq!(reply.dialect(), Dialect::Anthropic);
    let expected = json!([
        ["toolu_a", "look", {"path": "."}, null],
        ["toolu_b", "read", {"path": {"$from": 1, "at": "/a"}}, null],
    ]);
    assert_eq!(calls(&batch), expected);
    assert_eq!(
        reply.message(&two_results()),
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_a", "content": "{\"a\":1}"},
            {"type": "tool_result", "tool_use_id": "toolu_b", "content": "no", "is_error": true},
        ]})
    );
    // The message alone, and its content alone, are the same batch.
    let alone = json!({"role": "assistant", "content": message["content"]});
    assert_eq!(calls(&request(&alone).0), expected);
    assert_eq!(calls(&request(&message["content"]).0), expected);
}

#[test]
fn fields_of_another_format_that_hold_nothing_do_not_hide_the_calls() {
    let block = json!({"type": "tool_use", "id": "a", "name": "t", "input": {}});
    for none in [Value::Null, json!([])] {
        let message = json!({"role": "assistant", "content": [block], "tool_calls": none});
        let (batch, reply) = request(&message);
        assert_eq!((batch.calls.len(), reply.dialect()), (1, Dialect::Anthropic), "{message}");
        let text = json!([{"type": "text", "text": "done"}]);
        for content in [text, json!("done"), Value::Null] {
            let message = json!({"role": "assistant", "content": content, "tool_calls": none});
            let (batch, reply) = request(&message);
            assert_eq!((batch.calls.len(), reply.dialect()), (0, Dialect::Chat), "{message}");
        }
        assert_eq!(request(&json!({"tool_calls": none})).1.dialect(), Dialect::Chat);
    }
}

#[test]
fn calls_of_the_apis_own_tools_are_named_as_unanswered() {
    let message = json!({"object": "response", "output": [
        {"type": "shell_call", "call_id": "s"},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"},
        {"type": "computer_call", "call_id": "c"},
        {"type": "web_search_call", "id": "w"},
    ]});
    let (batch, reply) = request(&message);
    assert_eq!(batch.calls.len(), 1);
    assert_eq!(reply.unanswered(), ["computer_call", "shell_call"]);
    assert!(request(&json!([message["output"][1]])).1.unanswered().is_empty());
}

#[test]
fn chat_calls_are_answered_by_a_message_each() {
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let message = json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [
        call("call_1", "look", r#"{"path": "."}"#),
        call("call_2", "read", ""),
    ]});
    let (batch, reply) = request(&message);
    assert_eq!(reply.dialect(), Dialect::Chat);
    let expected = json!([["call_1", "look", {"path": "."}, null], ["call_2", "read", {}, null]]);
    assert_eq!(calls(&batch), expected);
    assert_eq!(
        reply.message(&report(&[Ok(json!("text\nas it is")), Err("no")])),
        json!([
            {"role": "tool", "tool_call_id": "call_1", "content": "text\nas it is"},
            {"role": "tool", "tool_call_id": "call_2", "content": "error: no"},
        ])
    );
    let response = json!({"object": "chat.completion", "choices": [
        {"index": 0, "finish_reason": "tool_calls", "message": message},
    ]});
    assert_eq!(calls(&request(&response).0), expected);
    assert_eq!(calls(&request(&message["tool_calls"]).0), expected);
}

#[test]
fn responses_items_are_answered_by_an_item_each() {
    let message = json!({"object": "response", "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{\"n\": 2}", "status": "completed"},
        {"type": "message", "role": "assistant", "content": []},
        {"type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "read", "arguments": "{}"},
    ]});
    let (batch, reply) = request(&message);
    assert_eq!(reply.dialect(), Dialect::Responses);
    let expected = json!([["call_1", "look", {"n": 2}, null], ["call_2", "read", {}, null]]);
    assert_eq!(calls(&batch), expected);
    assert_eq!(
        reply.message(&two_results()),
        json!([
            {"type": "function_call_output", "call_id": "call_1", "output": "{\"a\":1}"},
            {"type": "function_call_output", "call_id": "call_2", "output": "error: no"},
        ])
    );
    assert_eq!(calls(&request(&message["output"]).0), expected);
}

#[test]
fn gemini_parts_are_answered_by_place_where_they_have_no_ids() {
    let message = json!({"candidates": [{"finishReason": "STOP", "content": {"role": "model", "parts": [
        {"text": "I will look."},
        {"functionCall": {"name": "look", "args": {"path": "."}}, "thoughtSignature": "x"},
        {"functionCall": {"name": "look"}},
        {"functionCall": {"id": "c3", "name": "read", "args": {}}},
    ]}}]});
    let (batch, reply) = request(&message);
    assert_eq!(reply.dialect(), Dialect::Gemini);
    let expected = json!([[null, "look", {"path": "."}, null], [null, "look", {}, null], ["c3", "read", {}, null]]);
    assert_eq!(calls(&batch), expected);
    assert_eq!(
        reply.message(&report(&[Ok(json!([1])), Err("no"), Ok(Value::Null)])),
        json!({"role": "user", "parts": [
            {"functionResponse": {"name": "look", "response": {"output": [1]}}},
            {"functionResponse": {"name": "look", "response": {"error": "no"}}},
            {"functionResponse": {"name": "read", "response": {"output": "done"}, "id": "c3"}},
        ]})
    );
    assert_eq!(calls(&request(&message["candidates"][0]["content"]).0), expected);
    assert_eq!(calls(&request(&message["candidates"][0]["content"]["parts"]).0), expected);
}

#[test]
fn gemini_calls_are_known_by_both_spellings() {
    let part = json!({"function_call": {"name": "look", "args": {}}});
    let response = json!({"candidates": [{"content": {"parts": [part]}}]});
    for message in [part.clone(), json!([part]), json!({"parts": [part]}), response] {
        let (batch, reply) = request(&message);
        assert_eq!((batch.calls.len(), reply.dialect()), (1, Dialect::Gemini), "{message}");
    }
}

#[test]
fn arguments_that_are_no_object_fail_their_call_alone() {
    let given = ["{\"a\": ", "[1]", "3", "null", "{\"a\": 1}", "  "];
    let items: Value = given
        .iter()
        .map(|text| json!({"type": "function", "function": {"name": "t", "arguments": text}}))
        .collect();
    let (batch, _) = request(&json!({"tool_calls": items}));
    let refused: Vec<bool> = batch.calls.iter().map(|call| call.refused.is_some()).collect();
    assert_eq!(refused, [true, true, true, false, false, false]);
    // Some servers give an object.
    let object = json!({"tool_calls": [{"function": {"name": "t", "arguments": {"a": 1}}}]});
    assert_eq!(calls(&request(&object).0), json!([[null, "t", {"a": 1}, null]]));
}

#[test]
fn ids_come_back_as_they_were_even_where_they_name_no_call() {
    let ids = [json!("x"), json!("x"), json!(""), json!("2"), json!(7), Value::Null, json!("ok")];
    let block = |id: &Value| json!({"type": "tool_use", "id": id, "name": "t", "input": {}});
    let blocks: Vec<Value> = ids.iter().map(block).collect();
    let (batch, reply) = request(&json!({"role": "assistant", "content": blocks}));
    // Only what names one call alone names it; `7` is a place, of another call if not of this one.
    let kept: Vec<Option<&str>> = batch.calls.iter().map(|call| call.id.as_deref()).collect();
    assert_eq!(kept, [None, None, None, None, None, None, Some("ok")]);
    let answer = reply.message(&report(&vec![Ok(Value::Null); 7]));
    let answered: Vec<&Value> =
        answer["content"].as_array().unwrap().iter().map(|block| &block["tool_use_id"]).collect();
    assert_eq!(answered, ["x", "x", "", "2", "7", "ours-5", "ok"]);
}

#[test]
fn messages_without_calls_are_batches_without_calls() {
    for message in [
        json!({"role": "assistant", "content": "done"}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "done"}]}),
        json!({"choices": [{"message": {"role": "assistant", "content": "done"}}]}),
        json!({"object": "response", "output": [{"type": "message", "content": []}]}),
        json!({"candidates": [{"content": {"parts": [{"text": "done"}]}}]}),
        json!({"candidates": []}),
        json!({"calls": []}),
    ] {
        assert!(request(&message).0.calls.is_empty(), "{message}");
    }
}

#[test]
fn what_was_not_committed_is_no_result() {
    let message = json!([{"type": "tool_use", "id": "a", "name": "write", "input": {}},
        {"type": "tool_use", "id": "b", "name": "read", "input": {}}]);
    let (_, reply) = request(&message);
    let mut report = report(&[Ok(Value::Null), Ok(json!("x"))]);
    report.results[0].changes = vec![Change::Created("f".to_owned())];
    report.committed = Some(Committed::Yes);
    assert_eq!(reply.message(&report)["content"][0]["content"], "created f");
    report.committed = Some(Committed::No { because: "the call \"c\" failed".to_owned() });
    let answer = reply.message(&report);
    assert_eq!(answer["content"][0]["is_error"], true);
    assert_eq!(answer["content"][1]["content"], "x");
    assert_eq!(answer["content"][1].get("is_error"), None);
}

#[test]
fn a_batch_that_was_refused_tells_each_call() {
    let message = json!([{"functionCall": {"name": "a"}}, {"functionCall": {"name": "b"}}]);
    let answer = request(&message).1.refused("the calls wait for each other");
    let said = "nothing was run: the calls wait for each other";
    let expected = json!([
        {"functionResponse": {"name": "a", "response": {"error": said}}},
        {"functionResponse": {"name": "b", "response": {"error": said}}},
    ]);
    assert_eq!(answer["parts"], expected);
}

const PNG: &str = "iVBORw0KGgo=";
const PDF: &str = "JVBERi0xLjc=";

fn media(mime_type: &str, data: &str) -> Report {
    report(&[Ok(json!({"data": data, "mime_type": mime_type}))])
}

#[test]
fn a_picture_is_handed_over_as_one_where_the_api_takes_it() {
    let picture = media("image/png", PNG);
    let (_, anthropic) = request(&json!([{"type": "tool_use", "id": "a", "name": "look"}]));
    let source = json!({"type": "base64", "media_type": "image/png", "data": PNG});
    assert_eq!(
        anthropic.message(&picture)["content"][0]["content"],
        json!([{"type": "image", "source": source}])
    );
    let (_, responses) =
        request(&json!([{"type": "function_call", "call_id": "a", "name": "look"}]));
    assert_eq!(
        responses.message(&picture)[0]["output"],
        json!([{"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}])
    );
    let (_, gemini) = request(&json!([{"functionCall": {"name": "look", "args": {}}}]));
    let answer = &gemini.message(&picture)["parts"][0]["functionResponse"];
    let blob = json!({"mimeType": "image/png", "data": PNG});
    assert_eq!(answer["parts"], json!([{ "inlineData": blob }]));
    // Tools give text alone in this API.
    let call =
        json!({"id": "a", "type": "function", "function": {"name": "look", "arguments": ""}});
    let (_, chat) = request(&json!([call]));
    assert_eq!(
        chat.message(&picture)[0]["content"],
        json!(r#"{"data":"iVBORw0KGgo=","mime_type":"image/png"}"#)
    );
}

#[test]
fn a_document_is_one_for_anthropic_and_other_bytes_are_json() {
    let (_, reply) = request(&json!([{"type": "tool_use", "id": "a", "name": "look"}]));
    let content =
        |mime_type, data| reply.message(&media(mime_type, data))["content"][0]["content"].clone();
    assert_eq!(content("application/pdf", PDF)[0]["type"], "document");
    for (mime_type, data) in
        [("application/zip", PNG), ("application/pdf", PNG), ("image/png", PDF)]
    {
        let json = json!({"data": data, "mime_type": mime_type});
        assert_eq!(content(mime_type, data), json.to_string());
    }
}

#[test]
fn what_an_api_does_not_take_or_is_only_called_a_picture_is_handed_over_as_json() {
    let (_, responses) =
        request(&json!([{"type": "function_call", "call_id": "a", "name": "look"}]));
    let output = &responses.message(&media("image/png", PDF))[0]["output"];
    assert_eq!(*output, json!({"data": PDF, "mime_type": "image/png"}).to_string());
    let (_, gemini) = request(&json!([{"functionCall": {"name": "look", "args": {}}}]));
    let answer = |mime_type, data| {
        gemini.message(&media(mime_type, data))["parts"][0]["functionResponse"].clone()
    };
    assert_eq!(answer("application/pdf", PDF)["parts"][0]["inlineData"]["data"], PDF);
    for (mime_type, data) in [
        ("application/octet-stream", PNG),
        ("image/svg+xml", PNG),
        ("image/gif", "R0lGODlh"),
        ("image/png", PDF),
    ] {
        let answer = answer(mime_type, data);
        assert_eq!(answer.get("parts"), None, "{mime_type}");
        let json = json!({"data": data, "mime_type": mime_type});
        assert_eq!(answer["response"]["output"], json);
    }
}

#[test]
fn an_error_says_something_in_every_format() {
    for message in [
        json!([{"type": "tool_use", "id": "a", "name": "t"}]),
        json!([{"id": "a", "function": {"name": "t"}}]),
        json!([{"type": "function_call", "call_id": "a", "name": "t"}]),
        json!([{"functionCall": {"name": "t"}}]),
    ] {
        for nothing in ["", " \n"] {
            let answer = request(&message).1.message(&report(&[Err(nothing)])).to_string();
            assert!(answer.contains("it failed, and does not say why"), "{answer}");
        }
    }
}

#[test]
fn text_for_a_custom_tool_is_its_input_and_is_answered_as_such() {
    let items = json!({"output": [
        {"type": "custom_tool_call", "call_id": "a", "name": "patch", "input": "*** Begin"},
        {"type": "function_call", "call_id": "b", "name": "look", "arguments": "{}"},
    ]});
    let (batch, reply) = request(&items);
    let expected = json!([["a", "patch", {"input": "*** Begin"}, null], ["b", "look", {}, null]]);
    assert_eq!(calls(&batch), expected);
    let answer = reply.message(&two_results());
    assert_eq!(answer[0]["type"], "custom_tool_call_output");
    assert_eq!(answer[1]["type"], "function_call_output");
}
