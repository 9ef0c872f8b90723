"""Next steps and fixes for an error, beside dicts of counts that answer with less; and fitting again."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import msgspec
import numpy as np

from benchmarks import reference, workloads
from tacit._native import Advisor

encode = msgspec.msgpack.encode


def steps_of(run: dict[str, Any]) -> reference.Steps:
    return [(step["tool"], step.get("error", "ok")) for step in run["steps"]]


@functools.lru_cache(maxsize=1)
def filled(n: int, tools: int = 50) -> tuple[Advisor, list[dict[str, Any]], list[dict[str, Any]]]:
    """An advisor of `n` runs that has learned nothing beyond counts, the runs, and 60 questions of other runs."""
    runs = workloads.runs(n + 60, seed=5, tools=tools)
    advisor = Advisor()
    advisor.apply([workloads.learned(run, number) for number, run in enumerate(runs[:n])])
    return advisor, runs[:n], [workloads.asked(run, 2 + number % 5) for number, run in enumerate(runs[n:])]


def learn(advisor: Advisor, runs: list[dict[str, Any]], due: list[bytes] | None) -> None:
    advisor.fit("default", [encode(runs[int.from_bytes(id, "big")]) for id in due or ()])


class Suggest:
    """Five next steps of a run that was recorded so far. The dicts give the counts alone; the native answer is made
    of counts and features, explained, and starts at the record."""

    params: ClassVar = [[1_000, 10_000], ["native", "dicts"]]
    param_names: ClassVar = ["n", "implementation"]
    timeout = 600

    def setup(self, n: int, implementation: str) -> None:
        self.advisor, runs, asked = filled(n)
        self.records, self.asked, self.at = [encode(question) for question in asked], asked, 0
        self.suggest = {"native": self.by_advisor, "dicts": self.by_counts}[implementation]
        self.counts = reference.BackOff()
        for run in runs if implementation == "dicts" else runs[:0]:
            self.counts.put(steps_of(run), run["agent"], run["context"]["domain"])
        due = self.advisor.due("default")
        if implementation == "dicts" and due is not None:
            self.agrees()
        learn(self.advisor, runs, due)

    def agrees(self) -> None:
        for number, record in enumerate(self.records):
            said = {row.tool: row.probability for row in self.advisor.suggest(record, 100)}
            expected = self.by_counts(number)
            assert np.allclose([said[tool] for tool in expected], list(expected.values()), atol=1e-5)

    def by_advisor(self, number: int) -> object:
        return self.advisor.suggest(self.records[number], 5)

    def by_counts(self, number: int) -> dict[str | None, float]:
        run = self.asked[number]
        return self.counts.suggest(steps_of(run), run["agent"], run["context"]["domain"])

    def time_suggest(self, n: int, implementation: str) -> None:
        self.at = (self.at + 1) % len(self.records)
        self.suggest(self.at)


class Recover:
    """Five fixes for an error, beside a table of tool and error class that decodes the same record."""

    params: ClassVar = [[1_000, 10_000], ["native", "table"]]
    param_names: ClassVar = ["n", "implementation"]
    timeout = 600

    def setup(self, n: int, implementation: str) -> None:
        self.advisor, runs, asked = filled(n)
        table = reference.Recoveries()
        for run in runs:
            table.put(steps_of(run))
        self.record, (self.tool, self.error) = encode(asked[0]), max(table.table)
        self.table = table
        assert self.advisor.recover(self.record, self.tool, self.error, 1)[0].support > 0

    def time_recover(self, n: int, implementation: str) -> None:
        if implementation == "native":
            self.advisor.recover(self.record, self.tool, self.error, 5)
        else:
            self.table.recover(self.record, self.tool, self.error)


class Learn:
    """Fitting again on `n` runs of some 11 next steps each; the newest 20,000 next steps count."""

    params: ClassVar = [[200, 2_000], [50, 400]]
    param_names: ClassVar = ["n", "tools"]
    timeout = 600

    def setup(self, n: int, tools: int) -> None:
        self.advisor = Advisor()
        self.payloads = [encode(run) for run in workloads.runs(n, seed=5, tools=tools)]

    def time_learn(self, n: int, tools: int) -> None:
        self.advisor.fit("default", self.payloads)


class Follow:
    """1,000 episodes into the models."""

    def setup(self) -> None:
        runs = workloads.runs(1_000, seed=5)
        self.changes = [workloads.learned(run, number) for number, run in enumerate(runs)]

    def time_follow_1000(self) -> None:
        Advisor().apply(self.changes)
