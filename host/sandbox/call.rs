//! One call: a fresh store, the arguments in, the answer or the reason out, the store gone.
//!
//! Knows one call at a time. When it starts, and what its outcome means to others, is `schedule/`.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wasmtime::component::TypedFunc;
use wasmtime::{Store, UpdateDeadline};

use crate::batch::{Binary, CallError, ErrorKind, Json, describe};
use crate::net::{CallNet, Patterns};
use crate::plugin::{Answer, Args, Crossing, Given, GivenValue, TooLong, Tool, Wire};
use crate::policy::Limits;

use super::engine::Engine;
use super::linked::Sandbox;
use super::message::{cancelled_call, guest_failed, result_too_large, timed_out};
use super::pauses::Time;
use super::state::{State, World};

/// How a call ended, and what it left outside its result.
pub struct Ended {
    pub result: Result<Json, CallError>,
    /// What it gave, if bytes were asked for and it gives bytes; the result is null then.
    pub bytes: Option<Bytes>,
    pub peak_memory: u64,
    pub stdout: String,
    pub stderr: String,
}

/// Why the host stopped a guest that computes. A busy runtime may see its timers and tasks late; a guest
/// sees its epoch ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Stopped {
    #[error("the time is up")]
    TimedOut,
    #[error("the batch was cancelled")]
    Cancelled,
}

/// When a call is to end.
#[derive(Clone)]
struct End {
    time: Time,
    cancel: CancellationToken,
    /// Whether nobody wants its result.
    given_up: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl End {
    /// # Errors
    /// It is now.
    fn look(&self) -> wasmtime::Result<()> {
        if self.cancel.is_cancelled() || (self.given_up)() {
            Err(Stopped::Cancelled.into())
        } else if self.time.left().is_zero() {
            Err(Stopped::TimedOut.into())
        } else {
            Ok(())
        }
    }
}

/// Runs one tool of `sandbox` on what there is of the world for it. A guest is stopped at the first epoch tick after its time is up or
/// `cancel` is; dropping the future stops it too.
///
/// `limits` are those of the plugin or lower. `values` are those of the tool's parameters; others are a failed call.
pub async fn run(
    engine: &Engine,
    sandbox: &Sandbox,
    limits: &Limits,
    tool: usize,
    (values, binary): (&[Wire], &Binary),
    world: World,
    cancel: &CancellationToken,
) -> Ended {
    let _ticking = engine.ticking(sandbox.flavor);
    let limit = limits.timeout;
    let time = Time::new(limit, world.pauses.clone());
    let given_up = world.given_up.clone();
    let end = End { time: time.clone(), cancel: cancel.clone(), given_up };
    let reading = end.clone();
    let crossing = Crossing::new(limits.result, move || reading.look());
    let in_files = end.clone();
    let watching = world.view.watch(Arc::new(move || in_files.look().is_err()));
    let over = world.net.as_ref().map(CallNet::over);
    let (alarms, ceiling) = (engine.alarms(), engine.ceiling());
    let state =
        State::new(limits, &sandbox.env, world, alarms, ceiling, cancel.clone(), time.clone());
    let mut store = Store::new(sandbox.pre.engine(), state);
    // Dropped before the store, however this ends.
    let _over = over;
    store.limiter(|state| &mut state.limiter);
    // Those of its own resources too. What is lent counts once more.
    let handles = usize::try_from(limits.handles).unwrap_or(usize::MAX);
    store.set_max_component_handles(handles.saturating_mul(2));
    store.set_hostcall_fuel(usize::try_from(limits.copies).unwrap_or(usize::MAX));
    store.set_epoch_deadline(1);
    let at_ticks = end.clone();
    store.epoch_deadline_callback(move |_| at_ticks.look().map(|()| UpdateDeadline::Yield(1)));

    let tool = &sandbox.plugin.tools[tool];
    let called = tokio::select! {
        biased;
        result = crossing.during(invoke(&mut store, sandbox, tool, values)) => result,
        () = time.is_up() => Err(Stopped::TimedOut.into()),
        () = cancel.cancelled() => Err(Stopped::Cancelled.into()),
    };
    // Nothing may have looked for a while; and what was broken off in files is nobody's to commit.
    let called = called.and_then(|given| end.look().map(|()| given));
    drop(watching);
    let state = store.data();
    let called = called.map(|given| answer(given, binary.result, limits.result, state.secrets()));
    let called = called.unwrap_or_else(|error| {
        Err(match error.downcast_ref() {
            Some(Stopped::TimedOut) => timed_out(limit),
            Some(Stopped::Cancelled) => cancelled_call(),
            None if error.is::<TooLong>() => result_too_large(limits.result),
            None => guest_failed(&error, state, limits),
        })
    });
    let (result, bytes) = match called {
        Ok(Answered::Bytes(bytes)) => (Ok(Value::Null.into()), Some(bytes)),
        Ok(Answered::Value(json)) => (Ok(json), None),
        Err(error) => (Err(error), None),
    };
    let (stdout, stderr) = (state.said(&state.stdout), state.said(&state.stderr));
    Ended { result, bytes, peak_memory: state.limiter.peak(), stdout, stderr }
}

async fn invoke(
    store: &mut Store<State>,
    sandbox: &Sandbox,
    tool: &Tool,
    values: &[Wire],
) -> wasmtime::Result<Given> {
    let called = async {
        let instance = sandbox.pre.instantiate_async(&mut *store).await?;
        let function = instance.get_func(&mut *store, tool.export).ok_or_else(|| {
            wasmtime::Error::msg(format!("{:?} is not exported", tool.name.function))
        })?;
        // SAFETY: `Args` and `Given` are values of whatever types the function has.
        #[expect(unsafe_code, reason = "these types are not known at compile time")]
        let function = unsafe { TypedFunc::<Args<'_>, Given>::new_unchecked(function) };
        function.call_async(&mut *store, Args(values)).await
    };
    match called.await {
        Err(error) if exited_well(&error, &tool.answer) => Ok(Given::nothing()),
        called => called,
    }
}

/// A command (`wasi:cli/run`) may end by `exit(0)`, which is its way to answer.
fn exited_well(error: &wasmtime::Error, answer: &Answer) -> bool {
    let exit = error.downcast_ref::<wasmtime_wasi::I32Exit>();
    let gives_nothing = matches!(answer, Answer::Nothing | Answer::Fallible { ok: None, .. });
    gives_nothing && exit.is_some_and(|exit| exit.0 == 0)
}

/// A tool's own error, as JSON text, in bytes: it is taken apart, to sixty times as much memory.
const MOST_OF_AN_ERROR: usize = 256 << 10;

fn error_too_large(text: &str) -> CallError {
    let most = bytesize::ByteSize(MOST_OF_AN_ERROR as u64);
    let begins = short(text);
    let message =
        format!("the tool failed, and said so in more than an error may have ({most}): {begins}");
    CallError::new(ErrorKind::Output, message)
}

/// What a tool gave.
enum Answered {
    Value(Json),
    Bytes(Bytes),
}

/// What a function gave, as what its tool answers. `limit` is in bytes, of JSON text where there is one.
///
/// A guest never sees a secret; but a server may have told it one in a way that was not recognised, so that `secrets` are
/// taken out of what it gave, before anything is cut off.
fn answer(
    given: Given,
    as_bytes: bool,
    limit: u64,
    secrets: Option<&Patterns>,
) -> Result<Answered, CallError> {
    let mut text = match given.value {
        GivenValue::Nothing => "null".to_owned(),
        GivenValue::Bytes(bytes) if as_bytes && given.ok => {
            let clean = match secrets.map(|secrets| secrets.bytes(&bytes)) {
                Some(Cow::Owned(clean)) => clean.into(),
                _ => bytes,
            };
            return Ok(Answered::Bytes(clean));
        }
        GivenValue::Bytes(bytes) => {
            GivenValue::in_base64(&bytes, limit).map_err(|TooLong| result_too_large(limit))?
        }
        GivenValue::Json(text) => text,
    };
    if text.len() as u64 > limit {
        return Err(result_too_large(limit));
    }
    // To take one apart takes sixty times its memory.
    if let Some(secrets) = secrets.filter(|secrets| secrets.may_be_in_json(&text)) {
        let mut value = Json::written(text).into_value();
        secrets.value(&mut value);
        text = value.to_string();
    }
    match given.ok {
        true => Ok(Answered::Value(Json::written(text))),
        false if text.len() > MOST_OF_AN_ERROR => Err(error_too_large(&text)),
        false => Err(tool_failed(Json::written(text).into_value())),
    }
}

/// The tool's own error. Its message tells the value in words, and not more of it than a reader takes in.
fn tool_failed(value: Value) -> CallError {
    let message = match &value {
        Value::String(text) => short(text),
        Value::Null => "the tool failed, without saying why".to_owned(),
        // A record that says what happened, beside what programs want to know.
        Value::Object(fields) if fields.get("message").is_some_and(Value::is_string) => {
            short(fields["message"].as_str().unwrap_or_default())
        }
        Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
            Some((case, Value::String(text))) => format!("{case}: {}", short(text)),
            _ => format!("the tool failed with {}", describe(&value)),
        },
        _ => format!("the tool failed with {}", describe(&value)),
    };
    CallError { value: Some(Box::new(value)), ..CallError::new(ErrorKind::Tool, message) }
}

fn short(text: &str) -> String {
    const MOST: usize = 2000;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_s_own_error_is_told_in_its_words() {
        for (value, message) in [
            (json!("no such file"), "no such file"),
            (json!(null), "the tool failed, without saying why"),
            (json!({ "missing": "a.txt" }), "missing: a.txt"),
            (
                json!({ "kind": "limited", "message": "come back in 3 s", "after": 3 }),
                "come back in 3 s",
            ),
            (json!({ "message": 3 }), "the tool failed with an object with message"),
        ] {
            let error = tool_failed(value.clone());
            assert_eq!(error.message, message);
            assert_eq!(error.value.as_deref(), Some(&value));
        }
    }
}
