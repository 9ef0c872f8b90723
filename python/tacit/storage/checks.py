"""The checks of arguments that stores written in Python share."""

from __future__ import annotations

from dataclasses import fields

from ..errors import ValidationError
from ..model.record import SIDE_RECORD_KINDS, Filters

__all__ = ["check_id", "check_kind", "check_scan"]

_KINDS = ("episode", "pattern", "embedding", *SIDE_RECORD_KINDS)
_STATES = ("learned", "open", "pending", "abandoned")


def check_kind(kind: str) -> None:
    """Raises `ValidationError` for a name that is no kind of record."""
    if kind not in _KINDS:
        raise ValidationError("kind", "episode, pattern, embedding or a kind of side record", kind)


def check_id(id: bytes) -> None:
    """Raises `ValidationError` for bytes that are no id."""
    if len(id) != 16:
        raise ValidationError("id", "16 bytes", f"{len(id)} bytes")


_ALLOWED_FILTERS = {
    "pattern": ({"namespace"}, "a namespace alone for patterns"),
    "episode": ({field.name for field in fields(Filters)} - {"subject"}, "without a subject for episodes"),
    "side record": ({"namespace", "subject"}, "namespace or subject for side records"),
}


def check_scan(kind: str, after: bytes | None, filters: Filters) -> dict[str, object]:
    """Returns the filters that are given, by name. Raises `ValidationError` for one that rows of the kind lack."""
    check_kind(kind)
    if after is not None:
        check_id(after)
    wanted = {
        field.name: value for field in fields(filters) if (value := getattr(filters, field.name)) is not None
    }
    row = "side record" if kind in SIDE_RECORD_KINDS else kind.replace("embedding", "episode")
    allowed, rule = _ALLOWED_FILTERS[row]
    if wanted.keys() - allowed:
        raise ValidationError("filters", rule, kind)
    if wanted.get("state", "learned") not in _STATES:
        raise ValidationError("state", "learned, open, pending or abandoned", str(wanted["state"]))
    return wanted
