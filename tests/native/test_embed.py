"""The hashed embedder against a few lines of Python."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit._native import HashedEmbedder, words
from tacit.errors import ValidationError

xxhash = pytest.importorskip("xxhash", reason="the reference hashes with the xxhash package")
LOWER_TEXT = st.lists(st.sampled_from(["the", "zu", "maps", "grün", "tool", "of"]), max_size=12).map(" ".join)
FUNCTION_WORDS = {"the", "of"}


def reference_vector(text: str, dimension: int) -> np.ndarray:
    """Each distinct word and character gram adds its weight times the root of its count to one signed slot."""
    seen: dict[int, list[float]] = {}
    for word in words(text):
        weight = 0.3 if word in FUNCTION_WORDS else 1.0
        marked = f"<{word}>"
        grams = [marked[at : at + n] for n in (3, 4, 5) for at in range(len(marked) - n + 1)]
        stem = word.removesuffix("s")
        for text_of_feature, seed in [(stem, 2)] + [(gram, 1) for gram in grams]:
            seen.setdefault(xxhash.xxh3_64_intdigest(text_of_feature.encode(), seed), []).append(weight)
    row = np.zeros(dimension)
    for feature, weights in seen.items():
        row[(feature >> 32) * dimension >> 32] += (
            (-1) ** (feature & 1) * max(weights) * math.sqrt(len(weights))
        )
    length = np.linalg.norm(row)
    return row / length if length else row


@given(LOWER_TEXT, st.sampled_from([64, 256, 384]))
def test_a_vector_is_that_of_the_reference(text: str, dimension: int) -> None:
    row = HashedEmbedder(dimension=dimension).embed([text])[0]
    np.testing.assert_allclose(row, reference_vector(text, dimension), atol=1e-6)


def test_rows_stand_in_the_order_of_the_texts() -> None:
    embedder = HashedEmbedder(dimension=64)
    rows = embedder.embed(["one text", "", "another"])
    assert rows.dtype == np.float32
    assert rows.shape == (3, 64)
    assert not rows[1].any()
    np.testing.assert_array_equal(rows[2], embedder.embed(["another"])[0])


def test_an_embedder_is_known_by_its_name_and_survives_pickling() -> None:
    embedder = HashedEmbedder()
    assert (embedder.name, embedder.dimension) == ("hashed-384-v1", 384)
    assert pickle.loads(pickle.dumps(embedder)) == embedder


def test_bad_arguments_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="dimension"):
        HashedEmbedder(dimension=0)
    with pytest.raises(ValidationError, match="texts"):
        HashedEmbedder().embed(["\ud800"])
