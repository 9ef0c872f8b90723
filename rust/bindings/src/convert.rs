//! How arguments are opened: dtype, shape and contiguity are checked here, once.
#![allow(dead_code)]

use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyString;

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
    let elements = array.as_slice().map_err(|_| invalid(field, "must be C-contiguous", "a strided array"))?;
    Ok((elements, width))
}

/// A text as UTF-8; lone surrogates have none.
pub(crate) fn text<'a>(field: &str, text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str().map_err(|_| invalid(field, "must hold no lone surrogates", "one"))
}

/// Texts as UTF-8, in their order.
pub(crate) fn texts<'a>(field: &str, texts: &'a [Bound<'_, PyString>]) -> PyResult<Vec<&'a str>> {
    texts.iter().map(|each| text(field, each)).collect()
}
