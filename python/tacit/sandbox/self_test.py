"""Before the first code runs, the defences are tried: by native calls of a locked-down worker, and by code."""

from __future__ import annotations

import threading

from .values import SandboxLimits, SandboxPolicy, Status
from .worker import LET_THROUGH, Crashed, TimedOut, Unavailable, Worker

PROBES = (
    "open",
    "create",
    "socket",
    "fork",
    "exec",
    "signal",
    "time",
    "code",
    "recode",
    "descriptor",
    "duplicate",
    "limits",
)
"""System calls that a worker makes itself after its lock-down. Each must end it by SIGSYS."""

_SIGSYS = 31
_LIMITS = SandboxLimits(fuel=200_000, memory_mb=8, wall_ms=5_000, output_kb=2)
_ATTACKS: tuple[tuple[str, Status], ...] = (
    ("while (true) {}", "fuel"),
    ("const a = []; while (true) a.push(new Array(1000).fill(1))", "memory"),
    ("const f = () => f() + 1; return f()", "stack"),
    ("while (true) console.log('x'.repeat(100))", "output_limit"),
    ("}); (async function (context) {", "malformed"),
    ("return await import('fs')", "error"),
    ("return require('child_process')", "error"),
    ("return process.env", "error"),
    ("await new Promise(() => {})", "pending"),
)
_CONTROLS = (
    ("return 6 * 7", 42),
    ("return context.orders.map((each) => each * 2)", [2, 4]),
    (
        "Object.prototype.toJSON = () => 'forged'; return {a: [new Date(0)]}",
        {"a": ["1970-01-01T00:00:00.000Z"]},
    ),
)

_lock = threading.Lock()
_tried: list[str | None] = []


def problem() -> str | None:
    """The first defence that failed, tried once a process; `None` means that all hold."""
    with _lock:
        if not _tried:
            _tried.append(try_defences())
        return _tried[0]


def try_defences() -> str | None:
    """The first defence that fails now; `None` means that all hold."""
    try:
        for probe in PROBES:
            if (code := _survives(probe)) != -_SIGSYS:
                let = "let through" if code == LET_THROUGH else f"ended by {code}"
                return f"the sandbox failed its own test: a forbidden call ({probe}) was {let}"
        return _wrong_attack() or _wrong_control()
    except Unavailable as error:
        return str(error)
    except (Crashed, TimedOut):
        return "the sandbox failed its own test: the worker does not answer"


def _survives(probe: str) -> int:
    with Worker(_LIMITS, call_bytes=0, probe=probe) as worker:
        try:
            worker.lock_down()
        except Crashed:
            return worker.exit_code()
        return LET_THROUGH


def _wrong_attack() -> str | None:
    from .runner import run_once

    for code, status in _ATTACKS:
        result = run_once(code, b"null", _LIMITS, SandboxPolicy())
        if result.status != status:
            return f"the sandbox failed its own test: {code!r} ended as {result.status}, not {status}"
    return None


def _wrong_control() -> str | None:
    from .runner import run_once

    for code, value in _CONTROLS:
        result = run_once(code, b'{"orders":[1,2]}', _LIMITS, SandboxPolicy())
        if not result.is_ok or result.value != value:
            return f"the sandbox failed its own test: {code!r} ended as {result.status}"
    return None
