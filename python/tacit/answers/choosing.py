"""Which of the given actions experience speaks for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from .._native import new_id
from ..errors import ValidationError
from ..model.checks import check_sequence
from ..model.choice import Action, Choice, RankedAction
from ..model.episode import Json
from ..model.ids import as_text
from ..model.query import Query
from ..model.recall import NOTHING_COMPARABLE, Reason
from .advisor import Advisor
from .question import json_bytes, record_of

MOST_ACTIONS = 100_000
_ACTION = "a text, or a mapping of tool and parameters"
_KEYS = {"tool", "parameters"}


class Chooser:
    """Ranks the actions that are possible now by the recorded situations most like this one."""

    def __init__(self, advisor: Advisor) -> None:
        self._advisor = advisor

    def choose(self, query: Query, actions: Sequence[Action], *, limit: int) -> Choice:
        """See `Memory.choose`."""
        started = time.perf_counter()
        check_sequence("actions", actions)
        if len(actions) > MOST_ACTIONS:
            raise ValidationError("actions", f"at most {MOST_ACTIONS:,}", f"{len(actions):,}")
        calls = [_call(action) for action in actions]
        record, state = record_of(query), json_bytes("state", query.state)
        rows, pending = (
            self._advisor.ranked(query.namespace, record, state, calls, limit) if calls else ([], ())
        )
        is_comparable = any(row.episodes for row in rows) or not calls
        return Choice(
            id=new_id(),
            actions=tuple(
                RankedAction(
                    action=actions[row.given],
                    probability=row.probability,
                    reasons=tuple(Reason(signal, value, weight) for signal, value, weight in row.reasons),
                    episodes=tuple(as_text(id) for id in row.episodes),
                )
                for row in rows
            ),
            degraded=pending if is_comparable else (NOTHING_COMPARABLE, *pending),
            elapsed_ms=(time.perf_counter() - started) * 1_000,
        )


def _call(action: Action) -> tuple[str, bytes | None]:
    """The text or tool of an action, and its parameters."""
    if isinstance(action, str):
        return _text(action), None
    if (
        not isinstance(action, Mapping)
        or not action.keys() <= _KEYS
        or not isinstance(action.get("tool"), str)
    ):
        raise ValidationError("actions", _ACTION, _shown(action))
    parameters: Json = action.get("parameters")
    return _text(action["tool"]), json_bytes("actions", parameters)


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValidationError("actions", "texts without lone surrogates", str(error)) from None
    return text


def _shown(action: object) -> str:
    try:
        return msgspec.json.encode(action).decode()[:100]
    except (TypeError, ValueError, OverflowError, RecursionError):
        return type(action).__name__
