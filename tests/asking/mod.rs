//! Asking before something becomes real: what is asked, when, and what an answer does.

mod atomic;
mod files;
mod replaced;
mod requests;
mod terminal;

use std::future::Future;
use std::pin::Pin;

use inorder::{
    About, Approver, AskRule, Batch, CallOptions, Change, Decision, Effect, Host, HostBuilder,
    PluginSpec, Question, Report, RunOptions,
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::support::{grants, scratch};

/// A question that waits for its answer.
struct Open {
    question: Question,
    answer: oneshot::Sender<Decision>,
}

/// Whoever is asked: hands each question to the test.
#[derive(Debug)]
struct Somebody(mpsc::UnboundedSender<Open>);

/// The questions that come.
struct Questions(mpsc::UnboundedReceiver<Open>);

impl Approver for Somebody {
    fn decide<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Open { question: question.clone(), answer }).unwrap();
        Box::pin(async { answered.await.unwrap() })
    }
}

impl Questions {
    fn new() -> (std::sync::Arc<dyn Approver>, Questions) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (std::sync::Arc::new(Somebody(sender)), Questions(receiver))
    }

    async fn next(&mut self) -> Open {
        self.0.recv().await.expect("a question")
    }

    /// None is open, and none was asked.
    fn are_over(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

impl Open {
    fn diff(&self) -> &str {
        match &self.question.about {
            About::Files { diff, .. } => diff,
            About::Request { .. } => panic!("{:?}", self.question),
        }
    }

    fn changes(&self) -> Vec<&str> {
        match &self.question.about {
            About::Files { changes, .. } => changes.iter().flat_map(Change::paths).collect(),
            About::Request { .. } => panic!("{:?}", self.question),
        }
    }

    fn yes(self) {
        self.answer.send(Decision::Yes).unwrap();
    }

    fn no(self, because: &str) {
        self.answer.send(Decision::No { because: Some(because.to_owned()) }).unwrap();
    }
}

/// The file tools on these files, who may write all of them, and are asked about by these rules.
fn builder(files: &[(&str, &str)], rules: &[&str]) -> (tempfile::TempDir, HostBuilder) {
    let (root, builder) = scratch(files);
    let plugin = PluginSpec::builtin("filesystem", grants(&[], &["**"]));
    let rules = rules.iter().map(|rule| AskRule::parse(rule).unwrap());
    (root, rules.fold(builder.plugin(plugin), HostBuilder::ask))
}

fn host(files: &[(&str, &str)], rules: &[&str]) -> (tempfile::TempDir, Host) {
    let (root, builder) = builder(files, rules);
    (root, builder.build().unwrap())
}

async fn execute(host: &Host, batch: &Value, options: RunOptions) -> Report {
    let batch = Batch::from_json(batch.to_string().as_bytes()).unwrap();
    host.execute(host.plan(batch).unwrap(), options).await
}

fn asking(effect: Effect) -> (RunOptions, Questions) {
    let (approver, questions) = Questions::new();
    (RunOptions { approver: Some(approver), effect, ..RunOptions::default() }, questions)
}

fn loosely() -> (CallOptions, Questions) {
    let (approver, questions) = Questions::new();
    (CallOptions { approver: Some(approver), ..CallOptions::default() }, questions)
}

fn content(root: &tempfile::TempDir, path: &str) -> Option<String> {
    std::fs::read_to_string(root.path().join(path)).ok()
}

fn message(report: &Report, call: usize) -> String {
    match &report.results[call].result {
        Ok(value) => panic!("it was ok: {value}"),
        Err(error) => format!("{}: {}", error.kind.as_str(), error.message),
    }
}
