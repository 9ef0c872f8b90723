"""From an episode to its columns."""

from __future__ import annotations

import msgspec

from .._native import Trajectory
from ..model.episode import Episode


def trajectory_of(episode: Episode) -> Trajectory:
    """The columns of an episode that is at hand as a value."""
    return Trajectory(msgspec.msgpack.encode(episode))
