"""The growing record: a logged value comes back as it was, or is refused by name."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit._native import RecordBuilder, encode_json, extend_record, new_id
from tacit.errors import TooLargeError, ValidationError
from tacit.model.episode import Episode

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def opened(**limits: int) -> RecordBuilder:
    return RecordBuilder(
        {"task": "do it"}, **{"max_steps": 3, "max_bytes": 10_000, "max_observation": 100, **limits}
    )


def decoded(episode: RecordBuilder) -> Episode:
    return msgspec.msgpack.decode(episode.record({}), type=Episode)


@given(json_values, json_values)
def test_json_values_come_back_as_they_were(parameters: Any, output: Any) -> None:
    episode = opened(max_bytes=10_000_000, max_observation=1_000_000)
    episode.log(1, "look", None, parameters, output)
    step = decoded(episode).steps[0]
    assert repr((step.parameters, step.output)) == repr((parameters, output))
    assert step.status == "ok"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (math.nan, "must be finite; got NaN"),
        (math.inf, "must be finite; got inf"),
        ("\ud800", "a lone surrogate"),
        ({"\ud800": 1}, "a lone surrogate"),
        (2**64, "at most 64 bits"),
        ({1: 2}, "text keys"),
        ((1, 2), "must be a JSON value"),
        (b"bytes", "must be a JSON value"),
        ({"a": [{"b": object()}]}, r"parameters\.a\[0\]\.b must be a JSON value"),
    ],
)
def test_what_is_no_json_value_is_refused_and_changes_nothing(value: Any, complaint: str) -> None:
    episode = opened()
    before = episode.record({})
    with pytest.raises(ValidationError, match=complaint):
        episode.log(1, "look", None, value)
    assert episode.record({}) == before


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_values_nest_at_most_128_deep() -> None:
    episode = opened(max_bytes=10_000)
    episode.log(1, "look", None, nested(128))
    assert decoded(episode).steps[0].parameters == nested(128)
    with pytest.raises(ValidationError, match="at most 128 deep"):
        episode.log(1, "look", None, nested(129))


def test_a_value_that_contains_itself_is_too_deep() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValidationError, match="at most 128 deep"):
        opened().log(1, "look", None, loop)


def test_limits_are_named_with_the_size_that_was_given() -> None:
    episode = opened()
    with pytest.raises(TooLargeError, match="output must be at most 100 characters; got 101"):
        episode.log(1, "look", output="é" * 101)
    with pytest.raises(TooLargeError, match="error must be at most 100 characters; got 101"):
        episode.log(1, "look", error="x" * 101)
    with pytest.raises(TooLargeError, match="output must be at most 100 bytes; got"):
        episode.log(1, "look", output=["x" * 50, "y" * 60])
    with pytest.raises(TooLargeError, match="episode must be at most 10000 bytes"):
        episode.log(1, "look", None, {"a": "x" * 10_000})
    assert len(episode) == 0
    for _ in range(3):
        episode.log(1, "look", output="é" * 100)
    with pytest.raises(TooLargeError, match="steps must be at most 3 steps an episode; got 4"):
        episode.log(1, "look")


def test_an_observation_is_cut_only_where_that_was_asked_for() -> None:
    episode = opened()
    episode.log(1, "look", output="é" * 101, truncate=True)
    assert decoded(episode).steps[0].output == "é" * 100


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"output": None}, "ok"),
        ({"output": "x"}, "ok"),
        ({"output": ...}, None),
        ({"output": ..., "error": "no"}, "error"),
        ({"output": "partly", "error": "no"}, "error"),
        ({"output": ..., "timed_out": True}, "timeout"),
        ({"output": ..., "timed_out": True, "error": "after 3 s"}, "timeout"),
    ],
)
def test_the_status_is_what_the_result_says(result: dict[str, Any], status: str | None) -> None:
    episode = opened()
    episode.log(7, "look", **result)
    step = decoded(episode).steps[0]
    assert (step.status, step.number, step.at) == (status, 1, 7)
    assert step.error == result.get("error")


@pytest.mark.parametrize("latency", [math.nan, -1.0, math.inf])
def test_a_latency_is_finite_and_not_negative(latency: float) -> None:
    with pytest.raises(ValidationError, match="latency_ms"):
        opened().log(1, "look", latency_ms=latency)


def test_a_tool_has_a_name() -> None:
    with pytest.raises(ValidationError, match="tool must not be empty"):
        opened().log(1, "")


def test_a_record_is_extended_by_the_entries_of_a_map() -> None:
    record = extend_record(opened().record({}), msgspec.msgpack.encode({"agent": "x"}))
    assert msgspec.msgpack.decode(record, type=Episode).agent == "x"
    with pytest.raises(ValidationError, match="record"):
        extend_record(b"\x80", b"\x80")


@given(st.dictionaries(st.text(), st.integers(0, 9), max_size=6))
def test_equal_values_have_equal_bytes(value: dict[str, int]) -> None:
    backwards = dict(reversed(value.items()))
    assert encode_json(value, "value") == encode_json(backwards, "value")
    assert msgspec.msgpack.decode(encode_json(value, "value")) == value


def test_ids_grow_with_time() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert ids == sorted(set(ids))
