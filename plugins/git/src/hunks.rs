//! The hunks of a unified diff of two texts, as git writes them. Knows nothing of files.

use std::ops::Range;

use gix::diff::blob::{Algorithm, Diff, InternedInput};

/// Longer function lines are cut, as git does.
const HEADING: usize = 80;

/// All hunks, each with `context` lines around it. Empty if nothing differs.
pub fn unified(old: &[u8], new: &[u8], context: usize) -> Vec<u8> {
    let (old, new) = if context == 0 { without_common_end(old, new) } else { (old, new) };
    let (old, new) = (lines(old), lines(new));
    let mut input = InternedInput::default();
    input.update_before(old.iter().copied());
    input.update_after(new.iter().copied());
    let mut diff = Diff::compute(Algorithm::Myers, &input);
    diff.postprocess_lines(&input);
    let changes: Vec<(Range<usize>, Range<usize>)> =
        diff.hunks().map(|hunk| (range(&hunk.before), range(&hunk.after))).collect();

    let mut out = Vec::new();
    let mut rest = &changes[..];
    let (mut searched, mut heading) = (0, Vec::new());
    while let Some(first) = rest.first() {
        let near =
            |pair: &[(Range<usize>, Range<usize>)]| pair[1].0.start - pair[0].0.end > 2 * context;
        let count = rest.windows(2).position(near).map_or(rest.len(), |it| it + 1);
        let (hunk, later) = rest.split_at(count);
        rest = later;
        let last = &hunk[count - 1];
        let before = first.0.start.min(context);
        let after = context.min(old.len() - last.0.end);
        let shown = first.0.start - before..last.0.end + after;
        let now = first.1.start - before..last.1.end + after;
        // From the last line before the hunk back to where the search for the hunk before began.
        if let Some(found) =
            old[searched.min(shown.start)..shown.start].iter().rev().find(|line| is_heading(line))
        {
            heading = cut(found).to_vec();
        }
        searched = shown.start;
        out.extend(format!("@@ -{} +{} @@", span(&shown), span(&now)).into_bytes());
        if !heading.is_empty() {
            out.push(b' ');
            out.extend(&heading);
        }
        out.push(b'\n');
        let mut at = shown.start;
        for (removed, added) in hunk {
            old[at..removed.start].iter().for_each(|line| push(&mut out, b' ', line));
            old[removed.clone()].iter().for_each(|line| push(&mut out, b'-', line));
            new[added.clone()].iter().for_each(|line| push(&mut out, b'+', line));
            at = removed.end;
        }
        old[at..shown.end].iter().for_each(|line| push(&mut out, b' ', line));
    }
    out
}

/// Where no context is shown, git leaves out most of what both texts end with before it compares them, in
/// steps of this many bytes. It may place a change elsewhere for it.
const STEP: usize = 1024;

/// Both texts without the end that they have in common, but for the line in which it begins.
pub fn without_common_end<'t>(old: &'t [u8], new: &'t [u8]) -> (&'t [u8], &'t [u8]) {
    let steps = old.rchunks_exact(STEP).zip(new.rchunks_exact(STEP));
    let same = steps.take_while(|(a, b)| a == b).count() * STEP;
    let end = &old[old.len() - same..];
    let kept = end.iter().position(|byte| *byte == b'\n').map_or(same, |it| it + 1);
    let cut = same - kept;
    (&old[..old.len() - cut], &new[..new.len() - cut])
}

/// With their line ends.
pub fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Counted from one; an empty range is named by the line before it.
fn span(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        length => format!("{},{length}", range.start + 1),
    }
}

fn push(out: &mut Vec<u8>, sign: u8, line: &[u8]) {
    out.push(sign);
    out.extend(line);
    if line.last() != Some(&b'\n') {
        out.extend(b"\n\\ No newline at end of file\n");
    }
}

/// What git takes for the beginning of a function where no language is set for the file.
fn is_heading(line: &[u8]) -> bool {
    line.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$'))
}

fn cut(line: &[u8]) -> &[u8] {
    let line = &line[..line.len().min(HEADING)];
    let end = line.iter().rposition(|it| !matches!(it, b' ' | b'\t' | b'\n' | b'\r'));
    &line[..end.map_or(0, |it| it + 1)]
}
