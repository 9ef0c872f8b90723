//! Similarity of two things, one measure a file, and the best of many.

pub mod context;
pub mod cosine;
pub mod jaccard;
pub mod lcs;
mod leaders;
pub mod levenshtein;
mod masks;
mod rows;

pub use cosine::top_k;
pub use leaders::{Best, Leaders};
pub use rows::{NotFinite, Rows};
