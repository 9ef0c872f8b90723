"""Any Python value becomes a JSON value, and every change that this makes is named."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from itertools import islice
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import msgspec

from ..deferred import dataclass
from ..errors import is_failure
from ..model.episode import Json

_MAX_DEPTH: Final = 120
"""Deeper containers become text. JSON values of a record nest at most 128 deep."""
_MAX_ITEMS: Final = 1_000
"""Items that are taken of an iterator, which may have no end."""
_MAX_REPR: Final = 1_000
_MAX_NODES: Final = 100_000
"""Values that are visited in one conversion; the rest of a larger value is dropped, and said."""
_SMALLEST_INT, _LARGEST_INT = -(2**63), 2**64 - 1

ToJson = Callable[[object], object]
"""Converts a value of the caller's own types, or returns `NotImplemented` for the built-in conversion."""


@dataclass(slots=True)
class Converted:
    """A JSON value and the changes that were made to get it.

    `altered` holds one line for each kind of change, for example `"NaN became null"`. `is_lossy` is true if
    something was lost: a cut, a NaN, a lone surrogate, a `repr`.
    """

    value: Json
    altered: tuple[str, ...] = ()
    is_lossy: bool = False


def to_json_value(value: object, to_json: ToJson | None = None) -> Converted:
    """Converts `value` to a JSON value. Never raises an `Exception`: a value that cannot be read becomes a text.

    `to_json` is asked first for every value that is not JSON already.

    Example:
        >>> to_json_value({"at": datetime(2026, 1, 2), 3: (1, float("nan"))}).value
        {'at': '2026-01-02T00:00:00', '3': [1, None]}
    """
    conversion = _Conversion(to_json)
    converted = conversion.convert(value, _MAX_DEPTH)
    return Converted(converted, tuple(conversion.altered), conversion.is_lossy)


def cut_middle(text: str, limit: int) -> str:
    """The text with its middle replaced by the number of characters that were cut; at most `limit` characters."""
    if len(text) <= limit:
        return text
    marker = f" [... {len(text) - limit} characters cut ...] "
    if len(marker) >= limit:
        return text[:limit]
    head = (limit - len(marker) + 1) // 2
    tail = limit - len(marker) - head
    return _whole_words(text[:head]) + marker + _whole_words(text[-tail:][::-1] if tail else "")[::-1]


def _whole_words(text: str) -> str:
    """The text up to its last blank: half of a key must not remain where redaction no longer knows it.

    A longer text without a blank among its last 500 characters loses those.
    """
    blank = max(text.rfind(each, max(0, len(text) - _LONGEST_WORD)) for each in " \n\t")
    if blank < 0:
        return text if len(text) <= _LONGEST_WORD else text[:-_LONGEST_WORD]
    return text[: blank + 1]


_LONGEST_WORD = 500
"""Characters beside a cut that go if they are one word."""


def fit_to(value: Json, limit: int) -> Json:
    """The value shortened until its JSON text has at most `limit` bytes; the value itself if it is short enough.

    A text is cut in the middle. In an object or list, texts are cut first, then lists, evenly and to the least degree
    that fits; if even that is too long, the value becomes its JSON text, cut in the middle.
    """
    if isinstance(value, str):
        return cut_middle(value, limit)
    if _json_size(value) <= limit:
        return value
    for text_limit, item_limit in _SHORTER:
        shortened = _shortened(value, text_limit, item_limit)
        if _json_size(shortened) <= limit:
            return shortened
    # A character takes at most six bytes in JSON ("\\u0000").
    return cut_middle(msgspec.json.encode(value).decode(), max(1, limit // 6))


_SHORTER: Final = ((5_000, 1_000), (2_000, 500), (1_000, 200), (500, 100), (200, 50), (100, 20), (50, 10))
"""Characters of a text and items of a list that are kept, from mild to severe."""


def _shortened(value: Json, text_limit: int, item_limit: int) -> Json:
    if isinstance(value, str):
        return cut_middle(value, text_limit)
    if isinstance(value, list):
        kept = [_shortened(each, text_limit, item_limit) for each in value[:item_limit]]
        left_out = len(value) - item_limit
        return [*kept, f"[... {left_out} items cut ...]"] if left_out > 0 else kept
    if isinstance(value, dict):
        return {name: _shortened(each, text_limit, item_limit) for name, each in value.items()}
    return value


def _json_size(value: Json) -> int:
    return len(msgspec.json.encode(value))


class _Conversion:
    """One conversion: the changes so far, the containers that are being visited, the values still allowed."""

    def __init__(self, to_json: ToJson | None) -> None:
        self.altered: dict[str, None] = {}
        self.is_lossy = False
        self._to_json = to_json
        self._visiting: set[int] = set()
        self._left = _MAX_NODES

    def convert(self, value: object, depth: int) -> Json:
        self._left -= 1
        if self._left < 0:
            return self._lost(f"a value of more than {_MAX_NODES:,} parts was cut", None)
        try:
            return self._convert(value, depth)
        except RecursionError:
            return self._lost("a value that nests too deep became text", _type_name(value))
        except (
            Exception
        ) as error:  # a foreign __iter__, __str__, isoformat...: the value is lost, the step is not
            told = f"a {_type_name(value)} that raised {type(error).__name__} became text"
            return self._lost(told, _type_name(value))

    def _convert(self, value: object, depth: int) -> Json:
        if value is None or isinstance(value, bool):
            return value if value is None else bool(value)
        if type(value) is str:
            return self._text(value)
        if type(value) is int:
            return self._integer(value)
        if type(value) is float:
            return self._number(value)
        if depth <= 0:
            return self._lost("a value that nests too deep became text", self._repr(value))
        if id(value) in self._visiting:
            return self._lost("a value that contains itself was cut", f"<{_type_name(value)} again>")
        self._visiting.add(id(value))
        try:
            return self._container_or_foreign(value, depth)
        finally:
            self._visiting.discard(id(value))

    def _container_or_foreign(self, value: object, depth: int) -> Json:
        if type(value) is dict:
            return self._mapping(value, depth)
        if type(value) is list:
            return self._sequence(iter(value), depth)
        if self._to_json is not None:
            answer = self._to_json(value)
            if answer is not NotImplemented and answer is not value:
                self._note(f"{_type_name(value)} converted by to_json")
                return self.convert(answer, depth - 1)
        return self._foreign(value, depth)

    def _foreign(self, value: object, depth: int) -> Json:
        """A value of a type that JSON does not have, by the first rule that fits."""
        for applies, convert in _RULES:
            if applies(value):
                return convert(self, value, depth)
        return self._lost(f"{_type_name(value)} became its repr", self._repr(value))

    def _text(self, text: str) -> str:
        try:
            text.encode()
            return text
        except UnicodeEncodeError:
            mended = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            self._lose("lone surrogates became U+FFFD")
            return mended

    def _integer(self, number: int) -> int | str:
        if _SMALLEST_INT <= number <= _LARGEST_INT:
            return number
        self._note("an integer of more than 64 bits became text")
        # Beyond Python's own limit of decimal digits, hexadecimal needs linear time and no permission.
        return str(number) if number.bit_length() < 10_000 else hex(number)

    def _number(self, number: float) -> float | None:
        if math.isfinite(number):
            return number
        self._lose("NaN became null" if math.isnan(number) else "an infinity became null")
        return None

    def _mapping(self, values: Mapping[Any, Any], depth: int) -> dict[str, Json]:
        converted: dict[str, Json] = {}
        for key, value in values.items():
            if self._is_spent():
                break
            name = self._key(key)
            if name in converted:
                self._lose("two keys were the same once they were text")
            converted[name] = self.convert(value, depth - 1)
        return converted

    def _key(self, key: object) -> str:
        if type(key) is str:
            return self._text(key)
        self._note(f"{_type_name(key)} key became text")
        if isinstance(key, Enum):
            key = key.value
        if not isinstance(key, _KEYS):
            self.is_lossy = True
        return self._text(key if isinstance(key, str) else self._repr_of_key(key))

    def _repr_of_key(self, key: object) -> str:
        try:
            return str(key)[:_MAX_REPR]
        except BaseException as error:
            if not is_failure(error):
                raise
            return f"<{_type_name(key)} that raised {type(error).__name__}>"

    def _sequence(self, values: Iterator[Any], depth: int) -> list[Json]:
        taken: list[Json] = []
        for each in values:
            if self._is_spent():
                break
            taken.append(self.convert(each, depth - 1))
        return taken

    def _is_spent(self) -> bool:
        """Returns True once no further part may be visited; the rest of the value is dropped."""
        if self._left > 0:
            return False
        self._lose(f"a value of more than {_MAX_NODES:,} parts was cut")
        return True

    def _repr(self, value: object) -> str:
        try:
            return self._text(cut_middle(repr(value), _MAX_REPR))
        except BaseException as error:
            if not is_failure(error):
                raise
            return f"<{_type_name(value)} whose repr raised {type(error).__name__}>"

    def _note(self, change: str) -> None:
        self.altered.setdefault(change)

    def _lose(self, change: str) -> None:
        self._note(change)
        self.is_lossy = True

    def _lost(self, change: str, instead: Json) -> Json:
        self._lose(change)
        return instead


_KEYS = (str, int, float, bytes, tuple, UUID, PurePath, date, time, type(None))
"""Types whose text says all that a key of theirs says."""


def _type_name(value: object) -> str:
    return type(value).__name__


def _from_subclass(conversion: _Conversion, value: Any, depth: int) -> Json:
    """A subclass of a JSON type, such as `IntEnum` members or a `str` that a library extends: its plain value."""
    plain: type[Any]
    for plain in (str, int, float, list):
        if isinstance(value, plain):
            conversion._note(f"{_type_name(value)} became {plain.__name__}")
            return conversion.convert(plain(value), depth - 1)
    conversion._note(f"{_type_name(value)} became dict")
    return conversion._mapping(value, depth)


def _from_enum(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became its value")
    return conversion.convert(value.value, depth - 1)


def _from_dataclass(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became an object")
    shown = {field.name: getattr(value, field.name) for field in fields(value) if hasattr(value, field.name)}
    return conversion._mapping(shown, depth)


def _from_named_tuple(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became an object")
    return conversion._mapping(dict(zip(value._fields, value, strict=False)), depth)


def _from_mapping(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became an object")
    return conversion._mapping(value, depth)


def _from_model(conversion: _Conversion, value: Any, depth: int) -> Json:
    """A pydantic model: its fields, read as attributes, so that nothing of the model's own code converts them."""
    conversion._note(f"{_type_name(value)} became an object")
    names = type(value).model_fields
    return conversion._mapping({name: getattr(value, name, None) for name in names}, depth)


def _from_struct(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became an object")
    names = type(value).__struct_fields__
    return conversion._mapping({name: getattr(value, name, None) for name in names}, depth)


def _from_tuple(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note("tuple became a list")
    return conversion._sequence(iter(value), depth)


def _from_set(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became a list")
    try:
        ordered = sorted(value)
    except TypeError:
        ordered = sorted(value, key=lambda each: (_type_name(each), conversion._repr(each)))
    return conversion._sequence(iter(ordered), depth)


def _from_array(conversion: _Conversion, value: Any, depth: int) -> Json:
    """A NumPy array or scalar, without importing NumPy."""
    conversion._note(
        f"{_type_name(value)} became a list" if value.ndim else f"{_type_name(value)} became a number"
    )
    if value.size > _MAX_NODES:
        conversion._lose(f"an array of {value.size:,} numbers was cut to {_MAX_ITEMS:,}")
        value = value.ravel()[:_MAX_ITEMS]
    return conversion.convert(value.tolist(), depth - 1)


def _from_moment(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became ISO text")
    return str(value.isoformat())


def _from_name(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became text")
    return conversion._text(str(value))


def _from_bytes(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became base64 text")
    return base64.b64encode(bytes(value)).decode()


def _from_exception(conversion: _Conversion, value: Any, depth: int) -> Json:
    conversion._note(f"{_type_name(value)} became text")
    return conversion._text(error_text(value))


def _from_iterator(conversion: _Conversion, value: Any, depth: int) -> Json:
    """The first items of an iterator or of another sequence. An iterator is consumed as far as that."""
    taken = list(islice(iter(value), _MAX_ITEMS + 1))
    if len(taken) > _MAX_ITEMS:
        conversion._lose(f"{_type_name(value)} was cut to {_MAX_ITEMS:,} items")
        taken.pop()
    conversion._note(f"{_type_name(value)} became a list")
    return conversion._sequence(iter(taken), depth)


def error_text(error: BaseException) -> str:
    """`"Type: message"`, or the type alone if there is no message.

    Example:
        >>> error_text(ValueError("bad shape"))
        'ValueError: bad shape'
    """
    try:
        message = str(error)
    except BaseException as failure:
        if not is_failure(failure):
            raise
        message = ""
    name = type(error).__name__
    return f"{name}: {message}" if message else name


def _is_decimal(value: object) -> bool:
    # `decimal` is not imported for the sake of a value that is none.
    return type(value).__module__ in ("decimal", "_decimal", "_pydecimal") and _type_name(value) == "Decimal"


def _is_array(value: object) -> bool:
    return (
        type(value).__module__.partition(".")[0] == "numpy"
        and hasattr(value, "tolist")
        and hasattr(value, "ndim")
    )


_Rule = tuple[Callable[[Any], bool], Callable[[_Conversion, Any, int], Json]]
_RULES: tuple[_Rule, ...] = (
    (lambda value: isinstance(value, Enum), _from_enum),
    (_is_array, _from_array),
    (lambda value: isinstance(value, str | int | float | list | dict), _from_subclass),
    (lambda value: isinstance(value, BaseException), _from_exception),
    (lambda value: is_dataclass(value) and not isinstance(value, type), _from_dataclass),
    (lambda value: hasattr(type(value), "model_fields") and not isinstance(value, type), _from_model),
    (lambda value: hasattr(type(value), "__struct_fields__"), _from_struct),
    (lambda value: isinstance(value, tuple) and hasattr(type(value), "_fields"), _from_named_tuple),
    (lambda value: isinstance(value, tuple), _from_tuple),
    (lambda value: isinstance(value, Mapping), _from_mapping),
    (lambda value: isinstance(value, Set), _from_set),
    (lambda value: isinstance(value, datetime | date | time), _from_moment),
    (lambda value: isinstance(value, UUID | PurePath) or _is_decimal(value), _from_name),
    (lambda value: isinstance(value, bytes | bytearray | memoryview), _from_bytes),
    (lambda value: isinstance(value, Iterator | Sequence), _from_iterator),
)
"""Which conversion a value gets: the first whose condition holds."""
