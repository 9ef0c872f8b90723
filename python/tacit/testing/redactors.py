"""Promises of every redactor."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..model.episode import Episode, Outcome, Step
from ..redaction import Redactor


def example_records() -> list[bytes]:
    """Records of episodes: without steps, with secrets in every field, with nested values."""
    token = "ghp_" + "aB3d" * 9
    nested = {"headers": {"Authorization": f"Bearer {token}"}, "rows": [[1, None, "a text"], {}]}
    steps = (
        Step("look", action=f"use {token}", parameters=nested, status="ok", output=[token, 1.5]),
        Step("act", status="error", error=f"{token} was refused", metadata={"password": 123_456}),
    )
    episodes = [
        Episode(
            "nothing done", id="01936f2c-0000-7000-8000-000000000001", outcome=Outcome.failure("no steps")
        ),
        Episode(
            f"deploy with {token}",
            id="01936f2c-0000-7000-8000-000000000002",
            steps=steps,
            outcome=Outcome.success(f"used {token}", artifacts=(token,)),
            metadata={"key": token},
        ),
    ]
    return [msgspec.msgpack.encode(episode) for episode in episodes]


def check_redactor(redactor: Redactor, records: Sequence[bytes] | None = None) -> None:
    """Holds a redactor to its promises; raises `AssertionError` that names the broken one.

    `records` are redacted beside `example_records()`.

    Example:
        >>> from tacit.redaction import Secrets
        >>> from tacit.testing import check_redactor
        >>> check_redactor(Secrets())
    """
    for record in [*example_records(), *(records or ())]:
        redacted, count = redactor.redact(record)
        assert isinstance(redacted, bytes), "redact returns bytes and a count"
        assert isinstance(count, int), "redact returns bytes and a count"
        assert redactor.redact(record) == (redacted, count), "the same record gives the same result"
        assert redactor.redact(redacted) == (redacted, 0), "redacting twice changes nothing"
        assert count > 0 or redacted == record, "a changed record has a count above 0"
        _keeps_identity(msgspec.msgpack.decode(record), msgspec.msgpack.decode(redacted))


def _keeps_identity(before: dict[str, object], after: dict[str, object]) -> None:
    for name in before.keys() - {"task", "metadata", "outcome", "steps"}:
        assert after.get(name) == before[name], f"{name} stays as it is"
    steps_before, steps_after = before["steps"], after["steps"]
    assert isinstance(steps_before, list)
    assert isinstance(steps_after, list)
    assert len(steps_after) == len(steps_before), "the number of steps stays"
    for step_before, step_after in zip(steps_before, steps_after, strict=True):
        for name in ("tool", "status", "number", "at"):
            assert step_after.get(name) == step_before.get(name), f"the {name} of a step stays"
