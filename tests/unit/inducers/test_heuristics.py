"""Rules from episodes whose truth is known."""

from __future__ import annotations

import pytest

from tacit import Episode, Heuristic, Outcome, Step, TaskContext
from tacit.inducers import Heuristics
from tacit.testing import example_history

OK, LOST = {"status": "ok"}, {"status": "error", "error": "table is lost"}


def run(
    *tools: str,
    succeeds: bool = True,
    agent: str | None = None,
    complexity: str = "simple",
    domain: str = "sql",
) -> Episode:
    """A tool with "!" fails."""
    steps = tuple(
        Step(tool.strip("!"), **(LOST if tool.endswith("!") else OK))  # type: ignore[arg-type]
        for tool in tools
    )
    return Episode(
        "a task",
        agent=agent,
        context=TaskContext(domain=domain, complexity=complexity),  # type: ignore[arg-type]
        steps=steps,
        outcome=Outcome.success() if succeeds else Outcome.failure("no"),
    )


def induced(episodes: list[Episode], agent: str | None = None, **parameters: float) -> list[Heuristic]:
    history = example_history(episodes)
    history = type(history)(history.index, history.namespace, None, agent)
    return list(Heuristics(**parameters).induce(history))  # type: ignore[arg-type]


def rule(rules: list[Heuristic], do: dict[str, object], **when: object) -> Heuristic:
    (found,) = [each for each in rules if each.do == do and each.when == when]
    return found


HELPS = [
    *[run("ask!", "look", "ask")] * 18,
    *[run("ask!", "look", "ask", succeeds=False)] * 2,
    *[run("ask!", "ask!", "ask", succeeds=False)] * 18,
    *[run("ask!", "ask!", "ask")] * 2,
]


def test_a_way_out_that_helps_is_a_rule_with_its_evidence() -> None:
    found = rule(induced(HELPS), {"tools": ["look"]}, after="ask", result="table is lost")
    assert (found.condition, found.action) == ('ask fails with "table is lost"', "use look")
    assert (found.trials, found.successes, found.episodes, found.outcomes) == (20, 20.0, 20, 18.0)
    assert (found.verdict, found.state, found.weak) == ("better", "proven", False)
    assert found.confidence > 0.8
    assert found.parents
    assert found.origin == "induced"


def test_what_is_decidedly_worse_than_the_others_is_an_alternative_and_no_rule() -> None:
    rules = induced(HELPS)
    assert not [
        each for each in rules if each.do == {"tools": ["ask"]} and each.when.get("result") == "table is lost"
    ]
    kept = rule(rules, {"tools": ["look"]}, after="ask", result="table is lost")
    assert kept.alternatives[0].action == "use ask again"
    assert (kept.alternatives[0].episodes, kept.alternatives[0].outcomes) == (20, 2.0)


def test_a_strong_agents_habit_is_undecided() -> None:
    episodes = [
        *[run("ask!", "look", agent="strong")] * 32,
        *[run("ask!", "look", agent="strong", succeeds=False)] * 8,
        *[run("ask!", "ask", agent="strong")] * 8,
        *[run("ask!", "ask", agent="strong", succeeds=False)] * 2,
        *[run("ask!", "look", agent="weak")] * 2,
        *[run("ask!", "look", agent="weak", succeeds=False)] * 8,
        *[run("ask!", "ask", agent="weak")] * 8,
        *[run("ask!", "ask", agent="weak", succeeds=False)] * 32,
    ]
    found = rule(induced(episodes), {"respond": "switch"}, first_error=True)
    assert found.odds_ratio == pytest.approx(1.0)
    assert found.undecided
    assert found.verdict == "undecided"
    assert found.state == "candidate"
    nameless = [Episode(e.task, steps=e.steps, outcome=e.outcome) for e in episodes]
    assert rule(induced(nameless), {"respond": "switch"}, first_error=True).verdict == "better"


def test_trying_another_tool_is_compared_with_trying_the_same_one_again_whatever_the_tool() -> None:
    other = [run("pay!", "wait", "pay")] * 4
    found = rule(induced([*HELPS, *other]), {"respond": "switch"}, first_error=True)
    assert (found.trials, found.outcomes) == (24, 22.0)
    assert found.alternatives[0].action == "try the same tool again"
    of_tool = rule(induced([*HELPS, *other]), {"respond": "switch"}, first_error=True, tool="ask")
    assert of_tool.trials == 20


def test_few_events_are_a_weak_rule() -> None:
    found = rule(induced([run("ask!", "look")] * 3), {"tools": ["look"]}, after="ask", result="table is lost")
    assert found.weak
    assert found.state == "candidate"
    assert found.undecided
    assert found.confidence < 0.5
    assert not induced([run("ask!", "look")] * 2)


def test_a_rule_that_holds_for_one_agent_only_is_refined_by_the_agent() -> None:
    episodes = [
        *[run("ask!", "look", agent="small")] * 40,
        *[run("ask!", "look", agent="small", succeeds=False)] * 5,
        *[run("ask!", "ask", agent="small")] * 5,
        *[run("ask!", "ask", agent="small", succeeds=False)] * 40,
        *[run("ask!", "look", agent="large")] * 20,
        *[run("ask!", "look", agent="large", succeeds=False)] * 20,
        *[run("ask!", "ask", agent="large")] * 20,
        *[run("ask!", "ask", agent="large", succeeds=False)] * 20,
    ]
    rules = induced(episodes)
    whole = rule(rules, {"tools": ["look"]}, after="ask", result="table is lost")
    small = rule(rules, {"tools": ["look"]}, after="ask", result="table is lost", agent="small")
    large = rule(rules, {"tools": ["look"]}, after="ask", result="table is lost", agent="large")
    assert (small.verdict, large.verdict) == ("better", "undecided")
    assert small.parents == large.parents == (whole.id,)
    assert small.origin == "refined"
    assert small.agents == ("small",)


def test_a_rule_that_holds_alike_for_all_is_not_refined() -> None:
    episodes = [
        Episode(e.task, agent=agent, context=e.context, steps=e.steps, outcome=e.outcome)
        for agent in ("one", "other")
        for e in HELPS
    ]
    assert not [each for each in induced(episodes) if each.origin == "refined"]


def test_a_rule_that_begins_where_another_ends_is_composed_with_it() -> None:
    found = rule(induced(HELPS), {"tools": ["look", "ask"]}, after="ask", result="table is lost")
    first = rule(induced(HELPS), {"tools": ["look"]}, after="ask", result="table is lost")
    assert found.origin == "composed"
    assert found.action == "use look, then ask"
    assert found.parents[0] == first.id
    assert len(found.parents) == 2
    assert (found.trials, found.successes) == (20, 18.0)


def test_of_one_agent_only_its_episodes_count() -> None:
    episodes = [*[run("ask!", "look", agent="one")] * 4, *[run("ask!", "look", agent="other")] * 5]
    found = rule(induced(episodes, agent="one"), {"tools": ["look"]}, after="ask", result="table is lost")
    assert (found.trials, found.agents) == (4, ("one",))
    assert induced(episodes, agent="nobody") == []


def test_the_start_and_the_context_have_rules_too() -> None:
    rules = induced([*[run("look", "ask")] * 12, *[run("ask", succeeds=False)] * 12])
    assert rule(rules, {"tools": ["look"]}, after=None, result=None).verdict == "better"
    context = {"task_type": "other", "language": None, "framework": None}
    assert rule(rules, {"approach": ["look", "ask"]}, **context).verdict == "better"
