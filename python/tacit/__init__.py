"""An experience memory for AI agents: what worked, what failed and what to try next.

    from tacit import Memory

    with Memory("agent.db") as memory, memory.episode("Cancel order 17", domain="retail") as episode:
        advice = episode.recall()
        episode.log("cancel_order", parameters={"order_id": 17}, output={"status": "cancelled"})
        episode.succeed()

Public names are loaded when they are first used.
"""

from __future__ import annotations

# `typing` takes longer to load than everything else here, and a hook runs at every call of a tool.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native import Backoff, CircuitBreaker, RetryBudget, __version__
    from .aio import AsyncMemory
    from .config import (
        AdviceSettings,
        ClusteringSettings,
        CreditSettings,
        EvidenceSettings,
        HookSettings,
        LearningSettings,
        Limits,
        MaintenanceSettings,
        RecallSettings,
        RecallWeights,
        RecordingSettings,
        RemoteSettings,
        RewardWeights,
        Settings,
        StorageSettings,
    )
    from .current_episode import carry, current, tool
    from .errors import (
        CommitUnknownError,
        ConflictError,
        CorruptRecordError,
        EpisodeClosedError,
        EpisodeError,
        FileChangedError,
        LeakError,
        LeaseHeldError,
        LeaseLostError,
        QueueFullError,
        ReadOnlyError,
        ResyncRequiredError,
        SchemaError,
        StorageError,
        TacitError,
        TooLargeError,
        UnavailableError,
        UnknownEpisodeError,
        UnknownMaintenanceError,
        UnknownNameError,
        UnknownRecallError,
        ValidationError,
        VersionConflictError,
    )
    from .memory import Memory
    from .model.advice import (
        Argument,
        ArgumentCandidate,
        ChangedArguments,
        Fix,
        Fixes,
        PlanStep,
        Playbook,
        Prediction,
        SuggestedStep,
        Suggestion,
    )
    from .model.choice import Choice, RankedAction
    from .model.context import TaskContext
    from .model.episode import Episode, Outcome, Reflection, Reward, Step
    from .model.learned import DeadLetter, Learned
    from .model.maintenance import Maintenance, Merge, StateChange
    from .model.pattern import Alternative, Cluster, Contrast, Finding, Heuristic, Pattern
    from .model.query import Asking, EpisodeHead
    from .model.recall import Hit, NextStep, Reason, Recall, Run
    from .model.transfer import Export, Retention
    from .model.usage import Usage
    from .recorder import Call, Recorder, recorded
    from .tools.generated import GeneratedTool, PlannedCall, StepArgument, ToolParameter, ToolRun, ToolStep

_HOMES = {
    "_native": ("Backoff", "CircuitBreaker", "RetryBudget"),
    "aio": ("AsyncMemory",),
    "config": (
        "AdviceSettings",
        "ClusteringSettings",
        "CreditSettings",
        "EvidenceSettings",
        "HookSettings",
        "LearningSettings",
        "Limits",
        "MaintenanceSettings",
        "RecallSettings",
        "RecallWeights",
        "RecordingSettings",
        "RemoteSettings",
        "RewardWeights",
        "Settings",
        "StorageSettings",
    ),
    "current_episode": ("carry", "current", "tool"),
    "errors": (
        "CommitUnknownError",
        "ConflictError",
        "CorruptRecordError",
        "EpisodeClosedError",
        "EpisodeError",
        "FileChangedError",
        "LeakError",
        "LeaseHeldError",
        "LeaseLostError",
        "QueueFullError",
        "ReadOnlyError",
        "ResyncRequiredError",
        "SchemaError",
        "StorageError",
        "TacitError",
        "TooLargeError",
        "UnavailableError",
        "UnknownEpisodeError",
        "UnknownMaintenanceError",
        "UnknownNameError",
        "UnknownRecallError",
        "ValidationError",
        "VersionConflictError",
    ),
    "memory": ("Memory",),
    "model.advice": (
        "Argument",
        "ArgumentCandidate",
        "PlanStep",
        "Playbook",
        "Prediction",
        "SuggestedStep",
        "Suggestion",
        "ChangedArguments",
        "Fix",
        "Fixes",
    ),
    "model.choice": ("Choice", "RankedAction"),
    "model.context": ("TaskContext",),
    "model.episode": ("Episode", "Outcome", "Reflection", "Reward", "Step"),
    "model.learned": ("DeadLetter", "Learned"),
    "model.maintenance": ("Maintenance", "Merge", "StateChange"),
    "model.pattern": ("Alternative", "Cluster", "Contrast", "Finding", "Heuristic", "Pattern"),
    "model.query": ("Asking", "EpisodeHead"),
    "model.recall": ("Hit", "NextStep", "Reason", "Recall", "Run"),
    "model.transfer": ("Export", "Retention"),
    "model.usage": ("Usage",),
    "recorder": ("Call", "Recorder", "recorded"),
    "tools.generated": (
        "GeneratedTool",
        "PlannedCall",
        "StepArgument",
        "ToolParameter",
        "ToolRun",
        "ToolStep",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AdviceSettings",
    "Alternative",
    "Argument",
    "ArgumentCandidate",
    "Asking",
    "AsyncMemory",
    "Backoff",
    "Call",
    "ChangedArguments",
    "Choice",
    "CircuitBreaker",
    "Cluster",
    "ClusteringSettings",
    "CommitUnknownError",
    "ConflictError",
    "Contrast",
    "CorruptRecordError",
    "CreditSettings",
    "DeadLetter",
    "Episode",
    "EpisodeClosedError",
    "EpisodeError",
    "EpisodeHead",
    "EvidenceSettings",
    "Export",
    "FileChangedError",
    "Finding",
    "Fix",
    "Fixes",
    "GeneratedTool",
    "Heuristic",
    "Hit",
    "HookSettings",
    "LeakError",
    "Learned",
    "LearningSettings",
    "LeaseHeldError",
    "LeaseLostError",
    "Limits",
    "Maintenance",
    "MaintenanceSettings",
    "Memory",
    "Merge",
    "NextStep",
    "Outcome",
    "Pattern",
    "PlanStep",
    "PlannedCall",
    "Playbook",
    "Prediction",
    "QueueFullError",
    "RankedAction",
    "ReadOnlyError",
    "Reason",
    "Recall",
    "RecallSettings",
    "RecallWeights",
    "Recorder",
    "RecordingSettings",
    "Reflection",
    "RemoteSettings",
    "ResyncRequiredError",
    "Retention",
    "RetryBudget",
    "Reward",
    "RewardWeights",
    "Run",
    "SchemaError",
    "Settings",
    "StateChange",
    "Step",
    "StepArgument",
    "StorageError",
    "StorageSettings",
    "SuggestedStep",
    "Suggestion",
    "TacitError",
    "TaskContext",
    "TooLargeError",
    "ToolParameter",
    "ToolRun",
    "ToolStep",
    "UnavailableError",
    "UnknownEpisodeError",
    "UnknownMaintenanceError",
    "UnknownNameError",
    "UnknownRecallError",
    "Usage",
    "ValidationError",
    "VersionConflictError",
    "__version__",
    "carry",
    "current",
    "recorded",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ._native import __version__

        return __version__
    if name not in _HOME_OF:
        raise AttributeError(f"module 'tacit' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
