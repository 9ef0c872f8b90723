//! Similarity, as Python sees it.

use numpy::{Element, IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyString;
use tacit_kernels::sequence::Sequences;
use tacit_kernels::similarity::context::{ContextSymbols, context};
use tacit_kernels::similarity::cosine::{Quantised, SignBits};
use tacit_kernels::similarity::{Best, Rows, cosine, jaccard as sets, lcs, levenshtein as edits};

use crate::convert;
use crate::error::invalid;

type Vector<'py> = PyReadonlyArray1<'py, f32>;
type Matrix<'py> = PyReadonlyArray2<'py, f32>;
type Symbols<'py> = PyReadonlyArray1<'py, u64>;
type Ranked<'py> = (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<f32>>);
type Context<'py> = (Bound<'py, PyString>, Option<Bound<'py, PyString>>, Vec<Bound<'py, PyString>>);

/// The `k` rows of `matrix` of the highest cosine with `query`, best first, with their cosines.
/// Equal scores are in order of row; the cosine with a row of zeros is 0.
#[pyfunction]
#[pyo3(signature = (query, matrix, *, k))]
pub(crate) fn top_k<'py>(
    py: Python<'py>,
    query: Vector<'py>,
    matrix: Matrix<'py>,
    k: usize,
) -> PyResult<Ranked<'py>> {
    let ((query, rows), k) = (convert::query_and_matrix(&query, &matrix)?, convert::positive("k", k)?);
    let best = py.detach(|| cosine::top_k(query, rows, k));
    Ok(ranked(py, best.map_err(|error| convert::not_finite("matrix", error))?))
}

/// One byte for each number of a matrix: `top_k` gives the answer of the exact scan and reads a quarter of the
/// memory.
#[pyclass(frozen, name = "Quantised", module = "tacit._native")]
pub(crate) struct PyQuantised(Quantised);

#[pymethods]
impl PyQuantised {
    #[new]
    fn new(py: Python<'_>, matrix: Matrix<'_>) -> PyResult<Self> {
        let rows = convert::matrix("matrix", &matrix)?;
        py.detach(|| rows.check().map(|()| Self(Quantised::from_rows(rows))))
            .map_err(|error| convert::not_finite("matrix", error))
    }

    /// The `k` rows of the highest cosine with `query`; `matrix` is the one these codes were made of.
    #[pyo3(signature = (query, matrix, *, k))]
    fn top_k<'py>(
        &self,
        py: Python<'py>,
        query: Vector<'py>,
        matrix: Matrix<'py>,
        k: usize,
    ) -> PyResult<Ranked<'py>> {
        let ((query, rows), k) = (convert::query_and_matrix(&query, &matrix)?, convert::positive("k", k)?);
        same_shape((self.0.len(), self.0.width()), rows)?;
        Ok(ranked(py, py.detach(|| self.0.top_k(query, rows, k))))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// One bit for each number of a matrix: `top_k` ranks the rows whose signs differ least from those of the query.
#[pyclass(frozen, name = "SignBits", module = "tacit._native")]
pub(crate) struct PySignBits(SignBits);

#[pymethods]
impl PySignBits {
    #[new]
    fn new(py: Python<'_>, matrix: Matrix<'_>) -> PyResult<Self> {
        let rows = convert::matrix("matrix", &matrix)?;
        py.detach(|| rows.check().map(|()| Self(SignBits::from_rows(rows))))
            .map_err(|error| convert::not_finite("matrix", error))
    }

    /// The `k` highest cosines among `finalists` rows; `matrix` is the one these signs were made of.
    /// It may miss rows: fewer finalists are faster and find less.
    #[pyo3(signature = (query, matrix, *, k, finalists))]
    fn top_k<'py>(
        &self,
        py: Python<'py>,
        query: Vector<'py>,
        matrix: Matrix<'py>,
        k: usize,
        finalists: usize,
    ) -> PyResult<Ranked<'py>> {
        let ((query, rows), k) = (convert::query_and_matrix(&query, &matrix)?, convert::positive("k", k)?);
        same_shape((self.0.len(), self.0.width()), rows)?;
        Ok(ranked(py, py.detach(|| self.0.top_k(query, rows, k, finalists.max(k)))))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// The share of the union of two sets that both have; both in ascending order, each symbol once.
#[pyfunction]
pub(crate) fn jaccard(a: Symbols<'_>, b: Symbols<'_>) -> PyResult<f32> {
    Ok(sets::jaccard(convert::set("a", &a)?, convert::set("b", &b)?))
}

/// The fewest insertions, deletions and replacements that make one sequence the other.
#[pyfunction]
pub(crate) fn levenshtein(py: Python<'_>, a: Symbols<'_>, b: Symbols<'_>) -> PyResult<u32> {
    pair(py, &a, &b, edits::levenshtein)
}

/// 1 less the Levenshtein distance as a share of the longer sequence; two empty sequences are equal.
#[pyfunction]
pub(crate) fn levenshtein_ratio(py: Python<'_>, a: Symbols<'_>, b: Symbols<'_>) -> PyResult<f32> {
    pair(py, &a, &b, edits::levenshtein_ratio)
}

/// The Levenshtein distance between `query` and each sequence of two columns.
#[pyfunction]
pub(crate) fn levenshtein_many<'py>(
    py: Python<'py>,
    query: Symbols<'py>,
    symbols: Symbols<'py>,
    offsets: Symbols<'py>,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    many(py, &query, &symbols, &offsets, edits::levenshtein_many)
}

/// The Levenshtein ratio of `query` and each sequence of two columns.
#[pyfunction]
pub(crate) fn levenshtein_ratio_many<'py>(
    py: Python<'py>,
    query: Symbols<'py>,
    symbols: Symbols<'py>,
    offsets: Symbols<'py>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    many(py, &query, &symbols, &offsets, edits::levenshtein_ratio_many)
}

/// The length of the longest sequence that both hold, in order but not necessarily without gaps.
#[pyfunction]
pub(crate) fn lcs_length(py: Python<'_>, a: Symbols<'_>, b: Symbols<'_>) -> PyResult<u32> {
    pair(py, &a, &b, lcs::lcs_length)
}

/// Twice the common length as a share of both lengths; two empty sequences are equal.
#[pyfunction]
pub(crate) fn lcs_ratio(py: Python<'_>, a: Symbols<'_>, b: Symbols<'_>) -> PyResult<f32> {
    pair(py, &a, &b, lcs::lcs_ratio)
}

/// The share of the longer sequence that the common one covers; two empty sequences are equal.
#[pyfunction]
pub(crate) fn lcs_coverage(py: Python<'_>, a: Symbols<'_>, b: Symbols<'_>) -> PyResult<f32> {
    pair(py, &a, &b, lcs::lcs_coverage)
}

/// The common length of `query` and each sequence of two columns.
#[pyfunction]
pub(crate) fn lcs_length_many<'py>(
    py: Python<'py>,
    query: Symbols<'py>,
    symbols: Symbols<'py>,
    offsets: Symbols<'py>,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    many(py, &query, &symbols, &offsets, lcs::lcs_length_many)
}

/// The LCS ratio of `query` and each sequence of two columns.
#[pyfunction]
pub(crate) fn lcs_ratio_many<'py>(
    py: Python<'py>,
    query: Symbols<'py>,
    symbols: Symbols<'py>,
    offsets: Symbols<'py>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    many(py, &query, &symbols, &offsets, lcs::lcs_ratio_many)
}

/// The LCS coverage of `query` and each sequence of two columns.
#[pyfunction]
pub(crate) fn lcs_coverage_many<'py>(
    py: Python<'py>,
    query: Symbols<'py>,
    symbols: Symbols<'py>,
    offsets: Symbols<'py>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    many(py, &query, &symbols, &offsets, lcs::lcs_coverage_many)
}

/// The similarity of two contexts, each a domain, a language and tags. A term that both lack does not count.
#[pyfunction]
pub(crate) fn context_similarity(a: Context<'_>, b: Context<'_>) -> PyResult<f32> {
    Ok(context(symbols_of("a", &a)?.context(), symbols_of("b", &b)?.context()))
}

fn symbols_of(field: &str, (domain, language, tags): &Context<'_>) -> PyResult<ContextSymbols> {
    let language = language.as_ref().map(|language| convert::text(field, language)).transpose()?;
    Ok(ContextSymbols::new(convert::text(field, domain)?, language, convert::texts(field, tags)?))
}

fn pair<T: Send>(py: Python<'_>, a: &Symbols, b: &Symbols, measure: fn(&[u64], &[u64]) -> T) -> PyResult<T> {
    let (a, b) = (convert::row("a", a)?, convert::row("b", b)?);
    Ok(py.detach(|| measure(a, b)))
}

fn many<'py, T: Element>(
    py: Python<'py>,
    query: &Symbols<'py>,
    symbols: &Symbols<'py>,
    offsets: &Symbols<'py>,
    measure: fn(&[u64], Sequences) -> Vec<T>,
) -> PyResult<Bound<'py, PyArray1<T>>> {
    let (query, sequences) = (convert::row("query", query)?, convert::sequences(symbols, offsets)?);
    Ok(py.detach(|| measure(query, sequences)).into_pyarray(py))
}

fn ranked(py: Python<'_>, best: Best) -> Ranked<'_> {
    (best.rows.into_pyarray(py), best.scores.into_pyarray(py))
}

fn same_shape(shape: (usize, usize), rows: Rows) -> PyResult<()> {
    let given = (rows.len(), rows.width());
    let refusal =
        || invalid("matrix", &format!("must have the shape {shape:?} it had"), format!("{given:?}"));
    (given == shape).then_some(()).ok_or_else(refusal)
}
