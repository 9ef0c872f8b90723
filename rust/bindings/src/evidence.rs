//! Evidence, as Python sees it.

use std::time::Duration;

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use tacit_kernels::evidence::{self, Interval, OddsRatio, Stratum};

use crate::convert;
use crate::error::invalid;

/// The mean and the 95% interval, as (mean, low, high), of the share that `successes` of `trials` speak for (Jeffreys'
/// prior). Both may be fractions.
#[pyfunction]
pub(crate) fn beta_interval(successes: f64, trials: f64) -> PyResult<(f64, f64, f64)> {
    if !(trials.is_finite() && trials >= 0.0) {
        return Err(invalid("trials", "must be finite and not negative", trials));
    }
    if !(0.0..=trials).contains(&successes) {
        return Err(invalid("successes", "must lie between 0 and the trials", successes));
    }
    let Interval { mean, low, high } = Interval::from_counts(successes, trials);
    Ok((mean, low, high))
}

/// The factor by which a pattern multiplies the odds of success, pooled over strata, as (ratio, low, high) with the
/// 95% interval; (nan, 0, inf) if nothing can be compared. A row of `strata` counts one group of comparable
/// episodes: succeeded and failed with the pattern, succeeded and failed without it.
#[pyfunction]
pub(crate) fn odds_ratio(strata: PyReadonlyArray2<'_, f64>) -> PyResult<(f64, f64, f64)> {
    let OddsRatio { ratio, low, high, .. } = odds_of(&strata)?;
    Ok((ratio, low, high))
}

/// The difference of the shares of successes with and without a pattern, the strata of `odds_ratio` weighted by the
/// episodes they compare; 0 if nothing can be compared.
#[pyfunction]
pub(crate) fn lift(strata: PyReadonlyArray2<'_, f64>) -> PyResult<f64> {
    Ok(odds_of(&strata)?.lift)
}

/// The weight of evidence of that age: half of it is left after each `half_life_s`.
#[pyfunction]
pub(crate) fn decay(age_s: f64, half_life_s: f64) -> PyResult<f64> {
    let half_life = convert::seconds("half_life_s", half_life_s)?;
    if half_life == Duration::ZERO {
        return Err(invalid("half_life_s", "must be more than 0", half_life_s));
    }
    Ok(evidence::decay(convert::seconds("age_s", age_s)?, half_life))
}

/// The two-sided p-value of the Mantel-Haenszel test over the strata of `odds_ratio`; 1 if nothing can be compared.
#[pyfunction]
pub(crate) fn p_value(strata: PyReadonlyArray2<'_, f64>) -> PyResult<f64> {
    Ok(odds_of(&strata)?.p_value)
}

/// The p_values of many comparisons, each raised to the smallest share of false discoveries at which it would still be
/// a discovery (Benjamini and Hochberg).
#[pyfunction]
pub(crate) fn benjamini_hochberg<'py>(
    py: Python<'py>,
    p_values: PyReadonlyArray1<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let p_values = convert::row("p_values", &p_values)?;
    match p_values.iter().find(|p_value| !(0.0..=1.0).contains(*p_value)) {
        Some(p_value) => Err(invalid("p_values", "must lie between 0 and 1", p_value)),
        None => Ok(evidence::benjamini_hochberg(p_values).into_pyarray(py)),
    }
}

fn odds_of(strata: &PyReadonlyArray2<'_, f64>) -> PyResult<OddsRatio> {
    let (counts, width) = convert::rows("strata", strata)?;
    if width != 4 {
        return Err(invalid("strata", "must have 4 columns", width));
    }
    if let Some(count) = counts.iter().find(|count| !(count.is_finite() && **count >= 0.0)) {
        return Err(invalid("strata", "must be finite and not negative", count));
    }
    let (rows, _) = counts.as_chunks::<4>();
    Ok(evidence::odds_ratio(&rows.iter().map(Stratum::from).collect::<Vec<_>>()))
}
