"""What an inducer is, what it looks at, and where inducers are registered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from .._native import Index
from ..registry import Registry


@dataclass(frozen=True, slots=True)
class History:
    """The episodes that a namespace has learned from, or those of one of its domains; an inducer only reads them.

    `agent` is what an inducer that compares ways of working is asked about; others may pass over it.
    """

    index: Index
    namespace: str
    domain: str | None = None
    agent: str | None = None


class Induced(Protocol):
    """Something that episodes have in common: a frozen value, named by what it says."""

    @property
    def id(self) -> str:
        """A hash of kind and content, 32 hexadecimal digits."""
        ...


@runtime_checkable
class Inducer(Protocol):
    """Finds what the episodes of a history have in common: a pure function, whose attributes are its parameters."""

    def induce(self, history: History) -> Iterable[Induced]:
        """Values of different ids; the same episodes always give the same ones, in whatever order they came."""
        ...


inducers: Registry[Inducer] = Registry("inducer", Inducer)
"""Inducers by name; those of other distributions come through the entry points `tacit.inducers`."""
