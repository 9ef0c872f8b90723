"""Redaction: how many synthetic secrets are found, and how many clean steps are altered."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tacit._native import Redactor
from tacit.errors import ValidationError

from .secrets import secrets

_KEY = bytes(range(32))


def _step(value: Any) -> bytes:
    return msgspec.msgpack.encode({"task": "t", "steps": [{"tool": "run", "parameters": {"text": value}}]})


def _texts(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(_texts(each) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return "\n".join(_texts(each) for each in value)
    return str(value)


def _shows(secret: str, value: Any) -> bool:
    """Twelve characters of the secret in a row are still readable."""
    text = _texts(value)
    pieces = secret.split("\n") if "\n" in secret else [secret]
    windows = {piece[at : at + 12] for piece in pieces for at in range(max(1, len(piece) - 11))}
    if secret.startswith("-----BEGIN"):
        windows = {window for window in windows if "-" not in window and " " not in window}
    return any(window in text for window in windows)


def test_98_percent_of_500_synthetic_secrets_are_found() -> None:
    redactor = Redactor(_KEY)
    missed = []
    for name, secret, value in secrets(500, seed=7):
        record, _ = redactor.redact_record(_step(value))
        if _shows(secret, msgspec.msgpack.decode(record)):
            missed.append((name, value))
    assert len(missed) <= 10, missed


def test_no_format_is_missed_more_often_than_found() -> None:
    redactor = Redactor(_KEY)
    made: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for name, secret, value in secrets(4_000, seed=8):
        record, _ = redactor.redact_record(_step(value))
        made[name] += 1
        missed[name] += _shows(secret, msgspec.msgpack.decode(record))
    assert {name: count for name, count in missed.items() if count > made[name] * 0.1} == {}
    assert sum(missed.values()) <= 0.02 * sum(made.values()), missed


def test_redacting_a_record_twice_changes_nothing() -> None:
    redactor = Redactor(_KEY)
    for _, _, value in secrets(1_000, seed=9):
        once, count = redactor.redact_record(_step(value))
        assert redactor.redact_record(once) == (once, 0), value
        assert count > 0 or once == _step(value)


def _recorded_steps() -> Iterator[dict[str, Any]]:
    folder = Path(os.environ.get("TACIT_EVAL_DATA", "/nonexistent"))
    files = sorted(folder.glob("*.episodes.jsonl.gz"))
    if not files:
        pytest.skip("set TACIT_EVAL_DATA to a folder of *.episodes.jsonl.gz files to measure clean steps")
    for path in files:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield from json.loads(line)["steps"]


def test_at_most_half_a_percent_of_recorded_steps_are_altered() -> None:
    redactor = Redactor(_KEY)
    altered = steps = 0
    for step in _recorded_steps():
        steps += 1
        fields = {"parameters": step.get("arguments"), "output": step["observation"], "error": step["error"]}
        record = msgspec.msgpack.encode({"steps": [{"tool": step["tool"], **fields}]})
        altered += redactor.redact_record(record)[1] > 0
    assert altered <= 0.005 * steps, f"{altered} of {steps}"


def test_equal_secrets_have_equal_markers_under_one_key_only() -> None:
    text = "DB_PASSWORD=correct7horse"
    first, count = Redactor(_KEY).redact_text(text)
    assert (first, count) == Redactor(_KEY).redact_text(text)
    assert count == 1
    assert Redactor(bytes(32)).redact_text(text)[0] != first


def test_a_key_of_another_length_and_a_record_that_is_none_are_refused() -> None:
    with pytest.raises(ValidationError, match="key"):
        Redactor(b"short")
    with pytest.raises(ValidationError, match="record"):
        Redactor(_KEY).redact_record(b"\x91")
