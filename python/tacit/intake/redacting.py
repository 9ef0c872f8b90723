"""Redaction of closed episodes, before anything is derived from them."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from ..errors import ValidationError
from ..model.closed_episode import ClosedEpisode
from ..model.content import digest_of
from ..model.episode import Episode, Outcome
from ..redaction import Redactor, redact_checked

_EPISODES = msgspec.msgpack.Decoder(Episode)


class _Ending(msgspec.Struct):
    outcome: Outcome


_ENDINGS = msgspec.msgpack.Decoder(_Ending)


def redacted_episode(closed: ClosedEpisode, redactor: Redactor, content: bytes | None) -> ClosedEpisode:
    """The episode without secrets: columns, embedding and digest are made from what remains.

    The digest is that of `content`; `None` means its record. Raises `ValidationError` for a redactor that
    changed more than texts.
    """
    record, secrets = redact_checked(redactor, closed.record)
    if not secrets:
        return closed
    try:
        episode = _EPISODES.decode(record)
    except msgspec.DecodeError as error:
        raise ValidationError("redact", "a method that returns an episode's record", str(error)) from error
    steps = len(closed.trajectory)
    if (episode.id, episode.namespace, len(episode.steps)) != (closed.head.id, closed.head.namespace, steps):
        raise ValidationError("redact", "a method that keeps id, namespace and steps", "other ones")
    record = with_wide_header(record)
    digest = digest_of(record if content is None else redact_checked(redactor, content)[0])
    return ClosedEpisode(
        replace(episode, steps=()), episode.outcome or closed.outcome, record, digest, secrets
    )


def with_wide_header(record: bytes) -> bytes:
    """The record with its number of fields in four bytes, so that reward and reflection can be added behind it."""
    if record[0] == 0xDF:
        return record
    fields, rest = (record[0] & 0x0F, record[1:]) if record[0] < 0x90 else (record[2], record[3:])
    return b"\xdf" + fields.to_bytes(4, "big") + rest


def redacted_outcome(outcome: Outcome, redactor: Redactor) -> Outcome:
    """The outcome as it would be stored."""
    encoded = msgspec.msgpack.encode({"outcome": outcome, "steps": []})
    return _ENDINGS.decode(redact_checked(redactor, encoded)[0]).outcome


def redacted_value(episode: Episode, redactor: Redactor) -> Episode:
    """An episode that was stored before redaction, as it would be stored now."""
    record, secrets = redact_checked(redactor, msgspec.msgpack.encode(episode))
    return _EPISODES.decode(record) if secrets else episode
