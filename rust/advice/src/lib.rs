//! Models that learn from whole episodes and advise an open one: `README.md` is their map.

mod advisor;
mod arguments;
mod fitting;
mod halt;
mod namespace;
mod next_step;
mod outcome;
mod plans;
mod reason;
mod run;
mod situations;
mod tasks;
mod watch;

pub use advisor::{Advisor, PreparedChange, prepare};
pub use arguments::{ArgumentCandidate, FilledArgument};
pub use fitting::{DueFit, Fitted, Part, Replaced};
pub use halt::Halt;
pub use next_step::{Fix, SuggestedStep};
pub use outcome::{Expected, Prediction};
pub use plans::{Plan, PlanDecay, PlanStep};
pub use reason::Reason;
pub use run::{Run, RunStep};
pub use situations::RankedAction;
