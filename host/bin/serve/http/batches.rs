//! `POST /v1/batch`: a batch, or a message of a model's API, and its report, or the message to send back.
//!
//! What `inorder run` does, said by the same words; there the exit code tells what the status tells here.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use inorder::{
    Batch, CancellationToken, Dialect, Effect, Error, ErrorKind, Reply, Report, RequestError,
    RunOptions, read_message,
};
use serde_json::json;
use tokio::sync::oneshot;

use super::super::batch::with_real_names;
use super::super::server::Server;
use super::answers::{self, Answer, Form};
use super::bodies::Bodies;
use super::mcp::is_json;
use crate::format::Format;

/// What the query of a request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    /// Found in the body, if there is none.
    format: Option<Format>,
    answer: Option<Wanted>,
    effect: Effect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wanted {
    Report,
    Message,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Batches(Arc<Shared>);

struct Shared {
    server: Server,
    bodies: Bodies,
    ending: CancellationToken,
}

impl Batches {
    /// What runs is cancelled with `ending`.
    pub fn new(server: Server, bodies: Bodies, ending: CancellationToken) -> Batches {
        Batches(Arc::new(Shared { server, bodies, ending }))
    }

    /// Dropping the future cancels the batch: the client has gone.
    pub async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.run(request).await.unwrap_or_else(|refused| *refused)
    }

    async fn run(&self, request: Request<Incoming>) -> Result<Answer, Box<Answer>> {
        let Shared { server, bodies, ending } = &*self.0;
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(answers::wrong_method("POST").into());
        }
        let asked = Asked::parse(head.uri.query().unwrap_or_default());
        let asked = asked.map_err(|message| refused(StatusCode::BAD_REQUEST, "query", &message))?;
        if !is_json(&head.headers) {
            let given =
                head.headers.get(CONTENT_TYPE).map_or("nothing".to_owned(), |it| format!("{it:?}"));
            let message = format!("the body has to be application/json, and is said to be {given}");
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", &message));
        }
        let Some(entered) = server.enter() else {
            let message = "the server is shutting down, and takes no more batches";
            return Err(answers::busy(Form::Plain, message).into());
        };
        let body = bodies.read(body, Batch::MOST_BYTES).await;
        let body = body.map_err(|unread| Box::new(unread.answer(Form::Plain)))?;
        let read = read_message(&body.bytes, asked.format.map(Dialect::from));
        let (mut batch, reply) = read.map_err(|error| unreadable(&error))?;
        let foreign = reply.dialect() != Dialect::Native;
        if foreign {
            with_real_names(entered.names(), &mut batch);
        }
        let message = foreign && asked.answer != Some(Wanted::Report);
        if message && batch.calls.is_empty() {
            // The API would refuse a message in which there is nothing.
            return Ok(answers::nothing());
        }
        let plan = entered.host().plan(batch).map_err(|error| unordered(&error, &reply))?;
        let cancel = ending.child_token();
        let gone = cancel.clone().drop_guard();
        let options = RunOptions { cancel, effect: asked.effect, ..RunOptions::default() };
        // A task of its own: when the client has gone, the batch comes to an end that is logged.
        let (sender, report) = oneshot::channel();
        let running = entered.host().clone();
        server.spawn(async move {
            let report = running.execute(plan, options).await;
            let _ = sender.send(report);
        });
        let report = report.await;
        gone.disarm();
        let Ok(report) = report else {
            let message = "the host lost track of the batch";
            return Err(refused(StatusCode::INTERNAL_SERVER_ERROR, "host", message));
        };
        drop(entered);
        if let Some(message) = turned_away(&report) {
            return Err(answers::busy(Form::Plain, message).into());
        }
        let text = match message {
            true => serde_json::to_string(&reply.message(&report)),
            false => report.to_json(),
        };
        Ok(answers::body(StatusCode::OK, text.unwrap_or_default()))
    }
}

impl Asked {
    fn parse(query: &str) -> Result<Asked, String> {
        let mut asked = Asked::default();
        let (mut dry_run, mut atomic, mut seen) = (false, false, Vec::new());
        for field in query.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            if seen.contains(&name) {
                return Err(format!("`{name}` is given twice"));
            }
            seen.push(name);
            match name {
                "format" => asked.format = Some(one_of(name, value)?),
                "answer" => asked.answer = Some(one_of(name, value)?),
                "dry_run" => dry_run = flag(name, value)?,
                "atomic" => atomic = flag(name, value)?,
                _ => {
                    return Err(format!(
                        "there is no parameter {name:?}; there are format, answer, dry_run and atomic"
                    ));
                }
            }
        }
        asked.effect = match (dry_run, atomic) {
            // Of one that changes nothing, nothing is left to be all or none.
            (true, _) => Effect::DryRun,
            (false, true) => Effect::Atomic,
            (false, false) => Effect::Commit,
        };
        Ok(asked)
    }
}

fn one_of<T: clap::ValueEnum>(name: &str, value: &str) -> Result<T, String> {
    T::from_str(value, false).map_err(|_| {
        let values = T::value_variants().iter().filter_map(T::to_possible_value);
        let values: Vec<String> = values.map(|it| it.get_name().to_owned()).collect();
        format!("`{name}` is one of {}, not {value:?}", values.join(", "))
    })
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{name}` is true or false, not {value:?}")),
    }
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Box<Answer> {
    Box::new(answers::error(Form::Plain, status, kind, message))
}

fn unreadable(error: &RequestError) -> Box<Answer> {
    match error {
        RequestError::TooLarge => {
            refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &error.to_string())
        }
        _ => refused(StatusCode::BAD_REQUEST, "batch", &error.to_string()),
    }
}

/// Whoever sends the answer on has the model told what is wrong with its calls.
fn unordered(error: &Error, reply: &Reply) -> Box<Answer> {
    let message = error.to_string();
    if reply.dialect() == Dialect::Native {
        return refused(StatusCode::BAD_REQUEST, "batch", &message);
    }
    let answer = json!({
        "error": { "kind": "batch", "message": message },
        "message": reply.refused(&message),
    });
    Box::new(answers::json(StatusCode::BAD_REQUEST, &answer))
}

/// Why nothing of the batch was run, if there was no room for it.
fn turned_away(report: &Report) -> Option<&str> {
    let busy = |outcome: &inorder::Outcome| match &outcome.result {
        Err(error) if error.kind == ErrorKind::Busy => Some(()),
        _ => None,
    };
    report.results.iter().map(busy).collect::<Option<Vec<()>>>()?;
    let first = report.results.first()?.result.as_ref().err()?;
    Some(&first.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_wanted_and_nothing_else() {
        let parse = Asked::parse;
        assert_eq!(parse(""), Ok(Asked::default()));
        let all = parse("format=openai-chat&answer=report&dry_run&atomic=false").unwrap();
        assert_eq!((all.format, all.answer), (Some(Format::OpenaiChat), Some(Wanted::Report)));
        assert_eq!(all.effect, Effect::DryRun);
        assert_eq!(parse("atomic=true").unwrap().effect, Effect::Atomic);
        assert_eq!(parse("atomic&dry_run").unwrap().effect, Effect::DryRun);
        for (query, says) in [
            ("formt=gemini", "there are format"),
            ("format=grok", "anthropic"),
            ("format=", "anthropic"),
            ("answer=both", "report, message"),
            ("dry_run=1", "true or false"),
            ("dry_run&dry_run", "twice"),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.contains(says), "{query}: {error}");
        }
    }
}
