"""The mechanical rules of the language: plain sentences, unique type names, test names that read as sentences.

The limits below are ratchets: each holds the value that the tree has reached. A change that improves the value lowers
the limit with it; no change raises one.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tacit

ROOT = Path(__file__).resolve().parents[2]

# Per 100 non-empty lines of doc comments and docstrings: the words "what" and "where". Six is the most that reads well.
WHAT_AND_WHERE = {"rust": 3.0, "python": 3.0, "tests": 3.0, "docs": 6.0}

# Sentences of documentation that do not begin with their subject. The aim is 0.
RIDDLES = {"rust": 0, "python": 0, "tests": 0, "docs": 0}

# Words that nobody uses any more, or uses in another sense. The aim is 0.
ARCHAIC = {"rust": 5, "python": 5, "tests": 2, "docs": 5}

# Type names that stand for several types within one crate. The aim is 0.
SHARED_TYPE_NAMES = {"advice": 0, "bindings": 0, "kernels": 0, "sandbox": 0, "storage": 0}

# Names of `tacit.__all__` whose docstring has no example. The aim is 0.
WITHOUT_EXAMPLE = 0

BEGINS_WITHOUT_SUBJECT = re.compile(r"(What|Where|Whether|That of|Those of|None where|Of those)\b")
OUTDATED = re.compile(
    r"\b(anew|let(s|ting)? go of|told|tell(s)? of|deeds?|is of no use|goes on|as it should be|bears? the name"
    r"|thereof|therein|thereby|whereof|wherein|whence|hence|hither|lest|nought|aught|amongst|whilst)\b",
    re.IGNORECASE,
)
REPORT_ID = re.compile(r"(?<!::)(?<!MiniLM-)\b(?:[RLS]\d{1,2}|I[1-9])\b(?! penalty| norm)")
ELSEWHERE = re.compile(r"/work/|/tmp/wt|/root/|/home/")
TYPE = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:struct|enum|trait|union)\s+(\w+)", re.MULTILINE)
RUST_TEST = re.compile(r"#\[test\](?:\s*#\[[^\]]*\])*\s*(?:pub )?fn (\w+)")
SENTENCE_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+){2,}")
TEXT = {".py", ".pyi", ".rs", ".md", ".toml", ".sql", ".yml", ".sh", ""}


def tracked(*folders: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout: its files cannot be told from those that were built in it")
    paths = (ROOT / name for name in listing.stdout.splitlines())
    return [path for path in paths if path.is_file() and path.suffix in TEXT]


def sources(folder: str, *suffixes: str) -> list[Path]:
    return [path for path in tracked(folder) if path.suffix in suffixes]


# --- doc comments and docstrings ---


def rust_comments(text: str) -> Iterator[str]:
    """The doc comments of a source, each a block of lines."""
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        mark = re.match(r"\s*//[/!] ?(.*)", line)
        if mark:
            block.append(mark[1])
        elif block:
            yield "\n".join(block)
            block = []


def docstrings(text: str) -> Iterator[str]:
    """Every text that stands as a statement of its own: of modules, classes, functions and attributes."""
    for node in ast.walk(ast.parse(text)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield inspect.cleandoc(value.value)


def without_code(text: str) -> str:
    """Documentation without its fenced and indented code."""
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


@cache
def documentation(tree: str) -> tuple[tuple[Path, str], ...]:
    """The blocks of documentation of a tree, with the files they stand in."""
    blocks: list[tuple[Path, str]] = []
    if tree == "rust":
        for path in sources("rust", ".rs"):
            blocks += [(path, block) for block in rust_comments(path.read_text())]
    elif tree == "docs":
        pages = [*sources("docs", ".md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
        blocks = [(path, without_code(path.read_text())) for path in pages]
    else:
        folders = {"python": ["python"], "tests": ["tests", "benchmarks"]}[tree]
        for path in (path for folder in folders for path in sources(folder, ".py", ".pyi")):
            blocks += [(path, block) for block in docstrings(path.read_text())]
    return tuple(blocks)


def sentences(block: str) -> list[str]:
    """A rough cut, good enough to see how sentences begin."""
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*[-*|] )", without_code(block))
    return [
        sentence.strip()
        for paragraph in paragraphs
        for sentence in re.split(r"(?<=[.!?:])\s+(?=[A-Z`*])", " ".join(paragraph.split()))
        if sentence.strip()
    ]


def found_in(tree: str, pattern: re.Pattern[str], *, at_start: bool = False) -> list[str]:
    """The sentences of a tree's documentation in which a pattern stands, with their files."""
    search = pattern.match if at_start else pattern.search
    return [
        f"{path.relative_to(ROOT)}: {sentence[:100]}"
        for path, block in documentation(tree)
        for sentence in sentences(block)
        if search(sentence.lstrip("*-#` "))
    ]


def check_limit(found: list[str], limit: int) -> None:
    shown = "\n".join(found[:60])
    assert len(found) <= limit, f"{len(found)} found, {limit} allowed:\n{shown}"


@pytest.mark.parametrize("tree", WHAT_AND_WHERE)
def test_what_and_where_are_rare_in_documentation(tree: str) -> None:
    lines = [line for _, block in documentation(tree) for line in block.splitlines() if line.strip()]
    words = sum(len(re.findall(r"\b(what|where)\b", line, re.IGNORECASE)) for line in lines)
    assert 100 * words / len(lines) <= WHAT_AND_WHERE[tree]


@pytest.mark.parametrize("tree", RIDDLES)
def test_a_sentence_of_documentation_begins_with_its_subject(tree: str) -> None:
    found = found_in(tree, BEGINS_WITHOUT_SUBJECT, at_start=True)
    check_limit(found, RIDDLES[tree])


@pytest.mark.parametrize("tree", ARCHAIC)
def test_outdated_words_are_not_used(tree: str) -> None:
    found = found_in(tree, OUTDATED)
    check_limit(found, ARCHAIC[tree])


def test_every_public_name_has_an_example() -> None:
    names = [name for name in tacit.__all__ if not name.startswith("__")]
    bare = [name for name in names if "Example:" not in (getattr(tacit, name).__doc__ or "")]
    check_limit(bare, WITHOUT_EXAMPLE)


# --- names ---


@pytest.mark.parametrize("crate", SHARED_TYPE_NAMES)
def test_a_type_name_stands_for_one_type_in_its_crate(crate: str) -> None:
    names = Counter(
        name for path in sources(f"rust/{crate}", ".rs") for name in TYPE.findall(_without_tests(path))
    )
    shared = sorted(name for name, times in names.items() if times > 1)
    check_limit(shared, SHARED_TYPE_NAMES[crate])


def _without_tests(path: Path) -> str:
    """A source up to its tests, which stand at the end."""
    return path.read_text().split("#[cfg(test)]")[0] if path.parent.name != "tests" else ""


def test_every_test_is_named_by_a_sentence_in_lower_case() -> None:
    names = [
        (path, node.name.removeprefix("test_"))
        for path in sources("tests", ".py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    names += [(path, name) for path in sources("rust", ".rs") for name in RUST_TEST.findall(path.read_text())]
    assert len(names) > 500
    assert [f"{path.name}: {name}" for path, name in names if not SENTENCE_NAME.fullmatch(name)] == []


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions and methods, private ones too; functions within functions are nobody's interface."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def takes_anything(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """True for `**name` without a type, or of type `Any`."""
    kwarg = function.args.kwarg
    return kwarg is not None and (
        kwarg.annotation is None or ast.unparse(kwarg.annotation) in {"Any", "typing.Any"}
    )


def test_functions_list_the_keywords_they_take() -> None:
    open_ended = [
        f"{path.relative_to(ROOT)}: {function.name}"
        for path in sources("python", ".py", ".pyi")
        for function in functions(ast.parse(path.read_text()))
        if takes_anything(function)
    ]
    assert open_ended == []


@pytest.mark.parametrize(
    ("signature", "is_open"),
    [("**given", True), ("**given: Any", True), ("**given: Unpack[Head]", False), ("given: Any", False)],
)
def test_keywords_without_a_type_are_found(signature: str, is_open: bool) -> None:
    [function] = functions(ast.parse(f"class A:\n    def f(self, {signature}): pass"))
    assert takes_anything(function) is is_open


def test_the_repository_speaks_of_nothing_outside_of_it() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()[:100]}"
        for path in tracked()
        if path != Path(__file__)
        for line in path.read_text().splitlines()
        if REPORT_ID.search(line) or ELSEWHERE.search(line)
    ]
    assert found == []
