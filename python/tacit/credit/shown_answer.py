"""The memories that an answer showed, as far as credit needs them: an open episode keeps and stores these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from ..model.episode import Json
from ..model.ids import as_bytes

if TYPE_CHECKING:
    from ..model.advice import Playbook, Suggestion
    from ..model.choice import Choice, RankedAction
    from ..model.recall import Recall

Answer: TypeAlias = "Recall | Suggestion | Choice | Playbook"
"""An answer that shows memories: similar episodes, patterns, heuristics, pitfalls."""


class ShownStep(msgspec.Struct, frozen=True):
    """A step of a suggestion, a plan or a choice, with the episodes behind it.

    `parameters` is the digest of a chosen action's parameters; empty for none.
    """

    tool: str
    episodes: tuple[str, ...] = ()
    parameters: str = ""


class ShownHeuristic(msgspec.Struct, frozen=True):
    """A heuristic by its fields: see `Heuristic`."""

    id: str
    when: dict[str, Any] = {}
    do: dict[str, Any] = {}


class ShownAnswer(msgspec.Struct, frozen=True):
    """The memories of one answer: ids, tools and the fields of heuristics, and no text of the question."""

    id: str
    kind: Literal["recall", "suggestion", "choice", "playbook"]
    episodes: tuple[str, ...] = ()
    steps: tuple[ShownStep, ...] = ()
    patterns: tuple[tuple[str, ...], ...] = ()
    """Each pattern's id, and behind it those of the patterns that were merged into it."""
    heuristics: tuple[ShownHeuristic, ...] = ()
    pitfalls: tuple[str, ...] = ()

    @property
    def memories(self) -> tuple[bytes, ...]:
        """The ids of the memories that the answer showed, each once, in its order."""
        return tuple(dict.fromkeys(map(as_bytes, self._shown())))

    def _shown(self) -> Iterator[str]:
        if self.kind in ("suggestion", "choice"):
            for step in self.steps:
                yield from step.episodes
        yield from self.episodes
        yield from (ids[0] for ids in self.patterns)
        yield from (heuristic.id for heuristic in self.heuristics)
        yield from self.pitfalls


class RecallReceipt(msgspec.Struct):
    """One answer to an open episode; `steps` had been taken when it was given."""

    answer: ShownAnswer
    namespace: str
    at: int
    steps: int
    feedback: dict[bytes, bool] | None = None
    """For each memory that feedback named: True if it helped. `None` means no feedback."""
    known: int = 0
    """How many batches of the open episode its writer knew."""
    is_stored: bool = False
    """True while the store has it, as it is, with the open episode."""

    @property
    def id(self) -> bytes:
        """The 16 bytes of the answer's id."""
        return as_bytes(self.answer.id)

    @property
    def memories(self) -> tuple[bytes, ...]:
        """The ids of the memories that the answer showed, each once, in its order."""
        return self.answer.memories


def shown_answer(answer: Answer) -> ShownAnswer:
    """The memories of an answer."""
    from ..model.advice import Playbook, Suggestion
    from ..model.choice import Choice

    if isinstance(answer, Choice):
        return ShownAnswer(answer.id, "choice", steps=tuple(map(_shown_action, answer.actions)))
    if isinstance(answer, Suggestion):
        steps = tuple(ShownStep(step.tool, step.episodes) for step in answer.steps)
        return ShownAnswer(answer.id, "suggestion", steps=steps)
    heuristics = tuple(ShownHeuristic(each.id, each.when, each.do) for each in answer.heuristics)
    pitfalls = tuple(pattern.id for pattern in answer.pitfalls)
    if isinstance(answer, Playbook):
        plan = tuple(ShownStep(step.tool) for step in answer.steps)
        return ShownAnswer(
            answer.id,
            "playbook",
            tuple(answer.episodes),
            plan,
            heuristics=heuristics,
            pitfalls=pitfalls,
        )
    return ShownAnswer(
        answer.id,
        "recall",
        tuple(hit.episode_id for hit in answer.hits),
        patterns=tuple((pattern.id, *pattern.merged) for pattern in answer.patterns),
        heuristics=heuristics,
        pitfalls=pitfalls,
    )


def _shown_action(ranked: RankedAction) -> ShownStep:
    action = ranked.action
    if isinstance(action, str):
        return ShownStep(action, ranked.episodes)
    return ShownStep(action["tool"], ranked.episodes, digest_of(action.get("parameters")))


def digest_of(parameters: Json) -> str:
    """A number for the parameters of a call, without their text; empty for none."""
    if parameters is None:
        return ""
    import hashlib  # a process that only appends steps does without it

    return hashlib.blake2b(
        msgspec.msgpack.encode(parameters, order="deterministic"), digest_size=8
    ).hexdigest()
