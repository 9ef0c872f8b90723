from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit import Memory
from tacit.hooks.journal import journal_of
from tacit.hooks.repositories import namespace_of
from tests.unit.cli.conftest import Tacit
from tests.unit.hooks.test_impact import AT, deployed


def words(text: str) -> str:
    return " ".join(text.split())


def test_an_error_is_looked_up_whichever_tool_gave_it(filled: Tacit) -> None:
    (found,) = filled("fix", "no", "lamp", "in", "sight", "--json").data["fixes"]
    assert (found["tool"], found["ways"][0]["tool"]) == ("take", "look")
    assert found["ways"][0]["trials"] == 40
    shown = words(filled("fix", "no lamp in sight").out)
    assert 'after take fails with "no lamp in sight"' in shown
    assert "look worked 40 of 40" in shown
    assert filled("fix", "no lamp in sight", "--tool", "take", "--json").data["fixes"] == [found]
    unknown = filled("fix", "never seen before")
    assert (unknown.status, unknown.out) == (0, "")
    assert "no fix is known for this error" in unknown.err


def test_a_playbook_becomes_a_skill_with_a_name_and_a_description(filled: Tacit, tmp_path: Path) -> None:
    text = filled("skill", "Find the", "lamp").out
    head = text.split("---")[1].strip().splitlines()
    assert head[0] == "name: find-the-lamp"
    assert json.loads(head[1].removeprefix("description: ")).startswith("How this was done before (")
    assert "1. `look`" in text or "1. `take`" in text
    answer = filled("skill", "find the lamp", "--to", tmp_path)
    written = tmp_path / "find-the-lamp" / "SKILL.md"
    assert str(written) in answer.err
    assert written.read_text().startswith("---\nname: find-the-lamp\n")


def test_heuristics_become_one_section_and_the_rest_of_the_file_stays(
    filled: Tacit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "AGENTS.md"
    path.write_text("# Mine\n")
    undecided = filled("skill", "--agents-md", path, "--namespace", "none")
    assert (undecided.status, path.read_text()) == (1, "# Mine\n")
    fixes = tmp_path / "fixes.md"
    assert filled("skill", "--agents-md", fixes).status == 0
    assert "- When `take` fails with `no lamp in sight`: `look` (worked 40 of 40" in fixes.read_text()
    decided = tmp_path / "decided.jsonl"
    decided.write_text("\n".join(decided_runs()))
    assert filled("import", decided, "--namespace", "d").status == 0
    assert filled("skill", "--agents-md", path, "--namespace", "d").status == 0
    text = path.read_text()
    assert text.startswith("# Mine\n\n<!-- tacit: begin -->\n## Learned from past sessions\n\n- When `")
    assert filled("skill", "--agents-md", path, "--namespace", "d").status == 0
    assert path.read_text() == text
    assert filled("skill").status == 2


def decided_runs() -> list[str]:
    """Runs in which one tool after an error goes with success and another one with failure."""
    lines = []
    for number in range(60):
        is_good = number % 2 == 0
        steps = [
            {"tool": "take", "error": "no lamp in sight"},
            {"tool": "look" if is_good else "guess", "output": "done"},
            {"tool": "take", "output": "done"},
        ]
        kind = {"kind": "success"} if is_good else {"kind": "failure", "reason": "no"}
        lines.append(
            json.dumps(
                {"task": f"find lamp {number}", "external_id": f"d{number}", "steps": steps, "outcome": kind}
            )
        )
    return lines


def test_the_impact_says_what_it_lacks(filled: Tacit, database: Path) -> None:
    answer = filled("impact")
    assert (answer.status, answer.out) == (0, "")
    assert "no prompt that a hook was asked about" in answer.err
    assert filled("impact", "--json").data["prompts"] == 0


def test_why_marks_what_was_withheld(tacit: Tacit, database: Path) -> None:
    journal_of(str(database)).add(
        {"at": 1, "event": "UserPromptSubmit", "kind": "prompt", "said": "try look", "withheld": True}
    )
    shown = tacit("why").out
    assert "withheld" in shown
    assert "try look" in shown


def test_why_says_whether_an_answer_was_used_and_how_its_prompt_ended(
    tacit: Tacit, database: Path, tmp_path: Path
) -> None:
    said = '<tacit-memory note="x">\nBash {"command": "deploy --force"}\n</tacit-memory>'
    for number, withheld in enumerate((False, True)):
        entry = {"at": AT, "event": "UserPromptSubmit", "kind": "prompt", "session": str(number)}
        entry |= {"said": said, "folder": str(tmp_path)} | ({"withheld": True} if withheld else {})
        journal_of(str(database)).add(entry | {"at": AT + number})
        with Memory(database, namespace=namespace_of(tmp_path)) as memory:
            memory.add(deployed(f"Deploy {number}", at=AT + number, session=str(number)))
    shown = tacit("why").out
    assert "tacit-memory" not in shown
    assert "used · 3 steps, 1 failed · outcome unknown" in shown
    first, second = tacit("why", "--json").data["answers"]
    assert (first["ending"]["used"], second["ending"]["used"]) == (None, True)
