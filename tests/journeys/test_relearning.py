"""Relearning: a store whose facts an earlier version made is read in that version until all of it is relearned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tacit import Episode, Memory, Outcome, Step
from tacit._native import TEXT_VERSION, Findings, Trajectory
from tacit.extractors import Hybrid
from tacit.intake.facts_version import findings_in, oldest_version, version_of
from tacit.model.maintenance import Relearning
from tacit.model.record import Batch, EpisodeRecord
from tacit.storage import InMemoryStore, NativeStore, Store

WIDE = "ﬁle not ready"
"""An error text that the two versions class differently: its first letter is a ligature."""
PLAIN = "file not ready"


class KeptStore(InMemoryStore):
    """A store in RAM that outlives its memories."""

    def close(self) -> None:
        pass


def run(number: int, error: str = WIDE) -> Episode:
    steps = (
        Step("read", status="error", error=error),
        Step("wait", status="ok"),
        Step("read", status="ok", output="done"),
    )
    return Episode(
        f"read report {number}", external_id=f"run-{number}", steps=steps, outcome=Outcome.success()
    )


def store_of_version_1(episodes: int = 150) -> InMemoryStore:
    """A store as version 1 left it: no version in the payloads, facts by the functions of version 1."""
    store = KeptStore()
    with Memory(store=store) as memory:
        list(memory.add_many(run(number) for number in range(episodes)))
    records = [change.record for change in store.changes(0, limit=10_000) if change.record is not None]
    for record in records:
        payload = msgspec.msgpack.decode(record.payload)
        assert payload.pop("text_version") == TEXT_VERSION
        plain = msgspec.msgpack.encode(payload)
        wide_header = b"\xdf" + len(payload).to_bytes(4, "big") + plain[1 if plain[0] < 0x90 else 3 :]
        findings = findings_in(1, wide_header, Hybrid())
        older = replace(record, payload=wide_header, facts=findings.facts(), contents=findings.contents())
        store.commit(Batch(episodes=(older,), removed=(record.id,)))
    assert oldest_version(store) == 1
    return store


def classes(memory: Memory) -> set[str]:
    return {pattern.content["error"] for pattern in memory.patterns(kind="error_recovery", limit=100)}


def versions(store: Store) -> set[int]:
    records = [change.record for change in store.changes(0, limit=10_000) if change.record is not None]
    return {version_of(record.payload) for record in records}


def test_a_new_store_is_of_the_newest_version_and_nothing_is_due() -> None:
    store = KeptStore()
    with Memory(store=store) as memory:
        memory.add(run(1))
        assert memory.recall("read report 2").degraded == ()
        assert memory.relearn() == Relearning(0, 0, TEXT_VERSION)
        assert memory.maintain().namespace == "default"
    assert versions(store) == {TEXT_VERSION}


def test_an_earlier_store_answers_in_its_version_and_says_that_relearning_is_due() -> None:
    store = store_of_version_1()
    with Memory(store=store) as memory:
        assert classes(memory) == {WIDE}
        for answer in (
            memory.recall("read report 2"),
            memory.suggest(["read"], task="read report 2"),
            memory.recover(WIDE, tool="read"),
            memory.predict("read report 2"),
            memory.playbook("read report 2"),
        ):
            assert "relearn_pending" in answer.degraded


def test_relearning_reads_one_version_until_the_last_episode_and_the_new_one_from_then_on() -> None:
    store = store_of_version_1(150)
    seen: list[tuple[Relearning, set[str], set[int]]] = []
    with Memory(store=store) as memory, Memory(store=store) as other:

        def look(progress: Relearning) -> None:
            before_last = progress.relearned < progress.total
            assert classes(memory) == classes(other) == ({WIDE} if before_last else {PLAIN})
            seen.append((progress, classes(memory), versions(store)))

        report = memory.relearn(progress=look)
        assert report == Relearning(150, 150, TEXT_VERSION)
        assert [progress.relearned for progress, _, _ in seen] == sorted(
            progress.relearned for progress, _, _ in seen
        )
        assert len(seen) >= 3
        assert seen[0][2] == {1, TEXT_VERSION}
        assert versions(store) == {TEXT_VERSION}
        assert "relearn_pending" not in memory.recall("read report 2").degraded
        (pattern,) = memory.patterns(kind="error_recovery", limit=100)
        assert pattern.trials == 150
    with Memory(store=store) as memory:
        assert classes(memory) == {PLAIN}


def test_episodes_that_are_recorded_meanwhile_are_read_in_the_earlier_version_and_kept_in_the_new() -> None:
    store = store_of_version_1(70)
    with Memory(store=store) as memory:
        learned = memory.add(run(1_000))
        assert learned.state == "learned"
        (pattern,) = memory.patterns(kind="error_recovery", limit=100)
        assert (pattern.content["error"], pattern.trials) == (WIDE, 71)
        assert pattern.id in {finding.pattern_id for finding in learned.findings or ()}
        assert versions(store) == {1, TEXT_VERSION}

        def record(progress: Relearning) -> None:
            if progress.relearned == 64:
                memory.add(run(2_000))

        memory.relearn(progress=record)
        (pattern,) = memory.patterns(kind="error_recovery", limit=100)
        assert (pattern.content["error"], pattern.trials) == (PLAIN, 72)


def test_relearning_that_was_cut_short_is_continued() -> None:
    store = store_of_version_1(150)

    class Killed(Exception):
        pass

    def kill(progress: Relearning) -> None:
        raise Killed

    with Memory(store=store) as memory:
        with pytest.raises(Killed):
            memory.relearn(progress=kill)
        assert classes(memory) == {WIDE}
    assert versions(store) == {1, TEXT_VERSION}
    with Memory(store=store) as memory:
        assert classes(memory) == {WIDE}
        report = memory.relearn()
        assert 0 < report.relearned < 150
        assert classes(memory) == {PLAIN}


def test_maintenance_relearns_and_a_dry_run_does_not() -> None:
    store = store_of_version_1(20)
    with Memory(store=store) as memory:
        memory.maintain(dry_run=True)
        assert versions(store) == {1}
        memory.maintain()
        assert versions(store) == {TEXT_VERSION}
        assert classes(memory) == {PLAIN}


def test_episodes_rewards_and_credit_stay_as_they_are() -> None:
    store = store_of_version_1(20)
    with Memory(store=store) as memory:
        episode_id = memory.start("read report 3")
        hit = memory.recall("read report 3", episode_id=episode_id).hits[0]
        for tool in ("read", "wait", "read"):
            memory.log(episode_id, tool, output="ok")
        memory.complete(episode_id, Outcome.success())
        episodes, usage = memory.episodes(limit=100), memory.usage(hit.episode_id)
        assert usage.applied == 1
        memory.relearn()
        assert memory.episodes(limit=100) == episodes
        assert memory.usage(hit.episode_id) == usage
        assert memory.add(run(3)).state == "unchanged"


def test_two_processes_may_relearn_at_once(tmp_path: Path) -> None:
    store = store_of_version_1(150)
    path = tmp_path / "agent.db"
    with Memory(path) as memory:
        pass
    file = NativeStore(path)
    for change in store.changes(0, limit=10_000):
        if change.record is not None:
            findings = findings_in(1, change.record.payload, Hybrid())
            file.commit(Batch((replace(change.record, contents=findings.contents()),)))
    file.close()
    with Memory(path) as memory, Memory(path) as other:
        calls = [0]

        def interfere(progress: Relearning) -> None:
            calls[0] += 1
            if calls[0] == 1:
                other.relearn()

        memory.relearn(progress=interfere)
        assert classes(memory) == classes(other) == {PLAIN}
        assert sum(pattern.trials for pattern in memory.patterns(kind="error_recovery", limit=9)) == 150


class Picky(Hybrid):
    """Extractors of which one fails on some episodes."""

    def __init__(self, *unreadable: int) -> None:
        super().__init__()
        self.unreadable = unreadable
        self.tried = 0

    def teach_with(self, trajectory: Trajectory, episode: Callable[[], Episode]) -> Findings:
        self.tried += 1
        if int(episode().task.split()[-1]) in self.unreadable:
            error = ValueError("cannot read it")
            error.add_note("in extractor picky")
            raise error
        return super().teach_with(trajectory, episode)


def relearn_with(memory: Memory, hybrid: Hybrid) -> Relearning:
    relearner = memory._rooms.relearner
    relearner._hybrid = hybrid
    return memory.relearn()


def test_an_episode_that_an_extractor_cannot_read_is_pending_and_the_others_are_relearned() -> None:
    store = store_of_version_1(70)
    with Memory(store=store) as memory:
        before = {episode.external_id: episode.reward for episode in memory.episodes(limit=100)}
        report = relearn_with(memory, Picky(3, 4, 5, 66))
        assert report == Relearning(
            66, 70, TEXT_VERSION, 4, ("ValueError: cannot read it (in extractor picky)",)
        )
        assert classes(memory) == {PLAIN}
        assert sum(pattern.trials for pattern in memory.patterns(kind="error_recovery", limit=9)) == 66
        assert "relearn_pending" not in memory.recall("read report 2").degraded
        assert memory.maintain().learned == 4
        assert {episode.external_id: episode.reward for episode in memory.episodes(limit=100)} == before
        assert sum(pattern.trials for pattern in memory.patterns(kind="error_recovery", limit=9)) == 70


def test_an_extractor_that_always_fails_stops_a_relearning_which_keeps_the_earlier_facts() -> None:
    store = store_of_version_1(150)
    with Memory(store=store) as memory:
        hybrid = Picky(*range(70, 150))
        report = relearn_with(memory, hybrid)
        assert (report.relearned, report.total, report.pending) == (64, 150, 0)
        assert report.problems[-1] == "stopped: 86 episodes keep the facts of an earlier version"
        assert hybrid.tried == 64 + 6 + 3 + 1
        assert classes(memory) == {WIDE}
        assert "relearn_pending" in memory.recall("read report 2").degraded
        report = relearn_with(memory, Hybrid())
        assert (report.relearned, report.pending, report.problems) == (86, 0, ())
        assert classes(memory) == {PLAIN}


def test_a_relearning_names_ten_failures_at_the_most() -> None:
    class Wordy(Hybrid):
        def teach_with(self, trajectory: Trajectory, episode: Callable[[], Episode]) -> Findings:
            number = int(episode().task.split()[-1])
            if number % 3 == 0:
                raise ValueError(f"cannot read number {number}")
            return super().teach_with(trajectory, episode)

    with Memory(store=store_of_version_1(40)) as memory:
        report = relearn_with(memory, Wordy())
        assert (report.pending, len(report.problems)) == (14, 10)
        assert report.problems[0] == "ValueError: cannot read number 0"


class DownEmbedder:
    """An embedder that answers at first, and then times out."""

    name = "remote"
    dimension = 2

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.calls = 0

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.calls += 1
        if self.calls > self.answers:
            raise TimeoutError(f"after {self.calls} s")
        return np.ones((len(texts), 2), dtype=np.float32)


def test_a_relearning_goes_on_without_an_embedder_that_is_down() -> None:
    store = store_of_version_1(70)
    with Memory(store=store) as memory:
        before = {record.id: (record.embedder, record.embedding) for record in records(store)}
        embedder = DownEmbedder(answers=2)
        memory._rooms.relearner._embedder = embedder
        report = memory.relearn()
        assert (report.relearned, report.total, report.pending) == (70, 70, 0)
        assert (
            report.problems[0] == "TimeoutError: after 3 s (in embedder remote): episodes keep their vectors"
        )
        assert embedder.calls == 2 + 3
        kept = [record for record in records(store) if record.embedder != "remote"]
        assert len(kept) == 68
        assert all(before[record.id] == (record.embedder, record.embedding) for record in kept)
        assert classes(memory) == {PLAIN}


def records(store: Store) -> list[EpisodeRecord]:
    changes = store.changes(0, limit=10_000)
    found = {change.id: change.record for change in changes if change.record is not None}
    return list(found.values())


def test_an_interrupt_of_an_extractor_leaves_the_relearning() -> None:
    class Interrupted(Hybrid):
        def teach_with(self, trajectory: Trajectory, episode: Callable[[], Episode]) -> Findings:
            raise KeyboardInterrupt

    store = store_of_version_1(2)
    with Memory(store=store) as memory:
        with pytest.raises(KeyboardInterrupt):
            relearn_with(memory, Interrupted())
        assert versions(store) == {1}
