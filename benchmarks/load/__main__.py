"""Fills a memory with generated episodes, asks it while it is written to, and reports what that cost."""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.load import report
from benchmarks.load.runs import episodes
from tacit import Episode, Memory

QUESTIONS = 200
# Of the generator's; any tool will do.
FAILED_TOOL = next(iter(episodes(1, seed=1))).steps[0].tool
PARTS = 20


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one verb took, in milliseconds."""

    verb: str
    while_writing: bool
    episodes: int
    calls: int
    median_ms: float
    p99_ms: float
    worst_ms: float


@dataclass(frozen=True, slots=True)
class Part:
    """The rate and the sizes of a stretch of the import."""

    episodes: int
    a_second: float
    resident_mb: float
    database_mb: float


@dataclass(slots=True)
class Load:
    """Everything that one run measured."""

    episodes: int
    seed: int
    parts: list[Part] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    opened_s: float = 0.0
    maintained_s: float = 0.0
    written_a_second: float = 0.0
    resident_mb: float = 0.0
    files_mb: dict[str, float] = field(default_factory=dict)


def main() -> int:
    options = parsed(sys.argv[1:])
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        load = run(options.episodes, options.seed, options.seconds, Path(folder))
    print(report.as_text(load))
    if options.json:
        options.json.write_text(json.dumps(asdict(load), indent=2) + "\n")
    if options.plot:
        options.plot.write_text(report.as_svg(load))
    return 0


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--episodes", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long it is asked while it is written to"
    )
    parser.add_argument("--folder", type=Path, help="where the files of the memory are made, for a while")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--plot", type=Path, help="an SVG file for the plots")
    options = parser.parse_args(arguments)
    if options.episodes < PARTS:
        parser.error(f"--episodes must be at least {PARTS}; got {options.episodes}")
    return options


def run(n: int, seed: int, seconds: float, folder: Path) -> Load:
    load = Load(episodes=n, seed=seed)
    path = folder / "memory.db"
    questions = itertools.cycle([episode.task for episode in episodes(QUESTIONS, seed + 1)])
    with Memory(path) as memory:
        for part in imported(memory, n, seed, path):
            load.parts.append(part)
            say(
                f"{part.episodes:>10,} episodes  {part.a_second:>7,.0f}/s  {part.resident_mb:>7,.0f} MB resident"
            )
            if part.episodes in milestones(n):
                load.latencies += asked(memory, questions, part.episodes)
        load.maintained_s = seconds_of(memory.maintain)
    say("maintained and closed; opening again")

    started = time.perf_counter()
    with Memory(path) as memory:
        memory.recall(next(questions))
        load.opened_s = time.perf_counter() - started
        say(f"open to first recall {load.opened_s:.2f} s; asking while writing for {seconds:g} s")
        written = episodes_after(n, seed + 2)
        load.written_a_second, latencies = under_writes(memory, written, questions, n, seconds)
        load.latencies += latencies
        load.resident_mb = report.resident_mb()
    load.files_mb = {
        file.name: file.stat().st_size / 1e6 for file in sorted(folder.iterdir()) if file.is_file()
    }
    return load


def milestones(n: int) -> set[int]:
    """After how many episodes the memory is asked: each part's end nearest to a power of ten, and the end."""
    ends = part_ends(n)
    return {min(ends, key=lambda end: abs(end - power)) for power in (10_000, 100_000)} | {ends[-1]}


def part_ends(n: int) -> list[int]:
    small = [end for end in (1_000, 10_000) if end < n // PARTS]
    return small + [n * part // PARTS for part in range(1, PARTS + 1)]


def imported(memory: Memory, n: int, seed: int, path: Path) -> Iterator[Part]:
    """Adds `n` episodes; the time that their making takes does not count."""
    waiting = 0.0

    def timed(source: Iterator[Episode]) -> Iterator[Episode]:
        nonlocal waiting
        while True:
            began = time.perf_counter()
            episode = next(source, None)
            waiting += time.perf_counter() - began
            if episode is None:
                return
            yield episode

    source = episodes(n, seed)
    before = 0
    for end in part_ends(n):
        waiting, began = 0.0, time.perf_counter()
        for _ in memory.add_many(timed(itertools.islice(source, end - before))):
            pass
        taken = time.perf_counter() - began - waiting
        yield Part(end, (end - before) / taken, report.resident_mb(), path.stat().st_size / 1e6)
        before = end


def asked(memory: Memory, questions: Iterator[str], n: int) -> list[Latency]:
    """Every verb that answers, asked by itself."""
    verbs = verbs_of(memory, questions)
    for ask in verbs.values():
        ask()
    return [
        latency(verb, [seconds_of(ask) for _ in range(QUESTIONS)], n, while_writing=False)
        for verb, ask in verbs.items()
    ]


def verbs_of(memory: Memory, questions: Iterator[str]) -> dict[str, Callable[[], object]]:
    return {
        "recall": lambda: memory.recall(next(questions), limit=5),
        "suggest": lambda: memory.suggest(task=next(questions)),
        "predict": lambda: memory.predict(next(questions)),
        "recover": lambda: memory.recover(f"permission denied: {next(questions)}", tool=FAILED_TOOL),
    }


def under_writes(
    memory: Memory, written: Iterator[Episode], questions: Iterator[str], n: int, seconds: float
) -> tuple[float, list[Latency]]:
    """Asks each verb in turn while one other thread adds episode after episode."""
    stopped = threading.Event()
    added = 0

    def write() -> None:
        nonlocal added
        while not stopped.is_set():
            memory.add(next(written))
            added += 1

    verbs = verbs_of(memory, questions)
    taken: dict[str, list[float]] = {verb: [] for verb in verbs}
    writer = threading.Thread(target=write, name="load-writer")
    began = time.perf_counter()
    writer.start()
    try:
        while not taken["recover"] or time.perf_counter() - began < seconds:
            for verb, ask in verbs.items():
                taken[verb].append(seconds_of(ask))
    finally:
        stopped.set()
        writer.join()
    rate = added / (time.perf_counter() - began)
    return rate, [latency(verb, times, n, while_writing=True) for verb, times in taken.items()]


def episodes_after(n: int, seed: int) -> Iterator[Episode]:
    """New episodes, whose external ids are none of the first `n`."""
    made = itertools.chain.from_iterable(episodes(10_000, seed + at) for at in itertools.count())
    return (replace(episode, external_id=f"later-{number}") for number, episode in enumerate(made, n))


def latency(verb: str, seconds: list[float], n: int, *, while_writing: bool) -> Latency:
    ordered = sorted(1e3 * second for second in seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return Latency(verb, while_writing, n, len(ordered), statistics.median(ordered), p99, ordered[-1])


def seconds_of(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
