//! All models of a store, by namespace: changes go in, answers come out.

use crate::arguments::FilledArgument;
use crate::fitting::{DueFit, Fitted, Part, Replaced};
use crate::namespace::NamespaceModels;
use crate::next_step::{Fix, SuggestedStep};
use crate::outcome::Prediction;
use crate::plans::{Plan, PlanDecay};
use crate::run::Run;
use crate::situations::{RankedAction, SituationModel};
use rustc_hash::FxHashMap;
use tacit_kernels::facts::Id;
use tacit_kernels::index::{Change, Unreadable};

/// A change, ready to be applied.
#[derive(Clone, Debug)]
pub enum PreparedChange {
    Put(Box<Run>),
    Remove(Id),
}

/// Reads all changes, or names the first episode that cannot be read: nothing is ever half applied.
pub fn prepare<'a>(
    changes: impl IntoIterator<Item = Change<'a>>,
) -> std::result::Result<Vec<PreparedChange>, Unreadable> {
    let prepare = |change| match change {
        Change::Put(row) => match Run::decode(row.payload) {
            Ok(run) => Ok(PreparedChange::Put(Box::new(Run { id: row.id, ..run }))),
            Err(why) => Err(Unreadable { id: row.id, why }),
        },
        Change::Remove(id) => Ok(PreparedChange::Remove(id)),
    };
    changes.into_iter().map(prepare).collect()
}

/// Everything that advice is taken from, kept in step with the store by its changes.
///
/// Its answers depend on the episodes that it holds, not on their order of arrival nor on removed ones.
#[derive(Debug, Default)]
pub struct Advisor {
    sequence: i64,
    numbers: FxHashMap<Box<str>, u32>,
    namespaces: Vec<NamespaceModels>,
    namespace_of: FxHashMap<Id, u32>,
}

impl Advisor {
    /// The number of the last change that was applied.
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    pub fn len(&self) -> usize {
        self.namespace_of.len()
    }

    pub fn is_empty(&self) -> bool {
        self.namespace_of.is_empty()
    }

    /// How much memory the models take, nearly.
    pub fn bytes(&self) -> usize {
        self.namespace_of.capacity() * 21 + self.namespaces.iter().map(NamespaceModels::bytes).sum::<usize>()
    }

    /// Applies changes that were prepared, and notes how far the store has been followed.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = PreparedChange>, sequence: i64) {
        for change in changes {
            match change {
                PreparedChange::Put(run) => self.put(&run),
                PreparedChange::Remove(id) => self.forget(&id),
            }
        }
        self.sequence = self.sequence.max(sequence);
    }

    fn put(&mut self, run: &Run) {
        self.remove(&run.id);
        let number = self.number_of(&run.namespace);
        self.namespaces[number as usize].put(run);
        self.namespace_of.insert(run.id, number);
    }

    fn number_of(&mut self, namespace: &str) -> u32 {
        if let Some(number) = self.numbers.get(namespace) {
            return *number;
        }
        let number = self.namespaces.len() as u32;
        self.numbers.insert(namespace.into(), number);
        self.namespaces.push(NamespaceModels::default());
        number
    }

    /// Returns true if a part of a namespace's models is to be fitted: it never was, its episodes have grown by a
    /// sixteenth, or one of them is gone.
    pub fn is_due(&self, namespace: &str, part: Part) -> bool {
        self.models(namespace).is_some_and(|models| models.is_due(part))
    }

    /// The episodes that `Part::Steps` is fitted on now, oldest first; `None` means that it is current.
    pub fn due(&self, namespace: &str) -> Option<Vec<Id>> {
        self.models(namespace)?.steps.due()
    }

    /// A copy of what a part is fitted on; `None` means that it is current.
    pub fn due_fit(&self, namespace: &str, part: Part) -> Option<DueFit> {
        self.models(namespace)?.due_fit(part)
    }

    /// Puts a part in place of the one before.
    pub fn install(&mut self, namespace: &str, fitted: Fitted) -> Replaced {
        let number = self.number_of(namespace);
        self.namespaces[number as usize].install(fitted)
    }

    /// Returns true if `propose` may have an answer.
    pub fn proposes(&self, namespace: &str) -> bool {
        self.models(namespace).is_some_and(|models| models.situations.proposes())
    }

    /// The given actions (tool or text, and parameters as msgpack) after the steps of an open episode, in the state
    /// that the agent sees now, the best first.
    pub fn choose(
        &self,
        run: &Run,
        state: &[u8],
        actions: &[(&str, &[u8])],
        limit: usize,
    ) -> Vec<RankedAction> {
        match self.models(&run.namespace) {
            Some(models) => models.situations.choose(run, state, actions, limit),
            None => SituationModel::default().choose(run, state, actions, limit),
        }
    }

    /// Text actions that the nearest recorded situations propose after the steps of an open episode, the best first.
    pub fn propose(&self, run: &Run, state: &[u8], limit: usize) -> Vec<(String, RankedAction)> {
        let models = self.models(&run.namespace);
        models.map_or_else(Vec::new, |models| models.situations.propose(run, state, limit))
    }

    /// The next steps after those of an open episode, the likeliest first; empty before the first success.
    pub fn suggest(&self, run: &Run, limit: usize) -> Vec<SuggestedStep> {
        self.models(&run.namespace).map_or_else(Vec::new, |models| models.steps.suggest(run, limit))
    }

    /// Fixes for an error of `class`, the likeliest to work first. The steps of the open episode end with the one that
    /// failed, or with the one before it; steps and agent may be missing.
    pub fn recover(&self, run: &Run, tool: Option<&str>, class: &str, limit: usize) -> Vec<Fix> {
        let models = self.models(&run.namespace);
        models.map_or_else(Vec::new, |models| models.steps.recover(run, tool, class, limit))
    }

    /// How an attempt at the run's task by its agent will go.
    pub fn predict(&self, run: &Run) -> Prediction {
        match self.models(&run.namespace) {
            Some(models) => models.predict(run),
            None => NamespaceModels::default().predict(run),
        }
    }

    /// One plan for the run's task, merged from the successes of the nearest tasks; at most `limit` of them are named.
    pub fn plan(&self, run: &Run, limit: usize, fading: Option<PlanDecay>) -> Plan {
        self.models(&run.namespace).map(|models| models.plan(run, limit, fading)).unwrap_or_default()
    }

    /// The arguments of a call to each of several tools after the steps of an open episode.
    pub fn arguments(&self, run: &Run, tools: &[&str]) -> Vec<Vec<FilledArgument>> {
        let Some(models) = self.models(&run.namespace) else { return vec![Vec::new(); tools.len()] };
        let prepared = models.arguments.prepare(run);
        tools.iter().map(|tool| models.arguments.fill(&prepared, tool)).collect()
    }

    /// The arguments of the steps of a plan that continues an open episode, each after those before it.
    pub fn plan_arguments(&self, run: &Run, tools: &[&str]) -> Vec<Vec<FilledArgument>> {
        let models = self.models(&run.namespace);
        models.map_or_else(|| vec![Vec::new(); tools.len()], |models| models.arguments.plan(run, tools))
    }

    fn models(&self, namespace: &str) -> Option<&NamespaceModels> {
        self.numbers.get(namespace).map(|number| &self.namespaces[*number as usize])
    }

    fn remove(&mut self, id: &Id) {
        if let Some(number) = self.namespace_of.remove(id) {
            self.namespaces[number as usize].remove(id);
        }
    }

    fn forget(&mut self, id: &Id) {
        if let Some(number) = self.namespace_of.remove(id) {
            self.namespaces[number as usize].forget(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::record;
    use tacit_kernels::index::EpisodeRow;

    #[test]
    fn an_episode_that_is_put_twice_is_held_once() {
        let record = record();
        let row = EpisodeRow { id: [7; 16], payload: &record, facts: &[], embedder: None, embedding: &[] };
        let mut advisor = Advisor::default();
        advisor.apply(prepare([Change::Put(row), Change::Put(row)]).unwrap(), 2);
        assert_eq!((advisor.len(), advisor.sequence()), (1, 2));
        advisor.apply(prepare([Change::Remove([7; 16])]).unwrap(), 3);
        assert!(advisor.is_empty());
    }

    #[test]
    fn nothing_is_applied_of_changes_that_cannot_be_read() {
        let row = EpisodeRow { id: [7; 16], payload: b"\xc1", facts: &[], embedder: None, embedding: &[] };
        assert_eq!(prepare([Change::Put(row)]).unwrap_err().id, [7; 16]);
    }
}
