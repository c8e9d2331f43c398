//! What is no message, or not a whole one: nothing of it is run.

use serde_json::{Value, json};

use super::{Dialect, read};

fn calls(message: &Value) -> usize {
    read(message.to_string().as_bytes(), None).unwrap().0.calls.len()
}

fn refused(message: &Value) -> String {
    read(message.to_string().as_bytes(), None).unwrap_err().to_string()
}

#[test]
fn what_is_no_message_is_refused_with_its_place() {
    let said = |text: &str, dialect| match read(text.as_bytes(), dialect) {
        Ok((batch, _)) => panic!("{batch:?}"),
        Err(error) => error.to_string(),
    };
    for (text, dialect, words) in [
        ("{", None, "not JSON"),
        ("[]", None, "a batch is"),
        (r#"{"foo": 1}"#, None, "unknown field `foo`"),
        (r#"{"calls": [{"tool": 1}]}"#, None, "`calls[0].tool`"),
        (r#"{"content": 3}"#, Some(Dialect::Anthropic), "`content` of the anthropic message"),
        (r#"{"content": [{"type": "tool_use"}]}"#, None, "`content[0].name`"),
        (r#"{"tool_calls": {}}"#, None, "`tool_calls`"),
        (r#"{"tool_calls": [{"id": "a"}]}"#, None, "`tool_calls[0]`"),
        (r#"{"output": "x"}"#, None, "`output`"),
        (r#"{"parts": [{"functionCall": {}}]}"#, None, "`parts[0].functionCall.name`"),
        (r#"{"calls": []}"#, Some(Dialect::Gemini), "`parts`"),
        (
            r#"{"role": "assistant", "content": [{"type": "tool_use", "name": "t"}]}"#,
            Some(Dialect::Chat),
            "looks like one of anthropic",
        ),
        (
            r#"{"role": "assistant", "content": null, "tool_calls": [{"id": "a", "function": {"name": "t"}}]}"#,
            Some(Dialect::Anthropic),
            "a list of blocks, and it looks like one of openai-chat",
        ),
        (
            r#"{"role": "assistant", "function_call": {"name": "t"}}"#,
            None,
            "`function_call` of the openai-chat message",
        ),
        (
            r#"{"choices": [{"finish_reason": "function_call", "message": {"role": "assistant", "function_call": {"name": "t"}}}]}"#,
            None,
            "`function_call` of the openai-chat message",
        ),
        (r#"{"choices": [{"message": {"tool_calls": {}}}]}"#, None, "`tool_calls`"),
        (r#"{"choices": {"message": {}}}"#, None, "`choices`"),
        (r#"{"candidates": {"content": {}}}"#, None, "`candidates`"),
        (r#"{"role": "assistant", "content": []}"#, Some(Dialect::Native), "unknown field"),
    ] {
        let said = said(text, dialect);
        assert!(said.contains(words), "{text}: {said}");
    }
    let deep = format!("{{\"calls\": {}1{}}}", "[".repeat(200), "]".repeat(200));
    assert!(said(&deep, None).contains("more than 127 deep"), "{}", said(&deep, None));
    let choice = json!({"message": {"tool_calls": [{"function": {"name": "t"}}]}});
    let two = json!({"choices": [choice, choice]}).to_string();
    assert!(said(&two, None).contains("several have calls"));
}

#[test]
fn nothing_of_a_response_that_is_not_whole_is_run() {
    let call = json!({"type": "tool_use", "id": "a", "name": "write", "input": {"text": "half a"}});
    let function = json!({"id": "a", "function": {"name": "write", "arguments": "{}"}});
    let item = json!({"type": "function_call", "call_id": "a", "name": "t", "arguments": "{}"});
    let with = |status: &str| {
        let mut item = item.clone();
        item["status"] = json!(status);
        item
    };
    let part = json!({"functionCall": {"name": "t", "args": {}}});
    let snake = json!({"function_call": {"name": "t", "args": {}}});
    let anthropic = |reason: &str| json!({"stop_reason": reason, "content": [call]});
    let chat = |reason: &str| json!({"choices": [{"finish_reason": reason, "message": {"tool_calls": [function]}}]});
    let responses =
        |status: &str| json!({"object": "response", "status": status, "output": [item]});
    let gemini = |reason: Value| json!({"candidates": [{"finishReason": reason, "content": {"parts": [part]}}]});
    for (cut, at, reason) in [
        (anthropic("max_tokens"), "stop_reason", "max_tokens"),
        (anthropic("model_context_window_exceeded"), "stop_reason", "window"),
        (anthropic("refusal"), "stop_reason", "refusal"),
        (anthropic("tired"), "stop_reason", "tired"),
        (chat("length"), "finish_reason", "length"),
        (chat("content_filter"), "finish_reason", "content_filter"),
        (chat("insufficient_system_resource"), "finish_reason", "insufficient_system_resource"),
        (responses("incomplete"), "status", "incomplete"),
        (responses("failed"), "status", "failed"),
        (responses("cancelled"), "status", "cancelled"),
        (responses("in_progress"), "status", "in_progress"),
        (
            json!({"object": "response", "output": [item, with("incomplete")]}),
            "status",
            "incomplete",
        ),
        (json!([with("in_progress"), with("completed")]), "status", "in_progress"),
        (gemini(json!("MAX_TOKENS")), "finishReason", "MAX_TOKENS"),
        (gemini(json!("SAFETY")), "finishReason", "SAFETY"),
        (gemini(json!("MALFORMED_FUNCTION_CALL")), "finishReason", "MALFORMED_FUNCTION_CALL"),
        (gemini(json!(2)), "finishReason", "2"),
        (
            json!({"candidates": [{"finish_reason": "MAX_TOKENS", "content": {"parts": [snake]}}]}),
            "finishReason",
            "MAX_TOKENS",
        ),
    ] {
        let said = refused(&cut);
        assert!(said.contains(&format!("`{at}` of the")), "{cut}: {said}");
        assert!(said.contains(&format!("not whole ({reason})")) || reason == "window", "{said}");
    }
    for whole in [
        anthropic("tool_use"),
        anthropic("end_turn"),
        chat("tool_calls"),
        chat("stop"),
        chat("eos"),
        responses("completed"),
        gemini(json!("STOP")),
        gemini(json!(1)),
        gemini(Value::Null),
    ] {
        assert_eq!(calls(&whole), 1, "{whole}");
    }
    let text = json!({"stop_reason": "max_tokens", "content": [{"type": "text", "text": "half"}]});
    assert!(calls(&text) == 0, "there is nothing to run in it");
}

#[test]
fn nothing_is_run_of_a_model_that_refuses_and_of_a_call_that_goes_on() {
    let function = json!({"id": "a", "function": {"name": "write", "arguments": "{}"}});
    let refusal = json!({"role": "assistant", "refusal": "no", "tool_calls": [function]});
    assert!(refused(&refusal).contains("`refusal` of the openai-chat message"));
    let whole = json!({"choices": [{"finish_reason": "stop", "message": refusal}]});
    assert!(refused(&whole).contains("the model refuses"));
    let part = json!({"functionCall": {"name": "t", "args": {}, "willContinue": true}});
    assert!(refused(&part).contains("a part of a call that is streamed"));
}

#[test]
fn what_is_no_response_is_told_for_what_it_is() {
    let refused = |text: &str| read(text.as_bytes(), None).unwrap_err().to_string();
    let error =
        r#"{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}"#;
    assert!(refused(error).ends_with("an API's error, not a response of a model: Overloaded"));
    let request = r#"{"model": "any", "messages": [{"role": "user", "content": "hi"}]}"#;
    assert!(refused(request).ends_with("a request to a model, not its response"));
    let stream = "event: message_start\ndata: {}\n\n";
    assert!(refused(stream).contains("it is a stream of events"));
    let chunks = r#"[{"candidates": []}, {"candidates": []}]"#;
    assert!(refused(chunks).contains("the parts of a stream"));
    let chunk =
        r#"{"object": "chat.completion.chunk", "choices": [{"delta": {"tool_calls": []}}]}"#;
    assert!(refused(chunk).contains("a part of a stream"));
}
