//! `inorder dev`, with a `build.sh` that copies a component which the sources name.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::inorder;

const PATIENCE: Duration = Duration::from_secs(60);

struct Dev {
    child: Child,
    /// Of both outputs.
    lines: Receiver<String>,
}

impl Dev {
    fn start(folder: &Path, args: &[&str]) -> Dev {
        let mut child = inorder()
            .arg("dev")
            .arg(folder)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Dev { child, lines }
    }

    /// The first line from here on that has this in it, and those before it.
    fn until(&self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else { panic!("{text:?}: {seen:#?}") };
            seen.push(line);
            if seen.last().is_some_and(|line| line.contains(text)) {
                return seen;
            }
        }
    }

    fn end(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder whose `source` names the component that is built: `one` or `two`. `more` is run before.
fn project(more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let calc = include_str!("support/calc.wat");
    for name in ["one", "two"] {
        let to = format!("(func (export \"{name}\") (canon");
        let text = calc.replace("(func (export \"nothing\") (canon", &to);
        write(&format!("{name}.component"), &wat::parse_str(text).unwrap());
    }
    write("source", b"one");
    write(".gitignore", b"*.log\n");
    let script = format!(
        "#!/bin/sh\nset -eu\ncd \"$(dirname \"$0\")\"\necho built >> builds.log\necho this is the build\n{more}\n\
         cp \"$(cat source).component\" tools.wasm\n"
    );
    write("build.sh", script.as_bytes());
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.path().join("build.sh"), executable).unwrap();
    dir
}

fn builds(project: &tempfile::TempDir) -> usize {
    std::fs::read_to_string(project.path().join("builds.log")).unwrap().lines().count()
}

#[test]
fn each_change_is_built_loaded_and_tried() {
    let project = project("");
    let set = |text: &str| std::fs::write(project.path().join("source"), text).unwrap();
    let batch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        batch.path(),
        r#"{"calls": [{"id": "half", "tool": "half", "args": {"number": 8}}]}"#,
    )
    .unwrap();
    let args = [
        "--call",
        "add a=1 b=2",
        "--call",
        "echo {\"text\": \"two words\"}",
        "--call",
        "no_such_tool",
        "--batch",
        batch.path().to_str().unwrap(),
    ];
    let dev = Dev::start(project.path(), &args);
    let first = dev.until("waiting for changes").join("\n");
    for part in [
        "this is the build",
        "tools built in",
        "add(",
        "one(",
        "add a=1 b=2",
        "two words",
        "unknown_tool",
        "half",
    ] {
        assert!(first.contains(part), "{part:?} is not in\n{first}");
    }
    // A tool without a description is what `check` warns of.
    assert!(first.contains("warning"), "{first}");
    set("two");
    dev.until("source changed");
    let second = dev.until("waiting for changes").join("\n");
    assert!(second.contains("two(") && !second.contains("one("), "{second}");
    set("three");
    let failed = dev.until("waiting for changes").join("\n");
    assert!(failed.contains("three.component") && failed.contains("the build failed"), "{failed}");
    set("one");
    let mended = dev.until("waiting for changes").join("\n");
    assert!(mended.contains("one("), "{mended}");
    // What is written once more as it was is no change, nor is what git ignores.
    set("one");
    std::fs::write(project.path().join("other.log"), "x").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(builds(&project), 4);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_change_during_a_build_is_built_after_it() {
    let project = project("sleep 1");
    let set = |text: &str| std::fs::write(project.path().join("source"), text).unwrap();
    let dev = Dev::start(project.path(), &[]);
    dev.until("this is the build");
    set("none");
    std::thread::sleep(Duration::from_millis(100));
    // Of several, one is left.
    set("two");
    let all = dev.until("waiting for changes").join("\n");
    assert!(all.contains("two("), "{all}");
    assert_eq!(builds(&project), 2, "{all}");
}

#[test]
fn what_a_build_writes_beside_its_sources_does_not_keep_it_building() {
    // Another content each time.
    let project = project("wc -l < builds.log > generated.c");
    let dev = Dev::start(project.path(), &[]);
    let all = dev.until("waiting for changes").join("\n");
    assert!(all.contains("generated.c is written by the build"), "{all}");
    let before = builds(&project);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(builds(&project), before);
    std::fs::write(project.path().join("source"), "two").unwrap();
    dev.until("two(");
}

#[test]
fn an_interrupt_ends_the_build_with_all_that_it_started() {
    let project = project("sleep 1000 & echo \"child $!\"; wait");
    let dev = Dev::start(project.path(), &[]);
    let line = dev.until("child ").pop().unwrap();
    let pid: i32 = line.trim_start_matches("child ").trim().parse().unwrap();
    let child = Pid::from_raw(pid).unwrap();
    assert!(test_kill_process(child).is_ok());
    assert_eq!(dev.end(), Some(0));
    let began = std::time::Instant::now();
    // Its end may be seen only when somebody has asked for it.
    while is_running(pid) {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_running(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit_once(") ").map_or("Z", |(_, rest)| rest);
    !state.starts_with('Z')
}

#[test]
fn a_folder_without_a_build_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let output = inorder().arg("dev").arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("build.sh"));
}
