"""The standard library inside of the component.

Files of it are there only while the component is built. What is imported then stays in memory; the rest is kept here
as compressed source, and loaded from there by a call that imports it.
"""

import _imp
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import sys
import zlib

# What programs often use, beside what the tools do. It costs size, and saves the time of importing it.
COMMON = (
    "argparse array base64 bisect calendar cmath collections.abc colorsys configparser contextlib copy csv dataclasses datetime "
    "decimal difflib doctest enum fnmatch fractions functools getpass glob graphlib gzip hashlib heapq hmac html.parser inspect "
    "ipaddress itertools json locale logging math numbers operator os pathlib pickle platform pprint queue random re secrets "
    "shlex shutil sqlite3 statistics string struct tempfile textwrap threading time timeit tomllib traceback types typing "
    "unicodedata unittest unittest.async_case unittest.mock urllib.parse urllib.request uuid warnings weakref xml.etree.ElementTree zipfile "
    "zoneinfo"
).split()

# Left out: graphical programs, what runs other programs or installs them, and what is about this build of Python.
OMITTED = {
    "antigravity", "config-3.14-wasm32-wasi", "ctypes", "curses", "ensurepip", "idlelib", "site-packages", "this", "tkinter",
    "turtle", "turtledemo", "venv", "__pycache__", "__phello__", "_pyrepl", "pydoc_data",
}  # fmt: skip

# The folder of the standard library while the component is built, and what stands for it when that is gone: a path
# that is nowhere, where the first might be a folder of somebody's.
FOLDER = os.path.dirname(linecache.__file__)
NOWHERE = "<python>"


class Library(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds modules of the standard library, after all other places where modules are found."""

    def __init__(self):
        # By name: whether it is a package, its path, and its compressed source.
        self.archive = {}
        # By name: modules that are in memory, and not to be seen by a program that has not imported them.
        self.loaded = {}

    def keep(self, folder, package=""):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if name in OMITTED:
                continue
            if os.path.isdir(path):
                if os.path.exists(os.path.join(path, "__init__.py")):
                    self.keep(path, f"{package}{name}.")
                continue
            module, extension = os.path.splitext(name)
            if extension == ".py":
                is_package = module == "__init__"
                full = package.removesuffix(".") if is_package else package + module
                # So that no traceback looks for its lines in a file.
                linecache.cache[path] = (0, None, [], path)
                if full not in sys.modules:
                    with open(path, "rb") as file:
                        self.archive[full] = (is_package, path, zlib.compress(file.read(), 9))

    def settle(self):
        """Takes the place of the folders that were there while the component was built; begins each call."""
        sys.path.clear()
        sys.path_hooks[:] = [find_in_folder]
        sys.path_importer_cache.clear()
        sys.meta_path.append(self)
        for name, module in list(sys.modules.items()):
            if hasattr(module, "__path__"):
                module.__path__ = [f"{NOWHERE}/{name}"]
            if (getattr(getattr(module, "__spec__", None), "origin", None) or "").startswith(FOLDER + "/"):
                self.loaded[name] = module

    def withdraw(self):
        """Makes it as if nothing had been imported that an interpreter does not begin with.

        So a module of the program's own comes before one of the same name here, as it would elsewhere.
        """
        for name, module in list(sys.modules.items()):
            loader = getattr(getattr(module, "__spec__", None), "loader", None)
            from_file = isinstance(loader, importlib.machinery.SourceFileLoader)
            if from_file and not _imp.is_frozen(name) and name.partition(".")[0] not in BEGINNING:
                del sys.modules[name]

    def find_spec(self, name, path=None, target=None):
        parent = name.rpartition(".")[0]
        if parent and not self.owns(sys.modules.get(parent)):
            return None
        if name in self.loaded:
            is_package = hasattr(self.loaded[name], "__path__")
        elif name in self.archive:
            is_package = self.archive[name][0]
        else:
            return None
        spec = importlib.machinery.ModuleSpec(name, self, origin=NOWHERE, is_package=is_package)
        if is_package:
            spec.submodule_search_locations = [f"{NOWHERE}/{name}"]
        return spec

    def owns(self, package):
        """Whether a package is of the standard library, and not another of the same name."""
        if package is None:
            return False
        name = package.__name__
        from_here = getattr(package.__spec__, "loader", None) is self
        return from_here or self.loaded.get(name) is package or name.partition(".")[0] in BEGINNING

    def create_module(self, spec):
        return self.loaded.get(spec.name)

    def exec_module(self, module):
        if self.loaded.get(module.__name__) is not module:
            exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name):
        source = self.get_source(name)
        if source is None:
            return None
        path = self.archive[name][1]
        linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
        return self.source_to_code(source, path)

    def get_source(self, name):
        if name not in self.archive:
            return None
        return importlib.util.decode_source(zlib.decompress(self.archive[name][2]))

    def is_package(self, name):
        return self.find_spec(name).submodule_search_locations is not None


# What each interpreter imports before a program begins, or uses by its place in `sys.modules`.
BEGINNING = {"abc", "codecs", "encodings", "importlib", "io", "os", "posixpath", "genericpath", "site", "stat", "zipimport", "warnings"}

LIBRARY = Library()


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Loads modules of a program's own. Compiled files beside them are neither read nor written."""

    def get_code(self, name):
        path = self.get_filename(name)
        return self.source_to_code(self.get_data(path), path)


def find_in_folder(path):
    """A finder for a folder of `sys.path`, or of a package."""
    if path.startswith(NOWHERE):
        raise ImportError(path=path)
    return importlib.machinery.FileFinder(path, (SourceLoader, [".py"]))


def build():
    """Fills `LIBRARY`; called once, while the component is built."""
    for name in COMMON:
        importlib.import_module(name)
    LIBRARY.keep(FOLDER)
    # What is free is part of the component, unless it is zero.
    gc.collect()
    zeros = [bytes(1 << 16) for _ in range(256)]
    zeros.clear()


build()
