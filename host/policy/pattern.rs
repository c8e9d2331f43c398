//! Patterns of paths: which paths one matches, leads to and covers.
//!
//! Compares text alone. A path here is relative to a root and clean: `""` is the root itself, `"a/b"`
//! has neither `.`, `..` nor empty components.

use super::glob::Glob;

/// A component of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Literal(String),
    /// `*`
    Any,
    Glob(Glob),
    /// `**`: any number of components, also none; at the end of a pattern at least one.
    Deep,
}

/// Paths relative to a root.
///
/// `dir` is that path alone, `dir/**` is what lies beneath it at any depth, `**` all beneath the root.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPattern {
    /// One of these: a single one, except where an absolute pattern reaches into a root in several ways.
    any_of: Vec<Sequence>,
}

/// `base/part/../**`
#[derive(Clone, Debug, PartialEq)]
struct Sequence {
    /// The literals that it begins with.
    base: String,
    /// What follows them; the first is not literal, and the last is not `Deep`.
    parts: Vec<Part>,
    /// Whether one or more components of any name follow.
    deep: bool,
}

impl PathPattern {
    /// A path that matches is granted.
    pub fn matches(&self, path: &str) -> bool {
        self.any_of.iter().any(|sequence| sequence.matches(path))
    }

    /// Whether something beneath `path`, at any depth, could match: `path` is a directory on the way, or
    /// a granted one.
    pub fn leads(&self, path: &str) -> bool {
        self.any_of.iter().any(|sequence| sequence.leads(path))
    }

    /// Whether `path` matches and so does everything beneath it: `a/**` covers `a/b`, not `a`.
    pub fn covers(&self, path: &str) -> bool {
        self.any_of.iter().any(|sequence| sequence.deep && sequence.matches(path))
    }

    /// The literal components that it begins with: `src` of `src/*.rs`, nothing of `*.md`.
    pub fn base(&self) -> &str {
        match &*self.any_of {
            [sequence] => &sequence.base,
            // All but one of several begin with what an earlier `**` left over.
            _ => "",
        }
    }

    /// Whether a path could match both. Errs towards true, where globs meet.
    pub fn overlaps(&self, other: &PathPattern) -> bool {
        self.any_of.iter().any(|one| other.any_of.iter().any(|other| one.overlaps(other)))
    }

    pub(super) fn new(parts: &[Part]) -> PathPattern {
        PathPattern { any_of: vec![Sequence::new(parts)] }
    }

    /// What is left of `parts` beneath a directory of these components, if anything.
    pub(super) fn beneath<'p>(
        parts: &[Part],
        directory: impl Iterator<Item = &'p str>,
    ) -> Option<PathPattern> {
        // Where in `parts` a match can be, ascending. Behind a `Deep` its own place stays one.
        let mut places = vec![0];
        for name in directory {
            let mut next = Vec::new();
            let mut place = |place| {
                if !next.contains(&place) {
                    next.push(place);
                }
            };
            for at in skip_deep(parts, &places) {
                match parts.get(at) {
                    Some(Part::Deep) => place(at),
                    Some(part) if part.matches(name) => place(at + 1),
                    _ => {}
                }
            }
            places = next;
        }
        let mut any_of: Vec<Sequence> = Vec::new();
        for at in places {
            let sequence = Sequence::new(&parts[at..]);
            if !any_of.contains(&sequence) {
                any_of.push(sequence);
            }
        }
        if let Some(all) = any_of.iter().position(Sequence::is_all) {
            any_of = vec![any_of.swap_remove(all)];
        }
        (!any_of.is_empty()).then_some(PathPattern { any_of })
    }
}

/// `places` and, since `**` may be no component, what follows them. Not behind a last one, which is at
/// least one component.
fn skip_deep(parts: &[Part], places: &[usize]) -> Vec<usize> {
    let mut all = places.to_vec();
    let mut index = 0;
    while let Some(&at) = all.get(index) {
        let next = at + 1;
        if parts.get(at) == Some(&Part::Deep) && next < parts.len() && !all.contains(&next) {
            all.push(next);
        }
        index += 1;
    }
    all
}

impl Part {
    fn matches(&self, name: &str) -> bool {
        match self {
            Part::Literal(literal) => literal == name,
            Part::Any | Part::Deep => true,
            Part::Glob(glob) => glob.matches(name),
        }
    }

    /// Whether a name could match both.
    fn overlaps(&self, other: &Part) -> bool {
        match (self, other) {
            (Part::Literal(name), part) | (part, Part::Literal(name)) => part.matches(name),
            _ => true,
        }
    }
}

impl Sequence {
    fn new(parts: &[Part]) -> Sequence {
        let literals = parts.iter().take_while(|part| matches!(part, Part::Literal(_))).count();
        let (literals, rest) = parts.split_at(literals);
        let base: Vec<&str> = literals
            .iter()
            .filter_map(|part| match part {
                Part::Literal(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        // A tail such as `**/*` says how many components there are at least, and nothing else. It is
        // kept as `*/../**`, so that what covers a directory is seen to.
        let wild = |part: &&Part| matches!(part, Part::Any | Part::Deep);
        let tail = rest.iter().rev().take_while(wild).count();
        let (front, tail) = rest.split_at(rest.len() - tail);
        let deep = tail.contains(&Part::Deep);
        let mut count = tail.iter().filter(|part| **part == Part::Any).count();
        if deep && tail.last() != Some(&Part::Deep) {
            count -= 1;
        }
        let parts = front.iter().cloned().chain((0..count).map(|_| Part::Any)).collect();
        Sequence { base: base.join("/"), parts, deep }
    }

    /// Whether it is `**`.
    fn is_all(&self) -> bool {
        self.deep && self.base.is_empty() && self.parts.is_empty()
    }

    /// What of `path` is beneath the base; none if it is not there.
    fn behind_base<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.base.is_empty() {
            return Some(path);
        }
        match path.strip_prefix(self.base.as_str())? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        }
    }

    fn matches(&self, path: &str) -> bool {
        let Some(mut path) = self.behind_base(path) else { return false };
        let mut parts = &*self.parts;
        // Behind the last `Deep`: what comes there, and the earliest place not tried yet.
        let mut again: Option<(&[Part], &str)> = None;
        loop {
            match parts {
                [] if path.is_empty() != self.deep => return true,
                [Part::Deep, after @ ..] => {
                    again = Some((after, path));
                    parts = after;
                    continue;
                }
                [part, after @ ..] => {
                    if let Some((name, left)) = first(path)
                        && part.matches(name)
                    {
                        (parts, path) = (after, left);
                        continue;
                    }
                }
                [] => {}
            }
            let Some((after, place)) = again else { return false };
            let Some((_, left)) = first(place) else { return false };
            (parts, path) = (after, left);
            again = Some((after, path));
        }
    }

    fn leads(&self, path: &str) -> bool {
        let Some(mut path) = self.behind_base(path) else {
            // Above the base.
            let rest = self.base.strip_prefix(path);
            return rest.is_some_and(|rest| path.is_empty() || rest.starts_with('/'));
        };
        let mut parts = &*self.parts;
        loop {
            match (parts, first(path)) {
                // From here on any directory could be on the way.
                ([Part::Deep, ..], _) => return true,
                ([], None) => return self.deep,
                (_, None) => return true,
                ([], Some(_)) => return self.deep,
                ([part, after @ ..], Some((name, left))) => {
                    if !part.matches(name) {
                        return false;
                    }
                    (parts, path) = (after, left);
                }
            }
        }
    }

    fn overlaps(&self, other: &Sequence) -> bool {
        let (one, other) = (self.all_parts(), other.all_parts());
        // Whether the parts from a place in one and a place in the other on can match one path, from the
        // ends backward.
        let width = other.len() + 1;
        let mut fit = vec![false; (one.len() + 1) * width];
        for at in (0..=one.len()).rev() {
            for beside in (0..=other.len()).rev() {
                let next = |down: usize, right: usize| fit[(at + down) * width + beside + right];
                fit[at * width + beside] = match (one.get(at), other.get(beside)) {
                    (None, None) => true,
                    (Some(Part::Deep), None) => next(1, 0),
                    (None, Some(Part::Deep)) => next(0, 1),
                    (None, Some(_)) | (Some(_), None) => false,
                    (Some(Part::Deep), Some(_)) | (Some(_), Some(Part::Deep)) => {
                        next(1, 0) || next(0, 1)
                    }
                    (Some(part), Some(other)) => part.overlaps(other) && next(1, 1),
                };
            }
        }
        fit[0]
    }

    /// With the base and the end written out.
    fn all_parts(&self) -> Vec<Part> {
        let base = self.base.split('/').filter(|name| !name.is_empty());
        let base = base.map(|name| Part::Literal(name.to_owned()));
        let end = if self.deep { &[Part::Any, Part::Deep][..] } else { &[] };
        base.chain(self.parts.iter().cloned()).chain(end.iter().cloned()).collect()
    }
}

/// The first component of a path and what follows it.
fn first(path: &str) -> Option<(&str, &str)> {
    match path.split_once('/') {
        Some(split) => Some(split),
        None if path.is_empty() => None,
        None => Some((path, "")),
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
