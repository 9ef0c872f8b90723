"""Advice on the next step, from the shell."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Tacit


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_next_step_is_suggested_with_its_reasons_and_arguments(filled: Tacit) -> None:
    data = filled("suggest", "Bring lamp 3", "--step", "look", "--json").data
    assert data["steps"][0]["tool"] in {"take", "<finish>"}
    for step in data["steps"]:
        total = sum(reason["value"] * reason["weight"] for reason in step["reasons"])
        assert total == pytest.approx(step["probability"])
    shown = filled("suggest", "Bring lamp 3", "--step", "look")
    assert data["steps"][0]["tool"] in shown.out
    assert f"{data['steps'][0]['probability']:.1%}" in shown.out


def test_a_step_may_be_told_with_what_it_gave(filled: Tacit) -> None:
    told = '{"tool": "take", "parameters": {"thing": "lamp"}, "error": "no lamp in sight"}'
    assert filled("suggest", "Bring lamp 3", "--step", told, "--json").data["steps"]


@pytest.mark.parametrize(
    "step", ["{", '{"parameters": 1}', '{"tool": 7}', '{"tool": "take", "observation": "a"}']
)
def test_a_step_that_is_no_step_is_one_line(filled: Tacit, step: str) -> None:
    answer = filled("suggest", "Bring lamp 3", "--step", step)
    assert (answer.status, answer.out) == (1, "")
    assert "--step" in answer.err


def test_ways_out_come_with_their_evidence(filled: Tacit) -> None:
    data = filled("recover", "no lamp in sight", "--tool", "take", "--json").data
    (pattern,) = (
        each
        for each in filled("patterns", "--kind", "error_recovery", "--json").data["patterns"]
        if each["content"]["next"] == data["ways"][0]["tool"]
    )
    way = data["ways"][0]
    assert (way["trials"], way["successes"], way["low"]) == (
        pattern["trials"],
        pattern["successes"],
        pattern["low"],
    )
    assert way["weak"] == (pattern["episodes"] < 10)
    shown = words(filled("recover", "no lamp in sight", "--tool", "take").out)
    assert ("(weak)" in shown) == any(each["weak"] and each["trials"] for each in data["ways"])
    assert f"{way['successes']:g} of {way['trials']}" in shown
    assert ("undecided" in shown) == any(each["undecided"] and each["odds_ratio"] for each in data["ways"])


def test_ways_out_of_an_unknown_error_are_said_to_be_those_of_others(filled: Tacit) -> None:
    note = "this error is not known yet"
    assert note in filled("recover", "the roof fell down", "--tool", "take").err
    assert note not in filled("recover", "no lamp in sight", "--tool", "take").err


def test_an_error_without_its_tool_is_one_line(filled: Tacit) -> None:
    answer = filled("recover", "no lamp in sight")
    assert answer.status == 1
    assert "the tool that failed" in answer.err


def test_the_odds_of_a_task_are_told(filled: Tacit) -> None:
    data = filled("predict", "Bring lamp 3", "--json").data
    assert 0 <= data["low"] <= data["success"] <= data["high"] <= 1
    shown = filled("predict", "Bring lamp 3").out
    assert f"success {data['success']:.0%}" in shown
    assert f"base rate {data['base_rate']:.0%}" in shown


def test_a_task_unlike_all_others_has_no_support(filled: Tacit) -> None:
    answer = filled("predict", "xyzzy", "--json")
    assert str(answer.data["support"]) == "0.0"
    assert "no similar task" in answer.err


def test_a_playbook_is_a_numbered_plan_with_its_odds(filled: Tacit) -> None:
    data = filled("playbook", "Bring lamp 3", "--json").data
    shown = filled("playbook", "Bring lamp 3").out
    assert data["steps"]
    for number, step in enumerate(data["steps"], 1):
        assert f"{number:>2}  {step['tool']}" in shown
    assert "success" in shown
    assert data["episodes"][0] in words(shown).replace(" ", "")


@pytest.mark.parametrize(
    "asked", [("suggest",), ("recover", "no", "--tool", "take"), ("predict", "x"), ("playbook", "x")]
)
def test_an_empty_memory_says_that_it_knows_nothing(tacit: Tacit, asked: tuple[str, ...]) -> None:
    answer = tacit(*asked)
    assert answer.status == 0
    assert "no memory at" in answer.err


def test_rules_are_listed_with_what_they_are_compared_with(filled: Tacit) -> None:
    data = filled("heuristics", "--json").data["heuristics"]
    assert {"condition", "action", "trials", "confidence", "undecided", "weak", "odds_ratio"} <= data[
        0
    ].keys()
    shown = words(filled("heuristics").out)
    assert words(f"when {data[0]['condition']}, {data[0]['action']}").split()[1] in shown
    assert filled("heuristics", "--min-confidence", "1", "--json").data["heuristics"] == []


def test_maintenance_says_what_it_would_do_does_it_and_takes_it_back(filled: Tacit) -> None:
    would = filled("maintain", "--dry-run", "--json").data
    did = filled("maintain", "--json").data
    assert (would["merges"], would["changed"]) == (did["merges"], did["changed"])
    assert would["id"] is None
    assert filled("maintain", "--json").data["unchanged"]
    assert "no problems found" in filled("maintain").out
    if did["id"] is not None:
        assert filled("undo", did["id"], "--json").data["kind"] == "undo"


def test_undoing_what_never_was_is_one_line(filled: Tacit) -> None:
    answer = filled("undo", "nonsense")
    assert (answer.status, answer.out) == (1, "")


def test_a_forgotten_episode_is_gone(filled: Tacit) -> None:
    newest = filled("episodes", "--limit", "1", "--json").data["episodes"][0]["id"]
    assert filled("forget", newest, "--json").data == {"forgotten": newest}
    assert filled("show", newest).status == 1
    assert filled("forget", newest).status == 1


@pytest.mark.parametrize(
    ("command", "asked"),
    [("recall", "next_steps"), ("suggest", "steps"), ("predict", "reasons"), ("playbook", "task")],
)
def test_a_task_of_several_words_needs_no_quotes(filled: Tacit, command: str, asked: str) -> None:
    apart = filled(command, "find", "the", "lamp", "--json").data[asked]
    assert apart
    assert apart == filled(command, "find the lamp", "--json").data[asked]


def test_an_error_of_several_words_needs_no_quotes(filled: Tacit) -> None:
    apart = filled("recover", "no", "lamp", "in", "sight", "--tool", "take", "--json").data
    assert (
        apart["error_class"]
        == filled("recover", "no lamp in sight", "--tool", "take", "--json").data["error_class"]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["recover", "no lamp in sight"], "pass --tool NAME, the tool that failed"),
        (["recover", "", "--tool", "take"], "error must not be empty"),
        (["recall", ""], "task must not be empty"),
        (["predict", " "], "task must not be empty"),
        (["undo", "x"], "no maintenance run 'x'; `tacit maintain` prints the id"),
    ],
)
def test_a_missing_or_unknown_argument_is_one_sentence(
    filled: Tacit, arguments: list[str], said: str
) -> None:
    answer = filled(*arguments)
    assert (answer.status, answer.out, answer.err) == (1, "", f"tacit: {said}\n")


@pytest.mark.parametrize("width", ["40", "60", "100"])
@pytest.mark.parametrize("command", ["heuristics", "recover no lamp --tool take", "suggest find the lamp"])
def test_no_word_is_cut_on_a_terminal_of_few_columns(
    filled: Tacit, monkeypatch: pytest.MonkeyPatch, width: str, command: str
) -> None:
    wide = set(" ".join(filled(*command.split()).out.split()).split())
    monkeypatch.setenv("COLUMNS", width)
    lines = filled(*command.split()).out.splitlines()
    assert max(map(len, lines)) <= int(width)
    numbers = {"ms"}
    assert {word for line in lines for word in line.split() if word.isalpha()} - numbers <= wide
