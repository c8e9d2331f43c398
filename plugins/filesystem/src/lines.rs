//! Finds matching lines in a stream, with the lines around them, in memory that does not grow with
//! the stream. Knows no files, no walks and no limits on the number of results but the one it is
//! given.

use crate::utf16::{Order, Utf16};
use memchr::{memchr, memchr_iter, memrchr};
use regex_automata::meta::{Cache, Regex};
use regex_automata::{Input, util::syntax};
use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look,
};
use std::io::{self, Cursor, Read};
use std::mem;
use std::ops::Range;

/// The longest line that is searched, and the longest that is shown.
const LINE: usize = 8 << 20;
const SHOWN: usize = 500;
/// How much of a long line is shown before its match.
const LEAD: usize = 100;
const CHUNK: usize = 64 << 10;

#[derive(Debug, PartialEq, Eq)]
pub struct Hit {
    pub line: u32,
    pub text: String,
    pub before: Vec<String>,
    pub after: Vec<String>,
}

/// How a search of one stream ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Searched,
    Binary,
    LongLine,
}

/// The lines to show around a match.
#[derive(Clone, Copy)]
pub struct Around {
    pub before: usize,
    pub after: usize,
}

pub struct Searcher {
    regex: Regex,
    cache: Cache,
    around: Around,
    /// Bytes of the stream, from the start of a line; kept between searches, since growing it is
    /// what costs.
    buffer: Vec<u8>,
}

impl Searcher {
    pub fn new(pattern: &str, ignore_case: bool, around: Around) -> Result<Searcher, String> {
        let regex = compile(pattern, ignore_case)
            .map_err(|reason| format!("pattern `{pattern}`: {reason}"))?;
        let cache = regex.create_cache();
        Ok(Searcher { regex, cache, around, buffer: Vec::new() })
    }

    /// Adds at most `most` hits; none for a stream with a NUL byte, which is no text.
    pub fn search(
        &mut self,
        mut reader: impl Read,
        most: usize,
        hits: &mut Vec<Hit>,
    ) -> io::Result<End> {
        self.search_text(&mut reader, most, hits)
    }

    fn search_text(
        &mut self,
        reader: &mut dyn Read,
        most: usize,
        hits: &mut Vec<Hit>,
    ) -> io::Result<End> {
        self.buffer.clear();
        let first = hits.len();
        let mut scanned = 0; // the start of the first line not yet searched
        let mut line = 1; // its number
        loop {
            let filled = self.buffer.len();
            let read = Read::take(&mut *reader, CHUNK as u64).read_to_end(&mut self.buffer)?;
            if filled == 0
                && let Some(order) = Order::of(&self.buffer)
            {
                let begun = Cursor::new(mem::take(&mut self.buffer)).chain(reader);
                return self.search_text(&mut Utf16::new(begun, order), most, hits);
            }
            if memchr(0, &self.buffer[filled..]).is_some() {
                hits.truncate(first);
                return Ok(End::Binary);
            }
            if filled == 0 && self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
            }
            let ended = read < CHUNK;
            let whole = if ended {
                self.buffer.len()
            } else {
                memrchr(b'\n', &self.buffer).map_or(0, |end| end + 1)
            };
            let searched = self.search_buffer(scanned..whole, line, ended, first + most, hits);
            line += count(&self.buffer[scanned..searched]);
            if ended || hits.len() >= first + most {
                return Ok(End::Searched);
            }
            if self.buffer.len() - searched > LINE {
                hits.truncate(first);
                return Ok(End::LongLine);
            }
            // what may still be shown before a match, and what was not searched
            let kept = lines_back(&self.buffer, searched, self.around.before);
            self.buffer.drain(..kept);
            scanned = searched - kept;
        }
    }

    /// Searches whole lines and answers how far it came: to the end, or to a match whose following
    /// lines are still to be read.
    fn search_buffer(
        &mut self,
        range: Range<usize>,
        line: u32,
        ended: bool,
        most: usize,
        hits: &mut Vec<Hit>,
    ) -> usize {
        let (mut at, mut counted, mut line) = (range.start, range.start, line);
        while at < range.end && hits.len() < most {
            let input = Input::new(&self.buffer).range(at..range.end);
            let Some(found) = self.regex.search_with(&mut self.cache, &input) else { break };
            // the empty place after the last line end is no line
            if found.start() == range.end && self.buffer[..range.end].ends_with(b"\n") {
                break;
            }
            let start =
                memrchr(b'\n', &self.buffer[at..found.start()]).map_or(at, |end| at + end + 1);
            let end = line_end(&self.buffer, found.start(), range.end);
            let after_end =
                (0..self.around.after).fold(end, |end, _| line_end(&self.buffer, end, range.end));
            if !ended
                && after_end == range.end
                && count(&self.buffer[end..after_end]) < self.around.after as u32
            {
                return start;
            }
            line += count(&self.buffer[counted..start]);
            counted = start;
            hits.push(Hit {
                line,
                text: shown(&self.buffer[start..end], found.start() - start),
                before: self
                    .shown_lines(lines_back(&self.buffer, start, self.around.before)..start),
                after: self.shown_lines(end..after_end),
            });
            at = end;
        }
        range.end
    }

    fn shown_lines(&self, range: Range<usize>) -> Vec<String> {
        self.buffer[range]
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| shown(line, 0))
            .collect()
    }
}

fn count(bytes: &[u8]) -> u32 {
    memchr_iter(b'\n', bytes).count() as u32
}

fn line_end(buffer: &[u8], from: usize, limit: usize) -> usize {
    memchr(b'\n', &buffer[from..limit]).map_or(limit, |end| from + end + 1)
}

/// The start of the line so many lines before the one that starts at a place.
fn lines_back(buffer: &[u8], place: usize, lines: usize) -> usize {
    (0..lines).fold(place, |place, _| {
        memrchr(b'\n', &buffer[..place.saturating_sub(1)]).map_or(0, |end| end + 1)
    })
}

/// A line as it is shown: without its end, and with the match in it if it is too long to be shown
/// whole.
fn shown(line: &[u8], place: usize) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() <= SHOWN {
        return String::from_utf8_lossy(line).into_owned();
    }
    // not within a character
    let boundary = |place: usize| {
        (place..line.len()).find(|&at| line[at] & 0xc0 != 0x80).unwrap_or(line.len())
    };
    let start = boundary(place.saturating_sub(LEAD).min(line.len() - SHOWN));
    let end = boundary(start + SHOWN).min(line.len());
    let (left, right) = (if start > 0 { "…" } else { "" }, if end < line.len() { "…" } else { "" });
    format!("{left}{}{right}", String::from_utf8_lossy(&line[start..end]))
}

fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    let config =
        syntax::Config::new().multi_line(true).crlf(true).utf8(false).case_insensitive(ignore_case);
    let hir =
        syntax::parse_with(pattern, &config).map_err(|error| last_line(&error.to_string()))?;
    let hir = within_a_line(hir)
        .ok_or("a line end in it can never match, since lines are searched one at a time")?;
    let config = Regex::config()
        .utf8_empty(false)
        .nfa_size_limit(Some(10 << 20))
        .hybrid_cache_capacity(2 << 20);
    Regex::builder().configure(config).build_from_hir(&hir).map_err(|error| {
        match error.size_limit() {
            Some(_) => "too large; use smaller repetitions".into(),
            None => error.to_string(),
        }
    })
}

/// The parser draws the pattern over several lines; the reason is in the last.
fn last_line(error: &str) -> String {
    let line = error.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).into()
}

/// The same expression unable to match a line end, so that many lines can be searched at once and
/// each match is still within one; none if it asks for a line end. The start and end of a text
/// become those of a line. A class holds no carriage return either, so that `foo\s` finds the same
/// whether lines end in LF or CRLF; one that is asked for by itself is found.
fn within_a_line(hir: Hir) -> Option<Hir> {
    let all = |hirs: Vec<Hir>| hirs.into_iter().map(within_a_line).collect::<Option<Vec<Hir>>>();
    Some(match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => return None,
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(Class::Unicode(mut class)) => {
            let ends = ['\r', '\n'].map(|end| ClassUnicodeRange::new(end, end));
            class.difference(&ClassUnicode::new(ends));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(mut class)) => {
            let ends = [b'\r', b'\n'].map(|end| ClassBytesRange::new(end, end));
            class.difference(&ClassBytes::new(ends));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Look(Look::Start) => Hir::look(Look::StartCRLF),
        HirKind::Look(Look::End) => Hir::look(Look::EndCRLF),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Repetition(mut repetition) => {
            repetition.sub = Box::new(within_a_line(*repetition.sub)?);
            Hir::repetition(repetition)
        }
        HirKind::Capture(mut capture) => {
            capture.sub = Box::new(within_a_line(*capture.sub)?);
            Hir::capture(capture)
        }
        HirKind::Concat(hirs) => Hir::concat(all(hirs)?),
        HirKind::Alternation(hirs) => Hir::alternation(all(hirs)?),
    })
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
