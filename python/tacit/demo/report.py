"""The result of the demo in a terminal of 80 columns. rich is imported when something is printed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..model.pattern import Pattern
from .experiment import Block, DemoResult, Transcript, Use

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

TITLES = {
    "without": "without memory",
    "with": "with tacit",
    "reading": "prompt only",
    "random": "random memory",
    "shuffled": "shuffled outcomes",
}
STYLES = {"without": "yellow", "with": "green", "reading": "cyan", "random": "blue", "shuffled": "magenta"}
_EIGHTHS = " ▏▎▍▌▋▊▉"
_WIDTH = 80
_BAR = 12


def print_report(result: DemoResult, console: Console | None = None) -> None:
    """Prints the curves, the patterns that were learned, one question both ways, and commands to try next."""
    from rich.console import Console

    out = console or Console(highlight=False)
    out = out if out.width <= _WIDTH or not out.is_terminal else Console(file=out.file, width=_WIDTH)
    for part in (_opening, _curves, _summary, _recoveries, _ways, _one_question, _next):
        for line in part(result, out.width < _WIDTH):
            out.print(_fitted(line, out.width))


def _fitted(line: RenderableType, width: int) -> RenderableType:
    """The line in a narrow terminal: tables and panels are made for 80 columns."""
    from rich.panel import Panel
    from rich.table import Table

    if isinstance(line, Table | Panel) and line.width is not None:
        line.width = min(line.width, width)
    return line


def _opening(result: DemoResult, is_narrow: bool) -> list[RenderableType]:
    from rich.panel import Panel
    from rich.text import Text

    text = Text()
    text.append(f"A scripted agent answers {result.episodes} questions about a database it has never seen:\n")
    text.append(f"{len(result.tables)} tables such as {', '.join(_some(result.tables, 4))}.\n", style="dim")
    for question in sorted(result.questions[:20], key=len)[:2]:
        text.append(f"  “{question}”\n", style="italic")
    text.append(f"Its tools: list_tables, describe, query, submit; {result.budget} steps a question.\n")
    text.append("The errors are SQLite's, an answer counts if it equals the true one, and\n")
    text.append("all arms get the same questions. One of them has no memory.")
    if any(curve.arm == "reading" for curve in result.curves):
        text.append("\n“prompt only” sees the text for a model (to_prompt) and no more of it.")
    if result.known_before:
        text.append(
            f"\nThat memory held {result.known_before} episodes before the first question.", style="bold"
        )
    return [Panel(text, title="[bold]tacit demo[/]", border_style="cyan", width=_WIDTH)]


def _some(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    return names[:: max(1, len(names) // count)][:count]


def _curves(result: DemoResult, is_narrow: bool) -> list[RenderableType]:
    from rich.table import Table

    table = Table(title="Learning curve", title_style="bold", box=_box(), width=_WIDTH, pad_edge=False)
    table.add_column("questions", justify="right", no_wrap=True, style="dim")
    for curve in result.curves:
        table.add_column(TITLES[curve.arm], no_wrap=True, style=STYLES[curve.arm])
        table.add_column("steps", justify="right", no_wrap=True)
    for place, block in enumerate(result.curves[0].blocks):
        cells = [f"{block.first}-{block.last}"]
        for curve in result.curves:
            cells += [
                _success(curve.blocks[place], 4 if is_narrow or len(result.curves) > 2 else _BAR),
                f"{curve.blocks[place].steps:.1f}",
            ]
        table.add_row(*cells)
    return ["", table]


def _success(block: Block, width: int) -> str:
    return f"{_bar(block.success, width)} {block.success:4.0%}"


def _bar(share: float, width: int) -> str:
    """A bar of that many cells, in eighths of a cell."""
    eighths = round(share * width * 8)
    full, rest = divmod(eighths, 8)
    return f"{'█' * full}{_EIGHTHS[rest] if rest else ''}".ljust(width, "·")


def _summary(result: DemoResult, is_narrow: bool) -> list[RenderableType]:
    from rich.text import Text

    lines: list[RenderableType] = [""]
    for curve in result.curves:
        late = curve.trials[-max(1, len(curve.trials) // 3) :]
        right = sum(trial.accepted for trial in late)
        steps = sum(trial.steps for trial in late) / len(late)
        text = Text(f"  {TITLES[curve.arm]:<18}", style=STYLES[curve.arm])
        text.append(f"last {len(late)}: {right / len(late):4.0%} right, {steps:.1f} steps each", style="bold")
        text.append(f"    all {len(curve.trials)}: {curve.success:4.0%}, {curve.steps:.1f}", style="dim")
        lines.append(text)
    return lines


def _recoveries(result: DemoResult, is_narrow: bool) -> list[RenderableType]:
    if not result.recoveries:
        return []
    table = _evidence_table("Learned fixes for errors", "after this error", "of", "do this next")
    for pattern in result.recoveries:
        content = pattern.content
        table.add_row(content["error"], content["tool"], content["next"], *_evidence(pattern, is_narrow))
    return ["", table]


def _ways(result: DemoResult, is_narrow: bool) -> list[RenderableType]:
    if not result.sequences:
        return []
    table = _evidence_table("Learned ways of working", "steps in a row", "")
    for patterns, mark in ((result.sequences, "[green]pays[/]"), (result.pitfalls, "[red]avoid[/]")):
        for pattern in patterns:
            table.add_row(_chain(pattern.content["tools"]), mark, *_evidence(pattern, is_narrow))
    return ["", table]


def _chain(tools: Sequence[str]) -> str:
    """Tools one after another, a repeated one with its count."""
    runs = [(tool, len(list(run))) for tool, run in groupby(tools)]
    return " > ".join(tool + (f" x{count}" if count > 1 else "") for tool, count in runs)


def _evidence_table(title: str, first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_style="bold", box=_box(), width=_WIDTH, pad_edge=False)
    table.add_column(first, overflow="fold", ratio=1)
    for column in others:
        table.add_column(column, no_wrap=True)
    table.add_column("worked", justify="right", no_wrap=True)
    table.add_column("95%", no_wrap=True)
    return table


def _evidence(pattern: Pattern, is_narrow: bool) -> tuple[str, str]:
    interval = f"{pattern.low:.0%}-{pattern.high:.0%}" if is_narrow else _interval(pattern)
    return f"{pattern.successes:g} of {pattern.trials}", interval


def _interval(pattern: Pattern) -> str:
    """The interval drawn on a line of ten cells from 0 to 1, and in numbers."""
    low, high = int(pattern.low * 9.999), int(pattern.high * 9.999)
    line = "".join("━" if low <= cell <= high else "·" for cell in range(10))
    return f"{line} {pattern.low:3.0%}-{pattern.high:.0%}"


def _one_question(result: DemoResult, is_narrow: bool) -> list[RenderableType]:
    from rich.text import Text

    if result.example is None:
        return []
    lines: list[RenderableType] = [
        "",
        Text(f"Question {result.example.number}, both ways", style="bold italic", justify="center"),
        Text(f"  “{result.example.question}”", style="italic"),
    ]
    for transcript in result.example.transcripts:
        lines += ["", *_transcript(transcript)]
    return lines


def _transcript(transcript: Transcript) -> list[RenderableType]:
    from rich.text import Text

    head = Text(f"  {TITLES[transcript.arm]}", style=f"bold {STYLES[transcript.arm]}")
    head.append(
        f": {'right' if transcript.accepted else 'wrong'}, {len(transcript.uses)} steps", style="default"
    )
    lines: list[RenderableType] = [head]
    lines += [_cut(Text(f"     recalls “{task}”", style="dim italic")) for task in transcript.reminders[:2]]
    return lines + [_use_line(number, use) for number, use in enumerate(transcript.uses, 1)]


def _use_line(number: int, use: Use) -> RenderableType:
    """The call, wrapped below itself, and its result, cut to one line."""
    from rich.table import Table
    from rich.text import Text

    asked = Text(f"{use.tool} ", style="cyan")
    asked.append(" ".join(str(value) for value in use.parameters.values()), style="default")
    answer = Text(f"→ {use.error or _output_of(use)}", style="red" if use.error else "dim")
    answer.truncate(_WIDTH - 8, overflow="ellipsis")
    line = Table.grid(padding=(0, 1))
    line.add_column(width=6, justify="right", style="dim")
    line.add_column(width=_WIDTH - 8)
    line.add_row(str(number), asked)
    line.add_row("", answer)
    return line


def _output_of(use: Use) -> str:
    if use.tool == "list_tables":
        return ", ".join(use.output)
    if use.tool == "describe":
        return ", ".join(name for name, _ in use.output)
    return "no rows" if use.output == [] else str(use.output)


def _cut(line: Text) -> Text:
    line.truncate(_WIDTH, overflow="ellipsis")
    return line


def _next(result: DemoResult, is_narrow: bool) -> list[RenderableType]:
    from rich.panel import Panel
    from rich.text import Text

    text = Text()
    if result.path is None:
        text.append("This memory was temporary. Keep one and look into it:\n")
        text.append(f"  tacit demo --seed {result.seed} --db demo.db\n", style="bold cyan")
    else:
        text.append("The memory was kept. Look into it:\n")
    path = shlex.quote(result.path or "demo.db")
    text.append(f"  tacit recall {_quoted(min(result.questions, key=len))} --db {path}\n", style="bold cyan")
    text.append(f"  tacit patterns --kind error_recovery --db {path}\n", style="bold cyan")
    text.append("Another database, other questions:\n")
    text.append(f"  tacit demo --seed {result.seed + 1}\n", style="bold cyan")
    text.append("Give your own agent a memory: three lines, shown in README.md", style="dim")
    title = f"[bold]Next commands[/] [dim]({result.elapsed_s:.1f} s)[/]"
    return ["", Panel(text, title=title, border_style="cyan", width=_WIDTH)]


def _quoted(task: str) -> str:
    return '"' + task.replace('"', '\\"') + '"'


def _box() -> Box:
    from rich import box

    return box.SIMPLE_HEAD
