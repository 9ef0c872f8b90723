"""The figures of the dashboard, read from a memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..credit.receipts import GivenAnswer, given_answers
from ..kernels.evidence import beta_interval
from ..memory import Memory
from ..model.episode import Episode
from ..model.ids import as_bytes

MOST_EPISODES = 2_000
"""The newest episodes that the figures of the first page are made of."""
_MOST_POINTS = 24
_LEAST_PER_POINT = 5
_FREE_BYTES = 200_000_000
_ANSWERS_OF = 200
_MOST_ANSWERS = 30


@dataclass(frozen=True, slots=True)
class Share:
    """A share of successes with its 95% interval (Beta posterior, Jeffreys prior)."""

    name: str
    trials: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page: `curve` goes from the oldest of the episodes to the newest."""

    episodes: tuple[Episode, ...]
    total: int
    overall: Share
    curve: tuple[Share, ...]
    domains: tuple[Share, ...]
    agents: tuple[Share, ...]
    open: int
    patterns: int


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A finding about the memory's health; `remedy` says what to do if it is not `ok`."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class AnswerUse:
    """An answer that was given to an episode, and what became of it."""

    episode: Episode
    answer: GivenAnswer


def overview(memory: Memory) -> Overview:
    """The figures of the first page."""
    episodes = memory.episodes(limit=MOST_EPISODES)
    stats = memory.stats()
    judged = [(each, each.outcome.share) for each in episodes if each.outcome is not None]
    scored = [(each, share) for each, share in judged if share is not None]
    return Overview(
        episodes=episodes[:10],
        total=stats["episodes"],
        overall=share_of("all", [share for _, share in scored]),
        curve=tuple(_curve(list(reversed(scored)))),
        domains=_grouped((each.context.domain, share) for each, share in scored),
        agents=_grouped((each.agent or "not named", share) for each, share in scored),
        open=len(memory.open_episodes(limit=1_000)),
        patterns=stats["patterns"],
    )


def share_of(name: str, shares: Sequence[float]) -> Share:
    """The mean of outcomes within 0..1 with its interval."""
    interval = beta_interval(sum(shares), len(shares))
    return Share(name, len(shares), interval.value, interval.low, interval.high)


def _curve(scored: list[tuple[Episode, float]]) -> Iterable[Share]:
    """Successes of consecutive groups of equal size, at most 24 groups of at least 5."""
    groups = min(_MOST_POINTS, len(scored) // _LEAST_PER_POINT)
    for number in range(groups):
        part = scored[len(scored) * number // groups : len(scored) * (number + 1) // groups]
        yield share_of(
            f"{time_of(part[0][0].ended_at)} to {time_of(part[-1][0].ended_at)}", [s for _, s in part]
        )


def _grouped(named: Iterable[tuple[str, float]]) -> tuple[Share, ...]:
    groups: dict[str, list[float]] = {}
    for name, share in named:
        groups.setdefault(name, []).append(share)
    return tuple(
        sorted((share_of(name, shares) for name, shares in groups.items()), key=lambda s: (-s.trials, s.name))
    )


def answer_uses(memory: Memory) -> tuple[AnswerUse, ...]:
    """The newest answers that were given to the newest episodes."""
    found: list[AnswerUse] = []
    for episode in memory.episodes(limit=_ANSWERS_OF):
        found += [AnswerUse(episode, answer) for answer in answers_of(memory, episode)]
        if len(found) >= _MOST_ANSWERS:
            break
    return tuple(found)


def answers_of(memory: Memory, episode: Episode) -> tuple[GivenAnswer, ...]:
    """The answers that an episode was given, in their order."""
    return given_answers(memory._store, as_bytes(episode.id))


def health(memory: Memory) -> tuple[HealthCheck, ...]:
    """The checks that cost nothing; `tacit doctor` reads every row."""
    stats = memory.stats()
    newest = memory.episodes(limit=1)
    learned = f"from an episode that ended {time_of(newest[0].ended_at)}" if newest else "nothing yet"
    damaged, pending = stats.get("damaged", 0), stats.get("pending", 0)
    reasons = "; ".join(f"{count} for {reason}" for reason, count in stats.get("pending_reasons", {}).items())
    breakers = [stats.get(name, "closed") for name in ("reads_breaker", "writes_breaker")]
    checks = [
        HealthCheck("last learned", True, learned),
        HealthCheck("store", True, str(stats.get("durable", "in memory"))),
        HealthCheck("unreadable rows", not damaged, f"{damaged:,}", "tacit repair"),
        HealthCheck(
            "waiting to be learned from", not pending, f"{pending:,} {reasons}".strip(), "tacit maintain"
        ),
        HealthCheck(
            "breakers", set(breakers) == {"closed"}, ", ".join(breakers), "look at the disk or the server"
        ),
        HealthCheck(
            "observers that failed", not stats["observer_failures"], f"{stats['observer_failures']:,}"
        ),
        HealthCheck(
            "cache", True, f"{stats.get('cache', 'none')}, hit rate {stats.get('cache_hit_rate', 0):.0%}"
        ),
    ]
    path = getattr(memory._store, "path", None)
    if isinstance(path, str | Path) and Path(path).exists():
        free = shutil.disk_usage(Path(path).parent).free
        checks.append(HealthCheck("disk", free >= _FREE_BYTES, f"{free / 1e9:,.1f} GB free", "make room"))
    return tuple(checks)


def time_of(microseconds: int | None) -> str:
    """A time such as "2026-03-01 09:00", UTC."""
    from datetime import UTC, datetime

    if not microseconds:
        return "at an unknown time"
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
