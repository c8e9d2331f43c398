//! The grep tool beside ripgrep: on random trees (`generate`), both must find the same lines in the same
//! files, in the same order, with the same lines around them.
//!
//! ripgrep is run with what the tool promises in `wit/filesystem.wit`: `--crlf`, since `$` is the end of a
//! line whichever it has; `--no-require-git` where there is no repository, since .gitignore counts there too;
//! `--no-ignore-global`, since the rules of a user lie outside what the plugin may read. Where the two are
//! meant to differ, there is an `Exception`.
//!
//! Not generated is what differs between versions of ripgrep (a carriage return within a line, rules that are
//! not UTF-8, `\A` and `\z`, a repository below rules of a tree that is none), and what only the tool can do:
//! find `\r`, which `--crlf` refuses, and take `./*.rs` and `[id].tsx` for what they are meant to be. Nor what
//! only ripgrep can: names that are not UTF-8, and the rules above a path that goes up by `..`.

mod generate;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use inorder::PluginSpec;
use serde_json::{Value, json};

use crate::serial::rng::Rng;
use crate::support::{grants, matches, report, scratch};
use generate::{Query, Tree};

const QUERIES: usize = 25;
const SEED: u64 = 13;

/// Where the tool is meant to answer otherwise than ripgrep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exception {
    /// ripgrep shows matches of a binary file that is named: to a model the file is an error, and why.
    NamedBinary,
    /// ripgrep shows what it found in a file before it came to a NUL byte; the tool shows nothing of a binary
    /// file, wherever the byte is.
    LateNul,
    /// A `-g` of ripgrep also brings back what is hidden or ignored, so that `*` searches .git. A glob of the
    /// tool only narrows.
    GlobOnlyNarrows,
    /// ripgrep shows a long line whole.
    LongLine,
}

#[derive(Debug)]
struct Line {
    path: String,
    line: u64,
    text: String,
    /// Where in the text the first match is.
    at: usize,
    before: Vec<String>,
    after: Vec<String>,
}

/// What was met in all trees.
#[derive(Default)]
struct Seen {
    queries: usize,
    lines: usize,
    failed: usize,
    exceptions: BTreeMap<Exception, usize>,
}

impl Seen {
    fn except(&mut self, exception: Exception) {
        *self.exceptions.entry(exception).or_default() += 1;
    }
}

#[test]
fn grep_finds_what_ripgrep_finds() {
    if Command::new("rg").arg("--version").output().is_err() {
        let needs = "needs ripgrep to compare with";
        assert!(std::env::var_os("INORDER_REQUIRE_KIT").is_none(), "{needs}");
        let _ = writeln!(std::io::stderr(), "skipped grep_finds_what_ripgrep_finds: {needs}");
        return;
    }
    let trees = std::env::var("INORDER_GREP").map_or(20, |it| it.parse().unwrap());
    let mut seen = Seen::default();
    for seed in 0..trees {
        compare(SEED + seed, &mut seen);
    }
    println!(
        "{trees} trees, {} queries: {} lines equal, {} refused by both; exceptions met: {:?}",
        seen.queries, seen.lines, seen.failed, seen.exceptions
    );
    assert!(seen.lines > seen.queries, "the queries found next to nothing");
}

/// All queries of a tree as one batch, each beside ripgrep.
fn compare(seed: u64, seen: &mut Seen) {
    let rng = &mut Rng::new(seed);
    let (root, builder) = scratch(&[]);
    let tree = generate::tree(rng, root.path());
    let queries: Vec<Query> = (0..QUERIES).map(|_| generate::query(rng, &tree)).collect();
    let files = PluginSpec::builtin("filesystem", grants(&["**"], &[]));
    let host = builder.plugin(files).build().unwrap();
    let calls: Vec<Value> = queries.iter().map(call).collect();
    let report = report(&host, &json!({"calls": calls}));
    let mut wrong = Vec::new();
    for ((query, call), result) in
        queries.iter().zip(&calls).zip(report["results"].as_array().unwrap())
    {
        if let Err(difference) = compare_one(root.path(), &tree, query, result, seen) {
            wrong.push(format!("{}\n{difference}", call["args"]));
        }
    }
    if !wrong.is_empty() {
        let count = wrong.len();
        wrong.truncate(3);
        panic!("seed {seed}, {}: {count} differ\n{}", root.keep().display(), wrong.join("\n\n"));
    }
}

fn call(query: &Query) -> Value {
    json!({"tool": "grep", "args": {
        "path": query.path, "pattern": query.pattern, "glob": query.glob, "ignore_case": query.ignore_case,
        "before": query.before, "after": query.after, "max_results": query.max_results,
    }})
}

fn compare_one(
    root: &Path,
    tree: &Tree,
    query: &Query,
    result: &Value,
    seen: &mut Seen,
) -> Result<(), String> {
    seen.queries += 1;
    let expected = expected(root, tree, query, seen);
    let (mut expected, result) = match (expected, result["status"].as_str()) {
        (Ok(_), _) if is_binary(&root.join(&query.path)) => {
            seen.except(Exception::NamedBinary);
            let told = matches(result, &json!({"error": {"message": "..: binary file .."}}));
            return told.then_some(()).ok_or_else(|| format!("not told to be binary: {result}"));
        }
        (Ok(expected), Some("ok")) => (expected, &result["value"]),
        (Err(_), Some("error")) => {
            seen.failed += 1;
            return Ok(());
        }
        (expected, _) => return Err(format!("{result}\nripgrep: {expected:?}")),
    };
    if result["skipped"] != json!([]) {
        return Err(format!("skipped {}", result["skipped"]));
    }
    let truncated = expected.len() > query.max_results;
    expected.truncate(query.max_results);
    let found = result["matches"].as_array().unwrap();
    for (n, line) in expected.iter().enumerate() {
        let found = found.get(n).unwrap_or(&Value::Null);
        if !equal(line, found, seen) {
            return Err(format!("match {n}: {found}\nripgrep: {line:?}"));
        }
    }
    if found.len() > expected.len() || result["truncated"] != truncated {
        return Err(format!(
            "truncated: {}, and more: {:?}",
            result["truncated"],
            found.get(expected.len())
        ));
    }
    seen.lines += expected.len();
    Ok(())
}

fn is_binary(file: &Path) -> bool {
    // UTF-16 is text.
    std::fs::read(file).is_ok_and(|bytes| {
        bytes.contains(&0) && !bytes.starts_with(b"\xff\xfe") && !bytes.starts_with(b"\xfe\xff")
    })
}

fn equal(line: &Line, found: &Value, seen: &mut Seen) -> bool {
    let lines = |expected: &[String], found: &Value, seen: &mut Seen| {
        let found = found.as_array().map_or(&[][..], |it| it);
        expected.len() == found.len()
            && expected.iter().zip(found).all(|(line, it)| shown(line, 0, it, seen))
    };
    found["path"] == line.path
        && found["line"] == line.line
        && shown(&line.text, line.at, &found["text"], seen)
        && lines(&line.before, &found["before"], seen)
        && lines(&line.after, &found["after"], seen)
}

/// Whether a line is as it should be shown: whole, or if it is long the part with the match.
fn shown(line: &str, at: usize, found: &Value, seen: &mut Seen) -> bool {
    let found = found.as_str().unwrap_or_default();
    if line.len() <= 500 {
        return found == line;
    }
    seen.except(Exception::LongLine);
    let part = found.trim_matches('…').as_bytes();
    // A line may repeat itself: any place will do.
    let mut places = line.as_bytes().windows(part.len().max(490)).enumerate();
    places.any(|(start, it)| it == part && (start..=start + part.len()).contains(&at))
}

/// What ripgrep finds, with what the tool promises; the reason if it fails.
fn expected(root: &Path, tree: &Tree, query: &Query, seen: &mut Seen) -> Result<Vec<Line>, String> {
    let mut command = rg(root, "--json");
    command.args(["--crlf", "--no-mmap", "-e", query.pattern]);
    command.arg(format!("-B{}", query.before)).arg(format!("-A{}", query.after));
    if query.ignore_case {
        command.arg("-i");
    }
    if !tree.repository {
        command.arg("--no-require-git");
    }
    let output = answer(command.arg("--").arg(&query.path))?;
    let mut lines = lines(&output.stdout, query, seen);
    if let Some(glob) = query.glob {
        let below = query.path.trim_start_matches("./").trim_end_matches('/');
        // A glob never counts for a file that is named.
        if let Some(wanted) = wanted(root, below, glob)? {
            seen.except(Exception::GlobOnlyNarrows);
            lines.retain(|line| wanted.contains(&line.path));
        }
    }
    Ok(lines)
}

/// The files below a directory that ripgrep's `-g` names, whether they are ignored or not.
fn wanted(root: &Path, below: &str, glob: &str) -> Result<Option<BTreeSet<String>>, String> {
    let directory = root.join(below);
    let counts = directory.is_dir();
    let mut command = rg(if counts { &directory } else { root }, "--files");
    command.args(["--no-ignore", "--hidden", "-g", glob]);
    let names = String::from_utf8(answer(&mut command)?.stdout).unwrap();
    if !counts {
        return Ok(None);
    }
    let prefix = if matches!(below, "" | ".") { String::new() } else { format!("{below}/") };
    Ok(Some(names.lines().map(|name| format!("{prefix}{name}")).collect()))
}

fn rg(directory: &Path, mode: &str) -> Command {
    let mut command = Command::new("rg");
    command.current_dir(directory).args([mode, "--no-config", "--no-ignore-global", "--sort=path"]);
    command
}

fn answer(command: &mut Command) -> Result<Output, String> {
    let output = command.output().unwrap();
    // 1 is that there is nothing.
    match output.status.code() {
        Some(0 | 1) => Ok(output),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The matches that ripgrep's JSON tells, each with the lines around it, of which some may be matches.
fn lines(output: &[u8], query: &Query, seen: &mut Seen) -> Vec<Line> {
    let mut found = Vec::new();
    let (mut matches, mut texts) = (Vec::new(), BTreeMap::new());
    for event in serde_json::Deserializer::from_slice(output).into_iter::<Value>() {
        let event = event.unwrap();
        let (kind, data) = (event["type"].as_str().unwrap(), &event["data"]);
        if matches!(kind, "match" | "context") {
            let number = data["line_number"].as_u64().unwrap();
            texts.insert(number, text(&data["lines"]));
            if kind == "match" {
                let at = data["submatches"][0]["start"].as_u64().unwrap_or(0);
                matches.push((number, at as usize));
            }
        }
        if kind != "end" {
            continue;
        }
        let (matches, texts) = (std::mem::take(&mut matches), std::mem::take(&mut texts));
        if !data["binary_offset"].is_null() {
            seen.except(Exception::LateNul);
            continue;
        }
        let range = |from: u64, to: u64| texts.range(from..to).map(|(_, it)| it.clone()).collect();
        let path = text(&data["path"]);
        found.extend(matches.iter().map(|&(line, at)| Line {
            path: path.strip_prefix("./").unwrap_or(&path).into(),
            line,
            text: texts[&line].clone(),
            at,
            before: range(line.saturating_sub(query.before as u64), line),
            after: range(line + 1, line + 1 + query.after as u64),
        }));
    }
    found
}

fn text(value: &Value) -> String {
    let text = match (value["text"].as_str(), value["bytes"].as_str()) {
        (Some(text), _) => text.to_owned(),
        (_, bytes) => {
            let bytes = BASE64_STANDARD.decode(bytes.unwrap()).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    text.strip_suffix('\r').unwrap_or(text).to_owned()
}
