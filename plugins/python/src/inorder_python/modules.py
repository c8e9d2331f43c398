"""Python source in files: which there are, and what is in them."""

import os
import re
import tokenize

from inorder_python.errors import ToolError, cannot

MAX_FILE = 4 << 20
MAX_FILES = 1_000
MAX_BYTES = 16 << 20


class Found:
    """The modules of a folder."""

    def __init__(self):
        self.paths = []
        self.left_out = 0
        self.bytes = 0

    def add(self, path):
        try:
            size = os.stat(path).st_size
        except OSError as error:
            raise cannot("read", path, error) from None
        if len(self.paths) == MAX_FILES or self.bytes + size > MAX_BYTES or size > MAX_FILE:
            self.left_out += 1
            return
        self.bytes += size
        self.paths.append(path)


def find(path):
    """The module at `path`, or those beneath it, by their paths."""
    found = Found()
    if not os.path.isdir(path):
        found.paths.append(path)
        return found

    def fail(error):
        raise cannot("list", error.filename, error)

    for folder, folders, files in os.walk(path, onerror=fail):
        folders[:] = sorted(name for name in folders if not is_left_alone(folder, name))
        for name in sorted(files):
            if name.endswith(".py") and not name.startswith("."):
                found.add(os.path.normpath(os.path.join(folder, name)))
    if not found.paths and not found.left_out:
        raise ToolError(f"there is no Python source in {path}")
    found.paths.sort()
    return found


def is_left_alone(folder, name):
    return (
        name.startswith(".")
        or name in ("__pycache__", "node_modules")
        or os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
    )


def read(path):
    """The bytes of a file of source."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise cannot("read", path, error) from None
    if len(content) > MAX_FILE:
        raise ToolError(f"{path} is larger than {MAX_FILE >> 20} MiB, the most that is read of a module")
    return content


def lines_of(content):
    """The lines of source, without their ends, as the compiler counts them."""
    try:
        encoding, _ = tokenize.detect_encoding(iter(content.splitlines(keepends=True)).__next__)
    except (SyntaxError, LookupError):
        encoding = "utf-8"
    text = content.decode(encoding, "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\r|\n", text)
    if lines[-1] == "":
        lines.pop()
    return lines
