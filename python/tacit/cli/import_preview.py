"""`tacit import --preview`: the first run of each file, as it would be stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from rich.text import Text

from ..config import Limits, load
from ..importers import Entry, Importer, Refusal
from ..importers.detecting import files_of, form_name, importer_of
from ..intake.redacting import redacted_value
from ..redaction import open_redactor
from . import console

_SHOWN_STEPS = 5
_WIDTH = 200


def show_first_runs(paths: list[str], form: str | Importer, *, as_json: bool) -> None:
    """Shows what each file is taken for, its first run, or why its first line cannot be used."""
    found = [each for path in paths for each in _first_runs(path, form)]
    if as_json:
        console.say_json({"runs": [{"path": path, "format": name, "run": run} for path, name, run in found]})
        return
    for path, name, run in found:
        console.say(Text.assemble((console.plain(path), "bold"), f" as {name}"))
        if isinstance(run, Refusal):
            console.say(Text(f"  line {run.line}: {console.plain(run.reason)}", "yellow"))
        elif run is None:
            console.say("  no run")
        else:
            _say_run(run)


def _first_runs(path: str, form: str | Importer) -> Iterator[tuple[str, str, Entry | Refusal | None]]:
    for source in files_of(path, Limits()):
        importer = importer_of(form, source)
        run = next(iter(importer.read(source)), None)
        yield source.path, form_name(importer), _without_secrets(run) if isinstance(run, Entry) else run


def _without_secrets(entry: Entry) -> Entry:
    """The run as it would be stored."""
    redactor = open_redactor(load().settings.redactor, None)
    return replace(entry, episode=redacted_value(entry.episode, redactor))


def _say_run(entry: Entry) -> None:
    episode = entry.episode
    outcome = episode.outcome.kind if episode.outcome else "unknown"
    rows = (
        ("task", episode.task),
        ("outcome", outcome),
        ("agent", episode.agent or "unknown"),
        ("domain", episode.context.domain),
        ("steps", str(len(episode.steps))),
    )
    for label, value in rows:
        console.say(Text.assemble((f"  {label:<8}", "dim"), console.cropped(console.plain(value), _WIDTH)))
    for step in islice(episode.steps, _SHOWN_STEPS):
        text = f"    {step.tool} {step.parameters} -> {step.status or 'no result'}"
        console.say(Text(console.cropped(console.plain(text), _WIDTH)))
