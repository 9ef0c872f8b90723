"""The table of commands, and their shared behaviour: errors in one line, exit status 0, 1 or 2.

A command's module is imported when the command is run or asked for its own help, so `tacit --version` and
`tacit --help` load no memory, no NumPy and no tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from ..errors import TacitError


class Entry(NamedTuple):
    """The home of a command, and its line in `tacit --help`: the first sentence of its own help."""

    module: str
    function: str
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "setup": Entry("setting_up", "setup", "Give the coding agents on this machine a memory."),
    "import": Entry("importing", "import_files", "Import recorded runs and learn from them."),
    "start": Entry("recording", "start", "Start an episode and print its id."),
    "log": Entry("recording", "log", "Append a step to an open episode, of any process."),
    "begin": Entry("recording", "begin", "Note that a call begins, and print its call id."),
    "end": Entry("recording", "end", "Bring the result of a call that `tacit begin` noted."),
    "complete": Entry("recording", "complete", "End an open episode, of any process, and learn from it."),
    "resume": Entry(
        "recording",
        "resume",
        "Take an open episode from the process that records it, or open an abandoned one again.",
    ),
    "recall": Entry("recalling", "recall", "Ask for experience with a task."),
    "suggest": Entry("advising", "suggest", "Ask for the next step, after the steps so far."),
    "fix": Entry("fixing", "fix", "Look an error up: what was done after it, and how often that worked."),
    "recover": Entry("advising", "recover", "Ask for fixes for an error."),
    "predict": Entry(
        "advising", "predict", "Ask how a task will go: the odds of success, expected steps and reward."
    ),
    "playbook": Entry(
        "advising", "playbook", "Ask for one plan, merged from the successes most like the task."
    ),
    "skill": Entry(
        "skills", "skill", "Write what is known of a task as a SKILL.md, for coding agents without hooks."
    ),
    "tools": Entry(
        "generated_tools",
        "tools",
        "List, show or export the tools that were generated from proven patterns.",
    ),
    "why": Entry("hook_reports", "why", "Show the answers that hooks gave a coding agent, newest first."),
    "impact": Entry("hook_reports", "impact", "Measure what the hooks of a coding agent changed."),
    "episodes": Entry("looking", "episodes", "List episodes, newest first."),
    "show": Entry("looking", "show", "Show one episode: steps, reward, reflection."),
    "patterns": Entry("looking", "patterns", "List patterns with their evidence."),
    "clusters": Entry("looking", "clusters", "List clusters: the typical plans of past successes."),
    "heuristics": Entry(
        "maintaining", "heuristics", "List heuristics with their evidence, the most certain first."
    ),
    "maintain": Entry("maintaining", "maintain", "Keep a memory in order."),
    "worker": Entry(
        "working",
        "worker",
        "Learn from the episodes that other processes leave to a worker.",
    ),
    "undo": Entry("maintaining", "undo", "Undo one maintenance run."),
    "judge": Entry("judging", "judge", "Give an episode its verdict, or another one."),
    "forget": Entry("maintaining", "forget", "Remove an episode and everything it taught."),
    "retain": Entry("keeping", "retain", "Forget old episodes with everything they taught."),
    "export": Entry("keeping", "export", "Write the ended episodes of a namespace to a file."),
    "stats": Entry("looking", "stats", "Count the records that are stored, cached and indexed."),
    "eval": Entry("evaluating", "evaluate", "Measure how much a memory helps."),
    "serve": Entry("serving", "serve", "Serve a memory to MCP hosts: Claude Code, Codex, Cursor and others."),
    "dashboard": Entry("serving", "dashboard", "Look at a memory in the browser."),
    "demo": Entry("demonstrating", "demo", "Watch an agent learn an unknown database."),
    "doctor": Entry("doctor", "doctor", "Check that a memory is sound."),
    "repair": Entry("upkeep", "repair", "Remove rows that cannot be read."),
    "backup": Entry("upkeep", "backup", "Copy a memory to a new file while it is in use."),
    "restore": Entry("upkeep", "restore", "Make a backup the memory."),
}
"""Every command, in the order in which a newcomer meets them."""


class Commands(TyperGroup):
    """Imports and runs the command that was named; a `TacitError` is one line on standard error, with status 1."""

    def invoke(self, ctx: Any) -> Any:
        """Runs one command."""
        try:
            return super().invoke(ctx)
        except TacitError as error:
            from .console import fail

            fail(str(error))
            raise typer.Exit(1) from error

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, its module imported; `None` if there is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        function = getattr(import_module(f".{entry.module}", __package__), entry.function)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.command(cmd_name)(function)
        return typer.main.get_command(alone)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of commands from the table: no command is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


app: typer.Typer = typer.Typer(
    cls=Commands,
    name="tacit",
    help="An experience memory for AI agents: what worked, what failed and what to try next.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"tacit {__version__}")
        raise typer.Exit


@app.callback()
def _commands(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """An experience memory for AI agents: what worked, what failed and what to try next."""
