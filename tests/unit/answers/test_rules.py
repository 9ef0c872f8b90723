"""Which rules apply, and that no answer contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from tacit import Heuristic, Pattern, Step, TaskContext
from tacit.answers.rules import applicable, is_part_of, moves_of, reconciled
from tacit.maintenance.state import complete
from tacit.model.maintenance import MaintenanceState
from tacit.model.query import Query


def asked(steps: list[Any]) -> Query:
    return Query("t", "default", TaskContext(domain="sql"), tuple(steps))


def rule(name: str, confidence: float = 0.8, do: str = "look", **when: Any) -> Heuristic:
    when = when if when else {"after": "ask", "result": "ok"}
    return Heuristic(name, name, do, 20, 18.0, confidence, 0.95, when=when, do={"tools": [do]}, weak=False)


def pattern(name: str, low: float, high: float, kind: str = "tool_sequence", **content: Any) -> Pattern:
    return Pattern(name, kind, content, 20, 10.0, (low + high) / 2, low, high, 20, 10.0)


def standing(*rules: Heuristic) -> MaintenanceState:
    return complete(MaintenanceState(heuristics=rules))


def names(found: tuple[Heuristic, ...]) -> list[str]:
    return [each.id for each in found]


def test_rules_are_found_by_the_last_step_and_its_result() -> None:
    known = standing(
        rule("went well"),
        rule("lost", after="ask", result="table is lost"),
        rule("start", after=None, result=None),
    )
    failed = Step("ask", status="error", error="Table is lost")
    assert names(applicable(known, asked(["ask"]), (), 3)) == ["went well"]
    assert names(applicable(known, asked([Step("ask", status="ok")]), (), 3)) == ["went well"]
    assert names(applicable(known, asked([failed]), (), 3)) == ["lost"]
    assert applicable(known, asked(["other"]), (), 3) == ()


def test_before_any_step_rules_for_the_start_and_for_errors_of_the_tools_apply() -> None:
    known = standing(
        rule("went well"),
        rule("lost", after="ask", result="table is lost"),
        rule("start", after=None, result=None),
    )
    assert names(applicable(known, asked([]), ["ask", "look"], 3)) == ["lost", "start"]
    assert names(applicable(known, asked([]), [], 3)) == ["start"]


def test_a_start_with_tools_that_similar_episodes_never_used_is_not_recalled() -> None:
    known = standing(
        rule("lost", after="ask", result="table is lost"),
        rule("start", do="fly", after=None, result=None),
    )
    assert names(applicable(known, asked([]), ["ask"], 3)) == ["lost"]
    assert names(applicable(known, asked([]), ["ask", "fly"], 3)) == ["lost", "start"]


def test_the_surest_come_first_and_no_more_than_asked_for() -> None:
    known = standing(*(rule(str(n), 0.9 - n / 100) for n in range(6)))
    assert names(applicable(known, asked(["ask"]), (), 2)) == ["0", "1"]
    assert applicable(known, asked(["ask"]), (), 0) == ()


def test_a_refined_rule_applies_where_its_circumstance_holds() -> None:
    when: dict[str, Any] = {"after": "ask", "result": "ok"}
    known = standing(
        rule("here", **when, domain="sql"),
        rule("there", **when, domain="air"),
        rule("who", **when, agent="x"),
    )
    assert names(applicable(known, asked(["ask"]), (), 3)) == ["here"]


def test_weak_and_unsure_rules_are_not_recalled() -> None:
    weak = Heuristic(
        "weak", "c", "a", 3, 3.0, 0.9, 1.0, when={"after": "ask", "result": "ok"}, do={"tools": ["look"]}
    )
    assert applicable(standing(weak, rule("unsure", 0.4)), asked(["ask"]), (), 3) == ()


def test_trying_another_tool_is_recalled_after_a_first_error_where_it_is_proven() -> None:
    fields: dict[str, Any] = {"when": {"first_error": True}, "do": {"respond": "switch"}, "weak": False}
    proven = Heuristic("proven", "c", "a", 99, 60.0, 0.5, 0.7, state="proven", **fields)
    failed = Step("ask", status="error", error="lost")
    assert names(applicable(standing(proven), asked([failed]), (), 3)) == ["proven"]
    assert applicable(standing(proven), asked([failed, failed]), (), 3) == ()
    candidate = Heuristic("open", "c", "a", 99, 60.0, 0.5, 0.7, **fields)
    assert applicable(standing(candidate), asked([failed]), (), 3) == ()


def test_what_is_recommended_is_not_warned_of() -> None:
    good = pattern("good", 0.8, 0.9, tools=["look", "ask"])
    mild = pattern(
        "mild", 0.2, 0.45, kind="decision_point", after="look", result="ok", condition=None, choose="ask"
    )
    assert reconciled((good,), (), (mild,)) == ((good,), (), ())


def test_where_the_warning_is_surer_the_recommendation_goes() -> None:
    weak = pattern("weak", 0.52, 0.9, tools=["look", "ask"])
    sure = pattern(
        "sure", 0.01, 0.05, kind="decision_point", after="look", result="ok", condition=None, choose="ask"
    )
    assert reconciled((weak,), (rule("r", 0.55, do="ask", after="look", result="ok"),), (sure,)) == (
        (),
        (),
        (sure,),
    )


def test_different_states_do_not_contradict_each_other() -> None:
    good = pattern("good", 0.8, 0.9, tools=["look", "ask"])
    bad = pattern("bad", 0.0, 0.1, kind="error_recovery", tool="look", error="lost", next="ask")
    assert reconciled((good,), (), (bad,)) == ((good,), (), (bad,))


@pytest.mark.parametrize(
    ("advice", "is_part"),
    [
        (pattern("s", 0, 1, tools=["look", "pay"]), True),
        (pattern("s", 0, 1, tools=["pay", "look"]), False),
        (pattern("d", 0, 1, "decision_point", after="look", result="ok", condition=None, choose="pay"), True),
        (
            pattern("d", 0, 1, "decision_point", after="pay", result="ok", condition=None, choose="<finish>"),
            True,
        ),
        (pattern("d", 0, 1, "decision_point", after=None, result=None, condition=None, choose="look"), True),
        (pattern("r", 0, 1, "error_recovery", tool="look", error="lost", next="pay"), False),
        (pattern("a", 0, 1, "context_pattern", approach=["look", "pay"], context={}), True),
        (pattern("a", 0, 1, "context_pattern", approach=["look", "ask"], context={}), False),
    ],
)
def test_a_run_does_what_a_part_of_it_says(advice: Pattern, is_part: bool) -> None:
    assert is_part_of(advice, ("look", "pay")) is is_part


def test_an_empty_run_does_nothing() -> None:
    assert not is_part_of(pattern("a", 0, 1, "context_pattern", approach=["look"], context={}), ())


def test_a_condition_or_another_kind_names_no_move() -> None:
    decided = {"after": "a", "result": "ok", "condition": None, "choose": "b"}
    assert moves_of(pattern_of("decision_point", decided)) == {("a", None, "b")}
    assert moves_of(pattern_of("decision_point", decided | {"condition": "late"})) == frozenset()
    recovery = {"tool": "a", "error": "no table", "next": "b"}
    assert moves_of(pattern_of("error_recovery", recovery)) == {("a", "no table", "b")}
    assert moves_of(pattern_of("context_pattern", {"approach": ["a", "b"], "context": {}})) == frozenset()


def pattern_of(kind: str, content: dict[str, Any]) -> Pattern:
    return Pattern("0" * 32, kind, content, 1, 1.0, 0.5, 0.1, 0.9, 1, 1.0)
