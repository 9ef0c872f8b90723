"""Ids belong to a namespace: no verb of one tenant reaches the episodes, answers or runs of another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tacit import (
    ConflictError,
    Episode,
    EpisodeClosedError,
    Memory,
    Outcome,
    Step,
    TacitError,
    UnknownEpisodeError,
    UnknownMaintenanceError,
    UnknownRecallError,
)

from .conftest import MakeMemory

WELL = Outcome.success()
Verb = Callable[[Memory, str], Any]

BY_EPISODE: dict[str, Verb] = {
    "get": lambda memory, id: memory.get(id),
    "log": lambda memory, id: memory.log(id, "look"),
    "complete": lambda memory, id: memory.complete(id, WELL),
    "forget": lambda memory, id: memory.forget(id),
    "usage": lambda memory, id: memory.usage(id),
    "recall": lambda memory, id: memory.recall("t", episode_id=id),
    "suggest": lambda memory, id: memory.suggest(["look"], episode_id=id),
    "playbook": lambda memory, id: memory.playbook("t", episode_id=id),
}
OF_OPEN = BY_EPISODE.keys() - {"usage"}


def fill(memory: Memory, times: int = 3, secret: str = "order_id") -> None:
    steps = (Step("look", parameters={secret: 1}, status="ok"), Step("buy", status="ok"))
    for _ in range(times):
        memory.add(Episode(task="Buy a lamp", steps=steps, outcome=WELL))


def stored(memory: Memory) -> str:
    fill(memory, 1)
    return memory.episodes()[0].id


@pytest.fixture(params=["another memory", "a view"])
def tenants(request: pytest.FixtureRequest, make_memory: MakeMemory, tmp_path: Path) -> tuple[Memory, Memory]:
    """Two tenants of one store: each with a memory of its own, or as views of one memory."""
    if request.param == "a view":
        memory = make_memory()
        return memory.within("a"), memory.within("b")
    one = make_memory(namespace="a")
    return one, make_memory(namespace="b", store=one._store)


@pytest.mark.parametrize("verb", sorted(BY_EPISODE))
def test_a_stored_episode_is_unknown_to_another_tenant(tenants: tuple[Memory, Memory], verb: str) -> None:
    mine, theirs = tenants
    id = stored(mine)
    with pytest.raises(UnknownEpisodeError):
        BY_EPISODE[verb](theirs, id)
    assert mine.get(id).task == "Buy a lamp"


@pytest.mark.parametrize("verb", sorted(OF_OPEN))
def test_an_open_episode_is_unknown_to_another_tenant(tenants: tuple[Memory, Memory], verb: str) -> None:
    mine, theirs = tenants
    id = mine.start("Buy a lamp")
    with pytest.raises(UnknownEpisodeError):
        BY_EPISODE[verb](theirs, id)
    assert mine.get(id).steps == ()
    assert mine.complete(id, WELL).state == "learned"


def test_an_answer_of_one_tenant_takes_no_feedback_of_another(tenants: tuple[Memory, Memory]) -> None:
    mine, theirs = tenants
    fill(mine)
    with mine.episode("Buy a lamp") as episode:
        answer = episode.recall()
        with pytest.raises(UnknownRecallError):
            theirs.feedback(answer.id, helped={})
        episode.succeed()
    with pytest.raises(UnknownRecallError):
        theirs.feedback(answer.id, helped={})
    mine.feedback(answer.id, helped={answer.hits[0].episode_id: True})


def test_a_maintenance_run_of_one_tenant_is_not_undone_by_another(tenants: tuple[Memory, Memory]) -> None:
    mine, theirs = tenants
    for outcome, tools in ((WELL, "look"), (Outcome.failure("no"), "guess")):
        for _ in range(15):
            step = Step(tools, status="ok")
            mine.add(Episode(task="Buy a lamp", steps=(step, step), outcome=outcome))
    run = mine.maintain().id
    assert run is not None
    with pytest.raises(UnknownMaintenanceError, match=f"no maintenance run '{run}'"):
        theirs.undo(run)
    assert mine.undo(run).kind == "undo"


LOOKS: dict[str, Verb] = {
    "recall": lambda memory, _: (memory.recall("Buy a lamp").hits, memory.recall("Buy a lamp").patterns),
    "suggest": lambda memory, _: [step.episodes for step in memory.suggest(["look"]).steps if step.episodes],
    "recover": lambda memory, _: memory.recover("lost", tool="look").ways,
    "predict": lambda memory, _: memory.predict("Buy a lamp").support,
    "playbook": lambda memory, _: memory.playbook("Buy a lamp").steps,
    "episodes": lambda memory, _: memory.episodes(),
    "patterns": lambda memory, _: memory.patterns(),
    "clusters": lambda memory, _: memory.clusters(),
    "heuristics": lambda memory, _: memory.heuristics(),
    "contrasts": lambda memory, _: memory.contrasts(),
    "maintain": lambda memory, _: memory.maintain().heuristics,
}


@pytest.mark.parametrize("verb", sorted(LOOKS))
def test_nothing_of_one_tenant_is_shown_to_another(tenants: tuple[Memory, Memory], verb: str) -> None:
    mine, theirs = tenants
    fill(mine)
    shown = LOOKS[verb](theirs, "")
    assert not (any(shown) if isinstance(shown, tuple) else shown)


def test_parameter_names_of_one_tenant_are_not_shown_to_another(tenants: tuple[Memory, Memory]) -> None:
    mine, theirs = tenants
    fill(mine, secret="patient_name")
    fill(theirs, secret="order_id")
    assert "patient_name" in str(mine.patterns())
    assert "patient_name" not in str(theirs.patterns())


def test_an_episode_without_a_namespace_is_added_to_the_memory_s_own(tenants: tuple[Memory, Memory]) -> None:
    mine, _ = tenants
    learned = mine.add(Episode(task="t", outcome=WELL))
    assert mine.get(learned.episode_id).namespace == "a"


def test_an_episode_may_be_started_for_another_tenant_and_ended_by_its_memory(
    make_memory: MakeMemory,
) -> None:
    memory = make_memory()
    id = memory.start("t", namespace="a")
    assert memory.log(id, "look") == 1
    with pytest.raises(UnknownEpisodeError):
        memory.within("b").log(id, "look")
    memory.complete(id, WELL)
    with pytest.raises(UnknownEpisodeError):
        memory.get(id)
    assert memory.get(id, namespace="a").steps[0].tool == "look"
    with pytest.raises(EpisodeClosedError):
        memory.log(id, "look", namespace="a")


def test_a_view_shares_the_store_and_closing_it_closes_nothing(make_memory: MakeMemory) -> None:
    memory = make_memory()
    with memory.within("a") as view:
        fill(view)
        assert view.namespace == "a"
    assert len(memory.episodes(namespace="a")) == 3
    with pytest.raises(TacitError):
        memory.within("")


def test_another_tenant_cannot_take_the_id_of_an_open_episode() -> None:
    memory = Memory()
    ours, theirs = memory.within("ours"), memory.within("theirs")
    id = ours.start("valuable")
    ours.log(id, "look", output="precious")
    with pytest.raises(ConflictError):
        theirs.add(Episode("attack", id=id, outcome=Outcome.success()))
    assert ours.complete(id, Outcome.success()).state == "learned"
