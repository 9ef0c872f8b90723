"""Connections to a server, and the pool that lends them."""

from __future__ import annotations

import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any

from ...config import RemoteSettings
from ...errors import StorageError, UnavailableError
from .address import ServerAddress

_LARGEST_REPLY = 256 << 20
_READ_BYTES = 1 << 16


class TryFailed(Exception):
    """One try of a call failed, and another may succeed."""

    def __init__(
        self,
        message: str,
        *,
        may_have_run: bool = False,
        is_servers_fault: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.may_have_run = may_have_run
        """True if the server may have run the request, although no reply came."""
        self.is_servers_fault = is_servers_fault
        """True if the breaker counts it."""
        self.retry_after_s = retry_after_s


class Deadline:
    """The end of a call. The clock is monotonic seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def remaining(self) -> float:
        """The seconds that are left; 0 after the end."""
        return max(0.0, self._end - self._clock())

    def timeout(self) -> float:
        """The seconds that are left. Raises `TimeoutError` after the end."""
        left = self.remaining()
        if left <= 0:
            raise TimeoutError
        return left


@dataclass(frozen=True, slots=True)
class HttpReply:
    """The parts of an answer that a store looks at."""

    status: int
    retry_after: str | None
    body: bytes


class _TimedSource(io.RawIOBase):
    """A socket whose reads end with the deadline of the call, however slowly bytes arrive."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._sock.settimeout(self._deadline.timeout())
        return self._sock.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, _READ_BYTES)


class ServerConnection:
    """One connection that is kept open between requests."""

    def __init__(self, sock: socket.socket, head: bytes) -> None:
        self._sock = sock
        self._head = head
        self.is_reusable: bool = False
        self.idle_since: float = 0.0

    def exchange(self, body: bytes, deadline: Deadline) -> HttpReply:
        """Sends a request and reads the answer. Raises `TryFailed`; the connection is of no more use then."""
        self.is_reusable = False
        try:
            self._sock.settimeout(deadline.timeout())
            self._sock.sendall(self._head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        except OSError as error:
            raise TryFailed(f"the request could not be sent: {_reason(error, deadline)}") from error
        try:
            return self._read(deadline)
        except (OSError, HTTPException, ValueError) as error:
            message = f"no answer came: {_reason(error, deadline)}"
            raise TryFailed(message, may_have_run=True) from error

    def _read(self, deadline: Deadline) -> HttpReply:
        source: Any = _TimedSource(self._sock, deadline)
        response = HTTPResponse(source, method="POST")
        try:
            response.begin()
            body = response.read(_LARGEST_REPLY)
            self.is_reusable = response.isclosed() and not response.will_close
            return HttpReply(response.status, response.headers.get("Retry-After"), body)
        finally:
            response.close()

    def is_healthy(self) -> bool:
        """Returns false if the server closed the connection, or sent something that nobody asked for."""
        try:
            poll = select.poll()
            poll.register(self._sock, select.POLLIN)
            if not poll.poll(0):
                return True
            # Bytes that TLS itself sent after an answer, such as session tickets, are no harm.
            self._sock.settimeout(0.0)
            self._sock.recv(1)
            return False
        except ssl.SSLWantReadError:
            return True
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Closes the socket."""
        self._sock.close()


def _reason(error: BaseException, deadline: Deadline) -> str:
    if isinstance(error, TimeoutError):
        return f"the deadline of {deadline.seconds:g} s passed"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class ConnectionPool:
    """At most `settings.connections` connections to one server; the one used last is lent first."""

    def __init__(self, address: ServerAddress, token: str | None, settings: RemoteSettings) -> None:
        self._address = address
        self._settings = settings
        self._head = _head(address, token)
        self._tls = ssl.create_default_context() if address.is_tls else None
        self._condition = threading.Condition()
        self._idle: list[ServerConnection] = []
        self._lent = 0
        self._is_closed = False
        self._counts = {"opened": 0, "reused": 0, "discarded": 0, "waits": 0, "refused": 0}

    @contextmanager
    def lease(self, deadline: Deadline) -> Iterator[ServerConnection]:
        """Lends a connection, opened if none is idle.

        Raises `UnavailableError` if none is free within `acquire_timeout_s`, `TryFailed` if the server does not answer.
        """
        connection = self._take(deadline)
        try:
            if connection is None:
                connection = self._open(deadline)
            yield connection
        finally:
            self._give_back(connection)

    def _take(self, deadline: Deadline) -> ServerConnection | None:
        """Takes an idle connection; `None` stands for the right to open one."""
        patience = min(self._settings.acquire_timeout_s, deadline.remaining())
        with self._condition:
            if self._lent >= self._settings.connections:
                self._counts["waits"] += 1
            is_free = self._condition.wait_for(
                lambda: self._is_closed or self._lent < self._settings.connections, patience
            )
            if self._is_closed:
                raise StorageError("the store is closed")
            if not is_free:
                self._counts["refused"] += 1
                raise UnavailableError(
                    f"all {self._settings.connections} connections to {self._address} were in use for "
                    f"{patience:g} s; raise settings.storage.remote.connections"
                )
            self._lent += 1
            return self._healthy()

    def _healthy(self) -> ServerConnection | None:
        newest_kept = time.monotonic() - self._settings.idle_s
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since >= newest_kept and connection.is_healthy():
                self._counts["reused"] += 1
                return connection
            self._counts["discarded"] += 1
            connection.close()
        return None

    def _give_back(self, connection: ServerConnection | None) -> None:
        with self._condition:
            self._lent -= 1
            if connection is not None and connection.is_reusable and not self._is_closed:
                connection.idle_since = time.monotonic()
                self._idle.append(connection)
                connection = None
            self._condition.notify()
        if connection is not None:
            connection.close()

    def _open(self, deadline: Deadline) -> ServerConnection:
        try:
            sock = self._connected(deadline)
        except ssl.SSLCertVerificationError as error:
            message = f"the certificate of {self._address} is not trusted: {error.verify_message}"
            raise StorageError(message) from error
        except OSError as error:
            message = f"{self._address} cannot be reached: {_reason(error, deadline)}"
            raise TryFailed(message) from error
        with self._condition:
            self._counts["opened"] += 1
        return ServerConnection(sock, self._head)

    def _connected(self, deadline: Deadline) -> socket.socket:
        failure: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in _addresses(self._address, deadline):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(deadline.timeout())
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect(address)
                if self._tls is None:
                    return sock
                sock.settimeout(deadline.timeout())
                return self._tls.wrap_socket(sock, server_hostname=self._address.host)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
        raise failure

    def stats(self) -> dict[str, int]:
        """Returns the connections in use and idle, and the counts since the start."""
        with self._condition:
            now = {"connections_in_use": self._lent, "connections_idle": len(self._idle)}
            return now | {f"connections_{name}": count for name, count in self._counts.items()}

    def close(self) -> None:
        """Closes the idle connections; the lent ones are closed when they come back."""
        with self._condition:
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._condition.notify_all()
        for connection in idle:
            connection.close()


def _head(address: ServerAddress, token: str | None) -> bytes:
    lines = [
        f"POST {address.path}/v3/pipeline HTTP/1.1",
        f"Host: {address.header}",
        "Content-Type: application/json",
        "Accept: application/json",
        "User-Agent: tacit",
    ]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _addresses(address: ServerAddress, deadline: Deadline) -> list[Any]:
    """Resolves the host's name. The system's resolver takes no deadline, so it runs in a thread of its own."""
    if address.is_number:
        return socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    found: list[Any] = []
    done = threading.Event()

    def resolve() -> None:
        try:
            found.append(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.append(error)
        done.set()

    threading.Thread(target=resolve, name="tacit-resolver", daemon=True).start()
    if not done.wait(deadline.timeout()):
        raise TimeoutError
    if isinstance(found[0], OSError):
        raise found[0]
    return list(found[0])
