//! Calls of each tool of a plugin with made-up arguments, as dry runs, and what their ends tell of the plugin.

use std::collections::BTreeMap;

use inorder::{Batch, Call, CallError, Effect, ErrorKind, Host, Outcome, Plugin, Tool, Touches};
use serde_json::{Map, Value};

use super::generate::arguments;
use super::{Finding, Weight};
use crate::print::line;
use crate::run::Runner;

/// Calls, by how they ended.
#[derive(Default)]
pub struct Counts {
    pub calls: usize,
    pub ok: usize,
    /// With an error that the tool itself gave.
    pub own_errors: usize,
}

/// Calls in one batch: few enough for its arguments to stay small.
const AT_ONCE: u64 = 200;

pub fn run(
    host: &Host,
    plugin: &Plugin,
    calls: u64,
    seed: u64,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<Counts> {
    let runner = Runner::start()?;
    let mut counts = Counts::default();
    let mut without_result = Vec::new();
    for tool in &plugin.tools {
        let ok_before = counts.ok;
        let mut ends: BTreeMap<(Weight, String), (usize, String)> = BTreeMap::new();
        let mut from = 0;
        while from < calls && !runner.is_cancelled() {
            let until = calls.min(from + AT_ONCE);
            let made: Vec<_> =
                (from..until).map(|index| arguments(&tool.params, index, seed)).collect();
            let outcomes = batch(&runner, host, tool, &made)?;
            for (args, outcome) in made.iter().zip(&outcomes) {
                counts.add(outcome);
                if let Err(error) = &outcome.result
                    && let Some((weight, what)) = judged(tool, error)
                {
                    let end = ends.entry((weight, what)).or_default();
                    end.0 += 1;
                    if end.1.is_empty() {
                        end.1 = format!("{}: {}", shown(args), line(&error.message, 300));
                    }
                }
            }
            if from == 0 && is_pure(tool) {
                let again = batch(&runner, host, tool, &made)?;
                differing(tool, &made, &outcomes, &again, findings);
            }
            from = until;
        }
        if counts.ok == ok_before && calls > 0 {
            without_result.push(tool.name.call.as_str());
        }
        for ((weight, what), (times, example)) in ends {
            let name = &tool.name.call;
            let text = format!("{what} in {times} of {calls} calls, as with {example}");
            findings.push(Finding::of(weight, name, text));
        }
    }
    runner.end();
    if !without_result.is_empty() {
        let text = format!(
            "no call of {} came to a result, so that little of them was tried: give files that they work on, by --root and \
             --allow-read",
            without_result.join(", ")
        );
        findings.push(Finding::of_plugin(Weight::Note, text));
    }
    Ok(counts)
}

fn batch(
    runner: &Runner,
    host: &Host,
    tool: &Tool,
    made: &[Map<String, Value>],
) -> anyhow::Result<Vec<Outcome>> {
    let call = |args: &Map<String, Value>| Call::new(&*tool.name.call, args.clone());
    let plan = host.plan(Batch { calls: made.iter().map(call).collect() })?;
    Ok(runner.run(host, plan, Effect::DryRun, false).results)
}

/// What an end says against the plugin, if anything does.
fn judged(tool: &Tool, error: &CallError) -> Option<(Weight, String)> {
    let declares = tool.touches != Touches::Undeclared;
    Some(match error.kind {
        ErrorKind::Tool | ErrorKind::Cancelled => return None,
        ErrorKind::Trap => (Weight::Error, "it traps".to_owned()),
        ErrorKind::Timeout => (Weight::Error, "it runs out of time".to_owned()),
        ErrorKind::Denied if declares => (
            Weight::Error,
            "it was denied something, though it declares what it touches,".to_owned(),
        ),
        ErrorKind::Denied => (Weight::Note, "it was denied something".to_owned()),
        kind => (Weight::Warning, format!("it ends as `{}`", kind.as_str())),
    })
}

fn is_pure(tool: &Tool) -> bool {
    matches!(&tool.touches, Touches::Declared { reads, writes } if reads.is_empty() && writes.is_empty())
}

fn differing(
    tool: &Tool,
    made: &[Map<String, Value>],
    one: &[Outcome],
    two: &[Outcome],
    findings: &mut Vec<Finding>,
) {
    let answers = made.iter().zip(one.iter().zip(two));
    let mut differ = answers.filter(|(_, (one, two))| match (&one.result, &two.result) {
        (Ok(one), Ok(two)) => one != two,
        _ => false,
    });
    if let Some((args, _)) = differ.next() {
        let text = format!(
            "it declares itself @pure, and answers {} differently each time: by the clock, or by chance",
            shown(args)
        );
        findings.push(Finding::of(Weight::Note, &tool.name.call, text));
    }
}

fn shown(args: &Map<String, Value>) -> String {
    line(&Value::Object(args.clone()).to_string(), 200)
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        self.calls += 1;
        match &outcome.result {
            Ok(_) => self.ok += 1,
            Err(error) if error.kind == ErrorKind::Tool => self.own_errors += 1,
            Err(_) => {}
        }
    }
}
