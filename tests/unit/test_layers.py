"""Imports point down: from a room of the house only to the rooms below it, and never to a neighbour."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "tacit"

# From the ground up. What stands on one line are strangers to each other.
FLOORS = [
    {"_native"},
    {"errors"},
    {"config"},
    {"model"},
    {"registry"},
    {
        "scoring",
        "reflection",
        "extractors",
        "inducers",
        "embedding",
        "storage",
        "redaction",
        "observing",
        "sandbox",
        "kernels",
    },
    {"answers", "credit", "maintenance"},
    {"intake"},
    {"memory"},
    {"recorder", "judging"},
    {"aio"},
    {"importers", "transfer"},
    {"evaluation", "testing", "tools"},
    {"demo", "serve", "mcp", "hooks", "dashboard", "integrations"},
    {"cli"},
    {"__init__", "__main__"},
]
# The one look upward: `memory.episode` hands out the recorder that stands on it, and loads it when it is asked to.
DEFERRED = {("memory", "recorder")}
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}

CRATES = ["kernels", "advice", "storage", "bindings"]
OUTSIDE = {
    "kernels": {"pyo3", "numpy", "libsql", "redb", "tokio"},
    "advice": {"pyo3", "numpy", "libsql", "redb", "tokio"},
    "storage": {"pyo3", "numpy", "tacit-advice"},
    "bindings": {"libsql", "redb", "tokio"},
}


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py").removesuffix(".pyi")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not is_for_types_only(child):
            yield child
            yield from runtime_nodes(child)


def imported_modules(source: str, package: str) -> Iterator[str]:
    """The absolute names of what `source`, a module of `package`, imports when it runs."""
    for node in runtime_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*parents, *filter(None, [node.module])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def rooms_entered(module: Path) -> set[str]:
    package = ".".join(module.relative_to(PACKAGE.parent).parent.parts)
    names = (name.split(".") for name in imported_modules(module.read_text(), package))
    return {name[1] for name in names if name[0] == "tacit" and len(name) > 1 and name[1] in HEIGHT}


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(module: Path) -> None:
    room = room_of(module)
    assert room in HEIGHT, f"{room} has no floor: give it one in FLOORS"
    for entered in rooms_entered(module) - {room}:
        if (room, entered) in DEFERRED:
            continue
        assert HEIGHT[entered] < HEIGHT[room], f"{room} reaches up or sideways to {entered}"


def test_an_import_is_seen_however_it_is_written() -> None:
    source = "import tacit.memory\nfrom . import recall\nfrom ..storage import native\n"
    nested = "def f():\n    from tacit import aio\n"
    names = {"tacit.memory", "tacit.model.recall", "tacit.storage.native", "tacit.aio"}
    assert set(imported_modules(source + nested, "tacit.model")) == names


@pytest.mark.parametrize(("room", "later"), DEFERRED)
def test_a_deferred_import_is_no_import_of_the_module(room: str, later: str) -> None:
    listing = f"import sys, tacit.{room}; print('tacit.{later}' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("crate", CRATES)
def test_crates_depend_downwards_and_keep_their_outside_to_themselves(crate: str) -> None:
    manifest = tomllib.loads((ROOT / "rust" / crate / "Cargo.toml").read_text())
    dependencies = set(manifest["dependencies"])
    above = {f"tacit-{other}" for other in CRATES[CRATES.index(crate) :]}
    assert not dependencies & (above | OUTSIDE[crate])
