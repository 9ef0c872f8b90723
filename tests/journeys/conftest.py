"""Memories in RAM and on a real file, closed when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tacit import Memory

MakeMemory = Callable[..., Memory]


@pytest.fixture(params=["memory", "file"])
def make_memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeMemory]:
    """Makes memories; takes the arguments of `Memory` but the database."""
    made: list[Memory] = []

    def make(**options: Any) -> Memory:
        database = tmp_path / f"{len(made)}.db" if request.param == "file" else None
        made.append(Memory(database, **options))
        return made[-1]

    yield make
    for memory in made:
        memory.close()
