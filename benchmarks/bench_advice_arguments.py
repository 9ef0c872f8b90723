"""bench_advice_arguments.py: the arguments of three tools after 20 steps, native beside copying those of the nearest
episode in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from benchmarks import reference, workloads
from tacit._native import Advisor

TOOLS = ["get_order", "pay_order", "get_user"]


class Fill:
    """`native` fills the arguments that the open episode decides; `nearest episode` copies the most similar task."""

    params: ClassVar = [[100, 1_000], ["native", "nearest episode"]]
    param_names: ClassVar = ["n", "implementation"]

    def setup(self, n: int, implementation: str) -> None:
        payloads = workloads.calls(n, seed=7)
        self.asked = workloads.calls(1, seed=8, ended=False)[0]
        advisor = Advisor()
        advisor.fit("default", payloads)
        nearest = reference.NearestCalls([msgspec.msgpack.decode(payload) for payload in payloads])
        implementations: dict[str, Callable[[bytes, list[str]], list[list[Any]]]] = {
            "native": advisor.arguments,
            "nearest episode": nearest.arguments,
        }
        self.fill = implementations[implementation]
        names = [[row[0] for row in rows] for rows in self.fill(self.asked, TOOLS)]
        assert names == [["order_id"], ["order_id", "card"], ["user_id"]]

    def time_arguments(self, n: int, implementation: str) -> None:
        self.fill(self.asked, TOOLS)
