"""Names to factories, and the message for an unknown name."""

from __future__ import annotations

import importlib.metadata

import pytest

from tacit.errors import UnknownNameError, ValidationError
from tacit.extractors import Extractor, ToolSequence, extractors
from tacit.registry import Registry


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    registry: Registry[list[int]] = Registry("thing")
    registry.register("lists")(list)
    with pytest.raises(
        UnknownNameError, match=r"no thing named 'lsits'; did you mean 'lists'\? known: lists"
    ):
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


def test_a_table_makes_a_part_with_its_parameters() -> None:
    part = extractors.resolve({"name": "tool_sequence", "max_length": 3})
    assert isinstance(part, ToolSequence)
    assert part.max_length == 3


def test_an_object_is_taken_as_it_is_if_it_follows_the_protocol() -> None:
    part = ToolSequence(max_length=3)
    assert extractors.resolve(part) is part
    assert extractors.name_of(part) == "tool_sequence"
    for wrong in (3, object(), ToolSequence, None):
        with pytest.raises(ValidationError, match=r"extractor.*a name, a table"):
            extractors.resolve(wrong)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_lenght": 4}, "parameter of extractor 'tool_sequence'.*max_length.*'max_lenght'"),
        ({"max_length": "4"}, "extractor 'tool_sequence': max_length.*int.*str"),
        ({"max_length": True}, "extractor 'tool_sequence': max_length.*int.*bool"),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        extractors.create("tool_sequence", **parameters)


def test_a_missing_parameter_is_named() -> None:
    registry: Registry[object] = Registry("thing")

    @registry.register("needy")
    class Needy:
        def __init__(self, *, size: int) -> None:
            self.size = size

    with pytest.raises(ValidationError, match=r"thing 'needy'.*size"):
        registry.create("needy")


def test_a_table_without_a_name_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"a table with a name"):
        extractors.resolve({"max_length": 4})


def test_equal_parts_have_equal_descriptions() -> None:
    assert extractors.describe(ToolSequence()) == extractors.describe(ToolSequence(max_length=5))
    assert extractors.describe(ToolSequence()) != extractors.describe(ToolSequence(max_length=4))
    assert extractors.describe("tool_sequence") == "tool_sequence"


def test_a_part_of_a_registry_without_a_protocol_may_be_any_object() -> None:
    registry: Registry[object] = Registry("thing")
    thing = object()
    assert registry.resolve(thing) is thing
    assert isinstance(extractors.create("tool_sequence"), Extractor)
