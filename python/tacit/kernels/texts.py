"""Texts cut into words, and error messages brought to their class."""

from __future__ import annotations

from .. import _native


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, after NFKC: names whole and then part by part.

    Example:
        >>> words("getOrder 17")
        ['getorder', 'get', 'order', '17']
    """
    return _native.words(text)


def error_class(message: str) -> str:
    """Return the class of an error message: the message without the parts that vary between occurrences.

    Quoted text, numbers, paths, ids and a leading "...error:" are removed. The class has at most 96 bytes.

    Example:
        >>> error_class("SQL error: no such table: orders")
        'no such table'
    """
    return _native.error_class(message)
