"""Arguments that no caller means: sizes without measure, and values whose own code raises."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tacit._native import CircuitBreaker, Finding, Findings, RecordBuilder, encode_json
from tacit.errors import ValidationError

# Each call is made with every one of its sizes replaced by each of these, in a process of 2 GiB.
SIZES = "(0, 1, 1_000_000, 2**31, 4_000_000_000, 2**62, 2**63 - 1, 2**64 - 1, 2**70, -1)"
CALLS = """
CircuitBreaker(failures_to_open={n}).admit()
CircuitBreaker(window_calls={n}).admit()
CircuitBreaker(minimum_calls={n}, window_calls=5).admit()
CircuitBreaker(probes={n}).admit()
CircuitBreaker(probes_to_close={n}).admit()
CircuitBreaker(window_s=float({n})).admit()
CircuitBreaker(open_for_s=float({n}), longest_open_s=float({n})).admit()
Backoff(tries={n}).wait()
Backoff(first_s=float({n}), longest_s=float({n})).wait()
RetryBudget(reserve={n}).spend()
Lru(entries={n}).insert(b"a", b"b")
Lru(bytes={n}).insert(b"a", b"b")
Lru(ttl_s=float({n}), cleanup_every_s=float({n})).insert(b"a", b"b")
HashedEmbedder(dimension={n}).embed_packed(["a b"])
Index("e", {n})
RecordBuilder({{}}, max_steps={n}, max_bytes=10_000, max_observation=100).log(1, "t")
RecordBuilder({{}}, max_steps=5, max_bytes={n}, max_observation=100).log(1, "t")
RecordBuilder({{}}, max_steps=5, max_bytes=1_000, max_observation={n}).log(1, "t", output="o", truncate=True)
RecordBuilder({{}}, max_steps=5, max_bytes=1_000, max_observation=9).log({n}, "t", tokens={n})
Finding("kind", {{}}, occurrence={n})
tool_sequences(TRAJECTORY, min_length={n}, max_length=5, max_skipped=1, limit=5)
tool_sequences(TRAJECTORY, min_length=2, max_length={n}, max_skipped=1, limit=5)
tool_sequences(TRAJECTORY, min_length=2, max_length=5, max_skipped={n}, limit=5)
tool_sequences(TRAJECTORY, min_length=2, max_length=5, max_skipped=1, limit={n})
decision_points(TRAJECTORY, limit={n})
error_recoveries(TRAJECTORY, limit={n})
INDEX.recall("cancel", now=5, limit={n})
INDEX.recall("cancel", now=5, limit=5, candidates={n})
INDEX.recall("cancel", now=5, limit=5, neighbours={n})
INDEX.recall("cancel", now=5, limit=5, per_task={n})
INDEX.recall("cancel", now=5, limit={n}, candidates={n}, neighbours={n}, per_task={n}, diversity=0.5)
INDEX.recall("cancel", now={n}, limit=5, half_life_s=1.0)
INDEX.similar("cancel", limit={n})
INDEX.patterns("default", limit={n})
INDEX.patterns("default", offset={n}, limit={n})
INDEX.patterns("default", min_trials={n})
INDEX.patterns("default", now={n}, half_life_s=float({n}))
INDEX.compared("default", min_episodes={n})
INDEX.clusters("default", eps=0.3, min_points={n}, newest=10)
INDEX.clusters("default", eps=0.3, min_points=1, newest={n})
INDEX.clusters("default", eps=0.3, min_points=1, newest=10, groups={n})
INDEX.next_steps(["get"], [(ID, float({n}))])
top_k(VECTOR, MATRIX, k={n})
Quantised(MATRIX).top_k(VECTOR, MATRIX, k={n})
SignBits(MATRIX).top_k(VECTOR, MATRIX, k={n}, finalists=5)
SignBits(MATRIX).top_k(VECTOR, MATRIX, k=2, finalists={n})
kmeans(MATRIX, {n})
kmeans(MATRIX, 2, seed={n})
dbscan(MATRIX, eps=float({n}), min_points=2)
dbscan(MATRIX, eps=0.5, min_points={n})
dbscan_distances(SQUARE, eps=0.5, min_points={n})
dbscan_sequences(SYMBOLS, OFFSETS, eps=0.5, min_points={n})
ngrams(SYMBOLS, OFFSETS, shortest={n}, longest={n})
ngrams(SYMBOLS, OFFSETS, longest={n})
ngrams(SYMBOLS, OFFSETS, min_support={n})
frequent_sequences(SYMBOLS, OFFSETS, min_support={n})
frequent_sequences(SYMBOLS, OFFSETS, min_support=1, shortest={n}, longest={n})
frequent_sequences(SYMBOLS, OFFSETS, min_support=1, gap={n})
diversify(SQUARE[0].astype(np.float64), SQUARE.astype(np.float64), balance=0.5, limit={n})
reciprocal_ranks([SYMBOLS], constant=float({n}))
beta_interval(float({n}), float({n}))
decay(float({n}), float({n}))
""".strip().splitlines()
TABLE = """
import resource
import numpy as np
from tacit._native import *
from tacit import Episode, Outcome, Step
from tacit.errors import TacitError
from tacit.testing.stores import episode_record

resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
ID = b"i" * 16
HEAD = {{"task": "cancel the order", "namespace": "default"}}
EPISODE = RecordBuilder(HEAD, max_steps=9, max_bytes=9_999, max_observation=99)
EPISODE.log(1, "get", output="o")
EPISODE.log(2, "cancel", error="no such order")
TRAJECTORY = Trajectory(EPISODE.record({{}}))
INDEX = Index("e", 8)
VECTOR, MATRIX = np.ones(4, np.float32), np.eye(4, dtype=np.float32)
SQUARE = 1 - np.eye(4, dtype=np.float32)
SYMBOLS, OFFSETS = np.array([1, 2, 1, 2, 3], np.uint64), np.array([0, 2, 5], np.uint64)
for n in {sizes}:
    try:
        {call}
    except (TacitError, OverflowError):
        pass
"""


@pytest.mark.parametrize("call", CALLS)
def test_a_size_without_measure_is_refused_or_answered(call: str) -> None:
    call = call.replace("{n}", "n").replace("{{", "{").replace("}}", "}")
    done = subprocess.run(
        [sys.executable, "-c", TABLE.format(call=call, sizes=SIZES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_window_of_more_calls_than_fit_into_memory_is_refused_by_its_name() -> None:
    with pytest.raises(ValidationError, match="window_calls"):
        CircuitBreaker(window_calls=4_000_000_000)


class Loud(type):
    """A type of which every text raises."""

    def __repr__(cls) -> str:
        raise RuntimeError("repr of the type ran")

    __str__ = __repr__


class Hostile(metaclass=Loud):
    """A value of which every text raises."""

    def __repr__(self) -> str:
        raise RuntimeError("repr ran")

    __str__ = __repr__


class HostileText(str):
    """A text that claims to be another, and raises when it is asked which."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("str ran")


HOSTILE: Any = Hostile()


def open_episode() -> RecordBuilder:
    return RecordBuilder({}, max_steps=9, max_bytes=9_999, max_observation=99)


@pytest.mark.parametrize(
    "use",
    [
        lambda: encode_json({HOSTILE: 1}, "value"),
        lambda: encode_json(HOSTILE, "value"),
        lambda: encode_json([{"a": {HOSTILE: 1}}], "value"),
        lambda: open_episode().log(1, "t", parameters={HOSTILE: 1}),
        lambda: open_episode().log(1, "t", metadata={HOSTILE: 1}),
        lambda: RecordBuilder({HOSTILE: 1}, max_steps=9, max_bytes=99, max_observation=9),
        lambda: open_episode().record({HOSTILE: 1}),
        lambda: Finding("kind", {HOSTILE: 1}),
        lambda: Findings.merge([("a", [HOSTILE])]),
    ],
)
def test_a_value_is_refused_before_its_own_code_runs(use: Any) -> None:
    with pytest.raises(ValidationError, match="Hostile"):
        use()


def test_a_subclass_of_str_is_read_as_the_text_it_holds() -> None:
    key: Any = HostileText("key")
    assert encode_json({key: HostileText("value")}, "value") == encode_json({"key": "value"}, "value")
    open_episode().log(
        1, HostileText("t"), parameters={key: key}, metadata={key: key}, error=HostileText("e")
    )


def test_an_error_inside_a_sorted_map_names_its_place() -> None:
    with pytest.raises(ValidationError, match=r"value\.b\[1\]"):
        encode_json({"b": [1, {2: 3}], "a": 1}, "value")
    with pytest.raises(ValidationError, match="surrogate"):
        encode_json({"\ud800": 1}, "value")
