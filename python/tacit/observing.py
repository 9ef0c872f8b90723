"""Observers: they hear what a memory does, and cannot disturb it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from types import GeneratorType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    runtime_checkable,
)

from .deferred import dataclass
from .errors import TacitError, is_failure
from .model.learned import Learned
from .model.record import Receipt
from .registry import Part, Registry

T = TypeVar("T", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")

if TYPE_CHECKING:
    from logging import Logger

_INFO = 20
_WARNING = 30


def _logger() -> Logger:
    import logging

    return logging.getLogger("tacit")


@dataclass(frozen=True, slots=True)
class Event(Generic[T]):
    """One event in a call of a verb: its name, the memory's namespace, the time it took, and its value.

    Example:
        >>> Event("recall", "default", 1.5, ("vector",)).verb
        'recall'
    """

    verb: str
    namespace: str
    elapsed_ms: float
    value: T


@runtime_checkable
class Observer(Protocol):
    """Hears what a memory does. A subclass overrides the methods it needs; the others do nothing.

    The methods are called on the thread of the verb, after it has ended and outside of every lock. Their exceptions
    never reach the caller: they are logged once to the logger "tacit" and counted in `stats()["observer_failures"]`.
    An observer's own calls of the memory are not observed.

    Example:
        >>> class Printer(Observer):
        ...     def learned(self, event):
        ...         print(event.verb, event.value.state)
        >>> with Memory(observers=[Printer()]) as memory:
        ...     with memory.episode("Cancel order 17") as episode:
        ...         episode.succeed()
        complete learned
    """

    def committed(self, event: Event[Receipt]) -> None:
        """Something became durable."""
        return None

    def recalled(self, event: Event[Any]) -> None:
        """A question was answered: `value` is the `Recall`, `Suggestion`, `Fixes`, `Prediction` or `Playbook`."""
        return None

    def learned(self, event: Event[Learned]) -> None:
        """An episode ended, and `value` says what it taught."""
        return None

    def maintained(self, event: Event[Any]) -> None:
        """Maintenance ran or was undone: `value` is the `Maintenance`."""
        return None

    def degraded(self, event: Event[tuple[str, ...]]) -> None:
        """An answer did without something: `value` holds its codes."""
        return None

    def refused(self, event: Event[TacitError]) -> None:
        """A verb raised one of tacit's errors."""
        return None


observers: Registry[Observer] = Registry("observer", Observer)
"""Observers by name; those of other distributions come through the entry points `tacit.observers`."""


@observers.register("logging")
class LoggingObserver(Observer):
    """Writes one line an event to the logger "tacit": refusals and degraded answers as warnings, others as `level`.

    Example:
        >>> with Memory(observers=[LoggingObserver()]) as memory:
        ...     _ = memory.recall("Cancel order 17")
    """

    def __init__(self, *, level: int = _INFO) -> None:
        self.level = level

    def committed(self, event: Event[Receipt]) -> None:
        """Logs the number of rows and the sequence."""
        self._log(
            self.level, event, "committed %d rows, sequence %d", event.value.committed, event.value.sequence
        )

    def recalled(self, event: Event[Any]) -> None:
        """Logs the verb and its time."""
        self._log(self.level, event, "answered")

    def learned(self, event: Event[Learned]) -> None:
        """Logs the episode's id and state; one that a part failed to learn from is a warning, with the failure."""
        learned = event.value
        if learned.state == "pending" and learned.problems:
            self._log(_WARNING, event, "episode %s pending: %s", learned.episode_id, learned.problems[-1])
        else:
            self._log(self.level, event, "episode %s %s", learned.episode_id, learned.state)

    def maintained(self, event: Event[Any]) -> None:
        """Logs how much was merged and changed."""
        report = event.value
        self._log(
            self.level, event, "merged %d, changed %d patterns", len(report.merges), len(report.changed)
        )

    def degraded(self, event: Event[tuple[str, ...]]) -> None:
        """Logs the codes."""
        self._log(_WARNING, event, "degraded: %s", ", ".join(event.value))

    def refused(self, event: Event[TacitError]) -> None:
        """Logs the error's type and message."""
        self._log(_WARNING, event, "refused: %s: %s", type(event.value).__name__, event.value)

    def _log(self, level: int, event: Event[object], message: str, *values: object) -> None:
        _logger().log(
            level, "%s %s: " + message + " (%.1f ms)", event.namespace, event.verb, *values, event.elapsed_ms
        )


class Observers:
    """The observers of one memory. An exception of theirs is logged once an observer and method, and counted."""

    def __init__(self, parts: Iterable[Part[Observer]] = ()) -> None:
        self._observers: Sequence[Observer] = [observers.resolve(part) for part in parts]
        self.failures: int = 0
        self._reported: set[tuple[int, str]] = set()
        self._current = threading.local()

    def __bool__(self) -> bool:
        return bool(self._observers)

    @contextmanager
    def verb(self) -> Iterator[bool]:
        """Marks this thread as inside a verb; gives False inside another verb or inside an observer."""
        outermost = not getattr(self._current, "is_inside", False)
        self._current.is_inside = True
        try:
            yield outermost
        finally:
            self._current.is_inside = not outermost

    def note_receipt(self, receipt: Receipt) -> None:
        """Keeps the receipt of a commit until the verb that made it has ended and released its locks."""
        if self._observers and receipt.committed:
            if not hasattr(self._current, "receipts"):
                self._current.receipts = []
            self._current.receipts.append(receipt)

    def take_receipts(self) -> list[Receipt]:
        """The receipts of this thread's verb, each given out once."""
        receipts: list[Receipt] = getattr(self._current, "receipts", [])
        self._current.receipts = []
        return receipts

    def refused(self, verb: str, namespace: str, error: TacitError) -> None:
        """Reports a refusal by a verb that is too hot to be decorated."""
        if self._observers and not getattr(self._current, "is_inside", False):
            self.tell("refused", Event(verb, namespace, 0.0, error))

    def tell(self, method: str, event: Event[object]) -> None:
        """Calls one method of every observer."""
        with self.verb():
            for observer in self._observers:
                try:
                    getattr(observer, method)(event)
                except BaseException as error:
                    if not is_failure(error):
                        raise
                    self._note_failure(observer, method)

    def _note_failure(self, observer: Observer, method: str) -> None:
        self.failures += 1
        if (id(observer), method) not in self._reported:
            self._reported.add((id(observer), method))
            _logger().exception("an observer failed in %s; later failures are only counted", method)


class Observed(Protocol):
    """An object whose verbs can be observed."""

    namespace: str
    _observers: Observers


M = TypeVar("M", bound=Observed)


def observed(verb: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """A decorator that tells observers about a verb once it has ended."""
    name = verb.__name__.lstrip("_")

    @wraps(verb)
    def call(self: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        observers = self._observers
        if not observers:
            return verb(self, *args, **kwargs)
        telling = _Telling(observers, name, self.namespace)
        with telling.failures_told() as is_outermost:
            result = verb(self, *args, **kwargs)
        if not is_outermost:
            return result
        if isinstance(result, GeneratorType):
            return cast(R, telling.each_told(result))
        telling.tell_result(result)
        return result

    return call


class _Telling:
    """The events of one call of a verb."""

    def __init__(self, observers: Observers, verb: str, namespace: str) -> None:
        self._observers = observers
        self._verb = verb
        self._namespace = namespace
        self._started = time.perf_counter()

    @contextmanager
    def failures_told(self) -> Iterator[bool]:
        """Runs a verb; reports its commits, and its refusal if it fails. Gives False inside another verb."""
        refusal: TacitError | None = None
        with self._observers.verb() as is_outermost:
            try:
                yield is_outermost
            except TacitError as error:
                refusal = error
        if refusal is not None:
            if is_outermost:
                self._tell_commits()
                self._tell("refused", refusal)
            raise refusal

    def each_told(self, results: Generator[R, None, None]) -> Iterator[R]:
        """The results one by one, as they come."""
        while True:
            with self.failures_told():
                result = next(results, _END)
            if result is _END:
                return
            self.tell_result(result)
            yield cast(R, result)

    def tell_result(self, result: object) -> None:
        """Reports the commits, then the result: its type says which event it is."""
        from .model.maintenance import Maintenance

        self._tell_commits()
        if isinstance(result, Learned):
            self._tell("learned", result)
        elif isinstance(result, Maintenance):
            self._tell("maintained", result)
        elif (codes := getattr(result, "degraded", None)) is not None:
            self._tell("recalled", result)
            if codes:
                self._tell("degraded", codes)

    def _tell_commits(self) -> None:
        for receipt in self._observers.take_receipts():
            self._tell("committed", receipt)

    def _tell(self, method: str, value: object) -> None:
        elapsed_ms = (time.perf_counter() - self._started) * 1_000
        self._observers.tell(method, Event(self._verb, self._namespace, elapsed_ms, value))


_END = object()
