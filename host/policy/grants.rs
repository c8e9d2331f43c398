//! Grants: which paths, hosts, variables and secrets a plugin reaches. Deny by default.
//!
//! Patterns are read here and compared as text; what they mean on disk is `files/`. A pattern that the
//! sandbox cannot enforce exactly is an error, never widened or ignored.

use std::path::{Component, Path};

use super::glob::Glob;
use super::graphql::GraphqlEndpoint;
use super::hosts::NetGrant;
use super::pattern::{Part, PathPattern};

/// What one plugin may reach. Empty is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grants {
    pub read: Vec<PathGrant>,
    pub write: Vec<PathGrant>,
    pub env: Vec<EnvGrant>,
    pub net: Vec<NetGrant>,
    /// Of the hosts in `net`, where GraphQL is spoken: queries sent there count as reads.
    pub graphql: Vec<GraphqlEndpoint>,
    /// Names of secrets that are added to its requests.
    pub secrets: Vec<String>,
}

/// A pattern of paths, relative to the first root or absolute.
///
/// Its components, between `/`, are names, globs (`*`, `?`, `[a-z]`, `[!a]`, `{a,b}`; `\` before one of these
/// takes it as it stands) or `**`, which is any number of components. `notes.txt` is that path alone, and so
/// is `src`, even if it is a directory; `src/**` is what lies in it at any depth, `src/*.rs` are files in
/// it, `**` is all of the root. Names that begin with a dot are like all others.
#[derive(Clone, Debug, PartialEq)]
pub struct PathGrant {
    /// Without `.`, and without slashes that say nothing.
    text: String,
    absolute: bool,
    parts: Vec<Part>,
}

/// A variable that the guest sees: `NAME` as the host has it, or `NAME=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvGrant {
    Pass(String),
    Set(String, String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    #[error(
        "the grant {0:?} names nothing: write `**` for all that is in the root, `dir/**` for what is in \
         a directory, or the path of one file"
    )]
    Empty(String),
    #[error("the grant {0:?} leads out of its root: `..` cannot stand in a grant")]
    Escapes(String),
    #[error("the grant {0:?} cannot be enforced: no path holds a NUL character")]
    Nul(String),
    #[error(
        "the grant {0:?} cannot be enforced: a grant only adds, so `!` means nothing in front of it"
    )]
    Negated(String),
    #[error(
        "the grant {0:?} cannot be enforced: `/` cannot stand between `{{` and `}}`; write a grant for each"
    )]
    Slash(String),
    #[error(
        "the grant {0:?} cannot be enforced: `**` stands for whole components, as in `src/**` or \
         `src/**/*.rs`; within a name write `*`"
    )]
    Deep(String),
    #[error("the grant {pattern:?} cannot be enforced: {problem}")]
    Glob { pattern: String, problem: &'static str },
    #[error("the grant {pattern:?} of a host cannot be enforced: {problem}")]
    Host { pattern: String, problem: &'static str },
    #[error("the GraphQL endpoint {endpoint:?} is wrong: {problem}")]
    Graphql { endpoint: String, problem: &'static str },
    #[error("{0:?} is not a variable: write NAME to pass it on, or NAME=value")]
    Variable(String),
    #[error(
        "{0:?} is not a rule of what to ask about: write `write` for every change of files, `write:docs/**` for those of \
         paths that match, `net` for every request that may change something, or `net:api.example.org` for those to one \
         host; reads are never asked about"
    )]
    Ask(String),
    #[error("the rule {rule:?} of what to ask about is wrong: {error}")]
    AskPattern { rule: String, error: Box<GrantError> },
}

impl PathGrant {
    /// # Errors
    /// What in the pattern cannot be enforced.
    pub fn parse(pattern: &str) -> Result<PathGrant, GrantError> {
        let error = |kind: fn(String) -> GrantError| Err(kind(pattern.to_owned()));
        if pattern.contains('\0') {
            return error(GrantError::Nul);
        }
        if pattern.starts_with('!') {
            return error(GrantError::Negated);
        }
        if slash_in_braces(pattern) {
            return error(GrantError::Slash);
        }
        let names = pattern.split('/').filter(|name| !matches!(*name, "" | "."));
        let names: Vec<&str> = names.collect();
        let mut parts = Vec::with_capacity(names.len());
        for name in &names {
            match *name {
                ".." => return error(GrantError::Escapes),
                "**" if parts.last() == Some(&Part::Deep) => {}
                "**" => parts.push(Part::Deep),
                _ if name.contains("**") => return error(GrantError::Deep),
                _ => match Glob::parse(name) {
                    Ok(glob) => parts.push(part(glob)),
                    Err(problem) => {
                        return Err(GrantError::Glob { pattern: pattern.to_owned(), problem });
                    }
                },
            }
        }
        if parts.is_empty() {
            return error(GrantError::Empty);
        }
        // `\..` and the like.
        let special =
            |part: &Part| matches!(part, Part::Literal(it) if matches!(&**it, "." | ".."));
        if parts.iter().any(special) {
            return error(GrantError::Escapes);
        }
        let absolute = pattern.starts_with('/');
        let text = format!("{}{}", if absolute { "/" } else { "" }, names.join("/"));
        Ok(PathGrant { text, absolute, parts })
    }

    /// All that is in the first root.
    pub fn whole_root() -> PathGrant {
        PathGrant { text: "**".to_owned(), absolute: false, parts: vec![Part::Deep] }
    }

    /// The grant as it is written, cleaned.
    pub fn pattern(&self) -> String {
        self.text.clone()
    }

    pub fn is_absolute(&self) -> bool {
        self.absolute
    }

    /// What it matches in `root`, an absolute path: of a relative grant all, of an absolute one what is
    /// beneath that directory, or the directory itself where the grant names it to the end. None if that
    /// is nothing.
    pub fn beneath(&self, root: &Path) -> Option<PathPattern> {
        if !self.absolute {
            return Some(PathPattern::new(&self.parts));
        }
        let names = root.components().filter(|part| *part != Component::RootDir);
        let names: Option<Vec<&str>> = names.map(|part| part.as_os_str().to_str()).collect();
        PathPattern::beneath(&self.parts, names?.into_iter())
    }
}

fn part(glob: Glob) -> Part {
    match glob.literal() {
        Some(name) => Part::Literal(name.to_owned()),
        None if glob.is_any() => Part::Any,
        None => Part::Glob(glob),
    }
}

fn slash_in_braces(pattern: &str) -> bool {
    let (mut depth, mut escaped) = (0_usize, false);
    for character in pattern.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            // One that is not closed at all is told as such.
            '/' if depth > 0 => return pattern.contains('}'),
            _ => {}
        }
    }
    false
}

impl EnvGrant {
    pub fn parse(text: &str) -> Result<EnvGrant, GrantError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if name.is_empty() || text.contains('\0') {
            return Err(GrantError::Variable(text.to_owned()));
        }
        Ok(match value {
            Some(value) => EnvGrant::Set(name.to_owned(), value.to_owned()),
            None => EnvGrant::Pass(name.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_cleaned() {
        let clean = |pattern: &str| PathGrant::parse(pattern).unwrap().pattern();
        for (pattern, cleaned) in [
            ("**", "**"),
            ("./src/./a/**", "src/a/**"),
            ("src//a/", "src/a"),
            ("/data/**/", "/data/**"),
            ("a\\*b/[ab]?.{rs,md}", "a\\*b/[ab]?.{rs,md}"),
        ] {
            assert_eq!(clean(pattern), cleaned);
        }
        assert_eq!(PathGrant::parse("./**").unwrap(), PathGrant::whole_root());
    }

    #[test]
    fn what_cannot_be_enforced_is_an_error() {
        for (pattern, says) in [
            ("", "names nothing"),
            ("./", "names nothing"),
            ("/", "names nothing"),
            ("../x/**", "leads out"),
            ("a/../../x/**", "leads out"),
            ("a/\\../x", "leads out"),
            ("a/{..,b}/\0", "NUL"),
            ("!secret/**", "only adds"),
            ("{a/b,c}/*", "between `{` and `}`"),
            ("src/**.rs", "whole components"),
            ("src/{a,b", "`{` is not closed"),
            ("src/{a/b", "`{` is not closed"),
            ("src/a}", "has no `{`"),
            ("[ab", "`[` is not closed"),
            ("[z-a]", "backward"),
            ("[a\\]b]", "means nothing between"),
            ("a\\", "nothing follows"),
            (&"{a,b}".repeat(20), "too many names"),
        ] {
            let error = PathGrant::parse(pattern).unwrap_err().to_string();
            assert!(error.contains(says), "{pattern:?}: {error}");
        }
    }

    #[test]
    fn absolute_patterns_reach_into_roots() {
        let matches = |pattern: &str, path: &str| {
            let beneath = PathGrant::parse(pattern).unwrap().beneath(Path::new("/home/me"));
            beneath.map(|pattern| pattern.matches(path))
        };
        for (pattern, path, expected) in [
            ("/**", "a", Some(true)),
            ("/home/**", "a", Some(true)),
            ("/home/**", "", Some(false)),
            ("/home/me/**", "", Some(false)),
            ("/home/me/**", "a/b", Some(true)),
            ("/home/me", "", Some(true)),
            ("/home/me", "a", Some(false)),
            ("/home", "", None),
            ("/home/you/**", "a", None),
            ("/home/*/x/**", "x/a", Some(true)),
            ("/home/*/x/**", "y/a", Some(false)),
            ("/h?me/m{e,y}/*.md", "a.md", Some(true)),
            ("/**/me/x", "x", Some(true)),
            ("/**/me/x", "a/me/x", Some(true)),
            ("/**/me/x", "a/x", Some(false)),
            ("/home/**/*.md", "a/b.md", Some(true)),
            ("/*/*/*/**", "a/b", Some(true)),
            ("/*/*/*/**", "a", Some(false)),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        let all = PathGrant::parse("/home/**").unwrap().beneath(Path::new("/home/me")).unwrap();
        assert!(all.covers("a") && all.leads(""));
    }

    #[test]
    fn variables_are_passed_or_set() {
        assert_eq!(EnvGrant::parse("LANG"), Ok(EnvGrant::Pass("LANG".to_owned())));
        assert_eq!(EnvGrant::parse("A=b=c"), Ok(EnvGrant::Set("A".to_owned(), "b=c".to_owned())));
        assert!(EnvGrant::parse("=b").is_err());
    }
}
