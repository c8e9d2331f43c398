//! The binary as a user meets it: output, exit codes, errors, signals.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{built_guest, inorder, repository};

struct Dir(tempfile::TempDir);

impl Dir {
    fn new(files: &[(&str, &str)]) -> Dir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Dir(dir)
    }

    /// Runs the binary here.
    fn run(&self, args: &[&str]) -> Output {
        inorder().current_dir(self.0.path()).args(args).output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const READ: &str =
    r#"{"calls": [{"id": "r", "tool": "read_text_file", "args": {"path": "a.txt"}}]}"#;

#[test]
fn json_is_one_document_on_stdout_and_nothing_else() {
    let dir = Dir::new(&[("a.txt", "hello"), ("b.json", READ)]);
    let output = dir.run(&["run", "b.json", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["results"][0]["id"], "r");
    assert_eq!(report["results"][0]["tool"], "read_text_file");
    assert_eq!(report["results"][0]["status"], "ok");
    assert_eq!(report["results"][0]["value"], "hello");
    assert!(report["results"][0]["usage"]["run_ms"].as_f64().unwrap() > 0.0);
    assert!(report["results"][0]["usage"]["peak_memory"].as_u64().unwrap() > 0);
    assert!(report["elapsed_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_batch_comes_from_standard_input_too() {
    let dir = Dir::new(&[("a.txt", "hello")]);
    let mut child = inorder()
        .current_dir(dir.0.path())
        .args(["run", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(READ.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(text.contains("1 call in") && text.contains("  hello"), "{text}");
    assert!(!text.contains('\x1b'), "colours where there is no terminal: {text:?}");
}

#[test]
fn exit_codes_tell_what_failed() {
    let dir = Dir::new(&[
        ("a.txt", "hello"),
        ("b.json", READ),
        ("bad.json", "{"),
        ("wrong.toml", "rots = []"),
    ]);
    let missing = r#"{"calls": [{"tool": "read_text_file", "args": {"path": "b.txt"}}]}"#;
    std::fs::write(dir.0.path().join("missing.json"), missing).unwrap();
    for (args, code, says) in [
        (&["run", "b.json"][..], 0, ""),
        (&["run", "missing.json"], 1, ""),
        (&["run", "bad.json"], 2, "not JSON"),
        (&["run", "none.json"], 2, "none.json"),
        (&["run", "b.json", "--config", "wrong.toml"], 2, "rots"),
        (&["run", "b.json", "--root", "none"], 2, "none"),
        (&["run", "b.json", "--plugin", "a.txt"], 2, "not WebAssembly"),
        (&["run", "b.json", "--allow-read", "a/**.txt"], 2, "cannot be enforced"),
        (&["run", "b.json", "--allow-read", "../**"], 2, "leads out of its root"),
        (&["run", "b.json", "--timeout", "30"], 2, "is not a time"),
        (&["run", "b.json", "--memory", "0"], 2, "zero"),
        (&["run", "b.json", "--jobs", "0"], 2, "0"),
        (&["run"], 2, "Usage"),
        (&["call", "nothing_like_it"], 1, "no tool is named"),
    ] {
        let output = dir.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn limits_and_ceilings_have_flags() {
    let dir = Dir::new(&[("a.txt", "hello"), ("b.json", READ)]);
    for (flags, kind) in [
        (["--limit", "result=3"], "output"),
        (["--limit", "memory=64KiB"], "memory"),
        (["--memory", "64KiB"], "memory"),
        (["--limit", "args=3"], "arguments"),
        (["--max-memory", "64KiB"], "memory"),
    ] {
        let output = dir.run(&[&["run", "b.json", "--json"][..], &flags].concat());
        let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(report["results"][0]["error"]["kind"], kind, "{flags:?}: {report}");
    }
    let two = r#"{"calls": [{"tool": "list_allowed_directories"}, {"tool": "list_allowed_directories"}]}"#;
    std::fs::write(dir.0.path().join("two.json"), two).unwrap();
    let busy = dir.run(&["run", "two.json", "--json", "--jobs", "1", "--max-waiting", "1"]);
    assert_eq!(busy.status.code(), Some(1));
    assert_eq!(stdout(&busy).matches(r#""kind":"busy""#).count(), 2, "{}", stdout(&busy));
    let unknown = dir.run(&["run", "b.json", "--limit", "fuel=1"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("no limit is named \"fuel\""), "{}", stderr(&unknown));
    // The last of a name holds.
    let last = dir.run(&["run", "b.json", "--limit", "result=3", "--limit", "result=1KiB"]);
    assert_eq!(last.status.code(), Some(0), "{}", stderr(&last));
}

#[test]
fn call_takes_pairs_or_json_and_prints_the_value() {
    let dir = Dir::new(&[("a.txt", "one\ntwo\n"), ("12", "a number for a name")]);
    assert_eq!(stdout(&dir.run(&["call", "read_text_file", "path=a.txt", "head=1"])), "one\n");
    assert_eq!(stdout(&dir.run(&["call", "read_text_file", r#"{"path": "a.txt"}"#])), "one\ntwo\n");
    assert_eq!(stdout(&dir.run(&["call", "read_text_file", "path=12"])), "a number for a name");
    let listed: Value =
        serde_json::from_str(&stdout(&dir.run(&["call", "list_directory", "path=."]))).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let twice = dir.run(&["call", "read_text_file", "path=a", "path=b"]);
    assert!(stderr(&twice).contains("given twice"));
    let failed = dir.run(&["call", "read_text_file", "path=none"]);
    assert_eq!((failed.status.code(), stdout(&failed)), (Some(1), String::new()));
    assert!(stderr(&failed).contains("none"));
}

#[test]
fn writing_needs_a_grant() {
    let dir = Dir::new(&[]);
    let write = ["call", "write_file", "path=n.txt", "content=x"];
    let refused = dir.run(&write);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("not permitted"), "{}", stderr(&refused));
    assert!(!dir.0.path().join("n.txt").exists());
    let granted = dir.run(&[&write[..], &["--allow-write", "**"]].concat());
    assert_eq!(granted.status.code(), Some(0), "{}", stderr(&granted));
    assert_eq!(std::fs::read_to_string(dir.0.path().join("n.txt")).unwrap(), "x");
}

#[test]
fn explicit_read_grants_replace_the_default() {
    let dir = Dir::new(&[("a.txt", "a")]);
    std::fs::create_dir(dir.0.path().join("sub")).unwrap();
    let read = dir.run(&["call", "read_text_file", "path=a.txt", "--allow-read", "sub/**"]);
    assert_eq!(read.status.code(), Some(1), "{}", stdout(&read));
}

#[test]
fn what_is_in_the_way_of_the_folder_of_the_host_is_named() {
    for (target, what) in [(None, "is a file"), (Some("d"), "symlink"), (Some("gone"), "symlink")] {
        let dir = Dir::new(&[("a.txt", "a")]);
        let at = dir.0.path().join(".inorder");
        std::fs::create_dir(dir.0.path().join("d")).unwrap();
        match target {
            None => std::fs::write(&at, "theirs").unwrap(),
            Some(target) => std::os::unix::fs::symlink(target, &at).unwrap(),
        }
        for args in [&["call", "read_text_file", "path=a.txt"][..], &["log"], &["undo"]] {
            let output = dir.run(args);
            assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
            let said = stderr(&output);
            assert!(said.contains("/.inorder is") && said.contains(what), "{args:?}: {said}");
            assert!(said.contains("move it away"), "{args:?}: {said}");
        }
        let kept = at.symlink_metadata().unwrap().file_type();
        assert_eq!(kept.is_symlink(), target.is_some());
        assert_eq!(std::fs::read_dir(dir.0.path().join("d")).unwrap().count(), 0);
    }
}

#[test]
fn a_config_is_obeyed_when_it_is_named_and_mentioned_when_it_is_not() {
    let config = "roots = [\"data\"]\n[plugins.filesystem]\nprefix = \"fs_\"\nread = [\"**\"]\n";
    let dir = Dir::new(&[("inorder.toml", config)]);
    std::fs::create_dir(dir.0.path().join("data")).unwrap();
    std::fs::write(dir.0.path().join("data/a.txt"), "a").unwrap();
    let named = dir.run(&["call", "fs_read_text_file", "path=a.txt", "--config", "inorder.toml"]);
    assert_eq!(stdout(&named), "a", "{}", stderr(&named));
    let unnamed = dir.run(&["call", "read_text_file", "path=data/a.txt"]);
    assert_eq!(stdout(&unnamed), "a");
    assert!(stderr(&unnamed).contains("--config inorder.toml"), "{}", stderr(&unnamed));
}

#[test]
fn a_config_that_a_plugin_could_write_is_refused() {
    let config = "[plugins.filesystem]\nread = [\"**\"]\nwrite = [\"out/**\"]\n";
    let dir = Dir::new(&[("inorder.toml", config)]);
    std::fs::create_dir(dir.0.path().join("out")).unwrap();
    let fine = dir.run(&["tools", "--config", "inorder.toml"]);
    assert_eq!(fine.status.code(), Some(0), "{}", stderr(&fine));
    let wide = dir.run(&["tools", "--config", "inorder.toml", "--allow-write", "**"]);
    assert_eq!(wide.status.code(), Some(2));
    assert!(stderr(&wide).contains("widen its own grants"), "{}", stderr(&wide));
    for (grant, refused) in
        [("*.toml", true), ("inorder.toml", true), ("out/inorder.toml", false), ("*.md", false)]
    {
        let config = format!("[plugins.filesystem]\nwrite = [{grant:?}]\n");
        std::fs::write(dir.0.path().join("inorder.toml"), config).unwrap();
        let output = dir.run(&["tools", "--config", "inorder.toml"]);
        let said = stderr(&output).contains("widen its own grants");
        assert_eq!(said, refused, "{grant}: {}", stderr(&output));
    }
}

#[test]
fn a_config_behind_a_symlink_that_a_plugin_could_move_away_is_refused() {
    use std::os::unix::fs::symlink;
    let dir = Dir::new(&[]);
    let root = dir.0.path().canonicalize().unwrap().join("root");
    for folder in ["conf", "root/work", "root/safe"] {
        std::fs::create_dir_all(dir.0.path().join(folder)).unwrap();
    }
    let config = format!("roots = [{root:?}]\n[plugins.filesystem]\nwrite = [\"work/**\"]\n");
    std::fs::write(dir.0.path().join("conf/inorder.toml"), config).unwrap();
    // The file itself lies where nobody may write.
    symlink("../../conf/inorder.toml", root.join("work/file.toml")).unwrap();
    symlink("../../conf", root.join("work/folder")).unwrap();
    symlink("../../conf/inorder.toml", root.join("safe/file.toml")).unwrap();
    for (config, refused) in [
        ("root/work/file.toml", true),
        ("root/work/folder/inorder.toml", true),
        ("root/safe/file.toml", false),
        ("conf/inorder.toml", false),
    ] {
        let output = dir.run(&["tools", "--config", config]);
        let said = stderr(&output).contains("widen its own grants");
        assert_eq!(said, refused, "{config}: {}", stderr(&output));
    }
}

#[test]
fn two_plugins_of_one_file_are_told_apart_by_name() {
    let Some(probe) = built_guest("probe") else { return };
    let dir = Dir::new(&[]);
    let (file, named) = (probe.display().to_string(), format!("other={}", probe.display()));
    let both = ["call", "other_add", "a=1", "b=2", "--plugin", &file, "--plugin", &named];
    assert_eq!(stdout(&dir.run(&both)), "3\n");
    let twice = ["call", "add", "a=1", "b=2", "--plugin", &file, "--plugin", &file];
    assert_eq!(stdout(&dir.run(&twice)), "3\n");
}

#[test]
fn a_standard_plugin_that_is_not_there_is_told_where_to_find() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("named.toml"), "[plugins.python]\nread = [\"**\"]").unwrap();
    for (args, says) in [
        (["--plugin", "linear"], "plugins/linear/build.sh makes target/plugins/linear.wasm"),
        (["--plugin", "plugins/dist/linear.wasm"], "plugins/linear/build.sh makes"),
        (["--plugin", "db=x/git.wasm"], "it is plugins/dist/git.wasm"),
        (["--config", "named.toml"], "plugins/python/build.sh makes target/plugins/python.wasm"),
    ] {
        let output = inorder().current_dir(dir.path()).arg("tools").args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(says), "{args:?}: {}", stderr(&output));
    }
    let other =
        inorder().current_dir(dir.path()).args(["tools", "--plugin", "other"]).output().unwrap();
    assert!(!stderr(&other).contains("standard plugin"), "{}", stderr(&other));
}

#[test]
fn a_cache_that_cannot_be_used_is_named_and_costs_only_time() {
    let dir = Dir::new(&[("a.txt", "hello"), ("caches", "a file")]);
    let caches = dir.0.path().join("caches");
    let read = inorder()
        .current_dir(dir.0.path())
        .env("XDG_CACHE_HOME", &caches)
        .args(["call", "read_text_file", "path=a.txt"])
        .output()
        .unwrap();
    assert_eq!(stdout(&read), "hello");
    let path = caches.join("inorder").display().to_string();
    assert!(stderr(&read).contains(&path), "{}", stderr(&read));
}

#[test]
fn output_for_programs_is_exact() {
    let text = "\u{1b}[31mred\u{1b}[0m\r\nno newline at the end";
    let dir = Dir::new(&[("a.txt", text)]);
    assert_eq!(stdout(&dir.run(&["call", "read_text_file", "path=a.txt"])), text);
    let full = inorder()
        .current_dir(dir.0.path())
        .args(["tools"])
        .stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_eq!(full.status.code(), Some(3), "{}", stderr(&full));
}

#[test]
fn a_fifo_holds_nobody_up() {
    let dir = Dir::new(&[("a.txt", "a")]);
    let made =
        std::process::Command::new("mkfifo").arg(dir.0.path().join("pipe")).status().unwrap();
    assert!(made.success());
    let read = dir.run(&["call", "read_text_file", "path=pipe", "--timeout", "5s"]);
    assert_eq!(read.status.code(), Some(1));
    assert!(!stderr(&read).contains("timeout"), "{}", stderr(&read));
    let write =
        ["call", "write_file", "path=pipe", "content=x", "--allow-write", "**", "--timeout", "5s"];
    let write = dir.run(&write);
    assert_eq!(write.status.code(), Some(1));
    assert!(!stderr(&write).contains("timeout"), "{}", stderr(&write));
    let plugin = dir.run(&["inspect", "pipe"]);
    assert!(stderr(&plugin).contains("not a regular file"), "{}", stderr(&plugin));
}

#[test]
fn bench_runs_a_batch_many_times_and_changes_nothing_unless_told() {
    let batch = json!({"calls": [
        {"id": "read", "tool": "read_text_file", "args": {"path": "a.txt"}},
        {"id": "write", "tool": "write_file", "args": {"path": "b.txt", "content": {"$from": "read"}}},
        {"id": "list", "tool": "list_directory", "args": {"path": "."}},
    ]});
    let dir = Dir::new(&[("a.txt", "hello"), ("b.json", &batch.to_string())]);
    let args = ["bench", "b.json", "-n", "3", "--json", "--allow-write", "**"];
    let output = dir.run(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let figures: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(figures["runs"], 3);
    let ids: Vec<&Value> =
        figures["calls"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, ["read", "write", "list"]);
    let number = |name: &str| figures[name].as_f64().unwrap();
    assert!(number("lower_bound_ms") >= number("critical_path_ms"));
    assert!(number("critical_path_ms") > 0.0 && number("over_lower_bound") > 0.0);
    assert!(!dir.0.path().join("b.txt").exists());
    let output = dir.run(&[&args[..], &["--commit"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(dir.0.path().join("b.txt")).unwrap(), "hello");
    let none = dir.run(&["bench", "b.json", "-n", "0"]);
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn tools_and_inspect_print_schemas() {
    let dir = Dir::new(&[]);
    let tools: Value = serde_json::from_str(&stdout(&dir.run(&["tools", "--json"]))).unwrap();
    let read = tools["tools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "read_text_file")
        .unwrap();
    assert_eq!(read["input_schema"]["required"], json!(["path"]));
    let file = repository().join("plugins/dist/filesystem.wasm");
    let inspected = dir.run(&["inspect", file.to_str().unwrap(), "--json"]);
    let plugin: Value = serde_json::from_str(&stdout(&inspected)).unwrap();
    assert!(plugin["asks_for"].as_array().unwrap().contains(&json!("files")));
    assert!(
        plugin["imports"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it.as_str().unwrap().starts_with("wasi:filesystem/"))
    );
    let people = stdout(&dir.run(&["inspect", file.to_str().unwrap()]));
    assert!(
        people.contains("asks for: files") && people.contains("read_text_file(path, head?, tail?)"),
        "{people}"
    );
    for command in ["run", "call", "tools", "inspect", "pack"] {
        let help = stdout(&dir.run(&[command, "--help"]));
        assert!(help.contains("Examples:"), "{help}");
    }
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    let dir = Dir::new(&[]);
    let mut child = inorder()
        .current_dir(dir.0.path())
        .args(["tools", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
}

#[test]
fn ctrl_c_stops_guests_and_prints_what_finished() {
    let Some(probe) = built_guest("probe") else { return };
    let batch = r#"{"calls": [{"tool": "add", "args": {"a": 1, "b": 2}}, {"tool": "spin"}]}"#;
    let dir = Dir::new(&[("b.json", batch)]);
    let mut child = inorder()
        .env("INORDER_LOG", "inorder=debug")
        .current_dir(dir.0.path())
        .args(["run", "b.json", "--json", "--plugin", probe.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The log tells when the endless call runs.
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("spin") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended without running");
    }
    std::thread::sleep(Duration::from_millis(100));
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["results"][0]["value"], 3);
    assert_eq!(report["results"][1]["error"]["kind"], "cancelled");
}
