//! The default embedder, as Python sees it.

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use tacit_kernels::embed::HashedEmbedder;
use tacit_kernels::text;

use crate::convert;
use crate::error::invalid;

/// The words of a text in lower case: names whole and then part by part, as this version cuts them (default: newest).
#[pyfunction]
#[pyo3(signature = (text, text_version = None))]
pub(crate) fn words(text: &Bound<'_, PyString>, text_version: Option<u32>) -> PyResult<Vec<String>> {
    let mut found = Vec::new();
    let version = convert::text_version(text_version)?;
    text::words_in(version, convert::text("text", text)?, |word| found.push(word.to_owned()));
    Ok(found)
}

/// Texts to unit vectors by hashing words and character grams: no model, no download, the same bits everywhere.
#[pyclass(frozen, eq, name = "HashedEmbedder", module = "tacit._native")]
#[derive(PartialEq)]
pub(crate) struct PyHashedEmbedder(HashedEmbedder);

#[pymethods]
impl PyHashedEmbedder {
    #[new]
    #[pyo3(signature = (*, dimension = 384))]
    fn new(dimension: usize) -> PyResult<Self> {
        match dimension {
            1..=65_536 => Ok(Self(HashedEmbedder::new(dimension))),
            _ => Err(invalid("dimension", "must be within 1 and 65,536", dimension)),
        }
    }

    #[getter]
    fn name(&self) -> String {
        self.0.name()
    }

    #[getter]
    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    /// One row of length 1 a text; a text without a word has a row of zeros.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<Bound<'py, PyString>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        convert::import_numpy(py)?;
        let texts = convert::texts("texts", &texts)?;
        let rows = py.detach(|| self.0.embed_many(texts.iter().copied()));
        PyArray1::from_vec(py, rows).reshape([texts.len(), self.0.dimension()])
    }

    /// The rows of `embed` in their stored form, little-endian float32: no array crosses.
    fn embed_packed<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<Bound<'py, PyString>>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let texts = convert::texts("texts", &texts)?;
        let rows = py.detach(|| self.0.embed_many(texts.iter().copied()));
        let packed = |row: &[f32]| -> Vec<u8> { row.iter().flat_map(|x| x.to_le_bytes()).collect() };
        Ok(rows.chunks_exact(self.0.dimension()).map(|row| PyBytes::new(py, &packed(row))).collect())
    }

    fn __repr__(&self) -> String {
        format!("HashedEmbedder(dimension={})", self.0.dimension())
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, (), Py<PyAny>)> {
        let state = PyDict::new(slf.py());
        state.set_item("dimension", slf.get().0.dimension())?;
        let rebuild =
            slf.py().import("functools")?.getattr("partial")?.call((slf.get_type(),), Some(&state))?;
        Ok((rebuild.unbind(), (), slf.py().None()))
    }
}
