"""The orchestrator: what an agent does with its memory, each verb readable from top to bottom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from . import _native
from .answers import Advisor, Contrasts, Retriever, failing_at
from .config import Settings, check_settings
from .credit import (
    Answer,
    Crediting,
    RecallReceipt,
    feedback_record,
    recall_bytes,
    receipts_of,
    revocation_records,
)
from .embedding import embedders
from .errors import ConflictError, EpisodeClosedError, UnknownEpisodeError, ValidationError
from .extractors import Hybrid
from .intake import CommitItem, Learner, OpenEpisode, Staged, content_of, digest_of
from .maintenance import Maintainer, MaintenanceStates
from .model.advice import Fixes, Playbook, Prediction, Suggestion
from .model.checks import (
    check_count,
    check_head,
    check_name,
    check_namespace,
    check_outcome,
    check_sequence,
    check_share,
    check_step,
    check_tags,
    check_tool,
    check_type,
)
from .model.closed_episode import ClosedEpisode
from .model.context import Complexity, TaskContext, TaskType
from .model.episode import Episode, Json, Outcome, Step
from .model.ids import as_bytes
from .model.learned import Learned
from .model.maintenance import Maintenance
from .model.pattern import Cluster, Contrast, Heuristic, Pattern, PatternKind
from .model.recall import Recall
from .model.record import Batch, Change, EpisodeRecord, Filters, Receipt, SideRecord
from .model.usage import Usage
from .storage import Store, catch_up, open_store

if TYPE_CHECKING:
    from .recorder import Recorder

_EPISODES = msgspec.msgpack.Decoder(Episode)
_ASKED = ("context", "domain", "language", "framework", "complexity", "namespace")
"""What a recall asks with, of what an episode starts with."""
_LONGEST_S = 10 * 365 * 86_400
"""What an episode can have taken at most, in seconds."""
_MOST_TOKENS = 2**63 - 1
_LONGEST_PAGE = 1_000_000
_MOST_TRIALS = 2**32 - 1
_CHUNK = 64
"""Episodes that `add_many` commits together; each is scored against what was known when its chunk began."""


class Memory:
    """An experience memory: episodes go in, ranked and explained experience comes out.

    `Memory("agent.db")` keeps a local file, created where it is missing; `Memory()` keeps everything in RAM. One
    memory may be used from many threads, one file by many processes. `namespace` separates tenants: what is in one
    is invisible in another. Close it, or use it as a context manager: `close` lets go of files and threads.

    Raises `ValidationError` for settings that make no sense, `SchemaError` for a file that is not tacit's or newer
    than this version, `StorageError` where the file cannot be opened.
    """

    def __init__(
        self,
        database: str | Path | None = None,
        *,
        namespace: str = "default",
        settings: Settings | None = None,
        store: Store | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.settings: Settings = Settings.load() if settings is None else settings
        check_settings(self.settings)
        check_namespace(namespace, self.settings.limits)
        self.namespace = namespace
        self._clock = clock
        self._store = store if store is not None else open_store(database, self.settings.storage)
        self._embedder = embedders.resolve(self.settings.embedder)
        self._index = _native.Index(self._embedder.name, self._embedder.dimension)
        hybrid = Hybrid(parts=self.settings.extractors)
        self._crediting = Crediting(settings=self.settings.credit, hybrid=hybrid, index=self._index)
        self._learner = Learner(
            hybrid=hybrid,
            weights=self.settings.reward,
            embedder=self._embedder,
            index=self._index,
        )
        self._standings = MaintenanceStates(self._store, self._index)
        self._maintainer = Maintainer(
            store=self._store,
            index=self._index,
            standings=self._standings,
            settings=self.settings.maintenance,
            clustering=self.settings.clustering,
            parts=self.settings.inducers,
        )
        self._contrasts = Contrasts(store=self._store, index=self._index, embedder=self._embedder)
        self._retriever = Retriever(
            settings=self.settings.recall,
            embedder=self._embedder,
            index=self._index,
            store=self._store,
            standing_of=self._standings.of,
            decay_half_life_days=self.settings.evidence.decay_half_life_days,
        )
        self._advisor = Advisor(
            store=self._store, index=self._index, min_episodes=self.settings.maintenance.min_episodes
        )
        self._open: dict[str, OpenEpisode] = {}
        self._catching_up = threading.Lock()

    # --- journey one: an episode is logged, and what it taught is durable ---

    def episode(self, task: str, **head: Any) -> Recorder:
        """A context manager that records one episode; takes what `start` takes.

        An exception inside fails the episode with its message and is raised again; leaving without a word closes it
        as abandoned.
        """
        from .recorder import Recorder

        asked = {name: head[name] for name in _ASKED if name in head}
        return Recorder(self, self.start(task, **head), task, asked)

    def start(
        self,
        task: str,
        *,
        context: TaskContext | None = None,
        domain: str | None = None,
        language: str | None = None,
        framework: str | None = None,
        complexity: Complexity | None = None,
        task_type: TaskType = "other",
        task_key: str | None = None,
        agent: str | None = None,
        source: str | None = None,
        external_id: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Json] | None = None,
        namespace: str | None = None,
    ) -> str:
        """Opens an episode and returns its id.

        `domain`, `language`, `framework` and `complexity` override those fields of `context`. An open episode lives
        in this process until it is completed. Raises `ValidationError` that names the field.
        """
        episode = Episode(
            task=task,
            namespace=self.namespace if namespace is None else namespace,
            context=_overridden(
                context, domain=domain, language=language, framework=framework, complexity=complexity
            ),
            task_type=task_type,
            task_key=task_key,
            agent=agent,
            source=source,
            external_id=external_id,
            tags=_as_tuple("tags", tags),
            metadata=_as_dict("metadata", metadata),
        )
        return self._start(episode)

    def _start(self, episode: Episode) -> str:
        episode = replace(
            episode,
            id=episode.id or _native.new_id(),
            started_at=episode.started_at or self._now(),
        )
        check_head(episode, self.settings.limits)
        self._open[episode.id] = OpenEpisode(episode, self.settings.limits)
        return episode.id

    def log(
        self,
        episode_id: str,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        output: Json | EllipsisType = ...,
        error: str | None = None,
        timed_out: bool = False,
        latency_ms: float | None = None,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
        truncate: str | None = None,
    ) -> int:
        """Appends a step to an open episode and returns its number, counted from 1.

        The step went well where `output` is given (None too), failed where `error` or `timed_out` is; with none of
        them it has no result. An output or error is at most 10,000 characters (a JSON value: bytes) unless
        `truncate="observation"` allows to cut a text. Raises `ValidationError` or `TooLargeError` that names the
        field; the episode is then as it was.
        """
        if truncate not in (None, "observation"):
            raise ValidationError("truncate", "None or 'observation'", repr(truncate))
        if tokens is not None:
            check_count("tokens", tokens, 0, _MOST_TOKENS)
        opened = self._opened(episode_id)
        number = opened.log(
            self._now(), tool, action, parameters, output, error, timed_out, latency_ms, tokens, metadata,
            truncate is not None,
        )  # fmt: skip
        if opened.lock.locked() or episode_id not in self._open:
            self._refuse_late(episode_id, opened, number)
        return number

    def _refuse_late(self, episode_id: str, opened: OpenEpisode, number: int) -> None:
        """A step that came while the episode was being completed counts where it was completed with it."""
        with opened.lock:
            if episode_id not in self._open and not opened.was_closed_with(number):
                raise EpisodeClosedError(episode_id)

    def complete(self, episode_id: str, outcome: Outcome) -> Learned:
        """Ends an episode, learns from it, and returns once everything is durable.

        Where it raises, the episode is still open, and nothing of it was stored unless the wait itself was cut short
        (an interrupt, `CommitUnknownError`). Repeating it with the same outcome is safe either way; of an episode
        that was stored, another outcome raises `EpisodeClosedError`. An abandoned episode is stored and not learned
        from. What was recalled for the episode is credited with its outcome, in the same transaction.
        """
        check_outcome(outcome, self.settings.limits)
        opened = self._open.get(episode_id)
        if opened is None:
            return self._completed_before(episode_id, outcome)
        with opened.lock:
            if episode_id not in self._open:
                return self._completed_before(episode_id, outcome)
            draft = opened.close(outcome, ended_at=max(self._now(), opened.started_at))
            try:
                learned = self._learn_and_commit(opened, draft)
            except ConflictError as error:
                if self._store.get("episode", draft.id) is None:
                    raise
                del self._open[episode_id]
                raise EpisodeClosedError(episode_id, "was stored before, as it stood then") from error
            del self._open[episode_id]
            return learned if learned.receipt.committed else self._completed_before(episode_id, outcome)

    def _learn_and_commit(self, opened: OpenEpisode, draft: ClosedEpisode) -> Learned:
        self._catch_up()
        taught = self._teach(draft, Staged())
        findings = taught.lesson.findings if taught.lesson else None
        notes = opened.notes(draft, lambda: self._crediting.notes(draft, opened.receipts, findings))
        return taught.learned(self._commit(taught.record, notes=notes))

    def _teach(self, draft: ClosedEpisode, staged: Staged) -> CommitItem:
        """What a draft teaches, against what is known and what will be committed with it."""
        if draft.outcome.kind == "abandoned":
            return CommitItem("abandoned", draft.id, draft.stored("abandoned"))
        lesson = self._learner.learn(draft, staged=staged.patterns[draft.head.namespace])
        return CommitItem("learned", draft.id, lesson.record, lesson)

    def _commit(self, *given: EpisodeRecord | None, notes: tuple[SideRecord, ...] = ()) -> Receipt:
        """Durable first, then the index: it takes the records as they are, unless others committed in between."""
        records = tuple(record for record in given if record is not None)
        receipt = self._store.commit(Batch(records, notes=notes))
        landed = len(records) + len(notes)
        before = receipt.sequence - landed
        with self._catching_up:
            if receipt.committed == landed and self._index.sequence == before:
                puts = [
                    Change(number, "put", record, record.id)
                    for number, record in enumerate(records, before + 1)
                ]
                written = enumerate(notes, before + 1 + len(records))
                told = [Change(number, "note", None, note.id, note) for number, note in written]
                self._index.apply([*puts, *told])
                return receipt
        self._catch_up()
        return receipt

    def _completed_before(self, episode_id: str, outcome: Outcome) -> Learned:
        stored = self.get(episode_id)
        if stored.outcome != outcome:
            kind = stored.outcome.kind if stored.outcome else "?"
            raise EpisodeClosedError(
                episode_id, f"was completed as {kind} before, with another outcome or verdict"
            )
        receipt = Receipt(self._index.sequence, 0, 1, str(self._store.stats().get("durable", "")))
        return Learned(episode_id, "unchanged", receipt, stored.reward, stored.reflection)

    def add(self, episode: Episode) -> Learned:
        """Takes a finished episode through the same steps, with the times it carries.

        One without times is dated now; how long it took is `metadata["duration_s"]` where that is a number of
        seconds, and unknown (`timed` is False) otherwise.

        An episode whose id or `external_id` is there already is left alone ("unchanged") where its content is the
        same, however it was recorded, and raises `ConflictError` where it is not. What was learned from it is not
        content, nor are its times where it comes without any.
        """
        return next(self._add_chunk([episode]))

    def add_many(self, episodes: Iterable[Episode]) -> Iterator[Learned]:
        """`add` for many, with one commit for every 64: the fast way in.

        Yields what each taught, in order. The episodes of a chunk are scored against what was known when the chunk
        began. Where a chunk cannot be committed it raises and nothing of that chunk was stored.
        """
        chunk: list[Episode] = []
        for episode in episodes:
            chunk.append(episode)
            if len(chunk) == _CHUNK:
                yield from self._add_chunk(chunk)
                chunk = []
        yield from self._add_chunk(chunk)

    def _add_chunk(self, episodes: Sequence[Episode]) -> Iterator[Learned]:
        self._catch_up()
        staged = Staged()
        taught = [self._teach_once(episode, staged) for episode in episodes]
        return iter(self._commit_chunk(taught)) if taught else iter(())

    def _teach_once(self, given: Episode, staged: Staged) -> CommitItem:
        """As `_teach`; one that the chunk holds already is only handed to the commit, which compares it."""
        draft = self._draft(given)
        before = staged.id_of(draft)
        if before is not None:
            return CommitItem("unchanged", before, draft.stored("abandoned"))
        stored = self._stored_id(draft)
        held = None if stored is None else self._store.get("episode", stored)
        if stored is None or held is None:
            staged.add(draft)
            return self._teach(draft, staged)
        dated = bool(given.started_at or given.ended_at)
        if content_of(_EPISODES.decode(held), dated=dated) != content_of(draft.episode, dated=dated):
            raise ConflictError(draft.head.external_id or draft.head.id, draft.head.namespace)
        return CommitItem("unchanged", stored, None)

    def _stored_id(self, draft: ClosedEpisode) -> bytes | None:
        """The id under which the same episode is stored, by its external id or its own."""
        if draft.head.external_id is not None:
            return self._id_under(draft.head.namespace, draft.head.external_id)
        return draft.id if self._store.get("episode", draft.id) is not None else None

    def _id_under(self, namespace: str, external_id: str) -> bytes | None:
        found = self._store.scan(
            "episode", limit=1, filters=Filters(namespace=namespace, external_id=external_id)
        )
        return found[0][0] if found else None

    def _commit_chunk(self, taught: Sequence[CommitItem]) -> list[Learned]:
        receipt = self._commit(*(each.record for each in taught))
        if receipt.committed < sum(each.state != "unchanged" for each in taught):
            taught = [self._as_stored(each) for each in taught]
        stored_before = sum(each.record is None for each in taught)
        receipt = replace(receipt, unchanged=receipt.unchanged + stored_before)
        return [each.learned(receipt) for each in taught]

    def _as_stored(self, taught: CommitItem) -> CommitItem:
        """Unchanged, where another process stored the same content under its own id in the meantime."""
        record = taught.record
        if record is None or record.external_id is None:
            return taught
        stored = self._id_under(record.namespace, record.external_id)
        return taught if stored in (None, taught.id) else CommitItem("unchanged", stored, record)

    def _draft(self, given: Episode) -> ClosedEpisode:
        """A finished episode as `log` and `complete` would have recorded it."""
        check_type("episode", given, Episode)
        check_outcome(given.outcome, self.settings.limits)
        episode = self._dated(given)
        check_head(episode, self.settings.limits)
        check_sequence("steps", episode.steps)
        recording = OpenEpisode(episode, self.settings.limits)
        for number, step in enumerate(episode.steps, 1):
            _add_step(recording, step, number)
        assert episode.outcome is not None
        assert episode.ended_at is not None
        content = msgspec.msgpack.encode(
            replace(given, id="", reward=None, reflection=None), order="deterministic"
        )
        return recording.close(episode.outcome, ended_at=episode.ended_at, digest=digest_of(content))

    def _dated(self, given: Episode) -> Episode:
        """With an id and times: a run without times ends now, and lasted what its metadata say of it."""
        id = given.id or _native.new_id()
        if given.started_at:
            if given.ended_at is not None and given.ended_at < given.started_at:
                raise ValidationError(
                    "ended_at", f"at or after started_at, {given.started_at}", str(given.ended_at)
                )
            return replace(given, id=id, ended_at=given.ended_at or given.started_at)
        ended_at = given.ended_at or self._now()
        seconds = _told_duration(given.metadata)
        started_at = ended_at - round((seconds or 0.0) * 1e6)
        return replace(given, id=id, started_at=started_at, ended_at=ended_at, timed=seconds is not None)

    def forget(self, episode_id: str) -> None:
        """Removes an episode and everything it taught, durably; an open one is dropped.

        Adding the same value again brings it back. Raises `UnknownEpisodeError`.
        """
        opened = self._open.get(episode_id)
        if opened is not None:
            with opened.lock:
                if self._open.pop(episode_id, None) is not None:
                    return
        id = as_bytes(episode_id)
        if self._store.version("episode", id) is None:
            raise UnknownEpisodeError(episode_id)
        receipts = tuple(revocation_records(self._store, receipts_of(self._store, id)))
        self._store.commit(Batch(removed=(id,), notes=receipts))
        self._catch_up()

    # --- journey two: a new task gets ranked, explained experience ---

    def recall(
        self,
        task: str,
        *,
        context: TaskContext | None = None,
        domain: str | None = None,
        language: str | None = None,
        framework: str | None = None,
        complexity: Complexity | None = None,
        steps: Sequence[Step | str] = (),
        limit: int = 5,
        namespace: str | None = None,
        episode_id: str | None = None,
    ) -> Recall:
        """What this memory has to say about a task: similar episodes with reasons, patterns, pitfalls, next steps.

        `steps` are those taken so far (steps, or the names of their tools). With the id of an open episode the answer
        is a receipt of it: its completion credits what was used. Otherwise nothing is ever written. Raises
        `ValidationError` for a `limit` outside 1..100 or a task that breaks its limits, and as `log` for the episode.
        """
        opened = None if episode_id is None else self._opened(episode_id)
        namespace = self.namespace if namespace is None else namespace
        asked = _overridden(
            context, domain=domain, language=language, framework=framework, complexity=complexity
        )
        check_head(Episode(task=task, namespace=namespace, context=asked), self.settings.limits)
        check_sequence("steps", steps)
        for step in steps:
            check_tool("steps", step.tool if isinstance(step, Step) else step)
        check_count("limit", limit, 1, 100)
        self._catch_up()
        answer = self._retriever.recall(
            task,
            context=asked,
            steps=steps,
            limit=limit,
            namespace=namespace,
            now=self._now(),
        )
        self._receipt(opened, answer, namespace)
        return answer

    def _receipt(self, opened: OpenEpisode | None, answer: Answer, namespace: str) -> None:
        """The answer is one of the episode's, until its completion says what of it was used."""
        if opened is not None:
            opened.receipts.append(RecallReceipt(answer, namespace, self._now(), len(opened)))

    def feedback(self, recall_id: str, *, helped: Mapping[str, bool]) -> None:
        """Says which of the memories that a recall showed helped (True) or misled (False), by their ids.

        It takes the place of what the episode's completion concluded, and of earlier feedback: only what is named is
        credited, and with nothing named nothing is. The recall belongs to an episode, open or ended, of this process
        or another. Raises `UnknownRecallError`, and `ValidationError` for a memory that the recall did not show.
        """
        id = recall_bytes(recall_id)
        if self._tell(id, helped):
            return
        self._store.commit(Batch(notes=(feedback_record(self._store, recall_id, helped),)))
        self._catch_up()

    def _tell(self, recall_id: bytes, helped: Mapping[str, bool]) -> bool:
        """Takes feedback down with its open episode; False where that has ended, if only while this waited for it."""
        for episode_id, opened in tuple(self._open.items()):
            if opened.was_given(recall_id):
                with opened.lock:
                    return episode_id in self._open and opened.tell(recall_id, helped)
        return False

    def usage(self, memory_id: str, *, namespace: str | None = None) -> Usage:
        """How often an episode, a pattern or a heuristic was recalled and used within episodes, and whether it helped.

        All zeros for what no recall showed. Raises `ValidationError` for what is no id.
        """
        namespace = self._within(namespace)
        self._catch_up()
        return self._crediting.usage(memory_id, namespace)

    def suggest(
        self,
        steps: Sequence[Step | str] = (),
        *,
        task: str | None = None,
        context: TaskContext | None = None,
        domain: str | None = None,
        language: str | None = None,
        framework: str | None = None,
        complexity: Complexity | None = None,
        agent: str | None = None,
        limit: int = 5,
        namespace: str | None = None,
        episode_id: str | None = None,
    ) -> Suggestion:
        """What to do next, after `steps` (steps with their parameters and results, or the names of their tools).

        Ranked tools, "<finish>" among them, each with its probability, the terms behind it, and its arguments as far
        as the task, the context and the steps so far decide them. Learned from successes; the first question of a
        namespace learns, later ones answer at once. With the id of an open episode the answer is a receipt of it, as
        that of `recall`. Raises `ValidationError` for a `limit` outside 1..100, or for a task or step that breaks its
        limits.
        """
        opened = None if episode_id is None else self._opened(episode_id)
        asked = self._question(
            task, context, steps, agent, namespace,
            domain=domain, language=language, framework=framework, complexity=complexity,
        )  # fmt: skip
        check_count("limit", limit, 1, 100)
        answer = self._advisor.suggest(asked, limit=limit)
        self._receipt(opened, answer, asked.namespace)
        return answer

    def recover(
        self,
        error: str,
        *,
        tool: str | None = None,
        steps: Sequence[Step | str] = (),
        context: TaskContext | None = None,
        domain: str | None = None,
        language: str | None = None,
        framework: str | None = None,
        complexity: Complexity | None = None,
        agent: str | None = None,
        limit: int = 5,
        namespace: str | None = None,
    ) -> Fixes:
        """Ways out of an error that `tool` just gave, the likeliest to work first.

        `steps` are those before it; `tool` may be left out where the last of them is the step that failed. Each way
        has the evidence of its recovery pattern. Raises `ValidationError` where no tool is named either way, or for
        a `limit` outside 1..100.
        """
        asked = self._question(
            None, context, steps, agent, namespace,
            domain=domain, language=language, framework=framework, complexity=complexity,
        )  # fmt: skip
        check_count("limit", limit, 1, 100)
        self._catch_up()
        return self._advisor.recover(failing_at(asked, error, tool), limit=limit)

    def predict(
        self,
        task: str,
        *,
        task_key: str | None = None,
        context: TaskContext | None = None,
        domain: str | None = None,
        language: str | None = None,
        framework: str | None = None,
        complexity: Complexity | None = None,
        agent: str | None = None,
        namespace: str | None = None,
    ) -> Prediction:
        """How a task will go: the odds of success, expected steps and reward, with intervals.

        A task is known where its `task_key` was seen before; of an unknown one the most similar tasks speak. Raises
        `ValidationError` for a task that breaks its limits.
        """
        asked = self._question(
            task, context, (), agent, namespace,
            domain=domain, language=language, framework=framework, complexity=complexity, task_key=task_key,
        )  # fmt: skip
        return self._advisor.predict(asked)

    def playbook(
        self,
        task: str,
        *,
        context: TaskContext | None = None,
        domain: str | None = None,
        language: str | None = None,
        framework: str | None = None,
        complexity: Complexity | None = None,
        agent: str | None = None,
        limit: int = 5,
        arguments: bool = True,
        namespace: str | None = None,
        episode_id: str | None = None,
    ) -> Playbook:
        """One plan for a task, merged from the successes of the tasks most like it, with odds, pitfalls and rules.

        `limit` is how many of the episodes behind it are named. Without `arguments` its steps are tools alone, which
        does not wait for any learning. With the id of an open episode the answer is a receipt of it, as that of
        `recall`. Raises `ValidationError` for a `limit` outside 1..100 or a task that breaks its limits.
        """
        opened = None if episode_id is None else self._opened(episode_id)
        asked = self._question(
            task, context, (), agent, namespace,
            domain=domain, language=language, framework=framework, complexity=complexity,
        )  # fmt: skip
        recalled = self.recall(task, context=asked.context, limit=limit, namespace=asked.namespace)
        answer = self._advisor.playbook(asked, recalled, limit=limit, arguments=arguments)
        self._receipt(opened, answer, asked.namespace)
        return answer

    def _question(
        self,
        task: str | None,
        context: TaskContext | None,
        steps: Sequence[Step | str],
        agent: str | None,
        namespace: str | None,
        *,
        task_key: str | None = None,
        **changes: Any,
    ) -> Episode:
        """What is asked about, as an episode that has not ended."""
        asked = Episode(
            task="?" if task is None else task,
            namespace=self.namespace if namespace is None else namespace,
            context=_overridden(context, **changes),
            agent=agent,
            task_key=task_key,
        )
        check_head(asked, self.settings.limits)
        check_sequence("steps", steps)
        return replace(asked, task=task or "", steps=tuple(_asked_step(step) for step in steps))

    # --- looking at what is there ---

    def get(self, episode_id: str) -> Episode:
        """The episode, as it stands where it is still open. Raises `UnknownEpisodeError`."""
        opened = self._open.get(episode_id)
        if opened is not None:
            return opened.snapshot()
        payload = self._store.get("episode", as_bytes(episode_id))
        if payload is None:
            raise UnknownEpisodeError(episode_id)
        return _EPISODES.decode(payload)

    def episodes(
        self,
        *,
        domain: str | None = None,
        agent: str | None = None,
        task_key: str | None = None,
        limit: int = 20,
        after: str | None = None,
        namespace: str | None = None,
    ) -> tuple[Episode, ...]:
        """One page of ended episodes, newest first; `after` is the id of the last one of the page before.

        Raises `ValidationError` for a `limit` outside 1..1,000,000 or a filter that is no name.
        """
        check_count("limit", limit, 1, _LONGEST_PAGE)
        namespace = self._within(namespace, domain=domain, agent=agent, task_key=task_key)
        rows = self._store.scan(
            "episode",
            after=None if after is None else as_bytes(after),
            limit=limit,
            newest_first=True,
            filters=Filters(namespace=namespace, domain=domain, agent=agent, task_key=task_key),
        )
        return tuple(_EPISODES.decode(payload) for _, payload in rows)

    def patterns(
        self,
        *,
        kind: PatternKind | str | None = None,
        domain: str | None = None,
        agent: str | None = None,
        complexity: Complexity | None = None,
        order: str = "confidence",
        min_trials: int = 1,
        limit: int = 20,
        namespace: str | None = None,
    ) -> tuple[Pattern, ...]:
        """Patterns with their evidence over the slice asked for; `order` is "confidence", "trials" or "recent".

        Each is compared with comparable episodes of the slice; its state is the one that `maintain` gave it in the
        whole namespace. Near-duplicates that were merged are represented by their survivor. Raises `ValidationError`
        for a `limit` outside 1..10,000, a negative `min_trials`, or a filter that is no name.
        """
        check_count("limit", limit, 1, 10_000)
        check_count("min_trials", min_trials, 0, _MOST_TRIALS)
        namespace = self._within(namespace, kind=kind, domain=domain, agent=agent)
        self._catch_up()
        return self._retriever.patterns(
            namespace=namespace,
            kind=kind,
            domain=domain,
            agent=agent,
            complexity=complexity,
            order=order,
            min_trials=min_trials,
            limit=limit,
            now=self._now(),
        )

    def clusters(
        self, *, domain: str | None = None, limit: int = 10, namespace: str | None = None
    ) -> tuple[Cluster, ...]:
        """Groups of successes that went about it alike, each with its typical plan, the largest first.

        Those that `maintain` stored where no episode came or went since, else computed now, as `settings.clustering`
        says; a group keeps the id it was stored under. Raises `ValidationError` for a `limit` outside 1..10,000.
        """
        check_count("limit", limit, 1, 10_000)
        namespace = self._within(namespace, domain=domain)
        self._catch_up()
        return self._maintainer.clusters(namespace, domain)[:limit]

    def heuristics(
        self,
        *,
        domain: str | None = None,
        agent: str | None = None,
        min_confidence: float = 0.0,
        limit: int = 20,
        namespace: str | None = None,
    ) -> tuple[Heuristic, ...]:
        """Rules (when this holds, do that) with their evidence, the surest first.

        Those that `maintain` stored where no episode came or went since, else induced now; of a domain or an agent
        always from their episodes alone. Weak and undecided ones are among them and say so. Raises `ValidationError`
        for a `limit` outside 1..10,000 or a `min_confidence` outside 0..1.
        """
        check_count("limit", limit, 1, 10_000)
        check_share("min_confidence", min_confidence)
        namespace = self._within(namespace, domain=domain, agent=agent)
        self._catch_up()
        found = self._maintainer.heuristics(namespace, domain, agent)
        return tuple(rule for rule in found if rule.confidence >= min_confidence)[:limit]

    def contrasts(
        self,
        task: str | None = None,
        *,
        domain: str | None = None,
        task_key: str | None = None,
        limit: int = 5,
        namespace: str | None = None,
    ) -> tuple[Contrast, ...]:
        """Pairs of a failure and a success of the same task, or else of the nearest one, with what was different.

        Of the failures nearest to `task`, or of the newest ones, perhaps of a domain or a task key. Raises
        `ValidationError` for a `limit` outside 1..1,000 or a filter that is no name.
        """
        check_count("limit", limit, 1, 1_000)
        namespace = self._within(namespace, domain=domain, task_key=task_key)
        self._catch_up()
        if task is None:
            return self._contrasts.newest(namespace, limit=limit, domain=domain, task_key=task_key)
        context = _overridden(None, domain=domain)
        check_head(Episode(task=task, namespace=namespace, context=context), self.settings.limits)
        return self._contrasts.near(namespace, task, limit=limit, context=context)

    # --- maintenance ---

    def maintain(self, *, dry_run: bool = False, namespace: str | None = None) -> Maintenance:
        """Merges near-duplicates, promotes what is proven, retires what is not seen any more, renews rules and groups.

        Everything lands in one commit and is there for every process and after a restart; doing it twice changes
        nothing more. A dry run writes nothing and says the same. `undo` takes back what was decided. Where another
        process maintains the same namespace at once, the last one's word stands. Raises `StorageError` where it could
        not be committed: nothing was changed then.
        """
        namespace = self._within(namespace)
        self._catch_up()
        report = self._maintainer.maintain(namespace, now=self._now(), dry_run=dry_run)
        self._catch_up()
        return report

    def undo(self, audit_id: str) -> Maintenance:
        """Takes back what one `maintain` (or `undo`) decided, as far as nothing else was decided of it since.

        Maintenance does not decide the same again: what was merged is kept apart, and what was promoted or retired
        keeps its state. Raises `ValidationError` for an id that is no audit entry's.
        """
        self._catch_up()
        report = self._maintainer.undo(audit_id, now=self._now())
        self._catch_up()
        return report

    def score(self, episode: Episode) -> float | None:
        """The episode's reward within 0..1; None without a reward.

        Its mid-rank percentile within namespace and domain once 20 episodes are there, total / (1 + total) before.
        """
        if episode.reward is None:
            return None
        self._catch_up()
        return self._index.percentile(episode.namespace, episode.context.domain, episode.reward.total)

    def stats(self) -> dict[str, Any]:
        """Counts of what is stored, held in the cache and indexed, by name."""
        self._catch_up()
        return {"open": len(self._open), **self._store.stats(), "index": self._index.stats()}

    def close(self) -> None:
        """Lets go of files and threads. Open episodes are not stored: complete them first. Closing twice is once."""
        self._store.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Memory({self._store!r}, namespace={self.namespace!r})"

    # --- what the verbs stand on ---

    def _opened(self, episode_id: str) -> OpenEpisode:
        opened = self._open.get(episode_id)
        if opened is None:
            if self._store.get("episode", as_bytes(episode_id)) is not None:
                raise EpisodeClosedError(episode_id)
            raise UnknownEpisodeError(episode_id)
        return opened

    def _within(self, namespace: str | None, **filters: str | None) -> str:
        """The namespace that is meant, once it and the filters are names."""
        for field, name in filters.items():
            check_name(field, name, self.settings.limits)
        if namespace is None:
            return self.namespace
        check_namespace(namespace, self.settings.limits)
        return namespace

    def _catch_up(self) -> None:
        """Makes the index know every commit there is, other processes' included."""
        catch_up(self._store, self._index, self._catching_up)

    def _now(self) -> int:
        return self._clock() // 1_000


def _add_step(recording: OpenEpisode, step: Step, number: int) -> None:
    """What is wrong with a step is said with its number."""
    try:
        check_type("step", step, Step)
        recording.add(step)
    except ValidationError as error:
        if error.field in ("steps", "episode"):
            raise
        raise type(error)(f"step {number}: {error.field}", error.limit, error.size) from None


def _asked_step(step: Step | str) -> Step:
    taken = Step(tool=step) if isinstance(step, str) else step
    check_type("steps", taken, Step)
    check_tool("steps", taken.tool)
    check_step(taken)
    for said in (taken.action, taken.error):
        if said is not None:
            check_type("steps", said, str)
    return taken


def _told_duration(metadata: Mapping[str, Json]) -> float | None:
    """The seconds that an imported run says it took; None where it does not, or nothing that makes sense."""
    told = metadata.get("duration_s") if isinstance(metadata, Mapping) else None
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return float(told) if 0.0 <= told <= _LONGEST_S else None


def _overridden(context: TaskContext | None, **changes: Any) -> TaskContext:
    given = {name: value for name, value in changes.items() if value is not None}
    if context is None:
        return TaskContext(**given)
    check_type("context", context, TaskContext)
    return replace(context, **given) if given else context


def _as_dict(field: str, values: Mapping[str, Json] | None) -> dict[str, Json]:
    if values is None:
        return {}
    check_type(field, values, Mapping)
    return dict(values)


def _as_tuple(field: str, values: Sequence[str]) -> tuple[str, ...]:
    check_tags(field, values)
    return tuple(values)
