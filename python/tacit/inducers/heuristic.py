"""Rules: when this holds, do that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .. import _native
from .._native import Finding
from ..model.pattern import Alternative, Heuristic, is_undecided
from .base import History, inducers
from .columns import Columns
from .condition import Action, Condition, Odds
from .conditions import conditions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

_REFINED_BY = ("agent", "complexity", "domain", "language")
_ALTERNATIVES = 3


@dataclass(frozen=True, eq=False)
class _Rule:
    """A heuristic while it is looked at, with the occurrences that it is made of."""

    heuristic: Heuristic
    situation: Condition
    own: Mask
    deed: Action
    odds: Odds


@inducers.register("heuristic")
class Heuristics:
    """Heuristics from choices under the same condition: after an error or a step, at the start, in a context.

    A rule is listed from `min_trials` occurrences on, and weak below `min_episodes` episodes. If one condition has
    several actions, they are compared within each agent and difficulty; a decidedly worse action is no
    rule. Two rules of which the second begins where the first ends are composed; a rule whose odds differ from one
    agent, difficulty, domain or language to another, by more than chance, is refined by it. "Proven" and "refined"
    both mean that no more than a share `false_discoveries` of such findings is chance.
    """

    def __init__(
        self, *, min_trials: int = 3, min_episodes: int = 10, false_discoveries: float = 0.05
    ) -> None:
        self.min_trials = min_trials
        self.min_episodes = min_episodes
        self.false_discoveries = false_discoveries

    def induce(self, history: History) -> tuple[Heuristic, ...]:
        """The surest first; of equally sure ones the one with more trials."""
        columns = Columns.of_history(history)
        induced = [rule for situation in conditions(columns) for rule in self._rules(situation)]
        rules = [rule for rule in induced if rule.heuristic.verdict != "worse"]
        derived = [*self._composed(rules), *self._refined(rules)]
        rules += [rule for rule in derived if rule.heuristic.verdict != "worse"]
        judged = self._judged(rules)
        return tuple(sorted(judged.values(), key=lambda rule: (-rule.confidence, -rule.trials, rule.id)))

    def _rules(self, situation: Condition) -> list[_Rule]:
        """The rules of one condition, each with its alternatives."""
        frequent = [action for action, times in situation.actions.items() if times >= self.min_trials]
        rules = [
            self._rule(situation, situation.action == action, situation.describe(action))
            for action in frequent
        ]
        return [
            replace(rule, heuristic=replace(rule.heuristic, alternatives=_others(rule, rules)))
            for rule in rules
        ]

    def _rule(
        self,
        situation: Condition,
        own: Mask,
        deed: Action,
        *,
        success: NDArray[np.float64] | None = None,
        **said: Any,
    ) -> _Rule:
        import numpy as np

        columns, counted = situation.columns, situation.success if success is None else success
        trials, successes = int(own.sum()), float(counted[own].sum())
        _, low, high = _native.beta_interval(min(successes, float(trials)), trials)
        episodes, odds = np.unique(situation.episode[own]), situation.odds(own)
        shown = len(episodes)
        named: dict[str, Any] = {"parents": deed.parents, **said}
        heuristic = Heuristic(
            id=Finding("heuristic", {"when": situation.when, "do": deed.do}).pattern_id,
            condition=situation.condition,
            action=deed.text,
            trials=trials,
            successes=successes,
            confidence=low,
            high=high,
            when=situation.when,
            do=deed.do,
            episodes=shown,
            outcomes=float(columns.outcomes[episodes].sum()),
            odds_ratio=odds.ratio if odds.compares else None,
            odds_low=odds.low if odds.compares else None,
            odds_high=odds.high if odds.compares else None,
            undecided=not odds.compares or is_undecided(odds.low, odds.high),
            agents=columns.named("agent", situation.episode[own]),
            domains=columns.named("domain", situation.episode[own]),
            weak=shown < self.min_episodes,
            **named,
        )
        return _Rule(heuristic, situation, own, deed, odds)

    # --- composition: the second begins where the first ends ---

    def _composed(self, rules: Iterable[_Rule]) -> Iterator[_Rule]:
        after_success = {
            (rule.heuristic.when["after"], rule.heuristic.do["tools"][0]): rule.heuristic.id
            for rule in rules
            if rule.heuristic.when.get("result") == "ok" and not rule.heuristic.weak
        }
        for rule in rules:
            if rule.heuristic.do.get("tools") and not rule.heuristic.weak:
                yield from self._followed(rule, after_success)

    def _followed(self, rule: _Rule, after_success: dict[tuple[str, str], str]) -> Iterator[_Rule]:
        import numpy as np

        columns, situation = rule.situation.columns, rule.situation
        assert situation.row is not None
        following = np.minimum(situation.row + 1, len(columns.after) - 1)
        goes_on = (
            rule.own & (columns.episode[following] == situation.episode) & (columns.choose[following] >= 0)
        )
        goes_on &= columns.ended_well(following)
        tool = rule.deed.do["tools"][0]
        if not goes_on.any():
            return
        seconds, counts = np.unique(columns.choose[following[goes_on]], return_counts=True)
        second = int(seconds[counts.argmax()])
        name = columns.names[second]
        follower = after_success.get((tool, name))
        own = goes_on & (columns.choose[following] == second)
        if follower is None or len(situation.episodes_of(own)) < self.min_episodes:
            return
        success = situation.success
        if "result" in situation.when and situation.when["result"] not in ("ok", "none", None):
            success = success * columns.worked[following]
        deed = Action({"tools": [tool, name]}, f"use {tool}, then {name}")
        yield self._rule(
            situation, own, deed, success=success, origin="composed", parents=(rule.heuristic.id, follower)
        )

    # --- refinement: the circumstance that separates where it helps from where it does not ---

    def _refined(self, rules: Iterable[_Rule]) -> list[_Rule]:
        import numpy as np

        tried = [each for rule in rules if not rule.heuristic.weak for each in self._splits(rule)]
        if not tried:
            return []
        shares = _native.benjamini_hochberg(np.array([chance for chance, _, _ in tried]))
        best: dict[str, tuple[float, str, list[_Rule]]] = {}
        for (chance, feature, parts), share in zip(tried, shares, strict=True):
            parent = parts[0].heuristic.parents[0]
            if share <= self.false_discoveries and (chance, feature) < best.get(parent, (2.0, ""))[:2]:
                best[parent] = chance, feature, parts
        return [part for _, _, parts in best.values() for part in parts]

    def _splits(self, rule: _Rule) -> Iterator[tuple[float, str, list[_Rule]]]:
        """For each circumstance: the least chance of a difference between one value and the rest, and the parts."""
        for feature in _REFINED_BY:
            if feature in rule.heuristic.when:
                continue
            masks = list(self._values(rule, feature))
            if not masks:
                continue
            chance = 1.0
            for _, mask in masks:
                inside, outside = (_odds_where(rule, each) for each in (mask, ~mask))
                chance = min(chance, len(masks) * inside.apart_from(outside))
            if chance < 1.0:
                yield chance, feature, [self._part(rule, feature, value, mask) for value, mask in masks]

    def _values(self, rule: _Rule, feature: str) -> Iterator[tuple[Any, Mask]]:
        """Values of which enough episodes did it and enough did something else, and that are not all there are."""
        import numpy as np

        situation, columns = rule.situation, rule.situation.columns
        places = columns.feature(feature)[situation.episode]
        first, did = places[situation.first], rule.own[situation.first]
        for place in np.unique(first):
            inside = first == place
            counts = [int((inside & side).sum()) for side in (did, ~did)]
            rest = [int((~inside & side).sum()) for side in (did, ~did)]
            value = columns.value(feature, int(place))
            if value is not None and min(*counts, *rest) >= self.min_episodes:
                yield value, places == place

    def _part(self, rule: _Rule, feature: str, value: Any, mask: Mask) -> _Rule:
        said = {"agent": ", with agent {}", "complexity": ", in a task of {} complexity"}
        situation = rule.situation.where(
            mask, feature, value, said.get(feature, f", in {feature} {{}}").format(value)
        )
        return self._rule(
            situation, rule.own[mask], rule.deed, origin="refined", parents=(rule.heuristic.id,)
        )

    def _judged(self, rules: list[_Rule]) -> dict[str, Heuristic]:
        """Heuristics by id; one with enough episodes that is better beyond chance is proven."""
        import numpy as np

        compared = [rule for rule in rules if rule.odds.compares and not rule.heuristic.weak]
        judged = {rule.heuristic.id: rule.heuristic for rule in rules}
        if compared:
            shares = _native.benjamini_hochberg(np.array([rule.odds.chance for rule in compared]))
            for rule, share in zip(compared, shares, strict=True):
                if share <= self.false_discoveries and rule.heuristic.verdict == "better":
                    judged[rule.heuristic.id] = replace(rule.heuristic, state="proven")
        return judged


def _odds_where(rule: _Rule, mask: Mask) -> Odds:
    return rule.situation.where(mask, "", None, "").odds(rule.own[mask])


def _others(rule: _Rule, rules: Iterable[_Rule]) -> tuple[Alternative, ...]:
    others = [other.heuristic for other in rules if other is not rule]
    return tuple(
        Alternative(
            each.action,
            each.trials,
            each.successes,
            each.confidence,
            each.high,
            each.episodes,
            each.outcomes,
        )
        for each in others[:_ALTERNATIVES]
    )
