//! WIT names in JSON: `parse-URL-v2` is `parse_url_v2`. Fields and parameters may be given as JavaScript writes them, too:
//! `parseUrlV2`, which is what the tools are called with that these here take after.
//!
//! WIT names that differ only in case cannot stand in one scope, so two names of a scope never meet here; nor do they in
//! `camelCase`, since each of them has the one name that it may stand for.

use serde_json::{Map, Value};

pub fn snake_case(wit: &str) -> String {
    wit.replace('-', "_").to_ascii_lowercase()
}

/// The name that is meant by one in `camelCase`; none if it is not in that.
pub fn of_camel_case(given: &str) -> Option<String> {
    let is_camel = given.starts_with(|it: char| it.is_ascii_lowercase())
        && given.contains(|it: char| it.is_ascii_uppercase())
        && given.bytes().all(|it| it.is_ascii_alphanumeric());
    if !is_camel {
        return None;
    }
    let mut name = String::with_capacity(given.len() + 4);
    for letter in given.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    Some(name)
}

/// What it may be given as besides; none if it is but one word, or has words that begin with a digit.
pub fn camel_case(name: &str) -> Option<String> {
    let mut words = name.split('_');
    let first = words.next().filter(|it| it.starts_with(|it: char| it.is_ascii_lowercase()));
    let mut given = first?.to_owned();
    let before = given.len();
    for word in words {
        let first = word.chars().next().filter(char::is_ascii_lowercase)?;
        given.push(first.to_ascii_uppercase());
        given.push_str(&word[1..]);
    }
    (given.len() > before).then_some(given)
}

/// What an object has for a field or parameter, with the name that it has there; once as it is called, and once in
/// `camelCase`.
pub fn given<'o>(
    object: &'o Map<String, Value>,
    name: &str,
) -> [Option<(&'o String, &'o Value)>; 2] {
    [object.get_key_value(name), camel_case(name).and_then(|it| object.get_key_value(&it))]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kebab_case_with_acronyms_becomes_snake_case() {
        assert_eq!(snake_case("read-text-file"), "read_text_file");
        assert_eq!(snake_case("parse-URL-v2"), "parse_url_v2");
    }

    #[test]
    fn camel_case_stands_for_one_name() {
        for (given, name) in
            [("oldText", "old_text"), ("parseUrlV2", "parse_url_v2"), ("aB", "a_b")]
        {
            assert_eq!(of_camel_case(given).as_deref(), Some(name));
            assert_eq!(camel_case(name).as_deref(), Some(given));
        }
        for given in ["old_text", "path", "OldText", "old_Text", "old-Text", "", "ébA"] {
            assert_eq!(of_camel_case(given), None, "{given}");
        }
        for name in ["path", "v_2", "a__b", "_a", ""] {
            assert_eq!(camel_case(name).filter(|it| of_camel_case(it).is_some()), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back_it_is_the_same(name in "[a-z0-9_]{1,12}", given in "[a-zA-Z0-9]{1,8}") {
            if let Some(camel) = camel_case(&name) {
                prop_assert!(of_camel_case(&camel).is_none_or(|it| it == name), "{camel}");
            }
            if let Some(name) = of_camel_case(&given) {
                prop_assert_eq!(camel_case(&name), Some(given));
            }
        }
    }
}
