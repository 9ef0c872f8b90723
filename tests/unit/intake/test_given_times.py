"""Times that callers give with a finished episode."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tacit import Episode, Memory, Outcome, Step, ValidationError
from tacit.testing.clock import Clock

NOW_S = 1_760_000_000
NOW = NOW_S * 1_000_000
DAY = 86_400_000_000
RUN = Episode("t", steps=(Step("look", status="ok"),), outcome=Outcome.success())


@pytest.fixture
def memory() -> Memory:
    return Memory(clock=Clock(at_s=NOW_S))


@pytest.mark.parametrize(
    ("time", "unit"),
    [
        (1_700_000_000, "seconds"),
        (1_700_000_000_000, "milliseconds"),
        (1_700_000_000_000_000_000, "nanoseconds"),
    ],
)
@pytest.mark.parametrize("field", ["started_at", "ended_at", "at"])
def test_a_time_in_another_unit_is_refused_with_a_hint(
    memory: Memory, field: str, time: int, unit: str
) -> None:
    given: Any = {"steps": (Step("look", at=time),)} if field == "at" else {field: time}
    named = "step 1: at" if field == "at" else field
    with pytest.raises(
        ValidationError, match=f"^{named} must be microseconds .*{time}, which looks like {unit}$"
    ):
        memory.add(replace(RUN, **given))
    assert memory.episodes() == ()


@pytest.mark.parametrize("time", [1, -1, 946_684_799_999_999, NOW + DAY + 1, 2**70, True, "now", 1.5])
def test_a_time_that_cannot_be_meant_is_refused(memory: Memory, time: Any) -> None:
    with pytest.raises(ValidationError, match=r"^started_at must be microseconds since 1970"):
        memory.add(replace(RUN, started_at=time))


@pytest.mark.parametrize("time", [946_684_800_000_000, NOW, NOW + DAY])
def test_a_time_from_2000_to_a_day_from_now_is_kept(memory: Memory, time: int) -> None:
    stored = memory.get(memory.add(replace(RUN, started_at=time)).episode_id)
    assert (stored.started_at, stored.ended_at) == (time, time)


def test_aware_datetimes_are_times(memory: Memory) -> None:
    began: Any = datetime(2025, 1, 2, 3, 4, 5, 678_901, tzinfo=timezone(timedelta(hours=2)))
    step: Any = Step("look", status="ok", at=began)
    given: Any = replace(RUN, started_at=began, ended_at=began + timedelta(seconds=9), steps=(step,))
    stored = memory.get(memory.add(given).episode_id)
    assert stored.started_at == stored.steps[0].at == 1_735_779_845_678_901
    assert stored.duration_s == 9.0
    assert datetime.fromtimestamp(stored.started_at // 1_000_000, UTC).hour == 1
    naive: Any = datetime(2025, 1, 2)
    with pytest.raises(ValidationError, match="ended_at must be an aware datetime"):
        memory.add(replace(RUN, ended_at=naive))
