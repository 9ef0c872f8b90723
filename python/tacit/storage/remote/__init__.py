"""A store on a libSQL server (Turso, sqld), which hosts share."""

from .store import RemoteStore

__all__ = ["RemoteStore"]
