"""Frozen settings with stated defaults: arguments > environment (TACIT_*) > TOML file > these defaults."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from .errors import ValidationError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one value may hold. A value beyond its limit is refused, never cut in silence."""

    task_bytes: int = 10_000
    steps: int = 1_000
    observation_characters: int = 10_000
    artifact_bytes: int = 1_000_000
    episode_bytes: int = 10_000_000
    namespace_characters: int = 128
    name_bytes: int = 500
    """Of a domain, language, framework, agent, source, task key or external id."""


@dataclass(frozen=True, slots=True)
class RewardWeights:
    """The constants of the reward (docs/concepts/reward.md has the formula)."""

    duration_share: float = 0.5
    """How much of the efficiency the duration makes; the number of steps makes the rest."""
    complexity_bonus: tuple[float, float, float, float] = (1.0, 1.1, 1.2, 1.1)
    """For simple, moderate, complex and unknown."""
    tests_artifact: float = 0.1
    many_artifacts: float = 0.05
    high_coverage: float = 0.15
    fair_coverage: float = 0.1
    no_lint_warnings: float = 0.05
    many_errors: float = 0.2
    some_errors: float = 0.1
    no_errors: float = 0.1
    novelty: float = 0.3
    many_tools: float = 0.15
    several_tools: float = 0.1
    recovery: float = 0.15
    steady: float = 0.2
    flawless: float = 0.15
    swift: float = 0.1
    learning_cap: float = 0.5
    usual_seconds: float = 60.0
    """What a task takes, until the domain has `usual_after` episodes; its successes' median then."""
    usual_steps: float = 10.0
    usual_after: int = 5


@dataclass(frozen=True, slots=True)
class RecallWeights:
    """How much each signal weighs in a hit's score; renormalised over the signals that are present."""

    lexical: float = 0.46
    vector: float = 0.24
    context: float = 0.14
    steps: float = 0.10
    outcome: float = 0.02
    evidence: float = 0.02
    recency: float = 0.02
    effectiveness: float = 0.06
    """Of the credit that recalled episodes earned; absent until the namespace has some."""


@dataclass(frozen=True, slots=True)
class RecallSettings:
    """How a recall chooses."""

    weights: RecallWeights = field(default_factory=RecallWeights)
    candidates: int = 100
    """How many episodes the words and the vector each propose, at least."""
    diversity: float = 0.0
    """0 takes the most relevant candidates, 1 the most different ones (MMR); attempts at one task give one hit."""
    half_life_days: float = 30.0
    """The age at which the recency signal has fallen to a half."""
    patterns: int = 5
    pitfalls: int = 3
    next_steps: int = 5
    heuristics: int = 3
    neighbours: int = 50
    """How many of the most similar episodes the patterns, pitfalls and next steps are taken from."""


@dataclass(frozen=True, slots=True)
class CreditSettings:
    """What recalled memories are credited with when an episode ends."""

    plan_similarity: float = 0.6
    """From which LCS ratio on the steps are like a recalled episode's plan: it counts as used."""
    prior_episodes: float = 5.0
    """How many episodes a wider group's share of success counts for beside a narrower one's, in what is expected."""


@dataclass(frozen=True, slots=True)
class ClusteringSettings:
    """What makes plans alike."""

    eps: float = 0.1
    """How far apart similar plans are at most: 0 is equal, 1 has no step in common."""
    min_points: int = 3
    """How many episodes that are alike make a group."""
    newest: int = 2_000
    """How many successes are looked at."""


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """What evidence counts for."""

    decay_half_life_days: float = 0.0
    """The age at which evidence counts for half; 0: it never fades."""


@dataclass(frozen=True, slots=True)
class MaintenanceSettings:
    """When maintenance merges, promotes and retires."""

    similarity: float = 0.95
    """How alike two patterns are at least to be near-duplicates; 1 merges only what is the same."""
    false_discoveries: float = 0.05
    """The share of promotions, and of proven rules, that may be chance."""
    min_episodes: int = 10
    """How many episodes promotion needs; a rule with fewer is weak."""
    min_trials: int = 3
    """How often a rule must have been followed to be listed."""
    retire_after_days: float = 180.0
    """How long before the newest episode a pattern was last seen, when it is retired."""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """How the durable store and the cache in front of it behave."""

    durability: Literal["durable", "fast"] = "durable"
    """`durable` (an acknowledged commit survives power loss) or `fast` (it survives a crash of the process)."""
    cache: Literal["auto", "memory"] = "auto"
    """`auto` keeps the cache beside the database, `memory` keeps none on disk."""
    cache_entries: int = 1_000
    cache_ttl_s: float = 3_600.0
    cache_bytes: int = 64_000_000
    readers: int = 3
    busy_timeout_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set."""

    extractors: tuple[str, ...] = ("tool_sequence", "decision_point", "error_recovery", "context_pattern")
    inducers: tuple[str, ...] = ("clustering", "heuristic")
    """What maintenance runs; of others than these, the clusters and heuristics they find are kept with ours."""
    embedder: str = "hashed"
    limits: Limits = field(default_factory=Limits)
    reward: RewardWeights = field(default_factory=RewardWeights)
    recall: RecallSettings = field(default_factory=RecallSettings)
    credit: CreditSettings = field(default_factory=CreditSettings)
    clustering: ClusteringSettings = field(default_factory=ClusteringSettings)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    maintenance: MaintenanceSettings = field(default_factory=MaintenanceSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)


_MOST = 2**63 - 1
_MORE_THAN_NONE = {"prior_episodes", "half_life_days", "usual_seconds", "usual_steps", "cache_ttl_s"}
_AT_LEAST_ONE = {"candidates", "neighbours", "readers", "min_points", "min_episodes", "min_trials"}
_SHARES = {"duration_share", "diversity", "eps", "similarity", "plan_similarity", "false_discoveries"}
_CHOICES = {"durability": ("durable", "fast"), "cache": ("auto", "memory")}


def check_settings(settings: object) -> None:
    """Every setting has its default's type and makes sense: numbers are finite, counts and weights not negative.

    Raises `ValidationError` that names the setting.
    """
    if not isinstance(settings, Settings):
        raise ValidationError("settings", "must be of type Settings", type(settings).__name__)
    _check_section(settings, Settings(), "settings")


def _check_section(section: Any, defaults: Any, name: str) -> None:
    for each in fields(defaults):
        _check_setting(getattr(section, each.name), getattr(defaults, each.name), f"{name}.{each.name}")


def _check_setting(value: Any, default: Any, name: str) -> None:
    whole_for_float = isinstance(default, float) and type(value) is int
    if type(value) is not type(default) and not whole_for_float:
        raise ValidationError(name, f"must be of type {type(default).__name__}", type(value).__name__)
    if is_dataclass(default):
        _check_section(value, default, name)
    elif isinstance(default, tuple):
        _check_row(value, default, name)
    elif isinstance(default, str):
        _check_choice(value, name)
    else:
        _check_number(value, name)


def _check_row(values: Any, defaults: tuple[Any, ...], name: str) -> None:
    """A row of names has any length, a row of numbers that of its default."""
    if isinstance(defaults[0], float) and len(values) != len(defaults):
        raise ValidationError(name, f"{len(defaults)} numbers", str(len(values)))
    for value in values:
        _check_setting(value, defaults[0], name)


def _check_choice(value: Any, name: str) -> None:
    choices = _CHOICES.get(name.rpartition(".")[2])
    if choices is not None and value not in choices:
        raise ValidationError(name, f"one of {', '.join(choices)}", repr(value))


def _check_number(value: float, name: str) -> None:
    field = name.rpartition(".")[2]
    least = 1 if field in _AT_LEAST_ONE or ".limits." in name else 0
    most = 1 if field in _SHARES else _MOST
    if not least <= value <= most or (field in _MORE_THAN_NONE and value == 0):
        wanted = f"{least} or more" if most == _MOST and not value > most else f"{least} to {most:,}"
        raise ValidationError(name, "more than 0" if field in _MORE_THAN_NONE else wanted, f"{value:,}")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the environment and the TOML file say."""

    settings: Settings
    database: str
    """A path or URL."""


def load(environment: Mapping[str, str] | None = None) -> Configuration:
    """What the environment (`TACIT_DB`, `TACIT_CONFIG`, and `TACIT_<SECTION>_<FIELD>`) and the TOML file say.

    The file is `TACIT_CONFIG`, else `tacit.toml` in the platform's configuration folder where there is one; its
    tables are the sections of `Settings`. Raises `ValidationError` that names an unknown or ill-typed setting.
    """
    environment = os.environ if environment is None else environment
    tables = _read_toml(environment)
    in_file = str(tables.pop("database", ""))
    database = environment.get("TACIT_DB") or in_file or str(default_database(environment))
    settings = _with_table(Settings(), tables, "settings")
    return Configuration(_with_environment(settings, environment, "TACIT"), database)


def default_database(environment: Mapping[str, str]) -> Path:
    """`tacit/memory.db` in the platform's folder for a user's data."""
    if sys.platform == "win32":
        base = Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "tacit" / "memory.db"


def _read_toml(environment: Mapping[str, str]) -> dict[str, Any]:
    named = environment.get("TACIT_CONFIG")
    base = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = Path(named) if named else base / "tacit" / "tacit.toml"
    if not named and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValidationError("TACIT_CONFIG", "must be a readable TOML file", f"{path}: {error}") from error


def _with_table(section: T, table: Mapping[str, Any], name: str) -> T:
    known = {each.name for each in fields(section)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise ValidationError(
                f"{name}.{key}", f"must be one of {', '.join(sorted(known))}", "an unknown setting"
            )
        changes[key] = _fitted(getattr(section, key), value, f"{name}.{key}")
    return replace(section, **changes)  # type: ignore[type-var]


def _fitted(default: Any, value: Any, name: str) -> Any:
    if is_dataclass(default) and isinstance(value, Mapping):
        return _with_table(default, value, name)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ValidationError(name, f"must be of type {type(default).__name__}", type(value).__name__)
    return value


def _with_environment(section: T, environment: Mapping[str, str], prefix: str) -> T:
    changes: dict[str, Any] = {}
    for each in fields(section):  # type: ignore[arg-type]
        default = getattr(section, each.name)
        name = f"{prefix}_{each.name.upper()}"
        if is_dataclass(default):
            changes[each.name] = _with_environment(default, environment, name)
        elif name in environment:
            changes[each.name] = _parsed(default, environment[name], name)
    return replace(section, **changes)  # type: ignore[type-var]


def _parsed(default: Any, text: str, name: str) -> Any:
    try:
        if isinstance(default, tuple):
            kind = type(default[0])
            return tuple(kind(part.strip()) for part in text.split(",") if part.strip())
        return type(default)(text)
    except ValueError as error:
        raise ValidationError(name, f"must be of type {type(default).__name__}", repr(text)) from error
