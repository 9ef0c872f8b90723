//! The rows of a store's tables, for a connection that this crate does not own: a server keeps the same bytes.

use tacit_kernels::facts::Id;

use crate::batch::{Batch, FramedPattern};
use crate::change::{Change, Op};
use crate::durable::fact_counts;
use crate::episode_record::{EpisodeRecord, EpisodeState};
use crate::error::Result;
use crate::record::RecordKind;
use crate::side_record::FramedSideRecord;

pub use crate::durable::reads::stored_value;
pub use crate::durable::schema::{NewestSchema, newest_schema};
pub use crate::episode_record::facts_sql;
pub use crate::pattern::pattern_key;

/// The row of an episode, and those of the patterns that its facts name.
pub struct EpisodeRow<'a> {
    pub episode: EpisodeRecord<'a>,
    /// The framed record.
    pub record: &'a [u8],
    patterns: &'a [FramedPattern],
}

impl<'a> EpisodeRow<'a> {
    /// Returns id, kind and framed record of each pattern.
    pub fn patterns(&self) -> impl Iterator<Item = (&'a Id, u8, &'a [u8])> + use<'a> {
        self.patterns.iter().map(|each| (&each.id, each.kind, each.record.as_slice()))
    }
}

/// The row of a side record.
pub struct SideRecordRow<'a> {
    pub kind: RecordKind,
    pub id: &'a Id,
    pub namespace: &'a str,
    pub is_there: bool,
    /// The framed record.
    pub record: &'a [u8],
    /// The episode that a scan finds it by; a deleted side record has none.
    pub subject: Option<&'a Id>,
}

impl Batch {
    /// Returns the rows of the batch's episodes, in their order.
    pub fn episode_rows(&self) -> impl Iterator<Item = EpisodeRow<'_>> {
        self.puts.iter().map(|put| EpisodeRow {
            episode: put.episode(),
            record: &put.record,
            patterns: &put.patterns,
        })
    }

    /// Returns the rows of the batch's side records, in their order.
    pub fn side_record_rows(&self) -> impl Iterator<Item = SideRecordRow<'_>> {
        self.side_records.iter().map(|each: &FramedSideRecord| SideRecordRow {
            kind: each.kind,
            id: &each.id,
            namespace: &each.namespace,
            is_there: each.is_there,
            record: &each.framed,
            subject: each.subject.as_ref().filter(|_| each.is_there),
        })
    }
}

/// Returns the record of a stored episode in another state; `None` means that it is in that state.
pub fn with_state(id: &Id, stored: &[u8], state: EpisodeState) -> Result<Option<Vec<u8>>> {
    let episode = EpisodeRecord::decode(id, stored)?;
    Ok((episode.state != state).then(|| episode.with_state(state).encode()))
}

/// Returns the patterns that the facts of a stored episode name, each once; a damaged episode names none.
pub fn named_patterns(id: &Id, stored: &[u8]) -> Vec<Id> {
    let mut named: Vec<Id> = fact_counts::facts_of(id, stored).iter().map(|fact| fact.pattern).collect();
    named.sort_unstable();
    named.dedup();
    named
}

/// Reads a row of the change log. `kind` is the one of a side record, `record` the row that the change wrote.
pub fn read_change(sequence: i64, op: i64, id: Id, kind: RecordKind, record: Vec<u8>) -> Result<Change> {
    match Op::from_number(op)? {
        Op::Put => Change::put(sequence, id, record),
        Op::SideRecord => Change::side_record_of(sequence, kind, id, record),
        Op::Remove | Op::DropPattern => Ok(Change::remove(sequence, id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::testing_ids;
    use crate::example::{commit, episode, id, open, put, removal, side_record, taught};

    #[test]
    fn the_rows_of_a_batch_are_those_that_a_commit_writes() {
        let mut batch = put(1);
        batch.side_record(&side_record(7, Some(b"record"))).unwrap();
        batch.side_record(&side_record(8, None)).unwrap();
        let rows: Vec<EpisodeRow<'_>> = batch.episode_rows().collect();
        assert_eq!(EpisodeRecord::decode(&id(1), rows[0].record).unwrap(), rows[0].episode);
        assert_eq!(rows[0].patterns().map(|(id, ..)| *id).collect::<Vec<_>>(), [id(1)]);
        let side: Vec<(bool, u64)> =
            batch.side_record_rows().map(|row| (row.is_there, row.record.len() as u64)).collect();
        assert!(side[0].0 && !side[1].0 && side[0].1 > side[1].1);
        assert_eq!(removal(1).episode_rows().count(), 0);
    }

    #[test]
    fn the_sql_for_the_facts_of_a_record_returns_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let (facts, contents) = taught(4, 1.0);
        let (long, embedding) = (vec![7; 70_000], vec![0; 1_024]);
        let given = [
            EpisodeRecord { embedder: Some("test"), embedding: &embedding, ..episode(1, &long, &facts) },
            EpisodeRecord { agent: Some("agent"), external_id: Some("run"), ..episode(2, &[], &facts) },
            episode(3, &long, &[]),
        ];
        let mut batch = Batch::default();
        given.iter().for_each(|each| batch.put(each, &contents).unwrap());
        commit(&store, batch).unwrap();
        let hits = |pattern: u64| {
            let sql = format!("SELECT id FROM episode WHERE instr({}, ?) > 0 ORDER BY id", facts_sql());
            testing_ids(&folder.path().join("store.db"), &sql, &id(pattern))
        };
        assert_eq!((hits(4), hits(5)), (vec![id(1), id(2)], vec![]));
        let sql = format!("SELECT id FROM episode WHERE {} = ? ORDER BY id", facts_sql());
        let exact = testing_ids(&folder.path().join("store.db"), &sql, &[]);
        assert_eq!(exact, [id(3)]);
    }

    #[test]
    fn an_episode_is_restated_once_and_names_its_patterns() {
        let (facts, _) = taught(4, 1.0);
        let stored = episode(1, b"payload", &facts).encode();
        let pending = with_state(&id(1), &stored, EpisodeState::Pending).unwrap().unwrap();
        assert_eq!(EpisodeRecord::decode(&id(1), &pending).unwrap().state, EpisodeState::Pending);
        assert_eq!(with_state(&id(1), &pending, EpisodeState::Pending).unwrap(), None);
        assert!(with_state(&id(2), &stored, EpisodeState::Pending).is_err());
        assert_eq!(named_patterns(&id(1), &pending), [id(4)]);
        assert_eq!(named_patterns(&id(2), &pending), Vec::<Id>::new());
    }
}
