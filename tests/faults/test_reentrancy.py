"""Calls from within a call: parts, observers and signal handlers that use the memory which called them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit import Episode, EpisodeClosedError, Finding, Memory, Outcome, Settings, Step, UnavailableError
from tacit.embedding import embedders
from tacit.extractors import extractors
from tacit.inducers import inducers

WELL = Outcome.success()
pytestmark = pytest.mark.timeout(60)


@dataclass
class Calling:
    """An embedder that calls something while it embeds."""

    name: str = "calling"
    dimension: int = 2
    call: Callable[[], Any] | None = None
    raised: list[BaseException] = field(default_factory=list)

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        call, self.call = self.call, None
        if call is not None:
            try:
                call()
            except EpisodeClosedError as error:
                self.raised.append(error)
        return np.ones((len(texts), self.dimension), dtype=np.float32)


@pytest.fixture
def embedder() -> Calling:
    part = Calling()
    embedders.register("calling")(lambda: part)
    return part


@pytest.fixture(params=["memory", "file"])
def memory(request: pytest.FixtureRequest, embedder: Calling, tmp_path: Path) -> Iterator[Memory]:
    database = tmp_path / "x.db" if request.param == "file" else None
    with Memory(database, settings=Settings(embedder="calling")) as memory:
        yield memory


ON_ITSELF: dict[str, Callable[[Memory, str], Any]] = {
    "log": lambda memory, id: memory.log(id, "late"),
    "complete": lambda memory, id: memory.complete(id, WELL),
    "forget": lambda memory, id: memory.forget(id),
}


@pytest.mark.parametrize("verb", sorted(ON_ITSELF))
def test_a_part_that_touches_the_episode_being_completed_is_refused(
    memory: Memory, embedder: Calling, verb: str
) -> None:
    id = memory.start("t")
    memory.log(id, "look", output=1)
    embedder.call = lambda: ON_ITSELF[verb](memory, id)
    assert memory.complete(id, WELL).state == "learned"
    [refused] = embedder.raised
    assert "is being completed" in str(refused)
    assert [step.tool for step in memory.get(id).steps] == ["look"]


def test_a_refusal_that_a_part_lets_through_leaves_the_episode_pending() -> None:
    class Careless:
        def extract(self, episode: Episode) -> Iterator[Finding]:
            careful.log(episode.id, "late")
            yield Finding("note", {"tool": "late"})

    extractors.register("careless")(Careless)
    with Memory(settings=Settings(extractors=("careless",))) as careful:
        id = careful.start("t")
        careful.log(id, "look")
        learned = careful.complete(id, WELL)
        assert (learned.state, "is being completed" in learned.problems[0]) == ("pending", True)
        assert [step.tool for step in careful.get(id).steps] == ["look"]


OTHERS: dict[str, Callable[[Memory], Any]] = {
    "a whole episode": lambda memory: memory.complete(memory.start("other"), WELL),
    "add": lambda memory: memory.add(Episode(task="other", outcome=WELL)),
    "recall": lambda memory: memory.recall("t"),
    "suggest": lambda memory: memory.suggest(["look"]),
    "maintain": lambda memory: memory.maintain(),
    "stats": lambda memory: memory.stats(),
}


@pytest.mark.parametrize("verb", sorted(OTHERS))
def test_a_part_may_use_the_memory_otherwise(memory: Memory, embedder: Calling, verb: str) -> None:
    id = memory.start("t")
    embedder.call = lambda: OTHERS[verb](memory)
    assert memory.complete(id, WELL).state == "learned"
    assert embedder.raised == []
    assert {episode.task for episode in memory.episodes()} >= {"t"}


def test_another_thread_waits_for_the_completion_and_its_step_is_late(
    memory: Memory, embedder: Calling
) -> None:
    id = memory.start("t")
    memory.log(id, "look")
    results: list[Any] = []

    def late() -> None:
        try:
            results.append(memory.log(id, "late"))
        except EpisodeClosedError as error:
            results.append(error)

    thread = threading.Thread(target=late)

    def start() -> None:
        thread.start()
        thread.join(0.1)

    embedder.call = start
    memory.complete(id, WELL)
    thread.join(30)
    assert isinstance(results[0], EpisodeClosedError)


def test_a_signal_handler_that_completes_an_episode_never_waits_for_the_call_it_interrupts(
    memory: Memory,
) -> None:
    handled: list[str] = []

    def handler(*_: object) -> None:
        id = memory.start(f"interrupt {len(handled)}")
        memory.log(id, "look", output=1)
        memory.complete(id, WELL)
        handled.append(id)
        signal.setitimer(signal.ITIMER_REAL, 0.001)

    memory.complete(memory.start("first"), WELL)
    memory.recall("first")
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    ended = []
    try:
        deadline = time.monotonic() + 20
        while len(handled) < 200 and time.monotonic() < deadline:
            id = memory.start("main")
            memory.log(id, "look", output=1)
            memory.complete(id, WELL)
            memory.recall("main")
            ended.append(id)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    memory.recall("main")
    stored = {episode.id for episode in memory.episodes(limit=100_000)}
    assert stored >= {*handled, *ended}
    assert len(stored) == len(handled) + len(ended) + 1
    assert len(handled) >= 50


def test_a_handler_that_interrupts_the_setting_up_of_a_memory_is_refused_or_served(tmp_path: Path) -> None:
    # In a process of its own: the modules of the rooms are imported while the handler interrupts.
    script = f"""
import signal
import tacit
memory = tacit.Memory({str(tmp_path / "x.db")!r})
said = []
def handler(*_):
    try:
        id = memory.start("interrupt")
        memory.log(id, "look")
        memory.complete(id, tacit.Outcome.success())
        said.append("served")
    except tacit.UnavailableError:
        said.append("refused")
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
for n in range(20):
    id = memory.start("main")
    memory.log(id, "look")
    memory.complete(id, tacit.Outcome.success())
    memory.recall("main")
    memory.maintain()
signal.setitimer(signal.ITIMER_REAL, 0)
assert len(memory.episodes(limit=100_000)) == 20 + said.count("served"), said
assert memory.stats()["open"] == 0 or "refused" in said
print(len(said))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 0


def test_a_handler_that_completes_the_episode_being_completed_is_refused_or_finds_it_done() -> None:
    said: list[str] = []
    with Memory() as memory:
        memory.complete(memory.start("the first one, which sets the memory up"), WELL)
        current = ""

        def handler(*_: object) -> None:
            try:
                memory.complete(current, WELL)
                said.append("done")
            except EpisodeClosedError:
                said.append("refused")

        before = signal.signal(signal.SIGALRM, handler)
        try:
            for n in range(100):
                current = memory.start(f"t {n}")
                memory.log(current, "look", output=1)
                signal.setitimer(signal.ITIMER_REAL, 0.0001)
                assert memory.complete(current, WELL).state in ("learned", "unchanged")
                signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert len(memory.episodes(limit=1_000)) == 101


def test_an_inducer_that_maintains_is_refused_and_one_that_asks_is_answered() -> None:
    steps = (Step("look", status="ok"), Step("buy", status="ok"))

    class Asking:
        def induce(self, history: Any) -> Iterator[Any]:
            asked.recall("t")
            asked.patterns()
            with pytest.raises(UnavailableError, match="under way"):
                asked.maintain()
            yield from ()

    inducers.register("asking")(Asking)
    with Memory(settings=Settings(inducers=("clustering", "heuristic", "asking"))) as asked:
        asked.add(Episode(task="t", steps=steps, outcome=WELL))
        assert asked.maintain().namespace == "default"
