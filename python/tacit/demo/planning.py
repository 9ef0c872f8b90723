"""The agent's choice of names for the slots of a query: from experience, else from the schema and likeness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .advice import Beliefs, Concept
from .guessing import draw, fit, fits, likeness, likeness_to_others
from .language import Intent, Kind

CONVINCED = 1.1
"""How good a table must look (likeness of its name plus fit of its columns) to be taken without a look at others."""
LIKELY = 0.8
"""How good a table must look to be described before the others are listed."""
UNSEEN_FIT = 0.3
"""The assumed worth of a table's columns before they are seen."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The names the agent would fill in, a slot it would rather look for left out; and the tables, best first."""

    names: dict[str, str]
    form: str
    ranked: dict[str, list[str]]

    def missing(self, intent: Intent) -> str | None:
        """The first slot without a name."""
        return next((slot for slot in intent.family.slots if slot not in self.names), None)


@dataclass(slots=True)
class Planner:
    """The agent's knowledge of the schema, its advice and its failed guesses, made into plans.

    `salt` settles ties.
    """

    intent: Intent
    salt: int
    beliefs: Beliefs = field(default_factory=Beliefs)
    tables: set[str] = field(default_factory=set)
    has_list: bool = False
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    wrong: set[tuple[Concept, str]] = field(default_factory=set)

    def saw_tables(self, tables: Iterable[str]) -> None:
        """These are all there are."""
        self.tables.update(tables)
        self.has_list = True

    def saw_columns(self, table: str, columns: dict[str, str]) -> None:
        """A table is there, and has these."""
        self.tables.add(table)
        self.columns[table] = columns

    def unseen(self, slot: str, ranked: list[str]) -> str | None:
        """The table to describe next; `None` if the tables should be listed first, or nothing is left."""
        name = next((name for name in ranked if name not in self.columns), None)
        if name is not None and not self.has_list and self._table_look(slot, name) < LIKELY:
            return None
        return name

    def plan(self, may_look: bool) -> Plan:
        """The best names so far; a doubtful table is named only if the agent may not explore further."""
        family = self.intent.family
        ranked = {slot: self._ranked(slot) for slot in family.tables}
        names: dict[str, str] = {}
        for slot in family.tables:
            table = self._settled(slot, ranked[slot], may_look)
            if table is not None:
                names[slot] = table
        for slot in family.columns:
            of = family.slots[slot].of
            column = self._column(slot, names[of], names) if of in names else None
            if column is not None:
                names[slot] = column
        return Plan(names, self._form(), ranked)

    def concept(self, slot: str, names: dict[str, str]) -> Concept:
        """The concept that the slot's name answers; a column does so within its table."""
        of = self.intent.family.slots[slot].of
        concept = self.intent.concept(slot)
        return (*concept, names[of]) if of else concept

    def is_proven(self, slot: str, names: dict[str, str]) -> bool:
        """True if experience has a name for the slot."""
        of = self.intent.family.slots[slot].of
        return (not of or of in names) and self._proven(self.concept(slot, names)) is not None

    def refute(self, slot: str, names: dict[str, str]) -> None:
        """The name in this slot has turned out to be wrong."""
        self.wrong.add((self.concept(slot, names), names[slot]))

    def _proven(self, concept: Concept) -> str | None:
        """The name that answered the concept before, unless it has just been found wrong."""
        name = self.beliefs.proven(concept)
        return None if name is None or (concept, name) in self.wrong else name

    # --- tables ---

    def _ranked(self, slot: str) -> list[str]:
        """The tables that are not known to be wrong, the best looking first."""
        concept = self.intent.concept(slot)
        look = {
            name: self._table_look(slot, name) for name in self.tables if (concept, name) not in self.wrong
        }
        return sorted(look, key=lambda name: (-look[name], draw(self.salt, slot, name)))

    def _settled(self, slot: str, ranked: list[str], may_look: bool) -> str | None:
        proven = self._proven(self.intent.concept(slot))
        if proven is not None:
            return proven
        seen = [name for name in ranked if name in self.columns]
        can_look = may_look and (not self.has_list or len(seen) < len(ranked))
        if not seen or (can_look and self._table_look(slot, seen[0]) < CONVINCED):
            return None
        return seen[0]

    def _table_look(self, slot: str, name: str) -> float:
        """Likeness of the name and fit of the columns, less if it failed or stands for another concept."""
        word = self.intent.word(slot)
        look = likeness(word, name) - 0.5 * likeness_to_others(word, name)
        look += fit(self.columns[name], self._wanted(slot)) if name in self.columns else UNSEEN_FIT
        concept = self.intent.concept(slot)
        if self.beliefs.is_taken(concept, name):
            look -= 1.0
        return look * self.beliefs.worth(concept, name)

    def _wanted(self, table: str) -> list[tuple[str, Kind]]:
        slots = self.intent.family.slots
        return [(self.intent.word(slot), slots[slot].kind) for slot in slots if slots[slot].of == table]

    # --- columns ---

    def _column(self, slot: str, table: str, names: dict[str, str]) -> str | None:
        concept = self.concept(slot, names)
        proven = self._proven(concept)
        if proven is not None or table not in self.columns:
            return proven
        of = self.intent.family.slots[slot].of
        used = {name for other, name in names.items() if self.intent.family.slots[other].of == of}
        return max(self._possible(slot, table, concept, used), key=self._column_look(concept), default=None)

    def _possible(self, slot: str, table: str, concept: Concept, used: set[str]) -> list[str]:
        kind = self.intent.family.slots[slot].kind
        named = [name for name, type in self.columns[table].items() if fits(kind, type) and name not in used]
        return [name for name in named if (concept, name) not in self.wrong]

    def _column_look(self, concept: Concept) -> Callable[[str], tuple[float, float]]:
        """Likeness, more if the same name answered the word elsewhere, less if it failed or is taken."""
        word = concept[1]

        def look(name: str) -> tuple[float, float]:
            value = 0.2 + likeness(word, name) + 0.6 * self.beliefs.means_elsewhere(word, name)
            if self.beliefs.is_taken(concept, name):
                value *= 0.2
            return value * self.beliefs.worth(concept, name), draw(self.salt, word, name)

        return look

    def least_certain(self, slots: Sequence[str], names: dict[str, str]) -> str:
        """The slot that is most likely wrong: slots without a name from experience come first."""

        def certainty(slot: str) -> tuple[bool, tuple[float, float]]:
            concept = self.concept(slot, names)
            return self.is_proven(slot, names), self._column_look(concept)(names[slot])

        return min(slots, key=certainty)

    # --- the way of writing it ---

    def _form(self) -> str:
        """The one that was accepted before, unless it failed just now."""
        concept = ("form", self.intent.family.name)
        forms = [form for form in self.intent.family.forms if (concept, form) not in self.wrong]
        return max(forms, key=lambda form: (self.beliefs.worth(concept, form), draw(self.salt, form)))

    def refute_form(self, form: str) -> None:
        """This way of writing it is an error here."""
        self.wrong.add((("form", self.intent.family.name), form))
