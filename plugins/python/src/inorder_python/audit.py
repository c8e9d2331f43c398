"""`audit_module`: runs all checks over one module or a folder of them, and keeps what fits into an answer."""

import ast
import collections
import re
import sys
import warnings

import mccabe
from pyflakes import checker

from inorder_python import documented, flakes, modules, risks
from wit_world.exports.code import Audit, Complexity, Finding, Severity, Tally

MAX_FINDINGS = 500
DEFAULT_COMPLEXITY = 10

# `# noqa`, `# noqa: F401, E501`; bandit's `# nosec` is for risks alone.
NOQA = re.compile(r"#\s*noqa(?::\s*(?P<codes>[A-Z]+[0-9]*(?:[,\s]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)
NOSEC = re.compile(r"#\s*nosec\b", re.IGNORECASE)


class Module:
    """One file, and what was found in it."""

    def __init__(self, path):
        self.path = path
        self.content = modules.read(path)
        self.lines = modules.lines_of(self.content)
        self.findings = []
        self.suppressed = 0
        self.most_complex = None

    def report(self, line, column, severity, code, message):
        """Adds a finding; `column` is in characters, counted from 1."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        if code != "E999" and is_suppressed(text, code):
            self.suppressed += 1
            return
        self.findings.append(Finding(self.path, max(line, 1), max(column, 1), severity, code, message))

    def report_at(self, node, severity, code, message):
        """Adds a finding at a node of the syntax tree, whose columns are bytes of UTF-8, counted from 0."""
        line, offset = node.lineno, node.col_offset
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        if not text.isascii():
            offset = len(text.encode("utf-8", "replace")[:offset].decode("utf-8", "ignore"))
        self.report(line, offset + 1, severity, code, message)


def audit(path, max_complexity):
    most = DEFAULT_COMPLEXITY if max_complexity is None else max_complexity
    # The depth of an expression is that of the calls that look at it.
    sys.setrecursionlimit(20_000)
    found = modules.find(path)
    total = Audit([], 0, [], 0, found.left_out, 0, None, 0)
    findings = []
    for file in found.paths:
        module = Module(file)
        check(module, most)
        findings += module.findings
        total.files += 1
        total.lines += len(module.lines)
        total.suppressed += module.suppressed
        worst = module.most_complex
        if worst and (total.most_complex is None or worst.complexity > total.most_complex.complexity):
            total.most_complex = worst
    counts = collections.Counter(finding.code for finding in findings)
    total.counts = [Tally(code, count) for code, count in sorted(counts.items())]
    # What matters most is kept.
    findings.sort(key=lambda it: (it.severity.value, *place(it)))
    total.findings = sorted(findings[:MAX_FINDINGS], key=place)
    total.left_out = max(0, len(findings) - MAX_FINDINGS)
    return total


def place(finding):
    return finding.path, finding.line, finding.column, finding.code, finding.message


def is_suppressed(line, code):
    if code.startswith("S") and NOSEC.search(line):
        return True
    comment = NOQA.search(line)
    if not comment:
        return False
    codes = comment["codes"]
    return codes is None or any(code.startswith(it.upper()) for it in re.split(r"[,\s]+", codes))


def check(module, max_complexity):
    tree = parse(module)
    if tree is None:
        return
    try:
        flakes.check(module, checker.Checker(tree, filename=module.path))
        measure(module, tree, max_complexity)
        risks.check(module, tree)
        documented.check(module, tree)
    except RecursionError:
        module.report(1, 1, Severity.WARNING, "E902", "is nested too deeply to be looked at in full")


def parse(module):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            tree = ast.parse(module.content, module.path)
        except SyntaxError as error:
            report_syntax_error(module, error)
            return None
        except (MemoryError, RecursionError):
            module.report(1, 1, Severity.ERROR, "E999", "is nested too deeply for the compiler")
            return None
        except ValueError as error:
            module.report(1, 1, Severity.ERROR, "E999", str(error))
            return None
    for warning in said:
        if "escape sequence" in str(warning.message):
            report_escape(module, warning)
    return tree


def report_syntax_error(module, error):
    message = error.msg or "invalid syntax"
    line = error.lineno or 1
    module.report(line, error.offset or 1, Severity.ERROR, "E999", message)


def report_escape(module, warning):
    # "\d" is an invalid escape sequence. Such sequences will not work in the future. ..
    message = str(warning.message).partition(". ")[0]
    sequence = re.match('"(.*?)"', message)
    text = module.lines[warning.lineno - 1] if warning.lineno <= len(module.lines) else ""
    column = text.find(sequence[1]) + 1 if sequence else 0
    module.report(warning.lineno, column, Severity.WARNING, "W605", message)


def measure(module, tree, max_complexity):
    visitor = mccabe.PathGraphingAstVisitor()
    visitor.preorder(tree, visitor)
    for graph in visitor.graphs.values():
        complexity = graph.complexity()
        name = graph.entity
        if module.most_complex is None or complexity > module.most_complex.complexity:
            module.most_complex = Complexity(name, module.path, graph.lineno, complexity)
        if complexity > max_complexity:
            message = f"{name} is too complex ({complexity}, of {max_complexity} at most)"
            module.report(graph.lineno, graph.column + 1, Severity.WARNING, "C901", message)
