//! Trees of files, and questions about them, from a seed. Knows neither the tool nor ripgrep.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::serial::rng::Rng;

pub struct Tree {
    /// Whether its top is a git repository.
    pub repository: bool,
    /// Whether a file in it is longer than what is read at once, and has a NUL byte only at its end.
    pub late_nul: bool,
    /// The paths in it, directories with a `/` behind them now and then.
    paths: Vec<String>,
}

pub struct Query {
    pub path: String,
    pub pattern: &'static str,
    pub glob: Option<&'static str>,
    pub ignore_case: bool,
    pub before: usize,
    pub after: usize,
    pub max_results: usize,
}

const DIRECTORIES: [&str; 10] =
    ["src", "docs", "target", "build", "a", "a b", "tests", ".hidden", ".github", "src.d"];

const FILES: [&str; 18] = [
    "a.rs",
    "b.rs",
    "main.rs",
    "README.md",
    "x.md",
    "notes.txt",
    "x.log",
    "kept.log",
    ".env",
    ".hidden.rs",
    "data.bin",
    "two words.txt",
    "[id].tsx",
    "ünï.txt",
    "Makefile",
    "a",
    "#x",
    "!important",
];

const RULES: [&str; 39] = [
    "*.log",
    "!kept.log",
    "!*.log",
    "/target",
    "target/",
    "build/",
    "/build",
    "/src/*.rs",
    "src/*.rs",
    "src/**",
    "**/docs",
    "docs/**/*.md",
    "!docs/",
    "**/a.rs",
    "a/**/b.rs",
    "a/**",
    "*",
    "/*",
    "!*/",
    "!*.rs",
    "!/src",
    "!/src/",
    "# a comment",
    "",
    "\\#x",
    "\\!important",
    "*.md  ",
    "[ab].rs",
    "[!ab].rs",
    "?.rs",
    "a b/",
    ".*",
    "!.env",
    "!.hidden",
    "!.github/",
    "src",
    "/docs/README.md",
    "tests/*",
    "*.{rs,md}",
];

const WORDS: [&str; 28] = [
    "foo",
    "bar",
    "Foo",
    "FOO",
    "foobar",
    "foo_bar",
    "foo-bar",
    "fn main() {",
    "x",
    "xx",
    "été",
    "ÉTÉ",
    "жук",
    "Жук",
    "straße",
    "α",
    "Ω",
    "日本語",
    "🦀",
    "a1",
    "42",
    "(x)",
    "[y]",
    "$",
    "TODO: fix",
    "\t",
    " ",
    "needle",
];

const PATTERNS: [&str; 57] = [
    "foo",
    "foo|bar",
    "needle|жук|42",
    "[a-f]+o",
    "[^a-z ]",
    "[^x]$",
    "foo[^x]",
    "^foo",
    "bar$",
    "^foo$",
    "^$",
    "^",
    "$",
    "",
    "x*",
    ".",
    "..$",
    r"\bfoo\b",
    r"\bété\b",
    r"\Bo",
    r"o\b",
    r"\w+_\w+",
    r"^\w+$",
    r"\W$",
    r"\s$",
    r"foo\s",
    r"^\s+",
    r"\d+",
    r"\D",
    r"\S+\s+\S+",
    "é",
    r"\p{Greek}",
    r"\p{Lu}+",
    "ß",
    "fo{2}",
    "(foo)(bar)?$",
    "foo.bar",
    "(?i)todo",
    r"\(x\)",
    r"\$",
    "[[:upper:]]{2}",
    "^.{20,}$",
    "nothing like it",
    r"(?-u:\xff)",
    r"[^\n]",
    r"[\s]foo",
    r"x\b",
    r"[^foo\s]{3}",
    r"(?s)o.",
    r"^\W*foo\b",
    r"(?i:ÉTÉ)|(?i:ω)",
    r"[\x{0400}-\x{04ff}]+$",
    r".*foo.*bar.*",
    r"(^|\s)x(\s|$)",
    r"\x{fffd}",
    "foo\\nbar",
    "(",
];

const GLOBS: [&str; 24] = [
    "*.rs",
    "!*.md",
    "src/**",
    "!src/**",
    "**/*.rs",
    "*.{rs,md}",
    "!*.{rs,md}",
    "[ab].rs",
    "[!ab].rs",
    "/a.rs",
    "docs/*.md",
    "src/*.rs",
    "src/a.rs",
    "!src/a.rs",
    "!docs",
    "!target/",
    "docs",
    "*",
    ".*",
    "README*",
    "?.rs",
    "**/src/**",
    "a*",
    "[",
];

/// Makes a tree below `root`.
pub fn tree(rng: &mut Rng, root: &Path) -> Tree {
    let mut tree =
        Tree { repository: !rng.one_in(3), late_nul: rng.one_in(3), paths: vec![".".into()] };
    if tree.repository {
        repository(rng, root);
    }
    directory(rng, root, "", 0, &mut tree);
    if tree.late_nul {
        let mut bytes = lines(rng, 6_000, "\n").into_bytes();
        bytes.extend(b"foo\0\n");
        fs::write(root.join("late.txt"), bytes).unwrap();
    }
    // Longer than what is read at once.
    if !tree.late_nul && rng.one_in(3) {
        fs::write(root.join("large.txt"), lines(rng, 6_000, "\n")).unwrap();
    }
    tree
}

fn directory(rng: &mut Rng, path: &Path, relative: &str, depth: usize, tree: &mut Tree) {
    for name in [".gitignore", ".ignore", ".rgignore"] {
        let seldom = if name == ".gitignore" { 2 } else { 4 };
        if rng.one_in(seldom) {
            fs::write(path.join(name), rules(rng)).unwrap();
        }
    }
    // In a tree that is no repository, whether rules from above reach into one differs between versions of
    // ripgrep.
    if tree.repository && depth > 0 && rng.one_in(10) {
        repository(rng, path);
    }
    for _ in 0..rng.below(6) + 1 {
        let name = rng.pick(&FILES);
        if !path.join(name).exists() {
            fs::write(path.join(name), content(rng)).unwrap();
            tree.paths.push(format!("{relative}{name}"));
        }
    }
    for name in DIRECTORIES {
        if depth < 3 && rng.one_in(depth + 3) && !path.join(name).exists() {
            let below = path.join(name);
            fs::create_dir(&below).unwrap();
            let end = if rng.one_in(4) { "/" } else { "" };
            tree.paths.push(format!("{relative}{name}{end}"));
            directory(rng, &below, &format!("{relative}{name}/"), depth + 1, tree);
        }
    }
    if rng.one_in(3) {
        let target = rng.pick(&["src", "a.rs", "nowhere", "."]);
        symlink(target, path.join("link")).unwrap();
        if path.join("link").exists() {
            tree.paths.push(format!("{relative}link"));
        }
    }
}

fn repository(rng: &mut Rng, path: &Path) {
    let git = path.join(".git");
    fs::create_dir_all(git.join("info")).unwrap();
    fs::write(git.join("HEAD"), "ref: refs/heads/foo\n").unwrap();
    if rng.one_in(2) {
        fs::write(git.join("info/exclude"), rules(rng)).unwrap();
    }
}

fn rules(rng: &mut Rng) -> String {
    let end = if rng.one_in(5) { "\r\n" } else { "\n" };
    let mut rules: Vec<&str> = (0..rng.below(5)).map(|_| rng.pick(&RULES)).collect();
    // The last with an end, and sometimes without.
    if !rng.one_in(4) {
        rules.push("");
    }
    rules.join(end)
}

fn content(rng: &mut Rng) -> Vec<u8> {
    let count = rng.below(12);
    let text = lines(rng, count, "\n");
    match rng.below(16) {
        0..=4 => text.into_bytes(),
        5 => lines(rng, count, "\r\n").into_bytes(),
        6 => [lines(rng, count, "\r\n"), text].concat().into_bytes(),
        7 => text.trim_end_matches('\n').into(),
        8 => [lines(rng, count, "\r\n").trim_end(), "foo"].concat().into_bytes(),
        9 => rng.pick(&["", "\n", "\n\n\n", "\r\n", "foo", "\u{feff}", "\u{feff}foo"]).into(),
        10 => [text.as_bytes(), b"foo\0bar\n"].concat(),
        11 => [text.as_bytes(), b"foo \xff\xc3 bar\n\xe6\x97\n", text.as_bytes()].concat(),
        12 => ["\u{feff}", &text].concat().into_bytes(),
        13 => utf16(&text, rng.one_in(2)),
        14 => {
            let (left, right) = (rng.below(900), rng.below(900));
            format!("{text}{}needle {}\n{text}", "ab ".repeat(left), "é".repeat(right)).into_bytes()
        }
        _ => format!("{text}{}\n{text}", "foo ".repeat(rng.below(100) + 20)).into_bytes(),
    }
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

fn lines(rng: &mut Rng, count: usize, end: &str) -> String {
    let line = |rng: &mut Rng| -> String {
        let words: Vec<&str> = (0..rng.below(6)).map(|_| rng.pick(&WORDS)).collect();
        words.join(rng.pick(&["", " "])) + end
    };
    (0..count).map(|_| line(rng)).collect()
}

pub fn query(rng: &mut Rng, tree: &Tree) -> Query {
    let around = |rng: &mut Rng| if rng.one_in(2) { 0 } else { rng.below(5) };
    let path = match rng.below(12) {
        0..6 => ".".into(),
        6 => "nowhere".into(),
        7 if tree.paths.len() > 1 => {
            format!("./{}", tree.paths[1 + rng.below(tree.paths.len() - 1)])
        }
        _ => tree.paths[rng.below(tree.paths.len())].clone(),
    };
    Query {
        path,
        pattern: rng.pick(&PATTERNS),
        glob: rng.one_in(3).then(|| rng.pick(&GLOBS)),
        ignore_case: rng.one_in(3),
        before: around(rng),
        after: around(rng),
        // A search that ends before the NUL byte does not know that the file is binary.
        max_results: if tree.late_nul { 10_000 } else { [1, 3, 20, 100, 10_000][rng.below(5)] },
    }
}
