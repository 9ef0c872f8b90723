"""Parts by name: tacit's own and, through entry points, those of other distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar, cast

from .errors import UnknownNameError, ValidationError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

Part: TypeAlias = str | Mapping[str, object] | T
"""A part of type `T`: its name, a table with its `name` and parameters, or an object that is one."""


class Registry(Generic[T]):
    """Factories of one kind of part, by name.

    A name that is not registered here is looked up among the entry points of the group `tacit.<kind>s`. With a
    `protocol`, `resolve` accepts only objects that follow it.
    """

    def __init__(self, kind: str, protocol: type[Any] | None = None) -> None:
        self.kind = kind
        self.protocol = protocol
        self._factories: dict[str, Callable[..., T]] = {}
        self._deferred: dict[str, str] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """A decorator that gives a factory its name; the last one to take a name has it."""

        def registered(factory: F) -> F:
            self._factories[name] = factory
            return factory

        return registered

    def register_deferred(self, name: str, module: str, factory: str) -> None:
        """Gives a name to a factory whose module is imported when the name is first used."""
        self._deferred[name] = f"{module}:{factory}"

    def create(self, name: str, /, **parameters: object) -> T:
        """A new part.

        Raises `UnknownNameError` that lists the nearest known names, and `ValidationError` that names a parameter
        that the part does not take, lacks, or takes with another type.
        """
        factory = self._factories.get(name) or self._import_deferred(name) or self._from_entry_point(name)
        if factory is None:
            raise UnknownNameError(self.kind, name, known=sorted(self))
        if parameters:
            self._check_parameters(name, factory, parameters)
        try:
            return factory(**parameters)
        except TypeError as error:
            raise ValidationError(self._label(name), "made with its parameters", str(error)) from error

    def resolve(self, part: Part[T] | object) -> T:
        """The part that a setting means: a new one for a name or a table, the object itself otherwise.

        Raises as `create`, and `ValidationError` for a table without a name or an object that is no such part.
        """
        if isinstance(part, str):
            return self.create(part)
        if isinstance(part, Mapping):
            table = dict(part)
            name = table.pop("name", None)
            if not isinstance(name, str):
                raise ValidationError(self.kind, "a table with a name", repr(dict(part)))
            return self.create(name, **table)
        if isinstance(part, type) or (self.protocol is not None and not isinstance(part, self.protocol)):
            raise ValidationError(
                self.kind, "a name, a table with a name and parameters, or an object", repr(part)
            )
        return cast(T, part)

    def name_of(self, part: Part[T] | object) -> str:
        """The name of a part: the given one, else the one its class is registered under, else the class's own."""
        if isinstance(part, str):
            return part
        if isinstance(part, Mapping):
            return str(part.get("name", ""))
        kind = type(part)
        return next((name for name, factory in self._factories.items() if factory is kind), kind.__name__)

    def describe(self, part: Part[T] | object) -> object:
        """A part as names and plain values: equal descriptions make equal parts."""
        if isinstance(part, str):
            return part
        if isinstance(part, Mapping):
            return {str(key): repr(value) for key, value in part.items()}
        attributes = {name: repr(value) for name, value in getattr(part, "__dict__", {}).items()}
        public = {name: value for name, value in attributes.items() if not name.startswith("_")}
        return {"name": self.name_of(part), **public}

    def __iter__(self) -> Iterator[str]:
        return iter({*self._factories, *self._deferred, *self._entry_points()})

    def __contains__(self, name: object) -> bool:
        return name in self._factories or name in self._deferred or name in self._entry_points()

    def _check_parameters(self, name: str, factory: Callable[..., T], given: Mapping[str, object]) -> None:
        import inspect

        try:
            parameters = inspect.signature(factory).parameters
        except ValueError:  # A native class without a signature: its constructor checks.
            return
        named = {key: each for key, each in parameters.items() if each.kind is not each.VAR_KEYWORD}
        if len(named) == len(parameters):
            for key in given.keys() - named.keys():
                raise ValidationError(f"parameter of {self._label(name)}", _one_of(named), repr(key))
        for key in named.keys() & given.keys():
            _check_type(f"{self._label(name)}: {key}", given[key], named[key].default)

    def _label(self, name: str) -> str:
        return f"{self.kind} {name!r}"

    def _import_deferred(self, name: str) -> Callable[..., T] | None:
        if name not in self._deferred:
            return None
        from importlib import import_module

        module, _, factory = self._deferred[name].partition(":")
        found: Callable[..., T] = getattr(import_module(module), factory)
        self._factories[name] = found
        return found

    def _from_entry_point(self, name: str) -> Callable[..., T] | None:
        entry_point = self._entry_points().get(name)
        return entry_point.load() if entry_point is not None else None

    def _entry_points(self) -> dict[str, Any]:
        from importlib.metadata import entry_points

        return {each.name: each for each in entry_points(group=f"tacit.{self.kind}s")}


def _one_of(names: Iterable[str]) -> str:
    known = sorted(names)
    return f"one of {', '.join(known)}" if known else "left out, because there are none"


def _check_type(field: str, value: object, default: object) -> None:
    """A parameter has the type of its default; a whole number may stand for a float."""
    if not isinstance(default, (bool, int, float, str)):
        return
    fits = type(value) is type(default) or (isinstance(default, float) and type(value) is int)
    if not fits:
        raise ValidationError(field, f"of type {type(default).__name__}", type(value).__name__)
