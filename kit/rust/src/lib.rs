//! The tools that `wit/my-tools.wit` exports, one function each.

use std::fs;

wit_bindgen::generate!({ world: "my-tools" });

struct Tools;

impl Guest for Tools {
    fn word_count(path: String) -> Result<Counts, String> {
        let text = fs::read(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
        let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        Ok(Counts {
            lines: text.iter().filter(|byte| **byte == b'\n').count() as u32,
            words: words.count() as u32,
            bytes: text.len() as u32,
        })
    }

    fn greet(name: String) -> String {
        format!("Hello {name}!")
    }
}

export!(Tools);
