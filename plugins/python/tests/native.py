"""What pyflakes and mccabe say natively of the files named, as JSON: the tests compare."""

import ast
import json
import sys
import warnings

import mccabe
from pyflakes.checker import Checker

warnings.simplefilter("ignore")
said = {}
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        tree = ast.parse(file.read(), path)
    visitor = mccabe.PathGraphingAstVisitor()
    visitor.preorder(tree, visitor)
    said[path] = {
        "flakes": sorted([it.lineno, it.message % it.message_args] for it in Checker(tree, path).messages),
        "complex": sorted([it.lineno, it.complexity()] for it in visitor.graphs.values() if it.complexity() > 10),
    }
json.dump(said, sys.stdout)
