"""tacit's own line form: an episode that is written and imported again is the same."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit import Episode, Memory, Outcome, Step, TaskContext
from tacit.importers import episode_line, import_file
from tacit.importers.numbers import with_nulls
from tacit.model.context import COMPLEXITIES, TASK_TYPES

SECOND = 1_000_000
START = 1_750_000_000 * SECOND
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
TAGS = st.lists(st.from_regex(r"[A-Za-z0-9_-]{2,8}", fullmatch=True), max_size=3).map(tuple)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)
TIMES = st.integers(START, START + 1_000 * SECOND)
LISTS = st.lists(TEXTS, max_size=3).map(tuple)
OUTCOMES = st.one_of(
    st.builds(Outcome.success, st.none() | TEXTS, artifacts=LISTS),
    st.builds(Outcome.partial, st.none() | TEXTS, completed=LISTS, failed=LISTS),
    st.builds(Outcome.failure, TEXTS, st.none() | TEXTS),
    st.just(Outcome.unknown()),
    st.just(Outcome.abandoned()),
)


@st.composite
def steps(draw: st.DrawFn, number: int) -> Step:
    result = draw(
        st.one_of(
            st.fixed_dictionaries({"status": st.just("ok"), "output": VALUES}),
            st.fixed_dictionaries({"status": st.just("error"), "error": TEXTS, "output": VALUES}),
            st.fixed_dictionaries({"status": st.just("timeout"), "error": st.none() | TEXTS}),
            st.just({}),
        )
    )
    return Step(
        tool=draw(TEXTS),
        action=draw(st.none() | TEXTS),
        parameters=draw(VALUES),
        latency_ms=draw(st.none() | st.floats(0, 1e6)),
        tokens=draw(st.none() | st.integers(0, 2**31)),
        metadata=draw(st.none() | OBJECTS),
        number=number,
        at=draw(TIMES),
        state=draw(st.none() | TEXTS | OBJECTS),
        altered=draw(LISTS),
        call_id=draw(st.none() | TEXTS),
        batch=draw(st.none() | st.integers(1, 1_000)),
        **result,
    )


@st.composite
def episodes(draw: st.DrawFn) -> Episode:
    started = draw(TIMES)
    judged = draw(st.booleans())
    return Episode(
        task=draw(TEXTS),
        task_key=draw(st.none() | TEXTS),
        task_type=draw(st.sampled_from(TASK_TYPES)),
        context=TaskContext(
            domain=draw(TEXTS),
            language=draw(st.none() | TEXTS),
            framework=draw(st.none() | TEXTS),
            complexity=draw(st.sampled_from(COMPLEXITIES)),
            tags=draw(TAGS),
        ),
        started_at=started,
        ended_at=started + draw(st.integers(0, 1_000 * SECOND)),
        timed=draw(st.booleans()),
        steps=tuple(draw(steps(number)) for number in range(1, draw(st.integers(0, 4)) + 1)),
        outcome=draw(OUTCOMES),
        tags=draw(TAGS),
        metadata=draw(OBJECTS),
        agent=draw(st.none() | TEXTS),
        source=draw(st.none() | TEXTS),
        external_id=draw(st.none() | TEXTS),
        judged_by=draw(TEXTS) if judged else None,
        judged_at=draw(TIMES) if judged else None,
    )


def bare(episode: Episode) -> Episode:
    return replace(episode, reward=None, reflection=None)


@settings(max_examples=80, deadline=None)
@given(st.lists(episodes(), min_size=1, max_size=3, unique_by=lambda each: each.external_id or id(each)))
def test_an_episode_that_is_written_as_a_line_and_imported_is_the_same(given: list[Episode]) -> None:
    with tempfile.TemporaryDirectory() as folder, Memory(redactor=None) as memory:
        stored = [memory.get(memory.add(episode).episode_id) for episode in given]
        lines = b"\n".join(episode_line(episode) for episode in stored)
        path = Path(folder) / "runs.jsonl"
        path.write_bytes(lines)
        with Memory(redactor=None) as other:
            summary = import_file(other, path)
            assert (summary.refused, summary.imported, summary.left_out) == ((), len(stored), ())
            assert [bare(other.get(episode.id)) for episode in stored] == [bare(each) for each in stored]
            assert import_file(other, path).unchanged == len(stored)


def imported(tmp_path: Path, *lines: Any, **options: Any) -> tuple[Any, tuple[Episode, ...]]:
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines))
    with Memory() as memory:
        return import_file(memory, path, **options), memory.episodes()


def test_a_short_line_says_how_each_step_went(tmp_path: Path) -> None:
    steps = [{"tool": "look", "output": None}, {"tool": "buy", "error": "no card"}, {"tool": "wait"}]
    summary, (episode,) = imported(tmp_path, {"task": "Buy a fern", "steps": steps})
    assert [step.status for step in episode.steps] == ["ok", "error", None]
    assert (episode.outcome, summary.refused) == (Outcome.unknown(), ())


def test_a_line_without_an_identity_is_imported_once(tmp_path: Path) -> None:
    line = {"task": "Buy a fern", "steps": [{"tool": "look", "output": 1}], "outcome": {"kind": "success"}}
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(line) + "\n")
    with Memory() as memory:
        assert [import_file(memory, path).imported for _ in range(2)] == [1, 0]
        assert len(memory.episodes()) == 1


def test_times_are_dates_or_microseconds(tmp_path: Path) -> None:
    lines = [
        {"task": "one", "started_at": "2026-01-02T03:04:05.000006Z", "external_id": "1"},
        {"task": "two", "started_at": 1_767_323_045_000_006, "external_id": "2"},
        {"task": "three", "started_at": "2026-01-02T03:04:05", "external_id": "3"},
        {"task": "four", "started_at": 1_767_323_045, "external_id": "4"},
    ]
    summary, episodes = imported(tmp_path, *lines)
    assert {episode.started_at for episode in episodes} == {1_767_323_045_000_006}
    assert [refusal.line for refusal in summary.refused] == [3, 4]
    assert "time zone" in summary.refused[0].reason
    assert "looks like seconds" in summary.refused[1].reason


def test_unknown_fields_are_named(tmp_path: Path) -> None:
    line = {
        "task": "t",
        "colour": 1,
        "context": {"shape": 1},
        "outcome": {"kind": "partial", "grade": 1},
        "steps": [{"tool": "look", "cost": 1}],
    }
    summary, _ = imported(tmp_path, line)
    assert summary.left_out == ("colour", "context.shape", "outcome.grade", "steps.cost")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"task": ""}, "task must not be empty"),
        ({"task": "t", "steps": [{"output": 1}]}, "missing required field `tool`"),
        ({"task": "t", "outcome": {"kind": "grand"}}, "grand"),
        ({"task": "t", "steps": [{"tool": "a", "status": "fine"}]}, "status"),
        ({"task": "t", "steps": "look"}, "array"),
        ({"task": "t", "context": {"complexity": "odd"}}, "odd"),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused_with_its_reason(
    tmp_path: Path, line: dict[str, Any], reason: str
) -> None:
    summary, episodes = imported(tmp_path, line, {"task": "fine"})
    assert reason in summary.refused[0].reason
    assert [episode.task for episode in episodes] == ["fine"]


NAN = '{"task": "NaN is no number", "metadata": {"loss": NaN, "rate": [-Infinity, Infinity]}}'


def test_a_line_with_nan_is_refused_by_name_or_read_with_nulls(tmp_path: Path) -> None:
    refused, none = imported(tmp_path, NAN)
    assert none == ()
    assert refused.refused[0].reason.startswith("holds NaN or Infinity, which JSON does not have")
    _, (episode,) = imported(tmp_path, NAN, nan_as_null=True)
    assert (episode.task, episode.metadata) == ("NaN is no number", {"loss": None, "rate": [None, None]})


@settings(deadline=None)
@given(st.recursive(st.floats() | TEXTS | st.just("NaN"), lambda inner: st.lists(inner, max_size=4)))
def test_nan_is_replaced_outside_of_texts_alone(value: Any) -> None:
    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(each) for each in value]
        is_none = isinstance(value, float) and (value != value or abs(value) == float("inf"))
        return None if is_none else value

    for ascii_only in (True, False):
        line = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert json.loads(with_nulls(line)) == without(value)


@pytest.mark.parametrize(
    "line", ['"\\"' * 200_000 + "NaN", "NaN" * 200_000, '"' * 200_001 + "NaN", "-" * 400_000 + "NaN"]
)
def test_replacing_takes_one_pass_over_a_hostile_line(line: str) -> None:
    assert len(with_nulls(line.encode())) <= len(line) + 200_000
