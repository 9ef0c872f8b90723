"""Changed arguments in episodes that nobody judged: sessions of coding agents have no others."""

from __future__ import annotations

import msgspec

from .._native import error_class
from ..model.episode import Step
from ..model.record import Filters
from ..storage import Store
from .changes import Change, changes_of

_NEWEST = 300
"""Episodes that are looked at."""


class _Outcome(msgspec.Struct, gc=False):
    kind: str = "unknown"


class _Unjudged(msgspec.Struct, gc=False):
    outcome: _Outcome = msgspec.field(default_factory=_Outcome)
    steps: msgspec.Raw = msgspec.Raw()


_EPISODES = msgspec.msgpack.Decoder(_Unjudged)
_STEPS = msgspec.msgpack.Decoder(tuple[Step, ...])


class UnjudgedChanges:
    """The changes of the newest episodes with an unknown outcome; read again once the store has changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: tuple[str, int] | None = None
        self._changes: dict[str, list[Change]] = {}

    def after(self, namespace: str, tool: str, named: str) -> list[Change]:
        """The changes with which a tool worked after it had failed with an error of this class, the newest first."""
        now = namespace, self._store.sequence()
        if self._read != now:
            self._changes = self._by_tool(namespace)
            self._read = now
        return [
            each for each in self._changes.get(tool, ()) if error_class(each.error) in (named, each.error)
        ]

    def _by_tool(self, namespace: str) -> dict[str, list[Change]]:
        rows = self._store.scan(
            "episode", limit=_NEWEST, newest_first=True, filters=Filters(namespace=namespace)
        )
        found: dict[str, list[Change]] = {}
        for _, payload in rows:
            episode = _EPISODES.decode(payload)
            if episode.outcome.kind == "unknown" and episode.steps:
                for change in changes_of(_STEPS.decode(episode.steps)):
                    found.setdefault(change.tool, []).append(change)
        return found
