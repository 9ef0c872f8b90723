"""Arguments of suggested steps."""

from __future__ import annotations

import msgspec

from tacit.answers.advisor import _arguments
from tacit.redaction import Secrets


def test_a_redacted_value_is_left_open() -> None:
    marker, _ = Secrets().redact_text("password=correct7horse")
    rows = [
        ("user", msgspec.msgpack.encode("ci"), "always"),
        ("password", msgspec.msgpack.encode(marker), "always"),
        ("headers", msgspec.msgpack.encode({"Cookie": [marker]}), "task"),
    ]
    arguments = {argument.name: (argument.value, argument.filled) for argument in _arguments(rows)}
    assert arguments == {"user": ("ci", True), "password": (None, False), "headers": (None, False)}
