"""Advice on the next step through the public API, in RAM and on a real file."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tacit import AsyncMemory, Episode, Memory, Outcome, Reason, Step, ValidationError
from tacit._native import new_id
from tests.journeys.conftest import MakeMemory

ASKED: dict[str, Any] = {"domain": "retail", "agent": "shopkeeper"}
LOOKED_UP = Step(
    "get_order", parameters={"order_id": 17}, status="ok", output={"status": "pending", "payment": "card_17"}
)


@pytest.fixture
def memory(make_memory: MakeMemory) -> Memory:
    memory = make_memory()
    for order in range(1, 9):
        cancel(memory, order)
    for order in range(1, 4):
        lose(memory, order)
    return memory


def cancel(memory: Memory, order: int, **head: Any) -> str:
    """The way that works: looked up, refused, done."""
    with memory.episode(f"Cancel order {order}", task_key=f"cancel-{order}", **{**ASKED, **head}) as episode:
        payment = f"card_{order}"
        episode.log(
            "get_order", parameters={"order_id": order}, output={"status": "pending", "payment": payment}
        )
        episode.log(
            "cancel_order", parameters={"order_id": order}, error=f"payment method {payment!r} not named"
        )
        episode.log(
            "cancel_order",
            parameters={"order_id": order, "refund_to": payment, "notify": True},
            output="done",
        )
        episode.succeed()
    return episode.id


def lose(memory: Memory, order: int) -> str:
    """A way that does not work, by another agent on another kind of task."""
    with memory.episode(
        f"Find parcel {order}", task_key=f"find-{order}", domain="post", agent="clerk"
    ) as episode:
        episode.log("ask_carrier", parameters={"parcel": order}, error="no answer")
        episode.log("ask_carrier", parameters={"parcel": order}, error="no answer")
        episode.fail("lost")
    return episode.id


def total(reasons: tuple[Reason, ...]) -> float:
    return sum(reason.value * reason.weight for reason in reasons)


def test_the_next_step_is_the_one_that_followed_in_successes(memory: Memory) -> None:
    suggestion = memory.suggest([LOOKED_UP], task="Cancel order 17", limit=100, **ASKED)
    assert suggestion.steps[0].tool == "cancel_order"
    assert suggestion.steps[0].probability > 0.5
    assert suggestion.steps[0].support > 0
    assert {memory.get(id).task.split()[0] for id in suggestion.steps[0].episodes} == {"Cancel"}
    assert math.fsum(step.probability for step in suggestion.steps) == pytest.approx(1)
    for step in suggestion.steps:
        assert total(step.reasons) == pytest.approx(step.probability)


def test_finishing_is_a_next_step(memory: Memory) -> None:
    steps = [
        LOOKED_UP,
        Step(
            "cancel_order",
            parameters={"order_id": 17},
            status="error",
            error="payment method 'card_17' not named",
        ),
        Step("cancel_order", parameters={"order_id": 17, "refund_to": "card_17"}, status="ok", output="done"),
    ]
    assert memory.suggest(steps, task="Cancel order 17", **ASKED).steps[0].tool == "<finish>"


def test_the_names_of_tools_are_steps_too(memory: Memory) -> None:
    assert memory.suggest(["get_order"], **ASKED).steps[0].tool == "cancel_order"
    assert memory.suggest(**ASKED).steps[0].tool == "get_order"


def test_arguments_are_filled_from_where_their_values_used_to_be_found(memory: Memory) -> None:
    refused = Step(
        "cancel_order",
        parameters={"order_id": 17},
        status="error",
        error="payment method 'card_17' not named",
    )
    suggestion = memory.suggest([LOOKED_UP, refused], task="Cancel order 17", **ASKED)
    assert suggestion.steps[0].tool == "cancel_order"
    arguments = {argument.name: argument for argument in suggestion.steps[0].arguments}
    assert (arguments["order_id"].filled, arguments["order_id"].value) == (True, 17)
    assert (arguments["refund_to"].filled, arguments["refund_to"].value) == (True, "card_17")
    assert arguments["refund_to"].source is not None
    if arguments["notify"].filled:
        assert (arguments["notify"].value, arguments["notify"].source) == (True, "always")


def test_what_nothing_decides_stays_open(make_memory: MakeMemory) -> None:
    memory = make_memory()
    for number in range(8):
        with memory.episode(f"Guess {number}", task_key=str(number)) as episode:
            episode.log("guess", parameters={"answer": f"{number * 7919 % 1009:04x}"}, output="right")
            episode.succeed()
    (argument,) = memory.suggest(task="Guess 99").steps[0].arguments
    assert (argument.name, argument.filled, argument.value) == ("answer", False, None)


def test_a_value_that_was_used_now_and_then_is_no_guess_where_nothing_speaks_for_it(
    make_memory: MakeMemory,
) -> None:
    memory = make_memory()
    for number in range(24):
        booking = "H8Q05L" if number % 6 == 0 else f"B{number * 7919 % 100_003:05}"
        with memory.episode(f"Change booking of customer {number}", task_key=str(number)) as episode:
            episode.log("get_user", parameters={"user": number}, output={"bookings": [booking]})
            episode.log("get_booking", parameters={"booking": booking}, output="found")
            episode.succeed()
    (argument,) = memory.suggest(["get_user"], task="Change my booking").steps[0].arguments
    assert (argument.name, argument.filled, argument.source) == ("booking", False, None)
    found = Step("get_user", parameters={"user": 99}, status="ok", output={"bookings": ["Z99999"]})
    (argument,) = memory.suggest([found], task="Change my booking").steps[0].arguments
    assert (argument.value, argument.source) == ("Z99999", "step 1 output.bookings[0]")
    planned = memory.playbook("Change my booking").steps[1].arguments[0]
    assert (planned.filled, planned.source) == (False, "step 1 output.bookings[]")


def test_the_way_out_of_an_error_comes_with_its_evidence(memory: Memory) -> None:
    answer = memory.recover("payment method 'card_99' not named", tool="cancel_order", **ASKED)
    way = answer.ways[0]
    assert (answer.tool, way.tool, way.trials, way.successes) == ("cancel_order", "cancel_order", 8, 8)
    assert 0.5 < way.low < way.mean < way.high <= 1
    assert way.undecided


def test_a_step_that_never_helped_is_no_fix(make_memory: MakeMemory) -> None:
    memory = make_memory()
    for number in range(60):
        with memory.episode(f"Publish branch {number}") as episode:
            episode.log("push", error="rejected")
            episode.log("push", error="rejected")
            episode.fail("still rejected")
    assert memory.recover("rejected", tool="push").ways == ()


def test_two_errors_of_a_tool_that_differ_in_json_alone_have_their_own_fixes(make_memory: MakeMemory) -> None:
    memory = make_memory()
    for error, fix in (('{"detail": "Not Found"}', "search"), ('{"detail": "Unauthorized"}', "login")):
        for number in range(20):
            with memory.episode(f"Call number {number}") as episode:
                episode.log("call", error=error)
                episode.log(fix, output="done")
                episode.succeed()
    first = memory.recover('{"detail": "Unauthorized"}', tool="call").ways[0]
    assert first.tool == "login"
    assert first.probability > 0.95


def test_the_failing_step_may_be_the_last_of_the_steps(memory: Memory) -> None:
    failed = Step("cancel_order", status="error", error="payment method 'card_3' not named")
    named = memory.recover(failed.error or "", tool="cancel_order", steps=[LOOKED_UP], **ASKED)
    last = memory.recover(failed.error or "", steps=[LOOKED_UP, failed], **ASKED)
    assert named == last
    with pytest.raises(ValidationError, match="tool"):
        memory.recover("payment method not named", **ASKED)


def test_the_odds_follow_from_what_happened(memory: Memory) -> None:
    good = memory.predict("Cancel order 17", **ASKED)
    bad = memory.predict("Find parcel 9", domain="post", agent="clerk")
    assert bad.success < good.base_rate < good.success
    assert good.base_rate == pytest.approx(8.5 / 12)
    for odds in (good, bad):
        assert 0 <= odds.low <= odds.success <= odds.high <= 1
        assert total(odds.reasons) == pytest.approx(odds.success)
        assert odds.support > 0
    assert good.steps == pytest.approx(3, abs=0.5)
    assert good.reward is not None


def test_a_known_task_is_judged_by_its_own_attempts(memory: Memory) -> None:
    for _ in range(6):
        with memory.episode("Cancel order 5", task_key="cancel-5", **ASKED) as episode:
            episode.log("get_order", parameters={"order_id": 5}, error="no such order")
            episode.fail("no such order")
    known = memory.predict("Cancel order 5", task_key="cancel-5", **ASKED)
    assert known.success < memory.predict("Cancel order 6", task_key="cancel-6", **ASKED).success


def test_an_empty_memory_knows_that_it_knows_nothing(make_memory: MakeMemory) -> None:
    memory = make_memory()
    odds = memory.predict("Cancel order 17", **ASKED)
    assert (odds.success, odds.base_rate, odds.support, odds.steps) == (0.5, 0.5, 0, None)
    assert odds.high - odds.low > 0.8
    assert memory.suggest(["get_order"], task="Cancel order 17").steps == ()
    assert memory.recover("no", tool="get_order").ways == ()
    assert memory.playbook("Cancel order 17").steps == ()


def test_a_playbook_is_one_plan_with_odds_and_slots(memory: Memory) -> None:
    playbook = memory.playbook("Cancel order 17", **ASKED)
    assert [step.tool for step in playbook.steps] == ["get_order", "cancel_order"]
    assert all(0 < step.share <= 1 for step in playbook.steps)
    assert playbook.success.success > 0.5
    first = {argument.name: argument for argument in playbook.steps[0].arguments}
    assert (first["order_id"].value, first["order_id"].source) == (17, "task")
    assert {memory.get(id).task.split()[0] for id in playbook.episodes} == {"Cancel"}
    assert 1 <= len(playbook.episodes) <= 5


def test_the_recorder_asks_for_its_own_episode(memory: Memory) -> None:
    with memory.episode("Cancel order 17", **ASKED) as episode:
        episode.log("get_order", parameters={"order_id": 17}, output=LOOKED_UP.output)
        assert episode.suggest().steps == memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED).steps
        assert episode.playbook().steps == memory.playbook("Cancel order 17", **ASKED).steps
        assert episode.predict() == memory.predict("Cancel order 17", **ASKED)
        error = "payment method 'card_17' not named"
        episode.log("cancel_order", parameters={"order_id": 17}, error=error)
        assert episode.recover(error).ways[0].tool == "cancel_order"
        episode.fail("stopped")


def test_advice_after_a_restart_equals_advice_before_it(tmp_path: Path) -> None:
    path = tmp_path / "m.db"

    def answers(memory: Memory) -> list[Any]:
        playbook = memory.playbook("Cancel order 17", **ASKED)
        return [
            memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED).steps,
            memory.recover("payment method 'x' not named", tool="cancel_order", **ASKED),
            memory.predict("Cancel order 17", **ASKED),
            (playbook.steps, playbook.success, playbook.episodes),
        ]

    with Memory(path) as memory:
        for order in range(1, 8):
            cancel(memory, order)
            answers(memory)
        before = answers(memory)
    with Memory(path) as memory:
        assert answers(memory) == before


def test_advice_knows_what_another_memory_of_the_same_file_learned(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as first, Memory(tmp_path / "m.db") as second:
        assert second.suggest(task="Cancel order 17", **ASKED).steps == ()
        cancel(first, 1)
        assert second.suggest(task="Cancel order 17", **ASKED).steps[0].tool == "get_order"


def test_advice_forgets_what_is_forgotten(make_memory: MakeMemory) -> None:
    memory = make_memory()
    memory.forget(cancel(memory, 1))
    assert memory.suggest(task="Cancel order 1", **ASKED).steps == ()
    assert memory.predict("Cancel order 1", **ASKED).support == 0
    assert memory.playbook("Cancel order 1", **ASKED).steps == ()


def test_nothing_that_was_learned_from_a_forgotten_episode_is_said_any_more(
    make_memory: MakeMemory,
) -> None:
    """As a memory answers that never held it, however few of its episodes are gone."""
    memory, other = make_memory(), make_memory()
    notes = [_run("Read a note", "read", {}) for _ in range(62)]
    plain = _run("Deploy build 9", "log_in", {})
    told = [_run(f"Deploy build {number}", "log_in", {"mode": "secret"}) for number in range(3)]
    list(memory.add_many([*notes, plain, *told]))
    list(other.add_many([*notes, plain]))

    def said(of: Memory) -> list[object]:
        steps = of.suggest(task="Deploy build 7").steps
        return [(step.tool, step.probability, step.arguments) for step in steps]

    assert "secret" in str(said(memory))
    for each in told:
        memory.forget(each.id)
    assert "secret" not in str(said(memory))
    assert said(memory) == said(other)


def _run(task: str, tool: str, parameters: dict[str, str]) -> Episode:
    step = Step(tool, parameters=parameters, status="ok")
    return Episode(task, id=new_id(), steps=(step,), outcome=Outcome.success())


def test_a_playbook_without_arguments_has_the_same_tools(memory: Memory) -> None:
    whole = memory.playbook("Cancel order 17", **ASKED)
    bare = memory.playbook("Cancel order 17", arguments=False, **ASKED)
    assert any(step.arguments for step in whole.steps)
    assert bare.steps == tuple(replace(step, arguments=()) for step in whole.steps)


def test_advice_stays_within_its_namespace(memory: Memory) -> None:
    assert memory.suggest(task="Cancel order 17", namespace="other").steps == ()
    assert memory.predict("Cancel order 17", namespace="other").support == 0


@pytest.mark.parametrize(
    ("verb", "asked", "field"),
    [
        ("suggest", {"limit": 0}, "limit"),
        ("suggest", {"steps": "get_order"}, "steps"),
        ("suggest", {"steps": [""]}, "steps"),
        ("suggest", {"steps": [7]}, "steps"),
        ("suggest", {"steps": [Step("a", {"x": 1})]}, "steps"),  # type: ignore[arg-type]
        ("suggest", {"steps": [Step("a", parameters={"x": "\ud800"})]}, "steps"),
        ("suggest", {"steps": [Step("a", parameters={"x": object()})]}, "steps"),
        ("suggest", {"task": ""}, "task"),
        ("recover", {"error": 7, "tool": "a"}, "error"),
        ("recover", {"error": "no", "tool": "a", "limit": 101}, "limit"),
        ("predict", {"task": ""}, "task"),
        ("predict", {"task": "x", "namespace": ""}, "namespace"),
        ("playbook", {"task": "x", "limit": 0}, "limit"),
        ("playbook", {"task": "x", "agent": ""}, "agent"),
    ],
)
def test_a_question_that_makes_no_sense_names_its_field(
    memory: Memory, verb: str, asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        getattr(memory, verb)(**asked)
    assert raised.value.field == field


def test_asyncio_gets_the_same_advice(tmp_path: Path) -> None:
    async def ask() -> list[Any]:
        async with (
            AsyncMemory(tmp_path / "m.db") as memory,
            memory.episode("Cancel order 17", **ASKED) as episode,
        ):
            asked = [
                (await memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED)).steps,
                await memory.recover("payment method 'x' not named", tool="cancel_order", **ASKED),
                await memory.predict("Cancel order 17", **ASKED),
                (await memory.playbook("Cancel order 17", **ASKED)).steps,
                (await episode.suggest()).steps[0].tool,
                (await episode.predict()).success,
            ]
            await episode.fail("stopped")
            return asked

    with Memory(tmp_path / "m.db") as memory:
        for order in range(1, 6):
            cancel(memory, order)
        expected = [
            memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED).steps,
            memory.recover("payment method 'x' not named", tool="cancel_order", **ASKED),
            memory.predict("Cancel order 17", **ASKED),
            memory.playbook("Cancel order 17", **ASKED).steps,
            "get_order",
            memory.predict("Cancel order 17", **ASKED).success,
        ]
    assert asyncio.run(ask()) == expected
