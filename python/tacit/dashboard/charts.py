"""Charts as SVG within the page: no script, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from .figures import Share
from .markup import Markup, element, joined

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 240, 60, 28


def learning_curve(points: Sequence[Share]) -> Markup:
    """Successes over time with their interval; needs at least two points."""
    if len(points) < 2:
        return element("p", "The curve begins with ten judged episodes.", class_="none")
    across = [_LEFT + (_WIDTH - _LEFT - 10) * number / (len(points) - 1) for number in range(len(points))]
    band = [*zip(across, (p.high for p in points), strict=True)]
    band += reversed([*zip(across, (p.low for p in points), strict=True)])
    line = zip(across, (point.mean for point in points), strict=True)
    dots = joined(
        element(
            "circle",
            element("title", f"{p.name}: {p.mean:.0%} of {p.trials}"),
            cx=f"{x:.1f}",
            cy=f"{_y(p.mean):.1f}",
            r=3,
        )
        for x, p in zip(across, points, strict=True)
    )
    first, last = _ends(points[0].name.partition(" to ")[0], points[-1].name.rpartition(" to ")[2])
    return element(
        "svg",
        joined(_grid(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        element("polygon", points=_path(band), class_="band"),
        element("polyline", points=_path(line), class_="line"),
        dots,
        element("text", first, x=_LEFT, y=_HEIGHT - 4),
        element("text", last, x=_WIDTH - 10, y=_HEIGHT - 4, text_anchor="end"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=f"Success went from {points[0].mean:.0%} to {points[-1].mean:.0%}",
        class_="curve",
    )


def _ends(first: str, last: str) -> tuple[str, str]:
    """The days of the first and the last point; their times if it is one day."""
    same_day = first[:10] == last[:10]
    return (first, last) if same_day else (first[:10], last[:10])


def _y(share: float) -> float:
    return 10 + (_HEIGHT - _BOTTOM - 10) * (1 - share)


def _path(points: object) -> str:
    return " ".join(f"{x:.1f},{_y(share):.1f}" for x, share in points)  # type: ignore[attr-defined]


def _grid(share: float) -> Markup:
    y = f"{_y(share):.1f}"
    line = element("line", x1=_LEFT, x2=_WIDTH - 10, y1=y, y2=y, class_="grid")
    return joined(
        (line, element("text", f"{share:.0%}", x=_LEFT - 6, y=f"{_y(share) + 4:.1f}", text_anchor="end"))
    )


def interval_bar(mean: float, low: float, high: float) -> Markup:
    """A share with its interval on a scale from 0 to 1."""
    return element(
        "svg",
        element("rect", x=0, y=6, width=100, height=2, class_="scale"),
        element(
            "rect",
            x=f"{low * 100:.1f}",
            y=3,
            width=f"{max((high - low) * 100, 1):.1f}",
            height=8,
            class_="band",
        ),
        element("rect", x=f"{max(mean * 100 - 1, 0):.1f}", y=0, width=2, height=14, class_="mean"),
        viewBox="0 0 100 14",
        role="img",
        aria_label=f"{mean:.0%}, from {low:.0%} to {high:.0%}",
        class_="bar",
    )


def reason_bar(value: float, weight: float) -> Markup:
    """One term of a score: its weight, and how much of it was reached."""
    return element(
        "svg",
        element("rect", x=0, y=3, width=f"{weight * 100:.1f}", height=8, class_="scale"),
        element("rect", x=0, y=3, width=f"{value * weight * 100:.1f}", height=8, class_="band"),
        viewBox="0 0 100 14",
        role="img",
        aria_label=f"{value:.2f} of a weight of {weight:.2f}",
        class_="bar",
    )
