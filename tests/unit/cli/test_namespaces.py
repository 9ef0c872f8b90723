from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tacit import Episode, Memory, Outcome, Step
from tacit.hooks.repositories import namespace_of
from tests.unit.cli.conftest import Tacit


@pytest.fixture
def repository(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is below a repository that the memory holds one episode of; "default" has another one."""
    top = tmp_path / "shop"
    (top / ".git").mkdir(parents=True)
    (top / "src").mkdir()
    with Memory(database) as memory:
        memory.add(Episode("Deploy to staging", steps=(Step("common"),)))
        memory.within(namespace_of(top)).add(Episode("Deploy to staging", steps=(Step("own"),)))
    monkeypatch.chdir(top / "src")
    return top


def test_commands_within_a_repository_read_its_own_namespace_and_say_so(
    tacit: Tacit, repository: Path
) -> None:
    answer = tacit("recall", "Deploy to staging", "--json")
    assert [hit["tools"] for hit in answer.data["hits"]] == [["own"]]
    assert answer.err.startswith(f"in the namespace {namespace_of(repository)}")
    assert answer.err.count("\n") == 1
    common = tacit("recall", "Deploy to staging", "--json", "--namespace", "default")
    assert [hit["tools"] for hit in common.data["hits"]] == [["common"]]
    assert common.err == ""
    (episode,) = tacit("episodes", "--json").data["episodes"]
    assert episode["steps"][0]["tool"] == "own"


def test_a_folder_without_memories_of_its_own_means_the_common_namespace(
    tacit: Tacit, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = tacit("recall", "Deploy to staging", "--json")
    assert [hit["tools"] for hit in answer.data["hits"]] == [["common"]]
    assert answer.err == ""
    empty = tacit("recall", "Deploy", "--namespace", "other")
    assert "no episodes in the namespace other" in empty.err


def test_an_id_is_enough_whichever_namespace_it_is_in(
    tacit: Tacit, repository: Path, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tacit("episodes", "--json").data["episodes"][0]["id"]
    monkeypatch.chdir(tmp_path)
    assert "own" in tacit("show", own).out
    assert tacit("judge", own, "success").status == 0
    opened = tacit("start", "Deploy", "--namespace", "third").out.strip()
    assert tacit("log", opened, "look", "--output", "1").status == 0
    assert "outcome unknown" in tacit("complete", opened).out
    with Memory(database, namespace="third") as memory:
        for outcome, tool in ((Outcome.success(), "look"), (Outcome.failure("no"), "guess")):
            step = Step(tool, status="ok")
            list(
                memory.add_many(Episode("Buy a lamp", steps=(step, step), outcome=outcome) for _ in range(15))
            )
    run = tacit("maintain", "--json", "--namespace", "third").data["id"]
    assert run is not None
    assert tacit("undo", run).status == 0
    assert tacit("forget", own).status == 0
    assert tacit("show", own).status == 1
    assert tacit("show", "no id at all").status == 1


def test_writing_commands_mean_the_common_namespace_and_name_it_in_their_hints(
    tacit: Tacit, repository: Path, runs: Path
) -> None:
    answer = tacit("import", runs)
    assert "tacit heuristics --namespace default" in answer.err
    opened = tacit("start", "Deploy")
    assert opened.err == ""
    assert tacit("show", opened.out.strip(), "--json").data["namespace"] == "default"


def test_a_server_within_a_repository_serves_its_namespace(
    tacit: Tacit, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[str] = []

    class Server:
        def run(self) -> None:
            return

    def make_server(memory: Memory, **options: Any) -> Server:
        served.append(memory.namespace)
        return Server()

    monkeypatch.setattr("tacit.serve.make_server", make_server)
    assert tacit("serve").status == 0
    assert tacit("serve", "--namespace", "default").status == 0
    assert served == [namespace_of(repository), "default"]
