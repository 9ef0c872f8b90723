"""Suggested steps, together with the text actions that the nearest recorded situations propose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..model.advice import SuggestedStep
from ..model.ids import as_text
from ..model.recall import Reason

if TYPE_CHECKING:
    from .._native import RankedActionRow

SITUATIONS = "situations"
_SHARE = 0.5
"""The part of the probability that the proposals have, where there are any."""


def with_proposals(
    steps: Sequence[SuggestedStep], proposed: Sequence[tuple[str, RankedActionRow]], limit: int
) -> tuple[SuggestedStep, ...]:
    """The steps in order of probability: half by the models of tools, half by the nearest situations.

    Without proposals the steps stay as they are.
    """
    if not proposed:
        return tuple(steps)
    mixed = {step.tool: _scaled(step) for step in steps}
    for text, row in proposed:
        mixed[text] = _raised(mixed.get(text) or SuggestedStep(text, 0.0, 0.0, ()), row)
    return tuple(sorted(mixed.values(), key=lambda step: (-step.probability, step.tool))[:limit])


def _scaled(step: SuggestedStep) -> SuggestedStep:
    kept = 1.0 - _SHARE
    reasons = tuple(replace(reason, weight=reason.weight * kept) for reason in step.reasons)
    return replace(step, probability=step.probability * kept, reasons=reasons)


def _raised(step: SuggestedStep, row: RankedActionRow) -> SuggestedStep:
    episodes = dict.fromkeys((*map(as_text, row.episodes), *step.episodes))
    return replace(
        step,
        probability=step.probability + _SHARE * row.probability,
        support=max(step.support, float(len(row.episodes))),
        reasons=(*step.reasons, Reason(SITUATIONS, row.probability, _SHARE)),
        episodes=tuple(episodes),
    )
