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
            // Of a line's end. Anywhere else it would hide what is before it.
            '\r' if characters.peek().is_none_or(|next| *next == '\n') => {}
            // Signs of several characters, and the words of some languages, are made with them.
            '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => plain.push(character),
            _ => push_seen(&mut plain, character),
        }
    }
    plain
}

/// [`plain`], for whoever decides about it: what differs looks different, so that all that cannot be seen is written out.
pub fn exact(text: &str) -> String {
    let mut exact = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // Blanks that look as the usual one does, or as two of them.
            '\u{a0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200a}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{2800}' => {
                exact.extend(character.escape_unicode());
            }
            _ => push_seen(&mut exact, character),
        }
    }
    exact
}

fn push_seen(text: &mut String, character: char) {
    match character {
        '\n' | '\t' => text.push(character),
        // What ends a line for some can make a line read as another one, as can what sets the direction.
        '\u{2028}' | '\u{2029}' => text.extend(character.escape_unicode()),
        _ if is_unseen(character) => text.extend(character.escape_unicode()),
        _ if character.is_control() => text.extend(character.escape_default()),
        _ => text.push(character),
    }
}

/// Not to be seen at all, or only by what it does to others, and read by programs: Unicode's `Default_Ignorable_Code_Point`,
/// and the marks of annotations.
fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
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
    in_line(&plain(text), width)
}

/// [`line`] of [`exact`].
pub fn exact_line(text: &str, width: usize) -> String {
    in_line(&exact(text), width)
}

fn in_line(text: &str, width: usize) -> String {
    let text = text.replace(['\n', '\t'], " ");
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

    #[test]
    fn whoever_decides_sees_every_character() {
        let unseen =
            ['\u{ad}', '\u{34f}', '\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}', '\u{180e}'];
        let joining = ['\u{200c}', '\u{200d}', '\u{fe0f}'];
        for character in
            unseen.into_iter().chain(['\u{fe01}', '\u{e0101}', '\u{e0041}', '\u{fff9}'])
        {
            let escaped = character.escape_unicode().to_string();
            assert_eq!(plain(&character.to_string()), escaped);
            assert_eq!(exact(&character.to_string()), escaped);
        }
        for character in joining.into_iter().chain(['\u{a0}', '\u{2003}']) {
            assert_eq!(plain(&character.to_string()), character.to_string());
            assert_eq!(exact(&character.to_string()), character.escape_unicode().to_string());
        }
        assert_eq!(exact("x\r\n\ty é漢"), "x\\r\n\ty é漢");
        assert_eq!(exact_line("a\nb\r", 9), "a b\\r");
    }
}
