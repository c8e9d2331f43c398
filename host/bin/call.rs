//! `inorder call`: one tool, its arguments from the command line, its value to standard output.

use anyhow::{Context as _, bail};
use inorder::{Batch, Call, Committed, ErrorKind, Shape, Tool};
use serde_json::{Map, Value};

use crate::Ending;
use crate::load::{AuditArgs, HostArgs};
use crate::run::EffectArgs;
use crate::{print, run, standard, waterfall};

/// Call one tool
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder call list_directory path=src
  inorder call read_text_file path=README.md head=5
  inorder call grep '{\"path\": \".\", \"pattern\": \"TODO\", \"max_results\": 10}'
  inorder call write_file path=notes.md content=hello --allow-write '**'

A value is taken as text where the tool takes text, else read as JSON. Text results are printed as they
are, all others as JSON. Exit codes are those of `inorder run`.")]
pub struct Args {
    /// The tool; `inorder tools` lists them
    tool: String,
    /// Either one JSON object, or `name=value` for each argument
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<String>,
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    effect: EffectArgs,
    #[command(flatten)]
    audit: AuditArgs,
    /// Print the report as one JSON document and nothing else
    #[arg(long, help_heading = "Options")]
    json: bool,
}

pub fn main(args: Args) -> anyhow::Result<Ending> {
    let host = args.host.audited_host(&args.audit)?;
    let tool = host.tools().find(|(name, ..)| *name == args.tool).map(|(.., tool)| tool);
    let arguments = arguments(&args.arguments, tool)?;
    let plan = host.plan(Batch { calls: vec![Call::new(args.tool, arguments)] })?;
    let report = run::execute(&host, plan, args.effect.effect(), false)?;
    if args.json {
        run::print_json(&report)?;
    } else if let Some(outcome) = report.results.first() {
        match &outcome.result {
            Ok(json) => match json.value() {
                Value::String(text) if report.diff.is_some() && !text.ends_with('\n') => {
                    print::out(&format!("{text}\n"))?;
                }
                Value::String(text) => print::out(text)?,
                Value::Null => {}
                value => print::out(&(serde_json::to_string_pretty(value)? + "\n"))?,
            },
            Err(error) => {
                waterfall::print_error(outcome);
                if error.kind == ErrorKind::UnknownTool
                    && let Some(hint) = standard::of_tool(&outcome.tool)
                {
                    print::say(print::dim(format_args!("note: {}", print::plain(&hint))));
                }
            }
        }
        if report.diff.is_none() && !matches!(report.committed, Some(Committed::No { .. })) {
            waterfall::print_changes(outcome);
        }
        waterfall::print_effect(&report)?;
        for text in [&outcome.stdout, &outcome.stderr].into_iter().filter(|text| !text.is_empty()) {
            print::say(print::plain(text).trim_end_matches('\n'));
        }
    }
    Ok(Ending::of(&report))
}

/// Arguments as they are written on a command line: one JSON object, or `name=value` for each.
pub fn arguments(given: &[String], tool: Option<&Tool>) -> anyhow::Result<Map<String, Value>> {
    if let [json] = given
        && json.trim_start().starts_with('{')
    {
        return serde_json::from_str(json).context("the arguments are not a JSON object");
    }
    let mut arguments = Map::new();
    for given in given {
        let Some((name, text)) = given.split_once('=') else {
            bail!("{given:?} is not an argument: write name=value, or one JSON object");
        };
        let param = tool.and_then(|tool| tool.params.iter().find(|param| param.is_called(name)));
        let textual = param.is_some_and(|param| takes_text(&param.shape));
        let value = match serde_json::from_str(text) {
            Ok(value) if !textual => value,
            _ => Value::String(text.to_owned()),
        };
        if arguments.insert(name.to_owned(), value).is_some() {
            bail!("the argument {name:?} is given twice");
        }
    }
    Ok(arguments)
}

fn takes_text(shape: &Shape) -> bool {
    match shape {
        Shape::String | Shape::Char | Shape::Bytes | Shape::Enum(_) => true,
        Shape::Option(some) => takes_text(some),
        _ => false,
    }
}
