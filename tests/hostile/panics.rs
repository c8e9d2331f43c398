//! A panic of the host itself, in the midst of one call.
//!
//! The way in is a real one: a subscriber of the embedder's that panics where the host tells it that a call starts.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use inorder::{Batch, Call, CancellationToken, ErrorKind, Host, Outcome};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::support::{calc, grants, scratch};

/// Panics at the start of the call `boom`, and keeps what is logged as an error.
#[derive(Clone, Default)]
struct Faulty {
    errors: Arc<Mutex<Vec<String>>>,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Faulty {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        if *event.metadata().level() == Level::ERROR {
            self.errors.lock().unwrap().push(fields.0);
        } else {
            let starts = fields.0.contains("call starts") && fields.0.contains("call=boom");
            assert!(!starts, "the listener is broken");
        }
    }
}

/// Runs `work` on this thread alone, whose subscriber is faulty, and gives what was logged.
fn faulty<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    let faulty = Faulty::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = tracing::subscriber::with_default(faulty.clone(), || runtime.block_on(work));
    let errors = faulty.errors.lock().unwrap().clone();
    (done, errors)
}

fn is_host_error(outcome: &Outcome) {
    let error = outcome.result.as_ref().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Host, "{error:?}");
    assert!(error.message.contains("the listener is broken"), "{error:?}");
}

#[test]
fn a_panic_of_the_host_ends_the_call_that_it_was_in_and_no_other() {
    let (root, builder) = scratch(&[("a.txt", "a")]);
    let files = inorder::PluginSpec::builtin("filesystem", grants(&["**"], &["**"]));
    let host: Host = builder.plugin(calc()).plugin(files).jobs(2).build().unwrap();
    let batch = json!({"calls": [
        {"tool": "add", "args": {"a": 1, "b": 2}},
        {"id": "boom", "tool": "write_file", "args": {"path": "b.txt", "content": "b"}},
        {"tool": "add", "args": {"a": 1, "b": 2}, "after": ["boom"]},
        {"tool": "write_file", "args": {"path": "c.txt", "content": "c"}},
        {"id": "needs", "tool": "read_text_file", "args": {"path": {"$from": "boom"}}},
        {"tool": "read_text_file", "args": {"path": "c.txt"}},
    ]});
    let batch = || Batch::from_json(batch.to_string().as_bytes()).unwrap();
    let (report, errors) = faulty(async { host.run(batch()).await.unwrap() });
    let value = |at: usize| report.results[at].result.clone();
    assert_eq!(value(0), Ok(json!(3).into()));
    is_host_error(&report.results[1]);
    assert_eq!(value(2), Ok(json!(3).into()));
    assert!(value(3).is_ok());
    assert_eq!(value(4).unwrap_err().kind, ErrorKind::Skipped);
    assert_eq!(value(5), Ok(Value::from("c").into()));
    assert!(!root.path().join("b.txt").exists());
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("call=boom") && errors[0].contains("the listener is broken"),
        "{errors:?}"
    );

    // Its room is free, and no lock is poisoned.
    let (again, _) = faulty(async {
        host.run(batch()).await.unwrap();
        host.run(batch()).await.unwrap()
    });
    is_host_error(&again.results[1]);
    assert!(again.results[3].result.is_ok());
}

#[test]
fn a_panic_in_a_loose_call_ends_that_call() {
    let host = Host::builder().plugin(calc()).build().unwrap();
    let session = host.session();
    let add = |id: &str| {
        let batch = json!({"calls": [{"id": id, "tool": "add", "args": {"a": 1, "b": 2}}]});
        let call: Call = Batch::from_json(batch.to_string().as_bytes()).unwrap().calls.remove(0);
        session.call(call, CancellationToken::new())
    };
    let ((boom, beside, after), errors) = faulty(async {
        let (boom, beside) = tokio::join!(add("boom"), add("beside"));
        (boom.unwrap(), beside.unwrap(), add("after").await.unwrap())
    });
    is_host_error(&boom);
    assert_eq!(beside.result, Ok(json!(3).into()));
    assert_eq!(after.result, Ok(json!(3).into()));
    assert!(errors.iter().any(|it| it.contains("call=boom")), "{errors:?}");
}
