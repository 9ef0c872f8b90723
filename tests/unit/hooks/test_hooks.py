"""Hooks as a coding agent runs them: a process an event, JSON in and out, and never an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tacit import Memory, ValidationError
from tacit.hooks.events import event_of
from tacit.hooks.journal import Journal, journal_of
from tacit.hooks.repositories import namespace_of
from tacit.hooks.sessions import SeenFiles, agent_folders, import_sessions
from tacit.hooks.wiring import settings_path, wired

AT = "2026-03-01T10:00:0{}.000Z"


class Home:
    """A home folder with sessions of Claude Code, and a repository that they worked in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repository = path / "shop"
        (self.repository / ".git").mkdir(parents=True)
        self.database = path / "memory.db"

    def session(self, name: str, *prompts: tuple[str, str, str | None], folder: Path | None = None) -> Path:
        """A session: each prompt with a command, and the error of it, then with --force, and `git status`."""
        file = self.path / ".claude" / "projects" / "-shop" / f"{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines: list[dict[str, Any]] = []

        def line(kind: str, content: object) -> None:
            head = {"sessionId": name, "uuid": f"{name}-{len(lines)}", "parentUuid": None, "type": kind}
            head |= {"timestamp": AT.format(1), "cwd": str(folder or self.repository)}
            lines.append(head | {"message": {"role": kind, "content": content}})

        def ran(id: str, command: str, error: str | None) -> None:
            line("assistant", [{"type": "tool_use", "id": id, "name": "Bash", "input": {"command": command}}])
            said = {
                "type": "tool_result",
                "tool_use_id": id,
                "content": error or "done",
                "is_error": bool(error),
            }
            line("user", [said])

        for number, (prompt, command, error) in enumerate(prompts):
            line("user", prompt)
            ran(f"{number}a", command, error)
            if error:
                ran(f"{number}b", command + " --force", None)
                ran(f"{number}c", "git status", None)
        file.write_text("\n".join(map(json.dumps, lines)))
        return file

    def run(
        self, *command: str, stdin: str = "", pass_fds: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return self._run("-m", *command, stdin=stdin, pass_fds=pass_fds)

    def python(self, program: str) -> subprocess.CompletedProcess[str]:
        done = self._run("-c", program)
        assert done.returncode == 0, done.stderr
        return done

    def _run(
        self, *arguments: str, stdin: str = "", pass_fds: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HOME": str(self.path), "TACIT_DB": str(self.database)}
        environment["TACIT_HOOKS_WITHHELD_SHARE"] = "0"
        environment |= {
            "CLAUDE_CONFIG_DIR": str(self.path / ".claude"),
            "CODEX_HOME": str(self.path / ".codex"),
            "XDG_DATA_HOME": str(self.path / ".local" / "share"),
            "XDG_CONFIG_HOME": str(self.path / ".config"),
        }
        return subprocess.run(
            [sys.executable, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            pass_fds=pass_fds,
        )

    def hook(self, event: str, **fields: Any) -> dict[str, Any] | None:
        given = {"hook_event_name": event, "session_id": "s", "cwd": str(self.repository)} | fields
        done = self.run("tacit.hooks", stdin=json.dumps(given))
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout) if done.stdout else None


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


DEPLOYS = [
    (f"Deploy the service {name} to staging", "deploy", "locked by another run") for name in ("a", "b", "c")
]


def test_after_setup_the_next_prompt_is_told_what_worked(home: Home) -> None:
    home.session("one", *DEPLOYS)
    done = home.run("tacit", "setup")
    assert done.returncode == 0, done.stderr
    assert "1 read: 3 prompts new, 0 known" in done.stdout
    assert "entered in" in done.stdout
    assert namespace_of(home.repository) in done.stdout.replace("\n", "")
    answer = home.hook("UserPromptSubmit", prompt="Deploy the service d to staging")
    assert answer is not None
    told = answer["hookSpecificOutput"]
    assert told["hookEventName"] == "UserPromptSubmit"
    assert "deploy --force" in told["additionalContext"]
    assert len(told["additionalContext"].encode()) <= 600
    failure = home.hook("PostToolUseFailure", tool_name="Bash", error="locked by another run")
    assert failure is not None
    assert "worked 3 of 3 times" in failure["hookSpecificOutput"]["additionalContext"]
    said = home.run("tacit", "why").stdout
    assert "UserPromptSubmit" in said
    assert "PostToolUseFailure" in said


def test_the_journal_holds_no_secret_and_the_settings_name_the_memory(home: Home) -> None:
    home.session("one", *DEPLOYS)
    home.run("tacit", "setup")
    settings = (home.path / ".claude" / "settings.json").read_text()
    assert f"TACIT_DB={home.database}" in settings
    key = "AKIA" + "Q7ZP2M4X9RTW3B6K"
    assert home.hook("UserPromptSubmit", prompt=f"Deploy the service d to staging with {key}") is not None
    written = journal_of(str(home.database)).path.read_text()
    assert "Deploy the service d" in written
    assert key not in written
    link = home.path / "link"
    link.symlink_to(home.repository)
    assert home.hook("UserPromptSubmit", prompt="Deploy the service d to staging", cwd=str(link)) is not None


def test_hooks_are_silent_where_nothing_is_known(home: Home) -> None:
    assert home.hook("UserPromptSubmit", prompt="Deploy") is None
    assert not home.database.exists()
    home.session("one", *DEPLOYS)
    home.run("tacit", "setup")
    assert home.hook("UserPromptSubmit", prompt="Write a poem about autumn") is None
    assert (
        home.hook("UserPromptSubmit", prompt="Deploy the service d", cwd=str(home.path / "elsewhere")) is None
    )
    assert home.hook("PostToolUse", tool_name="Bash", tool_response={"stdout": "fine"}) is None
    assert home.hook("PreCompact") is None


@pytest.mark.parametrize("stdin", ["", "not json", "[]", '{"hook_event_name": 7}', "{" * 100_000])
def test_no_input_makes_a_hook_fail(home: Home, stdin: str) -> None:
    home.session("one", *DEPLOYS)
    home.run("tacit", "setup")
    done = home.run("tacit.hooks", stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_memory_that_cannot_be_opened_does_not_reach_the_session_and_is_written_down(home: Home) -> None:
    home.database.write_text("no database at all")
    assert home.hook("UserPromptSubmit", prompt="Deploy") is None
    (entry,) = journal_of(str(home.database)).last(5)
    assert entry["event"] == "error"


def test_the_end_of_a_turn_is_learned_from_and_the_next_start_reads_what_it_missed(home: Home) -> None:
    home.session("one", *DEPLOYS[:1])
    home.run("tacit", "setup")
    home.hook("Stop", transcript_path=str(home.session("one", *DEPLOYS[:2])))
    home.session("two", *DEPLOYS[2:])
    home.hook("SessionStart")
    with Memory(home.database, namespace=namespace_of(home.repository)) as memory:
        assert len(memory.episodes()) == 3


def test_a_failure_is_looked_up_as_setup_worked_it_out_without_opening_a_memory(home: Home) -> None:
    home.session("one", *DEPLOYS)
    home.run("tacit", "setup")
    given = {"hook_event_name": "PostToolUseFailure", "session_id": "s", "cwd": str(home.repository)}
    given |= {"tool_name": "Bash", "error": "locked by another run"}
    run = f"""
import sys
from tacit.hooks.entry import answered
print(answered({given!r})["hookSpecificOutput"]["additionalContext"])
heavy = "tacit.memory tacit.config tacit.redaction msgspec dataclasses typing asyncio typer rich numpy".split()
print("loaded:", *sorted(set(heavy) & sys.modules.keys()))
"""
    done = home.python(run)
    assert "worked 3 of 3 times" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_an_event_that_needs_no_answer_loads_next_to_nothing(home: Home) -> None:
    given = {"hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_response": {"stdout": "fine"}}
    done = home.python(
        f"import sys, tacit.hooks.entry as e; e.answered({given!r}); "
        "print(*(name for name in sys.modules if name.startswith('tacit')), 'typing' in sys.modules)"
    )
    *loaded, has_typing = done.stdout.split()
    assert set(loaded) == {
        *("tacit", "tacit.hooks", "tacit.hooks.entry", "tacit.hooks.events", "tacit.rejections")
    }
    assert has_typing == "False"


def test_a_detached_hook_returns_at_once_and_its_child_learns(home: Home) -> None:
    home.session("one", *DEPLOYS[:1])
    home.run("tacit", "setup")
    given = {"hook_event_name": "Stop", "session_id": "s", "cwd": str(home.repository)}
    given["transcript_path"] = str(home.session("one", *DEPLOYS[:2]))
    reading, writing = os.pipe()
    done = home.run("tacit.hooks", "--detach", stdin=json.dumps(given), pass_fds=(writing,))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    os.close(writing)
    assert os.read(reading, 1) == b""  # the child has ended: it held the other end
    os.close(reading)
    with Memory(home.database, namespace=namespace_of(home.repository)) as memory:
        assert len(memory.episodes()) == 2


def test_setting_up_twice_changes_nothing_and_removal_leaves_only_the_memory(home: Home) -> None:
    home.session("one", *DEPLOYS)
    settings = home.path / ".claude" / "settings.json"
    mine = {"model": "m", "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "say done"}]}]}}
    settings.write_text(json.dumps(mine))
    home.run("tacit", "setup")
    entered = settings.read_text()
    assert json.loads(entered)["model"] == "m"
    assert len(json.loads(entered)["hooks"]["Stop"]) == 2
    assert json.loads((settings.parent / "settings.json.bak").read_text()) == mine
    again = home.run("tacit", "setup")
    assert settings.read_text() == entered
    assert "unchanged in" in again.stdout
    assert "0 prompts new" in again.stdout
    home.run("tacit", "setup", "--remove")
    assert json.loads(settings.read_text()) == mine
    assert json.loads((settings.parent / "settings.json.bak").read_text()) == mine


def test_a_dry_run_changes_nothing(home: Home) -> None:
    home.session("one", *DEPLOYS)
    done = home.run("tacit", "setup", "--dry-run")
    assert "would be entered in" in done.stdout
    assert not (home.path / ".claude" / "settings.json").exists()
    assert not home.database.exists()


def test_hooks_of_a_host_that_waits_are_detached_where_they_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = json.loads(wired("codex", tmp_path / "hooks.json", database=None).text or "")["hooks"]
    commands = {name: entries[0]["hooks"][0]["command"] for name, entries in hooks.items()}
    assert {name for name, command in commands.items() if command.endswith(" --detach")} == {
        "SessionStart",
        "Stop",
    }
    script = tmp_path / "bin" / "tacit-hook"
    script.parent.mkdir()
    script.touch()
    monkeypatch.setattr(sys, "executable", str(script.with_name("python")))
    path = tmp_path / "settings.json"
    text = wired("claude-code", path, database=None).text or ""
    assert json.loads(text)["hooks"]["Stop"][0]["hooks"][0]["command"] == str(script)
    path.write_text(text)
    monkeypatch.undo()
    assert json.loads(wired("claude-code", path, database=None, remove=True).text or "") == {}
    renewed = json.loads(wired("claude-code", path, database=None).text or "")["hooks"]
    assert len(renewed["Stop"]) == 1  # the script took the place of the module


def test_settings_that_are_no_json_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    for text in ("{", "[]", '{"hooks": []}', '{"hooks": {"Stop": {}}}'):
        path.write_text(text)
        with pytest.raises(ValidationError):
            wired("claude-code", path, database=None)
        assert path.read_text() == text


def test_a_namespace_is_the_repository_with_its_worktrees_and_folders_below_it(tmp_path: Path) -> None:
    main, worktree = tmp_path / "shop", tmp_path / "shop-fix"
    (main / ".git" / "worktrees" / "fix").mkdir(parents=True)
    (main / "src" / "deep").mkdir(parents=True)
    worktree.mkdir()
    (worktree / ".git").write_text(f"gitdir: {main / '.git' / 'worktrees' / 'fix'}\n")
    names = {namespace_of(folder) for folder in (main, main / "src" / "deep", worktree)}
    assert len(names) == 1
    (tmp_path / "other" / "shop" / ".git").mkdir(parents=True)
    assert namespace_of(tmp_path / "other" / "shop") not in names
    assert namespace_of(tmp_path / "no repository 1!").startswith("no-repository-1-")


def test_events_of_a_failure_are_told_from_those_of_a_success() -> None:
    def kind(name: str, **fields: Any) -> str:
        return event_of({"hook_event_name": name, "tool_name": "Bash"} | fields).kind

    assert kind("PostToolUseFailure", tool_response="boom") == "failure"
    assert kind("PostToolUse", tool_response={"is_error": True, "content": "boom"}) == "failure"
    assert kind("PostToolUse", tool_response={"exit_code": 2, "stderr": "boom"}) == "failure"
    assert kind("PostToolUse", tool_response="Exit code 1\nboom") == "failure"
    assert kind("PostToolUse", tool_response="fine") == "other"
    assert kind("PostToolUse", tool_response={"exit_code": 0}) == "other"


def test_only_files_that_changed_are_read_again(home: Home, tmp_path: Path) -> None:
    first = home.session("one", *DEPLOYS)
    seen = SeenFiles(tmp_path / "seen.json")
    assert list(seen.changed([first])) == [first]
    seen.save()
    assert list(SeenFiles(tmp_path / "seen.json").changed([first])) == []
    home.session("one", *DEPLOYS[:1])
    assert list(SeenFiles(tmp_path / "seen.json").changed([first])) == [first]


def test_a_file_that_is_no_session_is_counted_and_passed_over(home: Home, tmp_path: Path) -> None:
    odd = tmp_path / "odd.jsonl"
    odd.write_text('{"colour": 1}')
    with Memory() as memory:
        count = import_sessions(memory, [odd, home.session("one", *DEPLOYS)])
    assert (count.sessions, count.imported, count.refused) == (1, 3, 1)


def test_folders_and_settings_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODEX_HOME", raising=False)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "c"))
    monkeypatch.delenv("GEMINI_CLI_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert [agent.folder for agent in agent_folders(tmp_path)] == [
        tmp_path / "c" / "projects",
        tmp_path / ".codex" / "sessions",
        tmp_path / ".gemini" / "tmp",
        tmp_path / "data" / "opencode" / "storage",
    ]
    assert settings_path("claude-code", tmp_path) == tmp_path / "c" / "settings.json"
    assert settings_path("codex", tmp_path) == tmp_path / ".codex" / "hooks.json"
    assert agent_folders(tmp_path / "nowhere")[1].session_files() == []


def test_the_journal_is_bounded_and_gives_the_newest_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "advice.jsonl")
    for number in range(300):
        journal.add({"number": number, "said": "x" * 10_000})
    journal.path.write_text(journal.path.read_text() + "broken\n")
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    assert sum(sizes) < 2_100_000
    assert [entry["number"] for entry in journal.last(3)] == [299, 298, 297]
    assert len(journal.last(150)) == 150
