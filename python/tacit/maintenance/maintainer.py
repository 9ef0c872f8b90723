"""Maintenance: merges near-duplicates, promotes proven patterns, retires unseen ones."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import msgspec

from .. import _native
from .._native import Index
from ..config import ClusteringSettings, MaintenanceSettings
from ..deferred import dataclass
from ..errors import UnavailableError, UnknownEpisodeError, UnknownMaintenanceError
from ..inducers import Clustering, Heuristics, History, Inducer, inducers
from ..model.ids import as_bytes, as_text
from ..model.maintenance import Maintenance, MaintenanceState, Merge, StateChange
from ..model.pattern import Cluster, Heuristic, PatternState, text_of
from ..model.record import Batch, Receipt, SideRecord
from ..storage.base import Store
from .clusters import Group, match_stored_groups
from .duplicates import Described, merges
from .state import MaintenanceStates, complete, differences, encoded, head_of

_DAY = 86_400 * 1_000_000
_MERGED_KINDS = ("tool_sequence", "decision_point", "error_recovery", "context_pattern")
_CONTENTS = msgspec.msgpack.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class _Decided:
    """Decisions of one run, and the state after it."""

    standing: MaintenanceState
    merges: tuple[Merge, ...] = ()
    changed: tuple[StateChange, ...] = ()


class Maintainer:
    """Decides from the index and commits the decisions as one batch of side records."""

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        states: MaintenanceStates,
        settings: MaintenanceSettings,
        clustering: ClusteringSettings,
        parts: Iterable[object],
        on_commit: Callable[[Receipt], None] = lambda _: None,
        catch_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._store = store
        self._on_commit = on_commit
        self._catch_up = catch_up
        self._index = index
        self._states = states
        ours: dict[str, Inducer] = {
            "clustering": Clustering(
                eps=clustering.eps, min_points=clustering.min_points, newest=clustering.newest
            ),
            "heuristic": Heuristics(
                min_trials=settings.min_trials,
                min_episodes=settings.min_episodes,
                false_discoveries=settings.false_discoveries,
            ),
        }
        parts = tuple(parts)
        self._inducers = [ours.get(str(part)) or inducers.resolve(part) for part in parts]
        self._settings_digest = _digest(
            encoded([settings, clustering, [inducers.describe(part) for part in parts]])
        )
        self._deduplicated: dict[str, tuple[object, ...]] = {}
        """By namespace: the episodes and the state that the last run left without near-duplicates."""
        self._induced: tuple[tuple[Any, ...], tuple[Heuristic, ...]] = ((), ())
        self._lock = threading.RLock()
        self._is_busy = False

    # --- what is asked ---

    def maintain(self, namespace: str, *, now: int, dry_run: bool) -> Maintenance:
        """See `Memory.maintain`."""
        started = time.perf_counter()
        with self._alone():
            before = self._states.of(namespace)
            decided = self._decide(namespace, before, now)
            report = self._land(namespace, before, decided, now, "maintenance", dry_run)
        return replace(report, elapsed_ms=(time.perf_counter() - started) * 1_000)

    def undo(self, audit_id: str, namespace: str, *, now: int) -> Maintenance:
        """See `Memory.undo`."""
        audit = self._audit(audit_id, namespace)
        with self._alone():
            before = self._states.of(namespace)
            decided = _taken_back(before, audit)
            return self._land(namespace, before, decided, now, "undo", False)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other threads out; a call from within a run, as of an inducer or a signal handler, is refused."""
        with self._lock:
            if self._is_busy:
                raise UnavailableError("maintenance is under way in the call that this one was made from")
            self._is_busy = True
            try:
                # The run that this one waited for committed behind the index.
                self._catch_up()
                yield
            finally:
                self._is_busy = False

    def clusters(self, namespace: str, domain: str | None) -> tuple[Cluster, ...]:
        """The stored clusters if they are fresh, else those of now, under the stored ids."""
        standing = self._states.of(namespace)
        if domain is None and self._is_fresh(namespace, standing):
            return tuple(stored.cluster for stored in standing.clusters)
        groups = self._groups(History(self._index, namespace, domain))
        return tuple(stored.cluster for stored in match_stored_groups(groups, standing.clusters))

    def heuristics(
        self, namespace: str, domain: str | None = None, agent: str | None = None
    ) -> tuple[Heuristic, ...]:
        """The stored heuristics if they are fresh, else those of now."""
        standing = self._states.of(namespace)
        if domain is agent is None and self._is_fresh(namespace, standing):
            return standing.heuristics
        asked = (namespace, domain, agent, self._index.digest(namespace))
        known, induced = self._induced
        if known != asked:
            induced = self._rules(History(self._index, namespace, domain, agent))
            self._induced = asked, induced
        return induced

    def _rules(self, history: History) -> tuple[Heuristic, ...]:
        """Of all inducers, each id once, the surest first."""
        found = {
            each.id: each
            for inducer in self._inducers
            if not isinstance(inducer, Clustering)
            for each in inducer.induce(history)
            if isinstance(each, Heuristic)
        }
        return tuple(sorted(found.values(), key=lambda rule: (-rule.confidence, -rule.trials, rule.id)))

    def _groups(self, history: History) -> list[Group]:
        """Of all inducers, the largest first; of those that are not ours the members are not known."""
        found: list[Group] = []
        for inducer in self._inducers:
            if isinstance(inducer, Clustering):
                found += inducer.groups(history)
            elif not isinstance(inducer, Heuristics):
                found += [(each, ()) for each in inducer.induce(history) if isinstance(each, Cluster)]
        return sorted(found, key=lambda group: (-group[0].episodes, group[0].medoid))

    def _is_fresh(self, namespace: str, standing: MaintenanceState) -> bool:
        return standing.digest == self._index.digest(namespace) and standing.settings == self._settings_digest

    # --- what is decided ---

    def _decide(self, namespace: str, before: MaintenanceState, now: int) -> _Decided:
        """Return the whole new state, tried out on a private copy: readers of the index see none of it."""
        copy = self._index.private_copy(namespace)
        survivors = dict(before.survivors)
        found = self._merges(copy, namespace, before, survivors)
        changed = tuple(self._state_changes(copy, namespace, before, survivors, now))
        history, digest = History(copy, namespace), copy.digest(namespace)
        is_fresh = (before.digest, before.settings) == (digest, self._settings_digest)
        standing = replace(
            before,
            digest=digest,
            settings=self._settings_digest,
            survivors=survivors,
            states=_states_after(before.states, changed),
            heuristics=before.heuristics if is_fresh else self._rules(history),
            clusters=before.clusters
            if is_fresh
            else tuple(match_stored_groups(self._groups(history), before.clusters)),
        )
        return _Decided(standing, tuple(found), changed)

    def _merges(
        self, copy: Index, namespace: str, before: MaintenanceState, survivors: dict[bytes, bytes]
    ) -> list[Merge]:
        """Merges near-duplicates in the copy and in `survivors`.

        The state that an earlier run of this process left has none among the same episodes.
        """
        if self._deduplicated.get(namespace) == _version_of(copy, namespace, before.version):
            return []
        found: list[Merge] = []
        contents: dict[bytes, dict[str, Any] | None] = {}
        grown: frozenset[bytes] | None = None
        # A merged pattern was seen in the episodes of both: that may make it a near-duplicate of another pattern.
        while more := self._near_duplicates(copy, namespace, before, survivors, contents, grown):
            found += more
            survivors.update((bytes.fromhex(each.merged), bytes.fromhex(each.survivor)) for each in more)
            grown = frozenset(bytes.fromhex(each.survivor) for each in more)
            copy.merge(namespace, list(survivors.items()))
        return found

    def _near_duplicates(
        self,
        index: Index,
        namespace: str,
        before: MaintenanceState,
        survivors: Mapping[bytes, bytes],
        contents: dict[bytes, dict[str, Any] | None],
        grown: frozenset[bytes] | None,
    ) -> list[Merge]:
        if self.settings.similarity >= 1.0:
            return []
        patterns = [
            each
            for kind in _MERGED_KINDS
            for each in self._described(index, namespace, kind, contents)
            if each.id not in before.never_merge
        ]
        return merges(patterns, self.settings.similarity, survivors.values(), grown)

    def _described(
        self, index: Index, namespace: str, kind: str, contents: dict[bytes, dict[str, Any] | None]
    ) -> Iterator[Described]:
        """The patterns of a kind; `contents` keeps those that were read."""
        rows = index.pattern_domains(namespace, kind)
        unread = [id for id, _, _ in rows if id not in contents]
        records = self._store.get_many("pattern", unread, namespace)
        contents.update(zip(unread, map(_decoded, records), strict=True))
        for id, episodes, domains in rows:
            record = contents[id]
            if record is not None:
                yield Described(id, record["kind"], record["content"], frozenset(domains), episodes)

    def _state_changes(
        self,
        index: Index,
        namespace: str,
        before: MaintenanceState,
        survivors: Mapping[bytes, bytes],
        now: int,
    ) -> Iterator[StateChange]:
        """Changes of states: a promotion holds while its interval excludes 1, and ends with the pattern's episodes.

        Age counts from `now`: one episode with a date ahead of it makes no other pattern old.
        """
        rows = index.compared(namespace, min_episodes=self.settings.min_episodes)
        for pattern in sorted(before.states.keys() - set(rows.ids) - before.pinned - survivors.keys()):
            yield StateChange(pattern.hex(), before.state(pattern), "candidate")
        if not len(rows):
            return
        shares = _native.benjamini_hochberg(rows.p_values)
        low, high, last_seen = rows.odds_low, rows.odds_high, rows.last_seen
        oldest = now - round(self.settings.retire_after_days * _DAY)
        for place, pattern in enumerate(rows.ids):
            was = before.state(pattern)
            is_discovery = bool(shares[place] <= self.settings.false_discoveries)
            state: PatternState = "candidate"
            if low[place] > 1 and (is_discovery or was == "proven"):
                state = "proven"
            elif last_seen[place] < oldest:
                state = "retired"
            elif high[place] < 1 and (is_discovery or was == "pitfall"):
                state = "pitfall"
            if state != was and pattern not in before.pinned and pattern not in survivors:
                yield StateChange(pattern.hex(), was, state)

    # --- what is landed ---

    def _land(
        self, namespace: str, before: MaintenanceState, decided: _Decided, now: int, kind: Any, dry_run: bool
    ) -> Maintenance:
        decided, standing = self._told(decided), decided.standing
        notes = differences(namespace, before, standing)
        old = {each.id: each for each in before.heuristics}
        new = {each.id: each for each in standing.heuristics}
        report = Maintenance(
            namespace,
            dry_run=dry_run,
            kind=kind,
            merges=decided.merges,
            changed=decided.changed,
            clusters=tuple(stored.cluster for stored in standing.clusters),
            heuristics=standing.heuristics,
            new_heuristics=sum(old.get(id) != each for id, each in new.items()),
            gone_heuristics=len(old.keys() - new.keys()),
            unchanged=not notes,
        )
        is_known = (before.digest, before.settings) == (standing.digest, standing.settings)
        if dry_run:
            return report
        if not notes and is_known:
            self._remember(namespace, kind, standing, before.version)
            return report
        version = _digest(encoded([(note.kind, note.id, note.record) for note in notes]), before.version)
        landed = complete(replace(standing, version=version))
        if decided.merges or decided.changed:
            report = replace(report, id=as_text(as_bytes(_native.new_id())))
            notes.append(_audit_note(namespace, report, now))
        self._on_commit(self._store.commit(Batch(side_records=(*notes, head_of(namespace, landed)))))
        self._index.merge(namespace, list(landed.survivors.items()))
        self._remember(namespace, kind, standing, version)
        return report

    def _remember(self, namespace: str, kind: Any, standing: MaintenanceState, version: bytes) -> None:
        if kind == "maintenance":
            self._deduplicated[namespace] = (standing.digest, self._index.text_version, version)

    def _told(self, decided: _Decided) -> _Decided:
        """With the texts of the patterns that it is about."""
        ids = [each.pattern for each in decided.changed]
        ids += [id for each in decided.merges for id in (each.survivor, each.merged)]
        records = self._store.get_many("pattern", [bytes.fromhex(id) for id in ids])
        said = {
            id: text_of(content["kind"], content["content"])
            for id, content in zip(ids, map(_decoded, records), strict=True)
            if content is not None
        }
        return replace(
            decided,
            changed=tuple(replace(each, text=said.get(each.pattern, "")) for each in decided.changed),
            merges=tuple(
                replace(
                    each,
                    survivor_text=said.get(each.survivor, ""),
                    merged_text=said.get(each.merged, ""),
                )
                for each in decided.merges
            ),
        )

    def _audit(self, audit_id: str, namespace: str) -> dict[str, Any]:
        try:
            record = self._store.get("audit", as_bytes(audit_id))
        except UnknownEpisodeError:
            record = None
        audit = None if record is None else msgspec.msgpack.decode(record)
        if audit is None or "kind" not in audit or audit["namespace"] != namespace:
            raise UnknownMaintenanceError(str(audit_id))
        return dict(audit)


def _audit_note(namespace: str, report: Maintenance, now: int) -> SideRecord:
    record = {
        "at": now,
        "namespace": namespace,
        "kind": report.kind,
        "merges": [
            (bytes.fromhex(each.survivor), bytes.fromhex(each.merged), each.similarity, each.kind)
            for each in report.merges
        ],
        "changed": [(bytes.fromhex(each.pattern), each.before, each.after) for each in report.changed],
    }
    assert report.id is not None
    return SideRecord("audit", as_bytes(report.id), namespace, encoded(record))


def _taken_back(before: MaintenanceState, audit: Mapping[str, Any]) -> _Decided:
    """The state without the decisions of an audit entry that later runs did not change.

    Maintenance does not decide the same again: those patterns are kept apart and keep their states. Undoing the undo
    lets maintenance decide again.
    """
    survivors, states = dict(before.survivors), dict(before.states)
    never_merge, pinned = set(before.never_merge), set(before.pinned)
    was_undo = audit["kind"] == "undo"
    parted: list[Merge] = []
    changed: list[StateChange] = []
    for survivor, merged, likeness, kind in audit["merges"]:
        if was_undo and merged in never_merge:
            never_merge.discard(merged)
            survivors[merged] = survivor
        elif not was_undo and survivors.get(merged) == survivor:
            del survivors[merged]
            never_merge.add(merged)
        else:
            continue
        parted.append(Merge(survivor.hex(), merged.hex(), likeness, kind))
    for pattern, earlier, later in audit["changed"]:
        if states.get(pattern, "candidate") == later and was_undo == (pattern in pinned):
            states[pattern] = earlier
            (pinned.discard if was_undo else pinned.add)(pattern)
            changed.append(StateChange(pattern.hex(), later, earlier))
    standing = replace(
        before,
        survivors=survivors,
        never_merge=frozenset(never_merge),
        states={pattern: state for pattern, state in states.items() if state != "candidate"},
        pinned=frozenset(pinned),
    )
    return _Decided(standing, tuple(parted), tuple(changed))


def _states_after(
    states: Mapping[bytes, PatternState], changed: tuple[StateChange, ...]
) -> dict[bytes, PatternState]:
    """The states after the changes; a merged pattern keeps its own for a later undo."""
    after = dict(states)
    after.update((bytes.fromhex(each.pattern), each.after) for each in changed)
    return {pattern: state for pattern, state in after.items() if state != "candidate"}


def _version_of(index: Index, namespace: str, version: bytes) -> tuple[object, ...]:
    """Stands for the episodes of a namespace, their facts, and a stored state."""
    return index.digest(namespace), index.text_version, version


def _decoded(record: bytes | None) -> dict[str, Any] | None:
    return None if record is None else _CONTENTS.decode(record)


def _digest(content: bytes, key: bytes = b"") -> bytes:
    return hashlib.blake2b(content, digest_size=16, key=key).digest()
