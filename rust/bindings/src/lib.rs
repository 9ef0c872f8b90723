//! What crosses between Python and Rust. A list: logic lives in tacit-kernels and tacit-storage.

mod convert;
mod embed;
mod error;

#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::embed::{PyHashedEmbedder, words};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
