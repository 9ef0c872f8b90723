"""`tacit judge`, and `tacit import --replace`."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import Tacit
from tests.unit.importers.runs import run, step, write


def test_a_verdict_is_given_shown_and_withdrawn(tacit: Tacit, tmp_path: Path) -> None:
    unjudged = {name: value for name, value in run(0).items() if name != "outcome"}
    assert tacit("import", write(tmp_path / "runs.jsonl", unjudged)).status == 0
    [episode] = tacit("episodes", "--json").data["episodes"]
    assert episode["outcome"]["kind"] == "unknown"
    assert "outcome unknown" in tacit("episodes").out
    judged = tacit("judge", episode["id"], "failure", "--by", "tests", "--note", "two failed")
    assert judged.out.splitlines() == ["failure · reward 0.00"]
    shown = tacit("episodes", "--json").data["episodes"][0]
    assert (shown["outcome"]["reason"], shown["judged_by"]) == ("two failed", "tests")
    assert tacit("judge", episode["id"], "unknown", "--json").data["reward"] is None
    assert tacit("judge", episode["id"], "unknown").status == 0
    assert tacit("judge", episode["id"], "fine").status == 2
    assert tacit("judge", "0" * 32, "success").status == 1


def test_a_longer_run_replaces_the_stored_one_if_that_is_asked_for(tacit: Tacit, tmp_path: Path) -> None:
    short = write(tmp_path / "short.jsonl", run(0, steps=[step("look")]))
    whole = write(tmp_path / "whole.jsonl", run(0, steps=[step("look"), step("take")]))
    tacit("import", short)
    assert "1 refused" in tacit("import", whole).out
    assert "1 imported" in tacit("import", whole, "--replace").out
    assert "1 unchanged" in tacit("import", whole, "--replace").out
    [episode] = tacit("episodes", "--json").data["episodes"]
    assert len(episode["steps"]) == 2
