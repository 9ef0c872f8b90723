"""A memory on a libSQL server, shared by hosts, copied to a file, and looked at from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tacit import Learned, Memory, Outcome, ValidationError
from tacit.cli.app import app
from tacit.storage.remote import RemoteStore
from tacit.testing import Clock
from tests.hrana_server import HranaServer


def test_two_hosts_share_a_server_and_each_sees_the_others_work_with_its_next_recall(tmp_path: Path) -> None:
    server = HranaServer(tmp_path / "server.db")
    with Memory(server.url) as here, Memory(server.url) as there:
        learned = record(here, 17)
        assert [hit.episode_id for hit in there.recall("Cancel order 18", domain="retail").hits] == [
            learned.episode_id
        ]
        there.judge(learned.episode_id, Outcome.failure("the money did not arrive"))
        assert here.get(learned.episode_id).outcome == Outcome.failure("the money did not arrive")
        here.forget(learned.episode_id)
        assert there.recall("Cancel order 18", domain="retail").hits == ()
        assert there.patterns() == ()
    server.close()


def test_an_open_episode_moves_from_one_host_to_another(tmp_path: Path) -> None:
    server = HranaServer(tmp_path / "server.db")
    with Memory(server.url) as here, Memory(server.url) as there:
        episode_id = here.start("Cancel order 17", domain="retail")
        here.log(episode_id, "get_order", output={"status": "pending"})
        here.flush()
        there.resume(episode_id, force=True)
        there.log(episode_id, "cancel_order", output="done")
        there.complete(episode_id, Outcome.success())
        assert [step.tool for step in here.get(episode_id).steps] == ["get_order", "cancel_order"]
    server.close()


def test_a_backup_of_a_server_is_a_local_memory_with_the_same_answers(tmp_path: Path) -> None:
    server, now = HranaServer(tmp_path / "server.db"), Clock()
    with Memory(server.url, clock=now) as memory:
        for order in range(5):
            record(memory, order)
        memory.forget(memory.episodes(limit=1)[0].id)
        before = [
            (hit.episode_id, hit.score) for hit in memory.recall("Cancel order 9", domain="retail").hits
        ]
    with RemoteStore(*server.url.split(":", 1)) as store:
        store.backup(tmp_path / "copy.db")
        sequence = store.sequence()
        with pytest.raises(ValidationError, match="does not exist"):
            store.backup(tmp_path / "copy.db")
    server.close()
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    with Memory(tmp_path / "copy.db", clock=now) as copy:
        after = [(hit.episode_id, hit.score) for hit in copy.recall("Cancel order 9", domain="retail").hits]
        assert copy.stats()["sequence"] == sequence
    assert after == before


def test_the_shell_takes_the_address_of_a_server(tmp_path: Path) -> None:
    server = HranaServer(tmp_path / "server.db")
    with Memory(server.url) as memory:
        record(memory, 17)
    run = CliRunner()
    doctor = run.invoke(app, ["doctor", "--db", server.url, "--json"])
    checks = {check["name"]: check for check in json.loads(doctor.stdout)["checks"]}
    assert doctor.exit_code == 0
    assert "answered within" in checks["server"]["detail"]
    assert "breaker closed" in checks["connections"]["detail"]
    assert run.invoke(app, ["repair", "--db", server.url]).exit_code == 0
    assert run.invoke(app, ["backup", str(tmp_path / "copy.db"), "--db", server.url]).exit_code == 0
    server.close()
    assert run.invoke(app, ["doctor", "--db", server.url]).exit_code == 1


def record(memory: Memory, order: int) -> Learned:
    episode_id = memory.start(f"Cancel order {order}", domain="retail")
    memory.log(episode_id, "get_order", parameters={"order_id": order}, output={"status": "pending"})
    memory.log(episode_id, "cancel_order", parameters={"order_id": order}, output="done")
    return memory.complete(episode_id, Outcome.success())
