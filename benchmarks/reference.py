"""The yardsticks: the same operation in NumPy or plain Python, as a careful reader would write it."""

from __future__ import annotations

import itertools
import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tacit._native import HashedEmbedder


def top_k(
    query: NDArray[np.float32], matrix: NDArray[np.float32], *, k: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The `k` rows of `matrix` most like the unit vector `query`, best first, with their scores."""
    scores = matrix @ query
    best = np.argpartition(scores, -k)[-k:]
    best = best[np.argsort(-scores[best])]
    return best, scores[best]


class JsonRows:
    """The least a durable log can do: one JSON row a commit, write-ahead log, synchronous=FULL."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=FULL")
        self.database.execute("CREATE TABLE episode (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        self.close = self.database.close

    def record(self, task: str, steps: list[dict[str, Any]]) -> None:
        """One episode, durable when it returns."""
        body = json.dumps({"task": task, "steps": steps, "outcome": "success"})
        self.database.execute("INSERT INTO episode (body) VALUES (?)", (body,))


def log_as_json(steps: list[dict[str, Any]]) -> list[str]:
    """Each step encoded and kept."""
    return [json.dumps(step) for step in steps]


class NearestRows:
    """Rows in sqlite beside one matrix of their vectors: a careful afternoon's work."""

    def __init__(self, texts: list[str], dimension: int = 384) -> None:
        self.embedder = HashedEmbedder(dimension=dimension)
        self.matrix = np.asarray(self.embedder.embed(texts))
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE TABLE episode (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        bodies = ((number, json.dumps({"task": text})) for number, text in enumerate(texts))
        self.database.executemany("INSERT INTO episode VALUES (?, ?)", bodies)

    def nearest(self, text: str, k: int) -> list[tuple[float, dict[str, Any]]]:
        """The `k` rows most like the text, with their scores."""
        best, scores = top_k(self.embedder.embed([text])[0], self.matrix, k=k)
        return [(float(score), self.row(int(number))) for number, score in zip(best, scores, strict=True)]

    def row(self, number: int) -> dict[str, Any]:
        (body,) = self.database.execute("SELECT body FROM episode WHERE id = ?", (number,)).fetchone()
        return dict(json.loads(body))


def ngram_counts(
    symbols: NDArray[np.uint64], offsets: NDArray[np.uint64], shortest: int, longest: int
) -> NDArray[np.intp]:
    """How often each run of `shortest` to `longest` symbols occurs, of at most 64 different symbols."""
    _, numbers = np.unique(symbols, return_inverse=True)
    sequence = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets).astype(np.intp))
    runs, counts = numbers.astype(np.uint64), []
    for length in range(2, longest + 1):
        runs = runs[:-1] * np.uint64(64) + numbers[length - 1 :].astype(np.uint64)
        if length >= shortest:
            within = sequence[: len(runs)] == sequence[length - 1 :]
            counts.append(np.unique(runs[within], return_counts=True)[1])
    return np.concatenate(counts)


def ngram_counter(sequences: list[list[int]], shortest: int, longest: int) -> Counter[tuple[int, ...]]:
    """Each run of `shortest` to `longest` symbols and how often it occurs."""
    counter: Counter[tuple[int, ...]] = Counter()
    for sequence in sequences:
        for length in range(shortest, longest + 1):
            counter.update(zip(*(sequence[at:] for at in range(length)), strict=False))
    return counter


class LockedBreaker:
    """A circuit breaker as one writes it by hand: a lock, a count of failures, and figures."""

    def __init__(self, failures_to_open: int = 5, open_for_s: float = 30.0) -> None:
        self.lock = threading.Lock()
        self.failures_to_open = failures_to_open
        self.open_for_s = open_for_s
        self.failures = self.calls = self.rejected = 0
        self.open_until = 0.0

    def admit(self) -> None:
        with self.lock:
            if self.failures >= self.failures_to_open and time.monotonic() < self.open_until:
                self.rejected += 1
                raise ConnectionError("open")
            self.calls += 1

    def succeeded(self) -> None:
        with self.lock:
            self.failures = 0

    def failed(self) -> None:
        with self.lock:
            self.failures += 1
            self.open_until = time.monotonic() + self.open_for_s

    def call(self, function: Callable[[], object]) -> object:
        self.admit()
        try:
            answer = function()
        except Exception:
            self.failed()
            raise
        self.succeeded()
        return answer


def odds_ratio(strata: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mantel and Haenszel's ratio with the interval of Robins, Breslow and Greenland."""
    a, b, c, d = strata[(strata[:, :2].sum(axis=1) > 0) & (strata[:, 2:].sum(axis=1) > 0)].T
    n = a + b + c + d
    p, q, r, s = (a + d) / n, (b + c) / n, a * d / n, b * c / n
    ratio = r.sum() / s.sum()
    variance = (
        (p * r).sum() / (2 * r.sum() ** 2)
        + (p * s + q * r).sum() / (2 * r.sum() * s.sum())
        + (q * s).sum() / (2 * s.sum() ** 2)
    )
    margin = np.exp(1.959963984540054 * np.sqrt(variance))
    return float(ratio), float(ratio / margin), float(ratio * margin)


def weighted_sums(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weighted mean of the values present in each row."""
    present = ~np.isnan(values)
    sums = np.where(present, values, 0.0) @ weights
    totals = present @ weights
    return np.asarray(np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0))


def reciprocal_ranks(
    lists: Sequence[NDArray[np.uint64]], *, constant: float = 60.0
) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """Fused ranks, best first, ties by item."""
    items, positions = np.unique(np.concatenate(lists), return_inverse=True)
    places = np.concatenate([np.arange(1, len(each) + 1) for each in lists])
    scores = np.bincount(positions, weights=1.0 / (constant + places))
    order = np.lexsort((items, -scores))
    return items[order], scores[order].astype(np.float64)


def diversify(
    relevance: NDArray[np.float64], similarity: NDArray[np.float64], *, balance: float, limit: int
) -> NDArray[np.intp]:
    """Rows by maximal marginal relevance, one vectorised choice after the other."""
    worth, likeness, chosen = balance * relevance, np.zeros(len(relevance)), []
    for _ in range(min(limit, len(relevance))):
        row = int(np.argmax(worth - (1 - balance) * likeness))
        chosen.append(row)
        worth[row] = -np.inf
        np.maximum(likeness, similarity[row], out=likeness)
    return np.array(chosen)


def decode_records(payloads: list[bytes]) -> list[Any]:
    """The values of the payloads, as Python objects."""
    return [msgspec.msgpack.decode(payload) for payload in payloads]


class NearestCalls:
    """Copies a tool's arguments from the episode whose task shares the most words, its call of the same number."""

    def __init__(self, episodes: list[dict[str, Any]]) -> None:
        self.episodes = [(set(each["task"].lower().split()), each["steps"]) for each in episodes]

    def arguments(self, record: bytes, tools: Sequence[str]) -> list[list[tuple[str, Any]]]:
        asked = msgspec.msgpack.decode(record)
        words = set(asked["task"].lower().split())
        nearest = sorted(self.episodes, key=lambda each: -len(words & each[0]) / len(words | each[0]))
        return [self._copied(nearest, asked["steps"], tool) for tool in tools]

    def _copied(self, nearest: list[Any], steps: list[Any], tool: str) -> list[tuple[str, Any]]:
        number = sum(step["tool"] == tool for step in steps)
        for _, taken in nearest:
            if calls := [step["parameters"] for step in taken if step["tool"] == tool]:
                return list(calls[min(number, len(calls) - 1)].items())
        return []


Steps = list[tuple[str, str]]
"""The tool of each step, and the class of its error or "ok"."""


class BackOff:
    """Next steps by seven chains of counts in dicts, mixed by Witten and Bell's rule and joined as equals."""

    def __init__(self) -> None:
        self.counts: dict[Any, Counter[str | None]] = {}

    def put(self, steps: Steps, agent: str, domain: str) -> None:
        tools: list[str | None] = [*(tool for tool, _ in steps), None]
        for at, following in enumerate(tools):
            for context in set(itertools.chain(*self.chains(steps[:at], agent, domain))):
                self.counts.setdefault(context, Counter())[following] += 1

    def suggest(self, steps: Steps, agent: str, domain: str) -> dict[str | None, float]:
        tools = list(self.counts["all"])
        scores = np.zeros(len(tools))
        for chain in self.chains(steps, agent, domain):
            share = dict.fromkeys(tools, 1 / len(tools))
            for row in filter(None, map(self.counts.get, chain)):
                total, different = row.total(), len(row)
                share = {tool: (row[tool] + different * share[tool]) / (total + different) for tool in tools}
            scores += np.log(np.fromiter(share.values(), float) + 1e-4) / 7
        powers = np.exp(scores - scores.max())
        return dict(zip(tools, (powers / powers.sum()).tolist(), strict=True))

    @staticmethod
    def chains(steps: Steps, agent: str, domain: str) -> list[list[Any]]:
        tools, went = ["^"] * 4 + [tool for tool, _ in steps], [("^", "")] * 4 + steps
        last = [tuple(tools[-length:]) for length in (1, 2, 3, 4)]
        again = next((n for n, tool in enumerate(reversed(tools)) if tool != tools[-1]), 0) if steps else 0
        used, repeated = (last[0], frozenset(tools[4:])), (last[0], min(again, 6), "run")
        place = (last[0], min(len(steps), 12))
        return [
            ["all", *last],
            ["all", domain, *((domain, each) for each in last[:3])],
            [last[0], (agent, last[0]), *((agent, domain, each) for each in last[:3])],
            [last[0], ("went", *went[-1:]), ("went", *went[-2:]), (agent, "went", *went[-2:])],
            [last[0], used, (agent, used)],
            [last[0], repeated, (agent, domain, repeated)],
            [last[0], place, (agent, domain, place)],
        ]


class Recoveries:
    """Fixes by a table of (tool, error class): the next steps that worked."""

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], Counter[str]] = {}

    def put(self, steps: Steps) -> None:
        for failed, (following, went) in itertools.pairwise(steps):
            if failed[1] != "ok" and went == "ok":
                self.table.setdefault(failed, Counter())[following] += 1

    def recover(self, record: bytes, tool: str, error_class: str) -> list[tuple[str, int]]:
        msgspec.msgpack.decode(record)
        return self.table[tool, error_class].most_common(5)


class NearestTasks:
    """Outcome and plan of a new task by its nearest ones: word TF-IDF from posting lists, and nothing else."""

    def __init__(
        self, tasks: Sequence[str], plans: Sequence[Sequence[str]], outcomes: Sequence[float]
    ) -> None:
        self.plans, self.outcomes = plans, np.array(outcomes)
        postings: dict[str, list[int]] = {}
        for number, task in enumerate(tasks):
            for word in set(task.split()):
                postings.setdefault(word, []).append(number)
        self.postings = {word: np.array(numbers) for word, numbers in postings.items()}
        self.rarity = {
            word: 1 + np.log((1 + len(tasks)) / (1 + len(numbers))) for word, numbers in postings.items()
        }
        squares = np.zeros(len(tasks))
        for word, numbers in self.postings.items():
            squares[numbers] += self.rarity[word] ** 2
        self.lengths = np.sqrt(squares)

    def nearest(self, task: str, k: int) -> NDArray[np.intp]:
        sums = np.zeros(len(self.lengths))
        for word in set(task.split()) & self.postings.keys():
            sums[self.postings[word]] += self.rarity[word] ** 2
        cosines = sums / self.lengths
        best = np.argpartition(cosines, -k)[-k:]
        return best[np.argsort(-cosines[best])]

    def success(self, task: str) -> float:
        """The mean outcome of the nearest five."""
        return float(self.outcomes[self.nearest(task, 5)].mean())

    def plan(self, task: str) -> Sequence[str]:
        """Of the plans of the nearest ten successes the one that has most in common with all of them."""
        near = [number for number in self.nearest(task, 40) if self.outcomes[number] == 1.0][:10]
        plans = [self.plans[number] for number in near]
        return max(plans, key=lambda plan: sum(common_share(plan, other) for other in plans))


def common_share(a: Sequence[str], b: Sequence[str]) -> float:
    """Twice the longest common subsequence as a share of both lengths, by the textbook table."""
    row = [0] * (len(b) + 1)
    for x in a:
        above = row
        row = [0]
        for j, y in enumerate(b):
            row.append(above[j] + 1 if x == y else max(above[j + 1], row[j]))
    return 2 * row[-1] / (len(a) + len(b)) if a or b else 1.0
