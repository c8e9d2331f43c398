//! Tool names as the protocol allows them: at most 64 of `[a-zA-Z0-9_-]`, which is what clients and models accept.
//!
//! Most names are such names already and stay as they are. Knows nothing of tools.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

const MOST: usize = 64;

/// Names on both sides: the host's, and those that clients see.
#[derive(Default)]
pub struct Names {
    shown: HashMap<String, String>,
    real: HashMap<String, String>,
}

impl Names {
    /// Gives a tool of the host a name that no other has.
    pub fn add(&mut self, real: &str) -> &str {
        let mut shown = plain(real);
        if shown != real || self.real.contains_key(&shown) {
            shown = marked(&shown, real);
        }
        self.real.insert(shown.clone(), real.to_owned());
        self.shown.entry(real.to_owned()).or_insert(shown)
    }

    /// The host's name of a tool that clients see under this one.
    pub fn real(&self, shown: &str) -> Option<&str> {
        self.real.get(shown).map(String::as_str)
    }

    pub fn shown<'a>(&'a self, real: &'a str) -> &'a str {
        self.shown.get(real).map_or(real, String::as_str)
    }

    /// The names that clients see.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.real.keys().map(String::as_str)
    }
}

fn plain(name: &str) -> String {
    let allowed = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    let mut plain: String = name.chars().map(|it| if allowed(it) { it } else { '_' }).collect();
    plain.truncate(MOST);
    plain
}

/// With a mark of the real name at its end, so that two names never become one, and each is the same in every start.
fn marked(plain: &str, real: &str) -> String {
    let digest = Sha256::digest(real.as_bytes());
    let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let kept = plain.len().min(MOST - mark.len() - 1);
    format!("{}_{mark}", &plain[..kept])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_within_what_clients_accept_and_stay_apart() {
        let long = "x".repeat(70);
        let longer = "x".repeat(71);
        let mut names = Names::default();
        for real in ["read_text_file", "db-2_query", "a.b", "a_b", "a/b", "größe", &long, &longer]
        {
            let shown = names.add(real).to_owned();
            assert!(!shown.is_empty() && shown.len() <= 64, "{shown}");
            assert!(shown.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-".contains(&it)));
            assert_eq!(names.real(&shown), Some(real));
            assert_eq!(names.shown(real), shown);
        }
        assert_eq!(names.all().count(), 8);
        assert_eq!(names.shown("a_b"), "a_b");
        assert_eq!(names.real("a.b"), None);
    }
}
