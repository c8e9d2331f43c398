//! `inorder inspect`: what a component file would bring, before it is trusted with anything.

use std::fmt::Write as _;
use std::path::PathBuf;

use inorder::{Asks, Grants, Plugin, PluginSpec};
use serde_json::{Value, json};

use crate::Ending;
use crate::load::LoadArgs;
use crate::print::{bold, dim, out, out_styled, plain};
use crate::tools::{describe, first_sentence, signature, touches};

/// Show what a plugin offers and asks for, without running it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder inspect my.wasm           its tools, imports and what it asks for
  inorder inspect my.wasm --json    with JSON Schemas")]
pub struct Args {
    /// A WASI component
    plugin: PathBuf,
    /// Print one JSON document with schemas
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: LoadArgs,
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let spec = PluginSpec::file(&args.plugin, Grants::default());
    let host = args.load.builder().jobs(1).plugin(spec).build()?;
    let Some(plugin) = host.plugins().next() else { return Ok(Ending::AllOk) };
    if args.json {
        out(&(serde_json::to_string_pretty(&document(plugin))? + "\n"))?;
        return Ok(Ending::AllOk);
    }
    let mut text = String::new();
    describe_to(&mut text, plugin)?;
    out_styled(&text)?;
    Ok(Ending::AllOk)
}

fn describe_to(text: &mut String, plugin: &Plugin) -> std::fmt::Result {
    writeln!(text, "{} {}", bold(plain(&plugin.name)), dim(format!("sha256:{}", plugin.digest)))?;
    let asks: Vec<&str> = plugin.asks().into_iter().map(Asks::as_str).collect();
    let asks = if asks.is_empty() { "nothing".to_owned() } else { asks.join(", ") };
    writeln!(text, "\nasks for: {asks} {}", dim("(and gets what is granted)"))?;
    writeln!(text, "\nimports:")?;
    for import in &plugin.imports {
        writeln!(text, "  {}", plain(import))?;
    }
    if plugin.imports.is_empty() {
        writeln!(text, "  none")?;
    }
    writeln!(text, "\ntools:")?;
    for tool in &plugin.tools {
        writeln!(text, "  {}({})", bold(&tool.name.call), signature(tool))?;
        if let Some(description) = &tool.description {
            writeln!(text, "      {}", first_sentence(description))?;
        }
        if let Some(touches) = touches(tool) {
            writeln!(text, "      {touches}")?;
        }
        writeln!(text, "      {} {}", dim("takes"), plain(&tool.input_schema().to_string()))?;
        writeln!(text, "      {} {}", dim("gives"), plain(&tool.output_schema().to_string()))?;
        if let Some(schema) = tool.error_schema() {
            writeln!(text, "      {} {}", dim("or fails with"), plain(&schema.to_string()))?;
        }
    }
    if plugin.tools.is_empty() {
        writeln!(text, "  none")?;
    }
    if !plugin.not_tools.is_empty() {
        writeln!(text, "\nnot tools:")?;
    }
    for function in &plugin.not_tools {
        writeln!(text, "  {} because {}", plain(&function.function), function.because)?;
    }
    Ok(())
}

fn document(plugin: &Plugin) -> Value {
    let not_tools = plugin
        .not_tools
        .iter()
        .map(|function| json!({ "function": function.function, "because": function.because }));
    json!({
        "name": plugin.name,
        "digest": format!("sha256:{}", plugin.digest),
        "asks_for": plugin.asks().into_iter().map(Asks::as_str).collect::<Vec<_>>(),
        "imports": plugin.imports,
        "tools": plugin.tools.iter().map(|it| describe(&it.name.call, it)).collect::<Vec<_>>(),
        "not_tools": not_tools.collect::<Vec<_>>(),
    })
}
