"""Plots of a report as one SVG: quality by the amount of experience, and observed by predicted success."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from ..errors import ValidationError
from .outcomes import QUERIES_IN_BIN
from .rows import Curve, Report

_WIDTH, _HEIGHT = 380, 370
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 34, 152
_IN_A_ROW = 3
_OURS = "#0b57a4"
_THEIRS = ("#b3542c", "#5f8a3a", "#8a5a9e", "#7a7a7a", "#b59a2b", "#3a8f94", "#a33b63")
_MOST_LINES = 8
_LEAST_HEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a plot; `weight` is the share of the queries behind it, `None` if all have as many."""

    x: float
    y: float
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: named lines over one pair of axes. `is_learning` has shares of experience on x, in logarithms."""

    title: str
    is_learning: bool
    lines: Mapping[str, tuple[Point, ...]]

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest drawn value; probabilities have all of 0 to 1."""
        if not self.is_learning:
            return 0.0, 1.0
        values = [point.y for points in self.lines.values() for point in points]
        low, high = min(values), max(values)
        room = max(_LEAST_HEIGHT, 0.1 * (high - low))
        return low - room, high + room

    def place(self, point: Point) -> tuple[float, float]:
        """The position of a point in the panel."""
        low, high = self.span
        across = _across(point.x, self._least) if self.is_learning else point.x
        up = (point.y - low) / (high - low)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    @property
    def _least(self) -> float:
        return min(point.x for points in self.lines.values() for point in points)

    @property
    def marks(self) -> list[float]:
        """The label of the x axis."""
        if not self.is_learning:
            return [0.0, 0.25, 0.5, 0.75, 1.0]
        return sorted({point.x for points in self.lines.values() for point in points})


def _across(share: float, least: float) -> float:
    return 1.0 if least >= 1 else 1 - math.log(share) / math.log(least)


def write(report: Report, path: str | Path) -> None:
    """Draws the curves of a report into an SVG file.

    Raises `ValidationError` for a report without curves, or a file that cannot be written.
    """
    panels = panels_of(report.curves)
    if not panels:
        raise ValidationError("plot", "a report with curves", "none")
    try:
        Path(path).write_text(drawing(panels), encoding="utf-8")
    except OSError as error:
        raise ValidationError("plot", "a file that can be written", f"{path}: {error.strerror}") from error


def panels_of(curves: Iterable[Curve]) -> list[Panel]:
    """One panel for all curves of a question, dataset, kind and metric, in their order."""
    panels: dict[tuple[str, str, str, str], Panel] = {}
    for curve in curves:
        key = (curve.question, curve.dataset, curve.kind, curve.metric)
        title = f"{curve.question} {curve.dataset}: {curve.metric}"
        panel = panels.get(key, Panel(title, curve.kind == "learning", {}))
        panels[key] = replace(panel, lines={**panel.lines, **_lines(curve)})
    return [panel for panel in panels.values() if any(panel.lines.values())]


def _lines(curve: Curve) -> dict[str, tuple[Point, ...]]:
    weights: Sequence[float | None] = curve.lines.get(QUERIES_IN_BIN, [None] * len(curve.x))
    return {
        name: tuple(
            Point(x, y, weight)
            for x, y, weight in zip(curve.x, values, weights, strict=True)
            if math.isfinite(x) and math.isfinite(y)
        )
        for name, values in curve.lines.items()
        if name != QUERIES_IN_BIN
    }


def drawing(panels: Sequence[Panel]) -> str:
    """The panels beside and under one another, as the text of an SVG file."""
    columns = min(_IN_A_ROW, len(panels))
    width, height = columns * _WIDTH, math.ceil(len(panels) / columns) * _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        x, y = number % columns * _WIDTH, number // columns * _HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel) -> Iterator[str]:
    yield f'<text x="{_LEFT}" y="20" font-weight="bold">{escape(panel.title)}</text>'
    yield from _axes(panel)
    if not panel.is_learning:
        yield _path([panel.place(Point(0, 0)), panel.place(Point(1, 1))], "#999999", 1, "4 3")
    for number, (name, points) in enumerate(list(panel.lines.items())[:_MOST_LINES]):
        is_ours = name == "memory"
        colour = _OURS if is_ours else _THEIRS[(number - 1) % len(_THEIRS)]
        yield _path([panel.place(point) for point in points], colour, 2.5 if is_ours else 1)
        yield from (_dot(panel, point, colour) for point in points)
        yield from _key(number, name, colour)


def _axes(panel: Panel) -> Iterator[str]:
    low, high = panel.span
    left, bottom = _LEFT, _HEIGHT - _BOTTOM
    yield _path([(left, _TOP), (left, bottom), (_WIDTH - _RIGHT, bottom)], "#333333", 1)
    for mark in panel.marks:
        x, _ = panel.place(Point(mark, low))
        label = f"{mark:.0%}" if panel.is_learning else f"{mark:g}"
        yield f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{label}</text>'
    for part in range(5):
        value = low + (high - low) * part / 4
        _, y = panel.place(Point(1.0, value))
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>'
    label = "experience" if panel.is_learning else "predicted probability; upwards: observed share"
    yield f'<text x="{(left + _WIDTH - _RIGHT) / 2}" y="{bottom + 30}" text-anchor="middle">{label}</text>'


def _path(places: Sequence[tuple[float, float]], colour: str, width: float, dashes: str = "none") -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-dasharray="{dashes}"/>'
    )


def _dot(panel: Panel, point: Point, colour: str) -> str:
    x, y = panel.place(point)
    radius = 2.5 if point.weight is None else 1.5 + 8 * math.sqrt(point.weight)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.6"/>'


def _key(number: int, name: str, colour: str) -> Iterator[str]:
    """The line's name under the plot."""
    x, y = _LEFT, _HEIGHT - _BOTTOM + 48 + number * 13
    yield f'<rect x="{x}" y="{y - 8}" width="9" height="9" fill="{colour}"/>'
    yield f'<text x="{x + 14}" y="{y}">{escape(name)}</text>'
