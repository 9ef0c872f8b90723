"""`tacit eval`: measures the help of a memory, on recorded runs or with an agent at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..config import Configuration
from ..memory import Memory
from . import console
from .looping import evaluate_environment
from .options import AsJson, Database, Namespace, configured, memory_at

if TYPE_CHECKING:
    from ..evaluation import (
        Comparison,
        Dataset,
        LiveReport,
        Report,
        Result,
        ResultsComparison,
        Row,
        RowChange,
        Rule,
        Spread,
    )
    from ..evaluation.bench import Progress as Watch

SHOWN_RULES = 8
"""Heuristics and fixes that a terminal shows of each dataset and kind; --json has all."""
SEEDS = 5
_VERDICT = {"better": "green", "worse": "red", "level": "yellow"}


_Files: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE", help="Files of runs, each with its file of tasks beside it.", show_default=False
    ),
]
_Questions: TypeAlias = Annotated[
    str,
    typer.Option("--questions", metavar="B1,B4", help="Only these. Default: all.", show_default=False),
]
_Limit: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", min=1, help="At most so many queries a question.", show_default=False
    ),
]
_Without: TypeAlias = Annotated[
    str,
    typer.Option(
        "--without",
        metavar="domain,agent",
        help="Withhold these fields from the memory and the baselines alike.",
        show_default=False,
    ),
]
_LeaveOut: TypeAlias = Annotated[
    str,
    typer.Option(
        "--leave-out",
        metavar="domain|agent",
        help="Hold out whole domains or agents in place of tasks, as if they were new.",
        show_default=False,
    ),
]
_Seed: TypeAlias = Annotated[
    int, typer.Option("--seed", metavar="N", help="The seed of the controls' draws.")
]
_Plot: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="DIR",
        help="Draw the learning curves and the calibration there, as evaluation.svg.",
        show_default=False,
    ),
]
_Save: TypeAlias = Annotated[
    Path | None,
    typer.Option("--save", metavar="FILE", help="Write the value of every query there.", show_default=False),
]
_Compare: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--compare",
        metavar="FILE",
        help="Compare with the values that --save wrote there, query by query. Can be repeated.",
        show_default=False,
    ),
]
_Live: TypeAlias = Annotated[
    bool,
    typer.Option("--live", help="Let the agent of `tacit demo` work with the memory and the controls."),
]
_Environment: TypeAlias = Annotated[
    str,
    typer.Option(
        "--environment", metavar="NAME", help="Act in this environment instead.", show_default=False
    ),
]
_Split: TypeAlias = Annotated[
    str,
    typer.Option("--split", metavar="train|dev|test", help="Where the environment's tasks come from."),
]
_Seeds: TypeAlias = Annotated[
    str,
    typer.Option(
        "--seeds", metavar="N", help="So many tasks of each kind, or a range FIRST:BEYOND of seeds."
    ),
]


def evaluate(
    files: _Files = None,
    questions: _Questions = "",
    limit: _Limit = None,
    without: _Without = "",
    leave_out: _LeaveOut = "",
    seed: _Seed = 0,
    plot: _Plot = None,
    save: _Save = None,
    compare: _Compare = None,
    live: _Live = False,
    environment: _Environment = "",
    split: _Split = "dev",
    seeds: _Seeds = "20",
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Measure how much a memory helps.

    Replays recorded runs: a memory learns from some of them and is asked about the others, beside well-known
    baselines and controls. With --db, the runs are those of a memory. A FILE that --save wrote is not replayed: its
    values are compared with those of --compare.
    """
    if live:
        _evaluate_live(seed, as_json=as_json)
        return
    if environment:
        settings = configured(None).settings
        evaluate_environment(environment, split, seeds, settings, _watched, as_json=as_json)
        return
    before = _loaded(compare) if compare else None
    if before is not None and files and _are_results(files):
        _show_comparison(_compared(_loaded(files), before), as_json=as_json)
        return
    datasets = tuple(_viewed(_datasets(files or [], database, namespace), without, leave_out))
    report = _asked(datasets, [name for name in questions.split(",") if name], seed, limit, configured(None))
    if save is not None:
        _save(report, save)
    if plot is not None:
        _draw(report, plot)
    comparison = _compared(report.results, before) if before is not None else None
    if as_json:
        data = report.to_json()
        console.say_json(data if comparison is None else data | {"compared": comparison.to_json()})
    else:
        _say(report)
        if comparison is not None:
            _say_comparison(comparison)
    failed = [each for each in report.left_out if each.failed]
    for each in failed:
        console.fail(f"question {each.question} on {each.dataset} {each.reason}")
    if failed:
        raise typer.Exit(1)


def _viewed(datasets: tuple[Dataset, ...], without: str, leave_out: str) -> Iterator[Dataset]:
    """The datasets without the withheld fields, and with whole domains or agents held out."""
    for dataset in datasets:
        if without:
            dataset = dataset.without(without.split(","))
        yield dataset.leaving_out(leave_out) if leave_out else dataset


def _datasets(files: list[str], database: str | None, namespace: str | None) -> tuple[Dataset, ...]:
    from ..evaluation import load_file, load_memory

    if files and database is not None:
        raise typer.BadParameter("files or --db, not both", param_hint="FILE")
    if files:
        datasets = tuple(load_file(path) for path in files)
        for dataset in datasets:
            if dataset.refused:
                console.note(f"{dataset.name}: {console.count_of(len(dataset.refused), 'line')} refused")
        return datasets
    with memory_at(database, namespace) as memory:
        return load_memory(memory, name=Path(configured(database).database).stem)


def _asked(
    datasets: tuple[Dataset, ...], questions: list[str], seed: int, limit: int | None, chosen: Configuration
) -> Report:
    from .. import evaluation

    def make_memory() -> Memory:
        return evaluation.memory_at_rest(chosen.settings)

    with _watched() as watch:
        return evaluation.evaluate(
            datasets, ask=questions, seed=seed, limit=limit, make_memory=make_memory, progress=watch
        )


@contextmanager
def _watched() -> Iterator[Watch | None]:
    """A line of progress on standard error, if that is a terminal."""
    terminal = console.aside()
    if not terminal.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, whole: bar.update(task, description=what, completed=done, total=whole)


def _draw(report: Report, folder: Path) -> None:
    from ..evaluation import plots

    if not report.curves:
        console.note("nothing to draw; none of these questions has a curve")
        return
    folder.mkdir(parents=True, exist_ok=True)
    plots.write(report, folder / "evaluation.svg")
    console.note(f"drawn: {folder / 'evaluation.svg'}")


# --- results of other runs ---


def _are_results(files: list[str]) -> bool:
    from ..evaluation.results import is_results

    return all(map(is_results, files))


def _loaded(files: Sequence[str | Path]) -> tuple[Result, ...]:
    from ..evaluation import load_results

    return tuple(result for file in files for result in load_results(file))


def _save(report: Report, path: Path) -> None:
    from ..evaluation import save_results

    save_results(report.results, path)
    console.note(f"saved: {path}")


def _compared(now: Sequence[Result], before: Sequence[Result]) -> ResultsComparison:
    from ..evaluation import compare_results

    return compare_results(now, before)


def _show_comparison(comparison: ResultsComparison, *, as_json: bool) -> None:
    if as_json:
        console.say_json({"compared": comparison.to_json()})
    else:
        _say_comparison(comparison)


def _say_comparison(comparison: ResultsComparison) -> None:
    """The rows that changed, a table for each question and dataset, then the verdict."""
    changed = [change for change in comparison.changes if change.verdict != "level"]
    level = [change for change in comparison.changes if change.verdict == "level" and change.difference]
    console.say("", Text("compared with the saved results", "bold"), "")
    for change in sorted(changed, key=lambda each: each.verdict or ""):
        console.say(_change_text(change))
    if level:
        console.note(f"{console.count_of(len(level), 'row')} changed within two standard errors")
    for name, rows in (("the saved results", comparison.only_before), ("this run", comparison.only_now)):
        if rows:
            console.note(f"{console.count_of(len(rows), 'row')} only in {name}, the first: {rows[0]}")
    console.say("", Text(comparison.verdict(), "red" if comparison.worse() else "green"))


def _change_text(change: RowChange) -> Text:
    error = "" if change.standard_error is None else f" ({change.standard_error:.4f})"
    verdict = change.verdict or "changed"
    return Text.assemble(
        (f"{verdict:7}", _VERDICT.get(verdict, "default")),
        f" {change.question} {console.plain(change.dataset)}, {console.plain(change.slice)}: {change.metric}"
        f" {_figure(change.before)} to {_figure(change.now)}, {change.difference:+.4f}{error}",
    )


# --- the report on a terminal ---


def _say(report: Report) -> None:
    from ..evaluation import questions

    for name in dict.fromkeys(row.question for row in report.rows):
        title = questions.create(name).title if name in questions else name
        console.say("", Text.assemble((name, "bold"), f"  {title}"), *_rows(report, name))
    if report.rules:
        console.say("", Text("heuristics and fixes", "bold"))
        _say_rules(report.rules)
    if report.left_out:
        console.say("", Text("left out", "bold"), "", *_left_out(report))
    verdict = report.verdict()
    if verdict:
        console.say("", Text(verdict, "bold"))
    console.note(
        "a difference counts beyond two standard errors: green is better, red is worse, yellow undecided"
    )


def _rows(report: Report, question: str) -> Iterator[Text | Table | Padding]:
    """A block for each dataset: a line of figures for each row, its baseline and its controls below it."""
    verdicts = {_key(each): each for each in report.comparisons}
    for dataset in dict.fromkeys(row.dataset for row in report.rows if row.question == question):
        yield Text(f"\n  {console.plain(dataset)}", "bold")
        for row in report.rows:
            if (row.question, row.dataset) == (question, dataset):
                yield from _row(row, verdicts)


def _key(each: Comparison) -> tuple[str, str, str, str, str]:
    return each.question, each.dataset, each.slice, each.metric, each.against


def _row(row: Row, verdicts: dict[tuple[str, str, str, str, str], Comparison]) -> Iterator[Table | Padding]:
    def styled(against: str, text: str) -> Text:
        found = verdicts.get((row.question, row.dataset, row.slice, row.metric, against))
        return Text(text, _VERDICT.get(found.verdict or "", "default") if found else "default")

    best = row.best_baseline
    line = Table.grid(padding=(0, 2, 0, 0), expand=True)
    line.add_column(ratio=1, overflow="fold")
    for width in (7, 15):
        line.add_column(width=width, no_wrap=True)
    line.add_row(
        Text(f"  {console.plain(row.slice)}: {row.metric}"),
        Text(_figure(row.memory), "bold"),
        styled(best, _difference(row)) if best is not None else "",
    )
    yield line
    details = [Text(console.count_of(row.queries, "query", "queries"))]
    if best is not None:
        details.append(Text(f"best baseline: {best} {_figure(row.baselines[best])}"))
    if row.fixed_baseline is not None and row.fixed_baseline != best:
        details.append(styled(row.fixed_baseline, _beside(row, verdicts)))
    details += [styled(name, f"{name} {_figure(value)}") for name, value in row.controls.items()]
    yield Padding(Text(" · ").join(details), (0, 0, 0, 6), style=console.QUIET)


def _beside(row: Row, verdicts: dict[tuple[str, str, str, str, str], Comparison]) -> str:
    """The baseline that is the same for every dataset, with the memory's difference to it."""
    name = row.fixed_baseline or ""
    found = verdicts[row.question, row.dataset, row.slice, row.metric, name]
    return f"fixed baseline: {name} {_figure(row.baselines[name])} ({found.difference:+.3f})"


def _figure(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def _difference(row: Row) -> str:
    if row.difference is None or row.difference != row.difference:
        return ""
    error = row.standard_error
    return f"{row.difference:+.3f}" + (f" ({error:.3f})" if error is not None and error == error else "")


def _say_rules(rules: tuple[Rule, ...]) -> None:
    """Prints each heuristic or fix in a line, its evidence in the next."""
    dataset = None
    for rule in _shown(rules):
        if rule.dataset != dataset:
            dataset = rule.dataset
            console.say("", Text(f"  {console.plain(dataset)}", "bold"))
        who = f"{console.plain(rule.agent)}: " if rule.agent else ""
        console.say(
            Padding(Text(f"{who}{console.plain(rule.rule)}"), (0, 0, 0, 2)),
            Padding(Text(_evidence(rule), console.QUIET), (0, 0, 0, 6)),
        )


def _evidence(rule: Rule) -> str:
    worked = f"{rule.successes:,.12g} of {rule.trials:,} worked ({rule.low:.0%} to {rule.high:.0%})"
    marks = [word for word, holds in (("weak", rule.weak), ("undecided", rule.undecided)) if holds]
    return " · ".join([worked, *_odds(rule), *marks])


def _shown(rules: tuple[Rule, ...]) -> Iterator[Rule]:
    """The first of each kind, dataset and agent; for single agents only the firm ones."""
    shown: dict[tuple[str, str, str | None], int] = {}
    for rule in rules:
        key = (rule.dataset, rule.kind, rule.agent)
        shown[key] = shown.get(key, 0) + 1
        if shown[key] <= SHOWN_RULES and not (rule.agent and rule.weak):
            yield rule


def _odds(rule: Rule) -> Iterator[str]:
    if rule.odds_ratio is not None and rule.odds_low is not None and rule.odds_high is not None:
        crude = f", crude {rule.crude_odds_ratio:.2f}" if rule.crude_odds_ratio is not None else ""
        yield f"odds ratio {rule.odds_ratio:.2f} ({rule.odds_low:.2f} to {rule.odds_high:.2f}){crude}"


def _left_out(report: Report) -> Iterator[Padding]:
    """One line for each reason, with the questions and datasets that it holds for."""
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for each in report.left_out:
        reasons.setdefault((each.question, each.what, each.reason), []).append(console.plain(each.dataset))
    for (question, what, reason), datasets in reasons.items():
        head = (f"{question} {console.plain(what)}", "bold")
        yield Padding(Text.assemble(head, f" ({', '.join(datasets)}): {reason}"), (0, 0, 0, 2))


# --- live ---


def _evaluate_live(seed: int, *, as_json: bool) -> None:
    from .. import demo

    with _watched() as watch:
        report = demo.live(seeds=range(seed + 1, seed + 1 + SEEDS), progress=watch)
    if as_json:
        console.say_json(report)
    else:
        console.say(_live_table(report))


def _live_table(report: LiveReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=console.QUIET)
    for column in ("arm", "success", "steps", "learned beyond it"):
        table.add_column(column, no_wrap=True)
    for arm in report.arms:
        beyond, steps = arm.beyond, arm.steps
        table.add_row(
            arm.name,
            _percent(arm.success, ""),
            f"{steps.mean:.2f} ({steps.low:.2f} to {steps.high:.2f})",
            _percent(beyond, "+") if beyond else "",
        )
    return table


def _percent(share: Spread, sign: str) -> str:
    mean, low, high = (f"{100 * value:{sign}.1f}" for value in (share.mean, share.low, share.high))
    return f"{mean}% ({low} to {high})"
