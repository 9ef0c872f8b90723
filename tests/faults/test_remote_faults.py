"""A server that fails in the ways that servers do: each call ends, and what was committed is there once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tacit import (
    CommitUnknownError,
    Memory,
    Outcome,
    RemoteSettings,
    Settings,
    StorageError,
    StorageSettings,
    UnavailableError,
    ValidationError,
    VersionConflictError,
)
from tacit.model.record import Batch, Expect, Receipt
from tacit.storage.remote import RemoteStore
from tacit.storage.remote.address import ServerAddress
from tacit.storage.remote.calls import Caller
from tacit.storage.remote.committer import GROUPS_IN_FLIGHT
from tacit.storage.remote.hrana import Script
from tacit.testing import episode_record
from tests import hrana_server as faults
from tests.hrana_server import Fault, HranaServer

Open = Callable[..., RemoteStore]
TOKEN = "eyJhbGciOi.secret-token.x"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HranaServer]:
    server = HranaServer(tmp_path / "server.db")
    yield server
    server.close()


@pytest.fixture
def opened(server: HranaServer) -> Iterator[Open]:
    """Opens stores whose retries do not wait."""
    made: list[RemoteStore] = []

    def make(url: str | None = None, token: str | None = None, **settings: Any) -> RemoteStore:
        remote = RemoteSettings(**{"retry_first_s": 0.0, "deadline_s": 120.0, **settings})
        scheme, location = (server.url if url is None else url).split(":", 1)
        made.append(RemoteStore(scheme, location, auth_token=token, settings=remote))
        return made[-1]

    yield make
    for store in made:
        store.close()


def write(store: RemoteStore) -> Receipt:
    return store.commit(Batch((episode_record(2),)))


def read(store: RemoteStore) -> bytes | None:
    return store.get("episode", episode_record(1).id)


def follow(store: RemoteStore) -> int:
    return len(store.changes(0))


PASSING: dict[str, Fault] = {
    "status 500": faults.status(500),
    "status 502": faults.status(502),
    "too many requests": faults.status(429, retry_after="0"),
    "reply lost": faults.reply_lost,
    "hung up": faults.hung_up,
    "stream expired": faults.stream_expired,
    "busy": faults.busy,
    "garbage": faults.garbage,
    "no http": faults.no_http,
    "half an answer": faults.half_an_answer,
}
ENDLESS: dict[str, Fault] = {"no answer": faults.no_answer, "slow body": faults.slow_body}


@pytest.mark.parametrize("call", [write, read, follow])
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_fault_that_passes_is_survived_by_a_retry(
    server: HranaServer, opened: Open, fault: Fault, call: Callable[[RemoteStore], object]
) -> None:
    store = opened()
    store.commit(Batch((episode_record(1),)))
    server.inject(fault)
    call(store)
    if call is write:
        assert [change.id for change in store.changes(0)] == [episode_record(1).id, episode_record(2).id]
    assert store.stats()["remote_retries"] == 1


@pytest.mark.parametrize("call", [write, read, follow])
@pytest.mark.parametrize("fault", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_server_that_never_ends_its_answer_costs_the_deadline_and_no_more(
    server: HranaServer, opened: Open, fault: Fault, call: Callable[[RemoteStore], object]
) -> None:
    store = opened()
    store.commit(Batch((episode_record(1),)))
    store._caller._settings = replace(store._caller._settings, deadline_s=0.2)
    server.inject(fault)
    expected = CommitUnknownError if call is write else UnavailableError
    with pytest.raises(expected, match=r"deadline of 0\.2 s"):
        call(store)


def test_a_commit_whose_reply_was_lost_is_there_once_and_can_be_repeated(
    server: HranaServer, opened: Open
) -> None:
    store = opened(tries=1)
    store.commit(Batch((episode_record(1),)))
    server.inject(faults.reply_lost)
    with pytest.raises(CommitUnknownError, match="repeating it is safe"):
        write(store)
    again = write(store)
    assert (again.committed, again.unchanged, again.sequence) == (0, 1, 2)
    assert follow(store) == 2


def test_a_replacement_whose_reply_was_lost_is_repeated_without_a_conflict(
    server: HranaServer, opened: Open
) -> None:
    store = opened()
    first = episode_record(1)
    store.commit(Batch((first,)))
    version = store.version("episode", first.id)
    replaced = episode_record(1, payload=b"\x80", digest=bytes(16))
    batch = Batch((replaced,), (first.id,), expect=(Expect("episode", first.id, version),))
    server.inject(None, faults.reply_lost)  # the look passes, the commit's reply is lost
    receipt = store.commit(batch)
    assert (receipt.committed, receipt.unchanged) == (0, 2)
    assert store.get("episode", first.id) == b"\x80"
    with pytest.raises(VersionConflictError):
        store.commit(Batch((episode_record(5),), expect=batch.expect))


def test_a_commit_that_was_surely_not_run_is_unavailable_and_not_unknown(
    server: HranaServer, opened: Open
) -> None:
    store = opened(tries=1)
    store.sequence()
    server.inject(faults.status(429, retry_after="0"))
    with pytest.raises(UnavailableError):
        write(store)
    assert follow(store) == 0


def test_a_server_that_is_away_is_asked_no_more_than_the_breaker_allows(opened: Open) -> None:
    refusals = []
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        store = opened(f"http://127.0.0.1:{unused.getsockname()[1]}", breaker_open_s=3_600.0)
        for _ in range(50):
            with pytest.raises(UnavailableError) as raised:
                read(store)
            refusals.append(raised.value)
    assert all(refusal.retryable for refusal in refusals)
    assert "cannot be reached" in str(refusals[0])
    assert "breaker" in str(refusals[-1])
    assert refusals[-1].retry_after_s is not None
    stats = store.connection_stats()
    assert (stats["breaker"], stats["remote_requests"]) == ("open", 5)


def test_a_server_that_does_not_speak_tls_is_unavailable_and_not_asked_in_the_clear(
    server: HranaServer, opened: Open
) -> None:
    store = opened(server.url.replace("http:", "https:"), token=TOKEN, tries=1)
    with pytest.raises(UnavailableError, match="cannot be reached: SSLError"):
        read(store)
    assert server.requests["pipeline"] == 0


@pytest.mark.parametrize("breaker_failures", [RemoteSettings().breaker_failures, 10**6])
def test_retries_stay_within_their_budget_while_every_request_fails(
    server: HranaServer, opened: Open, breaker_failures: int
) -> None:
    calls, budget = 40, RemoteSettings()
    store = opened(breaker_failures=breaker_failures, breaker_open_s=3_600.0)
    store.sequence()
    server.inject(*[faults.status(500)] * calls * 2)
    before = server.requests["pipeline"]
    for _ in range(calls):
        with pytest.raises(UnavailableError):
            read(store)
    requests = server.requests["pipeline"] - before
    assert requests == 5 if breaker_failures == 5 else requests <= 1.1 * calls + budget.retry_reserve


def test_the_breaker_lets_one_probe_pass_after_its_break_and_closes(server: HranaServer) -> None:
    now = 0.0
    settings = RemoteSettings(tries=1, breaker_failures=2, breaker_open_s=10.0)
    address = ServerAddress.parse(*server.url.split(":", 1))
    caller = Caller(address, None, settings, clock=lambda: now)

    def call() -> bool:
        script = Script()
        script.then("SELECT 1")
        return caller.call(script, lambda results: results.ran(0))

    server.inject(faults.status(500), faults.status(500), faults.status(500))
    for _ in range(4):
        with pytest.raises(UnavailableError):
            call()
    assert server.requests["pipeline"] == 2
    now = 12.0
    with pytest.raises(UnavailableError):
        call()  # the probe fails: the next break is twice as long
    now = 24.0
    with pytest.raises(UnavailableError, match="breaker"):
        call()
    now = 40.0
    assert call()
    assert (server.requests["pipeline"], caller.stats()["breaker"]) == (4, "closed")
    caller.close()


def test_a_pause_that_the_server_asks_for_is_kept_by_every_call(server: HranaServer, opened: Open) -> None:
    store = opened()
    store.sequence()
    server.inject(faults.status(429, retry_after="3600"))
    before = server.requests["pipeline"]
    for _ in range(3):
        with pytest.raises(UnavailableError) as raised:
            read(store)
        assert raised.value.retry_after_s is not None
        assert 3_500 < raised.value.retry_after_s <= 3_600
    assert server.requests["pipeline"] - before == 1


def test_connections_are_reused_and_a_dead_one_is_noticed_before_it_is_used(tmp_path: Path) -> None:
    server = HranaServer(tmp_path / "server.db")
    port = server.server_address[1]
    store = RemoteStore("http", f"//127.0.0.1:{port}", settings=RemoteSettings(idle_s=3_600.0))
    for _ in range(5):
        store.sequence()
    assert store.connection_stats()["connections_opened"] == 1
    server.close()
    again = HranaServer(tmp_path / "server.db", port=port)
    store.sequence()
    stats = store.connection_stats()
    assert (stats["connections_opened"], stats["connections_discarded"], stats["remote_retries"]) == (2, 1, 0)
    store.close()
    again.close()


def test_an_answer_in_chunks_is_read_and_its_connection_used_again(server: HranaServer, opened: Open) -> None:
    store = opened()
    store.commit(Batch((episode_record(1),)))
    server.inject(faults.in_chunks)
    assert read(store) == episode_record(1).payload
    assert follow(store) == 1
    stats = store.connection_stats()
    assert (stats["connections_opened"], stats["remote_retries"]) == (1, 0)


def test_a_commit_that_finds_no_place_in_a_group_ends_with_its_deadline_and_is_not_sent_later(
    server: HranaServer, opened: Open
) -> None:
    store = opened()
    store.sequence()
    patient = store._caller._settings
    store._caller._settings = replace(patient, deadline_s=0.05)
    store._committer._in_flight = GROUPS_IN_FLIGHT
    with pytest.raises(UnavailableError, match=r"not sent within the deadline of 0\.05 s"):
        write(store)
    store._committer._in_flight = 0
    store._caller._settings = patient
    assert (store.stats()["queued"], store.sequence()) == (0, 0)


def test_a_store_cannot_be_carried_through_a_fork(server: HranaServer, opened: Open) -> None:
    store = opened()
    store.sequence()
    store._process += 1  # as the child sees it
    for call in (write, read, follow):
        with pytest.raises(StorageError, match="open it again in the child"):
            call(store)


def test_a_call_that_finds_no_free_connection_says_which_setting_helps(
    server: HranaServer, opened: Open
) -> None:
    store = opened(connections=1, acquire_timeout_s=0.0)
    store.sequence()
    with (
        store._caller._pool.lease(store._caller.deadline()),
        pytest.raises(UnavailableError, match=r"settings\.storage\.remote\.connections"),
    ):
        read(store)
    assert read(store) is None


def test_no_token_is_shown_in_errors_names_or_figures(tmp_path: Path) -> None:
    server = HranaServer(tmp_path / "server.db", token="another")
    memory = Memory(server.url, auth_token=TOKEN)
    with pytest.raises(StorageError, match="TACIT_AUTH_TOKEN") as raised:
        memory.patterns()
    shown = [str(raised.value), repr(raised.value), repr(memory), repr(memory._store)]
    assert not any("secret" in each for each in shown)
    assert not isinstance(raised.value, UnavailableError)
    memory.close()
    server.close()


def test_a_token_opens_the_server_by_argument_or_by_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = HranaServer(tmp_path / "server.db", token=TOKEN)
    with Memory(server.url, auth_token=TOKEN) as memory:
        assert memory.stats()["episodes"] == 0
    monkeypatch.setenv("TACIT_AUTH_TOKEN", TOKEN)
    with Memory(server.url) as memory:
        assert memory.stats()["episodes"] == 0
    server.close()


@pytest.mark.parametrize(
    ("address", "token", "complaint"),
    [
        ("libsql://me:secret@host", None, "without user"),
        ("libsql://host?authToken=secret", None, "give the token as auth_token"),
        ("libsql:host", None, "libsql://host:port"),
        ("libsql://host:no-port-secret", None, "libsql://host:port"),
        ("http://example.org", TOKEN, "use libsql://"),
        ("libsql://host", "secret token", "auth_token"),
        ("libsql://host", "secret\r\nHost: other", "auth_token"),
        ("agent-secret.db", TOKEN, "auth_token"),
    ],
)
def test_an_address_or_a_token_that_leaks_is_refused_without_repeating_it(
    address: str, token: str | None, complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint) as raised:
        Memory(address, auth_token=token)
    assert "secret" not in str(raised.value)


def test_a_recorder_never_breaks_its_agent_while_the_server_is_away(server: HranaServer) -> None:
    remote = RemoteSettings(tries=1, retry_first_s=0.0, breaker_failures=10**6)
    memory = Memory(server.url, settings=Settings(storage=StorageSettings(remote=remote)))
    memory.stats()
    server.inject(*[faults.hung_up] * 1_000)
    with memory.episode("Cancel order 17", domain="retail") as episode:
        assert episode.recall(limit=3).hits == ()
        episode.log("cancel_order", output="done")
        episode.succeed("cancelled")
    assert episode.problems
    server.forget_faults()
    memory.close()


def test_an_episode_that_the_server_missed_is_stored_when_it_is_completed_again(server: HranaServer) -> None:
    remote = RemoteSettings(tries=1)
    memory = Memory(server.url, settings=Settings(storage=StorageSettings(remote=remote)))
    episode_id = memory.start("Cancel order 17")
    memory.log(episode_id, "cancel_order", output="done")
    server.inject(*[faults.hung_up] * 20)
    with pytest.raises((UnavailableError, CommitUnknownError)):
        memory.complete(episode_id, Outcome.success())
    server.forget_faults()
    assert memory.complete(episode_id, Outcome.success()).state == "learned"
    assert memory.stats()["episodes"] == 1
    memory.close()
