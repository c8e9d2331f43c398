"""Coverage in Cobertura's XML and in lcov's format, as coverage.py and others write them."""

import re
import xml.etree.ElementTree as ElementTree

from inorder_python.errors import ToolError, cannot
from inorder_python.measured import Measured

CONDITIONS = re.compile(r"\((\d+)/(\d+)\)")


class Files(dict):
    """What was measured, by path. A path may come several times, for its classes or for several runs."""

    def __missing__(self, path):
        self[path] = Measured(path)
        return self[path]


def read_xml(path):
    files = Files()
    has_branches = False
    file = None
    depth = []
    try:
        with open(path, "rb") as source:
            for event, element in ElementTree.iterparse(source, ("start", "end")):
                if event == "start":
                    depth.append(element.tag)
                    if len(depth) == 1 and element.tag != "coverage":
                        raise ToolError(f"{path} is XML, but no Cobertura report: its first element is <{element.tag}>")
                    if element.tag == "class":
                        file = files[element.get("filename", "")]
                    continue
                depth.pop()
                # The lines of <methods> come again in those of their class.
                if element.tag == "line" and depth[-2:] == ["class", "lines"]:
                    has_branches |= add_line(file, element)
                if element.tag in ("class", "line", "method"):
                    element.clear()
    except OSError as error:
        raise cannot("read", path, error) from None
    except (ElementTree.ParseError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ToolError(f"{path} is not a Cobertura report that can be read: {error}") from None
    return list(files.values()), has_branches


def add_line(file, element):
    """Adds a `<line>`, and says whether it tells of branches."""
    number = int(element.get("number"))
    hits = int(element.get("hits"))
    first = number not in file.hits
    file.hits[number] = file.hits.get(number, 0) + hits
    if element.get("branch") != "true":
        return False
    taken, total = CONDITIONS.search(element.get("condition-coverage", "")).groups() if first else (0, 0)
    file.branches += int(total)
    file.branches_covered += int(taken)
    if hits and element.get("missing-branches"):
        file.missed_branches += [f"{number}->{it.strip()}" for it in element.get("missing-branches").split(",")]
    return True


def read_lcov(path):
    files = Files()
    # Of each file and branch, how often it was taken.
    taken = {}
    file = None
    number = 0
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            for number, line in enumerate(source, 1):
                kind, _, rest = line.strip().partition(":")
                if kind == "SF":
                    file = files[rest]
                elif kind == "DA":
                    at, hits = rest.split(",")[:2]
                    file.hits[int(at)] = file.hits.get(int(at), 0) + max(0, int(hits))
                elif kind == "BRDA":
                    # A branch may be told in words, with commas.
                    at, block, branch = rest.split(",", 2)
                    branch, hits = branch.rsplit(",", 1)
                    key = (file.path, int(at), block, branch)
                    taken[key] = taken.get(key, 0) + (0 if hits == "-" else int(hits))
    except OSError as error:
        raise cannot("read", path, error) from None
    except (AttributeError, ValueError):
        raise ToolError(f"line {number} of {path} is not lcov: {line.strip()[:100]!r}") from None
    for (name, *_), hits in taken.items():
        files[name].branches += 1
        files[name].branches_covered += bool(hits)
    return list(files.values()), bool(taken)
