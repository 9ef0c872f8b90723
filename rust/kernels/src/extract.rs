//! Findings of one episode, each with the pattern that it is an occurrence of.

mod context_pattern;
mod decision_point;
mod error_recovery;
mod finding;
mod tool_sequence;

pub use context_pattern::context_pattern;
pub use decision_point::decision_points;
pub use error_recovery::error_recoveries;
pub(crate) use error_recovery::{recoveries, recovery_id};
pub use finding::{FINISH, Findings, Found, GAVE_UP, pattern_id};
pub use tool_sequence::{RunLengths, tool_sequences};
