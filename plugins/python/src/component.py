"""The tools that wit/python.wit exports. What they do is in `inorder_python`.

All of it is imported here, while the component is built, so that a call finds it in memory.
"""

import sys

# build.sh says why; `/0` is the folder of this file then.
sys.pycache_prefix = "/0/bytecode"

from componentize_py_types import Err  # noqa: E402

import wit_world.exports  # noqa: E402
from inorder_python import audit, coverage_report, library, place, program, suite  # noqa: E402
from inorder_python.errors import ToolError  # noqa: E402


class Code(wit_world.exports.Code):
    """The interface `code`."""

    def audit_module(self, path, max_complexity):
        return answer(audit.audit, path, max_complexity)

    def check_coverage(self, path):
        return answer(coverage_report.check, path)

    def run_python(self, code, stdin, args):
        return answer(program.run, code, stdin, args)

    def run_tests(self, path, pattern):
        return answer(suite.run, path, pattern)


def answer(tool, *args):
    """What a tool gives, or its error as the host knows it."""
    library.LIBRARY.settle()
    place.enter_root()
    try:
        return tool(*args)
    except ToolError as error:
        raise Err(str(error)) from None
