"""Redaction of a record of recorded-looking steps, beside one regular expression over the same texts."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import msgspec

from tacit import _native

_PATTERN = re.compile(
    r"\b(?:AKIA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abprs]-[\w-]{20,}|sk-[\w-]{20,}|eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+)"
    r"|(?i:password|secret|token|api_key)[\"' ]*[:=][\"' ]*[^\s\"',;]{8,}"
)


class Redact:
    """A record of `n` steps with outputs in prose, JSON and paths; every hundredth holds a secret."""

    params: ClassVar = [[100, 1_000], ["native", "re"]]
    param_names: ClassVar = ["n", "implementation"]

    def setup(self, n: int, implementation: str) -> None:
        texts = [self.text(number) for number in range(n)]
        steps = [
            {"tool": "run", "parameters": {"path": "/srv/app/main.py"}, "output": text} for text in texts
        ]
        record = msgspec.msgpack.encode({"task": "deploy the service", "steps": steps})
        redactor = _native.Redactor(bytes(32))
        self.redact = {
            "native": lambda: redactor.redact_record(record)[1],
            "re": lambda: sum(_PATTERN.subn("[REDACTED]", text)[1] for text in texts),
        }[implementation]
        assert self.redact() == n // 100

    def text(self, number: int) -> str:
        if number % 100 == 99:
            return f"export DB_PASSWORD=correct{number}horse"
        row: dict[str, Any] = {
            "id": number,
            "name": "a customer",
            "status": "pending",
            "path": "/srv/data/orders.csv",
        }
        return f"The service answered after {number} ms and went on.\n{json.dumps(row)}\n"

    def time_redact(self, n: int, implementation: str) -> None:
        self.redact()
