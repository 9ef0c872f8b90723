from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tacit import Episode, Memory, Step
from tacit.cli.app import app
from tacit.hooks.changed_files import changed_files, changed_line
from tacit.hooks.entry import answered
from tacit.hooks.repositories import namespace_of

AT = 1_780_000_000_000_000


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with four files, which a session touched before two of them changed and one was removed."""
    folder = tmp_path / "shop"
    (folder / ".git").mkdir(parents=True)
    (folder / "src").mkdir()
    names = ("same.py", "changed.py", "src/later.py", "gone.py")
    for second, name in ((-1, "same.py"), (60, "changed.py"), (120, "src/later.py")):
        (folder / name).write_text("x")
        os.utime(folder / name, (AT / 1e6 + second, AT / 1e6 + second))
    steps = [
        Step("Read", parameters={"file_path": str(folder / name)}, output="x", status="ok") for name in names
    ]
    steps += [
        Step("Read", parameters={"file_path": "/elsewhere/x.py"}, output="x", status="ok"),
        Step("Read", parameters={"path": "never/was.py"}, error="no such file", status="error"),
        Step("LS", parameters={"path": str(folder)}, output="x", status="ok"),
    ]
    monkeypatch.setenv("TACIT_DB", str(tmp_path / "memory.db"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TACIT_HOOKS_WITHHELD_SHARE", "0")
    with Memory(tmp_path / "memory.db", namespace=namespace_of(folder)) as memory:
        memory.add(Episode("Fix the checkout", steps=tuple(steps), started_at=AT - 1, ended_at=AT))
    return folder


def test_files_that_were_changed_or_removed_since_are_named_the_latest_first(
    shop: Path, tmp_path: Path
) -> None:
    with Memory(tmp_path / "memory.db", namespace=namespace_of(shop)) as memory:
        hits = memory.recall("Fix the checkout").hits
    assert changed_files(hits, shop / "src") == (["gone.py", "src/later.py", "changed.py"], 5)
    assert changed_files(hits, tmp_path / "other") == ([], 0)


def test_a_prompt_is_told_within_its_tokens(shop: Path) -> None:
    def asked(**fields: Any) -> str:
        given = {"hook_event_name": "UserPromptSubmit", "session_id": "s", "cwd": str(shop)}
        answer = answered(given | {"prompt": "Fix the checkout"} | fields)
        assert answer
        return str(answer["hookSpecificOutput"]["additionalContext"])

    said = asked()
    assert "3 of 5 files that these sessions touched changed since: gone.py, src/later.py" in said
    assert said.endswith("</tacit-memory>")
    assert len(said.encode()) <= 600
    for name in ("changed.py", "src/later.py"):
        os.utime(shop / name, (AT / 1e6, AT / 1e6))
    (shop / "gone.py").write_text("x")
    os.utime(shop / "gone.py", (AT / 1e6, AT / 1e6))
    assert "changed since" not in asked()


def test_names_beyond_three_are_left_out(shop: Path, tmp_path: Path) -> None:
    (shop / "same.py").unlink()
    with Memory(tmp_path / "memory.db", namespace=namespace_of(shop)) as memory:
        line = changed_line(memory.recall("Fix the checkout").hits, shop)
    assert line.startswith("4 of 5 files")
    assert line.endswith(", …")


def test_a_recall_in_the_shell_names_them_too(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setenv("COLUMNS", "100")
    shown = CliRunner().invoke(app, ["recall", "Fix the checkout"]).stdout
    assert "3 of 5 files since: gone.py, src/later.py, changed.py" in " ".join(shown.split())
