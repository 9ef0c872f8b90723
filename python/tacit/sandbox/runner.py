"""`CodeSandbox`: code in, a result out, and nothing else."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from typing import Any, get_args

import msgspec

from ..errors import TacitError, TooLargeError, ValidationError
from .labels import labels_of
from .self_test import problem
from .values import SandboxLimits, SandboxPolicy, SandboxResult, Status
from .worker import CALL, RESULT, Crashed, TimedOut, Unavailable, Worker, frame

_CODE_BYTES = 256 << 10
_CONTEXT_BYTES = 8 << 20
_STATUSES: tuple[Status, ...] = get_args(Status)[:5] + get_args(Status)[6:10]
"""The statuses that a worker may give itself, by the number in its result: all but the ones its supervisor gives."""


class CodeSandbox:
    """Runs JavaScript that an agent wrote: without files, network, processes, timers and a fine clock.

    Each run is a process of its own, locked down before it reads any code and ended with the run. The first use in a
    process tries the defences (`problem`); if one fails, every run ends as `unavailable`. Any thread may call it, and
    many at once.

    Example:
        >>> from tacit.sandbox import CodeSandbox
        >>> sandbox = CodeSandbox()
        >>> sandbox.run("return context.orders.length", context={"orders": [17, 18]}).value
        2
    """

    def __init__(self, *, limits: SandboxLimits | None = None, policy: SandboxPolicy | None = None) -> None:
        self.limits: SandboxLimits = limits or SandboxLimits()
        self.policy: SandboxPolicy = policy or SandboxPolicy()

    @property
    def problem(self) -> str | None:
        """The defence that this system lacks; `None` means that code can be run. The first look takes some 50 ms."""
        return problem()

    def run(self, code: str, context: Any = None) -> SandboxResult:
        """Runs `code`, the body of an async function of `context`, and returns how it ended; it never raises for the
        code's sake.

        The context is any value that has JSON. Raises `ValidationError` if it has none, `TooLargeError` beyond 8 MB.
        """
        given = _json("context", context)
        labels = labels_of(code)
        if (reason := problem()) is not None:
            return SandboxResult("unavailable", error=reason, labels=labels)
        return run_once(code, given, self.limits, self.policy, labels)


def run_once(
    code: str, context: bytes, limits: SandboxLimits, policy: SandboxPolicy, labels: tuple[str, ...] = ()
) -> SandboxResult:
    """One run without a look at the self-test."""
    try:
        source = code.encode()
    except UnicodeEncodeError:
        return SandboxResult("malformed", error="the code is not Unicode text", labels=labels)
    if len(source) > _CODE_BYTES or b"\0" in source:
        return SandboxResult(
            "malformed", error="the code must be at most 256 KB, without zeros", labels=labels
        )
    started = time.monotonic()
    run = _Run(limits, policy)
    result = run.outcome(source, context)
    wall_ms = (time.monotonic() - started) * 1_000
    return replace(result, wall_ms=wall_ms, calls=run.calls, labels=labels)


class _Run:
    def __init__(self, limits: SandboxLimits, policy: SandboxPolicy) -> None:
        self._limits = limits
        self._policy = policy
        self._functions = list(policy.functions.values())
        self._call_bytes = policy.call_kb << 10
        self.calls = 0

    def outcome(self, source: bytes, context: bytes) -> SandboxResult:
        """The result of the run, without what the caller measured."""
        try:
            with Worker(self._limits, call_bytes=self._call_bytes) as worker:
                worker.lock_down()
                names = "\n".join(self._policy.functions).encode()
                worker.send(frame(source), frame(context), frame(names))
                return self._follow(worker)
        except Unavailable as error:
            return SandboxResult("unavailable", error=str(error))
        except TimedOut:
            return SandboxResult("timeout", error=f"the run took longer than {self._limits.wall_ms:,} ms")
        except Crashed as error:
            return SandboxResult("crashed", error=str(error))

    def _follow(self, worker: Worker) -> SandboxResult:
        """Answers the guest's calls until its result comes."""
        # A control character takes six bytes in JSON, and the console takes as much as the value.
        longest = max(self._call_bytes, self._limits.output_kb << 10) * 8 + 100_000
        while True:
            kind, body = worker.receive(longest)
            if kind == RESULT:
                return _result(body)
            if kind != CALL or len(body) < 2:
                raise Crashed("the worker sent a frame of no kind")
            if self.calls >= self._policy.calls:
                return SandboxResult("error", error=f"more than {self._policy.calls} calls of host functions")
            self.calls += 1
            worker.send(frame(self._answer(body)))

    def _answer(self, body: bytes) -> bytes:
        """The JSON of the answer and a plus sign, or an error's text and a minus sign."""
        (number,) = struct.unpack_from("<H", body)
        arguments = _decoded(body[2:])
        if number >= len(self._functions) or not isinstance(arguments, list):
            raise Crashed("the worker called a function that there is not")
        if len(body) > self._call_bytes + 2:
            raise Crashed("the worker sent arguments beyond their limit")
        try:
            answer = msgspec.json.encode(self._functions[number](*arguments))
        except TacitError as error:
            return str(error).encode(errors="replace")[: self._call_bytes] + b"-"
        except Exception as error:
            return f"the host function failed ({type(error).__name__})".encode() + b"-"
        if len(answer) > self._call_bytes:
            return f"the answer is longer than {self._policy.call_kb} KB".encode() + b"-"
        return answer + b"+"


def _result(body: bytes) -> SandboxResult:
    """The worker's report, checked field by field: a guest that took the worker over may have written it."""
    try:
        number, fuel, memory = struct.unpack_from("<BQQ", body)
        texts, at = [], struct.calcsize("<BQQ")
        for _ in range(4):
            (length,) = struct.unpack_from("<I", body, at)
            texts.append(body[at + 4 : at + 4 + length].decode())
            at += 4 + length
        status = _STATUSES[number]
    except (struct.error, UnicodeDecodeError, IndexError):
        raise Crashed("the worker sent a result of another form") from None
    if at != len(body):
        raise Crashed("the worker sent a result of another form")
    value, error_name, error, console = texts
    decoded = _decoded(value.encode()) if status == "ok" else None
    return SandboxResult(
        status,
        value=decoded,
        error=error,
        error_name=error_name,
        console=console,
        fuel=fuel,
        memory_bytes=memory,
    )


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Crashed("the worker sent text that is not JSON") from None


def _json(name: str, value: Any) -> bytes:
    try:
        text = msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ValidationError(name, "a value that has JSON", str(error)[:200]) from error
    if len(text) > _CONTEXT_BYTES:
        raise TooLargeError(name, f"at most {_CONTEXT_BYTES:,} bytes", f"{len(text):,}")
    return text
