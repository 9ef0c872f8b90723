"""The draw of the hooks, their journal, and its comparison by `impact_of`: in this process, on journals of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tacit import Episode, Memory, Step
from tacit.hooks.entry import answered
from tacit.hooks.impact import impact_of, rate_of
from tacit.hooks.journal import Journal, journal_of
from tacit.hooks.repositories import is_excluded, namespace_of
from tacit.hooks.withholding import is_withheld

AT = 1_780_000_000_000_000
SECOND = 1_000_000


def deployed(task: str, *, at: int = AT, session: str = "s", forced: str = "deploy --force") -> Episode:
    """A deployment that fails and then works with another command."""
    failed = Step("Bash", parameters={"command": "deploy"}, error="locked by another run", status="error")
    worked = Step("Bash", parameters={"command": forced}, output="done", status="ok")
    checked = Step("Bash", parameters={"command": "git status"}, output="clean", status="ok")
    steps = [
        Step(
            step.tool,
            parameters=step.parameters,
            error=step.error,
            output=step.output,
            status=step.status,
            at=at,
        )
        for step in (failed, worked, checked)
    ]
    return Episode(
        task, steps=tuple(steps), started_at=at, ended_at=at + SECOND, metadata={"session": session}
    )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose memory knows three recoveries of a deployment."""
    database, folder = tmp_path / "memory.db", tmp_path / "shop"
    folder.mkdir()
    monkeypatch.setenv("TACIT_DB", str(database))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with Memory(database, namespace=namespace_of(folder)) as memory:
        for name in ("a", "b", "c"):
            memory.add(deployed(f"Deploy the service {name} to staging", session=name))
    return folder


def asked(shop: Path, event: str, **fields: Any) -> str:
    given = {"hook_event_name": event, "session_id": "s", "cwd": str(shop)} | fields
    answer = answered(given)
    return "" if answer is None else str(answer["hookSpecificOutput"]["additionalContext"])


def journal(shop: Path) -> list[dict[str, Any]]:
    return list(journal_of(str(shop.parent / "memory.db")).newest_first())


PROMPT = "Deploy the service d to staging"


def test_a_withheld_prompt_is_given_nothing_at_its_failures_either_and_the_journal_says_so(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_HOOKS_WITHHELD_SHARE", "1")
    assert asked(shop, "UserPromptSubmit", prompt=PROMPT) == ""
    assert asked(shop, "PostToolUseFailure", tool_name="Bash", error="locked by another run") == ""
    failure, prompt = journal(shop)
    assert (prompt["withheld"], failure["withheld"]) == (True, True)
    assert "deploy --force" in prompt["said"]
    assert "worked 3 of 3 times" in failure["said"]
    monkeypatch.setenv("TACIT_HOOKS_WITHHELD_SHARE", "0")
    assert "deploy --force" in asked(shop, "UserPromptSubmit", prompt=PROMPT)
    assert "worked" in asked(shop, "PostToolUseFailure", tool_name="Bash", error="locked by another run")
    assert not any(entry.get("withheld") for entry in journal(shop)[:2])


def test_a_failure_goes_by_the_draw_of_its_own_session(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_HOOKS_WITHHELD_SHARE", "1")
    asked(shop, "UserPromptSubmit", prompt=PROMPT, session_id="other")
    assert asked(shop, "PostToolUseFailure", tool_name="Bash", error="locked by another run") != ""


def test_a_prompt_without_an_answer_is_noted_without_its_text(shop: Path) -> None:
    assert asked(shop, "UserPromptSubmit", prompt="Write a poem about autumn") == ""
    (entry,) = journal(shop)
    assert entry["kind"] == "prompt"
    assert not entry.keys() & {"said", "asked"}
    assert journal_of(str(shop.parent / "memory.db")).last(5) == []


def test_a_draw_depends_on_key_session_and_prompt_alone_and_has_its_share() -> None:
    draws = [is_withheld(b"key", "s", f"prompt {n}", 0.1) for n in range(2_000)]
    assert draws == [is_withheld(b"key", "s", f"prompt {n}", 0.1) for n in range(2_000)]
    assert 150 < sum(draws) < 250
    assert draws != [is_withheld(b"other", "s", f"prompt {n}", 0.1) for n in range(2_000)]
    assert draws != [is_withheld(b"key", "t", f"prompt {n}", 0.1) for n in range(2_000)]
    assert all(is_withheld(b"key", "s", f"{n}", 1.0) for n in range(100))


def test_an_excluded_folder_is_given_nothing(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_HOOKS_EXCLUDE", f"/elsewhere,{shop.parent}/sh*")
    assert asked(shop, "UserPromptSubmit", prompt=PROMPT) == ""
    assert journal(shop) == []
    assert is_excluded(str(shop / "src"), (str(shop),))
    assert not is_excluded(str(shop), ("/elsewhere/*",))
    assert not is_excluded("", ("*",))


def test_the_tokens_of_the_settings_bound_what_is_said(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_HOOKS_WITHHELD_SHARE", "0")
    monkeypatch.setenv("TACIT_HOOKS_PROMPT_TOKENS", "70")
    assert len(asked(shop, "UserPromptSubmit", prompt=PROMPT).encode()) <= 210


# --- what came of it ---


def told(
    journal: Journal, number: int, *, is_withheld: bool = False, said: str = "use deploy --force"
) -> None:
    """The entry of the prompt of session `number`."""
    entry = {"kind": "prompt", "session": str(number), "at": AT + number * SECOND - SECOND // 2, "said": said}
    journal.add(entry | ({"withheld": True} if is_withheld else {}))


def test_prompts_with_advice_are_compared_with_those_it_was_withheld_from(tmp_path: Path) -> None:
    notes = Journal(tmp_path / "j.jsonl")
    with Memory(namespace="shop") as memory:
        memory.add(deployed("first", at=AT - SECOND, session="before"))
        for number in range(60):
            is_withheld = number % 2 == 1
            told(notes, number, is_withheld=is_withheld)
            episode = deployed(f"prompt {number}", at=AT + number * SECOND, session=str(number))
            memory.add(episode if is_withheld else without_failure(episode))
        found = impact_of(memory, notes)
    assert (found.prompts, found.answers) == (60, 30)
    assert (found.told.repeated, found.withheld.repeated) == (0, 30)
    assert (found.told.steps, found.withheld.steps) == (60, 90)
    assert found.withheld.low < 33 < found.withheld.high
    assert found.verdict == "fewer"
    assert found.difference == pytest.approx(-100 / 3)
    assert (found.followed, found.used) == (30, 30)
    assert found.tokens == 30 * 6


def without_failure(episode: Episode) -> Episode:
    return Episode(
        episode.task,
        steps=episode.steps[1:],
        started_at=episode.started_at,
        ended_at=episode.ended_at,
        metadata=episode.metadata,
    )


def test_only_failures_that_were_seen_in_earlier_prompts_count_as_repeated(tmp_path: Path) -> None:
    notes = Journal(tmp_path / "j.jsonl")
    with Memory() as memory:
        for number in range(2):
            told(notes, number, said="something else")
            memory.add(deployed(f"prompt {number}", at=AT + number * SECOND, session=str(number)))
        found = impact_of(memory, notes)
    assert found.told.repeated == 1
    assert (found.used, found.share_used) == (0, 0.0)
    assert (found.withheld.steps, found.difference, found.verdict) == (0, None, "undecided")


def test_the_fix_that_comes_right_after_a_failure_is_used(tmp_path: Path) -> None:
    notes = Journal(tmp_path / "j.jsonl")
    with Memory() as memory:
        memory.add(deployed("prompt", session="1"))
        notes.add({"kind": "prompt", "session": "1", "at": AT})
        notes.add(
            {"kind": "failure", "session": "1", "at": AT + 1, "said": "x", "tool": "Bash", "fixes": ["Bash"]}
        )
        found = impact_of(memory, notes)
    assert (found.answers, found.followed, found.used) == (1, 1, 1)


def test_prompts_of_other_sessions_and_times_are_not_joined(tmp_path: Path) -> None:
    notes = Journal(tmp_path / "j.jsonl")
    told(notes, 1)
    with Memory() as memory:
        memory.add(deployed("another session", at=AT + SECOND, session="2"))
        memory.add(deployed("another time", at=AT + 1_000 * SECOND, session="1"))
        assert impact_of(memory, notes).prompts == 0


def test_the_interval_of_a_rate_grows_with_the_dependence_of_its_failures() -> None:
    even = rate_of([(10, 1)] * 40)
    lumped = rate_of([(10, 8)] * 5 + [(10, 0)] * 35)
    assert even.per_100 == lumped.per_100 == 10
    assert lumped.high - lumped.low > 1.5 * (even.high - even.low)
    nothing = rate_of([(100, 0)])
    assert (nothing.low, nothing.per_100) == (0, 0)
    assert nothing.high == pytest.approx(3.67, abs=0.1)
    assert rate_of([]).steps == 0
