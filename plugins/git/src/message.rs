//! A commit as `git log` shows it: who, when and why, without what changed.

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice as _};

use crate::dates;
use crate::names::Abbreviation;
use crate::repo::words;

const INDENT: &[u8] = b"    ";
const TAB: usize = 8;

pub struct Messages<'r> {
    repo: &'r gix::Repository,
    short: Abbreviation<'r>,
    people: gix::mailmap::Snapshot,
}

/// A name and an address, as the repository's `.mailmap` has them.
pub struct Person {
    pub name: BString,
    pub email: BString,
    pub time: gix::date::Time,
}

impl<'r> Messages<'r> {
    pub fn new(repo: &'r gix::Repository) -> Result<Messages<'r>, String> {
        Ok(Messages { repo, short: Abbreviation::new(repo)?, people: repo.open_mailmap() })
    }

    pub fn commit(&self, out: &mut Vec<u8>, id: ObjectId) -> Result<(), String> {
        let object = self.repo.find_commit(id).map_err(|error| words(&error))?;
        let commit = object.decode().map_err(|error| words(&error))?;
        out.extend(format!("commit {id}\n").into_bytes());
        let parents: Vec<ObjectId> = commit.parents().collect();
        if parents.len() > 1 {
            let short: Vec<String> =
                parents.iter().map(|it| self.short.of(it)).collect::<Result<_, _>>()?;
            out.extend(format!("Merge: {}\n", short.join(" ")).into_bytes());
        }
        let author = commit.author().map_err(|error| words(&error))?;
        self.person(out, "Author: ", &self.resolve(author));
        let message = match commit.encoding {
            Some(name) if name.eq_ignore_ascii_case(b"iso-8859-1") => {
                BString::from(commit.message.iter().map(|byte| *byte as char).collect::<String>())
            }
            _ => commit.message.to_owned(),
        };
        let mut text = b"\n".to_vec();
        indent(&mut text, message.as_ref());
        let end = text.iter().rposition(|it| !is_space(*it)).map_or(0, |it| it + 1);
        out.extend(&text[..end]);
        if end > 0 {
            out.push(b'\n');
        }
        Ok(())
    }

    pub fn person(&self, out: &mut Vec<u8>, role: &str, person: &Person) {
        out.extend(role.as_bytes());
        out.extend(&*person.name);
        out.extend(b" <");
        out.extend(&*person.email);
        out.extend(format!(">\nDate:   {}\n", dates::long(person.time)).into_bytes());
    }

    pub fn resolve(&self, person: gix::actor::SignatureRef<'_>) -> Person {
        let time = person.time().unwrap_or_default();
        let trimmed = person.trim();
        let (name, email) =
            self.people.try_resolve_ref(trimmed).map_or((None, None), |it| (it.name, it.email));
        Person {
            name: name.unwrap_or(trimmed.name).to_owned(),
            email: email.unwrap_or(trimmed.email).to_owned(),
            time,
        }
    }
}

/// Every line indented, tabs filled up with spaces, spaces at line ends and empty lines in front dropped.
fn indent(out: &mut Vec<u8>, message: &BStr) {
    let lines = message.lines().map(|line| {
        let end = line.iter().rposition(|it| !is_space(*it)).map_or(0, |it| it + 1);
        &line[..end]
    });
    for line in lines.skip_while(|line| line.is_empty()) {
        out.extend(INDENT);
        let mut parts = line.split(|byte| *byte == b'\t').peekable();
        while let Some(part) = parts.next() {
            out.extend(part);
            if parts.peek().is_some() {
                let width = part.chars().count();
                out.extend(std::iter::repeat_n(b' ', TAB - width % TAB));
            }
        }
        out.push(b'\n');
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
