"""Ids as text and as bytes."""

from __future__ import annotations

from ..errors import UnknownEpisodeError


def as_text(id: bytes) -> str:
    """The 36 characters of a UUID."""
    digits = id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def as_bytes(episode_id: str) -> bytes:
    """The 16 bytes of a UUID; raises `UnknownEpisodeError` for a text that is none."""
    try:
        id = bytes.fromhex(episode_id.replace("-", ""))
    except (AttributeError, ValueError):
        id = b""
    if len(id) != 16:
        raise UnknownEpisodeError(episode_id)
    return id
