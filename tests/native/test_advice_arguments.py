"""Arguments of steps that may come next: small worlds whose rules are known, and whatever an episode may hold."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit._native import Advisor
from tacit.errors import ValidationError

Call = tuple[str, dict[str, Any], Any]
Filled = dict[str, tuple[Any, str | None]]
Row = tuple[str, bytes | None, str | None, list[tuple[bytes, float, str]]]


def record(
    task: str, steps: list[Call], *, key: str = "asked", domain: str = "shop", ended: bool = False
) -> bytes:
    rows = [
        {"tool": tool, "status": "ok", "parameters": parameters, "output": output}
        for tool, parameters, output in steps
    ]
    return msgspec.msgpack.encode(
        {
            "id": f"{abs(hash(key)) % 10**9:032x}",
            "namespace": "default",
            "task": task,
            "task_key": key,
            "context": {"domain": domain},
            "steps": rows,
            "outcome": {"kind": "success"} if ended else None,
        }
    )


def learned(episodes: list[tuple[str, list[Call]]], *, same_task: bool = False) -> Advisor:
    advisor = Advisor()
    payloads = [
        record(task, steps, key="one" if same_task else f"task {number}", ended=True)
        for number, (task, steps) in enumerate(episodes)
    ]
    advisor.fit("default", payloads)
    return advisor


def opened(rows: list[Row]) -> Filled:
    return {
        name: (None if value is None else msgspec.msgpack.decode(value), source)
        for name, value, source, _ in rows
    }


def ask(advisor: Advisor, episode: tuple[str, list[Call]], taken: int, tool: str) -> Filled:
    task, steps = episode
    return opened(advisor.arguments(record(task, steps[:taken]), [tool])[0])


def order_number(number: int) -> str:
    return f"#W{number * 7919 % 100_003 + 10_000}"


def shop(number: int, *, text: bool = True) -> tuple[str, list[Call]]:
    """A user named by the task has two orders; each is looked at, and the second is paid with the user's card."""
    user, orders = f"ann_{number * 31 % 9973 + 1000}", [order_number(number), order_number(number + 5_000)]
    card = f"card_{number * 17 % 9973 + 1000}"
    profile: Any = {"name": {"first": "Ann"}, "cards": {card: {"kind": "visa"}}, "orders": orders}
    steps: list[Call] = [
        ("get_user", {"user_id": user, "verbose": True}, json.dumps(profile) if text else profile),
        ("get_order", {"order_id": orders[0]}, {"items": [], "status": "sent"}),
        ("get_order", {"order_id": orders[1]}, {"items": [], "status": "open"}),
        ("pay", {"order_id": orders[1], "card": card, "reason": f"because {number * 77}"}, "ok"),
    ]
    return f"I am {user}. Please pay my open order.", steps


@pytest.mark.parametrize("text", [True, False], ids=["JSON in a text", "JSON"])
def test_values_are_found_in_the_task_in_results_and_in_earlier_arguments(text: bool) -> None:
    advisor = learned([shop(number, text=text) for number in range(12)])
    asked = shop(700, text=text)
    steps = asked[1]
    user = ask(advisor, asked, 0, "get_user")
    assert user == {"user_id": (steps[0][1]["user_id"], "task"), "verbose": (True, "always")}
    first = ask(advisor, asked, 1, "get_order")
    assert first == {"order_id": (steps[1][1]["order_id"], "step 1 output.orders[0]")}
    second = ask(advisor, asked, 2, "get_order")
    assert second == {"order_id": (steps[2][1]["order_id"], "step 1 output.orders[1]")}
    pay = ask(advisor, asked, 3, "pay")
    assert pay["card"][0] == steps[3][1]["card"]
    assert str(pay["card"][1]).startswith("step 1 output.cards")
    assert pay["order_id"][0] == steps[3][1]["order_id"]


def test_what_was_said_nowhere_is_left_open() -> None:
    advisor = learned([shop(number) for number in range(12)])
    assert ask(advisor, shop(700), 3, "pay")["reason"] == (None, None)


def test_a_result_that_was_cut_short_gives_what_it_holds() -> None:
    advisor = learned([shop(number) for number in range(12)])
    task, steps = shop(700)
    profile = steps[0][2]
    cut = profile[: profile.index(order_number(5_700))]
    steps[0] = ("get_user", steps[0][1], cut)
    found = ask(advisor, (task, steps), 1, "get_order")
    assert found == {"order_id": (order_number(700), "step 1 output.orders[0]")}


def test_attempts_at_one_task_vouch_for_nothing() -> None:
    advisor = learned([shop(3)] * 20, same_task=True)
    assert ask(advisor, shop(3), 0, "get_user") == {"user_id": (None, None), "verbose": (None, None)}


def test_a_plan_takes_over_its_own_arguments_and_names_the_results_it_waits_for() -> None:
    advisor = learned([shop(number) for number in range(12)])
    task, steps = shop(700)
    plan = [
        opened(rows) for rows in advisor.plan_arguments(record(task, []), ["get_user", "get_order", "pay"])
    ]
    assert plan[0]["user_id"] == (steps[0][1]["user_id"], "task")
    value, source = plan[1]["order_id"]
    assert value is None
    assert str(source).startswith("step 1 output.orders")
    assert plan[2]["card"][0] is None


def test_the_context_is_a_source() -> None:
    def world(number: int) -> tuple[str, list[Call]]:
        return "look it up", [("find", {"area": f"area{number * 37 % 997}"}, "found")]

    advisor = Advisor()
    payloads = []
    for number in range(12):
        task, steps = world(number)
        payloads.append(record(task, steps, key=f"t{number}", domain=steps[0][1]["area"], ended=True))
    advisor.fit("default", payloads)
    asked = record("look it up", [], domain="area12345")
    assert opened(advisor.arguments(asked, ["find"])[0]) == {"area": ("area12345", "context")}


def test_each_tool_is_answered_for_in_the_order_asked() -> None:
    advisor = learned([shop(number) for number in range(12)])
    task, steps = shop(700)
    rows = advisor.arguments(record(task, steps[:1]), ["pay", "unknown", "get_order"])
    assert [[name for name, *_ in row] for row in rows] == [
        ["order_id", "card", "reason"],
        [],
        ["order_id"],
    ]
    assert Advisor().arguments(record(task, []), ["pay"]) == [[]]
    assert Advisor().plan_arguments(record(task, []), ["pay"]) == [[]]


def test_a_record_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="record"):
        Advisor().arguments(b"\xc1", ["pay"])
    with pytest.raises(ValidationError, match="record"):
        Advisor().plan_arguments(b"\xc1", ["pay"])


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["a 1", "{", "['x', 1", '{"a": "\\u12']
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=8,
)
STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.dictionaries(TEXTS, JSON, max_size=3), JSON), max_size=4)
EPISODES = st.lists(st.tuples(TEXTS, STEPS), max_size=6)


@given(EPISODES, TEXTS, STEPS)
@settings(max_examples=60, deadline=None)
def test_whatever_episodes_hold_the_answer_is_json_and_the_same_again(
    episodes: list[tuple[str, list[Call]]], task: str, steps: list[Call]
) -> None:
    asked = record(task, steps)
    one, two = learned(episodes), learned(episodes)
    rows = one.arguments(asked, ["a", "b"]) + one.plan_arguments(asked, ["b", "a", "b"])
    assert rows == two.arguments(asked, ["a", "b"]) + two.plan_arguments(asked, ["b", "a", "b"])
    for row in rows:
        for _, value, source, candidates in row:
            shares = [share for _, share, _ in candidates]
            assert shares == sorted(shares, reverse=True)
            assert all(0.0 <= share <= 1.0 for share in shares)
            if value is not None:
                assert source
                assert json.dumps(msgspec.msgpack.decode(value), allow_nan=False)


@given(st.lists(JSON, min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
def test_an_argument_that_never_changes_comes_back_equal(values: list[Any]) -> None:
    steps: list[Call] = [("a", {f"p{place}": value for place, value in enumerate(values)}, None)]
    advisor = learned([(f"task {number}", steps) for number in range(8)])
    found = ask(advisor, ("another", []), 0, "a")
    for place, value in enumerate(values):
        filled, source = found[f"p{place}"]
        if source is not None:
            assert filled == value
            assert type(filled) is type(value)


def test_an_argument_lists_its_candidates_with_their_sources() -> None:
    advisor = learned([shop(number) for number in range(12)])
    task, steps = shop(700)
    rows = {row[0]: row for row in advisor.arguments(record(task, steps[:1]), ["get_order"])[0]}
    candidates = rows["order_id"][3]
    value, share, source = candidates[0]
    assert msgspec.msgpack.decode(value) == steps[1][1]["order_id"]
    assert share > 0.5
    assert source == "step 1 output.orders[0]"
