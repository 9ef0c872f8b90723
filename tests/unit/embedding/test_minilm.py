"""The forward pass agrees with plain loops, and a model that is missing or of another form is refused by name."""

from __future__ import annotations

import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tacit import Memory, Outcome, Settings, ValidationError
from tacit.embedding import embedders
from tacit.embedding.minilm import MiniLmEmbedder
from tacit.embedding.model_folder import MODEL_PACKAGE
from tacit.testing import check_embedder

from .models import Arrays, random_weights, write_model

Row = list[float]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def by_plain_loops(weights: Arrays, pieces: list[int]) -> Row:
    """The same model in loops over floats: the oracle."""
    table = {name: array.astype(float).tolist() for name, array in weights.items()}

    def dense(row: Row, name: str) -> Row:
        pairs = zip(table[f"{name}.weight"], table[f"{name}.bias"], strict=True)
        return [sum(x * w for x, w in zip(row, line, strict=True)) + bias for line, bias in pairs]

    def norm(row: Row, name: str) -> Row:
        mean = sum(row) / len(row)
        deviation = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row) + 1e-12)
        scales = zip(row, table[f"{name}.weight"], table[f"{name}.bias"], strict=True)
        return [(x - mean) / deviation * scale + bias for x, scale, bias in scales]

    def gelu(x: float) -> float:
        return x * (1 + math.erf(x / math.sqrt(2))) / 2

    def add(*rows: Row) -> Row:
        return [sum(each) for each in zip(*rows, strict=True)]

    def attend(place: int, head: slice, asked: list[Row], keys: list[Row], values: list[Row]) -> Row:
        dots = [sum(q * k for q, k in zip(asked[place][head], key[head], strict=True)) for key in keys]
        raised = [math.exp(dot / 2) for dot in dots]  # 2 is the root of a head's width
        shares = [each / sum(raised) for each in raised]
        return add(*([share * v for v in value[head]] for share, value in zip(shares, values, strict=True)))

    words, positions, kinds = (
        table[f"embeddings.{each}_embeddings.weight"] for each in ("word", "position", "token_type")
    )
    rows = [
        norm(add(words[piece], positions[place], kinds[0]), "embeddings.LayerNorm")
        for place, piece in enumerate(pieces)
    ]
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        asked, keys, values = (
            [dense(row, f"{layer}.attention.self.{part}") for row in rows]
            for part in ("query", "key", "value")
        )
        for place, row in enumerate(list(rows)):
            mixed = [
                x for head in (slice(0, 4), slice(4, 8)) for x in attend(place, head, asked, keys, values)
            ]
            row = norm(
                add(row, dense(mixed, f"{layer}.attention.output.dense")),
                f"{layer}.attention.output.LayerNorm",
            )
            wide = [gelu(x) for x in dense(row, f"{layer}.intermediate.dense")]
            rows[place] = norm(add(row, dense(wide, f"{layer}.output.dense")), f"{layer}.output.LayerNorm")
    mean = [x / len(rows) for x in add(*rows)]
    length = math.sqrt(sum(x * x for x in mean))
    return [x / length for x in mean]


def test_the_forward_pass_agrees_with_plain_loops(model: Path) -> None:
    pieces = [2, 4, 7, 5, 6, 10, 11, 9, 3]  # [CLS] cancel the order ##s re ##fund ! [SEP]
    row = MiniLmEmbedder(path=str(model)).embed(["Cancel the orders, refund!".replace(",", "")])[0]
    assert row == pytest.approx(by_plain_loops(random_weights(), pieces), abs=2e-6)


def test_it_keeps_the_promises_of_an_embedder(model: Path) -> None:
    check_embedder(embedders.resolve({"name": "minilm", "path": str(model)}))


def test_a_long_text_is_cut_at_the_longest_input(model: Path) -> None:
    embedder = MiniLmEmbedder(path=str(model))
    long, longer = embedder.embed(["order " * 14, "order " * 14 + "cancel " * 5_000])
    assert (long == longer).all()


def test_other_weights_have_another_name(tmp_path: Path) -> None:
    names = [
        MiniLmEmbedder(path=str(write_model(tmp_path / str(seed), random_weights(seed)))).name
        for seed in (0, 1, 0)
    ]
    assert names[0] != names[1]
    assert [name[:9] for name in names] == ["minilm-8-"] * 3


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "t5"}, "model_type is bert"),
        ({"hidden_act": "relu"}, "hidden_act is gelu"),
        ({"hidden_size": 9}, "heads divide its width"),
        ({"hidden_size": "8"}, "whole number hidden_size"),
        ({"num_hidden_layers": 3}, r"tensor encoder\.layer\.2"),
        ({"intermediate_size": 13}, r"of shape \[13, 8\]"),
    ],
)
def test_a_model_of_another_form_is_refused(tmp_path: Path, config: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MiniLmEmbedder(path=str(write_model(tmp_path, config=config)))


def test_a_missing_model_is_named_when_the_memory_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"a folder with model\.safetensors"):
        Memory(settings=Settings(embedder={"name": "minilm", "path": str(tmp_path)}))
    with pytest.raises(ValidationError, match="the package no_such_model"):
        MiniLmEmbedder(package="no_such_model")
    with pytest.raises(ValidationError, match="top-level package"):
        MiniLmEmbedder(package="os.path")


def test_the_weights_of_a_package_are_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model_of_a_test" / "model")
    (tmp_path / "model_of_a_test" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert MiniLmEmbedder(package="model_of_a_test").dimension == 8


def test_a_memory_recalls_by_the_vectors_of_a_model(model: Path) -> None:
    with Memory(settings=Settings(embedder={"name": "minilm", "path": str(model)})) as memory:
        memory.complete(memory.start("cancel the order"), Outcome.success())
        hit = memory.recall("cancel the order!").hits[0]
        assert "vector" in {reason.signal for reason in hit.reasons}


def test_the_name_alone_loads_neither_the_model_nor_numpy() -> None:
    code = "import sys, tacit.embedding as e; assert 'minilm' in e.embedders; print('numpy' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "False\n"


@pytest.mark.skipif(find_spec(MODEL_PACKAGE) is None, reason=f"the package {MODEL_PACKAGE} is not installed")
@pytest.mark.parametrize("name", ["minilm", "static"])
def test_the_real_model_finds_paraphrases(name: str) -> None:
    embedder = embedders.create(name)
    check_embedder(embedder)
    a, b, c = embedder.embed(
        ["Refund the customer", "Give the buyer the money back", "Decode a hidden message"]
    )
    assert float(np.dot(a, b)) > float(np.dot(a, c)) + 0.1
