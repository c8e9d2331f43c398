//! How git writes names of paths and of objects. Knows nothing of what they name.

use gix::bstr::BStr;
use gix::{ObjectId, Repository};

use crate::repo::words;

/// A path as git shows it: in quotes, with escapes, if it has characters that need them.
pub fn quoted(prefix: &str, path: &BStr) -> Vec<u8> {
    let mut escaped = Vec::from(prefix);
    let mut needed = false;
    for &byte in path.iter() {
        let short = match byte {
            7 => b'a',
            8 => b'b',
            9 => b't',
            10 => b'n',
            11 => b'v',
            12 => b'f',
            13 => b'r',
            b'"' | b'\\' => byte,
            0..32 | 127.. => {
                escaped.extend(format!("\\{byte:03o}").into_bytes());
                needed = true;
                continue;
            }
            _ => {
                escaped.push(byte);
                continue;
            }
        };
        escaped.extend([b'\\', short]);
        needed = true;
    }
    if needed { [b"\"", &*escaped, b"\""].concat() } else { escaped }
}

/// As many digits of object names as git shows: at least seven, more in large repositories, and as many
/// as tell one object from all others.
pub struct Abbreviation<'r> {
    repo: &'r Repository,
    pub least: usize,
}

impl<'r> Abbreviation<'r> {
    pub fn new(repo: &'r Repository) -> Result<Abbreviation<'r>, String> {
        let set = repo.config_snapshot().integer("core.abbrev");
        if let Some(set) = set.filter(|it| (4..=40).contains(it)) {
            return Ok(Abbreviation { repo, least: set as usize });
        }
        let count = repo.objects.packed_object_count().map_err(|error| words(&error))?;
        let bits = (u64::BITS - count.leading_zeros()) as usize;
        Ok(Abbreviation { repo, least: bits.div_ceil(2).max(7) })
    }

    /// An object that is not there is abbreviated too, since files are that nobody added yet.
    pub fn of(&self, id: &ObjectId) -> Result<String, String> {
        let mut digits = id.to_string();
        let mut length = self.least;
        if id.is_null() {
            digits.truncate(length);
            return Ok(digits);
        }
        while length < digits.len() {
            let prefix = gix::hash::Prefix::new(id, length).map_err(|error| words(&error))?;
            let mut candidates = std::collections::HashSet::default();
            self.repo
                .objects
                .lookup_prefix(prefix, Some(&mut candidates))
                .map_err(|error| words(&error))?;
            if candidates.iter().all(|it| it == id) {
                break;
            }
            length += 1;
        }
        digits.truncate(length);
        Ok(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_as_git_does() {
        for (path, expected) in [
            ("a b.txt", "a/a b.txt"),
            ("caf\u{e9}", r#""a/caf\303\251""#),
            ("t\tn\nq\"b\\", r#""a/t\tn\nq\"b\\""#),
            ("\u{1}\u{7f}", r#""a/\001\177""#),
        ] {
            assert_eq!(quoted("a/", path.into()), expected.as_bytes());
        }
    }
}
