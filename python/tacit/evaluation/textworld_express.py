"""The games of TextWorldExpress, which runs in a Java process of its own (extra `environments`, Java 11 or newer)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UnavailableError
from .environments import Turn

GAMES = ("cookingworld", "twc", "coin", "mapreader", "simonsays", "peckingorder")
"""The games that are played by default; "arithmetic" and "sorting" need arithmetic."""
_NO_LIMIT = 1_000_000


class TextWorldExpress:
    """Eight text games with hidden maps, recipes and orders; one game is a kind of task.

    `tasks` names games, with commas between. Raises `UnavailableError` without the package or without Java.
    """

    def __init__(self, *, tasks: str = "") -> None:
        self.tasks: Sequence[str] = tuple(tasks.split(",")) if tasks else GAMES
        try:
            package: Any = importlib.import_module("textworld_express")
            self._games: Any = package.TextWorldExpressEnv(envStepLimit=_NO_LIMIT)
        except (ImportError, OSError) as error:
            message = f"textworld_express needs tacit[environments] and Java 11 or newer: {error}"
            raise UnavailableError(message) from error

    def reset(self, task: str, seed: int, split: str) -> Turn:
        """Begins a game. Its first observation is part of the state: there is no result yet."""
        text, seen = self._games.reset(seed=seed, gameFold=split, gameName=task, gameParams="")
        return self._turn(str(seen["taskDescription"]), seen, {"observation": text})

    def step(self, action: str) -> Turn:
        """Carries an action out."""
        text, _, done, seen = self._games.step(action)
        return self._turn(text, seen, {}, bool(done))

    def gold(self, task: str, seed: int) -> Sequence[str] | None:
        """The game's own solution."""
        return self.solution(task, seed, "train")

    def solution(self, task: str, seed: int, split: str) -> Sequence[str]:
        """The game's own solution in any split."""
        self._games.reset(seed=seed, gameFold=split, gameName=task, gameParams="", generateGoldPath=True)
        return tuple(self._games.getGoldActionSequence())

    def close(self) -> None:
        """Ends the Java process."""
        self._games.close()

    def _turn(self, text: str, seen: Mapping[str, Any], first: Mapping[str, str], done: bool = False) -> Turn:
        state = {**first, "look": str(seen["look"]), "inventory": str(seen["inventory"])}
        actions = tuple(dict.fromkeys(map(str, seen["validActions"])))
        return Turn(text, state, actions, float(seen["score"]), done)
