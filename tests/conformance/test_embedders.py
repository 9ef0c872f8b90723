"""The default embedder keeps the promises that strangers' embedders are held to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tacit import UnknownNameError
from tacit.embedding import embedders
from tacit.testing import check_embedder


def test_the_default_embedder_keeps_its_promises() -> None:
    check_embedder(embedders.create("hashed"))


def test_an_unknown_embedder_is_refused_with_the_known_names() -> None:
    with pytest.raises(UnknownNameError, match="minilm"):
        embedders.create("minilmm")


class Fickle:
    """Its rows depend on the company they are in."""

    name = "fickle"
    dimension = 2

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(texts), 2), len(texts), dtype=np.float32)


def test_a_broken_promise_is_told() -> None:
    with pytest.raises(AssertionError, match="does not depend on the other texts"):
        check_embedder(Fickle())
