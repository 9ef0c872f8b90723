"""What crosses between Python and Rust: the one file that both languages obey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from tacit.model.record import Batch, Change, Receipt

__version__: Final[str]

# --- trajectory, reward, findings ---------------------------------------------------------------

# --- similarity, sequence, cluster --------------------------------------------------------------

# --- evidence, rank -----------------------------------------------------------------------------

# --- breaker, backoff, lru ----------------------------------------------------------------------

# --- embedding, index ---------------------------------------------------------------------------

def words(text: str) -> list[str]: ...

@final
class HashedEmbedder:
    def __new__(cls, *, dimension: int = 384) -> HashedEmbedder: ...
    @property
    def name(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

# --- store --------------------------------------------------------------------------------------

@final
class Changes:
    @property
    def last(self) -> int: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Change]: ...

@final
class Store:
    def __new__(
        cls,
        path: str | PathLike[str],
        *,
        durability: str = "durable",
        readers: int = 3,
        busy_timeout_ms: int = 5000,
    ) -> Store: ...
    def commit(self, batch: Batch) -> Receipt: ...
    def get(self, kind: str, id: bytes) -> bytes | None: ...
    def get_many(self, kind: str, ids: Sequence[bytes]) -> list[bytes | None]: ...
    def scan(
        self,
        kind: str,
        *,
        after: bytes | None = None,
        limit: int = 100,
        newest_first: bool = False,
        namespace: str | None = None,
        domain: str | None = None,
        task_key: str | None = None,
        agent: str | None = None,
        external_id: str | None = None,
        state: str | None = None,
    ) -> list[tuple[bytes, bytes]]: ...
    def changes(self, since: int, limit: int = 1000) -> Changes: ...
    def sequence(self) -> int: ...
    def sums(self) -> tuple[int, bytes]: ...
    def pending(self, limit: int = 100) -> list[bytes]: ...
    def stats(self) -> dict[str, int | float | str]: ...
    def close(self) -> None: ...

def check_batch(batch: Batch) -> None: ...
