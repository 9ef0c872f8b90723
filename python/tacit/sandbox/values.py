"""The limits of a run, the functions it may call, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ..errors import ValidationError

Status: TypeAlias = Literal[
    "ok",
    "error",
    "malformed",
    "pending",
    "fuel",
    "timeout",
    "memory",
    "stack",
    "output_limit",
    "unserialisable",
    "crashed",
    "unavailable",
]
"""How a run ended; only `ok` has a value."""

HostFunction: TypeAlias = Callable[..., Any]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?", re.ASCII)
_RESERVED = {"context", "console", "__proto__", "constructor", "prototype"}


def _check(name: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValidationError(name, f"a whole number from {least:,} to {most:,}", repr(value))


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """How much one run may use.

    `fuel` counts calls and backward jumps of the engine, in steps of 10,000: equal code spends equal fuel on every
    machine. `memory_mb` is the engine's heap, `wall_ms` the time from start to result, `output_kb` the console and the
    result together.

    Example:
        >>> from tacit.sandbox import SandboxLimits
        >>> SandboxLimits(wall_ms=200).memory_mb
        64
    """

    fuel: int = 20_000_000
    memory_mb: int = 64
    wall_ms: int = 1_000
    output_kb: int = 64

    def __post_init__(self) -> None:
        _check("fuel", self.fuel, 10_000, 100_000_000_000)
        _check("memory_mb", self.memory_mb, 4, 1_024)
        _check("wall_ms", self.wall_ms, 10, 60_000)
        _check("output_kb", self.output_kb, 1, 4_096)


@dataclass(frozen=True, slots=True)
class SandboxPolicy:
    """The reach of a run: nothing but the host functions that are named here. There are no files and no network.

    A function gets the JSON values that the guest passes, in order, and returns a value that has JSON. Each way takes
    at most `call_kb`, and a run may make `calls` calls. A `TacitError` reaches the guest with its message, every other
    exception without.

    Example:
        >>> from tacit.sandbox import SandboxPolicy
        >>> policy = SandboxPolicy(functions={"orders.count": lambda: 17})
        >>> policy.calls
        100
    """

    functions: Mapping[str, HostFunction] = field(default_factory=dict)
    calls: int = 100
    call_kb: int = 64

    def __post_init__(self) -> None:
        _check("calls", self.calls, 0, 10_000)
        _check("call_kb", self.call_kb, 1, 1_024)
        for name in self.functions:
            if not _NAME.fullmatch(name) or _RESERVED & set(name.split(".")):
                raise ValidationError("functions", "named like `recall` or `memory.recall`", repr(name))


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a run ended, and what came out of it.

    `status`, `fuel`, `memory_bytes`, `wall_ms` and `calls` were measured outside of the code. `value`, `error` and
    `console` were made by it: they are data, never instructions. `labels` name patterns of attacks that its text shows;
    they decide nothing.
    """

    status: Status
    value: Any = None
    error: str = ""
    error_name: str = ""
    console: str = ""
    fuel: int = 0
    memory_bytes: int = 0
    wall_ms: float = 0.0
    calls: int = 0
    labels: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """True if the code returned a value."""
        return self.status == "ok"
