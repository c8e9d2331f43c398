//! The attacks as data: what is called, and how it must end. For the tests, and for the benchmark of memory.
//!
//! Knows nothing of what runs beside them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use inorder::{Grants, HostBuilder, LimitsConfig, PathGrant, PluginSpec, Source};
use serde_json::{Value, json};

use super::parts;

pub struct Attack {
    pub tool: &'static str,
    pub args: Value,
    pub ends: Ends,
}

/// How the call ends, and what its value or its message has in it.
#[derive(Clone, Copy)]
pub enum Ends {
    Ok(&'static str),
    /// A number, of what it got hold of: some, and no more than so many.
    Got(u64),
    /// Of this kind.
    Failed(&'static str, &'static str),
}

impl Attack {
    /// Whether the call ended as it must, by its result as users get it.
    pub fn ended(&self, result: &Value) -> bool {
        let has = |value: &Value, part: &str| match value {
            Value::String(text) => text.contains(part),
            other => other.to_string().contains(part),
        };
        match self.ends {
            Ends::Ok(part) => result["status"] == "ok" && has(&result["value"], part),
            Ends::Got(most) => {
                let got = result["value"].as_u64();
                result["status"] == "ok" && got.is_some_and(|got| got > 0 && got <= most)
            }
            Ends::Failed(kind, part) => {
                result["error"]["kind"] == kind && has(&result["error"]["message"], part)
            }
        }
    }
}

/// How long the attacks without end may go on.
pub const SHORT: Duration = Duration::from_millis(200);

/// Entries of the large directory, and small files of the other.
pub const ENTRIES: usize = 20_000;
pub const SMALL: usize = 2_000;

/// The plugins of all attacks on a root that [`lay_out`] has made; those of the guest if it is built.
///
/// Each of the two that have most attacks is there twice: in a hurry, and as `patient_` for attacks that end by
/// themselves, on a busy machine too.
pub fn plugins(
    mut builder: HostBuilder,
    guest: Option<&Path>,
    short: Duration,
) -> anyhow::Result<HostBuilder> {
    let text = |name: &str, text: &str, timeout: Option<Duration>| {
        let bytes = wat::parse_str(text).with_context(|| name.to_owned())?;
        let mut spec = PluginSpec::new(name, Source::Bytes(bytes), Grants::default());
        spec.limits = LimitsConfig { timeout, ..LimitsConfig::default() };
        anyhow::Ok(spec)
    };
    let core = include_str!("core.wat");
    let mut patient = text("patient-core", core, None)?;
    "patient_".clone_into(&mut patient.prefix);
    let mut hurried = text("core", core, Some(short))?;
    // What takes long to read is read for long.
    hurried.limits.result = Some(1 << 40);
    builder = builder
        .plugin(hurried)
        .plugin(patient)
        .plugin(text("start-loop", START_LOOP, Some(short))?)
        .plugin(text("start-trap", START_TRAP, None)?)
        .plugin(text("deep", &deep(90), None)?)
        .plugin(text("data-often", &parts::data_often(), None)?)
        .plugin(text("elements-often", &parts::elements_often(), None)?)
        .plugin(text("straight", &parts::straight(), None)?)
        .plugin(text("unwinds", &parts::unwinds(), None)?)
        .plugin(text("own-handles", parts::OWN_HANDLES, None)?)
        .plugin(text("hand-to-host", parts::HAND_TO_HOST, Some(short))?)
        .plugin(text("hand-over", &parts::hand_over(), None)?);
    let Some(guest) = guest else { return Ok(builder) };
    for (name, prefix, timeout) in [("hostile", "", Some(short)), ("patient", "patient_", None)] {
        let mut spec = PluginSpec::file(guest, everything()?);
        spec.limits.timeout = timeout;
        (spec.name, spec.prefix) = (name.to_owned(), prefix.to_owned());
        builder = builder.plugin(spec);
    }
    Ok(builder)
}

fn everything() -> anyhow::Result<Grants> {
    let all = vec![PathGrant::parse("**")?];
    Ok(Grants { read: all.clone(), write: all, ..Grants::default() })
}

/// What the attacks on files find: ways out, a large directory, a large file. Gives the root; what is beside it is not
/// to be reached.
pub fn lay_out(dir: &Path) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::symlink;
    let root = dir.join("root");
    for name in ["in", "many", "small"] {
        std::fs::create_dir_all(root.join(name))?;
    }
    std::fs::write(dir.join("secret"), "secret")?;
    std::fs::write(root.join("in/file"), "mine")?;
    symlink(dir, root.join("in/out"))?;
    symlink("..", root.join("up"))?;
    symlink("/etc", root.join("etc"))?;
    symlink("/etc/passwd", root.join("passwd"))?;
    symlink("loop", root.join("loop"))?;
    for number in 0..ENTRIES {
        std::fs::write(root.join("many").join(number.to_string()), "")?;
    }
    for number in 0..SMALL {
        std::fs::write(root.join("small").join(number.to_string()), [b's'; 16 << 10])?;
    }
    std::fs::File::create(root.join("large"))?.set_len(8 << 30)?;
    Ok(root)
}

pub fn of_core() -> Vec<Attack> {
    use Ends::{Failed, Got, Ok};
    let timeout = Failed("timeout", "`limits.timeout`");
    let text = json!({"text": "x"});
    let attacks = [
        ("loop_forever", json!({}), timeout),
        ("patient_deeper", json!({}), Failed("trap", "stack")),
        ("fill", json!({}), timeout),
        ("copy", json!({}), timeout),
        ("grow_by_one", json!({}), timeout),
        ("patient_grow_all", json!({}), Got(256 << 4)),
        ("patient_table_bomb", json!({}), Got(50_000)),
        ("table_fill", json!({}), timeout),
        ("patient_not_utf8", json!({}), Failed("trap", "utf-8")),
        ("patient_not_mine", json!({}), Failed("trap", "out of the memory")),
        ("patient_askew", json!({}), Failed("trap", "aligned")),
        ("patient_no_case", json!({}), Failed("trap", "has the case")),
        ("patient_no_result", json!({}), Failed("trap", "has the case")),
        ("patient_no_char", json!({}), Failed("trap", "char")),
        ("patient_large_text", json!({}), Failed("output", "`limits.result`")),
        ("patient_laughs", json!({}), Failed("output", "`limits.result`")),
        ("patient_realloc_trap", text.clone(), Failed("trap", "unreachable")),
        ("realloc_loop", text.clone(), timeout),
        ("patient_realloc_deeper", text.clone(), Failed("trap", "stack")),
        ("patient_realloc_outside", text.clone(), Failed("trap", "beyond end of memory")),
        ("patient_realloc_askew", json!({"numbers": [1]}), Failed("trap", "aligned")),
        ("patient_realloc_again", text, Failed("trap", "cannot leave component instance")),
        ("patient_ask_again", json!({}), Failed("trap", "cannot leave component instance")),
        ("loop_after", json!({}), timeout),
        ("patient_trap_after", json!({}), Failed("trap", "unreachable")),
        ("start_loop", json!({}), timeout),
        ("start_trap", json!({}), Failed("trap", "unreachable")),
        ("deep", json!({}), Failed("tool", "the tool failed with")),
        ("own_handles", json!({}), Failed("handles", "`limits.handles`")),
        ("hand_to_host", json!({}), timeout),
        ("data_often", json!({}), Ok("")),
        ("elements_often", json!({}), Ok("")),
        ("straight", json!({}), Ok("")),
        ("unwinds", json!({}), Ok("")),
        ("hand_over", json!({"bytes": 4 << 20}), Ok("4194304")),
        ("hand_over", json!({"bytes": 120_000_000}), Failed("output", "more text or bytes")),
    ];
    attacks.map(|(tool, args, ends)| Attack { tool, args, ends }).into()
}

pub fn of_guest() -> Vec<Attack> {
    use Ends::{Failed, Got, Ok};
    let timeout = Failed("timeout", "`limits.timeout`");
    let staged = Failed("staged", "`limits.staged`");
    let attacks = [
        ("patient_flood_stdout", json!({}), Failed("output", "`limits.output`")),
        ("patient_flood_stderr", json!({}), Failed("output", "`limits.output`")),
        ("patient_flood_log", json!({"mib": 64}), Failed("output", "`limits.output`")),
        ("patient_write_nothing", json!({"times": 200_000}), Ok("costs nothing")),
        ("patient_write_zeroes", json!({"bytes": 1u64 << 40}), Failed("trap", "check_write")),
        ("patient_big_result", json!({"mib": 100}), Failed("output", "`limits.result`")),
        ("patient_take_memory", json!({}), Got(256)),
        (
            "patient_open_files",
            json!({"path": "in/file", "count": 10_000}),
            Failed("handles", "`limits.handles`"),
        ),
        ("patient_escape", json!({}), Ok("no way led out")),
        ("patient_sockets", json!({}), Ok("no socket was made")),
        ("patient_resolve", json!({}), Ok("no name was looked up")),
        ("patient_environment", json!({}), Ok("there is nothing")),
        (
            "patient_random",
            json!({"bytes": 1u64 << 40, "secure": true}),
            Failed("random", "`limits.random`"),
        ),
        (
            "patient_random",
            json!({"bytes": 1u64 << 40, "secure": false}),
            Failed("random", "`limits.random`"),
        ),
        ("sleep", json!({}), timeout),
        ("patient_stdin", json!({}), Ok("it is closed")),
        ("patient_poll_same", json!({"times": 100_000}), Failed("handles", "`limits.handles`")),
        ("patient_poll_same", json!({"times": 20_000_000}), Failed("output", "`limits.copies`")),
        (
            "patient_leak_pollables",
            json!({"count": 100_000}),
            Failed("handles", "`limits.handles`"),
        ),
        ("patient_far_clocks", json!({"count": 450, "rounds": 2_000}), Ok("asked")),
        ("patient_long_names", json!({"bytes": 1 << 20}), Ok("every one is too long")),
        (
            "patient_list_often",
            json!({"path": "many", "times": 990}),
            Failed("memory", "`limits.memory`"),
        ),
        ("patient_create_files", json!({"count": 1_000_000}), staged),
        ("patient_churn", json!({"count": 1_000_000}), staged),
        ("patient_look", json!({"count": 4_000_000}), Failed("memory", "`limits.memory`")),
        ("patient_nest", json!({"depth": 20_000, "name": 250}), Failed("tool", "name-too-long")),
        ("patient_scatter", json!({"files": 20, "bytes": 40_000}), Ok("were scattered")),
        ("patient_fill_and_empty", json!({"files": 5_000}), staged),
        ("patient_stretch", json!({}), staged),
        ("patient_rewrite", json!({"path": "large"}), staged),
        ("patient_read_all", json!({"path": "small", "count": SMALL}), Ok("as they may be")),
        ("write_forever", json!({}), timeout),
    ];
    attacks.map(|(tool, args, ends)| Attack { tool, args, ends }).into()
}

const START_LOOP: &str = r#"(component
    (core module $m (func $f (loop $again (br $again))) (start $f) (func (export "f")))
    (core instance $i (instantiate $m))
    (func (export "start-loop") (canon lift (core func $i "f"))))"#;

const START_TRAP: &str = r#"(component
    (core module $m (func $f unreachable) (start $f) (func (export "f")))
    (core instance $i (instantiate $m))
    (func (export "start-trap") (canon lift (core func $i "f"))))"#;

/// A tool that fails with a list of a list of a list ..
fn deep(levels: usize) -> String {
    let lists = "(list ".repeat(levels) + "string" + &")".repeat(levels);
    // The error is the list of one item at 16; every item is that list again, and the last one a text of one byte.
    format!(
        r#"(component
            (core module $m
              (memory (export "memory") 1)
              (func (export "f") (result i32)
                (i32.store8 (i32.const 0) (i32.const 1))
                (i32.store (i32.const 4) (i32.const 16)) (i32.store (i32.const 8) (i32.const 1))
                (i32.store (i32.const 16) (i32.const 16)) (i32.store (i32.const 20) (i32.const 1))
                (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "deep") (result (result (error {lists})))
              (canon lift (core func $i "f") (memory $i "memory"))))"#
    )
}
