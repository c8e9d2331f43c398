"""`run_python`: runs a program as `python -c` does."""

import ast
import atexit
import sys
import types

from inorder_python import interpreter
from inorder_python.bounds import clip
from wit_world.exports.code import Execution

NAME = "<code>"
MAX_VALUE = 64 << 10


def run(code, stdin, args):
    interpreter.begin(["-c", *(args or [])])
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    with interpreter.Streams(stdin or "", interpreter.MAX_OUTPUT) as streams:
        exit_code, value = ended(lambda: execute(code, main.__dict__))
        if value is not None:
            exit_code, value = ended(lambda: clip(repr(value), MAX_VALUE)) if not exit_code else (exit_code, None)
        atexit._run_exitfuncs()
    return Execution(exit_code, streams.stdout(), streams.stderr(), value)


def execute(code, names):
    """The value of the last statement, if it is an expression."""
    interpreter.show_source(NAME, code)
    tree = compile(code, NAME, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    program = compile(tree, NAME, "exec", dont_inherit=True)
    expression = last and compile(last, NAME, "eval", program.co_flags & interpreter.FUTURE_FLAGS, dont_inherit=True)
    exec(program, names)
    return eval(expression, names) if expression else None


def ended(work):
    """How a program ends: its exit code, and what `work` gives."""
    try:
        return 0, work()
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            # As much as a process can tell.
            return (error.code or 0) & 0xFF, None
        print(error.code, file=sys.stderr)
    except BaseException as error:
        interpreter.print_exception(error)
    return 1, None
