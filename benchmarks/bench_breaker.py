"""The cost of a circuit breaker to a call from Python, beside other packages and one by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias, cast

import circuitbreaker
import purgatory
import pybreaker

from benchmarks import reference
from tacit._native import CircuitBreaker

Guard: TypeAlias = Callable[[Callable[[], object]], object]
CALLS = range(100)


def answer() -> int:
    return 42


def guard(implementation: str) -> Guard:
    if implementation == "purgatory":
        breaker = purgatory.SyncCircuitBreakerFactory().get_breaker("server", threshold=5, ttl=30)

        def call(function: Callable[[], object]) -> object:
            with breaker:
                return function()

        return call
    if implementation == "circuitbreaker":
        guarded = circuitbreaker.CircuitBreaker(5, 30)(lambda function: function())
        return cast(Guard, guarded)
    breakers: dict[str, Callable[[], Any]] = {
        "native": CircuitBreaker,
        "by hand": reference.LockedBreaker,
        "pybreaker": lambda: pybreaker.CircuitBreaker(fail_max=5, reset_timeout=30),
    }
    return cast(Guard, breakers[implementation]().call)


class Closed:
    """100 calls of a function that does nothing, all of them let through."""

    params: ClassVar = [["native", "by hand", "pybreaker", "purgatory", "circuitbreaker"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        self.call = guard(implementation)
        assert self.call(answer) == 42

    def time_100_calls(self, implementation: str) -> None:
        call = self.call
        for _ in CALLS:
            call(answer)


class Admit:
    """100 calls guarded by hand: leave to call, then word that it went well."""

    params: ClassVar = [["native", "by hand"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        self.breaker = CircuitBreaker()
        self.locked = reference.LockedBreaker()

    def time_100_calls(self, implementation: str) -> None:
        if implementation == "native":
            breaker = self.breaker
            for _ in CALLS:
                breaker.succeeded(breaker.admit())
        else:
            locked = self.locked
            for _ in CALLS:
                locked.admit()
                locked.succeeded()


class Open:
    """100 rejections, raised and caught."""

    params: ClassVar = [["native", "by hand", "pybreaker", "purgatory", "circuitbreaker"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        self.call = guard(implementation)
        for _ in range(5):
            self.expect(ZeroDivisionError, lambda: 1 // 0)
        self.rejection = self.expect(Exception, answer)
        assert self.rejection is not ZeroDivisionError

    def expect(self, expected: type[Exception], function: Callable[[], object]) -> type[Exception]:
        try:
            self.call(function)
        except (expected, pybreaker.CircuitBreakerError) as error:
            return type(error)
        raise AssertionError("the call went through")

    def time_100_rejections(self, implementation: str) -> None:
        call, rejection = self.call, self.rejection
        for _ in CALLS:
            try:  # noqa: SIM105 - what is timed is raise and except
                call(answer)
            except rejection:
                pass
