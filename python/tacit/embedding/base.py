"""The embedder protocol and the registry of embedders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@runtime_checkable
class Embedder(Protocol):
    """Makes vectors of texts, so that texts about the same thing point the same way.

    Vectors are compared only with vectors of the same `name`: another model, version or dimension is another name.
    """

    @property
    def name(self) -> str:
        """The label of its vectors in the store."""
        ...

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a C-contiguous array of one finite row a text, in their order.

        The same text always has the same row. An embedder may give its rows as `embed_packed(texts) -> list[bytes]`
        too, little-endian float32: tacit then never makes an array.
        """
        ...


embedders: Registry[Embedder] = Registry("embedder", Embedder)
