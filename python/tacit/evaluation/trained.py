"""Next tools by logistic regression and by nearest positions, as scikit-learn has them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..model.episode import Json, Step
from .positions import Position, Scores

Rows = NDArray[np.int64]
Matrix = Any
"""A sparse matrix of scipy's: a row for each position."""

NEAREST = 30
_SHARPNESS = 3
"""The power of the cosine in the weight of a near position."""
_ITERATIONS = 200
_LATEST, _COUNTED = 20, 3
"""The largest place in an episode, and use count of a tool, that are distinguished."""
_TOLD_APART = 10
_LEAST, _MOST_WORDS = 2, 5_000
"""Positions that must have a word, and how many words of results are looked at."""
_AT_ONCE = 1_000


@dataclass(frozen=True)
class Shown:
    """The features of positions as matrices, made once for all folds.

    `history`: the last one, two and three tools, the use count of each, the place, the success of the last step.
    `places`: the place once more, each its own column. `fields`: domain and agent, alone and with the last tool.
    `task` and `result`: the words of the task and of the last result, counted.
    """

    history: Matrix
    places: Matrix
    fields: Matrix
    task: Matrix
    result: Matrix


def shown(positions: Sequence[Position]) -> Shown:
    """The features of the positions."""
    return Shown(
        history=_columns([_history(position) for position in positions]),
        places=_columns([{str(min(position.taken, _TOLD_APART)): 1.0} for position in positions]),
        fields=_columns([_fields(position) for position in positions]),
        task=_words([position.episode.task for position in positions]),
        result=_words([_last_result(position) for position in positions]),
    )


def _columns(named: Sequence[dict[str, float]]) -> Matrix:
    from sklearn.feature_extraction import DictVectorizer

    vectorizer: Any = DictVectorizer
    return vectorizer(dtype=np.float32).fit_transform(named)


def _words(texts: Sequence[str]) -> Matrix:
    """Counts of words; each different text is read once."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer: Any = CountVectorizer
    different = list(dict.fromkeys(texts))
    row = {text: number for number, text in enumerate(different)}
    try:
        counts = vectorizer(dtype=np.float32).fit_transform(different)
    except ValueError:  # not one word in any of them
        counts = csr_matrix((len(different), 1), dtype=np.float32)
    return counts.tocsr()[[row[text] for text in texts]]


def _history(position: Position) -> dict[str, float]:
    steps = position.episode.steps[: position.taken]
    last = ["", "", "", *(step.tool for step in steps)]
    found = {f"last {length}\n" + "\n".join(last[-length:]): 1.0 for length in (1, 2, 3)}
    uses = Counter(step.tool for step in steps)
    found |= {f"used\n{tool}": min(count, _COUNTED) / _COUNTED for tool, count in uses.items()}
    found["place"] = min(position.taken, _LATEST) / _LATEST
    if steps:
        found["went well"] = float(steps[-1].ok is not False)
    return found


def _fields(position: Position) -> dict[str, float]:
    episode = position.episode
    last = episode.steps[position.taken - 1].tool if position.taken else ""
    fields = {"domain": episode.context.domain, "agent": episode.agent or ""}
    alone = {f"{name}\n{value}": 1.0 for name, value in fields.items()}
    return alone | {f"{name}\n{value}\n{last}": 1.0 for name, value in fields.items()}


def _last_result(position: Position) -> str:
    return result_text(position.episode.steps[position.taken - 1]) if position.taken else ""


def result_text(step: Step) -> str:
    """The result of a step, its error included, as one text."""
    return " ".join(_as_text(each) for each in (step.output, step.error) if each is not None)


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@dataclass(frozen=True)
class Split:
    """The features of the known and the asked positions, weighted by the known ones alone."""

    known: Shown
    asked: Shown


def split(everything: Shown, known: Rows, asked: Rows) -> Split:
    """The columns that a known position has; words are weighted by TF-IDF among the known positions."""
    pairs = {
        "history": _present(everything.history, known, asked),
        "places": _present(everything.places, known, asked),
        "fields": _present(everything.fields, known, asked),
        "task": _weighted(everything.task, known, asked, most=None),
        "result": _weighted(everything.result, known, asked, most=_MOST_WORDS),
    }
    sides = ({name: pair[side] for name, pair in pairs.items()} for side in (0, 1))
    return Split(*(Shown(**parts) for parts in sides))


def _present(matrix: Matrix, known: Rows, asked: Rows) -> tuple[Matrix, Matrix]:
    """The columns that something known has."""
    kept = np.flatnonzero(matrix[known].getnnz(axis=0))
    return matrix[known][:, kept], matrix[asked][:, kept]


def _weighted(counts: Matrix, known: Rows, asked: Rows, *, most: int | None) -> tuple[Matrix, Matrix]:
    from sklearn.feature_extraction.text import TfidfTransformer

    mine = counts[known]
    kept = np.flatnonzero(mine.getnnz(axis=0) >= _LEAST)
    if most is not None and len(kept) > most:
        often = np.asarray(mine[:, kept].sum(axis=0)).ravel()
        kept = np.sort(kept[np.argsort(-often, kind="stable")[:most]])
    if not len(kept):
        return mine[:, kept], counts[asked][:, kept]
    weigh = TfidfTransformer(sublinear_tf=True)
    return weigh.fit_transform(mine[:, kept]), weigh.transform(counts[asked][:, kept])


def on_one_thread() -> AbstractContextManager[Any]:
    """A block in which sums are made in one order, on one core: the figures are the same on every machine."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def logistic(parts: Split, names: Sequence[str], came: Rows, tools: tuple[str, ...]) -> Scores:
    """Multinomial logistic regression with an L2 penalty of strength 1 on the parts named."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    known, asked = (_beside([getattr(side, name) for name in names]) for side in (parts.known, parts.asked))
    values = np.zeros((asked.shape[0], len(tools)))
    if len(set(came.tolist())) < 2:
        values[:, came[:1]] = 1.0
        return Scores(tools, values)
    with warnings.catch_warnings(), on_one_thread():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=1.0, max_iter=_ITERATIONS).fit(known, came)
        values[:, model.classes_] = model.predict_proba(asked)
    return Scores(tools, values)


def nearest(parts: Split, names: Sequence[str], came: Rows, tools: tuple[str, ...]) -> Scores:
    """The tools at the 30 positions of greatest cosine, each part of equal weight, by the cubes of their cosines."""
    from sklearn.preprocessing import normalize

    def even(side: Shown) -> Matrix:
        blocks = [_beside([getattr(side, each) for each in name.split("+")]) for name in names]
        return normalize(_beside([normalize(block) for block in blocks if block.shape[1]]))

    known, asked = even(parts.known), even(parts.asked)
    chunks = [
        _votes(asked[start : start + _AT_ONCE] @ known.T, came, len(tools))
        for start in range(0, asked.shape[0], _AT_ONCE)
    ]
    return Scores(tools, np.concatenate(chunks) if chunks else np.zeros((0, len(tools))))


def _beside(blocks: Sequence[Matrix]) -> Matrix:
    from scipy.sparse import hstack

    return hstack(list(blocks)).tocsr()


def _votes(products: Matrix, came: Rows, width: int) -> NDArray[np.float64]:
    cosines = products.toarray()
    kept = min(NEAREST, cosines.shape[1])
    places = np.argpartition(-cosines, kept - 1, axis=1)[:, :kept]
    weights = np.maximum(np.take_along_axis(cosines, places, axis=1), 0.0) ** _SHARPNESS + 1e-9
    cells = np.arange(len(cosines))[:, None] * width + came[places]
    votes = np.bincount(cells.ravel(), weights.ravel().astype(np.float64), len(cosines) * width)
    votes = votes.reshape(len(cosines), width)
    shares: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
    return shares
