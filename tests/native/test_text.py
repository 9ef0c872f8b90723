"""Words, error classes and Unicode spellings, against short references in pure Python."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit._native import TEXT_VERSION, HashedEmbedder, Index, Trajectory, error_class, words
from tacit.errors import ValidationError

ASCII_TEXT = st.text(alphabet="abXY_ .-", max_size=40)
FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")
WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
HANGUL = "주문을 취소하고 환불해 주세요"
# Letters, quotes, colons, digits and spaces in every neighbourhood, beside letters with several spellings.
MESSAGE = st.text(alphabet="abE:;'\"`. /_5\néré각ﾃ" + "r1".translate(WIDE), max_size=60)
MESSAGE_WORDS = st.lists(
    st.sampled_from(
        [
            "error",
            "Error:",
            "Exception:",
            "Traceback",
            "no",
            "such",
            "table:",
            "'x'",
            '"a b"',
            "can't",
            "17",
            "\n",
        ]
    ),
    max_size=24,
).map(" ".join)


def reference_words(text: str) -> list[str]:
    """ASCII letters only: a name whole, then cut at underscores and at capitals that start a word."""
    found = []
    for name in re.findall(r"[A-Za-z_]+", text):
        name = name.strip("_")
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
        found += [name] if len(parts) == 1 else [name, *parts] if parts else []
    return [word.lower() for word in found if len(word) > 1]


PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def reference_class(message: str, text_version: int) -> str:
    """The class of an error message as the documentation describes it, step by step."""
    lines = [line.strip() for line in re.split(r"\r?\n", message) if line.strip()] or [""]
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    line = (unicodedata.normalize("NFKC", line) if text_version >= 2 else line).lower()
    tokens = [word for word in without_quoted_parts(line).split() if not names_one_occurrence(word)]
    while (end := next((at for at, word in enumerate(tokens[:6]) if word.endswith(":")), None)) is not None:
        label = tokens[: end + 1]
        if end + 1 == len(tokens) or not any("error" in word or "exception" in word for word in label):
            break
        tokens = tokens[end + 1 :]
    if len(tokens) > 2 and tokens[-2].endswith(":"):
        tokens = tokens[:-1]
    kept: list[str] = []
    for word in tokens:
        bare = word.strip(PUNCTUATION)
        if len(" ".join([*kept, bare]).encode()) + (not kept) > 96:
            break
        kept.append(bare)
        if word.endswith((";", ".")) and len(kept) >= 3:
            break
    return " ".join(kept) or "error"


def without_quoted_parts(line: str) -> str:
    kept, at = "", 0
    while at < len(line):
        opens = line[at] in "'\"`" and not (at and line[at - 1].isalnum())
        ends = [
            end
            for end in range(at + 1, len(line))
            if opens and line[end] == line[at] and not line[end + 1 : end + 2].isalnum()
        ]
        kept, at = (kept + " ", ends[0] + 1) if ends else (kept + line[at], at + 1)
    return kept


def names_one_occurrence(word: str) -> bool:
    bare = word.strip(PUNCTUATION)
    return not bare or any(c in "0123456789/\\@_=." for c in bare)


@given(ASCII_TEXT)
def test_words_of_ascii_names_are_those_of_the_reference(text: str) -> None:
    assert words(text) == reference_words(text)


@given(st.text(max_size=60))
def test_words_of_any_text_are_lower_case_and_hold_no_space(text: str) -> None:
    for word in words(text):
        assert word
        assert not any(character.isspace() for character in word)


@given(st.text(max_size=60))
def test_words_are_the_same_in_every_unicode_spelling(text: str) -> None:
    expected = words(text)
    assert all(words(unicodedata.normalize(form, text)) == expected for form in FORMS)


@given(st.text(max_size=60))
def test_version_1_cuts_the_normalised_text_as_version_2_cuts_the_text(text: str) -> None:
    assert words(text) == words(unicodedata.normalize("NFKC", text), text_version=1)


@given(MESSAGE | MESSAGE_WORDS)
def test_error_classes_of_both_versions_are_those_of_the_reference(message: str) -> None:
    for version in (1, TEXT_VERSION):
        assert error_class(message, version) == reference_class(message, version)


@given(MESSAGE)
def test_error_classes_are_the_same_in_every_unicode_spelling(message: str) -> None:
    assert error_class(unicodedata.normalize("NFD", message)) == error_class(message)


def test_decomposed_hangul_and_full_width_latin_have_the_vectors_of_their_usual_spelling() -> None:
    embedder = HashedEmbedder()
    usual, decomposed = embedder.embed([HANGUL, unicodedata.normalize("NFD", HANGUL)])
    assert (usual == decomposed).all()
    narrow, wide = embedder.embed(["cancel order 17", "cancel order 17".translate(WIDE)])
    assert (narrow == wide).all()


def test_an_unknown_text_version_is_refused_by_name() -> None:
    for use in (
        lambda: words("a", text_version=3),
        lambda: error_class("a", 0),
        lambda: Trajectory(b"\x80", text_version=9),
        lambda: Index("hashed-8-v1", 8, text_version=9),
    ):
        with pytest.raises(ValidationError, match="text_version"):
            use()


def test_a_lone_surrogate_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="text"):
        words("\ud800")
    with pytest.raises(ValidationError, match="message"):
        error_class("\ud800")
