"""The data that benchmarks are fed: made from a seed, the same in every run and for every implementation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def vectors(n: int, width: int, seed: int) -> NDArray[np.float32]:
    """`n` unit vectors around a few centres, as embeddings of related texts lie."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(n // 100, 1), width), dtype=np.float32)
    rows = centres[random.integers(len(centres), size=n)]
    rows += 0.6 * random.standard_normal((n, width), dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def tool_sequences(n: int, seed: int, mean_length: int = 28, tools: int = 24) -> list[NDArray[np.uint64]]:
    """`n` sequences of tool symbols, some tools far more frequent than others, as in recorded runs."""
    random = np.random.default_rng(seed)
    symbols = random.integers(1 << 62, size=tools, dtype=np.uint64)
    share = 1.0 / np.arange(1, tools + 1)
    lengths = np.maximum(random.poisson(mean_length, size=n), 1)
    return [symbols[random.choice(tools, size=length, p=share / share.sum())] for length in lengths]
