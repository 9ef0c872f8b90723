"""Modules that importing tacit must not load: the budget is held by names, because a clock would not be fair."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tacit

HEAVY = {
    *("numpy", "typer", "click", "rich", "pydantic", "mcp", "httpx"),
    *("asyncio", "sqlite3", "multiprocessing"),
}


ROOMS_OF_OTHER_COMMANDS = {"tacit.evaluation", "tacit.demo", "tacit.importers", "tacit.aio", "tacit.testing"}


def modules_after(statement: str) -> set[str]:
    listing = f"{statement}\nimport sys; print('modules:', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("modules:")[2].split())


def packages_after(statement: str) -> set[str]:
    return {name.partition(".")[0] for name in modules_after(statement)}


def modules_of_command(*arguments: str) -> set[str]:
    """The modules that a process holds after it has run a command of the shell."""
    run = f"""
import sys
from tacit.cli import main
sys.argv = ["tacit", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    return modules_after(run)


def test_importing_tacit_loads_nothing_heavy() -> None:
    assert not packages_after("import tacit") & HEAVY


RUN = """
from tacit import Episode, Memory, Outcome, Step
with Memory() as memory:
    episode = memory.start("Cancel order 17", domain="retail")
    memory.log(episode, "get_order", parameters={"order_id": 17}, output={"status": "open"})
    memory.log(episode, "cancel_order", error="no payment method 'card'")
    memory.complete(episode, Outcome.success("done"))
    memory.add(Episode(task="Cancel order 18", steps=(Step(tool="get_order"),), outcome=Outcome.failure("no"), **TIMES))
    assert memory.recall("Cancel order 19", steps=["get_order"]).hits
""".replace("**TIMES", "started_at=1_700_000_000_000_000, ended_at=1_700_000_001_000_000")


def test_recording_and_recalling_make_no_array_and_never_import_numpy() -> None:
    assert not packages_after(RUN) & {"numpy"}


APPEND = """
import sys
from tacit import Memory
with Memory(sys.argv[1]) as memory:
    memory.log(sys.argv[2], "look", output={"n": 1})
    assert not {"index", "embedder", "intake"} & memory._rooms.__dict__.keys()
print("modules:", *sys.modules)
"""
ANSWERS_AND_LESSONS = {
    *("tacit.answers", "tacit.model.advice", "tacit.model.recall", "tacit.model.pattern"),
    *("tacit.intake.intake", "tacit.extractors", "tacit.embedding", "tacit.reflection", "tacit.scoring"),
    *("tacit.credit.receipts", "tacit.storage.in_memory", "tacit.intake.conversion", "hashlib", "logging"),
}


def test_a_process_that_appends_a_step_loads_nothing_that_answers_or_learns(tmp_path: Path) -> None:
    with tacit.Memory(tmp_path / "m.db") as memory:
        id = memory.start("Cancel order 17")
    done = subprocess.run(
        [sys.executable, "-c", APPEND, str(tmp_path / "m.db"), id], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.rpartition("modules:")[2].split()) & ANSWERS_AND_LESSONS


@pytest.mark.parametrize("name", ["Memory", "Episode"])
def test_the_names_of_the_first_page_load_nothing_heavy(name: str) -> None:
    if name not in getattr(tacit, "__all__", []):
        pytest.skip(f"tacit.{name} does not exist")
    assert not packages_after(f"from tacit import {name}") & HEAVY


@pytest.mark.parametrize("arguments", [("--version",), ("--help",)])
def test_version_and_help_load_no_memory_and_no_tables(arguments: tuple[str, ...]) -> None:
    loaded = modules_of_command(*arguments)
    ours = {name for name in loaded if name.startswith("tacit.")}
    assert ours <= {"tacit._native", "tacit.errors", "tacit.cli", "tacit.cli.app"}
    assert not {name.partition(".")[0] for name in loaded} & (
        HEAVY - {"typer", "click", "rich"} | {"msgspec"}
    )
    # An older typer loads the console by itself.
    assert "rich.console" not in loaded - modules_after("import typer")


WITH_NUMBERS = {"recall", "playbook", "heuristics"}
"""Their answers take vectors or counts in NumPy: it is loaded when they are computed, not before."""
READERS = [
    ("recall", "find the lamp"),
    ("suggest", "find the lamp"),
    ("recover", "no lamp", "--tool", "take"),
    ("predict", "find the lamp"),
    ("playbook", "find the lamp"),
    ("episodes",),
    ("patterns",),
    ("clusters",),
    ("heuristics",),
    ("stats",),
]


@pytest.mark.parametrize("arguments", READERS, ids=lambda arguments: arguments[0])
def test_a_command_loads_nothing_of_the_evaluation_the_demo_or_the_importers(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    loaded = modules_of_command(*arguments, "--db", str(tmp_path / "none.db"))
    numbers = set() if arguments[0] in WITH_NUMBERS else {"numpy"}
    assert not loaded & ROOMS_OF_OTHER_COMMANDS
    assert not {name.partition(".")[0] for name in loaded} & {"scipy", "sklearn", "asyncio", *numbers}


RECORDING = {f"tacit.intake.{name}" for name in ("intake", "open_episodes", "open_episode", "step_journal")}


@pytest.mark.parametrize("command", ["recall", "suggest", "predict"])
def test_an_answer_loads_nothing_that_records(command: str, tmp_path: Path) -> None:
    database = tmp_path / "memory.db"
    with tacit.Memory(database) as memory:
        memory.complete(memory.start("find the lamp"), tacit.Outcome.success())
    loaded = modules_of_command(command, "find the lamp", "--db", str(database))
    assert not loaded & RECORDING


def test_help_of_a_command_loads_no_other_command() -> None:
    loaded = modules_of_command("recall", "--help")
    assert "tacit.cli.recalling" in loaded
    assert not loaded & {f"tacit.cli.{name}" for name in ("looking", "evaluating", "demonstrating", "doctor")}


def test_numpy_is_no_import_of_any_command_but_eval_and_demo() -> None:
    names = ("advising", "recalling", "looking", "maintaining", "importing", "doctor")
    assert "numpy" not in packages_after("".join(f"import tacit.cli.{name}\n" for name in names))


@pytest.mark.parametrize("command", ["recall", "suggest", "predict", "playbook"])
def test_an_answer_as_data_loads_no_tables(command: str, tmp_path: Path) -> None:
    # Nothing is printed for a person: a note about a missing memory would be.
    database = tmp_path / "memory.db"
    make = (
        f"from tacit import Memory\nwith Memory({str(database)!r}) as memory: memory.episode('x').succeed()"
    )
    subprocess.run([sys.executable, "-c", make], check=True)
    loaded = modules_of_command(command, "find", "the", "lamp", "--json", "--db", str(database))
    assert f"tacit.cli.{'recalling' if command == 'recall' else 'advising'}" in loaded
    assert not loaded & {"rich.table", "tacit.cli.tables"} - modules_after("import typer")


def test_a_memory_that_only_answered_closes_without_loading_what_learns() -> None:
    modules = modules_after(
        "from tacit import Memory\nwith Memory() as memory:\n    memory.recall('Cancel order 17')"
    )
    assert "tacit.answers.retriever" in modules
    assert "tacit.intake.intake" not in modules
