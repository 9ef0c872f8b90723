"""A tiny BERT model with random weights, in the files of a sentence-transformers folder."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "cancel",
    "order",
    "##s",
    "the",
    "17",
    "!",
    "re",
    "##fund",
    "中",
]
CONFIG = {
    "model_type": "bert",
    "hidden_size": 8,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 12,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
POSITIONS = 16

Arrays = Mapping[str, NDArray[np.float32]]


def random_weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), 8),
        "embeddings.position_embeddings.weight": (POSITIONS, 8),
        "embeddings.token_type_embeddings.weight": (2, 8),
        "embeddings.LayerNorm.weight": (8,),
        "embeddings.LayerNorm.bias": (8,),
    }
    for layer in (f"encoder.layer.{number}" for number in range(2)):
        for part in ("attention.self.query", "attention.self.key", "attention.self.value"):
            shapes |= {f"{layer}.{part}.weight": (8, 8), f"{layer}.{part}.bias": (8,)}
        shapes |= {
            f"{layer}.attention.output.dense.weight": (8, 8),
            f"{layer}.attention.output.dense.bias": (8,),
            f"{layer}.attention.output.LayerNorm.weight": (8,),
            f"{layer}.attention.output.LayerNorm.bias": (8,),
            f"{layer}.intermediate.dense.weight": (12, 8),
            f"{layer}.intermediate.dense.bias": (12,),
            f"{layer}.output.dense.weight": (8, 12),
            f"{layer}.output.dense.bias": (8,),
            f"{layer}.output.LayerNorm.weight": (8,),
            f"{layer}.output.LayerNorm.bias": (8,),
        }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def safetensors(arrays: Arrays) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, array in arrays.items():
        kind = {"float32": "F32", "float16": "F16"}[array.dtype.name]
        entries[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + b"".join(each.tobytes() for each in arrays.values())


def write_model(
    folder: Path, arrays: Arrays | None = None, config: Mapping[str, object] | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors(random_weights() if arrays is None else arrays))
    (folder / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return folder
