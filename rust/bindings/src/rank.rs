//! Ranking, as Python sees it.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use tacit_kernels::rank;

use crate::convert;
use crate::error::invalid;

type Fused<'py> = (Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<f64>>);

/// The weighted sum of each row of `values`, the weights renormalised over the values present: NaN stands for
/// absent.
#[pyfunction]
pub(crate) fn weighted_sums<'py>(
    py: Python<'py>,
    values: PyReadonlyArray2<'py, f64>,
    weights: PyReadonlyArray1<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let ((values, width), weights) = (convert::rows("values", &values)?, convert::row("weights", &weights)?);
    if width != weights.len() {
        return Err(invalid("weights", &format!("must have one for each of {width} columns"), weights.len()));
    }
    if let Some(weight) = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        return Err(invalid("weights", "must be finite and not negative", weight));
    }
    Ok(py.detach(|| rank::weighted_sums(values, weights)).into_pyarray(py))
}

/// The items of all lists, each list best first, by the sum of `1 / (constant + place)` over the lists that hold them:
/// (items, scores), best first, ties by item.
#[pyfunction]
#[pyo3(signature = (lists, *, constant = 60.0))]
pub(crate) fn reciprocal_ranks<'py>(
    py: Python<'py>,
    lists: Vec<PyReadonlyArray1<'py, u64>>,
    constant: f64,
) -> PyResult<Fused<'py>> {
    if !(constant.is_finite() && constant >= 0.0) {
        return Err(invalid("constant", "must be finite and not negative", constant));
    }
    let lists: Vec<&[u64]> = lists.iter().map(|list| convert::row("lists", list)).collect::<PyResult<_>>()?;
    let ranked = py.detach(|| rank::reciprocal_ranks(lists, constant));
    let (items, scores): (Vec<u64>, Vec<f64>) = ranked.into_iter().unzip();
    Ok((items.into_pyarray(py), scores.into_pyarray(py)))
}

/// Up to `limit` rows by maximal marginal relevance, in the order of their choice: each has the most of
/// `balance * relevance - (1 - balance) * its largest similarity to those chosen before`; ties go to the lower row.
#[pyfunction]
#[pyo3(signature = (relevance, similarity, *, balance, limit))]
pub(crate) fn diversify<'py>(
    py: Python<'py>,
    relevance: PyReadonlyArray1<'py, f64>,
    similarity: PyReadonlyArray2<'py, f64>,
    balance: f64,
    limit: usize,
) -> PyResult<Bound<'py, PyArray1<u64>>> {
    let (relevance, (similarity, width)) =
        (convert::row("relevance", &relevance)?, convert::rows("similarity", &similarity)?);
    if width != relevance.len() || similarity.len() != width * width {
        return Err(invalid("similarity", "must be square, a row for each relevance", width));
    }
    if !(0.0..=1.0).contains(&balance) {
        return Err(invalid("balance", "must lie between 0 and 1", balance));
    }
    let chosen = py.detach(|| rank::diversify(relevance, balance, limit, |a, b| similarity[a * width + b]));
    Ok(chosen.into_iter().map(|row| row as u64).collect::<Vec<_>>().into_pyarray(py))
}
