"""Attacks end in the sandbox without harm, and harmless code is left to work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from benchmarks.sandbox_attacks import (
    LIMITS,
    Target,
    attacked,
    harms_unprotected,
    is_contained,
    node_program,
    target,
)
from tacit.sandbox import CodeSandbox, SandboxResult

from .attacks import ATTACKS, CONTROLS, ORDERS, Attack, Control

sandbox = CodeSandbox(limits=LIMITS)


@pytest.fixture(scope="module")
def aim() -> Iterator[Target]:
    with target() as found:
        yield found


def test_there_are_many_attacks_of_each_group_and_many_controls() -> None:
    assert len({(each.group, each.name) for each in ATTACKS}) == len(ATTACKS) >= 100
    assert min(Counter(each.group for each in ATTACKS).values()) >= 3
    assert len(CONTROLS) >= 20


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda each: f"{each.group}: {each.name}")
def test_an_attack_is_contained(attack: Attack, aim: Target) -> None:
    before = aim.marks()
    result = attacked(attack, aim, sandbox)
    assert is_contained(result), result
    assert aim.marks() == before


@pytest.mark.parametrize("control", CONTROLS, ids=lambda each: each.name)
def test_harmless_code_returns_its_value(control: Control) -> None:
    result = sandbox.run(control.code, ORDERS)
    assert (result.status, result.value) == ("ok", control.value)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("realm escape", "constructor of a function"),
        ("prototype pollution", "of all objects"),
        ("files", "writing"),
        ("network", "a socket"),
        ("processes", "abort"),
        ("output", "one long line"),
        ("result channel", "a forged frame"),
    ],
)
def test_an_attack_does_its_harm_in_an_unprotected_engine(group: str, name: str, aim: Target) -> None:
    node = node_program()
    if node is None:
        pytest.skip("no Node here")
    (attack,) = (each for each in ATTACKS if (each.group, each.name) == (group, name))
    assert harms_unprotected(attack, aim, node)
    harmless = Attack(group, "nothing", "return 1", attack.harm)
    assert not harms_unprotected(harmless, aim, node)


@pytest.mark.parametrize(
    "result",
    [
        SandboxResult("ok", value="WON"),
        SandboxResult("ok", value={"deep": ["WON"]}),
        SandboxResult("unavailable"),
        SandboxResult("crashed"),
        SandboxResult("ok", value="x" * (LIMITS.output_kb << 11)),
        SandboxResult("error", console="x" * (LIMITS.output_kb << 11) + "x"),
    ],
)
def test_a_win_a_crash_and_a_flood_are_not_contained(result: SandboxResult) -> None:
    assert not is_contained(result)
