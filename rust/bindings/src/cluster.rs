//! Clustering, as Python sees it.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use tacit_kernels::cluster::{self as kernels, Clustering, Metric};
use tacit_kernels::similarity::Rows;

use crate::convert;
use crate::error::invalid;

type Matrix<'py> = PyReadonlyArray2<'py, f32>;
type Symbols<'py> = PyReadonlyArray1<'py, u64>;
type Clusters<'py> = (Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<u32>>);

/// At most `k` clusters of rows that are near each other, after at most `iterations` moves of their centres: the
/// cluster of each row, and the row that stands for each cluster. The same arguments give the same clusters.
#[pyfunction]
#[pyo3(signature = (matrix, k, *, seed = 0, iterations = 100))]
pub(crate) fn kmeans<'py>(
    py: Python<'py>,
    matrix: Matrix<'py>,
    k: usize,
    seed: u64,
    iterations: usize,
) -> PyResult<Clusters<'py>> {
    let rows = convert::matrix("matrix", &matrix)?;
    if !(1..=rows.len()).contains(&k) {
        return Err(invalid("k", &format!("must be within 1 and the {} rows", rows.len()), k));
    }
    convert::finite("matrix", rows)?;
    Ok(clusters(py, py.detach(|| kernels::kmeans(rows, k, seed, iterations))))
}

/// Clusters of rows within `eps` of each other, -1 for those of none: the cluster of each row, and the row that stands
/// for each cluster. `min_points` rows within `eps`, itself counted, make a row dense. Every pair is compared.
#[pyfunction]
#[pyo3(signature = (matrix, *, eps, min_points, metric = "euclidean"))]
pub(crate) fn dbscan<'py>(
    py: Python<'py>,
    matrix: Matrix<'py>,
    eps: f64,
    min_points: usize,
    metric: &str,
) -> PyResult<Clusters<'py>> {
    let (rows, metric) = (convert::matrix("matrix", &matrix)?, metric_named(metric)?);
    let (eps, min_points) = (radius(eps)?, convert::positive("min_points", min_points)?);
    convert::finite("matrix", rows)?;
    Ok(clusters(py, py.detach(|| kernels::dbscan(rows, metric, eps, min_points))))
}

/// `dbscan` of whatever has these distances: a square matrix, of which the upper half is read.
#[pyfunction]
#[pyo3(signature = (distances, *, eps, min_points))]
pub(crate) fn dbscan_distances<'py>(
    py: Python<'py>,
    distances: Matrix<'py>,
    eps: f64,
    min_points: usize,
) -> PyResult<Clusters<'py>> {
    let rows = square("distances", convert::matrix("distances", &distances)?)?;
    let (eps, min_points) = (radius(eps)?, convert::positive("min_points", min_points)?);
    convert::finite("distances", rows)?;
    Ok(clusters(py, py.detach(|| kernels::dbscan_distances(rows, eps, min_points))))
}

/// `dbscan` of sequences in two columns: their distance is 1 less their Levenshtein ratio.
#[pyfunction]
#[pyo3(signature = (symbols, offsets, *, eps, min_points))]
pub(crate) fn dbscan_sequences<'py>(
    py: Python<'py>,
    symbols: Symbols<'py>,
    offsets: Symbols<'py>,
    eps: f64,
    min_points: usize,
) -> PyResult<Clusters<'py>> {
    let sequences = convert::sequences(&symbols, &offsets)?;
    let (eps, min_points) = (radius(eps)?, convert::positive("min_points", min_points)?);
    Ok(clusters(py, py.detach(|| kernels::dbscan_sequences(sequences, eps, min_points))))
}

fn metric_named(name: &str) -> PyResult<Metric> {
    match name {
        "euclidean" => Ok(Metric::Euclidean),
        "cosine" => Ok(Metric::Cosine),
        _ => Err(invalid("metric", "must be 'euclidean' or 'cosine'", format!("{name:?}"))),
    }
}

pub(crate) fn radius(eps: f64) -> PyResult<f64> {
    let fits = eps.is_finite() && eps >= 0.0;
    fits.then_some(eps).ok_or_else(|| invalid("eps", "must be a finite number, at least 0", eps))
}

fn square<'a>(field: &str, rows: Rows<'a>) -> PyResult<Rows<'a>> {
    let shape = (rows.len(), rows.width());
    let refusal = || invalid(field, "must have as many rows as columns", format!("{shape:?}"));
    (shape.0 == shape.1).then_some(rows).ok_or_else(refusal)
}

fn clusters(py: Python<'_>, clustering: Clustering) -> Clusters<'_> {
    (clustering.labels.into_pyarray(py), clustering.medoids.into_pyarray(py))
}
