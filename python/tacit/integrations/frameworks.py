"""The classes of frameworks that may not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NoReturn

from ..errors import missing_extra

__all__ = ["framework_class", "framework_module"]


def framework_module(name: str, extra: str) -> Any:
    """A module of a framework. Raises `ValidationError` that names the extra if it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise missing_extra(extra) from error


def framework_class(module: str, name: str, extra: str) -> Any:
    """A class of a framework to derive from.

    Without the framework, or with one from before the class, it is a class whose subclasses cannot be made: they raise
    `ValidationError` that names the extra.
    """
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):

        def refuse(cls: type, *_: object, **__: object) -> NoReturn:
            raise missing_extra(extra)

        return type(name, (), {"__new__": refuse})
