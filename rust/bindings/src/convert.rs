//! Opening of arguments: dtype, shape and contiguity are checked here, once.
#![allow(dead_code)]

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use tacit_kernels::sequence::Sequences;
use tacit_kernels::similarity::{NotFinite, Rows};
use tacit_kernels::text::{TEXT_VERSION, TextVersion};

use crate::error::invalid;

/// The elements of a C-contiguous one-dimensional array.
pub(crate) fn row<'a, T: numpy::Element>(
    field: &str,
    array: &'a PyReadonlyArray1<'_, T>,
) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|_| invalid(field, "must be C-contiguous", "a strided array"))
}

/// The elements of a C-contiguous two-dimensional array and the length of its rows.
pub(crate) fn rows<'a, T: numpy::Element>(
    field: &str,
    array: &'a PyReadonlyArray2<'_, T>,
) -> PyResult<(&'a [T], usize)> {
    let width = array.shape()[1];
    let in_order = array.as_slice().ok().filter(|_| array.is_c_contiguous());
    let elements = in_order.ok_or_else(|| invalid(field, "must be C-contiguous", "another order"))?;
    Ok((elements, width))
}

/// Imports NumPy, before the first array is made: an interrupt in the import is then raised as itself.
pub(crate) fn import_numpy(py: Python<'_>) -> PyResult<()> {
    static NUMPY: PyOnceLock<()> = PyOnceLock::new();
    NUMPY.get_or_try_init(py, || py.import("numpy").map(drop)).map(drop)
}

/// The numbers of a vector in its stored form, little-endian float32: `width` finite ones.
pub(crate) fn packed_vector(field: &str, bytes: &[u8], width: usize) -> PyResult<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if numbers.len() != width || !rest.is_empty() {
        return Err(invalid(field, &format!("must have {} bytes, 4 a number", width * 4), bytes.len()));
    }
    let vector: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    let is_finite = vector.iter().all(|x| x.is_finite());
    is_finite.then_some(vector).ok_or_else(|| invalid(field, "must hold finite numbers", "another"))
}

/// A text as UTF-8; lone surrogates have none.
pub(crate) fn text<'a>(field: &str, text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str().map_err(|_| invalid(field, "must hold no lone surrogates", "one"))
}

/// Texts as UTF-8, in their order.
pub(crate) fn texts<'a>(field: &str, texts: &'a [Bound<'_, PyString>]) -> PyResult<Vec<&'a str>> {
    texts.iter().map(|each| text(field, each)).collect()
}

/// A vector of finite length with at least one number.
pub(crate) fn vector<'a>(field: &str, array: &'a PyReadonlyArray1<'_, f32>) -> PyResult<&'a [f32]> {
    let elements = row(field, array)?;
    if elements.is_empty() {
        return Err(invalid(field, "must have at least one number", 0));
    }
    finite(field, Rows::new(elements, elements.len())).map(|()| elements)
}

/// Vectors of one width, at least one number each. The kernel or `finite` checks that they are finite.
pub(crate) fn matrix<'a>(field: &str, array: &'a PyReadonlyArray2<'_, f32>) -> PyResult<Rows<'a>> {
    match rows(field, array)? {
        (_, 0) => Err(invalid(field, "must have rows of at least one number", 0)),
        (elements, width) => Ok(Rows::new(elements, width)),
    }
}

/// A query and the rows it is compared with, of one width.
pub(crate) fn query_and_matrix<'a>(
    query: &'a PyReadonlyArray1<'_, f32>,
    array: &'a PyReadonlyArray2<'_, f32>,
) -> PyResult<(&'a [f32], Rows<'a>)> {
    let (query, rows) = (vector("query", query)?, matrix("matrix", array)?);
    same_width(rows.width(), query.len()).map(|()| (query, rows))
}

/// Refuses a query that is not as wide as the rows.
pub(crate) fn same_width(rows: usize, query: usize) -> PyResult<()> {
    let refusal = || invalid("query", &format!("must have the {rows} numbers of a row"), query);
    (rows == query).then_some(()).ok_or_else(refusal)
}

/// Refuses rows that are not of finite length.
pub(crate) fn finite(field: &str, rows: Rows) -> PyResult<()> {
    rows.check().map_err(|error| not_finite(field, error))
}

pub(crate) fn not_finite(field: &str, NotFinite { row }: NotFinite) -> PyErr {
    invalid(field, "must have rows of finite length", format!("another length in row {row}"))
}

/// A count that is not 0.
pub(crate) fn positive(field: &str, count: usize) -> PyResult<usize> {
    if count > 0 { Ok(count) } else { Err(invalid(field, "must be at least 1", count)) }
}

/// Sequences in two columns: sequence `i` is `symbols[offsets[i]:offsets[i + 1]]`.
pub(crate) fn sequences<'a>(
    symbols: &'a PyReadonlyArray1<'_, u64>,
    offsets: &'a PyReadonlyArray1<'_, u64>,
) -> PyResult<Sequences<'a>> {
    let (symbols, offsets) = (row("symbols", symbols)?, row("offsets", offsets)?);
    let limit = format!("must ascend from the first to the last of {} symbols", symbols.len());
    Sequences::new(symbols, offsets)
        .ok_or_else(|| invalid("offsets", &limit, format!("{} others", offsets.len())))
}

/// A set: its symbols in ascending order, each once.
pub(crate) fn set<'a>(field: &str, array: &'a PyReadonlyArray1<'_, u64>) -> PyResult<&'a [u64]> {
    let symbols = row(field, array)?;
    let ascending = symbols.is_sorted_by(|a, b| a < b);
    let refusal = || invalid(field, "must be in ascending order, each symbol once", "another order");
    ascending.then_some(symbols).ok_or_else(refusal)
}

/// A number of seconds that is neither negative nor NaN; more than can be counted is as long as can be.
pub(crate) fn seconds(field: &str, seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(invalid(field, "must be a number of seconds, not negative", seconds));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Checks the factor by which one wait is longer than the one before.
pub(crate) fn growth(growth: f64) -> PyResult<f64> {
    let is_growth = growth.is_finite() && growth >= 1.0;
    if is_growth { Ok(growth) } else { Err(invalid("growth", "must be at least 1", growth)) }
}

/// The version of the text functions with this number; `None` means the newest.
pub(crate) fn text_version(number: Option<u32>) -> PyResult<TextVersion> {
    let Some(number) = number else { return Ok(TEXT_VERSION) };
    let rule = format!("must be within 1 and {}", TEXT_VERSION.number());
    TextVersion::from_number(number).ok_or_else(|| invalid("text_version", &rule, number))
}

/// A seed that differs from process to process and from call to call.
pub(crate) fn any_seed() -> u64 {
    RandomState::new().hash_one(0)
}
