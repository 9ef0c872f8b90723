"""Arguments of suggested steps."""

from __future__ import annotations

import msgspec

from tacit.answers.advisor import FilledRow, _arguments
from tacit.model.advice import ArgumentCandidate
from tacit.redaction import Secrets


def test_a_redacted_value_is_left_open() -> None:
    marker, _ = Secrets().redact_text("password=correct7horse")
    secret = msgspec.msgpack.encode(marker)
    user = msgspec.msgpack.encode("ci")
    rows: list[FilledRow] = [
        ("user", user, "always", [(user, 0.8, "always"), (secret, 0.1, "task")]),
        ("password", secret, "always", [(secret, 0.9, "always")]),
        ("headers", msgspec.msgpack.encode({"Cookie": [marker]}), "task", []),
    ]
    candidates = {argument.name: argument.candidates for argument in _arguments(rows)}
    assert candidates["user"] == (ArgumentCandidate("ci", 0.8, "always"),)
    assert candidates["password"] == ()
    arguments = {argument.name: (argument.value, argument.filled) for argument in _arguments(rows)}
    assert arguments == {"user": ("ci", True), "password": (None, False), "headers": (None, False)}
