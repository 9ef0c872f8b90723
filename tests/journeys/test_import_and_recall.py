"""Real recorded runs, imported by one process and asked about by another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EPISODES = {"tau2-bench": 336, "intercode-sql": 2_424, "alfred": 1_449}
FLIGHT = "Change my flight to a later one and add two bags"


class Tacit:
    """Commands, each in a process of its own, on one memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "memory.db"

    def text(self, *arguments: object) -> str:
        command = [sys.executable, "-m", "tacit", *map(str, arguments), "--db", str(self.database)]
        environment = {**os.environ, "XDG_CONFIG_HOME": str(self.folder), "COLUMNS": "100"}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    def data(self, *arguments: object) -> Any:
        return json.loads(self.text(*arguments, "--json"))


def imported(name: str, data: Path, folder: Path) -> Tacit:
    tacit = Tacit(folder)
    summary = tacit.data("import", data / f"{name}.episodes.jsonl.gz")
    assert (summary["imported"], summary["unchanged"], summary["refused"]) == (EPISODES[name], 0, [])
    return tacit


@pytest.fixture(scope="module")
def service(evaluation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tacit:
    return imported("tau2-bench", evaluation_data, tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def sql(evaluation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tacit:
    return imported("intercode-sql", evaluation_data, tmp_path_factory.mktemp("sql"))


@pytest.fixture(scope="module")
def household(evaluation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tacit:
    return imported("alfred", evaluation_data, tmp_path_factory.mktemp("household"))


def test_every_household_run_is_imported_and_counted(household: Tacit) -> None:
    assert household.data("stats")["episodes"] == EPISODES["alfred"]
    assert all(pattern["low"] > 0.99 for pattern in household.data("patterns", "--limit", 5)["patterns"])


@pytest.mark.parametrize(
    ("domain", "plan"),
    [
        ("pick_clean_then_place_in_recep", "CleanObject GotoLocation PutObject"),
        ("pick_cool_then_place_in_recep", "CoolObject GotoLocation PutObject"),
        ("pick_heat_then_place_in_recep", "HeatObject GotoLocation PutObject"),
        ("look_at_obj_in_light", "ToggleObject"),
        ("pick_and_place_simple", "PutObject"),
        ("pick_two_obj_and_place", "PutObject GotoLocation PickupObject GotoLocation PutObject"),
    ],
)
def test_each_kind_of_household_task_has_its_typical_plan(household: Tacit, domain: str, plan: str) -> None:
    whole = ["GotoLocation", "PickupObject", "GotoLocation", *plan.split()]
    largest = household.data("clusters", "--domain", domain)["clusters"][0]
    assert (largest["plan"], largest["domains"]) == (whole, [domain])
    assert largest["share"] > 0.5
    medoid = household.data("show", largest["medoid"])
    assert [step["tool"] for step in medoid["steps"]] == whole
    of_all = household.data("clusters", "--limit", 6)["clusters"]
    assert whole in [cluster["plan"] for cluster in of_all]


def test_a_task_is_answered_with_flights_of_the_past_and_reasons_that_add_up(service: Tacit) -> None:
    answer = service.data("recall", FLIGHT, "--domain", "airline")
    assert len(answer["hits"]) == 5
    assert {hit["domain"] for hit in answer["hits"]} == {"airline"}
    assert "flight" in answer["hits"][0]["task"]
    assert [hit["score"] for hit in answer["hits"]] == sorted(
        (hit["score"] for hit in answer["hits"]), reverse=True
    )
    for hit in answer["hits"]:
        assert sum(each["value"] * each["weight"] for each in hit["reasons"]) == pytest.approx(
            hit["score"], abs=1e-9
        )
        assert sum(each["weight"] for each in hit["reasons"]) == pytest.approx(1.0)
    assert answer["patterns"]
    assert answer["degraded"] == []


def test_the_answer_keeps_within_its_limit_and_its_budget(service: Tacit) -> None:
    assert len(service.data("recall", FLIGHT, "--domain", "airline", "--limit", 2)["hits"]) == 2
    for budget in (100, 400, 2_000):
        prompt = service.data("recall", FLIGHT, "--domain", "airline", "--max-tokens", budget)["prompt"]
        assert -(-len(prompt.encode()) // 3) <= budget
        assert service.text("recall", FLIGHT, "--domain", "airline", "--max-tokens", budget).strip() == prompt


def test_what_the_runs_say_of_themselves_is_kept(service: Tacit) -> None:
    episodes = service.data("episodes", "--limit", 400)["episodes"]
    assert all(episode["metadata"]["duration_s"] > 0 and episode["timed"] for episode in episodes)
    assert {(episode["ended_at"] - episode["started_at"]) / 1e6 for episode in episodes} == {
        round(episode["metadata"]["duration_s"], 6) for episode in episodes
    }
    by_users = [
        step for each in episodes for step in each["steps"] if step.get("metadata") == {"actor": "user"}
    ]
    assert len(by_users) == 76
    assert sum(episode["outcome"]["kind"] == "success" for episode in episodes) == 208


def test_weak_evidence_is_shown_as_weak(service: Tacit) -> None:
    found = service.data("patterns", "--kind", "error_recovery", "--domain", "airline", "--limit", 500)[
        "patterns"
    ]
    (rule,) = [
        each
        for each in found
        if (each["content"]["tool"], each["content"]["next"]) == ("book_reservation", "calculate")
        and "payment amount does not add up" in each["content"]["error"]
    ]
    assert rule["trials"] == 3
    assert rule["high"] - rule["low"] > 0.4


@pytest.mark.parametrize(
    ("error", "next_tool", "trials", "least"),
    [("table doesn't exist", "show", 843, 700), ("unknown column in", "describe", 431, 250)],
)
def test_the_ways_out_of_sql_errors_are_found_over_all_databases(
    sql: Tacit, error: str, next_tool: str, trials: int, least: int
) -> None:
    found = sql.data("patterns", "--kind", "error_recovery", "--min-trials", 20, "--limit", 100)["patterns"]
    content = {"tool": "select", "error": error, "next": next_tool}
    (rule,) = [each for each in found if each["content"] == content]
    assert rule["trials"] == trials
    assert least < rule["successes"] <= trials
    assert 0 < rule["low"] < rule["mean"] < rule["high"] < 1
    assert rule["high"] - rule["low"] < 0.1
    assert len(rule["domains"]) > 10
    others = [each for each in found if each["content"] | {"next": next_tool} == content and each is not rule]
    assert all(
        each["low"] < rule["low"] for each in others if each["content"]["next"] in ("select", "<gave up>")
    )


def test_difficulty_is_that_of_the_tasks_file(sql: Tacit) -> None:
    slices = {
        complexity: sum(
            episode["context"]["complexity"] == complexity
            for episode in sql.data("episodes", "--limit", 3_000)["episodes"]
        )
        for complexity in ("simple", "moderate", "complex", "unknown")
    }
    assert slices == {"simple": 3 * 188, "moderate": 3 * 360, "complex": 3 * 260, "unknown": 0}


def test_importing_again_changes_nothing(sql: Tacit, evaluation_data: Path) -> None:
    before = sql.data("stats")["sequence"], sql.data("patterns", "--limit", 1_000)
    summary = sql.data("import", evaluation_data / "intercode-sql.episodes.jsonl.gz")
    assert (summary["imported"], summary["unchanged"], summary["refused"]) == (0, 2_424, [])
    assert (sql.data("stats")["sequence"], sql.data("patterns", "--limit", 1_000)) == before


def test_a_memory_of_real_runs_is_sound(sql: Tacit) -> None:
    assert sql.data("doctor")["ok"]


def test_an_agent_finds_the_same_from_python(service: Tacit) -> None:
    from tacit import Memory

    told = service.data("recall", FLIGHT, "--domain", "airline")
    with Memory(service.database) as memory:
        answer = memory.recall(FLIGHT, domain="airline")
    assert [hit.episode_id for hit in answer.hits] == [hit["episode_id"] for hit in told["hits"]]
