"""Texts are cut as BERT's own tokenizer cuts them."""

from __future__ import annotations

import pytest

from tacit.embedding.word_pieces import WordPieces

PIECES = [
    "[UNK]",
    "un",
    "##aff",
    "##able",
    "cafe",
    "中",
    "文",
    "a",
    "##b",
    "!",
    "-",
    "$",
    "\u03c3\u03b1\u03c3",
    "unaff",
    "i",
    "?",
]
VOCABULARY = {piece: number for number, piece in enumerate(PIECES)}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("unaffable", ["unaff", "##able"]),
        ("UNable un", ["un", "##able", "un"]),
        ("unaffx a", ["[UNK]", "a"]),
        ("Café!", ["cafe", "!"]),
        ("中文a", ["中", "文", "a"]),
        ("a-b$a", ["a", "-", "[UNK]", "$", "a"]),
        ("a\u200bb\x00\ufffd", ["a", "##b"]),
        ("a\tun\u2028a\xa0a", ["a", "un", "a", "a"]),
        ("\u03a3\u0391\u03a3", ["\u03c3\u03b1\u03c3"]),
        ("İ", ["i"]),
        ("\u037e", ["[UNK]"]),
        ("a" * 101, ["[UNK]"]),
        ("[UNK]", ["[UNK]", "[UNK]", "[UNK]"]),
    ],
)
def test_words_are_cut_into_the_longest_pieces(text: str, pieces: list[str]) -> None:
    assert [PIECES[number] for number in WordPieces(VOCABULARY).ids(text)] == pieces


def test_capitals_and_accents_stay_if_the_model_knows_them() -> None:
    pieces = {"[UNK]": 0, "Café": 1, "cafe": 2}
    assert list(WordPieces(pieces, lowercase=False).ids("Café cafe")) == [1, 2]
