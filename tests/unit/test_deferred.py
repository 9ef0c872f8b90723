"""A deferred dataclass behaves as a standard one from the first look at it on."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tacit.deferred import dataclass as deferred


def made(dataclass: Callable[..., Any]) -> Any:
    @dataclass(frozen=True, slots=True)
    class Point:
        """A point."""

        x: int
        y: tuple[int, ...] = (1,)
        notes: list[int] = dataclasses.field(default_factory=list, compare=False)

        def moved(self) -> Any:
            return type(self)(self.x + 1)

    return Point


@deferred(frozen=True, slots=True)
class Stored:
    x: int
    y: int = 2


LOOKS: dict[str, Callable[[Any], Any]] = {
    "signature": inspect.signature,
    "fields": lambda cls: [(each.name, each.default, each.compare) for each in dataclasses.fields(cls)],
    "repr": lambda cls: repr(cls(1)),
    "equal": lambda cls: (cls(1) == cls(1, notes=[2]), cls(1) == cls(2)),
    "hash": lambda cls: hash(cls(1)),
    "pattern": lambda cls: cls.__match_args__,
    "replace": lambda cls: dataclasses.replace(cls(1), x=3).x,
    "dict": lambda cls: dataclasses.asdict(cls(1)),
    "copy": lambda cls: copy.deepcopy(cls(1)).moved().x,
    "slots": lambda cls: cls.__slots__,
    "is one": dataclasses.is_dataclass,
    "default": lambda cls: hasattr(cls(1), "__dict__"),
}


@pytest.mark.parametrize("look", LOOKS)
def test_each_first_look_is_that_at_a_standard_dataclass(look: str) -> None:
    assert LOOKS[look](made(deferred)) == LOOKS[look](made(dataclasses.dataclass))


@pytest.mark.parametrize("change", [lambda each: setattr(each, "x", 2), lambda each: delattr(each, "x")])
def test_a_frozen_one_refuses_changes(change: Callable[[Any], None]) -> None:
    messages = []
    for dataclass in (deferred, dataclasses.dataclass):
        with pytest.raises(dataclasses.FrozenInstanceError) as refusal:
            change(made(dataclass)(1))
        messages.append(str(refusal.value))
    assert messages[0] == messages[1]


def test_it_is_pickled_and_inherited() -> None:
    assert pickle.loads(pickle.dumps(Stored(1))) == Stored(1)

    @deferred(frozen=True, slots=True)
    class More(Stored):
        z: int = 3

    assert More(1) == More(1, 2, 3)
    assert tuple(More.__slots__) == ("z",)


def test_one_that_is_not_frozen_has_no_hash_and_one_without_comparison_has_its_own() -> None:
    @deferred(slots=True)
    class Open:
        x: int = 0

    @deferred(frozen=True, slots=True, eq=False)
    class Apart:
        x: int = 0

    opened = Open()
    opened.x = 2
    assert opened == Open(2)
    assert vars(Open)["__hash__"] is None
    assert Apart() != Apart()
    assert hash(Apart()) is not None


def test_nothing_is_written_before_the_first_look_and_once_for_all_threads() -> None:
    cls = made(deferred)
    assert type(cls.__dict__["__init__"]).__name__ == "_Later"
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(cls(1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cls(1)] * 8
    assert inspect.isfunction(cls.__dict__["__init__"])


def test_a_signal_handler_may_need_the_methods_while_they_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @deferred(frozen=True, slots=True)
    class Pair:
        names: tuple[str, ...] = dataclasses.field(default_factory=tuple)
        number: int = 0

    standard: Any = dataclasses.dataclass
    handled: list[Any] = []

    def interrupted(**options: Any) -> Any:
        def decorate(cls: type) -> type:
            written: type = standard(**options)(cls)
            if not handled:
                handled.append("began")
                handled.append(Pair(number=3))
            return written

        return decorate

    monkeypatch.setattr(dataclasses, "dataclass", interrupted)
    assert Pair(("a",)) == Pair(("a",), 0)
    assert handled[1] == Pair((), 3)
