"""The advice that an agent gets while it works, and its use of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..model.episode import Episode
from ..model.pattern import Pattern
from ..model.recall import NextStep
from .language import Intent, read_back, understand

Concept: TypeAlias = tuple[str, ...]
"""The meaning of a name: (thing,) for a table, (thing, word, table) for a column, ("form", family) for a style."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Similar past episodes, the ways of working behind them, and the usual next steps."""

    episodes: tuple[Episode, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    next_steps: tuple[NextStep, ...] = ()


class Adviser(Protocol):
    """An adviser that the agent can ask. An empty answer changes none of its steps."""

    def advise(self, about: str) -> Advice:
        """The experience with a question, or a few words of one, at this point of the attempt."""
        ...


@dataclass(slots=True)
class _Record:
    """How often a name was part of an accepted answer, and of a rejected one."""

    good: int = 0
    bad: int = 0

    @property
    def is_proven(self) -> bool:
        """Accepted at least as often as rejected: a name can be right by chance once, not time and again."""
        return 0 < self.good >= self.bad

    @property
    def worth(self) -> float:
        return 1 + self.good / (self.good + self.bad) if self.is_proven else 1 / (1 + self.bad)


class Beliefs:
    """The names that the agent learned from advice: names that answered words, tables and columns that exist.

    They are read from the parameters and results of recalled steps.
    """

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.has_list: bool = False
        self.columns: dict[str, dict[str, str]] = {}
        self._records: dict[Concept, dict[str, _Record]] = defaultdict(dict)
        self._proven: dict[Concept, str] = {}
        self._patterns: dict[str, Pattern] = {}
        self._usual: dict[str, float] = {}
        self._heard: set[str] = set()

    def hear(self, advice: Advice) -> None:
        """Takes in an answer; an episode that was heard of before counts once."""
        fresh = [episode for episode in advice.episodes if episode.id not in self._heard]
        self._heard.update(episode.id for episode in fresh)
        for episode in fresh:
            self._read(episode)
        self._patterns.update((pattern.id, pattern) for pattern in advice.patterns)
        self._usual = {step.tool: step.share for step in advice.next_steps}
        self._proven = {concept: best for concept in self._records if (best := self._best(concept))}

    def _read(self, episode: Episode) -> None:
        sql = None
        for step in episode.steps:
            if step.tool == "submit" and sql is not None:
                self._credit(episode.task, sql, accepted=_succeeded(episode))
            elif step.ok and step.tool == "list_tables":
                self.tables.update(step.output)
                self.has_list = True
            elif step.ok and step.tool == "describe":
                self.tables.add(step.parameters["table"])
                self.columns[step.parameters["table"]] = dict(step.output)
            elif step.ok and step.tool == "query":
                sql = step.parameters["sql"]
            elif step.tool == "query" and step.error and step.error.startswith("ambiguous"):
                self._discredit_form(episode.task, step.parameters["sql"])

    def _credit(self, task: str, sql: str, *, accepted: bool) -> None:
        """The submitted query: the last one before a submission."""
        intent = understand(task)
        read = read_back(intent, sql) if intent else None
        if intent is None or read is None:
            return
        form, names = read
        self._note(("form", intent.family.name), form, accepted)
        for slot, name in names.items():
            of = intent.family.slots[slot].of
            self._note((*intent.concept(slot), names[of]) if of else intent.concept(slot), name, accepted)

    def _discredit_form(self, task: str, sql: str) -> None:
        """The engine refused this way of writing it."""
        intent = understand(task)
        read = read_back(intent, sql) if intent else None
        if intent is not None and read is not None:
            self._note(("form", intent.family.name), read[0], accepted=False)

    def _note(self, concept: Concept, name: str, accepted: bool) -> None:
        record = self._records[concept].setdefault(name, _Record())
        record.good += accepted
        record.bad += not accepted

    def _best(self, concept: Concept) -> str | None:
        records = self._records[concept]
        best = max(records, key=lambda name: (records[name].worth, records[name].good, name))
        return best if records[best].is_proven else None

    def worth(self, concept: Concept, name: str) -> float:
        """Above 1 if the name answered the concept, 1 if nothing is known, less for each failure."""
        record = self._records[concept].get(name) if concept in self._records else None
        return record.worth if record else 1.0

    def proven(self, concept: Concept) -> str | None:
        """The name that answered the concept best; `None` if none did more often than not."""
        return self._proven.get(concept)

    def is_taken(self, concept: Concept, name: str) -> bool:
        """True for a name that stands for another concept of the same kind."""
        return any(
            known == name and other != concept and _same_kind(other, concept)
            for other, known in self._proven.items()
        )

    def means_elsewhere(self, word: str, name: str) -> bool:
        """True if a column of this name answered the same word in some table."""
        return any(known == name and other[1:2] == (word,) for other, known in self._proven.items())

    def success_of(self, tool: str, *, after: str | None, error: str | None) -> float | None:
        """The share of successes of `tool` after that tool or that error; `None` without experience."""
        for pattern in self._patterns.values():
            if _is_choice(pattern, tool, after, error):
                return pattern.mean
        return self._usual.get(tool)


def _succeeded(episode: Episode) -> bool:
    return episode.outcome is not None and episode.outcome.kind == "success"


def _same_kind(other: Concept, concept: Concept) -> bool:
    """Both tables, or both columns of one table."""
    if len(concept) == 1 or len(other) == 1:
        return len(other) == len(concept)
    return other[0] == concept[0] and other[2:] == concept[2:]


def _is_choice(pattern: Pattern, tool: str, after: str | None, error: str | None) -> bool:
    content = pattern.content
    if pattern.kind == "error_recovery" and error is not None:
        return content["next"] == tool and content["tool"] == after and _names_error(content["error"], error)
    if pattern.kind == "decision_point" and error is None:
        return content["choose"] == tool and content["after"] == after and content["result"] in ("ok", "none")
    return False


def _names_error(known: str, error: str) -> bool:
    """True for an error of a known class: the part before the colon."""
    return known.split(":")[0].strip().lower() == error.split(":")[0].strip().lower()


def words_of(intent: Intent, slots: Iterable[str]) -> str:
    """The words of the question that these slots stand for, to ask about them."""
    return " ".join(dict.fromkeys(word for slot in slots for word in intent.concept(slot)))
