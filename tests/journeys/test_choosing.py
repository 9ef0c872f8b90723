"""Choosing among the actions that are possible now."""

from __future__ import annotations

import asyncio

import pytest

from tacit import AsyncMemory, Memory, RankedAction, Step, ValidationError
from tacit.model.choice import Action
from tacit.model.usage import Usage

TASK = "Follow the note"
FRUITS = ("apple", "plum", "pear", "grape", "lime", "peach")


def look(fruit: str) -> str:
    return f"You see a note, a {fruit} and a fig."


def note(fruit: str) -> Step:
    return Step("read note", status="ok", state=look(fruit), output=f"The note says: bring the {fruit}.")


@pytest.fixture
def memory() -> Memory:
    memory = Memory()
    for fruit in FRUITS:
        with memory.episode(TASK) as episode:
            episode.log("read note", state=look(fruit), output=f"The note says: bring the {fruit}.")
            episode.log(f"take {fruit}", state=look(fruit), output=f"You take the {fruit}.")
            episode.succeed()
    return memory


def test_a_value_that_no_run_has_seen_is_carried_over(memory: Memory) -> None:
    actions = ["take fig", "read note", "take melon"]
    choice = memory.choose(actions, steps=[note("melon")], task=TASK, state=look("melon"))
    assert choice.actions[0].action == "take melon"
    assert {each.action for each in choice.actions} == set(actions)
    assert sum(each.probability for each in choice.actions) == pytest.approx(1.0)
    assert choice.actions[0].episodes
    assert not choice.degraded


def test_reasons_sum_to_the_probability(memory: Memory) -> None:
    for each in memory.choose(["read note", "take fig"], task=TASK, state=look("kiwi")).actions:
        assert sum(reason.value * reason.weight for reason in each.reasons) == pytest.approx(each.probability)


def test_no_actions_are_an_empty_choice(memory: Memory) -> None:
    choice = memory.choose([], task=TASK)
    assert (choice.actions, choice.to_prompt()) == ((), "")


def test_an_empty_memory_has_nothing_comparable_to_say() -> None:
    choice = Memory().choose(["a", "b"], task=TASK)
    assert [each.probability for each in choice.actions] == [0.5, 0.5]
    assert choice.degraded == ("nothing_comparable",)
    assert choice.to_prompt() == ""


def test_calls_are_ranked_by_tool_and_parameters() -> None:
    memory = Memory()
    for order in range(6):
        with memory.episode(f"Cancel order {order}") as episode:
            episode.log("get_order", parameters={"order_id": order}, output={"status": "pending"})
            episode.log("cancel_order", parameters={"order_id": order}, output="cancelled")
            episode.succeed()
    looked = Step("get_order", parameters={"order_id": 17}, status="ok", output={"status": "pending"})
    calls: list[Action] = [
        {"tool": "cancel_order", "parameters": {"order_id": 3}},
        {"tool": "get_order", "parameters": {"order_id": 17}},
        {"tool": "cancel_order", "parameters": {"order_id": 17}},
        {"tool": "wait"},
    ]
    choice = memory.choose(calls, steps=[looked], task="Cancel order 17")
    assert choice.actions[0].action is calls[2]
    assert 'cancel_order {"order_id": 17}' in choice.to_prompt()


def test_an_action_that_changed_nothing_here_comes_after_the_others(memory: Memory) -> None:
    tried = Step("take melon", status="ok", state=look("melon"), output="You cannot take it.")
    before, after = (
        memory.choose(["take melon", "take fig"], steps=steps, task=TASK, state=look("melon"))
        .actions[0]
        .action
        for steps in ([note("melon")], [note("melon"), tried])
    )
    assert (before, after) == ("take melon", "take fig")


def test_an_action_that_failed_without_any_state_comes_after_the_others() -> None:
    memory = Memory()
    for number in range(3):
        with memory.episode(f"Open door {number}") as episode:
            episode.log("push door", output="It opens.")
            episode.succeed()
    failed = [
        Step("push door", status="error", error="stuck"),
        Step("push door", status="error", error="stuck"),
    ]
    choice = memory.choose(["push door", "pull door"], steps=failed, task="Open door 9")
    assert choice.actions[0].action == "pull door"


def test_a_failed_run_speaks_against_its_last_action() -> None:
    memory = Memory()
    for number in range(8):
        with memory.episode("Cross the river") as episode:
            episode.log("look", output="A bridge and a ford.")
            if number % 2:
                episode.log("take the ford", output="You are swept away.")
                episode.fail("drowned")
            else:
                episode.log("take the bridge", output="You are across.")
                episode.succeed()
    looked = Step("look", status="ok", output="A bridge and a ford.")
    choice = memory.choose(["take the ford", "take the bridge"], steps=[looked], task="Cross the river")
    assert choice.actions[0].action == "take the bridge"


def test_actions_that_were_possible_and_not_taken_teach_too() -> None:
    memory = Memory()
    for fruit in FRUITS:
        offered = {"actions": ["eat " + fruit, "take " + fruit, "smell " + fruit]}
        with memory.episode("Collect fruit") as episode:
            episode.log("take " + fruit, state=look(fruit), output="Taken.", metadata=offered)
            episode.succeed()
    choice = memory.choose(["eat kiwi", "smell kiwi", "take kiwi"], task="Collect fruit", state=look("kiwi"))
    assert choice.actions[0].action == "take kiwi"
    assert choice.actions[0].probability > 0.6


def test_limit_cuts_the_ranking_and_not_the_probabilities(memory: Memory) -> None:
    actions = [f"take {fruit}" for fruit in FRUITS]
    whole = memory.choose(actions, task=TASK, state=look("kiwi"))
    assert memory.choose(actions, task=TASK, state=look("kiwi"), limit=2).actions == whole.actions[:2]


def test_an_answer_to_an_open_episode_is_a_receipt(memory: Memory) -> None:
    with memory.episode(TASK) as episode:
        episode.log("read note", state=look("melon"), output="The note says: bring the melon.")
        choice = episode.choose(["take fig", "take melon"], state=look("melon"))
        episode.log("take melon", state=look("melon"), output="You take the melon.")
        episode.succeed()
    behind = choice.actions[0].episodes[0]
    assert memory.usage(behind) != Usage()


def test_a_forgotten_run_speaks_no_more(memory: Memory) -> None:
    for episode in list(memory.episodes(limit=100)):
        memory.forget(episode.id)
    choice = memory.choose(["take melon", "take fig"], steps=[note("melon")], task=TASK, state=look("melon"))
    assert choice.degraded == ("nothing_comparable",)


def test_a_namespace_does_not_speak_for_another(memory: Memory) -> None:
    choice = memory.choose(["take melon", "take fig"], task=TASK, namespace="other")
    assert choice.degraded == ("nothing_comparable",)


@pytest.mark.parametrize(
    ("action", "got"),
    [(17, "17"), ({"tool": 3}, '{"tool":3}'), ({"tool": "a", "x": 1}, '{"tool":"a","x":1}')],
)
def test_an_action_of_another_form_is_refused(action: object, got: str) -> None:
    with pytest.raises(ValidationError, match="actions must be a text, or a mapping") as refused:
        Memory().choose([action])  # type: ignore[list-item]
    assert str(refused.value).endswith(f"got {got}")


def test_a_state_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValidationError, match="state must be JSON values"):
        Memory().choose(["a"], state=object())


def test_the_async_memory_chooses_the_same(memory: Memory) -> None:
    actions = ["take fig", "take melon"]

    async def chosen() -> tuple[RankedAction, ...]:
        async with AsyncMemory() as awaited:
            for episode in memory.episodes(limit=100):
                await awaited.add(episode)
            choice = await awaited.choose(actions, steps=[note("melon")], task=TASK, state=look("melon"))
            return choice.actions

    here = memory.choose(actions, steps=[note("melon")], task=TASK, state=look("melon")).actions
    assert [each.action for each in asyncio.run(chosen())] == [each.action for each in here]


def test_suggest_proposes_the_actions_of_the_nearest_situations_with_the_values_of_this_one(
    memory: Memory,
) -> None:
    suggestion = memory.suggest([note("melon")], task=TASK, state=look("melon"))
    assert suggestion.steps[0].tool == "take melon"
    assert suggestion.steps[0].episodes
    for step in suggestion.steps:
        assert sum(each.value * each.weight for each in step.reasons) == pytest.approx(step.probability)


def test_suggest_spells_a_value_as_the_state_does(memory: Memory) -> None:
    suggestion = memory.suggest([note("TV-set Nova")], task=TASK, state=look("TV-set Nova"))
    assert "take TV-set Nova" in [step.tool for step in suggestion.steps]


def test_suggest_proposes_nothing_where_actions_are_calls() -> None:
    memory = Memory()
    for order in range(6):
        with memory.episode(f"Cancel order {order}") as episode:
            episode.log("cancel_order", parameters={"order_id": order}, output="cancelled")
            episode.log("list_orders", output="none")
            episode.succeed()
    steps = memory.suggest(task="Cancel order 7").steps
    assert "situations" not in {reason.signal for step in steps for reason in step.reasons}
