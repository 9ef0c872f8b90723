"""Advice with its evidence: suggestions, fixes, predictions, playbooks."""

from __future__ import annotations

from collections.abc import Callable

from ..deferred import dataclass
from .episode import Json
from .pattern import Heuristic, Pattern
from .recall import Reason

FINISH = "<finish>"
"""The tool of a suggested step that ends the episode."""


@dataclass(frozen=True, slots=True)
class ArgumentCandidate:
    """A value that a parameter may take: its probability, and its source as in `Argument.source`.

    Example:
        >>> from tacit import ArgumentCandidate
        >>> ArgumentCandidate("card_17", 0.7, "step 1 output.payment").probability
        0.7
    """

    value: Json
    probability: float
    source: str


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter of a suggested step.

    If `filled`, `value` is the value to pass and `source` its origin: "task", "context", or a step so far ("step 3
    output.user_id", "step 2 order_id"). A value from none of them is one that the parameter often had: its source is
    "task" if words of the task speak for it, else "always". Otherwise the parameter is open: the episodes behind it
    varied, and nothing so far decides it. An open one may name the step of the plan that will bring its value.
    `candidates` are the most probable values, the first one first, whether or not one was filled in.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> step = memory.suggest(["get_order"], task="Cancel order 7").steps[0]
        >>> [argument.name for argument in step.arguments]
        ['order_id']
    """

    name: str
    value: Json = None
    filled: bool = False
    source: str | None = None
    candidates: tuple[ArgumentCandidate, ...] = ()


@dataclass(frozen=True, slots=True)
class SuggestedStep:
    """A tool that may come next; `tool` is "<finish>" to end.

    The probabilities of all candidates sum to 1, and `probability` is the sum of `value * weight` over `reasons`.
    `support` counts the comparable positions behind it; `episodes` names a few of the episodes they stand in.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> memory.suggest(["get_order"], task="Cancel order 7").steps[0].tool
        'cancel_order'
    """

    tool: str
    probability: float
    support: float
    reasons: tuple[Reason, ...]
    arguments: tuple[Argument, ...] = ()
    episodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Ranked next steps, the most probable first. `id` is the receipt; `degraded` names the missing sources.

    "models_pending" among them means that counts or the last models answered: a fit is on its way.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> [step.tool for step in memory.suggest(["get_order"], task="Cancel order 7").steps][:1]
        ['cancel_order']
    """

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

        return render(lambda _: suggestion_lines(self), max_tokens=max_tokens, count_tokens=count_tokens)


@dataclass(frozen=True, slots=True)
class ChangedArguments:
    """The arguments that changed between a failed call and the next success of the same tool.

    An argument is `filled` if its value was always the same; `source` names the earlier result that its values came
    from. `dropped` are arguments that the successful calls did without. No arguments at all: the same call worked.
    `episodes` counts the runs that show it.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}") as episode:
        ...         _ = episode.log("get_order", output={"payment": f"card_{n}"})
        ...         _ = episode.log("cancel_order", parameters={"order": n}, error="refund_to is missing")
        ...         _ = episode.log("cancel_order", parameters={"order": n, "refund_to": f"card_{n}"}, output="ok")
        ...         _ = episode.succeed()
        >>> changed = memory.recover("refund_to is missing", tool="cancel_order").ways[0].changed
        >>> [(argument.name, argument.source) for argument in changed.arguments]
        [('refund_to', 'payment from get_order')]
    """

    tool: str
    error: str
    arguments: tuple[Argument, ...]
    dropped: tuple[str, ...] = ()
    episodes: int = 1


@dataclass(frozen=True, slots=True)
class Fix:
    """A next step after an error, and how often it worked.

    `probability` is the probability that the next step that works is this one. `trials`, `successes`, `mean`, `low`
    and `high` are the recovery pattern's (Beta posterior, Jeffreys prior, 95% interval). `odds_ratio` with its 95%
    interval compares the success of episodes with this fix and with other fixes of the same error, among the same
    agents and difficulties (Mantel-Haenszel); `None` means nothing to compare with. `undecided` means that the
    interval contains 1 or is missing; `weak` that fewer than `MaintenanceSettings.min_episodes` episodes used it.
    `changed` says what was different when the same tool worked; `None` for another tool, or if no run shows it.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for _ in range(3):
        ...     with memory.episode("Cancel an order") as episode:
        ...         _ = episode.log("cancel_order", error="payment method not found")
        ...         _ = episode.log("get_user", output="gift card")
        ...         _ = episode.succeed()
        >>> fix = memory.recover("payment method not found", tool="cancel_order").ways[0]
        >>> fix.tool, fix.trials
        ('get_user', 3)
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
    changed: ChangedArguments | None = None


@dataclass(frozen=True, slots=True)
class Fixes:
    """Ranked fixes for an error of this class, the likeliest to work first.

    `degraded` holds "error_class" if this class of error was never seen after this tool: the fixes are then those of
    its other errors, without evidence of their own, or none.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> fixes = memory.recover("payment method not found", tool="cancel_order")
        >>> fixes.tool, fixes.ways
        ('cancel_order', ())
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

        return render(lambda _: fixes_lines(self), max_tokens=max_tokens, count_tokens=count_tokens)


@dataclass(frozen=True, slots=True)
class Prediction:
    """How a task will go: the probability of success with a 95% interval, expected steps and reward.

    `success` is the sum of `value * weight` over `reasons`. `base_rate` is the mean of the share of success in the
    namespace (Jeffreys prior); `support` the weight of comparable tasks: 0 says that none is known, `degraded` holds
    "nothing_comparable", and `success` is then that of the agent and the domain, or the base rate if they are unknown
    too (a half in an empty memory).
    `steps` is the expected number of steps of a success; `None` means unknown, as for `reward`.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> memory.predict("Cancel order 7", domain="retail").success > 0.5
        True
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

        return render(lambda _: prediction_lines(self), max_tokens=max_tokens, count_tokens=count_tokens)


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a playbook; `share` is the weighted share of the merged successes that take it here.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> [step.tool for step in memory.playbook("Cancel order 7").steps]
        ['get_order', 'cancel_order']
    """

    tool: str
    share: float
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Playbook:
    """One plan merged from the successes of the nearest tasks, with the odds, the pitfalls and the rules.

    `id` is the receipt; `episodes` are those that the plan was merged from, the nearest task's first. Steps that failed
    are no part of a plan: `changed` says what was different when their tools worked. A memory without a success has no
    steps.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> playbook = memory.playbook("Cancel order 7", domain="retail")
        >>> len(playbook.steps), len(playbook.episodes)
        (2, 3)
    """

    id: str
    task: str
    steps: tuple[PlanStep, ...]
    success: Prediction
    pitfalls: tuple[Pattern, ...] = ()
    heuristics: tuple[Heuristic, ...] = ()
    episodes: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    changed: tuple[ChangedArguments, ...] = ()

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

        return render(
            lambda budget: playbook_lines(self, budget), max_tokens=max_tokens, count_tokens=count_tokens
        )
