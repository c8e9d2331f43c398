//! The shape of the project itself: which folder may import which, and that built files are not stale.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::repository;

/// Folder -> the folders it may import. Imports run one way.
const MAY_IMPORT: [(&str, &[&str]); 8] = [
    ("audit", &["aside"]),
    ("batch", &[]),
    ("policy", &["batch"]),
    ("schedule", &["aside", "batch"]),
    ("plugin", &["aside", "batch"]),
    ("files", &["aside", "batch", "ceiling", "policy"]),
    ("net", &["batch", "policy"]),
    ("sandbox", &["batch", "ceiling", "policy", "plugin", "files", "net"]),
];

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn imports_run_one_way() {
    let host = repository().join("host");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (folder, allowed) in MAY_IMPORT {
        for file in rust_files(&host.join(folder)) {
            for line in std::fs::read_to_string(&file).unwrap().lines() {
                let Some((_, rest)) = line.split_once("crate::") else { continue };
                let imported: String =
                    rest.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
                seen += 1;
                if imported != folder && !allowed.contains(&&*imported) {
                    wrong.push(format!("{}: {}", file.display(), line.trim()));
                }
            }
        }
    }
    assert!(seen > 10, "only {seen} imports were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The binary has no folders that import each other but this one, which alone knows the protocol's SDK; and of it, what
/// turns schemas and names over does not.
#[test]
fn the_sdk_of_the_protocol_is_known_in_one_place() {
    let host = repository().join("host");
    let serve = host.join("bin/serve");
    let mut inside = 0;
    for file in rust_files(&host) {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let names_it = code.clone().any(|line| line.contains("rmcp::"));
        let allowed = file.starts_with(&serve) || file == host.join("bin/serve.rs");
        assert!(allowed || !names_it, "{} knows the SDK", file.display());
        for pure in ["names.rs", "schema.rs"] {
            if file == serve.join(pure) {
                let mut code = code.clone();
                assert!(!names_it && !code.any(|line| line.contains("inorder::")), "{pure}");
                inside += 1;
            }
        }
    }
    assert_eq!(inside, 2);
}

#[test]
fn every_file_has_a_header_and_folders_hold_no_code_in_mod_rs() {
    for file in rust_files(&repository().join("host")) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not say what it is for", file.display());
        if file.ends_with("mod.rs") {
            for item in ["fn ", "struct ", "enum ", "impl "] {
                assert!(
                    !text.lines().any(|line| line.starts_with(item)),
                    "{}: {item}",
                    file.display()
                );
            }
        }
    }
}

/// `plugins/build.sh` records `sha256sum` lines of what each component was built from.
#[test]
fn built_components_are_not_older_than_their_sources() {
    let dist = repository().join("plugins/dist");
    let mut checked = 0;
    for entry in std::fs::read_dir(&dist).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "wasm") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let recorded = std::fs::read_to_string(path.with_extension("sources"))
            .unwrap_or_else(|error| panic!("{name}: {error}: run plugins/build.sh"));
        let recorded: BTreeMap<String, String> = recorded
            .lines()
            .map(|line| line.split_once("  ").unwrap())
            .map(|(hash, file)| (file.to_owned(), hash.to_owned()))
            .collect();
        assert_eq!(recorded, sources(&name), "{name} is stale: run plugins/build.sh");
        checked += 1;
    }
    assert!(checked > 0, "no built components were found");
}

fn sources(plugin: &str) -> BTreeMap<String, String> {
    use sha2::{Digest, Sha256};
    let mut files = vec![repository().join(format!("wit/{plugin}.wit"))];
    let mut folders = vec![repository().join(format!("plugins/{plugin}"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !["tests", "target"].contains(&name) {
                folders.push(path);
            } else if name.ends_with(".rs") || name == "Cargo.toml" {
                files.push(path);
            }
        }
    }
    let hash = |path: &PathBuf| {
        let digest = Sha256::digest(std::fs::read(path).unwrap());
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let relative =
        |path: &PathBuf| path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (relative(path), hash(path))).collect()
}
