"""`dataclass` whose methods are written when one of them is first needed.

The standard decorator compiles six methods for each class when its module is imported: half the time that a hook or a
command takes to start. Most of these classes are never used by that process. Here a class gets its slots at once, and
the standard decorator runs on a twin of it at the first call, comparison or look at its fields.
"""

from __future__ import annotations

import sys
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass  # what type checkers see
    from typing import Any

else:

    def dataclass(*, frozen=False, slots, eq=True):
        """`dataclasses.dataclass` of a class with slots; see its documentation.

        Example:
            >>> from tacit.deferred import dataclass
            >>> @dataclass(frozen=True, slots=True)
            ... class Point:
            ...     x: int
            ...     y: int = 0
            >>> Point(1)
            Point(x=1, y=0)
        """
        assert slots, "the fields of a deferred dataclass are slots"
        return lambda cls: _with_slots(cls, frozen=frozen, eq=eq)


_WRITTEN = (
    "__init__",
    "__repr__",
    "__eq__",
    "__hash__",
    "__match_args__",
    "__dataclass_fields__",
    "__dataclass_params__",
    *(("__replace__",) if sys.version_info >= (3, 13) else ()),
)
_LOCK = RLock()


class _Later:
    """Stands for one written name of a class: the first look at it has all of them written."""

    __slots__ = ("_name", "_write")

    def __init__(self, name: str, write: Callable[[], type]) -> None:
        self._name = name
        self._write = write

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        found = self._write().__dict__[self._name]
        bind = getattr(type(found), "__get__", None)
        return found if bind is None else bind(found, instance, owner)


def _with_slots(cls: type, *, frozen: bool, eq: bool) -> type:
    """The class with a slot for each field, whose methods are written later."""
    plain = {name: each for name, each in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
    fields = tuple(plain.get("__annotations__", ()))
    given = {name: each for name, each in plain.items() if name not in fields}
    inherited = {slot for base in cls.__mro__[1:] for slot in getattr(base, "__slots__", ())}
    own = [name for name in _WRITTEN if name not in given or given[name] is None]
    if not eq:
        own = [name for name in own if name not in ("__eq__", "__hash__")]
    elif not frozen:
        own.remove("__hash__")
        given["__hash__"] = None
    made: type

    def write() -> type:
        """Has the standard decorator write the methods of a class without slots, and takes them.

        The decorator changes the class that it is given. A signal handler may come here while it runs, so each run has
        a class of its own.
        """
        with _LOCK:
            if isinstance(made.__dict__[own[0]], _Later):
                from dataclasses import dataclass as standard

                twin = type(cls)(cls.__name__, cls.__bases__, dict(plain))
                twin.__qualname__ = cls.__qualname__
                written: type = standard(frozen=frozen, eq=eq)(twin)
                for name in reversed(own):
                    setattr(made, name, written.__dict__[name])
        return made

    given |= {name: _Later(name, write) for name in own}
    given["__slots__"] = tuple(name for name in fields if name not in inherited)
    if frozen:
        given |= _FROZEN
    made = type(cls)(cls.__name__, cls.__bases__, given)
    made.__qualname__ = cls.__qualname__
    return made


def _refuse_set(self: object, name: str, value: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:
    return [getattr(self, name) for name in self.__dataclass_fields__]


def _restore(self: Any, state: list[object]) -> None:
    for name, value in zip(self.__dataclass_fields__, state, strict=True):
        object.__setattr__(self, name, value)


_FROZEN = {
    "__setattr__": _refuse_set,
    "__delattr__": _refuse_delete,
    "__getstate__": _state,
    "__setstate__": _restore,
}
