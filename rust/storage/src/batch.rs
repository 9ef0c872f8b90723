//! The unit of a commit: everything in a batch is written in one transaction, or nothing is.

use tacit_kernels::facts::{Id, decode_contents};

use crate::episode_record::{EpisodeRecord, EpisodeState, malformed};
use crate::error::{Result, StorageError};
use crate::record::{self, RecordKind, hexadecimal};
use crate::side_record::{FramedSideRecord, SideRecord};

/// A precondition of a batch: the row of `kind` under `id` is absent, or has this version.
///
/// The version of a row is the number of the change that wrote it last. Numbers are never used twice, so a row that
/// was deleted and written again has another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    pub kind: RecordKind,
    pub id: Id,
    /// `None` means that there must be no such row.
    pub version: Option<i64>,
}

impl Expectation {
    /// Returns the conflict with the version that was found.
    pub(crate) fn conflict(&self, found: Option<i64>) -> StorageError {
        StorageError::version_conflict(self.kind.name(), &hexadecimal(&self.id), self.version, found)
    }
}

/// The operations of one transaction. They take place in this order: removals, changes of state, episodes, side
/// records. A pattern that no fact names any more is removed last.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) puts: Vec<FramedEpisode>,
    pub(crate) removed: Vec<Id>,
    pub(crate) states: Vec<(Id, EpisodeState)>,
    pub(crate) side_records: Vec<FramedSideRecord>,
    pub(crate) expected: Vec<Expectation>,
}

/// One episode, framed, and the patterns that its facts name.
#[derive(Debug, Clone)]
pub(crate) struct FramedEpisode {
    pub(crate) id: Id,
    pub(crate) record: Vec<u8>,
    pub(crate) patterns: Vec<FramedPattern>,
}

impl FramedEpisode {
    pub(crate) fn episode(&self) -> EpisodeRecord<'_> {
        let value = &self.record[record::HEADER..];
        EpisodeRecord::decode_value(self.id, value).expect("this process encoded the record")
    }
}

/// The content of a pattern, framed.
#[derive(Debug, Clone)]
pub(crate) struct FramedPattern {
    pub(crate) id: Id,
    pub(crate) kind: u8,
    pub(crate) record: Vec<u8>,
}

impl Batch {
    /// Adds an episode and the packed contents of its patterns; refuses a value that breaks a limit.
    pub fn put(&mut self, episode: &EpisodeRecord<'_>, contents: &[u8]) -> Result<()> {
        episode.check()?;
        let patterns = framed_patterns(contents)?;
        self.puts.push(FramedEpisode { id: episode.id, record: episode.encode(), patterns });
        Ok(())
    }

    /// Adds the removal of an episode; the removal of an absent one changes nothing.
    pub fn remove(&mut self, id: Id) {
        self.removed.push(id);
    }

    /// Adds a change of the state of a stored episode; an absent episode is a version conflict.
    pub fn set_state(&mut self, id: Id, state: EpisodeState) {
        self.states.push((id, state));
    }

    /// Adds a side record, or its deletion. It replaces the one with its kind and id. Refuses a value that breaks a
    /// limit.
    pub fn side_record(&mut self, given: &SideRecord<'_>) -> Result<()> {
        given.check()?;
        self.side_records.push(FramedSideRecord::new(given));
        Ok(())
    }

    /// Adds a precondition on an episode or a side record, as it is before the batch.
    pub fn expect(&mut self, expectation: Expectation) -> Result<()> {
        let kind = expectation.kind;
        if kind != RecordKind::Episode && !kind.is_side_record() {
            return Err(StorageError::invalid("kind", "episode or a kind of side record", kind.name()));
        }
        self.expected.push(expectation);
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.operations() == 0
    }

    /// Returns the number of operations; preconditions are none.
    pub(crate) fn operations(&self) -> usize {
        self.puts.len() + self.removed.len() + self.states.len() + self.side_records.len()
    }

    /// Returns true for a batch that has to be compared with the store before it is written: repeating a removal and
    /// a put of one id, or a batch with preconditions, must find that nothing is left to do.
    pub(crate) fn needs_comparison(&self) -> bool {
        !self.expected.is_empty() || self.puts.iter().any(|put| self.removed.contains(&put.id))
    }

    pub(crate) fn bytes(&self) -> usize {
        let puts = self.puts.iter().map(|put| put.record.len() + 256 * put.patterns.len());
        puts.chain(self.side_records.iter().map(|each| each.framed.len())).sum()
    }
}

fn framed_patterns(contents: &[u8]) -> Result<Vec<FramedPattern>> {
    let contents = decode_contents(contents).map_err(|fault| malformed("contents", fault))?;
    contents
        .into_iter()
        .map(|each| {
            RecordKind::Pattern.check(each.content.len())?;
            let record = record::frame(RecordKind::Pattern, &each.pattern, &each.content);
            Ok(FramedPattern { id: each.pattern, kind: each.kind, record })
        })
        .collect()
}

/// The result of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The number of the newest change after the batch.
    pub sequence: i64,
    /// The operations that changed the store.
    pub committed: usize,
    /// The operations that found the store as they would have left it.
    pub unchanged: usize,
}
