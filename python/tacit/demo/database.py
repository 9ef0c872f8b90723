"""A database that nobody remembers the design of, and questions about it: both a pure function of a seed."""

from __future__ import annotations

import json
import math
import random
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .language import FAMILIES, Family, Intent, say
from .vocabulary import NOUNS, SYLLABLES, SYNONYMS, VALUES, Noun, plural

TABLES = 15
STALE = 2
"""How many tables bear a good name and are an old copy."""
_ROWS = (60, 140)
_SUFFIXES = ("mst", "hd", "tab", "dat", "reg", "all")
_MANNERS = {
    "table": {"shortened": 6, "synonym": 2, "code": 2},
    "column": {"shortened": 7, "synonym": 2, "code": 1},
    "key": {"shortened": 6, "synonym": 2, "code": 2},
}
"""How many of ten names still show the word that they stand for, show another word for it, or show nothing."""
_CODES = "bcdfghkmpqvwz"
_VOWELS = re.compile("[aeiou]")


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its true answer, which only the judge sees."""

    number: int
    text: str
    family: str
    joins: bool
    answer: str


@dataclass(slots=True)
class _Table:
    """The table of a noun, and the names of its attributes there."""

    noun: Noun
    name: str
    columns: dict[str, str] = field(default_factory=dict)
    owner: str | None = None
    keys: list[int] = field(default_factory=list)


class Database:
    """A SQLite database in memory, its tables and columns named as decades of maintenance left them.

    Equal seeds give equal databases and equal questions.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._engine = sqlite3.connect(":memory:")
        self._tables = _Builder(random.Random(f"schema {seed}"), self._engine).build()
        self._engine.execute("PRAGMA query_only = ON")

    def execute(self, sql: str, limit: int = 20) -> list[list[Any]]:
        """The first rows of a query. Raises `sqlite3.Error` as the engine does."""
        return [list(row) for row in self._engine.execute(sql).fetchmany(limit)]

    def table_names(self) -> list[str]:
        """Every table's name, sorted."""
        return [name for (name,) in self._engine.execute("SELECT name FROM sqlite_master ORDER BY name")]

    def columns(self, table: str) -> list[list[str]]:
        """The names and types of a table's columns. Raises `sqlite3.OperationalError` for an unknown table."""
        self._engine.execute(f'SELECT * FROM "{table}" LIMIT 0')
        return [
            list(row) for row in self._engine.execute("SELECT name, type FROM pragma_table_info(?)", [table])
        ]

    def questions(self, count: int) -> Iterator[Question]:
        """Questions with one non-empty answer, none of them twice."""
        rng = random.Random(f"questions {self.seed}")
        families = [family for family in FAMILIES for _ in range(family.weight)]
        asked: set[str] = set()
        while len(asked) < count:
            family = rng.choice(families)
            drawn = self._draw(family, rng)
            if drawn is not None and drawn[0] not in asked:
                asked.add(drawn[0])
                yield Question(len(asked), drawn[0], family.name, len(family.tables) > 1, drawn[1])

    def _draw(self, family: Family, rng: random.Random) -> tuple[str, str] | None:
        """A question of the family with its answer; `None` if the drawn one has no clear answer."""
        places = self._draw_nouns(family, rng)
        intent = Intent(family, places)
        names = {slot: self._true_name(intent, slot) for slot in family.slots}
        places.update(self._draw_literals(family, names, rng))
        form = list(family.forms)[-1]
        rows = self.execute(intent.write(form, names))
        if not _is_clear(rows) or not self._has_one_answer(intent, form, names, rows):
            return None
        return say(rng.choice(family.phrasings), places), normalised(rows)

    def _draw_nouns(self, family: Family, rng: random.Random) -> dict[str, str]:
        joins = len(family.tables) > 1
        thing = rng.choice([table for table in self._tables.values() if table.owner or not joins])
        places = {"thing": thing.noun.word}
        if joins and thing.owner:
            places["owner"] = thing.owner
        if "attribute" in family.slots:
            places["attribute"] = rng.choice([word for word in thing.noun.texts if word in thing.columns])
        if "measure" in family.slots:
            places["measure"] = rng.choice([word for word in thing.noun.numbers if word in thing.columns])
        return places

    def _true_name(self, intent: Intent, slot: str) -> str:
        of = intent.family.slots[slot].of
        if not of:
            return self._tables[intent.word(slot)].name
        return self._tables[intent.places[of]].columns[intent.word(slot)]

    def _draw_literals(self, family: Family, names: dict[str, str], rng: random.Random) -> dict[str, str]:
        """A value in the table, and a limit that leaves rows on either side, if the question needs them."""
        literals: dict[str, str] = {}
        if any("{value}" in phrasing for phrasing in family.phrasings):
            of = "attribute" if "attribute" in names else "name"
            value = rng.choice(self._values(names[family.slots[of].of], names[of]))
            literals["value"] = f"'{value}'"
        if family.name == "top":
            literals["limit"] = str(rng.randint(2, 4))
        elif any("{limit}" in phrasing for phrasing in family.phrasings):
            values = sorted(self._values(names["thing"], names["measure"]))
            literals["limit"] = str(int(rng.choice(values[len(values) // 4 : -len(values) // 4])))
        return literals

    def _values(self, table: str, column: str) -> list[Any]:
        return [
            value for (value,) in self._engine.execute(f"SELECT DISTINCT {column} FROM {table} ORDER BY 1")
        ]

    def _has_one_answer(
        self, intent: Intent, form: str, names: dict[str, str], rows: list[list[Any]]
    ) -> bool:
        """True if the answer does not depend on the order of ties."""
        sql = intent.write(form, names)
        if "ORDER BY" not in sql:
            return True
        other_way = self.execute(sql.replace(" DESC", " DESC, 1 DESC"))
        return rows == other_way == self.execute(sql.replace(" DESC", " DESC, 1 ASC"))

    def close(self) -> None:
        """Closes the engine."""
        self._engine.close()


def judge(question: Question, answer: Sequence[Any]) -> bool:
    """True for an answer with the true rows, in their order."""
    return normalised(answer) == question.answer


def normalised(rows: Sequence[Any]) -> str:
    """Rows as one text that is equal for equal answers: 6 significant digits of a number."""
    return json.dumps([[_rounded(value) for value in row] for row in rows])


def _rounded(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, int | float) and math.isfinite(value) else value


def _is_clear(rows: list[list[Any]]) -> bool:
    return bool(rows) and all(value not in (None, 0, 0.0) for row in rows for value in row)


class _Builder:
    """Draws the names and the rows."""

    def __init__(self, rng: random.Random, engine: sqlite3.Connection) -> None:
        self.rng = rng
        self.engine = engine
        self.prefix = rng.choice(["t_", "x_", "fw_", "p1_", ""])
        self.shared_name = f"{rng.choice(['bez', 'dsc', 'txt', 'lbl'])}_{rng.choice('0123456789')}"
        self.taken: set[str] = set()
        self.decks: dict[str, list[str]] = defaultdict(list)

    def build(self) -> dict[str, _Table]:
        tables = {noun.word: self._name(noun) for noun in self._nouns()}
        for table in tables.values():
            owners = [word for word in table.noun.owners if word in tables]
            table.owner = self.rng.choice(owners) if owners else None
            self._name_columns(table)
            table.keys = self._draw_keys()
        for table in tables.values():
            self._create(table, tables)
        for word in self.rng.sample(sorted(tables), STALE):
            self._leave_a_stale_copy(tables[word])
        self.engine.commit()
        return tables

    def _nouns(self) -> list[Noun]:
        return sorted(self.rng.sample(NOUNS, TABLES), key=lambda noun: noun.word)

    def _name(self, noun: Noun) -> _Table:
        body = self._called(noun.word, noun.synonyms, "table")
        return _Table(noun, self._untaken(f"{self.prefix}{body}", _SUFFIXES, self.taken))

    def _name_columns(self, table: _Table) -> None:
        taken: set[str] = set()
        noun = table.noun
        words = [*self.rng.sample(noun.texts, 3), *self.rng.sample(noun.numbers, 2)]
        for word in words:
            body = self._called(word, SYNONYMS[word], "column")
            table.columns[word] = self._untaken(body, "0123456789", taken)
        is_shared = self.rng.random() < 0.6
        name = self.shared_name if is_shared else f"{self._called('name', SYNONYMS['name'], 'key')}_n"
        taken.add(name)
        table.columns["name"] = name
        table.columns["number"] = self._untaken(
            self._called("number", SYNONYMS["number"], "key"), "kx", taken
        )
        if table.owner:
            self._name_the_reference(table, taken)

    def _name_the_reference(self, table: _Table, taken: set[str]) -> None:
        owner = next(noun for noun in NOUNS if noun.word == table.owner)
        body = self._called(owner.word, owner.synonyms, "key")
        table.columns[owner.word] = self._untaken(body, ("ref", "of", "no"), taken)

    def _called(self, word: str, synonyms: Sequence[str], deck: str) -> str:
        """An abbreviation of the word, another word for it, or a code."""
        manner = self._draw_manner(deck)
        if manner == "shortened":
            return self._shortened(word)
        if manner == "synonym":
            return self._shortened(self.rng.choice(synonyms))
        return f"{self.rng.choice(_CODES)}{self.rng.choice(_CODES)}{self.rng.randint(10, 99)}"

    def _draw_manner(self, deck: str) -> str:
        """Draws from a deck of ten that is shuffled again when it is used up, so that no seed is all luck or none."""
        if not self.decks[deck]:
            cards = [manner for manner, cards in _MANNERS[deck].items() for _ in range(cards)]
            self.decks[deck] = self.rng.sample(cards, len(cards))
        return self.decks[deck].pop()

    def _shortened(self, word: str) -> str:
        skeleton = word[0] + _VOWELS.sub("", word[1:])
        return self.rng.choice([word[:4], skeleton[: max(3, len(skeleton) - 1)], skeleton])

    def _untaken(self, body: str, suffixes: Sequence[str], taken: set[str]) -> str:
        free = [name for suffix in suffixes if (name := f"{body}_{suffix}") not in taken]
        name = self.rng.choice(free)
        taken.add(name)
        return name

    def _draw_keys(self) -> list[int]:
        first = self.rng.randrange(1_000, 90_000, 500)
        return self.rng.sample(range(first, first + 400), self.rng.randint(*_ROWS))

    def _create(self, table: _Table, tables: dict[str, _Table]) -> None:
        """The table with its rows; a row counter that refers to nothing stands among its columns."""
        values = self._rows(table, tables)
        columns = ["lfd", *table.columns.values()]
        order = self.rng.sample(range(len(columns)), len(columns))
        rows = [[row[place] for place in order] for row in values]
        kinds = [_type_of(rows, place) for place in range(len(order))]
        described = ", ".join(f"{columns[place]} {kind}" for place, kind in zip(order, kinds, strict=True))
        self._insert(table.name, described, rows)

    def _rows(self, table: _Table, tables: dict[str, _Table]) -> list[list[Any]]:
        makers = [self._maker(table, word, tables) for word in table.columns]
        return [
            [number, *(maker[number - 1] for maker in makers)] for number in range(1, len(table.keys) + 1)
        ]

    def _maker(self, table: _Table, word: str, tables: dict[str, _Table]) -> list[Any]:
        """A column's values, one a row."""
        count = len(table.keys)
        if word == "number":
            return table.keys
        if word == "name":
            return self._proper_names(count)
        if word in VALUES:
            several = self.rng.sample(VALUES[word], max(3, len(VALUES[word]) - 2))
            return self.rng.choices(several, k=count)
        if word in tables:
            return self.rng.choices(tables[word].keys, k=count)
        return self._amounts(count)

    def _proper_names(self, count: int) -> list[str]:
        several = [
            first + second + third for first in SYLLABLES for second in SYLLABLES for third in ("", "a")
        ]
        return [name.capitalize() for name in self.rng.sample(several, count)]

    def _amounts(self, count: int) -> list[Any]:
        most = self.rng.choice([50, 400, 5_000])
        if self.rng.random() < 0.5:
            return [self.rng.randint(1, most) for _ in range(count)]
        return [round(self.rng.uniform(1, most), 2) for _ in range(count)]

    def _leave_a_stale_copy(self, table: _Table) -> None:
        """A table with the obvious name, plain column names and old rows."""
        columns = [("name", "TEXT")]
        columns += [(word, "TEXT") for word in table.noun.texts if word in table.columns]
        columns += [(word, "REAL") for word in table.noun.numbers if word in table.columns]
        count = len(table.keys) // 2
        values = [self._maker(table, word, {})[:count] for word, _ in columns]
        described = ", ".join(f"{word} {kind}" for word, kind in columns)
        self._insert(plural(table.noun.word), described, list(zip(*values, strict=True)))

    def _insert(self, table: str, described: str, rows: Sequence[Sequence[Any]]) -> None:
        self.engine.execute(f"CREATE TABLE {table} ({described})")
        places = ", ".join("?" * len(rows[0]))
        self.engine.executemany(f"INSERT INTO {table} VALUES ({places})", rows)


def _type_of(rows: list[list[Any]], place: int) -> str:
    kinds = {type(row[place]) for row in rows}
    return "TEXT" if str in kinds else "REAL" if float in kinds else "INTEGER"
