//! Descriptions of tools, from WIT text: the documentation does not survive into a built component.
//!
//! Parses without resolving, so that a `.wit` file beside a component needs none of its dependencies.

use std::collections::HashMap;
use std::path::Path;

use wit_parser::{UnresolvedPackageGroup, WorldItem};

/// Documentation by interface (its short name; none for a world's own functions) and function.
#[derive(Clone, Debug, Default)]
pub struct Docs {
    functions: HashMap<(Option<String>, String), String>,
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
                        functions.insert((interface.name.clone(), name.clone()), tidy(text));
                    }
                }
            }
            for (_, world) in package.worlds.iter() {
                for (_, item) in &world.exports {
                    if let WorldItem::Function(function) = item
                        && let Some(text) = &function.docs.contents
                    {
                        functions.insert((None, function.name.clone()), tidy(text));
                    }
                }
            }
        }
        Ok(Docs { functions })
    }

    pub fn of(&self, interface: Option<&str>, function: &str) -> Option<&str> {
        let key = (interface.map(str::to_owned), function.to_owned());
        self.functions.get(&key).map(String::as_str)
    }
}

/// Lines of a paragraph joined: WIT comments are wrapped for editors, not for readers of a schema.
fn tidy(text: &str) -> String {
    let paragraphs = text.trim().split("\n\n");
    let joined = paragraphs.map(|lines| lines.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    joined.collect::<Vec<_>>().join("\n\n")
}
