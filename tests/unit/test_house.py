"""The shape of the house: nothing unreachable, nothing nameless, nothing half done."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP = {
    *("Cargo.toml", "Cargo.lock", "clippy.toml", "rustfmt.toml"),
    *("pyproject.toml", "requirements", "asv.conf.json", "mkdocs.yml"),
    *("Makefile", ".ci", ".gitignore"),
    *("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("rust", "python", "tests", "benchmarks", "docs"),
}
# Words that name no thing: what such a file holds has a better name, or belongs elsewhere.
NAMELESS = {
    *("helper", "helpers", "util", "utils", "manager", "core", "common", "types", "misc", "impl"),
    *("legacy", "optimized", "advanced", "enhanced", "v2", "old", "new", "tmp", "plan", "status", "notes"),
}
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b|\b(to" r"do|unim" r"plemented)!")
CODE = {".py", ".pyi", ".rs", ".sql", ".toml", ".md", ".sh", ".yml", ""}


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout: its files cannot be told from what was built in it")
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def test_the_top_level_holds_only_what_belongs_there() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} - TOP == set()


def test_every_file_is_named_after_what_it_holds() -> None:
    nameless = [path for path in tracked() if set(re.split(r"[_\-.]", path.stem.lower())) & NAMELESS]
    assert nameless == []


def test_nothing_is_left_to_be_done() -> None:
    sources = [path for path in tracked() if path.suffix in CODE]
    assert [path for path in sources if UNFINISHED.search(path.read_text())] == []


def declared_modules(source: Path) -> set[Path]:
    """The files that the `mod` items of a Rust source name."""
    folder = source.parent if source.stem in {"lib", "mod"} else source.with_suffix("")
    names = re.findall(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", source.read_text(), re.MULTILINE)
    return {path for name in names for path in (folder / f"{name}.rs", folder / name / "mod.rs")}


@pytest.mark.parametrize("crate", ["kernels", "advice", "storage", "sandbox", "bindings"])
def test_every_rust_file_is_in_a_module(crate: str) -> None:
    sources = set((ROOT / "rust" / crate / "src").rglob("*.rs"))
    declared = {path for source in sources for path in declared_modules(source)}
    assert {path for path in sources - declared if path.name not in {"lib.rs", "main.rs"}} == set()


def test_no_test_is_skipped_for_good() -> None:
    marked = re.compile(r"\bmark\.skip\(|#\[ignore|\bxfail\(")
    sources = [path for path in tracked() if path.suffix in {".py", ".rs"} and path != Path(__file__)]
    assert [path for path in sources if marked.search(path.read_text())] == []


def test_no_test_sleeps() -> None:
    sleeps = re.compile(r"\btime\.sleep\(|\basyncio\.sleep\((?!0\))|import sleep|thread::sleep\(")
    tests = [path for path in tracked() if path.suffix == ".py" and "tests" in path.parts]
    sources = {path: path.read_text() for path in tests if path != Path(__file__)}
    rust = [path for path in tracked() if path.suffix == ".rs"]
    sources |= {path: path.read_text().partition("#[cfg(test)]")[2] for path in rust}
    assert [path for path, text in sources.items() if sleeps.search(text)] == []
