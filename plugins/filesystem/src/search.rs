//! The search_files tool: names and paths below a directory that match a pattern. Reads no file
//! contents.

use crate::errors::{Access, describe};
use crate::files::{Found, Kind};
use crate::glob::{Excluded, Pattern};
use crate::list::MOST;
use crate::paths::{Walk, given};

pub fn files(path: &str, pattern: &str, exclude: &[String]) -> Result<Vec<Found>, String> {
    let (pattern, excluded) = (Pattern::search(pattern)?, Excluded::new(exclude)?);
    let root = &given(path)?;
    let mut walk = Walk::new(root).map_err(|error| describe(root, Access::Read, &error))?;
    let mut found = Vec::new();
    while let Some(step) = walk.next() {
        if excluded.matches(&step) {
            continue;
        }
        if step.kind == Kind::Directory {
            // one that may not be read holds nothing that the caller could use
            let _ = walk.enter(&step);
        }
        if pattern.matches(&step.name, &step.relative) {
            if found.len() == MOST {
                return Err(format!(
                    "{root}: over {MOST} results; narrow the pattern, or leave some out with exclude_patterns"
                ));
            }
            found.push(Found { path: step.path, kind: step.kind });
        }
    }
    Ok(found)
}
