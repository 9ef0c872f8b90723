//! The number of episodes that name each pattern, so that a pattern can go with its last fact.

use rustc_hash::FxHashMap;
use tacit_kernels::facts::{Fact, Id, decode_facts};

use crate::durable::queries::Connection;
use crate::episode_record::EpisodeRecord;
use crate::error::Result;

const EPISODES: &str = "SELECT namespace, id, record FROM episode";

/// Facts by namespace number and pattern.
///
/// The first removal of a process reads every episode once. Later commits of the process keep the counts, until
/// another process commits or a transaction is rolled back.
pub(crate) struct FactCounts(FxHashMap<(i64, Id), u32>);

impl FactCounts {
    /// Counts the facts of every episode. The facts of a damaged row are not counted.
    pub(crate) fn read(connection: &mut Connection) -> Result<Self> {
        let mut counts = Self(FxHashMap::default());
        connection.rows(EPISODES, vec![], |row| {
            if let (Ok(namespace), Ok(id), Ok(record)) = (row.integer(0), row.id(1), row.blob(2)) {
                counts.add(namespace, &facts_of(&id, &record));
            }
            Ok(())
        })?;
        Ok(counts)
    }

    pub(crate) fn add(&mut self, namespace: i64, facts: &[Fact]) {
        for fact in facts {
            *self.0.entry((namespace, fact.pattern)).or_default() += 1;
        }
    }

    pub(crate) fn subtract(&mut self, namespace: i64, facts: &[Fact]) {
        for fact in facts {
            if let Some(count) = self.0.get_mut(&(namespace, fact.pattern)) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Returns true if no episode of the namespace names the pattern; forgets such a pattern.
    pub(crate) fn take_unnamed(&mut self, namespace: i64, pattern: &Id) -> bool {
        let key = (namespace, *pattern);
        let is_named = self.0.get(&key).is_some_and(|count| *count > 0);
        if !is_named {
            self.0.remove(&key);
        }
        !is_named
    }
}

/// Returns the facts of a stored episode; a damaged one has none.
pub(crate) fn facts_of(id: &Id, record: &[u8]) -> Vec<Fact> {
    let facts = EpisodeRecord::decode(id, record).map(|episode| decode_facts(episode.facts));
    facts.ok().and_then(std::result::Result::ok).unwrap_or_default()
}
