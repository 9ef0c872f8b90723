"""Settings: arguments over environment over file over defaults, each mistake named."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tacit import (
    Limits,
    Memory,
    RecallSettings,
    RecallWeights,
    RewardWeights,
    Settings,
    StorageSettings,
    config,
)
from tacit.errors import ValidationError

ROOT = Path(__file__).resolve().parents[2]


def loaded(tmp_path: Path, text: str = "", **environment: str) -> config.Configuration:
    file = tmp_path / "tacit.toml"
    file.write_text(text)
    return config.load({"TACIT_CONFIG": str(file), **environment})


def test_defaults_stand_where_nothing_is_said(tmp_path: Path) -> None:
    assert loaded(tmp_path).settings == config.Settings()


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    found = loaded(tmp_path, 'database = "x.db"\nextractors = ["a"]\n[recall.weights]\nlexical = 1\n')
    assert found.database == "x.db"
    assert found.settings.extractors == ("a",)
    assert found.settings.recall.weights.lexical == 1.0
    assert found.settings.recall.weights.vector == config.RecallWeights().vector


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    text = 'database = "x.db"\n[limits]\nsteps = 5\n'
    found = loaded(tmp_path, text, TACIT_DB="y.db", TACIT_LIMITS_STEPS="7", TACIT_EXTRACTORS="a, b")
    assert (found.database, found.settings.limits.steps, found.settings.extractors) == ("y.db", 7, ("a", "b"))


@pytest.mark.parametrize(
    ("text", "environment", "complaint"),
    [
        ("[limits]\nstep = 5\n", {}, r"^limits\.step\b.*the nearest is limits\.steps"),
        ("[limit]\nsteps = 5\n", {}, r"^limit\b.*the nearest is limits"),
        ('[limits]\nsteps = "5"\n', {}, r"^limits\.steps\b.*of type int.*got str"),
        ("[limits", {}, "a readable TOML file"),
        ("", {"TACIT_LIMITS_STEPS": "many"}, "^TACIT_LIMITS_STEPS.*of type int.*got 'many'"),
        ("", {"TACIT_LIMIT_STEPS": "7"}, "^TACIT_LIMIT_STEPS.*the nearest is TACIT_LIMITS_STEPS"),
        ("", {"TACIT_DATABASE": "x.db"}, "^TACIT_DATABASE.*the nearest is TACIT_"),
        ("", {"TACIT_RECALL_HALF_LIFE": "3"}, "the nearest is TACIT_RECALL_HALF_LIFE_DAYS"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        loaded(tmp_path, text, **environment)


def test_the_variables_of_the_tests_are_no_mistake(tmp_path: Path) -> None:
    found = loaded(
        tmp_path, TACIT_EVAL_DATA="x", TACIT_TEST_LIBSQL_URL="y", TACIT_REDACTION_KEY="z", OTHER="w"
    )
    assert found.settings == Settings()


# --- the library ---


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables of the process, which has a configuration file of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def put(text: str = "", **variables: str) -> None:
        file = tmp_path / "tacit" / "tacit.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


Put = Callable[..., None]


def test_a_memory_takes_the_environment_before_the_file_and_arguments_before_both(environment: Put) -> None:
    environment(
        "[limits]\nsteps = 5\ntask_bytes = 99\n", TACIT_LIMITS_STEPS="7", TACIT_RECALL_HALF_LIFE_DAYS="3"
    )
    with Memory() as memory:
        assert (memory.settings.limits.steps, memory.settings.limits.task_bytes) == (7, 99)
        assert memory.settings.recall.half_life_days == 3.0
    with Memory(settings=Settings()) as memory:
        assert memory.settings == Settings()
    with Memory(settings=replace(Settings.load(), embedder="hashed")) as memory:
        assert memory.settings.limits.steps == 7


def test_a_memory_without_a_path_stays_in_ram_whatever_the_environment_says(
    environment: Put, tmp_path: Path
) -> None:
    environment(f'database = "{tmp_path / "file.db"}"\n', TACIT_DB=str(tmp_path / "variable.db"))
    with Memory() as memory, memory.episode("find the lamp") as episode:
        episode.succeed()
    assert not list(tmp_path.glob("*.db"))


def test_a_memory_warns_of_a_name_that_it_does_not_know(environment: Put) -> None:
    environment("[limits]\nstep = 5\n")
    with pytest.warns(UserWarning, match="limits.step is not a known setting and is ignored .*limits.steps"):
        Memory().close()
    environment("", TACIT_LIMIT_STEPS="7")
    with pytest.warns(UserWarning, match="TACIT_LIMIT_STEPS is not a known variable") as told:
        Memory().close()
    assert told[0].filename == __file__


def test_a_memory_refuses_a_value_of_the_wrong_type(environment: Put) -> None:
    environment("", TACIT_LIMITS_STEPS="many")
    with pytest.raises(ValidationError, match="TACIT_LIMITS_STEPS"):
        Memory()


def test_the_environment_and_the_file_are_read_in_one_place() -> None:
    package = ROOT / "python" / "tacit"
    found = {
        f"{path.relative_to(package)}: {node.name}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and re.search(r"os\.environ|getenv|\btomllib\.", ast.unparse(node))
    }
    of_hosts = {
        "host_settings.py: claude_folder",
        "host_settings.py: codex_folder",
        "host_settings.py: gemini_folder",
        "host_settings.py: opencode_folder",
        "serve/install.py: _enter_toml",
    }
    assert found - of_hosts == {
        "config.py: load",
        "environment.py: read_settings_file",
        "environment.py: named_auth_token",
        "environment.py: named_database",
        "environment.py: default_database",
        "environment.py: database_and_mark",
    }
    assert of_hosts < found


# --- the page ---

PAGE = ROOT / "docs" / "reference" / "settings.md"
ROW = re.compile(
    r"^\| `(?P<setting>[a-z_.]+)` \| `(?P<variable>TACIT_[A-Z_]+)` \| `?(?P<default>[^|`]*)`? ?\|",
    re.MULTILINE,
)


def test_the_page_lists_every_setting_with_its_variable_and_its_default() -> None:
    listed = {row["variable"]: (row["setting"], row["default"]) for row in ROW.finditer(PAGE.read_text())}
    assert list(listed) == [name for name, _ in config.variables()]
    for variable, default in config.variables():
        setting, shown = listed[variable]
        assert variable == f"TACIT_{setting.replace('.', '_').upper()}"
        written = shown if not isinstance(default, float) else repr(float(shown))
        assert config._parsed(default, written, variable) == default


def test_a_named_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="TACIT_CONFIG"):
        config.load({"TACIT_CONFIG": str(tmp_path / "none.toml")})


def test_the_database_lies_in_the_users_data_folder(tmp_path: Path) -> None:
    found = config.load({"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})
    assert Path(found.database) == tmp_path / "tacit" / "memory.db"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (Settings(recall=RecallSettings(patterns=-1)), r"settings\.recall\.patterns\b.*at least 0.*got -1"),
        (Settings(recall=RecallSettings(neighbours=2**70)), r"settings\.recall\.neighbours\b.*between 1 and"),
        (
            Settings(recall=RecallSettings(diversity=7.0)),
            r"settings\.recall\.diversity\b.*between 0 and 1.*got 7",
        ),
        (Settings(recall=RecallSettings(half_life_days=0)), r"half_life_days\b.*more than 0"),
        (Settings(recall=RecallSettings(weights=RecallWeights(lexical=math.nan))), "weights.lexical"),
        (Settings(recall=RecallSettings(weights=RecallWeights(vector=math.inf))), "weights.vector"),
        (Settings(storage=StorageSettings(readers=0)), r"storage\.readers\b.*at least 1"),
        (Settings(storage=StorageSettings(busy_timeout_ms=-1)), "storage.busy_timeout_ms"),
        (Settings(storage=StorageSettings(cache="disk")), r"storage\.cache\b.*one of auto, memory"),  # type: ignore[arg-type]
        (Settings(reward=RewardWeights(usual_seconds=0.0)), r"usual_seconds\b.*more than 0"),
        (Settings(reward=RewardWeights(complexity_bonus=(1.0, 2.0))), r"complexity_bonus\b.*4 numbers"),  # type: ignore[arg-type]
        (Settings(limits=Limits(steps=0)), r"limits\.steps\b.*at least 1"),
        (Settings(extractors=("tool_sequence", 3)), r"settings\.extractors\b.*a name, a table with a name"),
        (Settings(embedder=None), r"settings\.embedder\b.*a name, a table with a name"),
        ({}, r"settings\b.*of type Settings"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: Any, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Memory(settings=settings)


def test_a_setting_that_is_a_whole_number_will_do_for_a_fraction() -> None:
    assert Memory(settings=Settings(recall=RecallSettings(half_life_days=7))).recall("x").hits == ()


def test_parts_are_names_tables_or_objects_and_a_list_of_them_is_needed() -> None:
    parts = ["tool_sequence", {"name": "tool_sequence", "max_length": 3}, object()]
    config.check_settings(Settings(extractors=parts, redactor=None))
    for wrong in (Settings(extractors="tool_sequence"), Settings(inducers=({"max_length": 3},))):
        with pytest.raises(ValidationError, match=r"a list of parts|a name, a table with a name"):
            config.check_settings(wrong)


def test_tables_of_parts_are_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "tacit.toml"
    file.write_text(
        'redactor = "off"\n[[extractors]]\nname = "tool_sequence"\nmax_length = 3\n[embedder]\nname = "hashed"\n'
    )
    settings = config.load({"TACIT_CONFIG": str(file)}).settings
    assert settings.extractors == ({"name": "tool_sequence", "max_length": 3},)
    assert (settings.embedder, settings.redactor) == ({"name": "hashed"}, "off")
