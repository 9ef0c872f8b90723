"""`tacit recall`: similar episodes, patterns, pitfalls and next steps for a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from . import console
from .options import AsJson, Database, Namespace, Task, joined, memory_at, note_nothing

if TYPE_CHECKING:
    from ..model.recall import Recall


def recall(
    task: Task,
    domain: Annotated[str | None, typer.Option("--domain", metavar="NAME", show_default=False)] = None,
    language: Annotated[str | None, typer.Option("--language", metavar="NAME", show_default=False)] = None,
    framework: Annotated[str | None, typer.Option("--framework", metavar="NAME", show_default=False)] = None,
    steps: Annotated[
        list[str] | None,
        typer.Option(
            "--step", metavar="TOOL", help="A tool used so far; once for each, in order.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=100, help="Past episodes at most.")
    ] = 5,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            metavar="N",
            help="Print the answer as text for a prompt, of at most N tokens.",
            show_default=False,
        ),
    ] = None,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Ask for experience with a task.

    Similar episodes with the reasons for their score, patterns, pitfalls and next steps.
    """
    with memory_at(database, namespace) as memory:
        answer = memory.recall(
            joined(task, "task"),
            domain=domain,
            language=language,
            framework=framework,
            steps=tuple(steps or ()),
            limit=limit,
        )
        prompt = None if max_tokens is None else answer.to_prompt(max_tokens=max_tokens)
        if as_json:
            console.say_json(_as_data(answer, prompt))
        elif prompt is not None:
            typer.echo(prompt)
        else:
            from .recall_view import shown

            console.say(*shown(answer))
        if not answer.hits:
            note_nothing(memory)


def _as_data(answer: Recall, prompt: str | None) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(answer)
    return data if prompt is None else {**data, "prompt": prompt}
