"""The file of known fixes answers as the memory does, and not once anything of its namespace was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit import Memory, Settings, _native
from tacit.hooks.events import HookEvent
from tacit.hooks.known_fixes import KnownFixes
from tacit.storage import open_store
from tests.unit.hooks.test_impact import AT, deployed

MARK = "settings"
FAILURE = HookEvent("failure", "PostToolUseFailure", "s", "/shop", tool="Bash", error="locked by another run")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A memory whose namespace "shop" knows a fix, and its file."""
    path = tmp_path / "memory.db"
    store = open_store(path, Settings().storage)
    with Memory(store=store, namespace="shop") as memory:
        for number in range(3):
            memory.add(deployed(f"prompt {number}", at=AT + number, session=str(number)))
        KnownFixes(str(path), "shop").write(memory, store.sequence(), MARK)
    return path


def looked_up(database: Path, event: HookEvent = FAILURE, mark: str = MARK) -> tuple[str, list[str]] | None:
    store = _native.Store(database, cache_path=None, readers=1)
    try:
        return KnownFixes(str(database), "shop").answer(store, event, _native.error_class(event.error), mark)
    finally:
        store.close()


def test_the_answer_is_that_of_the_memory(database: Path) -> None:
    with Memory(database, namespace="shop") as memory:
        fixes = memory.recover(FAILURE.error, tool="Bash")
    assert looked_up(database) == (fixes.to_prompt(max_tokens=150), ["Bash"])
    assert (KnownFixes(str(database), "shop").path.stat().st_mode & 0o777) == 0o600


def test_an_error_or_a_tool_that_is_not_known_has_an_empty_answer(database: Path) -> None:
    assert looked_up(database, HookEvent("failure", "", "s", "/shop", tool="Bash", error="boom")) == ("", [])
    assert looked_up(database, HookEvent("failure", "", "s", "/shop", tool="Edit", error=FAILURE.error)) == (
        "",
        [],
    )


def test_a_change_of_another_namespace_leaves_the_file_current(database: Path) -> None:
    with Memory(database, namespace="other") as memory:
        memory.add(deployed("elsewhere"))
    assert looked_up(database) is not None


def test_a_change_of_its_own_namespace_makes_it_outdated(database: Path) -> None:
    with Memory(database, namespace="shop") as memory:
        memory.add(deployed("one more", at=AT + 9, session="9"))
    assert looked_up(database) is None


def test_forgetting_an_episode_of_any_namespace_removes_the_file(database: Path) -> None:
    with Memory(database, namespace="shop") as memory:
        memory.forget(memory.episodes(limit=1)[0].id)
    assert looked_up(database) is None
    assert not KnownFixes(str(database), "shop").path.exists()


def test_other_settings_and_a_broken_file_are_no_answer(database: Path) -> None:
    assert looked_up(database, mark="others") is None
    path = KnownFixes(str(database), "shop").path
    for text in ("", "[]", "{}"):
        path.write_text(text)
        assert looked_up(database) is None
