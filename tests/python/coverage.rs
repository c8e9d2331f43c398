//! `check_coverage`, beside coverage.py's own reports on the same data.

use std::path::Path;

use serde_json::{Value, json};

use super::{error, native, project, run, standard_library, value};

/// Modules of Python's own; a program imports them and uses a little of each.
const MODULES: [&str; 12] = [
    "argparse.py",
    "calendar.py",
    "cmd.py",
    "configparser.py",
    "csv.py",
    "difflib.py",
    "fractions.py",
    "optparse.py",
    "pprint.py",
    "shlex.py",
    "textwrap.py",
    "typing.py",
];

const MAIN: &str = "
import my_argparse, my_calendar, my_cmd, my_configparser, my_csv, my_difflib, my_fractions, my_optparse, my_pprint, my_shlex
import my_textwrap, my_typing, branches
my_argparse.ArgumentParser().parse_args([])
print(my_calendar.month(2024, 2), my_shlex.split('a \"b c\"'), my_fractions.Fraction('1/3'))
print(my_textwrap.wrap('x ' * 100), list(my_difflib.ndiff(['a'], ['b'])), my_pprint.pformat({1: [2] * 50}))
my_configparser.ConfigParser().read_string('[a]\\nb=c')
branches.f(1)
";

const BRANCHES: &str = "
def f(x):
    if x:
        x = 2
    for i in range(x):
        if i > 5:
            break
    while x:
        x -= 1
    match x:
        case 0:
            pass
        case _:
            return 1
    try:
        x = 1 if x else 3
    except ValueError:
        raise
    if x: return 4
    if x == 77:  # pragma: no cover
        return 5

    return 3
";

/// A project whose program was run under coverage.py.
fn measured(python: &Path, root: &Path, options: &[&str]) {
    standard_library(python, root, &MODULES);
    for name in MODULES {
        std::fs::rename(root.join(name), root.join(format!("my_{name}"))).unwrap();
    }
    let mut args = vec!["-m", "coverage", "run", "--source=."];
    args.extend(options);
    args.push("main.py");
    run(python, root, &args);
}

fn check(host: &inorder::Host, path: &str) -> Value {
    value(host, "check_coverage", json!({ "path": path }))
}

/// The columns of `coverage report -m`, without missed branches among the missed lines.
fn reported(python: &Path, root: &Path) -> Vec<(String, String)> {
    let report =
        run(python, root, &["-m", "coverage", "report", "-m", "--precision=2", "--include=*.py"]);
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        let name = columns.next()?.to_owned();
        let percent = columns.find(|it| it.ends_with('%'))?;
        let missed: Vec<_> =
            columns.map(|it| it.trim_end_matches(',')).filter(|it| !it.contains("->")).collect();
        Some((name, format!("{percent} {}", missed.join(", "))))
    };
    report.lines().skip(2).filter_map(row).filter(|(name, _)| name != "TOTAL").collect()
}

fn as_reported(coverage: &Value) -> Vec<(String, String)> {
    let row = |it: &Value| {
        let text = |field: &str| it[field].as_str().unwrap().to_owned();
        let percent = format!("{:.2}%", it["percent"].as_f64().unwrap());
        (text("path"), format!("{percent} {}", text("missed")))
    };
    coverage["files"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn each_file_is_covered_as_coverage_reports_it() {
    let files =
        [("main.py", MAIN), ("branches.py", BRANCHES), ("never.py", "import os\n\nprint(os)\n")];
    for options in [&[][..], &["--branch"]] {
        let Some((root, host)) = project(&files, &[]) else { return };
        let Some(python) = native() else { return };
        measured(&python, root.path(), options);
        let coverage = check(&host, ".");
        assert_eq!(as_reported(&coverage), reported(&python, root.path()), "{options:?}");
        let all: Value = serde_json::from_str(&run(
            &python,
            root.path(),
            &["-m", "coverage", "json", "-q", "-o", "/dev/stdout"],
        ))
        .unwrap();
        let total = &all["totals"];
        assert_eq!(coverage["lines"]["covered"], total["covered_lines"]);
        assert_eq!(coverage["lines"]["total"], total["num_statements"]);
        let percent = total["percent_covered"].as_f64().unwrap();
        assert!((coverage["percent"].as_f64().unwrap() - percent).abs() < 0.01);
        if options.is_empty() {
            assert_eq!(coverage["branches"], Value::Null);
        } else {
            assert_eq!(coverage["branches"]["covered"], total["covered_branches"]);
            assert_eq!(coverage["branches"]["total"], total["num_branches"]);
        }
        assert_eq!(coverage["unreadable"], json!([]));
        // The other formats of the same data say the same.
        run(&python, root.path(), &["-m", "coverage", "xml", "-q"]);
        run(&python, root.path(), &["-m", "coverage", "lcov", "-q"]);
        let (xml, lcov) = (check(&host, "coverage.xml"), check(&host, "coverage.lcov"));
        assert_eq!(xml["files"], coverage["files"], "{options:?}");
        for field in ["percent", "lines", "branches"] {
            assert_eq!(xml[field], coverage[field], "{options:?}: {field}");
            assert_eq!(lcov[field], coverage[field], "{options:?}: {field}");
        }
        assert_eq!(as_reported(&lcov), as_reported(&coverage), "{options:?}");
    }
}

#[test]
fn settings_are_those_of_the_folder_and_what_is_gone_is_named() {
    let files = [
        ("app/main.py", "import left_out, gone, kept\n"),
        ("app/left_out.py", "x = 1\n"),
        ("app/gone.py", "x = 1\n"),
        ("app/kept.py", "if 0 > 1:\n    print('SKIP ME')\nif 0 > 1:\n    print(1)\n"),
        ("app/.coveragerc", "[report]\nomit = left_out.py\nexclude_also = SKIP ME\n"),
    ];
    let Some((root, host)) = project(&files, &[]) else { return };
    let Some(python) = native() else { return };
    let app = root.path().join("app");
    run(&python, &app, &["-m", "coverage", "run", "--source=.", "main.py"]);
    std::fs::remove_file(app.join("gone.py")).unwrap();
    let coverage = check(&host, "app");
    let wanted = [("app/kept.py", "66.67% 4"), ("app/main.py", "100.00% ")]
        .map(|(path, row)| (path.to_owned(), row.to_owned()));
    assert_eq!(as_reported(&coverage), wanted);
    assert_eq!(coverage["unreadable"], json!(["app/gone.py"]));
}

#[test]
fn lcov_of_other_languages_is_added_up() {
    let info = "TN:\nSF:src/a.c\nFN:1,main\nDA:1,3\nDA:2,0\nDA:4,0\nDA:7,0,abc\nDA:9,1\nBRDA:1,0,0,3\nBRDA:1,0,1,-\nLF:5\nLH:2\nend_of_record\n\
                SF:src/b.c\nDA:1,0\nend_of_record\nSF:src/a.c\nDA:2,1\nend_of_record\n";
    let Some((_root, host)) = project(&[("lcov.info", info)], &[]) else { return };
    let coverage = check(&host, ".");
    let wanted = json!([
        {"path": "src/a.c", "lines": {"covered": 3, "total": 5}, "branches": {"covered": 1, "total": 2},
         "percent": 57.14, "missed": "4-7", "missed_branches": []},
        {"path": "src/b.c", "lines": {"covered": 0, "total": 1}, "branches": {"covered": 0, "total": 0},
         "percent": 0.0, "missed": "1", "missed_branches": []},
    ]);
    assert_eq!(coverage["files"], wanted);
    assert_eq!(coverage["lines"], json!({"covered": 3, "total": 6}));
}

#[test]
fn what_is_no_coverage_is_refused_with_the_reason() {
    let files = [
        ("text", "hello"),
        ("other.xml", "<project/>"),
        ("broken.xml", "<coverage><packages>"),
        ("broken.info", "SF:a\nDA:x\n"),
        ("none/a.txt", ""),
    ];
    let Some((root, host)) = project(&files, &[]) else { return };
    std::fs::write(root.path().join(".coverage"), b"SQLite format 3\0 and nothing else").unwrap();
    for (path, says) in [
        ("text", "text is not what check_coverage reads"),
        ("other.xml", "its first element is <project>"),
        ("broken.xml", "not a Cobertura report that can be read"),
        ("broken.info", "line 2 of broken.info is not lcov"),
        ("none", "there is no .coverage, coverage.xml, coverage.lcov or lcov.info in none"),
        ("nowhere", "cannot read nowhere: No such file"),
        (".coverage", "coverage.py cannot report on"),
    ] {
        let (kind, message) = error(&host, "check_coverage", json!({ "path": path }));
        assert_eq!(kind, "tool", "{message}");
        assert!(message.contains(says), "{path}: {message}");
    }
}
