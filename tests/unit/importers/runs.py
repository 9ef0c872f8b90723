"""Recorded runs, as lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def step(tool: str = "look", **fields: Any) -> dict[str, Any]:
    return {"tool": tool, "arguments": {}, "observation": "seen", "ok": True, "error": None} | fields


def run(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A valid run; another number gives another task, `fields` replace others."""
    return {
        "source": "bench",
        "task_id": f"task/{number}",
        "trial": 0,
        "model": "model-a",
        "task_description": f"find the lamp number {number}",
        "domain": "house",
        "steps": [step("look"), step("take", arguments={"what": "lamp"})],
        "outcome": {"success": True, "reward": 1.0},
    } | fields


def write(path: Path, *lines: dict[str, Any] | bytes) -> Path:
    """A file of runs; bytes are written as they are."""
    path.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    )
    return path
