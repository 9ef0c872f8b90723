//! One signal's share of an answer.

/// One term of an answer: values times weights sum to the answer's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason {
    pub signal: &'static str,
    pub value: f64,
    pub weight: f64,
}
