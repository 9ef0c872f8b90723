"""What holds for every store."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any

from ..errors import ConflictError, StorageError, ValidationError
from ..model.record import Batch, Change, EpisodeRecord, SideRecord
from ..storage import Store
from ..storage.audit import wrong_sums

__all__ = ["check_store", "episode_record"]


def episode_record(number: int, **fields: Any) -> EpisodeRecord:
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
    """Holds a store to its promises.

    `make_store` gives a new empty store each time. `reopen`, for stores that outlive their process, closes
    the given one and opens what it left.
    """
    for check in _CHECKS:
        store = make_store()
        try:
            check(store)
        finally:
            store.close()
    _a_closed_store_refuses_everything(make_store())
    if reopen is not None:
        _what_was_committed_is_there_after_a_restart(make_store(), reopen)


def _a_batch_lands_whole(store: Store) -> None:
    first, second = episode_record(1), episode_record(2)
    receipt = store.commit(Batch((first, second)))
    assert (receipt.committed, receipt.unchanged, receipt.sequence) == (2, 0, store.sequence())
    assert store.get("episode", first.id) == first.payload
    assert store.get("embedding", second.id) == second.embedding
    assert store.get("pattern", _pattern(1)) == b"\x90"


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


def _a_scan_finds_what_its_filters_name(store: Store) -> None:
    plain = [episode_record(number) for number in range(6)]
    named = episode_record(6, namespace="other", external_id="run-6", state="pending", agent="solo")
    store.commit(Batch((*plain, named)))

    def found(**filters: Any) -> list[bytes]:
        return [id for id, _ in store.scan("episode", **filters)]

    assert found(domain="domain-1") == [plain[1].id, plain[3].id, plain[5].id]
    assert found(domain="domain-1", task_key="task-0", namespace="default") == [plain[3].id]
    assert found(namespace="other") == found(external_id="run-6") == found(agent="solo") == [named.id]
    assert found(state="pending") == store.pending() == [named.id]
    assert found(namespace="absent") == found(namespace="other", domain="absent") == []
    _raises(ValidationError, lambda: store.scan("pattern", domain="domain-1"))


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


def _a_removed_episode_is_gone_and_said_to_be(store: Store) -> None:
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


def _the_sums_are_those_of_the_facts(store: Store) -> None:
    for number in range(300):
        store.commit(Batch((episode_record(number, base=number % 4 / 3 if number % 4 else None),)))
    store.commit(Batch(removed=tuple(episode_record(number).id for number in range(0, 300, 7))))
    store.commit(Batch((episode_record(300, base=0.5), episode_record(301, state="pending"))))
    assert wrong_sums(store) == 0


def _a_note_lands_with_its_episode_or_not_at_all(store: Store) -> None:
    receipt = store.commit(Batch((episode_record(1),), notes=(_note(1), _note(1, kind="credit"))))
    assert (receipt.committed, receipt.unchanged, receipt.sequence) == (3, 0, store.sequence())
    assert store.get("receipt", _note(1).id) == _note(1).record
    before = store.sequence()
    notes = _note(1, record=b"new"), _note(2), _note(1, kind="credit", record=None)
    conflicts = (
        Batch((replace(episode_record(1), digest=bytes(16)),), notes=notes),
        Batch((episode_record(3),), notes=(*notes, _note(1, namespace="other"))),
    )
    for batch in conflicts:
        _raises(ConflictError, partial(store.commit, batch))
    assert store.get_many("receipt", [_note(1).id, _note(2).id]) == [_note(1).record, None]
    assert store.get("credit", _note(1).id) is not None
    assert (store.sequence(), store.get("episode", episode_record(3).id)) == (before, None)


def _a_note_is_replaced_and_deleted(store: Store) -> None:
    store.commit(Batch(notes=(_note(1), _note(2))))
    same = store.commit(Batch(notes=(_note(1), _note(2))))
    assert (same.committed, same.unchanged, same.sequence) == (0, 2, 2)
    assert store.commit(Batch(notes=(_note(1, record=b"other"),))).sequence == 3
    assert store.get("receipt", _note(1).id) == b"other"
    deleted = Batch(notes=(_note(2, record=None), _note(2, record=None), _note(9, record=None)))
    assert (store.commit(deleted).committed, store.sequence()) == (1, 4)
    assert store.get("receipt", _note(2).id) is None
    assert store.scan("receipt") == [(_note(1).id, b"other")]
    assert store.commit(Batch(notes=(_note(1, namespace="other", record=None),))).unchanged == 1
    assert store.commit(Batch(notes=(_note(2, record=b""),))).committed == 1
    assert store.get("receipt", _note(2).id) == b""


def _notes_are_found_by_kind_and_namespace(store: Store) -> None:
    notes = [_note(number, namespace=f"space-{number % 2}") for number in range(6)]
    store.commit(Batch(notes=(*reversed(notes), _note(7, kind="audit"))))
    rows = [(note.id, note.record) for note in notes]
    assert store.scan("receipt") == rows
    assert store.scan("receipt", namespace="space-1", newest_first=True, limit=2) == rows[:2:-2]
    assert store.scan("receipt", namespace="space-0", after=rows[0][0]) == rows[2::2]
    assert store.scan("receipt", namespace="absent") == store.scan("merge") == []
    assert [id for id, _ in store.scan("audit")] == [_note(7).id]
    assert store.scan("episode") == []
    _raises(ValidationError, lambda: store.scan("receipt", domain="domain-1"))


def _changes_tell_each_note_as_it_stands(store: Store) -> None:
    store.commit(Batch((episode_record(1),), notes=(_note(1), _note(2), _note(3))))
    again, gone = _note(1, record=b"other"), _note(2, record=None)
    store.commit(Batch(removed=(episode_record(1).id,), notes=(again, gone)))
    expected = [("note", _note(3)), ("remove", None), ("note", again), ("note", gone)]
    read = _all_changes(store, limit=2)
    assert [(change.op, change.note) for change in read] == expected
    assert [change.sequence for change in read] == [4, 5, 6, 7]
    assert [change.id for change in read] == [_note(3).id, episode_record(1).id, again.id, gone.id]
    assert wrong_sums(store) == 0


def _note(number: int, **fields: Any) -> SideRecord:
    record = b"\x81\xa6number" + struct.pack(">Bq", 0xD3, number)
    return replace(SideRecord("receipt", episode_record(number).id, "default", record), **fields)


def _whatever_bytes_and_names_are_given_come_back(store: Store) -> None:
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
        assert [id for id, _ in store.scan("episode", external_id=record.external_id)] == [record.id]


def _what_breaks_a_rule_is_refused_by_its_name(store: Store) -> None:
    broken = {
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
        batch = Batch((episode_record(1), episode_record(2, **{field: value})))
        error = _raises(ValidationError, partial(store.commit, batch))
        assert isinstance(error, ValidationError)
        assert error.field == field
    for field, value in {"kind": "episode", "id": b"short", "namespace": ""}.items():
        notes = (_note(1), _note(2, **{field: value}))
        error = _raises(ValidationError, partial(store.commit, Batch(notes=notes)))
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
    _raises(StorageError, store.sequence)
    _raises(StorageError, store.sums)
    _raises(StorageError, store.stats)


def _what_was_committed_is_there_after_a_restart(store: Store, reopen: Callable[[Store], Store]) -> None:
    records = [episode_record(number) for number in range(20)]
    for record in records:
        store.commit(Batch((record,)))
    store.commit(Batch(removed=(records[7].id,), notes=(_note(1), _note(2), _note(3))))
    store.commit(Batch(notes=(_note(1, record=b"other"), _note(2, record=None))))

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
    _a_batch_lands_whole,
    _a_batch_with_a_conflict_leaves_nothing,
    _repeating_a_commit_changes_nothing,
    _another_content_under_the_same_name_is_a_conflict,
    _a_scan_pages_in_the_order_of_ids_both_ways,
    _a_scan_finds_what_its_filters_name,
    _changes_are_complete_and_in_order,
    _a_removed_episode_is_gone_and_said_to_be,
    _many_values_come_in_the_order_of_their_ids,
    _the_sums_are_those_of_the_facts,
    _a_note_lands_with_its_episode_or_not_at_all,
    _a_note_is_replaced_and_deleted,
    _notes_are_found_by_kind_and_namespace,
    _changes_tell_each_note_as_it_stands,
    _whatever_bytes_and_names_are_given_come_back,
    _what_breaks_a_rule_is_refused_by_its_name,
)
