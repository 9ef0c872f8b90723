"""An event of a coding agent, whatever program it comes from, in one form.

A hook runs at every event of a host: this module loads nothing but the interpreter's own.
"""

from __future__ import annotations

from ..rejections import is_rejection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    Kind = Literal["prompt", "failure", "start", "stop", "other"]

_KINDS: Mapping[str, Kind] = {
    "UserPromptSubmit": "prompt",
    "beforeSubmitPrompt": "prompt",
    "BeforeAgent": "prompt",
    "PostToolUseFailure": "failure",
    "PostToolUse": "failure",
    "AfterTool": "failure",
    "SessionStart": "start",
    "sessionStart": "start",
    "Stop": "stop",
    "stop": "stop",
    "AfterAgent": "stop",
    "SessionEnd": "stop",
    "sessionEnd": "stop",
    "agentStop": "stop",
}
"""The names of events in Claude Code, Codex, Cursor, Copilot CLI and Gemini CLI."""
_ERROR_CHARACTERS = 10_000


class HookEvent:
    """One event. `error` is empty unless a tool failed; `transcript` is the session's file, if the host names it."""

    __slots__ = ("error", "folder", "kind", "name", "prompt", "session", "tool", "transcript")

    def __init__(
        self,
        kind: Kind,
        name: str,
        session: str,
        folder: str,
        *,
        transcript: str = "",
        prompt: str = "",
        tool: str = "",
        error: str = "",
    ) -> None:
        self.kind: Kind = kind
        self.name: str = name
        self.session: str = session
        self.folder: str = folder
        self.transcript: str = transcript
        self.prompt: str = prompt
        self.tool: str = tool
        self.error: str = error


def event_of(given: Mapping[str, Any]) -> HookEvent:
    """The event of a host's object; members that are missing or of another type are empty.

    A call that the user did not allow is no failure.

    Example:
        >>> event_of({"hook_event_name": "UserPromptSubmit", "prompt": "Fix it", "cwd": "/repo"}).prompt
        'Fix it'
    """
    name = _text(given, "hook_event_name")
    tool = _text(given, "tool_name")
    kind = _KINDS.get(name, "other")
    error = _failure(given, name) if tool and kind == "failure" else ""
    if kind == "failure" and not error:
        kind = "other"
    return HookEvent(
        kind,
        name,
        _text(given, "session_id"),
        _text(given, "cwd"),
        transcript=_text(given, "transcript_path"),
        prompt=_text(given, "prompt"),
        tool=tool,
        error=error[:_ERROR_CHARACTERS],
    )


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def _failure(given: Mapping[str, Any], name: str) -> str:
    """The message of a tool that failed; empty for one that went well or was not allowed to run."""
    error = _message(given, name)
    if given.get("is_interrupt") is True or is_rejection(error):
        return ""
    return error


def _message(given: Mapping[str, Any], name: str) -> str:
    if isinstance(error := given.get("error"), str) and error:
        return error
    response = given.get("tool_response")
    if name == "PostToolUseFailure":
        return _said(response) or "failed without a message"
    if isinstance(response, dict):
        failed = (
            response.get("is_error") is True
            or response.get("exit_code", 0) not in (0, None)
            or bool(response.get("error"))
        )
        return (_said(response) or "failed without a message") if failed else ""
    text = _text_of(response)
    return text if text.startswith(("Error", "Exit code ")) else ""


def _said(response: object) -> str:
    if isinstance(response, dict):
        for name in ("error", "stderr", "output", "content", "stdout"):
            if text := _text_of(response.get(name)):
                return text
        return ""
    return _text_of(response)


def _text_of(content: object) -> str:
    """A text, or the texts of a message's blocks one below the other."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return _text_of(content.get("text") or content.get("message") or "")
    if isinstance(content, list):
        return "\n".join(filter(None, map(_text_of, content)))
    return ""
