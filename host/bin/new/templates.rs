//! The templates of `kit/`, as they are in the tree: files of every language, and files of one.

use clap::ValueEnum;

/// The languages that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Needs rustup, which adds the target wasm32-wasip2
    #[value(alias = "rs")]
    Rust,
    /// Needs Python 3.10, which installs componentize-py
    #[value(alias = "py")]
    Python,
    /// Needs zig or the WASI SDK, and wit-bindgen
    C,
    /// Needs Zig 0.17, and wit-bindgen
    Zig,
    /// Needs Go 1.25, and wit-bindgen
    #[value(alias = "golang")]
    Go,
    /// Needs Node.js 20, which installs componentize-qjs, esbuild and tsc
    #[value(alias = "typescript")]
    Ts,
    /// Needs Node.js 20, which installs componentize-qjs
    #[value(alias = "javascript")]
    Js,
}

/// A file of a template, named like it.
pub struct File {
    pub path: &'static str,
    pub text: String,
}

/// Paths in the new folder, and texts.
type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($folder:literal: $($path:literal)*) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $path)))),*]
    };
}

/// Of every language, unless it has a file of that name itself.
const COMMON: Files = files!("kit/common": "wit/my-tools.wit" "test.json" "test.sh" "sample.txt");

/// What every README ends with.
const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/kit/common/guide.md"));

const RUST: Files = files!("kit/rust": "Cargo.toml" "src/lib.rs" "build.sh" "expected.json" "README.md" ".gitignore");

const PYTHON: Files = files!("kit/python": "app.py" "requirements.txt" "build.sh" "expected.json" "README.md"
    ".gitignore");

const C: Files =
    files!("kit/c": "src/my-tools.c" "build.sh" "expected.json" "README.md" ".gitignore");

const ZIG: Files =
    files!("kit/zig": "src/tools.zig" "build.sh" "expected.json" "README.md" ".gitignore");

const GO: Files = files!("kit/go": "go.mod" "export_wit_world/tools.go" "pkg/go.mod" "pkg/wit/runtime/runtime.go"
    "pkg/wit/types/types.go" "build.sh" "expected.json" "README.md" ".gitignore");

const JS: Files = files!("kit/javascript": "src/tools.js" "src/files.js" "package.json" "build.sh" "expected.json"
    "README.md" ".gitignore");

const TS: Files = files!("kit/typescript": "src/tools.ts" "src/files.ts" "src/wit.d.ts" "tsconfig.json"
    "package.json" "build.sh" "expected.json" "README.md" ".gitignore");

/// Where a language has no files of its own, its WIT imports those of WASI.
const WASI_FILES: [Files; 2] = [
    files!("kit/javascript": "wit/my-tools.wit"),
    files!("host/files": "wit/deps/filesystem.wit" "wit/deps/io.wit" "wit/deps/clocks.wit"),
];

impl Language {
    /// What `build.sh` needs, as `--help` says it.
    pub fn needs(self) -> String {
        let value = self.to_possible_value();
        let help = value.as_ref().and_then(|it| it.get_help()).map(ToString::to_string);
        help.unwrap_or_default().replacen('N', "n", 1)
    }

    /// All files of a new plugin in this language.
    pub fn files(self) -> Vec<File> {
        let own = match self {
            Language::Rust => vec![RUST],
            Language::Python => vec![PYTHON],
            Language::C => vec![C],
            Language::Zig => vec![ZIG],
            Language::Go => vec![GO],
            Language::Ts => [&[TS][..], &WASI_FILES].concat(),
            Language::Js => [&[JS][..], &WASI_FILES].concat(),
        }
        .concat();
        let common = COMMON.iter().filter(|(path, _)| own.iter().all(|(other, _)| other != path));
        let file = |&(path, text): &(&'static str, &str)| {
            let guide = if path == "README.md" { GUIDE } else { "" };
            File { path, text: format!("{text}{guide}") }
        };
        common.chain(&own).map(file).collect()
    }
}
