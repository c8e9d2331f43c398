//! The loop: ask the model, run the calls of its answer as one batch, send back what they came to.
//!
//! Everything is kept in the transcript before the next thing is done. Knows no API and no terminal.

use anyhow::anyhow;
use inorder::{CallError, Effect, ErrorKind, Host, read_message};
use serde_json::Value;

use super::api::{Answer, Ids, Question, Stop};
use super::ask::ask;
use super::client::{Client, Failure};
use super::conversation::{Conversation, messages};
use super::shown::Shown;
use super::tally::{self, Tally, millis};
use super::transcript::{Record, Transcript};
use crate::run::{Runner, with_names_of};
use crate::{Ending, HostFault};

/// Answers with calls that are cut off one after another: who could not make it shorter then will not.
const MOST_CUT_OFF: u32 = 3;

pub struct Agent<'a> {
    pub host: &'a Host,
    pub runner: &'a Runner,
    pub client: &'a Client,
    pub model: &'a str,
    pub system: &'a str,
    /// Their definitions, as the API takes them.
    pub tools: Value,
    pub max_turns: u32,
    pub max_tokens: Option<u32>,
    pub conversation: Conversation,
    pub transcript: Option<Transcript>,
    pub shown: Shown,
    pub tally: Tally,
}

/// Why the loop has ended, without anything being wrong.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The model calls nothing more.
    Finished,
    /// It does not even say so.
    Empty,
    MaxTurns(u32),
    CutOff,
    Refused,
    /// By Ctrl-C.
    Stopped,
    Other(String),
}

impl End {
    /// A word for machines.
    pub fn reason(&self) -> &str {
        match self {
            End::Finished => "finished",
            End::Empty => "empty",
            End::MaxTurns(_) => "max_turns",
            End::CutOff => "cut_off",
            End::Refused => "refused",
            End::Stopped => "stopped",
            End::Other(reason) => reason,
        }
    }

    /// What a person is told; nothing if all is as usual.
    pub fn note(&self) -> Option<String> {
        Some(match self {
            End::Finished => return None,
            End::Empty => "the model's last answer is empty".to_owned(),
            End::MaxTurns(1) => "stopped after one turn, as --max-turns says".to_owned(),
            End::MaxTurns(turns) => format!("stopped after {turns} turns, as --max-turns says"),
            End::CutOff => {
                "the answer is cut off: it has as many tokens as the model, or --max-tokens, lets it have"
                    .to_owned()
            }
            End::Refused => "the model, or a filter before it, refuses to answer".to_owned(),
            End::Stopped => "stopped".to_owned(),
            End::Other(reason) => format!("the model stopped: {reason}"),
        })
    }

    /// Whether the model came to its end; calls that failed on the way were its to deal with.
    pub fn ending(&self) -> Ending {
        match self {
            End::Finished | End::Empty => Ending::AllOk,
            _ => Ending::CallFailed,
        }
    }
}

impl Agent<'_> {
    /// # Errors
    /// The API refuses the request, gives no answer, or the transcript cannot be written.
    pub async fn work(&mut self) -> anyhow::Result<End> {
        let mut cut_off = 0;
        for _ in 0..self.max_turns {
            let Some(answer) = self.ask().await? else { return Ok(End::Stopped) };
            let Answer { message, calls, refused, stop, .. } = answer;
            let Some(calls) = calls else {
                return Ok(match stop {
                    Stop::Done if message.is_none() => End::Empty,
                    Stop::Done => End::Finished,
                    Stop::CutOff => End::CutOff,
                    Stop::Refused => End::Refused,
                    Stop::Other(reason) => End::Other(reason),
                });
            };
            cut_off = if stop == Stop::CutOff { cut_off + 1 } else { 0 };
            match stop {
                // What was to come after, or in the last of them, is not known.
                Stop::CutOff => {
                    let why = "the answer was cut off, as it had too many tokens; make fewer or shorter calls";
                    self.refuse(&calls, why)?;
                    if cut_off == MOST_CUT_OFF {
                        return Ok(End::CutOff);
                    }
                }
                Stop::Refused => {
                    self.refuse(&calls, "the answer was broken off")?;
                    return Ok(End::Refused);
                }
                Stop::Other(reason) => {
                    self.refuse(&calls, &format!("the answer was broken off ({reason})"))?;
                    return Ok(End::Other(reason));
                }
                Stop::Done => self.run(&calls, &refused).await?,
            }
            if self.runner.is_cancelled() {
                return Ok(End::Stopped);
            }
        }
        Ok(End::MaxTurns(self.max_turns))
    }

    /// The next answer, kept; nothing if we were stopped.
    async fn ask(&mut self) -> anyhow::Result<Option<Answer>> {
        let question = Question {
            model: self.model,
            system: self.system,
            messages: self.conversation.messages(),
            tools: &self.tools,
            max_tokens: self.max_tokens,
            own_host: self.client.endpoint().own_host,
        };
        let unnamed = format!("call_{}", self.conversation.messages().len());
        let ids = Ids::new(unnamed, self.conversation.ids());
        let cancel = self.runner.cancelled();
        let answer = ask(self.client, &question, &ids, &mut self.shown, cancel).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(Failure::Stopped) => return Ok(None),
            Err(Failure::Refused(why)) => return Err(anyhow!(why)),
            Err(Failure::Fault(why) | Failure::Passing { why, .. }) => {
                return Err(HostFault(why).into());
            }
        };
        self.tally.answer(answer.tokens);
        let (message, tokens) = (answer.message.clone(), answer.tokens);
        self.keep(&Record::Answer { message, tokens })?;
        Ok(Some(answer))
    }

    /// But for the calls at the places of `refused`.
    async fn run(&mut self, calls: &Value, refused: &[(usize, &str)]) -> anyhow::Result<()> {
        let dialect = self.client.endpoint().api.dialect();
        let read = read_message(calls.to_string().as_bytes(), Some(dialect));
        let (mut batch, reply) = read.map_err(inorder::Error::from)?;
        with_names_of(self.host, &mut batch);
        for (place, why) in refused {
            if let Some(call) = batch.calls.get_mut(*place) {
                call.refused = Some(CallError::new(ErrorKind::Arguments, *why));
            }
        }
        let plan = match self.host.plan(batch) {
            Ok(plan) => plan,
            Err(error) => return self.refuse(calls, &error.to_string()),
        };
        let live = self.shown.is_live();
        let report = self.runner.executed(self.host, plan, Effect::Commit, live).await;
        self.tally.batch(&report);
        self.shown.batch(&report);
        self.keep(&Record::Results {
            messages: messages(reply.message(&report)),
            calls: report.results.len(),
            failed: tally::failed(&report),
            elapsed_ms: millis(report.elapsed),
            run_ms: millis(tally::run(&report)),
        })
    }

    /// Nothing is run, and the model is told why.
    fn refuse(&mut self, calls: &Value, why: &str) -> anyhow::Result<()> {
        let dialect = self.client.endpoint().api.dialect();
        let read = read_message(calls.to_string().as_bytes(), Some(dialect));
        let (batch, reply) = read.map_err(inorder::Error::from)?;
        self.shown.note(&format!("nothing was run: {why}"));
        let calls = batch.calls.len();
        self.tally.calls += calls;
        self.tally.failed += calls;
        let messages = messages(reply.refused(why));
        self.keep(&Record::Results { messages, calls, failed: calls, elapsed_ms: 0.0, run_ms: 0.0 })
    }

    /// Takes note of what happened: in the file, then in what is sent next.
    pub fn keep(&mut self, record: &Record) -> anyhow::Result<()> {
        if let Some(transcript) = &mut self.transcript {
            transcript.add(record)?;
        }
        self.shown.record(record)?;
        self.conversation.take(record);
        Ok(())
    }
}
