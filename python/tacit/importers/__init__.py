"""Importers: files of recorded runs, one episode after another, into a memory."""

from __future__ import annotations

from ..model.lines import episode_line
from .base import Entry, Importer, Refusal, importers
from .detecting import importer_for
from .forms.mapped import JsonPath, Mapped
from .importing import ImportSummary, import_file
from .json_values import JsonText
from .jsonl import Jsonl, tasks_beside
from .messages import from_messages
from .run_builder import RunBuilder
from .source import Line, Source, check_readable

__all__ = [
    "Entry",
    "ImportSummary",
    "Importer",
    "JsonPath",
    "JsonText",
    "Jsonl",
    "Line",
    "Mapped",
    "Refusal",
    "RunBuilder",
    "Source",
    "check_readable",
    "episode_line",
    "from_messages",
    "import_file",
    "importer_for",
    "importers",
    "tasks_beside",
]
