//! Text for people: colours, and other people's text made harmless.
//!
//! `anstream` drops colours where the output is no terminal or `NO_COLOR` is set.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use inorder::Status;

use crate::HostFault;

/// Text in a style.
pub struct Styled<T>(Style, T);

impl<T: Display> Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:#}", self.0, self.1, self.0)
    }
}

pub fn good<T>(text: T) -> Styled<T> {
    Styled(AnsiColor::Green.on_default(), text)
}

pub fn bad<T>(text: T) -> Styled<T> {
    Styled(AnsiColor::Red.on_default().bold(), text)
}

pub fn dim<T>(text: T) -> Styled<T> {
    Styled(Style::new().dimmed(), text)
}

pub fn bold<T>(text: T) -> Styled<T> {
    Styled(Style::new().bold(), text)
}

/// `text` in the colour of a status.
pub fn by_status<T>(status: Status, text: T) -> Styled<T> {
    match status {
        Status::Ok => good(text),
        Status::Error => bad(text),
        Status::Skipped => dim(text),
    }
}

pub fn mark(status: Status) -> &'static str {
    match status {
        Status::Ok => "✓",
        Status::Error => "✗",
        Status::Skipped => "–",
    }
}

/// `text` without what a terminal would obey: plugins and models choose the text that we print.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\t' => plain.push(character),
            // Of a line's end. Anywhere else it would hide what is before it.
            '\r' if characters.peek().is_none_or(|next| *next == '\n') => {}
            // What sets the direction, or ends a line for some, can make a line read as another one.
            '\u{200e}'
            | '\u{200f}'
            | '\u{61c}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                plain.extend(character.escape_unicode());
            }
            // Not to be seen at all, and read by programs.
            '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => {
                plain.extend(character.escape_unicode());
            }
            _ if character.is_control() => plain.extend(character.escape_default()),
            _ => plain.push(character),
        }
    }
    plain
}

/// A line on standard error. If nobody listens there any more, that is no failure of ours.
pub fn say(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Other people's text on standard output: harmless where a person reads it, exact where a program does.
pub fn out(text: &str) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() {
        return written(io::stdout().lock().write_all(text.as_bytes()));
    }
    let end = if text.ends_with('\n') { "" } else { "\n" };
    written(write!(io::stdout().lock(), "{}{end}", plain(text)))
}

/// A piece of other people's text, as [`out`], that does not end its line.
pub fn out_piece(text: &str) -> anyhow::Result<()> {
    let terminal = io::stdout().is_terminal();
    let text = if terminal { Cow::Owned(plain(text)) } else { Cow::Borrowed(text) };
    written(io::stdout().lock().write_all(text.as_bytes()))
}

/// Our own text on standard output, with colours where they can be seen.
pub fn out_styled(text: &str) -> anyhow::Result<()> {
    written(anstream::stdout().lock().write_all(text.as_bytes()))
}

/// Whoever reads our output may have seen enough (`inorder run .. | head`); any other failure is the host's.
fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(HostFault(format!("cannot write to standard output: {error}")).into())
        }
        _ => Ok(()),
    }
}

/// One line of `text`, at most `width` characters.
pub fn line(text: &str, width: usize) -> String {
    let text = plain(text).replace(['\n', '\t'], " ");
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// `0.42 ms`, `17 ms`, `1.25 s`.
pub fn time(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    match millis {
        _ if millis < 10.0 => format!("{millis:.2} ms"),
        _ if millis < 1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.2} s", millis / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_cannot_steer_the_terminal() {
        assert_eq!(
            plain("a\x1b]0;title\x07b\r\nc\u{9b}31m"),
            "a\\u{1b}]0;title\\u{7}b\nc\\u{9b}31m"
        );
        assert_eq!(plain("\u{202e}gnp.exe"), "\\u{202e}gnp.exe");
        assert_eq!(line("one\ntwo", 5), "one …");
    }
}
