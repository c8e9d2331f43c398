//! What is asked about before it becomes real: rules as text, and what they match.
//!
//! A rule grants nothing and takes nothing away: of what is granted, it names what somebody has to approve. So where a
//! grant would read a pattern narrowly, a rule reads it widely: better a question too many.

use super::grants::{GrantError, PathGrant};
use super::host::Host;
use super::hosts::{Door, NetGrant};

/// `write`, `write:docs/**`, `net` or `net:api.example.org`.
///
/// - `write` is every change of files; `write:PATTERN` those of paths that match, in the language of [`PathGrant`].
/// - `net` is every request that may change something (all but `GET`, `HEAD` and `OPTIONS`); `net:HOST` those to hosts
///   that match, as the request names them, in the language of [`NetGrant`], but for two things: without a port it is
///   any port of the host, and `*` is every host, this machine too.
#[derive(Clone, Debug, PartialEq)]
pub struct AskRule {
    text: String,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Write(Option<PathGrant>),
    Net(Option<NetGrant>),
}

impl AskRule {
    /// # Errors
    /// It is none of these forms, or its pattern cannot be enforced.
    pub fn parse(text: &str) -> Result<AskRule, GrantError> {
        let (kind, pattern) = match text.split_once(':') {
            Some((kind, pattern)) => (kind, Some(pattern)),
            None => (text, None),
        };
        let wrong = |error: GrantError| GrantError::AskPattern {
            rule: text.to_owned(),
            error: Box::new(error),
        };
        let what = match (kind, pattern) {
            ("write", None) => What::Write(None),
            ("write", Some(pattern)) => {
                What::Write(Some(PathGrant::parse(pattern).map_err(wrong)?))
            }
            ("net", None | Some("*")) => What::Net(None),
            ("net", Some(pattern)) => What::Net(Some(NetGrant::parse(pattern).map_err(wrong)?)),
            _ => return Err(GrantError::Ask(text.to_owned())),
        };
        Ok(AskRule { text: text.to_owned(), what })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is about files, and of which paths if not of all.
    pub fn of_files(&self) -> Option<Option<&PathGrant>> {
        match &self.what {
            What::Write(paths) => Some(paths.as_ref()),
            What::Net(_) => None,
        }
    }

    /// Whether it is about requests.
    pub fn is_of_requests(&self) -> bool {
        matches!(self.what, What::Net(_))
    }

    /// Whether it is about a request that changes something there.
    pub fn matches_request(&self, host: &Host, door: Door) -> bool {
        match &self.what {
            What::Net(Some(hosts)) => hosts.names(host, door),
            What::Net(None) => true,
            What::Write(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_of_files_or_of_requests() {
        let rule = |text: &str| AskRule::parse(text).unwrap();
        assert_eq!(rule("write").of_files(), Some(None));
        let docs = PathGrant::parse("docs/**").unwrap();
        assert_eq!(rule("write:docs/**").of_files(), Some(Some(&docs)));
        assert_eq!(rule("net").of_files(), None);
        assert!(rule("net:*").is_of_requests() && !rule("write").is_of_requests());
        assert_eq!(rule("net:*").text(), "net:*");
    }

    #[test]
    fn a_rule_of_a_host_asks_rather_too_much_than_too_little() {
        let host = |text: &str| Host::parse(text).unwrap();
        let door = |port| Door { port, tls: false };
        for (rule, named, port, matches) in [
            ("net", "example.org", 8080, true),
            ("net:*", "localhost", 3000, true),
            ("net:*", "127.0.0.1", 3000, true),
            ("net:example.org", "example.org", 80, true),
            ("net:example.org", "example.org", 8080, true),
            ("net:example.org:8080", "example.org", 80, false),
            ("net:example.org", "api.example.org", 80, false),
            ("net:*.example.org", "api.example.org", 81, true),
            ("net:10.0.0.0/8", "10.1.2.3", 9, true),
            ("net:*:8080", "localhost", 8080, true),
            ("net:*:8080", "localhost", 80, false),
            ("write", "example.org", 80, false),
        ] {
            let asks = AskRule::parse(rule).unwrap().matches_request(&host(named), door(port));
            assert_eq!(asks, matches, "{rule}: {named}:{port}");
        }
    }

    #[test]
    fn what_is_no_rule_says_what_would_be_one() {
        for (text, names) in [
            ("read", "reads are never asked about"),
            ("writes", "`write:docs/**`"),
            ("", "`write:docs/**`"),
            ("write:", "names nothing"),
            ("write:../x", "leads out of its root"),
            ("write:**.md", "whole components"),
            ("net:https://a.org", "it is a URL"),
            ("net:", "it names no host"),
        ] {
            let error = AskRule::parse(text).unwrap_err().to_string();
            assert!(error.contains(names) && error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
