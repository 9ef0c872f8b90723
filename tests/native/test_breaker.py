"""The circuit breaker: against a model in plain Python, and as threads, tasks and blocks use it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tacit._native import CircuitBreaker
from tacit.errors import UnavailableError, ValidationError


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Model:
    """Three failures in a row open it; two probes may be out, two must succeed; a break doubles up to 40 seconds."""

    state: str = "closed"
    generation: int = 0
    failures: int = 0
    breaks: int = 0
    until: float = 0.0
    out: int = 0
    succeeded: int = 0

    def enter(self, state: str) -> None:
        self.state, self.generation = state, self.generation + 1
        self.failures = self.out = self.succeeded = 0
        self.breaks = 0 if state == "closed" else self.breaks

    def open(self, now: float) -> None:
        self.until = now + self.length()
        self.breaks += 1
        self.enter("open")

    def length(self) -> float:
        return min(10.0 * 2**self.breaks, 40.0)

    def admit(self, now: float) -> int | None:
        is_full = self.state == "half_open" and self.out >= 2
        if (self.state == "open" or is_full) and now >= self.until:
            self.until = now + self.length()
            self.enter("half_open")
        elif self.state == "open" or is_full:
            return None
        self.out += self.state == "half_open"
        return self.generation

    def end(self, token: int, is_failure: bool, now: float) -> None:
        if token != self.generation:
            return
        if self.state == "closed":
            self.failures = self.failures + 1 if is_failure else 0
            if self.failures == 3:
                self.open(now)
        elif is_failure:
            self.open(now)
        else:
            self.out, self.succeeded = self.out - 1, self.succeeded + 1
            if self.succeeded == 2:
                self.enter("closed")

    def cancel(self, token: int) -> None:
        self.out -= token == self.generation and self.state == "half_open"


class Breaker(RuleBasedStateMachine):
    """Any order of calls and of their ends, however late."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.model = Clock(), Model()
        self.breaker = CircuitBreaker(
            failures_to_open=3,
            open_for_s=10,
            longest_open_s=40,
            jitter=0,
            probes=2,
            probes_to_close=2,
            clock=self.clock,
        )
        self.out: list[tuple[int, int]] = []
        self.changes: list[tuple[str, str]] = []
        self.breaker.listen(lambda old, new: self.changes.append((old, new)))

    @rule(seconds=st.sampled_from([1, 5, 10, 20, 40]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule()
    def admit(self) -> None:
        expected = self.model.admit(self.clock.now)
        if expected is None:
            with pytest.raises(UnavailableError):
                self.breaker.admit()
        else:
            self.out.append((self.breaker.admit(), expected))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), verb=st.sampled_from(["succeeded", "failed", "failed", "cancelled"]))
    def end(self, data: st.DataObject, verb: str) -> None:
        token, expected = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        getattr(self.breaker, verb)(token)
        if verb == "cancelled":
            self.model.cancel(expected)
        else:
            self.model.end(expected, verb == "failed", self.clock.now)

    @invariant()
    def states_agree(self) -> None:
        assert self.breaker.state == self.model.state
        if self.model.state == "open":
            assert self.breaker.retry_after_s == pytest.approx(max(self.model.until - self.clock.now, 0))
        assert [new for _, new in self.changes[-1:]] in ([], [self.model.state])


test_any_order_of_calls_and_late_ends_agrees_with_the_model = Breaker.TestCase


@dataclass
class Opened:
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.breaker = CircuitBreaker("server", failures_to_open=1, open_for_s=30, jitter=0, clock=self.clock)
        self.breaker.failed(self.breaker.admit())


def fail() -> None:
    raise OSError("gone")


def test_a_rejection_says_when_to_try_again() -> None:
    opened = Opened()
    opened.clock.now = 10.0
    with pytest.raises(UnavailableError, match="server is open") as rejected:
        opened.breaker.admit()
    assert rejected.value.retry_after_s == pytest.approx(20.0)
    assert rejected.value.retryable


def test_a_break_that_was_ordered_has_no_known_end() -> None:
    breaker = CircuitBreaker()
    breaker.force_open()
    with pytest.raises(UnavailableError) as rejected:
        breaker.call(int)
    assert rejected.value.retry_after_s is None
    assert breaker.retry_after_s is None


def test_a_call_passes_arguments_answers_and_exceptions_through() -> None:
    breaker = CircuitBreaker(failures_to_open=1)
    assert breaker.call(int, "11", base=2) == 3
    with pytest.raises(OSError, match="gone"):
        breaker.call(fail)
    assert breaker.state == "open"


def test_an_exception_that_leaves_the_block_is_a_failure() -> None:
    breaker = CircuitBreaker(failures_to_open=1)
    with breaker as entered:
        assert entered is breaker
    with pytest.raises(OSError, match="gone"), breaker:
        fail()
    assert (breaker.state, breaker.metrics()["succeeded"], breaker.metrics()["failed"]) == ("open", 1, 1)


def test_an_ignored_exception_shows_that_the_other_side_answers() -> None:
    breaker = CircuitBreaker(failures_to_open=1, ignored=["LookupError", "tacit.errors.ValidationError"])
    with pytest.raises(KeyError), breaker:
        raise KeyError
    with pytest.raises(ValidationError), breaker:
        raise ValidationError("field", "limit", "size")
    assert (breaker.state, breaker.metrics()["succeeded"]) == ("closed", 2)


def test_an_interrupted_call_says_nothing() -> None:
    opened = Opened()
    opened.clock.now = 30.0
    with pytest.raises(KeyboardInterrupt), opened.breaker:
        raise KeyboardInterrupt
    assert (opened.breaker.state, opened.breaker.metrics()["cancelled"]) == ("half_open", 1)
    assert opened.breaker.call(int) == 0
    assert opened.breaker.state == "closed"


def test_a_coroutine_function_cannot_pass_for_a_finished_call() -> None:
    async def function() -> None: ...

    breaker = CircuitBreaker()
    with pytest.raises(TypeError, match="async with"):
        _ = breaker.call(function)


def test_blocks_within_blocks_end_in_their_own_state() -> None:
    breaker = CircuitBreaker(failures_to_open=1)
    with breaker, pytest.raises(OSError, match="gone"), breaker:
        fail()
    assert (breaker.state, breaker.metrics()["late"]) == ("open", 1)


def test_tasks_that_overlap_keep_their_own_permits() -> None:
    breaker = CircuitBreaker(failures_to_open=3)

    async def guarded(number: int) -> None:
        async with breaker as entered:
            assert entered is breaker
            await asyncio.sleep(0)
            if number % 2:
                fail()

    async def main() -> list[BaseException | None]:
        return await asyncio.gather(*(guarded(number) for number in range(10)), return_exceptions=True)

    ends = asyncio.run(main())
    metrics = breaker.metrics()
    assert sum(isinstance(end, OSError) for end in ends) == 5
    assert (metrics["admitted"], metrics["succeeded"], metrics["failed"]) == (10, 5, 5)


def test_a_cancelled_task_says_nothing() -> None:
    breaker = CircuitBreaker(failures_to_open=1)

    async def main() -> None:
        async def guarded() -> None:
            async with breaker:
                await asyncio.Event().wait()

        task = asyncio.create_task(guarded())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert (breaker.state, breaker.metrics()["cancelled"]) == ("closed", 1)


def test_a_listener_may_use_the_breaker_and_may_fail() -> None:
    seen = []
    breaker = CircuitBreaker(failures_to_open=1)
    breaker.listen(lambda old, new: seen.append((old, new, breaker.state)))
    breaker.failed(breaker.admit())
    assert seen == [("closed", "open", "open")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_listener_raises_does_not_reach_the_guarded_call() -> None:
    breaker = CircuitBreaker(failures_to_open=1)
    breaker.listen(lambda old, new: fail())
    breaker.failed(breaker.admit())
    assert breaker.state == "open"


def test_the_latency_of_a_block_is_measured_where_slow_calls_count() -> None:
    clock = Clock()
    breaker = CircuitBreaker(window_calls=4, minimum_calls=2, slow_rate=0.5, slow_after_s=2, clock=clock)
    for seconds in (1, 2):
        with breaker:
            clock.now += seconds
    assert (breaker.state, breaker.metrics()["slow"]) == ("open", 1)


def test_what_it_is_told_shows_in_its_state() -> None:
    breaker = CircuitBreaker(failures_to_open=1)
    for verb, state in [("disable", "disabled"), ("only_measure", "metrics_only"), ("reset", "closed")]:
        getattr(breaker, verb)()
        assert breaker.state == state
    assert repr(breaker) == 'CircuitBreaker("breaker", state="closed")'


def test_threads_share_one_breaker() -> None:
    breaker, calls, threads = CircuitBreaker(failures_to_open=0), 2_000, 4

    def work() -> None:
        for _ in range(calls):
            breaker.succeeded(breaker.admit())

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert breaker.metrics()["succeeded"] == calls * threads


@pytest.mark.parametrize(
    ("name", "value"),
    [("failure_rate", 1.5), ("slow_rate", -1.0), ("jitter", float("nan")), ("open_for_s", -1.0), ("growth", 0.5),
     ("probes", 0), ("probes_to_close", 0), ("window_calls", 0)],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        CircuitBreaker(**{name: value})


def test_a_window_is_of_calls_or_of_time() -> None:
    with pytest.raises(ValidationError, match="window_calls"):
        CircuitBreaker(window_calls=5, window_s=5.0)
