//! The name of a new plugin: one that WIT, and every language of the kit, takes as it is.

/// Lowercase words with dashes between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// What the templates are called, in the three ways in which languages write names.
const TEMPLATE: [&str; 3] = ["my-tools", "my_tools", "MyTools"];

/// Longer ones make file names that some file systems refuse.
const MOST: usize = 64;

/// Words that mean something in WIT, and package names that cargo or Python keep for themselves.
const TAKEN: [&str; 57] = [
    "as",
    "async",
    "bool",
    "borrow",
    "char",
    "constructor",
    "enum",
    "export",
    "f32",
    "f64",
    "flags",
    "from",
    "func",
    "future",
    "import",
    "include",
    "interface",
    "list",
    "map",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "s16",
    "s32",
    "s64",
    "s8",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "u16",
    "u32",
    "u64",
    "u8",
    "use",
    "variant",
    "with",
    "world", // WIT
    "alloc",
    "core",
    "proc-macro",
    "std",
    "test", // cargo
    "app",
    "wit-world", // the Python template
    "wasi",
    "main", // the Go and the C template
    "build",
    "deps",
    "examples",
    "incremental",
    "self",
    "super", // cargo again
];

impl Name {
    /// # Errors
    /// What is wrong, and a name that would do.
    pub fn parse(text: &str) -> Result<Name, String> {
        let because = if text.is_empty() {
            "a name is needed"
        } else if text.contains(['/', '.']) {
            "a name is not a path: name a folder with --dir"
        } else if text.len() > MOST {
            "it is too long"
        } else if TAKEN.contains(&text) {
            "that word has a meaning of its own in WIT, or in one of the languages"
        } else if !text.split('-').all(is_word) {
            "a name is made of lowercase words, each a letter with letters and digits after it, with one dash between two"
        } else {
            return Ok(Name(text.to_owned()));
        };
        Err(format!("{because}; what about {:?}?", suggestion(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A text of a template, with this name in place of the template's.
    pub fn put_into(&self, template: &str) -> String {
        let pascal: String = self.0.split('-').map(capitalized).collect();
        let ours = [self.0.clone(), self.0.replace('-', "_"), pascal];
        TEMPLATE
            .iter()
            .zip(ours)
            .fold(template.to_owned(), |text, (it, our)| text.replace(it, &our))
    }
}

fn is_word(word: &str) -> bool {
    word.starts_with(|it: char| it.is_ascii_lowercase())
        && word.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|it| it.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// A name like `text` that can be used.
fn suggestion(text: &str) -> String {
    let text = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let text = text.split('.').find(|it| !it.is_empty()).unwrap_or_default();
    let mut words = String::new();
    let mut before = ' ';
    for character in text.chars() {
        if character.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || before.is_ascii_digit())
        {
            words.push('-');
        }
        words.push(if character.is_ascii_alphanumeric() {
            character.to_ascii_lowercase()
        } else {
            '-'
        });
        before = character;
    }
    let words = words.split('-').map(|it| it.trim_start_matches(|it: char| it.is_ascii_digit()));
    let mut name = String::new();
    for word in words.filter(|it| !it.is_empty()) {
        if name.len() + 1 + word.len() > MOST {
            break;
        }
        name.push_str(if name.is_empty() { "" } else { "-" });
        name.push_str(word);
    }
    match name {
        _ if name.is_empty() => TEMPLATE[0].to_owned(),
        _ if TAKEN.contains(&&*name) => format!("{name}-tools"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, TAKEN, suggestion};

    #[test]
    fn what_is_suggested_can_be_used() {
        for (given, suggested) in [
            ("MyTool", "my-tool"),
            ("my_tool", "my-tool"),
            ("my tool", "my-tool"),
            ("-tool-", "tool"),
            ("2fast", "fast"),
            ("a--b", "a-b"),
            ("plugins/word_count/", "word-count"),
            ("../x.wasm", "x"),
            ("record", "record-tools"),
            ("Größe", "gr-e"),
            ("", "my-tools"),
            ("..", "my-tools"),
            ("世界", "my-tools"),
        ] {
            assert_eq!(suggestion(given), suggested, "{given:?}");
            assert!(Name::parse(suggested).is_ok(), "{suggested:?}");
            assert!(Name::parse(given).unwrap_err().contains(suggested), "{given:?}");
        }
        let long = "word-".repeat(40);
        assert!(Name::parse(&suggestion(&long)).is_ok());
        assert!(TAKEN.iter().all(|it| Name::parse(it).is_err()));
    }

    #[test]
    fn a_name_takes_the_place_of_the_template_s_in_each_way_of_writing_it() {
        let name = Name::parse("git-http2").unwrap();
        assert_eq!(
            name.put_into("my-tools my_tools.wasm MyTools my tools"),
            "git-http2 git_http2.wasm GitHttp2 my tools"
        );
    }
}
