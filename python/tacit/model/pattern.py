"""Patterns, heuristics, clusters and contrasts, with their evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, Literal, TypeAlias

from .._native import Finding, Findings
from ..deferred import dataclass
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
    """A pattern with its evidence in a slice of the memory.

    `id` is the hash of kind and content (32 hexadecimal digits). `trials` counts occurrences, `successes` sums how
    far each did its job; `episodes` and `outcomes` count one trial an episode and its outcome. `mean`, `low` and
    `high` are the mean and the 95% interval of the Beta posterior (Jeffreys prior) of successes in trials;
    confidence is `low`. `last_seen` is in microseconds since 1970, UTC. `usage` is how recalls of it were used.

    `odds_ratio` is how many times the odds of success are in episodes with the pattern, beside comparable episodes
    without it (same domain; for an error recovery those that tried another fix of the same error first), within
    each agent and difficulty (Mantel-Haenszel), with the 95% interval from `odds_low` to `odds_high`; `None` means
    nothing to compare with. `undecided` means that the interval contains 1 or is missing.

    `state` is the decision of maintenance: a "candidate" until the evidence is beyond chance, then "proven" (goes with
    success) or a "pitfall" (goes with failure); "retired" if it was not seen for long. `merged` are the ids of
    near-duplicates that it stands for: their evidence is part of its own.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> pattern = memory.patterns(kind="tool_sequence")[0]
        >>> pattern.text, pattern.trials
        ('steps get_order, cancel_order', 3)
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
        """The pattern in one sentence, with tools and errors as they were recorded."""
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
    """A pattern in one sentence."""
    return _TEXT_OF.get(kind, str)(content)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of successes that went about it alike, and their typical plan.

    `plan` is the tools of the steps of `medoid`, the member most similar to all others; `id` is a hash of that plan
    (32 hexadecimal digits). `episodes` counts the members, `share` is theirs of the successes that were looked at;
    `left_out` successes were older than those.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> cluster = memory.clusters()[0]
        >>> cluster.plan, cluster.episodes
        (('get_order', 'cancel_order'), 3)
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
    """Another action under the condition of a heuristic; `outcomes` sums the outcomes of its `episodes`.

    Example:
        >>> from tacit import Alternative
        >>> Alternative("use search", trials=4, successes=1.0, low=0.03, high=0.7, episodes=4, outcomes=1.0).outcomes
        1.0
    """

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
    something else, within each agent and difficulty (`None`: nothing to compare with). `undecided`: it contains 1.

    `agents` and `domains` of its episodes are named, at most a hundred each. `weak` says that too few episodes stand
    behind it; `state` is "proven" if the odds are beyond chance among all heuristics that were compared. `parents` are
    the ids of the patterns or heuristics it came from, `origin` how.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> heuristic = memory.heuristics()[0]
        >>> heuristic.trials, heuristic.verdict
        (3, 'undecided')
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
        """The comparison with the alternatives: "better", "worse" or "undecided"."""
        if self.undecided or self.odds_low is None:
            return "undecided"
        return "better" if self.odds_low > 1 else "worse"

    @property
    def text(self) -> str:
        """The rule in one sentence."""
        return f"when {self.condition}, {self.action}"


@dataclass(frozen=True, slots=True)
class Contrast:
    """A failure and a success of the same task, or of the nearest one, with their differences.

    `same_task` means one task key or one text; otherwise `similarity` says how near the tasks are (0 to 1). The
    plans are the tools of the steps, equal for the first `together` of them. `only_failure` and `only_success` are the
    tools that one used and the other did not, in the order of their use; `errors` are those of the failure.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> with memory.episode("Cancel order 9", domain="retail") as episode:
        ...     _ = episode.log("cancel_order", error="not found")
        ...     _ = episode.fail("not found")
        >>> memory.contrasts()[0].only_success
        ('get_order',)
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
        """The difference in one sentence."""
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
    """True if the interval of an odds ratio contains 1 or is missing."""
    return low is None or high is None or low <= 1.0 <= high
