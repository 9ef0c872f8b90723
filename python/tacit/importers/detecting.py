"""Finds the form of a file by its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..config import Limits
from ..errors import ValidationError
from .base import Importer, importers
from .sample import Sample
from .source import Source, sources_of

_OWN = ("task_description", "task")
_SUFFIXES = (".jsonl", ".json", ".ndjson", ".traj", ".db", ".sqlite")
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_MOST_FILES = 100_000


def importer_for(source: Source) -> Importer:
    """The importer of the form that a source has. Raises `ValidationError` that says what an unknown one looks like.

    Example:
        >>> import io
        >>> from tacit.importers import Source, importer_for
        >>> type(importer_for(Source("runs", content=io.BufferedReader(io.BytesIO(b'{"task": "a"}'))))).__name__
        'Jsonl'
    """
    from .forms import FORMS

    sample = Sample(Path(source.path).name.lower(), source.head())
    if any(sample.any_has("steps", task) for task in _OWN):
        return importers.create("jsonl")
    for form in FORMS:
        if form.recognises(sample):
            return form()
    if not sample.keys or any(sample.any_has(name) for name in _OWN):
        return importers.create("jsonl")
    rule = f"one of the forms {', '.join(sorted(importers))}, or mapped with --map"
    raise ValidationError("format", rule, f"{source.path}, which looks like {sample.describe()}")


def importer_of(format: str | Importer, source: Source) -> Importer:
    """The importer itself, that of a name, or with "auto" that of the source's form."""
    if not isinstance(format, str):
        return format
    return importer_for(source) if format == "auto" else importers.create(format)


def form_name(importer: Importer) -> str:
    """The name under which a form is imported."""
    return getattr(importer, "name", None) or importers.name_of(importer)


def files_of(path: str | Path, limits: Limits) -> Iterator[Source]:
    """The sources behind a path: a file, the members of a zip archive, or every file of runs below a folder.

    Files of a folder are those called `.jsonl`, `.json`, `.ndjson`, `.traj`, `.db`, `.sqlite` or `.zip`, packed or
    not, in the order of their names. Raises `ValidationError` for a path that cannot be read.
    """
    if str(path) == "-" or not Path(path).is_dir():
        yield from sources_of(path, limits)
        return
    for count, file in enumerate(sorted(files_below(Path(path)))):
        if count == _MOST_FILES:
            raise ValidationError("path", f"a folder of at most {_MOST_FILES:,} files", f"{path} with more")
        yield from sources_of(file, limits)


def files_below(folder: Path) -> Iterator[Path]:
    """The files of runs below a folder, by their names."""
    for file in folder.rglob("*"):
        name = file.name.lower()
        for packed in _PACKED:
            name = name.removesuffix(packed)
        if name.endswith((*_SUFFIXES, ".zip")) and not name.endswith(".tasks.jsonl") and file.is_file():
            yield file
