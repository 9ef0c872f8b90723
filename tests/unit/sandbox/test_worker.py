"""A worker is trusted with nothing: the supervisor checks each word of it, and fails closed."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tacit._native import sandbox_worker
from tacit.sandbox import CodeSandbox, SandboxLimits, SandboxPolicy, SandboxResult, runner, self_test, worker

LIMITS = SandboxLimits(wall_ms=20_000, output_kb=1)

HOSTILE = """#!{python} -IS
import os, struct, sys
def say(body): os.write(1, struct.pack('<I', len(body)) + body)
def hear(): return os.read(0, struct.unpack('<I', os.read(0, 4))[0])
hear(); say(b'L'); hear(); hear(); hear()
def result(status, *texts, fuel=0):
    return b'R' + struct.pack('<BQQ', status, fuel, 0) + b''.join(struct.pack('<I', len(t)) + t for t in texts)
{script}
"""


def run_hostile(script: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> SandboxResult:
    """A run whose worker is a program that an attacker took over."""
    program = folder / "worker"
    program.write_text(HOSTILE.format(python=sys.executable, script=script))
    program.chmod(0o700)
    descriptor = os.open(program, os.O_RDONLY)
    monkeypatch.setattr(worker._PROGRAM, "_descriptor", descriptor)
    try:
        policy = SandboxPolicy(functions={"double": lambda number: 2 * number})
        return runner.run_once("return 1", b"null", LIMITS, policy)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    "script",
    [
        "os.write(1, b'\\xff' * 4)",  # a frame of four gigabytes
        "os.write(1, b'\\x00' * 4)",
        "os.write(1, struct.pack('<I', 100) + b'R half')",
        "os.kill(os.getpid(), 9)",
        "sys.exit(0)",
        "say(b'X?')",
        "say(b'R')",
        "say(result(99, b'1', b'', b'', b''))",
        "say(result(0, b'1', b'', b''))",
        "say(result(0, b'1', b'', b'', b'') + b'more')",
        "say(result(0, b'1', b'', b'\\xff', b''))",
        "say(result(0, b'not json', b'', b'', b''))",
        "say(result(0, b'[' * 100000 + b']' * 100000, b'', b'', b''))",
        "say(result(0, b'', b'', b'', b''))",
        "say(b'C' + struct.pack('<H', 9) + b'[]')",
        "say(b'C' + struct.pack('<H', 0) + b'{}')",
        "say(b'C' + struct.pack('<H', 0) + b'[' * 50000 + b']' * 50000)",
        "say(b'C' + struct.pack('<H', 0) + b'[\"' + b'x' * 70000 + b'\"]')",
    ],
)
def test_a_worker_that_breaks_the_protocol_has_crashed(
    script: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = run_hostile(script, monkeypatch, tmp_path)
    assert (result.status, result.value) == ("crashed", None)


def test_a_worker_that_keeps_to_the_protocol_is_answered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = "say(b'C' + struct.pack('<H', 0) + b'[21]'); say(result(0, hear()[:-1], b'', b'', b''))"
    result = run_hostile(script, monkeypatch, tmp_path)
    assert (result.status, result.value, result.calls) == ("ok", 42, 1)


def test_a_worker_that_stops_reading_is_ended_at_the_wall_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "LIMITS", SandboxLimits(wall_ms=300, output_kb=1))
    assert (
        run_hostile("os.read(0, 0); import signal; signal.pause()", monkeypatch, tmp_path).status == "timeout"
    )


def test_the_worker_refuses_to_run_beside_an_environment() -> None:
    process = subprocess.Popen(
        ["worker"],
        executable=f"/proc/self/fd/{worker._PROGRAM.descriptor()}",
        pass_fds=(worker._PROGRAM.descriptor(),),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"LD_PRELOAD": "/tmp/no.so"},
    )
    said, _ = process.communicate(worker.frame(struct.pack("<5Q", 10**6, 1 << 24, 1_000, 1, 0)))
    assert said[4:] == b"Uthe environment is not empty"


@pytest.mark.parametrize("probe", self_test.PROBES)
def test_native_code_in_a_locked_down_worker_ends_at_its_first_forbidden_call(probe: str) -> None:
    assert self_test._survives(probe) == -31


def test_a_probe_that_is_let_through_fails_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "PROBES", ("nothing",))
    problem = self_test.try_defences()
    assert problem is not None
    assert "a forbidden call (nothing) was let through" in problem


@pytest.mark.parametrize(
    ("name", "wrong"), [("_ATTACKS", (("return 1", "error"),)), ("_CONTROLS", (("return 1", 2),))]
)
def test_an_attack_or_a_control_that_ends_otherwise_fails_the_self_test(
    name: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_test, name, wrong)
    assert "'return 1' ended as ok" in str(self_test.try_defences())


def test_a_failed_self_test_closes_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "_tried", ["the system lacks a defence"])
    sandbox = CodeSandbox()
    result = sandbox.run("return 1")
    assert (sandbox.problem, result.status, result.value) == (
        "the system lacks a defence",
        "unavailable",
        None,
    )


def test_a_build_without_a_worker_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_PROGRAM", worker._Program())
    monkeypatch.setattr(worker, "sandbox_worker", lambda: b"")
    monkeypatch.setattr(self_test, "_tried", [])
    assert "has no sandbox" in CodeSandbox().run("return 1").error


def test_a_program_that_does_not_start_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_PROGRAM", worker._Program())
    monkeypatch.setattr(worker, "sandbox_worker", lambda: b"no program")
    assert runner.run_once("return 1", b"null", LIMITS, SandboxPolicy()).status == "unavailable"


def test_the_program_cannot_be_changed_once_it_is_in_memory() -> None:
    assert sandbox_worker().startswith(b"\x7fELF")
    with pytest.raises(OSError, match="not permitted"):
        os.pwrite(worker._PROGRAM.descriptor(), b"x", 0)
