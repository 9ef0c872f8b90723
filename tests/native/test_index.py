"""The retrieval index against a few lines of Python: BM25 by hand, ranks by hand, and an index built afresh."""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit._native import HashedEmbedder, HitRow, Index, Trajectory, error_recoveries, words
from tacit.errors import CorruptRecordError, ValidationError
from tacit.model.record import Change, EpisodeRecord, SideRecord, SideRecordKind

EMBEDDER = HashedEmbedder(dimension=64)
NOW = 1_700_000_000_000_000
LEXICAL_ONLY = [1, 0, 0, 0, 0, 0, 0, 0]


@dataclass(frozen=True)
class Attempt:
    """One episode, as a test describes it."""

    number: int
    task: str
    namespace: str = "default"
    task_key: str | None = None
    domain: str = "general"
    language: str | None = None
    tags: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    base: float = 1.0
    total: float = 1.0
    seconds: int = 60
    ended_at: int = NOW
    failed: int = 0
    error: str | None = None
    facts: bytes = b""
    state: str = field(default="learned", compare=False)

    @property
    def id(self) -> bytes:
        return self.number.to_bytes(16, "big")

    def payload(self) -> bytes:
        steps = [
            {"tool": tool, "status": "error" if at < self.failed else "ok", "error": self.error}
            for at, tool in enumerate(self.tools)
        ]
        outcome = {1.0: "success", 0.0: "failure"}.get(self.base, "partial")
        return msgspec.msgpack.encode(
            {
                "id": str(uuid.UUID(bytes=self.id)),
                "namespace": self.namespace,
                "task": self.task,
                "task_key": self.task_key,
                "context": {"domain": self.domain, "language": self.language, "tags": self.tags},
                "started_at": self.ended_at - self.seconds * 1_000_000,
                "ended_at": self.ended_at,
                "outcome": {"kind": outcome, "completed": ["a"], "failed": ["b"]},
                "reward": {"total": self.total},
                "steps": steps,
            }
        )

    def change(self, sequence: int) -> Change:
        record = EpisodeRecord(
            id=self.id,
            namespace=self.namespace,
            external_id=None,
            digest=bytes(16),
            task_key=self.task_key,
            domain=self.domain,
            agent=None,
            complexity="unknown",
            state=self.state,
            started_at=self.ended_at - self.seconds * 1_000_000,
            ended_at=self.ended_at,
            base=self.base,
            payload=self.payload(),
            facts=self.facts,
            contents=b"",
            embedder=EMBEDDER.name,
            embedding=EMBEDDER.embed([self.task])[0].tobytes(),
        )
        return Change(sequence=sequence, op="put", record=record, id=self.id)


def removal(sequence: int, attempt: Attempt) -> Change:
    return Change(sequence=sequence, op="remove", record=None, id=attempt.id)


def index_of(attempts: Sequence[Attempt]) -> Index:
    index = Index(EMBEDDER.name, EMBEDDER.dimension)
    index.apply([attempt.change(sequence) for sequence, attempt in enumerate(attempts, 1)])
    return index


def recall(index: Index, task: str, **arguments: object) -> list[HitRow]:
    settings: dict[str, Any] = {
        "now": NOW,
        "limit": 10,
        "vector": EMBEDDER.embed_packed([task])[0],
        "half_life_s": 1e6,
        **arguments,
    }
    return index.recall(task, **settings)[0]


def rows(hits: list[HitRow]) -> list[tuple[bytes, float, list[tuple[str, float, float]]]]:
    return [(hit.id, hit.score, hit.reasons) for hit in hits]


def test_the_attempts_at_the_tasks_of_episodes_are_counted_and_the_best_come_first() -> None:
    attempts = [
        Attempt(1, "cancel", task_key="c", tools=("a", "b", "c")),
        Attempt(2, "cancel it", task_key="c", tools=("a", "b")),
        Attempt(3, "cancel this", task_key="c", base=0.0),
        Attempt(4, "cancel that", task_key="c", tools=("a", "b")),
        Attempt(5, "cancel now", task_key="c", base=0.5),
        Attempt(6, "refund", base=0.0),
        Attempt(7, "cancel", task_key="c", namespace="other"),
        Attempt(8, "cancel it", task_key="c", tools=("a",)),
    ]
    index = index_of(attempts)
    index.apply([removal(9, attempts[7])])
    ids = [attempt.id for attempt in attempts]
    asked = [ids[5], ids[2], ids[6], ids[7], ids[0]]
    assert index.task_attempts("default", asked, 2) == [
        (1, 0, [], 1, 0),
        (5, 3, [ids[1], ids[3]], 1, 0),
        (0, 0, [], 0, 0),
        (0, 0, [], 0, 0),
        (5, 3, [ids[1], ids[3]], 1, 1),
    ]
    assert index.task_attempts("nowhere", asked[:1], 2) == [(0, 0, [], 0, 0)]


def test_near_copies_have_the_same_steps_at_tasks_that_are_equal_but_for_numbers() -> None:
    attempts = [
        Attempt(1, "check order 17", tools=("look",)),
        Attempt(2, "check order W-23", tools=("look",), base=0.0),
        Attempt(3, "check order 18", tools=("look", "look")),
        Attempt(4, "check parcel 18", tools=("look",)),
        Attempt(5, "refund the order that never came", tools=("look", "refund")),
    ]
    index = index_of(attempts)
    counts = index.task_attempts("default", [each.id for each in attempts], 1)
    assert [(copies, succeeded) for *_, copies, succeeded in counts] == [
        (2, 1),
        (2, 1),
        (1, 1),
        (1, 1),
        (1, 1),
    ]
    hits = [hit.id for hit in recall(index, "check order 5", per_copy=1, limit=9)]
    assert len(hits) == 4
    assert len({attempts[0].id, attempts[1].id} & set(hits)) == 1


def test_near_copies_do_not_take_all_places_among_the_candidates() -> None:
    copies = [Attempt(number, f"check the order {number}", tools=("look",)) for number in range(1, 200)]
    other = Attempt(200, "refund the order", tools=("look", "refund"))
    index = index_of([*copies, other])
    found = recall(index, "check the order and refund", candidates=20, limit=3, per_copy=1)
    assert [hit.id for hit in found if hit.id == other.id]
    assert len(found) == 2


def test_earlier_attempts_are_those_at_the_key_that_are_left_the_latest_failure_by_id() -> None:
    attempts = [
        Attempt(1, "refund", task_key="k", tools=("a",), base=0.0),
        Attempt(4, "refund", task_key="k", tools=("a", "b"), base=0.0),
        Attempt(3, "refund", task_key="k", tools=("c",), base=0.0),
        Attempt(5, "refund", task_key="other", tools=("d",), base=1.0),
        Attempt(6, "refund", task_key="k", tools=("e",), base=0.5),
    ]
    index = index_of(attempts)
    assert index.earlier_attempts("default", "k") == (3, False, ["a", "b"])
    assert index.earlier_attempts("default", "other") == (0, True, [])
    assert index.earlier_attempts("nowhere", "k") == index.earlier_attempts("default", "no") == (0, False, [])
    index.apply([removal(9, attempts[1])])
    assert index.earlier_attempts("default", "k") == (2, False, ["c"])
    assert index.by_task_key("default", "k") == [
        (attempt.id, attempt.base) for attempt in (attempts[0], attempts[2], attempts[4])
    ]


def test_attempts_are_found_after_the_index_was_renumbered() -> None:
    attempts = [Attempt(number, f"t{number}", task_key=f"k{number % 5}") for number in range(1, 301)]
    index = index_of(attempts)
    index.apply([removal(1_000 + attempt.number, attempt) for attempt in attempts[:200]])
    for key in range(5):
        left = [attempt.id for attempt in attempts[200:] if attempt.number % 5 == key]
        assert [id for id, _ in index.by_task_key("default", f"k{key}")] == left


WORDS = st.sampled_from(["cancel", "order", "refund", "flight", "the", "mug", "shelf", "query", "table"])
TASKS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
ATTEMPTS = st.builds(
    Attempt,
    number=st.integers(0, 30),
    task=TASKS,
    namespace=st.sampled_from(["default", "other"]),
    task_key=st.none() | st.sampled_from(["t1", "t2"]),
    domain=st.sampled_from(["retail", "air"]),
    language=st.none() | st.just("python"),
    tags=st.sampled_from([(), ("fast",), ("fast", "safe")]),
    tools=st.lists(st.sampled_from(["get", "set", "stop"]), max_size=5).map(tuple),
    base=st.sampled_from([1.0, 0.5, 0.0]),
    total=st.floats(0, 3),
    ended_at=st.integers(NOW - 10**12, NOW),
)


def features(text: str) -> set[str]:
    """Word stems and the 4-grams of words; the words of these tests have no inflections but -e and -y."""
    found = set()
    for word in words(text):
        marked = f"<{word}>"
        found |= {marked[at : at + 4] for at in range(len(marked) - 3)}
        found.add(f"stem:{word[:-1] if len(word) > 4 and word[-1] in 'ey' else word}")
    return found


def wanted(text: str) -> dict[str, float]:
    """The weight of each feature of a query: the 4-grams of a word share the root of their number."""
    found: dict[str, float] = {}
    for word in words(text):
        weight = 0.1 if word == "the" else 1.0
        for feature in features(word):
            share = weight if feature.startswith("stem:") else weight / math.sqrt(len(word) - 1)
            found[feature] = max(found.get(feature, 0.0), share)
    return found


def reference_lexical(query: str, texts: list[str]) -> list[float]:
    """BM25 over features that are there or not, over the most that any text could score."""
    documents, asked = [features(text) for text in texts], wanted(query)
    mean = sum(map(len, documents)) / len(documents)
    rarity = {}
    for feature, weight in asked.items():
        present = sum(feature in document for document in documents)
        rarity[feature] = weight * math.log(1 + (len(documents) - present + 0.5) / (present + 0.5))

    def share(length: int) -> float:
        return 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / mean))

    rarest = sorted(rarity.values(), reverse=True)
    most = max(sum(rarest[:n]) * share(n) for n in range(1, len(rarest) + 1))
    return [
        min(1, sum(rarity[each] for each in asked.keys() & document) * share(len(document)) / most)
        for document in documents
    ]


@given(TASKS, st.lists(TASKS, min_size=1, max_size=8, unique=True))
def test_the_lexical_signal_is_bm25_over_the_most_a_text_could_score(query: str, texts: list[str]) -> None:
    index = index_of([Attempt(number, text) for number, text in enumerate(texts)])
    expected = reference_lexical(query, texts)
    for hit in recall(index, query, weights=LEXICAL_ONLY):
        assert hit.reasons == [("lexical", hit.score, 1.0)]
        assert hit.score == pytest.approx(0.8 * expected[int.from_bytes(hit.id, "big")], abs=1e-5)


@settings(max_examples=60)
@given(st.lists(ATTEMPTS, max_size=25), st.lists(st.integers(0, 30), max_size=15), TASKS)
def test_an_index_after_updates_and_removals_is_one_built_afresh(
    attempts: list[Attempt], gone: list[int], query: str
) -> None:
    index = index_of(attempts)
    left = {attempt.id: attempt for attempt in attempts}
    for sequence, number in enumerate(gone, len(attempts) + 1):
        attempt = Attempt(number, "")
        index.apply([removal(sequence, attempt)])
        left.pop(attempt.id, None)
    fresh = index_of(sorted(left.values(), key=lambda attempt: attempt.total))
    assert len(index) == len(fresh) == len(left)
    asked = {"domain": "air", "tags": ["fast"], "tools": ["get", "set"]}
    for namespace in ("default", "other"):
        found = recall(index, query, namespace=namespace, **asked)
        assert rows(found) == rows(recall(fresh, query, namespace=namespace, **asked))
        assert all(left[hit.id].namespace == namespace for hit in found)
        for domain in ("retail", "air"):
            assert index.medians(namespace, domain) == fresh.medians(namespace, domain)
            assert index.percentile(namespace, domain, 1.0) == fresh.percentile(namespace, domain, 1.0)


@given(st.lists(ATTEMPTS, max_size=12, unique_by=lambda attempt: attempt.number), TASKS)
def test_the_score_is_what_the_reasons_say_and_hits_are_in_its_order(
    attempts: list[Attempt], query: str
) -> None:
    hits = recall(index_of(attempts), query, domain="air", tools=["get"], diversity=0.3)
    for hit in hits:
        assert hit.score == pytest.approx(sum(value * weight for _, value, weight in hit.reasons))
        assert sum(weight for _, _, weight in hit.reasons) == pytest.approx(1)
        assert all(0 <= value <= 1 for _, value, _ in hit.reasons)
    assert all((-a.score, a.id) <= (-b.score, b.id) for a, b in pairwise(hits))


def test_renumbering_after_many_removals_changes_nothing() -> None:
    attempts = [Attempt(number, f"cancel order {number}", domain=f"d{number % 3}") for number in range(400)]
    index = index_of(attempts)
    index.apply([removal(1_000 + attempt.number, attempt) for attempt in attempts[:300]])
    fresh = index_of(attempts[300:])
    for task in ("cancel order 350", "order 310"):
        assert rows(recall(index, task, domain="d1")) == rows(recall(fresh, task, domain="d1"))
    assert index.sequence == 1_299


def test_equal_scores_are_ordered_by_id() -> None:
    attempts = [Attempt(number, "cancel the order", task_key=str(number)) for number in (5, 3, 9, 1)]
    hits = recall(index_of(attempts), "cancel the order")
    assert [int.from_bytes(hit.id, "big") for hit in hits] == [1, 3, 5, 9]


def test_several_attempts_at_one_task_give_as_many_hits_as_asked_for() -> None:
    attempts = [Attempt(number, "cancel the order", task_key="t") for number in range(4)]
    attempts.append(Attempt(9, "cancel the flight"))
    index = index_of(attempts)
    assert len(recall(index, "cancel")) == 2
    assert len(recall(index, "cancel", per_task=3)) == 4


def test_without_a_vector_the_signal_is_missing_and_said_to_be() -> None:
    index = index_of([Attempt(1, "cancel the order")])
    hits, missing, _ = index.recall("cancel", now=NOW, limit=5)
    assert missing == ["vector"]
    assert [signal for signal, _, _ in hits[0].reasons] == ["lexical", "outcome"]


def test_a_misspelt_task_is_found_by_parts_of_its_words() -> None:
    index = index_of([Attempt(1, "cancellation policy"), Attempt(2, "mug on the shelf")])
    assert recall(index, "cancelation polcy")[0].id == Attempt(1, "").id


@given(st.lists(st.floats(0, 4), max_size=40), st.floats(0, 4))
def test_percentile_is_the_mid_rank_once_twenty_episodes_are_there(totals: list[float], total: float) -> None:
    index = index_of([Attempt(number, "t", total=each) for number, each in enumerate(totals)])
    expected = total / (1 + total)
    if len(totals) >= 20:
        below, equal = sum(each < total for each in totals), sum(each == total for each in totals)
        expected = (below + equal / 2) / len(totals)
    assert index.percentile("default", "general", total) == pytest.approx(expected)
    assert index.percentile("elsewhere", "general", total) == total / (1 + total)


def test_medians_are_those_of_the_successes() -> None:
    attempts = [
        Attempt(1, "t", seconds=10, tools=("get",) * 2, failed=1),
        Attempt(2, "t", seconds=30, tools=("get",) * 4),
        Attempt(3, "t", seconds=999, tools=("get",) * 9, base=0.0),
    ]
    index = index_of(attempts)
    assert index.medians("default", "general") == (20.0, 3.0, 0.25, 3)
    assert index.medians("default", "unheard of") == (None, None, None, 0)


def test_attempts_are_found_by_their_task_key() -> None:
    failed = Attempt(2, "a", task_key="t", base=0.0, tools=("get", "get"))
    index = index_of([failed, Attempt(1, "b", task_key="t"), Attempt(3, "t")])
    assert index.attempts("default", "t") == [(1.0, []), (0.0, ["get", "get"])]
    assert index.by_task_key("default", "t") == [(Attempt(1, "").id, 1.0), (failed.id, 0.0)]
    assert index.attempts("other", "t") == []


def fact(pattern: bytes, occurrences: int, successes: float, kind: int = 0) -> bytes:
    return pattern + struct.pack("<BHd", kind, occurrences, successes)


PATTERNS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=4, unique_by=lambda fact: fact[0]
)


@st.composite
def taught(draw: st.DrawFn) -> Attempt:
    attempt = draw(ATTEMPTS)
    facts = [fact(bytes([number]) * 16, many, many * attempt.base, kind=1) for number, many in draw(PATTERNS)]
    return replace(attempt, facts=b"".join(facts))


def evidence(index: Index) -> list[tuple[object, ...]]:
    rows = [row for namespace in ("default", "other") for row in index.patterns(namespace)]
    return [(row.id, row.trials, row.successes, row.episodes, row.mean, row.low, row.domains) for row in rows]


@settings(max_examples=60)
@given(st.lists(taught(), max_size=15), st.lists(st.integers(0, 30), max_size=8), TASKS)
def test_evidence_after_updates_and_removals_is_that_of_the_episodes_left(
    attempts: list[Attempt], gone: list[int], query: str
) -> None:
    index = index_of(attempts)
    left = {attempt.id: attempt for attempt in attempts}
    for sequence, number in enumerate(gone, len(attempts) + 1):
        index.apply([removal(sequence, Attempt(number, ""))])
        left.pop(Attempt(number, "").id, None)
    fresh = index_of(list(left.values()))
    assert evidence(index) == evidence(fresh)
    assert rows(recall(index, query)) == rows(recall(fresh, query))


def test_patterns_are_known_by_their_facts() -> None:
    seen, new = fact(b"a" * 16, 2, 1.0), fact(b"b" * 16, 1, 1.0)
    index = index_of([Attempt(1, "t", facts=seen)])
    assert index.unseen("default", seen + new) == [b"b" * 16]
    assert index.novelty("default", seen + new) == 0.5
    assert index.novelty("other", seen + new) == 1.0
    assert index.knows("default", b"a" * 16)
    assert [(row.id, row.trials, row.successes) for row in index.patterns("default")] == [(b"a" * 16, 2, 1.0)]
    assert index.patterns("default", domain="elsewhere") == []


def test_an_approach_counts_the_episodes_that_took_it() -> None:
    approach = fact(b"c" * 16, 1, 1.0, kind=3)
    index = index_of([Attempt(1, "t", facts=approach), Attempt(2, "u", facts=approach)])
    assert index.approach("default", approach) == (2, 2.0)
    assert index.approach("other", approach) == (0, 0.0)


def test_the_patterns_behind_the_nearest_are_those_that_work_and_those_that_are_worse_than_others() -> None:
    good, bad, common = fact(b"g" * 16, 1, 1.0), fact(b"b" * 16, 1, 0.0), fact(b"c" * 16, 1, 0.0)
    attempts = [Attempt(number, f"cancel {number}", facts=good + common) for number in range(6)]
    attempts += [Attempt(number, f"cancel {number}", base=0.0, facts=bad + common) for number in range(6, 14)]
    index = index_of(attempts)
    nearest = [(attempt.id, 0.5) for attempt in attempts]
    work, fail = index.supporting_patterns("default", nearest)
    assert ([row.id for row in work], [row.id for row in fail]) == ([b"g" * 16], [b"b" * 16])
    assert index.supporting_patterns("other", nearest) == ([], [])


def test_ways_out_of_an_error_are_ranked_by_how_well_they_are_proven() -> None:
    attempts = [
        Attempt(1, "t", tools=("select", "show"), failed=1, error="no such table"),
        Attempt(2, "t", tools=("select", "select"), failed=1, error="no such table"),
        Attempt(3, "t", tools=("select",), failed=1, error="no such table"),
    ]
    found = [error_recoveries(Trajectory(attempt.payload()), limit=32) for attempt in attempts]
    learned = [replace(attempt, facts=each.facts()) for attempt, each in zip(attempts, found, strict=True)]
    ranked = index_of(learned).recoveries("default", "select", "no such table")
    assert [(next_tool, row.trials, row.successes) for next_tool, row in ranked] == [
        ("select", 1, 1.0),
        ("show", 1, 1.0),
        ("<gave up>", 1, 0.0),
    ]


def test_the_best_recovery_is_the_one_whose_lower_bound_is_above_a_half() -> None:
    attempts = [
        Attempt(
            number, "t", tools=("select", "show" if number < 9 else "wait"), failed=1, error="no such table"
        )
        for number in range(1, 11)
    ]
    found = [error_recoveries(Trajectory(attempt.payload()), limit=32) for attempt in attempts]
    learned = [replace(attempt, facts=each.facts()) for attempt, each in zip(attempts, found, strict=True)]
    errors = [("select", "no such table"), ("select", "another"), ("other", "no such table")]
    assert index_of(learned).best_recoveries("default", errors) == [("show", 8.0, 8), None, None]
    assert index_of(learned[8:]).best_recoveries("default", errors[:1]) == [None]


def test_evidence_judges_an_episode_by_its_patterns() -> None:
    proven = Attempt(1, "cancel it", facts=fact(b"g" * 16, 3, 3.0))
    failing = Attempt(2, "cancel me", facts=fact(b"b" * 16, 3, 0.0))
    hits = recall(index_of([proven, failing]), "cancel", weights=[1, 0, 0, 0, 0, 1, 0, 0])
    values = {hit.id: dict((signal, value) for signal, value, _ in hit.reasons)["evidence"] for hit in hits}
    assert values[proven.id] == pytest.approx(3.5 / 4)
    assert values[failing.id] == pytest.approx(0.5 / 4)


def test_what_came_next_in_the_nearest_runs_is_proposed() -> None:
    attempts = [
        Attempt(1, "cancel", tools=("get", "set")),
        Attempt(2, "cancel", tools=("get", "set", "stop")),
    ]
    index = index_of(attempts)
    steps = index.next_steps(["get", "set"], index.similar("cancel", limit=5))
    assert {step.tool for step in steps[:2]} == {None, "stop"}
    assert (steps[0].seen, steps[0].of, steps[0].context) == (1, 2, 2)
    assert sum(step.share for step in steps) == pytest.approx(1)


def test_one_answer_holds_what_the_calls_one_by_one_give() -> None:
    attempts = [
        Attempt(
            number,
            f"cancel order {number % 7}",
            task_key=f"t{number % 7}",
            tools=("get", "set", "stop")[: 1 + number % 3],
            base=float(number % 3 > 0),
            domain=("retail", "airline")[number % 2],
            facts=fact(bytes([65 + number % 4]) * 16, 1, float(number % 3 > 0)),
        )
        for number in range(1, 60)
    ]
    index = index_of(attempts)
    asked: dict[str, Any] = {
        "now": NOW,
        "limit": 4,
        "neighbours": 30,
        "candidates": 50,
        "namespace": "default",
        "vector": EMBEDDER.embed_packed(["cancel order 3"])[0],
        "domain": "retail",
        "language": None,
        "tags": (),
        "tools": ("get",),
        "half_life_s": 86_400.0,
        "weights": None,
        "per_copy": 2,
        "diversity": 0.0,
        "decay_s": None,
    }
    more: dict[str, Any] = {"patterns": 3, "pitfalls": 2, "next_steps": 2, "successes": 2}
    for floor, decay_s in ((0.0, None), (0.0, 3600.0), (0.9, None)):
        asked["decay_s"] = decay_s
        hits, missing, nearest = index.recall("cancel order 3", **asked)
        hits = [hit for hit in hits if hit.is_comparable(floor)]
        behind = index.supporting_patterns(
            "default", nearest, patterns=3, pitfalls=2, now=NOW, half_life_s=decay_s
        )
        answer = index.answer("cancel order 3", **asked, relevance_floor=floor, **more)
        assert [(hit.id, hit.score, hit.reasons) for hit, _ in answer[0]] == [
            (hit.id, hit.score, hit.reasons) for hit in hits
        ]
        tried = index.task_attempts("default", [hit.id for hit in hits], 2)
        assert hits
        assert [each for _, each in answer[0]] == tried
        assert answer[1] == missing
        for shown, expected in zip((answer[2], answer[3]), behind, strict=True):
            rows = [(row.id, row.trials, row.mean, row.low, row.high, row.odds) for row in expected]
            evidence = [(row.id, row.trials, row.mean, row.low, row.high, row.odds) for row, _ in shown]
            assert evidence == rows
            assert [used for _, used in shown] == index.usages("default", [row.id for row in expected])
        assert answer[2]
        expected_steps = index.next_steps(["get"], nearest)[:2]
        assert [(step.tool, step.share, step.seen) for step in answer[4]] == [
            (step.tool, step.share, step.seen) for step in expected_steps
        ]


def test_an_answer_without_a_comparable_episode_is_empty() -> None:
    index = index_of([Attempt(1, "cancel it", tools=("get",), facts=fact(b"g" * 16, 3, 3.0))])
    answer = index.answer(
        "water the fern",
        now=NOW,
        limit=4,
        neighbours=30,
        candidates=50,
        namespace="default",
        vector=None,
        domain="garden",
        language=None,
        tags=(),
        tools=(),
        half_life_s=None,
        weights=None,
        per_copy=2,
        diversity=0.0,
        decay_s=None,
        relevance_floor=0.5,
        patterns=3,
        pitfalls=3,
        next_steps=3,
        successes=3,
    )
    assert answer == ([], ["vector"], [], [], [])


def test_only_successes_are_similar_where_that_is_asked() -> None:
    index = index_of([Attempt(1, "cancel", base=0.0), Attempt(2, "cancel it")])
    assert [id for id, _ in index.similar("cancel", limit=5, successes_only=True)] == [Attempt(2, "").id]


def test_an_episode_that_is_not_learned_from_is_not_found() -> None:
    index = index_of([Attempt(1, "cancel", state="pending")])
    assert len(index) == 0


def test_a_row_that_cannot_be_read_is_named_and_nothing_is_applied() -> None:
    index = index_of([])
    whole, broken = Attempt(1, "cancel").change(1), Attempt(2, "cancel").change(2)
    object.__setattr__(broken.record, "payload", b"\xc1")
    with pytest.raises(CorruptRecordError, match=Attempt(2, "").id.hex()):
        index.apply([whole, broken])
    assert (len(index), index.sequence) == (0, 0)


def test_bad_arguments_are_refused_by_name() -> None:
    index = index_of([])
    with pytest.raises(ValidationError, match="vector"):
        index.recall("t", now=NOW, limit=5, vector=np.zeros(3, "<f4").tobytes())
    with pytest.raises(ValidationError, match="vector"):
        index.recall("t", now=NOW, limit=5, vector=np.full(64, np.nan, "<f4").tobytes())
    with pytest.raises(ValidationError, match="weights"):
        index.recall("t", now=NOW, limit=5, weights=[-1, 0, 0, 0, 0, 0, 0, 0])
    with pytest.raises(ValidationError, match="dimension"):
        Index("hashed", 0)


def noted(sequence: int, kind: SideRecordKind, id: int, **record: Any) -> Change:
    note = SideRecord(kind, id.to_bytes(16), "default", msgspec.msgpack.encode(record))
    return Change(sequence, "side_record", None, note.id, note)


def used(*uses: tuple[bytes, float, float]) -> bytes:
    return b"".join(struct.pack("<16sdd", *use) for use in uses)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(0, 1), st.floats(0, 1), st.booleans()),
        max_size=20,
    )
)
def test_usages_are_those_of_the_notes_that_stand_last(
    told: list[tuple[int, int, float, float, bool]],
) -> None:
    index, memories = Index("hashed-64-v1", 64), [bytes([7, number]) * 8 for number in range(3)]
    receipts: dict[int, int] = {}
    credits: dict[int, tuple[int, float, float]] = {}
    for sequence, (id, memory, weight, helped, is_credit) in enumerate(told, 1):
        if is_credit:
            change = noted(sequence, "credit", id, uses=used((memories[memory], weight, helped)))
            credits[id] = memory, weight, helped
        else:
            change = noted(sequence, "receipt", id, episode=bytes(16), items=memories[memory])
            receipts[id] = memory
        index.apply([change])
    for number, row in enumerate(index.usages("default", memories)):
        retrieved = sum(memory == number for memory in receipts.values())
        own = [(weight, helped) for memory, weight, helped in credits.values() if memory == number]
        if row is None:
            assert (retrieved, own) == (0, [])
            continue
        assert row[:2] == (retrieved, len(own))
        trials, successes = sum(w for w, _ in own), sum(w * helped for w, helped in own)
        assert row[3] == pytest.approx((successes + 0.5) / (trials + 1.0), abs=1e-5)
        assert 0.0 <= row[4] <= row[3] <= row[5] <= 1.0
    assert index.usages("other", memories) == [None] * 3


def test_what_is_expected_is_drawn_from_the_namespace_to_the_domain() -> None:
    attempts = [Attempt(number, "t", domain="retail", base=float(number < 3)) for number in range(4)]
    attempts += [Attempt(number, "t", domain="airline", base=0.0) for number in range(4, 8)]
    index, m = index_of(attempts), 5.0

    def drawn(before: float, outcomes: float, episodes: int) -> float:
        return (outcomes + m * before) / (episodes + m)

    namespace = drawn(0.5, 3.0, 8)
    domain = drawn(namespace, 3.0, 4)
    asked: dict[str, Any] = {"domain": "retail", "agent": None, "strength": m}
    assert index.expected("default", complexity="simple", **asked) == pytest.approx(domain)
    narrower = drawn(drawn(domain, 3.0, 4), 3.0, 4)
    assert index.expected("default", complexity="unknown", **asked) == pytest.approx(narrower)
    assert index.expected("other", complexity="unknown", **asked) == 0.5


def test_a_note_that_cannot_be_read_is_named_and_nothing_is_applied() -> None:
    index = index_of([])
    broken = noted(2, "credit", 9, uses=b"short")
    with pytest.raises(CorruptRecordError, match=r"note 0+9: "):
        index.apply([Attempt(1, "t").change(1), broken])
    assert (len(index), index.sequence) == (0, 0)


MERGEABLE = [bytes([number]) * 16 for number in range(1, 7)]
TAUGHT = st.lists(
    st.builds(
        lambda number, base, ended_at, shown: Attempt(
            number,
            "cancel it",
            base=base,
            ended_at=NOW + ended_at,
            facts=b"".join(fact(MERGEABLE[at], 1, base) for at in sorted(shown)),
        ),
        st.integers(0, 30),
        st.sampled_from([1.0, 0.0]),
        st.integers(0, 10**13),
        st.sets(st.integers(0, 5), max_size=4),
    ),
    max_size=12,
    unique_by=lambda attempt: attempt.number,
)
PAIRS = st.dictionaries(st.sampled_from(MERGEABLE[:4]), st.sampled_from(MERGEABLE[2:]), max_size=3).map(
    lambda pairs: [(merged, survivor) for merged, survivor in pairs.items() if merged != survivor]
)


def said(index: Index) -> list[tuple[object, ...]]:
    found = index.patterns("default", limit=100)
    return [
        (row.id, row.trials, row.successes, row.mean, row.last_seen, row.odds, row.domains)
        for row in sorted(found, key=lambda row: row.id)
    ]


@given(TAUGHT, PAIRS, PAIRS, st.booleans())
def test_a_merge_counts_as_if_it_had_stood_from_the_start(
    attempts: list[Attempt], before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]], adds: bool
) -> None:
    index = index_of(attempts)
    index.merge("default", before)
    if adds:
        after = list((dict(before) | dict(after)).items())
    index.merge("default", after)
    fresh = Index(EMBEDDER.name, EMBEDDER.dimension)
    fresh.merge("default", after)
    fresh.apply([attempt.change(sequence) for sequence, attempt in enumerate(attempts, 1)])
    assert said(index) == said(fresh)
    assert rows(recall(index, "cancel it")) == rows(recall(fresh, "cancel it"))


@given(TAUGHT, PAIRS, TAUGHT)
def test_a_private_copy_and_its_index_change_each_for_itself(
    attempts: list[Attempt], pairs: list[tuple[bytes, bytes]], later: list[Attempt]
) -> None:
    index = index_of(attempts)
    expected, hits = said(index), rows(recall(index, "cancel it"))
    copy = index.private_copy("default")
    copy.merge("default", pairs)
    copy.apply([attempt.change(sequence) for sequence, attempt in enumerate(later, 100)])
    assert (said(index), rows(recall(index, "cancel it"))) == (expected, hits)
    kept, kept_hits = said(copy), rows(recall(copy, "cancel it"))
    index.apply([removal(200 + attempt.number, attempt) for attempt in attempts])
    assert (said(copy), rows(recall(copy, "cancel it"))) == (kept, kept_hits)
    assert said(index) == []


def test_a_private_copy_answers_all_that_its_index_does() -> None:
    index = index_of(
        [Attempt(1, "cancel it", tools=("get", "stop"), task_key="t", facts=fact(b"g" * 16, 1, 1.0))]
    )
    copy = index.private_copy("default")
    assert (len(copy), copy.sequence, copy.digest("default")) == (1, index.sequence, index.digest("default"))
    assert copy.attempts("default", "t") == index.attempts("default", "t")
    assert copy.medians("default", "general") == index.medians("default", "general")
    assert copy.plan_similarities(["get"], [bytes(15) + b"\1"]) == index.plan_similarities(
        ["get"], [bytes(15) + b"\1"]
    )
    assert copy.choices("default").names == index.choices("default").names
    assert said(index.private_copy("nowhere")) == []
