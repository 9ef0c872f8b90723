"""Secrets do not reach the store: not in a file, not in a value, not in anything derived from them."""

from __future__ import annotations

import errno
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tacit import Episode, Memory, Outcome, Settings, Step, ValidationError
from tacit.errors import StorageError, UnknownNameError
from tacit.importers import import_file
from tacit.redaction import Chain, Secrets, key_beside, replace_texts
from tacit.storage import InMemoryStore, NativeStore

TOKEN = "ghp_aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zAbC9d"
PASSWORD = "correct7horse8battery"
SECRETS = (TOKEN, PASSWORD, "s3cr3tOfTheAddress")


def leak(memory: Memory) -> str:
    """An episode that shows a secret in every field that holds text; returns its id."""
    episode_id = memory.start(
        f"deploy with {TOKEN}", domain="ops", metadata={"api_key": PASSWORD, "notes": [TOKEN]}
    )
    memory.log(
        episode_id,
        "connect",
        f"connect as {TOKEN}",
        parameters={"password": PASSWORD, "url": "postgres://app:s3cr3tOfTheAddress@db/orders", TOKEN: 1},
        error=f"login with password={PASSWORD} was refused",
        metadata={"headers": {"Authorization": f"Bearer {TOKEN}"}},
    )
    memory.log(episode_id, "connect", output={"env": f"DB_PASSWORD={PASSWORD}\nPATH=/bin"})
    memory.complete(episode_id, Outcome.success(f"token {TOKEN} worked", artifacts=(f"notes: {TOKEN}",)))
    return episode_id


def bytes_beside(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in path.parent.iterdir() if each.is_file())


def test_a_secret_is_in_no_file_of_the_store(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with Memory(path) as memory:
        episode_id = leak(memory)
        memory.recall("deploy with a token", domain="ops", limit=5)
        memory.maintain()
        text = repr(memory.get(episode_id)) + repr(memory.patterns(limit=1_000))
    files = bytes_beside(path)
    assert b"connect" in files
    for secret in SECRETS:
        assert secret not in text
        assert secret.encode() not in files


def test_the_number_of_secrets_is_told() -> None:
    with Memory() as memory:
        episode_id = memory.start("t")
        memory.log(episode_id, "connect", parameters={"password": "abc"}, error=f"{TOKEN} was refused")
        assert memory.complete(episode_id, Outcome.success()).redacted == 2
        assert memory.add(Episode("clean", outcome=Outcome.success())).redacted == 0


def test_equal_secrets_stay_equal_over_processes_and_differ_between_stores(tmp_path: Path) -> None:
    tasks = []
    for name in ("a", "a", "b"):
        with Memory(tmp_path / name / "agent.db") as memory:
            memory.add(Episode(f"use {TOKEN}", outcome=Outcome.success()))
            tasks.append(memory.episodes()[0].task)
    assert tasks[0] == tasks[1] != tasks[2]


def test_errors_are_classed_without_their_secrets() -> None:
    with Memory() as memory:
        for token in ("ghp_" + "aB3d" * 9, "ghp_" + "xY9z" * 9):
            steps = (
                Step("push", status="error", error=f"remote rejected {token}"),
                Step("login", status="ok"),
                Step("push", status="ok"),
            )
            memory.add(Episode("push the branch", steps=steps, outcome=Outcome.success()))
        (pattern,) = memory.patterns(kind="error_recovery")
        assert pattern.trials == 2
        assert "ghp" not in str(pattern.content)


def test_completing_again_with_the_same_secret_verdict_changes_nothing() -> None:
    with Memory() as memory:
        episode_id = memory.start("t")
        outcome = Outcome.failure(f"token {TOKEN} expired")
        assert memory.complete(episode_id, outcome).state == "learned"
        assert memory.complete(episode_id, outcome).state == "unchanged"


def test_adding_the_same_episode_again_changes_nothing(tmp_path: Path) -> None:
    episode = Episode(f"use {TOKEN}", external_id="run-1", outcome=Outcome.success())
    with Memory(tmp_path / "agent.db") as memory:
        assert memory.add(episode).state == "learned"
        assert memory.add(episode).state == "unchanged"
    with Memory(tmp_path / "agent.db") as memory:
        assert memory.add(episode).state == "unchanged"


def test_an_episode_that_was_stored_before_redaction_is_the_same_episode(tmp_path: Path) -> None:
    episode = Episode(f"use {TOKEN}", external_id="run-1", outcome=Outcome.success())
    with Memory(tmp_path / "agent.db", redactor=None) as memory:
        memory.add(episode)
        assert memory.episodes()[0].task == f"use {TOKEN}"
    with Memory(tmp_path / "agent.db") as memory:
        assert memory.add(episode).state == "unchanged"


def test_the_key_lies_beside_the_store_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with Memory(path) as memory:
        memory.add(Episode("t", outcome=Outcome.success()))
    (key,) = tmp_path.glob("*.redaction-key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert bytes.fromhex(key.read_text()) not in path.read_bytes()


def test_processes_that_make_a_key_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: key_beside(tmp_path / "agent.db"), range(64)))
    assert len(keys) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["agent.db.redaction-key"]


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "agent.db.redaction-key").write_text("a note")
    with pytest.raises(StorageError, match="redaction key"):
        Memory(tmp_path / "agent.db")


def test_the_redactor_is_chosen_by_argument_or_settings() -> None:
    def stored(memory: Memory) -> str:
        with memory:
            memory.add(Episode(f"use {TOKEN}", outcome=Outcome.success()))
            return memory.episodes()[0].task

    assert TOKEN in stored(Memory(redactor=None))
    assert TOKEN in stored(Memory(redactor="off"))
    assert TOKEN in stored(Memory(settings=Settings(redactor="off")))
    assert TOKEN not in stored(Memory(settings=Settings(redactor="off"), redactor="secrets"))
    assert (
        stored(Memory(redactor=Secrets(key=bytes(32))))
        == Secrets(key=bytes(32)).redact_text(f"use {TOKEN}")[0]
    )
    with pytest.raises(UnknownNameError, match="did you mean 'secrets'"):
        Memory(redactor="secret")
    with pytest.raises(ValidationError, match="redactor"):
        Memory(redactor=3)  # type: ignore[arg-type]


class NoOrders:
    def redact(self, record: bytes) -> tuple[bytes, int]:
        return replace_texts(record, lambda text: text.replace("order 17", "an order"))


def test_a_redactor_in_python_runs_beside_the_default_one() -> None:
    with Memory(redactor=["secrets", NoOrders()]) as memory:
        episode_id = memory.start(f"cancel order 17 with {TOKEN}")
        memory.log(episode_id, "cancel", parameters={"what": ["order 17"]}, output="order 17 is cancelled")
        learned = memory.complete(episode_id, Outcome.success())
        episode = memory.get(episode_id)
    assert learned.redacted == 4
    assert episode.task.startswith("cancel an order with [REDACTED:github:")
    assert (episode.steps[0].parameters, episode.steps[0].output) == (
        {"what": ["an order"]},
        "an order is cancelled",
    )
    assert isinstance(Chain([NoOrders()]).redact(b"\x80")[1], int)


class Broken:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def redact(self, record: bytes) -> tuple[bytes, int]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]


@pytest.mark.parametrize("answer", [None, (b"\x80", 1), (b"\xc1", 1), ValueError("no")])
def test_nothing_is_stored_if_the_redactor_fails_and_the_episode_stays_open(answer: object) -> None:
    store = InMemoryStore()
    memory = Memory(store=store, redactor=Broken(answer))
    episode_id = memory.start("t")
    memory.log(episode_id, "look", output=1)
    with pytest.raises(ValueError, match=r"redact|no"):
        memory.complete(episode_id, Outcome.success())
    assert memory.episodes() == ()
    memory.log(episode_id, "look", output=2)
    assert len(memory.get(episode_id).steps) == 2
    with pytest.raises(StorageError, match="open episodes could not be stored"):
        memory.flush()
    assert store.scan("step_batch") == []


def test_a_backup_holds_no_key(tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    store = NativeStore(tmp_path / "agent.db")
    with Memory(store=store) as memory:
        memory.add(Episode(f"use {TOKEN}", outcome=Outcome.success()))
        store.backup(tmp_path / "copies" / "agent.db")
    key = (tmp_path / "agent.db.redaction-key").read_text().strip()
    assert [each.name for each in (tmp_path / "copies").iterdir()] == ["agent.db"]
    copied = (tmp_path / "copies" / "agent.db").read_bytes()
    assert key.encode() not in copied
    assert bytes.fromhex(key) not in copied


def test_imported_runs_are_redacted(tmp_path: Path) -> None:
    run = {
        "source": "s", "task_id": "t", "trial": 0, "model": "m", "domain": "ops",
        "task_description": f"use {TOKEN}",
        "steps": [{"tool": "login", "ok": True, "arguments": {"password": PASSWORD}, "observation": TOKEN}],
        "outcome": {"success": True},
    }  # fmt: skip
    file = tmp_path / "runs.jsonl"
    file.write_text(json.dumps(run))
    with Memory(tmp_path / "store" / "agent.db") as memory:
        assert import_file(memory, file).imported == 1
        assert TOKEN not in repr(memory.episodes())
    assert not any(secret.encode() in bytes_beside(tmp_path / "store" / "agent.db") for secret in SECRETS)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_takes_no_key_leaves_a_random_one(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refused)
    assert len(key_beside(tmp_path / "agent.db")) == 32
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_hard_links_keeps_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "link", refused)
    key = key_beside(tmp_path / "agent.db")
    assert key_beside(tmp_path / "agent.db") == key
    assert [each.name for each in tmp_path.iterdir()] == ["agent.db.redaction-key"]
