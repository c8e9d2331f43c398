//! Queries of GraphQL, told from mutations by what a request holds, since both are sent by `POST`.
//!
//! No parser: outside of strings a document says `mutation` and `subscription` by these letters alone, so that one in which neither word
//! occurs at all holds none, however a server reads it. What is not plainly a query is taken for a change.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_LENGTH,
    CONTENT_TYPE, COOKIE, HOST, HeaderName, USER_AGENT,
};
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::begun::Begun;

/// Any other header could make something else of a request: another method, another path, another coding of the body.
const HEADERS: [HeaderName; 10] = [
    ACCEPT,
    ACCEPT_CHARSET,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    AUTHORIZATION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    COOKIE,
    HOST,
    USER_AGENT,
];

/// Whether a request to a GraphQL endpoint may be a query, by its head.
pub fn may_be_query(method: &Method, headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return false };
    *method == Method::POST
        && headers.keys().all(|name| HEADERS.contains(name))
        && content_type.to_str().is_ok_and(is_json)
}

/// In UTF-8, which is the only coding that JSON has; some servers believe another one that is named.
fn is_json(content_type: &str) -> bool {
    let content_type = content_type.to_ascii_lowercase();
    let (kind, rest) = content_type.split_once(';').unwrap_or((&content_type, ""));
    kind.trim() == "application/json" && matches!(rest.trim(), "" | "charset=utf-8")
}

/// All of a body, if it is a query and nothing else.
pub fn query(body: &Begun) -> Option<Bytes> {
    body.whole().filter(|body| is_query(body)).cloned()
}

/// A request as "GraphQL over HTTP" has it. Names that are there twice, and names of nobody knows what (a stored operation, say), are errors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    #[serde(borrow)]
    query: Cow<'a, str>,
    #[serde(borrow, rename = "operationName")]
    operation: Option<Cow<'a, str>>,
    #[serde(rename = "variables")]
    _variables: Option<IgnoredAny>,
}

/// Whether a body is a query and nothing else.
pub fn is_query(body: &[u8]) -> bool {
    // What serde passes over it does not look into: whether that is UTF-8, say.
    let Ok(body) = std::str::from_utf8(body) else { return false };
    // It takes a list of its fields for a struct too.
    let object = body.trim_ascii_start().starts_with('{');
    let Some(asked) = object.then(|| serde_json::from_str::<Asked>(body)).and_then(Result::ok)
    else {
        return false;
    };
    let document = asked.query.to_ascii_lowercase();
    begins_as_query(&asked.query)
        && ["mutation", "subscription"].iter().all(|word| !document.contains(word))
        // An operation of this document, not one that the server knows by name.
        && asked.operation.is_none_or(|name| asked.query.contains(&*name))
}

/// Whether a document begins with a query or a fragment, and is not, say, the name of a stored one.
fn begins_as_query(document: &str) -> bool {
    let mut rest = document;
    loop {
        rest = rest.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', ',']);
        let Some(comment) = rest.strip_prefix('#') else { break };
        rest = comment.find(['\r', '\n']).map_or("", |end| &comment[end..]);
    }
    let word = rest.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').next();
    rest.starts_with('{') || matches!(word, Some("query" | "fragment"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_query_is_told_by_its_document() {
        for body in [
            r#"{"query":"{viewer{id}}"}"#,
            r#" {"query":"query A($id: ID!) { issue(id: $id) { title } }","variables":{"id":"mutation"},"operationName":"A"}"#,
            r##"{"query":"\ufeff# a comment\n ,fragment F on Issue { id } query { issue { ...F } }","operationName":null}"##,
            r#"{"operationName":"A","variables":null,"query":"\u0071uery A{a}"}"#,
        ] {
            assert!(is_query(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn what_is_not_plainly_a_query_is_none() {
        for body in [
            r#"{"query":"mutation { issueDelete(id: \"x\") { success } }"}"#,
            r#"{"query":"\u006dutation { a }"}"#,
            r#"{"query":"query A { a } mutation B { b }","operationName":"A"}"#,
            r#"{"query":"query A { a }\nmutation B { b }","operationName":"B"}"#,
            r#"{"query":"{a} # mutation"}"#,
            r#"{"query":"subscription { a }"}"#,
            // By a name that the document does not define.
            r#"{"query":"{ a }","operationName":"Stored"}"#,
            r#"{"query":"{ a }","extensions":{"persistedQuery":{"sha256Hash":"x"}}}"#,
            r#"{"id":"x"}"#,
            r#"{"query":"{ a }","id":"x"}"#,
            r#"{"query":"3f2a91c"}"#,
            r#"{"query":"queryStored"}"#,
            r#"{"query":"upsert { a }"}"#,
            r#"{"query":""}"#,
            r#"{"query":null}"#,
            // Which of the two is taken is up to the server.
            r#"{"query":"{ a }","query":"mutation { b }"}"#,
            r#"{"query":"mutation { b }","query":"{ a }"}"#,
            r#"{"query":"{ a }","\u0071uery":"{ a }"}"#,
            r#"[{"query":"{ a }"},{"query":"mutation { b }"}]"#,
            r#"[{"query":"{ a }"}]"#,
            r#"["{ a }",null,null]"#,
            r#"{"query":"{ a }"} {"query":"mutation { b }"}"#,
            "\u{feff}{\"query\":\"{ a }\"}",
            r#"{"query":"{ a }""#,
            r#"{'query':'{ a }'}"#,
            "query=%7Ba%7D",
            "",
        ] {
            assert!(!is_query(body.as_bytes()), "{body}");
        }
        assert!(!is_query(b"{\"query\":\"{ a \xff }\"}"));
        assert!(!is_query(b"{\"query\":\"{ a }\",\"variables\":\"\xff\"}"));
    }

    #[test]
    fn a_head_that_could_change_what_is_asked_is_no_query_s() {
        let may = |method: Method, headers: &[(&'static str, &'static str)]| {
            let header =
                |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
            may_be_query(&method, &headers.iter().map(header).collect())
        };
        let json = ("content-type", "application/json");
        assert!(may(
            Method::POST,
            &[json, ("accept", "*/*"), ("user-agent", "x"), ("authorization", "x")]
        ));
        assert!(may(Method::POST, &[("content-type", "Application/JSON; charset=UTF-8")]));
        for header in [
            ("x-http-method-override", "DELETE"),
            ("x-http-method", "DELETE"),
            ("x-method-override", "PUT"),
            ("x-original-url", "/rest/delete"),
            ("content-encoding", "gzip"),
            ("x-anything", "1"),
        ] {
            assert!(!may(Method::POST, &[json, header]), "{header:?}");
        }
        for content_type in [
            "text/plain",
            "application/graphql",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/json; charset=utf-7",
            "application/json, text/plain",
        ] {
            assert!(!may(Method::POST, &[("content-type", content_type)]), "{content_type}");
        }
        assert!(!may(Method::POST, &[]));
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!may(method, &[json]));
        }
        let mut twice = HeaderMap::new();
        twice.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        twice.append(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert!(!may_be_query(&Method::POST, &twice));
    }
}
