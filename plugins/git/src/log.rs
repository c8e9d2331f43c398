//! The tools that show commits: `git log` and `git show`.

use gix::bstr::BString;
use gix::objs::Kind;

use crate::history::{self, Filter};
use crate::message::Messages;
use crate::repo::{head, open, refuse_option, resolve, text, tree_of, words};
use crate::{dates, patch, rename, tree};

/// As the reference server does where nothing is asked for.
const MOST: u32 = 10;
const CONTEXT: u32 = 3;

pub struct Query<'q> {
    pub most: Option<u32>,
    pub since: Option<&'q str>,
    pub until: Option<&'q str>,
    pub path: Option<&'q str>,
}

/// `git log`
pub fn log(repo_path: &str, query: &Query<'_>, now: i64) -> Result<String, String> {
    let repo = open(repo_path)?;
    for (name, value) in
        [("start_timestamp", query.since), ("end_timestamp", query.until), ("path", query.path)]
    {
        value.map_or(Ok(()), |value| refuse_option(name, value))?;
    }
    let Some(tip) = head(&repo)? else {
        let name = repo.head_name().map_err(|error| words(&error))?;
        let name = name.map(|it| it.shorten().to_string()).unwrap_or_default();
        return Err(format!("your current branch '{name}' does not have any commits yet"));
    };
    let time =
        |name: &str, text: Option<&str>| text.map(|text| dates::parse(name, text, now)).transpose();
    let path = query.path.map(normal).filter(|it| !it.is_empty());
    let filter = Filter {
        most: Some(query.most.unwrap_or(MOST) as usize),
        since: time("start_timestamp", query.since)?,
        until: time("end_timestamp", query.until)?,
        path: path.as_ref().map(AsRef::as_ref),
    };
    let messages = Messages::new(&repo)?;
    let mut out = Vec::new();
    for id in history::list(&repo, tip, &filter)? {
        if !out.is_empty() {
            out.push(b'\n');
        }
        messages.commit(&mut out, id)?;
    }
    Ok(text(out))
}

/// A path as the repository has it: without `.` and doubled slashes.
pub fn normal(path: &str) -> BString {
    let parts: Vec<&str> = path.split('/').filter(|it| !matches!(*it, "" | ".")).collect();
    parts.join("/").into()
}

/// `git show`
pub fn show(repo_path: &str, revision: &str) -> Result<String, String> {
    let repo = open(repo_path)?;
    let mut object = resolve(&repo, "revision", revision)?;
    let messages = Messages::new(&repo)?;
    let mut out = Vec::new();
    loop {
        match object.kind {
            Kind::Blob => out.extend(&object.data),
            Kind::Tree => {
                out.extend(format!("tree {revision}\n\n").into_bytes());
                for entry in object.into_tree().iter() {
                    let entry = entry.map_err(|error| words(&error))?;
                    out.extend(&**entry.filename());
                    out.extend(if entry.mode().is_tree() { &b"/\n"[..] } else { b"\n" });
                }
            }
            Kind::Commit => commit(&repo, &messages, &mut out, object.id)?,
            Kind::Tag => {
                let id = tag(&messages, &mut out, &object)?;
                object = repo.find_object(id).map_err(|error| words(&error))?;
                out.push(b'\n');
                continue;
            }
        }
        return Ok(text(out));
    }
}

/// Answers what the tag is of.
fn tag(
    messages: &Messages<'_>,
    out: &mut Vec<u8>,
    object: &gix::Object<'_>,
) -> Result<gix::ObjectId, String> {
    let tag = gix::objs::TagRef::from_bytes(&object.data, gix::hash::Kind::Sha1)
        .map_err(|error| words(&error))?;
    out.extend(b"tag ");
    out.extend(&**tag.name);
    out.push(b'\n');
    if let Some(tagger) = tag.tagger().map_err(|error| words(&error))? {
        let person = crate::message::Person {
            name: tagger.name.to_owned(),
            email: tagger.email.to_owned(),
            time: tagger.time().unwrap_or_default(),
        };
        messages.person(out, "Tagger: ", &person);
    }
    if let Some(end) = object.data.windows(2).position(|it| it == b"\n\n") {
        out.extend(&object.data[end + 1..]);
    }
    Ok(tag.target())
}

/// With what it changed to its first parent.
fn commit(
    repo: &gix::Repository,
    messages: &Messages<'_>,
    out: &mut Vec<u8>,
    id: gix::ObjectId,
) -> Result<(), String> {
    messages.commit(out, id)?;
    let parent = history::Queue::new(repo)?.parents(id)?.first().copied();
    let old = parent.map(|parent| tree_of(repo, parent)).transpose()?;
    let changes = tree::compare(repo, old, Some(tree_of(repo, id)?))?;
    let changes = rename::detect(repo, changes)?;
    let index = repo.index_or_empty().map_err(|error| words(&error))?;
    let patch = patch::write(repo, &index, CONTEXT, &changes)?;
    if !patch.is_empty() {
        out.push(b'\n');
        out.extend(patch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_made_plain() {
        for (path, expected) in [(".", ""), ("./a//b/", "a/b"), ("a/./b", "a/b"), ("a", "a")] {
            assert_eq!(super::normal(path), expected);
        }
    }
}
