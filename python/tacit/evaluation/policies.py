"""The arms of a closed loop: tacit, and what it must beat."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeAlias

from ..memory import Memory
from ..model.advice import FINISH
from ..model.episode import Step
from .environments import Turn

_WORD = re.compile(r"\w+(?:[-']\w+)*")
Words: TypeAlias = Counter[str]


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run that solved a task: what was seen before each action, and the action."""

    task: str
    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Play:
    """An attempt so far: the task, the steps with their states, the present turn and a source of chance."""

    task: str
    steps: Sequence[Step]
    turn: Turn
    random: Random

    @property
    def actions(self) -> Sequence[str]:
        """The actions that are possible now; empty if the environment does not say."""
        return self.turn.actions or ()

    @property
    def seen(self) -> str:
        """All that the agent sees now: the last result and the state."""
        said = [str(self.steps[-1].output)] if self.steps else []
        return "\n".join([*said, *self.turn.state.values()])


class Policy(Protocol):
    """Chooses the next action; `None` gives up."""

    def act(self, play: Play) -> str | None:
        """The next action of this attempt."""
        ...


class RandomPolicy:
    """Takes any action that is possible."""

    def act(self, play: Play) -> str | None:
        """One of the possible actions."""
        return play.random.choice(play.actions) if play.actions else None


class ChoosePolicy:
    """Takes the first action of `Memory.choose`."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def act(self, play: Play) -> str | None:
        """The action that memory ranks first."""
        state = dict(play.turn.state)
        choice = self.memory.choose(play.actions, steps=play.steps, task=play.task, state=state, limit=1)
        return str(choice.actions[0].action) if choice.actions else None


class SuggestPolicy:
    """Takes the first step of `Memory.suggest` that is possible, else any action."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def act(self, play: Play) -> str | None:
        """The first suggested action that is possible now."""
        suggestion = self.memory.suggest(play.steps, task=play.task, state=dict(play.turn.state), limit=100)
        for step in suggestion.steps:
            if step.tool != FINISH and (play.turn.actions is None or step.tool in play.actions):
                return step.tool
        return RandomPolicy().act(play)


class ReplayPolicy:
    """Replays the run whose task and first sight are most like this one's, with or without names carried over."""

    def __init__(self, runs: Sequence[RecordedRun], *, carry_over: bool) -> None:
        self._runs = [run for run in runs if run.steps]
        self._likeness = Likeness(f"{run.task}\n{run.steps[0][0]}" for run in self._runs)
        self._carry_over = carry_over
        self._run: RecordedRun | None = None

    def act(self, play: Play) -> str | None:
        """The action at this place of the run."""
        if not play.steps:
            nearest = self._likeness.nearest(f"{play.task}\n{play.seen}", 1)
            self._run = self._runs[nearest[0]] if nearest else None
        if self._run is None or len(play.steps) >= len(self._run.steps):
            return None
        seen, action = self._run.steps[len(play.steps)]
        if not self._carry_over:
            return action
        return carried_over(action, f"{self._run.task}\n{seen}", f"{play.task}\n{play.seen}")


class NearestStatePolicy:
    """Takes the action of the recorded state most like this one that is possible and was not taken in it before."""

    def __init__(self, runs: Sequence[RecordedRun]) -> None:
        self._steps = [(run.task, seen, action) for run in runs for seen, action in run.steps]
        self._likeness = Likeness(f"{task}\n{seen}" for task, seen, _ in self._steps)

    def act(self, play: Play) -> str | None:
        """The action of the nearest state."""
        state = dict(play.turn.state)
        taken = {step.tool for step in play.steps if step.state == state}
        for at in self._likeness.nearest(f"{play.task}\n{play.seen}", len(self._steps)):
            action = self._steps[at][2]
            if action in play.actions and action not in taken:
                return action
        return RandomPolicy().act(play)


class Likeness:
    """Cosine of word counts weighted by their rarity (TF-IDF)."""

    def __init__(self, texts: Iterable[str]) -> None:
        counted = [words_of(text) for text in texts]
        found = Counter(word for words in counted for word in words)
        self._rarity = {word: math.log(1 + len(counted) / count) for word, count in found.items()}
        self._postings: dict[str, list[tuple[int, float]]] = {}
        for at, words in enumerate(counted):
            for word, weight in self._weights(words).items():
                self._postings.setdefault(word, []).append((at, weight))

    def nearest(self, text: str, limit: int) -> list[int]:
        """The places of the texts most like this one, the most alike first, then the first."""
        scores: dict[int, float] = {}
        for word, weight in self._weights(words_of(text)).items():
            for at, other in self._postings.get(word, ()):
                scores[at] = scores.get(at, 0.0) + weight * other
        return sorted(scores, key=lambda at: (-scores[at], at))[:limit]

    def _weights(self, words: Words) -> Mapping[str, float]:
        weights = {word: count * self._rarity.get(word, 0.0) for word, count in words.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {word: weight / length for word, weight in weights.items()}


def words_of(text: str) -> Words:
    """The words of a text in lower case, counted."""
    return Counter(_WORD.findall(text.lower()))


def carried_over(action: str, recorded: str, present: str) -> str:
    """The action with the words that stand in the recorded text replaced by those in their place in the present one."""
    before, after = _WORD.findall(recorded.lower()), _WORD.findall(present.lower())
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    changed = action
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind == "replace" and end - start <= 4:
            old, new = " ".join(before[start:end]), " ".join(after[other_start:other_end])
            changed = re.sub(rf"\b{re.escape(old)}\b", lambda _, new=new: new, changed)  # type: ignore[misc]
    return changed


MakePolicy: TypeAlias = Callable[[], Policy]
