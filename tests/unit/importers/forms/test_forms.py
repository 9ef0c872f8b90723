"""Each public form, in runs written by hand after its definition: detected, read, and the same twice."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tacit import Episode, Memory
from tacit.importers import Entry, Refusal, Source, import_file, importer_for

AT = "2026-03-01T10:00:0{}.000Z"


def lines(path: Path, *values: object) -> Path:
    path.write_text("\n".join(json.dumps(value) for value in values))
    return path


def document(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, indent=1))
    return path


def episodes(path: Path, form: str) -> list[Episode]:
    with Source(path) as source:
        importer = importer_for(source)
        assert getattr(importer, "name", "jsonl") == form
        read = list(importer.read(source))
    assert not [each for each in read if isinstance(each, Refusal)]
    return [each.episode for each in read if isinstance(each, Entry)]


def only(path: Path, form: str) -> Episode:
    (episode,) = episodes(path, form)
    with Memory() as memory:
        assert import_file(memory, path).imported == 1
        assert import_file(memory, path).unchanged == 1
    return episode


def shown(episode: Episode) -> list[tuple[Any, ...]]:
    return [(step.tool, step.parameters, step.status, step.output or step.error) for step in episode.steps]


# --- messages ---

CALLS = [
    {"id": "c1", "type": "function", "function": {"name": "get_order", "arguments": '{"order_id": 17}'}},
    {"id": "c2", "type": "function", "function": {"name": "get_user", "arguments": "{}"}},
]
OPENAI = [
    {"role": "system", "content": "You help."},
    {"role": "user", "content": "Where is order 17?"},
    {"role": "assistant", "content": None, "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "c2", "content": "Error: no such user"},
    {"role": "tool", "tool_call_id": "c1", "content": '{"status": "shipped"}'},
    {"role": "assistant", "content": "It is on its way."},
]


def test_openai_messages_are_paired_by_id_and_the_calls_of_one_message_are_a_batch(tmp_path: Path) -> None:
    chat = {"messages": OPENAI, "id": 7, "success": True, "model": "gpt-x"}
    episode = only(lines(tmp_path / "chats.jsonl", chat), "messages")
    assert episode.task == "Where is order 17?"
    assert shown(episode) == [
        ("get_order", {"order_id": 17}, "ok", {"status": "shipped"}),
        ("get_user", {}, "error", "Error: no such user"),
    ]
    assert [step.batch for step in episode.steps] == [1, 1]
    assert (episode.outcome and episode.outcome.kind, episode.agent) == ("success", "gpt-x")


def test_a_file_that_is_one_list_of_messages_is_one_chat_with_an_unknown_outcome(tmp_path: Path) -> None:
    episode = only(document(tmp_path / "chat.json", OPENAI), "messages")
    assert (len(episode.steps), episode.outcome and episode.outcome.kind) == (2, "unknown")


def test_anthropic_blocks_are_paired_by_id(tmp_path: Path) -> None:
    chat = [
        {"role": "user", "content": [{"type": "text", "text": "List the files"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "bash", "input": {"command": "ls"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "is_error": True,
                    "content": [{"type": "text", "text": "no"}],
                }
            ],
        },
    ]
    episode = only(lines(tmp_path / "chats.jsonl", {"messages": chat}), "messages")
    assert shown(episode) == [("bash", {"command": "ls"}, "error", "no")]
    assert episode.steps[0].batch is None


def test_a_chat_without_a_call_is_refused_and_says_why(tmp_path: Path) -> None:
    path = lines(tmp_path / "chats.jsonl", *[{"messages": OPENAI[:2]}] * 3)
    with Memory() as memory:
        summary = import_file(memory, path)
    (refusal,) = summary.refused
    assert (refusal.count, refusal.line, refusal.reason) == (3, 1, "messages must hold a tool call; got none")


# --- sessions of coding agents ---


def claude(uuid: str, kind: str, content: object, second: int, **fields: Any) -> dict[str, Any]:
    message = {"role": kind, "content": content} | (
        {"id": f"m-{uuid[:2]}", "model": "model-s"} if kind == "assistant" else {}
    )
    head = {"sessionId": "s1", "uuid": uuid, "parentUuid": None, "type": kind, "isSidechain": False}
    return (
        head
        | {"timestamp": AT.format(second), "cwd": "/repo", "gitBranch": "main", "message": message}
        | fields
    )


def used(id: str, tool: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": tool, "input": parameters}


def result(id: str, content: object, is_error: bool = False) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error}


SESSION = [
    {"type": "summary", "summary": "Fix", "leafUuid": "x"},
    claude("u1", "user", "Fix the failing test", 1),
    claude("a1", "assistant", [used("t1", "Bash", command="pytest")], 2),
    claude("a1b", "assistant", [used("t2", "Read", file="x.py")], 2),
    claude("r1", "user", [result("t1", "Exit code 1\nFAILED", True), result("t2", "code")], 4),
    claude("c1", "user", "<command-name>/clear</command-name>", 5),
    claude("s1", "user", "Search for callers", 5, isSidechain=True),
    claude("s2", "assistant", [used("t3", "Grep", pattern="f")], 6, isSidechain=True, parentUuid="s1"),
    claude("s3", "user", [result("t3", "none")], 7, isSidechain=True, parentUuid="s2"),
    claude("u2", "user", [{"type": "text", "text": "Now push"}], 8),
    claude("a2", "assistant", [used("t4", "Bash", command="git push")], 9),
]


def test_a_session_of_claude_code_is_an_episode_a_prompt_and_one_a_subagent(tmp_path: Path) -> None:
    found = episodes(lines(tmp_path / "s.jsonl", *SESSION), "claude-code")
    by_task = {episode.task: episode for episode in found}
    assert sorted(by_task) == ["Fix the failing test", "Now push", "Search for callers"]
    first = by_task["Fix the failing test"]
    assert shown(first) == [
        ("Bash", {"command": "pytest"}, "error", "Exit code 1\nFAILED"),
        ("Read", {"file": "x.py"}, "ok", "code"),
    ]
    assert [step.batch for step in first.steps] == [1, 1]
    assert first.steps[0].latency_ms == 2_000
    assert first.steps[0].state == {"cwd": "/repo", "branch": "main"}
    assert first.steps[1].state is None
    assert (first.agent, first.outcome and first.outcome.kind) == ("model-s", "unknown")
    assert first.metadata["session"] == "s1"
    assert by_task["Now push"].steps[0].status is None
    assert by_task["Search for callers"].metadata["subagent"] == "s1"


def test_a_session_that_grew_takes_the_place_of_its_shorter_self(tmp_path: Path) -> None:
    with Memory() as memory:
        import_file(memory, lines(tmp_path / "s.jsonl", *SESSION))
        grown = [*SESSION, claude("r4", "user", [result("t4", "rejected", True)], 9)]
        summary = import_file(memory, lines(tmp_path / "s.jsonl", *grown))
        assert (summary.imported, summary.unchanged) == (1, 2)
        pushed = next(each for each in memory.episodes() if each.task == "Now push")
        assert pushed.steps[0].error == "rejected"
        assert len(memory.episodes()) == 3


def test_a_cut_last_line_and_foreign_lines_of_a_session_are_passed_over(tmp_path: Path) -> None:
    path = lines(tmp_path / "s.jsonl", *SESSION, {"type": "file-history-snapshot"}, [1])
    path.write_text(path.read_text() + '\n{"sessionId": "s1", "mess')
    with Memory() as memory:
        summary = import_file(memory, path)
    assert (summary.imported, summary.formats, summary.refused_lines) == (3, ("claude-code",), 2)


def codex(second: int, kind: str, **payload: Any) -> dict[str, Any]:
    return {"timestamp": AT.format(second), "type": kind, "payload": payload}


def test_a_rollout_of_codex_is_an_episode_a_prompt(tmp_path: Path) -> None:
    text = {"type": "input_text"}
    path = lines(
        tmp_path / "rollout.jsonl",
        codex(0, "session_meta", id="r1", cwd="/repo", git={"branch": "dev"}),
        codex(0, "turn_context", model="model-c"),
        codex(1, "response_item", type="message", role="user", content=[text | {"text": "<environment_context>x"}]),
        codex(1, "response_item", type="message", role="user", content=[text | {"text": "Run the tests"}]),
        codex(2, "response_item", type="function_call", name="shell", call_id="c1", arguments='{"command": ["ls"]}'),
        codex(
            3, "response_item", type="function_call_output", call_id="c1",
            output='{"output": "boom", "metadata": {"exit_code": 2, "duration_seconds": 0.5}}',
        ),
        codex(4, "response_item", type="custom_tool_call", name="apply_patch", call_id="c2", input="*** Begin"),
        codex(5, "response_item", type="custom_tool_call_output", call_id="c2", output="Success"),
    )  # fmt: skip
    episode = only(path, "codex")
    assert (episode.task, episode.agent, episode.metadata["branch"]) == ("Run the tests", "model-c", "dev")
    assert shown(episode) == [
        ("shell", {"command": ["ls"]}, "error", "boom"),
        ("apply_patch", "*** Begin", "ok", "Success"),
    ]
    assert episode.steps[0].latency_ms == 500


def test_a_broken_line_loses_none_of_its_neighbours(tmp_path: Path) -> None:
    chats = [json.dumps({"messages": OPENAI, "id": number}) for number in range(3)]
    path = tmp_path / "chats.jsonl"
    path.write_text("\n".join([chats[0], '{"messages": "never closed', chats[1], "]", chats[2]]))
    with Memory() as memory:
        summary = import_file(memory, path)
    assert (summary.imported, summary.refused_lines, summary.refused[0].line) == (3, 2, 2)


def test_a_trajectory_of_swe_agent_is_one_episode(tmp_path: Path) -> None:
    trajectory = [
        {
            "action": "cd /repo && python x.py",
            "observation": "Traceback (most recent call last)\nValueError: bad",
            "execution_time": 0.25,
        },
        {"action": "submit", "observation": "done"},
    ]
    history = [
        {"role": "user", "content": "demo", "is_demo": True},
        {"role": "user", "content": "Fix issue 12"},
    ]
    run = {"trajectory": trajectory, "history": history, "info": {"exit_status": "submitted"}}
    episode = only(document(tmp_path / "proj-12.traj", run), "swe-agent")
    assert (episode.task, episode.task_key, episode.outcome and episode.outcome.kind) == (
        "Fix issue 12",
        "proj-12",
        "unknown",
    )
    assert [(step.tool, step.status) for step in episode.steps] == [("python", "error"), ("submit", "ok")]
    run["info"] = {"exit_status": "exit_cost"}
    (failed,) = episodes(document(tmp_path / "proj-13.traj", run), "swe-agent")
    assert failed.outcome
    assert failed.outcome.reason == "ended with exit_cost"


# --- benchmarks ---


def test_results_of_tau_bench_are_judged_by_their_reward_and_hold_no_gold(tmp_path: Path) -> None:
    info = {"task": {"instruction": "You want a refund", "actions": [{"name": "secret_gold"}]}}
    runs = [{"task_id": 3, "trial": n, "reward": float(n), "traj": OPENAI, "info": info} for n in range(2)]
    found = episodes(document(tmp_path / "results.json", runs), "tau-bench")
    assert [each.outcome and each.outcome.kind for each in found] == ["failure", "success"]
    assert {each.task for each in found} == {"You want a refund"}
    assert "secret_gold" not in str(found)


def test_results_of_tau2_bench_are_streamed_with_the_tasks_that_stand_before_them(tmp_path: Path) -> None:
    scenario = {"instructions": {"reason_for_call": "Bags", "known_info": "You are Mia"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "name": "add_bags", "arguments": {"n": 2}}]},
        {"role": "tool", "id": "c1", "content": "no seat", "error": True},
    ]
    simulation = {
        "id": "s1",
        "task_id": "4",
        "trial": 1,
        "messages": messages,
        "reward_info": {"reward": 0.0},
    }
    times = {"start_time": "2026-03-01T10:00:00", "end_time": "2026-03-01T10:01:00"}
    results = {
        "info": {"environment_info": {"domain_name": "airline"}, "agent_info": {"llm": "m"}},
        "tasks": [{"id": "4", "user_scenario": scenario}],
        "simulations": [simulation | times],
    }
    episode = only(document(tmp_path / "r.json", results), "tau-bench")
    assert (episode.task, episode.task_key, episode.agent) == ("Bags\nYou are Mia", "airline/4", "m")
    assert shown(episode) == [("add_bags", {"n": 2}, "error", "no seat")]
    assert episode.duration_s == 60


# --- traces ---


def attributes(**values: Any) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue"}
    return [
        {"key": key.replace("__", "."), "value": {kinds[type(value)]: value}} for key, value in values.items()
    ]


def span(id: str, parent: str, second: int, error: str | None = None, **values: Any) -> dict[str, Any]:
    nanos = 1_772_359_200_000_000_000 + second * 1_000_000_000
    status = {"code": 2, "message": error} if error else {}
    times = {"startTimeUnixNano": str(nanos), "endTimeUnixNano": str(nanos + 500_000_000)}
    head = {"traceId": "t1", "spanId": id, "parentSpanId": parent, "name": id, "status": status}
    return head | times | {"attributes": attributes(**values)}


def exported(*spans: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": attributes(service__name="shop")}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}


def test_spans_of_genai_are_an_episode_an_agent(tmp_path: Path) -> None:
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Cancel order 17"}]}])
    tool = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": "cancel"}
    export = exported(
        span("agent", "", 0, gen_ai__operation__name="invoke_agent", gen_ai__input__messages=asked),
        span("llm", "agent", 1, gen_ai__operation__name="chat"),
        span("a", "llm", 2, "no such order", **tool, gen_ai__tool__call__arguments='{"id": 17}'),
        span("b", "agent", 4, **tool, gen_ai__tool__call__result='{"ok": true}'),
        span("judge", "agent", 5, gen_ai__evaluation__score__value=1.0),
    )
    episode = only(document(tmp_path / "spans.json", export), "otlp")
    assert shown(episode) == [
        ("cancel", {"id": 17}, "error", "no such order"),
        ("cancel", None, "ok", {"ok": True}),
    ]
    assert (episode.task, episode.context.domain) == ("Cancel order 17", "shop")
    assert episode.outcome
    assert episode.outcome.kind == "success"
    assert episode.steps[0].latency_ms == 500


def test_spans_of_openinference_are_read_alike_over_several_exports(tmp_path: Path) -> None:
    agent = span(
        "agent", "", 0, openinference__span__kind="AGENT", input__value="Find a flight", session__id="s"
    )
    tool = span(
        "tool", "agent", 1, openinference__span__kind="TOOL", tool__name="search", output__value="3 found"
    )
    episode = only(lines(tmp_path / "spans.jsonl", exported(tool), exported(agent)), "otlp")
    assert (episode.task, episode.metadata["session"]) == ("Find a flight", "s")
    assert shown(episode) == [("search", None, "ok", "3 found")]


def test_runs_of_langsmith_are_an_episode_a_trace(tmp_path: Path) -> None:
    root: dict[str, Any] = {
        "id": "r",
        "trace_id": "r",
        "parent_run_id": None,
        "run_type": "chain",
        "name": "agent",
        "start_time": AT.format(0),
    }
    root |= {"inputs": {"input": "Book a table"}, "feedback_stats": {"correctness": {"avg": 0.0, "n": 1}}}
    tool: dict[str, Any] = {
        "id": "x",
        "trace_id": "r",
        "parent_run_id": "r",
        "run_type": "tool",
        "name": "book",
        "start_time": AT.format(1),
    }
    tool |= {"inputs": {"input": '{"seats": 2}'}, "error": "ToolException('full')", "end_time": AT.format(2)}
    episode = only(lines(tmp_path / "runs.jsonl", tool, root), "langsmith")
    assert (episode.task, episode.outcome and episode.outcome.kind) == ("Book a table", "failure")
    assert shown(episode) == [("book", {"seats": 2}, "error", "ToolException('full')")]


def test_traces_of_langfuse_are_judged_by_a_score_that_says_so(tmp_path: Path) -> None:
    tool: dict[str, Any] = {
        "id": "o",
        "type": "TOOL",
        "name": "search",
        "input": {"q": "x"},
        "level": "ERROR",
        "statusMessage": "timeout",
        "startTime": AT.format(1),
        "endTime": AT.format(2),
    }
    trace: dict[str, Any] = {
        "id": "t",
        "name": "bot",
        "input": {"question": "Who?"},
        "timestamp": AT.format(0),
        "observations": [tool],
    }
    episode = only(
        document(tmp_path / "t.json", [trace | {"scores": [{"name": "correctness", "value": 1}]}]), "langfuse"
    )
    assert (episode.task, episode.outcome and episode.outcome.kind) == ("Who?", "success")
    assert shown(episode) == [("search", {"q": "x"}, "error", "timeout")]


def test_a_database_of_agentfs_is_one_episode(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "agent.db")
    connection.execute(
        "CREATE TABLE tool_calls (id INTEGER PRIMARY KEY, name, parameters, result, error, started_at, completed_at)"
    )
    rows = [
        ("read", '{"path": "a"}', '"text"', None, 1_772_359_200, 1_772_359_201),
        ("write", "{}", None, "denied", 1_772_359_202, 1_772_359_203),
    ]
    connection.executemany("INSERT INTO tool_calls VALUES (NULL, ?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    episode = only(tmp_path / "agent.db", "agentfs")
    assert shown(episode) == [("read", {"path": "a"}, "ok", '"text"'), ("write", {}, "error", "denied")]


def test_a_database_without_tool_calls_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.close()
    with Memory() as memory:
        (refusal,) = import_file(memory, tmp_path / "other.db").refused
    assert "no such table" in refusal.reason


# --- what a form cannot hold ---


def test_long_and_odd_values_are_cut_or_converted_and_the_step_says_so(tmp_path: Path) -> None:
    call = {"id": "c", "function": {"name": "get", "arguments": '{"score": NaN}'}}
    chat = [
        {"role": "user", "content": "x" * 30_000},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "long " * 10_000 + "\ud800"},
    ]
    episode = only(lines(tmp_path / "c.jsonl", {"messages": chat}), "messages")
    (step,) = episode.steps
    assert len(episode.task.encode()) <= 10_000
    assert step.parameters == {"score": None}
    assert any("cut from 50,001" in change for change in step.altered)


def test_a_run_of_more_steps_than_an_episode_may_have_says_how_many_were_left_out(tmp_path: Path) -> None:
    calls = [
        {"role": "assistant", "tool_calls": [{"id": f"c{n}", "name": "t", "arguments": {}}]}
        for n in range(1_003)
    ]
    episode = only(lines(tmp_path / "c.jsonl", {"messages": [OPENAI[1], *calls]}), "messages")
    assert (len(episode.steps), episode.metadata["steps_left_out"]) == (1_000, 3)


@pytest.mark.parametrize(
    ("content", "looks"),
    [('{"colour": "blue", "size": 3}', "members colour, size"), ("[1, 2, 3]", None)],
    ids=["objects", "numbers"],
)
def test_an_unknown_form_is_named_by_what_it_looks_like(
    tmp_path: Path, content: str, looks: str | None
) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with Memory() as memory:
        if looks is None:
            assert import_file(memory, path).refused_lines == 1
            return
        with pytest.raises(ValueError, match=looks):
            import_file(memory, path)
