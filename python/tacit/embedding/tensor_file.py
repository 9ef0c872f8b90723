"""Reading safetensors files: a JSON header, then the numbers, mapped and not copied."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from ..errors import ValidationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST_HEADER = 16 << 20
_SAMPLE = 1 << 10
_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}


class TensorFile:
    """The tensors of a safetensors file, as read-only float32 arrays.

    The header is checked whole: every tensor of a known type must lie inside the file and have the bytes of its shape.
    Raises `ValidationError` for a file that breaks a rule, and `OSError` for one that cannot be read. The file must
    not be truncated while it is open; to replace it, rename another one over it.

    Example:
        >>> import json, struct, tempfile
        >>> from pathlib import Path
        >>> header = json.dumps({"row": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> _ = path.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1.0, 2.0))
        >>> TensorFile(path).array("row").tolist()
        [1.0, 2.0]
    """

    def __init__(self, path: Path) -> None:
        import numpy as np

        self.path = path
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_LONGEST_HEADER, path.stat().st_size - 8):
                raise self._broken("a safetensors file", f"a header of {length:,} bytes")
            header = file.read(length)
        self._bytes = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))[8 + length :]
        self._tensors = self._checked(header)
        self._header = header

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor. Raises `ValidationError` for one that is not there."""
        return tuple(self._entry(name)["shape"])

    def array(self, name: str, *shape: int) -> NDArray[np.float32]:
        """A tensor, without a copy if it is stored as float32. Raises `ValidationError` for another shape."""
        import numpy as np

        entry = self._entry(name)
        if shape and tuple(entry["shape"]) != shape:
            raise self._broken(f"of shape {list(shape)} in tensor {name}", str(entry["shape"]))
        start, end = entry["data_offsets"]
        stored = self._bytes[start:end]
        if entry["dtype"] == "BF16":  # the upper half of a float32
            rows = (stored.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
        else:
            rows = stored.view("<f4" if entry["dtype"] == "F32" else "<f2").astype(np.float32, copy=False)
        return rows.reshape(entry["shape"])

    def fingerprint(self, *also: bytes) -> str:
        """Eight hexadecimal digits: other shapes, or other numbers at the ends of a tensor, give others."""
        digest = blake2b(self._header, digest_size=4)
        for entry in self._tensors.values():
            start, end = entry["data_offsets"]
            digest.update(self._bytes[start : min(end, start + _SAMPLE)].tobytes())
            digest.update(self._bytes[max(start, end - _SAMPLE) : end].tobytes())
        for each in also:
            digest.update(each)
        return digest.hexdigest()

    def _entry(self, name: str) -> dict[str, Any]:
        if name not in self._tensors:
            raise self._broken(f"a file with the tensor {name}", f"{len(self._tensors)} other tensors")
        return self._tensors[name]

    def _checked(self, header: bytes) -> dict[str, dict[str, Any]]:
        try:
            entries = json.loads(header)
        except (ValueError, RecursionError) as error:
            raise self._broken("a file with a header in JSON", str(error)) from error
        if not isinstance(entries, dict):
            raise self._broken("a file with a table as its header", type(entries).__name__)
        tensors = {name: entry for name, entry in entries.items() if name != "__metadata__"}
        for name, entry in tensors.items():
            if not self._is_whole(entry):
                raise self._broken(f"whole in tensor {name}", repr(entry)[:200])
        return {name: entry for name, entry in tensors.items() if entry["dtype"] in _WIDTHS}

    def _is_whole(self, entry: Any) -> bool:
        if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
            return False
        shape, offsets = entry.get("shape"), entry.get("data_offsets")
        if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
            return False
        start, end = offsets
        if not start <= end <= len(self._bytes):
            return False
        size = _WIDTHS.get(entry["dtype"], 0)
        for each in shape:
            size *= each
        return entry["dtype"] not in _WIDTHS or size == end - start

    def _broken(self, rule: str, given: str) -> ValidationError:
        return ValidationError(str(self.path), rule, given)


def _are_counts(values: Any) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(each) is int and each >= 0 for each in values)
