"""The rooms behind one memory, each made when a verb first needs it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Generic, TypeVar

from ._native import Index, new_id
from .config import Settings
from .errors import UnavailableError
from .model.ids import as_bytes
from .observing import Observers
from .redaction import Redactor
from .storage import Store

if TYPE_CHECKING:
    from .answers.advisor import Advisor
    from .answers.choosing import Chooser
    from .answers.contrasts import Contrasts
    from .answers.retriever import Retriever
    from .credit.usage import Crediting
    from .embedding import Embedder
    from .extractors.hybrid import Hybrid
    from .intake.committer import Committer, QueueCommitter
    from .intake.endings import Endings
    from .intake.facts_version import FactsReader
    from .intake.intake import Intake
    from .intake.learner import Learner
    from .intake.open_episodes import OpenEpisodes
    from .intake.pending import CommitItems, EndedItems, PendingEpisodes
    from .intake.queue import ExtractionQueue
    from .intake.relearning import Relearner
    from .intake.snapshots import Snapshots
    from .intake.worker import ExtractionWorkers
    from .maintenance.maintainer import Maintainer
    from .maintenance.state import MaintenanceStates
    from .model.learned import Learned
    from .model.pattern import Pattern
    from .model.query import Query
    from .tools.toolmaker import Toolmaker

T = TypeVar("T")
_ALL: weakref.WeakSet[Rooms] = weakref.WeakSet()
_INHERITED: list[object] = []
"""Rooms of the parent of a forked process: their locks may be held for ever, so nobody uses or destroys them."""
_IN_MAKING = "the memory is being set up in the call that this one was made from"


class Room(Generic[T]):
    """A property that makes a room at its first use, once for all threads.

    A call from within the making of a room (a signal handler's, in the first moments of a memory) cannot wait for
    itself: it raises `UnavailableError` if it needs that room or one of its modules.
    """

    def __init__(self, make: Callable[[Rooms], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, rooms: Rooms, owner: type[Rooms]) -> T:
        with rooms.lock:
            if self._name not in rooms.__dict__:
                rooms.__dict__[self._name] = self._made(rooms)
        room: T = rooms.__dict__[self._name]
        return room

    def _made(self, rooms: Rooms) -> T:
        if self._name in rooms.in_making:
            raise UnavailableError(_IN_MAKING)
        rooms.in_making.append(self._name)
        try:
            return self._make(rooms)
        except ImportError as error:
            if "partially initialized module" not in str(error):
                raise
            raise UnavailableError(_IN_MAKING) from error
        finally:
            rooms.in_making.remove(self._name)


class Rooms:
    """Hands each room what it works with. A room's modules are imported when it is made."""

    def __init__(
        self,
        *,
        store: Store,
        settings: Settings,
        observers: Observers,
        redactor: Redactor,
        now: Callable[[], int],
    ) -> None:
        self.lock: threading.RLock = threading.RLock()
        self.in_making: list[str] = []
        self.is_closed: bool = False
        self.store = store
        self.settings = settings
        self.observers = observers
        self.redactor = redactor
        self.now = now
        _ALL.add(self)
        self._check_names()

    def renew(self) -> None:
        """Makes every room again at its next use: the child of a fork begins with rooms of its own."""
        self.lock = threading.RLock()
        self.in_making = []
        for name in [name for name, room in vars(Rooms).items() if isinstance(room, Room)]:
            _INHERITED.append(self.__dict__.pop(name, None))

    def is_made(self, name: str) -> bool:
        """Returns True for a room that a verb has needed already."""
        return name in self.__dict__

    def close(self) -> None:
        """Stores the open episodes. Those rooms are not made for it: a memory that only answered never needed them."""
        with self.lock:
            self.is_closed = True
            is_made = self.is_made("opened")
        if is_made:
            self.opened.close()

    def _check_names(self) -> None:
        """Raises `UnknownNameError` for a part of the settings that no registry knows."""
        if self.settings.extractors != Settings().extractors:
            _ = self.hybrid
        if self.settings.embedder != Settings().embedder:
            _ = self.embedder
        if self.settings.inducers != Settings().inducers:
            _ = self.maintainer

    @Room
    def embedder(self) -> Embedder:
        """Makes the vectors of tasks."""
        from .embedding import embedders

        return embedders.resolve(self.settings.embedder)

    @Room
    def index(self) -> Index:
        """Everything that answers are made from, in memory."""
        from .intake.snapshots import load_snapshot

        index = Index(self.embedder.name, self.embedder.dimension)
        load_snapshot(self.store, index)
        return index

    @Room
    def hybrid(self) -> Hybrid:
        """Runs the chosen extractors."""
        from .extractors.hybrid import Hybrid

        return Hybrid(parts=self.settings.extractors)

    @Room
    def reader(self) -> FactsReader:
        """Gives the index the facts of one version."""
        from .intake.facts_version import FactsReader

        return FactsReader(self.store, self.index, self.hybrid)

    @Room
    def snapshots(self) -> Snapshots:
        """Writes snapshots of the index."""
        from .intake.snapshots import Snapshots

        return Snapshots(self.store, self.reader)

    @Room
    def committer(self) -> Committer:
        """Commits, and keeps the index up with the store."""
        from .intake.committer import Committer

        return Committer(self.store, self.reader, on_commit=self.observers.note_receipt)

    @Room
    def opened(self) -> OpenEpisodes:
        """The open episodes of this process."""
        from .intake.open_episodes import OpenEpisodes

        opened = OpenEpisodes(
            self.store,
            self.settings.limits,
            redactor=self.redactor,
            settings=self.settings.recording,
            now=self.now,
        )
        if self.is_closed:
            opened.close()
        return opened

    @Room
    def endings(self) -> Endings:
        """Endings of open episodes."""
        from .intake.endings import Endings

        return Endings(self.opened, self.store, self.settings.recording, self.now)

    @Room
    def crediting(self) -> Crediting:
        """Credits recalled memories with the outcome of their episode."""
        from .credit.usage import Crediting

        return Crediting(
            settings=self.settings.credit, hybrid=self.hybrid, index=self.index, store=self.store
        )

    @Room
    def learner(self) -> Learner:
        """Extracts, scores and reflects."""
        from .intake.learner import Learner

        return Learner(
            hybrid=self.hybrid,
            weights=self.settings.reward,
            embedder=self.embedder,
            index=self.index,
            read_version=self.reader.read_version,
        )

    @Room
    def items(self) -> CommitItems:
        """Makes the items of commits."""
        from .intake.pending import CommitItems

        return CommitItems(self.learner, self.redactor, self.crediting, self.store)

    @Room
    def queue(self) -> ExtractionQueue:
        """Takes in the episodes that are learned from in the background."""
        from .intake.claims import Claims
        from .intake.queue import ExtractionQueue

        return ExtractionQueue(
            store=self.store,
            settings=self.settings.learning,
            claims=Claims(self.store, self.settings.learning, owner=as_bytes(new_id())),
            items=lambda: self.items,
            committer=lambda: self.committer,
            observers=self.observers,
            now=self.now,
        )

    @Room
    def workers(self) -> ExtractionWorkers:
        """Threads that learn in the background."""
        from .intake.worker import ExtractionWorkers

        return ExtractionWorkers(self.queue, self.settings.learning.workers)

    @Room
    def pending(self) -> PendingEpisodes:
        """Learns from episodes that a part failed to learn from."""
        from .intake.pending import PendingEpisodes

        return PendingEpisodes(
            store=self.store, items=self.items, commit=self.committer.commit_batch, now=self.now
        )

    @Room
    def intake(self) -> Intake:
        """Completes, adds and forgets episodes."""
        from .intake.committer import QueueCommitter
        from .intake.intake import no_queue
        from .intake.pending import QueuedItems

        if self.settings.learning.mode == "caller":
            return self._intake(self.committer, self.items, no_queue)
        committer = QueueCommitter(self.store, on_commit=self.observers.note_receipt)
        return self._intake(committer, QueuedItems(self.store, self.now), self.queue.room)

    def _intake(
        self,
        committer: Committer | QueueCommitter,
        items: EndedItems,
        room: Callable[[int], AbstractContextManager[list[Learned]]],
    ) -> Intake:
        from .intake.intake import Intake

        return Intake(
            store=self.store,
            committer=committer,
            items=items,
            room=room,
            crediting=self.crediting,
            opened=self.opened,
            endings=self.endings,
            limits=self.settings.limits,
            redactor=self.redactor,
            now=self.now,
        )

    @Room
    def relearner(self) -> Relearner:
        """Learns again from episodes whose facts an earlier version made."""
        from .intake.relearning import Relearner

        return Relearner(
            store=self.store,
            hybrid=self.hybrid,
            embedder=self.embedder,
            items=self.items,
            commit=self.committer.commit_batch,
        )

    @Room
    def states(self) -> MaintenanceStates:
        """The decisions of maintenance, by namespace."""
        from .maintenance.state import MaintenanceStates

        return MaintenanceStates(self.store, self.index)

    @Room
    def maintainer(self) -> Maintainer:
        """Merges, promotes, retires; induces heuristics and clusters."""
        from .maintenance.maintainer import Maintainer

        return Maintainer(
            store=self.store,
            index=self.index,
            states=self.states,
            settings=self.settings.maintenance,
            clustering=self.settings.clustering,
            parts=self.settings.inducers,
            on_commit=self.observers.note_receipt,
            catch_up=self.committer.catch_up,
        )

    @Room
    def contrasts(self) -> Contrasts:
        """Finds failures beside successes."""
        from .answers.contrasts import Contrasts

        return Contrasts(store=self.store, index=self.index, embedder=self.embedder)

    @Room
    def retriever(self) -> Retriever:
        """Answers recalls."""
        from .answers.retriever import Retriever

        return Retriever(
            settings=self.settings.recall,
            embedder=self.embedder,
            index=self.index,
            store=self.store,
            state_of=self.states.of,
            decay_half_life_days=self.settings.evidence.decay_half_life_days,
            read_version=self.reader.read_version,
        )

    @Room
    def advisor(self) -> Advisor:
        """Suggests, recovers, predicts, plans."""
        from .answers.advisor import Advisor

        def knows_like(asked: Query, now: int) -> bool:
            self.committer.catch_up()
            return self.retriever.knows_like(asked, now)

        return Advisor(
            store=self.store,
            index=self.index,
            state_of=self.states.of,
            min_episodes=self.settings.maintenance.min_episodes,
            training=self.settings.advice.training,
            knows_like=knows_like,
            half_life_s=self.settings.evidence.decay_half_life_days * 86_400.0 or None,
            read_version=self.reader.read_version,
        )

    @Room
    def toolmaker(self) -> Toolmaker:
        """Generates tools from proven patterns."""
        from .tools.toolmaker import Toolmaker

        def patterns(namespace: str, kind: str, ids: Collection[bytes]) -> tuple[Pattern, ...]:
            return self.retriever.chosen_patterns(namespace, kind, ids, self.now())

        return Toolmaker(
            store=self.store,
            index=self.index,
            embedder=self.embedder,
            state_of=self.states.of,
            patterns=patterns,
        )

    @Room
    def chooser(self) -> Chooser:
        """Ranks given actions."""
        from .answers.choosing import Chooser

        return Chooser(self.advisor)


def _renew_all() -> None:
    for rooms in list(_ALL):
        rooms.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
