"""What importing tacit must not drag in: the budget is held by names, because a clock would not be fair."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tacit

HEAVY = {
    *("numpy", "typer", "click", "rich", "pydantic", "mcp", "httpx"),
    *("asyncio", "sqlite3", "multiprocessing"),
}


def packages_after(statement: str) -> set[str]:
    listing = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_tacit_loads_nothing_heavy() -> None:
    assert not packages_after("import tacit") & HEAVY


@pytest.mark.parametrize("name", ["Memory", "Episode"])
def test_the_names_of_the_first_page_load_nothing_heavy(name: str) -> None:
    if name not in getattr(tacit, "__all__", []):
        pytest.skip(f"tacit.{name} does not exist")
    assert not packages_after(f"from tacit import {name}") & HEAVY
