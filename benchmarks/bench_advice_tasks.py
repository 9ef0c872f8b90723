"""How a new task will go and by which plan, beside the nearest tasks by the same words in NumPy and plain Python."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import msgspec
import numpy as np

from benchmarks import reference, workloads
from tacit._native import Advisor
from tacit.model.record import Change, EpisodeRecord

SUBJECTS = 200
STEPS = 20
QUESTIONS = 60


class Runs:
    """One run a task. The tasks of a subject have much of their words, their plan and their odds in common."""

    def __init__(self, n: int) -> None:
        random = np.random.default_rng(11)
        texts = workloads.requests(n + QUESTIONS, seed=5)
        self.habits = random.zipf(1.6, size=(SUBJECTS, STEPS)) % len(workloads.TOOLS)
        self.odds = np.where(np.arange(SUBJECTS) % 2 == 0, 0.9, 0.2)
        self.outcomes = (random.random(n) < self.odds[np.arange(n) % SUBJECTS]).astype(float)
        self.plans = [self.varied(number, random) for number in range(n)]
        self.tasks = texts[:n]
        self.questions = [(task, record(task, None, ())) for task in texts[n:]]
        self.first_question = n

    def varied(self, number: int, random: np.random.Generator) -> list[str]:
        """The habit of its subject, some of its steps replaced."""
        tools = np.where(
            random.random(STEPS) < 0.2, random.integers(24, size=STEPS), self.habits[number % SUBJECTS]
        )
        return [workloads.TOOLS[tool] for tool in tools]

    def habit(self, question: int) -> list[str]:
        return [workloads.TOOLS[tool] for tool in self.habits[(self.first_question + question) % SUBJECTS]]


def record(task: str, outcome: float | None, tools: Any) -> bytes:
    kind = None if outcome is None else {"kind": "success" if outcome else "failure"}
    steps = [{"tool": tool, "status": "ok"} for tool in tools]
    return msgspec.msgpack.encode({"namespace": "default", "task": task, "steps": steps, "outcome": kind})


def change(number: int, payload: bytes, base: float) -> Change:
    id = number.to_bytes(16, "big")
    held = EpisodeRecord(
        id=id,
        namespace="default",
        external_id=None,
        digest=bytes(16),
        task_key=None,
        domain="general",
        agent=None,
        complexity="unknown",
        state="learned",
        started_at=0,
        ended_at=0,
        base=base,
        payload=payload,
        facts=b"",
        contents=b"",
        embedder=None,
        embedding=b"",
    )
    return Change(number + 1, "put", held, id)


@functools.lru_cache(maxsize=1)
def filled(n: int) -> tuple[Runs, Advisor, reference.NearestTasks]:
    runs = Runs(n)
    advisor = Advisor()
    rows = zip(runs.tasks, runs.outcomes, runs.plans, strict=True)
    advisor.apply(
        [
            change(number, record(task, outcome, plan), outcome)
            for number, (task, outcome, plan) in enumerate(rows)
        ]
    )
    return runs, advisor, reference.NearestTasks(runs.tasks, runs.plans, runs.outcomes.tolist())


class Asked:
    """The part that both questions share: a filled memory, and the next question at every call."""

    params: ClassVar = [[1_000, 10_000, 100_000], ["native", "numpy"]]
    param_names: ClassVar = ["n", "implementation"]
    timeout = 600

    def prepare(self, n: int) -> None:
        self.runs, self.advisor, self.nearest = filled(n)
        self.asked = 0

    def next(self) -> tuple[str, bytes]:
        self.asked += 1
        return self.runs.questions[self.asked % len(self.runs.questions)]


class Predict(Asked):
    """The odds of a task that was never tried. NumPy takes the mean of the nearest five."""

    def setup(self, n: int, implementation: str) -> None:
        self.prepare(n)
        self.ask = {"native": self.natively, "numpy": self.plainly}[implementation]
        odds = [self.ask(*question) for question in self.runs.questions]
        assert np.mean(odds[0::2]) > np.mean(odds[1::2]) + 0.1

    def natively(self, task: str, question: bytes) -> float:
        return self.advisor.predict(question).success[0]

    def plainly(self, task: str, question: bytes) -> float:
        return self.nearest.success(task)

    def time_predict(self, n: int, implementation: str) -> None:
        self.ask(*self.next())


class Plan(Asked):
    """One plan of the nearest successes. Plain Python takes the medoid of the nearest ten."""

    def setup(self, n: int, implementation: str) -> None:
        self.prepare(n)
        self.ask = {"native": self.natively, "numpy": self.plainly}[implementation]
        shares = [
            reference.common_share(self.ask(*question), self.runs.habit(number))
            for number, question in enumerate(self.runs.questions)
        ]
        assert np.mean(shares[0::2]) > 0.6

    def natively(self, task: str, question: bytes) -> list[str]:
        return [tool for tool, _ in self.advisor.plan(question, 5).steps]

    def plainly(self, task: str, question: bytes) -> list[str]:
        return list(self.nearest.plan(task))

    def time_plan(self, n: int, implementation: str) -> None:
        self.ask(*self.next())
