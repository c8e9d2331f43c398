//! `run_tests`: which tests are found, how they end, and what they see of earlier calls.

use serde_json::{Value, json};

use super::{error, native, project, run, value};
use crate::support::{matches, report};

const SHOP: &str = "def total(prices):\n    return sum(prices)\n";

const TESTS: &str = "\
import asyncio
import unittest
from unittest import mock

import shop
from . import helper

print('imported')


class ShopTest(unittest.TestCase):
    def test_passes(self):
        print('two prices')
        self.assertEqual(shop.total([1, 2]), 3)

    def test_fails(self):
        self.assertEqual(shop.total([1, 2]), helper.WRONG)

    def test_raises(self):
        shop.total(None)

    @unittest.skip('later')
    def test_skipped(self):
        pass

    @unittest.expectedFailure
    def test_known(self):
        self.fail()

    @unittest.expectedFailure
    def test_fixed(self):
        pass

    def test_each(self):
        for price in range(3):
            with self.subTest(price=price):
                self.assertNotEqual(price, 1)

    @mock.patch('shop.total', return_value=7)
    def test_mocked(self, total):
        self.assertEqual(shop.total([]), 7)


class AsyncTest(unittest.IsolatedAsyncioTestCase):
    async def test_waits(self):
        await asyncio.sleep(0.001)


class BrokenTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError('no database')

    def test_never(self):
        pass
";

fn files() -> [(&'static str, &'static str); 5] {
    [
        ("shop.py", SHOP),
        ("tests/__init__.py", ""),
        ("tests/helper.py", "WRONG = 4\n"),
        ("tests/test_shop.py", TESTS),
        ("tests/test_missing.py", "import nothing_of_that_name\n"),
    ]
}

/// `status id` of each test.
fn statuses(report: &Value) -> Vec<String> {
    let line =
        |it: &Value| format!("{} {}", it["status"].as_str().unwrap(), it["id"].as_str().unwrap());
    report["tests"].as_array().unwrap().iter().map(line).collect()
}

fn test<'a>(report: &'a Value, id: &str) -> &'a Value {
    let mut tests = report["tests"].as_array().unwrap().iter();
    tests.find(|it| it["id"].as_str().unwrap().ends_with(id)).unwrap()
}

#[test]
fn each_test_ends_as_unittest_says() {
    let Some((root, host)) = project(&files(), &[]) else { return };
    let report = value(&host, "run_tests", json!({"path": "tests"}));
    let wanted = [
        "error unittest.loader._FailedTest.tests.test_missing",
        "passed tests.test_shop.AsyncTest.test_waits",
        "error setUpClass (tests.test_shop.BrokenTest)",
        "failed tests.test_shop.ShopTest.test_each (price=1)",
        "failed tests.test_shop.ShopTest.test_fails",
        "unexpected_success tests.test_shop.ShopTest.test_fixed",
        "expected_failure tests.test_shop.ShopTest.test_known",
        "passed tests.test_shop.ShopTest.test_mocked",
        "passed tests.test_shop.ShopTest.test_passes",
        "error tests.test_shop.ShopTest.test_raises",
        "skipped tests.test_shop.ShopTest.test_skipped",
    ];
    assert_eq!(statuses(&report), wanted, "{report}");
    let counts = json!({"successful": false, "run": 10, "passed": 3, "failed": 2, "errors": 3, "skipped": 1,
        "expected_failures": 1, "unexpected_successes": 1, "left_out": 0, "output": "imported\n"});
    assert!(matches(&report, &counts), "{report}");
    let detail = |id: &str| test(&report, id)["detail"].as_str().unwrap();
    assert!(detail("test_fails").ends_with("AssertionError: 3 != 4\n"), "{report}");
    assert!(!detail("test_fails").contains("unittest/case.py"), "{report}");
    assert!(detail("test_missing").contains("No module named 'nothing_of_that_name'"), "{report}");
    assert_eq!(test(&report, "test_skipped")["detail"], "later");
    assert_eq!(test(&report, "test_passes")["output"], "two prices\n");
    // A native interpreter counts the same.
    if let Some(python) = native() {
        let script = "
import unittest
result = unittest.TestResult()
unittest.TestLoader().discover('tests', top_level_dir='.').run(result)
print(result.testsRun, len(result.failures), len(result.errors), len(result.skipped))";
        let printed = run(&python, root.path(), &["-c", script]);
        assert!(printed.ends_with("10 2 3 1\n"), "{printed}");
    }
}

#[test]
fn one_file_is_run_by_itself_whatever_its_name() {
    let odd = "import unittest\nimport shop\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(shop.total([1]), 1)\n";
    let files = [("shop.py", SHOP), ("checks/the-odd one.py", odd), ("checks/late.py", odd)];
    let Some((_root, host)) = project(&files, &[]) else { return };
    for (args, id) in [
        (json!({"path": "checks/the-odd one.py"}), "the-odd one.T.test_it"),
        (json!({"path": "checks/late.py"}), "late.T.test_it"),
        (json!({"path": "checks", "pattern": "l*.py"}), "late.T.test_it"),
    ] {
        let report = value(&host, "run_tests", args);
        assert_eq!(statuses(&report), [format!("passed {id}")]);
        assert_eq!(report["successful"], true);
    }
}

#[test]
fn tests_that_are_not_there_are_an_error_that_says_what_a_test_is() {
    let files = [("test_a.py", "def test_like_pytest():\n    assert True\n"), ("a.txt", "")];
    let Some((_root, host)) = project(&files, &[]) else { return };
    for (path, says) in [
        (".", "there are no tests in ., where files like test*.py are looked for"),
        ("test_a.py", "functions as pytest has them are not run"),
        ("a.txt", "a.txt is neither a folder nor a file of Python source"),
        ("nowhere", "cannot find nowhere: No such file or directory"),
    ] {
        let (kind, message) = error(&host, "run_tests", json!({ "path": path }));
        assert_eq!(kind, "tool", "{message}");
        assert!(message.contains(says), "{path}: {message}");
    }
}

#[test]
fn a_test_that_an_earlier_call_wrote_runs_on_the_function_that_another_edited() {
    let Some((root, host)) = project(&[("shop.py", SHOP)], &["**"]) else { return };
    let test = "import unittest, shop\nclass T(unittest.TestCase):\n    def test_tax(self):\n        open('log', 'w').write('ran')\n        \
                self.assertEqual(shop.total([1]), 2)\n";
    let report = report(
        &host,
        &json!({"calls": [
            {"tool": "run_tests", "args": {"path": "."}},
            {"tool": "write_file", "args": {"path": "test_shop.py", "content": test}},
            {"tool": "run_tests", "args": {"path": "."}},
            {"tool": "edit_file", "args": {"path": "shop.py", "edits": [{"old_text": "sum(prices)", "new_text": "sum(prices) * 2"}]}},
            {"tool": "run_tests", "args": {"path": "."}},
            {"tool": "read_text_file", "args": {"path": "log"}},
        ]}),
    );
    let results = report["results"].as_array().unwrap();
    assert_eq!(results[0]["status"], "error", "{report}");
    assert_eq!(results[2]["value"]["failed"], 1, "{report}");
    assert_eq!(results[4]["value"]["successful"], true, "{report}");
    assert_eq!(results[5]["value"], "ran", "{report}");
    assert!(!root.path().join("__pycache__").exists());
}

#[test]
fn an_endless_test_ends_by_the_timeout_and_its_neighbours_answer() {
    let endless = "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        while True: pass\n";
    let quick = endless.replace("while True: pass", "pass");
    let files = [("a/test_endless.py", endless), ("b/test_quick.py", &*quick)];
    let Some((_root, host)) = project(&files, &[]) else { return };
    let report = report(
        &host,
        &json!({"calls": [
            {"tool": "run_tests", "args": {"path": "a"}, "limits": {"timeout": "1s"}},
            {"tool": "run_tests", "args": {"path": "b"}},
        ]}),
    );
    let results = report["results"].as_array().unwrap();
    assert_eq!(results[0]["error"]["kind"], "timeout", "{report}");
    assert_eq!(results[1]["value"]["passed"], 1, "{report}");
}

#[test]
fn of_many_tests_those_that_fail_are_listed_first() {
    let many = "import unittest\nclass T(unittest.TestCase):\n    pass\ndef make(n):\n    def test(self):\n        self.assertNotEqual(n % 100, 99)\n    \
                return test\nfor n in range(1000):\n    setattr(T, f'test_{n:04}', make(n))\n";
    let Some((_root, host)) = project(&[("test_many.py", many)], &[]) else { return };
    let report = value(&host, "run_tests", json!({"path": "."}));
    assert!(matches(&report, &json!({"run": 1000, "passed": 990, "failed": 10, "left_out": 500})));
    let statuses = statuses(&report);
    assert_eq!(statuses.iter().filter(|it| it.starts_with("failed")).count(), 10);
}
