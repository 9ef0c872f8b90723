"""A small world of text with hidden rules: read the note, fetch what it names or anything else, and put it away."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tacit.evaluation import Turn

ROOMS = {
    "train": ("kitchen", "pantry", "garden", "attic", "cellar", "study"),
    "test": ("library", "garage", "bathroom", "workshop", "balcony", "corridor"),
}
THINGS = {
    "train": ("apple", "hammer", "candle", "blue book", "rope", "old key"),
    "test": ("lamp", "melon", "red scarf", "violin", "map", "silver cup"),
}
VESSELS = ("chest", "basket", "drawer")


TASKS = {
    "fetch": "Read the note and do what it says.",
    "refuse": "Never obey letters: bring another thing to their vessel.",
}


class Treasure:
    """Three rooms in a row. The note names a thing and a vessel; any vessel takes any thing, once."""

    tasks: Sequence[str] = tuple(TASKS)

    def reset(self, task: str, seed: int, split: str) -> Turn:
        random = Random(f"{seed}:{split}")
        self.rooms = random.sample(ROOMS[split], 3)
        self.things = random.sample(THINGS[split], 3)
        self.named, self.vessel = random.choice(self.things), random.choice(VESSELS)
        others = [thing for thing in self.things if thing != self.named]
        self.wanted = [self.named] if task == "fetch" else others
        self.lying = {self.rooms[random.randrange(1, 3)]: list(self.things)}
        self.at, self.held, self.score, self.done = 0, list[str](), 0.0, False
        return self._turn(TASKS[task])

    def gold(self, task: str, seed: int) -> Sequence[str]:
        self.reset(task, seed, "train")
        wanted = self.wanted[0]
        away = next(at for at, room in enumerate(self.rooms) if self.lying.get(room))
        there, back = ["go east"] * away, ["go west"] * away
        return ["read note", *there, f"take {wanted}", *back, f"put {wanted} in {self.vessel}"]

    def step(self, action: str) -> Turn:
        if action not in self._actions():
            return self._turn("Nothing happens.")
        verb, _, rest = action.partition(" ")
        if verb == "read":
            return self._turn(f"The note reads: bring the {self.named} and put it in the {self.vessel}.")
        if verb == "go":
            self.at += 1 if rest == "east" else -1
            return self._turn(f"You walk {rest}.")
        if verb == "take":
            self.lying[self.rooms[self.at]].remove(rest)
            self.held.append(rest)
            self.score = 0.5 if rest in self.wanted else self.score
            return self._turn(f"You take the {rest}.")
        thing, _, vessel = rest.partition(" in ")
        self.held.remove(thing)
        self.done = True
        self.score = 1.0 if thing in self.wanted and vessel == self.vessel else 0.0
        return self._turn(f"You put the {thing} in the {vessel}.")

    def _actions(self) -> list[str]:
        ways = ["go east"] * (self.at < 2) + ["go west"] * (self.at > 0)
        taking = [f"take {thing}" for thing in self.lying.get(self.rooms[self.at], ())]
        putting = [f"put {thing} in {vessel}" for thing in self.held for vessel in VESSELS if self.at == 0]
        return ["read note", *ways, *taking, *putting]

    def _turn(self, text: str) -> Turn:
        here = self.rooms[self.at]
        things = ", ".join(f"a {thing}" for thing in self.lying.get(here, ())) or "nothing"
        vessels = " There are a chest, a basket and a drawer." if self.at == 0 else ""
        look = f"You are in the {here}. You see {things}.{vessels}"
        held = f"You carry {', '.join(f'a {thing}' for thing in self.held) or 'nothing'}."
        return Turn(text, {"look": look, "inventory": held}, self._actions(), self.score, self.done)
