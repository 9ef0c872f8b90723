"""The episodes that `make load` makes, and its report."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.load import report
from benchmarks.load.__main__ import Load, parsed, run
from benchmarks.load.runs import episodes
from tacit import Episode


def succeeded(episode: Episode) -> bool:
    return episode.outcome is not None and episode.outcome.kind == "success"


def test_the_episodes_are_those_of_their_seed() -> None:
    some = list(episodes(30, seed=3))
    assert some == list(itertools.islice(episodes(1_000, seed=3), 30))
    assert some != list(episodes(30, seed=4))


def test_the_episodes_have_the_statistics_of_recorded_runs() -> None:
    made = list(episodes(3_000, seed=1))
    steps = [step for episode in made for step in episode.steps]
    attempts = len(made) / len({episode.task_key for episode in made})
    assert 4 < statistics.median(len(episode.steps) for episode in made) < 11
    assert 0.05 < statistics.mean(step.status == "error" for step in steps) < 0.25
    assert 0.4 < statistics.mean(succeeded(episode) for episode in made) < 0.8
    assert 2 < attempts < 5
    assert len({episode.context.domain for episode in made}) > 20
    assert len({word for episode in made for word in episode.task.split()}) > 3_000


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return run(60, seed=2, seconds=0.0, folder=Path(tmp_path_factory.mktemp("load")))


def test_a_load_asks_every_verb_by_itself_and_while_it_writes(load: Load) -> None:
    asked = {(row.verb, row.while_writing) for row in load.latencies}
    verbs = ("recall", "suggest", "predict", "recover")
    assert asked == set(itertools.product(verbs, (False, True)))
    assert load.parts[-1].episodes == 60


def test_a_report_has_a_line_for_each_figure(load: Load) -> None:
    text = report.as_text(load)
    assert "memory.db" in text
    assert "recall, writing" in text


def test_the_plots_are_well_formed(load: Load) -> None:
    root = ElementTree.fromstring(report.as_svg(load))
    assert len(root.findall(".//{http://www.w3.org/2000/svg}polyline")) == 7


def test_too_few_episodes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["--episodes", "1"])
    assert "--episodes must be at least 20; got 1" in capsys.readouterr().err
