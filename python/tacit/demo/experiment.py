"""The experiment: the same questions for every arm, and their results."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Unpack

from ..config import Settings, StorageSettings, with_caller_training
from ..errors import ValidationError
from ..memory import Memory
from ..model.pattern import Pattern
from .advice import Advice
from .agent import act
from .arms import ARMS, DOMAIN, Arm, Attempt
from .database import Database, Question
from .tools import StepResult, ToolBox

SEED = 1
BLOCKS = 10
BUDGET = 10
"""Steps an attempt may take, the submission included."""
_TICK_NS = 1_000_000
_TRIED = 10
"""The least number of trials of a way of working that is reported."""
_GAVE_UP = "<gave up>"


@dataclass(frozen=True, slots=True)
class Trial:
    """One question under one arm."""

    question: int
    family: str
    accepted: bool
    steps: int


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a tool; `error` is `None` if it worked."""

    tool: str
    parameters: dict[str, Any]
    output: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """An arm's attempt at a question; `reminders` are the tasks of the first recalled episodes."""

    arm: str
    accepted: bool
    reminders: tuple[str, ...]
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One question and the attempts of all arms at it."""

    number: int
    question: str
    transcripts: tuple[Transcript, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of questions, counted from 1: the share that was answered right, and the mean number of steps."""

    first: int
    last: int
    success: float
    steps: float


@dataclass(frozen=True, slots=True)
class Curve:
    """How an arm did as it went on; `trials` has every question."""

    arm: str
    blocks: tuple[Block, ...]
    success: float
    steps: float
    trials: tuple[Trial, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The result of `run`.

    `known_before` is the number of episodes in the memory at the start; `path` is its file, `None` for a temporary
    one. `recoveries`, `sequences` and `pitfalls` were learned by the arm "with". `example` is a late question that
    only that arm answered right, `None` if there is none.
    """

    seed: int
    episodes: int
    budget: int
    tables: tuple[str, ...]
    curves: tuple[Curve, ...]
    recoveries: tuple[Pattern, ...]
    sequences: tuple[Pattern, ...]
    pitfalls: tuple[Pattern, ...]
    questions: tuple[str, ...]
    example: Example | None
    known_before: int
    path: str | None
    elapsed_s: float

    def curve(self, arm: str) -> Curve:
        """The curve of an arm that took part."""
        return next(curve for curve in self.curves if curve.arm == arm)


def run(
    *,
    episodes: int = 300,
    seed: int = SEED,
    database: str | Path | None = None,
    arms: Sequence[str] = ("without", "with"),
    budget: int = BUDGET,
    progress: Callable[[str, int], None] | None = None,
) -> DemoResult:
    """Lets the agent answer the questions of a seed once under each arm.

    `database` keeps the memory of the arm "with" in a file; without it, that memory is temporary. `arms` are names of
    `ARMS`. `progress` gets the arm and the questions answered. Equal arguments give equal curves. Raises
    `ValidationError` for numbers or arms that make no sense.
    """
    _check(episodes, budget, arms)
    started = time.perf_counter()
    asked = _Questions(seed, episodes, budget)
    curves: list[Curve] = []
    learned: dict[str, Any] = {"recoveries": (), "sequences": (), "pitfalls": (), "known_before": 0}
    for name in arms:
        with _memory(database if name == "with" else None) as memory:
            known = memory.stats()["episodes"]
            curves.append(asked.answered_by(ARMS[name](memory, seed), name, progress))
            if name == "with":
                learned = {**_learned(memory), "known_before": known}
    return DemoResult(
        seed=seed,
        episodes=episodes,
        budget=budget,
        tables=asked.tables,
        curves=tuple(curves),
        questions=tuple(question.text for question in asked.questions),
        example=asked.example(),
        path=None if database is None else str(database),
        elapsed_s=time.perf_counter() - started,
        **learned,
    )


def _check(episodes: int, budget: int, arms: Sequence[str]) -> None:
    if not 1 <= episodes <= 2_000:
        raise ValidationError("episodes", "between 1 and 2,000", str(episodes))
    if not 2 <= budget <= 100:
        raise ValidationError("budget", "between 2 and 100", str(budget))
    for name in arms:
        if name not in ARMS:
            raise ValidationError("arms", f"among {', '.join(ARMS)}", repr(name))


@contextmanager
def _memory(database: str | Path | None) -> Iterator[Memory]:
    """A memory on a file; one that nobody named is gone afterwards, and need not survive a power cut until then."""
    if database is not None:
        with Memory(database, settings=with_caller_training(Settings.load()), clock=_clock()) as memory:
            yield memory
        return
    settings = with_caller_training(Settings(storage=StorageSettings(durability="fast")))
    with (
        tempfile.TemporaryDirectory(prefix="tacit-demo-") as folder,
        Memory(Path(folder) / "demo.db", settings=settings, clock=_clock()) as memory,
    ):
        yield memory


def _clock() -> Callable[[], int]:
    """A clock that starts now and moves by being read, so that how fast this machine is changes nothing."""
    return count(time.time_ns() // 10**9 * 10**9, _TICK_NS).__next__


class _Questions:
    """The questions of a seed, in the same order for every arm, and the attempts of the arms."""

    def __init__(self, seed: int, episodes: int, budget: int) -> None:
        self.seed = seed
        self.budget = budget
        self.database = Database(seed)
        self.tables = tuple(self.database.table_names())
        self.questions = tuple(self.database.questions(episodes))
        self.transcripts: dict[str, list[Transcript]] = {}

    def answered_by(self, arm: Arm, name: str, progress: Callable[[str, int], None] | None) -> Curve:
        """The curve of an arm."""
        trials = []
        self.transcripts[name] = []
        for question in self.questions:
            transcript = self._answer(arm, name, question)
            self.transcripts[name].append(transcript)
            trials.append(Trial(question.number, question.family, transcript.accepted, len(transcript.uses)))
            if progress is not None:
                progress(name, question.number)
        return _curve(name, trials)

    def _answer(self, arm: Arm, name: str, question: Question) -> Transcript:
        attempt = _Watched(arm.attempt(question))
        tools = ToolBox(self.database, question, attempt.log, budget=self.budget)
        act(question.text, tools, attempt, salt=self.seed * 100_003 + question.number)
        attempt.inner.end(tools.accepted)
        return Transcript(name, bool(tools.accepted), attempt.reminders or (), tuple(attempt.uses))

    def example(self) -> Example | None:
        """A late question that only memory answered right, if there is one: best a short answer over two tables."""
        alone, advised = self.transcripts.get("without", []), self.transcripts.get("with", [])
        pairs = zip(self.questions, alone, advised, strict=False)
        won = [question for question, one, other in pairs if other.accepted and not one.accepted]
        short = [question for question in won if len(advised[question.number - 1].uses) <= 3]
        joins = [question for question in short if question.joins]
        chosen = next((several[-1] for several in (joins, short, won) if several), None)
        if chosen is None:
            return None
        shown = tuple(transcripts[chosen.number - 1] for transcripts in (alone, advised))
        return Example(chosen.number, chosen.text, shown)


class _Watched:
    """An attempt, with a note of its steps and of the first recalled episodes."""

    def __init__(self, inner: Attempt) -> None:
        self.inner = inner
        self.uses: list[Use] = []
        self.reminders: tuple[str, ...] | None = None

    def advise(self, about: str) -> Advice:
        advice = self.inner.advise(about)
        if self.reminders is None:
            self.reminders = tuple(episode.task for episode in advice.episodes[:3])
        return advice

    def log(self, tool: str, *, parameters: Any, latency_ms: float, **result: Unpack[StepResult]) -> None:
        self.inner.log(tool, parameters=parameters, latency_ms=latency_ms, **result)
        self.uses.append(Use(tool, parameters, **result))


def _curve(arm: str, trials: Sequence[Trial]) -> Curve:
    size = -(-len(trials) // BLOCKS)
    blocks = [_block(trials[start : start + size]) for start in range(0, len(trials), size)]
    whole = _block(trials)
    return Curve(arm, tuple(blocks), whole.success, whole.steps, tuple(trials))


def _block(trials: Sequence[Trial]) -> Block:
    count = len(trials)
    return Block(
        trials[0].question,
        trials[-1].question,
        sum(trial.accepted for trial in trials) / count,
        sum(trial.steps for trial in trials) / count,
    )


def _learned(memory: Memory) -> dict[str, tuple[Pattern, ...]]:
    """The patterns worth telling about: often tried recoveries, ways that work, ways that do not."""
    recoveries = memory.patterns(kind="error_recovery", domain=DOMAIN, order="trials", limit=20)
    tried = memory.patterns(kind="tool_sequence", domain=DOMAIN, order="trials", min_trials=_TRIED, limit=500)
    return {
        "recoveries": tuple(pattern for pattern in recoveries if pattern.content["next"] != _GAVE_UP)[:6],
        "sequences": _apart(sorted(tried, key=lambda pattern: (-pattern.low, pattern.id))),
        "pitfalls": _apart(sorted(tried, key=lambda pattern: (pattern.high, pattern.id))),
    }


def _apart(patterns: Sequence[Pattern]) -> tuple[Pattern, ...]:
    """The first three sequences that are not part of one another."""
    chosen: list[Pattern] = []
    for pattern in patterns:
        if not any(_overlap(pattern, other) for other in chosen):
            chosen.append(pattern)
    return tuple(chosen[:3])


def _overlap(pattern: Pattern, other: Pattern) -> bool:
    ours, theirs = (f" {' '.join(each.content['tools'])} " for each in (pattern, other))
    return ours in theirs or theirs in ours
