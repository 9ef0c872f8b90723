"""The table of ratios under a run of the benchmarks."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    lines = [dict(report.user_properties)["comparison"] for report in reports if report.user_properties]
    if lines:
        terminalreporter.section("times faster than the yardstick (floor)")
        terminalreporter.write_line("\n".join(lines))
