"""The house: rooms import one way, none in a circle; what only redraws imports no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "ieee_lib"

ROOMS = {
    "errors": set(),
    "paths": {"errors"},
    "files": {"errors"},
    "config": {"errors", "paths"},
    "text": {"errors", "paths", "files", "config"},
    "runs": {"errors", "paths", "files", "config", "text"},
    "model": {"errors", "paths", "files", "config", "text", "runs"},
    "training": {"errors", "paths", "files", "config", "text", "runs", "model"},
    "evaluation": {"errors", "paths", "files", "config", "text", "runs", "model", "training"},
}
"""Room -> the rooms that it may import; a loose module is a room of its own."""

ROOMS["jobs"] = {*ROOMS["evaluation"], "evaluation"}
ROOMS["laws"] = {"errors", "paths", "files", "config", "runs"}
ROOMS["plots"] = {*ROOMS["laws"], "laws"}
ROOMS["claims"] = {*ROOMS["laws"], "laws"}
ROOMS["study"] = {*ROOMS["jobs"], "jobs", "laws", "plots"}
ROOMS["recipes"] = {*ROOMS["study"], "study"}
ROOMS["predictions"] = {*ROOMS["recipes"], "recipes"}
ROOMS["book"] = {*ROOMS["predictions"], "predictions", "claims"}
ROOMS["benchmarks"] = {*ROOMS["book"], "book"}
ROOMS["cli"] = {*ROOMS["benchmarks"], "benchmarks"}

LOOSE = {"__init__", "__main__", "cli", "errors", "files", "paths", "study"}
"""Modules that are in no room."""

MOST_LINES = 350


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> dict[str, int]:
    """Return room -> line of every import of this library in a file, at any depth."""
    rooms = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "ieee_lib":
            names = [f"ieee_lib.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "ieee_lib" and len(parts) > 1:
                rooms[parts[1]] = node.lineno
    return rooms


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem != "__main__")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_below_it(path):
    room = room_of(path)
    if room == "__init__":
        pytest.skip("exports names of every room")
    allowed = ROOMS[room] | {room, "__version__"}
    upward = {name: line for name, line in imported_rooms(path).items() if name not in allowed}
    assert not upward, f"{path.name} imports upward: {upward}"


def test_every_room_is_on_the_plan_and_few_modules_are_loose():
    rooms = {room_of(path) for path in MODULES}
    assert rooms - LOOSE <= set(ROOMS)
    assert {path.stem for path in PACKAGE.glob("*.py")} <= LOOSE


def test_no_module_imports_itself_through_others_in_its_room():
    """Inside a room too: a module that is needed by what it needs belongs with it."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES}
    names = {path: name.removesuffix(".__init__") for path, name in names.items()}
    edges: dict[str, set[str]] = {}
    for path, name in names.items():
        targets = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ieee_lib"):
                for alias in node.names:  # a module of a room, or a name of a module
                    module = f"{node.module}.{alias.name}"
                    targets.add(module if module in names.values() else node.module)
        edges[name] = (targets & set(names.values())) - {name}
    rest = dict(edges)
    while leaves := [name for name, below in rest.items() if not below & set(rest)]:
        for name in leaves:
            del rest[name]
    assert not rest, f"circles among {sorted(rest)}"


def test_no_module_is_too_long_to_have_one_idea():
    lengths = {path.name: len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: n for name, n in lengths.items() if n > MOST_LINES}


def test_what_only_redraws_imports_no_torch():
    code = (
        "import importlib, pkgutil, sys\n"
        "import ieee_lib\n"
        "for room in ('config', 'runs', 'laws', 'plots', 'claims', 'recipes', 'predictions'):\n"
        "    package = importlib.import_module(f'ieee_lib.{room}')\n"
        "    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "importlib.import_module('ieee_lib.study'), importlib.import_module('ieee_lib.book.run')\n"
        "heavy = {'torch', 'lightning', 'datasets', 'ray'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_public_name_has_a_docstring():
    bare = []
    for path in MODULES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"
        for node in tree.body:
            bare += [f"{path.name}: {node.name}"] if _lacks(node) else []
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bare += [f"{path.name}: {node.name}.{m.name}" for m in node.body if _lacks(m)]
    assert not bare, f"{len(bare)}: {bare}"


def _lacks(node: ast.stmt) -> bool:
    """Say whether a public class, function, method or property has no docstring."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    if not isinstance(node, kinds) or node.name.startswith("_"):
        return False
    marks = [ast.unparse(mark) for mark in node.decorator_list]
    again = any(mark == "overload" or mark.endswith(".setter") for mark in marks)
    return not again and ast.get_docstring(node) is None
