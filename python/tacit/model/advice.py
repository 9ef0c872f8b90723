"""What to do next, with the evidence for it: suggestions, ways out, predictions, playbooks."""

from __future__ import annotations

from dataclasses import dataclass

from .episode import Json
from .pattern import Heuristic, Pattern
from .recall import Reason

FINISH = "<finish>"
"""The tool of a suggested step that ends the episode."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter of a suggested step.

    Where `filled`, `value` is what memory would pass; `source` says where it was found: in the "task" or "context", or
    in a step so far: "step 3 output.user_id", "step 2 order_id". A value that stands in none of them is one that the
    parameter often had: "task" where words of the task speak for it, else "always". Otherwise the parameter is open:
    the episodes behind it varied, and nothing said so far decides it. An open one may still name its `source` where a
    step of the plan will bring the value.
    """

    name: str
    value: Json = None
    filled: bool = False
    source: str | None = None


@dataclass(frozen=True, slots=True)
class SuggestedStep:
    """A tool that may come next; `tool` is "<finish>" to end.

    The probabilities of all candidates sum to 1, and `probability` is the sum of `value * weight` over `reasons`.
    `support` counts the comparable positions behind it; `episodes` names a few of the episodes they stand in.
    """

    tool: str
    probability: float
    support: float
    reasons: tuple[Reason, ...]
    arguments: tuple[Argument, ...] = ()
    episodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Ranked next steps, the most probable first. `id` is the receipt; `degraded` names what the answer did without."""

    id: str
    steps: tuple[SuggestedStep, ...]
    degraded: tuple[str, ...] = ()
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Fix:
    """What was done next after an error, and how often that worked.

    `probability` ranks the ways: how likely the next step that works is this one. `trials`, `successes`, `mean`,
    `low` and `high` are the recovery pattern's (Beta posterior, Jeffreys prior, 95% interval). `odds_ratio` with its
    95% interval compares the success of episodes that went this way with those that went another way out of the same
    error, among the same agents and difficulties (Mantel-Haenszel); None where there is nothing to compare with.
    `undecided` says that the interval contains 1, or that there is none; `weak` that fewer episodes went this way than
    `MaintenanceSettings.min_episodes`.
    """

    tool: str
    probability: float
    trials: int
    successes: float
    mean: float
    low: float
    high: float
    odds_ratio: float | None = None
    odds_low: float | None = None
    odds_high: float | None = None
    undecided: bool = True
    weak: bool = True


@dataclass(frozen=True, slots=True)
class Fixes:
    """Ranked ways out of an error of this class, the likeliest to work first.

    `degraded` names "error_class" where this class of error was never seen after this tool: the ways are then what
    worked after its other errors, or after the errors of all tools, without evidence of their own.
    """

    error_class: str
    tool: str | None
    ways: tuple[Fix, ...]
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """How a task will go: the probability of success with a 95% interval, expected steps and reward.

    `success` is the sum of `value * weight` over `reasons`. `base_rate` is the mean of the share of success in the
    namespace (Jeffreys prior); `support` the weight of comparable tasks: 0 says that none is known, and `success` is
    then that of the agent and the domain, or the base rate where they are unknown too (a half in an empty memory).
    `steps` is the expected number of steps of a success; None where unknown, as `reward`.
    """

    success: float
    low: float
    high: float
    base_rate: float
    steps: float | None
    steps_low: float | None
    steps_high: float | None
    reward: float | None
    support: float
    reasons: tuple[Reason, ...]
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a playbook; `share` is the weighted share of the merged successes that take it here."""

    tool: str
    share: float
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Playbook:
    """One plan merged from the successes of the nearest tasks, with the odds, the pitfalls and the rules.

    `id` is the receipt; `episodes` are those that the plan was merged from, the nearest task's first. A memory without
    a success has no steps.
    """

    id: str
    task: str
    steps: tuple[PlanStep, ...]
    success: Prediction
    pitfalls: tuple[Pattern, ...] = ()
    heuristics: tuple[Heuristic, ...] = ()
    episodes: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
