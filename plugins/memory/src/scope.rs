//! Which file a scope lies in. Reads and writes none.

use std::path::{Path, PathBuf};

/// The file of the default scope, unless `VARIABLE` names another.
const FILE: &str = ".memory/memory.jsonl";

/// As the reference server calls it.
pub const VARIABLE: &str = "MEMORY_FILE_PATH";

const LONGEST: usize = 64;

/// The file of a scope. The default scope has `memory` for a name, if it lies in its usual file.
pub fn file(scope: Option<&str>, variable: Option<&str>) -> Result<PathBuf, String> {
    let file = Path::new(variable.filter(|it| !it.is_empty()).unwrap_or(FILE));
    let Some(scope) = scope else { return Ok(file.to_owned()) };
    check(scope)?;
    Ok(file.with_file_name(format!("{scope}.jsonl")))
}

/// A scope is a part of a file's name: nothing in it may lead elsewhere, hide the file, or be read
/// differently by another file system.
fn check(scope: &str) -> Result<(), String> {
    let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "-_.".contains(it);
    let starts = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    if scope.len() <= LONGEST && scope.starts_with(starts) && scope.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "scope {scope:?}: a scope is a name of lower case letters, digits, `-`, `_` and `.`, up to {LONGEST}, that \
         begins with a letter or a digit"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_has_a_file_beside_the_default_one() {
        for (scope, variable, expected) in [
            (None, None, ".memory/memory.jsonl"),
            (Some("memory"), None, ".memory/memory.jsonl"),
            (Some("work"), None, ".memory/work.jsonl"),
            (Some("user-42.notes"), None, ".memory/user-42.notes.jsonl"),
            (None, Some(""), ".memory/memory.jsonl"),
            (None, Some("kept/graph.json"), "kept/graph.json"),
            (Some("work"), Some("kept/graph.json"), "kept/work.jsonl"),
            (Some("work"), Some("graph.json"), "work.jsonl"),
        ] {
            assert_eq!(file(scope, variable), Ok(PathBuf::from(expected)), "{scope:?}");
        }
    }

    #[test]
    fn a_scope_that_is_no_plain_name_is_refused() {
        let long = "a".repeat(65);
        for scope in
            ["", ".", "..", "../a", "a/b", "/a", "a\\b", ".a", "-a", "A", "é", "a b", "a\0", &long]
        {
            let error = file(Some(scope), None).expect_err(scope);
            assert!(error.contains("a scope is a name"), "{scope}: {error}");
        }
    }
}
