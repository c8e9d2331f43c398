//! `run_python`: how programs end, what they see, and what they leave.

use inorder::{Grants, Host, PluginSpec};
use serde_json::{Value, json};

use super::{project, value};
use crate::support::{call, matches, report};

fn ran(host: &Host, code: &str) -> Value {
    value(host, "run_python", json!({ "code": code }))
}

#[test]
fn a_program_has_its_input_its_arguments_and_the_folder() {
    let Some((root, host)) = project(&[("data.txt", "42"), ("mine/helper.py", "X = 7\n")], &[])
    else {
        return;
    };
    let code = "
import sys, os, json
from mine.helper import X
print(json.dumps([sys.argv, input(), sys.stdin.read(), os.getcwd(), os.path.abspath('data.txt'), __name__]))
print('oh', file=sys.stderr)
int(open('data.txt').read()) + X";
    let args = json!({"code": code, "stdin": "one\ntwo\n", "args": ["a", "-b"]});
    let ran = value(&host, "run_python", args);
    let path = root.path().canonicalize().unwrap();
    let path = path.to_str().unwrap();
    let printed: Value = serde_json::from_str(ran["stdout"].as_str().unwrap()).unwrap();
    let wanted =
        json!([["-c", "a", "-b"], "one", "two\n", path, format!("{path}/data.txt"), "__main__"]);
    assert_eq!(printed, wanted);
    assert_eq!(ran["stderr"], "oh\n");
    assert_eq!((&ran["exit_code"], &ran["value"]), (&json!(0), &json!("49")));
}

#[test]
fn however_a_program_ends_that_is_a_result() {
    let Some((_root, host)) = project(&[], &[]) else { return };
    for (code, exit_code, stderr) in [
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('bye')", 1, "bye\n"),
        (
            "def f():\n    return [][1]\nf()",
            1,
            "File \"<code>\", line 2, in f\n    return [][1]\n..IndexError: list index out of range\n",
        ),
        ("x = (", 1, "..SyntaxError: '(' was never closed\n"),
        ("def f(): f()\nf()", 1, "..RecursionError: maximum recursion depth exceeded\n"),
        (
            "class R:\n    def __repr__(self): return 1/0\nR()",
            1,
            "..ZeroDivisionError: division by zero\n",
        ),
        ("import subprocess; subprocess.run(['ls'])", 1, ".."),
        (
            "import threading; threading.Thread(target=print).start()",
            1,
            "..can't start new thread\n",
        ),
        ("import numpy", 1, "..ModuleNotFoundError: No module named 'numpy'\n"),
        ("open('nope')", 1, "..FileNotFoundError: [Errno 44] No such file or directory: 'nope'\n"),
        ("raise KeyboardInterrupt", 1, "..KeyboardInterrupt\n"),
        ("", 0, ""),
    ] {
        let ran = ran(&host, code);
        assert_eq!(ran["exit_code"], exit_code, "{code}: {ran}");
        let mut said = ran["stderr"].as_str().unwrap();
        for part in stderr.split("..").filter(|it| !it.is_empty()) {
            let at = said.find(part).unwrap_or_else(|| panic!("{code}: {ran}"));
            said = &said[at + part.len()..];
        }
        assert!(!stderr.is_empty() || said.is_empty(), "{code}: {ran}");
        assert!(!ran["stderr"].as_str().unwrap().contains("inorder_python"), "{code}: {ran}");
    }
}

#[test]
fn much_output_is_cut_in_the_middle() {
    let Some((_root, host)) = project(&[], &[]) else { return };
    let ran = ran(&host, "print('first')\nprint('x' * (2 << 20))\nprint('last')\n'y' * 100_000");
    let text = |field: &str| ran[field].as_str().unwrap();
    assert!(text("stdout").starts_with("first\nx") && text("stdout").ends_with("x\nlast\n"));
    assert!(text("stdout").contains(" bytes left out]\n") && text("stdout").len() < 70_000);
    assert!(text("value").contains(" characters left out]\n") && text("value").len() < 70_000);
}

#[test]
fn nothing_of_one_program_is_there_for_the_next() {
    let Some((_root, host)) = project(&[], &[]) else { return };
    let code = "
import builtins, random, sys
seen = [hasattr(builtins, 'left'), 'left' in globals(), 'json' in sys.modules]
builtins.left = left = 1
import json
sys.modules['left'] = json
print(seen, random.random())";
    let calls: Vec<_> =
        (0..8).map(|_| json!({"tool": "run_python", "args": {"code": code}})).collect();
    let report = report(&host, &json!({ "calls": calls }));
    let printed: std::collections::BTreeSet<_> = report["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["value"]["stdout"].as_str().unwrap())
        .collect();
    assert!(printed.iter().all(|it| it.starts_with("[False, False, False] ")), "{printed:?}");
    assert_eq!(printed.len(), 8, "random numbers repeat: {printed:?}");
}

#[test]
fn the_standard_library_is_there_and_the_programs_own_modules_come_first() {
    let files = [
        ("statistics.py", "mean = 'mine'\n"),
        ("queue.py", "X = 'mine'\n"),
        ("json/__init__.py", "X = 'mine'\n"),
        ("coverage.py", "X = 'mine'\n"),
        ("lib/deep.py", "def f():\n    raise ValueError('deep')\n"),
    ];
    let Some((root, host)) = project(&files, &["**"]) else { return };
    let code = "
import statistics, queue, json, coverage, sys
assert [statistics.mean, queue.X, json.X, coverage.X] == ['mine'] * 4
import asyncio, sqlite3, decimal, dataclasses, pickle, zlib, xml.dom.minidom, email.mime.text, concurrent.futures, ftplib
import unittest.mock, tomllib, mailbox, html.parser, http.client, urllib.request, wsgiref.util, encodings.cp1252, logging.handlers
assert b'\\x80'.decode('cp1252') == '€'
assert pickle.loads(pickle.dumps(decimal.Decimal('1.5'))) == decimal.Decimal('1.5')
async def f():
    await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(3)))
    return 'done'
assert asyncio.run(f()) == 'done'
assert sqlite3.connect(':memory:').execute('select 1 + 1').fetchone() == (2,)
try:
    import pyflakes
    raise AssertionError
except ImportError:
    pass
sys.path.insert(0, 'lib')
import deep
deep.f()";
    let ran = ran(&host, code);
    assert!(ran["stderr"].as_str().unwrap().ends_with("ValueError: deep\n"), "{ran}");
    assert!(ran["stderr"].as_str().unwrap().contains("    raise ValueError('deep')\n"), "{ran}");
    assert!(!root.path().join("lib/__pycache__").exists());
}

#[test]
fn a_program_writes_only_where_it_may_and_what_it_wrote_is_kept() {
    let Some((root, host)) = project(&[("a.txt", "1")], &["out/**"]) else { return };
    let ran = ran(
        &host,
        "import os\nos.makedirs('out', exist_ok=True)\nopen('out/b.txt', 'w').write(open('a.txt').read())\nopen('a.txt', 'w')",
    );
    assert!(ran["stderr"].as_str().unwrap().contains("PermissionError"), "{ran}");
    let kept = |path: &str| std::fs::read_to_string(root.path().join(path)).unwrap();
    assert_eq!((kept("a.txt"), kept("out/b.txt")), ("1".to_owned(), "1".to_owned()));
}

#[test]
fn an_endless_program_is_stopped_and_its_neighbours_answer() {
    let Some((root, host)) = project(&[], &["**"]) else { return };
    let report = report(
        &host,
        &json!({"calls": [
            {"tool": "run_python", "args": {"code": "open('a', 'w').write('x')\nwhile True: pass"}, "limits": {"timeout": "1s"}},
            {"tool": "run_python", "args": {"code": "6 * 7"}},
            {"tool": "run_python", "args": {"code": "x = 'x' * (1 << 30)"}},
        ]}),
    );
    let results = report["results"].as_array().unwrap();
    assert!(
        matches(&results[0], &json!({"status": "error", "error": {"kind": "timeout"}})),
        "{report}"
    );
    assert_eq!(results[1]["value"]["value"], "42");
    assert!(results[2]["value"]["stderr"].as_str().unwrap().ends_with("MemoryError\n"), "{report}");
    assert!(!root.path().join("a").exists());
}

#[test]
fn without_any_grant_code_runs_and_finds_no_files() {
    let Some((root, _)) = project(&[("a.txt", "")], &[]) else { return };
    let component = crate::support::repository().join("target/plugins/python.wasm");
    let cache = crate::support::repository().join("target/test-cache/plugins");
    let host = Host::builder()
        .root(root.path())
        .cache(cache)
        .plugin(PluginSpec::file(component, Grants::default()))
        .build()
        .unwrap();
    let result =
        call(&host, "run_python", json!({"code": "import os\nprint(6 * 7)\nos.listdir('.')"}));
    assert_eq!(result["value"]["stdout"], "42\n", "{result}");
    assert_eq!(result["value"]["exit_code"], 1, "{result}");
}
