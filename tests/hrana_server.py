"""A libSQL server for tests: Hrana 3 over HTTP in front of SQLite, with faults for single requests.

A pipeline is one batch and a close, as tacit sends it, and runs on a connection of its own.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sqlite3
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tacit.storage.remote import RemoteStore

Fault = Callable[["PipelineHandler"], bool]
"""Handles one request; returns true if it answered it, false if the request is served as always."""


class PipelineHandler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HranaServer
    pipeline: bytes

    def do_POST(self) -> None:
        self.server.requests["pipeline"] += 1
        self.pipeline = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(self.pipeline)
        if self.server.delay_s:
            self.server.released.wait(self.server.delay_s)
        fault = self.server.next_fault()
        if fault is not None and fault(self):
            return
        token = self.server.token
        if self.path != "/v3/pipeline":
            self.answer(404, b"not found")
        elif token is not None and self.headers.get("Authorization") != f"Bearer {token}":
            self.answer(401, b'{"message": "the token is not valid", "code": "AUTH_JWT_INVALID"}')
        else:
            self.answer(200, self.run())

    def run(self) -> bytes:
        """Runs the pipeline and returns the answer."""
        batch, close = json.loads(self.pipeline)["requests"]
        assert (batch["type"], close["type"]) == ("batch", "close")
        result = self.server.run_batch(batch["batch"]["steps"])
        results = [
            {"type": "ok", "response": {"type": "batch", "result": result}},
            {"type": "ok", "response": {"type": "close"}},
        ]
        return json.dumps({"baton": None, "base_url": None, "results": results}).encode()

    def answer(
        self, status: int, body: bytes, *, retry_after: str | None = None, length: int | None = None
    ) -> None:
        """Sends an answer; `length` is a false length of its body."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(body)

    def drop(self) -> None:
        """Ends the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Is silent."""


class HranaServer(ThreadingHTTPServer):
    """A server on a free port of the loopback, running in threads until it is closed."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, database: Path, *, token: str | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), PipelineHandler)
        self.database = database
        self.token = token
        self.requests: Counter[str] = Counter()
        self.bodies: deque[bytes] = deque(maxlen=50)
        self.released = threading.Event()
        self.delay_s = 0.0
        """How long each answer is held back; for benchmarks alone."""
        self._faults: deque[Fault | None] = deque()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        # While one connection stays open, closing the others does not empty the write-ahead log.
        self._keeper = sqlite3.connect(database, check_same_thread=False)
        self._keeper.execute("PRAGMA synchronous = 0")
        self._keeper.execute("PRAGMA journal_mode = wal")
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def inject(self, *faults: Fault | None) -> None:
        """Applies each fault to one of the next requests, in their order; `None` lets one pass."""
        with self._lock:
            self._faults.extend(faults)

    def next_fault(self) -> Fault | None:
        with self._lock:
            return self._faults.popleft() if self._faults else None

    def forget_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def run_batch(self, steps: list[dict[str, Any]]) -> dict[str, Any]:
        connection = sqlite3.connect(self.database, isolation_level=None, timeout=10.0)
        try:
            connection.execute("PRAGMA foreign_keys = 1")
            connection.execute("PRAGMA synchronous = 0")
            return _run(connection, steps)
        finally:
            connection.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Is silent about clients that hang up."""

    def close(self) -> None:
        """Stops the server and ends every connection."""
        self.released.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = list(self._connections)
        for each in connections:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._thread.join()
        self._keeper.close()


_TABLES = ("note", "pattern", "episode", "change", "namespace")


@contextmanager
def empty_database(file: Path) -> Iterator[str]:
    """The address of an empty store: on a server of its own, else on the one that `TACIT_TEST_LIBSQL_URL` names.

    Every row of that one is deleted; `TACIT_AUTH_TOKEN` is its token.
    """
    real = os.environ.get("TACIT_TEST_LIBSQL_URL")
    if real is None:
        server = HranaServer(file)
        try:
            yield server.url
        finally:
            server.close()
        return
    with RemoteStore(*real.split(":", 1), auth_token=os.environ.get("TACIT_AUTH_TOKEN")) as store:
        store.sequence()
        for table in _TABLES:
            store._select(f"DELETE FROM {table}")
        store._select("UPDATE meta SET horizon = 0")
    yield real


def _run(connection: sqlite3.Connection, steps: list[dict[str, Any]]) -> dict[str, Any]:
    results: list[dict[str, Any] | None] = []
    errors: list[dict[str, str] | None] = []
    for step in steps:
        results.append(None)
        errors.append(None)
        condition = step.get("condition")
        if condition is not None and not _holds(condition, results, connection):
            continue
        try:
            results[-1] = _execute(connection, step["stmt"])
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
            errors[-1] = {"message": f"SQLite error: {error}", "code": code}
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    return {"step_results": results, "step_errors": errors, "replication_index": None}


def _holds(condition: dict[str, Any], results: list[Any], connection: sqlite3.Connection) -> bool:
    match condition["type"]:
        case "ok":
            return results[condition["step"]] is not None
        case "not":
            return not _holds(condition["cond"], results, connection)
        case "and":
            return all(_holds(each, results, connection) for each in condition["conds"])
        case "is_autocommit":
            return not connection.in_transaction
    raise AssertionError(condition)


def _execute(connection: sqlite3.Connection, statement: dict[str, Any]) -> dict[str, Any]:
    cursor = connection.execute(statement["sql"], [_value(each) for each in statement["args"]])
    rows = [[_sent(value) for value in row] for row in cursor.fetchall()]
    names = [{"name": column[0], "decltype": None} for column in cursor.description or ()]
    return {
        "cols": names,
        "rows": rows,
        "affected_row_count": max(cursor.rowcount, 0),
        "last_insert_rowid": None,
    }


def _value(given: dict[str, Any]) -> Any:
    match given["type"]:
        case "null":
            return None
        case "integer":
            assert isinstance(given["value"], str)
            return int(given["value"])
        case "float":
            return float(given["value"])
        case "text":
            return given["value"]
        case "blob":
            text = given["base64"]
            assert "=" not in text
            return base64.b64decode(text + "=" * (-len(text) % 4))
    raise AssertionError(given)


def _sent(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"type": "null"}
        case int():
            return {"type": "integer", "value": str(value)}
        case float():
            return {"type": "float", "value": value}
        case str():
            return {"type": "text", "value": value}
        case bytes():
            return {"type": "blob", "base64": base64.b64encode(value).decode().rstrip("=")}
    raise AssertionError(value)


# --- faults ---


def status(code: int, *, retry_after: str | None = None) -> Fault:
    """Answers with a status and runs nothing."""

    def apply(handler: PipelineHandler) -> bool:
        handler.answer(code, b"an error", retry_after=retry_after)
        return True

    return apply


def reply_lost(handler: PipelineHandler) -> bool:
    """Runs the pipeline and hangs up."""
    handler.run()
    handler.drop()
    return True


def hung_up(handler: PipelineHandler) -> bool:
    """Hangs up and runs nothing."""
    handler.drop()
    return True


def stream_expired(handler: PipelineHandler) -> bool:
    """Says that the stream is gone."""
    handler.answer(400, b'{"message": "The stream has expired due to inactivity", "code": "STREAM_EXPIRED"}')
    return True


def busy(handler: PipelineHandler) -> bool:
    """Says inside of a reply that the database is locked."""
    steps = json.loads(handler.pipeline)["requests"][0]["batch"]["steps"]
    error = {"message": "SQLite error: database is locked", "code": "SQLITE_BUSY"}
    result = {"step_results": [None] * len(steps), "step_errors": [error] + [None] * (len(steps) - 1)}
    results = [{"type": "ok", "response": {"type": "batch", "result": result}}]
    handler.answer(200, json.dumps({"baton": None, "results": results}).encode())
    return True


def garbage(handler: PipelineHandler) -> bool:
    """Runs the pipeline and answers with bytes that are no reply."""
    handler.run()
    handler.answer(200, b"<html>welcome to the hotel</html>")
    return True


def no_http(handler: PipelineHandler) -> bool:
    """Answers with bytes that are not HTTP."""
    handler.wfile.write(b"\0\1\2 this is not HTTP\r\n\r\n")
    handler.drop()
    return True


def half_an_answer(handler: PipelineHandler) -> bool:
    """Runs the pipeline and sends half of the answer."""
    body = handler.run()
    handler.answer(200, body[: len(body) // 2], length=len(body))
    handler.drop()
    return True


def in_chunks(handler: PipelineHandler) -> bool:
    """Answers in chunks, as proxies do."""
    body = handler.run()
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for part in (body[:100], body[100:]):
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
    handler.wfile.write(b"0\r\n\r\n")
    return True


def no_answer(handler: PipelineHandler) -> bool:
    """Never answers; the client's deadline ends the call."""
    handler.server.released.wait()
    handler.close_connection = True
    return True


def slow_body(handler: PipelineHandler) -> bool:
    """Sends the answer byte by byte, and never to the end."""
    handler.answer(200, b"{", length=10_000)
    while not handler.server.released.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()
    handler.close_connection = True
    return True


def main() -> None:
    """Serves a file until standard input ends: `python -m tests.hrana_server FILE DELAY_S` prints the address."""
    server = HranaServer(Path(sys.argv[1]))
    server.delay_s = float(sys.argv[2])
    print(server.url, flush=True)
    sys.stdin.read()
    server.close()


if __name__ == "__main__":
    main()
