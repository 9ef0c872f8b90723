"""Plans and runs of generated tools: arguments are checked first, then each step gets its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import ValidationError
from ..model.episode import Json
from .generated import GeneratedTool, PlannedCall, StepArgument, ToolParameter, ToolRun, ToolStep
from .values import json_type, value_at


def planned(tool: GeneratedTool, arguments: Mapping[str, Json]) -> tuple[PlannedCall, ...]:
    """See `GeneratedTool.plan`."""
    _check(tool, arguments)
    return tuple(_planned(step, arguments) for step in tool.steps)


def run_tool(
    tool: GeneratedTool, arguments: Mapping[str, Json], functions: Mapping[str, Callable[..., Any]]
) -> ToolRun:
    """See `GeneratedTool.run`."""
    calls = planned(tool, arguments)
    missing = sorted({call.tool for call in calls} - functions.keys())
    if missing:
        raise ValidationError("functions", "a function for each tool of the plan", f"none for {missing[0]!r}")
    made: list[PlannedCall] = []
    results: list[Any] = []
    for number, call in enumerate(calls, 1):
        try:
            filled = {each.name: _from_result(each, results) for each in call.later}
        except LookupError:
            sources = " and ".join(f"{each.name} {each.text}" for each in call.later)
            return ToolRun(tuple(made), tuple(results), f"step {number} ({call.tool}): nothing {sources}")
        whole = PlannedCall(call.tool, {**call.arguments, **filled})
        made.append(whole)
        try:
            results.append(functions[call.tool](**whole.arguments))
        except Exception as error:
            said = f"step {number} ({call.tool}): {type(error).__name__}: {error}"
            return ToolRun(tuple(made), tuple(results), said)
    return ToolRun(tuple(made), tuple(results))


def _planned(step: ToolStep, arguments: Mapping[str, Json]) -> PlannedCall:
    given: dict[str, Json] = {}
    for each in step.arguments:
        if each.source == "always":
            given[each.name] = each.value
        elif each.parameter is not None and each.parameter in arguments:
            given[each.name] = arguments[each.parameter]
    return PlannedCall(step.tool, given, tuple(each for each in step.arguments if each.source == "result"))


def _from_result(argument: StepArgument, results: Sequence[Any]) -> Json:
    assert argument.step is not None
    return value_at(results[argument.step - 1], argument.path)


def _check(tool: GeneratedTool, arguments: Mapping[str, Json]) -> None:
    known = {each.name: each for each in tool.parameters}
    for name in arguments:
        if name not in known:
            rule = f"only parameters of {tool.name}: {', '.join(known) or 'it has none'}"
            raise ValidationError("arguments", rule, repr(name))
    for parameter in tool.parameters:
        if parameter.name in arguments:
            _check_value(parameter, arguments[parameter.name])
        elif parameter.required:
            raise ValidationError(parameter.name, "given", "nothing")


def _check_value(parameter: ToolParameter, value: Json) -> None:
    found = json_type(value)
    fits = found in parameter.types or (found == "integer" and "number" in parameter.types)
    if not fits:
        raise ValidationError(parameter.name, f"of type {' or '.join(parameter.types)}", found)
    if parameter.enum and value not in parameter.enum:
        raise ValidationError(
            parameter.name, f"one of {', '.join(map(repr, parameter.enum))}", repr(value)[:100]
        )
