from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tacit.importers.json_values import JsonText, json_texts

TEXTS = st.text(alphabet='ab"\\{}[]:, \n', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


class Chunks:
    """A stream that gives `size` bytes at a time, whatever is asked for, and counts what it gave."""

    def __init__(self, content: bytes, size: int) -> None:
        self.stream, self.size, self.given = io.BytesIO(content), size, 0

    def read(self, size: int) -> bytes:
        chunk = self.stream.read(min(size, self.size))
        self.given += len(chunk)
        return chunk


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@given(st.lists(VALUES, max_size=3), st.integers(1, 9), st.sampled_from([None, 1]))
def test_values_are_those_that_were_written_however_they_arrive(
    values: list[Any], size: int, indent: int | None
) -> None:
    text = "\n".join(json.dumps(value, indent=indent) for value in values).encode()
    read = [json.loads(each.content or b"") for each in json_texts(Chunks(text, size).read, limit=10**6)]
    assert read == [item for value in values for item in items(value)]


@given(st.dictionaries(st.text(alphabet="abc", max_size=3), VALUES, max_size=4), st.integers(1, 9))
def test_an_opened_object_gives_its_members_and_the_items_of_their_lists(
    value: dict[str, Any], size: int
) -> None:
    texts = json_texts(Chunks(json.dumps(value).encode(), size).read, limit=10**6, opens_objects=True)
    read = [(each.key, json.loads(each.content or b"")) for each in texts]
    assert read == [(key, item) for key, member in value.items() for item in items(member)]


@given(st.binary(max_size=60), st.integers(1, 7), st.booleans())
def test_any_bytes_come_to_an_end(content: bytes, size: int, opens_objects: bool) -> None:
    source = Chunks(content, size)
    texts = list(json_texts(source.read, limit=20, opens_objects=opens_objects))
    assert source.given == len(content)
    assert len(texts) <= len(content)


def test_a_value_beyond_the_limit_is_skipped_without_being_held() -> None:
    content = b'{"a": "' + b"x" * 3_000_000 + b'"}\n{"b": 1}\n"' + b'\\"' * 1_000_000 + b'"\n3'
    texts = list(json_texts(io.BytesIO(content).read, limit=1_000))
    assert texts == [
        JsonText(1, None, None),
        JsonText(2, None, b'{"b": 1}'),
        JsonText(3, None, None),
        JsonText(4, None, b"3"),
    ]


def test_each_byte_is_looked_at_once() -> None:
    """The marks of a splitter never move back: a deep or long value costs as much a byte as a short one."""
    import sys

    def steps_for(content: bytes) -> int:
        calls = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            list(json_texts(Chunks(content, 64).read, limit=10**9))
        finally:
            sys.setprofile(None)
        return calls

    for shape in (b'{"a":', b'["', b'"\\"'):
        assert steps_for(shape * 8_000) <= 12 * steps_for(shape * 1_000)
