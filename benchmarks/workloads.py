"""The data that benchmarks are fed: made from a seed, the same in every run and for every implementation."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from tacit._native import HashedEmbedder
from tacit.model.record import Change, EpisodeRecord

ATTEMPTS = 3


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


def requests(n: int, seed: int, vocabulary: int = 6_000) -> list[str]:
    """`n` texts of about 100 characters on 200 subjects in turn; a few frequent words are in many of them."""
    random = np.random.default_rng(seed)
    syllables = [head + tail for head in [*"bcdfgklmnprstv", "st", "tr", "pl"] for tail in "aeiou"]
    words = ["".join(random.choice(syllables, size=length)) for length in random.integers(2, 5, vocabulary)]
    usual = [
        "the",
        "of",
        "to",
        "and",
        "in",
        "for",
        "with",
        "is",
        "find",
        "what",
        "how",
        "all",
        "list",
        "show",
    ]
    subjects = random.integers(vocabulary, size=(200, 60))
    share = 1.0 / np.arange(1, 61)
    chosen = random.choice(60, size=(n, 9), p=share / share.sum())
    filler = random.integers(len(usual), size=(n, 7))
    texts = []
    for row in range(n):
        about = [words[word] for word in subjects[row % 200, chosen[row]]]
        text = about + [usual[word] for word in filler[row]]
        texts.append(" ".join(text[place] for place in random.permutation(16)))
    return texts


def changes(texts: list[str], embedder: HashedEmbedder, seed: int) -> Iterator[Change]:
    """Three learned episodes a text, each of 20 steps and some 30 facts; the subjects lie in 20 domains."""
    random = np.random.default_rng(seed)
    facts = [np.unique(random.zipf(1.3, size=40) % 5_000) for _ in range(64)]
    runs = [random.zipf(1.6, size=20) % len(TOOLS) for _ in range(64)]
    for number in range(ATTEMPTS * len(texts)):
        text, is_success = texts[number // ATTEMPTS], number % ATTEMPTS > 0
        ended_at = 1_700_000_000_000_000 - number * 60_000_000
        payload = {
            "id": str(UUID(int=number)),
            "task": text,
            "context": {"domain": f"domain-{number // ATTEMPTS % 20}"},
            "started_at": ended_at - 30_000_000,
            "ended_at": ended_at,
            "namespace": "default",
            "outcome": {"kind": "success" if is_success else "failure"},
            "reward": {"total": float(random.random()) * is_success},
            "steps": [{"tool": TOOLS[tool], "status": "ok"} for tool in runs[number % 64]],
        }
        packed = b"".join(
            int(pattern).to_bytes(16, "big") + struct.pack("<BHd", 0, 1, is_success)
            for pattern in facts[number % 64]
        )
        vector = embedder.embed([text])[0].tobytes()
        yield Change(number + 1, "put", _record(payload, packed, embedder.name, vector), _id(number))


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _record(payload: dict[str, Any], facts: bytes, embedder: str, vector: bytes) -> EpisodeRecord:
    return EpisodeRecord(
        id=UUID(payload["id"]).bytes,
        namespace="default",
        external_id=None,
        digest=bytes(16),
        task_key=None,
        domain=payload["context"]["domain"],
        agent=None,
        complexity="unknown",
        state="learned",
        started_at=payload["started_at"],
        ended_at=payload["ended_at"],
        base=1.0 if payload["outcome"]["kind"] == "success" else 0.0,
        payload=msgspec.msgpack.encode(payload),
        facts=facts,
        contents=b"",
        embedder=embedder,
        embedding=vector,
    )


def calls(n: int, seed: int, *, ended: bool = True) -> list[bytes]:
    """Records of `n` episodes of 20 calls with results of about a kilobyte: a user's orders are looked at and paid."""
    random = np.random.default_rng(seed)
    return [msgspec.msgpack.encode(_calls(random, number, ended)) for number in range(n)]


def _calls(random: np.random.Generator, number: int, ended: bool) -> dict[str, Any]:
    user, card = f"user_{random.integers(10**6)}", f"card_{random.integers(10**6)}"
    orders = [f"#W{random.integers(10**8)}" for _ in range(12)]
    items = [{"id": str(random.integers(10**9)), "price": 9.5, "options": {"colour": "red", "size": "L"}}] * 8
    profile = {"user_id": user, "cards": [{"id": card, "kind": "visa"}], "orders": orders}
    steps: list[tuple[str, dict[str, str], Any]] = [("get_user", {"user_id": user}, profile)]
    for order in orders:
        steps.append(("get_order", {"order_id": order}, {"order_id": order, "items": items}))
    for order in orders[:7]:
        steps.append(("pay_order", {"order_id": order, "card": card}, {"order_id": order, "status": "paid"}))
    rows = [
        {
            "tool": tool,
            "status": "ok",
            "parameters": parameters,
            "output": msgspec.json.encode(output).decode(),
        }
        for tool, parameters, output in steps
    ]
    return {
        "id": f"{number:032x}",
        "namespace": "default",
        "task": f"I am {user}; {VERBS[number % len(VERBS)]} and pay my open orders, all of them, with my visa card",
        "task_key": f"task {number}",
        "steps": rows,
        "outcome": {"kind": "success"} if ended else None,
    }


def runs(n: int, seed: int, tools: int = 50) -> list[dict[str, Any]]:
    """`n` successful runs of some ten steps, three attempts at each task, with texts of the usual length in task, calls
    and results; three steps in four follow from the one before, one in eight fails."""
    random = np.random.default_rng(seed)
    texts, follower = tasks(n // ATTEMPTS + 1, seed), random.permutation(tools)
    words = [f"{thing}{number}" for thing in OBJECTS for number in range(40)]
    found = []
    for number in range(n):
        length = int(random.integers(6, 15))
        plan = [int(tool) for tool in random.zipf(1.6, size=length) % tools]
        for at in range(1, length):
            plan[at] = int(follower[plan[at - 1]]) if random.random() < 0.75 else plan[at]
        told = random.choice(len(words), size=(length, 60))
        found.append(
            {
                "id": str(UUID(int=number)),
                "namespace": "default",
                "task": texts[number // ATTEMPTS],
                "task_key": f"task {number // ATTEMPTS}",
                "agent": f"agent {number % ATTEMPTS}",
                "context": {"domain": f"domain-{number // ATTEMPTS % 20}"},
                "outcome": {"kind": "success"},
                "steps": [
                    {
                        "tool": f"tool_{tool:02}",
                        "parameters": {"name": words[said[0]], "of": words[said[1]]},
                        "output": " ".join(f'"{words[word]}"' for word in said),
                        **(
                            {"status": "error", "error": "locked"}
                            if random.random() < 0.125
                            else {"status": "ok"}
                        ),
                    }
                    for tool, said in zip(plan, told, strict=True)
                ],
            }
        )
    return found


def asked(run: dict[str, Any], steps: int) -> dict[str, Any]:
    """The run as a question behind its first steps."""
    return {**run, "outcome": None, "steps": run["steps"][:steps]}


def learned(run: dict[str, Any], number: int) -> Change:
    """The change that a store hands out for the run."""
    times = {"started_at": 0, "ended_at": 0}
    return Change(number + 1, "put", _record({**run, **times}, b"", "", b""), _id(number))
