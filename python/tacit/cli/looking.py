"""`tacit episodes`, `show`, `patterns`, `clusters` and `stats`: the contents of a memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..memory import Memory
from ..model.episode import Episode, Reflection, Reward, Step
from ..model.pattern import Cluster
from . import console
from .options import DEFAULT_NAMESPACE, Agent, AsJson, Database, Domain, Namespace, memory_at, note_nothing
from .tables import cluster_table, pattern_table, table

KINDS = ("tool_sequence", "decision_point", "error_recovery", "context_pattern", "cluster", "heuristic")
"""The kinds of the built-in extractors and inducers; others may register more."""
ORDERS = ("confidence", "trials", "recent")


def episodes(
    domain: Domain = None,
    agent: Agent = None,
    task_key: Annotated[
        str | None,
        typer.Option("--task-key", metavar="KEY", help="Only attempts at this task.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Episodes at most.")] = 20,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="ID", help="The last id of the page before.", show_default=False),
    ] = None,
    only_open: Annotated[
        bool,
        typer.Option("--open", help="Episodes that have not ended, of every process; without other filters."),
    ] = False,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """List episodes, newest first."""
    if only_open and any((domain, agent, task_key, after)):
        raise typer.BadParameter("--open goes with --limit and --namespace alone")
    with memory_at(database, namespace) as memory:
        if only_open:
            page = memory.open_episodes(limit=limit)
        else:
            page = memory.episodes(domain=domain, agent=agent, task_key=task_key, limit=limit, after=after)
        if as_json:
            console.say_json({"episodes": page})
            return
        for episode in page:
            console.say(*_line(episode))
        if not page:
            note_nothing(memory, "nothing matches")
        elif len(page) == limit and not only_open:
            console.note(f"more: --after {page[-1].id}")


def _line(episode: Episode) -> Iterator[Any]:
    width = console.screen().width
    kind = episode.outcome.kind if episode.outcome else "open"
    reward = "" if episode.reward is None else f"{episode.reward.total:.2f}"
    facts = [
        moment_of(episode),
        f"reward {reward}" if reward else "",
        console.count_of(len(episode.steps), "step"),
        episode.context.domain,
        episode.agent or "",
    ]
    line = " · ".join(console.plain(fact) for fact in facts if fact)
    yield Text.assemble(
        (episode.id, "bold"), "  ", (console.outcome_name(kind), console.STYLE_OF.get(kind, console.QUIET))
    )
    yield Text(f"  {console.cropped(episode.task, width - 2)}")
    yield Text(f"  {console.cropped(line, width - 2)}", console.QUIET)


def moment_of(episode: Episode) -> str:
    """The time at which an episode ended, or began if it has not ended."""
    return console.moment(episode.ended_at or episode.started_at)


def show(
    episode_id: Annotated[
        str, typer.Argument(metavar="ID", help="The id of an episode.", show_default=False)
    ],
    full: Annotated[bool, typer.Option("--full", help="Every observation whole.")] = False,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Show one episode: steps, reward, reflection.

    Its id is enough, whichever namespace it is in.
    """
    with memory_at(database, of=episode_id) as memory:
        episode = memory.get(episode_id)
        score = memory.score(episode)
        if as_json:
            console.say_json({**msgspec.to_builtins(episode), "score": score})
        else:
            console.say(*_episode(episode, score, full=full))


def _episode(episode: Episode, score: float | None, *, full: bool) -> Iterator[Any]:
    yield Text(_whole(episode.task.strip()) if full else console.plain(episode.task), "bold")
    yield ""
    yield _facts(episode)
    if episode.reward is not None:
        yield from ("", Text("Reward", "bold"), Padding(_reward(episode.reward, score), (0, 0, 0, 2)))
    if episode.reflection is not None:
        yield from _reflection(episode.reflection)
    yield from ("", Text(console.count_of(len(episode.steps), "step").capitalize(), "bold"))
    for step in episode.steps:
        yield from _step(step, full=full)


def _facts(episode: Episode) -> Table:
    context = episode.context
    duration = episode.duration_s
    rows: dict[str, Text | str | None] = {
        "outcome": console.outcome_text(episode.outcome),
        "pending": episode.pending and f"not learned from yet: {episode.pending}",
        "domain": ", ".join(filter(None, [context.domain, context.language, context.framework])),
        "complexity": context.complexity,
        "agent": episode.agent,
        "when": moment_of(episode)
        + (f", took {duration:,.1f} s" if duration is not None else ", duration unknown"),
        "source": episode.source,
        "task key": episode.task_key,
        "external id": episode.external_id,
        "tags": ", ".join([*episode.tags, *context.tags]),
        "metadata": _json(episode.metadata) if episode.metadata else None,
        "id": episode.id,
    }
    return _grid({name: value for name, value in rows.items() if value})


def _grid(rows: Mapping[str, Text | str | None]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style=console.QUIET, no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value if isinstance(value, Text) else Text(console.plain(value or "")))
    return table


def _reward(reward: Reward, score: float | None) -> Table:
    formula = "base x (efficiency x complexity x quality + learning)"
    terms = (
        f"{reward.base:g} x ({reward.efficiency:.3f} x {reward.complexity_bonus:g} x "
        f"{reward.quality_multiplier:g} + {reward.learning_bonus:.3f})"
    )
    measured = (
        f"{reward.usual_seconds:g} s and {reward.usual_steps:g} steps are usual; novelty {reward.novelty:.0%}"
    )
    return _grid(
        {
            "total": f"{reward.total:.3f} = {terms}",
            "": formula,
            "against": measured,
            "score": None if score is None else f"{score:.2f} among the episodes of its domain",
        }
    )


def _reflection(reflection: Reflection) -> Iterator[Any]:
    parts = (
        ("Successes", "green", reflection.successes),
        ("Improvements", "yellow", reflection.improvements),
        ("Insights", "cyan", reflection.insights),
    )
    for title, style, sentences in parts:
        if sentences:
            yield from ("", Text(title, "bold"))
            for sentence in sentences:
                yield Padding(_grid_row(Text("-", style), console.plain(sentence)), (0, 0, 0, 2))


def _grid_row(mark: Text, text: str) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_row(mark, Text(text))
    return table


def _step(step: Step, *, full: bool) -> Iterator[Any]:
    width = console.screen().width - 6
    style = {"ok": "green", "error": "red", "timeout": "red"}.get(step.status or "", console.QUIET)
    took = f"  {step.latency_ms:,.0f} ms" if step.latency_ms is not None else ""
    yield Text.assemble(
        f"{step.number:>4}  ",
        (console.plain(step.tool), "bold"),
        "  ",
        (step.status or "no result", style),
        took,
    )
    if step.action:
        yield _block(step.action, width, full=full)
    if step.parameters not in (None, {}):
        yield _block(_json(step.parameters), width, full=full)
    for given in (step.error, step.output):
        if given is not None:
            yield _block(
                given if isinstance(given, str) else _json(given), width, full=full, style=console.QUIET
            )


def _block(text: str, width: int, *, full: bool, style: str = "default") -> Padding:
    if not full:
        return Padding(Text(console.cropped(text, width), style), (0, 0, 0, 6))
    return Padding(Text(_whole(text), style), (0, 0, 0, 6))


def _whole(text: str) -> str:
    return "\n".join(console.printable(line) for line in text.expandtabs(4).splitlines())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def patterns(
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help=f"One of {', '.join(KINDS)}.", show_default=False),
    ] = None,
    domain: Domain = None,
    agent: Agent = None,
    order: Annotated[
        str,
        typer.Option(
            "--order", metavar="NAME", help="confidence (the interval's low end), trials or recent."
        ),
    ] = "confidence",
    min_trials: Annotated[
        int,
        typer.Option("--min-trials", metavar="N", min=1, help="Only patterns with at least so many trials."),
    ] = 1,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="Patterns at most.")
    ] = 20,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """List patterns with their evidence.

    Each with its trials, its successes and their 95% interval.
    """
    if order not in ORDERS:
        raise typer.BadParameter(f"no order {order!r}; known: {', '.join(ORDERS)}", param_hint="--order")
    with memory_at(database, namespace) as memory:
        found = memory.patterns(
            kind=kind, domain=domain, agent=agent, order=order, min_trials=min_trials, limit=limit
        )
        if not found and kind not in (None, *KINDS):
            raise typer.BadParameter(f"no kind {kind!r}; known: {', '.join(KINDS)}", param_hint="--kind")
        if as_json:
            console.say_json({"patterns": found})
        elif found:
            console.say(pattern_table(found, with_kind=kind is None))
        else:
            note_nothing(memory, "nothing matches")


def clusters(
    domain: Domain = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="Clusters at most.")
    ] = 10,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """List clusters: the typical plans of past successes.

    Successes with similar plans form a cluster; the largest come first.
    """
    with memory_at(database, namespace) as memory:
        found = memory.clusters(domain=domain, limit=limit)
        if as_json:
            console.say_json({"clusters": found})
        elif found:
            console.say(cluster_table(found))
            note_left_out(found[0])
        else:
            note_nothing(memory, "nothing matches")


def note_left_out(cluster: Cluster) -> None:
    """Says which successes were clustered, if older ones were left out."""
    if cluster.left_out:
        looked_at, left_out = cluster.looked_at, cluster.left_out
        console.note(f"of the newest {looked_at:,} successes; {left_out:,} older ones were left out")


def stats(
    everything: Annotated[
        bool, typer.Option("--all", help="The figures of the store, the cache and the index, too.")
    ] = False,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Count the records that are stored, cached and indexed.

    All namespaces are counted; each is listed with its episodes and the time at which it last learned.
    """
    with memory_at(database, DEFAULT_NAMESPACE) as memory:
        found = memory.stats()
        namespaces = namespaces_of(memory)
        if as_json:
            console.say_json(found | {"namespaces": namespaces})
            return
        console.say(*_stats(found, namespaces))
        if everything:
            console.say("", Text("Figures", "bold"))
            console.say(_grid({name: _shown(value) for name, value in _flat(found).items()}))
        if not found["episodes"]:
            note_nothing(memory, "nothing matches")


class NamespaceCount(msgspec.Struct):
    """A namespace, its episodes, and when the newest of them was stored."""

    namespace: str
    episodes: int
    last_learned: int


def namespaces_of(memory: Memory) -> list[NamespaceCount]:
    """Every namespace of a memory, the one that learned last first."""
    return [
        NamespaceCount(name, count, learned)
        for name, (count, learned) in sorted(memory.namespaces().items(), key=lambda each: -each[1][1])
    ]


def _stats(found: Mapping[str, Any], namespaces: list[NamespaceCount]) -> Iterator[Any]:
    counts = (
        console.count_of(int(found["episodes"]), "episode"),
        console.count_of(int(found["patterns"]), "pattern"),
        f"{console.count_of(int(found['open']), 'open episode')}" if found["open"] else "",
        f"{int(found['pending']):,} not learned from yet" if found["pending"] else "",
        f"{console.count_of(dead, 'dead letter')}" if (dead := found["learning"]["dead"]) else "",
    )
    yield Text(" · ".join(each for each in counts if each), "bold")
    learned = found["last_learned"]
    size = f"{int(found.get('file_bytes', 0)) / 1e6:,.1f} MB"
    yield _grid(
        {
            "last learned": "never" if learned is None else console.moment_and_age(learned),
            "stored in": Text(f"{console.plain(str(found['durable']))}, {size}", overflow="fold"),
        }
    )
    if namespaces:
        yield ""
        listed = table("namespace", "episodes", "last learned")
        for each in namespaces:
            listed.add_row(
                Text(console.plain(each.namespace)), f"{each.episodes:,}", console.moment(each.last_learned)
            )
        yield listed


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        flat |= _flat(value, f"{label} ") if isinstance(value, Mapping) else {label: value}
    return flat


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
