"""Sessions of coding agents, written by hand after their formats: copies, rejections, and what was forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tacit import Memory
from tacit.hooks.repositories import namespace_of
from tacit.hooks.sessions import AgentFolder, import_sessions
from tacit.importers import import_file
from tests.unit.importers.forms.test_forms import (
    AT,
    SESSION,
    claude,
    codex,
    episodes,
    lines,
    result,
    shown,
    used,
)

REJECTED = "The user doesn't want to proceed with this tool use. The tool use was rejected (STOP)."


def test_a_call_that_the_user_did_not_allow_neither_failed_nor_went_well(tmp_path: Path) -> None:
    session = [
        claude("u1", "user", "Deploy", 1),
        claude("a1", "assistant", [used("t1", "Bash", command="deploy")], 2),
        claude("r1", "user", [result("t1", REJECTED, True)], 3),
    ]
    (episode,) = episodes(lines(tmp_path / "s.jsonl", *session), "claude-code")
    (step,) = episode.steps
    assert (step.status, step.error, step.output) == (None, None, None)
    assert step.metadata == {"rejected": True}
    rollout = [
        codex(1, "session_meta", id="s", cwd="/repo"),
        codex(1, "response_item", type="message", role="user", content=[{"text": "Deploy"}]),
        codex(2, "response_item", type="function_call", name="shell", arguments="{}", call_id="c"),
        codex(
            3,
            "response_item",
            type="function_call_output",
            call_id="c",
            output="exec command rejected by user",
        ),
    ]
    (episode,) = episodes(lines(tmp_path / "rollout.jsonl", *rollout), "codex")
    assert [step.status for step in episode.steps] == [None]


def test_a_session_that_was_copied_or_resumed_in_a_new_file_is_stored_once(tmp_path: Path) -> None:
    resumed = [line | {"sessionId": "s2"} for line in SESSION]
    resumed.append(claude("u3", "user", "And now?", 9, sessionId="s2"))
    resumed.append(claude("a3", "assistant", [used("t5", "Bash", command="ls")], 9, sessionId="s2"))
    files = [lines(tmp_path / name, *found) for name, found in (("a.jsonl", SESSION), ("b.jsonl", resumed))]
    copy = tmp_path / "elsewhere" / "a.jsonl"
    copy.parent.mkdir()
    copy.write_bytes(files[0].read_bytes())
    with Memory() as memory:
        count = import_sessions(memory, [*files, copy])
        stored = memory.episodes(limit=100, namespace=namespace_of("/repo"))
    assert count.refused == 0
    assert len(stored) == 4


def test_a_session_without_a_folder_has_one_namespace_wherever_its_file_lies(tmp_path: Path) -> None:
    bare = [{name: value for name, value in line.items() if name != "cwd"} for line in SESSION]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with Memory() as memory:
        count = import_sessions(
            memory, [lines(tmp_path / name / "s.jsonl", *bare) for name in ("one", "two")]
        )
    assert (count.namespaces, count.imported, count.unchanged) == ({"default"}, 3, 3)


def test_a_shorter_self_does_not_take_the_place_of_the_longer(tmp_path: Path) -> None:
    with Memory() as memory:
        import_file(memory, lines(tmp_path / "s.jsonl", *SESSION))
        summary = import_file(memory, lines(tmp_path / "cut.jsonl", *SESSION[:3]))
        assert (summary.imported, summary.unchanged) == (0, 1)
        fixed = next(each for each in memory.episodes() if each.task == "Fix the failing test")
        assert len(fixed.steps) == 2
        assert import_file(memory, tmp_path / "cut.jsonl", replace=True).imported == 1


def test_an_import_does_not_bring_back_what_was_forgotten(tmp_path: Path) -> None:
    with Memory() as memory:
        import_file(memory, lines(tmp_path / "s.jsonl", *SESSION))
        pushed = next(each for each in memory.episodes() if each.task == "Now push")
        memory.forget(pushed.id)
        grown = [*SESSION, claude("r4", "user", [result("t4", "pushed")], 9)]
        summary = import_file(memory, lines(tmp_path / "s.jsonl", *grown))
        assert (summary.imported, summary.unchanged, summary.forgotten) == (0, 2, 1)
        assert len(memory.episodes()) == 2
        assert pushed.external_id is not None
        assert memory.was_forgotten(pushed.external_id)
        assert import_file(memory, tmp_path / "s.jsonl", replace=True).imported == 1
        assert memory.find(pushed.external_id) is not None
        assert import_file(memory, tmp_path / "s.jsonl").forgotten == 0


def test_what_one_tenant_forgot_another_may_import(tmp_path: Path) -> None:
    path = lines(tmp_path / "s.jsonl", *SESSION)
    with Memory() as memory:
        import_file(memory, path)
        for episode in memory.episodes():
            memory.forget(episode.id)
        assert import_file(memory.within("other"), path).imported == 3


# --- Gemini CLI ---


def gemini(id: str, kind: str, second: int, content: object = "", **fields: Any) -> dict[str, Any]:
    return {"id": id, "type": kind, "timestamp": AT.format(second), "content": content} | fields


def called(id: str, status: str, response: dict[str, Any] | None, **args: Any) -> dict[str, Any]:
    call = {"id": id, "name": "run_shell_command", "args": args, "status": status, "timestamp": AT.format(3)}
    answer = {"functionResponse": {"id": id, "name": "run_shell_command", "response": response}}
    return call | ({"result": [answer]} if response is not None else {})


HEAD = {"sessionId": "g1", "projectHash": "h", "startTime": AT.format(1), "kind": "main"}
CALLS = [
    called("c1", "error", {"error": "exit 1: no lamp"}, command="make"),
    called("c2", "success", {"output": "done"}, command="make all"),
    called("c3", "cancelled", None, command="rm -r build"),
]
GEMINI = [
    HEAD,
    gemini("m0", "info", 1, "Welcome"),
    gemini("m1", "user", 1, [{"text": "Build it"}]),
    gemini("m2", "gemini", 2),
    gemini("m2", "gemini", 2, model="gemini-x", tokens={"output": 7}, toolCalls=CALLS),
    {"$set": {"lastUpdated": AT.format(4)}},
    gemini("m3", "user", 4, "Taken back"),
    gemini("m4", "gemini", 5, toolCalls=[called("c4", "success", {"output": "no"}, command="x")]),
    {"$rewindTo": "m3"},
    gemini("m5", "user", 6, "Only talk"),
    gemini("m6", "gemini", 7, "Hello"),
]


@pytest.mark.parametrize("form", ["lines", "one object"])
def test_a_session_of_gemini_cli_is_an_episode_a_prompt(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "tmp" / "shop"
    (folder / "chats").mkdir(parents=True)
    (folder / ".project_root").write_text("/repo\n")
    if form == "lines":
        path = lines(folder / "chats" / "session-1.jsonl", *GEMINI)
    else:
        path = folder / "chats" / "session-1.json"
        path.write_text(json.dumps(HEAD | {"messages": [GEMINI[2], GEMINI[4]]}, indent=2))
    (episode,) = episodes(path, "gemini-cli")
    assert (episode.task, episode.agent, episode.metadata) == (
        "Build it",
        "gemini-x",
        {"session": "g1", "cwd": "/repo"},
    )
    assert shown(episode) == [
        ("run_shell_command", {"command": "make"}, "error", "exit 1: no lamp"),
        ("run_shell_command", {"command": "make all"}, "ok", "done"),
        ("run_shell_command", {"command": "rm -r build"}, None, None),
    ]
    assert episode.steps[2].metadata == {"rejected": True}
    with Memory() as memory:
        agent = AgentFolder("gemini-cli", tmp_path / "tmp", "*/chats/**/*.json*")
        assert import_sessions(memory, agent.session_files()).namespaces == {namespace_of("/repo")}


# --- opencode ---


def part(number: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"prt_{number}", "type": kind} | fields


def tool(number: int, status: str, **state: Any) -> dict[str, Any]:
    state |= {"status": status, "time": {"start": 1_780_000_000_000, "end": 1_780_000_002_000}}
    return part(number, "tool", callID=f"c{number}", tool="bash", state=state)


OPENCODE = {"id": "ses_1", "projectID": "global", "directory": "/repo", "title": "Build", "version": "1"}
MESSAGES = [
    (
        {"id": "msg_1", "role": "user", "time": {"created": 1_780_000_000_000}},
        [part(1, "text", text="Build it"), part(2, "text", text="added by the program", synthetic=True)],
    ),
    (
        {"id": "msg_2", "role": "assistant", "modelID": "model-o", "time": {"created": 1_780_000_001_000}},
        [
            part(3, "step-start"),
            tool(4, "error", input={"command": "make"}, error="no lamp"),
            tool(5, "completed", input={"command": "make all"}, output="done"),
            tool(
                6,
                "error",
                input={"command": "rm"},
                error="The user rejected permission to use this specific tool call.",
            ),
        ],
    ),
]


@pytest.mark.parametrize("form", ["export", "storage"])
def test_a_session_of_opencode_is_an_episode_a_prompt(tmp_path: Path, form: str) -> None:
    if form == "export":
        path = tmp_path / "export.json"
        messages = [{"info": info, "parts": parts} for info, parts in MESSAGES]
        path.write_text(json.dumps({"info": OPENCODE, "messages": messages}, indent=2))
    else:
        path = tmp_path / "session" / "global" / "ses_1.json"
        put(path, OPENCODE)
        for info, parts in MESSAGES:
            put(tmp_path / "message" / "ses_1" / f"{info['id']}.json", info)
            for each in parts:
                put(tmp_path / "part" / str(info["id"]) / f"{each['id']}.json", each)
    (episode,) = episodes(path, "opencode")
    assert (episode.task, episode.agent, episode.external_id) == ("Build it", "model-o", "opencode:msg_1")
    assert shown(episode) == [
        ("bash", {"command": "make"}, "error", "no lamp"),
        ("bash", {"command": "make all"}, "ok", "done"),
        ("bash", {"command": "rm"}, None, None),
    ]
    assert episode.steps[0].latency_ms == 2_000
    with Memory() as memory:
        assert import_sessions(memory, [path]).namespaces == {namespace_of("/repo")}


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2))
