"""A `.coverage`, read by coverage.py itself, so that it means here what it means to `coverage report`."""

import contextlib
import io
import json
import os
import sqlite3
import types
import urllib.parse
import warnings

import coverage
import coverage.sqlitedb

from inorder_python.errors import ToolError, cannot
from inorder_python.measured import Measured


def connect(name, **options):
    """Opens a database to be read alone: without locks, which would be files beside it."""
    if not name.startswith("file:"):
        name = f"file:{urllib.parse.quote(name)}?mode=ro"
    elif "mode=memory" in name:
        return sqlite3.connect(name, **options)
    return sqlite3.connect(f"{name}&immutable=1", **(options | {"uri": True}))


coverage.sqlitedb.sqlite3 = types.SimpleNamespace(**(vars(sqlite3) | {"connect": connect}))


def read(path):
    """What was measured, whether branches were, and the files that cannot be read."""
    root = os.getcwd()
    path = os.path.abspath(path)
    try:
        # The settings there are those that the measurement had.
        os.chdir(os.path.dirname(path))
    except OSError as error:
        raise cannot("look into", os.path.dirname(path), error) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report, data = analyse(path)
        except (coverage.CoverageException, OSError) as error:
            raise ToolError(f"coverage.py cannot report on {path}: {error}") from None
    branches = data.has_arcs()
    files = []
    for name, of_file in report["files"].items():
        measured = Measured(as_seen_from(root, name))
        measured.hits = hits(of_file)
        if branches:
            summary = of_file["summary"]
            measured.branches = summary["num_branches"]
            measured.branches_covered = summary["covered_branches"]
            measured.missed_branches = missed_branches(of_file)
        files.append(measured)
    reported = {os.path.abspath(name) for name in report["files"]}
    others = sorted(it for it in data.measured_files() if os.path.abspath(it) not in reported)
    unreadable = [as_seen_from(root, it) for it in others if not is_python(it)]
    os.chdir(root)
    return files, branches, unreadable


def analyse(path):
    """The report of `coverage json`, and the data that it is made from."""
    # By its name alone: it would see to it that the folder of a longer path is there, and those above it.
    measured = coverage.Coverage(data_file=os.path.basename(path), messages=False)
    # Those would be other programs' code, or change this one.
    measured.set_option("run:plugins", [])
    measured.set_option("run:patch", [])
    measured.load()
    data = measured.get_data()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            measured.json_report(outfile="-", ignore_errors=True)
        except coverage.exceptions.NoDataError:
            return {"files": {}}, data
    return json.loads(printed.getvalue()), data


def hits(of_file):
    excluded = set(of_file["excluded_lines"])
    hits = {line: 1 for line in of_file["executed_lines"] if line not in excluded}
    hits.update(dict.fromkeys(of_file["missing_lines"], 0))
    return hits


def missed_branches(of_file):
    run = set(of_file["executed_lines"])
    return [
        f"{start}->{end if end > 0 else 'exit'}"
        for start, end in sorted(of_file["missing_branches"])
        if start in run
    ]


def as_seen_from(root, name):
    path = os.path.abspath(name)
    return os.path.relpath(path, root) if path.startswith(os.path.join(root, "")) else path


def is_python(path):
    """Whether a file that is not in the report could have been: then the settings leave it out."""
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(file.read(), path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True
