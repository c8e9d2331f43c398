//! `inorder check`: would a stranger's model and a stranger's host get on with this plugin?
//!
//! Loads it as users will, reads what it offers (`pitfalls`), and calls each of its tools with made-up arguments
//! (`calls`, `generate`) in dry runs, so that nothing is changed by it.

mod calls;
mod generate;
mod pitfalls;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use inorder::{
    Asks, Config, EnvGrant, Grants, HostBuilder, LimitsConfig, NetGrant, PathGrant, Plugin,
    PluginSpec, builtins, parse_duration,
};
use serde_json::json;

use crate::Ending;
use crate::load::LoadArgs;
use crate::print::{bad, bold, dim, good, line, out, out_styled, plain, time};

/// Try a plugin before others do: names, descriptions, schemas, grants, and calls with made-up arguments
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder check my.wasm                                    it may use all of a made-up folder
  inorder check my.wasm --config inorder.toml              with what the config grants it
  inorder check my.wasm --root . --allow-read 'src/**'     on files of yours

Every call is a dry run with a time limit: what it writes, and requests other than GET, HEAD and OPTIONS, do not happen.
Exit code 1: a call trapped, ran out of time or broke what its plugin declares (or, with --strict, there was a warning).")]
pub struct Args {
    /// A WASI component
    plugin: PathBuf,
    /// Grants of this config, of the plugin with this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["allow_read", "allow_write", "allow_net", "allow_env"])]
    config: Option<PathBuf>,
    /// A directory that calls see [default: a new one, with a few small files]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// What it may read [default: all of the made-up folder]
    #[arg(long, value_name = "GLOB", value_parser = PathGrant::parse)]
    allow_read: Vec<PathGrant>,
    /// What it may write (and read) [default: all of the made-up folder]
    #[arg(long, value_name = "GLOB", value_parser = PathGrant::parse)]
    allow_write: Vec<PathGrant>,
    /// Hosts that it may send requests to
    #[arg(long, value_name = "HOST", value_parser = NetGrant::parse)]
    allow_net: Vec<NetGrant>,
    /// Variables that it sees: NAME, or NAME=value
    #[arg(long, value_name = "NAME", value_parser = EnvGrant::parse)]
    allow_env: Vec<EnvGrant>,
    /// Calls of each tool
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    calls: u16,
    /// What the calls are made up from: the same number makes the same calls
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Wall clock of one call
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    timeout: Duration,
    /// Warnings fail the check too
    #[arg(long)]
    strict: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: LoadArgs,
}

/// Something to be mended, or to be known.
pub struct Finding {
    pub weight: Weight,
    /// The tool that it is about; none, if it is about the plugin.
    pub tool: Option<String>,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It does not work.
    Error,
    /// It does not work everywhere, or not well.
    Warning,
    /// Users will want to know.
    Note,
}

impl Weight {
    fn as_str(self) -> &'static str {
        match self {
            Weight::Error => "error",
            Weight::Warning => "warning",
            Weight::Note => "note",
        }
    }
}

impl Finding {
    pub fn of(weight: Weight, tool: &str, text: impl Into<String>) -> Finding {
        Finding { weight, tool: Some(tool.to_owned()), text: text.into() }
    }

    pub fn of_plugin(weight: Weight, text: impl Into<String>) -> Finding {
        Finding { weight, tool: None, text: text.into() }
    }
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let scratch = tempfile::tempdir().context("cannot make a folder to check in")?;
    let root = match &args.root {
        Some(root) => root.clone(),
        None => {
            made_up_files(scratch.path()).context("cannot make files to check with")?;
            scratch.path().to_owned()
        }
    };
    let (grants, said) = grants(args)?;
    let mut spec = PluginSpec::file(&args.plugin, grants.clone());
    spec.limits = LimitsConfig { timeout: Some(args.timeout), ..LimitsConfig::default() };
    let began = Instant::now();
    let host = args.load.builder().root(root).plugin(spec).build()?;
    let loaded = began.elapsed();
    let Some(plugin) = host.plugins().next() else { return Ok(Ending::AllOk) };
    let mut findings = pitfalls::of_plugin(plugin, &builtin_tools(&args.load)?);
    findings.extend(ungranted(plugin, &grants, said));
    let counts = calls::run(&host, plugin, u64::from(args.calls), args.seed, &mut findings)?;
    findings.sort_by(|one, two| (one.weight, &one.tool).cmp(&(two.weight, &two.tool)));
    if args.json {
        out(&(document(plugin, &findings, &counts) + "\n"))?;
    } else {
        out_styled(&summary(plugin, &findings, &counts, loaded)?)?;
    }
    let worst = findings.iter().map(|it| it.weight).min();
    let fails = if args.strict { Weight::Warning } else { Weight::Error };
    Ok(if worst.is_some_and(|worst| worst <= fails) { Ending::CallFailed } else { Ending::AllOk })
}

/// Names that plugins of one's own had better not use.
pub fn builtin_tools(load: &LoadArgs) -> anyhow::Result<BTreeSet<String>> {
    let builtin = builtins().iter().map(|it| PluginSpec::builtin(it.name, Grants::default()));
    let host = builtin.fold(load.builder(), HostBuilder::plugin).build()?;
    Ok(host.tools().map(|(name, ..)| name.to_owned()).collect())
}

/// What there is to say of a plugin without calling its tools.
pub fn told_of(plugin: &Plugin, builtin: &BTreeSet<String>) -> Result<String, std::fmt::Error> {
    let mut findings = pitfalls::of_plugin(plugin, builtin);
    findings.sort_by(|one, two| (one.weight, &one.tool).cmp(&(two.weight, &two.tool)));
    let mut text = String::new();
    tell(&mut text, &findings)?;
    Ok(text)
}

/// What the plugin may do, and whether the user said so.
fn grants(args: &Args) -> anyhow::Result<(Grants, Said)> {
    if let Some(path) = &args.config {
        let config = Config::read(path).map_err(inorder::Error::from)?;
        let same = |one: &Path| match (one.canonicalize(), args.plugin.canonicalize()) {
            (Ok(one), Ok(two)) => one == two,
            _ => false,
        };
        let named = config
            .plugins
            .values()
            .find(|it| it.path.as_ref().is_some_and(|path| same(&config.base.join(path))));
        let plugin = named.with_context(|| {
            format!(
                "the config {} has no plugin with the path {}",
                path.display(),
                args.plugin.display()
            )
        })?;
        return Ok((plugin.grants.clone(), Said::Yes));
    }
    let mut grants = Grants {
        read: args.allow_read.clone(),
        write: args.allow_write.clone(),
        net: args.allow_net.clone(),
        env: args.allow_env.clone(),
        ..Grants::default()
    };
    if grants != Grants::default() || args.root.is_some() {
        return Ok((grants, Said::Yes));
    }
    grants.write.push(PathGrant::parse("**")?);
    Ok((grants, Said::No))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    No,
}

/// What it asks for and is not granted.
fn ungranted(plugin: &Plugin, grants: &Grants, said: Said) -> Vec<Finding> {
    let mut findings = Vec::new();
    for asks in plugin.asks() {
        let missing = match asks {
            Asks::Files => grants.read.is_empty() && grants.write.is_empty(),
            Asks::Network => grants.net.is_empty(),
            Asks::Environment => grants.env.is_empty(),
            Asks::StandardStreams | Asks::Clocks | Asks::Random => false,
        };
        // Most languages import all of WASI, whether a tool uses it or not.
        if missing && said == Said::Yes {
            let text = format!("it imports {}, of which it is granted nothing", asks.as_str());
            findings.push(Finding::of_plugin(Weight::Note, text));
        }
    }
    findings
}

fn made_up_files(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir(dir.join("dir"))?;
    for (name, text) in [
        (generate::FILE, "one\ntwo\nthree\n"),
        ("dir/b.md", "# A heading\n\nwith a *paragraph*\n"),
        ("data.json", "{\"a\": [1, 2, 3]}\n"),
        ("empty", ""),
    ] {
        std::fs::write(dir.join(name), text)?;
    }
    std::fs::write(dir.join("binary"), [0, 159, 146, 150])
}

fn summary(
    plugin: &Plugin,
    findings: &[Finding],
    counts: &calls::Counts,
    loaded: Duration,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    tell(&mut text, findings)?;
    let of = |weight| findings.iter().filter(|it| it.weight == weight).count();
    let (errors, warnings) = (of(Weight::Error), of(Weight::Warning));
    let verdict = match (errors, warnings) {
        (0, 0) => good("nothing to mend").to_string(),
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    writeln!(
        text,
        "{}: {}, loaded in {}; {} ({} ok, {} answered with the tool's own error): {verdict}",
        bold(line(&plugin.name, 60)),
        count(plugin.tools.len(), "tool"),
        time(loaded),
        count(counts.calls, "call"),
        counts.ok,
        counts.own_errors,
    )?;
    Ok(text)
}

fn tell(text: &mut String, findings: &[Finding]) -> std::fmt::Result {
    for finding in findings {
        let weight = match finding.weight {
            Weight::Error => bad("error").to_string(),
            Weight::Warning => bold("warning").to_string(),
            Weight::Note => dim("note").to_string(),
        };
        let about = finding.tool.as_ref().map(|tool| format!("{}: ", bold(plain(tool))));
        writeln!(text, "{weight}: {}{}", about.unwrap_or_default(), plain(&finding.text))?;
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn document(plugin: &Plugin, findings: &[Finding], counts: &calls::Counts) -> String {
    let findings: Vec<_> = findings
        .iter()
        .map(|it| json!({ "weight": it.weight.as_str(), "tool": it.tool, "text": it.text }))
        .collect();
    let document = json!({
        "plugin": plugin.name,
        "tools": plugin.tools.len(),
        "calls": counts.calls,
        "ok": counts.ok,
        "own_errors": counts.own_errors,
        "findings": findings,
    });
    format!("{document:#}")
}
