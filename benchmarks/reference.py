"""The yardsticks: the same operation in NumPy or plain Python, as a careful reader would write it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def top_k(
    query: NDArray[np.float32], matrix: NDArray[np.float32], *, k: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The `k` rows of `matrix` most like the unit vector `query`, best first, with their scores."""
    scores = matrix @ query
    best = np.argpartition(scores, -k)[-k:]
    best = best[np.argsort(-scores[best])]
    return best, scores[best]
