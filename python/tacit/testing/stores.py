"""The promises of a store, as checks."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any, TypedDict, Unpack

from ..errors import (
    ConflictError,
    ResyncRequiredError,
    StorageError,
    ValidationError,
    VersionConflictError,
)
from ..model.record import (
    Batch,
    Change,
    EpisodeRecord,
    EpisodeRecordFields,
    EpisodeStateChange,
    Expect,
    Filters,
    SideRecord,
    SideRecordKind,
)
from ..storage import Store

__all__ = ["check_store", "episode_record"]


def episode_record(number: int, **fields: Unpack[EpisodeRecordFields]) -> EpisodeRecord:
    """A small valid record: another `number` gives another id, content and time; `fields` replace others."""
    content = str(number).encode()
    record = EpisodeRecord(
        id=struct.pack(">QQ", 0x0190_0000_0000_7000 + (number << 20), 0x8000_0000_0000_0000 + number),
        namespace="default",
        external_id=None,
        digest=blake2b(content, digest_size=16).digest(),
        task_key=f"task-{number % 3}",
        domain=f"domain-{number % 2}",
        agent=None if number % 4 == 0 else "agent",
        complexity="simple",
        state="learned",
        started_at=1_700_000_000_000_000 + number * 1_000_000,
        ended_at=1_700_000_060_000_000 + number * 1_000_000,
        base=1.0,
        payload=b"\x81\xa6number" + struct.pack(">Bq", 0xD3, number),
        facts=struct.pack("<16sBHd", _pattern(number % 5), 0, 2, 1.0),
        contents=struct.pack("<16sBI", _pattern(number % 5), 0, 1) + b"\x90",
        embedder="test",
        embedding=struct.pack("<2f", 1.0, float(number)),
    )
    return replace(record, **fields)


def _pattern(number: int) -> bytes:
    return blake2b(b"pattern %d" % number, digest_size=16).digest()


def check_store(make_store: Callable[[], Store], *, reopen: Callable[[Store], Store] | None = None) -> None:
    """Checks that a store keeps its promises; raises `AssertionError` at the first that it breaks.

    `make_store` returns a new empty store each time. `reopen`, for stores that outlive their process, closes the given
    store and opens its files again.
    """
    for check in _CHECKS:
        store = make_store()
        try:
            check(store)
        finally:
            store.close()
    _a_closed_store_refuses_everything(make_store())
    if reopen is not None:
        _committed_rows_are_there_after_a_restart(make_store(), reopen)


def _a_batch_is_committed_whole(store: Store) -> None:
    first, second = episode_record(1), episode_record(2)
    receipt = store.commit(Batch((first, second)))
    assert (receipt.committed, receipt.unchanged, receipt.sequence) == (2, 0, store.sequence())
    assert store.get("episode", first.id) == first.payload
    assert store.get("embedding", second.id) == second.embedding
    assert store.get("pattern", _pattern(1), "default") == b"\x90"


def _a_batch_with_a_conflict_leaves_nothing(store: Store) -> None:
    store.commit(Batch((episode_record(1),)))
    before = store.sequence()
    batch = Batch((episode_record(2), replace(episode_record(1), digest=bytes(16))), (episode_record(1).id,))
    store.commit(batch)
    batch = Batch((episode_record(3), replace(episode_record(2), digest=bytes(16))), (episode_record(1).id,))
    after = store.sequence()
    _raises(ConflictError, lambda: store.commit(batch))
    assert before < after == store.sequence()
    assert store.get("episode", episode_record(3).id) is None
    assert store.get("episode", episode_record(1).id) is not None


def _repeating_a_commit_changes_nothing(store: Store) -> None:
    record = episode_record(1, external_id="run-1")
    first = store.commit(Batch((record,)))
    again = store.commit(Batch((record, record)))
    assert (again.committed, again.unchanged, again.sequence) == (0, 2, first.sequence)
    imported_again = replace(record, id=episode_record(9).id)
    assert store.commit(Batch((imported_again,))).unchanged == 1
    assert [id for id, _ in store.scan("episode")] == [record.id]


def _another_content_under_the_same_name_is_a_conflict(store: Store) -> None:
    record = episode_record(1, external_id="run-1")
    store.commit(Batch((record,)))
    other = episode_record(2, external_id="run-1")
    error = _raises(ConflictError, lambda: store.commit(Batch((other,))))
    assert isinstance(error, ConflictError)
    assert (error.external_id, error.namespace) == ("run-1", "default")
    _raises(ConflictError, lambda: store.commit(Batch((replace(record, digest=bytes(16)),))))
    assert store.commit(Batch((replace(other, namespace="other"),))).committed == 1


def _a_scan_pages_in_the_order_of_ids_both_ways(store: Store) -> None:
    records = [episode_record(number) for number in (3, 1, 5, 2, 4)]
    store.commit(Batch(tuple(records)))
    expected = sorted((record.id, record.payload) for record in records)
    assert store.scan("episode") == expected
    assert store.scan("episode", newest_first=True, limit=2) == expected[:2:-1]
    assert store.scan("episode", after=expected[1][0], limit=2) == expected[2:4]
    assert store.scan("episode", after=expected[1][0], newest_first=True) == expected[:1]
    assert store.scan("embedding", limit=1) == [(expected[0][0], episode_record(1).embedding)]
    assert [id for id, _ in store.scan("pattern")] == sorted(map(_pattern, range(5)))
    assert store.scan("episode", limit=0) == []


def _a_scan_returns_the_rows_of_its_filters(store: Store) -> None:
    plain = [episode_record(number) for number in range(6)]
    named = episode_record(6, namespace="other", external_id="run-6", state="pending", agent="solo")
    store.commit(Batch((*plain, named)))

    def found(**filters: Any) -> list[bytes]:
        return [id for id, _ in store.scan("episode", filters=Filters(**filters))]

    assert found(domain="domain-1") == [plain[1].id, plain[3].id, plain[5].id]
    assert found(domain="domain-1", task_key="task-0", namespace="default") == [plain[3].id]
    assert found(namespace="other") == found(external_id="run-6") == found(agent="solo") == [named.id]
    assert found(state="pending") == store.pending() == [named.id]
    assert found(namespace="absent") == found(namespace="other", domain="absent") == []
    _raises(ValidationError, lambda: store.scan("pattern", filters=Filters(domain="domain-1")))


def _changes_are_complete_and_in_order(store: Store) -> None:
    records = [episode_record(number) for number in range(7)]
    for record in records:
        store.commit(Batch((record,)))
    read = _all_changes(store, limit=3)
    assert [change.sequence for change in read] == sorted(change.sequence for change in read)
    assert [change.record for change in read] == [replace(record, contents=b"") for record in records]
    assert {change.op for change in read} == {"put"}
    newest = store.changes(store.sequence())
    assert (len(newest), newest.last) == (0, store.sequence())


def _a_removed_episode_is_gone_and_logged(store: Store) -> None:
    kept, removed = episode_record(1), episode_record(2, external_id="run-2")
    store.commit(Batch((kept, removed)))
    since = store.sequence()
    receipt = store.commit(Batch(removed=(removed.id, episode_record(3).id)))
    assert (receipt.committed, receipt.unchanged) == (1, 1)
    assert store.get_many("episode", [kept.id, removed.id]) == [kept.payload, None]
    assert store.get("embedding", removed.id) is None
    assert [(change.op, change.id) for change in store.changes(since)] == [("remove", removed.id)]
    assert [change.id for change in store.changes(0)] == [kept.id, removed.id]
    assert store.commit(Batch((replace(removed, digest=bytes(16)),))).committed == 1


def _many_values_come_in_the_order_of_their_ids(store: Store) -> None:
    records = [episode_record(number) for number in range(4)]
    store.commit(Batch(tuple(records)))
    asked = [records[2].id, bytes(16), records[0].id, records[2].id]
    expected = [records[2].payload, None, records[0].payload, records[2].payload]
    assert store.get_many("episode", asked) == expected
    assert store.get_many("episode", []) == []
    assert store.get_many("pattern", [bytes(16)]) == [None]


def _a_side_record_is_committed_with_its_episode_or_not_at_all(store: Store) -> None:
    receipt = store.commit(Batch((episode_record(1),), side_records=(_note(1), _note(1, kind="credit"))))
    assert (receipt.committed, receipt.unchanged, receipt.sequence) == (3, 0, store.sequence())
    assert store.get("receipt", _note(1).id) == _note(1).record
    before = store.sequence()
    notes = _note(1, record=b"new"), _note(2), _note(1, kind="credit", record=None)
    conflicts = (
        Batch((replace(episode_record(1), digest=bytes(16)),), side_records=notes),
        Batch((episode_record(3),), side_records=(*notes, _note(1, namespace="other"))),
    )
    for batch in conflicts:
        _raises(ConflictError, partial(store.commit, batch))
    assert store.get_many("receipt", [_note(1).id, _note(2).id]) == [_note(1).record, None]
    assert store.get("credit", _note(1).id) is not None
    assert (store.sequence(), store.get("episode", episode_record(3).id)) == (before, None)


def _a_side_record_is_replaced_and_deleted(store: Store) -> None:
    store.commit(Batch(side_records=(_note(1), _note(2))))
    same = store.commit(Batch(side_records=(_note(1), _note(2))))
    assert (same.committed, same.unchanged, same.sequence) == (0, 2, 2)
    assert store.commit(Batch(side_records=(_note(1, record=b"other"),))).sequence == 3
    assert store.get("receipt", _note(1).id) == b"other"
    deleted = Batch(side_records=(_note(2, record=None), _note(2, record=None), _note(9, record=None)))
    assert (store.commit(deleted).committed, store.sequence()) == (1, 4)
    assert store.get("receipt", _note(2).id) is None
    assert store.scan("receipt") == [(_note(1).id, b"other")]
    assert store.commit(Batch(side_records=(_note(1, namespace="other", record=None),))).unchanged == 1
    assert store.commit(Batch(side_records=(_note(2, record=b""),))).committed == 1
    assert store.get("receipt", _note(2).id) == b""


def _side_records_are_found_by_kind_and_namespace(store: Store) -> None:
    notes = [_note(number, namespace=f"space-{number % 2}") for number in range(6)]
    store.commit(Batch(side_records=(*reversed(notes), _note(7, kind="audit"))))
    rows = [(note.id, note.record) for note in notes]
    assert store.scan("receipt") == rows
    assert store.scan("receipt", filters=_of("space-1"), newest_first=True, limit=2) == rows[:2:-2]
    assert store.scan("receipt", filters=_of("space-0"), after=rows[0][0]) == rows[2::2]
    assert store.scan("receipt", filters=_of("absent")) == store.scan("merge") == []
    assert [id for id, _ in store.scan("audit")] == [_note(7).id]
    assert store.scan("episode") == []
    _raises(ValidationError, lambda: store.scan("receipt", filters=Filters(domain="domain-1")))


def _changes_list_each_side_record_once(store: Store) -> None:
    store.commit(Batch((episode_record(1),), side_records=(_note(1), _note(2), _note(3))))
    again, gone = _note(1, record=b"other"), _note(2, record=None)
    store.commit(Batch(removed=(episode_record(1).id,), side_records=(again, gone)))
    expected = [("side_record", _note(3)), ("remove", None), ("side_record", again), ("side_record", gone)]
    read = _all_changes(store, limit=2)
    assert [(change.op, change.side_record) for change in read] == expected
    assert [change.sequence for change in read] == [4, 5, 6, 7]
    assert [change.id for change in read] == [_note(3).id, episode_record(1).id, again.id, gone.id]


def _a_precondition_holds_or_nothing_is_committed(store: Store) -> None:
    first = episode_record(1)
    store.commit(Batch((first,), side_records=(_note(1),)))
    episode, note = store.version("episode", first.id), store.version("receipt", _note(1).id)
    assert (episode, note) == (1, 2)
    assert store.version("episode", episode_record(9).id) is None
    wrong = (
        Expect("episode", first.id, None),
        Expect("episode", first.id, 2),
        Expect("episode", episode_record(9).id, 1),
        Expect("receipt", _note(1).id, None),
        Expect("receipt", _note(1).id, 1),
        Expect("receipt", _note(9).id, 2),
    )
    before = store.sequence()
    for expectation in wrong:
        batch = Batch((episode_record(2),), (first.id,), (_note(3),), expect=(expectation,))
        error = _raises(VersionConflictError, partial(store.commit, batch))
        assert isinstance(error, VersionConflictError)
        assert (error.kind, error.id) == (expectation.kind, expectation.id.hex())
        assert (error.expected, error.found) == (
            expectation.version,
            store.version(expectation.kind, expectation.id),
        )
        assert error.retryable
    assert (store.sequence(), store.get("episode", episode_record(2).id)) == (before, None)
    right = (
        Expect("episode", first.id, episode),
        Expect("receipt", _note(1).id, note),
        Expect("credit", _note(1).id, None),
    )
    receipt = store.commit(Batch((episode_record(2),), side_records=(_note(1, record=b"new"),), expect=right))
    assert (receipt.committed, store.get_versioned("receipt", _note(1).id)) == (2, (4, b"new"))
    _raises(ValidationError, lambda: store.commit(Batch(expect=(Expect("pattern", bytes(16), None),))))
    _raises(ValidationError, lambda: store.version("embedding", bytes(16)))


def _a_batch_that_is_stored_already_is_unchanged_whatever_it_expects(store: Store) -> None:
    first = episode_record(1)
    replaced = replace(first, payload=b"\x80", facts=b"", digest=bytes(16))
    store.commit(Batch((first,)))
    batch = Batch(
        (replaced,),
        (first.id,),
        (_note(1), _note(2, record=None)),
        expect=(Expect("episode", first.id, 1), Expect("receipt", _note(1).id, None)),
    )
    store.commit(batch)
    sequence = store.sequence()
    again = store.commit(batch)
    assert (again.committed, again.unchanged, again.sequence) == (0, 4, sequence)
    assert store.get("episode", first.id) == b"\x80"
    other = replace(batch, side_records=(_note(1, record=b"other"),))
    _raises(VersionConflictError, lambda: store.commit(other))
    learned_again = replace(replaced, embedder=None, embedding=b"")
    assert store.commit(Batch((learned_again,), (first.id,))).committed == 2
    assert store.get("embedding", first.id) is None


def _a_row_that_was_written_again_has_a_new_version(store: Store) -> None:
    store.commit(Batch((episode_record(1),), side_records=(_note(1),)))
    versions = store.version("episode", episode_record(1).id), store.version("receipt", _note(1).id)
    store.commit(Batch(removed=(episode_record(1).id,), side_records=(_note(1, record=None),)))
    assert store.version("receipt", _note(1).id) is None
    store.commit(Batch((episode_record(1),), side_records=(_note(1),)))
    for kind, id, version in (
        ("episode", episode_record(1).id, versions[0]),
        ("receipt", _note(1).id, versions[1]),
    ):
        batch = Batch(side_records=(_note(5),), expect=(Expect(kind, id, version),))  # type: ignore[arg-type]
        _raises(VersionConflictError, partial(store.commit, batch))


def _an_episode_moves_to_another_state_once(store: Store) -> None:
    record = episode_record(1, state="pending")
    store.commit(Batch((record, episode_record(2))))
    since, change = store.sequence(), EpisodeStateChange(record.id, "learned")
    version = store.version("episode", record.id)
    batch = Batch(states=(change,), expect=(Expect("episode", record.id, version),))
    assert store.commit(batch).committed == 1
    assert (store.pending(), store.get("episode", record.id)) == ([], record.payload)
    assert [(each.op, each.id) for each in store.changes(since)] == [
        ("remove", record.id),
        ("put", record.id),
    ]
    (put,) = (each.record for each in store.changes(since) if each.op == "put")
    assert put == replace(record, state="learned", contents=b"")
    sequence = store.sequence()
    assert (store.version("episode", record.id), store.commit(batch).unchanged) == (sequence, 1)
    late = replace(batch, states=(EpisodeStateChange(record.id, "abandoned"),))
    _raises(VersionConflictError, lambda: store.commit(late))
    absent = Batch((episode_record(3),), states=(EpisodeStateChange(episode_record(9).id, "open"),))
    _raises(VersionConflictError, lambda: store.commit(absent))
    assert (store.sequence(), store.get("episode", episode_record(3).id)) == (sequence, None)


def _a_pattern_goes_with_its_last_fact(store: Store) -> None:
    first, second, other = episode_record(1), episode_record(6), episode_record(2)
    elsewhere = episode_record(11, namespace="elsewhere")
    store.commit(Batch((first, second, other, elsewhere)))
    store.commit(Batch(removed=(first.id,)))
    assert store.get("pattern", _pattern(1), "default") is not None
    store.commit(Batch(removed=(second.id,)))
    assert store.get("pattern", _pattern(1), "default") is None
    assert store.get_many("pattern", [_pattern(1), _pattern(1)], "elsewhere") == [b"\x90", b"\x90"]
    assert [id for id, _ in store.scan("pattern", filters=_of("default"))] == [_pattern(2)]
    store.commit(Batch(removed=(elsewhere.id,)))
    assert [id for id, _ in store.scan("pattern")] == [_pattern(2)]
    store.commit(Batch((first,)))
    assert store.get("pattern", _pattern(1), "default") == b"\x90"
    store.commit(Batch((replace(first, payload=b"\x80"),), (first.id,)))
    assert store.get("pattern", _pattern(1), "default") == b"\x90"


def _the_detail_of_a_pattern_stays_in_its_namespace(store: Store) -> None:
    def content(detail: bytes) -> bytes:
        record = b"\x82\xa7content\x01\xa6detail" + detail
        return struct.pack("<16sBI", _pattern(1), 0, len(record)) + record

    store.commit(Batch((episode_record(1, namespace="a", contents=content(b"\xa6secret")),)))
    store.commit(Batch((episode_record(6, namespace="b", contents=content(b"\xa5plain")),)))
    plain = b"\x81\xa7content\x01"
    assert store.get("pattern", _pattern(1)) == plain
    assert store.scan("pattern") == [(_pattern(1), plain)]
    for namespace, word in (("a", b"secret"), ("b", b"plain")):
        found = store.get("pattern", _pattern(1), namespace)
        assert found is not None
        assert word in found
        assert store.scan("pattern", filters=_of(namespace)) == [(_pattern(1), found)]
    assert store.get("pattern", _pattern(1), "c") is None


def _a_log_before_its_horizon_requires_a_resync(store: Store) -> None:
    records = [episode_record(number) for number in range(6)]
    for record in records:
        store.commit(Batch((record,), side_records=(_note(record.id[0] % 3, record=record.id),)))
    store.commit(Batch(removed=(records[0].id, records[1].id), side_records=(_note(9),)))
    store.commit(Batch(side_records=(_note(9, record=None),)))
    newest = store.sequence()
    compaction = store.compact(keep=1)
    assert compaction.horizon == newest - 1
    assert compaction.pruned > 0
    assert store.sequence() == newest
    for since in (1, newest - 2):
        error = _raises(ResyncRequiredError, partial(store.changes, since))
        assert isinstance(error, ResyncRequiredError)
        assert (error.since, error.horizon) == (since, newest - 1)
    assert len(store.changes(newest - 1)) == 1
    first = store.changes(0, 2)
    read = [*first, *store.changes(first.last, began=first.horizon)]
    puts = [change.record for change in read if change.op == "put"]
    assert puts == [replace(record, contents=b"") for record in records[2:]]
    assert store.compact(keep=1).pruned == 0
    store.commit(Batch((episode_record(20),), (records[2].id,)))
    store.compact(keep=0)
    assert list(store.changes(store.sequence())) == []
    _raises(ResyncRequiredError, lambda: store.changes(first.last, began=first.horizon))
    assert store.version("receipt", _note(9).id) is None
    assert store.commit(Batch((episode_record(21),))).sequence == store.sequence()
    assert len({change.sequence for change in store.changes(0)}) == len(store.changes(0))


def _side_records_are_found_by_their_subject(store: Store) -> None:
    subjects = [episode_record(number).id for number in range(2)]
    notes = [_note(number, subject=subjects[number % 2]) for number in range(6)]
    store.commit(Batch(side_records=(*notes, _note(7), _note(8, kind="credit", subject=subjects[0]))))
    odd = [(note.id, note.record) for note in notes[1::2]]
    assert store.scan("receipt", filters=Filters(subject=subjects[1])) == odd
    assert store.scan("receipt", filters=Filters(subject=subjects[1]), after=odd[0][0], limit=1) == odd[1:2]
    assert store.scan("receipt", filters=Filters(subject=bytes(16))) == []
    assert [change.side_record for change in store.changes(0)][:6] == notes
    store.commit(Batch(side_records=(replace(notes[1], record=None),)))
    assert store.scan("receipt", filters=Filters(subject=subjects[1])) == odd[1:]
    _raises(ValidationError, lambda: store.scan("episode", filters=Filters(subject=subjects[0])))


def _of(namespace: str) -> Filters:
    return Filters(namespace=namespace)


class _SideRecordFields(TypedDict, total=False):
    kind: SideRecordKind
    id: bytes
    namespace: str
    record: bytes | None
    subject: bytes | None


def _note(number: int, **fields: Unpack[_SideRecordFields]) -> SideRecord:
    record = b"\x81\xa6number" + struct.pack(">Bq", 0xD3, number)
    return replace(SideRecord("receipt", episode_record(number).id, "default", record), **fields)


def _hostile_texts_and_bytes_come_back_unaltered(store: Store) -> None:
    hostile = ["", "a\0b", "'; DROP TABLE episode; --", "ﬀ\u202e𝄞", "%_*?", "x" * 5_000]
    records = [
        episode_record(
            number, external_id=text, domain=text, agent=text, task_key=text, payload=text.encode()
        )
        for number, text in enumerate(hostile)
    ]
    everything = bytes(range(256)) * 64
    records.append(
        episode_record(99, payload=everything, embedding=everything, base=None, started_at=-(2**63))
    )
    store.commit(Batch(tuple(records)))
    assert [change.record for change in _all_changes(store)] == [
        replace(each, contents=b"") for each in records
    ]
    for record in records[:-1]:
        assert [id for id, _ in store.scan("episode", filters=Filters(external_id=record.external_id))] == [
            record.id
        ]


def _a_broken_rule_is_refused_by_its_field(store: Store) -> None:
    broken: EpisodeRecordFields = {
        "id": b"short",
        "digest": b"",
        "namespace": "",
        "domain": "\ud800",
        "complexity": "hard",
        "state": "done",
        "base": 1.5,
        "facts": b"x",
        "contents": b"x",
        "embedding": b"x",
    }
    for field, value in broken.items():
        fields: EpisodeRecordFields = {field: value}  # type: ignore[misc]
        batch = Batch((episode_record(1), episode_record(2, **fields)))
        error = _raises(ValidationError, partial(store.commit, batch))
        assert isinstance(error, ValidationError)
        assert error.field == field
    for field, value in {"kind": "episode", "id": b"short", "namespace": ""}.items():
        changed: _SideRecordFields = {field: value}  # type: ignore[misc]
        notes = (_note(1), _note(2, **changed))
        error = _raises(ValidationError, partial(store.commit, Batch(side_records=notes)))
        assert isinstance(error, ValidationError)
        assert error.field == field
    assert store.sequence() == 0
    _raises(ValidationError, lambda: store.get("episode", b"short"))
    _raises(ValidationError, lambda: store.get("no such kind", bytes(16)))  # type: ignore[arg-type]


def _a_closed_store_refuses_everything(store: Store) -> None:
    store.close()
    store.close()
    _raises(StorageError, lambda: store.commit(Batch((episode_record(1),))))
    _raises(StorageError, lambda: store.get("episode", bytes(16)))
    _raises(StorageError, lambda: store.scan("episode"))
    _raises(StorageError, lambda: store.changes(0))
    _raises(StorageError, lambda: store.version("episode", bytes(16)))
    _raises(StorageError, store.compact)
    _raises(StorageError, store.sequence)
    _raises(StorageError, store.stats)


def _committed_rows_are_there_after_a_restart(store: Store, reopen: Callable[[Store], Store]) -> None:
    records = [episode_record(number) for number in range(20)]
    for record in records:
        store.commit(Batch((record,)))
    store.commit(Batch(removed=(records[7].id,), side_records=(_note(1), _note(2), _note(3))))
    store.commit(Batch(side_records=(_note(1, record=b"other"), _note(2, record=None))))

    def found(store: Store) -> tuple[object, ...]:
        return store.scan("episode"), store.scan("receipt"), _all_changes(store), store.sequence()

    before = found(store)
    store = reopen(store)
    try:
        assert found(store) == before
        assert store.commit(Batch(tuple(records[:7]))).unchanged == 7
    finally:
        store.close()


def _all_changes(store: Store, limit: int = 1000) -> list[Change]:
    read: list[Change] = []
    since = 0
    while len(stretch := store.changes(since, limit)):
        read.extend(stretch)
        since = stretch.last
    return read


def _raises(expected: type[Exception], call: Callable[[], object]) -> Exception:
    try:
        call()
    except expected as error:
        return error
    raise AssertionError(f"{expected.__name__} was not raised")


_CHECKS: tuple[Callable[[Store], None], ...] = (
    _a_batch_is_committed_whole,
    _a_batch_with_a_conflict_leaves_nothing,
    _repeating_a_commit_changes_nothing,
    _another_content_under_the_same_name_is_a_conflict,
    _a_scan_pages_in_the_order_of_ids_both_ways,
    _a_scan_returns_the_rows_of_its_filters,
    _changes_are_complete_and_in_order,
    _a_removed_episode_is_gone_and_logged,
    _many_values_come_in_the_order_of_their_ids,
    _a_side_record_is_committed_with_its_episode_or_not_at_all,
    _a_side_record_is_replaced_and_deleted,
    _side_records_are_found_by_kind_and_namespace,
    _changes_list_each_side_record_once,
    _a_precondition_holds_or_nothing_is_committed,
    _a_batch_that_is_stored_already_is_unchanged_whatever_it_expects,
    _a_row_that_was_written_again_has_a_new_version,
    _an_episode_moves_to_another_state_once,
    _a_pattern_goes_with_its_last_fact,
    _the_detail_of_a_pattern_stays_in_its_namespace,
    _a_log_before_its_horizon_requires_a_resync,
    _side_records_are_found_by_their_subject,
    _hostile_texts_and_bytes_come_back_unaltered,
    _a_broken_rule_is_refused_by_its_field,
)
