"""Texts to vectors, beside scikit-learn's hashing of the same character grams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sklearn.feature_extraction.text import HashingVectorizer

from benchmarks import workloads
from tacit._native import HashedEmbedder


class Embed:
    """One text of about 200 characters, or 100 of them in one call."""

    params: ClassVar = [[1, 100], ["native", "scikit-learn"]]
    param_names: ClassVar = ["texts", "implementation"]

    def setup(self, texts: int, implementation: str) -> None:
        halves = workloads.requests(2 * texts, seed=3)
        self.texts = [f"{halves[2 * number]} {halves[2 * number + 1]}" for number in range(texts)]
        grams = HashingVectorizer(n_features=384, analyzer="char_wb", ngram_range=(3, 5))
        self.embed: Callable[[list[str]], Any] = {
            "native": HashedEmbedder(dimension=384).embed,
            "scikit-learn": grams.transform,
        }[implementation]
        assert self.embed(self.texts).shape == (texts, 384)

    def time_embed(self, texts: int, implementation: str) -> None:
        self.embed(self.texts)
