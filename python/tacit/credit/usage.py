"""Use of recalled memories in an ended episode, and their credit for its outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from .._native import Findings, Index, unpack_facts
from ..config import CreditSettings
from ..errors import UnknownEpisodeError, ValidationError, is_failure
from ..extractors.hybrid import Hybrid
from ..model.advice import FINISH
from ..model.closed_episode import ClosedEpisode
from ..model.content import namespace_of
from ..model.episode import Step
from ..model.ids import as_bytes
from ..model.record import SideRecord
from ..model.usage import Usage
from ..storage.base import Store
from .adherence import matches_action
from .plans import plan_similarity
from .receipts import feedback_credit, outcome_credit, receipt_record, waiting_receipts
from .shown_answer import RecallReceipt, ShownAnswer, ShownHeuristic, digest_of


class Crediting:
    """Turns the receipts of an ended episode into side records."""

    def __init__(
        self, *, settings: CreditSettings, hybrid: Hybrid, index: Index, store: Store | None = None
    ) -> None:
        self.settings = settings
        self.hybrid = hybrid
        self.index = index
        self._store = store

    def side_records(
        self, closed: ClosedEpisode, receipts: Sequence[RecallReceipt], findings: Findings | None
    ) -> tuple[SideRecord, ...]:
        """A receipt for each answer, and credit for each answer of which a memory was used.

        An episode's outcome is one trial: the answers with used memories share it, and the used memories of each
        share its part. Without findings (the episode was abandoned) the outcome credits nothing.
        """
        if not receipts:
            return ()
        used = self._used(closed, receipts, findings)
        share = 1.0 / max(1, sum(map(bool, used)))
        expected = self._expected(closed) if any(used) else 0.0
        stored = [
            receipt_record(receipt, closed.id, share, memories, expected)
            for receipt, memories in zip(receipts, used, strict=True)
        ]
        return (*stored, *self._credits(closed, receipts, used, share, expected))

    def late_side_records(self, closed: ClosedEpisode, findings: Findings | None) -> tuple[SideRecord, ...]:
        """As `side_records`, for the stored answers to an episode that waited to be learned from.

        If a part fails, no memory is found to be used.
        """
        receipts = [] if self._store is None else waiting_receipts(self._store, closed.id)
        try:
            return self.side_records(closed, receipts, findings)
        except BaseException as error:
            if not is_failure(error):
                raise
            return self.side_records(closed, receipts, None)

    def _used(
        self, closed: ClosedEpisode, receipts: Sequence[RecallReceipt], findings: Findings | None
    ) -> list[Sequence[bytes]]:
        """The memories of each receipt that its episode used, or those that feedback named."""
        taken = None if findings is None else _Taken(closed, findings, self.hybrid)
        return [
            tuple(receipt.feedback)
            if receipt.feedback is not None
            else sorted(self._used_of(receipt, taken) if taken is not None else ())
            for receipt in receipts
        ]

    def _used_of(self, receipt: RecallReceipt, taken: _Taken) -> set[bytes]:
        answer, before = receipt.answer, receipt.steps
        if answer.kind == "suggestion":
            return set(_behind_the_next_step(answer, taken.tools, before))
        if len(taken.tools) <= before:
            return set()
        if answer.kind == "choice":
            return set(_behind_the_choice(answer, taken.steps[before]))
        used = {as_bytes(rule.id) for rule in answer.heuristics if taken.followed(rule, before)}
        if answer.patterns:
            shown = (ids for ids in answer.patterns if _stands_in(ids, taken.since(before)))
            used.update(as_bytes(ids[0]) for ids in shown)
        used.update(self._similar(answer, taken.tools))
        return used

    def _similar(self, answer: ShownAnswer, tools: Sequence[str]) -> Iterator[bytes]:
        """The episodes whose plans the steps are like; of a playbook all those that its plan was merged from."""
        if answer.kind == "playbook":
            plan = [step.tool for step in answer.steps if step.tool != FINISH]
            if plan_similarity(tools, plan) >= self.settings.plan_similarity:
                yield from map(as_bytes, answer.episodes)
            return
        episodes = [as_bytes(id) for id in answer.episodes]
        similarities = self.index.plan_similarities(tools, episodes)
        for episode, similarity in zip(episodes, similarities, strict=True):
            if similarity is not None and similarity >= self.settings.plan_similarity:
                yield episode

    def _credits(
        self,
        closed: ClosedEpisode,
        receipts: Sequence[RecallReceipt],
        used: Sequence[Sequence[bytes]],
        share: float,
        expected: float,
    ) -> Iterator[SideRecord]:
        outcome = closed.outcome.share
        for receipt, memories in zip(receipts, used, strict=True):
            if receipt.feedback is not None:
                yield feedback_credit(receipt.id, receipt.namespace, receipt.feedback, share)
            elif memories and outcome is not None:
                yield outcome_credit(
                    receipt.id, receipt.namespace, memories, share, outcome=outcome, expected=expected
                )

    def _expected(self, closed: ClosedEpisode) -> float:
        """The share of success that was to be expected of such an episode before it was known how it ended."""
        head = closed.head
        return self.index.expected(
            head.namespace,
            domain=head.context.domain,
            complexity=head.context.complexity,
            agent=head.agent,
            strength=self.settings.prior_episodes,
        )

    def usage(self, memory_id: str, namespace: str) -> Usage:
        """How one memory was used; see `Memory.usage`."""
        try:
            id = as_bytes(memory_id)
        except UnknownEpisodeError:
            rule = "the id of an episode, a pattern or a heuristic"
            raise ValidationError("memory_id", rule, repr(memory_id)) from None
        [row] = self.index.usages(namespace, [id])
        if row is not None:
            return Usage(*row)
        payload = None if self._store is None else self._store.get("episode", id)
        if payload is not None and namespace_of(payload) != namespace:
            raise UnknownEpisodeError(memory_id)
        return Usage()


class _Taken:
    """The steps of an ended episode, and the patterns in those that came after an answer."""

    def __init__(self, closed: ClosedEpisode, findings: Findings, hybrid: Hybrid) -> None:
        self.tools = closed.trajectory.tools
        self._closed = closed
        self._findings = findings
        self._hybrid = hybrid
        self._since: dict[int, frozenset[bytes]] = {}

    @property
    def steps(self) -> Sequence[Step]:
        """The steps themselves."""
        return self._closed.episode.steps

    def since(self, steps: int) -> frozenset[bytes]:
        """The patterns that stand in the episode more often than in its first steps."""
        if steps not in self._since:
            self._since[steps] = self._found_since(steps)
        return self._since[steps]

    def followed(self, heuristic: ShownHeuristic, steps: int) -> bool:
        """True if the heuristic's action was taken under its condition after the first `steps` steps."""
        return matches_action(heuristic, self._closed.trajectory, self._closed.head.agent, steps)

    def _found_since(self, steps: int) -> frozenset[bytes]:
        if steps == 0:
            return frozenset(self._findings.pattern_ids)
        episode = self._closed.episode
        before = _occurrences(self._hybrid.extract(replace(episode, steps=episode.steps[:steps])))
        found = _occurrences(self._findings).items()
        return frozenset(pattern for pattern, times in found if times > before.get(pattern, 0))


def _occurrences(findings: Findings) -> Mapping[bytes, int]:
    return {pattern: occurrences for pattern, _, occurrences, _ in unpack_facts(findings.facts())}


def _behind_the_next_step(suggestion: ShownAnswer, tools: Sequence[str], before: int) -> Iterator[bytes]:
    """The episodes behind the suggestion that was followed: the next step, or ending."""
    next_tool = tools[before] if before < len(tools) else FINISH
    for step in suggestion.steps:
        if step.tool == next_tool:
            yield from map(as_bytes, step.episodes)


def _behind_the_choice(choice: ShownAnswer, taken: Step) -> Iterator[bytes]:
    """The episodes behind the action that was taken next."""
    call = (taken.tool, digest_of(taken.parameters))
    for action in choice.steps:
        if (action.tool, action.parameters) == call:
            yield from map(as_bytes, action.episodes)


def _stands_in(ids: Sequence[str], found: frozenset[bytes]) -> bool:
    """True if the pattern, or one that was merged into it, was found."""
    return any(as_bytes(id) in found for id in ids)
