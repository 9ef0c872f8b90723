from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tacit as package
from tacit import Episode, LearningSettings, Memory, Outcome, Settings, demo
from tests.unit.cli.conftest import Tacit
from tests.unit.importers.runs import run, step, write


def test_import_tells_what_came_of_each_file_and_what_was_learned(
    tacit: Tacit, runs: Path, tmp_path: Path
) -> None:
    more = write(tmp_path / "more.jsonl", run(100), b"{", run(0, model="model-0"))
    answer = tacit("import", runs, more)
    assert answer.status == 0
    assert "40 imported, 0 unchanged, 0 refused" in answer.out
    assert "1 imported, 0 unchanged, 2 refused" in answer.out
    assert "line 2: is not JSON" in answer.out
    assert "41 episodes" in answer.out
    assert 'after take fails with "no lamp in sight": look' in " ".join(answer.out.split())


def test_import_as_data_sums_over_the_files(tacit: Tacit, runs: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "more.jsonl", run(100), b"{", run(0, model="model-0"))
    data = tacit("import", runs, more, "--json").data
    assert (data["imported"], data["unchanged"]) == (41, 0)
    assert [(each["line"], each["path"]) for each in data["refused"]] == [(2, str(more)), (3, str(more))]
    assert all(each["reason"] for each in data["refused"])
    assert [each["imported"] for each in data["files"]] == [40, 1]
    assert {"kind", "content", "trials", "low"} <= data["patterns"][0].keys()
    assert tacit("import", runs, "--json").data["unchanged"] == 40


def test_import_reads_standard_input(tacit: Tacit, runs: Path) -> None:
    assert tacit("import", "-", "--json", stdin=runs.read_bytes()).data["imported"] == 40


def test_import_cuts_observations_only_when_told_to(tacit: Tacit, tmp_path: Path) -> None:
    path = write(tmp_path / "long.jsonl", run(steps=[step(observation="x" * 20_000)], cost=1))
    refused = tacit("import", path)
    assert "0 imported, 0 unchanged, 1 refused" in refused.out
    assert "at most 10000 characters" in " ".join(refused.out.split())
    cut = tacit("import", path, "--truncate", "observation")
    assert "1 imported" in cut.out
    assert "1 observation cut" in cut.err
    assert "not stored: cost" in cut.err
    assert tacit("import", path, "--truncate", "task").status == 2


def test_import_refuses_a_missing_file_before_it_touches_anything(
    tacit: Tacit, runs: Path, database: Path
) -> None:
    answer = tacit("import", runs, "missing.jsonl")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err == "tacit: path must be a readable file; got missing.jsonl: No such file or directory\n"
    assert not database.exists()


def test_import_refuses_a_form_nobody_knows_before_it_touches_anything(
    tacit: Tacit, runs: Path, database: Path
) -> None:
    answer = tacit("import", runs, "--format", "yaml")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("tacit: no importer named 'yaml'; known: ")
    assert not database.exists()


def test_import_loses_nothing_of_what_comes_through_a_pipe(tacit: Tacit, runs: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    lines = runs.read_bytes()
    writer = threading.Thread(target=pipe.write_bytes, args=(lines,), daemon=True)
    writer.start()
    data = tacit("import", pipe, "--json").data
    assert (data["imported"], data["refused"]) == (lines.count(b"\n"), [])


def test_a_long_list_of_refusals_is_cut_short_on_a_screen(tacit: Tacit, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(25):
        (folder / f"{number}.json").write_text('{"colour": "blue"}')
    answer = tacit("import", folder)
    assert "and 15 more reasons" in answer.out
    assert answer.status == 1
    assert len(tacit("import", folder, "--json").data["refused"]) == 25


def test_recall_shows_hits_with_reasons_that_add_up_to_the_score(filled: Tacit) -> None:
    answer = filled("recall", "find the lamp", "--domain", "house", "--limit", 2)
    assert answer.status == 0
    assert "find the lamp number" in answer.out
    assert "take > look > take" in answer.out
    assert answer.out.count(" why ") == 2
    score = float(answer.out.split()[1])
    why = answer.out[answer.out.index("why") + 3 : answer.out.index("steps")]
    assert round(sum(float(term.split()[-1]) for term in why.split("+")), 3) == score


def test_recall_as_data_has_the_names_of_the_value(filled: Tacit) -> None:
    data = filled("recall", "find the lamp", "--step", "take", "--limit", 3, "--json").data
    assert {"id", "hits", "patterns", "heuristics", "pitfalls", "next_steps", "degraded"} <= data.keys()
    assert len(data["hits"]) == 2  # the third is a near-copy of these
    for hit in data["hits"]:
        total = sum(reason["value"] * reason["weight"] for reason in hit["reasons"])
        assert total == pytest.approx(hit["score"], abs=1e-9)
    assert {each["tool"] for each in data["next_steps"]} >= {"look", "<finish>"}


def test_recall_within_a_budget_is_a_block_for_a_prompt(filled: Tacit) -> None:
    answer = filled("recall", "find the lamp", "--max-tokens", 200)
    assert answer.out.startswith("<tacit-memory")
    assert len(answer.out.strip().encode()) <= 600
    data = filled("recall", "find the lamp", "--max-tokens", 200, "--json").data
    assert data["prompt"] == answer.out.strip()
    too_few = filled("recall", "find the lamp", "--max-tokens", 3)
    assert (too_few.status, too_few.out) == (1, "")
    assert too_few.err.startswith("tacit: max_tokens")


@pytest.mark.parametrize("limit", ["0", "101", "x"])
def test_a_limit_that_makes_no_sense_is_wrong_usage(filled: Tacit, limit: str) -> None:
    assert filled("recall", "find the lamp", "--limit", limit).status == 2


def test_a_task_that_breaks_a_limit_is_one_line(filled: Tacit) -> None:
    answer = filled("recall", "x" * 10_001)
    assert answer.status == 1
    assert answer.err == "tacit: task must be at most 10,000 bytes; got 10,001\n"


def test_episodes_are_listed_newest_first_in_pages(filled: Tacit) -> None:
    first = filled("episodes", "--limit", 25, "--json").data["episodes"]
    rest = filled("episodes", "--limit", 25, "--after", first[-1]["id"], "--json").data["episodes"]
    ids = [each["id"] for each in first + rest]
    assert len(ids) == 40
    assert ids == sorted(ids, reverse=True)
    page = filled("episodes", "--limit", 2)
    assert ids[0] in page.out
    assert f"--after {ids[1]}" in page.err


def test_episodes_can_be_chosen(filled: Tacit) -> None:
    chosen = filled("episodes", "--agent", "model-1", "--domain", "house", "--limit", 100, "--json").data
    assert len(chosen["episodes"]) == 13
    assert [
        each["task_key"] for each in filled("episodes", "--task-key", "task/3", "--json").data["episodes"]
    ] == ["task/3"]
    nothing = filled("episodes", "--domain", "elsewhere")
    assert (nothing.status, nothing.out) == (0, "")
    assert "nothing matches" in nothing.err


def test_show_tells_everything_of_an_episode(filled: Tacit) -> None:
    id = filled("episodes", "--task-key", "task/2", "--json").data["episodes"][0]["id"]
    answer = filled("show", id)
    for told in ("find the lamp number 2", "success", "Reward", "base x", "3 steps", "no lamp in sight", id):
        assert told in answer.out
    data = filled("show", id, "--json").data
    assert data["id"] == id
    assert 0 <= data["score"] <= 1
    assert data["reward"]["total"] > 0
    assert [each["tool"] for each in data["steps"]] == ["take", "look", "take"]


def test_show_crops_what_is_long_unless_it_is_asked_not_to(tacit: Tacit, tmp_path: Path) -> None:
    told = " ".join(map(str, range(2_000)))
    tacit("import", write(tmp_path / "long.jsonl", run(steps=[step(observation=told)])))
    id = tacit("episodes", "--json").data["episodes"][0]["id"]
    assert "1999" not in tacit("show", id).out
    assert told in " ".join(tacit("show", id, "--full").out.split())


@pytest.mark.parametrize("id", ["abc", "01939b6e-0000-7000-8000-000000000000"])
def test_an_episode_that_is_not_there_is_one_line(filled: Tacit, id: str) -> None:
    answer = filled("show", id)
    assert (answer.status, answer.out, answer.err) == (1, "", f"tacit: no episode '{id}'\n")


def test_patterns_come_with_their_evidence(filled: Tacit) -> None:
    answer = filled("patterns", "--kind", "error_recovery")
    assert 'after take fails with "no lamp in sight": look' in " ".join(answer.out.split())
    assert "40 of 40" in answer.out
    assert "100.0%" in answer.out
    (pattern,) = filled("patterns", "--kind", "error_recovery", "--json").data["patterns"]
    assert (pattern["trials"], pattern["successes"]) == (40, 40.0)
    assert 0.9 < pattern["low"] < pattern["mean"] < pattern["high"] <= 1
    assert pattern["content"] == {"tool": "take", "error": "no lamp in sight", "next": "look"}


def test_patterns_can_be_chosen_and_ordered(filled: Tacit) -> None:
    chosen = filled("patterns", "--agent", "model-1", "--min-trials", 13, "--order", "trials", "--json").data
    assert {each["trials"] for each in chosen["patterns"]} == {13}
    assert filled("patterns", "--domain", "elsewhere", "--json").data == {"patterns": []}


@pytest.mark.parametrize(
    ("option", "known"), [(("--kind", "recovery"), "error_recovery"), (("--order", "size"), "confidence")]
)
def test_a_wrong_choice_names_the_right_ones(filled: Tacit, option: tuple[str, str], known: str) -> None:
    answer = filled("patterns", *option)
    assert (answer.status, answer.out) == (2, "")
    assert known in answer.err


def test_the_typical_plan_of_successes_is_listed(filled: Tacit) -> None:
    answer = filled("clusters")
    assert answer.out.splitlines()[1].split() == ["take", ">", "look", ">", "take", "20", "100.0%"]
    (cluster,) = filled("clusters", "--domain", "house", "--json").data["clusters"]
    assert (cluster["plan"], cluster["episodes"], cluster["share"]) == (["take", "look", "take"], 20, 1.0)
    assert (cluster["domains"], cluster["looked_at"], cluster["left_out"]) == (["house"], 20, 0)
    assert filled("clusters", "--domain", "elsewhere", "--json").data == {"clusters": []}
    assert "nothing matches" in filled("clusters", "--domain", "elsewhere").err
    assert filled("clusters", "--limit", 0).status == 2


def test_successes_that_were_left_out_are_told(filled: Tacit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_CLUSTERING_NEWEST", "5")
    answer = filled("clusters")
    assert "of the newest 5 successes; 15 older ones were left out" in answer.err


def test_import_ends_with_the_typical_plans(tacit: Tacit, runs: Path) -> None:
    answer = tacit("import", runs)
    assert "take > look > take" in answer.out.rstrip().splitlines()[-1]
    assert "tacit clusters" in answer.err
    assert [each["episodes"] for each in tacit("import", runs, "--json").data["clusters"]] == [20]


def test_stats_count_what_is_there(filled: Tacit) -> None:
    data = filled("stats", "--json").data
    assert (data["episodes"], data["index"]["episodes"]) == (40, 40)
    assert "40" in filled("stats").out


@pytest.mark.parametrize(
    "command", [["recall", "a task"], ["episodes"], ["patterns"], ["clusters"], ["stats"]]
)
def test_without_a_memory_a_command_says_how_to_start_one_and_makes_none(
    tacit: Tacit, database: Path, command: list[str]
) -> None:
    answer = tacit(*command)
    assert answer.status == 0
    assert f"no memory at {database} yet; `tacit import FILE`" in answer.err
    assert not database.exists()
    assert tacit(*command, "--json").data is not None


def test_namespaces_do_not_see_each_other(filled: Tacit) -> None:
    assert filled("recall", "find the lamp", "--namespace", "other", "--json").data["hits"] == []
    assert filled("episodes", "--namespace", "other", "--json").data == {"episodes": []}


def test_the_option_wins_over_the_environment(filled: Tacit, runs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    assert filled("import", runs, "--db", other, "--json").data["imported"] == 40
    assert filled("stats", "--db", other, "--json").data["durable"] == f"libsql:{other}"


def test_doctor_finds_nothing_wrong_with_a_sound_memory(filled: Tacit) -> None:
    answer = filled("doctor")
    assert (answer.status, "WRONG" in answer.out) == (0, False)
    data = filled("doctor", "--json").data
    assert data["ok"]
    assert {"versions", "file", "disk", "schema", "damage", "rows", "cache"} <= {
        each["name"] for each in data["checks"]
    }


def test_doctor_says_up_to_which_change_the_snapshot_is_used_or_why_not(
    filled: Tacit, database: Path
) -> None:
    def found() -> str:
        (check,) = (each for each in filled("doctor", "--json").data["checks"] if each["name"] == "snapshot")
        assert check["ok"]
        detail: str = check["detail"]
        return detail

    filled("maintain")
    file = Path(f"{database}.index")
    number = filled("stats", "--json").data["snapshot"]["used"]
    assert found() == f"used up to change {number} of {number}, {file.stat().st_size:,} bytes"
    file.write_bytes(file.read_bytes()[:-1])
    assert found() == f"none is used: it is damaged; a process reads all {number} changes"


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            "UPDATE episode SET record = zeroblob(99) WHERE rowid = (SELECT min(rowid) FROM episode)",
            "episode",
        ),
        (
            "UPDATE pattern SET record = zeroblob(99) WHERE rowid = (SELECT min(rowid) FROM pattern)",
            "pattern",
        ),
    ],
    ids=["episode", "pattern"],
)
def test_doctor_names_a_damaged_row_and_repair_removes_it(
    filled: Tacit, database: Path, damage: str, found: str
) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(damage)
    connection.close()
    answer = filled("doctor", "--json")
    assert answer.status == 1
    (check,) = (each for each in answer.data["checks"] if each["name"] == "damage")
    assert check["detail"].startswith(f"1 unreadable: {found} ")
    (removed,) = filled("repair", "--json").data["removed"]
    assert removed["kind"] == found
    assert removed["id"] in check["detail"]
    assert filled("doctor").status == 0
    assert filled("repair").out == ""


def test_a_backup_is_a_memory_of_its_own_and_replaces_no_file(filled: Tacit, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    data = filled("backup", copy, "--json").data
    assert (data["path"], data["bytes"]) == (str(copy), copy.stat().st_size)
    episodes = filled("episodes", "--json").data
    assert filled("episodes", "--db", copy, "--json").data == episodes
    refused = filled("backup", copy)
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert filled("backup", tmp_path / "other.db", "--db", tmp_path / "absent.db").status == 1


def test_doctor_names_the_failures_for_which_episodes_wait_and_maintain_learns_from_them(
    filled: Tacit, database: Path
) -> None:
    class Failing:
        name, dimension = "failing", 2

        def embed(self, texts: object) -> None:
            raise RuntimeError("no more credit")

    with Memory(database, settings=Settings(embedder=Failing())) as memory:
        id = memory.add(Episode(task="Cancel order 17", outcome=Outcome.success())).episode_id
    assert "not learned from yet: RuntimeError: no more credit" in " ".join(filled("show", id).out.split())
    (check,) = (each for each in filled("doctor", "--json").data["checks"] if each["name"] == "pending")
    assert (check["ok"], "1 wait" in check["detail"], "no more credit" in check["detail"]) == (True,) * 3
    assert "1 pending episode learned from" in filled("maintain").out
    checks = {each["name"]: each["detail"] for each in filled("doctor", "--json").data["checks"]}
    assert checks["pending"] == "every ended episode was learned from"


def test_a_worker_learns_once_from_what_waits_and_doctor_names_dead_letters_until_they_are_replayed(
    filled: Tacit, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        name, dimension = "failing", 2

        def embed(self, texts: object) -> None:
            raise RuntimeError("no more credit")

    learning = LearningSettings(mode="background", max_attempts=1)
    with Memory(database, settings=Settings(embedder=Failing(), learning=learning)) as memory:
        id = memory.add(Episode(task="Cancel order 17", outcome=Outcome.success())).episode_id
        memory.drain()
    answer = filled("doctor", "--json")
    (check,) = (each for each in answer.data["checks"] if each["name"] == "dead")
    assert (answer.status, check["detail"].startswith(f"1 dead letter; {id} failed 1 times: ")) == (1, True)
    assert filled("worker", "--once", "--json").data["pending"] == 1
    assert "1 episode still pending" in filled("worker", "--once").err
    assert "1 not learned from yet · 1 dead letter" in filled("stats").out
    (letter,) = filled("worker", "--dead", "--json").data["dead_letters"]
    assert (letter["episode_id"], letter["attempts"]) == (id, 1)
    assert f"{id}" in filled("worker", "--dead").out
    assert filled("worker", "--replay", "no id").status == 1
    assert "1 dead letter handed" in filled("worker", "--replay", "all").err
    assert filled("worker", "--replay", "all", "--json").data == {"replayed": 0}
    assert filled("worker", "--once", "--json").data["learned"] == 1
    assert filled("doctor").status == 0
    assert "learning mode" in filled("stats", "--all").out


def test_doctor_says_of_another_file_that_it_is_not_a_memory(tacit: Tacit, database: Path) -> None:
    assert tacit("doctor").status == 1
    database.write_bytes(b"not a database" * 100)
    answer = tacit("doctor")
    assert answer.status == 1
    assert "WRONG" in answer.out
    broken = tacit("stats")
    assert (broken.status, broken.out, broken.err.count("\n")) == (1, "", 1)


def test_what_was_recorded_cannot_write_on_the_terminal(tacit: Tacit, tmp_path: Path) -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07[red]find[/red] the lamp\r\n" + "\u202egnp.exe"
    steps = [
        step("\x1b[31mlook", observation=hostile, arguments={"a": hostile}),
        step(ok=False, error=hostile),
    ]
    lines = [run(number, task_description=hostile, steps=steps, model=hostile) for number in range(3)]
    tacit("import", write(tmp_path / "hostile.jsonl", *lines))
    id = tacit("episodes", "--json").data["episodes"][0]["id"]
    for command in (
        ["episodes"],
        ["show", id],
        ["show", id, "--full"],
        ["recall", "lamp"],
        ["patterns"],
        ["clusters"],
    ):
        out = tacit(*command).out
        assert not set(out) & set("\x1b\x07\r\u202e")
        assert out


def test_the_version_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tacit", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"tacit {package.__version__}\n"


def test_wrong_usage_is_status_2(tacit: Tacit) -> None:
    assert tacit("recall").status == 2
    assert tacit("no-such-command").status == 2
    assert tacit("stats", "--no-such-option").status == 2
    assert tacit("demo", "--episodes", "0").status == 2
    assert tacit("patterns", "--limit", "10001").status == 2


def test_a_terminal_of_few_characters_gets_an_answer_and_whole_data(
    tacit: Tacit, database: Path, tmp_path: Path
) -> None:
    tacit("import", write(tmp_path / "runs.jsonl", run(task_description="the naïve lamp 灯")))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "TACIT_DB": str(database)}
    command = [sys.executable, "-m", "tacit", "episodes"]
    shown = subprocess.run(command, capture_output=True, check=True, env=environment).stdout
    assert b"the na?ve lamp" in shown
    data = subprocess.run([*command, "--json"], capture_output=True, check=True, env=environment).stdout
    assert "the naïve lamp 灯".encode() in data


@pytest.mark.parametrize("place", ["file/memory.db", "\udcff.db", "."])
def test_a_place_where_no_memory_can_be_is_one_line(
    tacit: Tacit, runs: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = tacit("import", runs, "--db", tmp_path / place)
    assert (answer.status, answer.out, answer.err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize("option", ["--domain", "--language", "--framework", "--namespace", "--step"])
def test_what_is_no_text_is_refused_in_one_line(filled: Tacit, option: str) -> None:
    answer = filled("recall", "find the lamp", option, "\udcff")
    assert (answer.status, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert "a lone surrogate" in answer.err


def test_a_server_that_cannot_be_reached_is_named_in_one_line(tacit: Tacit) -> None:
    answer = tacit("stats", "--db", "http://127.0.0.1:1")
    assert (answer.status, answer.err.count("\n")) == (1, 1)
    assert answer.err.startswith("tacit: http://127.0.0.1:1 cannot be reached")


def test_a_closed_loop_is_told_arm_by_arm(tacit: Tacit, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = demo.live
    monkeypatch.setattr(demo, "live", lambda **asked: whole(**asked, episodes=2))
    answer = tacit("eval", "--live")
    assert answer.status == 0
    assert [line.split()[0] for line in answer.out.splitlines()] == [
        "arm",
        "learned",
        "empty",
        "random",
        "placebo",
    ]
    data = tacit("eval", "--live", "--json").data
    assert (data["seeds"], data["tasks"], len(data["arms"])) == (5, 2, 4)


def test_import_puts_a_longer_run_in_the_place_of_the_stored_one(tacit: Tacit, tmp_path: Path) -> None:
    path, steps = tmp_path / "runs.jsonl", [{"tool": "look", "output": 1}, {"tool": "buy", "output": None}]
    for number in (1, 2):
        line = {"task": "Buy a fern", "external_id": "run-1", "steps": steps[:number]}
        path.write_text(json.dumps(line))
        data = tacit("import", path, "--json").data
        assert (data["imported"], len(data["refused"])) == ((1, 0) if number == 1 else (0, 1))
    assert tacit("import", path, "--replace", "--json").data["imported"] == 1
    (episode,) = tacit("episodes", "--json").data["episodes"]
    assert [step["tool"] for step in episode["steps"]] == ["look", "buy"]


def test_import_reads_nan_as_null_where_it_may(tacit: Tacit, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text('{"task": "Measure", "metadata": {"loss": NaN}}')
    assert "NaN or Infinity" in tacit("import", path).out
    assert tacit("import", path, "--nan-as-null", "--json").data["imported"] == 1
