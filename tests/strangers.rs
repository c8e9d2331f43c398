//! Components and batches that are made to cost more than they may: refused in time, with a word on what to change.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use inorder::{Batch, Grants, Host, LoadLimits, PluginSpec, Source};

use crate::support::{calc_host, inorder, text_plugin};

/// Loads nothing that takes longer, whatever else the machine is doing.
const SOON: Duration = Duration::from_secs(30);

fn load_error(spec: PluginSpec, limits: LoadLimits) -> String {
    let start = Instant::now();
    let built = Host::builder().load_limits(limits).plugin(spec).build();
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    match built {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    }
}

fn bytes(bytes: Vec<u8>) -> PluginSpec {
    PluginSpec::new("big", Source::Bytes(bytes), Grants::default())
}

/// A few kilobytes that the compiler takes seconds or hours for: each of `loops` loops, one in the other, merges
/// all of `locals` variables.
fn bomb(locals: usize, loops: usize) -> Vec<u8> {
    let mut body = String::new();
    for local in 0..locals {
        let _ = write!(body, "(local.set {local} (i32.add (local.get {local}) (i32.const 1)))");
    }
    let (open, close) = ("(loop ".repeat(loops), "(br_if 0 (local.get 0)))".repeat(loops));
    let declared = "i32 ".repeat(locals);
    let wat = format!("(component (core module (func (local {declared}) {open} {body} {close})))");
    wat::parse_str(wat).unwrap()
}

#[test]
fn a_file_over_the_size_limit_is_not_read_to_its_end() {
    let limits = LoadLimits { size: 1 << 20, ..LoadLimits::default() };
    let says = "more than 1.0 MiB; if you trust it, raise `--component-size` (`component-size` in a config)";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse.wasm");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = load_error(PluginSpec::file(&path, Grants::default()), limits.clone());
    assert!(error.contains("sparse.wasm") && error.contains(says), "{error}");
    let error = load_error(bytes(vec![0; (1 << 20) + 1]), limits);
    assert!(error.contains(says), "{error}");
}

#[test]
fn a_compilation_that_takes_too_long_is_given_up() {
    let limits = LoadLimits { timeout: Duration::from_millis(100), ..LoadLimits::default() };
    let error = load_error(bytes(bomb(800, 100)), limits);
    // Both, if other tests compile meanwhile.
    let expected =
        ["compiling it takes longer than 100ms", "too many components are being compiled"];
    assert!(expected.iter().any(|it| error.contains(it)), "{error}");
}

#[test]
fn a_process_that_compiles_is_killed_for_its_time_and_its_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.wasm");
    std::fs::write(&path, bomb(5000, 1000)).unwrap();
    let start = Instant::now();
    for (flags, says) in [
        (["--compile-timeout", "500ms"], "takes longer than 500ms; if you trust it"),
        (["--compile-memory", "100MiB"], "takes more than 100.0 MiB of memory; if you trust it"),
    ] {
        let output = inorder().arg("inspect").arg(&path).args(flags).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("bomb.wasm") && error.contains(says), "{error}");
    }
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[test]
fn a_config_limits_what_loading_may_cost_and_a_flag_wins() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bomb.wasm"), bomb(5000, 1000)).unwrap();
    let plugin = "[plugins.bomb]\npath = \"bomb.wasm\"\n";
    let tools = |line: &str, flags: &[&str]| {
        std::fs::write(dir.path().join("inorder.toml"), format!("{line}\n{plugin}")).unwrap();
        let mut command = inorder();
        command.current_dir(dir.path()).args(["tools", "--config", "inorder.toml"]).args(flags);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let start = Instant::now();
    for (line, flags, says) in [
        ("component-size = \"1KiB\"", [].as_slice(), "more than 1.0 KiB"),
        ("compile-timeout = \"500ms\"", &[], "takes longer than 500ms"),
        ("compile-memory = \"100MiB\"", &[], "takes more than 100.0 MiB of memory"),
        ("component-size = \"1GiB\"", &["--component-size", "2KiB"], "more than 2.0 KiB"),
        ("compile-timeout = \"1h\"", &["--compile-timeout", "400ms"], "longer than 400ms"),
        ("compile-memory = \"1TiB\"", &["--compile-memory", "99MiB"], "more than 99.0 MiB of"),
    ] {
        let error = tools(line, flags);
        assert!(error.contains("bomb.wasm") && error.contains(says), "{line}: {error}");
    }
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[test]
fn a_process_that_compiles_says_why_it_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("invalid.wasm");
    let invalid = wat::parse_str("(component (core module (func (result i32))))").unwrap();
    std::fs::write(&path, invalid).unwrap();
    let output = inorder().arg("inspect").arg(&path).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    let says = "invalid.wasm: the component cannot be compiled: Invalid input WebAssembly code";
    assert!(error.contains(says), "{error}");
}

#[test]
fn a_memory_that_begins_too_large_is_told_with_the_limit_that_allows_it() {
    let large = r#"(component (core module $m (memory 5000) (func (export "f")))
        (core instance $i (instantiate $m)) (func (export "f") (canon lift (core func $i "f"))))"#;
    let error = load_error(bytes(wat::parse_str(large).unwrap()), LoadLimits::default());
    let says = "begins with a memory of 312.5 MiB, and no call may have more than 256.0 MiB; if you trust it, raise `memory`";
    assert!(error.contains(says), "{error}");
    let mut spec = bytes(wat::parse_str(large).unwrap());
    spec.limits.memory = Some(400 << 20);
    assert!(Host::builder().plugin(spec).build().is_ok());
}

/// A component that exports `count` functions, all the same.
fn exports(count: usize) -> String {
    let mut wat = r#"(component (core module $m (func (export "f")))
        (core instance $i (instantiate $m)) (func $f (canon lift (core func $i "f")))"#
        .to_owned();
    for index in 0..count {
        let _ = write!(wat, r#"(export "f{index}" (func $f))"#);
    }
    wat + ")"
}

#[test]
fn a_component_of_thousands_of_functions_is_refused() {
    Host::builder().plugin(text_plugin("many", &exports(1000))).build().unwrap();
    let error = load_error(text_plugin("many", &exports(5000)), LoadLimits::default());
    assert!(error.contains("more than 1000 functions; leave out"), "{error}");
}

/// What becomes of a component whose one function takes a type: why the component or the function is none.
fn fate_of_type(name: &str, definitions: &str) -> String {
    let wat = format!(
        r#"(component {definitions} (core module $m (func (export "f") (param i32)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "p" $t) (canon lift (core func $i "f"))))"#
    );
    let start = Instant::now();
    let built = Host::builder().plugin(text_plugin(name, &wat)).build();
    assert!(start.elapsed() < SOON, "{name} took {:?}", start.elapsed());
    match built {
        Err(error) => error.to_string(),
        Ok(host) => {
            let plugin = host.plugins().next().unwrap();
            plugin.not_tools.first().map_or_else(String::new, |it| it.because.clone())
        }
    }
}

#[test]
fn types_that_are_too_deep_or_too_wide_have_an_error_at_once() {
    let cases = |count: usize| {
        let cases: String = (0..count).map(|it| format!("(case \"c{it}\")")).collect();
        format!("(type $v (variant {cases})) (export $t \"t\" (type $v))")
    };
    let mut nested =
        "(type $x0 (record (field \"a\" u8))) (export $t0 \"t0\" (type $x0))".to_owned();
    for depth in 1..1000 {
        let _ = write!(
            nested,
            "(type $x{depth} (record (field \"a\" $t{}))) (export $t{depth} \"t{depth}\" (type $x{depth}))",
            depth - 1
        );
    }
    nested += "(export $t \"t\" (type $t999))";
    // A tuple of two, of two, ..: small to write, and larger than any memory.
    let mut doubled = "(type $t0 (tuple u8 u8))".to_owned();
    for depth in 1..60 {
        let _ = write!(doubled, "(type $t{depth} (tuple $t{0} $t{0}))", depth - 1);
    }
    doubled += "(type $t (list $t59))";
    for (name, definitions, says) in [
        ("a small variant", cases(1000), ""),
        ("a variant of 10,000 cases", cases(10_000), "variant types of more than 1000 parts"),
        ("a variant of 100,000 cases", cases(100_000), "variant cases"),
        ("records 1,000 deep", nested, "nest"),
        ("a tuple of 100,000", format!("(type $t (tuple {}))", "u8 ".repeat(100_000)), "tuple"),
        ("a tuple doubled 60 times", doubled, "cannot be compiled"),
    ] {
        let fate = fate_of_type(name, &definitions);
        assert!(fate.contains(says) && says.is_empty() == fate.is_empty(), "{name}: {fate}");
    }
}

fn batch_error(text: &str) -> String {
    let start = Instant::now();
    let error = Batch::from_json(text.as_bytes()).unwrap_err().to_string();
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    error
}

#[test]
fn json_that_is_too_deep_is_an_error_and_no_overflow() {
    for open in ["[", r#"{"a":"#] {
        let args = open.repeat(1_000_000);
        let error = batch_error(&format!(r#"{{"calls": [{{"tool": "f", "args": {{"a": {args}"#));
        assert!(error.contains("more than 127 deep (line 1, column"), "{error}");
    }
}

#[test]
fn a_batch_over_the_size_limit_is_not_parsed() {
    let text = format!(r#"{{"calls": [{{"tool": "{}"}}]}}"#, "a".repeat(100 << 20));
    let error = batch_error(&text);
    assert!(error.contains("more than 64.0 MiB; pass paths instead of contents"), "{error}");
}

#[test]
fn wide_arguments_are_refused_by_their_limit_or_by_a_short_message() {
    let host = calc_host();
    let keys: String = (0..1_000_000).map(|it| format!(r#""k{it}":1,"#)).collect();
    let few: String = (0..100_000).map(|it| format!(r#""k{it}":1,"#)).collect();
    let long = "a".repeat(60 << 20);
    for (args, says) in [
        (format!(r#"{{{keys}"text": "x"}}"#), "`limits.args`, 4.0 MiB"),
        (format!(r#"{{"text": "{long}"}}"#), "`limits.args`, 4.0 MiB"),
        (format!(r#"{{{few}"text": "x"}}"#), "unknown argument"),
        (format!(r#"{{"{}": 1, "text": "x"}}"#, "k".repeat(1 << 20)), "kkk.."),
    ] {
        let start = Instant::now();
        let text = format!(r#"{{"calls": [{{"tool": "echo", "args": {args}}}]}}"#);
        let batch = Batch::from_json(text.as_bytes()).unwrap();
        let report = crate::support::block_on(host.run(batch)).unwrap();
        let message = report.results[0].result.as_ref().unwrap_err().to_string();
        assert!(message.contains(says) && message.len() < 2000, "{message}");
        assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    }
}
