"""Frozen settings with stated defaults: arguments > environment (TACIT_*) > TOML file > these defaults.

`load` alone reads the environment and the file, for the library and the shell alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, fields, is_dataclass, replace

from .deferred import dataclass
from .environment import database_of, read_settings_file
from .errors import ValidationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeVar

    T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest values that an episode may hold. A larger one is refused, never cut without notice.

    Example:
        >>> from tacit import Limits, Memory, Settings
        >>> memory = Memory(settings=Settings(limits=Limits(steps=50)))
    """

    task_bytes: int = 10_000
    steps: int = 1_000
    observation_characters: int = 10_000
    artifact_bytes: int = 1_000_000
    episode_bytes: int = 10_000_000
    namespace_characters: int = 128
    name_bytes: int = 500
    """The bytes of a domain, language, framework, agent, source, task key or external id."""
    open_episodes: int = 10_000
    """Episodes that one process may hold open."""
    answers: int = 1_000
    """Answers that an open episode keeps for its credit; the oldest are dropped first."""


@dataclass(frozen=True, slots=True)
class RewardWeights:
    """The constants of the reward (docs/concepts/reward.md has the formula).

    Example:
        >>> from tacit import Memory, RewardWeights, Settings
        >>> memory = Memory(settings=Settings(reward=RewardWeights(usual_seconds=600.0)))
    """

    duration_share: float = 0.5
    """The share of the efficiency that comes from the duration; the rest comes from the number of steps."""
    complexity_bonus: tuple[float, float, float, float] = (1.0, 1.1, 1.2, 1.1)
    """The bonus of a simple, moderate, complex and unknown task."""
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
    """The duration of a task until its domain has `usual_after` episodes; from then on the median of its successes."""
    usual_steps: float = 10.0
    usual_after: int = 5


@dataclass(frozen=True, slots=True)
class RecallWeights:
    """The weight of each signal in a hit's score, renormalised over the signals that are present.

    Example:
        >>> from tacit import Memory, RecallSettings, RecallWeights, Settings
        >>> recall = RecallSettings(weights=RecallWeights(recency=0.2))
        >>> memory = Memory(settings=Settings(recall=recall))
    """

    lexical: float = 0.46
    vector: float = 0.24
    context: float = 0.14
    steps: float = 0.10
    outcome: float = 0.02
    evidence: float = 0.02
    recency: float = 0.02
    effectiveness: float = 0.06
    """The weight of the credit that recalled episodes earned; absent until the namespace has some."""


@dataclass(frozen=True, slots=True)
class RecallSettings:
    """The choices of a recall.

    Example:
        >>> from tacit import Memory, RecallSettings, Settings
        >>> memory = Memory(settings=Settings(recall=RecallSettings(half_life_days=7.0)))
    """

    weights: RecallWeights = field(default_factory=RecallWeights)
    candidates: int = 100
    """The least number of episodes that the words and the vector each propose."""
    diversity: float = 0.0
    """0 takes the most relevant candidates, 1 the most different (MMR); attempts at one task give one hit."""
    relevance_floor: float = 0.15
    """How alike an episode's text and the task's must be, by words or by vector, for the episode to be comparable.

    An episode of the same domain, or one that begins with the steps so far, is comparable in any case. 0: no floor."""
    near_copies: int = 2
    """Of episodes with the same steps, at tasks that are equal but for numbers and ids, so many may be hits. 0: any."""
    half_life_days: float = 30.0
    """The age at which the recency signal has fallen to a half."""
    patterns: int = 5
    pitfalls: int = 3
    next_steps: int = 5
    heuristics: int = 3
    neighbours: int = 50
    """The number of most similar episodes that supply the patterns, pitfalls and next steps."""


@dataclass(frozen=True, slots=True)
class CreditSettings:
    """The credit of recalled memories when an episode ends.

    Example:
        >>> from tacit import CreditSettings, Memory, Settings
        >>> memory = Memory(settings=Settings(credit=CreditSettings(plan_similarity=0.8)))
    """

    plan_similarity: float = 0.6
    """The LCS ratio from which a recalled episode counts as used: its plan and the steps are alike."""
    prior_episodes: float = 5.0
    """The number of episodes that a wider group's share of success counts for in the expected outcome."""


@dataclass(frozen=True, slots=True)
class AdviceSettings:
    """The fitting of the models behind `suggest`, `choose`, `predict` and `recover`.

    Example:
        >>> from tacit import AdviceSettings, Memory, Settings
        >>> memory = Memory(settings=Settings(advice=AdviceSettings(training="caller")))
    """

    training: Literal["background", "caller", "maintain"] = "background"
    """`background`: on a thread of its own; counts or the last models answer meanwhile (`degraded` has
    "models_pending"). `caller`: in the question that needs it: equal episodes give equal answers, and the question
    waits. `maintain`: in `Memory.maintain` alone."""


@dataclass(frozen=True, slots=True)
class ClusteringSettings:
    """The clustering of plans.

    Example:
        >>> from tacit import ClusteringSettings, Memory, Settings
        >>> memory = Memory(settings=Settings(clustering=ClusteringSettings(min_points=5)))
    """

    eps: float = 0.1
    """The greatest distance between similar plans: 0 is equal, 1 has no step in common."""
    min_points: int = 3
    """The least number of similar episodes that make a cluster."""
    newest: int = 2_000
    """The number of newest successes that are clustered."""


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """The weight of evidence.

    Example:
        >>> from tacit import EvidenceSettings, Memory, Settings
        >>> memory = Memory(settings=Settings(evidence=EvidenceSettings(decay_half_life_days=90.0)))
    """

    decay_half_life_days: float = 0.0
    """The age at which evidence counts for half; with 0 it never fades."""


@dataclass(frozen=True, slots=True)
class MaintenanceSettings:
    """The thresholds at which maintenance merges, promotes and retires.

    Example:
        >>> from tacit import MaintenanceSettings, Memory, Settings
        >>> memory = Memory(settings=Settings(maintenance=MaintenanceSettings(min_episodes=20)))
    """

    similarity: float = 0.95
    """The least similarity of near-duplicate patterns; 1 merges only equal ones."""
    false_discoveries: float = 0.05
    """The share of promotions, and of proven heuristics, that may be due to chance."""
    min_episodes: int = 10
    """The episodes that a promotion needs; a heuristic with fewer is weak."""
    min_trials: int = 3
    """The least number of times that a listed heuristic was followed."""
    retire_after_days: float = 180.0
    """The days after which a pattern is retired, if no episode showed it meanwhile."""


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """The times at which the steps of open episodes are stored.

    Example:
        >>> from tacit import Memory, RecordingSettings, Settings
        >>> memory = Memory(settings=Settings(recording=RecordingSettings.frequent()))
    """

    flush_steps: int = 50
    """The number of new steps of an episode that are stored at once; 0 stores none by count."""
    flush_seconds: float = 5.0
    """The age at which new steps are stored; 0 stores none by age, and renews no lease."""
    lease_seconds: float = 60.0
    """The time without a sign of its owner after which an open episode may be resumed elsewhere."""
    abandon_after_hours: float = 24.0
    """The age of the newest step from which `maintain` abandons an open episode whose lease has run out; 0 is never."""

    @classmethod
    def frequent(cls) -> RecordingSettings:
        """20 steps or 2 seconds."""
        return cls(flush_steps=20, flush_seconds=2.0)

    @classmethod
    def rare(cls) -> RecordingSettings:
        """100 steps or 10 seconds."""
        return cls(flush_steps=100, flush_seconds=10.0)

    @classmethod
    def manual(cls) -> RecordingSettings:
        """Only `Memory.flush`, `Memory.close` and the end of the process store steps."""
        return cls(flush_steps=0, flush_seconds=0.0)


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """The calls to a libSQL server.

    Example:
        >>> from tacit import Memory, RemoteSettings, Settings, StorageSettings
        >>> remote = RemoteSettings(deadline_s=3.0, connections=4)
        >>> memory = Memory(settings=Settings(storage=StorageSettings(remote=remote)))
    """

    deadline_s: float = 10.0
    """The longest that one verb of the store takes, with every retry."""
    connections: int = 10
    """The connections that one store may have open at a time."""
    acquire_timeout_s: float = 5.0
    """The longest wait for a connection while all are in use."""
    idle_s: float = 30.0
    """The age from which an idle connection is closed and not used again."""
    tries: int = 3
    """The most requests for one call, the first included; 1 never retries."""
    retry_first_s: float = 0.1
    """The longest wait before the first retry; each further one may be twice as long (full jitter)."""
    retry_longest_s: float = 5.0
    retry_share: float = 0.1
    """The retries that each call earns for all of them: .1 allows one retry for ten calls."""
    retry_reserve: int = 5
    """The retries that are there from the start, and the most that are saved up."""
    breaker_failures: int = 5
    """The failures in a row after which the server is not asked for a while."""
    breaker_open_s: float = 1.0
    """The length of the first break; it doubles after each probe that fails."""
    breaker_longest_open_s: float = 30.0


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """The thread that learns from an ended episode, and the queue of the episodes that wait for it.

    Example:
        >>> from tacit import LearningSettings, Memory, Outcome, Settings
        >>> with Memory(settings=Settings(learning=LearningSettings(mode="background"))) as memory:
        ...     state = memory.complete(memory.start("Cancel order 17"), Outcome.success()).state
        ...     (state, memory.drain())
        ('pending', 0)
    """

    mode: Literal["caller", "background"] = "caller"
    """`caller`: the verb that ends an episode learns from it; `background`: a worker does, after the verb returned."""
    workers: int = 1
    """The threads of this process that learn in the background; 0 leaves it to `tacit worker`."""
    max_pending: int = 10_000
    """The episodes that may wait to be learned from, dead letters aside, before the queue is full."""
    when_full: Literal["wait", "refuse"] = "wait"
    """`wait`: a verb waits for room in the queue; `refuse`: it raises `QueueFullError` at once."""
    wait_seconds: float = 30.0
    """The longest wait for room in the queue; then `QueueFullError` is raised."""
    lease_seconds: float = 60.0
    """The time after which another worker may take over an episode; longer than an extractor or embedder ever takes."""
    max_attempts: int = 8
    """The number of failed attempts after which a pending episode is a dead letter."""
    retry_seconds: float = 2.0
    """The wait after the first failed attempt; it doubles with each further one."""
    retry_seconds_most: float = 300.0
    """The longest wait between two attempts."""
    drain_seconds: float = 5.0
    """The time that `Memory.close` gives the workers; episodes that still wait then stay pending in the store."""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The durable store and the cache in front of it.

    Example:
        >>> from tacit import Memory, Settings, StorageSettings
        >>> memory = Memory(settings=Settings(storage=StorageSettings(cache="memory")))
    """

    durability: Literal["durable", "fast"] = "durable"
    """`durable`: an acknowledged commit survives power loss; `fast`: it survives a crash of the process."""
    cache: Literal["auto", "memory"] = "auto"
    """`auto` keeps the cache beside the database, `memory` keeps none on disk."""
    cache_entries: int = 1_000
    cache_ttl_s: float = 3_600.0
    cache_bytes: int = 64_000_000
    readers: int = 3
    busy_timeout_ms: int = 5_000
    read_only: bool = False
    """Nothing is written: the database may lie in a folder or on a mount that takes no writes."""
    snapshot: Literal["auto", "off"] = "auto"
    """`auto` keeps a snapshot of the index beside the database, so that a process need not read the whole log; `off`
    keeps none."""
    remote: RemoteSettings = field(default_factory=RemoteSettings)


@dataclass(frozen=True, slots=True)
class HookSettings:
    """The hooks of coding agents that `tacit setup` enters.

    Example:
        >>> from tacit import HookSettings, Settings
        >>> settings = Settings(hooks=HookSettings(withheld_share=0.0, exclude=("~/private/*",)))
    """

    prompt_tokens: int = 200
    """The most tokens that a prompt is given."""
    failure_tokens: int = 150
    """The most tokens that a failed call is given."""
    withheld_share: float = 0.1
    """The share of prompts, drawn at random, that are given nothing: `tacit impact` compares them with the others."""
    exclude: tuple[str, ...] = ()
    """Patterns of folders whose sessions are neither learned from nor given anything."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, by section.

    `Memory()` takes `Settings.load()`. Settings that are given, `Memory(settings=...)`, are taken as they are: the
    environment and the file are not read. To change one setting of those that are loaded, replace it:

    Example:
        >>> from dataclasses import replace
        >>> from tacit import Memory, Settings
        >>> memory = Memory(settings=replace(Settings.load(), embedder="hashed"))
    """

    extractors: Sequence[object] = ("tool_sequence", "decision_point", "error_recovery", "context_pattern")
    """Names, tables with a `name` and parameters, or extractors; so are the other parts below."""
    inducers: Sequence[object] = ("clustering", "heuristic")
    """The parts that maintenance runs; clusters and heuristics of further inducers are kept with ours."""
    embedder: object = "hashed"
    redactor: object = "secrets"
    """Replaces secrets before anything is stored; several run one after another, `"off"` or `None` runs none."""
    limits: Limits = field(default_factory=Limits)
    reward: RewardWeights = field(default_factory=RewardWeights)
    recall: RecallSettings = field(default_factory=RecallSettings)
    credit: CreditSettings = field(default_factory=CreditSettings)
    advice: AdviceSettings = field(default_factory=AdviceSettings)
    clustering: ClusteringSettings = field(default_factory=ClusteringSettings)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    maintenance: MaintenanceSettings = field(default_factory=MaintenanceSettings)
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    hooks: HookSettings = field(default_factory=HookSettings)

    @classmethod
    def load(cls) -> Settings:
        """The settings that the environment and the TOML file give; an unknown name in them is a `UserWarning`.

        Raises `ValidationError` for a value of the wrong type, or a file that cannot be read.
        """
        return load(unknown=_warn).settings


_MOST = 2**63 - 1
_MORE_THAN_NONE = {
    *("prior_episodes", "half_life_days", "usual_seconds", "usual_steps", "cache_ttl_s", "lease_seconds"),
    *("deadline_s", "breaker_open_s", "breaker_longest_open_s"),
}
_AT_LEAST_ONE = {
    *("candidates", "neighbours", "readers", "min_points", "min_episodes", "min_trials"),
    *("connections", "tries", "breaker_failures", "max_pending", "max_attempts"),
}
_SHARES = {
    "duration_share",
    "diversity",
    "relevance_floor",
    "eps",
    "similarity",
    "plan_similarity",
    "false_discoveries",
    "withheld_share",
}
_PARTS = {"extractors", "inducers", "embedder", "redactor"}
_CHOICES = {
    "durability": ("durable", "fast"),
    "cache": ("auto", "memory"),
    "snapshot": ("auto", "off"),
    "training": ("background", "caller", "maintain"),
    "mode": ("caller", "background"),
    "when_full": ("wait", "refuse"),
}


def check_settings(settings: object) -> None:
    """Raises `ValidationError` that names the setting, unless every setting has a type and a value that make sense.

    Numbers are finite, counts and weights are not negative.
    """
    if not isinstance(settings, Settings):
        raise ValidationError("settings", "of type Settings", type(settings).__name__)
    _check_section(settings, Settings(), "settings")


def _check_section(section: Any, defaults: Any, name: str) -> None:
    for each in fields(defaults):
        _check_setting(getattr(section, each.name), getattr(defaults, each.name), f"{name}.{each.name}")


def _check_setting(value: Any, default: Any, name: str) -> None:
    if name.removeprefix("settings.") in _PARTS:
        _check_parts(value, name)
        return
    whole_for_float = isinstance(default, float) and type(value) is int
    if type(value) is not type(default) and not whole_for_float:
        raise ValidationError(name, _type_name(default), type(value).__name__)
    if is_dataclass(default):
        _check_section(value, default, name)
    elif isinstance(default, tuple):
        _check_row(value, default, name)
    elif isinstance(default, str):
        _check_choice(value, name)
    else:
        _check_number(value, name)


def _type_name(default: Any) -> str:
    return f"of type {type(default).__name__}"


def _check_parts(value: Any, name: str) -> None:
    """A part is a name, a table with a name, or an object; the registry checks the object when it is used."""
    several = isinstance(value, list | tuple)
    if name.endswith(("extractors", "inducers")) and not several:
        raise ValidationError(name, "a list of parts", type(value).__name__)
    for part in value if several else [value]:
        table_without_name = isinstance(part, Mapping) and not isinstance(part.get("name"), str)
        none_allowed = name.endswith("redactor")
        if table_without_name or isinstance(part, int | float | bytes) or (part is None and not none_allowed):
            rule = "a name, a table with a name and parameters, or an object"
            raise ValidationError(name, rule, repr(part))


def _check_row(values: Any, defaults: tuple[Any, ...], name: str) -> None:
    """Checks each value of a row; a row of numbers has the length of its default, a row of names any length."""
    if not defaults:  # a list of any length, empty unless it is set
        defaults = ("",)
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
        wanted = (
            f"at least {least}" if most == _MOST and not value > most else f"between {least} and {most:,}"
        )
        raise ValidationError(name, "more than 0" if field in _MORE_THAN_NONE else wanted, f"{value:,}")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings and the database that the environment and the TOML file name."""

    settings: Settings
    database: str
    """A path or URL. The shell opens it; `Memory()` without a path stays in RAM."""


Unknown = Callable[[str, str, list[str]], None]
"""Is called for a name that is no setting: the kind of name, the name, and the known names nearest to it."""

_OTHER_VARIABLES = frozenset(
    {"TACIT_DB", "TACIT_CONFIG", "TACIT_REDACTION_KEY", "TACIT_EVAL_DATA", "TACIT_AUTH_TOKEN"}
)
"""Variables that are no fields of `Settings`: database, file, redaction key, data of tests, token of a server."""
_OF_TESTS = "TACIT_TEST_"


def load(environment: Mapping[str, str] | None = None, *, unknown: Unknown | None = None) -> Configuration:
    """Reads the environment and the TOML file: the only function that does.

    A variable is `TACIT_DB`, `TACIT_CONFIG` or `TACIT_<SECTION>_<FIELD>`. The file is `TACIT_CONFIG`, else
    `tacit.toml` in the platform's folder for configuration, if it is there; its tables are the sections of `Settings`.

    Raises `ValidationError` that names the setting for a value of the wrong type, or a file that cannot be read. An
    unknown name is refused likewise, unless `unknown` takes it.
    """
    environment = os.environ if environment is None else environment
    refuse = _refuse if unknown is None else unknown
    tables = read_settings_file(environment)
    database = database_of(environment, tables)
    tables.pop("database", None)
    settings = _with_table(Settings(), tables, "", refuse)
    if any(name.startswith("TACIT_") for name in environment):
        _check_names(environment, refuse)
        settings = _with_environment(settings, environment, "TACIT")
    return Configuration(settings, database)


def _refuse(kind: str, name: str, nearest: list[str]) -> None:
    raise ValidationError(name, f"a known {kind}{_such_as(nearest)}", "an unknown one")


def _warn(kind: str, name: str, nearest: list[str]) -> None:
    import warnings

    told = f"{name} is not a known {kind} and is ignored{_such_as(nearest)}"
    warnings.warn(told, UserWarning, stacklevel=6)  # the caller of `Memory`


def _such_as(nearest: list[str]) -> str:
    return f" (the nearest is {nearest[0]})" if nearest else ""


def _nearest(name: str, known: Iterator[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, list(known), n=1, cutoff=0.0)


def with_caller_training(settings: Settings) -> Settings:
    """The same settings, but who asks fits the models that are due: the answer is complete and always the same.

    For a process that asks once, and for measurements.
    """
    return replace(settings, advice=replace(settings.advice, training="caller"))


def _with_table(section: T, table: Mapping[str, Any], prefix: str, refuse: Unknown) -> T:
    known = {each.name for each in fields(section)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for key, value in table.items():
        name = prefix + key
        if key in known:
            changes[key] = _fitted(getattr(section, key), value, name, refuse)
        else:
            refuse("setting", name, _nearest(name, (prefix + each for each in sorted(known))))
    return replace(section, **changes)  # type: ignore[type-var]


def _fitted(default: Any, value: Any, name: str, refuse: Unknown) -> Any:
    if name.removeprefix("settings.") in _PARTS:
        _check_parts(value, name)
        return tuple(value) if isinstance(value, list) else value
    if is_dataclass(default) and isinstance(value, Mapping):
        return _with_table(default, value, f"{name}.", refuse)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ValidationError(name, _type_name(default), type(value).__name__)
    return value


def _check_names(environment: Mapping[str, str], refuse: Unknown) -> None:
    """Every variable that begins with TACIT_ is known."""
    for name in environment:
        if name.startswith("TACIT_") and not name.startswith(_OF_TESTS) and name not in _OTHER_VARIABLES:
            known = sorted({*_OTHER_VARIABLES, *(variable for variable, _ in variables())})
            if name not in known:
                refuse("variable", name, _nearest(name, iter(known)))


def variables(section: Any = None, prefix: str = "TACIT") -> Iterator[tuple[str, Any]]:
    """The environment's name of each setting, and its default."""
    section = Settings() if section is None else section
    for each in fields(section):
        value, name = getattr(section, each.name), f"{prefix}_{each.name.upper()}"
        if is_dataclass(value):
            yield from variables(value, name)
        else:
            yield name, value


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
            kind = type(default[0]) if default else str
            return tuple(kind(part.strip()) for part in text.split(",") if part.strip())
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
        return type(default)(text)
    except KeyError:
        raise ValidationError(name, "true or false", repr(text)) from None
    except ValueError as error:
        raise ValidationError(name, _type_name(default), repr(text)) from error
