//! Edits as data: a text, what is replaced by what, and the text or the error afterwards.

use super::*;

fn edited(text: &str, old: &str, new: &str) -> Result<String, String> {
    let mut document = Document::new(text.into());
    document.edit(old, new)?;
    Ok(document.raw())
}

#[track_caller]
fn check(text: &str, old: &str, new: &str, expected: &str) {
    assert_eq!(edited(text, old, new).as_deref(), Ok(expected));
}

#[track_caller]
fn refused(text: &str, old: &str, part: &str) {
    let error = edited(text, old, "x").unwrap_err();
    assert!(error.contains(part), "{error}");
}

#[test]
fn text_is_replaced_where_it_occurs() {
    check("one two three", "two", "2", "one 2 three");
    check("a\nb\nc\n", "b\n", "", "a\nc\n");
    check("a\nb", "a\nb", "é", "é");
    check("$0 \\1", "$0", "$1$&", "$1$& \\1");
}

#[test]
fn text_in_no_place_or_in_several_is_refused() {
    refused("abc", "", "empty");
    refused("abc", "x", "not found: read the file");
    refused("", "x", "not found");
    refused("a\nb\n", "a\nc\n", "its first line is at line 1");
    refused("x = 1\ny\nx = 1\n", "x = 1", "occurs 2 times (at lines 1, 3)");
    refused("aaa", "aa", "occurs 2 times");
    refused(&"a\n".repeat(9), "a", "more than 5 times (at lines 1, 2, 3, 4, 5)");
    refused("  a\n   b\n  a\n b\n", "a\nb", "occurs 2 times (at lines 1, 3)");
    refused("a\n\n\nb", " \n ", "not found");
}

#[test]
fn lines_match_whatever_spaces_are_around_them() {
    check(
        "    if x {\n        y\n    }\n",
        "if x {\n    y\n}",
        "if z {\n    y\n}",
        "    if z {\n        y\n    }\n",
    );
    check(
        "\tif x {\n\t\ty\n\t}\n",
        "if x {\n    y\n}\n",
        "if x {\n    z\n    w\n}\n",
        "\tif x {\n\t\tz\n\t\tw\n\t}\n",
    );
    check("  a  \n  b", "a\nb\n", "c\nd\n", "  c\n  d");
    check("a\n  b\nc", "    b", "    d\n  e", "a\n  d\ne\nc");
    check("  a\n\n  b\n", "a\n\nb", "a\n\nc", "  a\n\n  c\n");
    check("  a\n  b\n", " a\n b\n", "", "");
    // a text without its indentation
    check("f {\n    a;\n}\n", "f {\na;\n}", "f {\nb;\nc;\n}", "f {\n    b;\n    c;\n}\n");
    check("f {\n    a;\n}\n", "f {\na;\n}", "g {\na;\n}", "g {\n    a;\n}\n");
    // less than any indentation that the text has
    check("\t\ta;\n\t\tb;\n", "    a;\n    b;", "    a;\n   }\n    b;", "\t\ta;\n\t}\n\t\tb;\n");
}

#[test]
fn line_ends_stay_as_they_are() {
    check("a\r\nb\r\nc\r\n", "b", "x\ny", "a\r\nx\r\ny\r\nc\r\n");
    check("a\r\nb\r\nc\r\n", "a\nb", "x", "x\r\nc\r\n");
    check("a\r\nb\r\nc\r\n", "\nb", "X", "aX\r\nc\r\n");
    check("a\r\nb\r\n", "a\r\nb", "b\r\na", "b\r\na\r\n");
    check("a\nb\n", "a\r\nb", "b\r\na", "b\na\n");
    check("a\nb\r\nc\nd", "b\nc", "1\n2\n3", "a\n1\r\n2\r\n3\nd");
    check("a\r\nb", "b", "c\nd", "a\r\nc\r\nd");
    check("  a\r\n  b\r\n", "a\nb", "a\nc\nb", "  a\r\n  c\r\n  b\r\n");
    check("a\rb\n", "b", "c", "a\rc\n");
}

#[test]
fn any_edit_keeps_every_line_end_that_it_does_not_touch() {
    // all texts of six line ends, each LF or CRLF; each line replaced by none to three
    for ends in 0..64u32 {
        let line = |n: u32| format!("line {n}{}", if ends >> n & 1 == 1 { "\r\n" } else { "\n" });
        let text: String = (0..6).map(line).collect();
        assert_eq!(Document::new(text.clone()).raw(), text);
        for at in 0..6 {
            for new in ["", "a\n", "a\nb\n", "a\nb\nc\n"] {
                let result = edited(&text, &format!("line {at}\n"), new).unwrap();
                let before: String = (0..at).map(line).collect();
                let after: String = (at + 1..6).map(line).collect();
                assert!(
                    result.starts_with(&before) && result.ends_with(&after),
                    "{text:?} -> {result:?}"
                );
                let own = if ends >> at & 1 == 1 { "\r\n" } else { "\n" };
                assert_eq!(
                    result[before.len()..result.len() - after.len()],
                    new.replace('\n', own)
                );
            }
        }
    }
}
