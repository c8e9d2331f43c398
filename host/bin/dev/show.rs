//! What a build has given, for whoever writes it: the tools, what is to be mended, and what calls of them give.
//!
//! Calls are dry runs: each build meets the same files, and no tool writes what the next build runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use inorder::{Batch, Call, Effect, Host, Plugin, read_message};
use serde_json::Value;

use crate::print::{bold, dim, line, out, out_styled, plain, time};
use crate::run::Runner;
use crate::tools::{first_sentence, signature};
use crate::{call, check, print, run, waterfall};

/// A call as it is written behind `--call`: a tool, and its arguments as `name=value` or as one JSON object.
#[derive(Clone, Debug)]
pub struct Wanted {
    text: String,
    tool: String,
    arguments: Vec<String>,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Wanted, String> {
        let text = text.trim();
        let (tool, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        if tool.is_empty() {
            return Err(
                "write a tool and its arguments: --call 'word_count path=sample.txt'".to_owned()
            );
        }
        let arguments = match rest.starts_with('{') {
            true => vec![rest.to_owned()],
            false => rest.split_whitespace().map(str::to_owned).collect(),
        };
        Ok(Wanted { text: text.to_owned(), tool: tool.to_owned(), arguments })
    }
}

/// The tools of a plugin, and what `inorder check` says of them without calling them.
pub fn plugin(plugin: &Plugin, builtin: &BTreeSet<String>) -> anyhow::Result<()> {
    let mut text = String::new();
    for tool in &plugin.tools {
        writeln!(text, "  {}({})", bold(&tool.name.call), signature(tool))?;
        if let Some(description) = &tool.description {
            writeln!(text, "      {}", first_sentence(description))?;
        }
    }
    for function in &plugin.not_tools {
        writeln!(text, "  {} is no tool, because {}", plain(&function.function), function.because)?;
    }
    if plugin.tools.is_empty() {
        writeln!(text, "  no tools")?;
    }
    text.push_str(&check::told_of(plugin, builtin)?);
    out_styled(&text)
}

/// Runs a call, and prints what it gave and how long it took.
pub fn call(host: &Host, runner: &Runner, wanted: &Wanted) -> anyhow::Result<()> {
    let tool = host.tools().find(|(name, ..)| *name == wanted.tool).map(|(.., tool)| tool);
    let arguments = call::arguments(&wanted.arguments, tool)?;
    let plan = host.plan(Batch { calls: vec![Call::new(&wanted.tool, arguments)] })?;
    let report = runner.run(host, plan, Effect::DryRun, false);
    let Some(outcome) = report.results.first() else { bail!("the call is gone") };
    let status = outcome.status();
    let mark = print::by_status(status, print::mark(status));
    let took = dim(time(outcome.usage.run));
    out_styled(&format!("{mark} {}  {took}\n", bold(line(&wanted.text, 100))))?;
    match &outcome.result {
        Ok(json) => match json.value() {
            Value::String(text) => out(&(text.trim_end_matches('\n').to_owned() + "\n"))?,
            Value::Null => {}
            value => out(&(serde_json::to_string_pretty(value)? + "\n"))?,
        },
        Err(_) => waterfall::print_error(outcome),
    }
    for text in [&outcome.stdout, &outcome.stderr].into_iter().filter(|text| !text.is_empty()) {
        print::say(plain(text).trim_end_matches('\n'));
    }
    match report.diff.as_deref() {
        None | Some("") => Ok(()),
        Some(_) => waterfall::print_effect(&report),
    }
}

/// Runs the batch of a file, as it is now, and prints its report.
pub fn batch(host: &Host, runner: &Runner, file: &Path) -> anyhow::Result<()> {
    let (batch, _) = read_message(&run::read(file)?, None).map_err(inorder::Error::from)?;
    let plan = host.plan(batch)?;
    waterfall::print(&runner.run(host, plan, Effect::DryRun, false))
}

/// The component that a build has made: the newest of the folder, since the last step of a build makes it.
pub fn component(folder: &Path) -> anyhow::Result<PathBuf> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let found = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "wasm") && path.is_file());
    let newest = found.max_by_key(|path| path.metadata().and_then(|it| it.modified()).ok());
    newest.with_context(|| {
        format!("the build has left no .wasm file in {}: name it with --wasm", folder.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_tool_and_words_or_an_object() {
        let wanted: Wanted = " count  path=a.txt n=1 ".parse().unwrap();
        assert_eq!((wanted.tool.as_str(), wanted.arguments.len()), ("count", 2));
        let wanted: Wanted = "count {\"path\": \"a b\"}".parse().unwrap();
        assert_eq!(wanted.arguments, ["{\"path\": \"a b\"}"]);
        assert!("count".parse::<Wanted>().unwrap().arguments.is_empty());
        assert!("  ".parse::<Wanted>().is_err());
    }
}
