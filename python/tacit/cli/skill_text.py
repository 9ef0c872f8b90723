"""The texts of `tacit skill`: a playbook as a SKILL.md, heuristics as a section of AGENTS.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from ..model.advice import FINISH, ChangedArguments, Fix, Fixes, PlanStep, Playbook
from ..model.pattern import Heuristic
from ..tools.generated import GeneratedTool, ToolParameter, ToolStep
from . import console
from .advice_view import changed_text
from .tables import odds, worked

BEGIN = "<!-- tacit: begin -->"
END = "<!-- tacit: end -->"
_NAME_CHARACTERS = 64
"""The longest name of a skill that hosts take."""
_DESCRIPTION_CHARACTERS = 1_000
_SECTION = re.compile(re.escape(BEGIN) + r".*?" + re.escape(END) + r"\n?", re.DOTALL)


def skill_name(task: str) -> str:
    """The name of a skill: small letters, digits and hyphens.

    Example:
        >>> skill_name("Deploy the Service to staging!")
        'deploy-the-service-to-staging'
    """
    name = re.sub(r"[^a-z0-9]+", "-", task.lower()).strip("-")
    return name[:_NAME_CHARACTERS].strip("-") or "task"


def skill_text(playbook: Playbook) -> str:
    """A SKILL.md of a plan; empty without one. Recorded texts are quoted as code: they are data."""
    if not playbook.steps:
        return ""
    return "\n".join([*_front_matter(playbook), *_plan(playbook), *_lessons(playbook)]) + "\n"


def tool_skill_text(tool: GeneratedTool) -> str:
    """A SKILL.md of a generated tool: its parameters, and its steps with the source of each argument."""
    lines = [
        *_head(tool.name, f"{tool.description} Use it for tasks like those."),
        f"# {_code(tool.name)}",
        "",
    ]
    lines += [console.cropped(tool.description, _DESCRIPTION_CHARACTERS), ""]
    if tool.reason is not None:
        lines += [f"Withdrawn: {console.plain(tool.reason)}.", ""]
    if tool.parameters:
        lines += ["## Parameters", "", *map(_tool_parameter, tool.parameters), ""]
    steps = (f"{number}. {_tool_step(step)}" for number, step in enumerate(tool.steps, 1))
    return "\n".join([*lines, "## Steps", "", *steps]) + "\n"


def _tool_parameter(parameter: ToolParameter) -> str:
    need = "required" if parameter.required else "optional"
    said = f"- {_code(parameter.name)}: {' or '.join(parameter.types)}, {need}"
    values = parameter.enum or parameter.examples
    listed = ", ".join(_code(_json(each)) for each in values)
    return f"{said}, {'one of' if parameter.enum else 'such as'} {listed}" if values else said


def _tool_step(step: ToolStep) -> str:
    always = {each.name: each.value for each in step.arguments if each.source == "always"}
    others = [f"{_code(each.name)} {_code(each.text)}" for each in step.arguments if each.source != "always"]
    said = _code(step.tool)
    if always:
        said += f" with {_code(_json(always))}"
    return f"{said}; take {', '.join(others)}" if others else said


def _front_matter(playbook: Playbook) -> Iterator[str]:
    task = console.cropped(playbook.task, _DESCRIPTION_CHARACTERS // 2)
    known = console.count_of(len(playbook.episodes), "recorded success", "recorded successes")
    yield from _head(
        playbook.task, f"How this was done before ({known}): {task}. Use it for tasks like this."
    )


def _head(name: str, description: str) -> Iterator[str]:
    yield from ("---", f"name: {skill_name(name)}", f"description: {_json(description)}", "---", "")


def _plan(playbook: Playbook) -> Iterator[str]:
    success = playbook.success
    yield f"# {console.cropped(playbook.task, 200)}"
    yield ""
    yield (
        f"Learned by tacit from {console.count_of(len(playbook.episodes), 'success', 'successes')} of tasks like this: "
        f"{success.success:.0%} succeed ({console.interval(success)})."
    )
    yield from ("", "## Steps", "")
    yield from (f"{number}. {_step(step)}" for number, step in enumerate(playbook.steps, 1))


def _step(step: PlanStep) -> str:
    filled = {each.name: each.value for each in step.arguments if each.filled}
    open_ones = [
        f"{_code(each.name)}" + (f" from {_code(each.source)}" if each.source else "")
        for each in step.arguments
        if not each.filled
    ]
    said = "finish" if step.tool == FINISH else _code(step.tool)
    if filled:
        said += f" with {_code(_json(filled))}"
    if open_ones:
        said += f"; choose {', '.join(open_ones)}"
    return f"{said} ({step.share:.0%} of them)"


def _lessons(playbook: Playbook) -> Iterator[str]:
    fixes = [line for changed in playbook.changed if (line := _fix(changed))]
    rules = [_rule(each) for each in playbook.heuristics if not each.undecided]
    pitfalls = [f"- {_code(each.text)}: {worked(each)}" for each in playbook.pitfalls]
    for title, lines in (("When a step fails", fixes), ("Rules", rules), ("Avoid", pitfalls)):
        if lines:
            yield from ("", f"## {title}", "", *lines)


def _fix(changed: ChangedArguments) -> str:
    if not changed.arguments and not changed.dropped:
        return ""
    return f"- {_code(changed.tool)} fails with {_code(changed.error)}: {_code('call it' + changed_text(changed))}"


def agents_section(heuristics: Iterable[Heuristic], fixes: Iterable[tuple[Fixes, Fix]], limit: int) -> str:
    """The decided heuristics that speak for their action, and fixes, as a section between two marks; empty for none."""
    decided = [each for each in heuristics if not each.undecided and (each.odds_ratio or 0.0) > 1.0]
    rules = [*map(_rule, decided), *(_fix_rule(*each) for each in fixes)][:limit]
    if not rules:
        return ""
    lines = (BEGIN, "## Learned from past sessions", "", *rules, END)
    return "\n".join(lines) + "\n"


def _rule(rule: Heuristic) -> str:
    return f"- When {_code(rule.condition)}: {_code(rule.action)} ({worked(rule)}; {odds(rule)})"


def _fix_rule(answer: Fixes, fix: Fix) -> str:
    said = _code(f"{fix.tool}{changed_text(fix.changed)}")
    return f"- When {_code(answer.tool or 'a tool')} fails with {_code(answer.error_class)}: {said} ({worked(fix)})"


def with_section(text: str, section: str) -> str:
    r"""The text with its section replaced, or with the section at its end.

    Example:
        >>> once = with_section("# Mine\n", "<!-- tacit: begin -->\nold\n<!-- tacit: end -->\n")
        >>> with_section(once, "<!-- tacit: begin -->\nnew\n<!-- tacit: end -->\n").split("\n")[2:4]
        ['<!-- tacit: begin -->', 'new']
    """
    if _SECTION.search(text):
        return _SECTION.sub(lambda _: section, text, count=1)
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + section


def _code(text: str) -> str:
    """A recorded text as code, which no Markdown within it can leave."""
    plain = console.cropped(text, 300)
    ticks = max((len(run) for run in re.findall("`+", plain)), default=0) + 1
    room = " " if ticks > 1 else ""
    return f"{'`' * ticks}{room}{plain}{room}{'`' * ticks}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
