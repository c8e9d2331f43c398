//! Endpoints that the user declares to be GraphQL's, so that queries sent there count as reads.
//!
//! Whether a request is a query is `net/`'s to say. This grants nothing: the host has to be granted too.

use super::grants::GrantError;
use super::host::Host;
use super::hosts::{Door, NetGrant};

/// One host and one path: `api.example.org/graphql`, `localhost:3000/graphql`. Ports are those of a [`NetGrant`].
#[derive(Clone, Debug, PartialEq)]
pub struct GraphqlEndpoint {
    host: NetGrant,
    path: String,
}

impl GraphqlEndpoint {
    /// # Errors
    /// It is not one host, without wildcards, with a path.
    pub fn parse(text: &str) -> Result<GraphqlEndpoint, GrantError> {
        let wrong = |problem| GrantError::Graphql { endpoint: text.to_owned(), problem };
        if text.contains("://") {
            return Err(wrong("write it without `https://`, as in `api.example.org/graphql`"));
        }
        let slash = text.find('/');
        let slash = slash.ok_or(wrong("a path is missing, as in `api.example.org/graphql`"))?;
        let (host, path) = text.split_at(slash);
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'*'))
        {
            return Err(wrong(
                "its path is one, as it is sent: no `?`, `#` or `*`, and nothing outside of ASCII",
            ));
        }
        let host = NetGrant::parse(host)?;
        if host.host().is_none() || host.any_port() {
            return Err(wrong("it is one host, and one port: no `*` and no range"));
        }
        Ok(GraphqlEndpoint { host, path: path.to_owned() })
    }

    /// As it is written, cleaned.
    pub fn pattern(&self) -> String {
        format!("{}{}", self.host.pattern(), self.path)
    }

    /// Whether a request goes there. One with a query in its URL does not.
    pub fn matches(&self, host: &Host, door: Door, path_and_query: &str) -> bool {
        self.path == path_and_query && self.host.matches(host, door)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_one_path_of_one_host() {
        let matches = |endpoint: &str, host: &str, port, tls, path: &str| {
            let endpoint = GraphqlEndpoint::parse(endpoint).unwrap();
            endpoint.matches(&Host::parse(host).unwrap(), Door { port, tls }, path)
        };
        assert!(matches("API.linear.app/graphql", "api.linear.app", 443, true, "/graphql"));
        assert!(matches("localhost:3000/a/b", "localhost", 3000, false, "/a/b"));
        assert!(matches("[::1]:3000/", "[::1]", 3000, false, "/"));
        for (host, port, path) in [
            ("api.linear.app", 443, "/graphql/"),
            ("api.linear.app", 443, "/graphql?x=1"),
            ("api.linear.app", 443, "/GraphQL"),
            ("api.linear.app", 443, "/"),
            ("api.linear.app", 8443, "/graphql"),
            ("linear.app", 443, "/graphql"),
        ] {
            assert!(!matches("api.linear.app/graphql", host, port, true, path), "{host}{path}");
        }
        assert_eq!(GraphqlEndpoint::parse("A.org:80/x").unwrap().pattern(), "a.org:80/x");
    }

    #[test]
    fn what_is_not_one_endpoint_is_an_error() {
        for (text, says) in [
            ("api.linear.app", "a path is missing"),
            ("https://api.linear.app/graphql", "without `https://`"),
            ("*.linear.app/graphql", "one host"),
            ("*/graphql", "one host"),
            ("api.linear.app:*/graphql", "one port"),
            ("10.0.0.0/8/graphql", ""),
            ("/graphql", "names no host"),
            ("api.linear.app/graphql?x", "no `?`"),
            ("api.linear.app/*", "no `?`"),
        ] {
            match GraphqlEndpoint::parse(text) {
                // An address with a path that is a number.
                Ok(endpoint) => assert_eq!((says, endpoint.pattern().as_str()), ("", text)),
                Err(error) => {
                    assert!(
                        error.to_string().contains(says) && !says.is_empty(),
                        "{text}: {error}"
                    );
                }
            }
        }
    }
}
