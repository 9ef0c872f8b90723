"""Tables and lists that more than one command shows."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..model.advice import Fix
from ..model.pattern import Cluster, Heuristic, Pattern
from . import console


def table(*columns: str) -> Table:
    """An empty table without lines: the first column takes the space that the others leave."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style=console.QUIET, expand=True)
    made.add_column(columns[0], ratio=1, overflow="fold")
    for name in columns[1:]:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def block(head: Text, *details: Text) -> Group:
    """A line with the lines that belong to it, indented; both wrap between words, however narrow the terminal is."""
    return Group(head, *(Padding(detail, (0, 0, 0, 4)) for detail in details))


def facts(*parts: str) -> Text:
    """Facts on one quiet line; an empty part is left out."""
    return Text(" · ".join(part for part in parts if part), console.QUIET)


def pattern_table(patterns: Iterable[Pattern], *, with_kind: bool = False) -> Table:
    """Patterns with their evidence."""
    made = table("pattern", "worked", "95%")
    kind = None
    for pattern in patterns:
        if with_kind and pattern.kind != kind:
            kind = pattern.kind
            made.add_row(Text(kind.replace("_", " "), "bold"))
        name = Padding(Text(console.plain(pattern.text)), (0, 0, 0, 2 if with_kind else 0))
        made.add_row(name, console.evidence(pattern), console.interval(pattern))
    return made


def cluster_table(clusters: Iterable[Cluster]) -> Table:
    """Clusters: the typical plan of each, and the number of episodes that follow it."""
    made = table("cluster", "episodes", "share")
    for cluster in clusters:
        made.add_row(Text(console.chain(cluster.plan)), f"{cluster.episodes:,}", f"{cluster.share:.1%}")
    return made


def heuristic_list(heuristics: Iterable[Heuristic]) -> Group:
    """Heuristics with their evidence, and how each compares with its alternatives."""
    return Group(
        *(
            block(
                Text(console.plain(each.text)),
                facts(worked(each), odds(each), "weak" if each.weak else ""),
            )
            for each in heuristics
        )
    )


def worked(known: Pattern | Heuristic | Fix) -> str:
    """How often something worked, with the interval of that."""
    return f"worked {console.evidence(known)} ({console.interval(known)})"


def odds(compared: Heuristic | Fix) -> str:
    """How the odds of success compare with those of the alternatives."""
    if compared.odds_ratio is None:
        return "no alternative to compare with"
    ratio = f"odds x{compared.odds_ratio:.2f} ({compared.odds_low:.2f} to {compared.odds_high:.2f})"
    return f"{ratio}, undecided" if compared.undecided else ratio
