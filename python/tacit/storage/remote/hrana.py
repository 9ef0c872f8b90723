"""Hrana 3 over HTTP: the batches that a server runs in one round trip, and its replies."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

Value: TypeAlias = int | float | str | bytes | None
Condition: TypeAlias = dict[str, Any]

REFUSED = "malformed JSON"
"""The error of a statement that `refuse_if` made, and of no other of ours."""


class SqlText:
    """A statement in the making: its text, and the values that it is given."""

    def __init__(self) -> None:
        self.values: list[Value] = []

    def bind(self, value: Value) -> str:
        """Adds a value and returns its place in the text."""
        self.values.append(value)
        return f"?{len(self.values)}"

    def table(self, rows: Sequence[tuple[Value, ...]]) -> str:
        """Adds rows of values and returns them as a table `given` with the columns column1, column2..."""
        listed = ", ".join(f"({', '.join(self.bind(value) for value in row)})" for row in rows)
        return f"(VALUES {listed}) AS given"


def refuse_if(condition: str) -> str:
    """Returns a statement that fails if the condition holds, and with it every step that needs it.

    A condition of a batch can ask if a step failed, not what it returned, and SQLite has no function that raises.
    """
    return f"SELECT json(CASE WHEN {condition} THEN 'refused' ELSE '1' END)"


def ok(step: int) -> Condition:
    """The condition that a step ran and did not fail."""
    return {"type": "ok", "step": step}


def failed(step: int) -> Condition:
    """The condition that a step failed or did not run."""
    return {"type": "not", "cond": ok(step)}


def both(*conditions: Condition) -> Condition:
    """The condition that all of these hold."""
    return {"type": "and", "conds": list(conditions)}


IN_TRANSACTION: Condition = {"type": "not", "cond": {"type": "is_autocommit"}}
"""The condition that a transaction is open: SQLite may have rolled it back by itself."""


class Script:
    """The steps of one batch, which a server runs in their order."""

    def __init__(self) -> None:
        self._steps: list[dict[str, Any]] = []
        self.last: int = -1
        """The step that the next one of the chain depends on; -1 before the first."""

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, sql: str, values: Sequence[Value] = (), condition: Condition | None = None) -> int:
        """Adds a step and returns its number."""
        step: dict[str, Any] = {"stmt": {"sql": sql, "args": [_encoded(value) for value in values]}}
        if condition is not None:
            step["condition"] = condition
        self._steps.append(step)
        return len(self._steps) - 1

    def then(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Adds a step that runs if the one before it in the chain did not fail."""
        self.last = self.add(sql, values, None if self.last < 0 else ok(self.last))
        return self.last

    def encoded(self) -> bytes:
        """The body of the request: the batch in a stream of its own, which it closes."""
        requests = [{"type": "batch", "batch": {"steps": self._steps}}, {"type": "close"}]
        return msgspec.json.encode({"baton": None, "requests": requests})


class _Value(msgspec.Struct):
    type: str
    value: str | int | float | None = None
    base64: str | None = None


class _StatementResult(msgspec.Struct):
    rows: list[list[_Value]]
    affected_row_count: int = 0


class HranaError(msgspec.Struct, frozen=True):
    """An error as a server reports it."""

    message: str
    code: str | None = None


class _BatchResult(msgspec.Struct):
    step_results: list[_StatementResult | None]
    step_errors: list[HranaError | None]


class _Response(msgspec.Struct):
    type: str
    result: _BatchResult | None = None


class _Result(msgspec.Struct):
    type: str
    response: _Response | None = None
    error: HranaError | None = None


class _Reply(msgspec.Struct):
    results: list[_Result]


class UnreadableReply(Exception):
    """The bytes are no reply to the batch."""


class ScriptFailed(Exception):
    """The server did not run the batch."""

    def __init__(self, error: HranaError) -> None:
        super().__init__(error.message)
        self.error = error


_REPLY = msgspec.json.Decoder(_Reply)
_ERROR = msgspec.json.Decoder(HranaError)


class StepResults:
    """The results of a batch's steps, by their numbers."""

    def __init__(self, batch: _BatchResult) -> None:
        self._results = batch.step_results
        self._errors = batch.step_errors

    @classmethod
    def read(cls, body: bytes, steps: int) -> StepResults:
        """Reads a reply. Raises `UnreadableReply`, or `ScriptFailed` if the server says that it ran nothing."""
        try:
            reply = _REPLY.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableReply(f"the reply is not one of Hrana 3: {error}") from None
        first = reply.results[0] if reply.results else None
        if first is not None and first.error is not None:
            raise ScriptFailed(first.error)
        batch = first.response.result if first is not None and first.response is not None else None
        if batch is None or not len(batch.step_results) == len(batch.step_errors) == steps:
            raise UnreadableReply("the reply does not belong to the batch")
        return cls(batch)

    def ran(self, step: int) -> bool:
        """Returns true if the step ran and did not fail."""
        return self._results[step] is not None and self._errors[step] is None

    def error(self, step: int) -> HranaError | None:
        """Returns the error of a step that failed."""
        return self._errors[step]

    def changed(self, step: int) -> int:
        """Returns the number of rows that a step wrote."""
        result = self._results[step]
        return 0 if result is None else result.affected_row_count

    def rows(self, step: int) -> list[list[Value]]:
        """Returns the rows of a step; none for a step that did not run."""
        result = self._results[step]
        try:
            return [] if result is None else [[_decoded(value) for value in row] for row in result.rows]
        except (TypeError, ValueError) as error:
            raise UnreadableReply(f"the reply holds a value that cannot be read: {error}") from None


def read_error(body: bytes) -> HranaError | None:
    """Reads the body of a refusal; `None` if it is no error of Hrana's."""
    try:
        return _ERROR.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _encoded(value: Value) -> dict[str, Any]:
    match value:
        case None:
            return {"type": "null"}
        case int():
            return {"type": "integer", "value": str(int(value))}
        case float():
            return {"type": "float", "value": value}
        case str():
            return {"type": "text", "value": value}
        case bytes():
            return {"type": "blob", "base64": b64encode(value).rstrip(b"=").decode()}


def _decoded(given: _Value) -> Value:
    match given:
        case _Value(type="null"):
            return None
        case _Value(type="integer", value=str() | int() as number):
            return int(number)
        case _Value(type="float", value=int() | float() as number):
            return float(number)
        case _Value(type="text", value=str() as text):
            return text
        case _Value(type="blob", base64=str() as text):
            bare = text.rstrip("=")
            return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    raise ValueError(f"type {given.type!r}")
