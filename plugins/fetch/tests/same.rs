//! The plugin's parts beside the reference server's, on generated input: what both make of it has to be equal.
//!
//! INORDER_REFERENCE_FETCH names a Python that has `mcp-server-fetch`; without it these tests are skipped, and what was learned with
//! it is in `pages`. INORDER_REFERENCE_CASES raises how many cases there are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod made;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use made::Made;
use url::Url;

/// What the reference makes of each text, or of each three.
fn reference(function: &str, asked: &[String]) -> Option<Vec<String>> {
    let Ok(python) = std::env::var("INORDER_REFERENCE_FETCH") else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped a comparison of {function}: INORDER_REFERENCE_FETCH does not name a Python with mcp-server-fetch"
        );
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.py");
    let mut command = Command::new(python);
    command.arg(script).arg(function).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let all: String = asked.iter().flat_map(|it| [it, "\0"]).collect();
    let writing = std::thread::spawn(move || stdin.write_all(all.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "the reference fails");
    let answers = String::from_utf8(output.stdout).unwrap();
    Some(answers.split_terminator('\0').map(str::to_owned).collect())
}

fn cases(usual: u64) -> u64 {
    let asked = std::env::var("INORDER_REFERENCE_CASES").ok();
    asked.map_or(usual, |it| it.parse().unwrap())
}

fn compare(asked: &[String], ours: impl Fn(&str) -> String, theirs: &[String]) {
    assert_eq!(asked.len(), theirs.len());
    let mut different = 0;
    for (case, expected) in asked.iter().zip(theirs) {
        let ours = ours(case);
        if ours != *expected {
            different += 1;
            let _ = writeln!(
                std::io::stderr(),
                "--- {case}\n--- reference\n{expected}\n--- ours\n{ours}"
            );
        }
    }
    assert_eq!(different, 0, "of {}", asked.len());
}

#[test]
fn markdown_is_the_reference_s() {
    // As a parser of HTML leaves it, and leaves it again: only then is it one tree to both.
    let parsed = |html: &str| {
        let document = dom_query::Document::fragment(html);
        document.root().first_element_child().unwrap().inner_html().to_string()
    };
    let made = (0..cases(1000)).map(|seed| parsed(&Made::new(seed).fragment()));
    let asked: Vec<String> = made.filter(|it| parsed(it) == *it).collect();
    let Some(theirs) = reference("markdown", &asked) else { return };
    compare(&asked, fetch::markdown::of_html, &theirs);
}

#[test]
fn articles_are_the_reference_s() {
    let asked: Vec<String> = (0..cases(1000) / 50).map(|seed| Made::new(seed).page()).collect();
    let Some(theirs) = reference("page", &asked) else { return };
    compare(&asked, fetch::article::of_page, &theirs);
}

#[test]
fn robots_txt_is_read_as_the_reference_reads_it() {
    let asked: Vec<[String; 3]> = (0..cases(1000)).map(|seed| Made::new(seed).robots()).collect();
    let flat: Vec<String> = asked.iter().flatten().cloned().collect();
    let Some(theirs) = reference("robots", &flat) else { return };
    for ([robots, agent, url], expected) in asked.iter().zip(theirs) {
        let allowed = fetch::robots::allows(robots.as_bytes(), agent, &Url::parse(url).unwrap());
        let ours = if allowed { "yes" } else { "no" };
        assert_eq!(ours, expected, "{agent} {url}\n{robots}");
    }
}
