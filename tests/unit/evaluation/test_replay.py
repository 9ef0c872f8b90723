"""Held-out episodes stay held out: a leak, however it came about, stops the evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tacit.errors import LeakError
from tacit.evaluation import LEARNED, PLACEBO, RANDOM, Bench, Replay, evaluate
from tacit.evaluation.dataset import Dataset, fold_of, task_of
from tacit.memory import Memory
from tacit.model.advice import Fixes, Playbook, Prediction, Suggestion
from tacit.model.episode import Episode, Outcome, Step
from tacit.model.learned import Learned
from tests.unit.evaluation.toy import CountingMemory, world


@pytest.fixture
def dataset() -> Dataset:
    return world()


class Leaking(CountingMemory):
    """A memory that somebody slips further episodes."""

    def __init__(self, slipped: Iterable[Episode]) -> None:
        super().__init__()
        self._slipped = list(slipped)

    def add_many(self, episodes: Iterable[Episode], *, replace: bool = False) -> Iterator[Learned]:
        given = list(episodes)
        learned = list(super().add_many(given))
        list(super().add_many(each for each in self._slipped if each.id not in {one.id for one in given}))
        return iter(learned)


def test_a_held_out_episode_in_the_memory_is_a_leak(dataset: Dataset) -> None:
    with pytest.raises(LeakError, match="was not given"):
        evaluate([dataset], ask=["B4"], make_memory=lambda: Leaking(dataset.episodes))


def test_a_held_out_episode_is_a_leak_under_another_name_too(dataset: Dataset) -> None:
    renamed = [replace(each, id="", task_key="another", agent="nobody") for each in dataset.episodes[:1]]
    with pytest.raises(LeakError, match="was not given"):
        evaluate([dataset], ask=["B6"], make_memory=lambda: Leaking(renamed))


def test_a_held_out_outcome_is_a_leak(dataset: Dataset) -> None:
    class Told(CountingMemory):
        """Notes on each episode how an attempt at another task ended."""

        def add_many(self, episodes: Iterable[Episode], *, replace: bool = False) -> Iterator[Learned]:
            ended = dataset.episodes[-1].outcome
            assert ended is not None
            noted = [dataclasses.replace(each, metadata={"seen": ended.kind}) for each in episodes]
            return super().add_many(noted)

    with pytest.raises(LeakError, match="was not given"):
        evaluate([dataset], ask=["B6"], make_memory=Told)


def test_an_episode_that_comes_later_is_found_when_the_memory_is_let_go(dataset: Dataset) -> None:
    bench = Bench(dataset, make_memory=CountingMemory)
    fold = dataset.folds[0]
    bench.but_fold(fold).memory.add(bench.held_out(fold)[0])
    with pytest.raises(LeakError, match="was not given"):
        bench.close()


def test_an_episode_that_was_changed_is_found(dataset: Dataset) -> None:
    replay = Replay(CountingMemory, dataset.episodes[:3])
    replay.memory.forget(dataset.episodes[0].id)
    with pytest.raises(LeakError, match="lost or changed"):
        replay.check()


def test_an_episode_that_was_given_cannot_be_asked_about(dataset: Dataset) -> None:
    replay = Replay(CountingMemory, dataset.episodes[:3])
    for ask in (replay.recall, replay.predict, replay.playbook):
        with pytest.raises(LeakError, match="which the memory was given"):
            ask(dataset.episodes[0])
    with pytest.raises(LeakError, match="which the memory was given"):
        replay.suggest(dataset.episodes[0], 0)


def test_an_answer_that_rests_on_what_is_held_out_is_a_leak(dataset: Dataset) -> None:
    class Resting(CountingMemory):
        """Names an episode that it cannot know."""

        def playbook(self, task: str, **asked: Any) -> Playbook:
            return replace(super().playbook(task, **asked), episodes=(dataset.episodes[-1].id,))

    replay = Replay(Resting, dataset.episodes[:3])
    with pytest.raises(LeakError, match="rests on episode"):
        replay.playbook(dataset.episodes[-1])


def test_what_is_left_out_for_a_while_is_unknown_meanwhile_and_back_afterwards(dataset: Dataset) -> None:
    replay = Replay(CountingMemory, dataset.episodes)
    key = task_of(dataset.episodes[0])
    with replay.without(dataset.tasks[key]):
        assert replay.memory.episodes(task_key=key) == ()
        replay.recall(dataset.episodes[0])
        replay.check()
    assert len(replay.memory.episodes(task_key=key)) == len(dataset.tasks[key])
    replay.check()


def test_a_memory_that_does_not_forget_is_a_leak(dataset: Dataset) -> None:
    class Unforgetting(CountingMemory):
        """Says that it forgot."""

        def forget(self, episode_id: str, *, namespace: str | None = None) -> None:
            pass

    replay = Replay(Unforgetting, dataset.episodes)
    with pytest.raises(LeakError, match="to be held out"), replay.without(dataset.episodes[:1]):
        pass


SECRET = "secret"


class Spy(Memory):
    """Notes the arguments of each question."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def recall(self, task: str, **asked: Any) -> Any:
        self.asked.append(repr((task, asked)))
        return super().recall(task, **asked)

    def suggest(self, steps: Any = (), **asked: Any) -> Suggestion:
        self.asked.append(repr((steps, asked)))
        return Suggestion("", ())

    def recover(self, error: str, **asked: Any) -> Fixes:
        self.asked.append(repr((error, asked)))
        return Fixes("", None, ())

    def predict(self, task: str, **asked: Any) -> Prediction:
        self.asked.append(repr((task, asked)))
        return Prediction(0.5, 0.0, 1.0, 0.5, None, None, None, None, 0.0, ())

    def playbook(self, task: str, **asked: Any) -> Playbook:
        self.asked.append(repr((task, asked)))
        return Playbook("", task, (), self.predict(task))


def test_a_question_says_nothing_of_how_it_went_on(dataset: Dataset) -> None:
    shown = Step("look", status="error", error="no lamp")
    hidden = Step(SECRET, status="ok", output=SECRET)
    asked = replace(
        dataset.episodes[-1],
        steps=(shown, hidden),
        outcome=Outcome.success(SECRET),
        metadata={"reward": SECRET},
        external_id=SECRET,
    )
    replay = Replay(Spy, dataset.episodes[:3])
    spy = replay.memory
    assert isinstance(spy, Spy)
    replay.recall(asked)
    replay.suggest(asked, 1)
    replay.recover(asked, 0)
    replay.recover(asked, 0, with_steps=True)
    replay.predict(asked, known_task=True)
    replay.playbook(asked)
    assert len(spy.asked) == 7
    assert not [each for each in spy.asked if SECRET in each]
    assert "no lamp" in spy.asked[1]


# --- controls ---


def test_a_random_memory_holds_every_episode_under_another_task(dataset: Dataset) -> None:
    replay = Bench(dataset, make_memory=CountingMemory).whole(RANDOM)
    heads = {episode.id: episode.task for episode in dataset.episodes}
    held = [replay.episode(episode.id) for episode in dataset.episodes]
    assert all(episode.task != heads[episode.id] for episode in held)
    assert sorted(episode.task for episode in held) == sorted(heads.values())


def test_a_placebo_keeps_how_many_succeeded(dataset: Dataset) -> None:
    bench = Bench(dataset, make_memory=CountingMemory)

    def outcomes(arm: Any, draw: int = 0) -> list[Any]:
        replay = bench.whole(arm, draw=draw)
        return [replay.episode(episode.id).outcome for episode in dataset.episodes]

    told, first, second = outcomes(LEARNED), outcomes(PLACEBO), outcomes(PLACEBO, 1)
    assert told != first != second
    assert sorted(map(repr, told)) == sorted(map(repr, first))


def test_a_fold_is_unknown_to_the_memory_that_is_asked_about_it(dataset: Dataset) -> None:
    bench = Bench(dataset, make_memory=CountingMemory)
    for fold in dataset.folds:
        for episode in bench.but_fold(fold).memory.episodes(limit=1_000):
            assert fold_of(task_of(episode)) != fold
    bench.close()
