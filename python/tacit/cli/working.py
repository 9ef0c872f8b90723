"""`tacit worker`: learns from the episodes that other processes leave to it, and looks after dead letters."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any

import typer

from ..config import Settings
from ..intake.queue import ExtractionQueue
from ..memory import Memory
from . import console
from .options import AsJson, Database, configured, memory_at

_MOST_SHOWN = 1_000


def worker(
    once: Annotated[
        bool, typer.Option("--once", help="Learn from the episodes that wait now, and stop.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, max=64, help="Threads that learn.")
    ] = 1,
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="S", min=0.05, help="Seconds between two looks for new episodes."),
    ] = 1.0,
    dead: Annotated[bool, typer.Option("--dead", help="List the dead letters, and stop.")] = False,
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay",
            metavar="ID|all",
            help="Hand a dead letter, or all of them, to the workers again, and stop.",
            show_default=False,
        ),
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Learn from the episodes that other processes leave to a worker.

    It serves every namespace until SIGTERM or SIGINT, which let it finish the episode that it works on. Several workers
    may serve one memory.
    """
    if dead or replay is not None:
        with memory_at(database) as memory:
            _look_after(memory._rooms.queue, replay, as_json)
        return
    chosen = configured(database)
    settings = _learning(chosen.settings, workers)
    with _stopped_by_signals() as stop, Memory(chosen.database, settings=settings) as memory:
        if not as_json:
            console.note(f"learning from the pending episodes of {chosen.database}")
        serving = memory._rooms.workers
        if once:
            serving.finish(stop, interval)
        else:
            serving.follow(stop, interval)
        stats = memory.stats()
    _say({**stats["learning"], "pending": stats["pending"]}, as_json)


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _learning(settings: Settings, workers: int) -> Settings:
    return replace(settings, learning=replace(settings.learning, mode="background", workers=workers))


def _say(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.say_json(figures)
        return
    learned = console.count_of(figures["learned"], "episode")
    console.note(f"learned from {learned}; {figures['failed']:,} attempts failed")
    if figures["pending"]:
        console.note(
            f"{console.count_of(figures['pending'], 'episode')} still pending; `tacit doctor` says why"
        )


def _look_after(queue: ExtractionQueue, replay: str | None, as_json: bool) -> None:
    """Lists dead letters, or hands them to the workers again."""
    if replay is not None:
        replayed = queue.replay(None if replay == "all" else replay)
        if as_json:
            console.say_json({"replayed": replayed})
        else:
            console.note(f"{console.count_of(replayed, 'dead letter')} handed to the workers again")
        return
    letters = tuple(islice(queue.dead_letters(), _MOST_SHOWN))
    if as_json:
        console.say_json({"dead_letters": letters})
        return
    for letter in letters:
        reason = console.plain(letter.error or "its worker ended in the middle of it")
        console.say(f"{letter.episode_id}  {console.moment(letter.failed_at)}  {letter.attempts}x  {reason}")
    console.note(console.count_of(len(letters), "dead letter"))
