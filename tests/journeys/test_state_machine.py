"""A memory under any order of its verbs holds the same as a plain dict, and its sums are those of its episodes."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from tacit import (
    AdviceSettings,
    ConflictError,
    Episode,
    EpisodeClosedError,
    MaintenanceSettings,
    Memory,
    Outcome,
    Pattern,
    Recall,
    RecordingSettings,
    Settings,
    Step,
    StorageSettings,
    TaskContext,
    UnknownEpisodeError,
    UnknownRecallError,
)
from tacit.extractors import Hybrid
from tacit.model.record import Batch, Receipt
from tacit.storage import InMemoryStore, NativeStore

SETTINGS = Settings(
    advice=AdviceSettings(training="caller"),
    maintenance=MaintenanceSettings(similarity=0.8, min_episodes=2, min_trials=2, false_discoveries=0.5),
    recording=RecordingSettings(flush_steps=2, flush_seconds=0.0),
    storage=StorageSettings(durability="fast"),
)
BEGINNING = 1_764_547_200_000_000
NAMESPACES = ("default", "other")
TASKS = ("Refund order 1", "Refund order 2", "Ship a parcel", "\ud55c\uad6d\uc5b4 cafe\u0301")

texts = st.sampled_from(["a", "b"])
namespaces = st.sampled_from(NAMESPACES)
outcomes = st.sampled_from(
    [
        Outcome.success("done"),
        Outcome.success(),
        Outcome.partial(completed=("a",), failed=("b", "c")),
        Outcome.failure("no"),
        Outcome.abandoned(),
    ]
)
steps = st.one_of(
    st.builds(
        Step, st.sampled_from(["get", "set", "check"]), parameters=st.just({"n": 1}), status=st.just("ok")
    ),
    st.builds(
        Step,
        st.sampled_from(["get", "set"]),
        status=st.just("error"),
        error=st.sampled_from(["order 17 is locked", "no such 'thing'"]),
    ),
    st.just(Step("check", status="timeout")),
    st.just(Step("note")),
)
heads = st.fixed_dictionaries(
    {
        "task": st.sampled_from(TASKS),
        "namespace": namespaces,
        "context": st.builds(
            TaskContext, st.sampled_from(["retail", "lab"]), complexity=st.sampled_from(["simple", "unknown"])
        ),
    },
    optional={
        "agent": texts,
        "task_key": texts,
        "tags": st.just(("some-tag",)),
        "metadata": st.just({"n": [1.5]}),
    },
)
finished = st.builds(
    lambda head, taken, outcome, external_id: Episode(
        **head, steps=tuple(taken), outcome=outcome, external_id=external_id
    ),
    heads,
    st.lists(steps, max_size=5),
    outcomes,
    st.sampled_from([None, None, "x", "y"]),
)


@dataclass
class Answered:
    """A recall within an episode: the memories it showed."""

    episode_id: str
    namespace: str
    recall: Recall

    @property
    def shown(self) -> set[str]:
        recall = self.recall
        patterns = {each.id for each in (*recall.patterns, *recall.pitfalls)}
        rules = {each.id for each in recall.heuristics}
        return {hit.episode_id for hit in recall.hits} | patterns | rules


@dataclass
class Model:
    """Everything that a memory must hold, in plain dicts."""

    open: dict[str, Episode] = field(default_factory=dict)
    ended: dict[str, Episode] = field(default_factory=dict)
    answers: list[Answered] = field(default_factory=list)

    def under(self, namespace: str, external_id: str | None) -> Episode | None:
        """The ended episode of this external id."""
        for episode in self.ended.values():
            if external_id is not None and (episode.namespace, episode.external_id) == (
                namespace,
                external_id,
            ):
                return episode
        return None


@dataclass
class Total:
    """The evidence of one pattern."""

    trials: int = 0
    successes: float = 0.0
    outcomes: dict[str, float] = field(default_factory=dict)
    """By episode."""


def totals(episodes: Iterable[Episode], hybrid: Hybrid) -> dict[str, Total]:
    """By the id of the pattern: trials count occurrences, an episode counts once with its outcome."""
    found: dict[str, Total] = defaultdict(Total)
    for episode in episodes:
        share = episode.outcome.share if episode.outcome else None
        if share is None:
            continue
        for finding in hybrid.extract(episode):
            total = found[finding.pattern_id]
            total.trials += 1
            total.successes += finding.ok
            total.outcomes[episode.id] = share
    return found


def together(members: Iterable[Total]) -> Total:
    """Merged patterns: their trials add up; an episode that has several of them is one episode."""
    total = Total()
    for member in members:
        total.trials += member.trials
        total.successes += member.successes
        total.outcomes |= member.outcomes
    return total


def content(episode: Episode) -> Episode:
    """The part of an episode that recording it decides."""
    return replace(episode, reward=None, reflection=None)


class Meanwhile:
    """A store to which somebody else commits just before one of our commits."""

    meanwhile: Callable[[], None] | None = None

    def commit(self, batch: Batch) -> Receipt:
        action, self.meanwhile = self.meanwhile, None
        if action is not None:
            action()
        return super().commit(batch)  # type: ignore[misc]


class SharedFile(Meanwhile, NativeStore):
    """A file that another process writes to."""


class SharedStore(Meanwhile, InMemoryStore):
    """A store in RAM that another memory writes to."""


class MemoryMachine(RuleBasedStateMachine):
    """The verbs in any order; `reopened` makes the same memory again from its store."""

    ids = Bundle("ids")
    answers = Bundle("answers")
    audits = Bundle("audits")

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self.model = Model()
        self.hybrid = Hybrid()
        self.store: SharedFile | SharedStore
        self.memory = self.reopened()
        self.stranger = self.another()

    def reopened(self) -> Memory:
        raise NotImplementedError

    def another(self) -> Memory:
        raise NotImplementedError

    def clock(self) -> int:
        return self.now * 1_000

    @rule(seconds=st.integers(1, 100_000))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1_000_000

    # --- recording ---

    @rule(target=ids, head=heads)
    def start(self, head: dict[str, Any]) -> str:
        id = self.memory.start(**head)
        self.model.open[id] = Episode(**head, id=id, started_at=self.now)
        return id

    @rule(id=ids, step=steps)
    def log(self, id: str, step: Step) -> None:
        result: dict[str, Any] = {"timed_out": True} if step.status == "timeout" else {}
        if step.status == "ok":
            result["output"] = step.output
        if step.status == "error":
            result["error"] = step.error
        if id not in self.model.open:
            with pytest.raises((EpisodeClosedError, UnknownEpisodeError)):
                self.memory.log(id, step.tool, **result)
            return
        episode = self.model.open[id]
        number = self.memory.log(id, step.tool, parameters=step.parameters, **result)
        taken = replace(step, number=len(episode.steps) + 1, at=self.now)
        assert number == taken.number
        self.model.open[id] = replace(episode, steps=(*episode.steps, taken))

    @rule(id=ids, outcome=outcomes)
    def complete(self, id: str, outcome: Outcome) -> None:
        if id in self.model.open:
            learned = self.home_of(id).complete(id, outcome)
            episode = self.model.open.pop(id)
            assert learned.state == ("abandoned" if outcome.kind == "abandoned" else "learned")
            self.model.ended[id] = replace(episode, outcome=outcome, ended_at=self.now)
        elif id not in self.model.ended:
            with pytest.raises(UnknownEpisodeError):
                self.home_of(id).complete(id, outcome)
        elif self.model.ended[id].outcome == outcome:
            assert self.home_of(id).complete(id, outcome).state == "unchanged"
        elif self.model.ended[id].outcome == Outcome.abandoned():
            assert self.home_of(id).complete(id, outcome).state == "learned"
            judged = replace(self.model.ended[id], outcome=outcome, judged_by="agent", judged_at=self.now)
            self.model.ended[id] = judged
        else:
            with pytest.raises(EpisodeClosedError):
                self.home_of(id).complete(id, outcome)

    @rule(id=ids, outcome=outcomes.filter(lambda each: each.kind != "abandoned"))
    def judge(self, id: str, outcome: Outcome) -> None:
        if id in self.model.open:
            return
        if id not in self.model.ended:
            with pytest.raises(UnknownEpisodeError):
                self.home_of(id).judge(id, outcome)
            return
        ended = self.model.ended[id]
        is_known = (ended.outcome, ended.judged_by) == (outcome, "tests")
        learned = self.home_of(id).judge(id, outcome, by="tests")
        assert learned.state == ("unchanged" if is_known else "learned")
        if not is_known:
            judged = replace(ended, outcome=outcome, judged_by="tests", judged_at=self.now)
            self.model.ended[id] = judged

    @rule(target=ids, episode=finished)
    def add(self, episode: Episode) -> str:
        stored = self.model.under(episode.namespace, episode.external_id)
        if stored is None:
            learned = self.memory.add(episode)
            self.model.ended[learned.episode_id] = self.as_added(learned.episode_id, episode)
            return learned.episode_id
        if self.is_same(stored, episode):
            learned = self.memory.add(episode)
            assert (learned.state, learned.episode_id) == ("unchanged", stored.id)
        else:
            with pytest.raises(ConflictError):
                self.memory.add(episode)
        return stored.id

    @rule(episodes=st.lists(finished.map(lambda each: replace(each, external_id=None)), max_size=4))
    def add_many(self, episodes: list[Episode]) -> None:
        for episode, learned in zip(episodes, self.memory.add_many(episodes), strict=True):
            self.model.ended[learned.episode_id] = self.as_added(learned.episode_id, episode)

    @precondition(lambda self: self.model.ended)
    @rule(data=st.data())
    def add_what_was_stored(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.model.ended)))
        assert self.memory.add(self.home_of(id).get(id)).state == "unchanged"

    def as_added(self, id: str, episode: Episode) -> Episode:
        """A run without times is dated by the clock, its steps by its start."""
        taken = tuple(replace(step, number=n, at=self.now) for n, step in enumerate(episode.steps, 1))
        return replace(episode, id=id, started_at=self.now, ended_at=self.now, timed=False, steps=taken)

    def is_same(self, stored: Episode, given: Episode) -> bool:
        if stored.judged_by is not None:
            given = replace(given, outcome=stored.outcome)
        stored = replace(stored, judged_by=None, judged_at=None)
        timeless = tuple(replace(step, number=0, at=0) for step in stored.steps)
        return replace(given, id="") == replace(
            stored, id="", started_at=0, ended_at=None, timed=True, steps=timeless
        )

    @rule(id=consumes(ids))
    def forget(self, id: str) -> None:
        home = self.home_of(id)
        known = self.model.open.pop(id, None) or self.model.ended.pop(id, None)
        if known is None:
            with pytest.raises(UnknownEpisodeError):
                home.forget(id)
        else:
            home.forget(id)
            self.model.answers = [each for each in self.model.answers if each.episode_id != id]

    @rule(episode=finished.map(lambda each: replace(each, external_id=None)))
    def somebody_else_adds_just_before_the_next_commit(self, episode: Episode) -> None:
        def add() -> None:
            id = self.stranger.add(episode).episode_id
            self.model.ended[id] = self.as_added(id, episode)

        self.store.meanwhile = add

    def nobody_else_adds(self) -> None:
        if self.store.meanwhile is not None:
            self.store.meanwhile()
            self.store.meanwhile = None

    def home_of(self, id: str) -> Memory:
        """The memory as the tenant of this episode sees it."""
        known = self.model.open.get(id) or self.model.ended.get(id)
        return self.memory if known is None else self.memory.within(known.namespace)

    def is_unknown_elsewhere(self, id: str) -> None:
        stranger = self.memory.within("stranger")
        for verb in (stranger.get, stranger.forget):
            with pytest.raises(UnknownEpisodeError):
                verb(id)

    # --- asking ---

    @rule(target=answers, id=ids)
    def recall(self, id: str) -> Answered | None:
        if id not in self.model.open:
            with pytest.raises((EpisodeClosedError, UnknownEpisodeError)):
                self.memory.recall(TASKS[0], episode_id=id)
            return None
        episode = self.model.open[id]
        answer = self.memory.recall(
            episode.task,
            context=episode.context,
            namespace=episode.namespace,
            steps=episode.steps,
            episode_id=id,
        )
        comparable = [each for each in self.model.ended.values() if each.namespace == episode.namespace]
        assert {hit.episode_id for hit in answer.hits} <= {each.id for each in comparable}
        self.model.answers.append(Answered(id, episode.namespace, answer))
        return self.model.answers[-1]

    @rule(answered=answers, helped=st.booleans())
    def feedback(self, answered: Answered | None, helped: bool) -> None:
        if answered is None:
            return
        about = {id: helped for id in sorted(answered.shown)[:2]}
        if answered in self.model.answers:
            self.memory.feedback(answered.recall.id, helped=about, namespace=answered.namespace)
        else:
            with pytest.raises(UnknownRecallError):
                self.memory.feedback(answered.recall.id, helped=about, namespace=answered.namespace)

    # --- consolidating, and coming back ---

    @rule(target=audits, namespace=namespaces)
    def maintain(self, namespace: str) -> tuple[str, str | None]:
        self.nobody_else_adds()
        foreseen = self.memory.maintain(namespace=namespace, dry_run=True)
        report = self.memory.maintain(namespace=namespace)
        assert (foreseen.merges, foreseen.changed) == (report.merges, report.changed)
        again = self.memory.maintain(namespace=namespace)
        assert (again.merges, again.unchanged) == ((), True)
        return namespace, report.id

    @rule(audit=audits)
    def undo(self, audit: tuple[str, str | None]) -> None:
        namespace, run = audit
        if run is not None:
            assert self.memory.undo(run, namespace=namespace).kind == "undo"

    @rule(outcome=outcomes)
    def reopen(self, outcome: Outcome) -> None:
        for id in list(self.model.open):
            self.complete(id, outcome)
        self.nobody_else_adds()
        before = self.everything()
        self.memory = self.reopened()
        assert self.everything() == before

    def everything(self) -> Any:
        return [
            (
                self.memory.episodes(namespace=namespace, limit=1_000),
                self.memory.patterns(namespace=namespace, min_trials=0, limit=10_000),
                self.memory.heuristics(namespace=namespace, limit=1_000),
                self.memory.clusters(namespace=namespace, limit=1_000),
                replace(self.memory.recall(TASKS[0], namespace=namespace), id="", elapsed_ms=0.0),
                self.memory.recover("order 5 is locked", tool="get", namespace=namespace),
            )
            for namespace in NAMESPACES
        ]

    # --- what always holds ---

    @invariant()
    def episodes_are_those_of_the_dict(self) -> None:
        for id, episode in {**self.model.open, **self.model.ended}.items():
            assert content(self.home_of(id).get(id)) == episode
            self.is_unknown_elsewhere(id)
        for namespace in NAMESPACES:
            newest_first = self.ended(namespace)
            assert [content(each) for each in self.memory.episodes(namespace=namespace)] == newest_first[:20]

    @invariant()
    def pages_join_and_filters_choose(self) -> None:
        for namespace in NAMESPACES:
            ended = self.ended(namespace)
            pages: list[Episode] = []
            while page := self.memory.episodes(
                namespace=namespace, limit=2, after=pages[-1].id if pages else None
            ):
                pages += page
            assert [each.id for each in pages] == [each.id for each in ended]
            of_agent = self.memory.episodes(namespace=namespace, agent="a", domain="lab", limit=1_000)
            expected = [each.id for each in ended if each.agent == "a" and each.context.domain == "lab"]
            assert [each.id for each in of_agent] == expected

    def ended(self, namespace: str) -> list[Episode]:
        found = [each for each in self.model.ended.values() if each.namespace == namespace]
        return sorted(found, key=lambda each: each.id, reverse=True)

    @invariant()
    def sums_are_those_of_the_episodes(self) -> None:
        for namespace in NAMESPACES:
            ended = self.ended(namespace)
            self.check_sums(ended, self.memory.patterns(namespace=namespace, min_trials=0, limit=10_000))
            in_lab = [each for each in ended if each.context.domain == "lab" and each.agent == "a"]
            self.check_sums(
                in_lab,
                self.memory.patterns(
                    namespace=namespace, domain="lab", agent="a", min_trials=0, limit=10_000
                ),
            )

    def check_sums(self, episodes: list[Episode], patterns: tuple[Pattern, ...]) -> None:
        expected = totals(episodes, self.hybrid)
        for pattern in patterns:
            members = (pattern.id, *pattern.merged)
            total = together(expected.pop(id) for id in members if id in expected)
            assert pattern.trials == total.trials
            assert math.isclose(pattern.successes, total.successes, abs_tol=1e-6)
            assert pattern.episodes == len(total.outcomes)
            assert math.isclose(pattern.outcomes, sum(total.outcomes.values()), abs_tol=1e-6)
        assert not expected, "these patterns have evidence and are not listed"

    @invariant()
    def memories_were_retrieved_as_often_as_they_were_shown(self) -> None:
        ended = [each for each in self.model.answers if each.episode_id in self.model.ended]
        for namespace in NAMESPACES:
            shown: dict[str, int] = defaultdict(int)
            for answered in ended:
                if self.model.ended[answered.episode_id].namespace == namespace:
                    for id in answered.shown:
                        shown[id] += 1
            for id, times in shown.items():
                assert self.memory.usage(id, namespace=namespace).retrieved == times

    def teardown(self) -> None:
        self.memory.close()
        self.stranger.close()


def told(memory: Memory) -> list[object]:
    """Answers of a memory that depend on everything in its index."""
    found: list[object] = []
    for namespace in NAMESPACES:
        for task in TASKS:
            answer = memory.recall(task, namespace=namespace, limit=10, steps=["get"])
            known = [seen_whenever(each) for each in (*answer.patterns, *answer.pitfalls)]
            found += [answer.hits, known, answer.heuristics, answer.next_steps, answer.degraded]
        patterns = memory.patterns(namespace=namespace, min_trials=0, limit=10_000)
        found.append([seen_whenever(each) for each in patterns])
    return found


def seen_whenever(pattern: Pattern) -> Pattern:
    """The pattern without the time it was last seen, which may outlive the episode that it was seen in."""
    return replace(pattern, last_seen=0)


class FileMachine(MemoryMachine):
    """On a file, which is closed and opened again: from the snapshot of its index as from the whole log."""

    def reopened(self) -> Memory:
        if hasattr(self, "folder"):
            self.memory._rooms.snapshots.save()
            self.memory.close()
            self.compare_with_the_log()
        else:
            self.folder = Path(tempfile.mkdtemp())
        self.store = SharedFile(self.folder / "memory.db", durability="fast")
        return Memory(store=self.store, settings=SETTINGS, clock=self.clock)

    def another(self) -> Memory:
        return Memory(self.folder / "memory.db", settings=SETTINGS, clock=self.clock)

    def compare_with_the_log(self) -> None:
        """A memory that reads the snapshot answers as one that reads the log from its start."""
        logged = NativeStore(self.folder / "memory.db", snapshot=False)
        with self.another() as one, Memory(store=logged, settings=SETTINGS, clock=self.clock) as other:
            assert told(one) == told(other)

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


class InMemoryMachine(MemoryMachine):
    """In RAM: a second memory over the same store knows as much as the first."""

    def reopened(self) -> Memory:
        if not hasattr(self, "store"):
            self.store = SharedStore()
        return Memory(store=self.store, settings=SETTINGS, clock=self.clock)

    def another(self) -> Memory:
        return self.reopened()


# A failing order is shown as it was found: making it shorter takes minutes. `Phase.shrink` brings that back.
ORDERS = settings(
    max_examples=settings().max_examples // 2,
    stateful_step_count=30,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
TestOnAFile = FileMachine.TestCase
TestInMemory = InMemoryMachine.TestCase
TestOnAFile.settings = ORDERS
TestInMemory.settings = ORDERS
