"""The structured answers of the tools. Typed dictionaries: dataclasses with slots lose their schema in the SDK."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class Found(TypedDict):
    """One similar episode."""

    episode_id: str
    task: str
    outcome: str
    score: float


class RecallAnswer(TypedDict):
    """Experience with a task: `text` is made to be read, `recall_id` is what `feedback` names."""

    recall_id: str
    text: str
    episodes: list[Found]
    degraded: list[str]


class Started(TypedDict):
    """An open episode, and what is known of tasks like it."""

    episode_id: str
    recall_id: str
    text: str


class Logged(TypedDict):
    """The number of the step; `hint` has the fixes that worked, if the step failed and some are known."""

    number: int
    hint: str


class Completed(TypedDict):
    """The lessons of an episode."""

    state: str
    reward: float | None
    insights: list[str]


class Text(TypedDict):
    """An answer made to be read; empty if nothing comparable is known."""

    text: str


class Acknowledged(TypedDict):
    """A change that was made."""

    state: str


class FoundTool(TypedDict):
    """A tool that can be called now."""

    name: str
    description: str


class FoundGeneratedTool(TypedDict):
    """A tool that was generated from a proven pattern; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


class FoundGeneratedTools(TypedDict):
    """The generated tools that fit a task, best first: `use_generated_tool` plans their calls."""

    generated: list[FoundGeneratedTool]


class FoundTools(TypedDict):
    """The tools that fit the words, best first. `use_generated_tool` plans the calls of the generated ones."""

    tools: list[FoundTool]
    generated: list[FoundGeneratedTool]


class LaterArgument(TypedDict):
    """An argument that comes from the result of an earlier call, `step` counted from 1."""

    argument: str
    step: int
    path: list[str | int]


class CallToMake(TypedDict):
    """A call for the host to make."""

    tool: str
    arguments: dict[str, Any]
    from_results: list[LaterArgument]


class CallsToMake(TypedDict):
    """The calls of a plan, in order; nothing was called yet."""

    calls: list[CallToMake]
