//! Fits of the models beside the counts, part by part: the episodes of a part that is due are copied, the fit works while
//! questions are answered, and its result is put in place.

use crate::arguments::ArgumentModel;
use crate::halt::Halt;
use crate::namespace::NamespaceModels;
use crate::next_step::{DueFixes, FittedFixes, SoftmaxModel};
use crate::outcome::{DueAttempts, OutcomeFit};
use crate::run::Run;
use crate::situations::{FittedSituations, KeptSituations};
use crate::watch::Watch;
use std::any::Any;
use std::sync::Arc;
use tacit_kernels::facts::Id;

/// A part of a namespace's models that is fitted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The regression behind `suggest`, and how arguments are filled.
    Steps,
    /// The ranking behind `choose`.
    Ranking,
    /// The odds behind `predict`.
    Outcomes,
    /// The discounts behind `recover`.
    Fixes,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Steps, Self::Ranking, Self::Outcomes, Self::Fixes];

    pub fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Ranking => "ranking",
            Self::Outcomes => "outcomes",
            Self::Fixes => "fixes",
        }
    }
}

/// The episodes that one part is fitted on, copied. It depends on the episodes that were held when it was made, and on nothing else.
pub struct DueFit(Due);

enum Due {
    Steps(DueRuns),
    Ranking(Box<KeptSituations>, Arc<Watch>),
    Outcomes(DueAttempts, Arc<Watch>),
    Fixes(DueFixes, Arc<Watch>),
}

/// Successes to learn from: whoever holds them reads them.
struct DueRuns {
    wanted: Vec<Id>,
    runs: Vec<Run>,
    /// None: nobody knows whether these runs are held.
    watch: Option<Arc<Watch>>,
}

/// A part that was fitted, to be put in place by `Advisor::install`.
pub struct Fitted(FittedPart);

enum FittedPart {
    /// The regression, the arguments, and the runs they were learned from, oldest first.
    Steps(Box<SoftmaxModel>, ArgumentModel, Vec<Id>, Option<Arc<Watch>>),
    Ranking(FittedSituations, Arc<Watch>),
    Outcomes(Box<OutcomeFit>, Arc<Watch>),
    Fixes(FittedFixes, Arc<Watch>),
}

/// The models that a fit has replaced. They may be large: they are dropped once the others can be asked again.
pub struct Replaced {
    _models: Box<dyn Any>,
    /// Set if the fit was refused, because an episode that it learned from was forgotten meanwhile.
    pub was_refused: bool,
}

impl Replaced {
    fn by(models: impl Any) -> Self {
        Self { _models: Box::new(models), was_refused: false }
    }

    fn refused(fitted: impl Any) -> Self {
        Self { _models: Box::new(fitted), was_refused: true }
    }
}

impl DueFit {
    /// A fit of `Part::Steps` on these successes, oldest first, held or not.
    pub fn of_runs(runs: Vec<Run>) -> Self {
        Self(Due::Steps(DueRuns { wanted: Vec::new(), runs, watch: None }))
    }

    /// The episodes that are to be read before the fit, oldest first.
    pub fn wanted(&self) -> &[Id] {
        match &self.0 {
            Due::Steps(due) => &due.wanted,
            _ => &[],
        }
    }

    /// Takes wanted episodes, in their order; those that are gone may be missing.
    pub fn read(&mut self, runs: impl IntoIterator<Item = Run>) {
        if let Due::Steps(due) = &mut self.0 {
            due.runs.extend(runs);
        }
    }

    /// None: it was halted, or there is nothing to learn from.
    pub fn fit(&self, halt: &Halt) -> Option<Fitted> {
        halt.go_on()?;
        let fitted = match &self.0 {
            Due::Steps(DueRuns { runs, .. }) if runs.is_empty() => return None,
            Due::Steps(DueRuns { runs, watch, .. }) => FittedPart::Steps(
                Box::new(SoftmaxModel::fit(runs, halt)?),
                ArgumentModel::fit(runs, halt)?,
                runs.iter().map(|run| run.id).collect(),
                watch.clone(),
            ),
            Due::Ranking(situations, watch) => FittedPart::Ranking(situations.fit(halt)?, watch.clone()),
            Due::Outcomes(attempts, watch) => {
                FittedPart::Outcomes(Box::new(attempts.fit(halt)?), watch.clone())
            }
            Due::Fixes(errors, watch) => FittedPart::Fixes(errors.fit(), watch.clone()),
        };
        Some(Fitted(fitted))
    }
}

impl NamespaceModels {
    /// Returns true if the part is to be fitted: it never was, the episodes have grown, or one of them is gone.
    pub(crate) fn is_due(&self, part: Part) -> bool {
        match part {
            Part::Steps => self.steps.is_due(),
            Part::Ranking => self.situations.is_due(),
            Part::Outcomes => !self.tasks.is_empty() && !self.outcomes.covers(self.tasks.len()),
            Part::Fixes => self.steps.are_fixes_due(),
        }
    }

    /// A copy of what a due part is fitted on; the runs of `Part::Steps` are wanted yet.
    pub(crate) fn due_fit(&self, part: Part) -> Option<DueFit> {
        if !self.is_due(part) {
            return None;
        }
        let due = match part {
            Part::Steps => {
                let wanted = self.steps.due()?;
                let watch = Some(self.watches.watch(*wanted.first()?, *wanted.last()?));
                Due::Steps(DueRuns { wanted, runs: Vec::new(), watch })
            }
            Part::Ranking => {
                let (first, last) = self.situations.ends();
                let watch = self.watches.watch(first, last);
                Due::Ranking(Box::new(self.situations.to_fit()), watch)
            }
            Part::Outcomes => {
                let attempts = DueAttempts::of(&self.tasks)?;
                let (first, last) = attempts.ends();
                let watch = self.watches.watch(first, last);
                Due::Outcomes(attempts, watch)
            }
            Part::Fixes => {
                let watch = self.watches.watch([0; 16], self.steps.last_run());
                Due::Fixes(self.steps.due_fixes(), watch)
            }
        };
        Some(DueFit(due))
    }

    pub(crate) fn install(&mut self, fitted: Fitted) -> Replaced {
        match fitted.0 {
            FittedPart::Steps(softmax, arguments, _, Some(watch)) if watch.was_forgotten() => {
                Replaced::refused((softmax, arguments))
            }
            FittedPart::Steps(softmax, arguments, from, watch) => {
                let was_changed = watch.is_some_and(|watch| watch.was_changed());
                let before = self.steps.set_fitted(*softmax, from, was_changed);
                Replaced::by((before, std::mem::replace(&mut self.arguments, arguments)))
            }
            FittedPart::Ranking(ranking, watch) if watch.was_forgotten() => {
                Replaced::refused((ranking, watch))
            }
            FittedPart::Ranking(ranking, watch) => {
                Replaced::by(self.situations.set_fitted(ranking, watch.was_changed()))
            }
            FittedPart::Outcomes(outcomes, watch) if watch.was_forgotten() => Replaced::refused(outcomes),
            FittedPart::Outcomes(mut outcomes, watch) => {
                outcomes.set_stale(watch.was_changed());
                Replaced::by(std::mem::replace(&mut self.outcomes, *outcomes))
            }
            FittedPart::Fixes(fixes, watch) if watch.was_forgotten() => Replaced::refused(fixes),
            FittedPart::Fixes(fixes, watch) => {
                self.steps.set_fixes(&fixes, watch.was_changed());
                Replaced::by(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunStep;

    const PARTS: [Part; 4] = Part::ALL;

    fn run(number: u8) -> Run {
        let step = |tool: &str, ok: i8| RunStep { tool: tool.into(), ok, ..RunStep::default() };
        Run {
            id: [number; 16],
            group: u64::from(number),
            task: format!("cancel order {number}"),
            base: Some(1.0),
            steps: vec![
                step("look", 1),
                step("cancel", i8::from(!number.is_multiple_of(3))),
                step("cancel", 1),
            ],
            ..Run::default()
        }
    }

    fn models() -> NamespaceModels {
        let mut models = NamespaceModels::default();
        (1..=8).for_each(|number| models.put(&run(number)));
        models
    }

    fn fitted(models: &NamespaceModels, part: Part) -> Fitted {
        let mut due = models.due_fit(part).unwrap();
        let runs: Vec<Run> = due.wanted().iter().map(|id| run(id[0])).collect();
        due.read(runs);
        due.fit(&Halt::default()).unwrap()
    }

    #[test]
    fn a_part_is_due_until_it_is_fitted() {
        let mut models = models();
        for part in PARTS {
            assert!(models.is_due(part));
            let fitted = fitted(&models, part);
            assert!(!models.install(fitted).was_refused);
            assert!(!models.is_due(part) && models.due_fit(part).is_none());
        }
    }

    #[test]
    fn a_fit_whose_episode_was_forgotten_meanwhile_is_refused() {
        for part in PARTS {
            let mut models = models();
            let fitted = fitted(&models, part);
            models.forget(&[2; 16]);
            assert!(models.install(fitted).was_refused && models.is_due(part), "{part:?}");
        }
    }

    #[test]
    fn a_fit_whose_episode_changed_meanwhile_is_due_again() {
        for part in PARTS {
            let mut models = models();
            let fitted = fitted(&models, part);
            models.remove(&[2; 16]);
            models.put(&run(2));
            assert!(!models.install(fitted).was_refused && models.is_due(part), "{part:?}");
        }
    }

    #[test]
    fn an_episode_that_comes_later_makes_no_fit_stale() {
        for part in [Part::Ranking, Part::Fixes] {
            let mut models = NamespaceModels::default();
            (1..=40).for_each(|number| models.put(&run(number)));
            let fitted = fitted(&models, part);
            models.put(&run(41));
            models.install(fitted);
            assert!(!models.is_due(part), "{part:?}");
        }
    }

    #[test]
    fn the_odds_of_a_forgotten_episode_are_forgotten_with_it() {
        let mut models = models();
        let fitted = fitted(&models, Part::Outcomes);
        models.install(fitted);
        models.forget(&[99; 16]);
        assert!(!models.is_due(Part::Outcomes));
        models.forget(&[2; 16]);
        assert!(models.is_due(Part::Outcomes));
        assert!((models.predict(&run(9)).success.value - 0.5).abs() < 0.5);
    }
}
