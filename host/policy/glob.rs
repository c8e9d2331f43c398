//! A glob within one name: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, and `\` before what is meant as it stands.
//!
//! Of characters, not bytes: globset's `?` and `[é]` match single bytes of UTF-8, so that `??` would grant
//! `é`. Matching takes no memory.

/// What a name must look like.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Glob {
    /// `{a,b}` written out: one of these.
    any_of: Vec<Vec<Token>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    /// `?`
    One,
    /// `*`
    Many,
    Class {
        negated: bool,
        /// Both ends included.
        ranges: Vec<(char, char)>,
    },
}

/// How many alternatives braces may stand for.
const MOST: usize = 256;
/// Bytes of a glob. A name has at most 255.
const LONGEST: usize = 1024;

impl Glob {
    /// # Errors
    /// What is wrong with it, as a fragment.
    pub(super) fn parse(text: &str) -> Result<Glob, &'static str> {
        if text.len() > LONGEST {
            return Err("one of its names is too long");
        }
        let mut any_of = Vec::new();
        for text in alternatives(text)? {
            any_of.push(tokens(&text)?);
        }
        Ok(Glob { any_of })
    }

    /// The one name that it matches, if it is plain text.
    pub(super) fn literal(&self) -> Option<&str> {
        match &*self.any_of {
            [tokens] => match &**tokens {
                [Token::Text(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is `*`.
    pub(super) fn is_any(&self) -> bool {
        self.any_of.iter().any(|tokens| matches!(&**tokens, [Token::Many]))
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.any_of.iter().any(|tokens| matches(tokens, name))
    }
}

/// The texts that braces stand for, without them.
fn alternatives(text: &str) -> Result<Vec<String>, &'static str> {
    let mut whole = vec![String::new()];
    let mut rest = text.char_indices();
    while let Some((at, character)) = rest.next() {
        match character {
            '{' => {
                let (inside, after) = braces(&text[at + 1..])?;
                let mut longer = Vec::new();
                for part in inside {
                    for part in alternatives(part)? {
                        longer.extend(whole.iter().map(|start| format!("{start}{part}")));
                        if longer.len() > MOST {
                            return Err("its braces stand for too many names");
                        }
                    }
                }
                whole = longer;
                rest = text.char_indices();
                let next = text.len() - after.len();
                while rest.offset() < next {
                    rest.next();
                }
            }
            '}' => return Err("a `}` has no `{`"),
            '\\' => {
                let Some((_, escaped)) = rest.next() else {
                    return Err("nothing follows its `\\`");
                };
                whole.iter_mut().for_each(|it| it.extend(['\\', escaped]));
            }
            '[' => {
                let class = class_end(&text[at..])?;
                whole.iter_mut().for_each(|it| it.push_str(&text[at..at + class]));
                while rest.offset() < at + class {
                    rest.next();
                }
            }
            _ => whole.iter_mut().for_each(|it| it.push(character)),
        }
    }
    Ok(whole)
}

/// Splits what follows a `{` at its commas, and gives what follows its `}`.
fn braces(text: &str) -> Result<(Vec<&str>, &str), &'static str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    let mut rest = text.char_indices();
    while let Some((at, character)) = rest.next() {
        match character {
            '\\' => drop(rest.next()),
            '[' => {
                let class = class_end(&text[at..])?;
                while rest.offset() < at + class {
                    rest.next();
                }
            }
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                parts.push(&text[start..at]);
                return Ok((parts, &text[at + 1..]));
            }
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    Err("a `{` is not closed")
}

/// The length of the class that `text` begins with, both brackets included.
fn class_end(text: &str) -> Result<usize, &'static str> {
    let inside = text[1..].trim_start_matches(['!', '^']);
    let start = text.len() - inside.len();
    if start > 2 {
        return Err("a `[` is followed by more than one `!`");
    }
    // A `]` that comes first stands for itself.
    let first = inside.chars().next().map_or(0, char::len_utf8);
    let end = inside[first..].find(']').ok_or("a `[` is not closed")?;
    Ok(start + first + end + 1)
}

fn tokens(text: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut plain = String::new();
    let mut rest = text.char_indices();
    while let Some((at, character)) = rest.next() {
        let token = match character {
            '?' => Token::One,
            '*' => Token::Many,
            '[' => {
                let end = class_end(&text[at..])?;
                while rest.offset() < at + end {
                    rest.next();
                }
                class(&text[at + 1..at + end - 1])?
            }
            '\\' => {
                plain.extend(rest.next().map(|(_, escaped)| escaped));
                continue;
            }
            _ => {
                plain.push(character);
                continue;
            }
        };
        if !plain.is_empty() {
            tokens.push(Token::Text(std::mem::take(&mut plain)));
        }
        if token != Token::Many || tokens.last() != Some(&Token::Many) {
            tokens.push(token);
        }
    }
    if !plain.is_empty() {
        tokens.push(Token::Text(plain));
    }
    Ok(tokens)
}

fn class(inside: &str) -> Result<Token, &'static str> {
    if inside.contains('\\') {
        return Err("a `\\` means nothing between `[` and `]`");
    }
    let (negated, inside) = match inside.strip_prefix(['!', '^']) {
        Some(inside) => (true, inside),
        None => (false, inside),
    };
    let characters: Vec<char> = inside.chars().collect();
    let (mut ranges, mut at) = (Vec::new(), 0);
    while let Some(&low) = characters.get(at) {
        match (characters.get(at + 1), characters.get(at + 2)) {
            (Some('-'), Some(&high)) if low <= high => {
                ranges.push((low, high));
                at += 3;
            }
            (Some('-'), Some(_)) => return Err("a range in `[..]` runs backward"),
            _ => {
                ranges.push((low, low));
                at += 1;
            }
        }
    }
    Ok(Token::Class { negated, ranges })
}

impl Token {
    /// What is left of `name` behind the token; `Many` takes nothing.
    fn eat<'n>(&self, name: &'n str) -> Option<&'n str> {
        let fits = |character: char| match self {
            Token::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
            _ => true,
        };
        match self {
            Token::Many => Some(name),
            Token::Text(text) => name.strip_prefix(text.as_str()),
            Token::One | Token::Class { .. } => {
                let mut characters = name.chars();
                characters.next().filter(|it| fits(*it)).map(|_| characters.as_str())
            }
        }
    }
}

fn matches(mut tokens: &[Token], mut name: &str) -> bool {
    // Behind the last `*`: what comes there, and the earliest place not tried yet.
    let mut again: Option<(&[Token], &str)> = None;
    loop {
        match tokens {
            [Token::Many, after @ ..] => {
                match after {
                    [] => return true,
                    // As in `*.rs`, without trying each place.
                    [Token::Text(end)] => return name.ends_with(end.as_str()),
                    _ => {}
                }
                again = Some((after, name));
                tokens = after;
                continue;
            }
            [token, after @ ..] => {
                if let Some(left) = token.eat(name) {
                    (tokens, name) = (after, left);
                    continue;
                }
            }
            [] if name.is_empty() => return true,
            [] => {}
        }
        let Some((after, place)) = again else { return false };
        let mut characters = place.chars();
        if characters.next().is_none() {
            return false;
        }
        (tokens, name) = (after, characters.as_str());
        again = Some((after, name));
    }
}
