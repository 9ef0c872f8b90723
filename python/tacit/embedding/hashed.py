"""The default embedder: hashed words and character grams. No model, no download, no network."""

from __future__ import annotations

from .._native import HashedEmbedder
from .base import embedders

__all__ = ["HashedEmbedder"]

embedders.register("hashed")(HashedEmbedder)
