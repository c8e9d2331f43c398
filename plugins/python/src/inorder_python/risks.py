"""Calls and values that are known to be dangerous, by the syntax tree alone: what bandit calls B102 is S102 here."""

import ast
import re

from inorder_python.documented import is_test
from wit_world.exports.code import Severity

# Functions that are a risk whatever their arguments are.
CALLS = {
    "exec": ("S102", "exec runs any code that its text holds"),
    "builtins.exec": ("S102", "exec runs any code that its text holds"),
    "eval": ("S307", "eval runs any code that its text holds; for literals there is ast.literal_eval"),
    "builtins.eval": ("S307", "eval runs any code that its text holds; for literals there is ast.literal_eval"),
    "tempfile.mktemp": ("S306", "another program may make the file first; tempfile.mkstemp makes it"),
    "os.system": ("S605", "os.system starts a shell; subprocess.run with a list of arguments does not"),
    "os.popen": ("S605", "os.popen starts a shell; subprocess.run with a list of arguments does not"),
    "subprocess.getoutput": ("S605", "subprocess.getoutput starts a shell"),
    "subprocess.getstatusoutput": ("S605", "subprocess.getstatusoutput starts a shell"),
    "ssl._create_unverified_context": ("S323", "certificates are not checked"),
    "yaml.unsafe_load": ("S506", "yaml.unsafe_load runs code that a document names; yaml.safe_load does not"),
    "yaml.unsafe_load_all": ("S506", "yaml.unsafe_load_all runs code that a document names; yaml.safe_load_all does not"),
}
for _module in ("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "jsonpickle"):
    for _function in ("load", "loads", "Unpickler", "decode"):
        if (_function == "decode") == (_module == "jsonpickle"):
            CALLS[f"{_module}.{_function}"] = ("S301", f"{_module} runs code that its input names")
CALLS |= {name: ("S301", f"{name} runs code that its input names") for name in ("shelve.open", "pandas.read_pickle")}
CALLS |= {name: ("S302", "marshal may crash on input that is not its own") for name in ("marshal.load", "marshal.loads")}

SHELLS = ("call", "check_call", "check_output", "Popen", "run")
WEAK_HASHES = {"hashlib.md5": "MD5", "hashlib.sha1": "SHA-1"}
SAFE_LOADERS = ("SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader")
REQUESTS = ("get", "post", "put", "patch", "delete", "head", "options", "request")
SECRET = re.compile(r"(?:^|_)(?:pass|passwd|password|passphrase|pwd|secret|token)(?:$|_)", re.IGNORECASE)
SQL = re.compile(r"\s*(?:select\b.+\bfrom|insert\s+into|delete\s+from|update\b.+\bset)\b", re.IGNORECASE | re.DOTALL)


def check(module, tree):
    Visitor(module).visit(tree)


class Visitor(ast.NodeVisitor):
    def __init__(self, module):
        self.module = module
        folder, _, name = module.path.rpartition("/")
        self.test = is_test(folder, name.removesuffix(".py"))
        # What names in this module stand for: `sp` for `subprocess`.
        self.names = {}
        self.imported = set()

    def report(self, node, code, message, severity=Severity.WARNING):
        self.module.report_at(node, severity, code, message)

    def visit_Import(self, node):
        for alias in node.names:
            self.imported.add(alias.name)
            if alias.asname:
                self.names[alias.asname] = alias.name

    def visit_ImportFrom(self, node):
        if node.module and not node.level:
            self.imported.add(node.module)
            for alias in node.names:
                self.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def name(self, node):
        """The full name of what an expression names, as far as that can be seen: `subprocess.run`."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (owner := self.name(node.value)):
            return f"{owner}.{node.attr}"
        return None

    def visit_Call(self, node):
        keywords = {it.arg: it.value for it in node.keywords if it.arg}
        name = self.name(node.func) or ""
        module, _, function = name.rpartition(".")
        if name in CALLS:
            self.report(node, *CALLS[name])
        if is_true(keywords.get("shell")):
            self.check_shell(node, module == "subprocess" and function in SHELLS, name or "it")
        if name in WEAK_HASHES and not is_false(keywords.get("usedforsecurity")):
            message = f"{WEAK_HASHES[name]} is too weak for security; elsewhere say usedforsecurity=False"
            self.report(node, "S324", message)
        if name in ("yaml.load", "yaml.load_all"):
            self.check_yaml(node, keywords)
        if module in ("requests", "httpx") and function in REQUESTS:
            self.check_request(node, module, keywords)
        if name == "os.chmod" and len(node.args) > 1 and is_lax(node.args[1]):
            self.report(node, "S103", "others may write the file")
        method = node.func.attr if isinstance(node.func, ast.Attribute) else None
        if method == "extractall" and "tarfile" in self.imported and "filter" not in keywords:
            self.report(node, "S202", "an archive may hold paths that lead elsewhere: say filter='data'")
        if function == "run" and is_true(keywords.get("debug")):
            self.report(node, "S201", "debug=True lets whoever reaches the server run code, if this is Flask")
        if name == "jinja2.Environment" and not keywords.get("autoescape"):
            self.report(node, "S701", "values are put into pages as they are: say autoescape=True")
        if method in ("execute", "executemany", "executescript"):
            self.check_sql(node)
        for keyword, value in keywords.items():
            self.check_secret(value, keyword, "S106")
        self.generic_visit(node)

    def check_shell(self, node, known, name):
        if known and node.args and isinstance(node.args[0], ast.Constant):
            self.report(node, "S602", f"{name} starts a shell, if for a text that does not change", Severity.NOTE)
        else:
            self.report(node, "S602" if known else "S604", f"{name} has a shell run its text")

    def check_yaml(self, node, keywords):
        loader = keywords.get("Loader", node.args[1] if len(node.args) > 1 else None)
        if loader is None or (self.name(loader) or "").rpartition(".")[2] not in SAFE_LOADERS:
            self.report(node, "S506", "yaml.load can run code that a document names; yaml.safe_load does not")

    def check_request(self, node, module, keywords):
        if is_false(keywords.get("verify")):
            self.report(node, "S501", "certificates are not checked")
        # httpx has a limit of its own.
        if is_none(keywords.get("timeout")) or (module == "requests" and "timeout" not in keywords):
            self.report(node, "S113", "without a timeout it may wait forever")

    def check_sql(self, node):
        if not node.args:
            return
        query = node.args[0]
        if isinstance(query, ast.JoinedStr):
            made = any(isinstance(it, ast.FormattedValue) for it in query.values)
            start = query.values[0] if query.values else None
        elif isinstance(query, ast.BinOp) and isinstance(query.op, (ast.Add, ast.Mod)):
            made, start = True, leftmost(query)
        elif isinstance(query, ast.Call) and isinstance(query.func, ast.Attribute) and query.func.attr == "format":
            made, start = True, query.func.value
        else:
            return
        if made and isinstance(text := getattr(start, "value", None), str) and SQL.match(text + " from set"):
            self.report(node, "S608", "values are put into the text of a query: pass them as parameters")

    def visit_Assign(self, node):
        for target in node.targets:
            self.check_secret(node.value, target_name(target), "S105")
        self.generic_visit(node)

    def visit_AnnAssign(self, node):
        self.check_secret(node.value, target_name(node.target), "S105")
        self.generic_visit(node)

    def visit_Compare(self, node):
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            self.check_secret(node.comparators[0], target_name(node.left), "S105")
        self.generic_visit(node)

    def visit_arguments(self, node):
        plain = [*node.posonlyargs, *node.args]
        defaults = [None] * (len(plain) - len(node.defaults)) + node.defaults
        for argument, default in zip([*plain, *node.kwonlyargs], [*defaults, *node.kw_defaults]):
            self.check_secret(default, argument.arg, "S107")
        self.generic_visit(node)

    def check_secret(self, value, name, code):
        text = isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value
        if text and name and SECRET.search(name) and not self.test:
            self.report(value, code, f"{name} may be a secret that is written into the code")

    def visit_ExceptHandler(self, node):
        broad = node.type is None or self.name(node.type) in ("Exception", "BaseException")
        if broad and len(node.body) == 1 and isinstance(node.body[0], (ast.Pass, ast.Continue)):
            code, how = ("S110", "passed over") if isinstance(node.body[0], ast.Pass) else ("S112", "skipped")
            self.report(node, code, f"every exception is {how} in silence", Severity.NOTE)
        self.generic_visit(node)


def target_name(node):
    """The name, attribute or key that is given a value."""
    if isinstance(node, ast.Subscript):
        node = node.slice
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return getattr(node, "id", getattr(node, "attr", None))


def leftmost(node):
    while isinstance(node, ast.BinOp):
        node = node.left
    return node


def is_constant(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def is_true(node):
    return is_constant(node, True)


def is_false(node):
    return is_constant(node, False)


def is_none(node):
    return is_constant(node, None)


def is_lax(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and bool(node.value & 0o022)
