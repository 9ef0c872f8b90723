"""A text's vector is the mean of the vectors of its pieces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tacit import ValidationError
from tacit.embedding.static import StaticEmbedder
from tacit.testing import check_embedder

from .models import VOCABULARY, random_weights, safetensors, write_model

TABLE = np.eye(len(VOCABULARY), dtype=np.float32)


def test_a_row_is_the_mean_of_the_known_pieces(tmp_path: Path) -> None:
    embedder = StaticEmbedder(path=str(write_model(tmp_path, {"embeddings": TABLE})))
    row = embedder.embed(["Cancel the zebra"])[0]
    expected = (TABLE[4] + TABLE[7]) / np.sqrt(2)
    assert row == pytest.approx(expected)
    assert not embedder.embed(["zebra"]).any()
    check_embedder(embedder)


def test_the_first_layer_of_a_model_is_a_table(tmp_path: Path) -> None:
    embedder = StaticEmbedder(path=str(write_model(tmp_path)))
    words = random_weights()["embeddings.word_embeddings.weight"]
    assert embedder.embed(["order"])[0] == pytest.approx(words[5] / np.linalg.norm(words[5]))


def test_a_vocabulary_in_tokenizer_json_is_read(tmp_path: Path) -> None:
    write_model(tmp_path, {"embeddings": TABLE})
    vocabulary = {piece: number for number, piece in enumerate(VOCABULARY)}
    (tmp_path / "vocab.txt").unlink()
    model = {"type": "WordPiece", "vocab": vocabulary}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model, "normalizer": {"lowercase": True}}))
    assert StaticEmbedder(path=str(tmp_path)).embed(["Cancel"])[0].argmax() == 4
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": vocabulary}}))
    with pytest.raises(ValidationError, match="WordPiece in tokenizer"):
        StaticEmbedder(path=str(tmp_path))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"other": TABLE}, "with the tensor embeddings"),
        ({"embeddings": TABLE[:5]}, "at least 13 rows"),
        ({"embeddings": TABLE, "mapping": TABLE}, "weights or a mapping"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, object], said: str) -> None:
    path = tmp_path / "model.safetensors"
    write_model(tmp_path)
    path.write_bytes(safetensors(arrays))  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=said):
        StaticEmbedder(path=str(tmp_path))
