"""The native store and the one in memory give the same answers to any sequence of commits."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import ConflictError, VersionConflictError
from tacit.model.record import Batch, EpisodeRecord, EpisodeStateChange, Expect, Filters, Receipt
from tacit.storage import InMemoryStore, NativeStore, Store
from tacit.storage.remote import RemoteStore
from tacit.testing import episode_record
from tests.hrana_server import HranaServer


@st.composite
def records(draw: st.DrawFn) -> EpisodeRecord:
    """Few ids, external ids and contents, so that they meet."""
    return episode_record(
        draw(st.integers(0, 7)),
        external_id=draw(st.sampled_from([None, "a", "b"])),
        digest=bytes([draw(st.integers(0, 1))]) * 16,
        namespace=draw(st.sampled_from(["default", "other"])),
        state=draw(st.sampled_from(["learned", "pending"])),
    )


numbers = st.integers(0, 7).map(lambda number: episode_record(number).id)
batches = st.builds(
    Batch,
    st.lists(records(), max_size=4).map(tuple),
    st.lists(numbers, max_size=3).map(tuple),
    states=st.lists(
        st.builds(EpisodeStateChange, numbers, st.sampled_from(["learned", "pending"])), max_size=1
    ).map(tuple),
    expect=st.lists(
        st.builds(Expect, st.just("episode"), numbers, st.none() | st.integers(1, 12)), max_size=1
    ).map(tuple),
)


@given(st.lists(batches, max_size=12))
def test_any_commits_have_the_same_outcome_in_both(batches: list[Batch]) -> None:
    with TemporaryDirectory() as folder, NativeStore(Path(folder) / "a.db", durability="fast") as native:
        memory = InMemoryStore()
        for batch in batches:
            assert outcome(native, batch) == outcome(memory, batch)
            assert everything(native) == everything(memory)


@settings(max_examples=10, deadline=None)
@given(st.lists(batches, min_size=3, max_size=8))
def test_any_commits_have_the_same_outcome_on_a_server(batches: list[Batch]) -> None:
    with TemporaryDirectory() as folder:
        server = HranaServer(Path(folder) / "server.db")
        with RemoteStore(*server.url.split(":", 1)) as remote:
            memory = InMemoryStore()
            for batch in batches:
                assert outcome(remote, batch) == outcome(memory, batch)
            assert everything(remote) == everything(memory)
        server.close()


def outcome(store: Store, batch: Batch) -> tuple[object, ...]:
    try:
        receipt: Receipt = store.commit(batch)
    except ConflictError as error:
        return error.external_id, error.namespace
    except VersionConflictError as error:
        return error.args
    return receipt.sequence, receipt.committed, receipt.unchanged


def everything(store: Store) -> tuple[object, ...]:
    ids = [episode_record(number).id for number in range(8)]
    return (
        store.sequence(),
        store.get_many("episode", ids),
        [store.version("episode", id) for id in ids],
        store.scan("pattern"),
        store.scan("pattern", filters=Filters(namespace="other")),
        store.scan("embedding", newest_first=True, limit=3),
        store.scan("episode", filters=Filters(namespace="other", external_id="a")),
        store.pending(),
        list(store.changes(0)),
        list(store.changes(3, limit=2)),
        store.changes(3, limit=2).last,
    )
