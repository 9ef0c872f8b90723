"""Any other JSON, read as a mapping says: which member of an object is the task, which the steps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ...deferred import dataclass
from ...errors import ValidationError
from ...model.episode import Episode, Outcome
from ..base import Entry, Refusal
from ..messages import answer, parsed, read_messages
from ..run_builder import RunBuilder, as_text, microseconds_of
from ..source import Source
from .reading import entries_of, listed

_OF_RUN = (
    "task",
    "id",
    "success",
    "reward",
    "outcome",
    "task_key",
    "domain",
    "agent",
    "started_at",
    "ended_at",
)
_OF_STEP = ("tool", "parameters", "output", "error", "ok", "call_id", "at", "latency_ms")
_STEP_DEFAULTS = {
    "tool": (".tool", ".name", ".action", ".function"),
    "parameters": (".parameters", ".arguments", ".args", ".input"),
    "output": (".output", ".result", ".observation", ".response"),
    "error": (".error",),
    "ok": (".ok", ".success"),
    "call_id": (".call_id", ".id"),
    "at": (".at", ".timestamp", ".started_at"),
    "latency_ms": (".latency_ms", ".duration_ms"),
}
_PATH = re.compile(r"(?:\.(?:[\w$-]+|\"[^\"]+\")|\[\d+\])+|\.")
_PART = re.compile(r"\.([\w$-]+)|\.\"([^\"]+)\"|\[(\d+)\]")
_EXPRESSION = re.compile(
    r"\s*(?P<path>(?:\"[^\"]*\"|[^\s=!<>\"])+)\s*(?:(?P<test>==|!=|>=|<=|>|<)\s*(?P<value>.+?)\s*)?"
)
_MAPPING_RULE = "NAME=PATH, such as task=.goal, steps=.events, success='.reward==1', step.tool=.name"


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A place in a JSON value, such as `.info.goal` or `.events[0].name`, and perhaps a comparison.

    Example:
        >>> JsonPath.parse(".reward>=0.5").find({"reward": 0.7})
        True
    """

    parts: tuple[str | int, ...]
    test: str | None = None
    value: Any = None

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Raises `ValidationError` for a text that is no path."""
        found = _EXPRESSION.fullmatch(text)
        if found is None or not _PATH.fullmatch(found["path"]):
            raise ValidationError("map", "a path such as .info.goal or .events[0].name", repr(text))
        parts = tuple(
            int(index) if index else name or quoted for name, quoted, index in _PART.findall(found["path"])
        )
        return cls(parts, found["test"], None if found["test"] is None else _literal(found["value"]))

    def find(self, value: Any) -> Any:
        """The value at the place, `None` if there is none; of a comparison True if it holds."""
        for part in self.parts:
            if isinstance(part, int):
                value = value[part] if isinstance(value, list) and part < len(value) else None
            else:
                value = value.get(part) if isinstance(value, Mapping) else None
        return value if self.test is None else _holds(value, self.test, self.value)


def _literal(text: str) -> Any:
    try:
        return msgspec.json.decode(text.replace("'", '"') if text.startswith("'") else text)
    except msgspec.DecodeError:
        return text


def _holds(value: Any, test: str, wanted: Any) -> bool | None:
    if value is None:
        return None
    if test in ("==", "!="):
        return bool((value == wanted) is (test == "=="))
    if not isinstance(value, int | float) or not isinstance(wanted, int | float):
        return None
    return {">=": value >= wanted, "<=": value <= wanted, ">": value > wanted, "<": value < wanted}[test]


class Mapped:
    """JSON objects of any shape: `mapping` names the places of a run's parts in them.

    `task` is needed, and `steps` (a list of objects) or `messages` (a list of messages). `id`, `success` (true is a
    success, false a failure), `reward` (1 or 0), `task_key`, `domain`, `agent`, `started_at` and `ended_at` are
    optional. `step.tool`, `step.parameters`, `step.output`, `step.error`, `step.ok`, `step.call_id`, `step.at` and
    `step.latency_ms` are places in a step; without them the usual names are looked for.

    Raises `ValidationError` for a name or path that is none.

    Example:
        >>> Mapped({"task": ".goal", "steps": ".events", "success": ".score==1"}).paths["task"].parts
        ('goal',)
    """

    name = "mapped"
    grows = False

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self.paths: dict[str, JsonPath] = {}
        known = {*_OF_RUN, "steps", "messages", *(f"step.{name}" for name in _OF_STEP)}
        for name, path in mapping.items():
            if name not in known:
                raise ValidationError("map", f"one of {', '.join(sorted(known))}", repr(name))
            self.paths[name] = JsonPath.parse(path)
        for needed in (("task",), ("steps", "messages")):
            if not any(name in self.paths for name in needed):
                raise ValidationError(
                    "map", f"a mapping with {' or '.join(needed)}", ", ".join(mapping) or "none"
                )

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry or a refusal for each object."""
        yield from entries_of(source, lambda value, line: [self._episode(source, value, line)])

    def _episode(self, source: Source, value: Mapping[str, Any], line: int) -> Episode:
        found = {name: self._find(name, value) for name in (*_OF_RUN, "steps", "messages")}
        if found["task"] in (None, ""):
            raise ValueError("task must be there; the mapped member has none")
        run = RunBuilder(source.limits)
        if found["messages"] is not None:
            read_messages(run, listed(found["messages"]))
        for step in listed(found["steps"]):
            self._add(run, step)
        return run.episode(
            found["task"] if isinstance(found["task"], str) else as_text(found["task"]),
            external_id=f"{source.path}:{line if found['id'] is None else found['id']}",
            outcome=_outcome(found),
            task_key=found["task_key"],
            domain=found["domain"],
            agent=found["agent"],
            source=self.name,
            started_at=microseconds_of(found["started_at"]),
            ended_at=microseconds_of(found["ended_at"]),
        )

    def _find(self, name: str, value: Mapping[str, Any]) -> Any:
        path = self.paths.get(name)
        return None if path is None else path.find(value)

    def _add(self, run: RunBuilder, step: Mapping[str, Any]) -> None:
        found = {name: self._in_step(name, step) for name in _OF_STEP}
        call_id = found["call_id"] if isinstance(found["call_id"], str) else None
        at = microseconds_of(found["at"])
        run.call(found["tool"], parsed(found["parameters"]), call_id=call_id, at=at)
        if found["error"] not in (None, "", False):
            run.answer(call_id, error=found["error"], latency_ms=found["latency_ms"])
        elif found["output"] is not None or found["ok"] is not None:
            ok = found["ok"]
            answer(run, call_id, parsed(found["output"]), failed=None if ok is None else not ok)

    def _in_step(self, name: str, step: Mapping[str, Any]) -> Any:
        named = self.paths.get(f"step.{name}")
        if named is not None:
            return named.find(step)
        usual = (JsonPath.parse(path).find(step) for path in _STEP_DEFAULTS[name])
        return next((each for each in usual if each is not None), None)


def _outcome(found: Mapping[str, Any]) -> Outcome:
    from .reading import scored

    success = found["success"]
    if isinstance(success, bool):
        return Outcome.success() if success else Outcome.failure("the run was judged unsuccessful")
    for name in ("outcome", "reward", "success"):
        verdict = scored(found[name])
        if verdict.kind != "unknown":
            return verdict
    said = str(found["outcome"] or success or "").lower()
    if said in ("success", "succeeded", "passed", "resolved", "done"):
        return Outcome.success()
    return (
        Outcome.failure(said) if said in ("failure", "failed", "error", "unresolved") else Outcome.unknown()
    )


def mapping_of(pairs: list[str]) -> dict[str, str]:
    """The mapping that `NAME=PATH` texts give. Raises `ValidationError` for a text without a name or a path.

    Example:
        >>> mapping_of(["task=.goal", "success=.reward==1"])
        {'task': '.goal', 'success': '.reward==1'}
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or not name.strip() or not path.strip():
            raise ValidationError("map", _MAPPING_RULE, repr(pair))
        mapping[name.strip()] = path.strip()
    return mapping


def load_mapping(path: Path) -> dict[str, str]:
    """The mapping of a file that `save_mapping` wrote. Raises `ValidationError` for a file that is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise ValidationError("map-file", "a mapping as --save-map writes it", f"{path}: {error}") from error


def save_mapping(path: Path, mapping: Mapping[str, str]) -> None:
    """Writes a mapping as JSON. A file that is there already is not replaced: `ValidationError`."""
    text = msgspec.json.format(msgspec.json.encode(mapping), indent=2) + b"\n"
    try:
        with path.open("xb") as file:
            file.write(text)
    except OSError as error:
        raise ValidationError("save-map", "a new file", f"{path}: {error.strerror}") from error
