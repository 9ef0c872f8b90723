"""Rules: when this holds, do that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from .. import _native
from .._native import Finding
from ..model.pattern import Alternative, Heuristic, is_undecided
from .base import History, inducers
from .columns import FEATURES, Columns
from .condition import Action, Condition, Odds
from .conditions import conditions

if TYPE_CHECKING:
    from .._native import ActionEvidence
    from .condition import Mask

_REFINED_BY = ("agent", "complexity", "domain", "language")
_ALTERNATIVES = 3


@dataclass(frozen=True, eq=False)
class _Rule:
    """A heuristic while it is looked at, with its condition and the occurrences that it is made of."""

    heuristic: Heuristic
    situation: Condition
    deed: Action
    odds: Odds
    number: int | None = None
    """The number of its action under the condition; `None` if it is made of `some` of the occurrences."""
    some: Mask | None = None

    @property
    def own(self) -> Mask:
        """True for each of its occurrences; not kept, since one rule's mask is as long as its condition."""
        return self.situation.action == self.number if self.some is None else self.some


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
        rules = [
            self._rule(situation, evidence, deed, number=evidence.action)
            for evidence, deed in situation.actions(self.min_trials)
        ]
        return [
            replace(rule, heuristic=replace(rule.heuristic, alternatives=_others(rule, rules)))
            for rule in rules
        ]

    def _rule(
        self,
        situation: Condition,
        evidence: ActionEvidence,
        deed: Action,
        *,
        number: int | None = None,
        some: Mask | None = None,
        origin: Literal["induced", "composed", "refined"] = "induced",
        parents: tuple[str, ...] | None = None,
    ) -> _Rule:
        trials, successes, shown = evidence.trials, evidence.successes, evidence.episodes
        _, low, high = _native.beta_interval(min(evidence.by_episode, float(shown)), shown)
        odds = Odds(*evidence.odds)
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
            episodes=evidence.episodes,
            outcomes=evidence.outcomes,
            odds_ratio=odds.ratio if odds.compares else None,
            odds_low=odds.low if odds.compares else None,
            odds_high=odds.high if odds.compares else None,
            undecided=not odds.compares or is_undecided(odds.low, odds.high),
            agents=situation.named("agent", evidence),
            domains=situation.named("domain", evidence),
            weak=evidence.episodes < self.min_episodes,
            origin=origin,
            parents=deed.parents if parents is None else parents,
        )
        return _Rule(heuristic, situation, deed, odds, number, some)

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
        if follower is None:
            return
        own = goes_on & (columns.choose[following] == second)
        success = situation.success
        if "result" in situation.when and situation.when["result"] not in ("ok", "none", None):
            success = success * columns.worked[following]
        evidence = situation.evidence.of_some(own, success)
        if evidence.first >= self.min_episodes:
            deed = Action({"tools": [tool, name]}, f"use {tool}, then {name}")
            parents = rule.heuristic.id, follower
            yield self._rule(situation, evidence, deed, some=own, origin="composed", parents=parents)

    # --- refinement: the circumstance that separates where it helps from where it does not ---

    def _refined(self, rules: Iterable[_Rule]) -> list[_Rule]:
        import numpy as np

        tried = [each for rule in rules if not rule.heuristic.weak for each in self._splits(rule)]
        if not tried:
            return []
        shares = _native.benjamini_hochberg(np.array([chance for chance, _, _, _ in tried]))
        best: dict[str, tuple[float, str, _Rule, list[int]]] = {}
        for (chance, feature, rule, values), share in zip(tried, shares, strict=True):
            id = rule.heuristic.id
            if share <= self.false_discoveries and (chance, feature) < best.get(id, (2.0, ""))[:2]:
                best[id] = chance, feature, rule, values
        return [
            self._part(rule, feature, value) for _, feature, rule, values in best.values() for value in values
        ]

    def _splits(self, rule: _Rule) -> Iterator[tuple[float, str, _Rule, list[int]]]:
        """For each circumstance: the least chance of a difference between one value and the rest, and the values.

        A value counts if enough episodes with it did this, enough did something else, and as many of the rest did.
        """
        own = rule.own
        for feature in _REFINED_BY:
            if feature in rule.heuristic.when:
                continue
            found = rule.situation.evidence.splits(own, FEATURES.index(feature), self.min_episodes)
            splits = [each for each in found if rule.situation.columns.value(feature, each[0]) is not None]
            apart = [Odds(*inside).apart_from(Odds(*outside)) for _, inside, outside in splits]
            chance = min([1.0, *(len(splits) * each for each in apart)])
            if chance < 1.0:
                yield chance, feature, rule, [value for value, _, _ in splits]

    def _part(self, rule: _Rule, feature: str, place: int) -> _Rule:
        columns = rule.situation.columns
        value = columns.value(feature, place)
        mask = columns.feature(feature)[rule.situation.episode] == place
        said = {"agent": ", with agent {}", "complexity": ", in a task of {} complexity"}
        situation = rule.situation.where(
            mask, feature, value, said.get(feature, f", in {feature} {{}}").format(value)
        )
        own = rule.own[mask]
        evidence = situation.evidence.of_some(own, situation.success)
        return self._rule(
            situation, evidence, rule.deed, some=own, origin="refined", parents=(rule.heuristic.id,)
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
