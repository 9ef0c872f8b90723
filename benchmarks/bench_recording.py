"""Recording: what a small step costs the agent, and what storing open episodes in batches costs many of them."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from benchmarks import workloads
from tacit import Memory, Outcome, RecordingSettings, Settings

STEPS = 500
CALLERS = 16
EPISODES_A_CALLER = 6


class LogSmallStep:
    """Five hundred small steps between two batches; the yardstick only encodes them as JSON."""

    params: ClassVar = [["native", "json"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        self.memory = Memory(settings=Settings(recording=RecordingSettings.manual()))
        self.log_all = self.log_into_memory if implementation == "native" else encode_all
        episode_id = self.memory.start("a long task")
        assert (
            self.memory.log(episode_id, "cancel_order", parameters={"order_id": 17}, output="cancelled") == 1
        )

    def log_into_memory(self) -> None:
        memory = self.memory
        episode_id = memory.start("a long task")
        for _ in range(STEPS):
            memory.log(episode_id, "cancel_order", parameters={"order_id": 17}, output="cancelled")
        memory.forget(episode_id)

    def time_log(self, implementation: str) -> None:
        self.log_all()


def encode_all() -> None:
    for _ in range(STEPS):
        json.dumps({"tool": "cancel_order", "parameters": {"order_id": 17}, "output": "cancelled"})


class RecordByMany:
    """Sixteen callers record episodes of 20 steps durably; the yardstick stores nothing before their ends."""

    params: ClassVar = [["native", "without batches"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        manual = RecordingSettings.manual()
        recording = RecordingSettings() if implementation == "native" else manual
        path = Path(self.folder.name, "memory.db")
        self.memory = Memory(path, settings=Settings(recording=recording))
        self.steps = workloads.steps(20, seed=7)
        self.tasks = workloads.tasks(CALLERS * EPISODES_A_CALLER, seed=7)
        self.record_all()
        assert self.memory.stats()["episodes"] == len(self.tasks)

    def teardown(self, implementation: str) -> None:
        self.memory.close()
        self.folder.cleanup()

    def time_record(self, implementation: str) -> None:
        self.record_all()

    def record_all(self) -> None:
        parts = [self.tasks[caller::CALLERS] for caller in range(CALLERS)]
        threads = [threading.Thread(target=record, args=(self.memory, part, self.steps)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def record(memory: Memory, tasks: list[str], steps: list[dict[str, Any]]) -> None:
    for task in tasks:
        episode_id = memory.start(task, domain="retail")
        log: Callable[..., int] = memory.log
        for step in steps:
            log(episode_id, **step)
        memory.complete(episode_id, Outcome.success("done"))
