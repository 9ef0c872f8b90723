"""Checks that every embedder must pass."""

from __future__ import annotations

from ..embedding.base import Embedder

_TEXTS = ("Cancel order 17", "cancel order 17", "", "é 日本 🙂", "x" * 10_000, "a\x00b\n", "Cancel order 17")


def check_embedder(embedder: Embedder) -> None:
    """Holds an embedder to its promises; raises `AssertionError` that says which one it broke."""
    _has_a_name_and_a_dimension(embedder)
    _gives_a_finite_row_a_text(embedder)
    _gives_the_same_row_for_the_same_text_in_any_company(embedder)
    _embeds_nothing_as_no_rows(embedder)


def _has_a_name_and_a_dimension(embedder: Embedder) -> None:
    assert isinstance(embedder.name, str), "name is a text"
    assert embedder.name, "name is not empty"
    assert embedder.dimension >= 1, "a vector has at least one number"


def _gives_a_finite_row_a_text(embedder: Embedder) -> None:
    rows = embedder.embed(_TEXTS)
    assert rows.shape == (len(_TEXTS), embedder.dimension), f"one row a text, not {rows.shape}"
    assert rows.dtype == "float32", f"float32, not {rows.dtype}"
    assert rows.flags.c_contiguous, "rows are C-contiguous"
    assert bool((abs(rows) < 1e30).all()), "every number is finite"


def _gives_the_same_row_for_the_same_text_in_any_company(embedder: Embedder) -> None:
    rows = embedder.embed(_TEXTS)
    assert (rows[0] == rows[-1]).all(), "the same text has the same row"
    assert (embedder.embed([_TEXTS[0]])[0] == rows[0]).all(), "a row does not depend on the other texts"


def _embeds_nothing_as_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension), "no texts make no rows"
