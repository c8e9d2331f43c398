//! Searches compared with a plain search of each line, and the edges of what is shown.

use super::*;
use std::io::Cursor;

const NONE: Around = Around { before: 0, after: 0 };

fn hits(text: &str, pattern: &str, around: Around) -> Vec<Hit> {
    let mut hits = Vec::new();
    let end = Searcher::new(pattern, false, around)
        .unwrap()
        .search(Cursor::new(text), usize::MAX / 2, &mut hits)
        .unwrap();
    assert_eq!(end, End::Searched);
    hits
}

fn numbers(text: &str, pattern: &str) -> Vec<u32> {
    hits(text, pattern, NONE).into_iter().map(|hit| hit.line).collect()
}

#[test]
fn an_expression_matches_within_a_line() {
    for (text, pattern, expected) in [
        ("", "", vec![]),
        ("\n", "^$", vec![1]),
        ("a\n\nb", "^$", vec![2]),
        ("a\n", "x*", vec![1]),
        ("a\nb", "x*", vec![1, 2]),
        ("foo\nbar", r"foo\s+bar", vec![]),
        ("foo\nbar", "(?s)foo.bar", vec![]),
        ("\"a\nb\"", "\"[^\"]*\"", vec![]),
        ("a\nb\na", r"\Aa\z", vec![1, 3]),
        ("foo\r\nbar\r\n", "foo$", vec![1]),
        ("foo\r\nbar\r\n", "^bar$", vec![2]),
        ("foo\r\nfoo \r\n", r"foo\s", vec![2]),
        ("foo\r\nfoox", "foo[^a]", vec![2]),
        ("foo\r\nbar", r"\r", vec![1]),
        ("a a a\na", "a", vec![1, 2]),
        ("é\nÉ", "(?i)é", vec![1, 2]),
        ("жук", r"^\w+$", vec![1]),
        ("\u{feff}use a;\n", "^use", vec![1]),
        ("α", r"\p{Greek}", vec![1]),
    ] {
        assert_eq!(numbers(text, pattern), expected, "{pattern} in {text:?}");
    }
}

#[test]
fn what_cannot_match_or_compile_is_refused_with_the_reason() {
    for (pattern, part) in [
        ("a\nb", "line end"),
        (r"a\nb", "line end"),
        ("(", "unclosed group"),
        ("(?=a)", "look-around"),
        (r"(a)\1", "backreferences"),
        (r"\w{1000}{1000}", "too large"),
        ("[", "unclosed character class"),
    ] {
        let error = Searcher::new(pattern, false, NONE).err().unwrap();
        assert!(error.contains(part) && !error.contains("\n\n"), "{error}");
    }
}

#[test]
fn a_stream_of_any_length_is_searched_as_line_by_line() {
    for (width, around) in [(0, 0), (3, 1), (70, 2), (9_000, 3), (70_000, 50)] {
        let around = Around { before: around, after: around };
        let lines: Vec<String> = (0..3_000_usize.min(4_000_000 / (width + 1)))
            .map(|n| format!("{n}{}", "x".repeat(width)))
            .collect();
        for text in [lines.join("\n"), lines.join("\r\n") + "\r\n"] {
            let found = hits(&text, "^[0-9]*7x*$", around);
            let expected: Vec<usize> = (0..lines.len()).filter(|n| n % 10 == 7).collect();
            assert_eq!(found.iter().map(|hit| hit.line as usize - 1).collect::<Vec<_>>(), expected);
            for (hit, n) in found.iter().zip(expected) {
                assert_eq!(hit.before.len(), n.min(around.before));
                assert_eq!(hit.after.len(), (lines.len() - 1 - n).min(around.after));
                for (shown, line) in hit
                    .before
                    .iter()
                    .zip(&lines[n - hit.before.len()..])
                    .chain(hit.after.iter().zip(&lines[n + 1..]))
                {
                    assert_eq!(shown.trim_end_matches('…'), &line[..line.len().min(SHOWN)]);
                }
            }
        }
    }
}

#[test]
fn a_search_ends_after_as_many_hits_as_asked_for() {
    let mut hits = Vec::new();
    let mut searcher = Searcher::new("a", false, Around { before: 0, after: 1 }).unwrap();
    searcher.search(Cursor::new("a\n".repeat(200_000)), 3, &mut hits).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.line).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(hits[2].after, ["a"]);
}

#[test]
fn binary_streams_and_endless_lines_give_nothing() {
    let mut hits = Vec::new();
    let mut searcher = Searcher::new("a", false, NONE).unwrap();
    let late = [b"a\n".repeat(100_000), vec![0], b"a\n".to_vec()].concat();
    assert_eq!(searcher.search(Cursor::new(late), 200_000, &mut hits).unwrap(), End::Binary);
    assert_eq!(
        searcher.search(Cursor::new("a".repeat(LINE + 2 * CHUNK)), 9, &mut hits).unwrap(),
        End::LongLine
    );
    assert_eq!(hits, []);
    // the searcher serves the next stream as a new one would
    assert_eq!(searcher.search(Cursor::new("\na"), 9, &mut hits).unwrap(), End::Searched);
    assert_eq!(hits[0].line, 2);
}

#[test]
fn long_lines_are_cut_around_the_match() {
    let text = format!("{}needle{}", "é".repeat(2_000), "ü".repeat(2_000));
    let shown = &hits(&text, "needle", NONE)[0].text;
    assert!(
        shown.starts_with("…é") && shown.contains("needle") && shown.ends_with("ü…"),
        "{shown}"
    );
    assert!(shown.len() < SHOWN + 10);
    let end = &hits(&format!("{}needle", "x".repeat(1_000)), "needle", NONE)[0].text;
    assert!(end.ends_with("xneedle"), "{end}");
    assert_eq!(hits(&"x".repeat(SHOWN), "x", NONE)[0].text.len(), SHOWN);
    assert_eq!(hits("a", "a", NONE)[0].text, "a");
}
