"""Trajectories of SWE-agent: one file a run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from ...model.episode import Episode, Outcome
from ..base import Entry, Refusal
from ..messages import text_of
from ..run_builder import RunBuilder, says_failure
from ..sample import Sample
from ..source import Source
from .reading import entries_of, listed, mapping


class SweAgent:
    """The `.traj` files of SWE-agent: the action's first word is the tool, the command its parameter.

    A run that submitted something has an unknown outcome (the tests that decide it stand in another file); a run
    that ended otherwise failed, with its `exit_status` as the reason.
    """

    name = "swe-agent"
    grows = False

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for an object with a trajectory of actions and observations."""
        first = sample.members.get("trajectory")
        items = first if isinstance(first, list) else [first]
        return any(isinstance(each, Mapping) and "action" in each for each in items)

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry or a refusal for each run."""
        yield from entries_of(source, lambda value, line: self._episodes(source, value, line))

    def _episodes(self, source: Source, value: Mapping[str, Any], line: int) -> Iterable[Episode]:
        trajectory = listed(value.get("trajectory"))
        if not trajectory:
            raise ValueError("trajectory must be a list of steps; got none")
        run = RunBuilder(source.limits)
        for step in trajectory:
            _add(run, step)
        name = PurePath(source.path).name.split(".")[0]
        instance = str(value.get("instance_id") or (name if line == 1 else f"{name}:{line}"))
        info = mapping(value.get("info"))
        status = str(info.get("exit_status") or "unknown")
        yield run.episode(
            _task(value) or instance,
            external_id=f"{self.name}:{instance}",
            outcome=_outcome(status),
            task_key=instance,
            domain="coding",
            agent=_model(value),
            source=self.name,
            metadata={"exit_status": status},
        )


def _add(run: RunBuilder, step: Mapping[str, Any]) -> None:
    command = step.get("action")
    command = command.strip() if isinstance(command, str) else ""
    if not command:
        return
    seconds = step.get("execution_time")
    run.call(_tool(command), {"command": command}, state=step.get("state") or None)
    observation = step.get("observation")
    failed = says_failure(observation)
    run.answer(
        None,
        output=... if failed else observation,
        error=observation if failed else None,
        timed_out=isinstance(observation, str) and "EXECUTION TIMED OUT" in observation[:200],
        latency_ms=seconds * 1_000 if isinstance(seconds, int | float) else None,
    )


def _tool(command: str) -> str:
    """The first word of a command, past assignments and `cd FOLDER &&`."""
    first = command.splitlines()[0]
    try:
        words = shlex.split(first, comments=False)
    except ValueError:
        words = first.split()
    while len(words) > 3 and words[0] == "cd" and words[2] == "&&":
        words = words[3:]
    words = [word for word in words if "=" not in word.split("/")[0]] or words
    return words[0][:100] if words and words[0] else "shell"


def _task(value: Mapping[str, Any]) -> str:
    """The problem as the first message of the user states it."""
    stated = value.get("problem_statement")
    if isinstance(stated, str) and stated:
        return stated
    users = (each for each in listed(value.get("history")) if each.get("role") == "user")
    asked = [each for each in users if not each.get("is_demo")]
    return text_of(asked[0].get("content")) if asked else ""


def _outcome(status: str) -> Outcome:
    if status.startswith("submitted") or status in ("unknown", "None"):
        return Outcome.unknown()
    return Outcome.failure(f"ended with {status}")


def _model(value: Mapping[str, Any]) -> object:
    config = value.get("replay_config")
    if isinstance(config, str):
        return None
    return mapping(mapping(mapping(config).get("agent")).get("model")).get("name")
