"""How sure a share of successes is, and if it is larger with something than without it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _native


class Interval(NamedTuple):
    """An estimate with its 95% interval."""

    value: float
    low: float
    high: float


def beta_interval(successes: float, trials: float) -> Interval:
    """Return the share of successes with its 95% interval: a Beta posterior with Jeffreys' prior.

    Both counts may be fractions.

    Example:
        >>> round(beta_interval(9, 10).value, 3)
        0.864
    """
    return Interval(*_native.beta_interval(successes, trials))


def odds_ratio(strata: ArrayLike) -> Interval:
    """Return how many times the odds of success are with something, pooled over strata (Mantel and Haenszel 1959).

    A row counts one group of comparable trials: succeeded and failed with it, succeeded and failed without it. If no
    row compares anything, the value is NaN and the interval is 0 to infinity.

    Example:
        >>> round(odds_ratio([[8, 2, 4, 6]]).value, 6)
        6.0
    """
    return Interval(*_native.odds_ratio(_counts(strata)))


def lift(strata: ArrayLike) -> float:
    """Return how much larger the share of successes is with something, over the strata of `odds_ratio`.

    Example:
        >>> round(lift([[8, 2, 4, 6]]), 6)
        0.4
    """
    return _native.lift(_counts(strata))


def p_value(strata: ArrayLike) -> float:
    """Return the two-sided p-value of the Mantel-Haenszel test over the strata of `odds_ratio`.

    Example:
        >>> p_value([[5, 5, 5, 5]])
        1.0
    """
    return _native.p_value(_counts(strata))


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return the adjusted p-values: the least false discovery rate at which each would still be a discovery.

    Example:
        >>> benjamini_hochberg([0.01, 0.5]).tolist()
        [0.02, 0.5]
    """
    return _native.benjamini_hochberg(_counts(p_values))


def decay(age_s: float, half_life_s: float) -> float:
    """Return the weight of evidence of this age: half of it is left after each half-life.

    Example:
        >>> decay(20.0, 10.0)
        0.25
    """
    return _native.decay(age_s, half_life_s)


def _counts(values: ArrayLike) -> NDArray[np.float64]:
    return np.ascontiguousarray(values, dtype=np.float64)
