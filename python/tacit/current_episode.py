"""The current episode: recorded into without passing a recorder around."""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from .errors import ValidationError

if TYPE_CHECKING:
    from .recorder import Call, Recorder

P = ParamSpec("P")
R = TypeVar("R")
_CURRENT: contextvars.ContextVar[Recorder | None] = contextvars.ContextVar("tacit_episode", default=None)


def current() -> Recorder | None:
    """The recorder of the innermost `with memory.episode(...)` block around this code; `None` outside of one.

    asyncio tasks and `asyncio.to_thread` inherit it; `carry` takes it into threads and executors.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> with memory.episode("Cancel order 17") as episode:
        ...     print(tacit.current() is episode)
        True
    """
    recorder = _CURRENT.get()
    while recorder is not None and recorder.has_left:
        recorder = recorder.around
    return recorder


def enter(recorder: Recorder) -> Recorder | None:
    """Makes the recorder the current one; gives the one around it."""
    around = current()
    _CURRENT.set(recorder)
    return around


def leave(recorder: Recorder) -> None:
    """Makes the recorder around this one current, unless another block is being left first."""
    if _CURRENT.get() is recorder:
        _CURRENT.set(recorder.around)


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """The function with the current episode of this moment, for a thread or an executor.

    Example:
        >>> import tacit
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> memory = tacit.Memory()
        >>> with ThreadPoolExecutor() as pool, memory.episode("Cancel order 17") as episode:
        ...     print(pool.submit(tacit.carry(tacit.current)).result() is episode)
        True
    """
    recorder = current()

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        token = _CURRENT.set(recorder)
        try:
            return function(*arguments, **named)
        finally:
            _CURRENT.reset(token)

    return call


@overload
def tool(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def tool(*, name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, *, name: str | None = None) -> Any:
    """A decorator that makes each call of a function, plain or `async`, a step of the current episode.

    The tool is `name`, else the function's name; its parameters are the call's arguments by name, its output the
    result. An exception is the step's error and passes. Without a current episode the function runs as it is. Raises
    `ValidationError` for a generator: its call returns before it has done anything.

    Example:
        >>> import tacit
        >>> @tacit.tool
        ... def get_order(order_id: int) -> str:
        ...     return "pending"
        >>> memory = tacit.Memory()
        >>> with memory.episode("Look up order 17") as episode:
        ...     status = get_order(17)
        ...     learned = episode.succeed()
        >>> memory.get(episode.id).steps[0].parameters
        {'order_id': 17}
    """
    if function is None:
        return functools.partial(_recording, name=name)
    return _recording(function, name=name)


def _recording(function: Callable[P, R], *, name: str | None) -> Callable[P, R]:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ValidationError("function", "a function that returns, or an async def", "a generator")
    signature = inspect.signature(function)
    title = function.__name__ if name is None else name

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        with _step(title, signature, arguments, named) as step:
            result = function(*arguments, **named)
            if step is not None:
                step.end(output=_kept(result))
        return result

    @functools.wraps(function)
    async def awaited(*arguments: P.args, **named: P.kwargs) -> Any:
        with _step(title, signature, arguments, named) as step:
            result = await cast(Any, function(*arguments, **named))
            if step is not None:
                step.end(output=_kept(result))
        return result

    return cast(Callable[P, R], awaited) if inspect.iscoroutinefunction(function) else call


@contextmanager
def _step(
    title: str, signature: inspect.Signature, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Iterator[Call | None]:
    """The call in flight of the current episode, failed by an exception; `None` without a current episode."""
    recorder = current()
    if recorder is None:
        yield None
        return
    step = recorder.begin(title, parameters=_by_name(signature, arguments, named))
    try:
        yield step
    except BaseException as error:
        if not step.has_ended:
            step.fail(error)
        raise


def _kept(result: object) -> object:
    """The result as it is recorded: an iterator belongs to the caller, so its type stands for it."""
    return f"<{type(result).__name__}>" if issubclass(type(result), Iterator) else result


def _by_name(
    signature: inspect.Signature, arguments: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any]:
    """The arguments by the names of the parameters, without `self` and `cls`."""
    try:
        bound = signature.bind(*arguments, **named).arguments
    except TypeError:  # the call itself will raise
        return dict(named)
    given: dict[str, Any] = {}
    for each, value in bound.items():
        kind = signature.parameters[each].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            given |= value
        elif each not in ("self", "cls"):
            given[each] = list(value) if kind is inspect.Parameter.VAR_POSITIONAL else value
    return given
