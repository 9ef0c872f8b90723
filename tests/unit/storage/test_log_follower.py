"""Following a log: one thread at a time, no call from within, and a rebuild beyond the horizon."""

from __future__ import annotations

import pytest

from tacit.storage.log_follower import FollowLock


def test_a_call_from_within_an_action_does_nothing() -> None:
    lock, done = FollowLock(), []

    def action() -> None:
        lock.run(lambda: done.append("within"))
        done.append("outer")

    lock.run(action)
    assert done == ["outer"]


def test_an_action_that_raised_keeps_nobody_out() -> None:
    lock, done = FollowLock(), []

    def action() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError):
        lock.run(action)
    lock.run(lambda: done.append("again"))
    assert done == ["again"]
