"""Splitting texts into word pieces, as BERT models expect them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache

_LONGEST_WORD = 100
"""A longer word is one unknown piece."""
_REPLACEMENT = 0xFFFD
_IDEOGRAPHS = [
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
]


class WordPieces:
    """Cuts words into the longest pieces of a vocabulary, from the left (WordPiece, Wu et al. 2016).

    A piece inside a word begins with `##`. A word that cannot be cut is the piece `unknown`.

    Example:
        >>> pieces = WordPieces({"[UNK]": 0, "re": 1, "##fund": 2, "!": 3})
        >>> list(pieces.ids("Refund!"))
        [1, 2, 3]
    """

    def __init__(
        self, vocabulary: Mapping[str, int], *, unknown: str = "[UNK]", lowercase: bool = True
    ) -> None:
        self._vocabulary = vocabulary
        self._unknown = vocabulary[unknown]
        self._lowercase = lowercase
        self._cut = lru_cache(maxsize=4_096)(self._pieces_of)

    def ids(self, text: str) -> Iterator[int]:
        """The numbers of the pieces, in order; reading stops where the caller stops."""
        for word in self._words(text):
            yield from self._cut(word)

    def _words(self, text: str) -> list[str]:
        """Words and single punctuation marks, without control characters, accents and capitals."""
        if self._lowercase:
            text = unicodedata.normalize("NFD", text).translate(_WITHOUT_ACCENTS)
            # Letter by letter: `str.lower` treats a sigma at the end of a word in its own way, BERT does not.
            text = text.lower() if text.isascii() else "".join(map(str.lower, text))
        else:
            text = text.translate(_WITH_ACCENTS)
        return text.split(" ")

    def _pieces_of(self, word: str) -> tuple[int, ...]:
        if len(word) > _LONGEST_WORD:
            return (self._unknown,)
        pieces: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self._vocabulary.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return (self._unknown,)
            pieces.append(piece)
            start = end
        return tuple(pieces)


class _Marks(dict[int, str | None]):
    """The replacement of each character, for `str.translate`: `None` deletes it."""

    def __init__(self, *, keep_accents: bool) -> None:
        self._keep_accents = keep_accents
        super().__init__({code: self[code] for code in range(128)})

    def __missing__(self, code: int) -> str | None:
        letter = chr(code)
        category = unicodedata.category(letter)
        if letter in "\t\n\r":
            return " "
        if code in (0, _REPLACEMENT) or category in ("Cc", "Cf", "Cn", "Co", "Cs"):
            return None
        if category == "Mn" and not self._keep_accents:
            return None
        if letter.isspace():
            return " "
        return f" {letter} " if _stands_alone(code, category) else letter


def _stands_alone(code: int, category: str) -> bool:
    """True for punctuation, for the ASCII symbols that BERT counts as such, and for ideographs."""
    if code < 128:
        return not chr(code).isalnum()
    return category.startswith("P") or any(low <= code <= high for low, high in _IDEOGRAPHS)


_WITHOUT_ACCENTS = _Marks(keep_accents=False)
_WITH_ACCENTS = _Marks(keep_accents=True)
