"""Heads of episodes, made of the keywords that callers give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .. import _native
from ..config import Limits
from ..model.checks import check_head, check_tags, check_type
from ..model.episode import Episode, Json
from ..model.query import EPISODE_HEAD, EpisodeHead, check_keywords, context_of


def episode_of(task: str, head: EpisodeHead, *, namespace: str, now: int, limits: Limits) -> Episode:
    """A new episode that starts `now`. Raises `TypeError` for an unknown keyword and `ValidationError`."""
    check_keywords("start", head, EPISODE_HEAD, ("task",))
    new = Episode(task=task, id=_native.new_id(), started_at=now, namespace=namespace)
    return checked_head(new, head, limits)


def checked_head(new: Episode, head: EpisodeHead, limits: Limits) -> Episode:
    """The episode with the keywords of its head. Raises `ValidationError`."""
    given_namespace = head.get("namespace")
    episode = replace(
        new,
        namespace=new.namespace if given_namespace is None else given_namespace,
        context=context_of(head),
        task_type=head.get("task_type", "other"),
        task_key=head.get("task_key"),
        agent=head.get("agent"),
        source=head.get("source"),
        external_id=head.get("external_id"),
        tags=_tags(head.get("tags", ())),
        metadata=_metadata(head.get("metadata")),
    )
    check_head(episode, limits)
    return episode


def _metadata(values: Mapping[str, Json] | None) -> dict[str, Json]:
    if values is None:
        return {}
    check_type("metadata", values, Mapping)
    return dict(values)


def _tags(values: Sequence[str]) -> tuple[str, ...]:
    check_tags("tags", values)
    return tuple(values)
