"""Settings: arguments over environment over file over defaults, each mistake named."""

from __future__ import annotations

import math
import re
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
        ("[limits]\nstep = 5\n", {}, r"settings\.limits\.step: must be one of .*steps"),
        ('[limits]\nsteps = "5"\n', {}, r"settings\.limits\.steps: must be of type int, got str"),
        ("[limits", {}, "must be a readable TOML file"),
        ("", {"TACIT_LIMITS_STEPS": "many"}, "TACIT_LIMITS_STEPS: must be of type int, got 'many'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        loaded(tmp_path, text, **environment)


def test_a_named_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="TACIT_CONFIG"):
        config.load({"TACIT_CONFIG": str(tmp_path / "none.toml")})


def test_the_database_lies_in_the_users_data_folder(tmp_path: Path) -> None:
    found = config.load({"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})
    assert Path(found.database) == tmp_path / "tacit" / "memory.db"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (Settings(recall=RecallSettings(patterns=-1)), "settings.recall.patterns: 0 or more, got -1"),
        (Settings(recall=RecallSettings(neighbours=2**70)), "settings.recall.neighbours: 1 to"),
        (Settings(recall=RecallSettings(diversity=7.0)), "settings.recall.diversity: 0 to 1, got 7"),
        (Settings(recall=RecallSettings(half_life_days=0)), "half_life_days: more than 0"),
        (Settings(recall=RecallSettings(weights=RecallWeights(lexical=math.nan))), "weights.lexical"),
        (Settings(recall=RecallSettings(weights=RecallWeights(vector=math.inf))), "weights.vector"),
        (Settings(storage=StorageSettings(readers=0)), "storage.readers: 1 or more"),
        (Settings(storage=StorageSettings(busy_timeout_ms=-1)), "storage.busy_timeout_ms"),
        (Settings(storage=StorageSettings(cache="disk")), "storage.cache: one of auto, memory"),  # type: ignore[arg-type]
        (Settings(reward=RewardWeights(usual_seconds=0.0)), "usual_seconds: more than 0"),
        (Settings(reward=RewardWeights(complexity_bonus=(1.0, 2.0))), "complexity_bonus: 4 numbers"),  # type: ignore[arg-type]
        (Settings(limits=Limits(steps=0)), "limits.steps: 1 or more"),
        (Settings(extractors=("tool_sequence", 3)), "settings.extractors: must be of type str"),  # type: ignore[arg-type]
        (Settings(embedder=None), "settings.embedder: must be of type str"),  # type: ignore[arg-type]
        ({}, "settings: must be of type Settings"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: Any, complaint: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(complaint)):
        Memory(settings=settings)


def test_a_setting_that_is_a_whole_number_will_do_for_a_fraction() -> None:
    assert Memory(settings=Settings(recall=RecallSettings(half_life_days=7))).recall("x").hits == ()
