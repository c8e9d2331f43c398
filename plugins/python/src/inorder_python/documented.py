"""What a reader misses: docstrings and annotations of what is public."""

import ast
import os

from wit_world.exports.code import Severity

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def check(module, tree):
    folder, name = os.path.split(module.path)
    stem = name.removesuffix(".py")
    if is_test(folder, stem):
        return
    if stem.startswith("_") and not stem.startswith("__"):
        return
    if tree.body and ast.get_docstring(tree, clean=False) is None:
        code, what = ("D104", "package") if stem == "__init__" else ("D100", "module")
        module.report(1, 1, Severity.NOTE, code, f"the {what} has no docstring")
    check_body(module, tree, None)


def is_test(folder, stem):
    if stem.startswith("test_") or stem.endswith("_test") or stem == "conftest":
        return True
    return bool({"test", "tests"} & set(folder.split("/")))


def check_body(module, parent, class_name):
    """Checks what is defined in a module or a class; definitions inside of functions are not public."""
    for node in statements(parent):
        if isinstance(node, ast.ClassDef):
            if node.name.startswith("_"):
                continue
            name = f"{class_name}.{node.name}" if class_name else node.name
            if ast.get_docstring(node, clean=False) is None:
                code = "D106" if class_name else "D101"
                module.report_at(node, Severity.NOTE, code, f"class {name} has no docstring")
            check_body(module, node, name)
        elif isinstance(node, FUNCTIONS):
            check_function(module, node, class_name)


def statements(parent):
    """The statements of a body, also where it depends on a condition."""
    for node in parent.body:
        yield node
        if isinstance(node, (ast.If, ast.Try)):
            yield from statements(node)
            for handler in getattr(node, "handlers", ()):
                yield from statements(handler)
            yield from statements(ast.Module(node.orelse, []))


def check_function(module, node, class_name):
    special = node.name.startswith("__") and node.name.endswith("__")
    if node.name.startswith("_") and not special:
        return
    decorators = {decorator_name(it) for it in node.decorator_list}
    name = f"{class_name}.{node.name}" if class_name else node.name
    # Those are documented elsewhere: with the class, the getter, or the function that is overridden.
    elsewhere = special or decorators & {"overload", "override", "setter", "deleter"}
    if not elsewhere and ast.get_docstring(node, clean=False) is None:
        code, what = ("D102", "method") if class_name else ("D103", "function")
        module.report_at(node, Severity.NOTE, code, f"{what} {name} has no docstring")
    missing = missing_annotations(node.args, bool(class_name) and "staticmethod" not in decorators)
    code = "ANN001" if missing else "ANN201"
    # What a special method returns is known.
    if node.returns is None and not special:
        missing.append("what it returns")
    if missing:
        module.report_at(node, Severity.NOTE, code, f"{name} has no annotation for {', '.join(missing)}")


def decorator_name(node):
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def missing_annotations(args, bound):
    plain = [*args.posonlyargs, *args.args]
    named = [(it, it.arg) for it in plain[1 if bound else 0 :]]
    if args.vararg:
        named.append((args.vararg, f"*{args.vararg.arg}"))
    named += [(it, it.arg) for it in args.kwonlyargs]
    if args.kwarg:
        named.append((args.kwarg, f"**{args.kwarg.arg}"))
    return [name for argument, name in named if argument.annotation is None]
