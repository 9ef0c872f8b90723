"""A safetensors file is checked whole before a number of it is read."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from tacit import ValidationError
from tacit.embedding.tensor_file import TensorFile

from .models import safetensors


def written(path: Path, header: object, body: bytes = b"") -> Path:
    packed = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(packed)) + packed + body)
    return path


def test_arrays_come_back_bit_for_bit(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([0.5, -2.0], dtype=np.float16).view(np.float16),
    }
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors(arrays))  # type: ignore[arg-type]
    file = TensorFile(path)
    assert (file.array("a", 2, 3) == arrays["a"]).all()
    assert file.array("b").tolist() == [0.5, -2.0]
    assert not file.array("a").flags.writeable


def test_half_precision_by_the_upper_bits_is_widened(tmp_path: Path) -> None:
    entry = {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}
    body = np.array([1.5, -3.0], dtype="<f4").view("<u2")[1::2].tobytes()
    assert TensorFile(written(tmp_path / "x", {"t": entry}, body)).array("t").tolist() == [1.5, -3.0]


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0]},
        {"dtype": 3, "shape": [2], "data_offsets": [0, 8]},
        {"shape": [2]},
        [],
    ],
)
def test_a_tensor_that_does_not_lie_in_the_file_is_refused(tmp_path: Path, entry: object) -> None:
    with pytest.raises(ValidationError, match="whole in tensor t"):
        TensorFile(written(tmp_path / "x", {"t": entry}, bytes(8)))


@pytest.mark.parametrize(
    "content", [b"", b"\x05", struct.pack("<Q", 1 << 60) + b"{}", struct.pack("<Q", 9) + b"{}"]
)
def test_a_header_longer_than_the_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ValidationError, match="a safetensors file"):
        TensorFile(path)


@pytest.mark.parametrize("header", [b"{]", b"[" * 100_000, b"[1]", b"\xff\xfe"])
def test_a_header_that_is_no_table_is_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(ValidationError, match=r"a header in JSON|a table as its header"):
        TensorFile(written(tmp_path / "x", header))


def test_a_tensor_of_another_type_is_left_out(tmp_path: Path) -> None:
    entry = {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}
    assert "ids" not in TensorFile(written(tmp_path / "x", {"ids": entry}, bytes(8)))
