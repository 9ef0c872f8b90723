"""The calls of a foreign run, joined with their results, become an episode."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from types import EllipsisType
from typing import Any

import msgspec

from ..config import Limits
from ..deferred import dataclass
from ..intake.conversion import cut_middle, to_json_value
from ..intake.step_conversion import convert_step
from ..intake.step_fields import StepFields
from ..model.context import TaskContext
from ..model.episode import Episode, Json, Outcome, Step

_EARLIEST, _LATEST = 946_684_800, 4_102_444_800
"""Seconds since 1970 of the years 2000 and 2100: a number is read in the unit that puts it between them."""
_FAILURE = re.compile(
    r"\s*(?:<[\w-]+>\s*)?(?:error\b|traceback \(most recent call last\)|exception:|fatal:|exit code [1-9]"
    r"|[\w./-]{1,80}: (?:command not found|no such file))",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Call:
    fields: StepFields
    is_answered: bool = False


@dataclass(slots=True)
class RunBuilder:
    """Collects one run: each call when it is made, each result when it comes, in the order of the calls.

    Values are converted as the recorder converts them: what is cut or replaced stands in `altered` of the step.
    Calls of one `group` (of one message, say) were in flight at the same time, so they have no order.

    Example:
        >>> run = RunBuilder()
        >>> run.call("search", {"q": "shoes"}, call_id="c1")
        >>> run.answer("c1", error="no such shop")
        True
        >>> run.episode("Buy shoes", external_id="1").steps[0].error
        'no such shop'
    """

    limits: Limits = field(default_factory=Limits)
    _calls: list[_Call] = field(default_factory=list)
    _open: dict[str, _Call] = field(default_factory=dict)
    _groups: dict[str, int] = field(default_factory=dict)
    _left_out: int = 0

    def __len__(self) -> int:
        return len(self._calls)

    def call(
        self,
        tool: object,
        parameters: object = None,
        *,
        call_id: str | None = None,
        group: str | None = None,
        at: int = 0,
        tokens: object = None,
        action: object = None,
        state: object = None,
        metadata: Mapping[str, Json] | None = None,
    ) -> None:
        """A call begins. Beyond the steps that an episode may have it is left out, and counted."""
        if len(self._calls) >= self.limits.steps:
            self._left_out += 1
            return
        batch = None if group is None else self._groups.setdefault(group, len(self._groups) + 1)
        fields = StepFields(
            at,
            tool if isinstance(tool, str) and tool else "unnamed",
            action,  # type: ignore[arg-type]
            parameters,
            tokens=tokens,  # type: ignore[arg-type]
            state=state,
            metadata=dict(metadata) if metadata else None,
            call_id=call_id,
            batch=batch,
        )
        call = _Call(fields)
        self._calls.append(call)
        if call_id is not None:
            self._open[call_id] = call

    def answer(
        self,
        call_id: str | None,
        *,
        output: object = ...,
        error: object = None,
        timed_out: bool = False,
        at: int = 0,
        latency_ms: object = None,
    ) -> bool:
        """The result of the call with this id, of the last one without an id; returns False if there is none."""
        call = self._waiting(call_id)
        if call is None or call.is_answered:
            return False
        call.is_answered = True
        began = call.fields.at
        if latency_ms is None and began and at >= began:
            latency_ms = (at - began) / 1_000
        call.fields = call.fields._replace(
            output=output,
            error=error,  # type: ignore[arg-type]
            timed_out=timed_out,
            latency_ms=latency_ms,  # type: ignore[arg-type]
        )
        return True

    def reject(self, call_id: str | None) -> bool:
        """The call was not allowed to run: it has no result, and `rejected` in its metadata. False for no such call."""
        call = self._waiting(call_id)
        if call is None or call.is_answered:
            return False
        call.is_answered = True
        call.fields = call.fields._replace(metadata={**(call.fields.metadata or {}), "rejected": True})
        return True

    def _waiting(self, call_id: str | None) -> _Call | None:
        if call_id is not None:
            return self._open.get(call_id)
        return self._calls[-1] if self._calls else None

    def episode(
        self,
        task: object,
        *,
        external_id: str,
        outcome: Outcome | None = None,
        domain: object = None,
        agent: object = None,
        source: str | None = None,
        task_key: object = None,
        started_at: int = 0,
        ended_at: int = 0,
        tags: tuple[str, ...] = (),
        metadata: Mapping[str, object] | None = None,
    ) -> Episode:
        """The run as an episode; its outcome is unknown if none is given, its times those of its steps."""
        self._part_groups()
        times = [call.fields.at for call in self._calls if call.fields.at]
        notes = to_json_value(dict(metadata or {})).value
        if self._left_out:
            notes["steps_left_out"] = self._left_out
        started_at = started_at or min(times, default=0)
        return Episode(
            task=task_text(task, self.limits),
            task_key=self._name(task_key),
            context=TaskContext(domain=self._name(domain) or "general"),
            steps=tuple(self._steps()),
            outcome=Outcome.unknown() if outcome is None else outcome,
            agent=self._name(agent),
            source=self._name(source),
            external_id=self._name(external_id),
            started_at=started_at,
            ended_at=max(ended_at, started_at, *times) if times or ended_at or started_at else None,
            tags=tags,
            metadata=notes,
        )

    def _part_groups(self) -> None:
        """A group of a single call is no batch."""
        sizes: dict[int | None, int] = {}
        for call in self._calls:
            sizes[call.fields.batch] = sizes.get(call.fields.batch, 0) + 1
        for call in self._calls:
            if sizes[call.fields.batch] == 1:
                call.fields = call.fields._replace(batch=None)

    def _steps(self) -> Iterable[Step]:
        for call in self._calls:
            fields, _ = convert_step(call.fields, self.limits)
            yield _step(fields)

    def _name(self, value: object) -> str | None:
        """A name within its limit, `None` for none."""
        if value is None or value == "":
            return None
        text = value if isinstance(value, str) else str(value)
        return _utf8(text).encode()[: self.limits.name_bytes].decode("utf-8", "ignore") or None


def _step(fields: StepFields) -> Step:
    status: Any = None
    if fields.timed_out:
        status = "timeout"
    elif fields.error is not None:
        status = "error"
    elif fields.output is not ...:
        status = "ok"
    return Step(
        tool=fields.tool,
        action=fields.action,
        parameters=fields.parameters,
        status=status,
        output=None if isinstance(fields.output, EllipsisType) else fields.output,
        error=fields.error,
        latency_ms=fields.latency_ms,
        tokens=fields.tokens,
        metadata=fields.metadata,
        at=fields.at,
        state=fields.state,
        altered=tuple(fields.altered or ()),
        call_id=fields.call_id,
        batch=fields.batch,
    )


def task_text(task: object, limits: Limits) -> str:
    """A task within the limit: the beginning and the end of a longer one. A run without a task is called so."""
    text = task if isinstance(task, str) else "" if task is None else as_text(task)
    text = _utf8(text).strip()
    if not text:
        return "untitled task"
    if len(text.encode()) > limits.task_bytes:
        # A character takes at most four bytes.
        shorter = cut_middle(text, limits.task_bytes * len(text) // len(text.encode()))
        text = shorter.encode()[: limits.task_bytes].decode("utf-8", "ignore")
    return text


def as_text(value: object) -> str:
    """A text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(to_json_value(value).value).decode()


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def says_failure(text: object) -> bool:
    """Returns True for a result that speaks of an error, where nothing else marks one.

    Example:
        >>> says_failure("Error: order not found"), says_failure({"error": "not found"}), says_failure("no errors")
        (True, True, False)
    """
    if isinstance(text, str):
        return _FAILURE.match(text, 0, 2_000) is not None
    return isinstance(text, dict) and bool(text.get("error")) and len(text) <= 3


def microseconds_of(value: object) -> int:
    """Microseconds since 1970 of an ISO text, or of a number of seconds, milli-, micro- or nanoseconds; else 0.

    Example:
        >>> microseconds_of("2026-01-02T03:04:05Z") == microseconds_of(1767323045) == 1767323045000000
        True
    """
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return _of_iso(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        return 0
    for unit in (1.0, 1e3, 1e6, 1e9):
        if _EARLIEST <= number / unit < _LATEST:
            return (
                round(number / unit * 1e6)
                if isinstance(value, float)
                else int(value) * 1_000_000 // int(unit)
            )
    return 0


def _of_iso(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    microseconds = int(moment.timestamp() * 1_000) * 1_000 + moment.microsecond % 1_000
    return microseconds if _EARLIEST <= microseconds // 1_000_000 < _LATEST else 0
