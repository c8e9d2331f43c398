//! What another list of tools has that the one before had not, in words.

use std::fmt;

use rmcp::model::Tool;

use crate::print::line;

/// Names of tools.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    added: Vec<String>,
    removed: Vec<String>,
    /// Whose description, schemas or annotations are others.
    described_anew: Vec<String>,
}

impl Difference {
    pub fn between(old: &[Tool], new: &[Tool]) -> Difference {
        let mut difference = Difference::default();
        for tool in new {
            match old.iter().find(|it| it.name == tool.name) {
                None => difference.added.push(tool.name.to_string()),
                Some(before) if before != tool => {
                    difference.described_anew.push(tool.name.to_string());
                }
                Some(_) => {}
            }
        }
        let gone = old.iter().filter(|tool| new.iter().all(|it| it.name != tool.name));
        difference.removed = gone.map(|tool| tool.name.to_string()).collect();
        difference
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("new", &self.added),
            ("gone", &self.removed),
            ("described anew", &self.described_anew),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts
            .map(|(what, names)| format!("{what}: {}", line(&names.join(", "), 200)))
            .collect();
        match parts.is_empty() {
            true => f.write_str("the same tools"),
            false => f.write_str(&parts.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::JsonObject;

    use super::*;

    #[test]
    fn tools_that_came_went_or_are_described_anew_are_named() {
        let tool =
            |name: &'static str, says: &'static str| Tool::new(name, says, JsonObject::new());
        let old = [tool("a", "1"), tool("b", "1"), tool("c", "1")];
        let new = [tool("b", "2"), tool("c", "1"), tool("d", "1")];
        let told = Difference::between(&old, &new).to_string();
        assert_eq!(told, "new: d; gone: a; described anew: b");
        assert_eq!(Difference::between(&old, &old).to_string(), "the same tools");
    }
}
