"""The inducer protocol, its history, and the registry of inducers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from .._native import Index
from ..deferred import dataclass
from ..registry import Registry


@dataclass(frozen=True, slots=True)
class History:
    """The episodes that a namespace has learned from, or those of one of its domains; an inducer only reads them.

    `agent` restricts inducers that compare ways of working; others may ignore it.
    """

    index: Index
    namespace: str
    domain: str | None = None
    agent: str | None = None


class Induced(Protocol):
    """A thing that episodes have in common: a frozen value, named by its content."""

    @property
    def id(self) -> str:
        """A hash of kind and content, 32 hexadecimal digits."""
        ...


@runtime_checkable
class Inducer(Protocol):
    """Induces from the episodes of a history: a pure function, whose attributes are its parameters."""

    def induce(self, history: History) -> Iterable[Induced]:
        """Values of different ids; the same episodes always give the same ones, in whatever order they came."""
        ...


inducers: Registry[Inducer] = Registry("inducer", Inducer)
"""Inducers by name; those of other distributions come through the entry points `tacit.inducers`."""
