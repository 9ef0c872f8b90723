"""A small disk that fills up: the cache gives its space up, then commits are refused, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tacit import Episode, Memory, Outcome, Step
from tacit.storage import NativeStore

FILL = """
import sys
from pathlib import Path
from tacit.errors import UnavailableError
from tacit.model.record import Batch
from tacit.storage import NativeStore
from tacit.testing import episode_record

path = Path(sys.argv[1], "store.db")
store = NativeStore(path, cache_entries=1)
def record(number):
    return episode_record(number, payload=bytes(300_000))
landed = 0
while True:
    try:
        store.commit(Batch((record(landed),)))
    except UnavailableError as error:
        assert error.retryable
        break
    if landed <= 4:
        store.get("episode", record(landed).id)
    if landed == 4:
        assert store.stats()["cache"] == "redb"
        assert Path(f"{path}-cache").stat().st_size > 1_000_000
    landed += 1
assert landed > 4
assert store.stats()["cache"] == "memory"
assert not Path(f"{path}-cache").exists()
assert all(store.get("episode", record(number).id) == bytes(300_000) for number in range(landed))
store.close()
with NativeStore(path, cache_path=None) as again:
    assert len(again.scan("episode", limit=100)) == landed
"""


def test_the_cache_gives_its_space_up_before_a_commit_is_refused(tmp_path: Path) -> None:
    mounted = 'mount -t tmpfs -o size=9m tmpfs "$1" && exec "$0" -c "$2" "$1"'
    command: list[str | Path] = ["unshare", "-rm", "sh", "-c", mounted, sys.executable, tmp_path]
    if subprocess.run([*command, "pass"], stderr=-1).returncode:
        pytest.skip("this machine lets no process mount a folder")
    assert subprocess.run([*command, FILL], check=False).returncode == 0


def test_large_episodes_are_committed_in_chunks_that_are_bounded_by_bytes(tmp_path: Path) -> None:
    committed: list[int] = []
    given = 0

    def episodes() -> Iterator[Episode]:
        nonlocal given
        steps = tuple(Step("read_file", output="x" * 9_000 + str(number)) for number in range(300))
        for number in range(7):
            given += 1
            yield Episode(task=f"Read file {number}", steps=steps, outcome=Outcome.success())

    with Memory(store=NativeStore(tmp_path / "store.db", cache_path=None)) as memory:
        for learned in memory.add_many(episodes()):
            assert learned.state == "learned"
            committed.append(given)
    assert committed == [4, 4, 4, 4, 7, 7, 7]
