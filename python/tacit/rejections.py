"""Results that a host writes for a call that its user, or a rule of theirs, did not allow.

Such a call neither failed nor went well: its tool never ran.
"""

from __future__ import annotations

_BEGINNINGS = (
    "The user doesn't want to proceed with this tool use",
    "The user doesn't want to take this action right now",
    "[Request interrupted by user",
    "Permission to use ",
    "exec command rejected by user",
    "patch rejected by user",
    "aborted by user",
    "The user rejected permission to use this specific tool call",
    "[Operation Cancelled]",
)
"""The beginnings of such results in Claude Code, Codex, opencode and Gemini CLI."""


def is_rejection(text: str) -> bool:
    """True for the result of a call that was not allowed to run.

    Example:
        >>> is_rejection("The user doesn't want to proceed with this tool use. The tool use was rejected.")
        True
        >>> is_rejection("Error: no such file")
        False
    """
    return text.lstrip().removeprefix("Error: ").startswith(_BEGINNINGS)
