"""The public forms of recorded runs, each a reader of its own: `Form` is what they have in common."""

from __future__ import annotations

from ..base import importers
from .agentfs import AgentFs
from .chats import Chats
from .claude_code import ClaudeCode
from .codex import Codex
from .gemini_cli import GeminiCli
from .langfuse import Langfuse
from .langsmith import LangSmith
from .opencode import OpenCode
from .spans import Spans
from .swe_agent import SweAgent
from .tau_bench import TauBench

FORMS = (
    AgentFs,
    GeminiCli,
    OpenCode,
    ClaudeCode,
    Codex,
    SweAgent,
    TauBench,
    Spans,
    LangSmith,
    Langfuse,
    Chats,
)
"""In the order in which they are asked whether they recognise a file: the last one asks least."""

for _form in FORMS:
    importers.register(_form.name)(_form)

__all__ = [
    "FORMS",
    "AgentFs",
    "Chats",
    "ClaudeCode",
    "Codex",
    "GeminiCli",
    "LangSmith",
    "Langfuse",
    "OpenCode",
    "Spans",
    "SweAgent",
    "TauBench",
]
