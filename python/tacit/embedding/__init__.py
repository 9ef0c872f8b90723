"""Texts to vectors."""

from .base import Embedder, embedders
from .hashed import HashedEmbedder
from .packed import embed_packed, embedded_or_none

embedders.register_deferred("minilm", "tacit.embedding.minilm", "MiniLmEmbedder")
embedders.register_deferred("static", "tacit.embedding.static", "StaticEmbedder")

__all__ = ["Embedder", "HashedEmbedder", "embed_packed", "embedded_or_none", "embedders"]
