"""The interpreter as a program finds it: its modules, its streams, its working directory."""

import __future__

import asyncio.selector_events
import importlib
import io
import linecache
import logging
import os
import random
import sys
import time
import traceback
import unittest

from inorder_python.library import LIBRARY

MAX_OUTPUT = 64 << 10
FUTURE_FLAGS = 0
for _name in __future__.all_feature_names:
    FUTURE_FLAGS |= getattr(__future__, _name).compiler_flag

# What runs a program, and is none of its business in a traceback.
HIDDEN = (os.path.dirname(__file__), os.path.dirname(unittest.__file__), importlib.__file__, "<frozen importlib")


def begin(argv):
    """Makes the interpreter as if it had just started in the working directory."""
    sys.argv = argv
    sys.path[:] = [os.getcwd()]
    sys.pycache_prefix = None
    sys.dont_write_bytecode = True
    LIBRARY.withdraw()
    # These began when the component was built, once for all.
    random.seed()
    logging._startTime = time.time_ns()


def without_wakeup(loop):
    """An event loop needs a socket to be woken by other threads and signals. Here there are none of either."""


_loop = asyncio.selector_events.BaseSelectorEventLoop
_loop._make_self_pipe = _loop._close_self_pipe = _loop._write_to_self = without_wakeup


def show_source(name, code):
    """Has tracebacks show the lines of a program that is in no file."""
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)


def print_exception(error):
    """Prints a traceback to standard error."""
    try:
        print(format_exception(error), end="", file=sys.stderr)
    except Exception:
        print(f"{type(error).__name__}, which cannot be printed", file=sys.stderr)


def format_exception(error):
    """A traceback, of the program's own frames."""
    told = traceback.TracebackException.from_exception(error, compact=True)
    pending = [told]
    while pending:
        part = pending.pop()
        if part is not None:
            part.stack[:] = [it for it in part.stack if not it.filename.startswith(HIDDEN)]
            pending += [part.__cause__, part.__context__, *(part.exceptions or ())]
    return "".join(told.format())


class Captured(io.RawIOBase):
    """Keeps the beginning and the end of what is written."""

    def __init__(self, limit):
        self.half = limit // 2
        self.start = bytearray()
        self.end = bytearray()
        self.left_out = 0

    def writable(self):
        return True

    def write(self, data):
        data = memoryview(data).cast("B")
        size = len(data)
        room = self.half - len(self.start)
        self.start += data[:room] if room > 0 else b""
        self.end += data[max(room, 0) :]
        if len(self.end) > 2 * self.half:
            self.trim()
        return size

    def trim(self):
        excess = len(self.end) - self.half
        if excess > 0:
            self.left_out += excess
            del self.end[:excess]

    def text(self):
        self.trim()
        if not self.left_out:
            return (self.start + self.end).decode("utf-8", "replace")
        # A character may have been cut in two.
        start = self.start.decode("utf-8", "ignore")
        end = self.end.decode("utf-8", "ignore")
        return f"{start}\n[{self.left_out} bytes left out]\n{end}"


class Streams:
    """Standard input, output and error of a program."""

    def __init__(self, stdin, limit, together=False):
        self.out = Captured(limit)
        self.err = self.out if together else Captured(limit)
        self.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode("utf-8", "surrogatepass")), "utf-8", "surrogateescape")

    def __enter__(self):
        self.before = sys.stdin, sys.stdout, sys.stderr
        sys.stdin, sys.stdout, sys.stderr = self.stdin, writer(self.out), writer(self.err)
        return self

    def __exit__(self, *_):
        # A program may have put others in their place, or closed them.
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                continue
        sys.stdin, sys.stdout, sys.stderr = self.before

    def stdout(self):
        return self.out.text()

    def stderr(self):
        return self.err.text()


def writer(captured):
    # Written through, so that text and bytes stay in order.
    return io.TextIOWrapper(captured, "utf-8", "backslashreplace", write_through=True)
