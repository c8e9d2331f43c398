//! `inorder inspect`: what a component file would bring, before it is trusted with anything.

use std::io::Write as _;
use std::path::PathBuf;

use inorder::{Grants, Host, Plugin, PluginSpec};
use serde_json::{Value, json};

use crate::Ending;
use crate::load::cache_dir;
use crate::print::{bold, dim, plain};
use crate::tools::{describe, first_sentence, signature};

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
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let spec = PluginSpec::file(&args.plugin, Grants::default());
    let mut builder = Host::builder().jobs(1).plugin(spec);
    if let Some(dir) = cache_dir() {
        builder = builder.cache(dir);
    }
    let host = builder.build()?;
    let Some(plugin) = host.plugins().next() else { return Ok(Ending::AllOk) };
    let mut stdout = anstream::stdout().lock();
    if args.json {
        writeln!(stdout, "{}", serde_json::to_string_pretty(&document(plugin))?)?;
        return Ok(Ending::AllOk);
    }
    writeln!(stdout, "{} {}", bold(plain(&plugin.name)), dim(format!("sha256:{}", plugin.digest)))?;
    let asks: Vec<&str> = plugin.asks().into_iter().map(|ask| ask.as_str()).collect();
    let asks = if asks.is_empty() { "nothing".to_owned() } else { asks.join(", ") };
    writeln!(stdout, "\nasks for: {asks} {}", dim("(and gets what is granted)"))?;
    writeln!(stdout, "\nimports:")?;
    for import in &plugin.imports {
        writeln!(stdout, "  {}", plain(import))?;
    }
    if plugin.imports.is_empty() {
        writeln!(stdout, "  none")?;
    }
    writeln!(stdout, "\ntools:")?;
    for tool in &plugin.tools {
        writeln!(stdout, "  {}({})", bold(&tool.name.call), signature(tool))?;
        if let Some(text) = &tool.description {
            writeln!(stdout, "      {}", first_sentence(text))?;
        }
        writeln!(stdout, "      {} {}", dim("takes"), tool.input_schema())?;
        writeln!(stdout, "      {} {}", dim("gives"), tool.output_schema())?;
        if let Some(schema) = tool.error_schema() {
            writeln!(stdout, "      {} {schema}", dim("or fails with"))?;
        }
    }
    if plugin.tools.is_empty() {
        writeln!(stdout, "  none")?;
    }
    if !plugin.not_tools.is_empty() {
        writeln!(stdout, "\nnot tools:")?;
    }
    for function in &plugin.not_tools {
        writeln!(stdout, "  {} because {}", plain(&function.function), function.because)?;
    }
    Ok(Ending::AllOk)
}

fn document(plugin: &Plugin) -> Value {
    let not_tools = plugin
        .not_tools
        .iter()
        .map(|function| json!({ "function": function.function, "because": function.because }));
    json!({
        "name": plugin.name,
        "digest": format!("sha256:{}", plugin.digest),
        "asks_for": plugin.asks().into_iter().map(|ask| ask.as_str()).collect::<Vec<_>>(),
        "imports": plugin.imports,
        "tools": plugin.tools.iter().map(|it| describe(&it.name.call, it)).collect::<Vec<_>>(),
        "not_tools": not_tools.collect::<Vec<_>>(),
    })
}
