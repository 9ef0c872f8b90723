"""The server as a host meets it: JSON-RPC over standard input and output, and over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from tacit import Memory, Outcome
from tacit.serve import make_server
from tests.unit.tools.shop import AFTER, PLAN, REASONS, TASKS, attempt, attempts, remembered

CLIENT = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class Host:
    """A host that started `tacit serve` and speaks the protocol line by line."""

    def __init__(self, database: Path, *options: str) -> None:
        command = [sys.executable, "-m", "tacit", "serve", "--db", str(database), *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.notes: list[str] = []
        self._count = 0
        self.started = self.call("initialize", **CLIENT)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        assert self.process.stdout is not None
        self._count += 1
        self._send({"jsonrpc": "2.0", "id": self._count, "method": method, "params": params})
        while True:
            message = json.loads(self.process.stdout.readline())
            if message.get("id") == self._count:
                answer: dict[str, Any] = message["result"]
                return answer
            self.notes.append(message["method"])

    def tool(self, name: str, **arguments: Any) -> dict[str, Any]:
        answer = self.call("tools/call", name=name, arguments=arguments)
        assert not answer.get("isError"), answer
        content: dict[str, Any] = answer["structuredContent"]
        return content

    def refusal(self, name: str, **arguments: Any) -> str:
        answer = self.call("tools/call", name=name, arguments=arguments)
        assert answer["isError"]
        return str(answer["content"][0]["text"])

    def names(self) -> list[str]:
        return [tool["name"] for tool in self.call("tools/list")["tools"]]

    def close(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        status = self.process.wait(60)
        self.process.stdout.close()
        return status


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "m.db")
    yield host
    assert host.close() == 0


def test_a_session_records_an_episode_and_the_next_one_is_told_its_lesson(host: Host) -> None:
    started = host.tool("start_episode", task="Cancel order 17 and refund it", domain="retail")
    assert started["text"] == ""
    id = started["episode_id"]
    host.tool("log_step", episode_id=id, tool="get_order", parameters={"id": 17}, output={"status": "open"})
    host.tool(
        "log_step", episode_id=id, tool="cancel", parameters={"id": 17}, error="payment method not found"
    )
    host.tool(
        "log_step", episode_id=id, tool="cancel", parameters={"id": 17, "refund_to": "card"}, output="ok"
    )
    assert host.tool("complete_episode", episode_id=id, outcome="success")["state"] == "learned"

    again = host.tool("start_episode", task="Cancel order 18 and refund it", domain="retail")
    assert 'cancel {"id": 17, "refund_to": "card"}' in again["text"]
    failed = host.tool(
        "log_step", episode_id=again["episode_id"], tool="cancel", error="payment method not found"
    )
    assert "worked 1 of 1 times" in failed["hint"]
    recalled = host.tool("recall", task="Cancel order 19 and refund it", max_tokens=200)
    assert recalled["episodes"][0]["episode_id"] == id
    helped = host.tool("feedback", recall_id=again["recall_id"], helped=[id])
    assert helped == {"state": "credited"}


def test_few_tools_are_listed_and_a_search_brings_more(host: Host) -> None:
    first = host.names()
    assert first == ["recall", "start_episode", "log_step", "complete_episode", "feedback", "search_tools"]
    assert host.started["capabilities"]["tools"]["listChanged"] is True
    found = [tool["name"] for tool in host.tool("search_tools", query="fix for an error")["tools"]]
    assert found[0] == "recover_from_error"
    assert "notifications/tools/list_changed" in host.notes
    assert host.names() == [*first, *found]
    assert host.tool("search_tools", query="quantum banana") == {"tools": [], "generated": []}


def test_every_tool_says_whether_it_reads_or_destroys_and_has_a_schema_of_its_answer(tmp_path: Path) -> None:
    host = Host(tmp_path / "m.db", "--all-tools")
    tools = {tool["name"]: tool for tool in host.call("tools/list")["tools"]}
    assert len(tools) == 17
    for tool in tools.values():
        assert tool["annotations"]["openWorldHint"] is False
        assert tool["outputSchema"]["properties"]
        assert tool["description"]
    assert tools["forget_episode"]["annotations"]["destructiveHint"] is True
    assert tools["recall"]["annotations"]["readOnlyHint"] is True
    assert tools["log_step"]["annotations"]["readOnlyHint"] is False
    assert host.close() == 0


def test_every_tool_that_a_search_brings_answers(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        for number in range(6):
            with memory.episode(f"Cancel order {number}", domain="retail") as episode:
                episode.log("get", parameters={"id": number}, output="open")
                episode.log("cancel", error="no card")
                episode.log("cancel", parameters={"to": "voucher"}, output="done")
                episode.succeed()
        memory.maintain()
        id = memory.episodes(limit=1)[0].id
    host = Host(tmp_path / "m.db", "--all-tools")
    assert "get" in host.tool("suggest_next_step", task="Cancel order 9", steps=[])["text"]
    assert "cancel" in host.tool("recover_from_error", error="no card", tool="cancel")["text"]
    assert "success" in host.tool("predict_outcome", task="Cancel order 9", domain="retail")["text"]
    assert "cancel" in host.tool("plan_task", task="Cancel order 9")["text"]
    assert "error_recovery" in host.tool("list_patterns", kind="error_recovery")["text"]
    host.tool("list_heuristics")
    assert "no card" in host.tool("get_episode", episode_id=id)["text"]
    assert (
        host.tool("judge_episode", episode_id=id, outcome="failure", reason="wrong order")["state"]
        == "learned"
    )
    assert "episodes: 6" in host.tool("memory_stats")["text"]
    assert host.tool("forget_episode", episode_id=id) == {"state": "forgotten"}
    assert host.close() == 0
    with Memory(tmp_path / "m.db") as memory:
        assert len(memory.episodes()) == 5


def test_a_refusal_reaches_the_model_in_words_and_the_session_goes_on(host: Host) -> None:
    assert "no episode 'nope'" in host.refusal("complete_episode", episode_id="nope")
    assert "task must not be empty" in host.refusal("recall", task="")
    assert "limit" in host.refusal("recall", task="x", limit=0)
    assert host.tool("recall", task="x")["episodes"] == []


def test_resources_and_the_prompt_read_the_memory(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        id = memory.start("Cancel order 1")
        memory.log(id, "cancel", output="done")
        memory.complete(id, Outcome.success())
        pattern = memory.patterns()[0].id
    host = Host(tmp_path / "m.db")
    (read,) = host.call("resources/read", uri=f"episode://{id}")["contents"]
    assert json.loads(read["text"])["task"] == "Cancel order 1"
    (read,) = host.call("resources/read", uri=f"pattern://{pattern}")["contents"]
    assert json.loads(read["text"])["trials"] == 1
    answer = host.call("prompts/get", name="plan_with_memory", arguments={"task": "Cancel order 2"})
    assert "<tacit-memory" in answer["messages"][0]["content"]["text"]
    assert host.close() == 0


def test_a_search_with_a_task_brings_generated_tools_and_their_calls_are_planned(tmp_path: Path) -> None:
    with remembered(list(attempts()), tmp_path / "m.db") as memory:
        name = next(each.name for each in memory.tools() if len(each.steps) == len(PLAN))
    host = Host(tmp_path / "m.db")
    listed = host.names()
    found = host.tool("search_tools", query="Cancel order 7 for customer 3")
    schema = next(each["parameters"] for each in found["generated"] if each["name"] == name)
    assert schema["properties"]["order_id"]["type"] == "integer"
    assert "use_generated_tool" in [each["name"] for each in found["tools"]]
    assert set(host.names()) - set(listed) == {each["name"] for each in found["tools"]}

    given = {"order_id": 7, "reason": REASONS[0], "key": "k", "note": "n"}
    calls = host.tool("use_generated_tool", tool=name, arguments=given)["calls"]
    assert [call["tool"] for call in calls] == list(PLAN)
    assert calls[1]["arguments"] == {"country": "DE", "note": "n"}
    assert calls[2]["from_results"] == [{"argument": "user", "step": 1, "path": ["owner", "id"]}]
    assert "order_id must be given" in host.refusal("use_generated_tool", tool=name, arguments={})
    assert "no generated tool 'nope'" in host.refusal("use_generated_tool", tool="nope", arguments={})
    assert host.close() == 0


def test_a_withdrawn_tool_is_refused_with_the_reason(tmp_path: Path) -> None:
    late = [attempt(240 + n, n % TASKS, checks=True, works=False) for n in range(10)]
    with remembered([*attempts(), *late], tmp_path / "m.db") as memory:
        known = memory.tools(withdrawn=True)
        name = next(each.name for each in known if len(each.steps) == len(PLAN))
    host = Host(tmp_path / "m.db", "--all-tools")
    found = host.tool("find_generated_tools", task="Cancel order 7 for customer 3", limit=50)["generated"]
    assert name not in [each["name"] for each in found]
    assert "is withdrawn: it started to fail" in host.refusal("use_generated_tool", tool=name, arguments={})
    assert host.close() == 0


# --- HTTP ---

SHOP, BANK = "shop-token-0123456789", "bank-token-0123456789"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    import uvicorn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Memory(tmp_path / "m.db") as memory:
        for namespace in ("shop", "bank"):
            view = memory.within(namespace)
            view.complete(view.start(f"Secret of the {namespace}"), Outcome.success())
        app = make_server(memory).http_app(port=port, tokens={SHOP: "shop", BANK: "bank"})
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive()
        yield "127.0.0.1", port
        server.should_exit = True
        thread.join(30)


def posted(
    address: tuple[str, int], message: dict[str, Any], token: str | None = SHOP, **headers: str
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(*address, timeout=30)
    sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    connection.request("POST", "/mcp", json.dumps(message), sent | headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body) if answer.status == 200 else body.decode()


def called(name: str, **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments},
    }


def test_a_token_opens_its_own_namespace_and_no_other(address: tuple[str, int]) -> None:
    for token, mine, other in ((SHOP, "shop", "bank"), (BANK, "bank", "shop")):
        status, answer = posted(address, called("recall", task="Secret of the shop or the bank"), token)
        assert status == 200
        tasks = [hit["task"] for hit in answer["result"]["structuredContent"]["episodes"]]
        assert tasks == [f"Secret of the {mine}"]
        assert other not in json.dumps(answer["result"])


def test_generated_tools_stay_in_their_namespace(address: tuple[str, int], tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db", clock=lambda: AFTER * 1_000) as memory:
        shop = memory.within("shop")
        assert len(list(shop.add_many(attempts()))) == 240
        shop.maintain()
        name = shop.tools()[0].name
    task = "Cancel order 7 for customer 3"
    status, answer = posted(address, called("search_tools", query=task), SHOP)
    assert status == 200
    assert name in [each["name"] for each in answer["result"]["structuredContent"]["generated"]]
    _, answer = posted(address, called("search_tools", query=task), BANK)
    assert answer["result"]["structuredContent"]["generated"] == []
    _, answer = posted(address, called("use_generated_tool", tool=name, arguments={}), BANK)
    assert "no generated tool" in json.dumps(answer["result"])
    _, answer = posted(address, {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}, BANK)
    assert name not in json.dumps(answer["result"])


@pytest.mark.parametrize("token", [None, "", "wrong-token-0123456789", SHOP[:-1], SHOP + "x"])
def test_a_request_without_a_known_token_is_refused(address: tuple[str, int], token: str | None) -> None:
    status, _ = posted(address, called("recall", task="Secret"), token)
    assert status == 401


def test_foreign_hosts_origins_and_large_bodies_are_refused(address: tuple[str, int]) -> None:
    message = called("recall", task="Secret")
    assert posted(address, message, Host="evil.example")[0] == 421
    assert posted(address, message, Origin="http://evil.example")[0] == 403
    assert posted(address, called("recall", task="x" * 5_000_000))[0] == 413
    assert posted(address, message)[0] == 200
