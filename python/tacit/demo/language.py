"""The questions of the demo, and the SQL that answers each once its names are known.

A family pairs phrasings with SQL in which every name of a table or column is a slot. It says nothing of any schema:
the judge fills it from the truth, the agent from experience.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .vocabulary import NOUNS, plural

Kind: TypeAlias = Literal["table", "text", "number", "key"]

_PLACE = re.compile(r"\{(\w+)\}")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SINGULAR = {plural(noun.word): noun.word for noun in NOUNS}


@dataclass(frozen=True, slots=True)
class Slot:
    """A name that a query needs: of a table, or of a column of the table in the slot `of`.

    `word` is the part of the question that the name stands for, or a plain word ("name", "number").
    """

    kind: Kind
    word: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Questions that the same SQL answers; `forms` are ways of writing it, by name."""

    name: str
    phrasings: tuple[str, ...]
    forms: Mapping[str, str]
    slots: Mapping[str, Slot]
    weight: int = 2

    @property
    def tables(self) -> tuple[str, ...]:
        """The slots that are tables."""
        return tuple(name for name, slot in self.slots.items() if slot.kind == "table")

    @property
    def columns(self) -> tuple[str, ...]:
        """The slots that are columns."""
        return tuple(name for name, slot in self.slots.items() if slot.kind != "table")


@dataclass(frozen=True, slots=True)
class Intent:
    """A question as it was understood: its family and the content of its places ("thing" -> "order", "value" ->
    "'open'").
    """

    family: Family
    places: Mapping[str, str]

    def word(self, slot: str) -> str:
        """The concept that the slot's name stands for."""
        word = self.family.slots[slot].word
        return self.places.get(word, word)

    def concept(self, slot: str) -> tuple[str, ...]:
        """The knowledge that fills the slot: equal for equal words in every question."""
        of = self.family.slots[slot].of
        return (self.places[of], self.word(slot)) if of else (self.word(slot),)

    def write(self, form: str, names: Mapping[str, str]) -> str:
        """The SQL, its slots filled with `names` and its values with the question's."""
        return self.family.forms[form].format_map({**self.places, **names})


_THING = Slot("table", "thing")
_OWNER = Slot("table", "owner")
_LINK = Slot("key", "owner", of="thing")
_KEY = Slot("key", "number", of="owner")
_OWNER_NAME = Slot("text", "name", of="owner")
_JOINED = "FROM {thing} a JOIN {owner} b ON a.{link} = b.{key}"
_PLAIN = "FROM {thing} JOIN {owner} ON {link} = {key}"


def _family(name: str, phrasings: tuple[str, ...], sql: str, /, **slots: Slot) -> Family:
    return Family(name, phrasings, {"simple": sql}, {"thing": _THING, **slots})


def _joining(name: str, phrasings: tuple[str, ...], sql: str, /, **slots: Slot) -> Family:
    """Two tables; `sql` prefixes each column with the letter of its table, the plain form does not."""
    plain = sql.replace(_JOINED, _PLAIN).replace("a.", "").replace("b.", "")
    shared = {"thing": _THING, "owner": _OWNER, "link": _LINK, "key": _KEY}
    return Family(name, phrasings, {"plain": plain, "qualified": sql}, {**shared, **slots})


FAMILIES = (
    _family(
        "count",
        ("How many {thing:s} have the {attribute} {value}?", "Count the {thing:s} whose {attribute} is {value}."),
        "SELECT COUNT(*) FROM {thing} WHERE {attribute} = {value}",
        attribute=Slot("text", "attribute", of="thing"),
    ),
    _family(
        "over",
        ("How many {thing:s} have {measure} over {limit}?", "Count the {thing:s} with {measure} above {limit}."),
        "SELECT COUNT(*) FROM {thing} WHERE {measure} > {limit}",
        measure=Slot("number", "measure", of="thing"),
    ),
    _family(
        "total",
        ("What is the total {measure} of the {thing:s} with {attribute} {value}?",),
        "SELECT SUM({measure}) FROM {thing} WHERE {attribute} = {value}",
        measure=Slot("number", "measure", of="thing"),
        attribute=Slot("text", "attribute", of="thing"),
    ),
    _family(
        "lookup",
        ("What is the {measure} of the {thing} {value}?", "Tell me the {measure} of the {thing} called {value}."),
        "SELECT {measure} FROM {thing} WHERE {name} = {value}",
        measure=Slot("number", "measure", of="thing"),
        name=Slot("text", "name", of="thing"),
    ),
    _family(
        "commonest",
        ("Which {attribute} do most {thing:s} with {measure} under {limit} have?",),
        "SELECT {attribute} FROM {thing} WHERE {measure} < {limit} GROUP BY {attribute} ORDER BY COUNT(*) DESC LIMIT 1",
        attribute=Slot("text", "attribute", of="thing"),
        measure=Slot("number", "measure", of="thing"),
    ),
    _family(
        "top",
        ("Which {limit} {thing:s} with {attribute} {value} have the highest {measure}?",),
        "SELECT {name} FROM {thing} WHERE {attribute} = {value} ORDER BY {measure} DESC LIMIT {limit}",
        measure=Slot("number", "measure", of="thing"),
        attribute=Slot("text", "attribute", of="thing"),
        name=Slot("text", "name", of="thing"),
    ),
    _joining(
        "belonging",
        ("How many {thing:s} belong to the {owner} {value}?", "Count the {thing:s} of the {owner} {value}."),
        f"SELECT COUNT(*) {_JOINED} WHERE b.{{name}} = {{value}}",
        name=_OWNER_NAME,
    ),
    _joining(
        "total_belonging",
        ("What do the {thing:s} of the {owner} {value} add up to in {measure}?",),
        f"SELECT SUM(a.{{measure}}) {_JOINED} WHERE b.{{name}} = {{value}}",
        measure=Slot("number", "measure", of="thing"),
        name=_OWNER_NAME,
    ),
    _joining(
        "largest_owner",
        ("Which {owner} has the highest total {measure} of {thing:s} with {attribute} {value}?",),
        f"SELECT b.{{name}} {_JOINED} WHERE a.{{attribute}} = {{value}}"
        " GROUP BY b.{name} ORDER BY SUM(a.{measure}) DESC LIMIT 1",
        measure=Slot("number", "measure", of="thing"),
        attribute=Slot("text", "attribute", of="thing"),
        name=_OWNER_NAME,
    ),
)  # fmt: skip


def say(phrasing: str, places: Mapping[str, str]) -> str:
    """The question in words."""
    plurals = {place: plural(word) for place, word in places.items()}
    filled = re.sub(r"\{(\w+):s\}", lambda match: plurals[match[1]], phrasing)
    return filled.format_map(places)


def understand(question: str) -> Intent | None:
    """The question's family and places; `None` for an unknown phrasing."""
    for family, pattern in _PHRASINGS:
        if match := pattern.fullmatch(question):
            places = {place: _SINGULAR.get(word, word) for place, word in match.groupdict().items()}
            return Intent(family, places)
    return None


def read_back(intent: Intent, sql: str) -> tuple[str, dict[str, str]] | None:
    """The form and the names that fill the slots in SQL that was written for such a question."""
    for form, pattern in _FORMS[intent.family.name].items():
        if match := pattern.fullmatch(sql):
            return form, {slot: match[slot] for slot in intent.family.slots}
    return None


def _pattern(template: str, part: Mapping[str, str]) -> re.Pattern[str]:
    """A regular expression that finds the fillings of `template` in a text; a repeated place must be equal."""
    seen: set[str] = set()
    out = []
    for place, plain in _split(template):
        out.append(re.escape(plain))
        if place in seen:
            out.append(f"(?P={place})")
        elif place:
            seen.add(place)
            out.append(f"(?P<{place}>{part.get(place, _NAME)})")
    return re.compile("".join(out))


def _split(template: str) -> list[tuple[str, str]]:
    """Each place with the plain text before it; the text after the last one stands with no place."""
    pieces = _PLACE.split(template.replace(":s}", "}"))
    return list(zip([*pieces[1::2], ""], pieces[0::2], strict=True))


_LITERALS = {"value": r"'(?:[^']|'')*'", "limit": r"-?\d+(?:\.\d+)?"}
_PHRASINGS = [
    (family, _pattern(phrasing, {**_LITERALS, "thing": "[a-z]+", "owner": "[a-z]+"}))
    for family in FAMILIES
    for phrasing in family.phrasings
]
_FORMS = {
    family.name: {form: _pattern(sql, _LITERALS) for form, sql in family.forms.items()} for family in FAMILIES
}
