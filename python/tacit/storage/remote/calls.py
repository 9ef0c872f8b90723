"""Calls to a server: one deadline, one circuit breaker and one layer of retries around each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from ..._native import Backoff, CircuitBreaker, RetryBudget
from ...config import RemoteSettings
from ...errors import CommitUnknownError, StorageError, TacitError, UnavailableError
from .address import ServerAddress
from .connections import ConnectionPool, Deadline, HttpReply, TryFailed
from .hrana import HranaError, Script, ScriptFailed, StepResults, UnreadableReply, read_error

T = TypeVar("T")

_TRANSIENT = {
    *("STREAM_EXPIRED", "TRANSACTION_TIMEOUT", "TRANSACTION_BUSY", "PROXY_ERROR"),
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_INTERRUPT", "SQLITE_NOMEM", "SQLITE_PROTOCOL", "SQLITE_SCHEMA"),
}
_FULL = {"SQLITE_FULL", "SQLITE_IOERR"}


def failure_of(error: HranaError, what: str) -> TacitError | TryFailed:
    """Returns the failure that a server's error stands for: one to try again, or one to raise."""
    code = error.code or ""
    message = f"{what}: {error.message}" + (f" ({code})" if code else "")
    if code in _TRANSIENT or code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TryFailed(message, is_servers_fault=False)
    if code in _FULL or code.startswith("SQLITE_IOERR"):
        return UnavailableError(message)
    return StorageError(message)


class Caller:
    """Runs scripts on one server.

    Every script is idempotent, so that repeating it is safe whether or not the lost try had run.
    """

    def __init__(
        self,
        address: ServerAddress,
        token: str | None,
        settings: RemoteSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._address = address
        self._token = token
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._pool = ConnectionPool(address, token, settings)
        self._breaker = CircuitBreaker(
            f"the breaker of {address}",
            failures_to_open=settings.breaker_failures,
            open_for_s=settings.breaker_open_s,
            longest_open_s=max(settings.breaker_open_s, settings.breaker_longest_open_s),
            clock=clock,
        )
        self._budget = RetryBudget(share=settings.retry_share, reserve=settings.retry_reserve)
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._counts = {"calls": 0, "requests": 0, "retries": 0, "failures": 0}

    def deadline(self) -> Deadline:
        """Returns the deadline of a call that begins now."""
        return Deadline(self._settings.deadline_s, self._clock)

    def call(
        self,
        script: Script,
        read: Callable[[StepResults], T],
        *,
        writes: bool = False,
        deadline: Deadline | None = None,
    ) -> T:
        """Runs a script and returns what `read` makes of its results; `read` may raise `TryFailed` as well.

        Raises `UnavailableError` if no try succeeded, and `CommitUnknownError` if one of a script that writes may have
        run.
        """
        deadline = self.deadline() if deadline is None else deadline
        backoff = Backoff(
            tries=self._settings.tries,
            first_s=self._settings.retry_first_s,
            longest_s=max(self._settings.retry_first_s, self._settings.retry_longest_s),
        )
        body, is_unknown = script.encoded(), False
        self._count("calls")
        self._budget.earn()
        while True:
            try:
                return read(self._try(body, len(script), deadline))
            except (TryFailed, UnreadableReply) as error:
                failure = error if isinstance(error, TryFailed) else TryFailed(str(error), may_have_run=True)
            except UnavailableError as refusal:
                if is_unknown:
                    raise _unknown(refusal.message) from refusal
                raise
            is_unknown = is_unknown or (writes and failure.may_have_run)
            retry_after_s = max(0.0, failure.retry_after_s or 0.0)
            wait = backoff.wait(remaining_s=deadline.remaining(), retry_after_s=retry_after_s)
            if wait is None or not self._may_try_again():
                self._count("failures")
                message = self._without_token(failure.message)
                if is_unknown:
                    raise _unknown(message) from failure
                raise UnavailableError(message, failure.retry_after_s) from failure
            self._count("retries")
            self._sleep(wait)

    def _may_try_again(self) -> bool:
        """An open breaker would refuse the try, and the failure that opened it says more than the refusal."""
        return self._breaker.state in ("closed", "disabled", "metrics_only") and self._budget.spend()

    def _try(self, body: bytes, steps: int, deadline: Deadline) -> StepResults:
        """Makes one request; the breaker counts it if it says something about the server."""
        self._keep_quiet()
        if deadline.remaining() <= 0:
            message = f"the deadline of {deadline.seconds:g} s passed before the request was sent"
            raise TryFailed(message, is_servers_fault=False)
        token = self._breaker.admit()
        self._count("requests")
        try:
            with self._pool.lease(deadline) as connection:
                results = self._understood(connection.exchange(body, deadline), steps)
        except TryFailed as error:
            settle = self._breaker.failed if error.is_servers_fault else self._breaker.succeeded
            settle(token)
            raise
        except UnreadableReply:
            self._breaker.failed(token)
            raise
        except UnavailableError:
            self._breaker.cancelled(token)  # no connection was free: nothing was asked
            raise
        except TacitError:
            self._breaker.succeeded(token)
            raise
        except BaseException:
            self._breaker.cancelled(token)
            raise
        self._breaker.succeeded(token)
        return results

    def _keep_quiet(self) -> None:
        with self._lock:
            left = self._quiet_until - self._clock()
        if left > 0:
            message = f"{self._address} asked for a pause"
            raise TryFailed(message, is_servers_fault=False, retry_after_s=left)

    def _understood(self, reply: HttpReply, steps: int) -> StepResults:
        if reply.status == 200:
            try:
                return StepResults.read(reply.body, steps)
            except ScriptFailed as refused:
                raise self._refusal(refused.error) from refused
        if reply.status in (429, 503):
            raise self._pause(reply)
        if reply.status >= 500:
            raise TryFailed(f"{self._address} answered with status {reply.status}", may_have_run=True)
        error = read_error(reply.body)
        if error is not None and reply.status == 400:
            raise self._refusal(error)
        said = "" if error is None else f": {self._without_token(error.message)}"
        raise StorageError(f"{self._address} refused the request with {_meaning(reply.status)}{said}")

    def _refusal(self, error: HranaError) -> Exception:
        failure = failure_of(error, f"{self._address} refused the request")
        if isinstance(failure, StorageError):
            return type(failure)(self._without_token(str(failure)))
        return failure

    def _pause(self, reply: HttpReply) -> TryFailed:
        """Remembers until when the server wants no requests: no caller of this store makes one before."""
        seconds = _seconds(reply.retry_after)
        if seconds is not None:
            with self._lock:
                self._quiet_until = max(self._quiet_until, self._clock() + seconds)
        message = f"{self._address} answered with status {reply.status}"
        return TryFailed(message, is_servers_fault=reply.status == 503, retry_after_s=seconds)

    def _without_token(self, text: str) -> str:
        """A server may repeat the token that it refuses."""
        return text if self._token is None else text.replace(self._token, "***")

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def stats(self) -> dict[str, int | float | str]:
        """Returns the counts of calls and connections, and the state of the breaker."""
        with self._lock:
            counts = {f"remote_{name}": count for name, count in self._counts.items()}
        return {"breaker": self._breaker.state, **counts, **self._pool.stats()}

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()


def _unknown(message: str) -> CommitUnknownError:
    return CommitUnknownError(f"the commit may or may not have taken place; repeating it is safe: {message}")


def _meaning(status: int) -> str:
    match status:
        case 401 | 403:
            return f"status {status}; give a valid token as auth_token or TACIT_AUTH_TOKEN"
        case 404:
            return "status 404; the address is not that of a libSQL server with Hrana 3"
        case 413:
            return "status 413; the request is larger than the server takes"
        case _:
            return f"status {status}"


def _seconds(retry_after: str | None) -> float | None:
    """Returns the seconds of a header `Retry-After`, which holds seconds or a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
