"""NaN and infinities in JSON text, as Python's `json.dumps` writes them."""

from __future__ import annotations

import re

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|-?Infinity|NaN', re.DOTALL)
"""A text, also one that never ends, or a number that JSON does not have: one pass, whatever the line holds."""


def has_no_json_number(line: bytes) -> bool:
    """Returns True if the line holds NaN or an infinity outside of its texts."""
    return with_nulls(line) is not line


def with_nulls(line: bytes) -> bytes:
    """The line with null in the place of NaN and infinities; the same object if it holds none.

    Example:
        >>> with_nulls(b'{"loss": NaN, "text": "NaN", "rate": -Infinity}')
        b'{"loss": null, "text": "NaN", "rate": null}'
    """
    if b"NaN" not in line and b"Infinity" not in line:
        return line
    replaced = _TOKEN.sub(lambda token: token[0] if token[0].startswith(b'"') else b"null", line)
    return line if replaced == line else replaced
