"""The store in memory: pages, removals, conflicts within one batch, and its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tacit.errors import ConflictError, ResyncRequiredError, StorageError, ValidationError
from tacit.model.record import Batch, Filters, SideRecord
from tacit.storage import InMemoryStore
from tacit.testing import episode_record

RECORDS = tuple(episode_record(number) for number in range(5))
IDS = [record.id for record in RECORDS]


@pytest.fixture
def store() -> InMemoryStore:
    store = InMemoryStore()
    store.commit(Batch(RECORDS))
    return store


def ids(rows: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [id for id, _ in rows]


def test_a_page_begins_after_the_last_of_the_page_before(store: InMemoryStore) -> None:
    assert ids(store.scan("episode", limit=2)) == IDS[:2]
    assert ids(store.scan("episode", limit=2, after=IDS[1])) == IDS[2:4]
    assert ids(store.scan("episode", limit=2, after=IDS[4])) == []


def test_a_page_of_the_newest_goes_backwards(store: InMemoryStore) -> None:
    assert ids(store.scan("episode", limit=2, newest_first=True)) == [IDS[4], IDS[3]]
    assert ids(store.scan("episode", limit=2, newest_first=True, after=IDS[3])) == [IDS[2], IDS[1]]
    assert ids(store.scan("episode", limit=2, newest_first=True, after=IDS[0])) == []


def test_a_page_may_begin_after_an_episode_that_is_gone(store: InMemoryStore) -> None:
    store.commit(Batch(removed=(IDS[2],)))
    assert ids(store.scan("episode", after=IDS[2])) == IDS[3:]
    assert ids(store.scan("episode", after=IDS[2], newest_first=True)) == [IDS[1], IDS[0]]


def test_changes_come_in_stretches_that_join(store: InMemoryStore) -> None:
    first = store.changes(0, limit=2)
    assert ([change.sequence for change in first], first.last) == ([1, 2], 2)
    rest = store.changes(first.last)
    assert ([change.sequence for change in rest], rest.last) == ([3, 4, 5], 5)
    assert (len(store.changes(5)), store.changes(5).last, store.sequence()) == (0, 5, 5)


def test_a_removed_put_is_left_out_of_the_changes(store: InMemoryStore) -> None:
    receipt = store.commit(Batch(removed=(IDS[0], bytes(16))))
    # The pattern that only this episode named takes a number too.
    assert (receipt.sequence, receipt.committed, receipt.unchanged) == (7, 1, 1)
    changes = [(change.sequence, change.op, change.id) for change in store.changes(0)]
    assert changes == [*((n, "put", IDS[n - 1]) for n in range(2, 6)), (6, "remove", IDS[0])]


def test_a_conflict_leaves_nothing_of_its_batch(store: InMemoryStore) -> None:
    before = list(store.changes(0)), store.stats()
    taken = episode_record(7, external_id="a")
    other = episode_record(8, external_id="a", digest=b"x" * 16)
    with pytest.raises(ConflictError):
        store.commit(Batch((taken, other), removed=(IDS[1],)))
    assert (list(store.changes(0)), store.stats()) == before
    assert store.scan("episode", filters=Filters(external_id="a")) == []
    assert store.get("episode", IDS[1]) is not None


def test_an_external_id_is_free_once_its_episode_is_removed(store: InMemoryStore) -> None:
    taken = episode_record(7, external_id="a")
    again = episode_record(8, external_id="a", digest=b"x" * 16)
    store.commit(Batch((taken,)))
    store.commit(Batch((again,), removed=(taken.id,)))
    assert ids(store.scan("episode", filters=Filters(external_id="a"))) == [again.id]


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.commit(Batch()),
        lambda store: store.get("episode", IDS[0]),
        lambda store: store.get_many("episode", IDS),
        lambda store: store.scan("episode"),
        lambda store: store.changes(0),
        lambda store: store.sequence(),
        lambda store: store.pending(),
        lambda store: store.stats(),
    ],
)
def test_a_closed_store_refuses_every_question(store: InMemoryStore, ask: Callable[[Any], object]) -> None:
    store.close()
    store.close()
    with pytest.raises(StorageError, match="closed"):
        ask(store)


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get("nothing", IDS[0]),
        lambda store: store.get("episode", b"short"),
        lambda store: store.get_many("episode", [b"short"]),
        lambda store: store.scan("nothing"),
        lambda store: store.scan("episode", after=b"short"),
    ],
)
def test_a_kind_or_an_id_that_there_is_not_is_refused(
    store: InMemoryStore, ask: Callable[[Any], object]
) -> None:
    with pytest.raises(ValidationError):
        ask(store)


def test_replacing_an_episode_by_itself_changes_nothing(store: InMemoryStore) -> None:
    before = store.sequence()
    receipt = store.commit(Batch((RECORDS[0],), removed=(IDS[0],)))
    assert (receipt.committed, receipt.unchanged, store.sequence()) == (0, 2, before)
    changed = replace(RECORDS[0], digest=b"x" * 16)
    assert store.commit(Batch((changed,), removed=(IDS[0],))).committed == 2


@pytest.mark.parametrize("keep", [0, 2, 100])
def test_compaction_prunes_removals_up_to_the_horizon(store: InMemoryStore, keep: int) -> None:
    store.commit(Batch(removed=(IDS[0], IDS[4])))
    store.commit(Batch((episode_record(9),)))
    before, newest = [(change.sequence, change.op) for change in store.changes(0)], store.sequence()
    horizon = max(0, newest - keep)
    assert store.compact(keep).horizon == horizon
    assert store.sequence() == newest
    kept = [(number, op) for number, op in before if op == "put" or number > horizon or number == newest]
    assert [(change.sequence, change.op) for change in store.changes(0)] == kept
    if horizon > 1:
        with pytest.raises(ResyncRequiredError):
            store.changes(1)
    assert len(store.changes(max(horizon, 1))) == sum(number > max(horizon, 1) for number, _ in kept)


def test_compaction_drops_deleted_side_records_and_counts_them(store: InMemoryStore) -> None:
    kept, deleted = (SideRecord("heuristic", bytes([number]) * 16, "default", b"x") for number in (1, 2))
    store.commit(Batch(side_records=(kept, deleted)))
    store.commit(Batch(side_records=(replace(deleted, record=None),)))
    store.commit(Batch((episode_record(9),)))
    assert store.compact(0).pruned == 3  # both entries of the deleted record, and the record itself
    assert [id for id, _ in store.scan("heuristic")] == [kept.id]
    assert [change.id for change in store.changes(0) if change.op == "side_record"] == [kept.id]


@pytest.mark.parametrize(
    ("kind", "filters"),
    [
        ("episode", Filters(namespace="default", external_id="run-7")),
        ("receipt", Filters(subject=bytes([7] * 16))),
    ],
)
def test_a_scan_by_external_id_or_subject_looks_at_no_other_row(
    store: InMemoryStore, monkeypatch: pytest.MonkeyPatch, kind: Any, filters: Filters
) -> None:
    store.commit(
        Batch(
            episodes=tuple(
                replace(episode_record(number), external_id=f"run-{number}") for number in range(20)
            ),
            side_records=tuple(
                SideRecord("receipt", bytes([number, *bytes(15)]), "default", b"\x80", bytes([number] * 16))
                for number in range(20)
            ),
        )
    )
    looked_at: list[bytes] = []
    matches = InMemoryStore._matches

    def counted(self: InMemoryStore, kind: str, id: bytes, wanted: dict[str, object]) -> bool:
        looked_at.append(id)
        return matches(self, kind, id, wanted)

    monkeypatch.setattr(InMemoryStore, "_matches", counted)
    assert [id for id, _ in store.scan(kind, filters=filters)] == looked_at
    assert len(looked_at) == 1
