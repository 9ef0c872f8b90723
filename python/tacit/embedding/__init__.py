"""Texts to vectors."""

from .base import Embedder, embedders
from .hashed import HashedEmbedder

__all__ = ["Embedder", "HashedEmbedder", "embedders"]
