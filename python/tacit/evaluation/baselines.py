"""The baselines of advice: well-known methods that get the same episodes and the same fields.

Each is a pure function of the known and the asked episodes. Those that need scikit-learn are absent without it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from . import texts, trained
from .chains import by_domain, by_domain_and_agent, everywhere, interpolated, markov
from .positions import Position, Scores, columns_of, tools_after

Figures = NDArray[np.float64]
Rows = NDArray[np.int64]
Plan = tuple[str, ...]

CHAIN = "chain by domain, agent"
"""The strongest baseline of the next tool that is only counted."""


# --- the next tool ---


class NextTools:
    """The baselines of the next tool at some positions; the features of the positions are read once, for all
    folds.
    """

    def __init__(self, positions: Sequence[Position]) -> None:
        self._positions = positions
        self._shown: trained.Shown | None = None

    def train(self) -> NextTools:
        """Reads the features of the positions, for the baselines that are trained on them."""
        self._shown = trained.shown(self._positions) if texts.is_available() else None
        return self

    def scores(self, known: Rows, asked: Rows) -> dict[str, Scores]:
        """The scores of each baseline at the positions `asked`, learned from the positions `known`.

        Without `train` only the counting baselines are there.
        """
        found = self.counted(known, asked)
        if self._shown is None:
            return found
        tools = tools_after(self._positions[row] for row in known)
        came = columns_of([self._positions[row] for row in known], tools)
        parts = trained.split(self._shown, known, asked)
        for name, method, shown in (
            ("logistic", trained.logistic, ["history", "task"]),
            ("logistic, results", trained.logistic, ["history", "task", "result"]),
            ("logistic, results, domain, agent", trained.logistic, ["history", "fields", "task", "result"]),
            ("nearest 30", trained.nearest, ["history+places", "task", "result"]),
            ("nearest 30, domain, agent", trained.nearest, ["history+places", "fields", "task", "result"]),
        ):
            found[name] = method(parts, shown, came, tools)
        found["sum"] = _sum(found, "logistic, results", "nearest 30", "chain by domain")
        found["sum, domain, agent"] = _sum(
            found, "logistic, results, domain, agent", "nearest 30, domain, agent", CHAIN
        )
        return found

    def counted(self, known: Rows, asked: Rows) -> dict[str, Scores]:
        """The baselines that only count: they need NumPy alone, and take no time."""
        ours, theirs = ([self._positions[row] for row in rows] for rows in (known, asked))
        return {
            "Markov-2": markov(ours, theirs),
            "chain by domain": interpolated(ours, theirs, (everywhere, by_domain)),
            CHAIN: interpolated(ours, theirs, (everywhere, by_domain, by_domain_and_agent)),
        }

    def most_frequent(self, known: Rows, asked: Rows) -> Scores:
        """The tools by how often they came, whatever is asked."""
        return markov(
            [self._positions[row] for row in known], [self._positions[row] for row in asked], order=0
        )


def _sum(found: Mapping[str, Scores], *names: str) -> Scores:
    return Scores(found[names[0]].tools, np.mean([found[name].values for name in names], axis=0))


# --- one plan for a task ---


@dataclass(frozen=True)
class Known:
    """The successes that a plan may come from: of each its task, its domain, its text and its tools."""

    tasks: tuple[str, ...]
    domains: tuple[str, ...]
    texts: tuple[str, ...]
    plans: tuple[Plan, ...]


class Plans:
    """The baselines of a plan for a task, from the successes of all other tasks."""

    def __init__(self, known: Known) -> None:
        self._tasks = np.array(known.tasks, dtype=object)
        self._domains = np.array(known.domains, dtype=object)
        self._different = tuple(dict.fromkeys(known.plans))
        place = {plan: number for number, plan in enumerate(self._different)}
        self._of = np.array([place[plan] for plan in known.plans], dtype=np.int64)
        self._alike = similarities(self._different)
        self._by_text = (
            {
                "words": texts.all_words_tf_idf(known.texts, known.texts),
                "characters": texts.character_tf_idf(known.texts, known.texts),
            }
            if texts.is_available()
            else {}
        )

    def scores(self, task: str) -> dict[str, float]:
        """How good each baseline's plan is for a task: its similarity to the best-matching success of the task."""
        worth = self._worth(task)
        others = self._tasks != task
        here = others & (self._domains == self._domains[self._tasks == task][0])
        here = here if here.any() else others
        found = {}
        for name in self._by_text:
            found[f"nearest by {name}"] = worth[self._of[self._nearest(name, task, others)[0]]]
        if "words" in self._by_text:
            found["nearest in the domain"] = worth[self._of[self._nearest("words", task, here)[0]]]
        found["medoid of all"] = worth[self._medoid(others)]
        found["medoid of the domain"] = worth[self._medoid(here)]
        return {name: float(value) for name, value in found.items()}

    def most_frequent(self, task: str) -> float:
        """How good the plan is that succeeded most often."""
        counts = Counter(self._of[self._tasks != task].tolist())
        return float(self._worth(task)[counts.most_common(1)[0][0]])

    def best_of_nearest(self, task: str, number: int = 5) -> float:
        """How good the best plan of the nearest successes by words is, chosen afterwards."""
        return float(
            self._worth(task)[self._of[self._nearest("words", task, self._tasks != task)[:number]]].max()
        )

    def best_of_all(self, task: str) -> float:
        """How good the best plan of all is, chosen afterwards."""
        return float(self._worth(task)[self._of[self._tasks != task]].max())

    def _worth(self, task: str) -> Figures:
        """Of each different plan, for a task."""
        best: Figures = self._alike[:, np.unique(self._of[self._tasks == task])].max(axis=1)
        return best

    def _nearest(self, name: str, task: str, among: NDArray[np.bool_]) -> Rows:
        """Other tasks' successes, nearest first; of equals the first."""
        text = int(np.flatnonzero(self._tasks == task)[0])
        rows = np.flatnonzero(among)
        return rows[np.argsort(-self._by_text[name][text][rows], kind="stable")]

    def _medoid(self, among: NDArray[np.bool_]) -> int:
        """The plan that is on the whole most like the others, each as often as it was taken."""
        counts = np.bincount(self._of[among], minlength=len(self._different)).astype(np.float64)
        likeness = np.where(counts > 0, self._alike @ counts, -1.0)
        return int(likeness.argmax())


def similarities(plans: Sequence[Plan]) -> Figures:
    """2 L / (a + b) for each pair of plans, with L the length of the longest common subsequence."""
    numbers: dict[str, int] = {}
    coded = [[numbers.setdefault(tool, len(numbers)) for tool in plan] for plan in plans]
    lengths = np.array([len(plan) for plan in coded], dtype=np.float64)
    symbols = np.array([symbol for plan in coded for symbol in plan], dtype=np.uint64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint64)
    common = np.array(
        [_native.lcs_length_many(np.array(plan, dtype=np.uint64), symbols, offsets) for plan in coded],
        dtype=np.float64,
    ).reshape(len(plans), len(plans))
    both = lengths[:, None] + lengths[None, :]
    return np.where(both > 0, 2 * common / np.maximum(both, 1), 1.0)


# --- how an attempt will end ---


@dataclass(frozen=True)
class Attempts:
    """The task, agent, domain and text of each attempt, and its success."""

    tasks: tuple[str, ...]
    agents: tuple[Hashable, ...]
    domains: tuple[str, ...]
    texts: tuple[str, ...]
    successes: Figures


_SURE = 0.01
"""Nothing is held to be less likely, and nothing's contrary."""
_NEAREST = 5
_ITERATIONS = 300


def known_task(known: Attempts, asked: Attempts) -> dict[str, Figures]:
    """The chance of each attempt at a task that others were made at: from its task and from its agent."""
    overall = float(known.successes.mean())
    of_task, of_agent = (_means(groups, known.successes, overall) for groups in (known.tasks, known.agents))
    task = np.array([of_task.get(name, overall) for name in asked.tasks])
    agent = np.array([of_agent.get(name, overall) for name in asked.agents])
    return {
        "task + agent": _bounded(task + agent - overall),
        "task, agent, averaged": (task + agent) / 2,
    }


def unseen_task(known: Attempts, asked: Attempts) -> dict[str, Figures]:
    """The chance of each attempt at an unseen task, from its agent and from similar tasks."""
    overall = float(known.successes.mean())
    of_agent = _means(known.agents, known.successes, overall)
    agents = np.array([of_agent.get(agent, overall) for agent in asked.agents])
    found = {"agent": agents}
    if texts.is_available():
        tasks, attempts = _near_tasks(known, asked, overall), _near_attempts(known, asked)
        found["nearest 5 tasks + agent"] = _bounded(tasks + agents - overall)
        found["nearest 5 tasks, agent, averaged"] = (tasks + agents) / 2
        found["own nearest 5, agent, averaged"] = (attempts + agents) / 2
        found["logistic"] = _logistic(known, asked)
    return found


def _means(groups: Sequence[Hashable], came: Figures, overall: float) -> dict[Hashable, float]:
    """The mean of each group, with one more attempt that went like the whole."""
    sums: Counter[Hashable] = Counter()
    counts = Counter(groups)
    for group, success in zip(groups, came.tolist(), strict=True):
        sums[group] += success
    return {group: (sums[group] + overall) / (count + 1) for group, count in counts.items()}


def _near_tasks(known: Attempts, asked: Attempts, overall: float) -> Figures:
    """The mean of the nearest five tasks, each with one more attempt that went like the whole; by its first text."""
    means = _means(known.tasks, known.successes, overall)
    first = dict(reversed([*zip(known.tasks, known.texts, strict=True)]))
    keys = list(dict.fromkeys(known.tasks))
    shares = np.array([means[key] for key in keys])
    cosines = texts.all_words_tf_idf(asked.texts, [first[key] for key in keys])
    return _of_nearest(cosines, shares)


def _near_attempts(known: Attempts, asked: Attempts) -> Figures:
    """The share of success of the agent's own five nearest attempts; attempts of other agents fill up the five."""
    cosines = texts.all_words_tf_idf(asked.texts, known.texts)
    mine = np.array([[agent == other for other in known.agents] for agent in asked.agents])
    return _of_nearest(np.where(mine, cosines, cosines - 2), known.successes)


def _of_nearest(cosines: Figures, values: Figures) -> Figures:
    places = np.argsort(-cosines, axis=1, kind="stable")[:, :_NEAREST]
    mean: Figures = values[places].mean(axis=1)
    return mean


def _logistic(known: Attempts, asked: Attempts) -> Figures:
    """Logistic regression on the words of the task, the agent and the domain."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if len(set(known.successes.tolist())) < 2:
        return np.full(len(asked.texts), known.successes.mean())
    vectorizer: Any = TfidfVectorizer
    words, fields = vectorizer(sublinear_tf=True, analyzer=_words), DictVectorizer()
    ours = hstack([words.fit_transform(known.texts), fields.fit_transform(_fields(known))])
    theirs = hstack([words.transform(asked.texts), fields.transform(_fields(asked))])
    with trained.on_one_thread():
        model = LogisticRegression(max_iter=_ITERATIONS).fit(ours, known.successes)
        chances: Figures = model.predict_proba(theirs)[:, 1]
    return chances


def _words(text: str) -> list[str]:
    """The words of two characters and more; the text itself if it has none."""
    return re.findall(r"\w\w+", text.lower()) or [text]


def _fields(attempts: Attempts) -> list[dict[str, float]]:
    pairs = zip(attempts.agents, attempts.domains, strict=True)
    return [{f"agent\n{agent}": 1.0, f"domain\n{domain}": 1.0} for agent, domain in pairs]


def _bounded(chances: Figures) -> Figures:
    return np.clip(chances, _SURE, 1 - _SURE)
