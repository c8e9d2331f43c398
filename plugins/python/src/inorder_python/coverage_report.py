"""`check_coverage`: finds out which kind of file it is given, and adds up what that holds."""

import os

from inorder_python import bounds, coverage_data, coverage_text
from inorder_python.errors import ToolError, cannot
from wit_world.exports.code import Coverage, FileCoverage, Share

NAMES = (".coverage", "coverage.xml", "coverage.lcov", "lcov.info")
MAX_FILES = 1_000
MAX_BRANCHES = 1_000


def check(path):
    if os.path.isdir(path):
        path = in_folder(path)
    start = read_start(path)
    unreadable = []
    if start.startswith(b"SQLite format 3\0"):
        files, has_branches, unreadable = coverage_data.read(path)
    elif start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        files, has_branches = coverage_text.read_xml(path)
    elif b"SF:" in start:
        files, has_branches = coverage_text.read_lcov(path)
    else:
        raise ToolError(f"{path} is not what check_coverage reads: .coverage, a Cobertura coverage.xml, or lcov")
    return add_up(files, has_branches, unreadable)


def in_folder(folder):
    for name in NAMES:
        path = os.path.normpath(os.path.join(folder, name))
        if os.path.exists(path):
            return path
    raise ToolError(f"there is no {', '.join(NAMES[:-1])} or {NAMES[-1]} in {folder}")


def read_start(path):
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError as error:
        raise cannot("read", path, error) from None


def add_up(files, has_branches, unreadable):
    if not files:
        raise ToolError("no file was measured" if not unreadable else no_sources(unreadable))
    files = sorted(files, key=lambda it: it.path)
    shares = [(it, it.lines(), Share(it.branches_covered, it.branches)) for it in files]
    lines = Share(sum(it.covered for _, it, _ in shares), sum(it.total for _, it, _ in shares))
    branches = Share(sum(it.covered for _, _, it in shares), sum(it.total for _, _, it in shares))
    listed = [
        FileCoverage(
            it.path,
            file_lines,
            file_branches if has_branches else None,
            percent(file_lines, file_branches),
            bounds.ranges(it.missed()),
            it.missed_branches[:MAX_BRANCHES],
        )
        for it, file_lines, file_branches in shares[:MAX_FILES]
    ]
    left_out = max(0, len(files) - MAX_FILES)
    all_branches = branches if has_branches else None
    return Coverage(percent(lines, branches), lines, all_branches, listed, left_out, unreadable[:MAX_FILES])


def no_sources(unreadable):
    others = f" and {len(unreadable) - 1} others" if len(unreadable) > 1 else ""
    return f"none of the measured files can be read as Python: {unreadable[0]}{others}"


def percent(lines, branches):
    """To two places, and neither 0 nor 100 unless it is."""
    covered, total = lines.covered + branches.covered, lines.total + branches.total
    if total in (0, covered):
        return 100.0
    return min(max(round(100 * covered / total, 2), 0.01 if covered else 0.0), 99.99)
