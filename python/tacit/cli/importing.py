"""`tacit import`: reads recorded runs into a memory."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..importers import Importer, ImportSummary, Mapped, Refusal, check_readable, import_file, importers
from ..importers.forms.mapped import load_mapping, mapping_of, save_mapping
from ..memory import Memory
from ..model.pattern import Cluster, Pattern
from . import console
from .import_preview import show_first_runs
from .looking import note_left_out
from .options import DEFAULT_NAMESPACE, AsJson, Database, WrittenNamespace, memory_at, own_namespace
from .tables import cluster_table, pattern_table
from .watching import watch

KINDS = ("error_recovery", "tool_sequence", "decision_point", "context_pattern")
SHOWN_REFUSALS = 10
SHOWN_PATTERNS = 3
SHOWN_PLANS = 3
MIN_TRIALS = 3


_Files: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE", help="Files or folders of runs, plain, packed or zipped; - is standard input."
    ),
]
_Form: TypeAlias = Annotated[
    str,
    typer.Option(
        "--format", metavar="NAME", help=f"The form of the files: auto, {', '.join(sorted(importers))}."
    ),
]
_Mapped: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="NAME=PATH",
        help="Read any JSON: task=.goal steps=.events success='.reward==1' step.tool=.name",
    ),
]
_MapFile: TypeAlias = Annotated[
    Path | None, typer.Option("--map-file", help="A mapping that --save-map wrote.")
]
_SaveMap: TypeAlias = Annotated[
    Path | None, typer.Option("--save-map", help="Write the mapping to a file, for --map-file.")
]
_Preview: TypeAlias = Annotated[
    bool, typer.Option("--preview", help="Show the first run of each file, and import nothing.")
]
_Truncate: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--truncate",
        metavar="observation",
        help="Cut observations beyond the limit instead of refusing the run.",
        show_default=False,
    ),
]
_Replace: TypeAlias = Annotated[
    bool, typer.Option("--replace", help="Put a run in the place of another one with its identity.")
]
_NanAsNull: TypeAlias = Annotated[
    bool,
    typer.Option("--nan-as-null", help="Read NaN and Infinity as null instead of refusing the line."),
]
_Watching: TypeAlias = Annotated[
    bool, typer.Option("--watch", help="Go on importing what is new or grew, until interrupted.")
]


def import_files(
    files: _Files,
    format: _Form = "auto",
    mapped: _Mapped = None,
    map_file: _MapFile = None,
    save_map: _SaveMap = None,
    preview: _Preview = False,
    truncate: _Truncate = None,
    replace: _Replace = False,
    nan_as_null: _NanAsNull = False,
    watching: _Watching = False,
    database: Database = None,
    namespace: WrittenNamespace = "default",
    as_json: AsJson = False,
) -> None:
    """Import recorded runs and learn from them.

    Reads sessions of Claude Code and Codex, OpenAI and Anthropic messages, SWE-agent, tau-bench, OTLP spans, LangSmith,
    Langfuse, agentfs, tacit's own lines, and any other JSON with --map. Maintenance runs afterwards, as with
    `tacit maintain`. Importing a file again changes nothing. The exit status is 1 if nothing could be imported.
    """
    cut = _truncated(truncate)
    form = _form(format, mapped, map_file, save_map)
    for path in files:
        if not Path(path).is_dir():
            check_readable(path)
    if preview:
        show_first_runs(files, form, as_json=as_json)
        return
    with memory_at(database, namespace, writes=True) as memory:

        def read(path: str) -> ImportSummary:
            with _progress(path, shown=not as_json) as progress:
                summary = import_file(
                    memory,
                    path,
                    format=form,
                    truncate=cut,
                    replace=replace,
                    nan_as_null=nan_as_null,
                    progress=progress,
                )
            if not as_json:
                _say_summary(summary)
            return summary

        if watching:
            _watch(files, read, as_json=as_json)
        else:
            _read_once(memory, files, read, database, as_json=as_json)


def _watch(files: list[str], read: Callable[[str], ImportSummary], *, as_json: bool) -> None:
    if as_json or "-" in files:
        raise typer.BadParameter("--watch reads files and folders, and prints no JSON")
    console.note(f"watching {', '.join(files)}; Ctrl-C ends it")
    watch(files, read)


def _read_once(
    memory: Memory,
    files: list[str],
    read: Callable[[str], ImportSummary],
    database: str | None,
    *,
    as_json: bool,
) -> None:
    """Imports each file, and shows what was learned. Exit status 1 if nothing was there to import."""
    summaries = [read(path) for path in files]
    if any(each.imported for each in summaries):
        memory.maintain()
    learned = {
        kind: memory.patterns(kind=kind, min_trials=MIN_TRIALS, limit=SHOWN_PATTERNS) for kind in KINDS
    }
    plans = memory.clusters(limit=SHOWN_PLANS)
    if as_json:
        console.say_json(_totals(summaries, learned) | {"clusters": plans})
    else:
        _say_learned(memory, learned)
        _say_plans(plans)
        if plans or any(learned.values()):
            _note_next(_options_of(memory, database))
    if not any(each.imported or each.unchanged or each.forgotten for each in summaries):
        raise typer.Exit(1)


def _form(format: str, pairs: list[str] | None, file: Path | None, target: Path | None) -> str | Importer:
    """The name of a form, or the importer that a mapping makes. Writes the mapping to `target`."""
    if not pairs and file is None:
        if format != "auto":
            importers.create(format)
        return format
    mapping = load_mapping(file) if file is not None else {}
    mapping |= mapping_of(pairs or [])
    importer = Mapped(mapping)
    if target is not None:
        save_mapping(target, mapping)
    return importer


def _truncated(name: str | None) -> Literal["observation"] | None:
    if name not in (None, "observation"):
        raise typer.BadParameter("only 'observation' can be cut", param_hint="--truncate")
    return "observation" if name else None


@contextmanager
def _progress(path: str, *, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error, if that is a terminal."""
    terminal = console.aside()
    if not shown or not terminal.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal, transient=True) as bar:
        task = bar.add_task(console.cropped(Path(path).name, 40), total=None)
        yield lambda position, size: bar.update(task, completed=position, total=size or None)


def _say_summary(summary: ImportSummary) -> None:
    counts = (
        f"{summary.imported:,} imported, {summary.unchanged:,} unchanged, {summary.refused_lines:,} refused"
    )
    read = f" as {', '.join(summary.formats)}" if summary.formats not in ((), ("jsonl",)) else ""
    console.say(Text.assemble((console.plain(summary.path), "bold"), f"{read}\n  {counts}"))
    for refusal in summary.refused[:SHOWN_REFUSALS]:
        console.say(Text(f"  {_place(refusal, summary)}: {console.plain(refusal.reason)}", "yellow"))
    hidden = len(summary.refused) - SHOWN_REFUSALS
    if hidden > 0:
        console.say(Text(f"  and {console.count_of(hidden, 'more reason')}: --json lists them all", "yellow"))
    if summary.pending:
        console.note(
            f"{console.count_of(summary.pending, 'episode')} not learned from yet: see `tacit doctor`"
        )
    if summary.forgotten:
        runs = console.count_of(summary.forgotten, "run")
        console.note(f"{runs} left out, forgotten before; --replace brings them back")
    if summary.truncated:
        console.note(f"{console.count_of(summary.truncated, 'observation')} cut to the limit")
    if summary.left_out:
        console.note(f"not part of the form, so not stored: {', '.join(summary.left_out)}")


def _place(refusal: Refusal, summary: ImportSummary) -> str:
    place = f"line {refusal.line}" + ("" if refusal.path == summary.path else f" of {refusal.path}")
    return place if refusal.count == 1 else f"{refusal.count:,} lines, the first is {place}"


def _say_learned(memory: Memory, learned: dict[str, tuple[Pattern, ...]]) -> None:
    found = [pattern for patterns in learned.values() for pattern in patterns]
    stored = memory.stats()
    known = (
        console.count_of(int(stored["episodes"]), "episode"),
        console.count_of(int(stored["patterns"]), "pattern"),
    )
    console.say("", Text(f"The memory now holds {known[0]} and {known[1]}."))
    if found:
        console.say("The most certain of each kind:", "", pattern_table(found, with_kind=True), "")


def _say_plans(plans: tuple[Cluster, ...]) -> None:
    if plans:
        console.say("The most common plans of successes:", "", cluster_table(plans), "")
        note_left_out(plans[0])


def _options_of(memory: Memory, database: str | None) -> str:
    """The options with which further commands find what was imported."""
    named = "" if database is None else f" --db {shlex.quote(database)}"
    usual = own_namespace(memory) or DEFAULT_NAMESPACE
    return named if memory.namespace == usual else f"{named} --namespace {shlex.quote(memory.namespace)}"


def _note_next(where: str) -> None:
    commands = ("patterns --kind error_recovery", "heuristics", "clusters", 'recall "a task"')
    console.note("next: " + " · ".join(f"tacit {command}{where}" for command in commands))


def _totals(summaries: list[ImportSummary], learned: dict[str, tuple[Pattern, ...]]) -> dict[str, object]:
    return {
        "imported": sum(each.imported for each in summaries),
        "unchanged": sum(each.unchanged for each in summaries),
        "refused": [refusal for each in summaries for refusal in each.refused],
        "pending": sum(each.pending for each in summaries),
        "forgotten": sum(each.forgotten for each in summaries),
        "truncated": sum(each.truncated for each in summaries),
        "left_out": sorted({name for each in summaries for name in each.left_out}),
        "files": summaries,
        "patterns": [pattern for patterns in learned.values() for pattern in patterns],
    }
