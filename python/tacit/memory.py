"""The memory: an agent's verbs, each read from top to bottom; the rooms below carry them out."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

import msgspec

from ._native import new_id
from .config import Settings, check_settings
from .errors import StorageError, TacitError, ValidationError
from .intake.heads import episode_of
from .model.checks import (
    check_call_id,
    check_count,
    check_name,
    check_namespace,
    check_share,
    check_task,
    check_truncate,
)
from .model.context import TaskContext
from .model.episode import Episode, Json, Outcome, Step
from .model.ids import as_bytes
from .model.query import EPISODE_HEAD, Asking, EpisodeHead, Query, check_keywords
from .model.record import Batch, Filters
from .observing import Observer, Observers, observed
from .redaction import Redactor, open_redactor
from .registry import Part
from .rooms import Rooms
from .storage import Store, open_store, require_writable

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from .intake.open_episode import OpenEpisode
    from .judging import Judge
    from .model.advice import Fixes, Playbook, Prediction, Suggestion
    from .model.choice import Action, Choice
    from .model.context import Complexity
    from .model.learned import DeadLetter, Learned
    from .model.maintenance import Maintenance, Relearning
    from .model.pattern import Cluster, Contrast, Heuristic, Pattern, PatternKind
    from .model.recall import Recall
    from .model.transfer import Export, Retention
    from .model.usage import Usage
    from .recorder import Recorder
    from .tools.generated import GeneratedTool

RELEARN_PENDING = "relearn_pending"
"""The code in `degraded` of an answer that was made from facts of an earlier version."""
AnswerT = TypeVar("AnswerT", bound="Recall | Suggestion | Choice | Playbook")
MarkedT = TypeVar("MarkedT", bound="Recall | Suggestion | Choice | Fixes | Prediction | Playbook")
_LONGEST_PAGE = 1_000_000
_MOST_TRIALS = 2**32 - 1


class Memory:
    """An experience memory: episodes go in, ranked and explained experience comes out.

    `Memory("agent.db")` keeps a local file and creates it if it is missing; `Memory()` keeps everything in RAM, and
    `Memory("libsql://host", auth_token=...)` on a server; the token may also be the variable `TACIT_AUTH_TOKEN`. One
    memory may be used from many threads, one file by many processes. `namespace` separates tenants: data and ids of
    one are unknown in another. Close it, or use it as a context manager.

    With `read_only` (or `settings.storage.read_only`) nothing is written, and every verb that would raises
    `ReadOnlyError`: the file may lie in a folder or on a mount that takes no writes.

    `redactor` replaces secrets before anything is stored: by default as `settings.redactor` says, `None` means none.
    `observers` hear what the memory does. `learning` overrides `settings.learning.mode`: with "background" the verbs
    that end episodes return once the episode is stored, and threads learn from it (docs/guides/background-learning.md).
    `to_json` is asked first for each logged value that is no JSON value; it returns one, or `NotImplemented`.

    Raises `ValidationError` for settings that make no sense, `SchemaError` for a file that is not tacit's, newer than
    this version or an incomplete copy, `ReadOnlyError` for a place that takes no writes, and `StorageError` if the
    file cannot be opened.

    Example:
        >>> from tacit import Memory, Outcome
        >>> memory = Memory()
        >>> episode_id = memory.start("Cancel order 17", domain="retail")
        >>> memory.log(episode_id, "cancel_order", parameters={"order_id": 17}, output={"status": "cancelled"})
        1
        >>> memory.complete(episode_id, Outcome.success()).state
        'learned'
        >>> memory.recall("Cancel order 18", domain="retail").hits[0].tools
        ('cancel_order',)
    """

    def __init__(
        self,
        database: str | Path | None = None,
        *,
        namespace: str = "default",
        read_only: bool = False,
        settings: Settings | None = None,
        store: Store | None = None,
        redactor: Part[Redactor] | Sequence[Part[Redactor]] | EllipsisType | None = ...,
        observers: Iterable[Part[Observer]] = (),
        clock: Callable[[], int] = time.time_ns,
        to_json: Callable[[object], object] | None = None,
        auth_token: str | None = None,
        learning: Literal["caller", "background"] | None = None,
    ) -> None:
        self.settings: Settings = Settings.load() if settings is None else settings
        if learning is not None:
            chosen = replace(self.settings.learning, mode=learning)
            self.settings = replace(self.settings, learning=chosen)
        check_settings(self.settings)
        check_namespace(namespace, self.settings.limits)
        self.namespace = namespace
        self._clock = clock
        self._to_json = to_json
        self.is_view = False
        if read_only:
            self.settings = replace(self.settings, storage=replace(self.settings.storage, read_only=True))
        self._store = (
            open_store(database, self.settings.storage, auth_token=auth_token) if store is None else store
        )
        self._observers = Observers(observers)
        redacting = self.settings.redactor if isinstance(redactor, EllipsisType) else redactor
        self._rooms = Rooms(
            store=self._store,
            settings=self.settings,
            observers=self._observers,
            redactor=open_redactor(redacting, getattr(self._store, "path", None)),
            now=self._now,
        )
        if self._has_workers:
            self._rooms.workers.start()

    def within(self, namespace: str) -> Memory:
        """This memory for another tenant: a view whose verbs all mean `namespace`.

        It shares files, index and open episodes with this memory; closing the view leaves them open.
        """
        check_namespace(namespace, self.settings.limits)
        view = copy.copy(self)
        view.namespace, view.is_view = namespace, True
        return view

    # --- journey one: an episode is logged, and its lessons are durable ---

    def episode(
        self,
        task: str,
        *,
        strict: bool = False,
        judge: Judge | None = None,
        replace: bool = False,
        **head: Unpack[EpisodeHead],
    ) -> Recorder:
        """A context manager that records one episode; takes the keywords of `start`.

        An exception inside fails the episode with its message and passes; an interrupt or a cancellation abandons it.
        A block that ends without a verdict ends as `judge` decides of the closed episode (`tacit.judging` has some),
        else its outcome is unknown. The recorder never raises into the agent:
        values it cannot hold are converted, cut or dropped, and `problems` says so; with `strict=True` it raises as
        the plain verbs. `replace` as of `complete`.
        """
        from .recorder import Recorder

        check_keywords("episode", head, EPISODE_HEAD, ("task", "strict", "judge", "replace"))
        return Recorder(self, task, head, strict=strict, judge=judge, replace=replace)

    @observed
    def start(self, task: str, **head: Unpack[EpisodeHead]) -> str:
        """Opens an episode and returns its id.

        Keywords: `context`, `domain`, `language`, `framework`, `complexity`, `agent`, `namespace`, `task_type`,
        `task_key`, `tags`, `metadata`, `source`, `external_id`. `domain`, `language`, `framework` and `complexity`
        override those fields of `context`. The steps of an open episode are stored in batches (`settings.recording`),
        at `flush` and at `close`; other processes see them, and `resume` takes over what was left open. Raises
        `ValidationError` that names the field, and `TooLargeError` beyond `Limits.open_episodes`.
        """
        require_writable(self._store)
        episode = episode_of(
            task, head, namespace=self.namespace, now=self._now(), limits=self.settings.limits
        )
        return self._rooms.opened.start(episode, self.namespace)

    def log(
        self,
        episode_id: str,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        output: Json | EllipsisType = ...,
        error: str | BaseException | None = None,
        timed_out: bool = False,
        latency_ms: float | None = None,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
        state: Json = None,
        truncate: Literal["observation"] | None = None,
        namespace: str | None = None,
        strict: bool = True,
    ) -> int:
        """Appends a step to an open episode and returns its number, counted from 1.

        The step went well if `output` is given (`None` too), failed if `error` or `timed_out` is, and has no result
        without them. `state` is the agent's view of its situation, a text or a mapping.

        Values that are no JSON values are converted (a dataclass to an object, a `datetime` to ISO text...), and the
        step's `altered` says so. If something would be lost (a text beyond 10,000 characters, a JSON value beyond
        10,000 bytes, NaN, an object that has only a `repr`), `ValidationError` or `TooLargeError` names the field and
        the episode stays as it was; with `strict=False` the step is recorded all the same, cut or without the value,
        and 0 is returned if the episode has no room for it. `truncate="observation"` allows to cut a long text.

        The episode may be open in another process: the step is appended to it, and the number counts the steps of this
        process. Raises `UnknownEpisodeError`, and `EpisodeClosedError` for an episode that has ended.
        """
        if truncate is not None:
            check_truncate(truncate)
        opens = self._rooms.opened
        # As `_append`, without a call in between: this is the hot path of recording.
        try:
            opened, number, is_late = opens.append(
                episode_id,
                self.namespace if namespace is None else namespace,
                (
                    self._clock() // 1_000, tool, action, parameters, output, error, timed_out, latency_ms,
                    tokens, metadata, truncate is not None, state,
                ),
                strict,
                self._to_json,
            )  # fmt: skip
        except TacitError as refusal:
            self._observers.refused("log", self.namespace, refusal)
            raise
        if is_late and strict:
            opens.refuse_late(opened, number)
        if number >= opened.land_at:
            opens.flush_full(opened)
        return number

    def _append(
        self,
        episode_id: str,
        step: tuple[object, ...],
        truncate: str | None,
        state: Json,
        strict: bool,
        namespace: str | None = None,
    ) -> tuple[OpenEpisode, int, bool]:
        """Appends a step without waiting for a lock; see `OpenEpisodes.append`."""
        if truncate is not None:
            check_truncate(truncate)
        try:
            return self._rooms.opened.append(
                episode_id,
                self.namespace if namespace is None else namespace,
                (self._now(), *step, truncate is not None, state),
                strict,
                self._to_json,
            )
        except TacitError as refusal:
            self._observers.refused("log", self.namespace, refusal)
            raise

    @observed
    def begin(
        self,
        episode_id: str,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        call_id: str | None = None,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
        state: Json = None,
        namespace: str | None = None,
    ) -> str:
        """Notes that a call begins, and returns its call id: `end` brings the result.

        Calls that are in flight at the same time share a `batch` and have no order. A call that is still in flight
        when the episode ends is a step without a result. Raises `ValidationError` for a call id in flight already.
        """
        from .intake.step_fields import StepFields

        require_writable(self._store)
        call_id = new_id() if call_id is None else check_call_id(call_id)
        fields = StepFields(
            self._now(), tool, action, parameters, tokens=tokens, metadata=metadata, state=state
        )
        self._rooms.opened.begin(episode_id, self._within(namespace), fields, call_id, self._to_json)
        return call_id

    @observed
    def end(
        self,
        episode_id: str,
        *,
        call_id: str,
        output: Json | EllipsisType = ...,
        error: str | BaseException | None = None,
        timed_out: bool = False,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
        namespace: str | None = None,
        strict: bool = True,
    ) -> int:
        """Brings the result of a call that `begin` noted, and returns its step's number; its latency is measured.

        Another process may have begun the call. 0 means that this one did not: the result is joined with its beginning,
        which may come later, and the first result holds. Values are converted as by `log`.
        """
        result = (output, error, timed_out, tokens, metadata)
        opened, number, is_late = self._end(episode_id, call_id, result, namespace, strict)
        if is_late and strict:
            self._rooms.opened.refuse_late(opened, number)
        return number

    def _end(
        self, episode_id: str, call_id: str, given: tuple[Any, ...], namespace: str | None, strict: bool
    ) -> tuple[OpenEpisode, int, bool]:
        """Brings a result without waiting for a lock; see `OpenEpisodes.end`."""
        from .intake.calls import CallResult

        result = CallResult(self._now(), *given)
        return self._rooms.opened.end(
            episode_id, self._within(namespace), check_call_id(call_id), result, strict, self._to_json
        )

    @observed
    def complete(
        self,
        episode_id: str,
        outcome: Outcome | None = None,
        *,
        replace: bool = False,
        namespace: str | None = None,
    ) -> Learned:
        """Ends an episode, learns from it, and returns once everything is durable.

        Without an outcome it ends as `judge` said, or else unknown: it is recalled, and teaches what its own steps
        show. An ended episode is left as it is then. The episode may be open in another process: it ends with the
        stored steps of every process.

        If it raises, the episode is still open and nothing of it was stored, unless the wait itself was cut short
        (an interrupt, `CommitUnknownError`). Repeating it with the same outcome is safe either way; a stored episode
        refuses another outcome with `EpisodeClosedError`. If a part fails (an extractor, an embedder), the episode is
        stored as "pending": `problems` names the failure, and `maintain` learns from it later. With background learning
        every episode is, and `QueueFullError` refuses it if too many wait for too long. An abandoned episode
        is stored and not learned from.
        Memories that were recalled for the episode are credited with its outcome in the same transaction.

        The same run under its `external_id` is unchanged, and another one raises `ConflictError`. With `replace` this
        one takes the place of the stored run, evidence included, and its id, which `Learned.episode_id` names; the
        stored verdict stays unless this run has one. An abandoned run replaces nothing.
        """
        require_writable(self._store)
        return self._rooms.intake.complete(episode_id, outcome, self._within(namespace), replaces=replace)

    @observed
    def _complete(self, episode_id: str, outcome: Outcome, *, replaces: bool, only_open: bool) -> Learned:
        """As `complete`; with `only_open` an ended episode stays as it is: a block ended without a verdict."""
        intake, namespace = self._rooms.intake, self.namespace
        return intake.complete(episode_id, outcome, namespace, replaces=replaces, only_open=only_open)

    @observed
    def resume(
        self, episode_id: str, *, force: bool = False, strict: bool = False, namespace: str | None = None
    ) -> Recorder:
        """Takes over an open episode whose process died or closed its memory, and records on behind its stored steps.

        The other process renews its lease while it lives, so `LeaseHeldError` is raised until the lease runs out
        (`settings.recording.lease_seconds`); `force=True` does not wait. If the earlier owner comes back, its next
        batch and its completion are refused with `LeaseLostError`. Stored answers and calls in flight are taken over.
        An abandoned episode is opened again. Raises `UnknownEpisodeError`, and `EpisodeClosedError` for an episode
        that has ended otherwise.
        """
        from .recorder import Recorder

        require_writable(self._store)
        namespace = self._within(namespace)
        opened = self._rooms.opened.resume(episode_id, namespace, force=force)
        return Recorder.of(self.within(namespace), opened.snapshot(), strict=strict)

    @observed
    def flush(self) -> None:
        """Stores every step of the open episodes of this process, of every namespace.

        Steps are stored by count and by age anyway (`settings.recording`). Raises `StorageError`; the steps are kept
        then.
        """
        require_writable(self._store)
        self._rooms.opened.flush()

    @observed
    def judge(
        self, episode_id: str, outcome: Outcome, *, by: str = "user", namespace: str | None = None
    ) -> Learned:
        """Gives an episode its verdict, at any time and from any process; `by` names the source.

        The newest verdict holds, and `Outcome.unknown()` withdraws it. Facts, sums, odds, credit and reward follow in
        the same commit; the reward is computed from the medians and the novelty of the first ending, and no other
        episode's reward changes. Promotions, merges and models follow at the next `maintain`. An abandoned episode is
        learned from at its first verdict.

        The verdict of an open episode, of any process, decides its ending, unless that brings an outcome of its own;
        the state of the answer is "open" then. Raises `UnknownEpisodeError`, and `ValidationError` for an abandoned
        outcome.

        Example:
            >>> from tacit import Memory, Outcome
            >>> memory = Memory()
            >>> id = memory.start("Cancel order 17")
            >>> memory.complete(id).reward is None
            True
            >>> memory.judge(id, Outcome.success("refunded"), by="tests").state
            'learned'
            >>> memory.get(id).judged_by
            'tests'
        """
        require_writable(self._store)
        return self._rooms.intake.judge(episode_id, outcome, self._within(namespace), by)

    @observed
    def add(self, episode: Episode, *, replace: bool = False) -> Learned:
        """Records a finished episode, keeping its timestamps.

        Times are microseconds since 1970 or aware `datetime` values, from the year 2000 to a day from now.
        An episode without times is dated now; its duration is `metadata["duration_s"]` if that is a number of
        seconds, and unknown (`timed` is False) otherwise. The namespace "default" means the memory's own.

        An episode that is stored already, by its id or `external_id`, is left alone ("unchanged") if its content is
        the same, whenever it was recorded and however it was judged. Other content raises `ConflictError`; with
        `replace` it takes the place of the stored run with its `external_id`, evidence included. The stored verdict
        stays unless the new run has one.
        """
        require_writable(self._store)
        return next(self._rooms.intake.add_many([episode], self.namespace, replaces=replace))

    @observed
    def add_many(self, episodes: Iterable[Episode], *, replace: bool = False) -> Iterator[Learned]:
        """Records many finished episodes with one commit for every 64: the fast way in.

        Yields one `Learned` an episode, in order. A chunk is scored against the knowledge from before it. If a chunk
        cannot be committed it raises and nothing of that chunk was stored.
        """
        require_writable(self._store)
        learned = self._rooms.intake.add_many(episodes, self.namespace, replaces=replace)
        return self._rooms.snapshots.saved_after(learned)

    @observed
    def forget(self, episode_id: str, *, namespace: str | None = None) -> None:
        """Removes an episode and everything it taught, durably; drops an open one. The snapshot of the index goes too.

        Adding the same value again brings it back; an import does not, if the episode had an external id
        (`was_forgotten`). Raises `UnknownEpisodeError`.
        """
        require_writable(self._store)
        self._rooms.intake.forget(episode_id, self._within(namespace))

    def was_forgotten(self, external_id: str, *, namespace: str | None = None) -> bool:
        """True if an episode with this external id was forgotten, whether or not it was added again.

        Example:
            >>> from tacit import Episode, Memory
            >>> memory = Memory()
            >>> memory.forget(memory.add(Episode("Cancel order 17", external_id="run 1")).episode_id)
            >>> memory.was_forgotten("run 1"), memory.was_forgotten("run 2")
            (True, False)
        """
        from .intake.forgotten import is_forgotten

        check_name("external_id", external_id, self.settings.limits)
        return is_forgotten(self._store, self._within(namespace), external_id)

    # --- journey two: a new task gets ranked, explained experience ---

    @observed
    def recall(
        self,
        task: str,
        *,
        steps: Sequence[Step | str] = (),
        limit: int = 5,
        episode_id: str | None = None,
        **asking: Unpack[Asking],
    ) -> Recall:
        """Experience for a task: similar episodes with reasons, patterns, heuristics, pitfalls, next steps.

        Keywords: `context`, `domain`, `language`, `framework`, `complexity`, `agent`, `namespace`. `steps` are those
        taken so far (steps, or the names of their tools). With the id of an open episode the answer is a receipt of
        it: its completion credits the memories that were used. Otherwise nothing is written. Raises `ValidationError`
        for a `limit` outside 1..100 or a task that breaks its limits, and as `log` for the episode.
        """
        opened, query = self._asked("recall", task, asking, steps=steps, limit=limit, episode_id=episode_id)
        self._rooms.committer.catch_up()
        answer = self._rooms.retriever.recall(query, limit=limit, now=self._now())
        return self._kept(answer, opened, query)

    @observed
    def suggest(
        self,
        steps: Sequence[Step | str] = (),
        *,
        task: str | None = None,
        state: Json = None,
        limit: int = 5,
        episode_id: str | None = None,
        **asking: Unpack[Asking],
    ) -> Suggestion:
        """Ranked next steps after `steps` (steps with parameters and results, or the names of their tools).

        Keywords as `recall`. `state` is what the agent sees now: a text or a mapping. Each tool, "<finish>" among
        them, has its probability, the reasons for it, and the arguments that the task, the context and the steps so
        far decide. The text actions of the nearest situations are proposed too, with the values
        of this one. Learned from successes; models are fitted as `settings.advice.training` says, and `degraded` has
        "models_pending" while counts or the last models answer. With the id of an open episode the answer is a receipt
        of it. Raises `ValidationError` for a `limit` outside 1..100, or for a task,
        step or state that breaks its limits.
        """
        opened, query = self._asked(
            "suggest", task, asking, steps=steps, state=state, limit=limit, episode_id=episode_id
        )
        return self._kept(self._rooms.advisor.suggest(query, limit=limit, now=self._now()), opened, query)

    @observed
    def choose(
        self,
        actions: Sequence[Action],
        *,
        steps: Sequence[Step | str] = (),
        task: str | None = None,
        state: Json = None,
        limit: int = 10,
        episode_id: str | None = None,
        **asking: Unpack[Asking],
    ) -> Choice:
        """Ranks the actions that are possible now by what was done in the recorded situations most like this one.

        Keywords as `recall`. An action is a text, or a mapping with "tool" and "parameters". `steps` are those taken
        so far, and `state` is what the agent sees now: a text or a mapping. An action that failed or changed nothing
        in this very state comes last. No actions give an empty choice. Models are fitted as for `suggest`. With the id
        of an open episode the answer is a receipt of it. Raises `ValidationError` for a `limit` outside 1..100, for an
        action that is neither, or for a task, step or state that breaks its limits.
        """
        opened, query = self._asked(
            "choose", task, asking, steps=steps, state=state, limit=limit, episode_id=episode_id
        )
        return self._kept(self._rooms.chooser.choose(query, actions, limit=limit), opened, query)

    @observed
    def recover(
        self,
        error: str,
        *,
        tool: str | None = None,
        steps: Sequence[Step | str] = (),
        limit: int = 5,
        **asking: Unpack[Asking],
    ) -> Fixes:
        """Ranked fixes for an error that `tool` just gave, the likeliest to work first.

        Keywords as `recall`. `steps` are those before it; `tool` may be left out if the last of them is the step that
        failed. Each fix has the evidence of its recovery pattern. Raises `ValidationError` if no tool is named either
        way, or for a `limit` outside 1..100.
        """
        from .answers.question import failing_at

        _, query = self._asked("recover", None, asking, steps=steps, limit=limit)
        self._rooms.committer.catch_up()
        answer = self._rooms.advisor.recover(*failing_at(query, error, tool), limit=limit)
        return self._marked(answer)

    @observed
    def predict(self, task: str, *, task_key: str | None = None, **asking: Unpack[Asking]) -> Prediction:
        """The odds of success of a task, its expected steps and reward, with intervals.

        Keywords as `recall`. A task is known by its `task_key`; an unknown one is judged by the most similar tasks.
        Raises `ValidationError` for a task that breaks its limits.
        """
        _, query = self._asked("predict", task, asking, task_key=task_key)
        return self._marked(self._rooms.advisor.predict(query, now=self._now()))

    @observed
    def playbook(
        self,
        task: str,
        *,
        limit: int = 5,
        arguments: bool = True,
        episode_id: str | None = None,
        **asking: Unpack[Asking],
    ) -> Playbook:
        """One plan for a task, merged from the successes of the tasks most like it, with odds, pitfalls, heuristics.

        Keywords as `recall`. `limit` is the number of episodes behind it that are named. Without `arguments` its steps
        are tools alone, and no model of arguments has to be fitted. With the id of an open episode the answer is a
        receipt of it. Raises `ValidationError` for a `limit` outside 1..100 or a task that breaks its limits.
        """
        opened, query = self._asked("playbook", task, asking, limit=limit, episode_id=episode_id)
        recalled = self.recall(task, context=query.context, limit=limit, namespace=query.namespace)
        answer = self._rooms.advisor.playbook(
            query, recalled, limit=limit, arguments=arguments, now=self._now()
        )
        return self._kept(answer, opened, query)

    @observed
    def feedback(self, recall_id: str, *, helped: Mapping[str, bool], namespace: str | None = None) -> None:
        """Names the memories of an answer that helped (True) or misled (False), by their ids.

        It replaces the credit that the episode's completion gave, and earlier feedback: only named memories are
        credited, and an empty mapping credits none. The answer belongs to an episode, open or ended, of this process
        or another. Raises `UnknownRecallError`, and `ValidationError` for a memory that the answer did not show.
        """
        from .credit.receipts import feedback_record, recall_bytes

        require_writable(self._store)
        namespace, id = self._within(namespace), recall_bytes(recall_id)
        if not self._rooms.opened.take_feedback(id, helped, namespace):
            record = feedback_record(self._store, recall_id, helped, namespace)
            self._rooms.committer.commit_batch(Batch(side_records=(record,)))

    def usage(self, memory_id: str, *, namespace: str | None = None) -> Usage:
        """How often an episode, a pattern or a heuristic was recalled and used within episodes, and whether it helped.

        All zeros if no answer showed it. Raises `ValidationError` for a text that is no id, and
        `UnknownEpisodeError` for an episode of another namespace.
        """
        namespace = self._within(namespace)
        self._rooms.committer.catch_up()
        return self._rooms.crediting.usage(memory_id, namespace)

    # --- looking at the contents ---

    def get(self, episode_id: str, *, namespace: str | None = None) -> Episode:
        """The episode; an open one as it stands, of another process as it is stored. Raises `UnknownEpisodeError`."""
        namespace, opened = self._within(namespace), self._rooms.opened
        own = opened.find(episode_id, namespace)
        if own is not None and (episode := opened.view(own)) is not None:
            return episode
        return opened.read(episode_id, namespace) or self._rooms.intake.stored(episode_id, namespace)

    def find(self, external_id: str, *, namespace: str | None = None) -> Episode | None:
        """The ended episode with an external id; `None` if there is none.

        Example:
            >>> from tacit import Episode, Memory
            >>> memory = Memory()
            >>> _ = memory.add(Episode("Cancel order 17", external_id="run 1"))
            >>> memory.find("run 1").task
            'Cancel order 17'
        """
        check_name("external_id", external_id, self.settings.limits)
        return self._rooms.intake.find(external_id, self._within(namespace))

    def open_episodes(self, *, limit: int = 20, namespace: str | None = None) -> tuple[Episode, ...]:
        """The newest open episodes of every process: those of others with the steps that are stored.

        Raises `ValidationError` for a `limit` outside 1..1,000,000.
        """
        check_count("limit", limit, 1, _LONGEST_PAGE)
        return self._rooms.opened.page(self._within(namespace), limit)

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
        """One page of ended episodes, newest first; `after` is the id of the last one on the page before.

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
        decoder = msgspec.msgpack.Decoder(Episode)
        return tuple(decoder.decode(payload) for _, payload in rows)

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
        """Patterns with their evidence in a slice; `order` is "confidence", "trials" or "recent".

        Each is compared with comparable episodes of the slice; `maintain` gave it its state in the whole namespace.
        Merged near-duplicates are represented by their survivor. Raises `ValidationError` for a `limit` outside
        1..10,000, a negative `min_trials`, or a filter that is no name.
        """
        check_count("limit", limit, 1, 10_000)
        check_count("min_trials", min_trials, 0, _MOST_TRIALS)
        namespace = self._within(namespace, kind=kind, domain=domain, agent=agent)
        self._rooms.committer.catch_up()
        return self._rooms.retriever.patterns(
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
        """Clusters of successes with similar plans, each with its typical plan, the largest first.

        The ones that `maintain` stored, or computed now by `settings.clustering` if episodes came or went since; a
        cluster keeps its stored id. Raises `ValidationError` for a `limit` outside 1..10,000.
        """
        check_count("limit", limit, 1, 10_000)
        namespace = self._within(namespace, domain=domain)
        self._rooms.committer.catch_up()
        return self._rooms.maintainer.clusters(namespace, domain)[:limit]

    def heuristics(
        self,
        *,
        domain: str | None = None,
        agent: str | None = None,
        min_confidence: float = 0.0,
        limit: int = 20,
        namespace: str | None = None,
    ) -> tuple[Heuristic, ...]:
        """Heuristics (when this holds, do that) with their evidence, the surest first.

        The ones that `maintain` stored, or induced now if episodes came or went since; with a domain or an agent
        always from its episodes alone. Those with little support and undecided ones are included and marked. Raises
        `ValidationError` for a `limit` outside 1..10,000 or a `min_confidence` outside 0..1.
        """
        check_count("limit", limit, 1, 10_000)
        check_share("min_confidence", min_confidence)
        namespace = self._within(namespace, domain=domain, agent=agent)
        self._rooms.committer.catch_up()
        found = self._rooms.maintainer.heuristics(namespace, domain, agent)
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
        """Pairs of a failure and a success of the same task, or else of the nearest one, with their differences.

        The failures are those nearest to `task`; `None` means the newest ones. Raises `ValidationError` for a `limit`
        outside 1..1,000 or a filter that is no name.
        """
        check_count("limit", limit, 1, 1_000)
        namespace = self._within(namespace, domain=domain, task_key=task_key)
        self._rooms.committer.catch_up()
        if task is None:
            return self._rooms.contrasts.newest(namespace, limit=limit, domain=domain, task_key=task_key)
        check_task(task, self.settings.limits)
        return self._rooms.contrasts.near(namespace, task, limit=limit, domain=domain)

    def tools(
        self,
        task: str | None = None,
        *,
        domain: str | None = None,
        withdrawn: bool = False,
        limit: int = 20,
        namespace: str | None = None,
    ) -> tuple[GeneratedTool, ...]:
        """Tools made from proven tool sequences and approaches: schemas, argument sources, a plan, evidence.

        With a `task` the ones that successes of similar tasks used, the most used first; a task that is like no known
        one gets none. Without one the ones with the surest odds first. `maintain` proves patterns: before it there are
        no tools. They are derived from the newest 1,000 episodes. A tool is withdrawn if its pattern is no longer
        proven, or if its newest runs fail: with `withdrawn` such tools are listed too, each with its reason, and `task`
        must not be given. Raises `ValidationError` for a `limit` outside 1..1,000 or a task that breaks its limits.

        Example:
            >>> from tacit import Memory
            >>> Memory().tools("Cancel order 17")
            ()
        """
        check_count("limit", limit, 1, 1_000)
        namespace = self._within(namespace, domain=domain)
        if task is None:
            self._rooms.committer.catch_up()
            found = self._rooms.toolmaker.tools(namespace, domain)
            return tuple(tool for tool in found if withdrawn or tool.state == "proven")[:limit]
        if withdrawn:
            raise ValidationError("withdrawn", "false where a task is given", repr(withdrawn))
        check_task(task, self.settings.limits)
        self._rooms.committer.catch_up()
        context = TaskContext() if domain is None else TaskContext(domain=domain)
        query = Query(task=task, namespace=namespace, context=context)
        if not self._rooms.retriever.knows_like(query, self._now()):
            return ()
        return self._rooms.toolmaker.ranked(namespace, task, domain)[:limit]

    # --- maintenance ---

    @observed
    def maintain(self, *, dry_run: bool = False, namespace: str | None = None) -> Maintenance:
        """Merges near-duplicates, promotes proven patterns, retires unseen ones, renews heuristics and clusters.

        Everything lands in one commit, for every process and after a restart; a second run changes nothing more. A dry
        run writes nothing and reports the same. `undo` takes decisions back. Age is counted from this memory's clock.
        A store that an earlier version learned from is relearned first, and pending episodes are learned from: those
        that fail again stay pending, and if a few in a row fail alike the rest is not tried (`given_up`). Open
        episodes whose lease has run out and whose newest step is old (`settings.recording.abandon_after_hours`) end
        first: as `judge` said, else abandoned. If another process maintains the same namespace at once, the last one's
        decisions stand. The models of advice that are due are fitted in this call, if this memory was asked for advice
        or `settings.advice.training` is "maintain". It ends with a snapshot of the index, for processes that open the
        file later. Raises `StorageError` if the commit failed: no decision was changed then.
        """
        namespace = self._within(namespace)
        if not dry_run:
            require_writable(self._store)
        self._rooms.committer.catch_up()
        if self._rooms.reader.is_behind and not dry_run:
            self.relearn()
        abandoned = self._rooms.intake.abandon_stale(namespace, dry_run=dry_run)
        learned, pending, given_up = self._learn_pending(namespace, dry_run)
        report = self._rooms.maintainer.maintain(namespace, now=self._now(), dry_run=dry_run)
        if not dry_run:
            self._fit_models(namespace)
            self._store.compact()
        self._rooms.committer.catch_up()
        if not dry_run:
            self._rooms.snapshots.save()
        unchanged = report.unchanged and not learned and not abandoned
        return replace(
            report,
            learned=learned,
            pending=pending,
            given_up=given_up,
            abandoned=abandoned,
            unchanged=unchanged,
        )

    def relearn(self, *, progress: Callable[[Relearning], None] | None = None) -> Relearning:
        """Learns again from the episodes whose facts an earlier version made, in every namespace.

        `progress` is called after each commit of up to 64 episodes. Recording and answers go on: they read the
        earlier version until the last episode is relearned, and the new one from then on. A call that was cut short
        is continued by the next one. `maintain` calls it if it is due; until then answers are degraded by
        `relearn_pending`. Rewards, reflections and ids stay.

        If an extractor fails, the episode is pending (`Relearning.pending`) and the others go on; if the embedder
        fails, the episode keeps its vector. `Relearning.problems` says so. After three failures of one kind in a row
        the rest keeps its earlier facts, and the embedder is not called again.
        """
        require_writable(self._store)
        self._rooms.committer.catch_up()
        report = self._rooms.relearner.relearn(progress or (lambda _: None))
        self._rooms.committer.catch_up()
        self._rooms.snapshots.save()
        return report

    @observed
    def undo(self, audit_id: str, *, namespace: str | None = None) -> Maintenance:
        """Takes back the decisions of one `maintain` (or `undo`) that later runs did not change.

        Maintenance does not decide the same again: patterns that were merged are kept apart, and patterns that were
        promoted or retired keep their state. Raises `UnknownMaintenanceError` for an id of no run in the namespace.
        """
        require_writable(self._store)
        namespace = self._within(namespace)
        self._rooms.committer.catch_up()
        report = self._rooms.maintainer.undo(audit_id, namespace, now=self._now())
        self._rooms.committer.catch_up()
        return report

    @observed
    def retain(
        self,
        *,
        older_than: timedelta | None = None,
        max_episodes: int | None = None,
        max_bytes: int | None = None,
        tag: str | None = None,
        dry_run: bool = False,
        namespace: str | None = None,
    ) -> Retention:
        """Forgets old episodes with everything they taught, and gives their space back to the disk.

        An episode goes if it ended longer than `older_than` ago, if `max_episodes` newer ones are kept, or if it does
        not fit into `max_bytes` (of records) beside the newer ones. With a `tag` only episodes that carry it are
        counted and go; without another limit all of them do. Newer means a later id, the order of `episodes`.

        A dry run removes nothing and reports the same. Episodes go 64 in one commit: a call that was cut short is
        continued by the next one. Then the file is rewritten; writers of other processes wait meanwhile. Raises
        `ValidationError` for a limit that makes no sense, or without any.

        Example:
            >>> from datetime import timedelta
            >>> from tacit import Memory, Outcome
            >>> memory = Memory()
            >>> _ = memory.complete(memory.start("Cancel order 17"), Outcome.success())
            >>> memory.retain(older_than=timedelta(days=90), dry_run=True).removed
            ()
        """
        from .intake.retention import RetentionLimits, retain_episodes

        limits = RetentionLimits(older_than, max_episodes, max_bytes, tag)
        limits.check()
        commit, namespace = self._rooms.committer.commit_batch, self._within(namespace)
        return retain_episodes(
            self._store, namespace, limits, commit=commit, now=self._now(), dry_run=dry_run
        )

    def export(
        self, path: str | Path, *, since: datetime | int | None = None, namespace: str | None = None
    ) -> Export:
        """Writes the ended episodes of a namespace to a new file, one JSON line each; `tacit import` reads it.

        A name that ends with `.gz` or `.zst` packs it, and "-" is standard output. Importing it into an empty memory
        gives the same episodes: ids, times, steps, outcomes and verdicts; what they taught is learned again. `since`
        keeps those that ended then or later, an aware `datetime` or microseconds since 1970. The memory may be used
        meanwhile. The file is readable by its owner alone, and it takes its name once it is complete.

        Raises `ValidationError` for a file that exists, and `StorageError` if it cannot be written.
        """
        from .intake.exporting import export_episodes
        from .intake.values import given_time

        at = None if since is None else given_time("since", since, self._now())
        return export_episodes(self._store, str(path), self._within(namespace), since=at)

    # --- learning in the background ---

    def drain(self, timeout: float | None = 60.0) -> int:
        """Waits until every pending episode is learned from, of every namespace; returns how many still wait.

        The workers of this memory learn, and those of other processes. Episodes whose next attempt is due later are
        waited for; dead letters are not. `None` waits without a limit.

        Example:
            >>> from tacit import Memory, Outcome
            >>> with Memory(learning="background") as memory:
            ...     learned = memory.complete(memory.start("Cancel order 17"), Outcome.success())
            ...     (learned.state, memory.drain(), memory.get(learned.episode_id).reward is not None)
            ('pending', 0, True)
        """
        idle = self._rooms.workers.is_idle if self._has_workers else lambda: True
        return self._rooms.queue.wait_for_none(idle, timeout, for_due=True)

    def dead_letters(self, *, limit: int = 20, namespace: str | None = None) -> tuple[DeadLetter, ...]:
        """The pending episodes that workers gave up, after `settings.learning.max_attempts` failed attempts.

        `replay` hands them to the workers again, and `maintain` tries each once. Raises `ValidationError` for a `limit`
        outside 1..1,000,000.
        """
        check_count("limit", limit, 1, _LONGEST_PAGE)
        return tuple(islice(self._rooms.queue.dead_letters(self._within(namespace)), limit))

    def replay(self, episode_id: str | None = None, *, namespace: str | None = None) -> int:
        """Hands a dead letter, or all of the namespace, to the workers again; returns how many.

        Their attempts are counted from 0. Raises `UnknownEpisodeError` for an id that is no dead letter.
        """
        return self._rooms.queue.replay(episode_id, self._within(namespace))

    def score(self, episode: Episode) -> float | None:
        """The episode's reward within 0..1; `None` means that it has no reward.

        The mid-rank percentile within namespace and domain from 20 episodes on, total / (1 + total) before.
        """
        if episode.reward is None:
            return None
        self._rooms.committer.catch_up()
        return self._rooms.index.percentile(episode.namespace, episode.context.domain, episode.reward.total)

    def stats(self) -> dict[str, Any]:
        """Counts of the store, its cache and the index, by name.

        `pending` counts the episodes that wait to be learned from, of every namespace, and `pending_reasons` says why.
        `last_learned` is when the newest episode that was learned from was stored, in microseconds since 1970.
        `advice` says where the models of advice are fitted, how many fits there were and how many wait, and which ones
        raised what; it is empty until advice is asked for. `learning` has the figures of the queue: how many episodes
        this process enqueued, learned from in the background, failed on and tried again; how many dead letters there
        are, and for how many seconds the oldest queued episode has waited (`lag_s`).
        `snapshot` says up to which change the snapshot of the index reaches, up to which one this memory `used` it, and
        the `problem` with it.
        """
        from .intake.namespaces import last_learned
        from .intake.pending import pending_figures

        self._rooms.committer.catch_up()
        return {
            "last_learned": last_learned(self._store),
            "open": self._rooms.opened.recorded,
            **self._store.stats(),
            "pending_reasons": dict(pending_figures(self._store).reasons),
            "learning": self._rooms.queue.stats(),
            "late_catch_ups": self._rooms.committer.late_catch_ups,
            "index": self._rooms.index.stats(),
            "snapshot": self._rooms.snapshots.stats(),
            "observer_failures": self._observers.failures,
            "advice": self._rooms.advisor.trainer.stats() if self._rooms.is_made("advisor") else {},
        }

    def namespaces(self) -> dict[str, tuple[int, int]]:
        """Each namespace that has ended episodes: how many, and when the newest was stored (microseconds since 1970).

        Example:
            >>> from tacit import Episode, Memory
            >>> memory = Memory(namespace="shop")
            >>> _ = memory.add(Episode("Cancel order 17"))
            >>> {name: count for name, (count, _) in memory.namespaces().items()}
            {'shop': 1}
        """
        from .intake.namespaces import namespace_counts

        return namespace_counts(self._store)

    def close(self) -> None:
        """Closes files and stops threads; does nothing for a view that `within` made, or a second time.

        Open episodes are stored as they stand, and `resume` opens them again, in this process or another. The index is
        saved for the next process once a sixteenth of its episodes changed. Raises `StorageError` that names the
        episodes whose verdict was given and that the store still refuses, or else if open episodes could not be stored.

        Workers get `settings.learning.drain_seconds` for the episodes that wait to be learned from; the others stay
        pending in the store, for the next memory or `tacit worker`.
        """
        if self.is_view:
            return
        if self._rooms.is_made("advisor"):
            self._rooms.advisor.trainer.close()
        if self._rooms.is_made("queue"):
            self._rooms.queue.takes_all = True
        refused = self._rooms.intake.retry_unstored() if self._rooms.is_made("intake") else {}
        try:
            self._rooms.close()
            if self._rooms.is_made("index"):
                self._rooms.snapshots.save_if_due()
        except StorageError:
            if not refused:
                raise
        finally:
            self._stop_workers()
            self._store.close()
        if refused:
            noun = "episode" if len(refused) == 1 else "episodes"
            message = f"{len(refused)} ended {noun} could not be stored: {', '.join(refused)}"
            raise StorageError(message) from next(iter(refused.values()))

    @property
    def _has_workers(self) -> bool:
        """True if threads of this memory learn in the background."""
        learning = self.settings.learning
        return learning.mode == "background" and learning.workers > 0

    def _stop_workers(self) -> None:
        """Lets the workers finish within their time, then stops them."""
        if not self._rooms.is_made("workers"):
            return
        workers, timeout = self._rooms.workers, self.settings.learning.drain_seconds
        try:
            if not workers.is_stopping:
                self._rooms.queue.wait_for_none(workers.is_idle, timeout, for_due=False)
        except StorageError:
            pass  # the pending episodes are in the store
        finally:
            workers.stop()

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StorageError as failure:
            if error is None:
                raise
            error.add_note(f"tacit: {failure}")

    def __repr__(self) -> str:
        return f"Memory({self._store!r}, namespace={self.namespace!r})"

    # --- below the verbs ---

    def _asked(
        self,
        verb: str,
        task: str | None,
        asking: Asking,
        *,
        steps: Sequence[Step | str] = (),
        state: Json = None,
        limit: int = 1,
        task_key: str | None = None,
        episode_id: str | None = None,
    ) -> tuple[OpenEpisode | None, Query]:
        """The query of a verb, and the open episode that will keep the answer."""
        from .answers.question import query_of

        query = query_of(
            verb,
            task,
            asking,
            namespace=self.namespace,
            limits=self.settings.limits,
            steps=steps,
            state=state,
            task_key=task_key,
        )
        check_count("limit", limit, 1, 100)
        if episode_id is None:
            return None, query
        return self._rooms.opened.require(episode_id, self.namespace, query.namespace), query

    def _kept(self, answer: AnswerT, opened: OpenEpisode | None, query: Query) -> AnswerT:
        """The answer; an open episode keeps it until its completion says which memories were used."""
        answer = self._marked(answer)
        if opened is not None:
            from .credit.shown_answer import RecallReceipt, shown_answer

            shown, known = shown_answer(answer), opened.landed.known
            opened.keep_answer(RecallReceipt(shown, query.namespace, self._now(), len(opened), known=known))
        return answer

    def _marked(self, answer: MarkedT) -> MarkedT:
        """The answer, degraded if rows could not be read or its facts were made by an earlier version."""
        damaged = self._store.damaged_count()
        is_behind = self._rooms.reader.is_behind
        if not damaged and not is_behind:
            return answer
        codes = [f"damaged:{damaged}"] * bool(damaged) + [RELEARN_PENDING] * is_behind
        return replace(answer, degraded=tuple(dict.fromkeys((*answer.degraded, *codes))))

    def _within(self, namespace: str | None, **filters: str | None) -> str:
        """The namespace that a verb means, checked like the names among its filters."""
        for field, name in filters.items():
            check_name(field, name, self.settings.limits)
        if namespace is None:
            return self.namespace
        check_namespace(namespace, self.settings.limits)
        return namespace

    def _fit_models(self, namespace: str) -> None:
        """Fits the models of advice, if this memory was asked for any or fits them nowhere else."""
        if self._rooms.is_made("advisor") or self.settings.advice.training == "maintain":
            self._rooms.advisor.train(namespace)

    def _learn_pending(self, namespace: str, dry_run: bool) -> tuple[int, int, str | None]:
        """Learns from pending episodes; see `PendingEpisodes.learn`."""
        if not self._store.pending(1):
            return 0, 0, None
        pending = self._rooms.pending
        return (0, pending.count(namespace), None) if dry_run else pending.learn(namespace)

    def _now(self) -> int:
        return self._clock() // 1_000
