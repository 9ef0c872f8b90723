"""Group commits: callers that arrive while a commit is under way share the next one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from ...errors import CommitUnknownError, StorageError, TacitError, UnavailableError, VersionConflictError
from ...model.record import Receipt
from .calls import Caller
from .commits import BatchPlan, GroupScript, Moved, add_look, read_look
from .connections import Deadline
from .hrana import Script, StepResults
from .own_changes import OwnChanges

GROUPS_IN_FLIGHT = 2
"""With one, callers that were just answered would always miss the group that leaves meanwhile."""
GROUP_OPERATIONS = 512
GROUP_BYTES = 4 << 20
_LOOKS = 8
"""How often a batch looks again because somebody else wrote its episodes in between."""


class _Request:
    """A batch and the place for its outcome."""

    def __init__(self, plan: BatchPlan) -> None:
        self.plan = plan
        self.is_sent = False
        self.outcome: Receipt | BaseException | None = None


class Committer:
    """Commits batches of many threads; a thread that finds a group free to leave sends it for the others."""

    def __init__(self, caller: Caller, own: OwnChanges) -> None:
        self._caller = caller
        self._own = own
        self._condition = threading.Condition()
        self._queue: deque[_Request] = deque()
        self._in_flight = 0
        self._is_closed = False

    def commit(self, plan: BatchPlan) -> Receipt:
        """Commits a batch, alone or with others. Ends with the deadline of a call."""
        request = _Request(plan)
        deadline = self._caller.deadline()
        with self._condition:
            if self._is_closed:
                raise StorageError("the store is closed")
            self._queue.append(request)
        while request.outcome is None:
            group = self._next_group(request, deadline)
            if group:
                self._send(group, deadline)
        if isinstance(request.outcome, BaseException):
            raise request.outcome
        return request.outcome

    def _next_group(self, request: _Request, deadline: Deadline) -> list[_Request]:
        """Waits for the outcome of a request, or for the right to send the next group, which it returns."""

        def may_go_on() -> bool:
            return request.outcome is not None or (not request.is_sent and self._in_flight < GROUPS_IN_FLIGHT)

        with self._condition:
            try:
                is_over = not self._condition.wait_for(may_go_on, deadline.remaining())
            except BaseException:
                self._withdraw(request)  # an interrupt: what was not sent never will be
                raise
            if request.outcome is not None:
                return []
            if is_over:
                request.outcome = self._too_late(request, deadline)
                return []
            self._in_flight += 1
            return self._taken()

    def _withdraw(self, request: _Request) -> None:
        if not request.is_sent:
            self._queue.remove(request)

    def _too_late(self, request: _Request, deadline: Deadline) -> TacitError:
        if request.is_sent:
            return CommitUnknownError(
                "the commit may or may not have taken place; repeating it is safe: "
                f"no answer came within the deadline of {deadline.seconds:g} s"
            )
        self._withdraw(request)
        return UnavailableError(f"the commit was not sent within the deadline of {deadline.seconds:g} s")

    def _taken(self) -> list[_Request]:
        group: list[_Request] = []
        operations = size = 0
        while self._queue:
            plan = self._queue[0].plan
            operations, size = operations + plan.operations, size + plan.bytes
            if group and (operations > GROUP_OPERATIONS or size > GROUP_BYTES):
                break
            group.append(self._queue.popleft())
            group[-1].is_sent = True
        return group

    def _send(self, group: list[_Request], deadline: Deadline) -> None:
        outcomes: Sequence[Receipt | BaseException]
        try:
            outcomes = self._commit_group([request.plan for request in group], deadline)
        except TacitError as failure:
            outcomes = [failure] * len(group)
        except BaseException as interrupt:
            unknown = CommitUnknownError(
                "the thread that sent the commit was interrupted; repeating it is safe"
            )
            self._settle(group, [unknown] * len(group))
            raise interrupt
        self._settle(group, outcomes)

    def _settle(self, group: list[_Request], outcomes: Sequence[Receipt | BaseException]) -> None:
        with self._condition:
            self._in_flight -= 1
            for request, outcome in zip(group, outcomes, strict=True):
                request.outcome = outcome
            self._condition.notify_all()

    def _commit_group(self, plans: list[BatchPlan], deadline: Deadline) -> list[Receipt | TacitError]:
        """Commits the batches; those whose episodes moved meanwhile look again and are committed once more."""
        outcomes: dict[int, Receipt | TacitError] = {}
        left = list(enumerate(plans))
        for _ in range(_LOOKS):
            self._look([plan for _, plan in left], deadline)
            group = GroupScript([plan for _, plan in left])
            settled = self._caller.call(group.script, group.outcomes, writes=True, deadline=deadline)
            self._own.note(group.before, [plan.batch for _, plan in left], settled)
            for (number, _), outcome in zip(left, settled, strict=True):
                if not isinstance(outcome, Moved):
                    outcomes[number] = outcome
            left = [each for each in left if each[0] not in outcomes]
            if not left:
                break
        for number, plan in left:
            outcomes[number] = _moved_too_often(plan)
        return [outcomes[number] for number in range(len(plans))]

    def _look(self, plans: list[BatchPlan], deadline: Deadline) -> None:
        """Reads the stored episodes that the batches remove or change, all in one round trip."""
        looking = [plan for plan in plans if plan.needs_look]
        if not looking:
            return
        script = Script()
        steps = [add_look(script, plan) for plan in looking]

        def read(results: StepResults) -> None:
            for plan, step in zip(looking, steps, strict=True):
                read_look(results, step, plan)

        self._caller.call(script, read, deadline=deadline)

    def queued(self) -> int:
        """Returns the number of batches that wait to be sent."""
        with self._condition:
            return len(self._queue)

    def close(self) -> None:
        """Refuses later batches; those that were handed over are committed by the threads that wait for them."""
        with self._condition:
            self._is_closed = True
            self._condition.wait_for(
                lambda: not self._queue and not self._in_flight, self._caller.deadline().seconds
            )


def _moved_too_often(plan: BatchPlan) -> TacitError:
    ids = [*plan.batch.removed, *(each.id for each in plan.batch.states)]
    known = plan.stored.get(ids[0])
    return VersionConflictError("episode", ids[0].hex(), None if known is None else known.sequence, 0)
