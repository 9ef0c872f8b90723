"""`tacit start`, `log`, `begin`, `end`, `complete` and `resume`: a shell script records an episode.

Each command is a process of its own: it appends to the open episode, and stores what it did before it ends.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
import typer

from ..model.episode import Json, Outcome
from . import console
from .options import AsJson, Database, IdNamespace, Task, WrittenNamespace, joined, memory_at, outcome_named

OUTCOMES = ("success", "partial", "failure", "abandoned", "unknown")
_NO_REASON = "ended as a failure"

EpisodeId = Annotated[
    str, typer.Argument(metavar="ID", help="The id that `tacit start` printed.", show_default=False)
]
Tool = Annotated[str, typer.Argument(metavar="TOOL", help="The tool that was called.", show_default=False)]
Action = Annotated[
    str | None, typer.Option("--action", metavar="TEXT", help="What the tool did.", show_default=False)
]
Parameters = Annotated[
    str | None,
    typer.Option("--parameters", metavar="JSON", help="The parameters of the call.", show_default=False),
]
State = Annotated[
    str | None,
    typer.Option(
        "--state", metavar="TEXT", help="The situation: a text, or a JSON value.", show_default=False
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="TEXT",
        help="The output: a JSON value, else a text; - reads standard input.",
        show_default=False,
    ),
]
Error = Annotated[
    str | None,
    typer.Option("--error", metavar="TEXT", help="The error; - reads standard input.", show_default=False),
]
TimedOut = Annotated[bool, typer.Option("--timeout", help="The call timed out.")]
Tokens = Annotated[
    int | None,
    typer.Option("--tokens", metavar="N", min=0, help="The tokens of the call.", show_default=False),
]


def start(
    task: Task,
    domain: Annotated[str | None, typer.Option("--domain", metavar="NAME", show_default=False)] = None,
    language: Annotated[str | None, typer.Option("--language", metavar="NAME", show_default=False)] = None,
    framework: Annotated[str | None, typer.Option("--framework", metavar="NAME", show_default=False)] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Who works on it.", show_default=False)
    ] = None,
    task_key: Annotated[
        str | None,
        typer.Option(
            "--task-key", metavar="KEY", help="What attempts at one task share.", show_default=False
        ),
    ] = None,
    external_id: Annotated[
        str | None,
        typer.Option("--external-id", metavar="ID", help="Your id of the run.", show_default=False),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="A tag; once for each.", show_default=False),
    ] = None,
    database: Database = None,
    namespace: WrittenNamespace = "default",
    as_json: AsJson = False,
) -> None:
    """Start an episode and print its id."""
    with memory_at(database, namespace, writes=True) as memory:
        id = memory.start(
            joined(task, "task"),
            domain=domain or "general",
            language=language,
            framework=framework,
            agent=agent,
            task_key=task_key,
            external_id=external_id,
            tags=tuple(tags or ()),
        )
        memory.flush()
    _say(id, {"episode_id": id}, as_json)


def log(
    episode_id: EpisodeId,
    tool: Tool,
    action: Action = None,
    parameters: Parameters = None,
    output: Output = None,
    error: Error = None,
    timed_out: TimedOut = False,
    latency_ms: Annotated[
        float | None,
        typer.Option("--latency-ms", metavar="MS", help="How long the call took.", show_default=False),
    ] = None,
    tokens: Tokens = None,
    state: State = None,
    truncate: Annotated[bool, typer.Option("--truncate", help="Cut a text beyond the limit.")] = False,
    database: Database = None,
    namespace: IdNamespace = None,
    as_json: AsJson = False,
) -> None:
    """Append a step to an open episode, of any process.

    Without a result the step has neither succeeded nor failed.
    """
    result = _result(output, error, timed_out)
    given = _json("--parameters", parameters)
    with memory_at(database, namespace, of=episode_id) as memory:
        memory.log(
            episode_id,
            tool,
            action,
            parameters=given,
            latency_ms=latency_ms,
            tokens=tokens,
            state=_value(state),
            truncate="observation" if truncate else None,
            **result,
        )
        memory.flush()
    _say(None, {"episode_id": episode_id}, as_json)


def begin(
    episode_id: EpisodeId,
    tool: Tool,
    action: Action = None,
    parameters: Parameters = None,
    call_id: Annotated[
        str | None,
        typer.Option(
            "--call-id", metavar="C", help="The id of the call; else a new one.", show_default=False
        ),
    ] = None,
    state: State = None,
    database: Database = None,
    namespace: IdNamespace = None,
    as_json: AsJson = False,
) -> None:
    """Note that a call begins, and print its call id.

    `tacit end` brings its result. Calls that are in flight at the same time have no order.
    """
    given = _json("--parameters", parameters)
    with memory_at(database, namespace, of=episode_id) as memory:
        call_id = memory.begin(
            episode_id, tool, action, parameters=given, call_id=call_id, state=_value(state)
        )
        memory.flush()
    _say(call_id, {"episode_id": episode_id, "call_id": call_id}, as_json)


def end(
    episode_id: EpisodeId,
    call_id: Annotated[
        str, typer.Option("--call-id", metavar="C", help="The id of the call.", show_default=False)
    ],
    output: Output = None,
    error: Error = None,
    timed_out: TimedOut = False,
    tokens: Tokens = None,
    database: Database = None,
    namespace: IdNamespace = None,
    as_json: AsJson = False,
) -> None:
    """Bring the result of a call that `tacit begin` noted.

    The first result holds. One that comes before its beginning waits for it.
    """
    result = _result(output, error, timed_out)
    if not result:
        raise typer.BadParameter("give --output, --error or --timeout")
    with memory_at(database, namespace, of=episode_id) as memory:
        memory.end(episode_id, call_id=call_id, tokens=tokens, **result)
        memory.flush()
    _say(None, {"episode_id": episode_id, "call_id": call_id}, as_json)


def complete(
    episode_id: EpisodeId,
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="KIND", help=", ".join(OUTCOMES), show_default=False)
    ] = None,
    verdict: Annotated[
        str | None,
        typer.Option(
            "--verdict", metavar="TEXT", help="A success or partial success in words.", show_default=False
        ),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="The reason of a failure.", show_default=False),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of another run with its --external-id.")
    ] = False,
    database: Database = None,
    namespace: IdNamespace = None,
    as_json: AsJson = False,
) -> None:
    """End an open episode, of any process, and learn from it.

    Without --outcome it ends as `tacit judge` said before, else with an unknown outcome.
    """
    given = _outcome(outcome, verdict, reason)
    with memory_at(database, namespace, of=episode_id) as memory:
        learned = memory.complete(episode_id, given, replace=replace)
        ended = memory.get(learned.episode_id).outcome or Outcome.unknown()
    for problem in learned.problems:
        console.note(problem)
    reward = "" if learned.reward is None else f" · reward {learned.reward.total:.2f}"
    data = {
        "episode_id": learned.episode_id,
        "state": learned.state,
        "outcome": ended,
        "reward": learned.reward,
        "problems": learned.problems,
    }
    _say(f"{console.outcome_name(ended.kind)}{reward}", data, as_json)


def resume(
    episode_id: EpisodeId,
    force: Annotated[bool, typer.Option("--force", help="Do not wait for the lease of its owner.")] = False,
    database: Database = None,
    namespace: IdNamespace = None,
    as_json: AsJson = False,
) -> None:
    """Take an open episode from the process that records it, or open an abandoned one again.

    Steps can be appended without it: see `tacit log`. The earlier owner's next steps are refused.
    """
    with memory_at(database, namespace, of=episode_id) as memory:
        memory.resume(episode_id, force=force)
        steps = len(memory.get(episode_id).steps)
    text = f"open, {console.count_of(steps, 'step')}"
    _say(text, {"episode_id": episode_id, "steps": steps}, as_json)


def _result(output: str | None, error: str | None, timed_out: bool) -> dict[str, Any]:
    """The result of a call as keywords of `log` and `end`; empty if none was given."""
    if timed_out and output is not None:
        raise typer.BadParameter("--timeout goes with --error alone")
    if output is not None and error is not None:
        raise typer.BadParameter("--output and --error exclude each other")
    found: dict[str, Any] = {}
    if output is not None:
        found["output"] = _value(_read(output))
    if error is not None:
        found["error"] = _read(error)
    if timed_out:
        found["timed_out"] = True
    return found


def _read(text: str) -> str:
    """The text, or standard input if it is a dash."""
    return sys.stdin.buffer.read().decode("utf-8", "replace") if text == "-" else text


def _value(text: str | None) -> Json:
    """A JSON value, or the text if it is none."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return text


def _json(option: str, text: str | None) -> Json:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise typer.BadParameter(f"must be JSON: {error}", param_hint=option) from None


def _outcome(kind: str | None, verdict: str | None, reason: str | None) -> Outcome | None:
    if verdict is not None and kind not in ("success", "partial"):
        raise typer.BadParameter("--verdict goes with --outcome success or partial")
    if reason is not None and kind != "failure":
        raise typer.BadParameter("--reason goes with --outcome failure")
    if kind is None:
        return None
    if kind not in OUTCOMES:
        raise typer.BadParameter(f"must be one of {', '.join(OUTCOMES)}", param_hint="--outcome")
    return outcome_named(kind, verdict or reason, no_reason=_NO_REASON)


def _say(text: str | None, data: dict[str, Any], as_json: bool) -> None:
    """Prints one word or line, without the tables of a terminal: a script reads it."""
    if as_json:
        console.say_json(data)
    elif text is not None:
        typer.echo(text)
