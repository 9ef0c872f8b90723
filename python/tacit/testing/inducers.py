"""Checks that every inducer must pass."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from .._native import Index
from ..extractors import Hybrid
from ..inducers.base import History, Inducer
from ..model.episode import Episode
from ..model.record import Change, EpisodeRecord
from .extractors import example_episodes
from .parameters import keeps_its_parameters_and_nothing_else
from .stores import episode_record

_ID = re.compile(r"[0-9a-f]{32}")


def example_history(
    episodes: Sequence[Episode] = (), *, namespace: str = "default", domain: str | None = None
) -> History:
    """A history that holds these episodes, the first the oldest, without a memory behind it."""
    return _applied(_records(episodes), namespace, domain)


def check_inducer(inducer: Inducer, episodes: Sequence[Episode] | None = None) -> None:
    """Holds an inducer to its promises; raises `AssertionError` that says which one it broke.

    `episodes` are looked at beside `example_episodes()`, each of them several times.
    """
    records = _records([*example_episodes(), *(episodes or ())] * 4)
    keeps_its_parameters_and_nothing_else(inducer)
    _yields_values_of_different_ids(inducer, _applied(records))
    _is_deterministic(inducer, _applied(records))
    _only_reads(inducer, _applied(records))
    _depends_on_the_episodes_only(inducer, records)
    _sees_its_namespace_only(inducer, records)


def _records(episodes: Iterable[Episode]) -> list[EpisodeRecord]:
    return [_record(number, episode) for number, episode in enumerate(episodes)]


def _record(number: int, episode: Episode) -> EpisodeRecord:
    record = episode_record(number, contents=b"", embedder=None, embedding=b"")
    dated = replace(episode, started_at=record.started_at, ended_at=record.ended_at)
    facts = Hybrid().extract(dated).facts()
    return replace(record, payload=msgspec.msgpack.encode(dated), facts=facts)


def _applied(
    records: Iterable[EpisodeRecord], namespace: str = "default", domain: str | None = None, *, first: int = 1
) -> History:
    index = Index("none", 1)
    index.apply([Change(number, "put", record, record.id) for number, record in enumerate(records, first)])
    return History(index, namespace, domain)


def _yields_values_of_different_ids(inducer: Inducer, history: History) -> None:
    found = list(inducer.induce(history))
    ids = [getattr(each, "id", None) for each in found]
    nameless = {type(each).__name__ for each, id in zip(found, ids, strict=True) if not _is_id(id)}
    assert not nameless, f"an id is 32 hexadecimal digits, which has no {sorted(nameless)}"
    assert len(ids) == len(set(ids)), "each id once"


def _is_id(id: object) -> bool:
    return isinstance(id, str) and _ID.fullmatch(id) is not None


def _is_deterministic(inducer: Inducer, history: History) -> None:
    assert list(inducer.induce(history)) == list(inducer.induce(history)), (
        "the same history, the same findings"
    )


def _only_reads(inducer: Inducer, history: History) -> None:
    before = len(history.index), history.index.sequence
    list(inducer.induce(history))
    assert (len(history.index), history.index.sequence) == before, "an inducer only reads"


def _depends_on_the_episodes_only(inducer: Inducer, records: Sequence[EpisodeRecord]) -> None:
    found = list(inducer.induce(_applied(records)))
    later = list(inducer.induce(_applied(reversed(records), first=1_000)))
    assert found == later, "the same episodes, the same findings, in whatever order they came"


def _sees_its_namespace_only(inducer: Inducer, records: Sequence[EpisodeRecord]) -> None:
    found = list(inducer.induce(_applied(records, namespace="another")))
    assert not found, f"what is in one namespace is invisible in another, not {found[0]}"
