//! What a pattern in a call means: which names and paths below a directory it matches. Knows
//! neither walks nor contents.

use crate::files::Kind;
use crate::paths::Step;
use globset::{GlobBuilder, GlobMatcher};
use ignore::overrides::{Override, OverrideBuilder};

/// The pattern of a search.
pub struct Pattern {
    text: String,
    meaning: Meaning,
}

enum Meaning {
    /// A plain word in a search: names that contain it, in lower case.
    Part(String),
    /// A glob without a slash: names at any depth.
    Name(GlobMatcher),
    /// A glob with a slash: paths below where the walk began.
    Path(GlobMatcher),
    /// A plain path: paths below that end in it.
    End(String),
}

impl Pattern {
    /// A plain word stands for every name that contains it.
    pub fn search(pattern: &str) -> Result<Pattern, String> {
        let text = relative(pattern);
        match is_plain(text) && !text.contains('/') {
            true if text.is_empty() => Err("pattern is empty; `*` finds everything".into()),
            true => Ok(Pattern { text: text.into(), meaning: Meaning::Part(text.to_lowercase()) }),
            false => Pattern::whole(pattern),
        }
    }

    /// A plain word stands for itself.
    pub fn whole(pattern: &str) -> Result<Pattern, String> {
        let text = relative(pattern);
        let meaning = match (text.contains('/'), is_plain(text)) {
            (true, true) => Meaning::End(format!("/{text}")),
            (true, false) => Meaning::Path(glob(pattern, text)?),
            (false, _) => Meaning::Name(glob(pattern, text)?),
        };
        Ok(Pattern { text: text.into(), meaning })
    }

    pub fn matches(&self, name: &str, relative: &str) -> bool {
        // files are called `[id].tsx`, and meant by that
        if name == self.text || relative == self.text {
            return true;
        }
        match &self.meaning {
            Meaning::Part(part) => name.to_lowercase().contains(part),
            Meaning::Name(glob) => glob.is_match(name),
            Meaning::Path(glob) => glob.is_match(relative),
            Meaning::End(end) => relative.ends_with(end),
        }
    }
}

/// What a walk leaves out.
pub struct Excluded(Vec<Pattern>);

impl Excluded {
    pub fn new(patterns: &[String]) -> Result<Excluded, String> {
        patterns
            .iter()
            .map(|pattern| Pattern::whole(pattern))
            .collect::<Result<_, _>>()
            .map(Excluded)
    }

    pub fn matches(&self, step: &Step) -> bool {
        self.0.iter().any(|pattern| pattern.matches(&step.name, &step.relative))
    }
}

/// What grep is narrowed to, by the rules of ripgrep's `-g`: those of a line in .gitignore, `!` having
/// the opposite meaning.
pub struct Narrowed {
    glob: Override,
    text: String,
    inverted: bool,
}

impl Narrowed {
    pub fn new(glob: Option<&str>) -> Result<Narrowed, String> {
        let given = glob.unwrap_or_default();
        let (text, inverted) = given.strip_prefix('!').map_or((given, false), |text| (text, true));
        // by `./*.rs` ripgrep finds nothing, and it can mean only one thing
        let text = text.strip_prefix('.').filter(|text| text.starts_with('/')).unwrap_or(text);
        let mut builder = OverrideBuilder::new(".");
        let glob = builder
            .add(&format!("{}{text}", if inverted { "!" } else { "" }))
            .and_then(|builder| builder.build())
            .map_err(|error| match error {
                ignore::Error::Glob { err, .. } => format!("glob `{given}`: {err}"),
                error => format!("glob `{given}`: {error}"),
            })?;
        Ok(Narrowed { glob, text: text.into(), inverted })
    }

    pub fn leaves_out(&self, step: &Step) -> bool {
        let is_directory = step.kind == Kind::Directory;
        // files are called `[id].tsx`, and meant by that
        if !is_directory && self.is_name_of(step) {
            return self.inverted;
        }
        self.glob.matched(&step.relative, is_directory).is_ignore()
    }

    fn is_name_of(&self, step: &Step) -> bool {
        let path = self.text.strip_prefix('/').unwrap_or(&self.text);
        step.name == self.text || step.relative == path
    }
}

fn relative(pattern: &str) -> &str {
    let pattern = pattern.trim_start_matches("./").trim_start_matches('/');
    pattern.strip_suffix('/').unwrap_or(pattern)
}

fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '{', '\\'])
}

fn glob(given: &str, pattern: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| format!("glob `{given}`: {}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: Result<Pattern, String>, relative: &str) -> bool {
        pattern.unwrap().matches(relative.rsplit('/').next().unwrap(), relative)
    }

    #[test]
    fn a_search_pattern_is_a_part_of_a_name_or_a_glob() {
        for (pattern, path, expected) in [
            ("todo", "src/TODO.md", true),
            ("todo", "todo/x", false),
            ("É", "né", true),
            ("*.rs", "a.rs", true),
            ("*.rs", "src/deep/a.rs", true),
            ("*.rs", "src/.hidden.rs", true),
            ("./*.rs", "src/a.rs", true),
            ("**/*.rs", "a.rs", true),
            ("src/*.rs", "src/a.rs", true),
            ("src/*.rs", "src/b/a.rs", false),
            ("src/*.rs", "x/src/a.rs", false),
            ("src/**", "src/b/a.rs", true),
            ("src/a.rs", "x/src/a.rs", true),
            ("src/a.rs", "xsrc/a.rs", false),
            ("*.{ts,tsx}", "a/b.tsx", true),
            ("[ab].rs", "b.rs", true),
            ("[id].tsx", "app/[id].tsx", true),
            ("app/[id].tsx", "app/[id].tsx", true),
            ("\\[id\\].tsx", "app/[id].tsx", true),
            ("*", "a/b", true),
            ("tests/", "tests", true),
        ] {
            assert_eq!(matched(Pattern::search(pattern), path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_excluded_is_a_whole_name_or_a_glob() {
        for (pattern, path, expected) in [
            ("target", "target", true),
            ("target", "a/target", true),
            ("target", "targets", false),
            ("target/", "target", true),
            ("**/target", "a/target", true),
            ("target/**", "target", false),
            ("target/**", "target/debug", true),
            ("*.log", "a/b.log", true),
            ("docs/*.md", "docs/a.md", true),
            ("docs/*.md", "x/docs/a.md", false),
        ] {
            assert_eq!(matched(Pattern::whole(pattern), path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn grep_is_narrowed_as_ripgrep_is_by_its_option() {
        for (glob, path, kind, expected) in [
            ("", "a.rs", Kind::File, true),
            ("*.rs", "src/a.rs", Kind::File, true),
            ("*.rs", "src/a.md", Kind::File, false),
            ("*.rs", "src", Kind::Directory, true),
            ("src/*.rs", "src/a.rs", Kind::File, true),
            ("./src/*.rs", "src/a.rs", Kind::File, true),
            ("src/*.rs", "x/src/a.rs", Kind::File, false),
            ("src/a.rs", "x/src/a.rs", Kind::File, false),
            ("/a.rs", "a.rs", Kind::File, true),
            ("/a.rs", "src/a.rs", Kind::File, false),
            ("src/**", "src/b/a.rs", Kind::File, true),
            ("!*.rs", "src/a.rs", Kind::File, false),
            ("!*.rs", "src/a.md", Kind::File, true),
            ("!src", "src", Kind::Directory, false),
            ("!src/", "src", Kind::Directory, false),
            ("!src/", "src", Kind::File, true),
            ("[id].tsx", "app/[id].tsx", Kind::File, true),
            ("app/[id].tsx", "app/[id].tsx", Kind::File, true),
            ("![id].tsx", "app/[id].tsx", Kind::File, false),
        ] {
            let name = path.rsplit('/').next().unwrap().into();
            let step = Step { path: path.into(), relative: path.into(), name, kind, depth: 0 };
            let narrowed = Narrowed::new(Some(glob)).unwrap();
            assert_eq!(!narrowed.leaves_out(&step), expected, "{glob} {path}");
        }
        assert!(Narrowed::new(Some("![")).err().unwrap().starts_with("glob `![`: "));
    }

    #[test]
    fn a_bad_glob_is_an_error_that_shows_it() {
        for bad in ["[", "a{b", "[z-a]"] {
            assert!(Pattern::search(bad).err().unwrap().starts_with(&format!("glob `{bad}`: ")));
        }
        assert!(Pattern::search("").is_err());
    }
}
