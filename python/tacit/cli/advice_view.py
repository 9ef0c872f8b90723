"""The answers of `tacit suggest`, `recover`, `predict` and `playbook` as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..model.advice import Argument, ChangedArguments, Fix, Fixes, Playbook, Prediction, SuggestedStep
from ..model.recall import Reason
from . import console
from .tables import block, facts, heuristic_list, odds, pattern_table, worked

LIKELY = 0.01
"""The least probability of a fix that is shown although it was never tried after this error."""


def suggested(steps: Iterable[SuggestedStep]) -> Group:
    """Each tool with its probability, its arguments and the reasons below it."""
    return Group(
        *(
            block(
                Text.assemble((console.plain(step.tool), "bold"), f"  {step.probability:.1%}"),
                *map(_argument, step.arguments),
                facts(_why(step.reasons)),
            )
            for step in steps
        )
    )


def _call(tool: str, arguments: Iterable[Argument]) -> Group:
    """The tool with its arguments below it."""
    return block(Text(console.plain(tool), "bold"), *map(_argument, arguments))


def _argument(argument: Argument) -> Text:
    """A value and its source; an open argument is a question mark."""
    text = Text(f"{console.plain(argument.name)} ", console.QUIET)
    if argument.filled:
        text.append(console.cropped(msgspec.json.encode(argument.value).decode(), 60), "default")
    else:
        text.append("?", "yellow")
    if argument.source:
        text.append(f"  from {console.plain(argument.source)}", console.QUIET)
    return text


def fixes(found: Iterable[Fix]) -> Group:
    """The fixes with their evidence; one that was never tried after this error is shown only if it is likely."""
    shown = (fix for fix in found if fix.trials or fix.probability >= LIKELY)
    return Group(
        *(
            block(
                Text.assemble((console.plain(fix.tool), "bold"), f"  {fix.probability:.1%} likely"),
                facts(worked(fix), odds(fix), "weak" if fix.weak else "")
                if fix.trials
                else facts("not tried after this error yet"),
            )
            for fix in shown
        )
    )


def fixes_of_tools(answers: Iterable[Fixes]) -> Iterator[Any]:
    """For each tool the class of its error, and below it the fixes that were tried after it."""
    for number, answer in enumerate(answers):
        if number:
            yield ""
        head = (
            f'after {console.plain(answer.tool or "a tool")} fails with "{console.plain(answer.error_class)}"'
        )
        yield Text(head, "bold")
        for fix in answer.ways:
            if fix.trials:
                name = Text(console.plain(fix.tool)).append(changed_text(fix.changed))
                evidence = facts(worked(fix), odds(fix), "weak" if fix.weak else "")
                yield Padding(block(name, evidence), (0, 0, 0, 2))


def changed_text(changed: ChangedArguments | None) -> str:
    """The arguments with which the same tool worked afterwards."""
    if changed is None:
        return ""
    values = [
        f"{console.plain(each.name)} = {console.cropped(msgspec.json.encode(each.value).decode(), 60)}"
        if each.filled
        else f"another {console.plain(each.name)}"
        + (f" (from {console.plain(each.source)})" if each.source else "")
        for each in changed.arguments
    ]
    dropped = [f"no {console.plain(name)}" for name in changed.dropped]
    return " again" + (f" with {', '.join([*values, *dropped])}" if values or dropped else "")


def predicted(answer: Prediction) -> Iterator[Any]:
    """The probability of success with its interval, expected steps and reward, and the reasons."""
    yield Text.assemble(
        ("success ", "default"),
        (f"{answer.success:.0%}", "bold"),
        (f"  {console.interval(answer)}, base rate {answer.base_rate:.0%}", console.QUIET),
    )
    if answer.steps is not None:
        yield Text(f"steps   {answer.steps:.1f}  ({answer.steps_low:.0f} to {answer.steps_high:.0f})")
    if answer.reward is not None:
        yield Text(f"reward  {answer.reward:.2f}")
    yield Text(f"why     {_why(answer.reasons)}", console.QUIET)


def planned(answer: Playbook) -> Iterator[Any]:
    """The steps of the plan, its odds, pitfalls and heuristics, and the episodes behind it."""
    if answer.steps:
        steps = Table(box=None, padding=(0, 2, 0, 0), header_style=console.QUIET)
        for name in ("", "step", "taken by"):
            steps.add_column(name, overflow="fold")
        for number, step in enumerate(answer.steps, 1):
            steps.add_row(f"{number:>2}", _call(step.tool, step.arguments), f"{step.share:.0%}")
        yield from (steps, "")
    yield from predicted(answer.success)
    if answer.pitfalls:
        yield from ("", Text("Pitfalls", "bold"), pattern_table(answer.pitfalls))
    if answer.heuristics:
        yield from ("", Text("Heuristics that apply", "bold"), heuristic_list(answer.heuristics))
    if answer.episodes:
        yield Text(f"\nfrom {', '.join(answer.episodes)}", console.QUIET)


def _why(reasons: Iterable[Reason]) -> str:
    terms = ((reason.value * reason.weight, reason.signal) for reason in reasons)
    return " + ".join(f"{signal} {share:.3f}" for share, signal in sorted(terms, reverse=True))
