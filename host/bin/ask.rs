//! Asking at the terminal: one question at a time, with what would become real, and a person's answer.
//!
//! It is asked at `/dev/tty`, since standard input may hold the batch, and standard output the answer. What was typed
//! before a question stands there is no answer to it.

mod words;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use inorder::{About, Approver, Decision, Host, Question};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};
use tokio::task::JoinSet;

use crate::live::Screen;
use crate::print;
pub use words::message;

/// A person at the terminal. Clones are of the same, who remembers what is always allowed.
#[derive(Clone, Debug)]
pub struct Person(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tty: File,
    /// Held by whoever asks.
    asking: tokio::sync::Mutex<()>,
    /// By plugin, tool and rule.
    always: Mutex<BTreeSet<(String, String, String)>>,
}

impl Person {
    /// Whoever sits at the terminal, if there is one: standard error goes there, and nobody but us reads from it.
    pub fn at_terminal() -> Option<Person> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let tty = File::options().read(true).write(true).open("/dev/tty").ok()?;
        // In the background, to read from it would stop the process.
        let in_front = tcgetpgrp(&tty).ok()? == rustix::process::getpgrp();
        let (asking, always) = (tokio::sync::Mutex::default(), Mutex::default());
        in_front.then(|| Person(Arc::new(Shared { tty, asking, always })))
    }

    /// Who decides about the calls of a run; `screen` is what draws meanwhile, and gives way.
    pub fn approver(&self, screen: Option<Screen>) -> Arc<dyn Approver> {
        Arc::new(Asker { person: self.clone(), screen })
    }
}

/// Says once that there is nobody to ask, where something would be asked.
pub fn say_that_nobody_is_there(host: &Host) {
    if host.asks() {
        print::say(print::dim(
            "note: there is no terminal to ask at, so that whatever `ask` names is refused",
        ));
    }
}

#[derive(Debug)]
struct Asker {
    person: Person,
    screen: Option<Screen>,
}

/// What a person has typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Yes,
    No,
    Always,
    /// To see all of it.
    All,
}

impl Approver for Asker {
    fn decide<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(self.ask(question))
    }
}

impl Asker {
    async fn ask(&self, question: &Question) -> Decision {
        let shared = &self.person.0;
        // In the order in which they came.
        let _one = shared.asking.lock().await;
        if shared.is_always_allowed(question) {
            return Decision::Yes;
        }
        let _paused = match &self.screen {
            Some(screen) => Some(screen.pause().await),
            None => None,
        };
        let stopped = Stop(Arc::default());
        let (asking, stop, question) = (shared.clone(), stopped.0.clone(), question.clone());
        let mut answering = JoinSet::new();
        answering.spawn_blocking(move || asking.answer(&question, &stop));
        match answering.join_next().await {
            Some(Ok(true)) => Decision::Yes,
            _ => Decision::No { because: None },
        }
    }
}

/// Tells the thread that reads that nobody waits any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn is_always_allowed(&self, question: &Question) -> bool {
        let always = self.always.lock().unwrap_or_else(PoisonError::into_inner);
        keys(question).all(|key| always.contains(&key))
    }

    /// Blocks until it is answered, or nobody waits any more.
    fn answer(&self, question: &Question, stop: &AtomicBool) -> bool {
        self.write(&shown(question, Lines::First));
        loop {
            // What was typed ahead was typed without having seen this.
            let _ = tcflush(&self.tty, QueueSelector::IFlush);
            self.write(&prompt(question));
            let Some(typed) = self.line(stop) else {
                self.write("\n");
                return false;
            };
            match key(&typed) {
                Some(Key::Yes) => return true,
                Some(Key::No) => return false,
                Some(Key::Always) => {
                    let mut always = self.always.lock().unwrap_or_else(PoisonError::into_inner);
                    always.extend(keys(question));
                    return true;
                }
                Some(Key::All) => self.write(&shown(question, Lines::All)),
                None => self.write("Type y, n, a or d, and Enter.\n"),
            }
        }
    }

    fn write(&self, text: &str) {
        let text = match std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty()) {
            true => anstream::adapter::strip_str(text).to_string(),
            false => text.to_owned(),
        };
        // A terminal that is gone has nobody before it: what is read next says so.
        let _ = (&self.tty).write_all(text.as_bytes());
    }

    /// One line; none at the end of the input, or when nobody waits any more.
    fn line(&self, stop: &AtomicBool) -> Option<String> {
        const SHORT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        const MOST: usize = 1000;
        let mut typed = Vec::new();
        loop {
            if stop.load(Ordering::SeqCst) {
                return None;
            }
            let mut tty = [PollFd::new(&self.tty, PollFlags::IN)];
            match poll(&mut tty, Some(&SHORT)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => return None,
            }
            let mut bytes = [0; 256];
            match (&self.tty).read(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return None,
                Ok(read) => typed.extend_from_slice(&bytes[..read]),
            }
            if typed.len() > MOST || typed.contains(&b'\n') {
                return Some(String::from_utf8_lossy(&typed).into_owned());
            }
        }
    }
}

fn keys(question: &Question) -> impl Iterator<Item = (String, String, String)> {
    question.calls.iter().flat_map(|call| {
        call.rules.iter().map(|rule| (call.plugin.clone(), call.tool.clone(), rule.clone()))
    })
}

fn key(typed: &str) -> Option<Key> {
    match typed.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(Key::Yes),
        "" | "n" | "no" => Some(Key::No),
        "a" | "always" => Some(Key::Always),
        "d" | "diff" | "details" => Some(Key::All),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    First,
    All,
}

/// Of a diff, at first.
const FIRST_LINES: usize = 24;
/// Before each line of strangers, and no line of ours.
const GUTTER: &str = "  │ ";

/// The fewest columns in which a row has its mark and a character.
const NARROWEST: usize = 8;

fn shown(question: &Question, lines: Lines) -> String {
    rendered(question, lines, width(console::Term::stderr().size().1))
}

/// What is left of a row behind its mark.
fn width(columns: u16) -> usize {
    usize::from(columns).clamp(NARROWEST, 500) - GUTTER.chars().count() - 1
}

/// `width` is for what strangers say in one row: wrapped by the terminal, it would begin rows that look like ours.
fn rendered(question: &Question, lines: Lines, width: usize) -> String {
    let mut text = String::new();
    let mut add = |line: &dyn std::fmt::Display| text.push_str(&format!("{line}\n"));
    // A line of nothing between the parts, which is none of strangers'.
    let details = words::details(question).join(&String::new());
    if lines == Lines::All {
        for line in &details {
            rows(line, width)
                .iter()
                .for_each(|row| add(&format!("{GUTTER}{}", coloured(line, row))));
        }
        return text;
    }
    let quoted = |line: &str| format!("{GUTTER}{}", console::truncate_str(line, width, "…"));
    add(&print::bold(words::title(question)));
    let who = words::who(question).map(|who| format!("by {who}"));
    for line in who.into_iter().chain(words::doings(question)) {
        rows(&line, width).iter().for_each(|row| add(&format!("{GUTTER}{row}")));
    }
    for arguments in words::arguments(question) {
        add(&print::dim(quoted(&format!("arguments {arguments}"))));
    }
    for line in details.iter().take(FIRST_LINES) {
        let row = console::truncate_str(line, width, "…");
        add(&format!("{GUTTER}{}", coloured(line, &row)));
    }
    if let Some(more @ 1..) = details.len().checked_sub(FIRST_LINES) {
        add(&print::dim(format!("    and {more} more lines: d shows all")));
    }
    text
}

fn prompt(question: &Question) -> String {
    let (rules, tools) = (words::rules(question), words::tools(question));
    let details = match (&question.about, words::details(question).is_empty()) {
        (_, true) => "",
        (About::Files { .. }, false) => ", [d]iff",
        (About::Request { .. }, false) => ", [d]etails",
    };
    format!("Allow it ({rules})? [y]es, [N]o, [a]lways for {tools} in this session{details}: ")
}

/// A line of a diff, or a row of one, in its colour.
fn coloured(line: &str, row: &str) -> String {
    match line.as_bytes().first() {
        Some(b'+') => print::good(row).to_string(),
        Some(b'-') => print::bad(row).to_string(),
        Some(b' ') => row.to_owned(),
        _ => print::dim(row).to_string(),
    }
}

/// A line in rows of a width.
fn rows(line: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut used = 0;
    for character in line.chars() {
        let wide = console::measure_text_width(character.encode_utf8(&mut [0; 4]));
        if used + wide > width {
            rows.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(row) = rows.last_mut() {
            row.push(character);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use inorder::{About, AskedCall, Change};

    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (typed, expected) in [
            ("y\n", Some(Key::Yes)),
            (" YES \n", Some(Key::Yes)),
            ("\n", Some(Key::No)),
            ("n\n", Some(Key::No)),
            ("a\n", Some(Key::Always)),
            ("d\n", Some(Key::All)),
            ("yn\n", None),
            ("ye\n", None),
            ("\u{1b}[Ay\n", None),
        ] {
            assert_eq!(key(typed), expected, "{typed:?}");
        }
    }

    #[test]
    fn every_row_of_strangers_is_marked_however_long_and_wide_it_is() {
        let fake = "Allow it (write)? [y]es";
        let call = AskedCall {
            index: 0,
            id: "x".to_owned(),
            tool: "write_file".to_owned(),
            plugin: "files".to_owned(),
            arguments: format!("{{\"a\": \"{}{fake}\"}}", "漢".repeat(200)),
            rules: vec!["write".to_owned()],
        };
        let path = format!("{}{fake}", "a".repeat(36));
        let diff = format!("+{}{fake}\n+two\n", "漢".repeat(18));
        let about = About::Files { changes: vec![Change::Created(path)], diff };
        let question = Question { calls: vec![call], about };
        for (lines, columns) in [Lines::First, Lines::All]
            .into_iter()
            .flat_map(|lines| [8, 20, 39, 40, 200].map(|columns| (lines, columns)))
        {
            let text = rendered(&question, lines, width(columns));
            let text = anstream::adapter::strip_str(&text).to_string();
            for (index, row) in text.lines().enumerate() {
                if lines == Lines::First && index == 0 {
                    assert_eq!(row, "a call wants to change a file");
                    continue;
                }
                assert!(row.starts_with(GUTTER), "{row}");
                assert!(console::measure_text_width(row) < usize::from(columns), "{row}");
            }
            assert!(columns < 20 || text.contains("two"));
        }
    }

    #[test]
    fn what_is_always_allowed_is_of_that_tool_and_all_rules() {
        let call = |tool: &str, rules: &[&str]| AskedCall {
            index: 0,
            id: "x".to_owned(),
            tool: tool.to_owned(),
            plugin: "files".to_owned(),
            arguments: "{}".to_owned(),
            rules: rules.iter().map(|&rule| rule.to_owned()).collect(),
        };
        let about = About::Files { changes: vec![], diff: String::new() };
        let of = |tool: &str, rules: &[&str]| Question {
            calls: vec![call(tool, rules)],
            about: about.clone(),
        };
        let tty = tempfile::tempfile().unwrap();
        let shared =
            Shared { tty, asking: tokio::sync::Mutex::default(), always: Mutex::default() };
        shared.always.lock().unwrap().extend(keys(&of("write_file", &["write"])));
        assert!(shared.is_always_allowed(&of("write_file", &["write"])));
        assert!(!shared.is_always_allowed(&of("edit_file", &["write"])));
        assert!(!shared.is_always_allowed(&of("write_file", &["write", "write:keys/**"])));
    }
}
