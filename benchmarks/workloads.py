"""The data that benchmarks are fed: made from a seed, the same in every run and for every implementation."""

from __future__ import annotations

from typing import Any

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


VERBS = ["cancel", "change", "refund", "book", "find", "upgrade", "explain", "list", "compare", "remove"]
OBJECTS = [
    "order",
    "flight",
    "booking",
    "invoice",
    "account",
    "seat",
    "delivery",
    "subscription",
    "ticket",
    "address",
]
DETAILS = [
    "before friday",
    "without a fee",
    "for two people",
    "with a voucher",
    "to another card",
    "in the morning",
]
DOMAINS = ["airline", "retail", "telecom", "school"]
TOOLS = [f"{verb}_{thing}" for verb in ("get", "list", "update") for thing in OBJECTS[:8]]


def tasks(n: int, seed: int) -> list[str]:
    """`n` short requests, many of them alike."""
    random = np.random.default_rng(seed)

    def pick(words: list[str]) -> str:
        return words[random.integers(len(words))]

    return [
        f"{pick(VERBS)} {pick(OBJECTS)} {number % 997} and {pick(VERBS)} the {pick(OBJECTS)} {pick(DETAILS)}"
        for number in range(n)
    ]


def steps(length: int, seed: int) -> list[dict[str, Any]]:
    """`length` tool calls with parameters and outputs of the size that recorded runs have; one in eight fails."""
    random = np.random.default_rng(seed)
    tools = [TOOLS[index] for index in random.zipf(1.6, size=length) % len(TOOLS)]
    return [
        {
            "tool": tool,
            "parameters": {"id": number, "reason": DETAILS[number % 6]},
            "latency_ms": 10.0 + number,
        }
        | (
            {"error": f"'{tool}' is locked by {number}"}
            if number % 8 == 5
            else {"output": {"text": "x" * 300}}
        )
        for number, tool in enumerate(tools)
    ]


def episodes_of_tools(n: int, seed: int, tools: int = 24) -> list[NDArray[np.uint64]]:
    """`n` sequences of tool symbols in which three steps in four follow from the one before, as plans do."""
    random = np.random.default_rng(seed)
    symbols = random.integers(1 << 62, size=tools, dtype=np.uint64)
    follower = random.permutation(tools)
    lengths = np.maximum(random.poisson(28, size=n), 1)
    steps = random.zipf(1.6, size=lengths.sum()) % tools
    for at in np.flatnonzero(random.random(len(steps)) < 0.75)[1:]:
        steps[at] = follower[steps[at - 1]]
    return [symbols[part] for part in np.split(steps, np.cumsum(lengths)[:-1])]


def columns(sequences: list[NDArray[np.uint64]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The sequences as their symbols, one after another, and their offsets."""
    offsets = np.cumsum([0] + [len(sequence) for sequence in sequences]).astype(np.uint64)
    return np.concatenate(sequences), offsets


def letters(sequences: list[NDArray[np.uint64]]) -> list[str]:
    """The sequences as strings, one letter a symbol."""
    alphabet = {
        symbol: chr(65 + at) for at, symbol in enumerate(np.unique(np.concatenate(sequences)).tolist())
    }
    return ["".join(alphabet[symbol] for symbol in sequence.tolist()) for sequence in sequences]


def inertia(matrix: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
    """The sum of squared distances from the mean of each cluster."""
    clusters = (matrix[labels == label] for label in np.unique(labels))
    return float(sum(((rows - rows.mean(axis=0)) ** 2).sum() for rows in clusters))


def usual_distance(matrix: NDArray[np.float32], seed: int) -> float:
    """A distance within which rows have a few dozen neighbours, more in dense regions than elsewhere."""
    sample = matrix[np.random.default_rng(seed).integers(len(matrix), size=200)]
    squares = (sample**2).sum(axis=1)[:, None] + (matrix**2).sum(axis=1) - 2 * sample @ matrix.T
    return float(np.sqrt(np.median(np.partition(squares, 30, axis=1)[:, 30])))


def incompressible(n: int, seed: int) -> NDArray[np.uint8]:
    """`n` bytes that no disk and no store can make smaller."""
    return np.random.default_rng(seed).integers(256, size=n, dtype=np.uint8)


def records(n: int, size: int, seed: int) -> dict[bytes, bytes]:
    """`n` values of `size` bytes under ids of 16."""
    random = np.random.default_rng(seed)
    return {random.bytes(16): random.bytes(size) for _ in range(n)}


def counts(n: int, seed: int) -> list[tuple[float, float]]:
    """Successes and trials of `n` patterns: most were tried a few times, few of them thousands of times."""
    random = np.random.default_rng(seed)
    trials = random.zipf(1.5, size=n) % 5_000
    shares = random.beta(2, 1, size=n)
    return [(float(round(share * tried)), float(tried)) for share, tried in zip(shares, trials, strict=True)]


def strata(n: int, seed: int) -> NDArray[np.float64]:
    """Episodes that succeeded and failed, with and without a pattern, in `n` groups."""
    return np.random.default_rng(seed).integers(0, 40, size=(n, 4)).astype(np.float64)


def signals(n: int, width: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`n` candidates judged in `width` ways, one judgement in five absent; and the weights of the ways."""
    random = np.random.default_rng(seed)
    values = random.random((n, width))
    values[random.random((n, width)) < 0.2] = np.nan
    return values, random.random(width)


def similarities(n: int, seed: int) -> NDArray[np.float64]:
    """How much alike `n` vectors are, each with each."""
    rows = vectors(n, 32, seed).astype(np.float64)
    return rows @ rows.T
