"""From recorded runs to a report: files, a memory, the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tacit.cli.app import app
from tacit.errors import LeakError
from tacit.evaluation import Report, evaluate, load_file, load_memory
from tacit.importers import import_file
from tacit.memory import Memory
from tests.unit.importers.runs import run, step, write

ASKED = ("B1", "B3", "B5", "patterns", "rules")
FURNITURE = ("lamp", "table", "mirror", "drawer", "basin", "carpet")


def searched(number: int, trial: int) -> dict[str, Any]:
    """An attempt at one of twenty-four tasks; only looking first works."""
    thing, looked = FURNITURE[number % 6], trial % 2 == 0
    failed = step("take", ok=False, error="nothing in sight", observation=None)
    return run(
        number,
        task_description=f"find the {thing} of house{number} {'now' if trial else 'please'}",
        trial=trial,
        model="quick" if trial < 2 else "slow",
        domain="night" if number % 5 == 0 else "day",
        steps=[step("look"), step("take")] if looked else [failed, step("look"), step("leave")],
        outcome={"success": looked},
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    tasks = [
        {
            "source": "bench",
            "task_id": f"task/{number}",
            "domain": "house",
            "task_description": f"find the {FURNITURE[number % 6]}",
            "gold_actions": [{"name": "take", "arguments": {"what": FURNITURE[number % 6]}}],
            "extra": {"task_type": "search" if number % 2 else "find"},
        }
        for number in range(24)
    ]
    write(folder / "house.tasks.jsonl", *tasks)
    attempts = [searched(number, trial) for number in range(24) for trial in range(4)]
    return write(folder / "house.episodes.jsonl", *attempts)


@pytest.fixture(scope="module")
def report(runs: Path) -> Report:
    return evaluate([load_file(runs)], ask=ASKED)


def figure(report: Report, question: str, slice: str, metric: str) -> Any:
    found = [row for row in report.rows if (row.question, row.slice, row.metric) == (question, slice, metric)]
    assert len(found) == 1
    return found[0]


def test_tasks_are_found_by_another_wording_and_by_what_they_need(report: Report) -> None:
    assert figure(report, "B1", "other wording", "hit@1").memory == 1.0
    same = figure(report, "B1", "same plan", "ndcg@10")
    assert same.queries == 24
    assert same.memory > 0.95
    assert same.controls["empty"] < 0.8
    assert same.controls["random"] < 0.8


def test_the_way_out_of_an_error_is_known_from_other_folds(report: Report) -> None:
    for slice in ("tool and error", "with the steps so far"):
        first = figure(report, "B5", slice, "top1")
        assert (first.queries, first.memory, first.controls["empty"]) == (48, 1.0, 0.0)
        assert first.baselines["tool and class"] == 1.0
    assert any("random" in each.what for each in report.left_out if each.question == "B5")


def test_patterns_are_held_to_what_they_promise(report: Report) -> None:
    precision = figure(report, "patterns", "tool_sequence", "precision")
    assert precision.memory == 1.0
    assert precision.baselines["the usual"] < 0.7
    assert precision.controls["placebo"] != precision.memory
    assert any("random" in each.what for each in report.left_out if each.question == "patterns")


def test_rules_are_named_with_their_evidence(report: Report) -> None:
    rules = {rule.rule: rule for rule in report.rules if rule.kind == "error_recovery"}
    (found,) = [rule for text, rule in rules.items() if text.endswith(": look")]
    assert (found.trials, found.undecided) == (48, True)


def test_groups_are_reported(report: Report) -> None:
    assert {row.slice for row in report.rows if row.question == "B3"} == {"domain", "kind of task"}


def test_a_memory_of_the_runs_gives_the_same_figures(runs: Path, report: Report, tmp_path: Path) -> None:
    with Memory(tmp_path / "agent.db") as memory:
        import_file(memory, runs)
        held = load_memory(memory)
    told = evaluate(held, ask=["patterns"])
    assert [row.memory for row in told.rows] == [
        row.memory for row in report.rows if row.question == "patterns"
    ]


def test_what_a_dataset_cannot_answer_is_named(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.jsonl", *(run(number) for number in range(10)))
    told = evaluate([load_file(plain)], ask=["B1", "B3", "B5", "patterns"])
    assert told.rows == ()
    assert {each.question for each in told.left_out} == {"B1", "B3", "B5", "patterns"}
    assert all(each.reason for each in told.left_out)


def test_without_scikit_learn_its_baselines_are_left_out_and_named(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tacit.evaluation.texts.is_available", lambda: False)
    told = evaluate([load_file(runs)], ask=["B1"])
    assert told.rows[0].baselines == {}
    assert any("scikit-learn" in each.reason for each in told.left_out)


def test_a_memory_that_knows_the_held_out_runs_gets_no_report(runs: Path) -> None:
    dataset = load_file(runs)

    class Cheat(Memory):
        """Has read the file."""

        def __init__(self) -> None:
            super().__init__()
            list(super().add_many(dataset.episodes))

    with pytest.raises(LeakError):
        evaluate([dataset], ask=["patterns"], make_memory=Cheat)


Eval = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tacit_eval(tmp_path: Path) -> Eval:
    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tacit", "eval", *map(str, arguments)]
        environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "COLUMNS": "160"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return call


def test_the_command_prints_one_object(tacit_eval: Eval, runs: Path, report: Report) -> None:
    done = tacit_eval(runs, "--questions", "B1,patterns", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    told = [row for row in report.to_json()["rows"] if row["question"] in ("B1", "patterns")]
    assert data["rows"] == json.loads(json.dumps(told))
    assert data["left_out"]


def test_the_command_shows_a_table(tacit_eval: Eval, runs: Path) -> None:
    done = tacit_eval(runs, "--questions", "B1,B3,rules", "--limit", "6")
    assert done.returncode == 0
    assert "other wording" in done.stdout
    assert 'after take fails with "nothing in sight": look' in " ".join(done.stdout.split())
    assert "left out" in done.stdout


def test_the_command_saves_the_value_of_each_query_and_compares_with_them(
    tacit_eval: Eval, runs: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "results.json.gz"
    first = tacit_eval(runs, "--questions", "B3,B5", "--save", saved)
    assert (first.returncode, "saved: " in first.stderr) == (0, True)
    again = tacit_eval(runs, "--questions", "B5", "--compare", saved)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1] == "no row worse by more than two standard errors (4 compared)"
    assert "only in the saved results" in again.stderr
    data = json.loads(tacit_eval(runs, "--questions", "B5", "--compare", saved, "--json").stdout)
    assert {row["difference"] for row in data["compared"]["changes"]} == {0.0}
    assert data["rows"]


def test_two_files_of_saved_results_are_compared_without_a_replay(
    tacit_eval: Eval, runs: Path, tmp_path: Path
) -> None:
    for name, seen in (("whole", ()), ("blind", ("--without", "agent,domain"))):
        tacit_eval(runs, "--questions", "B5", *seen, "--save", tmp_path / name)
    done = tacit_eval(tmp_path / "whole", "--compare", tmp_path / "whole", "--json")
    assert list(json.loads(done.stdout)) == ["compared"]
    assert json.loads(done.stdout)["compared"]["changes"]
    # Another name of the dataset, so no row is in both files.
    assert "no row to compare" in tacit_eval(tmp_path / "whole", "--compare", tmp_path / "blind").stdout


def test_runs_whose_steps_have_no_output_are_evaluated(tacit_eval: Eval, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    quiet = [
        run(number, trial=trial, steps=[step("look", observation=""), step("take", observation="")])
        for number in range(12)
        for trial in range(2)
    ]
    done = tacit_eval(write(tmp_path / "quiet.jsonl", *quiet), "--questions", "B4", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    top = [row for row in json.loads(done.stdout)["rows"] if row["metric"] == "top1"]
    assert "nearest 30" in top[0]["baselines"]


def test_a_missing_package_is_named_so_that_it_can_be_installed(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tacit.evaluation.texts.is_available", lambda: False)
    monkeypatch.setenv("COLUMNS", "160")
    done = CliRunner().invoke(app, ["eval", str(runs), "--questions", "B1"])
    assert "pip install 'tacit[eval]'" in done.stdout


def test_the_command_withholds_fields(tacit_eval: Eval, runs: Path) -> None:
    done = tacit_eval(runs, "--questions", "patterns", "--without", "agent,domain", "--json")
    assert {row["dataset"] for row in json.loads(done.stdout)["rows"]} == {"house without agent, domain"}


def test_the_command_holds_out_whole_agents(tacit_eval: Eval, runs: Path) -> None:
    done = tacit_eval(runs, "--questions", "patterns", "--leave-out", "agent", "--json")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    assert {each["dataset"] for each in data["rows"] + data["left_out"]} == {"house, unseen agents"}


def test_the_command_evaluates_a_memory(tacit_eval: Eval, runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with Memory(path) as memory:
        import_file(memory, runs)
    data = json.loads(tacit_eval("--db", path, "--questions", "patterns", "--json").stdout)
    assert {row["dataset"] for row in data["rows"]} == {"bench"}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["no-such-file.jsonl"], 1, "no-such-file"),
        (["--questions", "B9"], 1, "B9"),
        (["--limit", "0"], 2, "limit"),
        (["--without", "outcome"], 1, "without"),
        (["--leave-out", "outcome"], 1, "leave_out"),
        (["--compare", "no-such-results.json.gz"], 1, "no-such-results"),
    ],
)
def test_wrong_usage_is_said_in_a_line(
    tacit_eval: Eval, runs: Path, arguments: list[str], status: int, said: str
) -> None:
    files = [] if arguments[0].endswith(".jsonl") else [runs]
    done = tacit_eval(*files, *arguments)
    assert done.returncode == status
    assert said in done.stderr


def test_retrieval_on_recorded_runs_is_above_the_baselines(evaluation_data: Path) -> None:
    pytest.importorskip("sklearn")
    path = evaluation_data / "tau2-bench.episodes.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {evaluation_data}")
    (gain,) = [row for row in evaluate([load_file(path)], ask=["B1"]).rows if row.metric == "ndcg@10"]
    assert gain.queries == 49
    assert gain.difference is not None
    assert gain.difference > 0
    assert gain.controls["random"] < gain.memory / 2
