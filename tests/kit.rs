//! `inorder new`: every template, as it is generated, builds, and its own test passes.
//!
//! Toolchains are found in `target/kit/bin`, where `kit/toolchains.sh` puts them, else in `PATH`. A language whose
//! toolchain is not there is skipped, unless `INORDER_REQUIRE_KIT` is set, as CI does.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{inorder, repository};

/// What is offered, the folder of `kit/` that it comes from, and the programs that its `build.sh` looks for.
const LANGUAGES: [(&str, &str, &[&str]); 7] = [
    ("rust", "rust", &[]),
    ("python", "python", &["componentize-py"]),
    ("c", "c", &["zig", "wit-bindgen"]),
    ("zig", "zig", &["zig", "wit-bindgen"]),
    ("go", "go", &["go", "wit-bindgen"]),
    ("ts", "typescript", &["node", "componentize-qjs", "esbuild", "tsc"]),
    ("js", "javascript", &["node", "componentize-qjs"]),
];

fn new(dir: &Path, args: &[&str]) -> Output {
    inorder().current_dir(dir).arg("new").args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

/// The files below `dir`, by their paths in it.
fn files(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// `PATH` with the toolchains of the kit in front.
fn path() -> OsString {
    let kit = repository().join("target/kit/bin");
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([kit].into_iter().chain(std::env::split_paths(&others))).unwrap()
}

/// Why a language cannot be built here.
fn missing(language: &str, programs: &[&str]) -> Option<String> {
    let there = |name: &&&str| !std::env::split_paths(&path()).any(|it| it.join(name).is_file());
    let programs: Vec<_> = programs.iter().filter(there).copied().collect();
    if !programs.is_empty() {
        return Some(format!("{} not found: kit/toolchains.sh installs it", programs.join(", ")));
    }
    (language == "rust" && guest_cargo().is_none())
        .then(|| "there is no Rust target wasm32-wasip2: plugins/build.sh installs it".to_owned())
}

/// A cargo that builds for wasm32-wasip2: this one, or the one that `plugins/build.sh` has installed.
fn guest_cargo() -> Option<PathBuf> {
    let own = repository().join("target/guest-toolchain/cargo");
    if own.is_file() {
        return Some(own);
    }
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", "wasm32-wasip2"])
        .output()
        .ok()?;
    let folder = String::from_utf8(asked.stdout).ok()?;
    Path::new(folder.trim()).is_dir().then(|| "cargo".into())
}

/// Generates a plugin of the language named, builds it and runs its test.
fn works(language: &str) {
    let (_, _, programs) = LANGUAGES.iter().find(|(name, ..)| *name == language).unwrap();
    if let Some(reason) = missing(language, programs) {
        assert!(std::env::var_os("INORDER_REQUIRE_KIT").is_none(), "{language}: {reason}");
        let _ = writeln!(std::io::stderr(), "skipped the kit for {language}: {reason}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // A name of several words, none of them the template's.
    let made = new(dir.path(), &["word-pal2", "--lang", language]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let dir = dir.path().join("word-pal2");
    if language == "rust" {
        // The versions that are here already.
        std::fs::copy(repository().join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    }
    let script = |name: &str| {
        let caches = repository().join("target/test-cache");
        let output = Command::new("sh")
            .arg(name)
            .current_dir(&dir)
            .env("PATH", path())
            .env("INORDER", env!("CARGO_BIN_EXE_inorder"))
            .env("GUEST_CARGO", guest_cargo().unwrap_or_else(|| "cargo".into()))
            .env("CARGO_TARGET_DIR", repository().join("target/kit/rust"))
            .env("XDG_CACHE_HOME", &caches)
            .env("XDG_STATE_HOME", caches.join("state"))
            .env_remove("INORDER_CONFIG")
            .output()
            .unwrap();
        assert!(output.status.success(), "{language}: {name}: {}", text(&output));
        text(&output)
    };
    script("build.sh");
    let tested = script("test.sh");
    assert!(tested.contains("all results are as expected"), "{language}: {tested}");
    let inspected =
        inorder().current_dir(&dir).args(["inspect", "word-pal2.wasm", "--json"]).output().unwrap();
    let plugin: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let tools = plugin["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["word_count", "greet"], "{language}");
    assert!(tools.iter().all(|it| it["description"].is_string()), "{language}: {plugin}");
    assert_eq!(tools[0]["touches"], json!({"reads": ["path"], "writes": []}), "{language}");
    // It is what it says: only what is granted can be read.
    let call = ["call", "word_count", "path=sample.txt", "--plugin", "word-pal2.wasm"];
    let denied = inorder().current_dir(&dir).args(call).output().unwrap();
    assert_eq!(denied.status.code(), Some(1), "{language}: {}", text(&denied));
    assert!(text(&denied).contains("--allow-read"), "{language}: {}", text(&denied));
}

#[test]
fn tools_in_rust_work_as_they_are_generated() {
    works("rust");
}

#[test]
fn tools_in_python_work_as_they_are_generated() {
    works("python");
}

#[test]
fn tools_in_c_work_as_they_are_generated() {
    works("c");
}

#[test]
fn tools_in_zig_work_as_they_are_generated() {
    works("zig");
}

#[test]
fn tools_in_go_work_as_they_are_generated() {
    works("go");
}

#[test]
fn tools_in_typescript_work_as_they_are_generated() {
    works("ts");
}

#[test]
fn tools_in_javascript_work_as_they_are_generated() {
    works("js");
}

#[test]
fn a_new_plugin_has_all_files_of_its_template_and_its_name_in_them() {
    let dir = tempfile::tempdir().unwrap();
    for (language, folder, _) in LANGUAGES {
        let made = new(dir.path(), &["abc-d", "--lang", language, "--dir", language]);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        assert!(text(&made).contains("./build.sh   # needs "), "{}", text(&made));
        let kit = repository().join("kit");
        let mut wanted = files(&kit.join(folder));
        wanted.extend(files(&kit.join("common")).into_iter().filter(|it| it != "guide.md"));
        let named = |path: String| path.replace("my-tools", "abc-d");
        let wanted: BTreeSet<_> = wanted.into_iter().map(named).collect();
        let made = files(&dir.path().join(language));
        let missing: Vec<_> = wanted.difference(&made).collect();
        assert!(missing.is_empty(), "{language}: {missing:?}");
        for path in made {
            let text = std::fs::read_to_string(dir.path().join(language).join(&path)).unwrap();
            for old in ["my-tools", "my_tools", "MyTools"] {
                assert!(!text.contains(old), "{language}: {path} has {old}");
            }
            assert!(!text.is_empty(), "{language}: {path} is empty");
        }
    }
    let help = text(&inorder().args(["new", "--help"]).output().unwrap());
    assert_eq!(help.matches(" Needs ").count(), LANGUAGES.len(), "{help}");
}

#[test]
fn what_cannot_be_made_says_what_would_do() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("full")).unwrap();
    std::fs::write(dir.path().join("full/a.txt"), "mine").unwrap();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    for (args, says) in [
        (&["MyTool", "--lang", "rust"][..], "what about \"my-tool\"?"),
        (&["a/b", "--lang", "rust"], "--dir"),
        (&["record", "--lang", "rust"], "what about \"record-tools\"?"),
        (&["my-tool", "--lang", "pyton"], "'python'"),
        (&["my-tool"], "--lang"),
        (&["full", "--lang", "c"], "full is not empty"),
        (&["x", "--dir", "full/a.txt", "--lang", "c"], "cannot write into full/a.txt"),
    ] {
        let made = new(dir.path(), args);
        assert_eq!(made.status.code(), Some(2), "{args:?}: {}", text(&made));
        assert!(text(&made).contains(says), "{args:?}: {}", text(&made));
    }
    assert_eq!(files(dir.path()), BTreeSet::from(["full/a.txt".to_owned()]));
    let made = new(dir.path(), &["empty", "--lang", "golang"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
}

#[test]
fn a_core_module_is_packed_into_a_component() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let module = r#"(module
        (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (memory (export "memory") 1)
        (func (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1))))"#;
    write("core.wasm", &wat::parse_str(module).unwrap());
    write(
        "a.wit",
        b"package a:b; world w { /// Adds.\n export add: func(a: u32, b: u32) -> u32; }",
    );
    write("other.wit", b"package a:b; world w { export sub: func(); }");
    let run = |args: &[&str]| inorder().current_dir(dir.path()).args(args).output().unwrap();
    let packed = run(&["pack", "core.wasm", "--wit", "a.wit", "-o", "sum.wasm"]);
    assert_eq!(packed.status.code(), Some(0), "{}", text(&packed));
    assert!(text(&packed).contains("1 of 1 tools described"), "{}", text(&packed));
    let called = run(&["call", "add", "a=1", "b=2", "--plugin", "sum.wasm"]);
    assert_eq!(text(&called), "3\n");
    let wrong = run(&["pack", "core.wasm", "--wit", "other.wit"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
    assert!(text(&wrong).contains("sub"), "{}", text(&wrong));
    let module = run(&["inspect", "core.wasm"]);
    assert!(text(&module).contains("inorder pack"), "{}", text(&module));
}
