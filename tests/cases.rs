//! Runs `tests/cases/*.json`: a batch in, the report expected.
//!
//! A case is `{"about", "files"?, "write"?, "batch", "results"|"refused"}`. `results` are patterns (see
//! `support::matches`); `refused` is part of the error of a batch that cannot run at all.

use inorder::PluginSpec;
use serde::Deserialize;
use serde_json::Value;

use crate::support::{calc, grants, matches, refused, report, repository, scratch};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    #[serde(default)]
    files: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    write: Vec<String>,
    batch: Value,
    results: Option<Vec<Value>>,
    refused: Option<String>,
    /// Files after the batch.
    #[serde(default)]
    leaves: std::collections::BTreeMap<String, String>,
}

#[test]
fn every_case_gives_the_report_that_it_expects() {
    let mut paths: Vec<_> = std::fs::read_dir(repository().join("tests/cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut wrong = Vec::new();
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        let cases: Vec<Case> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in cases {
            if let Err(message) = check(&case) {
                wrong.push(format!("{}: {}: {message}", path.display(), case.about));
            }
        }
    }
    assert!(paths.len() > 2, "no cases were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn check(case: &Case) -> Result<(), String> {
    let files: Vec<_> = case.files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let write: Vec<&str> = case.write.iter().map(String::as_str).collect();
    let (root, builder) = scratch(&files);
    let filesystem = PluginSpec::builtin("filesystem", grants(&["**"], &write));
    let host = builder.plugin(filesystem).plugin(calc()).build().map_err(|it| it.to_string())?;
    match (&case.results, &case.refused) {
        (None, Some(part)) => {
            let error = refused(&host, &case.batch);
            if !error.contains(part) {
                return Err(format!("refused with: {error}"));
            }
        }
        (Some(expected), None) => {
            let report = report(&host, &case.batch);
            if !matches(&report["results"], &Value::Array(expected.clone())) {
                return Err(serde_json::to_string_pretty(&report["results"]).unwrap());
            }
        }
        _ => return Err("a case has either `results` or `refused`".to_owned()),
    }
    for (path, expected) in &case.leaves {
        let found = std::fs::read_to_string(root.path().join(path));
        if found.as_ref().ok() != Some(expected) {
            return Err(format!("left {path}: {found:?}"));
        }
    }
    Ok(())
}
