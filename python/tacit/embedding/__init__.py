"""Texts to vectors."""

from .._native import HashedEmbedder
from . import hashed as _hashed
from .base import Embedder, embedders

__all__ = ["Embedder", "HashedEmbedder", "embedders"]
