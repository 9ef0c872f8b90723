"""`make bench-compare` concludes from samples, and refuses options and builds that it cannot use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.comparing import __main__ as command
from benchmarks.comparing import cases
from benchmarks.comparing.builds import Build, build_of, default_base
from benchmarks.comparing.measuring import Row, compare, started

BASE, HEAD = Build("base", Path("base")), Build("this build", Path("head"))


class Samples:
    """A worker whose samples are given; the last is repeated."""

    def __init__(self, *seconds: float, calls: int = 1, missing: str | None = None) -> None:
        self.calls, self.missing, self._left = calls, missing, list(seconds)
        self.asked: list[int] = []

    def sample(self, calls: int) -> float:
        self.asked.append(calls)
        return (self._left.pop(0) if len(self._left) > 1 else self._left[0]) * calls


class Workers:
    """Starts the given workers of each build, one after another; the last is started again."""

    def __init__(self, **workers: list[Samples]) -> None:
        self.workers, self.started = workers, 0

    @contextmanager
    def __call__(self, build: Build, case: str) -> Iterator[Samples]:
        self.started += 1
        left = self.workers["base" if build is BASE else "head"]
        yield left.pop(0) if len(left) > 1 else left[0]


def rows(workers: Workers, factor: float = 1.2) -> list[Row]:
    return list(compare(BASE, HEAD, ["one"], factor=factor, rounds=3, start=workers))


def test_the_least_sample_of_each_build_is_compared() -> None:
    (row,) = rows(Workers(base=[Samples(9.0, 1.0, 5.0)], head=[Samples(1.1, 30.0)]))
    assert row == Row("one", base_s=1.0, head_s=1.1)
    assert row.ratio == pytest.approx(1.1)


def test_both_builds_are_sampled_with_the_greater_number_of_calls() -> None:
    base, head = Samples(1.0, calls=4), Samples(1.0, calls=16)
    assert rows(Workers(base=[base], head=[head]))[0].base_s == 1.0
    assert base.asked == head.asked == [16, 16, 16]


def test_a_slowdown_that_stays_in_five_pairs_of_processes_counts() -> None:
    workers = Workers(base=[Samples(1.0)], head=[Samples(1.5)])
    (row,) = rows(workers)
    assert row.slower
    assert workers.started == 10


def test_a_slowdown_that_one_pair_of_processes_does_not_show_is_none() -> None:
    workers = Workers(base=[Samples(1.0)], head=[Samples(1.5), Samples(1.5), Samples(1.1)])
    (row,) = rows(workers)
    assert not row.slower
    assert row.head_s == 1.1


def test_a_case_that_the_base_lacks_is_named_and_never_slower() -> None:
    missing = Samples(1.0, missing="not in base: no attribute 'choose'")
    assert rows(Workers(base=[missing], head=[Samples(9.0)])) == [Row("one", missing=missing.missing)]


def test_a_worker_that_loads_another_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="ended with status 1"), started(Build("a", tmp_path), "Memory.log"):
        pass


def test_the_base_must_be_a_commit() -> None:
    with pytest.raises(SystemExit, match=r"BASE must be a commit, .* got 'no-such-tag'"):
        build_of("no-such-tag")


def test_a_repository_always_has_a_base() -> None:
    assert default_base()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--factor", "1"], "--factor must be greater than 1"),
        (["--rounds", "0"], "--rounds must be at least 1"),
    ],
)
def test_an_option_out_of_range_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.parsed(arguments)
    assert message in capsys.readouterr().err


def test_the_command_fails_if_a_case_is_slower(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        Row("Memory.recall", 1e-3, 2e-3, slower=True),
        Row("Memory.log", 2e-6, 2e-6),
        Row("new", missing="not in base"),
    ]
    monkeypatch.setattr(command, "build_of", lambda base: BASE)
    monkeypatch.setattr(command, "compare", lambda *_, **__: iter(found))
    monkeypatch.setattr("sys.argv", ["compare", "--json", str(tmp_path / "rows.json")])
    assert command.main() == 1
    printed = capsys.readouterr().out
    assert "1 of them over 1.2 times as slow: Memory.recall" in printed
    assert "not in base" in printed
    assert '"slower": [\n    "Memory.recall"\n  ]' in (tmp_path / "rows.json").read_text()


@pytest.mark.parametrize("case", cases.CASES)
def test_every_case_runs(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = cases.episodes
    monkeypatch.setattr(cases, "episodes", lambda n: episodes(min(n, 10)))
    run = cases.CASES[case](tmp_path)
    run()
    run()
