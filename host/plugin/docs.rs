//! Descriptions of tools, from WIT text: the documentation does not survive into a built component.
//!
//! Parses without resolving, so that a `.wit` file beside a component needs none of its dependencies.

use std::collections::HashMap;
use std::path::Path;

use wit_parser::{UnresolvedPackageGroup, WorldItem};

/// Documentation by interface (its short name; none for a world's own functions) and function.
#[derive(Clone, Debug, Default)]
pub struct Docs {
    functions: HashMap<(Option<String>, String), FunctionDocs>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionDocs {
    pub description: String,
    /// By their WIT names.
    pub params: Vec<(String, String)>,
}

impl Docs {
    /// Collects what `text`, the WIT file `path`, says of its functions.
    ///
    /// # Errors
    /// Where and why the text is not WIT.
    pub fn parse(path: &Path, text: &str) -> Result<Docs, String> {
        let group = UnresolvedPackageGroup::parse(path, text).map_err(|(sources, error)| {
            // It quotes the line it stumbled over, which can be the whole file.
            error.render(&sources).chars().take(600).collect::<String>()
        })?;
        let mut functions = HashMap::new();
        for package in std::iter::once(&group.main).chain(&group.nested) {
            for (_, interface) in package.interfaces.iter() {
                for (name, function) in &interface.functions {
                    if let Some(text) = &function.docs.contents {
                        functions.insert(
                            (interface.name.clone(), name.clone()),
                            FunctionDocs::read(text),
                        );
                    }
                }
            }
            for (_, world) in package.worlds.iter() {
                for (_, item) in &world.exports {
                    if let WorldItem::Function(function) = item
                        && let Some(text) = &function.docs.contents
                    {
                        functions.insert((None, function.name.clone()), FunctionDocs::read(text));
                    }
                }
            }
        }
        Ok(Docs { functions })
    }

    pub fn of(&self, interface: Option<&str>, function: &str) -> Option<&FunctionDocs> {
        let key = (interface.map(str::to_owned), function.to_owned());
        self.functions.get(&key)
    }
}

impl FunctionDocs {
    /// Reads a doc comment. WIT has no place for documentation of parameters, so it is written
    /// as list items, `- name: text`; what is continued is indented.
    fn read(text: &str) -> FunctionDocs {
        let mut docs = FunctionDocs::default();
        let mut paragraphs: Vec<String> = vec![String::new()];
        let mut item: Option<(String, String)> = None;
        for line in text.trim().lines() {
            if let Some((name, text)) = line.strip_prefix("- ").and_then(|it| it.split_once(": ")) {
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
        docs.description = paragraphs.join("\n\n");
        docs
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
            "Finds\n  things.\n\nIn order: always.\n\n- path: where\n- max-results: at most: this\n  many",
        );
        assert_eq!(docs.description, "Finds things.\n\nIn order: always.");
        let params = [("path", "where"), ("max-results", "at most: this many")];
        assert_eq!(docs.params, params.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}
