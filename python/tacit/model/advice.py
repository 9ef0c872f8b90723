"""What to do next, with the evidence for it: suggestions, ways out, predictions, playbooks."""

from __future__ import annotations

from collections.abc import Callable
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

    def to_prompt(self, *, max_tokens: int = 1_000, count_tokens: Callable[[str], int] | None = None) -> str:
        """The next steps as a fenced block of data for a prompt, the most probable first.

        An empty text means that nothing comparable is known. See `Recall.to_prompt`.

        Example:
            >>> step = SuggestedStep("pay", 0.9, 4, (), (Argument("amount", 12, filled=True), Argument("card")))
            >>> print(Suggestion("", (step,)).to_prompt().splitlines()[1])
            next step, 90% of 4 like it: pay {"amount": 12}; open: card
        """
        from ..answers.prompt import render, suggestion_lines

        return render(suggestion_lines(self), max_tokens=max_tokens, count_tokens=count_tokens)


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

    def to_prompt(self, *, max_tokens: int = 1_000, count_tokens: Callable[[str], int] | None = None) -> str:
        """The fixes that worked as a fenced block of data for a prompt, those with decided evidence first.

        An empty text means that nothing comparable is known. See `Recall.to_prompt`.

        Example:
            >>> fix = Fix("show", 0.9, 10, 9.0, 0.86, 0.6, 0.98)
            >>> print(Fixes("no such table", "select", (fix,)).to_prompt().splitlines()[2])
            show: worked 9 of 10 times (60% to 98%), few events, undecided against other fixes
        """
        from ..answers.prompt import fixes_lines, render

        return render(fixes_lines(self), max_tokens=max_tokens, count_tokens=count_tokens)


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

    def to_prompt(self, *, max_tokens: int = 1_000, count_tokens: Callable[[str], int] | None = None) -> str:
        """The odds as a fenced block of data for a prompt.

        An empty text means that nothing comparable is known. See `Recall.to_prompt`.

        Example:
            >>> prediction = Prediction(0.8, 0.6, 0.9, 0.5, 4.0, 3.0, 6.0, 1.2, 12.0, ())
            >>> print(prediction.to_prompt().splitlines()[1])
            success 80% (60% to 90%), base rate 50%, about 4 steps (3 to 6)
        """
        from ..answers.prompt import prediction_lines, render

        return render(prediction_lines(self), max_tokens=max_tokens, count_tokens=count_tokens)


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

    def to_prompt(self, *, max_tokens: int = 1_000, count_tokens: Callable[[str], int] | None = None) -> str:
        """The plan with its arguments as a fenced block of data for a prompt.

        An empty text means that nothing comparable is known. See `Recall.to_prompt`.

        Example:
            >>> odds = Prediction(0.8, 0.6, 0.9, 0.5, None, None, None, None, 12.0, ())
            >>> playbook = Playbook("", "Pay", (PlanStep("look", 1.0), PlanStep("pay", 0.8)), odds)
            >>> playbook.to_prompt().splitlines()[2:4]
            ['1. look', '2. pay']
        """
        from ..answers.prompt import playbook_lines, render

        return render(playbook_lines(self, max_tokens), max_tokens=max_tokens, count_tokens=count_tokens)
