"""bench_evidence.py: intervals and contrasts, native beside SciPy and NumPy in the same run."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import special

from benchmarks import reference, workloads
from tacit import _native

COUNTS = workloads.counts(1_000, seed=7)


def scipy_interval(successes: float, trials: float) -> tuple[float, float, float]:
    a, b = successes + 0.5, trials - successes + 0.5
    return a / (a + b), special.betaincinv(a, b, 0.025), special.betaincinv(a, b, 0.975)


class Interval:
    """The mean and the 95% interval of 1,000 patterns, one after the other."""

    params: ClassVar = [["native", "scipy"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        self.interval = {"native": _native.beta_interval, "scipy": scipy_interval}[implementation]
        for successes, trials in COUNTS:
            assert np.allclose(
                self.interval(successes, trials), scipy_interval(successes, trials), rtol=0, atol=1e-9
            )

    def time_1000_intervals(self, implementation: str) -> None:
        interval = self.interval
        for successes, trials in COUNTS:
            interval(successes, trials)


class OddsRatio:
    """With against without a pattern, over n strata."""

    params: ClassVar = [[8, 1_000], ["native", "reference"]]
    param_names: ClassVar = ["n", "implementation"]

    def setup(self, n: int, implementation: str) -> None:
        self.strata = workloads.strata(n, seed=7)
        self.odds_ratio = {"native": _native.odds_ratio, "reference": reference.odds_ratio}[implementation]
        assert np.allclose(self.odds_ratio(self.strata), reference.odds_ratio(self.strata))

    def time_odds_ratio(self, n: int, implementation: str) -> None:
        self.odds_ratio(self.strata)
