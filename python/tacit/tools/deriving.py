"""A tool from a proven pattern and the successes that show it: argument sources, parameters, name, description."""

from __future__ import annotations

import hashlib
import keyword
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from ..deferred import dataclass
from ..model.episode import Episode, Json, Step
from ..model.pattern import Pattern
from .generated import GeneratedTool, StepArgument, ToolParameter, ToolStep
from .occurrences import does, occurrence, usual_plan
from .values import Path, is_redacted, json_type, key_of, may_be_shown, places

LEAST_EXAMPLES = 3
"""The fewest successes that a tool is derived from."""
_MOST_EXAMPLES = 200
"""The most successes that a tool is derived from, the newest first."""
_MOST_ARGUMENTS = 16
_LONGEST_NAME = 64
_AGREEMENT = 0.9
"""The share of the runs in which a source must hold the value."""
_RARE = 0.1
"""The share of the runs under which an argument is left out."""
_ENUM_VALUES = 6
_ENUM_RUNS = 3
"""How often each value of an enum was seen."""
_SHOWN_EXAMPLES = 3
_ENUM_LEAST = 10
_ALWAYS_BYTES = 200


@dataclass(frozen=True, slots=True)
class _Example:
    """One success: its steps in the order of the plan, and the task that it did."""

    steps: tuple[Step, ...]
    task: str
    episode_id: str


def derived(pattern: Pattern, runs: Sequence[Episode], least: int = LEAST_EXAMPLES) -> GeneratedTool | None:
    """The tool of a tool sequence or an approach; `None` if too few of the runs show its plan, or it has one step."""
    good = [
        run for run in runs if run.outcome is not None and run.outcome.share == 1.0 and does(pattern, run)
    ]
    is_whole = pattern.kind == "context_pattern"
    plan = usual_plan(good, least) if is_whole else tuple(pattern.content["tools"])
    if plan is None:
        return None
    examples = list(_examples(plan, good, is_whole))[:_MOST_EXAMPLES]
    if len(examples) < least or not _have_named_arguments(examples):
        return None
    steps, parameters = _Arguments(plan, examples).derive()
    return GeneratedTool(
        name=tool_name(plan, pattern.id),
        description=_description(plan, pattern, is_whole),
        parameters=parameters,
        steps=steps,
        pattern_id=pattern.id,
        kind=pattern.kind,
        version=_version(steps, parameters),
        episodes=pattern.episodes,
        outcomes=pattern.outcomes,
        odds_ratio=pattern.odds_ratio,
        odds_low=pattern.odds_low,
        odds_high=pattern.odds_high,
        domains=pattern.domains,
        examples=tuple(each.episode_id for each in examples[:_SHOWN_EXAMPLES]),
    )


def _examples(plan: Sequence[str], runs: Sequence[Episode], is_whole: bool) -> Iterator[_Example]:
    for run in runs:
        steps = occurrence(plan, run.steps, is_whole=is_whole)
        if steps is not None:
            yield _Example(steps, run.task_key or run.task, run.id)


def _have_named_arguments(examples: Sequence[_Example]) -> bool:
    return all(
        step.parameters is None or isinstance(step.parameters, dict)
        for each in examples
        for step in each.steps
    )


class _Arguments:
    """Decides where each argument of a plan comes from, in the order of the steps."""

    def __init__(self, plan: Sequence[str], examples: Sequence[_Example]) -> None:
        self._plan = plan
        self._examples = examples
        self._parameters: dict[str, ToolParameter] = {}
        self._decided: list[tuple[int, str, StepArgument]] = []

    def derive(self) -> tuple[tuple[ToolStep, ...], tuple[ToolParameter, ...]]:
        """The steps with the sources of their arguments, and the parameters of the tool."""
        steps = []
        for place, tool in enumerate(self._plan):
            arguments = tuple(self._argument(place, name) for name in self._names(place))
            steps.append(ToolStep(tool, arguments))
        return tuple(steps), tuple(self._parameters.values())

    def _names(self, place: int) -> list[str]:
        """The arguments that more than a few of the runs gave, the usual ones first."""
        counts = Counter(name for each in self._examples for name in _given(each, place))
        least = max(2, _RARE * len(self._examples))
        usual = [name for name, count in counts.items() if count >= least]
        return sorted(usual, key=lambda name: (-counts[name], name))[:_MOST_ARGUMENTS]

    def _argument(self, place: int, name: str) -> StepArgument:
        values = [(each, _given(each, place)[name]) for each in self._examples if name in _given(each, place)]
        source = self._always(name, values) or self._earlier(place, name) or self._result(place, name, values)
        if source is None:
            parameter = self._new_parameter(place, name, values)
            source = StepArgument(name, "parameter", parameter.name)
        self._decided.append((place, name, source))
        return source

    def _always(self, name: str, values: Sequence[tuple[_Example, Json]]) -> StepArgument | None:
        """The value that all runs passed, for more than one task."""
        keys = {key_of(value) for _, value in values}
        tasks = {example.task for example, _ in values}
        value = values[0][1]
        is_one = len(keys) == 1 and len(values) == len(self._examples) and len(tasks) > 1
        if not is_one or is_redacted(value) or len(key_of(value)) > _ALWAYS_BYTES:
            return None
        return StepArgument(name, "always", value=value)

    def _earlier(self, place: int, name: str) -> StepArgument | None:
        """The source of an argument of an earlier step that had the same value in nearly every run."""
        for earlier, other, source in self._decided:
            if earlier == place or source.source == "always":
                continue
            both = [
                key_of(_given(each, place)[name]) == key_of(_given(each, earlier)[other])
                for each in self._examples
                if name in _given(each, place) and other in _given(each, earlier)
            ]
            if sum(both) >= max(LEAST_EXAMPLES, _AGREEMENT * len(self._examples)):
                return StepArgument(name, source.source, source.parameter, step=source.step, path=source.path)
        return None

    def _result(self, place: int, name: str, values: Sequence[tuple[_Example, Json]]) -> StepArgument | None:
        """The place in an earlier result that held the value in nearly every run."""
        counts: Counter[tuple[int, Path]] = Counter()
        for example, value in values:
            if not isinstance(value, (str, int, float)) or isinstance(value, bool):
                return None
            counts.update(
                (step, path)
                for step in range(place)
                for path, found in places(example.steps[step].output)
                if type(found) is type(value) and found == value
            )
        best = min(counts, key=lambda key: (-counts[key], len(key[1]), key[0], str(key[1])), default=None)
        if best is None or counts[best] < max(LEAST_EXAMPLES, _AGREEMENT * len(values)):
            return None
        return StepArgument(name, "result", step=best[0] + 1, path=best[1])

    def _new_parameter(self, place: int, name: str, values: Sequence[tuple[_Example, Json]]) -> ToolParameter:
        given = parameter_name(name)
        free = given if given not in self._parameters else f"{given}_{place + 1}"
        while free in self._parameters:
            free += "_"
        is_required = len(values) == len(self._examples)
        said = f"Argument {quoted(name)} of step {place + 1}, {quoted(self._plan[place])}; "
        said += f"{len(values)} of {len(self._examples)} runs gave it."
        parameter = ToolParameter(
            name=free,
            types=_types(value for _, value in values),
            required=is_required,
            description=said,
            enum=_enum(values),
            examples=_shown(value for _, value in values),
        )
        self._parameters[free] = parameter
        return parameter


def _given(example: _Example, place: int) -> dict[str, Json]:
    parameters: dict[str, Json] = example.steps[place].parameters or {}
    return parameters


def _types(values: Iterator[Json]) -> tuple[str, ...]:
    """The JSON types that were seen; a number covers integers."""
    found = {json_type(value) for value in values}
    if "number" in found:
        found.discard("integer")
    return tuple(sorted(found))


def _enum(values: Sequence[tuple[_Example, Json]]) -> tuple[Json, ...]:
    """All values of a text, if they are few and each was passed for several tasks; else none."""
    if len(values) < _ENUM_LEAST or not all(
        isinstance(value, str) and may_be_shown(value) for _, value in values
    ):
        return ()
    counts = Counter(value for _, value in values)
    tasks = {value: {each.task for each, own in values if own == value} for value in counts}
    is_closed = len(counts) <= _ENUM_VALUES and all(
        count >= _ENUM_RUNS and len(tasks[value]) > 1 for value, count in counts.items()
    )
    return tuple(sorted(counts)) if is_closed else ()


def _shown(values: Iterator[Json]) -> tuple[Json, ...]:
    """The most frequent short values."""
    counts: Counter[bytes] = Counter()
    of_key: dict[bytes, Json] = {}
    for value in values:
        if may_be_shown(value):
            key = key_of(value)
            counts[key] += 1
            of_key[key] = value
    best = sorted(counts, key=lambda key: (-counts[key], key))[:_SHOWN_EXAMPLES]
    return tuple(of_key[key] for key in best)


def tool_name(plan: Sequence[str], pattern_id: str) -> str:
    """A name that every host takes: the tools of the plan, and the beginning of the pattern's id.

    Example:
        >>> tool_name(("get order", "cancel"), "0123456789abcdef")
        'get_order_then_cancel_012345'
    """
    words = (re.sub(r"[^a-z0-9]+", "_", tool.lower()).strip("_") or "step" for tool in plan)
    end = f"_{pattern_id[:6]}"
    name = "_then_".join(words)[: _LONGEST_NAME - len(end)].rstrip("_")
    return (name if name[:1].isalpha() else f"run_{name}"[: _LONGEST_NAME - len(end)]) + end


def parameter_name(name: str) -> str:
    """The name of an argument as a name that hosts and languages take.

    Example:
        >>> parameter_name("order-id"), parameter_name("from"), parameter_name("2nd")
        ('order_id', 'from_value', 'value_2nd')
    """
    word = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[: _LONGEST_NAME - 16] or "value"
    if not word[0].isalpha():
        word = f"value_{word}"
    return f"{word}_value" if keyword.iskeyword(word) else word


def quoted(text: str) -> str:
    """A recorded name for a description: as it is if it is one word, else in quotes, short and in one line."""
    if re.fullmatch(r"[\w.-]{1,40}", text):
        return text
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return msgspec.json.encode(line if len(line) <= 40 else line[:39] + "…").decode()


def _description(plan: Sequence[str], pattern: Pattern, is_whole: bool) -> str:
    calls = ", then ".join(map(quoted, plan))
    said = f"Plans {calls}. "
    said += f"{pattern.outcomes:g} of {pattern.episodes} recorded runs "
    said += "that used these tools, first in this order," if is_whole else "with these steps"
    said += " succeeded"
    if pattern.odds_ratio is not None and pattern.odds_low is not None and pattern.odds_high is not None:
        said += (
            f"; the odds of success were {pattern.odds_ratio:.1f} times those of comparable runs without them "
            f"({pattern.odds_low:.1f} to {pattern.odds_high:.1f})"
        )
    return f"{said}.{_domains(pattern.domains)}"


def _domains(domains: Sequence[str]) -> str:
    if not domains:
        return ""
    more = f" and {len(domains) - 3} more" if len(domains) > 3 else ""
    return f" Seen in {', '.join(map(quoted, domains[:3]))}{more}."


def _version(steps: Sequence[ToolStep], parameters: Sequence[ToolParameter]) -> str:
    interface = [
        [(step.tool, [(each.name, each.text, each.value) for each in step.arguments]) for step in steps],
        [(each.name, each.types, each.required, each.enum) for each in parameters],
    ]
    return hashlib.blake2b(key_of(interface), digest_size=4).hexdigest()
