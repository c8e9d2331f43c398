//! Unified diffs of two texts. Knows no files.
//!
//! Only the algorithm is taken from `similar`: its `TextDiff` chooses among six at run time, all of
//! which would be compiled in, a quarter of this component.

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{DiffTag, group_diff_ops};
use std::fmt::Write;
use std::ops::Range;

/// Lines shown around each change.
const CONTEXT: usize = 3;

/// What turns one text into the other; empty if nothing does.
pub fn unified(path: &str, before: &str, after: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let (old, new) = (old.as_slice(), new.as_slice());
    let mut hook = Compact::new(Replace::new(Capture::new()), old, new);
    let Ok(()) = myers::diff(&mut hook, old, 0..old.len(), new, 0..new.len());
    let changes = hook.into_inner().into_inner().into_ops();

    let mut diff = String::new();
    for hunk in group_diff_ops(changes, CONTEXT) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        if diff.is_empty() {
            let _ = write!(diff, "--- {path}\n+++ {path}\n");
        }
        let old_lines = first.old_range().start..last.old_range().end;
        let new_lines = first.new_range().start..last.new_range().end;
        let _ = writeln!(diff, "@@ -{} +{} @@", extent(old_lines), extent(new_lines));
        for change in hunk {
            let (tag, from, to) = change.as_tag_tuple();
            match tag {
                DiffTag::Equal => lines(&mut diff, ' ', &old[from]),
                DiffTag::Delete => lines(&mut diff, '-', &old[from]),
                DiffTag::Insert => lines(&mut diff, '+', &new[to]),
                DiffTag::Replace => {
                    lines(&mut diff, '-', &old[from]);
                    lines(&mut diff, '+', &new[to]);
                }
            }
        }
    }
    diff
}

/// Where a hunk lies: the number of its first line, or of the line before it if it has none, and
/// how many it has unless that is one.
fn extent(lines: Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        count => format!("{},{count}", lines.start + 1),
    }
}

fn lines(diff: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        diff.push(sign);
        diff.push_str(line);
        if !line.ends_with('\n') {
            diff.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diffs_are_unified() {
        for (before, after, expected) in [
            ("", "", ""),
            ("x\n", "x\n", ""),
            ("1\n2\n3\n", "1\ntwo\n3\n", "@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n"),
            ("", "a\n", "@@ -0,0 +1 @@\n+a\n"),
            ("a\n", "", "@@ -1 +0,0 @@\n-a\n"),
            ("a", "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"),
            ("1\n2\n3\n4\n5\n", "1\n2\n3\n4\nx\n5\n", "@@ -2,4 +2,5 @@\n 2\n 3\n 4\n+x\n 5\n"),
            (
                "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
                "one\n2\n3\n4\n5\n6\n7\n8\nnine\n",
                "@@ -1,4 +1,4 @@\n-1\n+one\n 2\n 3\n 4\n@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+nine\n",
            ),
        ] {
            let header = if expected.is_empty() { "" } else { "--- a/b\n+++ a/b\n" };
            assert_eq!(unified("a/b", before, after), format!("{header}{expected}"));
        }
    }
}
