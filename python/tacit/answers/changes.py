"""The arguments that changed between a failed call and the next success of the same tool, over several runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from .._native import error_class
from ..deferred import dataclass
from ..model.advice import Argument, ChangedArguments
from ..model.episode import Json, Step

_SEARCHED_VALUES = 200
"""Values of one result that are compared with a changed argument."""
_TELLING = 3
"""A text or number of fewer characters may stand in a result by chance."""


@dataclass(frozen=True, slots=True)
class Change:
    """One failed call, and what its tool was given when it succeeded next."""

    tool: str
    error: str
    after: Mapping[str, Json]
    """The arguments that were added or have another value."""
    dropped: tuple[str, ...]
    sources: Mapping[str, str]
    """The earlier result that held the value of an argument, in words."""
    is_whole: bool
    """True if no argument stayed as it was."""


def changes_of(steps: Sequence[Step]) -> Iterator[Change]:
    """The change of each failed call whose tool succeeded when it was called next; calls of one batch fix nothing for
    each other.
    """
    for number, failed in enumerate(steps):
        if failed.ok is not False or not isinstance(failed.parameters, dict):
            continue
        later = (at for at in range(number + 1, len(steps)) if _is_next(failed, steps[at]))
        place = next(later, None)
        if place is None or not steps[place].ok:
            continue
        before, after = failed.parameters, steps[place].parameters
        if not isinstance(after, dict):
            continue
        changed = {name: value for name, value in after.items() if before.get(name, ...) != value}
        dropped = tuple(name for name in before if name not in after)
        sources = {name: _source(value, steps[:place]) for name, value in changed.items()}
        yield Change(
            failed.tool,
            failed.error or failed.status or "error",
            changed,
            dropped,
            {name: source for name, source in sources.items() if source},
            len(changed) == len(after),
        )


def _is_next(failed: Step, later: Step) -> bool:
    """True for a later call of the same tool outside the failed call's batch."""
    is_batch = failed.batch is not None and failed.batch == later.batch
    return later.tool == failed.tool and not is_batch


def alike(changes: Iterable[Change]) -> list[list[Change]]:
    """Changes of the same arguments after the same error, together: the most frequent first."""
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        key = (change.tool, error_class(change.error), frozenset(change.after), frozenset(change.dropped))
        groups.setdefault(key, []).append(change)
    return sorted(groups.values(), key=lambda group: -len(group))


def summarised(group: Sequence[Change]) -> ChangedArguments:
    """The common part of changes that are alike: the new values, or else the sources of the values."""
    first = group[0]
    arguments = []
    for name, value in first.after.items():
        is_same = all(change.after[name] == value for change in group) and len(group) > 1
        sources = {change.sources.get(name) for change in group}
        source = sources.pop() if len(sources) == 1 else None
        arguments.append(Argument(name, value, filled=True) if is_same else Argument(name, source=source))
    return ChangedArguments(first.tool, first.error, tuple(arguments), first.dropped, len(group))


def _source(value: Json, before: Sequence[Step]) -> str | None:
    """The newest result that holds the value: "payment from get_order"; `None` for a value that says too little."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or len(str(value)) < _TELLING:
        return None
    for step in reversed(before):
        if step.ok is not False and step.output is not None:
            for path, found in islice(_values(step.output), _SEARCHED_VALUES):
                if found == value and type(found) is type(value):
                    return f"{path} from {step.tool}" if path else f"the result of {step.tool}"
    return None


def _values(output: Json, path: str = "", depth: int = 0) -> Iterator[tuple[str, Json]]:
    """The single values of a result with their paths; places in lists are left out of the path."""
    if depth > 8:
        return
    if isinstance(output, dict):
        for name, value in output.items():
            yield path, name  # results keyed by id
            yield from _values(value, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(output, list):
        for value in output:
            yield from _values(value, path, depth + 1)
    else:
        yield path, output
