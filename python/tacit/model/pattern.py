"""What episodes have in common, and how often it went well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .._native import Finding, Findings
from .usage import Usage

__all__ = [
    "Alternative",
    "Cluster",
    "Contrast",
    "Finding",
    "Findings",
    "Heuristic",
    "Pattern",
    "PatternKind",
    "PatternState",
]

PatternKind: TypeAlias = Literal[
    "tool_sequence", "decision_point", "error_recovery", "context_pattern", "cluster", "heuristic"
]

PatternState: TypeAlias = Literal["candidate", "proven", "pitfall", "retired"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern with its evidence over the slice that was asked for.

    `id` is the hash of kind and content (32 hexadecimal digits). `trials` counts occurrences, `successes` sums how
    far each did its job; `episodes` and `outcomes` count one trial an episode and its outcome. `mean`, `low` and
    `high` are the mean and the 95% interval of the Beta posterior (Jeffreys prior) of successes in trials;
    confidence is `low`. `last_seen` is in microseconds since 1970, UTC. `usage` is how recalls of it were used.

    `odds_ratio` is how many times the odds of success are in episodes with the pattern, beside comparable episodes
    without it (same domain; for an error recovery those that took another way out of the same error first), within
    each agent and difficulty (Mantel-Haenszel), with the 95% interval from `odds_low` to `odds_high`; None where there
    is nothing to compare with. `undecided` says that the interval contains 1, or that there is none.

    `state` is what maintenance made of it: a "candidate" until the evidence is beyond chance, then "proven" (goes with
    success) or a "pitfall" (goes with failure); "retired" where it was not seen for long. `merged` are the ids of
    near-duplicates that it stands for: their evidence is part of its own.
    """

    id: str
    kind: str
    content: dict[str, Any]
    trials: int
    successes: float
    mean: float
    low: float
    high: float
    episodes: int
    outcomes: float
    agents: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    last_seen: int = 0
    detail: Any = None
    odds_ratio: float | None = None
    odds_low: float | None = None
    odds_high: float | None = None
    undecided: bool = True
    state: PatternState = "candidate"
    merged: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)

    @property
    def text(self) -> str:
        """What it says, in one sentence; tools and errors stand in it as they were recorded."""
        return text_of(self.kind, self.content)


def _sequence_text(content: dict[str, Any]) -> str:
    return "steps " + ", ".join(content["tools"])


def _recovery_text(content: dict[str, Any]) -> str:
    return f'after {content["tool"]} fails with "{content["error"]}": {content["next"]}'


def _decision_text(content: dict[str, Any]) -> str:
    if content["after"] is None:
        return f"start with {content['choose']}"
    condition = f" ({content['condition']})" if content["condition"] else ""
    return f"after {content['after']} gave {content['result']}{condition}: {content['choose']}"


def _approach_text(content: dict[str, Any]) -> str:
    return "approach " + ", ".join(content["approach"])


_TEXT_OF: dict[str, Callable[[dict[str, Any]], str]] = {
    "tool_sequence": _sequence_text,
    "error_recovery": _recovery_text,
    "decision_point": _decision_text,
    "context_pattern": _approach_text,
}


def text_of(kind: str, content: dict[str, Any]) -> str:
    """What a pattern says, in one sentence."""
    return _TEXT_OF.get(kind, str)(content)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of successes that went about it alike, and their typical plan.

    `plan` is the tools of the steps of `medoid`, the member most similar to all others; `id` is a hash of that plan
    (32 hexadecimal digits). `episodes` counts the members, `share` is theirs of the successes that were looked at;
    `left_out` successes were older than those.
    """

    id: str
    plan: tuple[str, ...]
    episodes: int
    share: float
    medoid: str
    domains: tuple[str, ...]
    looked_at: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Alternative:
    """What else was done under the condition of a heuristic; `episodes` show it, `outcomes` sums how they ended."""

    action: str
    trials: int
    successes: float
    low: float
    high: float
    episodes: int
    outcomes: float


@dataclass(frozen=True, slots=True)
class Heuristic:
    """A rule: when `condition` holds, do `action`.

    `when` and `do` say the same in fields. `when` has "after" (the last tool, None at the start) and "result" ("ok",
    "none", or the class of the error); or "first_error" (True) and perhaps a "tool"; or "task_type", "language" and
    "framework"; a refined one also "agent", "domain", "complexity" or "language". `do` has "tools" (to use next, in
    order), "approach" (the tools to get by with), or "respond" ("switch" to another tool or "retry" the same).

    `trials` counts occurrences and `successes` those that did their job: for a recovery, the next step worked and the
    same error did not come back; else the episode's success. `confidence` and `high` bound the 95% interval of that
    share (Jeffreys).
    `episodes` show it, `outcomes` sums how they ended. `odds_ratio`, with its interval from `odds_low` to `odds_high`,
    compares the success of the episodes that did it when they came there first with that of the episodes that did
    something else, within each agent and difficulty (None: nothing to compare with). `undecided` where it contains 1.

    `agents` and `domains` name where it was seen, at most a hundred each. `weak` says that too few episodes stand
    behind it; `state` is "proven" where the odds are beyond chance among all rules that were looked at. `parents` are
    the ids of the patterns or heuristics it came from, `origin` how.
    """

    id: str
    condition: str
    action: str
    trials: int
    successes: float
    confidence: float
    high: float
    parents: tuple[str, ...] = ()
    when: dict[str, Any] = field(default_factory=dict)
    do: dict[str, Any] = field(default_factory=dict)
    episodes: int = 0
    outcomes: float = 0.0
    odds_ratio: float | None = None
    odds_low: float | None = None
    odds_high: float | None = None
    undecided: bool = True
    alternatives: tuple[Alternative, ...] = ()
    agents: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    weak: bool = True
    state: Literal["candidate", "proven"] = "candidate"
    origin: Literal["induced", "composed", "refined"] = "induced"

    @property
    def mean(self) -> float:
        """The mean of the share of successes."""
        return (self.successes + 0.5) / (self.trials + 1)

    @property
    def low(self) -> float:
        """The confidence."""
        return self.confidence

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """What the comparison with the alternatives says."""
        if self.undecided or self.odds_low is None:
            return "undecided"
        return "better" if self.odds_low > 1 else "worse"

    @property
    def text(self) -> str:
        """The rule in one sentence."""
        return f"when {self.condition}, {self.action}"


@dataclass(frozen=True, slots=True)
class Contrast:
    """A failure and a success of the same task, or of the nearest one, and what was different.

    `same_task` where both have one task key or one text; else `similarity` says how near the tasks are (0 to 1). The
    plans are the tools of the steps, equal for the first `together` of them. `only_failure` and `only_success` are the
    tools that one used and the other did not, in the order of their use; `errors` are those of the failure.
    """

    task: str
    failure: str
    success: str
    same_task: bool
    similarity: float
    together: int
    failure_plan: tuple[str, ...]
    success_plan: tuple[str, ...]
    only_failure: tuple[str, ...]
    only_success: tuple[str, ...]
    errors: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def text(self) -> str:
        """What was different, in one sentence."""
        parts = [
            f"{word} {', '.join(tools)}"
            for word, tools in (("with", self.only_success), ("without", self.only_failure))
            if tools
        ]
        if parts:
            return f"the success went {' and '.join(parts)}"
        if self.failure_plan == self.success_plan:
            return "both took the same steps"
        return f"the same tools, in another order from step {self.together + 1} on"


def is_undecided(low: float | None, high: float | None) -> bool:
    """Whether an interval of an odds ratio leaves open which is better: it contains 1, or there is none."""
    return low is None or high is None or low <= 1.0 <= high
