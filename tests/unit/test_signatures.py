"""Blocking and awaited verbs take the same arguments, and type checkers find mistakes in calls of them."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import tacit
from tacit import AsyncMemory, Memory, Recorder
from tacit.aio import AsyncRecorder
from tacit.answers.question import _EXPLICIT

ROOT = Path(__file__).resolve().parents[2]
MISTAKES = ROOT / "tests" / "typing" / "mistakes.txt"
RESULTS = {
    "add_many": "tuple[Learned, ...]",
    "episode": "AsyncRecorder",
    "resume": "AsyncRecorder",
    "within": "AsyncMemory",
    "step": "AbstractContextManager[Call]",
    "batch": "AbstractContextManager[None]",
}
"""The results of awaited verbs that differ from those of their blocking twins."""
PLAIN = ("within", "episode", "begin", "step", "batch")
"""Verbs that only touch memory and need not be awaited."""


def verbs(kind: type) -> dict[str, Callable[..., Any]]:
    return {name: each for name, each in vars(kind).items() if inspect.isfunction(each) and name[0] != "_"}


@pytest.mark.parametrize(("blocking", "awaited"), [(Memory, AsyncMemory), (Recorder, AsyncRecorder)])
def test_each_verb_has_an_awaited_twin_with_the_same_arguments(blocking: type, awaited: type) -> None:
    assert verbs(blocking).keys() == verbs(awaited).keys()
    for name, verb in verbs(blocking).items():
        own = inspect.signature(verb)
        twin = inspect.signature(inspect.unwrap(verbs(awaited)[name]))
        assert list(own.parameters.values()) == list(twin.parameters.values()), name
        assert twin.return_annotation == RESULTS.get(name, own.return_annotation), name
        assert inspect.iscoroutinefunction(verbs(awaited)[name]) or name in (
            "within",
            "episode",
            "begin",
            "step",
            "batch",
        )


def test_both_memories_are_made_with_the_same_arguments() -> None:
    own, twin = inspect.signature(Memory), inspect.signature(AsyncMemory)
    assert list(own.parameters.values()) == list(twin.parameters.values())


def public_functions() -> list[Any]:
    named = [(name, getattr(tacit, name)) for name in tacit.__all__]
    functions = [(name, each) for name, each in named if inspect.isfunction(each)]
    classes = [(name, each) for name, each in named if inspect.isclass(each)]
    for name, kind in [*classes, ("AsyncRecorder", AsyncRecorder)]:
        for verb, function in vars(kind).items():
            if inspect.isfunction(function) and (verb[0] != "_" or verb == "__init__"):
                functions.append((f"{name}.{verb}", function))
    return [pytest.param(function, id=name) for name, function in functions]


@pytest.mark.parametrize("function", public_functions())
def test_no_public_function_takes_keywords_of_any_name_and_type(function: Callable[..., Any]) -> None:
    for parameter in inspect.signature(inspect.unwrap(function)).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            assert str(parameter.annotation).startswith("Unpack[")


@pytest.mark.parametrize("verb", sorted(_EXPLICIT))
def test_a_misspelt_keyword_is_compared_with_every_argument_of_its_verb(verb: str) -> None:
    parameters = inspect.signature(getattr(Memory, verb)).parameters
    assert {*_EXPLICIT[verb], "self", "asking"} == parameters.keys()


@pytest.mark.parametrize(
    ("verb", "wrong", "nearest"),
    [
        ("recall", "domian", "domain"),
        ("recall", "lmit", "limit"),
        ("suggest", "taks", "task"),
        ("recover", "tol", "tool"),
        ("predict", "tsk_key", "task_key"),
        ("playbook", "argument", "arguments"),
        ("start", "tag", "tags"),
        ("episode", "externalid", "external_id"),
        ("recorded", "agnet", "agent"),
    ],
)
def test_a_misspelt_keyword_is_a_type_error_that_names_the_nearest_one(
    verb: str, wrong: str, nearest: str
) -> None:
    message = f"{verb}() got an unexpected keyword argument '{wrong}'; did you mean '{nearest}'?"
    with Memory() as memory:
        recorded: Callable[..., Any] = functools.partial(tacit.recorded, memory)
        call = recorded if verb == "recorded" else getattr(memory, verb)
        given = [] if verb in ("recorded", "suggest") else ["text"]
        with pytest.raises(TypeError, match=re.escape(message)):
            call(*given, **{wrong: "x"})
        assert memory.stats()["open"] == 0


def test_the_docstrings_of_verbs_list_their_keywords() -> None:
    keywords = set(re.findall(r"`(\w+)`", inspect.getdoc(Memory.start) or ""))
    assert set(get_type_hints(tacit.EpisodeHead)) <= keywords
    assert set(get_type_hints(tacit.Asking)) <= set(
        re.findall(r"`(\w+)`", inspect.getdoc(Memory.recall) or "")
    )
    for verb in _EXPLICIT:
        assert "Keywords" in (inspect.getdoc(getattr(Memory, verb)) or ""), verb


def test_the_keywords_of_a_question_are_those_of_asking() -> None:
    assert inspect.get_annotations(Memory.recall)["asking"] == "Unpack[Asking]"


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    path = tmp_path / "planted.py"
    path.write_text(MISTAKES.read_text())
    return path


def marked() -> set[int]:
    return {number for number, line in enumerate(MISTAKES.read_text().splitlines(), 1) if "# MISTAKE" in line}


def test_mypy_finds_all_planted_mistakes(planted: Path) -> None:
    cache = str(planted.parent / "cache")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, str(planted)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = {int(line) for line in re.findall(r"planted\.py:(\d+): error", done.stdout)}
    assert (found, len(found)) == (marked(), 12), done.stdout + done.stderr


def test_pyright_finds_all_planted_mistakes(planted: Path) -> None:
    command = [sys.executable, "-m", "pyright", "--outputjson", str(planted)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)["generalDiagnostics"]
    found = {each["range"]["start"]["line"] + 1 for each in report if each["severity"] == "error"}
    assert (found, len(found)) == (marked(), 12), done.stdout


@pytest.mark.parametrize("kind", [tacit.Episode, tacit.Step])
def test_the_declared_constructor_takes_the_fields_and_dates_beside_microseconds(kind: type) -> None:
    (body,) = [each for each in ast.parse(inspect.getsource(kind)).body if isinstance(each, ast.ClassDef)]
    (declared,) = [
        each for each in ast.walk(body) if isinstance(each, ast.FunctionDef) and each.name == "__init__"
    ]
    arguments = {
        each.arg: ast.unparse(each.annotation or ast.Constant(None)) for each in declared.args.args[1:]
    }
    times = {"at": "int", "started_at": "int", "ended_at": "int | None", "judged_at": "int | None"}
    wanted = {field.name: str(field.type) for field in fields(kind)}
    for name, plain in times.items():
        if name in wanted:
            assert wanted[name] == plain
            wanted[name] = plain.replace("int", "int | datetime")
    assert arguments == {name: ast.unparse(ast.parse(each).body[0]) for name, each in wanted.items()}
