"""Lessons in answers: comparable, counted once an episode, without failed steps, and with what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tacit import (
    Episode,
    EvidenceSettings,
    Memory,
    Outcome,
    RecallSettings,
    Settings,
    Step,
    TaskContext,
    ValidationError,
)
from tacit.model.recall import NOTHING_COMPARABLE
from tacit.storage import InMemoryStore

BREAD = "How do I bake sourdough bread?"
LookedUp = str | tuple[str, str] | Step


def learned(memory: Memory, task: str, steps: Sequence[LookedUp], *, ok: bool = True, **head: Any) -> None:
    with memory.episode(task, **head) as episode:
        for step in steps:
            if isinstance(step, Step):
                episode.log(step.tool, parameters=step.parameters, output=step.output, error=step.error)
            elif isinstance(step, tuple):
                episode.log(step[0], error=step[1])
            else:
                episode.log(step, output="ok")
        if ok:
            episode.succeed()
        else:
            episode.fail("no")


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def retail(store: InMemoryStore) -> Memory:
    memory = Memory(store=store)
    for number in range(60):
        plan = ["get_order", "cancel_order", "refund"]
        learned(memory, f"Cancel order {number} and refund the customer", plan, domain="retail")
    return memory


def test_below_the_relevance_floor_nothing_is_suggested_planned_or_recovered(
    retail: Memory, store: InMemoryStore
) -> None:
    suggestion = retail.suggest(task=BREAD, domain="cooking")
    assert (suggestion.steps, suggestion.degraded) == ((), (NOTHING_COMPARABLE,))
    assert suggestion.to_prompt() == ""
    playbook = retail.playbook(BREAD, domain="cooking")
    assert (playbook.steps, playbook.changed) == ((), ())
    assert NOTHING_COMPARABLE in playbook.degraded
    assert retail.recover("no space left on device", tool="write_file").ways == ()
    lenient = Settings(recall=RecallSettings(relevance_floor=0.0))
    assert Memory(store=store, settings=lenient).suggest(task=BREAD, domain="cooking").steps


def test_steps_that_are_known_are_continued_whatever_the_task(retail: Memory) -> None:
    assert retail.suggest(["get_order"], task=BREAD, domain="cooking").steps[0].tool == "cancel_order"
    assert retail.suggest(["mix_flour"], task=BREAD, domain="cooking").steps == ()
    assert retail.suggest().steps[0].tool == "get_order"
    assert retail.suggest(task="Whatever it is", domain="retail").steps


def test_the_odds_of_a_task_unlike_any_known_one_are_the_base_rate_and_say_so(retail: Memory) -> None:
    learned(retail, "Cancel order 99 and refund the customer", ["get_order"], ok=False, domain="retail")
    prediction = retail.predict(BREAD, domain="cooking")
    assert (prediction.success, prediction.support) == (prediction.base_rate, 0.0)
    assert prediction.high - prediction.low > 0.5
    assert sum(each.value * each.weight for each in prediction.reasons) == pytest.approx(prediction.success)
    assert prediction.degraded == (NOTHING_COMPARABLE,)
    assert NOTHING_COMPARABLE not in retail.predict("Cancel order 5", domain="retail").degraded


@pytest.fixture
def refunds() -> Memory:
    memory = Memory()
    for number in range(12):
        order = {"order_id": number}
        steps = [
            Step("get_order", parameters=order, output={"id": number, "payment": f"card_{number}"}),
            Step("cancel_order", parameters=order, error="refund_to is required"),
            Step("cancel_order", parameters={**order, "refund_to": f"card_{number}"}, output="cancelled"),
        ]
        learned(memory, f"Cancel order {number}", steps, domain="retail")
    return memory


def test_a_failed_step_is_no_part_of_a_plan_and_the_plan_says_what_changed(refunds: Memory) -> None:
    playbook = refunds.playbook("Cancel order 77", domain="retail")
    assert [step.tool for step in playbook.steps] == ["get_order", "cancel_order"]
    (changed,) = playbook.changed
    (argument,) = changed.arguments
    assert (argument.name, argument.source, argument.filled) == ("refund_to", "payment from get_order", False)
    said = 'if cancel_order fails with "refund_to is required": again with refund_to = payment from get_order'
    assert said in playbook.to_prompt()


def test_a_fix_names_the_argument_that_changed(refunds: Memory) -> None:
    fixes = refunds.recover("refund_to is required", tool="cancel_order", domain="retail")
    assert "cancel_order again with refund_to = payment from get_order: worked 12 of 12" in fixes.to_prompt()
    assert [fix.changed is None for fix in fixes.ways] == [fix.tool != "cancel_order" for fix in fixes.ways]


def test_recall_states_one_change_once(refunds: Memory) -> None:
    prompt = refunds.recall("Cancel order 77", domain="retail", limit=9).to_prompt()
    assert prompt.count("refund_to is required") == 1
    assert "it worked 2 times with refund_to = payment from get_order" in prompt
    assert "12 of 12 attempts like this succeeded" in prompt


def test_a_value_that_was_always_the_same_is_named_and_a_dropped_argument_too() -> None:
    memory = Memory()
    for number in range(3):
        steps = [
            Step("pay", parameters={"id": number, "mode": "fast"}, error="bad mode"),
            Step("pay", parameters={"id": number, "currency": "EUR"}, output="paid"),
        ]
        learned(memory, f"Pay bill {number}", steps, domain="bank")
    (fix,) = memory.recover("bad mode", tool="pay").ways[:1]
    assert fix.changed is not None
    assert [(each.name, each.value) for each in fix.changed.arguments] == [("currency", "EUR")]
    assert fix.changed.dropped == ("mode",)
    assert 'pay again with currency = "EUR", no mode' in memory.recover("bad mode", tool="pay").to_prompt()


def test_the_same_call_twice_in_a_row_stands_once_in_a_plan() -> None:
    memory = Memory()
    poll = Step("status", parameters={"job": "a"}, output="running")
    for _ in range(3):
        learned(
            memory,
            "Run the job",
            ["start", poll, poll, Step("status", parameters={"job": "b"}, output="done")],
        )
    assert [step.tool for step in memory.playbook("Run the job").steps] == ["start", "status", "status"]


def test_ending_the_run_after_an_error_is_judged_by_the_outcome() -> None:
    memory = Memory()
    failed: list[LookedUp] = [("edit", "syntax error")]
    for number in range(30):
        learned(memory, f"fix bug {number}", ["open", *failed, "submit"], ok=number == 0, domain="code")
        steps = ["open", *failed, "edit", "test", "submit"]
        learned(memory, f"mend bug {number}", steps, ok=number < 12, domain="code")
    ways = {fix.tool: fix for fix in memory.recover("syntax error", tool="edit").ways}
    assert (ways["submit"].successes, ways["edit"].successes) == (1, 30)
    assert ways["submit"].probability < 0.1
    memory.maintain()
    rules = {rule.action: rule for rule in memory.heuristics(limit=100) if rule.when.get("after") == "edit"}
    assert all(rule.successes <= 1 for action, rule in rules.items() if action == "use submit")


def test_a_pitfall_is_below_its_base_rate_and_no_pitfall_says_to_end_the_run() -> None:
    memory = Memory()
    for number in range(120):
        risky = number % 2 == 0
        ok = number % 12 == 0 if risky else number % 10 != 1
        plan = ["open", "force", "submit"] if risky else ["open", "check", "submit"]
        learned(memory, "Deploy the service", plan, ok=ok, domain="ops", agent="a")
    answer = memory.recall("Deploy the service", domain="ops")
    said = [each.text for each in answer.pitfalls]
    assert any("force" in text for text in said)
    assert not any("finish" in text for text in said)
    playbook = memory.playbook("Deploy the service", domain="ops")
    planned = {step.tool for step in playbook.steps}
    assert "check" in planned
    assert not any("force" not in each.text for each in playbook.pitfalls)


def test_ways_that_all_runs_of_a_weak_memory_show_are_no_pitfalls() -> None:
    memory = Memory()
    for number in range(80):
        learned(memory, f"Write proof {number}", ["think", "submit"], ok=number % 8 == 0, domain="maths")
    assert memory.recall("Write proof 99", domain="maths").pitfalls == ()


def test_an_interval_takes_one_trial_an_episode() -> None:
    memory = Memory()
    for number in range(12):
        learned(memory, f"find file {number}", ["find"] * 10, ok=number % 3 == 0, domain="code")
        learned(memory, f"find page {number}", ["find"], ok=number % 3 == 0, domain="code")
    by_text = {each.text: each for each in memory.patterns(limit=100)}
    often, once = by_text["after find gave ok: find"], by_text["start with find"]
    assert (often.trials, often.episodes) == (108, 12)
    assert often.high - often.low > once.high - once.low
    assert often.mean == pytest.approx((4 + 0.5) / 13)


def test_near_copies_leave_room_for_other_episodes_and_are_counted(store: InMemoryStore) -> None:
    memory = Memory(store=store)
    for number in range(60):
        task = f"Check the delivery status of order {number} for the customer"
        learned(memory, task, ["get_order", "answer"], ok=number % 2 == 0, domain="retail")
    learned(memory, "Refund a customer whose order never arrived", ["get_order", "refund"], domain="retail")
    asked = "Check the delivery status of the order of the customer, it is late, and refund it"
    hits = memory.recall(asked, domain="retail").hits
    assert "Refund" in hits[0].task
    assert [(hit.near_copies, hit.near_copies_succeeded) for hit in hits] == [(1, 1), (60, 30), (60, 30)]
    assert "30 of 60 attempts like this succeeded" in memory.recall(asked, domain="retail").to_prompt()
    every = Settings(recall=RecallSettings(near_copies=0))
    assert len(Memory(store=store, settings=every).recall(asked, domain="retail").hits) == 5


def test_attempts_with_other_arguments_are_no_near_copies() -> None:
    memory = Memory()
    for number, command in enumerate(("ls", "pwd", "make", "tree")):
        step = Step("bash", parameters={"command": command}, output="ok")
        learned(memory, f"Look around {number} in the folder", [step], domain="shell")
    assert len(memory.recall("Look around in the folder", domain="shell").hits) == 4


def test_calls_of_one_batch_are_no_sequence_and_no_fix() -> None:
    memory = Memory()
    for number in range(6):
        with memory.episode(f"Compare offers {number}", domain="shop") as episode:
            with episode.batch():
                episode.log("ask_north", error="closed today")
                for tool in ("ask_south", "ask_east")[:: 1 if number % 2 else -1]:
                    episode.log(tool, output="12")
            episode.log("decide", output="south")
            episode.succeed()
    found = memory.patterns(limit=1_000)
    assert len([each for each in found if each.kind == "context_pattern"]) == 1
    texts = [each.text for each in found if each.kind != "context_pattern"]
    assert not any("ask_east, ask_south" in text or "ask_south, ask_east" in text for text in texts)
    assert [fix.tool for fix in memory.recover("closed today", tool="ask_north").ways][:1] == ["decide"]
    rows = {fix.tool: fix.trials for fix in memory.recover("closed today", tool="ask_north").ways}
    assert rows.get("ask_south", 0) == rows.get("ask_east", 0) == 0
    plan = [step.tool for step in memory.playbook("Compare offers 9", domain="shop").steps]
    assert plan == ["ask_east", "ask_south", "decide"]


@pytest.mark.parametrize("budget", ["x", None, 80.0, True])
def test_a_budget_that_is_no_whole_number_is_refused_by_name(refunds: Memory, budget: Any) -> None:
    for answer in (
        refunds.recall("Cancel order 77"),
        refunds.suggest(["get_order"]),
        refunds.recover("refund_to is required", tool="cancel_order"),
        refunds.predict("Cancel order 77"),
        refunds.playbook("Cancel order 77"),
    ):
        with pytest.raises(ValidationError, match="max_tokens"):
            answer.to_prompt(max_tokens=budget)


def test_languages_of_one_letter_tell_tasks_apart() -> None:
    memory = Memory()
    for language in ("C", "R", "C++", "F#"):
        learned(memory, f"Port the parser to {language}", ["write"], domain="code")
    for language in ("C", "R", "C++", "F#"):
        assert memory.recall(f"Port it to {language}").hits[0].task.endswith(f" {language}")


def test_one_half_life_reaches_plans_hits_patterns_and_the_usual_next_step() -> None:
    start, day = 1_760_000_000_000_000, 86_400_000_000
    later = (start + 420 * day) * 1_000
    fading = Settings(evidence=EvidenceSettings(decay_half_life_days=30.0))
    episodes = [
        Episode(
            "Deploy the service",
            context=TaskContext(domain="ops"),
            task_key=f"{tool} {number}",
            steps=(Step("open", status="ok"), Step(tool, status="ok")),
            outcome=Outcome.success(),
            started_at=start + when * day,
            ended_at=start + when * day + 1,
        )
        for tool, days in (("push", range(10)), ("pull", range(410, 414)))
        for number, when in enumerate(days)
    ]
    for settings, expected in ((Settings(), "push"), (fading, "pull")):
        memory = Memory(settings=settings, clock=lambda: later)
        list(memory.add_many(episodes))
        assert memory.playbook("Deploy the service", domain="ops").steps[-1].tool == expected
        usual = memory.recall("Deploy the service", domain="ops", steps=["open"]).next_steps[0]
        assert usual.tool == expected
