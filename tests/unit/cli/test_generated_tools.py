from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit import Memory
from tests.unit.cli.conftest import Tacit
from tests.unit.tools.shop import PLAN, REASONS, attempts


@pytest.fixture(scope="module")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    with Memory(path) as memory:
        for _ in memory.add_many(attempts()):
            pass
        memory.maintain()
    return path.read_bytes()


@pytest.fixture
def shop(tacit: Tacit, database: Path, shop_file: bytes) -> Tacit:
    database.write_bytes(shop_file)
    return tacit


def name_of_plan(shop: Tacit) -> str:
    found = shop("tools", "list", "--json").data["tools"]
    return str(next(each["name"] for each in found if [step["tool"] for step in each["steps"]] == list(PLAN)))


def test_tools_are_listed_with_their_evidence(shop: Tacit) -> None:
    name = name_of_plan(shop)
    shown = shop("tools")
    assert name in shown.out
    assert "Plans get_order, then check_policy, then cancel_order." in " ".join(shown.out.split())
    for_task = shop("tools", "list", "--task", "Cancel order 7 for customer 3", "--json").data["tools"]
    assert name in [each["name"] for each in for_task]


def test_a_tool_is_shown_with_parameters_and_sources(shop: Tacit) -> None:
    shown = " ".join(shop("tools", "show", name_of_plan(shop)).out.split())
    assert f'reason: string, required, one of "{REASONS[0]}", "{REASONS[1]}"' in shown
    assert "user from result of step 1: owner.id" in shown
    unknown = shop("tools", "show", "nothing_of_this_name")
    assert (unknown.status, unknown.out) == (1, "")
    assert "name must be that of a tool" in unknown.err


@pytest.mark.parametrize(
    ("form", "key"), [("mcp", "inputSchema"), ("openai", "function"), ("anthropic", "input_schema")]
)
def test_an_export_has_the_schemas_of_a_host(shop: Tacit, form: str, key: str) -> None:
    name = name_of_plan(shop)
    (schema,) = shop("tools", "export", name, "--format", form).data["tools"]
    assert key in schema


def test_tools_become_skills_for_coding_agents(shop: Tacit, tmp_path: Path) -> None:
    name = name_of_plan(shop)
    folder = tmp_path / "skills"
    assert shop("tools", "export", name, "--format", "skill", "--to", folder).status == 0
    text = (folder / name.replace("_", "-") / "SKILL.md").read_text()
    head = text.split("---")[1].strip().splitlines()
    assert head[0] == f"name: {name.replace('_', '-')}"
    assert json.loads(head[1].removeprefix("description: ")).startswith("Plans get_order, then")
    assert '2. `check_policy` with `{"country":"DE"}`' in text
    assert "`user` `from result of step 1: owner.id`" in text
    assert shop("tools", "list", "--to", folder).status == 2
    assert shop("tools", "export", "--format", "soap").status == 2
    assert shop("tools", "forget").status == 2


def test_a_memory_without_a_proven_pattern_says_how_tools_come_about(filled: Tacit) -> None:
    answer = filled("tools")
    assert (answer.status, answer.out) == (0, "")
    assert "tacit maintain" in answer.err
