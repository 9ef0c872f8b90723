from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tacit.cli.app import app
from tests.unit.importers.runs import run, step, write


@dataclass(frozen=True)
class Answer:
    """The output of a command, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Tacit = Callable[..., Answer]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def tacit(database: Path, monkeypatch: pytest.MonkeyPatch) -> Tacit:
    """Runs a command on a memory of its own."""
    monkeypatch.setenv("TACIT_DB", str(database))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(database.parent))
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object, stdin: bytes | None = None) -> Answer:
        done = CliRunner().invoke(app, [str(each) for each in arguments], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Answer(done.exit_code, done.stdout, done.stderr)

    return call


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Forty runs: after `take` fails, `look` is the fix; the odd ones fail."""
    recovered = [step("take", ok=False, error="no lamp in sight"), step("look"), step("take")]
    lines = [
        run(number, steps=recovered, outcome={"success": number % 2 == 0}, model=f"model-{number % 3}")
        for number in range(40)
    ]
    return write(tmp_path / "runs.jsonl", *lines)


@pytest.fixture
def filled(tacit: Tacit, runs: Path) -> Tacit:
    """The same, with those runs imported."""
    assert tacit("import", runs).status == 0
    return tacit
