"""Embeddings from a table with one vector for each word piece: the mean of a text's pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from ..errors import ValidationError
from .model_folder import MODEL_PACKAGE, ModelFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TABLES = ("embeddings", "embedding.weight", "embeddings.word_embeddings.weight")
_MOST_PIECES = 512


class StaticEmbedder:
    """Embeds words, not their order: the mean of the vectors of a text's pieces, of length 1.

    The table is a tensor of `model.safetensors`: `embeddings` (as model2vec writes it), `embedding.weight`, or the
    first layer of a BERT model. The folder is `path`, else that of an installed `package`. Only the first 512 pieces
    count, unknown ones do not. Raises `ValidationError` if the table is missing or does not fit its vocabulary.
    """

    def __init__(self, *, path: str = "", package: str = MODEL_PACKAGE) -> None:
        folder = ModelFolder(path, package)
        self._pieces = folder.word_pieces()
        self._unknown = folder.piece("[UNK]")
        self._table = _table_of(folder)
        self._name = f"static-{self.dimension}-{folder.fingerprint()}"

    @property
    def name(self) -> str:
        """The label of its vectors: another table is another name."""
        return self._name

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self._table.shape[1])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row a text; zeros for a text without a known piece."""
        import numpy as np

        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            pieces = [each for each in islice(self._pieces.ids(text), _MOST_PIECES) if each != self._unknown]
            if pieces:
                mean = self._table[pieces].mean(axis=0)
                row[:] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return rows


def _table_of(folder: ModelFolder) -> NDArray[np.float32]:
    tensors = folder.tensors
    name = next((each for each in _TABLES if each in tensors), None)
    if name is None or "mapping" in tensors or "weights" in tensors:
        given = "none of them" if name is None else "one with weights or a mapping beside it"
        raise ValidationError(
            str(tensors.path), f"a file with the tensor {' or '.join(_TABLES)} alone", given
        )
    shape = tensors.shape(name)
    needed = max(folder.vocabulary.values()) + 1
    if len(shape) != 2 or shape[0] < needed or not shape[1]:
        raise ValidationError(str(tensors.path), f"a table of at least {needed:,} rows", str(shape))
    return tensors.array(name)
