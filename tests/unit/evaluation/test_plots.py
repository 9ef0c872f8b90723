from __future__ import annotations

import math
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from tacit.errors import ValidationError
from tacit.evaluation import Curve, Report, plots
from tacit.evaluation.outcomes import QUERIES_IN_BIN

LEARNING = Curve(
    "B4", "a & b", "learning", "top1", (0.1, 1.0), {"memory": (0.2, 0.8), "chain": (0.1, math.nan)}
)
TOLD = Curve(
    "B6",
    "a & b",
    "calibration",
    "unseen task",
    (0.2, 0.9),
    {"memory": (0.1, 1.0), QUERIES_IN_BIN: (0.5, 0.5)},
)
TOO = Curve("B6", "a & b", "calibration", "unseen task", (0.5,), {"agent": (0.4,), QUERIES_IN_BIN: (1.0,)})


def test_curves_of_one_thing_share_a_panel() -> None:
    learning, calibration = plots.panels_of([LEARNING, TOLD, TOO])
    assert learning.is_learning
    assert learning.marks == [0.1, 1.0]
    assert set(calibration.lines) == {"memory", "agent"}
    assert [point.weight for point in calibration.lines["agent"]] == [1.0]


def test_what_is_no_number_is_not_drawn() -> None:
    (panel,) = plots.panels_of([LEARNING])
    assert [point.x for point in panel.lines["chain"]] == [0.1]


def test_more_is_further_up_and_to_the_right() -> None:
    for panel in plots.panels_of([LEARNING, TOLD]):
        first, last = (panel.place(point) for point in panel.lines["memory"])
        assert first[0] < last[0]
        assert first[1] > last[1]


def test_the_drawing_is_a_whole_svg_file(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    plots.write(Report(curves=(LEARNING, TOLD, TOO)), path)
    root = xml.fromstring(path.read_text())
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"B4 a & b: top1", "B6 a & b: unseen task", "memory", "chain", "agent", "10%"} <= texts


def test_nothing_to_draw_and_nowhere_to_draw_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="plot"):
        plots.write(Report(), tmp_path / "plot.svg")
    with pytest.raises(ValidationError, match="plot"):
        plots.write(Report(curves=(LEARNING,)), tmp_path / "nowhere" / "plot.svg")
