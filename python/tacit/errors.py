"""Every exception tacit raises on purpose.

    TacitError
    ├── EpisodeError              the caller's order of calls is wrong
    │   ├── UnknownEpisodeError   no episode has that id
    │   ├── EpisodeClosedError    the episode was completed already, with another outcome
    │   ├── LeaseHeldError        another process records the episode: wait, or resume it with force
    │   └── LeaseLostError        another process took the open episode over, ended it or forgot it
    ├── UnknownRecallError        no recall of an episode has that id
    ├── UnknownNameError          a name that no registry knows
    ├── ValidationError           a field, its rule and the given value (also a ValueError)
    │   ├── TooLargeError         the value is larger than its limit
    │   └── UnknownMaintenanceError   no maintenance run has that id
    ├── ConflictError             the same external id, another content
    ├── LeakError                 an evaluated memory knows the answer to its question
    └── StorageError
        ├── CommitUnknownError    the link died during COMMIT: repeating the commit is safe
        ├── CorruptRecordError    the bytes are not those that were written: retrying cannot help
        ├── FileChangedError      the open file was removed, replaced or overwritten: open the memory again
        ├── ReadOnlyError         the memory, its file or its folder takes no writes
        ├── ResyncRequiredError   the changes that are asked for were pruned: read the log from its start
        ├── SchemaError           the file was written by a newer tacit, or is not tacit's
        ├── UnavailableError      retry later: breaker open, queue full, disk full, link down
        │   └── QueueFullError        as many episodes wait to be learned from as may
        └── VersionConflictError  a precondition of a commit does not hold: read again, then retry

`error.retryable` says whether the same call may succeed later without anyone changing anything.
"""

from __future__ import annotations

TYPE_CHECKING = (
    False  # `typing` takes longer to load than all of this, and a hook loads it at every failed call
)


def is_failure(error: BaseException) -> bool:
    """Returns True for a failure of a part: an `Exception`, or a panic in Rust, which PyO3 raises beside it.

    An interrupt, an exit and a cancellation are no failures.

    Example:
        >>> from tacit.errors import is_failure
        >>> is_failure(ValueError()), is_failure(KeyboardInterrupt())
        (True, False)
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


class TacitError(Exception):
    """The root of everything tacit raises on purpose.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> try:
        ...     memory.get("no id")
        ... except tacit.TacitError as error:
        ...     print(error)
        no episode 'no id'
    """

    retryable: bool = False


class EpisodeError(TacitError):
    """The order of calls on an episode is wrong.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> try:
        ...     memory.get("no id")
        ... except tacit.EpisodeError as error:
        ...     print(error)
        no episode 'no id'
    """


class UnknownEpisodeError(EpisodeError, KeyError):
    """No episode has this id.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> try:
        ...     memory.forget("no id")
        ... except tacit.UnknownEpisodeError as error:
        ...     print(error)
        no episode 'no id'
    """

    def __init__(self, episode_id: str) -> None:
        super().__init__(episode_id)
        self.episode_id = episode_id

    def __str__(self) -> str:
        return f"no episode {self.episode_id!r}"


class EpisodeClosedError(EpisodeError):
    """The episode has ended: it takes no more steps and no other outcome.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> episode_id = memory.start("Cancel order 17")
        >>> _ = memory.complete(episode_id, tacit.Outcome.success())
        >>> try:
        ...     memory.log(episode_id, "cancel_order")
        ... except tacit.EpisodeClosedError:
        ...     print("the episode has ended")
        the episode has ended
    """

    def __init__(self, episode_id: str, message: str = "is closed") -> None:
        super().__init__(episode_id, message)
        self.episode_id = episode_id
        self.message = message

    def __str__(self) -> str:
        return f"episode {self.episode_id!r} {self.message}"


class LeaseHeldError(EpisodeError):
    """Another process records the episode, and its lease has not run out; `until` is microseconds since 1970, UTC.

    Example:
        >>> import tacit
        >>> from tacit.storage import InMemoryStore
        >>> store = InMemoryStore()
        >>> owner, other = tacit.Memory(store=store), tacit.Memory(store=store)
        >>> episode_id = owner.start("Cancel order 17")
        >>> owner.flush()
        >>> try:
        ...     other.resume(episode_id)
        ... except tacit.LeaseHeldError:
        ...     print("it is being recorded")
        it is being recorded
    """

    retryable = True

    def __init__(self, episode_id: str, until: int) -> None:
        super().__init__(episode_id, until)
        self.episode_id = episode_id
        self.until = until

    def __str__(self) -> str:
        return f"episode {self.episode_id!r} is recorded by another process, whose lease has not run out"


class LeaseLostError(EpisodeError):
    """Another process took the open episode over, ended it or forgot it; `dropped` steps were not stored.

    Example:
        >>> import tacit
        >>> from tacit.storage import InMemoryStore
        >>> store = InMemoryStore()
        >>> owner, other = tacit.Memory(store=store), tacit.Memory(store=store)
        >>> episode_id = owner.start("Cancel order 17")
        >>> owner.flush()
        >>> resumed = other.resume(episode_id, force=True)
        >>> try:
        ...     owner.complete(episode_id, tacit.Outcome.success())
        ... except tacit.LeaseLostError as error:
        ...     print(error.dropped)
        0
    """

    def __init__(self, episode_id: str, dropped: int) -> None:
        super().__init__(episode_id, dropped)
        self.episode_id = episode_id
        self.dropped = dropped

    def again(self) -> LeaseLostError:
        """The same refusal, for the next verb on the episode."""
        return LeaseLostError(self.episode_id, self.dropped)

    def __str__(self) -> str:
        return (
            f"episode {self.episode_id!r} was taken over, ended or forgotten elsewhere; "
            f"steps that were dropped: {self.dropped:,}"
        )


class UnknownRecallError(TacitError, KeyError):
    """No answer that an episode keeps has this id; answers outside of an episode are not kept.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> try:
        ...     memory.feedback("no id", helped={})
        ... except tacit.UnknownRecallError as error:
        ...     print(error)
        no recall 'no id' within an episode
    """

    def __init__(self, recall_id: str) -> None:
        super().__init__(recall_id)
        self.recall_id = recall_id

    def __str__(self) -> str:
        return f"no recall {self.recall_id!r} within an episode"


class UnknownNameError(TacitError, LookupError):
    """A name that no registry knows; `known` lists those it does.

    Example:
        >>> import tacit
        >>> try:
        ...     tacit.Memory(settings=tacit.Settings(embedder="hashd"))
        ... except tacit.UnknownNameError as error:
        ...     print(error.kind, error.name)
        embedder hashd
    """

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(kind, name, known)
        self.kind = kind
        self.name = name
        self.known = known

    def __str__(self) -> str:
        from difflib import get_close_matches

        near = get_close_matches(self.name, self.known)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        return f"no {self.kind} named {self.name!r}; {hint}known: {', '.join(self.known) or 'none'}"


class ValidationError(TacitError, ValueError):
    """A value breaks a rule: `field` names it, `rule` follows "must be", `value` is the given one or its size.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> try:
        ...     memory.recall("Cancel order 17", limit=0)
        ... except tacit.ValidationError as error:
        ...     print(error)
        limit must be 1 to 100; got 0
    """

    def __init__(self, field: str, rule: str, value: str) -> None:
        super().__init__(field, rule, value)
        self.field = field
        self.rule = rule
        self.value = value

    def __str__(self) -> str:
        return refusal(self.field, self.rule, self.value)


class TooLargeError(ValidationError):
    """A value is larger than its limit.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> try:
        ...     memory.start("x" * 20_000)
        ... except tacit.TooLargeError as error:
        ...     print(error)
        task must be at most 10,000 bytes; got 20,000
    """


class UnknownMaintenanceError(ValidationError):
    """No maintenance run of the namespace has this id.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> try:
        ...     memory.undo("no id")
        ... except tacit.UnknownMaintenanceError as error:
        ...     print(error)
        no maintenance run 'no id'; `tacit maintain` prints the id
    """

    def __init__(self, audit_id: str, *rest: str) -> None:
        super().__init__("audit_id", "the id of a maintenance run", repr(audit_id))
        self.args: tuple[object, ...] = (audit_id,)
        self.audit_id = audit_id

    def __str__(self) -> str:
        return f"no maintenance run {self.audit_id!r}; `tacit maintain` prints the id"


def refusal(field: str, rule: str, value: str) -> str:
    """The text of every refusal: `{field} must be {rule}; got {value}`.

    A rule may bring its verb: "must have 16 bytes", "not be empty". An empty `value` is left out.
    """
    verb = "" if rule.startswith("must ") else "must " if rule.startswith("not ") else "must be "
    given = "" if value in ("", "''") else f"; got {value}"
    return f"{field} {verb}{rule}{given}"


def missing_extra(extra: str) -> ValidationError:
    """The refusal of a part that needs an optional dependency; it names the extra that brings it."""
    return ValidationError(extra, f"installed: pip install 'tacit[{extra}]'", "a Python without it")


class ConflictError(TacitError):
    """The same external id stands for another content in this namespace.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> done = tacit.Outcome.success()
        >>> _ = memory.add(tacit.Episode(task="Cancel order 17", external_id="run-1", outcome=done))
        >>> try:
        ...     memory.add(tacit.Episode(task="Cancel order 18", external_id="run-1", outcome=done))
        ... except tacit.ConflictError as error:
        ...     print(error.external_id)
        run-1
    """

    def __init__(self, external_id: str, namespace: str) -> None:
        super().__init__(external_id, namespace)
        self.external_id = external_id
        self.namespace = namespace

    def __str__(self) -> str:
        return f"external id {self.external_id!r} in namespace {self.namespace!r} has another content already"


class LeakError(TacitError):
    """An evaluation was stopped: the memory holds, or answers from, something that was to be held out of it.

    Example:
        >>> import tacit
        >>> issubclass(tacit.LeakError, tacit.StorageError)
        False
    """


class StorageError(TacitError):
    """The store could not carry out a verb.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> memory.close()
        >>> try:
        ...     memory.recall("Cancel order 17")
        ... except tacit.StorageError as error:
        ...     print(error)
        the store is closed
    """


class CommitUnknownError(StorageError):
    """The commit may or may not have taken place. Repeating it is safe.

    Example:
        >>> import tacit
        >>> tacit.CommitUnknownError.retryable
        True
    """

    retryable = True


class CorruptRecordError(StorageError):
    """The stored bytes are not the bytes that were written.

    Example:
        >>> import tacit
        >>> tacit.CorruptRecordError.retryable
        False
    """


class FileChangedError(StorageError):
    """The open database file was removed, replaced, moved, overwritten or truncated by somebody else.

    Nothing more is written to the file that is there now. Close the memory, look at the file, and open it again.

    Example:
        >>> import pathlib, tempfile, tacit
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "agent.db"
        >>> memory = tacit.Memory(path)
        >>> path.unlink()
        >>> try:
        ...     memory.add(tacit.Episode(task="Cancel order 17", outcome=tacit.Outcome.success()))
        ... except tacit.FileChangedError:
        ...     print("the file is gone")
        the file is gone
        >>> memory.close()
    """


class ReadOnlyError(StorageError):
    """The memory was opened with `read_only=True`, or its file or folder takes no writes.

    Example:
        >>> import pathlib, tempfile, tacit
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "agent.db"
        >>> tacit.Memory(path).close()
        >>> memory = tacit.Memory(path, read_only=True)
        >>> try:
        ...     memory.start("Cancel order 17")
        ... except tacit.ReadOnlyError:
        ...     print("the memory is only read")
        the memory is only read
        >>> memory.close()
    """


class ResyncRequiredError(StorageError):
    """The changes after `since` were pruned up to `horizon`; a reader starts again from 0.

    Example:
        >>> import tacit
        >>> issubclass(tacit.ResyncRequiredError, tacit.StorageError)
        True
    """

    def __init__(self, since: int, horizon: int) -> None:
        super().__init__(since, horizon)
        self.since = since
        self.horizon = horizon

    def __str__(self) -> str:
        return f"since must be 0 or at least the horizon {self.horizon}; got {self.since}"


class SchemaError(StorageError):
    """The file's schema is newer than this version of tacit can read, or it is not tacit's file.

    Example:
        >>> import pathlib, tempfile, tacit
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "thesis.db"
        >>> _ = path.write_text("no database " * 100)
        >>> try:
        ...     tacit.Memory(path)
        ... except tacit.SchemaError:
        ...     print("not a store of tacit's")
        not a store of tacit's
    """


class UnavailableError(StorageError):
    """The store cannot be reached now; `retry_after_s` is the time until the next try, if it is known.

    Example:
        >>> import tacit
        >>> tacit.UnavailableError("the server is away", 2.5).retry_after_s
        2.5
    """

    retryable = True

    if TYPE_CHECKING:

        def __init__(self, message: str, retry_after_s: float | None = None) -> None: ...

    # Its fields are its arguments: an open breaker raises this at every call, and a constructor in Python
    # would take longer than all the rest.
    @property
    def message(self) -> str:
        """The unavailable part and the reason."""
        return str(self.args[0])

    @property
    def retry_after_s(self) -> float | None:
        """How many seconds from the refusal a call may succeed."""
        return self.args[1] if len(self.args) > 1 else None

    def __str__(self) -> str:
        return self.message


class QueueFullError(UnavailableError):
    """As many episodes wait to be learned from as `settings.learning` allows; the episode stays open.

    Example:
        >>> import tacit
        >>> print(tacit.QueueFullError(10_000, 10_000))
        pending episodes must be fewer than 10,000 (learning.max_pending); got 10,000
    """

    def __init__(self, pending: int, max_pending: int) -> None:
        super().__init__("the queue of pending episodes is full")
        self.args: tuple[object, ...] = (pending, max_pending)
        self.pending = pending
        self.max_pending = max_pending

    @property
    def message(self) -> str:
        """The number of pending episodes, and the limit."""
        rule = f"fewer than {self.max_pending:,} (learning.max_pending)"
        return refusal("pending episodes", rule, f"{self.pending:,}")

    @property
    def retry_after_s(self) -> float | None:
        """`None`: the workers decide."""
        return None


class VersionConflictError(StorageError):
    """A row does not have the version that a commit expects, because another writer came first.

    `kind` and `id` (hexadecimal) name the row. `expected` and `found` are versions; `None` means that there is no such
    row, and an expected 0 stands for any version. Nothing was committed: read the row again and retry.

    Example:
        >>> import tacit
        >>> tacit.VersionConflictError.retryable
        True
    """

    retryable = True

    def __init__(self, kind: str, id: str, expected: int | None, found: int | None) -> None:
        super().__init__(kind, id, expected, found)
        self.kind = kind
        self.id = id
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        expected = "any" if self.expected == 0 else _version(self.expected)
        return f"the version of {self.kind} {self.id} must be {expected}; got {_version(self.found)}"


def _version(version: int | None) -> str:
    return "absent" if version is None else str(version)
