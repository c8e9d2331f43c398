//! The edit_file tool: reads, applies all edits or none, answers a diff, writes. Where an edit
//! applies is decided elsewhere.

use crate::diff::unified;
use crate::errors::{Access, describe};
use crate::files::Edit;
use crate::matching::Document;
use crate::paths::given;
use crate::read;
use std::fs;

/// The largest file to edit: the text, its copy and their diff must fit into the sandbox's memory
/// together.
const MOST: u64 = 16 << 20;

pub fn file(path: &str, edits: &[Edit], dry_run: bool) -> Result<String, String> {
    let path = &given(path)?;
    if edits.is_empty() {
        return Err(format!("{path}: edits is empty"));
    }
    let raw = read::text(path, MOST)?;
    let mut document = Document::new(raw);
    let before = document.text().to_owned();
    for (index, edit) in edits.iter().enumerate() {
        document.edit(&edit.old_text, &edit.new_text).map_err(|reason| {
            format!("{path}: edit {} of {}: {reason}; nothing was changed", index + 1, edits.len())
        })?;
    }
    let diff = unified(path, &before, document.text());
    if !dry_run && !diff.is_empty() {
        fs::write(path, document.raw()).map_err(|error| describe(path, Access::Write, &error))?;
    }
    Ok(diff)
}
