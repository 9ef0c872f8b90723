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
