"""Functions that read an agent's text take time in proportion to it, whatever the text.

Each is timed with a hostile text of n and of 8n bytes. The ratio of the two times may not exceed 12: linear work gives
8, work that grows with the square gives 64. The best of several samples counts, because other processes add time and
never take any away; a ratio above the limit is measured again.
"""

from __future__ import annotations

import timeit
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tacit._native import (
    HashedEmbedder,
    Index,
    RecordBuilder,
    Redactor,
    Trajectory,
    encode_json,
    error_class,
    words,
)

MOST = 12.0
# Characters: eight times as many are more than an observation may have by default, and stay within the caches.
SHORT = 2_000
SAMPLES = 5
SAMPLE_S = 0.0003
TRIES = 4

SHAPES: dict[str, str] = {
    "one letter": "a",
    "words": "order ",
    "quotes in words": "'a",
    "quotes alone": "'",
    "opening quotes": " 'a",
    "three kinds of quotes": "\"'`a",
    "quoted words": "'a' ",
    "escaped quotes": "\\'",
    "colons": "a: ",
    "error labels": "error: ",
    "tracebacks": 'Traceback (most recent call last):\n  File "x.py", line 3\nValueError: x\n',
    "blank lines": "\n",
    "short lines": "a\n",
    "spaces": " ",
    "digits": "17 ",
    "one long number": "7",
    "paths": "/a",
    "dots": "a.",
    "underscores": "a_",
    "camel case": "aB",
    "objects in JSON": '{"error": {"a": 1}, ',
    "objects of Python": "{'error': ",
    "brackets": "[[ ",
    "announcing lines": "Exit code 1\n",
    "traceback headers": "Traceback (most recent call last)",
    "names between colons": "a:b: ",
    "codes": "status=404 ",
    "Japanese quotes": "「a",
    "names in Chinese": "订单a1",
    "braces": '{"a":[',
    "backslashes": "\\",
    "Chinese": "取消订单",
    "Hangul": "주문 취소 ",
    "decomposed Hangul": unicodedata.normalize("NFD", "주문 취소 "),
    "full-width Latin": "".join(chr(ord(letter) + 0xFEE0) for letter in "order") + "\u3000",
    "half-width Katakana": "ﾃﾚﾋﾞ",
    "one letter with marks without end": "\u0301\u0327",
    "letters with marks": "a\u0301\u0323",
    "ligatures that expand": "\ufdfaorder number ",
    "final sigmas": "\u0391\u03a3 ",
    "right-to-left": "ביטול הזמנה ",
    "joined emoji": "\U0001f469\u200d\U0001f467 ",
    "terms of markup": "<b>&amp;",
    "base64": "aGVsbG8gd29ybGQ",
    "null characters": "\0",
    "assignments": "key=",
    "passwords in quotes": 'password="a',
    "addresses": "a://b:c@",
    "prefixes of keys": "sk-",
    "beginnings of keys": "-----BEGIN PRIVATE KEY-----",
    "options": "--token a ",
    "markers that end early": "[REDACTED:a:",
}
EMBEDDER = HashedEmbedder()
REDACTOR = Redactor(bytes(32))


def log(**step: Any) -> bytes:
    episode = RecordBuilder({"task": "t"}, max_steps=9, max_bytes=1 << 30, max_observation=1 << 30)
    episode.log(1, "tool", **step)
    return episode.record({})


def columns(text: str) -> Trajectory:
    return Trajectory(log(error=text, action=text))


def recall(text: str) -> object:
    return Index("none", 8).similar(text, limit=5)


READERS: dict[str, Callable[[str], object]] = {
    "error_class": error_class,
    "error_class, version 1": partial(error_class, text_version=1),
    "words": words,
    "words, version 1": partial(words, text_version=1),
    "embed_packed": lambda text: EMBEDDER.embed_packed([text]),
    "log an output": lambda text: log(output=text),
    "log an error": lambda text: log(error=text),
    "encode_json": lambda text: encode_json({"a": text}, "value"),
    "redact": REDACTOR.redact_text,
    "similar": recall,
    "redact_text": REDACTOR.redact_text,
    "redact_record": lambda text: REDACTOR.redact_record(log(output=text)),
}


def of_length(shape: str, length: int) -> str:
    """Whole shapes alone: one that is cut, like a quote that opens nothing, may be another shape."""
    return shape * (length // len(shape))


def best(read: Callable[[str], object], text: str) -> float:
    """The least time of one call, from samples of so many calls that the clock can tell them apart."""
    timer, calls = timeit.Timer(partial(read, text)), 1
    while timer.timeit(calls) < SAMPLE_S:
        calls *= 4
    return min(timer.repeat(SAMPLES, calls)) / calls


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_eight_times_the_text_takes_at_most_twelve_times_as_long(shape: str, reader: str) -> None:
    ratios = []
    for _ in range(TRIES):
        once, eight_times = (
            best(READERS[reader], of_length(SHAPES[shape], length)) for length in (SHORT, 8 * SHORT)
        )
        ratios.append(eight_times / once)
        if ratios[-1] <= MOST:
            return
    pytest.fail(f"{reader} of {shape}: ratios {ratios}")
