"""How a run of the sandbox ends, and that it ends alone."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tacit.errors import TooLargeError, UnavailableError, ValidationError
from tacit.sandbox import CodeSandbox, SandboxLimits, SandboxPolicy

LIMITS = SandboxLimits(fuel=2_000_000, memory_mb=16, wall_ms=20_000, output_kb=8)
sandbox = CodeSandbox(limits=LIMITS)


def with_functions(functions: dict[str, Any], **limits: int) -> CodeSandbox:
    return CodeSandbox(limits=LIMITS, policy=SandboxPolicy(functions=functions, **limits))


def children() -> list[str]:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return [each for each in listing.read_text().split() if Path(f"/proc/{each}/cmdline").is_file()]


def test_this_system_has_every_defence() -> None:
    assert sandbox.problem is None


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("return context.orders.length", 2),
        ("return await Promise.resolve(context)", {"orders": [17, 18]}),
        (
            "return [1.5, null, undefined, 'é\\u2028', {a: {b: true}}]",
            [1.5, None, None, "é\u2028", {"a": {"b": True}}],
        ),
        ("return new Date('2026-02-03T04:05:06Z')", "2026-02-03T04:05:06.000Z"),
        ("return {['__proto__']: 1}", {"__proto__": 1}),
        ("'no value'", None),
    ],
)
def test_a_value_comes_back_as_json(code: str, value: Any) -> None:
    result = sandbox.run(code, context={"orders": [17, 18]})
    assert (result.status, result.value, result.is_ok) == ("ok", value, True)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("throw new TypeError('no')", "error"),
        ("return await import('node:fs')", "error"),
        ("return (", "malformed"),
        ("}); (async function (context) {", "malformed"),
        ("return '\ud800'", "malformed"),
        ("return 1 \0", "malformed"),
        ("return 1" + " " * (256 << 10), "malformed"),
        ("await new Promise(() => {})", "pending"),
        ("while (true) {}", "fuel"),
        ("try { while (true) {} } catch { return 1 } finally { return 2 }", "fuel"),
        ("const a = []; while (true) a.push(new Array(1000).fill(1))", "memory"),
        ("const f = () => f() + 1; return f()", "stack"),
        ("while (true) console.log('flood')", "output_limit"),
        ("return 'x'.repeat(10000)", "output_limit"),
        ("return Symbol()", "unserialisable"),
    ],
)
def test_code_without_a_value_ends_in_the_status_that_says_why(code: str, status: str) -> None:
    result = sandbox.run(code)
    assert (result.status, result.value, result.is_ok) == (status, None, False)
    assert result.error


def test_a_run_ends_at_the_wall_limit_whatever_it_does() -> None:
    patient = CodeSandbox(limits=replace(LIMITS, fuel=10**11, wall_ms=50))
    assert patient.run("while (true) {}").status == "timeout"
    # A native loop of the engine, which never looks at its fuel.
    assert patient.run("return Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 1)").status == "timeout"
    assert children() == []


def test_equal_code_spends_equal_fuel_and_what_was_used_is_reported() -> None:
    runs = [sandbox.run("let s = 0; for (let i = 0; i < 300000; i++) s += i; return s") for _ in range(2)]
    assert runs[0].fuel == runs[1].fuel > 300_000
    assert 0 < runs[0].memory_bytes < 16 << 20
    assert runs[0].wall_ms > 0


def test_the_error_and_the_console_are_plain_text_within_limits() -> None:
    result = sandbox.run("console.log('\\u001b[2J', {a: 1}); throw new RangeError('m'.repeat(9000))")
    assert result.console == '\ufffd[2J {"a":1}\n'
    assert (result.error_name, result.error) == ("RangeError", "m" * 2_000)


def test_the_guest_has_one_coarse_second_and_no_means_to_measure() -> None:
    result = sandbox.run(
        """const first = Date.now(); for (let i = 0; i < 100000; i++);
        return [first % 1000, Date.now() - first, new Date(2026, 6, 1).getTimezoneOffset(),
            typeof performance, typeof Atomics, typeof SharedArrayBuffer, typeof setTimeout, typeof WeakRef]"""
    )
    assert result.value == [0, 0, 0, *["undefined"] * 5]


def test_nothing_stays_from_one_run_to_the_next() -> None:
    sandbox.run("Object.prototype.polluted = globalThis.left = 1; Array.prototype.map = () => 'forged'")
    result = sandbox.run("return [({}).polluted === undefined, typeof left, [1].map((x) => x)]")
    assert result.value == [True, "undefined", [1]]


def test_labels_are_noted_and_refuse_nothing() -> None:
    result = sandbox.run("return [typeof require, 'process.env', eval('1')]")
    assert (result.status, result.labels) == ("ok", ("dangerous_eval", "environment"))


def test_a_context_without_json_or_beyond_its_limit_is_refused() -> None:
    with pytest.raises(ValidationError, match="context must be a value that has JSON"):
        sandbox.run("return 1", context=object())
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValidationError, match="context"):
        sandbox.run("return 1", context=deep)
    with pytest.raises(TooLargeError, match="context must be at most"):
        sandbox.run("return 1", context="x" * (8 << 20))


@pytest.mark.parametrize("limits", [{"fuel": 1}, {"memory_mb": 1.5}, {"wall_ms": 0}, {"output_kb": 10**9}])
def test_a_limit_without_sense_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(limits))):
        SandboxLimits(**limits)


@pytest.mark.parametrize("name", ["", "a.b.c", "context", "a.__proto__", "constructor", "a-b", "a\nb", "ä"])
def test_a_host_function_needs_a_name_that_hides_nothing(name: str) -> None:
    with pytest.raises(ValidationError, match="functions"):
        SandboxPolicy(functions={name: print})


def test_sixty_four_run_at_once_and_none_stays_behind() -> None:
    before = set(children())
    with ThreadPoolExecutor(64) as pool:
        results = list(pool.map(lambda number: sandbox.run("return context * 2", number), range(128)))
    assert [each.value for each in results] == [2 * number for number in range(128)]
    assert set(children()) <= before


def test_an_interrupt_of_the_caller_ends_the_worker() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_functions({"interrupt": interrupt}).run("interrupt()")
    assert children() == []


# --- host functions ---


def test_host_functions_take_json_and_return_json() -> None:
    host = with_functions({"memory.recall": lambda *given: {"given": given}, "now": lambda: 17})
    result = host.run("return [memory.recall({a: [1]}, 'b'), await now()]")
    assert (result.value, result.calls) == ([{"given": [{"a": [1]}, "b"]}, 17], 2)


def test_only_the_functions_of_the_policy_exist() -> None:
    host = with_functions({"memory.recall": lambda: 1})
    result = host.run("return [Object.keys(memory), typeof memory.forget, typeof recall]")
    assert result.value == [["recall"], "undefined", "undefined"]


def test_a_run_ends_at_its_last_call() -> None:
    made: list[int] = []
    host = with_functions({"note": made.append}, calls=3)
    result = host.run("try { for (let i = 0; i < 1e6; i++) note(i) } catch {} return 'on'")
    assert (result.status, result.calls, made) == ("error", 3, [0, 1, 2])


def test_arguments_and_answers_beyond_their_limit_do_not_pass() -> None:
    made: list[Any] = []
    host = with_functions({"note": made.append, "much": lambda: "x" * 2_000}, call_kb=1)
    catching = "try { return %s } catch (error) { return error.message }"
    assert host.run(catching % "note('x'.repeat(2000))").value == "the arguments are longer than their limit"
    assert host.run(catching % "much()").value == "the answer is longer than 1 KB"
    assert host.run(catching % "note(() => 1)").value == "the arguments hold a function"
    assert made == []


def test_a_failure_of_the_host_reaches_the_guest_without_its_inside() -> None:
    def fail(kind: str) -> None:
        raise UnavailableError("the link is down") if kind == "ours" else RuntimeError("password=hunter2")

    host = with_functions({"fail": fail})
    catching = "try { fail(context) } catch (error) { return error.message }"
    assert host.run(catching, "ours").value == "the link is down"
    assert host.run(catching, "theirs").value == "the host function failed (RuntimeError)"


def test_arguments_that_call_the_host_again_are_answered_in_turn() -> None:
    made: list[Any] = []
    host = with_functions({"note": made.append})
    host.run("note({get a() { note('inner'); return 1 }})")
    assert made == ["inner", {"a": 1}]


def test_a_hostile_environment_of_the_parent_does_not_reach_the_worker(tmp_path: Path) -> None:
    script = "from tacit.sandbox import CodeSandbox; print(CodeSandbox().run('return 6 * 7').value)"
    hostile = {"LD_PRELOAD": str(tmp_path / "no.so"), "TMPDIR": str(tmp_path / "no"), "TZ": ":/etc/passwd"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | hostile | {"MALLOC_PERTURB_": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "42\n"
