//! One signal's share of an answer.

/// What one signal said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason {
    pub signal: &'static str,
    pub value: f64,
    pub weight: f64,
}
