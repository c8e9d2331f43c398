//! `inorder tools`: what is loaded, and how to call it.

use std::fmt::Write as _;

use anyhow::bail;
use inorder::{Host, Plugin, Tool, Touches};
use serde_json::{Value, json};

use crate::Ending;
use crate::definitions::{self, Definitions, References};
use crate::load::HostArgs;
use crate::print::{bold, dim, line, out, out_styled, plain};
use crate::standard::unknown;

/// List the tools that calls can name
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder tools                     the built-in tools, a line each
  inorder tools grep                one of them: what it does, its parameters, an example
  inorder tools --plugin my.wasm    and those of a plugin
  inorder tools --json              with JSON Schemas of their arguments and results
  inorder tools --format anthropic --references    to send to a model, which may use results of earlier calls")]
pub struct Args {
    /// Only this tool, with all that is known of it
    #[arg(value_name = "TOOL", conflicts_with = "format")]
    tool: Option<String>,
    #[command(flatten)]
    host: HostArgs,
    /// Print one JSON document with descriptions and schemas
    #[arg(long, help_heading = "Options")]
    json: bool,
    /// Print the definitions for requests to a model's API
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        conflicts_with = "json",
        help_heading = "Options"
    )]
    format: Option<Definitions>,
    /// Let any argument be a reference to an earlier call of the same response
    #[arg(long, requires = "format", help_heading = "Options")]
    references: bool,
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let host = args.host.host_to_look_at()?;
    if let Some(whose) = args.format {
        let references = if args.references { References::Allowed } else { References::Unknown };
        let definitions = definitions::of(&host, whose, references)?;
        out(&format!("{definitions:#}\n"))?;
        return Ok(Ending::AllOk);
    }
    if let Some(name) = args.tool.as_deref().filter(|_| !args.json) {
        let found = host.tools().find(|(it, ..)| *it == name);
        let Some((name, plugin, tool)) = found else { bail!("{}", unknown(&host, name)) };
        return out_styled(&in_full(&host, name, plugin, tool)?).map(|()| Ending::AllOk);
    }
    if args.json {
        let tools: Vec<Value> = host
            .tools()
            .filter(|(name, ..)| args.tool.as_deref().is_none_or(|it| it == *name))
            .map(|(name, plugin, tool)| {
                let mut json = describe(name, tool);
                json["plugin"] = json!(plugin.name);
                let (hosts, secrets) = host.requests(&plugin.name);
                if !hosts.is_empty() {
                    json["requests"] = json!({ "hosts": hosts, "secrets": secrets });
                }
                json
            })
            .collect();
        out(&(serde_json::to_string_pretty(&json!({ "tools": tools }))? + "\n"))?;
        return Ok(Ending::AllOk);
    }
    let mut text = String::new();
    for (name, plugin, tool) in host.tools() {
        writeln!(text, "{}({}) {}", bold(name), signature(tool), dim(line(&plugin.name, 24)))?;
        if let Some(description) = &tool.description {
            writeln!(text, "    {}", first_sentence(description))?;
        }
        if let Some(touches) = touches(tool) {
            writeln!(text, "    {}", dim(touches))?;
        }
        if let Some(requests) = requests(&host, &plugin.name) {
            writeln!(text, "    {}", dim(requests))?;
        }
    }
    out_styled(&text)?;
    Ok(Ending::AllOk)
}

/// One tool, for somebody who wants to call it.
fn in_full(host: &Host, name: &str, plugin: &Plugin, tool: &Tool) -> anyhow::Result<String> {
    let mut text = String::new();
    writeln!(text, "{}({}) {}", bold(name), signature(tool), dim(line(&plugin.name, 24)))?;
    if let Some(description) = &tool.description {
        for line in plain(description).lines() {
            writeln!(text, "    {line}")?;
        }
    }
    for more in [touches(tool), requests(host, &plugin.name)].into_iter().flatten() {
        writeln!(text, "    {}", dim(more))?;
    }
    let schema = serde_json::to_string_pretty(&tool.input_schema())?;
    writeln!(text, "\n{}\n{}", dim("arguments, as a JSON Schema:"), plain(&schema))?;
    let needed = tool.params.iter().filter(|param| !param.optional());
    let needed: String = needed.map(|param| format!(" {}=..", param.json)).collect();
    writeln!(text, "\n{} inorder call {name}{needed}", dim("to call it:"))?;
    Ok(text)
}

/// A tool as `tools --json` and `inspect --json` print it.
pub fn describe(name: &str, tool: &Tool) -> Value {
    let mut json = json!({
        "name": name,
        "description": tool.description,
        "input_schema": tool.input_schema(),
        "output_schema": tool.output_schema(),
        "touches": declared(tool).map(|(reads, writes)| json!({ "reads": reads, "writes": writes })),
    });
    if let Some(schema) = tool.error_schema() {
        json["error_schema"] = schema;
    }
    json
}

/// The parameters whose paths it declares to read, and to write; none if it declares nothing.
fn declared(tool: &Tool) -> Option<(Vec<&str>, Vec<&str>)> {
    let Touches::Declared { reads, writes } = &tool.touches else { return None };
    let names = |places: &[usize]| {
        places.iter().filter_map(|it| Some(tool.params.get(*it)?.json.as_str())).collect()
    };
    Some((names(reads), names(writes)))
}

/// `reads path and writes other`, of a tool that declares what it touches.
pub fn touches(tool: &Tool) -> Option<String> {
    let (reads, writes) = declared(tool)?;
    let of = |verb: &str, names: &[&str]| {
        (!names.is_empty()).then(|| format!("{verb} {}", names.join(", ")))
    };
    let parts: Vec<String> =
        [of("reads", &reads), of("writes", &writes)].into_iter().flatten().collect();
    Some(match &*parts {
        [] => "touches no files".to_owned(),
        parts => format!("{} alone", parts.join(" and ")),
    })
}

/// `may request api.example.org, with the secret example`
fn requests(host: &Host, plugin: &str) -> Option<String> {
    let (hosts, secrets) = host.requests(plugin);
    let with = match &*secrets {
        [] => String::new(),
        [one] => format!(", with the secret {one}"),
        more => format!(", with the secrets {}", more.join(", ")),
    };
    (!hosts.is_empty()).then(|| format!("may request {}{with}", hosts.join(", ")))
}

/// `path, head?, tail?`
pub fn signature(tool: &Tool) -> String {
    let params = tool.params.iter().map(|param| {
        let optional = if param.optional() { "?" } else { "" };
        format!("{}{optional}", param.json)
    });
    params.collect::<Vec<_>>().join(", ")
}

pub fn first_sentence(text: &str) -> String {
    let text = plain(text);
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    line(&text[..end], 160)
}
