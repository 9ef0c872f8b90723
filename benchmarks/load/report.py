"""A page of text and one SVG about a load."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .__main__ import Load

WIDTH, HEIGHT, MARGIN = 360, 240, 48
COLOURS = ("#0b57a4", "#b3542c", "#5f8a3a", "#8a5a9e")


def resident_mb() -> float:
    """The memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def as_text(load: Load) -> str:
    last = load.parts[-1]
    lines = [
        f"{load.episodes:,} episodes, seed {load.seed}",
        "",
        f"import               {load.parts[0].a_second:,.0f}/s at first, {last.a_second:,.0f}/s at the end",
        f"maintain             {load.maintained_s:.1f} s",
        f"open to first recall {load.opened_s:.2f} s",
        f"resident             {load.resident_mb:,.0f} MB",
        *(f"{name:20} {size:,.1f} MB" for name, size in load.files_mb.items()),
        f"written while asked  {load.written_a_second:,.0f} episodes a second by one thread",
        "",
        f"{'milliseconds':22}{'episodes':>10}{'median':>9}{'p99':>9}{'worst':>9}{'calls':>8}",
    ]
    for row in load.latencies:
        name = f"{row.verb}, writing" if row.while_writing else row.verb
        lines.append(
            f"{name:22}{row.episodes:>10,}{row.median_ms:>9.2f}{row.p99_ms:>9.2f}{row.worst_ms:>9.2f}{row.calls:>8,}"
        )
    return "\n".join(lines)


def as_svg(load: Load) -> str:
    """Import rate, memory and file size by episodes, and the median answer by episodes, in logarithms."""
    verbs = dict.fromkeys(row.verb for row in load.latencies)
    quiet = [row for row in load.latencies if not row.while_writing]
    parts = load.parts
    panels = [
        ("episodes a second, import", {"import": [(part.episodes, part.a_second) for part in parts]}, False),
        (
            "megabytes",
            {
                "resident": [(part.episodes, part.resident_mb) for part in parts],
                "database": [(part.episodes, part.database_mb) for part in parts],
            },
            False,
        ),
        (
            "median milliseconds an answer",
            {verb: [(row.episodes, row.median_ms) for row in quiet if row.verb == verb] for verb in verbs},
            True,
        ),
    ]
    drawn = [
        f'<g transform="translate({at * WIDTH},0)">{panel(title, lines, logarithmic)}</g>'
        for at, (title, lines, logarithmic) in enumerate(panels)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(drawn)}</svg>\n"
    )


def panel(title: str, lines: Mapping[str, Sequence[tuple[float, float]]], logarithmic: bool) -> str:
    across = [x for points in lines.values() for x, _ in points]
    up = [y for points in lines.values() for _, y in points]
    low_x, high_x = (min(across), max(across)) if logarithmic else (0.0, max(across))
    low_y, high_y = (min(up), max(up)) if logarithmic else (0.0, max(up))
    drawn = [f'<text x="{MARGIN}" y="20" font-weight="bold">{title}</text>']
    for at, (name, points) in enumerate(lines.items()):
        places = [
            (
                MARGIN + share(x, low_x, high_x, logarithmic) * (WIDTH - 2 * MARGIN),
                HEIGHT - MARGIN - share(y, low_y, high_y, logarithmic) * (HEIGHT - 2 * MARGIN),
            )
            for x, y in points
        ]
        drawn.append(line(places, COLOURS[at % len(COLOURS)]))
        drawn.append(
            f'<text x="{MARGIN + 80 * at}" y="{HEIGHT - 8}" fill="{COLOURS[at % len(COLOURS)]}">{name}</text>'
        )
    bottom = HEIGHT - MARGIN
    drawn.append(f'<path d="M{MARGIN} {MARGIN}V{bottom}H{WIDTH - MARGIN}" stroke="#333" fill="none"/>')
    for value, y in ((low_y, bottom), (high_y, MARGIN)):
        drawn.append(f'<text x="{MARGIN - 4}" y="{y + 4}" text-anchor="end">{value:.3g}</text>')
    for value, x in ((low_x, MARGIN), (high_x, WIDTH - MARGIN)):
        drawn.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{value:,.0f}</text>')
    return "".join(drawn)


def share(value: float, low: float, high: float, logarithmic: bool) -> float:
    if high <= low:
        return 0.5
    if logarithmic:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def line(places: Sequence[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places)
    return f'<polyline points="{path}" fill="none" stroke="{colour}"/>{dots}'
