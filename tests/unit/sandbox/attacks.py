"""The attacks and controls of `attacks.toml`.

Each attack does its harm in an unprotected engine, plain Node behind a wrapper (`benchmarks/sandbox_attacks.py` tries
it): it `wins` by returning "WON", `hangs`, `dies` with the process, `eats` memory or `floods` the output. `before` is
the code of an earlier run in the same engine. The context names a secret file and its content, a folder that may be
written in, and the port of a server. The value of a control is JSON.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Harm: TypeAlias = Literal["wins", "hangs", "dies", "eats", "floods"]


@dataclass(frozen=True, slots=True)
class Attack:
    group: str
    name: str
    code: str
    harm: Harm = "wins"
    before: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    name: str
    code: str
    value: Any


_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
ATTACKS = tuple(Attack(**each) for each in _DATA["attack"])
CONTROLS = tuple(Control(each["name"], each["code"], json.loads(each["value"])) for each in _DATA["control"])
GROUPS = tuple(dict.fromkeys(each.group for each in ATTACKS))
ORDERS = {"orders": [{"id": 17, "total": 80.5, "state": "open"}, {"id": 18, "total": 120, "state": "sent"}]}
