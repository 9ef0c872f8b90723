"""A shell script records an episode."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tacit import Memory, Outcome
from tests.unit.cli.conftest import Tacit

ROOT = Path(__file__).resolve().parents[3]


def started(tacit: Tacit, *options: str) -> str:
    answer = tacit("start", "Cancel", "order", "17", *options)
    assert (answer.status, answer.err) == (0, "")
    return answer.out.strip()


def stored(database: Path, id: str) -> Any:
    with Memory(database) as memory:
        return memory.get(id)


def test_each_command_records_its_part(tacit: Tacit, database: Path) -> None:
    id = started(
        tacit, "--domain", "retail", "--agent", "script", "--task-key", "k", "--tag", "night", "--tag", "shop"
    )
    for command in (
        ("log", id, "find_order", "--parameters", '{"order_id": 17}', "--output", '{"status": "open"}'),
        ("log", id, "note", "--action", "wait", "--state", "in the shop", "--latency-ms", "12.5"),
        ("log", id, "call_user", "--timeout", "--tokens", "7"),
        ("begin", id, "cancel_order", "--call-id", "c1", "--parameters", '{"order_id": 17}'),
        ("begin", id, "send_mail", "--call-id", "c2"),
        ("end", id, "--call-id", "c2", "--error", "no address"),
        ("end", id, "--call-id", "c1", "--output", "cancelled"),
    ):
        answer = tacit(*command)
        assert (answer.status, answer.err) == (0, ""), command
        assert answer.out == (
            f"{command[-1]}\n" if command[:1] == ("begin",) and command[-1] == "c2" else answer.out
        )
    listed = tacit("episodes", "--open", "--json").data["episodes"]
    assert [(each["id"], len(each["steps"])) for each in listed] == [(id, 5)]
    done = tacit("complete", id, "--outcome", "success", "--verdict", "refunded")
    assert (done.status, done.out[:16]) == (0, "success · reward")
    episode = stored(database, id)
    assert (episode.task, episode.context.domain, episode.agent, episode.task_key, episode.tags) == (
        "Cancel order 17", "retail", "script", "k", ("night", "shop")
    )  # fmt: skip
    assert [(step.tool, step.status, step.output or step.error) for step in episode.steps] == [
        ("find_order", "ok", {"status": "open"}),
        ("note", None, None),
        ("call_user", "timeout", None),
        ("send_mail", "error", "no address"),
        ("cancel_order", "ok", "cancelled"),
    ]
    assert (episode.steps[1].state, episode.steps[1].latency_ms, episode.steps[2].tokens) == (
        "in the shop", 12.5, 7
    )  # fmt: skip
    assert episode.steps[3].batch == episode.steps[4].batch
    assert episode.outcome == Outcome.success("refunded")


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ((), Outcome.unknown()),
        (("--outcome", "unknown"), Outcome.unknown()),
        (("--outcome", "partial"), Outcome.partial()),
        (("--outcome", "failure", "--reason", "card expired"), Outcome.failure("card expired")),
        (("--outcome", "failure"), Outcome.failure("ended as a failure")),
        (("--outcome", "abandoned"), Outcome.abandoned()),
    ],
)
def test_an_episode_ends_as_it_is_told(
    tacit: Tacit, database: Path, options: tuple[str, ...], outcome: Outcome
) -> None:
    id = started(tacit)
    answer = tacit("complete", id, *options, "--json")
    assert (answer.status, answer.data["outcome"]["kind"]) == (0, outcome.kind)
    assert stored(database, id).outcome == outcome


def test_an_abandoned_episode_is_resumed_and_judged_while_it_is_open(tacit: Tacit, database: Path) -> None:
    id = started(tacit)
    tacit("log", id, "look", "--output", "1")
    tacit("complete", id, "--outcome", "abandoned")
    assert tacit("resume", id).out == "open, 1 step\n"
    assert tacit("judge", id, "failure", "--by", "tests", "--note", "red").out == "failure, when it ends\n"
    assert tacit("complete", id).status == 0
    episode = stored(database, id)
    assert (episode.outcome, episode.judged_by) == (Outcome.failure("red"), "tests")


def test_data_has_the_ids(tacit: Tacit) -> None:
    id = tacit("start", "Cancel order 17", "--json").data["episode_id"]
    call = tacit("begin", id, "look", "--json").data
    assert call["episode_id"] == id
    assert tacit("end", id, "--call-id", call["call_id"], "--timeout", "--json").data == call
    assert tacit("log", id, "look", "--json").data == {"episode_id": id}
    assert tacit("resume", id, "--json").data == {"episode_id": id, "steps": 2}
    done = tacit("complete", id, "--json").data
    assert (done["state"], done["problems"]) == ("learned", [])


def test_a_result_is_read_from_standard_input(tacit: Tacit, database: Path) -> None:
    id = started(tacit)
    assert tacit("log", id, "make", "--output", "-", stdin=b"all \xff built\n").status == 0
    long = b"x" * 20_000
    refused = tacit("log", id, "make", "--error", "-", stdin=long)
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert "error must be at most 10000 characters; got 20000" in refused.err
    assert tacit("log", id, "make", "--error", "-", "--truncate", stdin=long).status == 0
    assert [step.output or len(step.error) for step in stored(database, id).steps] == [
        "all � built\n",
        10_000,
    ]


NOWHERE = "01a22827-4e31-7543-952d-570d081dc362"
ON_AN_EPISODE = {
    "log": ("look",),
    "begin": ("look",),
    "end": ("--call-id", "c1", "--timeout"),
    "complete": ("--outcome", "success"),
    "resume": (),
}


@pytest.mark.parametrize("command", ON_AN_EPISODE)
def test_an_episode_that_is_not_open_is_one_line(tacit: Tacit, command: str) -> None:
    id = started(tacit)
    tacit("complete", id, "--outcome", "failure")
    for unknown in (NOWHERE, "no id"):
        refused = tacit(command, unknown, *ON_AN_EPISODE[command])
        assert (refused.status, refused.out) == (1, "")
        assert refused.err == f"tacit: no episode {unknown!r}\n"
    refused = tacit(command, id, *ON_AN_EPISODE[command])
    assert (refused.status, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert refused.err.startswith(f"tacit: episode {id!r} ")


@pytest.mark.parametrize("command", ON_AN_EPISODE)
def test_without_a_memory_nothing_is_made(tacit: Tacit, database: Path, command: str) -> None:
    refused = tacit(command, NOWHERE, *ON_AN_EPISODE[command])
    assert refused.status == 1
    assert "no episode" in refused.err
    assert not database.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("log", NOWHERE, "look", "--parameters", "{order"),
        ("log", NOWHERE, "look", "--output", "1", "--error", "no"),
        ("log", NOWHERE, "look", "--output", "1", "--timeout"),
        ("log", NOWHERE, "look", "--tokens", "-1"),
        ("end", NOWHERE, "--call-id", "c1"),
        ("complete", NOWHERE, "--outcome", "won"),
        ("complete", NOWHERE, "--verdict", "fine"),
        ("complete", NOWHERE, "--outcome", "success", "--reason", "no"),
    ],
)
def test_wrong_usage_is_status_2(tacit: Tacit, arguments: tuple[str, ...]) -> None:
    assert tacit(*arguments).status == 2


def test_an_episode_that_its_owner_holds_is_resumed_by_force_alone(tacit: Tacit, database: Path) -> None:
    with Memory(database) as owner:
        id = owner.start("Cancel order 17")
        owner.flush()
        refused = tacit("resume", id)
        assert (refused.status, refused.err.count("\n")) == (1, 1)
        assert tacit("resume", id, "--force").status == 0


@pytest.mark.parametrize("columns", ["60", "100"])
@pytest.mark.parametrize("command", ["start", *ON_AN_EPISODE])
def test_help_fits_the_terminal(command: str, columns: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "tacit", command, "--help"],
        env={**os.environ, "COLUMNS": columns},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert max(map(len, shown.splitlines())) <= int(columns)
    assert "--json" in shown


def test_the_script_of_the_guide_records_an_episode(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "recording.md").read_text()
    [script] = re.findall(r"^```sh\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    (tmp_path / "tacit").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tacit "$@"\n')
    (tmp_path / "tacit").chmod(0o755)
    (tmp_path / "script.sh").write_text(script)
    done = subprocess.run(
        ["sh", "-eu", "script.sh"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "TACIT_DB": str(tmp_path / "m.db"), **_paths()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Memory(tmp_path / "m.db") as memory:
        [episode] = memory.episodes()
    assert episode.outcome == Outcome.success("12 lines")
    assert [step.ok for step in episode.steps] == [True, True, False]
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "learned"


def _paths() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PYTHONPATH", "HOME") if name in os.environ}
