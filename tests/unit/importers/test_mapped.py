from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tacit import Memory, ValidationError
from tacit.importers import JsonPath, Mapped, import_file

RUN = {
    "info": {"goal": "Sort the list", "who": "m1", "key": 7},
    "events": [
        {"fn": "sort", "in": {"by": "name"}, "out": "sorted", "took": 12},
        {"fn": "save", "in": {}, "problem": "disk full"},
    ],
    "score": 0.9,
}
MAPPING = {
    "task": ".info.goal",
    "steps": ".events",
    "id": ".info.key",
    "agent": ".info.who",
    "success": ".score>=0.5",
    "step.tool": ".fn",
    "step.parameters": ".in",
    "step.output": ".out",
    "step.error": ".problem",
}


def test_a_mapping_reads_any_json(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    path.write_text(
        json.dumps([RUN, RUN | {"score": 0.1, "info": {"goal": "Sort", "key": 8}}, {"events": []}])
    )
    with Memory() as memory:
        summary = import_file(memory, path, format=Mapped(MAPPING))
        assert (summary.imported, summary.formats) == (2, ("mapped",))
        assert summary.refused[0].reason == "task must be there; the mapped member has none"
        assert import_file(memory, path, format=Mapped(MAPPING)).unchanged == 2
        first, second = sorted(memory.episodes(), key=lambda each: each.task, reverse=True)
    assert [(step.tool, step.parameters, step.output, step.error) for step in first.steps] == [
        ("sort", {"by": "name"}, "sorted", None),
        ("save", {}, None, "disk full"),
    ]
    assert first.outcome is not None
    assert second.outcome is not None
    assert (first.outcome.kind, second.outcome.kind, first.agent) == ("success", "failure", "m1")


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        (".a.b[1]", {"a": {"b": [1, 2]}}, 2),
        ('."odd name"', {"odd name": 3}, 3),
        (".a[9]", {"a": []}, None),
        (".a.b", {"a": "text"}, None),
        (".a==1", {"a": 1}, True),
        (".a=='x'", {"a": "x"}, True),
        (".a != true", {"a": False}, True),
        (".a<2", {"a": "x"}, None),
        (".a==1", {}, None),
    ],
)
def test_a_path_finds_what_stands_there(path: str, value: Any, found: Any) -> None:
    assert JsonPath.parse(path).find(value) == found


@pytest.mark.parametrize("path", ["goal", "..a", ".a[x]", "", ".a ==", "[", ".a.*"])
def test_a_text_that_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="a path such as"):
        JsonPath.parse(path)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"goal": ".a"}, "map must be one of"),
        ({"task": ".a"}, "with steps or messages"),
        ({"steps": ".a"}, "with task"),
    ],
)
def test_a_mapping_that_cannot_give_a_run_is_refused(mapping: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Mapped(mapping)
