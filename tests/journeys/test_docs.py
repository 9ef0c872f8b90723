"""The documentation's snippets run: those of a page one after another, as a reader would type them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tacit

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def script_of(page: Path) -> str:
    """The Python of a page, every line at its place there, so that a traceback points into the page."""
    text = page.read_text()
    lines = [""] * text.count("\n")
    for fence in (match for match in FENCE.finditer(text) if match["language"].startswith("py")):
        assert fence["language"] == "python", f"{page}: a Python snippet runs, or it is ```text"
        code = fence["code"].splitlines()
        start = text.count("\n", 0, fence.start("code"))
        lines[start : start + len(code)] = code
    return "\n".join(lines).rstrip()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if script_of(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_snippets_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    script = tmp_path / f"{page.stem}.py"
    script.write_text(script_of(page))
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_command_that_a_page_shows_exists() -> None:
    fences = "".join(match["code"] for page in PAGES for match in FENCE.finditer(page.read_text()))
    shown = set(re.findall(r"^tacit (\w+)", fences, re.MULTILINE))
    listing = subprocess.run(
        [sys.executable, "-m", "tacit", "--help"], capture_output=True, text=True, check=True
    )
    offered = set(re.findall(r"^  (\w+)  ", listing.stdout, re.MULTILINE))
    assert shown <= offered


@pytest.mark.parametrize("name", sorted({*tacit.__all__} - {"__version__", "Finding"}))
def test_a_public_name_stands_in_the_reference(name: str) -> None:
    home = getattr(tacit, name).__module__
    shown = {line.removeprefix("::: ") for page in PAGES for line in page.read_text().splitlines()}
    told = {home, f"{home}.{name}", f"## {name}"}
    assert shown & told, f"no page of docs/reference shows {home}.{name}"


def test_the_prompt_that_the_readme_shows_is_what_its_snippets_print(tmp_path: Path) -> None:
    readme = ROOT / "README.md"
    shown = next(
        m["code"] for m in FENCE.finditer(readme.read_text()) if m["code"].startswith("<tacit-memory")
    )
    script = tmp_path / "readme.py"
    script.write_text(script_of(readme))
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert shown in done.stdout
