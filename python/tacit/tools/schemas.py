"""Generated tools in the forms of MCP, OpenAI and Anthropic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ValidationError

if TYPE_CHECKING:
    from .generated import GeneratedTool

FORMS = ("mcp", "openai", "anthropic")


def schema_of(tool: GeneratedTool, form: str) -> dict[str, Any]:
    """The tool as a host of this form lists it."""
    parameters = {
        "type": "object",
        "properties": {each.name: each.schema() for each in tool.parameters},
        "required": [each.name for each in tool.parameters if each.required],
        "additionalProperties": False,
    }
    named = {"name": tool.name, "description": tool.description}
    if form == "mcp":
        return {**named, "inputSchema": parameters}
    if form == "openai":
        return {"type": "function", "function": {**named, "parameters": parameters}}
    if form == "anthropic":
        return {**named, "input_schema": parameters}
    raise ValidationError("form", f"one of {', '.join(FORMS)}", repr(form))
