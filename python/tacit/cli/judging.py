"""`tacit judge`: gives an episode its verdict."""

from __future__ import annotations

from typing import Annotated

import typer

from . import console
from .options import AsJson, Database, IdNamespace, memory_at, outcome_named

_OUTCOMES = ("success", "partial", "failure", "unknown")
_NO_REASON = "judged a failure"


def judge(
    episode_id: Annotated[str, typer.Argument(metavar="ID", help="The id of an episode.")],
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help=", ".join(_OUTCOMES))],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="The source of the verdict.")] = "user",
    note: Annotated[
        str | None,
        typer.Option("--note", metavar="TEXT", help="The verdict in words, or the reason of a failure."),
    ] = None,
    database: Database = None,
    namespace: IdNamespace = None,
    as_json: AsJson = False,
) -> None:
    """Give an episode its verdict, or another one.

    The newest verdict holds; `unknown` withdraws it. Everything that was learned from the episode follows. The verdict
    of an open episode takes effect at its end.
    """
    if outcome not in _OUTCOMES:
        raise typer.BadParameter(f"must be one of {', '.join(_OUTCOMES)}", param_hint="OUTCOME")
    verdict = outcome_named(outcome, note, no_reason=_NO_REASON)
    with memory_at(database, namespace, of=episode_id, writes=True) as memory:
        learned = memory.judge(episode_id, verdict, by=by)
    if as_json:
        console.say_json({"episode_id": learned.episode_id, "state": learned.state, "reward": learned.reward})
    elif learned.state == "open":
        console.say(f"{console.outcome_name(verdict.kind)}, when it ends")
    elif learned.state == "unchanged":
        console.note("unchanged")
    else:
        reward = "" if learned.reward is None else f" · reward {learned.reward.total:.2f}"
        console.say(f"{console.outcome_name(verdict.kind)}{reward}")
        if learned.state == "pending":
            console.note(f"not learned from yet: {learned.problems[0]}; `tacit maintain` tries again")
