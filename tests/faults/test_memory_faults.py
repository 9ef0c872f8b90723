"""A memory survives commits that land and raise all the same, faulty embedders, values of the wrong kind."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit import Episode, EpisodeClosedError, Memory, Outcome, Settings, Step, StorageError, ValidationError
from tacit.embedding import embedders
from tacit.model.record import Batch, Receipt
from tacit.storage import InMemoryStore
from tacit.storage.base import Changes
from tacit.testing import Clock, FaultyStore

WELL = Outcome.success("done")


def interrupted() -> None:
    raise KeyboardInterrupt


def store_again(memory: Memory, episode: Episode) -> None:
    memory.add(episode)


def attempt(store: FaultyStore, clock: Clock, **head: Any) -> tuple[Memory, str]:
    """A memory with an open episode whose first completion was interrupted after it had landed."""
    memory = Memory(store=store, clock=clock)
    episode_id = memory.start("find the order", **head)
    memory.log(episode_id, "search", output=1)
    store.after = interrupted
    with pytest.raises(KeyboardInterrupt):
        memory.complete(episode_id, WELL)
    clock.advance(5.0)
    return memory, episode_id


def test_a_completion_that_was_interrupted_after_it_landed_can_be_repeated() -> None:
    memory, episode_id = attempt(FaultyStore(), Clock())
    repeated = memory.complete(episode_id, WELL)
    stored = memory.get(episode_id)
    assert (repeated.state, repeated.reward) == ("unchanged", stored.reward)
    assert memory.stats()["open"] == 0
    assert [pattern.trials for pattern in memory.patterns()] == [1] * len(memory.patterns())


def test_a_completion_that_landed_takes_no_other_outcome() -> None:
    memory, episode_id = attempt(FaultyStore(), Clock())
    with pytest.raises(EpisodeClosedError):
        memory.complete(episode_id, Outcome.failure("not found"))
    assert memory.complete(episode_id, WELL).state == "unchanged"


def test_a_completion_that_did_not_land_learns_what_was_logged_since() -> None:
    store, clock = FaultyStore(), Clock()
    memory = Memory(store=store, clock=clock)
    episode_id = memory.start("find the order")
    store.before = interrupted
    with pytest.raises(KeyboardInterrupt):
        memory.complete(episode_id, WELL)
    memory.log(episode_id, "search", output=1)
    assert memory.complete(episode_id, WELL).state == "learned"
    assert len(memory.get(episode_id).steps) == 1


def test_what_another_process_added_in_the_meantime_is_named_by_its_own_id() -> None:
    store = FaultyStore()
    one, other = Memory(store=store), Memory(store=store)
    run = Episode(
        task="find the order", external_id="run-1", started_at=10**15, ended_at=10**15 + 1, outcome=WELL
    )
    store.before = lambda: store_again(other, run)
    added = one.add(run)
    assert added.state == "unchanged"
    assert one.get(added.episode_id).task == run.task


def test_patterns_of_one_namespace_are_new_to_another_within_a_chunk() -> None:
    steps = (Step("look", status="ok"), Step("act", status="ok"))
    episodes = [
        Episode(task="t", namespace=name, steps=steps, outcome=WELL) for name in ("one", "two", "one")
    ]
    rewards = [learned.reward for learned in Memory().add_many(episodes)]
    assert [reward.novelty for reward in rewards if reward] == [1.0, 1.0, 0.0]


def test_the_order_of_keys_is_not_content() -> None:
    memory = Memory()
    orders = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    runs = [Episode(task="t", external_id="x", metadata=metadata, outcome=WELL) for metadata in orders]
    assert [memory.add(run).state for run in runs] == ["learned", "unchanged"]


@dataclass
class Faulty:
    """An embedder that returns the row it is given."""

    name: str = "faulty"
    dimension: int = 4
    row: list[float] = field(default_factory=lambda: [1.0] * 4)

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.array([self.row for _ in texts], dtype=np.float32)


@pytest.fixture
def faulty() -> Faulty:
    embedder = Faulty()
    embedders.register("faulty")(lambda: embedder)
    return embedder


FAULTY = Settings(embedder="faulty")


@pytest.mark.parametrize("row", [[float("nan")] * 4, [float("inf")] * 4, [1.0] * 3])
def test_an_episode_whose_vector_is_none_is_stored_and_learned_from_later(
    faulty: Faulty, row: list[float]
) -> None:
    memory, sound = Memory(settings=FAULTY), faulty.row
    faulty.row = row
    added = memory.add(Episode(task="t", outcome=WELL))
    assert (added.state, memory.patterns()) == ("pending", ())
    assert "embedding must be 1 rows of 4 finite numbers" in added.problems[0]
    faulty.row = sound
    assert memory.maintain().learned == 1
    assert len(memory.recall("t").hits) == 1


def test_vectors_of_another_dimension_are_left_out(faulty: Faulty, tmp_path: Path) -> None:
    with Memory(tmp_path / "x.db", settings=FAULTY) as memory:
        memory.add(Episode(task="find the order", outcome=WELL))
    faulty.dimension, faulty.row = 3, [1.0] * 3
    with Memory(tmp_path / "x.db", settings=FAULTY) as memory:
        signals = [reason.signal for reason in memory.recall("find the order").hits[0].reasons]
    assert "vector" not in signals


def test_episodes_that_are_not_alike_at_all_say_nothing_of_the_next_step() -> None:
    memory = Memory()
    memory.add(Episode(task="alpha beta", steps=(Step("look", status="ok"),), outcome=WELL))
    shares = [step.share for step in memory.recall("zzz qqq", domain="elsewhere").next_steps]
    assert all(0.0 <= share <= 1.0 for share in shares)


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": Outcome("triumph")},  # type: ignore[arg-type]
        {"timed": 3, "started_at": 1},
        {"steps": (Step("look", status="OK"),)},  # type: ignore[arg-type]
        {"steps": (Step("look", status="ok", error="not found"),)},
    ],
)
def test_what_could_not_come_back_as_it_was_is_refused(wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"task": "t", "outcome": WELL, **wrong}
    with pytest.raises(ValidationError):
        Memory().add(Episode(**given))


def test_a_key_that_runs_python_when_it_is_converted_holds_up_nobody_else() -> None:
    memory = Memory()
    episode_id = memory.start("t")
    waited: list[bool] = []

    class Key:
        def __str__(self) -> str:
            other = threading.Thread(target=memory.log, args=(episode_id, "other"), daemon=True)
            other.start()
            other.join(10)
            waited.append(other.is_alive())
            return "key"

        __repr__ = __str__

    memory.log(episode_id, "look", parameters={Key(): 1}, strict=False)
    assert waited
    assert not any(waited)
    assert {step.tool for step in memory.get(episode_id).steps} == {"other", "look"}


class UnreachableIndex:
    """An index whose lock nobody will ever release."""

    @property
    def sequence(self) -> int:
        raise AssertionError("waits for ever")


def test_a_store_that_refuses_is_asked_before_the_index_is() -> None:
    store = InMemoryStore()
    memory = Memory(store=store)
    store.close()
    memory._rooms.index = UnreachableIndex()  # type: ignore[assignment]
    with pytest.raises(StorageError):
        memory.recall("find the order")


class Forgetful(InMemoryStore):
    """Cannot be read once another memory has committed in between."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: BaseException | None = None

    def changes(self, since: int, limit: int = 1_000, *, began: int | None = None) -> Changes:
        if self.failure is not None:
            raise self.failure
        return super().changes(since, limit, began=began)


class PanicException(BaseException):
    """As PyO3 raises it: no `Exception`."""


@pytest.mark.parametrize("verb", ["complete", "judge"])
@pytest.mark.parametrize("failure", [StorageError("no reading now"), PanicException("index out of bounds")])
def test_a_commit_that_landed_is_acknowledged_though_the_index_cannot_follow(
    failure: BaseException, verb: str
) -> None:
    store = Forgetful()
    memory, other = Memory(store=store), Memory(store=store)
    first = memory.start("one")
    if verb == "judge":
        memory.complete(first)
    original = store.commit

    def commit(batch: Batch) -> Receipt:
        store.commit = original  # type: ignore[method-assign]
        other.complete(other.start("two"), WELL)
        receipt = original(batch)
        store.failure = failure
        return receipt

    store.commit = commit  # type: ignore[method-assign]
    learned = memory.complete(first, WELL) if verb == "complete" else memory.judge(first, WELL)
    assert learned.state == "learned"
    assert learned.problems == ("index: behind this commit until the next verb",)
    store.failure = None
    assert memory.stats()["late_catch_ups"] == 1
    assert memory.stats()["index"]["episodes"] == 2
