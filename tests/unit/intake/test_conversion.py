"""Any value that a tool returns can be recorded, and what was changed on the way is said."""

from __future__ import annotations

import enum
import json
import math
import uuid
from collections import OrderedDict, deque, namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.intake.conversion import cut_middle, fit_to, to_json_value
from tacit.intake.step_conversion import microseconds


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: int
    tags: tuple[str, ...]


class Struct(msgspec.Struct):
    a: int


class Model:
    """Has the one attribute by which a pydantic model is known."""

    model_fields = {"name": None}  # noqa: RUF012

    def __init__(self) -> None:
        self.name = "Ada"


Pair = namedtuple("Pair", "left right")


class Explosive:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class ExplosiveMapping(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no")


def endless() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Point(1, ("a",)), {"x": 1, "tags": ["a"]}),
        (Pair(1, 2), {"left": 1, "right": 2}),
        (Struct(1), {"a": 1}),
        (Model(), {"name": "Ada"}),
        (OrderedDict(b=1), {"b": 1}),
        ({1: "x", Colour.RED: 2}, {"1": "x", "red": 2}),
        ((1, (2, 3)), [1, [2, 3]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset(), []),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (np.arange(3), [0, 1, 2]),
        (np.float32(0.5), 0.5),
        (np.zeros((2, 1)), [[0.0], [0.0]]),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (PurePosixPath("/a/b"), "/a/b"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (b"ab", "YWI="),
        (ValueError("bad"), "ValueError: bad"),
        (2**70, str(2**70)),
    ],
)
def test_a_value_of_another_type_keeps_its_content_and_names_the_change(
    value: object, expected: object
) -> None:
    converted = to_json_value({"value": value})
    assert converted.value == {"value": expected}
    assert converted.altered
    assert not converted.is_lossy


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        "a\ud800b",
        Explosive(),
        ExplosiveMapping(a=1),
        object(),
        endless(),
        {1: "a", "1": "b"},
    ],
)
def test_a_loss_is_said(value: object) -> None:
    converted = to_json_value([value])
    assert converted.is_lossy
    assert converted.altered
    json.dumps(converted.value, allow_nan=False).encode()


def test_a_json_value_comes_back_as_it_is() -> None:
    value = {"a": [1, 2.5, None, True, "x"], "b": {}}
    converted = to_json_value(value)
    assert (converted.value, converted.altered, converted.is_lossy) == (value, (), False)


def test_a_value_that_contains_itself_ends() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert to_json_value(loop).value == ["<list again>"]
    twin = [1]
    assert to_json_value([twin, twin]).value == [[1], [1]], "the same value twice is no cycle"


def test_deep_nesting_becomes_text_within_the_depth_of_a_record() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    value, depth = to_json_value(deep).value, 0
    while isinstance(value, list):
        value, depth = value[0], depth + 1
    assert depth <= 128


def test_a_converter_of_the_caller_is_asked_first() -> None:
    def to_json(value: object) -> object:
        return {"point": value.x} if isinstance(value, Point) else NotImplemented

    assert to_json_value([Point(1, ()), Colour.RED], to_json).value == [{"point": 1}, "red"]


def test_a_converter_that_raises_costs_its_value_alone() -> None:
    def to_json(value: object) -> object:
        raise RuntimeError("no")

    converted = to_json_value({"a": 1, "b": Colour.RED}, to_json)
    assert converted.value == {"a": 1, "b": "Colour"}
    assert converted.is_lossy


def test_the_visited_parts_of_a_value_are_bounded() -> None:
    shared: list[object] = [0]
    for _ in range(60):
        shared = [shared, shared]
    assert to_json_value(shared).is_lossy


@given(st.text(), st.integers(1, 200))
def test_a_cut_text_stays_within_its_limit(text: str, limit: int) -> None:
    cut = cut_middle(text, limit)
    assert len(cut) <= limit
    assert (cut == text) == (len(text) <= limit)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON, st.integers(10, 500))
def test_a_fitted_value_stays_within_its_limit(value: Any, limit: int) -> None:
    fitted = fit_to(value, limit)
    size = len(fitted) if isinstance(fitted, str) else len(msgspec.json.encode(fitted))
    assert size <= limit
    if not isinstance(value, str) and len(msgspec.json.encode(value)) <= limit:
        assert fitted == value


def test_long_texts_are_cut_before_lists() -> None:
    fitted = fit_to({"page": "x" * 20_000, "rows": list(range(50))}, 10_000)
    assert isinstance(fitted, dict)
    assert fitted["rows"] == list(range(50))
    assert "characters cut" in str(fitted["page"])


def test_a_value_of_a_derived_type_becomes_plain_and_says_so() -> None:
    class Count(int):
        pass

    class Name(str):
        __slots__ = ()

    converted = to_json_value([Count(3), Name("a")])
    assert converted.value == [3, "a"]
    assert [type(each) for each in converted.value] == [int, str]
    assert "Count became int" in " ".join(converted.altered)
    assert "Name became str" in " ".join(converted.altered)


@pytest.mark.parametrize("limit", [50, 51])
def test_a_cut_text_keeps_as_much_of_its_head_as_of_its_tail(limit: int) -> None:
    cut = cut_middle("a" * 50 + "z" * 50, limit)
    assert len(cut) == limit
    assert cut.count("z") <= cut.split(" [...")[0].count("a") <= cut.count("z") + 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, 5), (True, None), ("5", None), (None, None), (datetime(1970, 1, 1, 0, 0, 1), None)],
)
def test_a_time_is_a_whole_number_or_an_aware_datetime(value: object, expected: int | None) -> None:
    assert microseconds("at", value) == expected
    assert microseconds("at", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000_000


def test_another_type_called_decimal_is_none() -> None:
    class Decimal:
        def __repr__(self) -> str:
            return "a repr"

        def __str__(self) -> str:
            return "a text"

    assert to_json_value(Decimal()).value == "a repr"
