//! One call: a fresh store, the arguments in, the answer or the reason out, the store gone.
//!
//! Knows one call at a time. When it starts, and what its outcome means to others, is `schedule/`.

use serde_json::{Map, Value};
use wasmtime::Store;
use wasmtime::component::Val;

use crate::batch::{CallError, ErrorKind, describe};
use crate::plugin::{Answer, Tool, decode, encode};

use super::engine::Engine;
use super::linked::Sandbox;
use super::message::{guest_failed, result_too_large, timed_out};
use super::state::State;

/// How a call ended, and what it left outside its result.
pub struct Ended {
    pub result: Result<Value, CallError>,
    pub peak_memory: u64,
    pub stdout: String,
    pub stderr: String,
}

/// Runs one tool of `sandbox`. Dropping the future stops the guest at its next epoch tick.
///
/// `args` have been checked; ones that do not fit are a failed call all the same.
pub async fn run(
    engine: &Engine,
    sandbox: &Sandbox,
    tool: usize,
    args: &Map<String, Value>,
) -> Ended {
    let _ticking = engine.ticking(sandbox.flavor);
    let state = State::new(&sandbox.limits, &sandbox.env, sandbox.preopens.clone());
    let mut store = Store::new(sandbox.pre.engine(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);

    let tool = &sandbox.plugin.tools[tool];
    let limit = sandbox.limits.timeout;
    let result = match tokio::time::timeout(limit, invoke(&mut store, sandbox, tool, args)).await {
        Ok(result) => result,
        Err(_) => Err(timed_out(limit)),
    };
    let state = store.data();
    Ended {
        result: result.and_then(|value| fits(value, sandbox.limits.result)),
        peak_memory: state.limiter.peak(),
        stdout: state.stdout.text(),
        stderr: state.stderr.text(),
    }
}

async fn invoke(
    store: &mut Store<State>,
    sandbox: &Sandbox,
    tool: &Tool,
    args: &Map<String, Value>,
) -> Result<Value, CallError> {
    let params = decode(&tool.params, args).ok_or_else(|| {
        CallError::new(ErrorKind::Arguments, "the arguments do not fit the tool's parameters")
    })?;
    let mut results = match tool.answer {
        Answer::Nothing => vec![],
        Answer::Value(_) | Answer::Fallible { .. } => vec![Val::Bool(false)],
    };
    let called = async {
        let instance = sandbox.pre.instantiate_async(&mut *store).await?;
        let function = instance.get_func(&mut *store, tool.export).ok_or_else(|| {
            wasmtime::Error::msg(format!("{:?} is not exported", tool.name.function))
        })?;
        function.call_async(&mut *store, &params, &mut results).await
    };
    match called.await {
        Ok(()) => answer(&tool.answer, results.first()),
        Err(error) if exited_well(&error, &tool.answer) => Ok(Value::Null),
        Err(error) => Err(guest_failed(&error, store.data(), &sandbox.limits)),
    }
}

/// A command (`wasi:cli/run`) may end by `exit(0)`, which is its way to answer.
fn exited_well(error: &wasmtime::Error, answer: &Answer) -> bool {
    let exit = error.downcast_ref::<wasmtime_wasi::I32Exit>();
    let gives_nothing = matches!(answer, Answer::Nothing | Answer::Fallible { ok: None, .. });
    gives_nothing && exit.is_some_and(|exit| exit.0 == 0)
}

fn answer(answer: &Answer, result: Option<&Val>) -> Result<Value, CallError> {
    let json = |shape: &Option<_>, value: &Option<Box<Val>>| match (shape, value) {
        (None, None) => Some(Value::Null),
        (Some(shape), Some(value)) => encode(shape, value),
        _ => None,
    };
    let value = match (answer, result) {
        (Answer::Nothing, None) => Some(Value::Null),
        (Answer::Value(shape), Some(value)) => encode(shape, value),
        (Answer::Fallible { ok, .. }, Some(Val::Result(Ok(value)))) => json(ok, value),
        (Answer::Fallible { err, .. }, Some(Val::Result(Err(value)))) => match json(err, value) {
            Some(value) => return Err(tool_failed(value)),
            None => None,
        },
        _ => None,
    };
    let mismatch = || CallError::new(ErrorKind::Host, "the result is not of the tool's own type");
    value.ok_or_else(mismatch)
}

/// The tool's own error, with its value told in words.
fn tool_failed(value: Value) -> CallError {
    let message = match &value {
        Value::String(text) => text.clone(),
        Value::Null => "the tool failed, without saying why".to_owned(),
        Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
            Some((case, Value::String(text))) => format!("{case}: {text}"),
            _ => format!("the tool failed with {}", describe(&value)),
        },
        _ => format!("the tool failed with {}", describe(&value)),
    };
    CallError { value: Some(Box::new(value)), ..CallError::new(ErrorKind::Tool, message) }
}

/// `value` if its JSON text is within `limit` bytes.
fn fits(value: Value, limit: u64) -> Result<Value, CallError> {
    if crate::batch::longer_than(&value, limit) { Err(result_too_large(limit)) } else { Ok(value) }
}
