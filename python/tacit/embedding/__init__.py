"""Texts to vectors."""

from .base import Embedder, embedders
from .hashed import HashedEmbedder
from .packed import embed_packed, embedded_or_none

__all__ = ["Embedder", "HashedEmbedder", "embed_packed", "embedded_or_none", "embedders"]
