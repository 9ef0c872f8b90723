"""What crosses between Python and Rust: the one file that both languages obey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

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
