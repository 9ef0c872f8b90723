//! Nearest situations: recorded ones like the present one, and the possible actions that they speak for.
//!
//! A situation is the task, the steps so far with their last results, and the present state. Each recorded step is
//! one, with the action that was taken in it. The nearest ones vote for the actions that are possible now, values
//! aligned by the words beside them; a log-linear ranking, fitted on the recorded choices, weighs the votes together
//! with features that name no value.

mod actions;
mod choosing;
mod features;
mod kept;
mod nearest;
mod proposals;
mod ranker;
mod routes;
mod situation;
mod texts;
mod tokens;
mod training;
mod values;
mod votes;

pub use choosing::RankedAction;
pub(crate) use choosing::{FittedSituations, KeptSituations, SituationModel};
