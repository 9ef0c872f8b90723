"""Names to factories, and what is said of a name that none bears."""

from __future__ import annotations

import importlib.metadata

import pytest

from tacit.errors import UnknownNameError
from tacit.registry import Registry


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    registry: Registry[list[int]] = Registry("thing")
    registry.register("lists")(list)
    with pytest.raises(UnknownNameError, match="no thing named 'lsits'; known: lists"):
        registry.create("lsits")


def test_a_part_is_made_with_its_parameters() -> None:
    registry: Registry[dict[str, int]] = Registry("thing")
    registry.register("dicts")(dict)
    assert registry.create("dicts", a=1) == {"a": 1}
    assert "dicts" in registry


def test_parts_of_other_distributions_come_through_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = importlib.metadata.EntryPoint("pairs", "builtins:tuple", "tacit.things")
    found = importlib.metadata.EntryPoints([foreign])
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **group: found.select(**group))
    registry: Registry[tuple[int, ...]] = Registry("thing")
    assert list(registry) == ["pairs"]
    assert registry.create("pairs") == ()
