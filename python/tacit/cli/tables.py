"""Tables that more than one command shows."""

from __future__ import annotations

from collections.abc import Iterable

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..model.advice import Fix
from ..model.pattern import Cluster, Heuristic, Pattern
from . import console

ROOMY = 100
"""Columns of a terminal from which on a rule and its odds have room beside each other."""


def pattern_table(patterns: Iterable[Pattern], *, with_kind: bool = False) -> Table:
    """Patterns with their evidence."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=console.QUIET, expand=True)
    table.add_column("pattern", ratio=1, overflow="fold")
    table.add_column("worked", justify="right", no_wrap=True)
    table.add_column("95%", justify="right", no_wrap=True)
    kind = None
    for pattern in patterns:
        if with_kind and pattern.kind != kind:
            kind = pattern.kind
            table.add_row(Text(kind.replace("_", " "), "bold"))
        what = Padding(Text(console.plain(pattern.text)), (0, 0, 0, 2 if with_kind else 0))
        table.add_row(what, console.evidence(pattern), console.interval(pattern))
    return table


def cluster_table(clusters: Iterable[Cluster]) -> Table:
    """Typical plans with how many episodes follow them."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=console.QUIET, expand=True)
    table.add_column("typical plan", ratio=1, overflow="fold")
    table.add_column("episodes", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    for cluster in clusters:
        table.add_row(Text(console.chain(cluster.plan)), f"{cluster.episodes:,}", f"{cluster.share:.1%}")
    return table


def rule_table(rules: Iterable[Heuristic]) -> Table:
    """Rules with their evidence, and how each compares with what else was done."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=console.QUIET, expand=True)
    table.add_column("rule", ratio=1, overflow="fold")
    table.add_column("worked", justify="right", no_wrap=True)
    table.add_column("95%", justify="right", no_wrap=True)
    table.add_column("against the others", no_wrap=True)
    is_narrow = console.screen().width < ROOMY
    for rule in rules:
        weak = " (weak)" if rule.weak else ""
        compared = odds(rule).replace(", ", ",\n") if is_narrow else odds(rule)
        table.add_row(
            Text(console.plain(rule.text) + weak), console.evidence(rule), console.interval(rule), compared
        )
    return table


def odds(compared: Heuristic | Fix) -> str:
    """How the odds of success compare with what else was done."""
    if compared.odds_ratio is None:
        return "nothing to compare with"
    told = f"odds x{compared.odds_ratio:.2f} ({compared.odds_low:.2f} to {compared.odds_high:.2f})"
    return f"{told}, undecided" if compared.undecided else told
