"""Words as the index and the embedder see them, against a regular expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit._native import words
from tacit.errors import ValidationError

ASCII_TEXT = st.text(alphabet="abXY_ .-", max_size=40)


def reference_words(text: str) -> list[str]:
    """ASCII letters only: a name whole, then cut at underscores and where a capital starts a word."""
    found = []
    for name in re.findall(r"[A-Za-z_]+", text):
        name = name.strip("_")
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
        found += [name] if len(parts) == 1 else [name, *parts] if parts else []
    return [word.lower() for word in found if len(word) > 1]


@given(ASCII_TEXT)
def test_words_of_ascii_names_are_those_of_the_reference(text: str) -> None:
    assert words(text) == reference_words(text)


@given(st.text(max_size=60))
def test_words_of_any_text_are_lower_case_and_hold_no_space(text: str) -> None:
    for word in words(text):
        assert word
        assert not any(character.isspace() for character in word)


def test_a_lone_surrogate_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="text"):
        words("\ud800")
