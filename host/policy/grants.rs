//! Grants: which paths and variables a plugin reaches. Deny by default.
//!
//! Patterns are read here and compared as text; what they mean on disk is `files/`. A pattern that the
//! sandbox cannot enforce exactly is an error, never widened or ignored.

use std::path::{Component, Path, PathBuf};

/// What one plugin may reach. Empty is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub read: Vec<PathGrant>,
    pub write: Vec<PathGrant>,
    pub env: Vec<EnvGrant>,
}

/// A directory and everything beneath it, written `dir/**`, or `**` for a whole root.
///
/// Relative to the first root, or absolute and inside one of the roots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathGrant {
    dir: PathBuf,
}

/// A variable that the guest sees: `NAME` as the host has it, or `NAME=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvGrant {
    Pass(String),
    Set(String, String),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    #[error(
        "the grant {0:?} cannot be enforced: grants are whole directories for now, written `**` (the \
         root) or `some/directory/**`"
    )]
    NotADirectory(String),
    #[error("the grant {0:?} leads out of its root: `..` cannot stand in a grant")]
    Escapes(String),
    #[error("{0:?} is not a variable: write NAME to pass it on, or NAME=value")]
    Variable(String),
}

impl PathGrant {
    pub fn parse(pattern: &str) -> Result<PathGrant, GrantError> {
        let cannot = || GrantError::NotADirectory(pattern.to_owned());
        let dir = match pattern {
            "**" | "./**" => "",
            "/**" => "/",
            _ => pattern.strip_suffix("/**").ok_or_else(cannot)?,
        };
        if dir.contains(['*', '?', '[', ']', '{', '}', '!', '\\']) {
            return Err(cannot());
        }
        let mut clean = PathBuf::new();
        for part in Path::new(dir).components() {
            match part {
                Component::ParentDir => return Err(GrantError::Escapes(pattern.to_owned())),
                Component::CurDir => {}
                other => clean.push(other),
            }
        }
        Ok(PathGrant { dir: clean })
    }

    /// The whole of the first root.
    pub fn whole_root() -> PathGrant {
        PathGrant { dir: PathBuf::new() }
    }

    /// Empty for the first root itself; relative to it, or absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The grant as it is written.
    pub fn pattern(&self) -> String {
        self.dir.join("**").display().to_string()
    }
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
    fn a_grant_is_a_whole_directory() {
        let dir = |pattern: &str| PathGrant::parse(pattern).map(|grant| grant.dir);
        assert_eq!(dir("**"), Ok(PathBuf::new()));
        assert_eq!(dir("src/**"), Ok(PathBuf::from("src")));
        assert_eq!(dir("./src/./a/**"), Ok(PathBuf::from("src/a")));
        assert_eq!(dir("/data/**"), Ok(PathBuf::from("/data")));
    }

    #[test]
    fn what_cannot_be_enforced_is_an_error() {
        for pattern in ["", "src", "*.rs", "src/*.rs", "src/**/*.rs", "s?c/**", "{a,b}/**", "*/**"]
        {
            assert_eq!(
                PathGrant::parse(pattern),
                Err(GrantError::NotADirectory(pattern.to_owned())),
                "{pattern}"
            );
        }
        assert!(matches!(PathGrant::parse("../x/**"), Err(GrantError::Escapes(_))));
        assert!(matches!(PathGrant::parse("a/../../x/**"), Err(GrantError::Escapes(_))));
    }

    #[test]
    fn variables_are_passed_or_set() {
        assert_eq!(EnvGrant::parse("LANG"), Ok(EnvGrant::Pass("LANG".to_owned())));
        assert_eq!(EnvGrant::parse("A=b=c"), Ok(EnvGrant::Set("A".to_owned(), "b=c".to_owned())));
        assert!(EnvGrant::parse("=b").is_err());
    }
}
