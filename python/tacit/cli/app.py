"""The commands, and what is true of all of them: errors in one line, exit status 0, 1 or 2."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import TacitError
from . import advising, demonstrating, doctor, evaluating, importing, looking, maintaining, recalling
from .console import fail


class Commands(TyperGroup):
    """Runs a command; what tacit raises on purpose is said in one line on standard error, with status 1."""

    def invoke(self, ctx: Any) -> Any:
        """One command."""
        try:
            return super().invoke(ctx)
        except TacitError as error:
            fail(str(error))
            raise typer.Exit(1) from error

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which a newcomer meets them."""
        return list(self.commands)


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
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and leave."),
    ] = False,
) -> None:
    """An experience memory for AI agents: what worked, what failed and what to try next."""


app.command("import")(importing.import_files)
app.command("recall")(recalling.recall)
app.command("suggest")(advising.suggest)
app.command("recover")(advising.recover)
app.command("predict")(advising.predict)
app.command("playbook")(advising.playbook)
app.command("episodes")(looking.episodes)
app.command("show")(looking.show)
app.command("patterns")(looking.patterns)
app.command("clusters")(looking.clusters)
app.command("heuristics")(maintaining.heuristics)
app.command("maintain")(maintaining.maintain)
app.command("undo")(maintaining.undo)
app.command("forget")(maintaining.forget)
app.command("stats")(looking.stats)
app.command("eval")(evaluating.evaluate)
app.command("demo")(demonstrating.demo)
app.command("doctor")(doctor.doctor)
