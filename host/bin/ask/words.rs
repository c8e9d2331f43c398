//! A question in words, for a person: what wants to be done, by whom, and because of which rule it is asked.
//!
//! All but the words of our own is text of strangers: it comes without control characters, and what is to be one line is
//! one.

use inorder::{About, Change, Question};

use crate::print::{line, plain};

/// Of a name.
const SHORT: usize = 100;
/// Of arguments.
const LONG: usize = 300;
/// Changes that are named.
const MOST_CHANGES: usize = 20;
/// Of a diff or a body in a message, in bytes.
const MOST_DETAILS: usize = 4 << 10;

/// Who wants to do what, in one line.
pub fn title(question: &Question) -> String {
    let who = match question.calls.as_slice() {
        [call] => format!("{} ({}, call {})", name(&call.tool), name(&call.plugin), name(&call.id)),
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
        About::Request { method, origin, path, .. } => {
            vec![line(&format!("{method} {origin}{path}"), LONG)]
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

/// What there is to see of it: the lines of a diff, or the headers and the body of a request.
pub fn details(question: &Question) -> Vec<String> {
    let lines = |text: &str| -> Vec<String> {
        plain(text).lines().map(|it| it.replace('\t', "    ")).collect()
    };
    match &question.about {
        About::Files { diff, .. } => lines(diff),
        About::Request { headers, body, .. } => {
            let headers =
                headers.iter().map(|(name, value)| line(&format!("{name}: {value}"), LONG));
            headers.chain(lines(body)).collect()
        }
    }
}

/// All of it as one text, for a client that shows it.
pub fn message(question: &Question) -> String {
    let mut text = title(question);
    let mut add = |line: &str| {
        text.push('\n');
        text.push_str(line);
    };
    doings(question).iter().for_each(|doing| add(&format!("- {doing}")));
    for arguments in arguments(question) {
        add(&format!("Arguments: {arguments}"));
    }
    add(&format!("Asked because of: {}", rules(question)));
    let (details, mut left) = (details(question), MOST_DETAILS);
    if !details.is_empty() {
        add("");
    }
    for (index, line) in details.iter().enumerate() {
        let Some(less) = left.checked_sub(line.len() + 1) else {
            add(&format!(".. and {} more lines", details.len() - index));
            break;
        };
        left = less;
        add(line);
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
        assert_eq!(lines.len(), 6, "{message}");
        assert_eq!(lines[1], "- created a modified b");
        assert!(lines[2].starts_with("Arguments: {\"a\": \"  Allow? y\\u{1b}[1A"), "{message}");
        assert_eq!(lines[5], "+x\\u{1b}]0;t\\u{7}");
    }

    #[test]
    fn a_long_diff_is_cut_and_says_so() {
        let diff = "+ a line of text\n".repeat(1000);
        let message = message(&question("a", "{}", &diff));
        assert!(message.len() < 5000, "{}", message.len());
        let last = message.lines().last().unwrap();
        assert!(last.starts_with(".. and ") && last.ends_with(" more lines"), "{last}");
    }
}
