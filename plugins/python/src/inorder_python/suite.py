"""`run_tests`: finds the tests of a file or a folder, and runs them, by `unittest`."""

import atexit
import importlib
import importlib.util
import os
import sys
import types
import unittest
from unittest import case

from inorder_python import interpreter, library
from inorder_python.bounds import clip
from inorder_python.errors import ToolError, cannot
from wit_world.exports.code import TestReport, TestResult, TestStatus

MAX_TESTS = 500
MAX_TEXT = 8 << 10
WENT_WELL = (TestStatus.PASSED, TestStatus.SKIPPED, TestStatus.EXPECTED_FAILURE)


def run(path, pattern):
    try:
        os.stat(path)
    except OSError as error:
        raise cannot("find", path, error) from None
    interpreter.begin(["python -m unittest"])
    sys.modules["__main__"] = types.ModuleType("__main__")
    # `unittest` as tests import it.
    importlib.import_module("unittest")
    result = Result()
    with interpreter.Streams("", MAX_TEXT, together=True) as streams:
        tests = load(path, pattern or "test*.py")
        if tests.countTestCases() == 0:
            raise ToolError(no_tests(path, pattern))
        try:
            tests.run(result)
        except KeyboardInterrupt:
            raise ToolError("a test raised KeyboardInterrupt, which ends a run of tests") from None
        atexit._run_exitfuncs()
    return report(result, streams.stdout())


def load(path, pattern):
    loader = unittest.TestLoader()
    path = os.path.abspath(path)
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    top = top_folder(folder)
    if top not in sys.path:
        sys.path.insert(0, top)
    if path == folder:
        try:
            return loader.discover(folder, pattern, top)
        except ImportError as error:
            raise ToolError(f"cannot look for tests in {path}: {error}") from None
    if not path.endswith(".py"):
        raise ToolError(f"{path} is neither a folder nor a file of Python source (.py)")
    name = os.path.relpath(path, top).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    try:
        module = import_file(name, path)
    except case.SkipTest as error:
        return unittest.TestSuite([skipped(name, str(error))])
    except BaseException as error:
        return unittest.TestSuite([failed(name, error)])
    return loader.loadTestsFromModule(module)


def top_folder(folder):
    """The folder above the outermost package that a folder is in."""
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def import_file(name, path):
    if all(part.isidentifier() for part in name.split(".")):
        module = importlib.import_module(name)
        if os.path.abspath(getattr(module, "__file__", None) or "") == path:
            return module
    # Its name is none that an import could have, or another module has it.
    spec = importlib.util.spec_from_file_location(name, path, loader=library.SourceLoader(name, path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def failed(name, error):
    def import_module(self):
        raise error

    return one_test(name, import_module)


def skipped(name, reason):
    return one_test(name, unittest.skip(reason)(lambda self: None))


def one_test(name, function):
    """A test that stands for a module which cannot be imported."""
    return type("ImportFailure", (unittest.TestCase,), {name: function, "id": lambda self: name})(name)


def no_tests(path, pattern):
    what = f"files like {pattern}" if pattern else "files like test*.py"
    where = f"in {path}, where {what} are looked for" if os.path.isdir(path) else f"in {path}"
    return (
        f"there are no tests {where}: a test is a method test.. of a class that extends unittest.TestCase"
        " (functions as pytest has them are not run), and folders beneath need an __init__.py"
    )


class Result(unittest.TestResult):
    """How each test has ended, and what it has printed."""

    def __init__(self):
        super().__init__()
        self.ended = []
        self.streams = None

    def startTest(self, test):
        super().startTest(test)
        self.first = len(self.ended)
        self.streams = interpreter.Streams("", MAX_TEXT, together=True)
        self.streams.__enter__()

    def stopTest(self, test):
        super().stopTest(test)
        self.streams.__exit__(None, None, None)
        output = self.streams.stdout()
        if output and len(self.ended) > self.first:
            self.ended[self.first].output = output

    def tell(self, test, status, detail=None):
        self.ended.append(TestResult(test.id(), status, detail and clip(detail, MAX_TEXT), None))

    def addSuccess(self, test):
        self.tell(test, TestStatus.PASSED)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, TestStatus.FAILED, describe(err))

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test, TestStatus.ERROR, describe(err))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell(test, TestStatus.SKIPPED, reason or None)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.tell(test, TestStatus.EXPECTED_FAILURE)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.tell(test, TestStatus.UNEXPECTED_SUCCESS)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self.tell(subtest, TestStatus.FAILED if failed else TestStatus.ERROR, describe(err))


def describe(err):
    return interpreter.format_exception(err[1])


def report(result, output):
    count = {status: 0 for status in TestStatus}
    for test in result.ended:
        count[test.status] += 1
    # In their order, and of too many those that went well are left out first.
    badly = [it for it in result.ended if it.status not in WENT_WELL]
    room = max(0, MAX_TESTS - len(badly))
    listed = []
    for test in result.ended:
        well = test.status in WENT_WELL
        if len(listed) < MAX_TESTS and (not well or room):
            room -= well
            listed.append(test)
    return TestReport(
        result.wasSuccessful(),
        result.testsRun,
        count[TestStatus.PASSED],
        count[TestStatus.FAILED],
        count[TestStatus.ERROR],
        count[TestStatus.SKIPPED],
        count[TestStatus.EXPECTED_FAILURE],
        count[TestStatus.UNEXPECTED_SUCCESS],
        listed,
        len(result.ended) - len(listed),
        output or None,
    )
