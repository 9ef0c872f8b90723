"""Results of tau-bench and tau2-bench: simulated customers, judged by a reward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...model.episode import Episode
from ..base import Entry, Refusal
from ..decoding import decoded
from ..messages import read_messages
from ..run_builder import RunBuilder, as_text, microseconds_of
from ..sample import Sample
from ..source import Source
from .reading import listed, mapping, scored


class TauBench:
    """Result files of tau-bench (a list of runs with `traj`) and tau2-bench (`simulations`).

    A reward of 1 is a success, 0 a failure. The task is the customer's instruction; gold actions are not stored.
    """

    name = "tau-bench"
    grows = False

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for runs with `traj` and `reward`, or for an object with `simulations`."""
        if sample.any_has("traj", "reward"):
            return True
        simulation = sample.members.get("simulations")
        return simulation is not None and ({"tasks", "info"} <= sample.keys)

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry or a refusal for each simulation. The file is streamed, however long it is."""
        results = _Results(source)
        is_document = "simulations" in Sample(source.path, source.head()).keys
        for text in source.values(opens_objects=is_document):
            if isinstance(text, Refusal):
                yield text
                continue
            try:
                value = decoded(text.content or b"")
                if text.key in (None, "simulations"):
                    yield Entry(text.line, results.episode(value))
                elif text.key in ("info", "tasks"):
                    results.take_head(text.key, value)
            except ValueError as error:
                yield source.refusal(text.line, str(error))


class _Results:
    """The head of a file: the tasks, the domain, the agent's model."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tasks: dict[str, str] = {}
        self._domain: object = None
        self._agent: object = None

    def take_head(self, key: str, value: object) -> None:
        """Reads the information about the whole file, or one task."""
        if key == "info":
            info = mapping(value)
            self._domain = mapping(info.get("environment_info")).get("domain_name")
            self._agent = mapping(info.get("agent_info")).get("llm")
        else:
            task = mapping(value)
            self._tasks[str(task.get("id"))] = _instruction(task)

    def episode(self, value: object) -> Episode:
        """The episode of one simulation. Raises `ValueError` for anything else."""
        simulation = mapping(value)
        messages = listed(simulation.get("messages", simulation.get("traj")))
        if not messages:
            raise ValueError("messages must be a list; got none")
        run = RunBuilder(self._source.limits)
        said = read_messages(run, messages)
        key, trial = str(simulation.get("task_id")), simulation.get("trial", 0)
        task = mapping(mapping(simulation.get("info")).get("task"))
        reward = mapping(simulation.get("reward_info")).get("reward", simulation.get("reward"))
        domain = self._domain or mapping(task).get("domain")
        where = domain or self._source.path
        return run.episode(
            self._tasks.get(key) or _instruction(task) or said,
            external_id=f"{TauBench.name}:{where}:{simulation.get('id') or f'{key}:{trial}'}",
            outcome=scored(reward),
            task_key=f"{domain}/{key}" if domain else key,
            domain=domain,
            agent=self._agent,
            source=TauBench.name,
            started_at=microseconds_of(simulation.get("start_time")),
            ended_at=microseconds_of(simulation.get("end_time")),
            metadata=_notes(simulation, trial, reward),
        )


def _instruction(task: Mapping[str, Any]) -> str:
    """The instruction of the simulated customer."""
    told = (
        task.get("instruction")
        or mapping(task.get("user_scenario")).get("instructions")
        or task.get("description")
    )
    if isinstance(told, Mapping):
        parts = (told.get("reason_for_call"), told.get("known_info"), told.get("task_instructions"))
        return "\n".join(part for part in parts if isinstance(part, str) and part) or as_text(dict(told))
    return told if isinstance(told, str) else ""


def _notes(simulation: Mapping[str, Any], trial: object, reward: object) -> dict[str, Any]:
    notes: dict[str, Any] = {"trial": trial}
    if isinstance(reward, float) and reward not in (0.0, 1.0):
        notes["reward"] = reward
    if isinstance(ended := simulation.get("termination_reason"), str):
        notes["termination_reason"] = ended
    if isinstance(seconds := simulation.get("duration"), int | float):
        notes["duration_s"] = seconds
    return notes
