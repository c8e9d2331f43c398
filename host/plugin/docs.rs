//! Descriptions of tools, from WIT text: the documentation does not survive into a built component.
//!
//! Parses without resolving, so that a `.wit` file beside a component needs none of its dependencies.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;

use wit_parser::{Interface, SourceMap, UnresolvedPackage, WorldItem, WorldKey};

use super::tool::ToolName;

/// What WIT says of functions, by interface and function.
#[derive(Clone, Debug, Default)]
pub struct Docs {
    functions: HashMap<Key, FunctionDocs>,
    /// What each world of its first package exports, of those that export functions.
    worlds: Vec<Vec<Key>>,
}

/// The interface, by its full name and by its short one; none for a world's own functions.
type Key = (Option<String>, String);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionDocs {
    /// None where there is no text.
    pub description: Option<String>,
    /// Parameters that have a text, by their WIT names.
    pub params: Vec<(String, String)>,
    pub tags: Vec<Tag>,
    /// All parameters that the function takes, by their WIT names.
    pub takes: Vec<String>,
}

/// A line `@name param, param`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    /// As it is written: it may be a misspelt one.
    pub name: String,
    pub params: Vec<String>,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`@{}", self.name)?;
        self.params.iter().try_for_each(|param| write!(f, " {param}"))?;
        f.write_str("`")
    }
}

impl Docs {
    /// Collects what a package says of its functions. `files` are its WIT files, names (for messages) and
    /// texts.
    ///
    /// # Errors
    /// Where and why a text is not WIT.
    pub fn parse<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Docs, String> {
        let mut sources = SourceMap::new();
        for (name, text) in files {
            sources.push_str(name, text);
        }
        let parse = || {
            sources.parse().map_err(|(sources, error)| {
                // It quotes the line it stumbled over, which can be the whole file.
                error.render(&sources).chars().take(600).collect::<String>()
            })
        };
        // A stranger's text must not end the process: the parser has faults of its own (`/**/` is one).
        let group = std::panic::catch_unwind(AssertUnwindSafe(parse))
            .unwrap_or_else(|_| Err("the parser panicked".to_owned()))?;
        let mut docs = Docs::default();
        docs.package(&group.main);
        for package in &group.nested {
            let mut nested = Docs::default();
            nested.package(package);
            docs.extend(nested);
        }
        Ok(docs)
    }

    fn package(&mut self, package: &UnresolvedPackage) {
        for (_, interface) in package.interfaces.iter() {
            // Those without a name are written out in a world, and are met there.
            if let Some(name) = &interface.name {
                let id = package.name.interface_id(name);
                self.interface(interface, &[&id, name]);
            }
        }
        for (_, world) in package.worlds.iter() {
            let mut exports = Vec::new();
            for (key, item) in &world.exports {
                match item {
                    WorldItem::Function(function) => {
                        let key = (None, function.name.clone());
                        self.function(key.clone(), function);
                        exports.push(key);
                    }
                    WorldItem::Interface { id, .. } => {
                        let interface = &package.interfaces[*id];
                        let name = match (key, &interface.name) {
                            (WorldKey::Name(name), _) => {
                                self.interface(interface, &[name]);
                                name.clone()
                            }
                            (_, Some(name)) => package.name.interface_id(name),
                            (_, None) => continue,
                        };
                        let functions = interface.functions.keys();
                        exports.extend(functions.map(|it| (Some(name.clone()), it.clone())));
                    }
                    WorldItem::Type { .. } => {}
                }
            }
            // A world of another package that is named here is one without exports.
            if !exports.is_empty() {
                self.worlds.push(exports);
            }
        }
    }

    fn interface(&mut self, interface: &Interface, names: &[&str]) {
        for function in interface.functions.values() {
            for name in names {
                self.function((Some((*name).to_owned()), function.name.clone()), function);
            }
        }
    }

    /// The first package that has one of the name keeps it.
    fn function(&mut self, key: Key, function: &wit_parser::Function) {
        self.functions.entry(key).or_insert_with(|| {
            let mut docs = FunctionDocs::read(function.docs.contents.as_deref().unwrap_or(""));
            docs.takes = function.params.iter().map(|param| param.name.clone()).collect();
            docs
        });
    }

    /// Adds what another package says of other functions.
    pub fn extend(&mut self, other: Docs) {
        for (key, docs) in other.functions {
            self.functions.entry(key).or_insert(docs);
        }
    }

    /// What is said of a function: of its interface in that version, else of one with the same short name.
    pub fn of(&self, tool: &ToolName) -> Option<&FunctionDocs> {
        let of = |interface: Option<&str>| {
            let key = (interface.map(str::to_owned), tool.function.clone());
            self.functions.get(&key)
        };
        of(tool.interface.as_deref()).or_else(|| of(tool.short_interface()))
    }

    /// Whether it knows functions of an interface of this full name.
    pub fn has_interface(&self, name: &str) -> bool {
        self.functions.keys().any(|(interface, _)| interface.as_deref() == Some(name))
    }

    /// For each world, the functions that it exports (`interface#function`) and that are none of `exist`.
    pub fn missing<'s>(&'s self, exist: &'s [String]) -> impl Iterator<Item = Vec<String>> + 's {
        let name = |(interface, function): &Key| match interface {
            Some(interface) => format!("{interface}#{function}"),
            None => function.clone(),
        };
        self.worlds
            .iter()
            .map(move |exports| exports.iter().map(name).filter(|it| !exist.contains(it)).collect())
    }
}

impl FunctionDocs {
    /// Reads a doc comment. WIT has no place for documentation of parameters, so it is written
    /// as list items, `- name: text`; what is continued is indented.
    pub(super) fn read(text: &str) -> FunctionDocs {
        let mut docs = FunctionDocs::default();
        let mut paragraphs: Vec<String> = vec![String::new()];
        let mut item: Option<(String, String)> = None;
        for line in text.trim().lines() {
            if let Some(tag) = Tag::read(line) {
                docs.params.extend(item.take());
                docs.tags.push(tag);
                paragraphs.push(String::new());
            } else if let Some((name, text)) =
                line.strip_prefix("- ").and_then(|it| it.split_once(": "))
            {
                docs.params.extend(item.replace((name.to_owned(), text.trim().to_owned())));
            } else if let Some((_, text)) = item.as_mut().filter(|_| line.starts_with("  ")) {
                join(text, line);
            } else {
                docs.params.extend(item.take());
                match paragraphs.last_mut() {
                    Some(last) if !line.trim().is_empty() => join(last, line),
                    _ => paragraphs.push(String::new()),
                }
            }
        }
        docs.params.extend(item);
        paragraphs.retain(|paragraph| !paragraph.is_empty());
        docs.description = (!paragraphs.is_empty()).then(|| paragraphs.join("\n\n"));
        docs
    }
}

impl Tag {
    /// A line that is one of our tags, or one misspelt. What else begins with `@` is text.
    fn read(line: &str) -> Option<Tag> {
        let (name, params) = match line.trim().strip_prefix('@')?.split_once(char::is_whitespace) {
            Some(split) => split,
            None => (line.trim().strip_prefix('@')?, ""),
        };
        let low = name.to_ascii_lowercase();
        let ours = ["reads", "writes", "pure"].iter().any(|ours| {
            low.starts_with(&ours[..4]) || strsim::damerau_levenshtein(&low, ours) <= 1
        });
        let params = params.split([' ', '\t', ',']).filter(|param| !param.is_empty());
        ours.then(|| Tag { name: name.to_owned(), params: params.map(str::to_owned).collect() })
    }
}

/// WIT comments are wrapped for editors, not for the readers of a schema.
fn join(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(line.trim());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_items_are_parameters_and_the_rest_is_the_description() {
        let docs = FunctionDocs::read(
            "Finds\n  things.\n\nIn order: always.\n@pure\n@see this\n\n- path: where\n- max-results: at most: this\n  many",
        );
        let description = "Finds things.\n\nIn order: always.\n\n@see this";
        assert_eq!(docs.description.as_deref(), Some(description));
        let params = [("path", "where"), ("max-results", "at most: this many")];
        assert_eq!(docs.params, params.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(docs.tags, [Tag { name: "pure".to_owned(), params: vec![] }]);
        assert_eq!(FunctionDocs::read("@pure").description, None);
    }

    #[test]
    fn a_fault_of_the_parser_is_an_error() {
        let error = Docs::parse([("a.wit", "package a:b; /**/ interface i {}")]).unwrap_err();
        assert_eq!(error, "the parser panicked");
    }

    #[test]
    fn interfaces_are_told_apart_by_their_full_names() {
        let text = "package a:b@1.0.0;
            interface i { /// One.
                f: func(x: string); }
            world w {
                export i;
                export inline: interface { /// Two.
                    f: func(); }
                /// Three.
                export f: func();
            }
            world imports { include wasi:cli/imports@0.2.0; import c:d/i; }
            world foreign { export c:d/i; }
            package c:d {
                interface i { /// Four.
                    f: func(); }
                world w { export i; }
            }";
        let docs = Docs::parse([("a.wit", text)]).unwrap();
        for (interface, description) in [
            (Some("a:b/i@1.0.0"), "One."),
            (Some("a:b/i@2.0.0"), "One."),
            (Some("c:d/i"), "Four."),
            (Some("inline"), "Two."),
            (None, "Three."),
        ] {
            let found = docs.of(&ToolName::new(interface, "f")).unwrap();
            assert_eq!(found.description.as_deref(), Some(description), "{interface:?}");
        }
        let exist = ["inline#f".to_owned(), "f".to_owned()];
        assert_eq!(docs.missing(&exist).collect::<Vec<_>>(), [["a:b/i@1.0.0#f"]]);
    }
}
