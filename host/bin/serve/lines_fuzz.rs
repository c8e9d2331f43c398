//! What a client sends over standard input, up to where it is a message or refused.
//!
//! For the fuzz target `mcp_lines`, and for the test that replays its corpus.

use rmcp::model::RequestId;
use serde_json::{Map, Value};

use super::message::Line;
use super::scan::IdScan;
use super::split::{Found, Splitter};

/// The first byte says how long lines may be, and how long pieces of the input are; the rest is the input.
pub fn mcp_lines(bytes: &[u8]) {
    let Some((sizes, input)) = bytes.split_first() else { return };
    let (most, piece) = (8 << (sizes >> 5), usize::from(sizes & 31) + 1);
    let whole = found(input, most, input.len().max(1));
    assert_eq!(found(input, most, piece), whole, "it matters how it is cut");
    // Behind the last end, there is a line only if there is something.
    let lines = input.split(|byte| *byte == b'\n');
    let last = usize::from(input.is_empty() || input.ends_with(b"\n"));
    assert_eq!(whole.len(), lines.clone().count() - last);
    for (line, found) in lines.zip(whole) {
        match &found {
            Found::Line(kept) => assert!(kept == line && line.len() <= most),
            Found::TooLong(id) => {
                assert!(line.len() > most);
                assert_eq!(*id, IdScan::of(line));
            }
        }
        id_is_that_of_the_message(line);
        message(line, found);
    }
}

fn found(input: &[u8], most: usize, piece: usize) -> Vec<Found> {
    let (mut lines, mut found) = (Splitter::new(most), Vec::new());
    for mut piece in input.chunks(piece) {
        found.extend(std::iter::from_fn(|| lines.next(&mut piece, false)));
        assert!(piece.is_empty());
    }
    found.extend(lines.next(&mut &b""[..], true));
    assert_eq!(lines.next(&mut &b""[..], true), None);
    found
}

/// What is scanned for an id finds what a parser finds, if it can be found without one.
fn id_is_that_of_the_message(line: &[u8]) {
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(line) else { return };
    let id = fields.get("id").and_then(|id| serde_json::from_value::<RequestId>(id.clone()).ok());
    // An escape may hide the name, and a name may be there twice.
    if !line.contains(&b'\\') && line.windows(4).filter(|it| it == b"\"id\"").count() <= 1 {
        let short = id.filter(|id| id.to_string().len() < 200);
        let scanned = IdScan::of(line).filter(|id| id.to_string().len() < 200);
        assert_eq!(scanned, short, "{}", String::from_utf8_lossy(line));
    }
}

/// A request is answered as that request, and what is no message by what is wrong with it.
fn message(line: &[u8], found: Found) {
    let too_long = matches!(found, Found::TooLong(_));
    match Line::of(found) {
        Some(Line::Message(_, length)) => assert_eq!(length, line.len()),
        Some(Line::Refused(error, _)) => assert!(!error.message.is_empty()),
        None => assert!(!too_long),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_seed_of_the_fuzzer_is_still_taken() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/mcp_lines");
        let seeds = std::fs::read_dir(corpus).unwrap();
        let fed = seeds.map(|seed| super::mcp_lines(&std::fs::read(seed.unwrap().path()).unwrap()));
        assert!(fed.count() > 0, "there are no seeds");
    }
}
