//! `audit_module`: what it finds, in what, beside pyflakes and mccabe.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{error, granted, native, project, run, standard_library, value};
use crate::support::{call, repository};

/// `line:column code message` of each finding.
fn found(audit: &Value) -> Vec<String> {
    let line = |it: &Value| {
        let text = |field: &str| it[field].as_str().unwrap().to_owned();
        format!("{}:{} {} {}", it["line"], it["column"], text("code"), text("message"))
    };
    audit["findings"].as_array().unwrap().iter().map(line).collect()
}

/// `line code` of each finding but for what is only missing.
fn codes(audit: &Value) -> Vec<String> {
    let findings = audit["findings"].as_array().unwrap().iter();
    findings
        .filter(|it| !matches!(it["code"].as_str().unwrap().as_bytes()[0], b'D' | b'A'))
        .map(|it| format!("{} {}", it["line"], it["code"].as_str().unwrap()))
        .collect()
}

/// Modules of Python's own, of many kinds.
const MODULES: [&str; 40] = [
    "abc.py",
    "argparse.py",
    "ast.py",
    "asyncio/base_events.py",
    "asyncio/tasks.py",
    "bdb.py",
    "calendar.py",
    "cmd.py",
    "codecs.py",
    "collections/__init__.py",
    "configparser.py",
    "csv.py",
    "dataclasses.py",
    "datetime.py",
    "difflib.py",
    "doctest.py",
    "email/message.py",
    "enum.py",
    "fractions.py",
    "functools.py",
    "http/client.py",
    "inspect.py",
    "json/decoder.py",
    "locale.py",
    "mailbox.py",
    "optparse.py",
    "os.py",
    "pathlib.py",
    "pdb.py",
    "pickle.py",
    "pydoc.py",
    "shutil.py",
    "statistics.py",
    "subprocess.py",
    "tarfile.py",
    "threading.py",
    "typing.py",
    "unittest/mock.py",
    "xml/dom/minidom.py",
    "zipfile.py",
];

#[test]
fn pyflakes_and_mccabe_say_the_same_natively() {
    let Some((root, host)) = project(&[], &[]) else { return };
    let Some(python) = native() else { return };
    standard_library(&python, root.path(), &MODULES);
    let names: Vec<_> = MODULES.iter().map(|it| it.replace('/', "_")).collect();
    let script = repository().join("plugins/python/tests/native.py");
    let mut args = vec![script.to_str().unwrap()];
    args.extend(names.iter().map(String::as_str));
    let native: BTreeMap<String, Value> =
        serde_json::from_str(&run(&python, root.path(), &args)).unwrap();
    let mut compared = 0;
    for (name, said) in &native {
        // Without what is suppressed, which pyflakes does not know of.
        let text = std::fs::read(root.path().join(name)).unwrap();
        std::fs::write(
            root.path().join(name),
            String::from_utf8_lossy(&text).replace("noqa", "----"),
        )
        .unwrap();
        let audit = value(&host, "audit_module", json!({"path": name}));
        assert_eq!(audit["left_out"], 0, "{name}");
        let (mut flakes, mut complex) = (vec![], vec![]);
        for finding in audit["findings"].as_array().unwrap() {
            let code = finding["code"].as_str().unwrap();
            if code.starts_with('F') {
                flakes.push(json!([finding["line"], finding["message"]]));
            } else if code == "C901" {
                let message = finding["message"].as_str().unwrap();
                let number = message.split_once('(').unwrap().1.split(',').next().unwrap();
                complex.push(json!([finding["line"], number.parse::<u32>().unwrap()]));
            }
        }
        let sorted = |mut found: Vec<Value>| {
            found.sort_by_key(|it| (it[0].as_u64(), it[1].to_string()));
            found
        };
        let array = |field: &str| said[field].as_array().unwrap().clone();
        assert_eq!(sorted(flakes), sorted(array("flakes")), "{name}");
        assert_eq!(sorted(complex), sorted(array("complex")), "{name}");
        compared += array("flakes").len() + array("complex").len();
    }
    assert!(compared > 100, "only {compared} findings to compare");
}

#[test]
fn risks_are_found_whatever_they_are_called_and_not_in_safe_uses() {
    let source = "\
import os, pickle as p, subprocess as sp, yaml, hashlib, tarfile, requests
from os import system as run_it

eval(input())
p.loads(b'')
sp.run(f'ls {os}', shell=True)
sp.run(['ls'])
run_it('ls')
yaml.load('')
yaml.load('', Loader=yaml.SafeLoader)
yaml.safe_load('')
hashlib.md5(b'')
hashlib.md5(b'', usedforsecurity=False)
requests.get('u', verify=False, timeout=3)
requests.get('u')
password = 'hunter2'
password = os.environ['PASSWORD']
tarfile.open('x').extractall()
tarfile.open('x').extractall(filter='data')
os.execute(f'select {os} from t')
os.execute('select ? from t', [os])
exec('1')  # noqa: S102
try:
    exec('1')
except Exception:
    pass
";
    let Some((_root, host)) = project(&[("risks.py", source)], &[]) else { return };
    let audit = value(&host, "audit_module", json!({"path": "risks.py"}));
    let wanted = [
        "4 S307", "5 S301", "6 S602", "8 S605", "9 S506", "12 S324", "14 S501", "15 S113",
        "16 S105", "18 S202", "20 S608", "24 S102", "25 S110",
    ];
    assert_eq!(codes(&audit), wanted, "{audit}");
    assert_eq!(audit["suppressed"], 1);
}

#[test]
fn what_is_public_and_not_described_is_noted_and_tests_are_spared() {
    let source = "\
'''A module.'''


class Shop:
    def total(self, items, *more: int, tax=0) -> int:
        '''Adds.'''
        return self._sum(items)

    def _sum(self, items):
        return 0


def typed(a: int) -> int:
    '''Gives it back.'''
    def inner(x):
        return x
    return inner(a)
";
    let files = [("shop.py", source), ("test_shop.py", source), ("tests/help.py", source)];
    let Some((_root, host)) = project(&files, &[]) else { return };
    let audit = value(&host, "audit_module", json!({"path": "."}));
    let wanted = [
        "4:1 D101 class Shop has no docstring",
        "5:5 ANN001 Shop.total has no annotation for items, tax",
    ];
    assert_eq!(found(&audit), wanted);
    assert_eq!(audit["files"], 3);
    assert_eq!(
        audit["counts"],
        json!([{"code": "ANN001", "count": 1}, {"code": "D101", "count": 1}])
    );
}

#[test]
fn text_that_is_no_python_is_a_finding_with_its_place() {
    let files = [
        ("broken.py", "'''x'''\nx = (1,\n"),
        ("empty.py", ""),
        ("marked.py", "\u{feff}'''x'''\r\nimport os\r\n"),
        ("escape.py", "'''x'''\nx = 'é\\d'\n"),
        ("zero.py", "'''x'''\nx = '\0'\n"),
    ];
    let Some((root, host)) = project(&files, &[]) else { return };
    let bytes = |name: &str, bytes: &[u8]| std::fs::write(root.path().join(name), bytes).unwrap();
    bytes("latin.py", b"# -*- coding: latin-1 -*-\n'''x'''\nprint('\xe9', n\xefce)\n");
    bytes("unmarked.py", b"'''x'''\nx = '\xe9'\n");
    bytes("unknown.py", b"# coding: klingon\n");
    bytes("deep.py", ["'''x'''\nx = ", &"(".repeat(5000)].concat().as_bytes());
    bytes("long.py", ["'''x'''\nx = 1", &" + 1".repeat(20_000), "\n"].concat().as_bytes());
    let of = |name: &str| found(&value(&host, "audit_module", json!({"path": name})));
    assert_eq!(of("broken.py"), ["2:5 E999 '(' was never closed"]);
    assert!(of("empty.py").is_empty());
    assert_eq!(of("marked.py"), ["2:1 F401 'os' imported but unused"]);
    assert_eq!(of("escape.py"), ["2:7 W605 \"\\d\" is an invalid escape sequence"]);
    assert_eq!(of("latin.py"), ["3:12 F821 undefined name 'nïce'"]);
    for (name, says) in [
        ("zero.py", "null bytes"),
        ("unmarked.py", "decode"),
        ("unknown.py", "klingon"),
        ("deep.py", "nested"),
    ] {
        let found = of(name);
        assert!(
            matches!(&found[..], [it] if it.contains("E999") && it.contains(says)),
            "{found:?}"
        );
    }
    // More than the stack holds ends that call.
    let (kind, says) = error(&host, "audit_module", json!({"path": "long.py"}));
    assert_eq!((&*kind, says.contains("its stack overflowed")), ("trap", true), "{says}");
}

#[test]
fn a_long_module_is_audited_and_what_does_not_fit_is_counted() {
    let long: String = std::iter::once("'''x'''\n".to_owned())
        .chain((0..20_000).map(|n| format!("x{n} = y{n}\n")))
        .collect();
    let Some((_root, host)) = project(&[("long.py", &long)], &[]) else { return };
    let audit = value(&host, "audit_module", json!({"path": "long.py"}));
    assert_eq!(audit["findings"].as_array().unwrap().len(), 500);
    assert_eq!(audit["left_out"], 19_500);
    assert_eq!(audit["counts"], json!([{"code": "F821", "count": 20_000}]));
    assert_eq!(audit["lines"], 20_001);
}

#[test]
fn a_file_that_is_not_there_or_not_granted_is_named() {
    let files = [("open/a.py", "'''x'''\n"), ("secret.py", "'''x'''\n"), ("notes/a.txt", "x")];
    let Some((_root, host)) = granted(&files, &["open/**", "notes/**"], &[]) else { return };
    let path = |path: &str| json!({ "path": path });
    let (kind, message) = error(&host, "audit_module", path("open/b.py"));
    assert_eq!((&*kind, &*message), ("tool", "cannot read open/b.py: No such file or directory"));
    let (kind, message) = error(&host, "audit_module", path("secret.py"));
    assert_eq!(kind, "denied");
    assert!(message.contains("secret.py"), "{message}");
    let (kind, message) = error(&host, "audit_module", path("notes"));
    assert_eq!((&*kind, &*message), ("tool", "there is no Python source in notes"));
    assert_eq!(call(&host, "audit_module", path("open"))["value"]["files"], 1);
}
