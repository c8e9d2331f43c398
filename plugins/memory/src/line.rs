//! The lines of a memory file, as the reference MCP memory server writes them: a JSON object each, with
//! `"type": "entity"` or `"type": "relation"`.
//!
//! What else a line holds, and lines of other types, are kept as they are: the reference server drops
//! them, but they are somebody's.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    pub entities: Vec<Entity>,
    pub relations: Vec<Relation>,
    /// Lines of other types, as they stand.
    others: Vec<String>,
}

// The order of the fields is that of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity {
    pub name: String,
    pub entity_type: String,
    pub observations: Vec<String>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Relation {
    pub from: String,
    pub to: String,
    pub relation_type: String,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Line {
    Entity(Entity),
    Relation(Relation),
}

impl Graph {
    /// # Errors
    /// The number of the first line that cannot be read, and why: a graph read in part would be
    /// written back in part.
    pub fn parse(text: &str) -> Result<Graph, String> {
        let mut graph = Graph::default();
        for (number, line) in text.split('\n').enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let wrong = |error: serde_json::Error| {
                let error = error.to_string();
                let why = error.split(" at line").next().unwrap_or_default();
                format!("line {} is not that of a memory: {why}", number + 1)
            };
            let fields: Map<String, Value> = serde_json::from_str(line).map_err(wrong)?;
            if !matches!(fields.get("type").and_then(Value::as_str), Some("entity" | "relation")) {
                graph.others.push(line.trim().to_owned());
                continue;
            }
            match serde_json::from_value(Value::Object(fields)).map_err(wrong)? {
                Line::Entity(entity) => graph.entities.push(entity),
                Line::Relation(relation) => graph.relations.push(relation),
            }
        }
        Ok(graph)
    }

    /// The text of the file: entities, relations, then the rest; no line end after the last line, as the
    /// reference server leaves it.
    pub fn text(self) -> Result<String, String> {
        let entities = self.entities.into_iter().map(Line::Entity);
        let lines = entities.chain(self.relations.into_iter().map(Line::Relation));
        let mut texts = lines
            .map(|line| serde_json::to_string(&line).map_err(|error| error.to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        texts.extend(self.others);
        Ok(texts.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str =
        r#"{"type":"entity","name":"Ada","entityType":"person","observations":["a \"b\"\n","é"]}"#;
    const WROTE: &str = r#"{"type":"relation","from":"Ada","to":"notes","relationType":"wrote"}"#;

    #[test]
    fn what_the_reference_server_wrote_is_written_back_byte_for_byte() {
        let text = format!("{ADA}\n{WROTE}");
        assert_eq!(Graph::parse(&text).unwrap().text(), Ok(text));
        assert_eq!(Graph::parse("").unwrap().text(), Ok(String::new()));
    }

    #[test]
    fn entities_come_first_and_blank_lines_and_line_ends_do_not_matter() {
        let graph = Graph::parse(&format!("\n{WROTE}\r\n \n{ADA}\n")).unwrap();
        assert_eq!((graph.entities.len(), graph.relations.len()), (1, 1));
        assert_eq!(graph.text(), Ok(format!("{ADA}\n{WROTE}")));
    }

    #[test]
    fn what_it_does_not_know_is_kept() {
        let more =
            r#"{"type":"entity","name":"a","entityType":"b","observations":[],"x":{"y":[1,"z"]}}"#;
        let other = r#"{"type":"note",  "text":"kept as it stands"}"#;
        let text = format!("{more}\n{WROTE}\n{other}\n{{}}");
        assert_eq!(Graph::parse(&text).unwrap().text(), Ok(text));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (line, says) in [
            ("{", "line 3 is not that of a memory: EOF while parsing an object"),
            (r#"{"type":"entity","name":"a"}"#, "line 3 is not that of a memory: missing field"),
            ("[1]", "line 3 is not that of a memory"),
        ] {
            let error = Graph::parse(&format!("{ADA}\n\n{line}\n{WROTE}")).expect_err(line);
            assert!(error.starts_with(says), "{line}: {error}");
        }
    }
}
