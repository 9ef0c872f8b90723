"""The effect of the hooks: prompts that were given advice beside those from which it was withheld at random."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._native import error_class
from ..answers.prompt import estimated_tokens
from ..model.episode import Episode, Step
from .journal import Journal

if TYPE_CHECKING:
    from ..memory import Memory

_Z = 1.959964
"""The 97.5% quantile of the normal distribution."""
_SAME_PROMPT_US = 120_000_000
"""How far the clock of a hook and the time of its prompt in the transcript may lie apart."""
_SHORTEST_VALUE = 6
"""Characters of an argument that are enough to recognise it in an advice."""
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Rate:
    """Repeated failures per 100 steps, with a 95% interval.

    A failure is repeated if the same tool had failed with the same class of error in an earlier prompt.
    """

    prompts: int
    steps: int
    repeated: int
    per_100: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Impact:
    """The answers of the hooks and their effect; see `impact_of`.

    `difference` is the rate with advice minus the rate without, `None` until both have steps; it is decided if its
    interval from `low` to `high` leaves out 0. `answers` were given, `used` of the `followed` ones whose next steps
    are known were used.
    """

    namespace: str
    prompts: int
    answers: int
    tokens: int
    followed: int
    used: int
    told: Rate
    withheld: Rate
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str = field(default="undecided")

    @property
    def share_used(self) -> float | None:
        """The share of the followed answers that were used; `None` without any."""
        return self.used / self.followed if self.followed else None


def impact_of(memory: Memory, journal: Journal) -> Impact:
    """Compares the prompts of a memory's namespace that were given advice with those from which it was withheld.

    A prompt belongs to the comparison if the memory had something to say at it or at a failure within it. Each entry of
    the journal is joined with the episode of its session that began at that time.
    """
    episodes = sorted(_episodes(memory), key=lambda episode: episode.started_at)
    entries = _by_session(journal)
    arms: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    prompts = answers = tokens = followed = used = 0
    seen: set[tuple[str, str]] = set()
    for episode, own in _joined(episodes, entries):
        prompts += bool(own)
        said = [entry for entry in own if entry.get("said")]
        failures = [(step.tool, error_class(step.error)) for step in episode.steps if step.error]
        if said:
            is_withheld = any(entry.get("withheld") is True for entry in own)
            arms[is_withheld].append((len(episode.steps), sum(each in seen for each in failures)))
            for entry in said if not is_withheld else ():
                answers += 1
                tokens += estimated_tokens(str(entry["said"]))
                following = _following(episode, entry)
                followed += bool(following)
                used += _is_used(entry, following)
        seen.update(failures)
    told, withheld = rate_of(arms[False]), rate_of(arms[True])
    return Impact(
        memory.namespace, prompts, answers, tokens, followed, used, told, withheld, *_compared(told, withheld)
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a prompt went on after an answer: `used` is `None` for one that was withheld or that no step followed."""

    used: bool | None
    steps: int
    failed: int
    outcome: str


def endings_of(memory: Memory, entries: Sequence[dict[str, Any]]) -> dict[int, Ending]:
    """The ending of each entry of a journal whose prompt was learned from, by the time of the entry.

    Only the newest episodes of the memory's namespace are looked at.
    """
    episodes = memory.episodes(limit=_PAGE)
    found: dict[int, Ending] = {}
    for episode, own in _joined(episodes, _grouped(entries)):
        failed = sum(1 for step in episode.steps if step.error)
        outcome = "open" if episode.outcome is None else episode.outcome.kind
        for entry in own:
            following = () if entry.get("withheld") is True else _following(episode, entry)
            used = _is_used(entry, following) if following and entry.get("said") else None
            found[int(entry["at"])] = Ending(used, len(episode.steps), failed, outcome)
    return found


def _episodes(memory: Memory) -> Iterator[Episode]:
    after: str | None = None
    while page := memory.episodes(limit=_PAGE, after=after):
        yield from page
        after = page[-1].id


def _by_session(journal: Journal) -> dict[str, list[dict[str, Any]]]:
    return _grouped(journal.newest_first())


def _grouped(found: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The entries about prompts and failures by session, oldest first."""
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in found:
        if entry.get("kind") in ("prompt", "failure") and isinstance(entry.get("at"), int):
            entries[str(entry.get("session"))].append(entry)
    return {session: sorted(found, key=lambda entry: int(entry["at"])) for session, found in entries.items()}


def _joined(
    episodes: Sequence[Episode], entries: Mapping[str, list[dict[str, Any]]]
) -> Iterator[tuple[Episode, list[dict[str, Any]]]]:
    """Each episode with the entries from its own prompt to the next one of its session."""
    starts: dict[str, list[int]] = defaultdict(list)
    for session, found in entries.items():
        starts[session] = [int(entry["at"]) for entry in found if entry.get("kind") == "prompt"]
    for episode in episodes:
        session = str(episode.metadata.get("session"))
        times = starts.get(session, [])
        place = bisect_left(times, episode.started_at - _SAME_PROMPT_US)
        near = [
            (abs(at - episode.started_at), at)
            for at in times[place:]
            if at - episode.started_at <= _SAME_PROMPT_US
        ]
        if not near:
            yield episode, []
            continue
        began = min(near)[1]
        ends = next((at for at in times if at > began), math.inf)
        yield episode, [entry for entry in entries[session] if began <= int(entry["at"]) < ends]


def _following(episode: Episode, entry: Mapping[str, Any]) -> Sequence[Step]:
    """The steps behind a prompt, or behind the failed call that an entry is about."""
    if entry.get("kind") == "prompt":
        return episode.steps
    failed = [
        number
        for number, step in enumerate(episode.steps, 1)
        if step.error and step.tool == entry.get("tool") and step.at <= int(entry["at"])
    ]
    return episode.steps[failed[-1] :] if failed else ()


def _is_used(entry: Mapping[str, Any], following: Sequence[Step]) -> bool:
    """True if a call was made that stands in the advice, or a tool that it named came right after the failure."""
    fixes = entry.get("fixes")
    if isinstance(fixes, list) and following and following[0].tool in fixes:
        return True
    said = _plain(str(entry["said"]))
    return any(_plain(text) in said for step in following for text in _arguments(step.parameters))


def _arguments(value: object) -> Iterator[str]:
    """The texts of a call's arguments that are long enough to be recognised."""
    if isinstance(value, str):
        if len(value) >= _SHORTEST_VALUE:
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _arguments(each)


def _plain(text: str) -> str:
    """A text as it may stand within JSON, within quotes or across lines."""
    return " ".join(json.dumps(text, ensure_ascii=False)[1:-1].replace("\\n", " ").replace("\\", "").split())


def rate_of(prompts: Iterable[tuple[int, int]]) -> Rate:
    """The rate of prompts with their (steps, repeated failures).

    The interval is that of a Poisson count (Byar's approximation), widened by the overdispersion of the prompts: the
    failures of one prompt are not independent.

    Example:
        >>> rate = rate_of([(50, 1), (50, 0)])
        >>> rate.per_100, round(rate.low, 1), round(rate.high, 1)
        (1.0, 0.0, 5.6)
    """
    found = [each for each in prompts if each[0]]
    steps, repeated = sum(each[0] for each in found), sum(each[1] for each in found)
    if not steps:
        return Rate(len(found), 0, 0, 0.0, 0.0, 0.0)
    spread = _overdispersion(found, repeated / steps)
    low, high = (spread * each for each in _byar(repeated / spread))
    return Rate(
        len(found), steps, repeated, 100 * repeated / steps, 100 * low / steps, min(100.0, 100 * high / steps)
    )


def _overdispersion(prompts: Sequence[tuple[int, int]], rate: float) -> float:
    """The variance of the counts by that of independent failures (Pearson), at least 1."""
    if len(prompts) < 2 or not rate:
        return 1.0
    chi_square = sum((count - rate * steps) ** 2 / (rate * steps) for steps, count in prompts)
    return max(1.0, chi_square / (len(prompts) - 1))


def _byar(count: float) -> tuple[float, float]:
    """The 95% interval of a Poisson mean (Breslow and Day 1987, p. 69)."""

    def bound(count: float, z: float) -> float:
        return count * (1 - 1 / (9 * count) + z / (3 * math.sqrt(count))) ** 3

    return (bound(count, -_Z) if count else 0.0, bound(count + 1, _Z))


def _compared(told: Rate, withheld: Rate) -> tuple[float | None, float | None, float | None, str]:
    """The difference of two rates with its interval, from those of the rates (Newcombe 1998, method 10)."""
    if not (told.steps and withheld.steps):
        return None, None, None, "undecided"
    difference = told.per_100 - withheld.per_100
    low = difference - math.hypot(told.per_100 - told.low, withheld.high - withheld.per_100)
    high = difference + math.hypot(told.high - told.per_100, withheld.per_100 - withheld.low)
    verdict = "fewer" if high < 0 else "more" if low > 0 else "undecided"
    return difference, low, high, verdict
