from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tacit import Memory, UnknownNameError, ValidationError
from tacit.importers import ImportSummary, import_file
from tests.unit.importers.runs import run, step, write


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory() as memory:
        yield memory


def imported(memory: Memory, path: Path, *lines: dict[str, Any] | bytes, **options: Any) -> ImportSummary:
    return import_file(memory, write(path / "runs.jsonl", *lines), **options)


def test_every_run_is_learned_from(memory: Memory, tmp_path: Path) -> None:
    summary = imported(memory, tmp_path, *(run(number) for number in range(200)))
    assert (summary.imported, summary.unchanged, summary.refused) == (200, 0, ())
    (episode,) = memory.episodes(task_key="task/7")
    assert episode.reward is not None
    assert memory.patterns(kind="tool_sequence")[0].trials == 200


def test_importing_again_changes_nothing(memory: Memory, tmp_path: Path) -> None:
    lines = [run(number) for number in range(70)]
    imported(memory, tmp_path, *lines)
    before = memory.patterns(), memory.stats()["sequence"]
    summary = imported(memory, tmp_path, *lines)
    assert (summary.imported, summary.unchanged, summary.refused) == (0, 70, ())
    assert (memory.patterns(), memory.stats()["sequence"]) == before


def test_a_run_that_stands_twice_in_a_file_is_one_episode(memory: Memory, tmp_path: Path) -> None:
    summary = imported(memory, tmp_path, run(), run(1), run())
    assert (summary.imported, summary.unchanged, len(memory.episodes())) == (2, 1, 2)


def test_the_same_run_with_another_content_is_refused_and_the_rest_imported(
    memory: Memory, tmp_path: Path
) -> None:
    imported(memory, tmp_path, run(3))
    lines = [run(number) for number in range(10)]
    lines[3] |= {"task_description": "another story"}
    summary = imported(memory, tmp_path, *lines, run(4, domain="another domain"))
    assert summary.imported == 9
    (refusal,) = summary.refused
    assert (refusal.line, refusal.count, summary.refused_lines) == (4, 2, 2)
    assert "another content" in refusal.reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"task_description": ""}, "task must not be empty"),
        ({"task_description": "x" * 10_001}, "task must be at most 10,000 bytes"),
        ({"domain": "x" * 501}, "domain"),
        ({"task_id": "x" * 501}, "task_key"),
        ({"steps": [step("")]}, "tool"),
        ({"steps": [step()] * 1_001}, "steps must be at most 1000 steps"),
        ({"steps": [step(observation="x" * 10_001)]}, "output must be at most 10000 characters"),
        ({"steps": [step(ok=False, error="x" * 10_001)]}, "error must be at most 10000 characters"),
        ({"steps": [step(arguments={"a": 2**64})]}, "64 bits"),
        ({"meta": {"a": [[[2**70]]]}}, "64 bits"),
        ({"meta": {"a": json.loads("[" * 200 + "]" * 200)}}, "128 deep"),
        ({"model": ""}, "agent"),
    ],
    ids=range(12),
)
def test_a_run_that_breaks_a_limit_is_refused_and_the_rest_imported(
    memory: Memory, tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    summary = imported(memory, tmp_path, run(1), run(2, **fields), run(3))
    assert summary.imported == 2
    (refusal,) = summary.refused
    assert refusal.line == 2
    assert reason in refusal.reason


def test_observations_are_cut_where_that_was_asked_for(memory: Memory, tmp_path: Path) -> None:
    steps = [step(observation="ä" * 20_000), step(ok=False, error="x" * 20_000), step()]
    summary = imported(memory, tmp_path, run(steps=steps), truncate="observation")
    assert (summary.imported, summary.truncated) == (1, 2)
    (episode,) = memory.episodes()
    assert episode.steps[0].output == "ä" * 10_000
    assert episode.steps[1].error == "x" * 10_000
    assert imported(memory, tmp_path, run(steps=steps), truncate="observation").unchanged == 1


def test_what_has_no_place_is_named(memory: Memory, tmp_path: Path) -> None:
    assert imported(memory, tmp_path, run(cost=1), run(1)).left_out == ("cost",)


def test_a_run_is_dated_by_its_import_and_lasts_what_it_says(memory: Memory, tmp_path: Path) -> None:
    imported(memory, tmp_path, run(1), run(2, meta={"duration_s": 7.25}))
    (untimed,) = memory.episodes(task_key="task/1")
    (timed,) = memory.episodes(task_key="task/2")
    assert (untimed.timed, untimed.duration_s) == (False, None)
    assert (timed.timed, timed.duration_s) == (True, 7.25)
    assert untimed.started_at > 1_600_000_000_000_000


def test_runs_go_to_the_namespace_of_the_memory(tmp_path: Path) -> None:
    with Memory(namespace="tenant") as memory:
        imported(memory, tmp_path, run())
        assert [episode.namespace for episode in memory.episodes()] == ["tenant"]
        assert memory.episodes(namespace="default") == ()


def test_progress_is_told_in_bytes_of_the_file(memory: Memory, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    imported(memory, tmp_path, *map(run, range(150)), progress=lambda *bytes: told.append(bytes))
    size = (tmp_path / "runs.jsonl").stat().st_size
    assert len(told) == 3
    assert told[-1] == (size, size)
    assert told == sorted(told)


def test_a_file_that_cannot_be_opened_is_a_typed_error(memory: Memory, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="No such file"):
        import_file(memory, tmp_path / "missing.jsonl")


def test_a_form_nobody_knows_names_those_that_are_known(memory: Memory, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"known: .*jsonl"):
        imported(memory, tmp_path, run(), format="xml")
    with pytest.raises(ValidationError, match="truncate"):
        imported(memory, tmp_path, run(), truncate="task")


def test_an_empty_file_is_an_import_of_nothing(memory: Memory, tmp_path: Path) -> None:
    assert imported(memory, tmp_path) == ImportSummary(
        str(tmp_path / "runs.jsonl"), formats=("jsonl",), files=1
    )
