"""`tacit export` and `tacit retain`: to a file and back, and forgotten by limits in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Tacit


def test_an_exported_memory_is_imported_again(filled: Tacit, tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl.gz"
    data = filled("export", file, "--json").data
    assert (data["exported"], data["path"]) == (40, str(file))
    other = tmp_path / "other.db"
    assert filled("import", file, "--db", other, "--json").data["imported"] == 40
    again = filled("episodes", "--limit", 100, "--db", other, "--json").data["episodes"]
    stored = filled("episodes", "--limit", 100, "--json").data["episodes"]
    assert [each["id"] for each in again] == [each["id"] for each in stored]
    assert filled("export", file).status == 1
    assert "a file that does not exist" in filled("export", file).err


def test_an_export_to_standard_output_is_lines_alone(filled: Tacit) -> None:
    answer = filled("export", "-", "--since", "1h")
    assert [json.loads(line)["steps"][0]["tool"] for line in answer.out.splitlines()] == ["take"] * 40
    assert "40 episodes" in answer.err
    assert filled("export", "-", "--since", "2999-01-01T00:00:00+01:00").status == 1
    assert filled("export", "-", "--since", "2001-01-01").out == answer.out
    assert "since must be a date" in filled("export", "-", "--since", "yesterday").err


def test_old_episodes_are_forgotten_by_limits_in_words(filled: Tacit) -> None:
    planned = filled("retain", "--max-episodes", 10, "--older-than", "30d", "--dry-run", "--json").data
    assert (len(planned["removed"]), planned["kept"], planned["dry_run"]) == (30, 10, True)
    assert "30 episodes would be forgotten" in filled("retain", "--max-episodes", 10, "--dry-run").out
    shown = filled("retain", "--max-episodes", 10, "--max-bytes", "1G")
    assert "30 episodes forgotten" in shown.out
    assert "and 20 more" in shown.out
    assert filled("stats", "--json").data["episodes"] == 10
    assert filled("doctor").status == 0


@pytest.mark.parametrize(
    "arguments", [(), ("--older-than", "soon"), ("--max-bytes", "2 GB"), ("--tag", "not a tag")]
)
def test_a_limit_that_cannot_be_read_is_an_error_in_one_line(
    filled: Tacit, arguments: tuple[str, ...]
) -> None:
    answer = filled("retain", *arguments)
    assert (answer.status, answer.err.count("\n")) == (1, 1)
