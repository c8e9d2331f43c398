//! The token that clients have to send: where it comes from, who must not see it, and whether one is it.
//!
//! Knows nothing of requests.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use inorder::HostBuilder;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Fewer bytes could be found by trying.
const FEWEST: usize = 16;

/// More is no token, but some other file.
const MOST: usize = 4096;

/// Where a token comes from.
#[derive(Clone, Debug)]
pub enum Source {
    File(PathBuf),
    /// The variable of this name.
    Env(String),
}

/// Only its digest is kept. Two digests have one length, so that comparing them tells nothing of the token.
pub struct Token([u8; 32]);

impl Source {
    /// # Errors
    /// There is none, or it is too short, or no token.
    pub fn read(&self) -> anyhow::Result<Token> {
        match self {
            Source::File(path) => {
                let read = || {
                    let mut text = String::new();
                    // Enough to be refused as too long.
                    File::open(path)?.take(MOST as u64 + 2).read_to_string(&mut text)?;
                    std::io::Result::Ok(text)
                };
                let text = read().with_context(|| format!("cannot read {}", path.display()))?;
                Token::new(text.trim_ascii_end(), &format!("the token in {}", path.display()))
            }
            Source::Env(name) => {
                let text = std::env::var(name)
                    .with_context(|| format!("no token can be had from the variable {name}"))?;
                Token::new(&text, &format!("the token in the variable {name}"))
            }
        }
    }

    /// A token that a tool could read would be known to whoever steers the model.
    ///
    /// # Errors
    /// A plugin of this host could see it.
    pub fn unseen(&self, builder: &HostBuilder) -> anyhow::Result<()> {
        let (file, shown) = match self {
            Source::File(path) => (path.as_path(), path.display().to_string()),
            Source::Env(name) => {
                if let Some(plugin) = builder.who_is_passed(name) {
                    bail!(
                        "the plugin {plugin:?} is passed the variable {name}, which holds the token of the server"
                    );
                }
                // All of the host's variables are in a file, for whoever was granted the whole machine.
                (Path::new("/proc/self/environ"), format!("the variable {name}"))
            }
        };
        let seen = builder.who_may_see(file);
        match seen {
            Some(plugin) => bail!(
                "the plugin {plugin:?} may read {shown}, which holds the token of the server; keep it elsewhere, or \
                 grant less"
            ),
            None => Ok(()),
        }
    }
}

impl Token {
    fn new(text: &str, what: &str) -> anyhow::Result<Token> {
        if text.len() < FEWEST {
            bail!(
                "{what} has fewer than {FEWEST} bytes, and could be found by trying; `openssl rand -hex 32` makes one"
            );
        }
        if text.len() > MOST {
            bail!("{what} has more than {MOST} bytes");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!(
                "{what} has characters that no header takes: use letters, digits and signs of ASCII"
            );
        }
        Ok(Token(digest(text.as_bytes())))
    }

    /// Whether that is it. Takes as long wherever they differ.
    pub fn is(&self, given: &[u8]) -> bool {
        digest(given).ct_eq(&self.0).into()
    }
}

fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_enough_and_one_word() {
        let good = "0123456789abcdef";
        let token = Token::new(good, "it").unwrap_or_else(|error| panic!("{error}"));
        assert!(token.is(good.as_bytes()));
        for other in ["", "0123456789abcdeF", "0123456789abcdef0", "0123456789abcde"] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
        let long = "x".repeat(MOST + 1);
        for (bad, says) in [
            ("", "fewer"),
            ("0123456789abcde", "fewer"),
            ("0123456789 abcdef", "ASCII"),
            (&long, "more"),
        ] {
            let error = Token::new(bad, "it").err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains(says)), "{bad}");
        }
    }
}
