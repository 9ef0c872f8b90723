//! The arguments of a next step, from sources that were learned from recorded calls.
//!
//! A slot is a parameter of a tool, or a value inside one. Its candidates are the values that the rules
//! of the slot find in the task, the context, the arguments and results so far, and the values that it often had. A
//! log-linear model chooses among them and "none of these"; its chances are calibrated on tasks that it did not learn
//! from, and a value is filled if its probability of being right passes a threshold.

mod calibration;
mod candidates;
mod features;
mod fill_point;
mod filling;
mod hash;
mod known;
mod literal;
mod model;
mod parameters;
mod ranking;
mod reading;
mod slot;
mod slot_examples;
mod sources;
mod span;
mod survey;

mod task;
mod templates;
mod values;

pub use filling::{ArgumentCandidate, FilledArgument};
pub(crate) use model::ArgumentModel;

#[cfg(test)]
mod tests;
