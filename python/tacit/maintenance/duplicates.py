"""Patterns that say nearly the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

from .. import _native
from ..deferred import dataclass
from ..model.maintenance import Merge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A pattern as it is compared: content, domains and number of episodes."""

    id: bytes
    kind: str
    content: Mapping[str, Any]
    domains: frozenset[Hashable]
    episodes: int


def similarity(one: Described, other: Described) -> float:
    """How alike two patterns are: 1 for the same, 0 for different kinds.

    Tool sequences: 0.7 the tools + 0.3 context; decision points: 0.4 condition + 0.4 action + 0.2 context; error
    recoveries: 0.4 error + 0.4 steps + 0.2 context; context patterns: 0.6 features + 0.4 approach. Tools are compared
    by their edit distance, texts by theirs, contexts by the domains that both were seen in.
    """
    if one.kind != other.kind or one.kind not in _MEASURES:
        return 0.0
    return _MEASURES[one.kind](one, other)


def _sequences(one: Described, other: Described) -> float:
    return 0.7 * _edits(one.content["tools"], other.content["tools"]) + 0.3 * _context(one, other)


def _decisions(one: Described, other: Described) -> float:
    a, b = one.content, other.content
    condition = (
        float(a["after"] == b["after"])
        * _text(a["result"], b["result"])
        * _text(a["condition"], b["condition"])
    )
    return 0.4 * condition + 0.4 * float(a["choose"] == b["choose"]) + 0.2 * _context(one, other)


def _recoveries(one: Described, other: Described) -> float:
    a, b = one.content, other.content
    error = float(a["tool"] == b["tool"]) * _text(a["error"], b["error"])
    return 0.4 * error + 0.4 * float(a["next"] == b["next"]) + 0.2 * _context(one, other)


def _approaches(one: Described, other: Described) -> float:
    features = _jaccard(_features(one.content["context"]), _features(other.content["context"]))
    return 0.6 * features + 0.4 * _edits(one.content["approach"], other.content["approach"])


_MEASURES = {
    "tool_sequence": _sequences,
    "decision_point": _decisions,
    "error_recovery": _recoveries,
    "context_pattern": _approaches,
}


def _context(one: Described, other: Described) -> float:
    return _jaccard(one.domains, other.domains)


def _features(context: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    plain = {(name, value) for name, value in context.items() if name != "tags" and value is not None}
    return frozenset(plain | {("tag", tag) for tag in context["tags"]})


def _jaccard(one: frozenset[Any], other: frozenset[Any]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0


def _text(one: str | None, other: str | None) -> float:
    if one is None or other is None or one == other:
        return float(one == other)
    shorter, longer = sorted((len(one), len(other)))
    return _native.levenshtein_ratio(_letters(one), _letters(other)) if shorter > longer / 2 else 0.0


@lru_cache(maxsize=4_096)
def _letters(text: str) -> NDArray[np.uint64]:
    import numpy as np

    return np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)


def _edits(one: Sequence[Any], other: Sequence[Any]) -> float:
    """1 less the edit distance by the longer length."""
    if one == other:
        return 1.0
    row = list(range(len(other) + 1))
    for place, each in enumerate(one, 1):
        before, row[0] = row[0], place
        for column, against in enumerate(other, 1):
            before, row[column] = (
                row[column],
                min(before + (each != against), row[column] + 1, row[column - 1] + 1),
            )
    return 1 - row[-1] / max(len(one), len(other))


def merges(
    patterns: Iterable[Described],
    threshold: float,
    standing: Iterable[bytes] = (),
    grown: Container[bytes] | None = None,
) -> list[Merge]:
    """Merges of near-duplicates: the pattern with more episodes survives, then the smaller id.

    Each is merged at most once; survivors, and patterns that are `standing` for others already, are not merged, so
    that similarity is never handed on. Only patterns that share all tools but one, the state and the choice, or the
    failed tool and the fix are compared. `grown` are the patterns that others were merged into since all were compared:
    the rest is as similar as it was, so only pairs with one of them are compared again.
    """
    blocks = _blocks(each for each in patterns if _nearest_possible(each) >= threshold)
    pairs = {pair for block in blocks.values() for pair in combinations(sorted(block, key=_rank), 2)}
    alike = [
        (similarity(one, other), one, other)
        for one, other in pairs
        if grown is None or one.id in grown or other.id in grown
    ]
    near = [each for each in alike if each[0] >= threshold]
    merged: dict[bytes, Merge] = {}
    survivors = set(standing)
    for likeness, survivor, duplicate in sorted(
        near, key=lambda each: (-each[0], _rank(each[1]), _rank(each[2]))
    ):
        if survivor.id not in merged and duplicate.id not in merged and duplicate.id not in survivors:
            survivors.add(survivor.id)
            merged[duplicate.id] = Merge(survivor.id.hex(), duplicate.id.hex(), likeness, survivor.kind)
    return sorted(merged.values(), key=lambda merge: merge.merged)


def _nearest_possible(pattern: Described) -> float:
    """How similar another pattern of that length can be."""
    match pattern.kind:
        case "tool_sequence":
            return 1 - 0.7 / len(pattern.content["tools"])
        case "context_pattern":
            return 1 - 0.4 / max(1, len(pattern.content["approach"]))
        case _:
            return 1.0


def _rank(pattern: Described) -> tuple[int, bytes]:
    return -pattern.episodes, pattern.id


def _blocks(patterns: Iterable[Described]) -> dict[tuple[Any, ...], set[Described]]:
    blocks: defaultdict[tuple[Any, ...], set[Described]] = defaultdict(set)
    for pattern in patterns:
        for key in _keys(pattern):
            blocks[pattern.kind, *key].add(pattern)
    return blocks


def _keys(pattern: Described) -> Iterator[tuple[Any, ...]]:
    """Patterns that share one of these may be near-duplicates. Tools: all of them, or all but one."""
    content = pattern.content
    match pattern.kind:
        case "tool_sequence":
            yield from _all_but_one(content["tools"])
        case "decision_point" if content["result"] not in (None, "ok", "none") or content["condition"]:
            yield content["after"], content["choose"]
        case "error_recovery":
            yield content["tool"], content["next"]
        case "context_pattern":
            features = _features(content["context"])
            for tools in _all_but_one(content["approach"]):
                yield (features, *tools)


def _all_but_one(tools: Sequence[str]) -> Iterator[tuple[str, ...]]:
    yield tuple(tools)
    for place in range(len(tools)):
        yield (*tools[:place], *tools[place + 1 :])
