from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tacit import Memory, ValidationError
from tacit.importers import ImportSummary, Line, Source, import_file
from tests.unit.importers.runs import run

RUNS = "\n".join(json.dumps(run(number)) for number in range(3)).encode()


def imported(path: Path, content: bytes) -> ImportSummary:
    path.write_bytes(content)
    with Memory() as memory:
        return import_file(memory, path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_a_packed_file_is_read_by_its_first_bytes(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    assert imported(tmp_path / "runs", pack(RUNS)).imported == 3


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be", "utf-8"])
def test_a_file_of_windows_is_read_with_its_mark(tmp_path: Path, coding: str) -> None:
    marked = ("\ufeff" + RUNS.decode().replace("\n", "\r\n")).encode(coding)
    assert imported(tmp_path / "runs.jsonl", marked).imported == 3
    assert imported(tmp_path / "runs.gz", gzip.compress(marked)).imported == 3


def test_zstd_is_read_where_python_can_and_says_how_else(tmp_path: Path) -> None:
    try:
        from compression.zstd import (  # type: ignore[import-not-found, unused-ignore]
            compress,
        )
    except ImportError:
        try:
            from zstandard import compress  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            with pytest.raises(ValidationError, match="pip install zstandard"):
                imported(tmp_path / "runs.zst", b"\x28\xb5\x2f\xfd" + bytes(20))
            return
    assert imported(tmp_path / "runs.zst", compress(RUNS)).imported == 3


def test_every_file_of_an_archive_and_of_a_folder_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    (folder / "deep").mkdir(parents=True)
    with zipfile.ZipFile(folder / "deep" / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/b.jsonl", json.dumps(run(7)))
        archive.writestr("in/c.json", '{"colour": 1}')
    (folder / "d.jsonl.gz").write_bytes(gzip.compress(RUNS))
    (folder / "notes.txt").write_text("not read")
    with Memory() as memory:
        summary = import_file(memory, folder)
    assert (summary.imported, summary.files) == (4, 2)
    assert [Path(refusal.path).name for refusal in summary.refused] == ["c.json"]


def test_a_bomb_is_given_up_and_what_came_before_is_imported(tmp_path: Path) -> None:
    blanks = gzip.compress(RUNS + b"\n" + b"\n" * 2_000_000)
    summary = imported(tmp_path / "blanks.gz", blanks)
    assert (summary.imported, summary.refused[0].line) == (3, 100_004)
    assert "more than 100,000 blank lines" in summary.refused[0].reason
    long_line = gzip.compress(RUNS + b"\n" + b"x" * 200_000_000, compresslevel=9)
    summary = imported(tmp_path / "line.gz", long_line)
    assert summary.imported == 3
    assert "unpacks to more than 200 times its size" in summary.refused[-1].reason


def test_a_file_without_a_run_in_ten_thousand_lines_is_given_up_and_equal_reasons_are_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(b'{"task": 1}\n' * 300_000)
    with Memory() as memory:
        summary = import_file(memory, path)
    assert len(summary.refused) == 2
    assert 10_000 <= summary.refused_lines <= 10_101
    assert "reading ended" in summary.refused[1].reason


def test_looking_ahead_takes_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a\n" * 400_000)
    with Source(path) as source:
        assert source.head() == b"a\n" * (1 << 17)
        assert sum(isinstance(line, Line) for line in source.lines()) == 400_000
