//! Where an edit applies in a text, and what the text is afterwards. Pure: knows no files and no
//! diffs.

use std::ops::Range;

/// How many places an error names.
const NAMED: usize = 5;

/// A text with `\n` alone between its lines, and what the line ends really were. Edits are matched
/// and written with `\n`, and every line end that they do not touch survives, in a file that mixes
/// both too.
pub struct Document {
    text: String,
    /// For each line end whether it is CRLF; none if no line end is.
    crlf: Option<Vec<bool>>,
}

impl Document {
    pub fn new(raw: String) -> Document {
        if !raw.contains("\r\n") {
            return Document { text: raw, crlf: None };
        }
        let mut text = String::with_capacity(raw.len());
        let mut crlf = Vec::new();
        for line in raw.split_inclusive('\n') {
            match (line.strip_suffix("\r\n"), line.ends_with('\n')) {
                (Some(content), _) => {
                    text.push_str(content);
                    text.push('\n');
                    crlf.push(true);
                }
                (None, ended) => {
                    text.push_str(line);
                    crlf.extend(ended.then_some(false));
                }
            }
        }
        Document { text, crlf: Some(crlf) }
    }

    /// The text with `\n` alone between its lines.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text with its line ends as they were.
    pub fn raw(&self) -> String {
        let Some(crlf) = &self.crlf else { return self.text.clone() };
        let mut raw = String::with_capacity(self.text.len() + crlf.len());
        let mut ends = crlf.iter();
        for line in self.text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(content) => {
                    raw.push_str(content);
                    raw.push_str(if ends.next() == Some(&true) { "\r\n" } else { "\n" });
                }
                None => raw.push_str(line),
            }
        }
        raw
    }

    /// Applies one edit or says why it does not apply. The text that is looked for must be in one
    /// place only: to replace the first of several, as other editors do, changes a place that the
    /// model may not have meant.
    pub fn edit(&mut self, old: &str, new: &str) -> Result<(), String> {
        let (old, new) = (unix(old), unix(new));
        if old.is_empty() {
            return Err("old_text is empty".into());
        }
        if let Some(place) = self.only(exact_places(&self.text, &old))? {
            self.replace(place, &new);
            return Ok(());
        }
        let loose = self.only(line_places(&self.text, &old));
        let loose =
            loose.map_err(|reason| format!("ignoring the spaces around each line, {reason}"))?;
        let place = loose.ok_or_else(|| not_found(&self.text, &old))?;
        let indented = reindent(&self.text[place.clone()], &old, &new);
        self.replace(place, &indented);
        Ok(())
    }

    fn only(&self, places: Vec<Range<usize>>) -> Result<Option<Range<usize>>, String> {
        if places.len() < 2 {
            return Ok(places.into_iter().next());
        }
        let count = if places.len() > NAMED {
            format!("more than {NAMED}")
        } else {
            places.len().to_string()
        };
        let lines =
            places.iter().take(NAMED).map(|place| line_number(&self.text, place.start).to_string());
        let lines = lines.collect::<Vec<_>>().join(", ");
        Err(format!(
            "old_text occurs {count} times (at lines {lines}): add lines around it until it occurs once"
        ))
    }

    fn replace(&mut self, place: Range<usize>, new: &str) {
        if let Some(crlf) = &mut self.crlf {
            let first = count_lines(&self.text[..place.start]).min(crlf.len());
            let last = (first + count_lines(&self.text[place.clone()])).min(crlf.len());
            // added lines end as the line does where they were added
            let usual = crlf.get(first).or(crlf.last()).copied().unwrap_or(false);
            let ends: Vec<bool> = (0..count_lines(new))
                .map(|n| crlf[first..last].get(n).copied().unwrap_or(usual))
                .collect();
            crlf.splice(first..last, ends);
        }
        self.text.replace_range(place, new);
    }
}

fn unix(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn count_lines(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count()
}

fn line_number(text: &str, place: usize) -> usize {
    count_lines(&text[..place]) + 1
}

/// Where a text occurs, overlapping or not; at most one place more than an error names.
fn exact_places(text: &str, old: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut from = 0;
    let finder = memchr::memmem::Finder::new(old);
    while let Some(found) = finder.find(&text.as_bytes()[from..]).filter(|_| places.len() <= NAMED)
    {
        places.push(from + found..from + found + old.len());
        from += found + 1;
    }
    places
}

/// Where whole lines equal those of `old` but for the spaces around them. A line end that closes
/// `old` is part of the place.
fn line_places(text: &str, old: &str) -> Vec<Range<usize>> {
    let closed = old.ends_with('\n');
    let wanted: Vec<&str> =
        old.strip_suffix('\n').unwrap_or(old).split('\n').map(str::trim).collect();
    // blank lines alone are everywhere
    if wanted.iter().all(|line| line.is_empty()) {
        return Vec::new();
    }
    let mut places = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut end = start;
        let mut lines = text[start..].split_inclusive('\n');
        let matches = wanted.iter().all(|wanted| {
            lines.next().is_some_and(|line| {
                end += line.len();
                line.trim() == *wanted
            })
        });
        if matches {
            let keep_end = !closed && text[..end].ends_with('\n');
            places.push(start..end - usize::from(keep_end));
            if places.len() > NAMED {
                break;
            }
        }
        start += line.len();
    }
    places
}

/// The new text with the indentation of the text that it replaces: each line takes that of the line
/// whose place it takes, if `old` indents both alike; if it does not, it is measured from the
/// nearest indentation that `old` has.
fn reindent(found: &str, old: &str, new: &str) -> String {
    let pairs: Vec<(&str, &str)> = old.split('\n').zip(found.split('\n')).collect();
    let mut lines: Vec<&str> = new.split('\n').collect();
    // `old` closed its last line, which the file does not: keep it so
    if old.ends_with('\n')
        && !found.ends_with('\n')
        && lines.last().is_some_and(|line| line.is_empty())
    {
        lines.pop();
    }
    let same = |(pair, line): &(&(&str, &str), &&str)| pair.0.trim() == line.trim();
    let top = pairs.iter().zip(&lines).take_while(same).count();
    let most = pairs.len().min(lines.len()) - top;
    let bottom = pairs.iter().rev().zip(lines.iter().rev()).take(most).take_while(same).count();

    let (old_end, new_end) = (pairs.len() - bottom, lines.len() - bottom);
    let reindented = lines.iter().enumerate().map(|(at, line)| {
        let content = line.trim_start();
        let indent = indentation(line);
        if content.is_empty() {
            return String::new();
        }
        if at < top || at >= new_end {
            let place = if at < top { at } else { at + pairs.len() - lines.len() };
            let (old, found) = pairs[place];
            if indentation(old) == indent {
                return format!("{}{content}", indentation(found));
            }
        }
        let nearest = |from: usize, to: usize| {
            let alike = (from..to)
                .filter(|&n| !pairs[n].0.trim().is_empty() && indentation(pairs[n].0) == indent);
            alike.min_by_key(|&n| n.abs_diff(at)).map(|n| indentation(pairs[n].1).to_owned())
        };
        let translated = nearest(top, old_end).or_else(|| nearest(0, pairs.len()));
        translated.unwrap_or_else(|| translate(indent, &pairs)) + content
    });
    reindented.collect::<Vec<_>>().join("\n")
}

/// An indentation that no line of `old` has: from the longest that begins it, or else from the
/// shortest.
fn translate(indent: &str, pairs: &[(&str, &str)]) -> String {
    let written = pairs.iter().filter(|(old, _)| !old.trim().is_empty());
    let known = written.map(|(old, found)| (indentation(old), indentation(found)));
    let prefix =
        known.clone().filter(|(old, _)| indent.starts_with(old)).max_by_key(|(old, _)| old.len());
    if let Some((old, found)) = prefix {
        return format!("{found}{}", &indent[old.len()..]);
    }
    match known.min_by_key(|(old, _)| old.len()) {
        Some((old, found)) if old.starts_with(indent) => {
            let less = old[indent.len()..].chars().count();
            found.chars().take(found.chars().count().saturating_sub(less)).collect()
        }
        _ => indent.into(),
    }
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn not_found(text: &str, old: &str) -> String {
    let first = old.split('\n').map(str::trim).find(|line| !line.is_empty());
    let near = first.and_then(|first| text.split('\n').position(|line| line.trim() == first));
    match near {
        Some(line) => {
            format!(
                "old_text not found; its first line is at line {}, but what follows differs: read the file there",
                line + 1
            )
        }
        None => "old_text not found: read the file to see what it holds now".into(),
    }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
