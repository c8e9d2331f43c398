//! Spaces and lines of texts. Knows nothing of HTML.

/// What HTML collapses.
pub fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

/// One space for each run of space.
pub fn collapse(text: &str) -> String {
    runs(text, |_| ' ')
}

/// One line break for each run of space that has one, one space for each other.
pub fn single_spaces(text: &str) -> String {
    runs(text, |run| if run.contains(['\r', '\n']) { '\n' } else { ' ' })
}

fn runs(text: &str, instead: impl Fn(&str) -> char) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_space) {
        result += &rest[..at];
        let after = rest[at..].trim_start_matches(is_space);
        result.push(instead(&rest[at..rest.len() - after.len()]));
        rest = after;
    }
    result + rest
}

/// Puts something in front of each line, and something else where a line is empty.
pub fn each_line(text: &str, full: &str, empty: &str) -> String {
    let line = |line: &str| match line {
        "" => empty.to_owned(),
        _ => format!("{full}{line}"),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The length of the longest run of a character.
pub fn count_runs(text: &str, of: char) -> usize {
    text.split(|it| it != of).map(|run| run.chars().count()).max().unwrap_or(0)
}

/// The part of a text that begins at a character and is at most `most` characters long, and the text behind it. None if there is nothing.
pub fn window(text: &str, start: usize, most: usize) -> Option<(&str, &str)> {
    let (from, _) = text.char_indices().nth(start)?;
    let rest = &text[from..];
    let to = rest.char_indices().nth(most).map_or(rest.len(), |(at, _)| at);
    Some(rest.split_at(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_characters() {
        let text = "a\u{e9}\u{65e5}\u{1f600}e\u{301}";
        for (start, most, expected) in [
            (0, 2, Some(("a\u{e9}", "\u{65e5}\u{1f600}e\u{301}"))),
            (2, 2, Some(("\u{65e5}\u{1f600}", "e\u{301}"))),
            (4, 2, Some(("e\u{301}", ""))),
            (4, 99, Some(("e\u{301}", ""))),
            (5, 1, Some(("\u{301}", ""))),
            (6, 1, None),
            (usize::MAX, 1, None),
        ] {
            assert_eq!(window(text, start, most), expected, "{start} {most}");
        }
        assert_eq!(window("", 0, 1), None);
    }

    #[test]
    fn runs_of_space_become_one() {
        assert_eq!(single_spaces(" a \n\t b\t\tc\u{a0} d\r\n"), " a\nb c\u{a0} d\n");
        assert_eq!(collapse("a \n b"), "a b");
        assert_eq!(each_line("a\n\nb", "> ", ">"), "> a\n>\n> b");
        assert_eq!(count_runs("`a``b`", '`'), 2);
    }
}
