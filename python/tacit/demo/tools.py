"""The agent's tools: four over a real engine, with its real errors, every use logged."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict, Unpack

from .database import Database, Question, judge


class StepResult(TypedDict, total=False):
    """The result of a step as keywords: the output of one that went well, or else the error."""

    output: Any
    error: str | None


class StepLog(Protocol):
    """The log of steps: the part of `tacit.Recorder.log` that the tools use."""

    def __call__(
        self, tool: str, *, parameters: Any, latency_ms: float, **result: Unpack[StepResult]
    ) -> object:
        """Takes `output=` of a step that went well, `error=` of one that did not."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a tool: an output, or an error's message."""

    output: Any = None
    error: str | None = None


class ToolBox:
    """The only way to the database, for at most `budget` steps, the submission included."""

    def __init__(self, database: Database, question: Question, log: StepLog, *, budget: int) -> None:
        self._database = database
        self._question = question
        self._log = log
        self.left: int = budget
        self.used: int = 0
        self.accepted: bool | None = None

    def list_tables(self) -> Result:
        """The names of the tables."""
        return self._use("list_tables", {}, self._database.table_names)

    def describe(self, table: str) -> Result:
        """A table's columns as pairs of name and type."""
        return self._use("describe", {"table": table}, lambda: self._database.columns(table))

    def query(self, sql: str) -> Result:
        """The rows of a query, 20 at most."""
        return self._use("query", {"sql": sql}, lambda: self._database.execute(sql))

    def submit(self, answer: Sequence[Any]) -> Result:
        """Ends the attempt: "accepted", or an error for a wrong answer."""
        return self._use("submit", {"answer": answer}, lambda: self._judged(answer))

    def _judged(self, answer: Sequence[Any]) -> str:
        self.left = 1
        self.accepted = judge(self._question, answer)
        if not self.accepted:
            raise WrongAnswerError("wrong answer")
        return "accepted"

    def _use(self, tool: str, parameters: dict[str, Any], call: Callable[[], Any]) -> Result:
        if self.left < 1:
            raise OutOfStepsError("the attempt is over")
        started = time.perf_counter()
        try:
            result = Result(output=call())
        except (sqlite3.Error, WrongAnswerError) as error:
            result = Result(error=str(error))
        self.left -= 1
        self.used += 1
        taken = (time.perf_counter() - started) * 1_000
        said = {"error": result.error} if result.error else {"output": result.output}
        self._log(tool, parameters=parameters, latency_ms=taken, **said)
        return result


class WrongAnswerError(Exception):
    """The submitted answer is not the true one."""


class OutOfStepsError(Exception):
    """A tool was used after the last step."""
