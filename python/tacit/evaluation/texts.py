"""Four well-known measures of text similarity from scikit-learn: the baselines of retrieval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

Similarities = NDArray[np.float64]
"""A row for each query, a column for each text."""

MISSING = "scikit-learn is not installed: pip install 'tacit[eval]'"
_SATURATION, _LENGTH = 1.5, 0.75
"""k1 and b of BM25."""
_TOPICS = 128


def is_available() -> bool:
    """True if scikit-learn is installed."""
    return find_spec("sklearn") is not None


def word_tf_idf(queries: Sequence[str], texts: Sequence[str]) -> Similarities:
    """The cosine of words weighted by TF-IDF, without the commonest English ones."""
    return _cosines(queries, texts, _Weighing(stop_words="english"))


def all_words_tf_idf(queries: Sequence[str], texts: Sequence[str]) -> Similarities:
    """The cosine of all words weighted by TF-IDF, with the logarithm of how often each comes."""
    return _cosines(queries, texts, _Weighing(sublinear_tf=True))


def character_tf_idf(queries: Sequence[str], texts: Sequence[str]) -> Similarities:
    """The cosine of runs of 3 to 5 characters within words, weighted by TF-IDF."""
    weighing = _Weighing(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    return _cosines(queries, texts, weighing)


class _Weighing(TypedDict, total=False):
    """Settings of scikit-learn's `TfidfVectorizer`."""

    analyzer: Literal["word", "char_wb"]
    ngram_range: tuple[int, int]
    stop_words: Literal["english"]
    sublinear_tf: bool


def _cosines(queries: Sequence[str], texts: Sequence[str], weighing: _Weighing) -> Similarities:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(**weighing)
    columns = _columns(vectorizer, texts)
    if columns is None:
        return _nothing_alike(queries, texts)
    return np.asarray((vectorizer.transform(queries) @ columns.T).toarray())


def _columns(vectorizer: Any, texts: Sequence[str]) -> Any:
    """The matrix of some texts; `None` if no text holds anything to count."""
    try:
        return vectorizer.fit_transform(texts)
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        return None


def _nothing_alike(queries: Sequence[str], texts: Sequence[str]) -> Similarities:
    return np.zeros((len(queries), len(texts)))


def bm25(queries: Sequence[str], texts: Sequence[str]) -> Similarities:
    """Okapi BM25 with k1 1.5 and b .75 (Robertson and Zaragoza 2009)."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer()
    columns = _columns(vectorizer, texts)
    if columns is None:
        return _nothing_alike(queries, texts)
    counts = columns.astype(np.float64).tocoo()
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    holding = np.bincount(counts.col, minlength=counts.shape[1])
    idf = np.log1p((len(texts) - holding + 0.5) / (holding + 0.5))
    norm = counts.data + _SATURATION * (1 - _LENGTH + _LENGTH * lengths[counts.row] / lengths.mean())
    counts.data = idf[counts.col] * counts.data * (_SATURATION + 1) / norm
    present: Any = vectorizer.transform(queries) > 0
    asked = present.astype(np.float64)
    return np.asarray((asked @ counts.tocsr().T).toarray())


def topics(queries: Sequence[str], texts: Sequence[str]) -> Similarities:
    """The cosine in the 128 strongest dimensions of the TF-IDF matrix (LSA, Deerwester 1990)."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    vectorizer = TfidfVectorizer(stop_words="english")
    matrix = _columns(vectorizer, texts)
    kept = 0 if matrix is None else min(_TOPICS, min(matrix.shape) - 1)
    if matrix is None or kept < 1:
        return word_tf_idf(queries, texts)
    space = TruncatedSVD(kept, random_state=0).fit(matrix)
    asked: Any = normalize(space.transform(vectorizer.transform(queries)))
    stored: Any = normalize(space.transform(matrix))
    return np.asarray(asked @ stored.T)


BASELINES: dict[str, Callable[[Sequence[str], Sequence[str]], Similarities]] = {
    "word TF-IDF": word_tf_idf,
    "BM25": bm25,
    "character TF-IDF": character_tf_idf,
    "LSA": topics,
}
"""The four baselines of retrieval, by name."""
