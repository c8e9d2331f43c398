//! An outcome as a model reads it best: a string as it is, since it reads escaped line ends badly, everything else as JSON.

use serde_json::Value;

use super::report::{Change, ErrorKind, Outcome};

impl Outcome {
    /// What a model is told of it: its value, or what was changed by a call that gives none, or its error's message,
    /// which is never empty.
    pub fn text(&self) -> String {
        match &self.result {
            // Only strings and null are told otherwise than as their JSON.
            Ok(json) => match json.text().as_bytes().first() {
                Some(b'"' | b'n') => text(json.value(), &self.changes),
                _ => json.text().to_owned(),
            },
            Err(error) => {
                let said = match &error.value {
                    // The message has only its beginning.
                    Some(value) if error.kind == ErrorKind::Tool && value.is_string() => {
                        text(value, &self.changes)
                    }
                    _ => error.message.clone(),
                };
                // Anthropic's API refuses a conversation that has an error without a text.
                match said.trim().is_empty() {
                    true => "it failed, and does not say why".to_owned(),
                    false => said,
                }
            }
        }
    }
}

fn text(value: &Value, changes: &[Change]) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null if changes.is_empty() => "done".to_owned(),
        Value::Null => changes.iter().map(line).collect::<Vec<_>>().join("\n"),
        value => value.to_string(),
    }
}

fn line(change: &Change) -> String {
    match change {
        Change::Created(path) => format!("created {path}"),
        Change::Modified(path) => format!("modified {path}"),
        Change::Removed(path) => format!("removed {path}"),
        Change::Renamed { from, to } => format!("renamed {from} to {to}"),
    }
}
