"""The dashboard: its pages hold what the memory holds, for this machine's own names alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tacit import Memory
from tacit.cli.app import app

pytest.importorskip("starlette", reason="needs the extra dashboard")

from starlette.testclient import TestClient

from tacit.dashboard import make_dashboard
from tacit.dashboard.figures import health, overview

EVIL = '<script>alert("x")</script>'
PAGES = ("/", "/episodes", "/patterns", "/answers", "/recall", "/health")


@pytest.fixture(scope="module")
def memory() -> Iterator[Memory]:
    with Memory() as memory:
        for number in range(24):
            with memory.episode(
                f"Cancel order {number}", domain=("retail", "travel")[number % 2], agent="m-1"
            ) as episode:
                episode.recall()
                episode.log("get_order", parameters={"order_id": number}, output=EVIL)
                if number % 4 == 3:
                    episode.log("cancel_order", error="no card")
                    episode.fail("no card")
                else:
                    episode.log("cancel_order", output="cancelled")
                    episode.succeed()
        yield memory


@pytest.fixture(scope="module")
def client(memory: Memory) -> TestClient:
    return TestClient(make_dashboard(memory), base_url="http://localhost:8766")


def test_the_overview_counts_successes_over_time_by_domain_and_by_agent(memory: Memory) -> None:
    found = overview(memory)
    assert (found.total, found.overall.trials, round(found.overall.mean, 2)) == (24, 24, 0.74)
    assert [point.trials for point in found.curve] == [6, 6, 6, 6]
    assert {(each.name, each.trials) for each in found.domains} == {("retail", 12), ("travel", 12)}
    assert [each.name for each in found.agents] == ["m-1"]
    retail, travel = sorted(found.domains, key=lambda each: each.name)
    assert retail.low > travel.low
    assert travel.low < travel.mean < travel.high


def test_the_overview_shows_the_curve_and_what_was_learned_lately(client: TestClient) -> None:
    shown = client.get("/").text
    assert 'aria-label="Success went from' in shown
    assert shown.count("<circle") == 4
    for text in ("Cancel order 23", "retail", "travel", "m-1", 'class="failure"'):
        assert text in shown


def test_a_young_memory_and_an_empty_one_have_pages_too() -> None:
    with Memory() as memory:
        client = TestClient(make_dashboard(memory), base_url="http://127.0.0.1")
        for path in PAGES:
            assert client.get(path).status_code == 200
        assert "The curve begins with ten judged episodes" in client.get("/").text


def test_an_episode_shows_its_steps_escaped_and_the_answers_it_was_given(
    client: TestClient, memory: Memory
) -> None:
    newest = memory.episodes(limit=1)[0]
    shown = client.get(f"/episodes/{newest.id}").text
    assert "cancel_order" in shown
    assert "no card" in shown
    assert "Answers it was given" in shown
    assert EVIL not in shown
    assert "&lt;script&gt;" in shown


def test_patterns_show_their_intervals_and_lineage_and_can_be_filtered(client: TestClient) -> None:
    shown = client.get("/patterns").text
    assert re.search(r"\d+ of \d+", shown)
    assert "shown " in shown
    only = client.get("/patterns?kind=error_recovery").text
    assert "steps get_order" not in only


def test_answers_say_how_many_memories_were_shown_and_used(client: TestClient) -> None:
    rows = re.findall(r"<tr>.*?</tr>", client.get("/answers").text)
    assert len(rows) > 10
    assert any(re.search(r'data-head="showed"><span class="number">[1-9]', row) for row in rows)
    assert any(re.search(r'data-head="used"><span class="number">[1-9]', row) for row in rows)


def test_a_question_shows_the_prompt_and_reasons_that_add_up_and_writes_nothing(
    client: TestClient, memory: Memory
) -> None:
    before = memory.stats()["sequence"]
    shown = client.get("/recall", params={"task": "Cancel order 99", "domain": "retail"}).text
    assert "&lt;tacit-memory" in shown
    assert "lexical" in shown
    assert memory.stats()["sequence"] == before


def test_a_question_that_breaks_its_limits_is_refused_in_words(client: TestClient) -> None:
    answer = client.get("/recall", params={"task": "x" * 20_000})
    assert answer.status_code == 400
    assert "task must be at most 10,000 bytes" in answer.text


def test_health_names_what_is_wrong_and_its_remedy(client: TestClient, memory: Memory) -> None:
    assert all(check.ok for check in health(memory))
    assert "last learned" in client.get("/health").text


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:8766", "", "[::1"])
def test_a_request_to_a_foreign_host_is_refused(client: TestClient, host: str) -> None:
    for path in (*PAGES, "/style.css"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 421
        assert "Cancel order" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8766", "[::1]:8766", "LOCALHOST:1"])
def test_this_machines_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


def test_pages_run_no_script_and_load_nothing_from_elsewhere(client: TestClient, memory: Memory) -> None:
    paths = [*PAGES, f"/episodes/{memory.episodes(limit=1)[0].id}", "/recall?task=Cancel+order+17"]
    for path in paths:
        answer = client.get(path)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert "<script" not in answer.text
        assert " style=" not in answer.text
        assert not re.search(r"(src|href|action)=\"(?!/)", answer.text)


def test_only_reading_is_offered(client: TestClient) -> None:
    for path in PAGES:
        assert client.post(path).status_code == 405


def test_an_unknown_episode_is_not_found(client: TestClient) -> None:
    answer = client.get("/episodes/00000000-0000-0000-0000-000000000000")
    assert answer.status_code == 404
    assert "<h1>Not here</h1>" in answer.text


def test_the_command_serves_this_machine_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: dict[str, Any] = {}

    def run(app: Any, **options: Any) -> None:
        served.update(options, answer=TestClient(app, base_url="http://localhost").get("/"))

    monkeypatch.setattr("uvicorn.run", run)
    done = CliRunner().invoke(app, ["dashboard", "--db", str(tmp_path / "agent.db"), "--port", "8799"])
    assert done.exit_code == 0, done.output
    assert (served["host"], served["port"]) == ("127.0.0.1", 8799)
    assert served["answer"].status_code == 200
    assert "http://127.0.0.1:8799" in done.output
