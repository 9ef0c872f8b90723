"""Importers: files of recorded runs, one episode after another, into a memory."""

from __future__ import annotations

from .base import Entry, Importer, Refusal, importers
from .importing import ImportSummary, import_file
from .jsonl import Jsonl, tasks_beside
from .lines import episode_line
from .source import Line, Source, check_readable

__all__ = [
    "Entry",
    "ImportSummary",
    "Importer",
    "Jsonl",
    "Line",
    "Refusal",
    "Source",
    "check_readable",
    "episode_line",
    "import_file",
    "importers",
    "tasks_beside",
]
