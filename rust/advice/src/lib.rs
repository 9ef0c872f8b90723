//! What to do next: models that learn from whole episodes and answer about an open one.

mod advisor;
mod arguments;
mod namespace;
mod next_step;
mod outcome;
mod plans;
mod reason;
mod run;
mod tasks;

pub use advisor::{Advisor, Learned, Prepared, prepare};
pub use arguments::Filled;
pub use next_step::{Suggested, Way};
pub use outcome::{Expected, Prediction};
pub use plans::{Plan, PlanStep};
pub use reason::Term;
pub use run::{Run, Taken};
