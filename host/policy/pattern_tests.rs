//! Patterns against globset on whole paths, and against enumeration.

use globset::GlobBuilder;
use proptest::prelude::*;

use super::super::PathGrant;
use super::*;

fn pattern(text: &str) -> PathPattern {
    PathGrant::parse(text).unwrap().beneath("/".as_ref()).unwrap()
}

/// globset on the whole path. Its trailing `**` needs a component as ours does, except that a lone
/// one matches nothing too.
fn oracle(text: &str) -> impl Fn(&str) -> bool {
    let mut builder = GlobBuilder::new(text);
    builder.literal_separator(true).backslash_escape(true).empty_alternates(true);
    let matcher = builder.build().unwrap().compile_matcher();
    move |path| !path.is_empty() && matcher.is_match(path)
}

const NAMES: [&str; 6] = ["a", "b", "ab", "a.rs", "b.md", ".a"];

/// All paths over `NAMES` up to this depth, the root first.
fn paths(depth: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..depth {
        let below = |path: &String| {
            let path = path.clone();
            NAMES.map(|it| if path.is_empty() { it.into() } else { format!("{path}/{it}") })
        };
        last = last.iter().flat_map(below).collect();
        all.extend(last.iter().cloned());
    }
    all
}

fn component() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "**",
        "**",
        "**",
        "*",
        "a",
        "b",
        "ab",
        "a.rs",
        "*.rs",
        "a*",
        "*b*",
        "?",
        "??",
        ".*",
        "[ab]",
        "[!a]",
        "[a-b]*",
        "{a,b}",
        "{a,*.md}",
        "{,a}b",
        "\\a",
        "*.*",
        "{a{b,.rs},.a}",
    ])
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(component(), 1..6).prop_map(|parts| parts.join("/"))
}

proptest! {
    #[test]
    fn matching_agrees_with_globset(text in text()) {
        let (pattern, oracle) = (pattern(&text), oracle(&text));
        for path in paths(4) {
            prop_assert_eq!(pattern.matches(&path), oracle(&path), "{} {}", &text, &path);
        }
    }

    #[test]
    fn leading_and_covering_agree_with_enumeration(text in text()) {
        let (pattern, oracle) = (pattern(&text), oracle(&text));
        let all = paths(4);
        // A pattern of n components says all it can say within n more.
        for path in paths(1) {
            let beneath = |other: &&String| {
                path.is_empty() && !other.is_empty()
                    || other.strip_prefix(path.as_str()).is_some_and(|it| it.starts_with('/'))
            };
            let mut beneath = all.iter().filter(beneath);
            let covers = oracle(&path) && beneath.clone().all(|it| oracle(it));
            prop_assert_eq!(pattern.covers(&path), covers, "{} covers {}", &text, &path);
            if text.split('/').count() <= 3 {
                let leads = beneath.any(|it| oracle(it));
                prop_assert_eq!(pattern.leads(&path), leads, "{} leads {}", &text, &path);
            }
        }
    }

    #[test]
    fn overlapping_is_never_denied_wrongly(one in text(), other in text()) {
        let (one, other) = (pattern(&one), pattern(&other));
        let both = paths(4).iter().any(|path| one.matches(path) && other.matches(path));
        prop_assert!(one.overlaps(&other) || !both, "{:?} {:?}", one, other);
        prop_assert_eq!(one.overlaps(&other), other.overlaps(&one));
    }

    #[test]
    fn what_is_beneath_a_root_is_what_matches_there(
        text in text(),
        root in proptest::sample::select(paths(2)),
    ) {
        let grant = PathGrant::parse(&format!("/{text}")).unwrap();
        let oracle = oracle(&text);
        let beneath = grant.beneath(format!("/{root}").as_ref());
        for path in paths(2) {
            let whole = format!("{root}/{path}");
            let matches = beneath.as_ref().is_some_and(|pattern| pattern.matches(&path));
            if path.is_empty() {
                // Whether a root itself is granted, `**` says of none.
                prop_assert!(!matches || root.is_empty() || oracle(&root));
            } else {
                let expected = oracle(whole.trim_start_matches('/'));
                prop_assert_eq!(matches, expected, "{} {}", &text, &whole);
                prop_assert!(!matches || beneath.as_ref().is_some_and(|it| it.leads("")));
            }
        }
    }
}

#[test]
fn characters_are_whole() {
    for (text, path, expected) in [
        ("?", "é", true),
        ("??", "é", false),
        ("[é]", "é", true),
        ("[!a]", "é", true),
        ("[à-ü]x", "éx", true),
        ("*é", "aé", true),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("[]]", "]", true),
        ("[!]]", "]", false),
        ("[a-]", "-", true),
        ("\\[id\\].tsx", "[id].tsx", true),
        ("{a\\,b,[,}]}", "a,b", true),
        ("{a\\,b,[,}]}", "}", true),
    ] {
        assert_eq!(pattern(text).matches(path), expected, "{text} {path}");
    }
}

#[test]
fn the_base_is_what_is_literal() {
    for (text, base) in [
        ("src/*.rs", "src"),
        ("*.md", ""),
        ("**", ""),
        ("a/b/**", "a/b"),
        ("a/\\b/c", "a/b/c"),
        ("a/{b}/*", "a/b"),
    ] {
        assert_eq!(pattern(text).base(), base, "{text}");
    }
}

#[test]
fn patterns_that_meet_nowhere_do_not_overlap() {
    for (one, other, expected) in [
        ("a/**", "b/**", false),
        ("a/**", "a", false),
        ("a/**", "a/b", true),
        ("**", "a", true),
        ("*.md", "a/*.md", false),
        ("*.md", "a.rs", false),
        ("a/*/c", "a/b/d", false),
        ("**/c", "a/b/c", true),
        ("**/c", "a/**", true),
    ] {
        assert_eq!(pattern(one).overlaps(&pattern(other)), expected, "{one} {other}");
    }
}
