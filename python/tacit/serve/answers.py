"""The structured answers of the tools. Typed dictionaries: dataclasses with slots lose their schema in the SDK."""

from __future__ import annotations

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


class FoundTools(TypedDict):
    """The tools that fit the words, best first."""

    tools: list[FoundTool]
