"""A generated tool and its parts, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..deferred import dataclass
from ..model.episode import Json


@dataclass(frozen=True, slots=True)
class ToolParameter:
    """One parameter of a generated tool, as it was observed.

    `types` are JSON types. The parameter is `required` if every successful run gave it. `enum` holds all its values if
    they are few and each was seen often, else it is empty; `examples` are a few short values. A redacted value is never
    one of them.

    Example:
        >>> from tacit import ToolParameter
        >>> ToolParameter("order_id", ("integer",), True, "of step 1").schema()
        {'type': 'integer', 'description': 'of step 1'}
    """

    name: str
    types: tuple[str, ...]
    required: bool
    description: str
    enum: tuple[Json, ...] = ()
    examples: tuple[Json, ...] = ()

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its values."""
        said: dict[str, Any] = {"type": self.types[0] if len(self.types) == 1 else list(self.types)}
        said["description"] = self.description
        if self.enum:
            said["enum"] = list(self.enum)
        elif self.examples:
            said["examples"] = list(self.examples)
        return said


@dataclass(frozen=True, slots=True)
class StepArgument:
    """The source of one argument of a step of a generated tool.

    "parameter": the value of the tool's parameter `parameter`. "always": `value`, which every successful run passed.
    "result": the value at `path` in the result of step `step`, counted from 1.

    Example:
        >>> from tacit import StepArgument
        >>> StepArgument("user", "result", step=1, path=("owner", "id")).text
        'from result of step 1: owner.id'
    """

    name: str
    source: Literal["parameter", "always", "result"]
    parameter: str | None = None
    value: Json = None
    step: int | None = None
    path: tuple[str | int, ...] = ()

    @property
    def text(self) -> str:
        """The source in words."""
        if self.source == "parameter":
            return f"from parameter {self.parameter}"
        if self.source == "always":
            return "always the same"
        return f"from result of step {self.step}: {'.'.join(map(str, self.path)) or 'all of it'}"


@dataclass(frozen=True, slots=True)
class ToolStep:
    """One step of a generated tool: the tool to call, and the source of each argument.

    Example:
        >>> from tacit import StepArgument, ToolStep
        >>> ToolStep("get_order", (StepArgument("order_id", "parameter", "order_id"),)).tool
        'get_order'
    """

    tool: str
    arguments: tuple[StepArgument, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that the host is to make. `later` are the arguments that come from results of earlier calls.

    Example:
        >>> from tacit import PlannedCall
        >>> PlannedCall("get_order", {"order_id": 17}).arguments
        {'order_id': 17}
    """

    tool: str
    arguments: dict[str, Json]
    later: tuple[StepArgument, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolRun:
    """The calls that a run of a generated tool made, and their results in the same order.

    `error` says why the run stopped, and `None` that all steps were called. A call that raised has no result.

    Example:
        >>> from tacit import PlannedCall, ToolRun
        >>> ToolRun((PlannedCall("get_order", {"order_id": 17}),), ("open",)).error is None
        True
    """

    calls: tuple[PlannedCall, ...]
    results: tuple[Any, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class GeneratedTool:
    """A proven way of working as a tool: parameters from the observed calls, a plan with the source of each argument.

    It stands for the pattern `pattern_id` of kind `kind`; the same pattern has the same name. `version` changes when
    the plan or a parameter does. Of the `episodes` with the pattern, `outcomes` succeeded; the odds of success are
    `odds_ratio` times those of comparable episodes without it (95% interval). `examples` are ids of a few of the
    successes that the parameters were derived from. `state` is "proven", or "withdrawn" with the `reason`.

    Example:
        >>> from tacit import GeneratedTool, StepArgument, ToolParameter, ToolStep
        >>> order = StepArgument("order_id", "parameter", "order_id")
        >>> tool = GeneratedTool(
        ...     "look_then_cancel",
        ...     "Calls look, then cancel.",
        ...     (ToolParameter("order_id", ("integer",), True, "of step 1"),),
        ...     (ToolStep("look", (order,)), ToolStep("cancel", (order,))),
        ... )
        >>> [(call.tool, call.arguments) for call in tool.plan({"order_id": 17})]
        [('look', {'order_id': 17}), ('cancel', {'order_id': 17})]
    """

    name: str
    description: str
    parameters: tuple[ToolParameter, ...]
    steps: tuple[ToolStep, ...]
    pattern_id: str = ""
    kind: str = "tool_sequence"
    version: str = ""
    state: Literal["proven", "withdrawn"] = "proven"
    reason: str | None = None
    episodes: int = 0
    outcomes: float = 0.0
    odds_ratio: float | None = None
    odds_low: float | None = None
    odds_high: float | None = None
    domains: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    def schema(self, form: Literal["mcp", "openai", "anthropic"] = "mcp") -> dict[str, Any]:
        """The tool as MCP, OpenAI or Anthropic list it. Raises `ValidationError` for another form.

        Example:
            >>> GeneratedTool("look", "Calls look.", (), ()).schema("anthropic")["name"]
            'look'
        """
        from .schemas import schema_of

        return schema_of(self, form)

    def plan(self, arguments: Mapping[str, Json]) -> tuple[PlannedCall, ...]:
        """The calls for these arguments, in order; nothing is called.

        Raises `ValidationError` that names the argument: one that is missing, unknown or of another type or value than
        the schema says.
        """
        from .running import planned

        return planned(self, arguments)

    def run(self, arguments: Mapping[str, Json], functions: Mapping[str, Callable[..., Any]]) -> ToolRun:
        """Makes the calls through `functions`, by tool, each with its arguments as keywords.

        The run stops at the first call that raises, or whose argument is not in an earlier result: `ToolRun.error` says
        so. Raises `ValidationError` before the first call if a function is missing, or as `plan`.

        Example:
            >>> tool = GeneratedTool("greet", "Calls hello.", (), (ToolStep("hello"),))
            >>> tool.run({}, {"hello": lambda: "hi"}).results
            ('hi',)
        """
        from .running import run_tool

        return run_tool(self, arguments, functions)
