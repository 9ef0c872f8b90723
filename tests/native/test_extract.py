"""The extraction kernels beside a few lines of Python that say the same."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit import _native
from tacit._native import Finding, Findings
from tacit.errors import ValidationError
from tacit.extractors.columns import trajectory_of
from tacit.model.episode import Episode, Outcome, Step

steps = st.lists(
    st.builds(
        lambda tool, error: Step(tool, status="ok" if error is None else "error", error=error),
        st.sampled_from(["look", "act", "ask"]),
        st.sampled_from([None, None, "no such table: x", "timeout of server"]),
    ),
    max_size=12,
)


def episode_of(taken: list[Step], outcome: Outcome | None = None) -> Episode:
    return Episode("do it", steps=tuple(taken), outcome=outcome or Outcome.success())


def counted(findings: Findings) -> Counter[str]:
    return Counter(repr(finding.content) for finding in findings)


def runs(tools: list[str]) -> Counter[str]:
    """Every run of 2 to 5 tools with at most one step passed over, once for every step it starts at."""
    found: Counter[str] = Counter()
    for start in range(len(tools)):
        here = set()
        for length in range(2, 6):
            for taken in (length, length + 1):
                window = tools[start : start + taken]
                if len(window) == taken:
                    here |= {(window[0], *rest) for rest in _rests(window, length)}
        found.update(repr({"tools": list(run)}) for run in here)
    return found


def _rests(window: list[str], length: int) -> set[tuple[str, ...]]:
    """The rest of a run, whose last step is the window's last: skipped steps lie inside."""
    inner = combinations(window[1:-1], length - 2)
    return {(*rest, window[-1]) for rest in inner}


@given(steps)
def test_tool_sequences_are_the_runs_of_the_episode(taken: list[Step]) -> None:
    found = _native.tool_sequences(
        trajectory_of(episode_of(taken)), min_length=2, max_length=5, max_skipped=1, limit=10_000
    )
    assert counted(found) == runs([step.tool for step in taken])


OUTCOMES = {
    0.0: Outcome.failure("no"),
    0.5: Outcome.partial(completed=["a"], failed=["b"]),
    1.0: Outcome.success(),
}


@given(steps, st.sampled_from([*OUTCOMES]))
def test_recoveries_are_the_errors_with_what_came_next(taken: list[Step], share: float) -> None:
    found = _native.error_recoveries(trajectory_of(episode_of(taken, OUTCOMES[share])), limit=10_000)
    expected: Counter[tuple[str, str, str, float]] = Counter()
    classes = [None if step.error is None else _native.error_class(step.error) for step in taken]
    for place, (step, name) in enumerate(zip(taken, classes, strict=True)):
        if name is not None:
            after = taken[place + 1] if place + 1 < len(taken) else None
            later = [(taken[n].tool, classes[n]) for n in range(place + 1, len(taken))]
            helped = after is not None and after.ok is True and (step.tool, name) not in later
            ends = place + 2 >= len(taken)
            ok = (share if ends else 1.0) if helped else 0.0
            expected[step.tool, name, after.tool if after else "<gave up>", ok] += 1
    assert (
        Counter((f.content["tool"], f.content["error"], f.content["next"], f.ok) for f in found) == expected
    )


@given(steps)
def test_decisions_are_one_more_than_the_steps(taken: list[Step]) -> None:
    found = _native.decision_points(trajectory_of(episode_of(taken)), limit=10_000)
    assert len(found) == (len(taken) + 1 if taken else 0)
    assert all(finding.ok == 1.0 for finding in found)


@given(steps)
def test_no_kind_brings_more_patterns_than_its_limit(taken: list[Step]) -> None:
    trajectory = trajectory_of(episode_of(taken))
    found = _native.tool_sequences(trajectory, min_length=2, max_length=5, max_skipped=1, limit=3)
    assert len(found.pattern_ids) <= 3


@given(steps)
def test_facts_sum_the_findings(taken: list[Step]) -> None:
    partial = Outcome.partial(completed=["a"], failed=["b", "c"])
    found = _native.decision_points(trajectory_of(episode_of(taken, partial)), limit=32)
    facts = _native.unpack_facts(found.facts())
    assert [fact[0] for fact in facts] == found.pattern_ids
    assert sum(fact[2] for fact in facts) == len(found)
    assert sum(fact[3] for fact in facts) == pytest.approx(len(found) / 3)


def test_the_identity_of_a_pattern_is_its_kind_and_content() -> None:
    one = Finding("habit", {"a": 1, "b": [2, "x"]})
    same = Finding("habit", {"b": [2, "x"], "a": 1}, occurrence=3, ok=0.5, detail="other")
    assert one.pattern_id == same.pattern_id
    assert one.pattern_id != Finding("custom", {"a": 1, "b": [2, "x"]}).pattern_id
    assert one.content == {"a": 1, "b": [2, "x"]}


def test_what_two_extractors_found_is_one_finding_that_names_both() -> None:
    merged = Findings.merge([("one", [Finding("habit", {"a": 1})]), ("two", [Finding("habit", {"a": 1})])])
    assert [finding.found_by for finding in merged] == [["one", "two"]]


def test_findings_that_are_none_are_refused() -> None:
    with pytest.raises(ValidationError, match="must yield"):
        Findings.merge([("one", ["no finding"])])  # type: ignore[list-item]
    with pytest.raises(ValidationError, match="ok must be within"):
        Finding("habit", {}, ok=1.5)


@given(st.text())
def test_any_message_has_a_class(message: str) -> None:
    try:
        name = _native.error_class(message)
    except UnicodeEncodeError:
        return
    assert name
    assert name == _native.error_class(message)
