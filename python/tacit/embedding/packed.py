"""Vectors in their stored form: little-endian float32, one `bytes` a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from ..errors import ValidationError, is_failure
from .base import Embedder


class PackingEmbedder(Embedder, Protocol):
    """An embedder that gives its vectors in their stored form too, so that no array has to be made."""

    def embed_packed(self, texts: Sequence[str]) -> list[bytes]:
        """Return the rows of `embed` as little-endian float32, in their order."""
        ...


def embed_packed(embedder: Embedder, texts: Sequence[str]) -> list[bytes]:
    """Return the vectors of texts in their stored form.

    NumPy is imported only for an embedder without `embed_packed`. A vector that the index could not compare, because
    it has another width or a number that is not finite, raises `ValidationError`.
    """
    if hasattr(embedder, "embed_packed"):  # `isinstance` with a protocol takes ten times as long
        return cast(PackingEmbedder, embedder).embed_packed(texts)
    import numpy as np

    rows = np.ascontiguousarray(embedder.embed(texts), dtype="<f4")
    expected = (len(texts), embedder.dimension)
    if rows.shape != expected or not np.isfinite(rows).all():
        rule = f"{expected[0]} rows of {expected[1]} finite numbers"
        raise ValidationError("embedding", rule, f"{rows.shape}: {rows[:1]}")
    return [row.tobytes() for row in rows]


def embedded_or_none(embedder: Embedder | None, text: str) -> bytes | None:
    """Return the vector of a question; `None` if there is no embedder or it fails: texts are compared without it."""
    if embedder is None:
        return None
    try:
        return embed_packed(embedder, [text])[0]
    except BaseException as error:
        if not is_failure(error):
            raise
        return None
