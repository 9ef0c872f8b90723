from __future__ import annotations

from pathlib import Path

import pytest

from tacit import Memory
from tests.unit.cli.conftest import Tacit
from tests.unit.importers.forms.test_forms import SESSION, claude, lines, result, used


def test_a_preview_shows_no_secret(tacit: Tacit, tmp_path: Path, database: Path) -> None:
    key = "AKIA" + "Q7ZP2M4X9RTW3B6K"
    session = [
        claude("u1", "user", f"Deploy with {key}", 1),
        claude("a1", "assistant", [used("t1", "Bash", command=f"deploy {key}")], 2),
    ]
    path = lines(tmp_path / "s.jsonl", *session)
    for answer in (tacit("import", path, "--preview"), tacit("import", path, "--preview", "--json")):
        assert "Deploy with" in answer.out
        assert "REDACTED" in answer.out
        assert key not in answer.out
    assert not database.exists()


def test_watching_imports_what_is_new_and_what_grew_until_it_is_interrupted(
    tacit: Tacit, tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    lines(folder / "one.jsonl", *SESSION[:4])
    grown = [*SESSION, claude("r4", "user", [result("t4", "pushed")], 9)]
    looks = iter(
        [
            lambda: lines(folder / "one.jsonl", *grown),
            lambda: (folder / "odd.jsonl").write_text('{"colour": 1}'),
        ]
    )

    def wait(seconds: float) -> None:
        step = next(looks, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr("tacit.cli.watching.time.sleep", wait)
    answer = tacit("import", folder, "--watch")
    assert answer.status == 0
    assert answer.out.count("imported") == 2
    assert "watching" in answer.err
    assert "odd.jsonl" in answer.err
    with Memory(database) as memory:
        assert len(memory.episodes()) == 3
    assert tacit("import", folder, "--watch", "--json").status == 2


def test_forgotten_runs_are_counted_and_replace_brings_them_back(
    tacit: Tacit, runs: Path, database: Path
) -> None:
    tacit("import", runs)
    for episode in tacit("episodes", "--json").data["episodes"][:2]:
        tacit("forget", episode["id"])
    again = tacit("import", runs)
    assert "2 runs left out, forgotten before" in again.err
    assert tacit("import", runs, "--json").data["forgotten"] == 2
    assert tacit("import", runs, "--replace", "--json").data["imported"] == 2
