"""An event of a coding agent, whatever program it comes from, in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["prompt", "failure", "start", "stop", "other"]
_KINDS: Mapping[str, Kind] = {
    "UserPromptSubmit": "prompt",
    "beforeSubmitPrompt": "prompt",
    "PostToolUseFailure": "failure",
    "PostToolUse": "failure",
    "SessionStart": "start",
    "sessionStart": "start",
    "Stop": "stop",
    "stop": "stop",
    "SessionEnd": "stop",
    "sessionEnd": "stop",
    "agentStop": "stop",
}
"""The names of events in Claude Code, Codex, Cursor and Copilot CLI."""
_ERROR_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class HookEvent:
    """One event. `error` is empty unless a tool failed; `transcript` is the session's file, if the host names it."""

    kind: Kind
    name: str
    session: str
    folder: str
    transcript: str = ""
    prompt: str = ""
    tool: str = ""
    error: str = ""


def event_of(given: Mapping[str, Any]) -> HookEvent:
    """The event of a host's object; members that are missing or of another type are empty.

    Example:
        >>> event_of({"hook_event_name": "UserPromptSubmit", "prompt": "Fix it", "cwd": "/repo"}).prompt
        'Fix it'
    """
    name = _text(given, "hook_event_name")
    tool = _text(given, "tool_name")
    error = _failure(given, name) if tool else ""
    kind = _KINDS.get(name, "other")
    if kind == "failure" and not error:
        kind = "other"
    return HookEvent(
        kind=kind,
        name=name,
        session=_text(given, "session_id"),
        folder=_text(given, "cwd"),
        transcript=_text(given, "transcript_path"),
        prompt=_text(given, "prompt"),
        tool=tool,
        error=error[:_ERROR_CHARACTERS],
    )


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def _failure(given: Mapping[str, Any], name: str) -> str:
    """The message of a tool that failed; empty for one that went well."""
    from ..importers.messages import text_of

    if isinstance(error := given.get("error"), str) and error:
        return error
    response = given.get("tool_response")
    if name == "PostToolUseFailure":
        return _said(response) or "failed without a message"
    if isinstance(response, Mapping):
        failed = response.get("is_error") is True or response.get("exit_code", 0) not in (0, None)
        return (_said(response) or "failed without a message") if failed else ""
    return text_of(response) if text_of(response).startswith(("Error", "Exit code ")) else ""


def _said(response: object) -> str:
    from ..importers.messages import text_of

    if isinstance(response, Mapping):
        for name in ("error", "stderr", "output", "content", "stdout"):
            if text := text_of(response.get(name)):
                return text
        return ""
    return text_of(response)
