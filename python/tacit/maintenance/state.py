"""The state of maintenance, as side records in the store."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from .._native import Index
from ..model.maintenance import ANY_ERROR, FIRST_ERROR, MaintenanceState, StoredCluster
from ..model.pattern import Cluster, Heuristic
from ..model.record import Filters, SideRecord, SideRecordKind
from ..storage.base import Store

_PAGE = 1_000
_HEURISTICS = msgspec.msgpack.Decoder(Heuristic)


class _ClusterNote(msgspec.Struct):
    cluster: Cluster
    members: list[bytes]


_CLUSTERS = msgspec.msgpack.Decoder(_ClusterNote)


def note_id(namespace: str, kind: str, of: bytes) -> bytes:
    """The id of a side record: a keyed hash of namespace, kind and subject, so that namespaces never meet."""
    hash = hashlib.blake2b(kind.encode(), digest_size=16, key=hashlib.blake2b(namespace.encode()).digest())
    hash.update(of)
    return hash.digest()


def encoded(value: Any) -> bytes:
    """The record of a note: the same value has the same bytes."""
    return msgspec.msgpack.encode(value, order="deterministic")


def notes_of(namespace: str, standing: MaintenanceState) -> Iterator[SideRecord]:
    """The side records of a state, one a decision, without its version."""
    for pattern, survivor in standing.survivors.items():
        yield _note(namespace, "merge", pattern, {"pattern": pattern, "survivor": survivor})
    for pattern in standing.never_merge:
        yield _note(namespace, "merge", pattern, {"pattern": pattern, "survivor": None})
    for pattern, state in standing.states.items():
        kind: SideRecordKind = "retirement" if state == "retired" else "promotion"
        pinned = pattern in standing.pinned
        yield _note(namespace, kind, pattern, {"pattern": pattern, "state": state, "held": pinned})
    for pattern in standing.pinned - standing.states.keys():
        yield _note(namespace, "promotion", pattern, {"pattern": pattern, "state": "candidate", "held": True})
    for heuristic in standing.heuristics:
        yield _note(namespace, "heuristic", bytes.fromhex(heuristic.id), heuristic)
    for stored in standing.clusters:
        content = {"cluster": stored.cluster, "members": sorted(stored.members)}
        yield _note(namespace, "cluster", bytes.fromhex(stored.cluster.id), content)


def _note(namespace: str, kind: SideRecordKind, of: bytes, record: Any) -> SideRecord:
    return SideRecord(kind, note_id(namespace, kind, of), namespace, encoded(record))


def head_of(namespace: str, standing: MaintenanceState) -> SideRecord:
    """The side record with the version of a state and the digest of its episodes."""
    head = {"version": standing.version, "digest": standing.digest, "settings": standing.settings}
    return SideRecord("audit", head_id(namespace), namespace, encoded({"head": head}))


def head_id(namespace: str) -> bytes:
    """The id of the side record with the version of a state."""
    return note_id(namespace, "audit", b"head")


def differences(namespace: str, before: MaintenanceState, after: MaintenanceState) -> list[SideRecord]:
    """The side records that turn the stored state from `before` into `after`."""
    before, after = _where_they_differ(before, after)
    old = {(note.kind, note.id): note for note in notes_of(namespace, before)}
    new = {(note.kind, note.id): note for note in notes_of(namespace, after)}
    written = [note for key, note in new.items() if old.get(key) != note]
    gone = [SideRecord(note.kind, note.id, namespace, None) for key, note in old.items() if key not in new]
    return [*gone, *written]


def _where_they_differ(
    before: MaintenanceState, after: MaintenanceState
) -> tuple[MaintenanceState, MaintenanceState]:
    """The same two states without the parts that are equal: a part is encoded only if it changed."""
    if (before.survivors, before.never_merge) == (after.survivors, after.never_merge):
        before = replace(before, survivors={}, never_merge=frozenset())
        after = replace(after, survivors={}, never_merge=frozenset())
    if (before.states, before.pinned) == (after.states, after.pinned):
        before, after = (replace(each, states={}, pinned=frozenset()) for each in (before, after))
    if before.heuristics == after.heuristics:
        before, after = (replace(each, heuristics=()) for each in (before, after))
    if before.clusters == after.clusters:
        before, after = (replace(each, clusters=()) for each in (before, after))
    return before, after


def read(store: Store, namespace: str, head: Mapping[str, Any]) -> MaintenanceState:
    """The state that the store's side records describe."""
    survivors: dict[bytes, bytes] = {}
    never_merge: set[bytes] = set()
    states: dict[bytes, Any] = {}
    pinned: set[bytes] = set()
    for record in _records(store, "merge", namespace):
        said = msgspec.msgpack.decode(record)
        if said["survivor"] is None:
            never_merge.add(said["pattern"])
        else:
            survivors[said["pattern"]] = said["survivor"]
    for kind in ("promotion", "retirement"):
        for record in _records(store, kind, namespace):
            said = msgspec.msgpack.decode(record)
            if said["state"] != "candidate":
                states[said["pattern"]] = said["state"]
            if said["held"]:
                pinned.add(said["pattern"])
    heuristics = [_HEURISTICS.decode(record) for record in _records(store, "heuristic", namespace)]
    clusters = [_CLUSTERS.decode(record) for record in _records(store, "cluster", namespace)]
    return complete(
        MaintenanceState(
            version=head["version"],
            digest=head["digest"],
            settings=head["settings"],
            survivors=survivors,
            never_merge=frozenset(never_merge),
            states=states,
            pinned=frozenset(pinned),
            heuristics=tuple(sorted(heuristics, key=lambda each: (-each.confidence, -each.trials, each.id))),
            clusters=in_order(StoredCluster(each.cluster, frozenset(each.members)) for each in clusters),
        )
    )


def in_order(clusters: Iterable[StoredCluster]) -> tuple[StoredCluster, ...]:
    """The largest first."""
    return tuple(sorted(clusters, key=lambda each: (-each.cluster.episodes, each.cluster.medoid)))


def complete(standing: MaintenanceState) -> MaintenanceState:
    """The state with its lookup tables."""
    merged: defaultdict[bytes, list[str]] = defaultdict(list)
    for pattern in sorted(standing.survivors):
        merged[_last(standing.survivors, pattern)].append(pattern.hex())
    rules: defaultdict[tuple[str | None, str | None], list[Heuristic]] = defaultdict(list)
    for heuristic in filter(_is_worth_recalling, standing.heuristics):
        for key in _keys(heuristic):
            rules[key].append(heuristic)
    return replace(
        standing,
        merged={survivor: tuple(ids) for survivor, ids in merged.items()},
        rules={key: tuple(found) for key, found in rules.items()},
    )


def _last(survivors: Mapping[bytes, bytes], pattern: bytes) -> bytes:
    """Who stands for the pattern in the end."""
    for _ in range(len(survivors)):
        pattern = survivors.get(pattern, pattern)
    return pattern


def _is_worth_recalling(heuristic: Heuristic) -> bool:
    """It holds more often than not, whoever the agent is, or is better than the alternatives beyond chance."""
    if heuristic.weak or "agent" in heuristic.when:
        return False
    if "first_error" in heuristic.when:
        return heuristic.state == "proven"
    return "after" in heuristic.when and heuristic.confidence > 0.5


def _keys(heuristic: Heuristic) -> Iterator[tuple[str | None, str | None]]:
    """The keys of a heuristic: its last tool and result; a recovery is found by its tool alone too."""
    when = heuristic.when
    if "first_error" in when:
        yield when.get("tool"), FIRST_ERROR
        return
    yield when["after"], when["result"]
    if when["result"] not in (None, "ok", "none"):
        yield when["after"], ANY_ERROR


def _records(store: Store, kind: SideRecordKind, namespace: str) -> Iterator[bytes]:
    after: bytes | None = None
    while rows := store.scan(kind, after=after, limit=_PAGE, filters=Filters(namespace=namespace)):
        yield from (record for _, record in rows)
        after = rows[-1][0]


class MaintenanceStates:
    """The state of each namespace, as the store has it now; the index counts by it."""

    def __init__(self, store: Store, index: Index) -> None:
        self._store = store
        self._index = index
        self._lock = threading.RLock()
        self._known: dict[str, tuple[int, MaintenanceState]] = {}

    def of(self, namespace: str) -> MaintenanceState:
        """The namespace's state; asks the store again only after a commit."""
        sequence = self._index.sequence
        known = self._known.get(namespace)
        if known is not None and known[0] == sequence:
            return known[1]
        with self._lock:
            return self._refreshed(namespace, sequence)

    def _refreshed(self, namespace: str, sequence: int) -> MaintenanceState:
        is_first = namespace not in self._known
        standing = MaintenanceState() if is_first else self._known[namespace][1]
        record = self._store.get("audit", head_id(namespace))
        head = None if record is None else msgspec.msgpack.decode(record)["head"]
        if head is not None and head["version"] != standing.version:
            standing = read(self._store, namespace, head)
            is_first = True
        if is_first:  # the snapshot of an index may hold merges of another time
            self._index.merge(namespace, list(standing.survivors.items()))
        self._known[namespace] = sequence, standing
        return standing
