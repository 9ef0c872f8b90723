//! All models of a store, by namespace: changes go in, answers come out.

use crate::arguments::{ArgumentModel, Filled};
use crate::namespace::Space;
use crate::next_step::{Linear, Suggested, Way};
use crate::outcome::Prediction;
use crate::plans::Plan;
use crate::run::Run;
use rustc_hash::FxHashMap;
use tacit_kernels::facts::Id;
use tacit_kernels::index::{Change, Unreadable};

/// A change, ready to be applied.
#[derive(Clone, Debug)]
pub enum Prepared {
    Put(Box<Run>),
    Remove(Id),
}

/// Reads all changes, or names the first episode that cannot be read: nothing is ever half applied.
pub fn prepare<'a>(
    changes: impl IntoIterator<Item = Change<'a>>,
) -> std::result::Result<Vec<Prepared>, Unreadable> {
    let prepare = |change| match change {
        Change::Put(row) => match Run::decode(row.payload) {
            Ok(run) => Ok(Prepared::Put(Box::new(Run { id: row.id, ..run }))),
            Err(why) => Err(Unreadable { id: row.id, why }),
        },
        Change::Remove(id) => Ok(Prepared::Remove(id)),
    };
    changes.into_iter().map(prepare).collect()
}

/// Everything that advice is taken from, kept in step with the store by its changes.
///
/// It depends on which episodes it holds, not on the order in which they came, nor on those that were removed.
#[derive(Debug, Default)]
pub struct Advisor {
    sequence: i64,
    places: FxHashMap<Box<str>, u32>,
    spaces: Vec<Space>,
    homes: FxHashMap<Id, u32>,
}

/// What is learned from whole episodes, beside what is counted of each. It depends on them alone.
#[derive(Debug)]
pub struct Learned {
    steps: Linear,
    arguments: ArgumentModel,
    from: Vec<Id>,
}

impl Learned {
    /// Learns from the successes that `Advisor::due` named, in that order; none where there are none.
    pub fn from(runs: &[Run]) -> Option<Self> {
        let from: Vec<Id> = runs.iter().map(|run| run.id).collect();
        (!runs.is_empty()).then(|| Self {
            steps: Linear::fit(runs),
            arguments: ArgumentModel::fit(runs),
            from,
        })
    }
}

impl Advisor {
    /// The number of the last change that was applied.
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    pub fn len(&self) -> usize {
        self.homes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }

    /// How much memory the models take, nearly.
    pub fn bytes(&self) -> usize {
        self.homes.capacity() * 21 + self.spaces.iter().map(Space::bytes).sum::<usize>()
    }

    /// Applies changes that were prepared, and notes how far the store has been followed.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Prepared>, sequence: i64) {
        for change in changes {
            match change {
                Prepared::Put(run) => self.put(&run),
                Prepared::Remove(id) => self.remove(&id),
            }
        }
        self.sequence = self.sequence.max(sequence);
    }

    fn put(&mut self, run: &Run) {
        self.remove(&run.id);
        let place = self.place_of(&run.namespace);
        self.spaces[place as usize].put(run);
        self.homes.insert(run.id, place);
    }

    fn place_of(&mut self, namespace: &str) -> u32 {
        if let Some(place) = self.places.get(namespace) {
            return *place;
        }
        let place = self.spaces.len() as u32;
        self.places.insert(namespace.into(), place);
        self.spaces.push(Space::default());
        place
    }

    /// The episodes to learn from now, oldest first; None as long as what was learned will do.
    pub fn due(&self, namespace: &str) -> Option<Vec<Id>> {
        self.space(namespace)?.steps.due()
    }

    /// Takes over what was learned from the episodes that were due.
    pub fn learned(&mut self, namespace: &str, learned: Learned) {
        let place = self.place_of(namespace);
        let space = &mut self.spaces[place as usize];
        space.steps.learned(learned.steps, learned.from);
        space.arguments = learned.arguments;
    }

    /// What may come after the steps of an open episode, the likeliest first; empty where no episode succeeded yet.
    pub fn suggest(&self, run: &Run, limit: usize) -> Vec<Suggested> {
        self.space(&run.namespace).map_or_else(Vec::new, |space| space.steps.suggest(run, limit))
    }

    /// Ways out of an error of `class`, the likeliest to work first. The steps of the open episode end with the one that
    /// failed, or with the one before it; where it has none, or names no agent, the answer does without.
    pub fn recover(&self, run: &Run, tool: Option<&str>, class: &str, limit: usize) -> Vec<Way> {
        let space = self.space(&run.namespace);
        space.map_or_else(Vec::new, |space| space.steps.recover(run, tool, class, limit))
    }

    /// Whether questions about tasks of this namespace can be answered as it is.
    pub fn is_settled(&self, namespace: &str) -> bool {
        self.space(namespace).is_none_or(|space| space.is_settled())
    }

    /// Learns from many episodes at once, where enough have come or gone since it last did.
    pub fn settle(&mut self, namespace: &str) {
        if let Some(place) = self.places.get(namespace) {
            self.spaces[*place as usize].settle();
        }
    }

    /// How an attempt at the run's task by its agent will go. The namespace is settled.
    pub fn predict(&self, run: &Run) -> Prediction {
        match self.space(&run.namespace) {
            Some(space) => space.predict(run),
            None => Space::default().predict(run),
        }
    }

    /// One plan for the run's task, merged from the successes of the nearest tasks; at most `limit` of them are named.
    /// The namespace is settled.
    pub fn plan(&self, run: &Run, limit: usize) -> Plan {
        self.space(&run.namespace).map(|space| space.plan(run, limit)).unwrap_or_default()
    }

    /// The arguments of each of several tools, one of which may come after the steps of an open episode.
    pub fn arguments(&self, run: &Run, tools: &[&str]) -> Vec<Vec<Filled>> {
        let Some(space) = self.space(&run.namespace) else { return vec![Vec::new(); tools.len()] };
        let prepared = space.arguments.prepare(run);
        tools.iter().map(|tool| space.arguments.fill(&prepared, tool)).collect()
    }

    /// The arguments of the steps of a plan, taken one after another from where an open episode stands.
    pub fn plan_arguments(&self, run: &Run, tools: &[&str]) -> Vec<Vec<Filled>> {
        let space = self.space(&run.namespace);
        space.map_or_else(|| vec![Vec::new(); tools.len()], |space| space.arguments.plan(run, tools))
    }

    fn space(&self, namespace: &str) -> Option<&Space> {
        self.places.get(namespace).map(|place| &self.spaces[*place as usize])
    }

    fn remove(&mut self, id: &Id) {
        if let Some(place) = self.homes.remove(id) {
            self.spaces[place as usize].remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::record;
    use tacit_kernels::index::Row;

    #[test]
    fn an_episode_that_is_put_twice_is_held_once() {
        let record = record();
        let row = Row { id: [7; 16], payload: &record, facts: &[], embedder: None, embedding: &[] };
        let mut advisor = Advisor::default();
        advisor.apply(prepare([Change::Put(row), Change::Put(row)]).unwrap(), 2);
        assert_eq!((advisor.len(), advisor.sequence()), (1, 2));
        advisor.apply(prepare([Change::Remove([7; 16])]).unwrap(), 3);
        assert!(advisor.is_empty());
    }

    #[test]
    fn nothing_is_applied_of_changes_that_cannot_be_read() {
        let row = Row { id: [7; 16], payload: b"\xc1", facts: &[], embedder: None, embedding: &[] };
        assert_eq!(prepare([Change::Put(row)]).unwrap_err().id, [7; 16]);
    }
}
