"""A small scripted agent: it reads a question, explores a strange database, and answers in SQL.

It knows English (`language.understand`), SQL templates (the forms of the families) and the usual making of legacy
names (`guessing`). Its knowledge of a schema comes from its tools in this attempt, or from its adviser.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from .advice import Adviser, words_of
from .guessing import spellings
from .language import Intent, understand
from .planning import Plan, Planner
from .tools import Result, ToolBox

SPARED = 3
"""Steps that are not spent on looking further: a query, a second one after a mistake, the submission."""


def act(question: str, tools: ToolBox, adviser: Adviser, salt: int) -> None:
    """Works at a question until an answer is submitted or the steps are used up.

    `salt` settles the agent's undecided choices: equal salts and equal advice lead to equal steps.
    """
    intent = understand(question)
    if intent is not None:
        attempt = _Attempt(question, intent, tools, adviser, salt)
        attempt.remember()
        attempt.work()


class _Attempt:
    """One question on its way to an answer."""

    def __init__(self, question: str, intent: Intent, tools: ToolBox, adviser: Adviser, salt: int) -> None:
        self.question = question
        self.intent = intent
        self.tools = tools
        self.adviser = adviser
        self.planner = Planner(intent, salt)
        self.rng = Random(salt)
        self.spelled: set[str] = set()
        self.rows: Sequence[Any] | None = None

    def remember(self) -> None:
        """Asks for experience with the question, then with those of its words that this left open."""
        self._ask(self.question)
        slots = self.intent.family.slots
        for table in self.intent.family.tables:
            names = self.planner.plan(may_look=True).names
            about = [table, *(slot for slot in slots if slots[slot].of == table)]
            if not all(self.planner.is_proven(slot, names) for slot in about):
                self._ask(words_of(self.intent, about))

    def _ask(self, about: str) -> None:
        beliefs = self.planner.beliefs
        beliefs.hear(self.adviser.advise(about))
        self.planner.tables |= beliefs.tables
        self.planner.has_list |= beliefs.has_list
        self.planner.columns = {**beliefs.columns, **self.planner.columns}

    def work(self) -> None:
        """Looks until there is something to ask, asks, and submits the first answer that says anything."""
        while self.tools.left > 1 and self.rows is None and self._turn():
            pass
        if self.rows is not None:
            self.tools.submit(self.rows)

    def _turn(self) -> bool:
        """Takes one or two steps; False if nothing is left to be done."""
        plan = self.planner.plan(may_look=self.tools.left > SPARED)
        missing = plan.missing(self.intent)
        if missing is None:
            return self._query(plan)
        table = self.intent.family.slots[missing].of or missing
        if table in plan.names:
            return self._look_into(plan, table)
        return self._look_around(plan, table)

    # --- looking ---

    def _look_into(self, plan: Plan, slot: str) -> bool:
        """Handles a missing column: looks at the table, and drops it if no column is left to try."""
        table = plan.names[slot]
        if table in self.planner.columns:
            self.planner.refute(slot, plan.names)
        else:
            self._describe(table)
        return True

    def _look_around(self, plan: Plan, slot: str) -> bool:
        table = self.planner.unseen(slot, plan.ranked[slot])
        if table is not None:
            self._describe(table)
            return True
        return not self.planner.has_list and self._move(slot, after=None)

    def _list_tables(self) -> None:
        self.planner.saw_tables(self.tools.list_tables().output)

    def _describe(self, table: str) -> Result:
        result = self.tools.describe(table)
        self.planner.saw_columns(table, dict(result.output or {}))
        return result

    def _move(self, slot: str, *, after: str | None, error: str | None = None) -> bool:
        """Not all tables are known: the move that worked before in this place, or any that comes to mind."""
        guesses = [name for name in spellings(self.intent.word(slot)) if name not in self.spelled]
        tools = ["list_tables", *(["query", "describe"] if guesses else [])]
        tool = self._choose(tools, after, error)
        if tool == "list_tables":
            self._list_tables()
            return True
        return self._try(guesses[0], tool, slot)

    def _choose(self, tools: Sequence[str], after: str | None, error: str | None) -> str:
        """The tool with the most successes here; any of them without experience."""
        undecided = self.rng.choice(tools)
        worth = {tool: self.planner.beliefs.success_of(tool, after=after, error=error) for tool in tools}
        if not any(worth.values()):
            return undecided
        return max(
            tools, key=lambda tool: (worth[tool] if worth[tool] is not None else 0.5, tool == undecided)
        )

    def _try(self, table: str, tool: str, slot: str) -> bool:
        """A table by the name one would give it."""
        self.spelled.add(table)
        if tool == "describe":
            result = self.tools.describe(table)
        else:
            result = self.tools.query(f"SELECT * FROM {table} LIMIT 1")
        if result.error is None:
            self.planner.tables.add(table)
            if tool == "describe":
                self.planner.saw_columns(table, dict(result.output))
            return True
        if self.tools.left <= SPARED:
            return False
        self._ask(self.question)
        return self._move(slot, after=tool, error=result.error)

    # --- asking ---

    def _query(self, plan: Plan) -> bool:
        result = self.tools.query(self.intent.write(plan.form, plan.names))
        if result.error is not None:
            self._take_back(result.error, plan)
        elif _says_something(result.output) or self.tools.left < SPARED:
            self.rows = result.output
        else:
            self._doubt(plan)
        return True

    def _take_back(self, error: str, plan: Plan) -> None:
        """Takes in the engine's error message."""
        if error.startswith("ambiguous"):
            self.planner.refute_form(plan.form)
            return
        missing = error.rpartition(":")[2].strip().rpartition(".")[2]
        blamed = [slot for slot, name in plan.names.items() if name == missing] or [*plan.names][:1]
        for slot in blamed:
            self.planner.refute(slot, plan.names)

    def _doubt(self, plan: Plan) -> None:
        """Handles an empty answer: of the names that choose the rows, the least certain one is wrong, or the table
        is.

        Experience says which of the two to suspect first.
        """
        slots, names = self.intent.family.slots, plan.names
        deciding = [slot for slot in ("attribute", "name", "link", "key") if slot in names]
        blamed = self.planner.least_certain(deciding, names) if deciding else "thing"
        table = slots[blamed].of or blamed
        if (
            self._may_look_elsewhere(plan, table)
            and self._choose(["query", "describe"], "query", None) == "describe"
        ):
            blamed = table
        self.planner.refute(blamed, names)

    def _may_look_elsewhere(self, plan: Plan, table: str) -> bool:
        unseen = any(name not in self.planner.columns for name in plan.ranked[table])
        return (
            (unseen or not self.planner.has_list)
            and self.tools.left > SPARED
            and not self.planner.is_proven(table, plan.names)
        )


def _says_something(rows: Iterable[Sequence[Any]]) -> bool:
    return any(value not in (None, 0) for row in rows for value in row)
