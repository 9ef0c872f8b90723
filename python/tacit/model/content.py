"""The content of an episode, and a digest of it."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from .episode import Episode


class _Namespaced(msgspec.Struct):
    namespace: str = "default"


_NAMESPACES = msgspec.msgpack.Decoder(_Namespaced)


def content_of(episode: Episode, *, dated: bool) -> bytes:
    """The episode's content without its id, reward and reflection: equal bytes are the same content.

    Unless the episode was `dated` by its recorder, its times are no part of the content.
    """
    content = replace(
        episode, id="", reward=None, reflection=None, judged_by=None, judged_at=None, pending=None
    )
    if not dated:
        steps = tuple(replace(step, at=0) for step in episode.steps)
        content = replace(content, steps=steps, started_at=0, ended_at=None, timed=True)
    return msgspec.msgpack.encode(content, order="deterministic")


def is_same_run(one: Episode, other: Episode) -> bool:
    """Returns True for two records of one run: they differ at most in when and how fast they were recorded.

    An unknown outcome differs from none, nor does one that was judged afterwards.
    """
    outcomes = one.outcome, other.outcome
    is_open = any(outcome is None or outcome.kind == "unknown" for outcome in outcomes)
    if is_open or one.judged_by is not None or other.judged_by is not None:
        one, other = replace(one, outcome=None), replace(other, outcome=None)
    return content_of(_untimed(one), dated=False) == content_of(_untimed(other), dated=False)


def _untimed(episode: Episode) -> Episode:
    steps = tuple(replace(step, latency_ms=None, call_id=None) for step in episode.steps)
    return replace(episode, steps=steps)


def digest_of(content: bytes) -> bytes:
    """16 bytes that stand for the content: BLAKE2b."""
    import hashlib

    return hashlib.blake2b(content, digest_size=16).digest()


def namespace_of(payload: bytes) -> str:
    """The namespace of a stored episode, decoded without the rest of its record."""
    return _NAMESPACES.decode(payload).namespace
