"""Checks that every part made by name must pass."""

from __future__ import annotations

import inspect


def keeps_its_parameters_and_nothing_else(part: object) -> None:
    """Parameters are attributes of the same name, and there are no other public attributes."""
    parameters = [name for name in inspect.signature(type(part)).parameters if name not in ("args", "kwargs")]
    missing = [name for name in parameters if not hasattr(part, name)]
    assert not missing, f"parameters are attributes of the same name: {missing}"
    public = {name for name in getattr(part, "__dict__", {}) if not name.startswith("_")}
    assert public <= set(parameters), f"attributes are parameters: {sorted(public - set(parameters))}"
