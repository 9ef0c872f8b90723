"""Names to factories: tacit's own parts and, through entry points, those of other distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from .errors import UnknownNameError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Factories of one kind of part, by name.

    A name that was not registered here is looked up among the entry points of the group `tacit.<kind>s`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, Callable[..., T]] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """A decorator that gives a factory its name; the last one to take a name has it."""

        def registered(factory: F) -> F:
            self._factories[name] = factory
            return factory

        return registered

    def create(self, name: str, **parameters: object) -> T:
        """A new part. Raises `UnknownNameError` that lists the known names."""
        factory = self._factories.get(name) or self._from_entry_point(name)
        if factory is None:
            raise UnknownNameError(self.kind, name, known=sorted(self))
        return factory(**parameters)

    def __iter__(self) -> Iterator[str]:
        return iter({*self._factories, *self._entry_points()})

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def _from_entry_point(self, name: str) -> Callable[..., T] | None:
        entry_point = self._entry_points().get(name)
        return entry_point.load() if entry_point is not None else None

    def _entry_points(self) -> dict[str, Any]:
        from importlib.metadata import entry_points

        return {each.name: each for each in entry_points(group=f"tacit.{self.kind}s")}
