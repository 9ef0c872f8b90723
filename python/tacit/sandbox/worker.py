"""One worker process for one run: started without anything, spoken to in frames, gone afterwards."""

from __future__ import annotations

import math
import os
import select
import struct
import subprocess
import threading
import time
from types import TracebackType
from typing import NoReturn

from .._native import sandbox_worker
from .values import SandboxLimits

_READY, _REFUSED, CALL, RESULT = b"L", b"U", b"C", b"R"
LET_THROUGH = 42
"""The exit code of a worker that a probe survived in."""


class Unavailable(Exception):
    """The system lacks a defence, or the build has no worker."""


class Crashed(Exception):
    """The worker ended, or said something that it never says."""


class TimedOut(Exception):
    """The wall limit is reached."""


class _Program:
    """The worker's program in a sealed file of memory, made once and shared by forks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def descriptor(self) -> int:
        with self._lock:
            if self._descriptor is None:
                self._descriptor = _sealed(sandbox_worker())
            return self._descriptor


def _sealed(program: bytes) -> int:
    import fcntl

    if not program or not hasattr(os, "memfd_create"):
        raise Unavailable(
            "this build has no sandbox: it needs Linux on x86-64 or aarch64, and a release build"
        )
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    executable = 0x10
    try:
        try:
            descriptor = os.memfd_create("tacit-sandbox", flags | executable)
        except OSError:  # a kernel before 6.3 does not know the flag, and needs none
            descriptor = os.memfd_create("tacit-sandbox", flags)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(program)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except OSError as error:
        raise Unavailable(f"the system keeps no program in memory: {error.strerror}") from error
    return descriptor


_PROGRAM = _Program()


class Worker:
    """A worker that is locked down and waits for code, with everything that it says held to a deadline."""

    def __init__(self, limits: SandboxLimits, *, call_bytes: int, probe: str | None = None) -> None:
        self._deadline = time.monotonic() + limits.wall_ms / 1_000
        self._input = self._output = -1
        self._process = _start([probe] if probe else [])
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        cpu_s = math.ceil(limits.wall_ms / 1_000) + 1
        numbers = (limits.fuel, limits.memory_mb << 20, limits.output_kb << 10, cpu_s, call_bytes)
        self._hello = frame(struct.pack("<5Q", *numbers))

    def lock_down(self) -> None:
        """Waits until the worker says that it is locked down; raises `Unavailable` with its reason if it cannot be."""
        self.send(self._hello)
        kind, body = self.receive(1_000)
        if kind == _REFUSED:
            raise Unavailable(f"the system lacks a defence: {body.decode(errors='replace')}")
        if kind != _READY or body:
            raise Crashed("the worker did not say that it is locked down")

    def send(self, *frames: bytes) -> None:
        """Writes frames; raises `Crashed` or `TimedOut`."""
        left = memoryview(b"".join(frames))
        while left:
            try:
                left = left[os.write(self._input, left) :]
            except BlockingIOError:
                self._wait(self._input, select.POLLOUT)
            except OSError as error:
                self._ended(error)

    def receive(self, limit: int) -> tuple[bytes, bytes]:
        """The kind and the body of the next frame, which is at most `limit` bytes long."""
        (length,) = struct.unpack("<I", self._read(4))
        if not 1 <= length <= limit:
            raise Crashed("the worker sent a frame beyond its limit")
        whole = self._read(length)
        return whole[:1], whole[1:]

    def exit_code(self) -> int:
        """How the process ended, as `subprocess` says it; it is waited for within the deadline."""
        try:
            return self._process.wait(max(self._deadline - time.monotonic(), 0.001))
        except subprocess.TimeoutExpired:
            raise TimedOut from None

    def _read(self, length: int) -> bytes:
        parts: list[bytes] = []
        while length:
            try:
                part = os.read(self._output, min(length, 1 << 16))
            except BlockingIOError:
                self._wait(self._output, select.POLLIN)
                continue
            except OSError as error:
                self._ended(error)
            if not part:
                self._ended(None)
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _wait(self, descriptor: int, event: int) -> None:
        left = self._deadline - time.monotonic()
        poll = select.poll()
        poll.register(descriptor, event)
        if left <= 0 or not poll.poll(math.ceil(left * 1_000)):
            raise TimedOut

    def _ended(self, error: OSError | None) -> NoReturn:
        code = self.exit_code()
        if code == -24:  # SIGXCPU: the wall limit would have ended it next
            raise TimedOut
        raise Crashed(f"the worker ended by itself ({code})") from error

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process, whatever it does, and takes its exit code: none is left behind."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # nothing is buffered; the other side is gone
                    continue


def _start(arguments: list[str]) -> subprocess.Popen[bytes]:
    program = _PROGRAM.descriptor()
    try:
        return subprocess.Popen(
            ["tacit-sandbox-worker", *arguments],
            executable=f"/proc/self/fd/{program}",
            pass_fds=(program,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={},
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"the worker does not start: {error.strerror}") from error


def frame(body: bytes) -> bytes:
    """The body behind its length."""
    return struct.pack("<I", len(body)) + body
