//! Names and modes as they stand in a patch, so that `git apply` and `patch` take it, and no name passes for lines of it.

use super::node::NodeId;
use super::tree::Tree;

/// Says of a file that is removed that it was empty, where no lines do: `patch` would not know.
pub const EMPTIED: &str = "index e69de29..0000000";

/// What is behind `diff --git`. Where one of two names ends, `patch` sees by quotes alone if there are blanks in them.
pub fn both(a: &str, b: &str) -> String {
    match a != b && (a.contains(' ') || b.contains(' ')) {
        true => format!("{} {}", in_quotes("a/", a), in_quotes("b/", b)),
        false => format!("{} {}", name("a/", a), name("b/", b)),
    }
}

/// A name behind the letter of its side, or none: in quotes where git puts it in some, and where it could end its line.
pub fn name(side: &str, name: &str) -> String {
    let plain = |it: char| !it.is_control() && !matches!(it, '"' | '\\' | '\u{2028}' | '\u{2029}');
    // A blank at its end is no part of it for `patch`, though it is for git.
    match name.chars().all(plain) && !name.ends_with(' ') {
        true => format!("{side}{name}"),
        false => in_quotes(side, name),
    }
}

/// A name behind `---` or `+++`, where blanks are of it up to a tab.
pub fn ended(name: &str) -> String {
    let end = if name.contains(' ') { "\t" } else { "" };
    format!("{name}{end}")
}

/// As C and git write strings.
fn in_quotes(side: &str, name: &str) -> String {
    let mut quoted = format!("\"{side}");
    for character in name.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    quoted.push_str(&format!("\\{byte:03o}"));
                }
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A file's mode: all that git knows of it is whether its owner may run it.
pub fn mode(tree: &mut Tree, id: NodeId) -> &'static str {
    match tree.lower_stat(id) {
        Ok((stat, _)) if stat.mode & 0o100 != 0 => "100755",
        _ => "100644",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_git_quotes_them() {
        for (plain, expected) in [
            ("é b", "a/é b"),
            ("a\nb", "\"a/a\\nb\""),
            ("\"a\\", "\"a/\\\"a\\\\\""),
            ("a ", "\"a/a \""),
            ("\u{1b}\u{7f}\u{2028}", "\"a/\\033\\177\\342\\200\\250\""),
        ] {
            assert_eq!(name("a/", plain), expected);
        }
        assert_eq!(both("a b", "a b"), "a/a b b/a b");
        assert_eq!(both("a b", "c"), "\"a/a b\" \"b/c\"");
        assert_eq!((ended("a/a b"), ended("a/b")), ("a/a b\t".to_owned(), "a/b".to_owned()));
    }
}
