//! Work on the whole file: unreadable rows, and the pruning of the change log.

use tacit_kernels::facts::Id;

use crate::change::Op;
use crate::durable::quarantine::DamagedRow;
use crate::durable::queries::{Connection, Row, blob};
use crate::durable::reads::{horizon, newest};
use crate::episode_record::EpisodeRecord;
use crate::error::Result;
use crate::pattern::pattern_key;
use crate::record::{self, RecordKind};
use crate::side_record::SideRecord;

const EPISODES: &str = "SELECT sequence, id, record, 1, NULL FROM episode";
const PATTERNS: &str = "SELECT pattern.number, pattern.id, pattern.record, 2, CAST(name AS BLOB) FROM pattern \
    LEFT JOIN namespace ON namespace.number = pattern.namespace";
const SIDE_RECORDS: &str = "SELECT sequence, id, record, kind, CAST(name AS BLOB) FROM note \
    LEFT JOIN namespace ON namespace.number = note.namespace";
const LOG: &str = "INSERT INTO change (sequence, op, id) VALUES (?, ?, ?)";
const DELETE_EPISODE: &str = "DELETE FROM episode WHERE sequence = ?";
const DELETE_PATTERN: &str = "DELETE FROM pattern WHERE number = ?";
const DELETE_SIDE_RECORD: &str = "UPDATE note SET sequence = ?, is_there = 0, subject = NULL, record = ? \
    WHERE sequence = ?";
const ERASE_SIDE_RECORD: &str = "DELETE FROM note WHERE sequence = ?";

const PRUNE_CHANGES: &str = "DELETE FROM change WHERE sequence <= ? AND sequence < ? \
    AND NOT (op = 0 AND EXISTS (SELECT 1 FROM episode WHERE episode.sequence = change.sequence)) \
    AND NOT (op = 2 AND EXISTS \
        (SELECT 1 FROM note WHERE note.sequence = change.sequence AND note.is_there = 1))";
const PRUNE_SIDE_RECORDS: &str = "DELETE FROM note WHERE is_there = 0 AND sequence <= ?";
const FREE_PAGES: &str = "PRAGMA freelist_count";
const FILE_BYTES: &str = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
const SET_HORIZON: &str = "UPDATE meta SET horizon = ?";

/// An unreadable row and its place.
struct FoundRow {
    row: i64,
    namespace: Option<String>,
    damaged: DamagedRow,
}

/// Reads every row and returns the unreadable ones.
pub(crate) fn damaged_rows(connection: &mut Connection) -> Result<Vec<DamagedRow>> {
    Ok(found_rows(connection)?.into_iter().map(|found| found.damaged).collect())
}

fn found_rows(connection: &mut Connection) -> Result<Vec<FoundRow>> {
    let mut found = Vec::new();
    for sql in [EPISODES, PATTERNS, SIDE_RECORDS] {
        found.extend(connection.rows(sql, vec![], inspect)?.into_iter().flatten());
    }
    Ok(found)
}

/// Returns the row if it cannot be decoded.
fn inspect(row: &Row) -> Result<Option<FoundRow>> {
    let number = row.integer(3)?;
    let kind = RecordKind::from_number(number).unwrap_or(RecordKind::Audit);
    let decoded = row.id(1).and_then(|id| decode(kind, &id, &row.blob(2)?));
    let Err(error) = decoded else { return Ok(None) };
    let damaged = DamagedRow { kind, id: row.id(1).unwrap_or_default(), message: error.message };
    Ok(Some(FoundRow { row: row.integer(0)?, namespace: row.text(4).ok(), damaged }))
}

fn decode(kind: RecordKind, id: &Id, stored: &[u8]) -> Result<()> {
    match kind {
        RecordKind::Episode => EpisodeRecord::decode(id, stored).map(drop),
        RecordKind::Pattern | RecordKind::Embedding => record::open(kind, id, stored).map(drop),
        side => SideRecord::decode(side, id, stored).map(drop),
    }
}

/// Rebuilds the indexes and removes the unreadable rows under change numbers of their own; returns them.
///
/// An episode is removed as by [`crate::Batch::remove`], a side record is deleted, and a pattern leaves its
/// namespace until an episode names it again.
pub(crate) fn remove_damaged(connection: &mut Connection) -> Result<Vec<DamagedRow>> {
    // An index that disagrees with a flipped column hides rows, and refuses their deletion.
    connection.script("REINDEX")?;
    connection.transaction(|inner| {
        let found = found_rows(inner)?;
        for each in &found {
            remove_row(inner, each)?;
        }
        Ok(found.into_iter().map(|each| each.damaged).collect())
    })
}

fn remove_row(connection: &mut Connection, found: &FoundRow) -> Result<()> {
    let sequence = newest(connection)? + 1;
    let FoundRow { row, namespace, damaged: DamagedRow { kind, id, .. } } = found;
    let (op, id) = match (kind, namespace) {
        (RecordKind::Episode, _) => {
            connection.execute(DELETE_EPISODE, vec![(*row).into()])?;
            (Op::Remove, *id)
        }
        (RecordKind::Pattern, name) => {
            connection.execute(DELETE_PATTERN, vec![(*row).into()])?;
            (Op::DropPattern, pattern_key(name.as_deref().unwrap_or_default(), id))
        }
        (side, Some(name)) => {
            let deleted = SideRecord { kind: *side, id: *id, namespace: name, subject: None, record: None };
            let values = vec![sequence.into(), blob(&deleted.encode()), (*row).into()];
            connection.execute(DELETE_SIDE_RECORD, values)?;
            (Op::SideRecord, *id)
        }
        (_, None) => {
            connection.execute(ERASE_SIDE_RECORD, vec![(*row).into()])?;
            (Op::SideRecord, *id)
        }
    };
    connection.execute(LOG, vec![sequence.into(), (op as i64).into(), blob(&id)])?;
    Ok(())
}

/// The result of [`crate::Store::compact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// The change up to which removals and replaced entries are pruned.
    pub horizon: i64,
    /// The log entries and deleted side records that this call removed.
    pub pruned: usize,
}

/// Rewrites the file without its free pages, which removed rows left behind; returns how many bytes became free.
///
/// A file without free pages stays as it is. Writers of every process wait meanwhile; readers do not.
pub(crate) fn shrink(connection: &mut Connection) -> Result<i64> {
    if connection.number(FREE_PAGES, vec![])? == 0 {
        return Ok(0);
    }
    let before = connection.number(FILE_BYTES, vec![])?;
    connection.execute("VACUUM", vec![])?;
    // The file ends with its last page once the log is written back. A reader may delay that; the next one does it.
    connection.row("PRAGMA wal_checkpoint(TRUNCATE)", vec![], |row| row.integer(0))?;
    Ok(before - connection.number(FILE_BYTES, vec![])?)
}

/// Prunes the log but for its newest `keep` numbers: removals, replaced entries and deleted side records.
///
/// Entries of rows that are there stay, so that a reader can always begin at 0. The newest entry stays, because its
/// number must not be used twice.
pub(crate) fn compact(connection: &mut Connection, keep: i64) -> Result<Compaction> {
    connection.transaction(|inner| {
        let newest = newest(inner)?;
        let before = horizon(inner)?;
        let horizon = newest.saturating_sub(keep.max(0)).max(before);
        let mut pruned = inner.execute(PRUNE_CHANGES, vec![horizon.into(), newest.into()])?;
        pruned += inner.execute(PRUNE_SIDE_RECORDS, vec![horizon.into()])?;
        inner.execute(SET_HORIZON, vec![horizon.into()])?;
        Ok(Compaction { horizon, pruned })
    })
}
