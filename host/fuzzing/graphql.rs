//! Bodies of requests that are taken for queries of GraphQL, and so for reads.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::net::is_query;

/// The bytes are a body.
pub fn graphql(body: &[u8]) {
    if !is_query(body) {
        return;
    }
    let pairs = serde_json::from_slice::<Pairs>(body);
    assert!(pairs.is_ok(), "a query that is no JSON object");
    let pairs = pairs.map(|it| it.0).unwrap_or_default();
    // Whichever of several a server takes.
    let documents: Vec<_> = pairs.iter().filter(|(name, _)| name == "query").collect();
    assert_eq!(documents.len(), 1);
    let known = ["query", "operationName", "variables"];
    assert!(pairs.iter().all(|(name, _)| known.contains(&name.as_str())));
    let document = documents[0].1.as_str();
    assert!(document.is_some(), "a document that is no string");
    let tokens = tokens(document.unwrap_or_default());
    let first = tokens.first().map(String::as_str);
    assert!(matches!(first, Some("{" | "query" | "fragment")), "it begins with {first:?}");
    for token in &tokens {
        let changes = ["mutation", "subscription"].contains(&token.to_ascii_lowercase().as_str());
        assert!(!changes, "{document:?} says {token}");
    }
}

/// Names, and each other character by itself, outside of comments and strings.
fn tokens(document: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = document;
    while let Some(next) = rest.chars().next() {
        let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if rest.starts_with("\"\"\"") {
            let inner = &rest[3..];
            rest = inner.find("\"\"\"").map_or("", |end| &inner[end + 3..]);
        } else if next == '"' {
            let mut end = 1;
            let mut escaped = false;
            for it in rest[1..].chars() {
                end += it.len_utf8();
                if it == '\n' || it == '\r' || (it == '"' && !escaped) {
                    break;
                }
                escaped = it == '\\' && !escaped;
            }
            rest = &rest[end..];
        } else if next == '#' {
            rest = rest.find(['\n', '\r']).map_or("", |end| &rest[end..]);
        } else if is_name(next) {
            let end = rest.find(|it| !is_name(it)).unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else {
            if !matches!(next, ' ' | '\t' | '\r' | '\n' | ',' | '\u{feff}') {
                tokens.push(next.to_string());
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    tokens
}

/// An object with all that it has, twice too. Of values, only those of documents.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Pairs, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    // Half of a surrogate, say, may stand where nobody reads.
                    let value = match name.as_str() {
                        "query" => map.next_value()?,
                        _ => map.next_value::<IgnoredAny>().map(|_| Value::Null)?,
                    };
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Each)
    }
}
