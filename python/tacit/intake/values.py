"""Finished episodes that callers give become closed ones: dates, contents, steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from .. import _native
from ..config import Limits
from ..errors import ValidationError
from ..model.checks import check_head, check_name, check_outcome, check_sequence, check_type
from ..model.closed_episode import ClosedEpisode
from ..model.content import content_of
from ..model.episode import Episode, Json, Outcome, Step
from ..redaction import Redactor
from .open_episode import OpenEpisode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = (datetime(2000, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_DAY = 86_400_000_000
_LONGEST_S = 10 * 365 * 86_400
"""The longest duration that an imported run can state, in seconds: ten years."""


def closed_episode(given: Episode, *, now: int, limits: Limits, redactor: Redactor) -> ClosedEpisode:
    """A finished episode as `log` and `complete` would have recorded it. Raises `ValidationError`."""
    check_type("episode", given, Episode)
    if given.outcome is None:
        given = replace(given, outcome=Outcome.unknown())
    check_outcome(given.outcome, limits)
    given = with_given_times(given, now)
    episode = dated(given, now)
    check_head(episode, limits)
    check_sequence("steps", episode.steps)
    opened = OpenEpisode(episode, limits)
    if episode.judged_by is not None and episode.outcome is not None:
        check_name("judged_by", episode.judged_by, limits)
        opened.verdict = episode.outcome, episode.judged_by, episode.judged_at or episode.ended_at or now
    for number, step in enumerate(episode.steps, 1):
        _add_step(opened, step, number)
    assert episode.outcome is not None
    assert episode.ended_at is not None
    try:
        content = content_of(given, dated=True)
    except TypeError as error:  # a subclass of a JSON type, such as a NumPy scalar
        raise ValidationError("episode", "made of JSON values", str(error)) from None
    return opened.close(episode.outcome, ended_at=episode.ended_at, redactor=redactor, content=content)


def with_given_times(given: Episode, now: int) -> Episode:
    """The episode with every given time in microseconds; 0 and `None` mean that a time is missing.

    Raises `ValidationError` for a time that cannot be meant: before 2000, or more than a day after `now`.
    """
    check_sequence("steps", given.steps)
    started_at = given_time("started_at", given.started_at, now)
    ended_at = None if given.ended_at is None else given_time("ended_at", given.ended_at, now)
    judged_at = None if given.judged_at is None else given_time("judged_at", given.judged_at, now)
    steps = given.steps
    if any(isinstance(step, Step) and step.at for step in steps):
        steps = tuple(_with_given_time(step, number, now) for number, step in enumerate(steps, 1))
    times = {"started_at": started_at, "ended_at": ended_at, "judged_at": judged_at}
    if steps is given.steps and all(time is getattr(given, name) for name, time in times.items()):
        return given
    return replace(given, steps=steps, started_at=started_at, ended_at=ended_at, judged_at=judged_at)


def _with_given_time(step: Step, number: int, now: int) -> Step:
    if not isinstance(step, Step):
        return step
    at = given_time(f"step {number}: at", step.at, now)
    return step if at is step.at else replace(step, at=at)


def given_time(field: str, value: object, now: int) -> int:
    """The microseconds of a given time, an integer or an aware `datetime`; 0 means that it is missing."""
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValidationError(field, "an aware datetime", "one without a time zone")
        value = (value - _EPOCH) // timedelta(microseconds=1)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValidationError(field, "microseconds since 1970 or an aware datetime", type(value).__name__)
    if value and not _EARLIEST <= value <= now + _DAY:
        rule = "microseconds since 1970, from the year 2000 to a day from now"
        raise ValidationError(field, rule, f"{value}{_likely_unit(value, now)}")
    return value


def _likely_unit(value: int, now: int) -> str:
    """A hint at the unit in which the number would be a plausible time."""
    for unit, each_second in (("seconds", 1), ("milliseconds", 1_000), ("nanoseconds", 1_000_000_000)):
        if _EARLIEST <= value * 1_000_000 // each_second <= now + _DAY:
            return f", which looks like {unit}"
    return ""


def dated(given: Episode, now: int) -> Episode:
    """The episode with an id and times.

    A run without times ends `now` and lasted `metadata["duration_s"]`; without that its duration is unknown.
    """
    id = given.id or _native.new_id()
    if given.started_at:
        if given.ended_at is not None and given.ended_at < given.started_at:
            rule = f"at or after started_at, {given.started_at}"
            raise ValidationError("ended_at", rule, str(given.ended_at))
        return replace(given, id=id, ended_at=given.ended_at or given.started_at)
    ended_at = given.ended_at or now
    seconds = _stated_duration(given.metadata)
    started_at = ended_at - round((seconds or 0.0) * 1e6)
    return replace(given, id=id, started_at=started_at, ended_at=ended_at, timed=seconds is not None)


def _add_step(opened: OpenEpisode, step: Step, number: int) -> None:
    """Adds the step; a refusal names its number."""
    try:
        check_type("step", step, Step)
        opened.add(step)
    except ValidationError as error:
        if error.field in ("steps", "episode"):
            raise
        raise type(error)(f"step {number}: {error.field}", error.rule, error.value) from None


def _stated_duration(metadata: Mapping[str, Json]) -> float | None:
    """The seconds in `metadata["duration_s"]`; `None` if they are missing or not between 0 and ten years."""
    stated = metadata.get("duration_s") if isinstance(metadata, Mapping) else None
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        return None
    return float(stated) if 0.0 <= stated <= _LONGEST_S else None
