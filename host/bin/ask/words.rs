//! A question in words, for a person: what wants to be done, by whom, and because of which rule it is asked.
//!
//! All but the words of our own is text of strangers: it comes without control characters, with all that cannot be seen
//! written out, and what is to be one line is one.

use inorder::{About, Change, Question};

use crate::print::{exact, exact_line as line};

/// Of a name.
const SHORT: usize = 100;
/// Of the id of a call, which a model may have chosen.
const SHORT_ID: usize = 40;
/// Of arguments.
const LONG: usize = 300;
/// Of the address of a request. A longer one is among the details, too.
const ADDRESS: usize = 1000;
/// Changes that are named.
const MOST_CHANGES: usize = 20;
/// Of a diff in a message, or of each part of a request, in bytes.
const MOST_DETAILS: usize = 4 << 10;
/// Before each line of details in a message, and no line of ours.
const QUOTE: &str = "│ ";

/// What is wanted, in one line: of our own words alone, so that nobody else can say that it is something else.
pub fn title(question: &Question) -> String {
    let who = match question.calls.as_slice() {
        [_] => "a call".to_owned(),
        calls => format!("a batch of all or nothing ({} calls of it)", calls.len()),
    };
    match &question.about {
        About::Files { changes, .. } if changes.len() == 1 => {
            format!("{who} wants to change a file")
        }
        About::Files { changes, .. } => format!("{who} wants to change {} files", changes.len()),
        About::Request { .. } => format!("{who} wants to send a request"),
    }
}

/// Who wants it, if that is one call: `write_file (filesystem, call 1)`.
pub fn who(question: &Question) -> Option<String> {
    let [call] = question.calls.as_slice() else { return None };
    Some(format!("{} ({}, call {})", name(&call.tool), name(&call.plugin), id(&call.id)))
}

/// What it would do, a line each: `created docs/a.md`, `POST https://api.example.org/issues`.
pub fn doings(question: &Question) -> Vec<String> {
    match &question.about {
        About::Files { changes, .. } => {
            let mut lines: Vec<String> = changes.iter().take(MOST_CHANGES).map(change).collect();
            if let Some(more @ 1..) = changes.len().checked_sub(MOST_CHANGES) {
                lines.push(format!("and {more} more"));
            }
            lines
        }
        About::Request { method, origin, path, secrets, .. } => {
            let secrets = secrets.iter().map(|secret| format!("with the secret {}", name(secret)));
            let address = line(&format!("{method} {origin}{path}"), ADDRESS);
            std::iter::once(address).chain(secrets).collect()
        }
    }
}

/// The arguments of each call, shortened, with its tool where there are several.
pub fn arguments(question: &Question) -> Vec<String> {
    let several = question.calls.len() > 1;
    let calls = question.calls.iter().take(MOST_CHANGES);
    let one = calls.map(|call| match several {
        true => format!("{} {}", name(&call.tool), line(&call.arguments, LONG / 3)),
        false => line(&call.arguments, LONG),
    });
    one.collect()
}

/// The rules that ask, each once.
pub fn rules(question: &Question) -> String {
    let mut rules: Vec<&str> =
        question.calls.iter().flat_map(|call| &call.rules).map(String::as_str).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<String> = rules.into_iter().map(name).collect();
    rules.join(", ")
}

/// The tools, each once.
pub fn tools(question: &Question) -> String {
    let mut tools: Vec<&str> = question.calls.iter().map(|call| call.tool.as_str()).collect();
    tools.sort_unstable();
    tools.dedup();
    line(&tools.join(", "), SHORT)
}

/// What there is to see of it, in parts: a diff; or the address of a request, if that is long, its headers and its body.
pub fn details(question: &Question) -> Vec<Vec<String>> {
    let lines = |text: &str| -> Vec<String> {
        exact(text).lines().map(|it| it.replace('\t', "    ")).collect()
    };
    let parts = match &question.about {
        About::Files { diff, .. } => vec![lines(diff)],
        About::Request { method, origin, path, headers, body, .. } => {
            let address = line(&format!("{method} {origin}{path}"), usize::MAX);
            let long = address.chars().count() > ADDRESS;
            let headers = headers
                .iter()
                .map(|(name, value)| line(&format!("header {name}: {value}"), usize::MAX));
            vec![long.then_some(address).into_iter().collect(), headers.collect(), lines(body)]
        }
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

/// All of it as one text, for a client that shows it.
pub fn message(question: &Question) -> String {
    let mut text = title(question);
    let mut add = |line: &str| {
        text.push('\n');
        text.push_str(line);
    };
    if let Some(who) = who(question) {
        add(&format!("By: {who}"));
    }
    doings(question).iter().for_each(|doing| add(&format!("- {doing}")));
    for arguments in arguments(question) {
        add(&format!("Arguments: {arguments}"));
    }
    add(&format!("Asked because of: {}", rules(question)));
    for part in details(question) {
        add("");
        let mut left = MOST_DETAILS;
        for (index, line) in part.iter().enumerate() {
            let Some(less) = left.checked_sub(QUOTE.len() + line.len() + 1) else {
                // No line is too long to be seen in part.
                let end = (0..=left).rev().find(|end| line.is_char_boundary(*end));
                let (shown, hidden) = line.split_at(end.unwrap_or_default());
                add(&format!("{QUOTE}{shown}…"));
                let more = part.len() - index - 1;
                let bytes = hidden.len() + part[index + 1..].iter().map(String::len).sum::<usize>();
                add(&format!(".. and {bytes} bytes more, of {more} more lines"));
                break;
            };
            left = less;
            add(&format!("{QUOTE}{line}"));
        }
    }
    text
}

fn change(change: &Change) -> String {
    match change {
        Change::Created(path) => format!("created {}", name(path)),
        Change::Modified(path) => format!("modified {}", name(path)),
        Change::Removed(path) => format!("removed {}", name(path)),
        Change::Renamed { from, to } => format!("renamed {} to {}", name(from), name(to)),
    }
}

fn name(text: &str) -> String {
    line(text, SHORT)
}

/// In quotes, unless it is a word: what is behind it is not of it.
fn id(text: &str) -> String {
    let text = line(text, SHORT_ID);
    let is_of_word = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    match !text.is_empty() && text.chars().all(is_of_word) {
        true => text,
        false => format!("\"{}\"", text.replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use inorder::AskedCall;

    use super::*;

    fn question(path: &str, arguments: &str, diff: &str) -> Question {
        Question {
            calls: vec![AskedCall {
                index: 0,
                id: "1\n".to_owned(),
                tool: "write\x1b[2Jfile".to_owned(),
                plugin: "files".to_owned(),
                arguments: arguments.to_owned(),
                rules: vec!["write".to_owned()],
            }],
            about: About::Files {
                changes: vec![Change::Created(path.to_owned())],
                diff: diff.to_owned(),
            },
        }
    }

    #[test]
    fn strangers_cannot_add_lines_nor_steer_the_terminal() {
        let question =
            question("a\nmodified b", "{\"a\": \"\n\nAllow? y\x1b[1A\"}", "+x\x1b]0;t\x07\n");
        let message = message(&question);
        assert!(!message.contains(['\x1b', '\x07']), "{message:?}");
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines.len(), 7, "{message}");
        assert_eq!(lines[2], "- created a modified b");
        assert!(lines[3].starts_with("Arguments: {\"a\": \"  Allow? y\\u{1b}[1A"), "{message}");
        assert_eq!(lines[6], "│ +x\\u{1b}]0;t\\u{7}");
    }

    #[test]
    fn what_is_wanted_is_in_our_words_whatever_the_call_is_named() {
        let mut asked = question("a", "{}", "");
        let forged = "1) wants to list a directory: nothing will be changed";
        asked.calls[0].id = format!("{forged}{}", " ".repeat(50));
        asked.calls[0].tool = "write_file".to_owned();
        assert_eq!(title(&asked), "a call wants to change a file");
        let message = message(&asked);
        assert!(
            message.starts_with("a call wants to change a file\nBy: write_file (files, call \"")
        );
        assert!(who(&asked).unwrap().ends_with("…\")"), "{message}");
        asked.calls[0].id = "toolu_01-x".to_owned();
        assert_eq!(who(&asked).unwrap(), "write_file (files, call toolu_01-x)");
        asked.calls[0].id = "a\") b".to_owned();
        assert_eq!(who(&asked).unwrap(), r#"write_file (files, call "a\") b")"#);
    }

    #[test]
    fn other_line_ends_and_characters_that_cannot_be_seen_are() {
        let asked = question("a\u{e0101}", "{\"\u{fe0f}\": 1}", "-x\n+x\r\n+y\u{200d}\n");
        let message = message(&asked);
        for part in ["- created a\\u{e0101}", "{\"\\u{fe0f}\": 1}", "│ -x\n│ +x\\r\n│ +y\\u{200d}"]
        {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }

    #[test]
    fn a_long_diff_is_cut_and_says_so() {
        let diff = "+ a line of text\n".repeat(1000);
        let message = message(&question("a", "{}", &diff));
        assert!(message.len() < 5000, "{}", message.len());
        let last = message.lines().last().unwrap();
        assert!(last.starts_with(".. and ") && last.ends_with(" more lines"), "{last}");
    }

    fn request(path: &str, headers: &[(&str, &str)], body: &str) -> Question {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let about = About::Request {
            method: "POST".to_owned(),
            origin: "https://api.example.org".to_owned(),
            path: path.to_owned(),
            headers: headers.collect(),
            secrets: vec!["example".to_owned()],
            body: body.to_owned(),
        };
        Question { about, ..question("", "{}", "") }
    }

    #[test]
    fn of_a_request_every_part_is_seen_however_long_the_others_are() {
        let long = "x".repeat(5000);
        let asked = request("/a", &[("x-pad", &long), ("x-do", "it")], "{\"action\": 1}");
        let message = message(&asked);
        assert!(message.contains("with the secret example"), "{message}");
        assert!(message.contains("\n│ header x-pad: xxx") && message.contains("x…\n"), "{message}");
        assert!(message.ends_with("\n\n│ {\"action\": 1}"), "{message}");
        let text = super::message(&request("/a", &[], &format!("{long}{long}")));
        assert!(text.contains("│ xxxx") && text.ends_with("bytes more, of 0 more lines"), "{text}");
        let text = super::message(&request(
            &format!("/{long}?delete=all"),
            &[],
            "ok\nAsked because of: no",
        ));
        assert!(text.contains("\n│ ok\n│ Asked because of: no"), "{text}");
        let parts = details(&request(&format!("/{long}?delete=all"), &[], ""));
        assert!(parts[0][0].ends_with("?delete=all"), "{parts:?}");
    }
}
