"""Sentence embeddings by a small BERT model (all-MiniLM-L6-v2 and models of its form), computed with NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import ValidationError
from .model_folder import MODEL_PACKAGE, ModelFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DEFAULT_LENGTH = 256
_FORM = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}


class MiniLmEmbedder:
    """Embeds by meaning: the mean of a BERT model's last layer, of length 1.

    The weights come from the folder `path`, else from an installed `package`. Any model of sentence-transformers with
    a BERT encoder and mean pooling will do. Texts are cut at the model's longest input (256 pieces). The weights are
    mapped: processes of one machine share them. Raises `ValidationError` if the model is missing or of another form.
    """

    def __init__(self, *, path: str = "", package: str = MODEL_PACKAGE) -> None:
        folder = ModelFolder(path, package)
        config = folder.table("config.json")
        _check_form(folder, config)
        self._pieces = folder.word_pieces()
        self._start, self._end = folder.piece("[CLS]"), folder.piece("[SEP]")
        self._encoder = _Encoder(folder, config)
        longest = folder.table("sentence_bert_config.json").get("max_seq_length", _DEFAULT_LENGTH)
        self._longest = min(longest if type(longest) is int else _DEFAULT_LENGTH, self._encoder.positions)
        self._name = f"minilm-{self.dimension}-{folder.fingerprint(config, self._longest)}"

    @property
    def name(self) -> str:
        """The label of its vectors: another model is another name."""
        return self._name

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self._encoder.width

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row a text. Texts are computed one by one: a row does not depend on the others."""
        import numpy as np

        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            pieces = islice(self._pieces.ids(text), self._longest - 2)
            mean = self._encoder.encode([self._start, *pieces, self._end]).mean(axis=0)
            row[:] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return rows


class _Encoder:
    """The layers of a BERT encoder (Devlin et al. 2018), for one text at a time: no padding, no mask."""

    def __init__(self, folder: ModelFolder, config: dict[str, Any]) -> None:
        tensors = folder.tensors
        self.width = _count(folder, config, "hidden_size")
        self._heads = _count(folder, config, "num_attention_heads")
        inner = _count(folder, config, "intermediate_size")
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        if self.width % self._heads:
            raise ValidationError(str(folder.path), "a model whose heads divide its width", str(self.width))
        words = "embeddings.word_embeddings.weight"
        most = max(folder.vocabulary.values()) + 1
        rows = max(tensors.shape(words)[0], most)
        self._words = tensors.array(words, rows, self.width)
        self.positions = tensors.shape("embeddings.position_embeddings.weight")[0]
        self._positions = tensors.array("embeddings.position_embeddings.weight", self.positions, self.width)
        self._kind = tensors.array("embeddings.token_type_embeddings.weight")[0]

        def dense(name: str, out: int, into: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            return tensors.array(f"{name}.weight", out, into).T, tensors.array(f"{name}.bias", out)

        def norm(name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            return tensors.array(f"{name}.weight", self.width), tensors.array(f"{name}.bias", self.width)

        self._norm = norm("embeddings.LayerNorm")
        self._layers = []
        for number in range(_count(folder, config, "num_hidden_layers")):
            layer = f"encoder.layer.{number}"
            parts = ("attention.self.query", "attention.self.key", "attention.self.value")
            asked, keys, values = (dense(f"{layer}.{each}", self.width, self.width) for each in parts)
            mixed = dense(f"{layer}.attention.output.dense", self.width, self.width)
            wide = dense(f"{layer}.intermediate.dense", inner, self.width)
            narrow = dense(f"{layer}.output.dense", self.width, inner)
            norms = norm(f"{layer}.attention.output.LayerNorm"), norm(f"{layer}.output.LayerNorm")
            self._layers.append((asked, keys, values, mixed, wide, narrow, *norms))

    def encode(self, pieces: list[int]) -> NDArray[np.float32]:
        """The last layer's row of each piece."""
        rows = self._words[pieces] + self._positions[: len(pieces)] + self._kind
        rows = self._normalised(rows, self._norm)
        for asked, keys, values, mixed, wide, narrow, first, second in self._layers:
            attended = self._attend(_dense(rows, asked), _dense(rows, keys), _dense(rows, values))
            rows = self._normalised(rows + _dense(attended, mixed), first)
            rows = self._normalised(rows + _dense(_gelu(_dense(rows, wide)), narrow), second)
        return rows

    def _attend(
        self, asked: NDArray[np.float32], keys: NDArray[np.float32], values: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """softmax(Q K' / sqrt(d)) V of each head (Vaswani et al. 2017)."""
        import numpy as np

        count, size = len(asked), self.width // self._heads
        asked, keys, values = (
            each.reshape(count, self._heads, size).transpose(1, 0, 2) for each in (asked, keys, values)
        )
        scores = asked @ keys.transpose(0, 2, 1) / np.float32(math.sqrt(size))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        result: NDArray[np.float32] = (scores @ values).transpose(1, 0, 2).reshape(count, self.width)
        return result

    def _normalised(
        self, rows: NDArray[np.float32], norm: tuple[NDArray[np.float32], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """(x - mean) / sqrt(variance + epsilon) * weight + bias of each row."""
        import numpy as np

        rows = rows - rows.mean(axis=-1, keepdims=True)
        variance = (rows * rows).mean(axis=-1, keepdims=True)
        result: NDArray[np.float32] = rows / np.sqrt(variance + np.float32(self._epsilon)) * norm[0] + norm[1]
        return result


def _dense(
    rows: NDArray[np.float32], layer: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> NDArray[np.float32]:
    weight, bias = layer
    return rows @ weight + bias


def _gelu(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """X (1 + erf(x / sqrt(2))) / 2, with erf by Abramowitz and Stegun 7.1.26 (error below 1.5e-7)."""
    import numpy as np

    size = np.abs(rows) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = np.float32(1.061405429) * t - np.float32(1.453152027)
    for coefficient in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(coefficient)
    erf = np.copysign(1 - series * t * np.exp(-size * size), rows)
    result: NDArray[np.float32] = rows * (1 + erf) * np.float32(0.5)
    return result


def _check_form(folder: ModelFolder, config: dict[str, Any]) -> None:
    for key, form in _FORM.items():
        if config.get(key, form) != form or not config:
            raise ValidationError(str(folder.path), f"a model whose {key} is {form}", repr(config.get(key)))
    pooling = folder.table("1_Pooling/config.json")
    if not pooling.get("pooling_mode_mean_tokens", True):
        raise ValidationError(str(folder.path), "a model with mean pooling", "another pooling")


def _count(folder: ModelFolder, config: dict[str, Any], key: str) -> int:
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise ValidationError(
            str(folder.path / "config.json"), f"a table with a whole number {key}", repr(value)
        )
    return value
