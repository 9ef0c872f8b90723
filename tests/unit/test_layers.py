"""Imports point down: from a room of the house only to the rooms below it, and never to a neighbour."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "tacit"

# From the ground up. What stands on one line are strangers to each other.
FLOORS = [
    {"_native", "deferred"},
    {"errors"},
    {"environment", "rejections"},
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
    {"answers", "credit", "maintenance", "tools"},
    {"intake"},
    {"rooms"},
    {"memory"},
    {"current_episode", "judging"},
    {"recorder"},
    {"aio"},
    {"importers", "transfer", "host_settings"},
    {"evaluation", "testing"},
    {"demo", "serve", "mcp", "hooks", "dashboard", "integrations"},
    {"cli"},
    {"__init__", "__main__"},
]
# The looks upward, each loaded when it is asked for: `memory.episode` hands out the recorder that stands on it, and
# `to_prompt` of an answer renders itself as `answers.prompt` says.
DEFERRED = {("memory", "recorder"), ("model", "answers")}
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}

CRATES = ["kernels", "advice", "storage", "sandbox", "bindings"]
OUTSIDE = {
    "kernels": {"pyo3", "numpy", "libsql", "redb", "tokio"},
    "advice": {"pyo3", "numpy", "libsql", "redb", "tokio"},
    "storage": {"pyo3", "numpy", "tacit-advice"},
    # A program of its own: it knows nothing of the others, and they know nothing of it.
    "sandbox": {"pyo3", "numpy", "libsql", "redb", "tokio", "tacit-kernels", "tacit-advice", "tacit-storage"},
    "bindings": {"libsql", "redb", "tokio", "tacit-sandbox", "rquickjs"},
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
    """The absolute names of the modules that `source`, a module of `package`, imports when it runs."""
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


# --- modules of a crate ---

RUST_PATH = re.compile(r"(?<![\w:])(?:\w+::)+\w+")
RUST_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"', re.DOTALL)
RUST_USE = re.compile(r"\buse\s+([^;]+);")
Module: TypeAlias = tuple[str, ...]


def without_tests(source: str) -> str:
    """The source without items that only tests compile."""
    parts = re.split(r"#\[cfg\((?:all\()?test\b[^\]]*\]", source)
    return parts[0] + "".join(part[end_of_item(part) :] for part in parts[1:])


def end_of_item(source: str) -> int:
    depth = 0
    for at, character in enumerate(source):
        depth += (character == "{") - (character == "}")
        if depth == 0 and character in ";}":
            return at + 1
    return len(source)


def split_at_commas(tree: str) -> Iterator[str]:
    depth = start = 0
    for at, character in enumerate(tree):
        depth += (character == "{") - (character == "}")
        if depth == 0 and character == ",":
            yield tree[start:at].strip()
            start = at + 1
    yield tree[start:].strip()


def paths_of(tree: str, head: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path of a `use` tree such as `a::{b, c::{self, d}}`."""
    for branch in filter(None, split_at_commas(tree)):
        stem, brace, rest = branch.partition("{")
        names = tuple(filter(None, stem.split(" as ")[0].strip().split("::")))
        if brace:
            yield from paths_of(rest.rpartition("}")[0], (*head, *names))
        else:
            yield (*head, *names)


def rust_modules(source: Path) -> dict[Module, Path]:
    """The files of a crate by the path of their module; the crate's root is the empty path."""
    files = {path.relative_to(source).with_suffix("").parts: path for path in source.rglob("*.rs")}
    return {parts[:-1] if parts[-1] in {"lib", "mod"} else parts: path for parts, path in files.items()}


def entered_module(path: tuple[str, ...], module: Module, known: Collection[Module]) -> Module | None:
    """The module of the crate that a path leads into; `None` means that it leaves the crate."""
    names = list(path)
    if names[0] == "crate":
        entered: Module = ()
        names.pop(0)
    elif names[0] in {"self", "super"} or (*module, names[0]) in known:
        entered = module
    else:
        return None
    while names and names[0] in {"self", "super"}:
        entered = entered[: len(entered) - (names.pop(0) == "super")]
    while names and (*entered, names[0]) in known:
        entered = (*entered, names.pop(0))
    return entered


def modules_entered(source: str, module: Module, known: Collection[Module]) -> set[Module]:
    code = re.sub(r"\bpub\([^)]*\)", "pub", without_tests(RUST_TEXT.sub("", source)))
    paths = [path for tree in RUST_USE.findall(code) for path in paths_of(tree)]
    paths += [tuple(path.split("::")) for path in RUST_PATH.findall(RUST_USE.sub("", code))]
    entered = {entered_module(path, module, known) for path in paths}
    return {each for each in entered if each is not None and each != module}


def circle_in(imports: Mapping[Module, set[Module]]) -> list[Module]:
    """The modules of one import circle, each importing the next; empty when there is none."""
    left = {module: set(entered) for module, entered in imports.items()}
    while leaves := {module for module, entered in left.items() if not entered & left.keys()}:
        left = {module: entered for module, entered in left.items() if module not in leaves}
    trail: list[Module] = []
    at = min(left, default=None)
    while at is not None and at not in trail:
        trail.append(at)
        at = min(left[at] & left.keys())
    return trail[trail.index(at) :] if at is not None else []


@pytest.mark.parametrize("crate", CRATES)
def test_modules_of_a_crate_form_no_import_circle(crate: str) -> None:
    files = rust_modules(ROOT / "rust" / crate / "src")
    imports = {
        module: modules_entered(path.read_text(), module, files.keys())
        for module, path in files.items()
        if "tests" not in module
    }
    assert [" :: ".join(module) or "lib" for module in circle_in(imports)] == []


def test_an_import_circle_is_found_however_the_paths_are_written() -> None:
    known: set[Module] = {(), ("a",), ("a", "b"), ("c",)}
    written = {
        ("a",): "mod b;\npub(in crate::c) use b::{One, Two as Second};",
        ("a", "b"): "use crate::{c::Three, other};\nfn f() -> super::super::c::Four { g() }",
        ("c",): "// crate::a\n#[cfg(test)]\nmod tests { use crate::a; }\n",
        (): 'mod a; const A: &str = "crate::c::X";',
    }
    imports = {module: modules_entered(source, module, known) for module, source in written.items()}
    assert imports == {("a",): {("a", "b")}, ("a", "b"): {("c",), ()}, ("c",): set(), (): set()}
    assert circle_in(imports) == []
    imports["c",] = modules_entered("use super::a::b::{self, Five};", ("c",), known)
    assert circle_in(imports) == [("a", "b"), ("c",)]
