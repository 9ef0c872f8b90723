"""A store on a server: round trips, groups of commits, its own changes, and answers that are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tacit import ConflictError, CorruptRecordError, SchemaError, VersionConflictError
from tacit.model.record import Batch, EpisodeStateChange, Expect, Receipt, SideRecord
from tacit.storage.remote import RemoteStore, reads, values
from tacit.storage.remote.commits import BatchPlan
from tacit.testing import episode_record
from tests.hrana_server import HranaServer

NOTE = SideRecord("receipt", episode_record(1).id, "default", b"record")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HranaServer]:
    server = HranaServer(tmp_path / "server.db")
    yield server
    server.close()


@pytest.fixture
def store(server: HranaServer) -> Iterator[RemoteStore]:
    with RemoteStore(*server.url.split(":", 1)) as store:
        store.sequence()
        yield store


def test_a_read_is_one_round_trip_and_a_commit_at_most_two(server: HranaServer, store: RemoteStore) -> None:
    first = episode_record(1)
    calls: list[tuple[int, Callable[[], object]]] = [
        (1, lambda: store.commit(Batch((first, episode_record(2)), side_records=(NOTE,)))),
        (1, lambda: store.commit(Batch(side_records=(NOTE,), expect=(Expect("episode", first.id, 1),)))),
        (2, lambda: store.commit(Batch((first,), (first.id,)))),
        (2, lambda: store.commit(Batch(states=(EpisodeStateChange(first.id, "pending"),)))),
        (1, lambda: store.get("episode", first.id)),
        (1, lambda: store.get_many("pattern", [bytes(16), first.id], "default")),
        (1, lambda: store.get_versioned("receipt", NOTE.id)),
        (1, lambda: store.version("episode", first.id)),
        (1, lambda: store.scan("episode")),
        (1, lambda: store.changes(0)),
        (1, store.sequence),
        (1, store.pending),
        (1, store.stats),
        (1, store.compact),
        (0, store.damaged_count),
    ]
    for expected, call in calls:
        before = server.requests["pipeline"]
        call()
        assert server.requests["pipeline"] - before == expected


def test_a_batch_that_is_refused_takes_no_other_of_its_group_with_it(store: RemoteStore) -> None:
    store.commit(Batch((episode_record(1),)))
    batches = [
        Batch((episode_record(2),)),
        Batch((episode_record(3), episode_record(1, digest=bytes(16)))),
        Batch((episode_record(4),), expect=(Expect("episode", episode_record(1).id, 7),)),
        Batch((episode_record(1),)),
        Batch(removed=(episode_record(1).id,), side_records=(NOTE,)),
        Batch((episode_record(5),)),
    ]
    plans = [BatchPlan.of(batch) for batch in batches]
    outcomes = store._committer._commit_group(plans, store._caller.deadline())
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Receipt, ConflictError, VersionConflictError, Receipt, Receipt, Receipt]
    counts = [
        (each.sequence, each.committed, each.unchanged) for each in outcomes if isinstance(each, Receipt)
    ]
    assert counts == [(2, 1, 0), (2, 0, 1), (5, 2, 0), (6, 1, 0)]
    assert [id for id, _ in store.scan("episode")] == [episode_record(n).id for n in (2, 5)]


def test_a_batch_whose_episode_moved_after_the_look_looks_again(
    server: HranaServer, store: RemoteStore
) -> None:
    first = episode_record(1)
    store.commit(Batch((first,)))
    plan = BatchPlan.of(Batch(removed=(first.id,)))
    look = store._committer._look

    def look_and_move(plans: list[BatchPlan], deadline: object) -> None:
        look(plans, store._caller.deadline())
        store._committer._look = look  # type: ignore[method-assign]
        with RemoteStore(*server.url.split(":", 1)) as other:
            other.commit(Batch((episode_record(1, payload=b"\x80"),), (first.id,)))

    store._committer._look = look_and_move  # type: ignore[method-assign]
    receipt = store._committer.commit(plan)
    assert (receipt.committed, receipt.sequence, store.get("episode", first.id)) == (1, 5, None)


def test_its_own_changes_are_those_of_the_log(store: RemoteStore) -> None:
    store.commit(Batch((episode_record(1),), side_records=(NOTE,)))
    own = store.own_changes(0)
    assert own is not None
    assert list(own) == list(store.changes(0))
    assert own.last == store.sequence() == 2
    assert store.own_changes(1) is None
    store.commit(Batch((episode_record(1), episode_record(2))))  # one of both is there
    store.commit(Batch((episode_record(3),), (episode_record(1).id,)))
    assert (store.own_changes(2), store.own_changes(3)) == (None, None)


def test_answers_that_are_cut_are_continued(store: RemoteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [episode_record(number, payload=bytes(400)) for number in range(9)]
    store.commit(Batch(tuple(records)))
    monkeypatch.setattr(reads, "PAGE_BYTES", 1_500)
    ids = [record.id for record in records]
    assert store.get_many("episode", [*ids, bytes(16), ids[0]]) == [bytes(400)] * 9 + [None, bytes(400)]
    assert [id for id, _ in store.scan("episode")] == ids
    assert [id for id, _ in store.scan("episode", limit=5, newest_first=True)] == ids[:3:-1]
    since, read = 0, []
    while len(changes := store.changes(since)):
        read += [change.id for change in changes]
        since = changes.last
    assert read == ids
    assert store.damaged() == []


def test_damaged_rows_are_left_out_listed_and_removed(server: HranaServer, store: RemoteStore) -> None:
    records = [episode_record(number) for number in range(4)]
    store.commit(Batch(tuple(records), side_records=(NOTE,)))
    server.run_batch(
        [
            {
                "stmt": {
                    "sql": f"UPDATE {table} SET record = zeroblob(30) WHERE {column} = {value}",
                    "args": [],
                }
            }
            for table, column, value in (
                ("episode", "sequence", 2),
                ("note", "sequence", 5),
                ("pattern", "number", 3),
            )
        ]
    )
    assert store.get_many("episode", [records[1].id, records[2].id]) == [None, records[2].payload]
    with pytest.raises(CorruptRecordError):
        store.get("episode", records[1].id)
    assert len(store.scan("episode", limit=3)) == 3
    assert [change.id for change in store.changes(0)] == [records[n].id for n in (0, 2, 3)]
    assert [row.kind for row in store.damaged()] == ["episode", "pattern", "receipt"]
    assert store.damaged_count() == 3
    assert len(store.remove_damaged()) == 3
    assert (store.damaged(), store.damaged_count()) == ([], 0)
    assert [change.op for change in store.changes(5)] == ["remove", "side_record"]


def test_a_database_of_another_program_or_a_newer_version_is_refused(server: HranaServer) -> None:
    server.run_batch([{"stmt": {"sql": "CREATE TABLE invoice (id INTEGER)", "args": []}}])
    with (
        RemoteStore(*server.url.split(":", 1)) as store,
        pytest.raises(SchemaError, match="not a tacit store"),
    ):
        store.sequence()


def test_a_store_of_a_newer_version_is_refused(server: HranaServer, store: RemoteStore) -> None:
    server.run_batch([{"stmt": {"sql": "UPDATE meta SET min_reader = 99", "args": []}}])
    with RemoteStore(*server.url.split(":", 1)) as other, pytest.raises(SchemaError, match="schema 99"):
        other.sequence()


def test_a_value_is_read_once_and_again_after_a_removal_by_anybody(
    server: HranaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "FRESH_S", 3_600.0)  # the test may be held up
    first = episode_record(1)
    with RemoteStore(*server.url.split(":", 1)) as store, RemoteStore(*server.url.split(":", 1)) as other:
        store.commit(Batch((first, episode_record(2))))
        store.sequence()
        assert store.get("episode", first.id) == first.payload
        before = server.requests["pipeline"]
        assert store.get_many("episode", [first.id, first.id]) == [first.payload] * 2
        assert server.requests["pipeline"] == before
        other.commit(Batch((episode_record(1, payload=b"\x80"),), (first.id,)))
        store.sequence()
        assert store.get("episode", first.id) == b"\x80"
        store.sequence()
        store.commit(Batch(removed=(first.id,)))
        assert store.get("episode", first.id) is None


def test_a_value_that_was_read_before_a_removal_is_not_kept_after_it() -> None:
    held = values.ReadValues(entries=10, size=1_000, ttl_s=60.0, clock=lambda: 0.0)
    held.compared(0, 5, is_clean=True)
    position = held.position
    held.clear()
    held.keep("episode", {bytes(16): b"old"}, None, position)
    held.compared(held.position, 6, is_clean=True)
    assert held.get("episode", [bytes(16)], None) == {}
