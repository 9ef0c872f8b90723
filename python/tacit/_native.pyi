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

# --- store --------------------------------------------------------------------------------------
