"""Values as a terminal shows them: data on standard output, notes on standard error.

rich is imported when something is printed for a person, so `--json` does not pay for it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ..model.advice import Fix, Prediction
    from ..model.episode import Outcome
    from ..model.pattern import Heuristic, Pattern

STYLE_OF = {"success": "green", "partial": "yellow", "failure": "red", "unknown": "dim", "abandoned": "dim"}
"""The colour of each outcome."""
ERROR = "bold red"
QUIET = "dim"


def screen() -> Console:
    """The console of answers; texts are shown as they are, brackets and colons included."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False, markup=False, emoji=False)


def aside() -> Console:
    """The console of progress and notes."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(*parts: Any) -> None:
    """Prints answers, one below the other."""
    console = screen()
    for part in parts:
        console.print(part)


def say_json(value: Any) -> None:
    """Prints one JSON object in one line of UTF-8, on any terminal."""
    typer.echo(msgspec.json.encode(value))


def quiet(text: str) -> Text:
    """A quiet line of an answer."""
    from rich.text import Text

    return Text(text, QUIET)


def note(text: str) -> None:
    """Prints a remark that is not part of the answer."""
    aside().print(printable(text), style=QUIET, soft_wrap=True)


def fail(text: str) -> None:
    """Prints the reason for giving up, in one line."""
    from rich.text import Text

    aside().print(Text.assemble(("tacit: ", ERROR), plain(text)), soft_wrap=True)


def printable(text: str) -> str:
    """The text without control characters, line feeds included."""
    return "".join(each if each.isprintable() else " " for each in text)


def plain(text: str) -> str:
    """One printable line, its blanks collapsed."""
    return " ".join(printable(text).split())


def cropped(text: str, width: int) -> str:
    """One line of at most `width` characters."""
    line = plain(text[: 4 * width])
    whole = len(line) <= width and len(text) <= 4 * width
    return line if whole else line[: width - 1].rstrip() + "…"


def chain(tools: Sequence[str]) -> str:
    """Tools one after another, a repeated one with its count."""
    runs: list[tuple[str, int]] = []
    for tool in tools:
        if runs and runs[-1][0] == tool:
            runs[-1] = (tool, runs[-1][1] + 1)
        else:
            runs.append((tool, 1))
    return " > ".join(plain(tool) + (f" x{count}" if count > 1 else "") for tool, count in runs) or "no steps"


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun; the plural is the noun with an s, unless it is given."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def moment(microseconds: int) -> str:
    """A time in UTC, to the minute."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


def moment_and_age(microseconds: int) -> str:
    """A time in UTC with its distance from now: "2026-11-30 08:20 (3 hours ago)"."""
    seconds = max(0.0, time.time() - microseconds / 1e6)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return f"{moment(microseconds)} ({count_of(int(seconds // length), unit)} ago)"
    return f"{moment(microseconds)} (just now)"


def outcome_name(kind: str) -> str:
    """The outcome in words."""
    return "outcome unknown" if kind == "unknown" else kind


def outcome_text(outcome: Outcome | None) -> Text:
    """The outcome of an episode, in its colour."""
    from rich.text import Text

    if outcome is None:
        return Text("open", QUIET)
    said = outcome.verdict or outcome.reason
    text = Text(outcome_name(outcome.kind), STYLE_OF[outcome.kind])
    return text.append(f": {plain(said)}", "default") if said else text


def evidence(pattern: Pattern | Heuristic | Fix) -> str:
    """The successes of something, of its trials."""
    return f"{round(pattern.successes, 1):,.12g} of {pattern.trials:,}"


def interval(known: Pattern | Heuristic | Fix | Prediction) -> str:
    """The 95% interval of success."""
    return f"{100 * known.low:.1f}–{100 * known.high:.1f}%"  # noqa: RUF001
