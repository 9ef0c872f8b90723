"""The tools of the server: a few that are always listed, and more that `search_tools` brings."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import anyio.to_thread
from pydantic import Field

from ..errors import TacitError
from ..memory import Memory
from ..model.episode import Outcome
from ..model.pattern import PatternKind
from ..tools.generated import GeneratedTool, PlannedCall
from .answers import (
    Acknowledged,
    CallsToMake,
    CallToMake,
    Completed,
    Found,
    FoundGeneratedTool,
    FoundGeneratedTools,
    LaterArgument,
    Logged,
    RecallAnswer,
    Started,
    Text,
)
from .sdk import ToolError

T = TypeVar("T")
Task = Annotated[str, Field(description="The task in one or two sentences, as the user would state it.")]
Domain = Annotated[str | None, Field(description="Its field, such as retail or coding. Optional.")]
EpisodeId = Annotated[str, Field(description="The id that start_episode gave.")]
Steps = Annotated[list[str], Field(description="The names of the tools that were called so far, in order.")]
Tokens = Annotated[int, Field(ge=50, le=8_000, description="The most tokens that the text may have.")]
USE_TOOL = "use_generated_tool"
Many = Annotated[int, Field(ge=1, le=50)]


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """A tool before it is listed. `words` are further words by which it is found."""

    name: str
    title: str
    function: Callable[..., Awaitable[Any]]
    reads: bool = True
    destroys: bool = False
    repeats: bool = True
    words: str = ""

    @property
    def description(self) -> str:
        """The text that a host shows of the tool."""
        return " ".join((self.function.__doc__ or "").split())


async def in_thread(call: Callable[[], T]) -> T:
    """Calls the memory off the event loop. The model reads a refusal in its own words: they name the remedy."""
    try:
        return await anyio.to_thread.run_sync(call)
    except TacitError as refusal:
        raise ToolError(str(refusal)) from refusal


class Toolbox:
    """The verbs of a memory as tools; `memory` gives the memory of the caller's namespace."""

    def __init__(self, memory: Callable[[], Memory]) -> None:
        self._memory = memory

    def listed(self) -> tuple[ToolEntry, ...]:
        """The tools that are always listed: each costs its words in every request of the host."""
        return (
            ToolEntry("recall", "Recall experience", self.recall),
            ToolEntry("start_episode", "Start an episode", self.start_episode, reads=False, repeats=False),
            ToolEntry("log_step", "Log a step", self.log_step, reads=False, repeats=False),
            ToolEntry("complete_episode", "Complete an episode", self.complete_episode, reads=False),
            ToolEntry("feedback", "Say what helped", self.feedback, reads=False),
        )

    def found_by_search(self) -> tuple[ToolEntry, ...]:
        """The tools that `search_tools` brings."""
        return (
            ToolEntry(
                "suggest_next_step",
                "Suggest the next step",
                self.suggest_next_step,
                words="advice action tool",
            ),
            ToolEntry(
                "recover_from_error", "Find a fix", self.recover_from_error, words="fix failure exception"
            ),
            ToolEntry(
                "predict_outcome", "Predict the outcome", self.predict_outcome, words="odds probability risk"
            ),
            ToolEntry("plan_task", "Plan a task", self.plan_task, words="playbook steps strategy"),
            ToolEntry(
                "list_patterns", "List patterns", self.list_patterns, words="evidence sequences recoveries"
            ),
            ToolEntry("list_heuristics", "List heuristics", self.list_heuristics, words="rules conditions"),
            ToolEntry(
                "get_episode", "Read an episode", self.get_episode, words="show steps past run history"
            ),
            ToolEntry(
                "judge_episode",
                "Judge an episode",
                self.judge_episode,
                reads=False,
                words="verdict outcome correct later",
            ),
            ToolEntry(
                "forget_episode",
                "Forget an episode",
                self.forget_episode,
                reads=False,
                destroys=True,
                words="delete remove privacy",
            ),
            ToolEntry("memory_stats", "Count the memory", self.memory_stats, words="size status health"),
            ToolEntry(
                "find_generated_tools",
                "Find proven plans",
                self.find_generated_tools,
                words="workflow routine procedure macro",
            ),
            ToolEntry(USE_TOOL, "Plan the calls of a generated tool", self.use_generated_tool),
        )

    # --- always listed ---

    async def recall(
        self,
        task: Task,
        domain: Domain = None,
        steps: Steps = [],  # noqa: B006 - the schema shows it; nothing changes it
        episode_id: Annotated[
            str | None, Field(description="An open episode that asks: credits what helped.")
        ] = None,
        limit: Many = 5,
        max_tokens: Tokens = 800,
    ) -> RecallAnswer:
        """Experience with tasks like this one: what worked, with its arguments, what failed, what to avoid.
        Ask before you begin, and again when you are stuck.
        """
        answer = await in_thread(
            partial(
                self._memory().recall,
                task,
                steps=steps,
                limit=limit,
                episode_id=episode_id,
                **_named(domain=domain),
            )
        )
        hits = [
            Found(episode_id=hit.episode_id, task=hit.task, outcome=str(hit.outcome), score=hit.score)
            for hit in answer.hits
        ]
        return RecallAnswer(
            recall_id=answer.id,
            text=answer.to_prompt(max_tokens=max_tokens),
            episodes=hits,
            degraded=list(answer.degraded),
        )

    async def start_episode(
        self,
        task: Task,
        domain: Domain = None,
        agent: Annotated[str | None, Field(description="Who works on it: a model's or agent's name.")] = None,
        task_key: Annotated[str | None, Field(description="What several attempts at one task share.")] = None,
        max_tokens: Tokens = 400,
    ) -> Started:
        """Begin to record a task; returns its id, and what is known of tasks like it."""
        memory = self._memory()
        id = await in_thread(
            partial(memory.start, task, **_named(domain=domain, agent=agent, task_key=task_key))
        )
        answer = await in_thread(
            partial(memory.recall, task, episode_id=id, **_named(domain=domain, agent=agent))
        )
        return Started(episode_id=id, recall_id=answer.id, text=answer.to_prompt(max_tokens=max_tokens))

    async def log_step(
        self,
        episode_id: EpisodeId,
        tool: Annotated[str, Field(description="The tool that was called.")],
        parameters: Annotated[dict[str, Any] | None, Field(description="Its arguments.")] = None,
        output: Annotated[Any, Field(description="Its result, if it went well.")] = None,
        error: Annotated[str | None, Field(description="Its error message, if it failed.")] = None,
        latency_ms: Annotated[float | None, Field(ge=0)] = None,
    ) -> Logged:
        """Record one tool call of the episode. After an error the answer holds the fixes that worked before."""
        memory = self._memory()
        result: dict[str, Any] = {"output": output} if error is None else {"error": error}
        number = await in_thread(
            partial(
                memory.log,
                episode_id,
                tool,
                parameters=parameters,
                latency_ms=latency_ms,
                strict=False,
                **result,
            )
        )
        if error is None:
            return Logged(number=number, hint="")
        fixes = await in_thread(partial(memory.recover, error, tool=tool))
        return Logged(number=number, hint=fixes.to_prompt(max_tokens=200))

    async def complete_episode(
        self,
        episode_id: EpisodeId,
        outcome: Literal["success", "partial", "failure", "unknown"] = "unknown",
        reason: Annotated[
            str | None, Field(description="The verdict of a success, the reason of a failure.")
        ] = None,
    ) -> Completed:
        """End the episode and learn from it. Without an outcome it is unknown until someone judges it."""
        learned = await in_thread(partial(self._memory().complete, episode_id, _outcome(outcome, reason)))
        return Completed(
            state=learned.state,
            reward=learned.reward.total if learned.reward else None,
            insights=list(learned.reflection.insights) if learned.reflection else [],
        )

    async def feedback(
        self,
        recall_id: Annotated[str, Field(description="The id of the answer.")],
        helped: Annotated[list[str], Field(description="Ids of episodes or patterns that helped.")] = [],  # noqa: B006
        misled: Annotated[list[str], Field(description="Ids of those that misled.")] = [],  # noqa: B006
    ) -> Acknowledged:
        """Say which memories of an answer helped and which misled: they rank accordingly from then on."""
        named = dict.fromkeys(helped, True) | dict.fromkeys(misled, False)
        await in_thread(partial(self._memory().feedback, recall_id, helped=named))
        return Acknowledged(state="credited")

    # --- found by search ---

    async def suggest_next_step(
        self, task: Task, steps: Steps, domain: Domain = None, limit: Many = 3, max_tokens: Tokens = 300
    ) -> Text:
        """The likely next calls after the steps so far, with arguments and probabilities."""
        answer = await in_thread(
            partial(self._memory().suggest, steps, task=task, limit=limit, **_named(domain=domain))
        )
        return Text(text=answer.to_prompt(max_tokens=max_tokens))

    async def recover_from_error(
        self,
        error: Annotated[str, Field(description="The error message.")],
        tool: Annotated[str, Field(description="The tool that gave it.")],
        domain: Domain = None,
        max_tokens: Tokens = 300,
    ) -> Text:
        """The fixes that worked after errors like this one, and how often."""
        answer = await in_thread(partial(self._memory().recover, error, tool=tool, **_named(domain=domain)))
        return Text(text=answer.to_prompt(max_tokens=max_tokens))

    async def predict_outcome(self, task: Task, domain: Domain = None, max_tokens: Tokens = 200) -> Text:
        """The odds of success of a task, its expected steps, with intervals."""
        answer = await in_thread(partial(self._memory().predict, task, **_named(domain=domain)))
        return Text(text=answer.to_prompt(max_tokens=max_tokens))

    async def plan_task(self, task: Task, domain: Domain = None, max_tokens: Tokens = 600) -> Text:
        """One plan for a task, merged from the successes most like it, with pitfalls."""
        answer = await in_thread(partial(self._memory().playbook, task, **_named(domain=domain)))
        return Text(text=answer.to_prompt(max_tokens=max_tokens))

    async def list_patterns(
        self,
        kind: Annotated[PatternKind | None, Field(description="One kind only.")] = None,
        domain: Domain = None,
        limit: Many = 10,
    ) -> Text:
        """The most certain patterns, with trials, successes and interval."""
        found = await in_thread(partial(self._memory().patterns, kind=kind, domain=domain, limit=limit))
        rows = (
            f"{each.id} {each.kind}: {each.text} "
            f"({each.successes:g} of {each.trials}, {each.low:.0%} to {each.high:.0%})"
            for each in found
        )
        return Text(text="\n".join(rows))

    async def list_heuristics(self, domain: Domain = None, limit: Many = 10) -> Text:
        """Rules (when this holds, do that) with their evidence."""
        found = await in_thread(partial(self._memory().heuristics, domain=domain, limit=limit))
        return Text(
            text="\n".join(f"{each.id} {each.text} ({each.confidence:.0%} at least)" for each in found)
        )

    async def get_episode(self, episode_id: EpisodeId) -> Text:
        """One episode in full, as JSON."""
        return Text(text=await in_thread(partial(self.episode_json, episode_id)))

    async def judge_episode(
        self,
        episode_id: EpisodeId,
        outcome: Literal["success", "partial", "failure", "unknown"],
        reason: str | None = None,
        by: Annotated[str, Field(description="Who says so: tests, user, ...")] = "agent",
    ) -> Acknowledged:
        """Give an ended episode its verdict, or another one; unknown withdraws it."""
        learned = await in_thread(partial(self._memory().judge, episode_id, _outcome(outcome, reason), by=by))
        return Acknowledged(state=learned.state)

    async def forget_episode(self, episode_id: EpisodeId) -> Acknowledged:
        """Remove an episode and everything it taught."""
        await in_thread(partial(self._memory().forget, episode_id))
        return Acknowledged(state="forgotten")

    async def memory_stats(self) -> Text:
        """How much the memory holds."""
        stats = await in_thread(partial(self._memory().stats))
        wanted = ("episodes", "patterns", "open")
        return Text(text="\n".join(f"{name}: {stats[name]}" for name in wanted if name in stats))

    async def find_generated_tools(self, task: Task, limit: Many = 3) -> FoundGeneratedTools:
        """Proven ways of working for a task like this one, as tools with the schema of their arguments."""
        return FoundGeneratedTools(generated=await self.generated(task, limit))

    async def generated(self, task: str, limit: int) -> list[FoundGeneratedTool]:
        """The generated tools of the caller's namespace that fit a task."""
        found = await in_thread(partial(self._memory().tools, task, limit=limit))
        return [
            FoundGeneratedTool(
                name=each.name, description=each.description, parameters=each.schema()["inputSchema"]
            )
            for each in found
        ]

    async def use_generated_tool(
        self,
        tool: Annotated[str, Field(description="The name of a generated tool that a search found.")],
        arguments: Annotated[dict[str, Any], Field(description="Its arguments, as its schema says.")],
    ) -> CallsToMake:
        """The calls of a generated tool, in order, for you to make; nothing is called here."""
        known = await in_thread(partial(self._memory().tools, withdrawn=True, limit=1_000))
        calls = await in_thread(partial(_tool_to_use(tool, known).plan, arguments))
        return CallsToMake(calls=[_call_to_make(each) for each in calls])

    # --- resources ---

    def episode_json(self, episode_id: str) -> str:
        """One episode as JSON."""
        return json.dumps(asdict(self._memory().get(episode_id)), ensure_ascii=False, indent=1)

    def pattern_json(self, pattern_id: str) -> str:
        """One pattern with its evidence as JSON; "null" if there is none."""
        found = self._memory().patterns(limit=10_000)
        pattern = next((each for each in found if each.id == pattern_id), None)
        return json.dumps(
            None if pattern is None else asdict(pattern), ensure_ascii=False, indent=1, default=str
        )

    def plan_text(self, task: str) -> str:
        """Everything known of a task, for a prompt."""
        memory = self._memory()
        return memory.recall(task).to_prompt(max_tokens=1_200) or "Nothing comparable is known yet."


def _tool_to_use(name: str, known: tuple[GeneratedTool, ...]) -> GeneratedTool:
    tool = next((each for each in known if each.name == name), None)
    if tool is None:
        raise ToolError(f"no generated tool {name!r}; find_generated_tools finds those that fit a task")
    if tool.reason is not None:
        raise ToolError(f"{name} is withdrawn: {tool.reason}")
    return tool


def _call_to_make(call: PlannedCall) -> CallToMake:
    later = [
        LaterArgument(argument=each.name, step=each.step or 0, path=list(each.path)) for each in call.later
    ]
    return CallToMake(tool=call.tool, arguments=call.arguments, from_results=later)


def _named(**given: str | None) -> Any:
    """The keywords that were given."""
    return {name: value for name, value in given.items() if value is not None}


def _outcome(kind: str, reason: str | None) -> Outcome:
    if kind == "failure":
        return Outcome.failure(reason or "no reason was given")
    if kind == "success":
        return Outcome.success(reason)
    return Outcome.partial(reason) if kind == "partial" else Outcome.unknown()
