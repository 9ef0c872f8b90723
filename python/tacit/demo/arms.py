"""Arms of the experiment: different advisers, with the same questions, tools and budget.

`without` has no adviser, `with` has a memory. Two controls have a memory that cannot help by being right: `random`
recalls episodes drawn at random, `shuffled` remembers each attempt with the outcome of another.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import EllipsisType
from typing import Any, Protocol, Unpack

from ..memory import Memory
from ..model.pattern import Pattern
from ..recorder import Recorder
from .advice import Advice, Adviser
from .database import Question
from .tools import StepResult

DOMAIN = "sql"
AGENT = "scripted"


class Attempt(Adviser, Protocol):
    """One question under an arm: an adviser that sees every step and, at the end, the outcome."""

    def log(
        self,
        tool: str,
        *,
        parameters: Any,
        latency_ms: float,
        output: Any | EllipsisType = ...,
        error: str | None = None,
    ) -> object:
        """Takes a step."""

    def end(self, accepted: bool | None) -> None:
        """Takes the outcome; `None` if no answer was submitted."""


class Arm(Protocol):
    """The adviser of an agent."""

    name: str

    def attempt(self, question: Question) -> Attempt:
        """Begins a question."""
        ...


class Unadvised:
    """An agent on its own: nobody to ask, nothing kept."""

    name = "without"

    def attempt(self, question: Question) -> Attempt:
        """Begins a question."""
        return _Alone()


class _Alone:
    def advise(self, about: str) -> Advice:
        return Advice()

    def log(self, tool: str, *, parameters: Any, latency_ms: float, **result: Unpack[StepResult]) -> None:
        pass

    def end(self, accepted: bool | None) -> None:
        pass


class Remembering:
    """An agent with a memory: every attempt is an episode, and advice is recalled.

    `hits` is the most episodes of a recall.
    """

    name = "with"

    def __init__(self, memory: Memory, *, hits: int = 10) -> None:
        self.memory = memory
        self.hits = hits

    def attempt(self, question: Question) -> Attempt:
        """Begins a question, as an episode."""
        return Remembered(self, self.episode(question))

    def episode(self, question: Question) -> Recorder:
        """The recorded form of a question."""
        return self.memory.episode(
            question.text,
            domain=DOMAIN,
            agent=AGENT,
            task_type="analysis",
            complexity="complex" if question.joins else "simple",
        )


class Remembered:
    """An episode that is being recorded, and asked for advice."""

    def __init__(self, arm: Remembering, episode: Recorder) -> None:
        self.arm = arm
        self.episode = episode
        self._recoveries: tuple[Pattern, ...] | None = None

    def advise(self, about: str) -> Advice:
        """The similar episodes, the patterns behind them, and every fix of an error that was seen."""
        recall = self.episode.recall(about, limit=self.arm.hits)
        return Advice(
            episodes=tuple(self.arm.memory.get(hit.episode_id) for hit in recall.hits),
            patterns=(*recall.patterns, *recall.pitfalls, *self._known_recoveries()),
            next_steps=recall.next_steps,
        )

    def _known_recoveries(self) -> tuple[Pattern, ...]:
        if self._recoveries is None:
            self._recoveries = self.arm.memory.patterns(kind="error_recovery", domain=DOMAIN)
        return self._recoveries

    def log(
        self,
        tool: str,
        *,
        parameters: Any,
        latency_ms: float,
        output: Any | EllipsisType = ...,
        error: str | None = None,
    ) -> None:
        """Records a step."""
        self.episode.log(tool, parameters=parameters, latency_ms=latency_ms, output=output, error=error)

    def end(self, accepted: bool | None) -> None:
        """Completes the episode, so that the memory learns from it."""
        if accepted:
            self.episode.succeed("accepted")
        elif accepted is None:
            self.episode.fail("no answer within the steps allowed")
        else:
            self.episode.fail("wrong answer")


class RandomlyReminded(Remembering):
    """A control: as much experience, recorded in the same way, but recalled episodes are unrelated."""

    name = "random"

    def __init__(self, memory: Memory, *, hits: int = 10, seed: int = 0) -> None:
        super().__init__(memory, hits=hits)
        self.rng: Random = Random(seed)
        self.past: list[str] = []

    def attempt(self, question: Question) -> Attempt:
        """Begins a question, as an episode."""
        return _RandomlyReminded(self, self.episode(question))


class _RandomlyReminded(Remembered):
    arm: RandomlyReminded

    def advise(self, about: str) -> Advice:
        several = self.arm.rng.sample(self.arm.past, min(self.arm.hits, len(self.arm.past)))
        return Advice(tuple(map(self.arm.memory.get, several)))

    def end(self, accepted: bool | None) -> None:
        super().end(accepted)
        self.arm.past.append(self.episode.id)


class MislabelledMemory(Remembering):
    """A control: a memory that recalls as well, of episodes that ended as another attempt so far did."""

    name = "shuffled"

    def __init__(self, memory: Memory, *, hits: int = 10, seed: int = 0) -> None:
        super().__init__(memory, hits=hits)
        self.rng: Random = Random(seed)
        self.outcomes: list[bool | None] = []

    def attempt(self, question: Question) -> Attempt:
        """Begins a question, as an episode."""
        return _Mislabelled(self, self.episode(question))


class _Mislabelled(Remembered):
    arm: MislabelledMemory

    def log(self, tool: str, *, parameters: Any, latency_ms: float, **result: Unpack[StepResult]) -> None:
        """Records a step, but not how the submission was received."""
        if tool == "submit":
            super().log(tool, parameters=parameters, latency_ms=latency_ms)
        else:
            super().log(tool, parameters=parameters, latency_ms=latency_ms, **result)

    def end(self, accepted: bool | None) -> None:
        self.arm.outcomes.append(accepted)
        super().end(self.arm.rng.choice(self.arm.outcomes))


def _reading(memory: Memory, seed: int) -> Arm:
    from .reading import Reading

    return Reading(memory)


ARMS: dict[str, Callable[[Memory, int], Arm]] = {
    "without": lambda memory, seed: Unadvised(),
    "with": lambda memory, seed: Remembering(memory),
    "reading": _reading,
    "random": lambda memory, seed: RandomlyReminded(memory, seed=seed),
    "shuffled": lambda memory, seed: MislabelledMemory(memory, seed=seed),
}
"""The arms by name, each made from an empty memory of its own and a seed for its draws."""
