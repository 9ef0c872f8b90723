"""`make bench-compare` sees a slowdown of 1.5 times in a journey and in a kernel, and none where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.comparing.builds import working_tree
from benchmarks.comparing.cases import CASES
from benchmarks.comparing.measuring import compare

FACTOR = 1.2
# Makes a function take half as long again, in CPU time of its caller.
SLOW = """
import time, tacit
from tacit import kernels

def slowed(function):
    def slow(*arguments, **keywords):
        started = time.thread_time()
        answer = function(*arguments, **keywords)
        until = time.thread_time() + 0.5 * (time.thread_time() - started)
        while time.thread_time() < until:
            pass
        return answer
    return slow
"""
PLANTED = {
    "Memory.recall": "tacit.Memory.recall = slowed(tacit.Memory.recall)",
    "kernels.levenshtein_many": "kernels.levenshtein_many = slowed(kernels.levenshtein_many)",
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_slowdown_is_found(case: str) -> None:
    slow = replace(working_tree(), name="slowed", change=SLOW + PLANTED[case])
    (row,) = compare(working_tree(), slow, [case], factor=FACTOR)
    assert row.slower, f"{case} took {row.ratio} times as long"


@pytest.mark.parametrize("comparison", range(5))
def test_equal_builds_raise_no_alarm(comparison: int) -> None:
    equal = replace(working_tree(), name=f"equal {comparison}")
    rows = list(compare(working_tree(), equal, list(CASES), factor=FACTOR))
    assert [row for row in rows if row.missing] == []
    assert [(row.case, row.ratio) for row in rows if row.slower] == []
