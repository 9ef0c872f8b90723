//! The reading half of the SQL: values, pages and stretches of the change log.

use libsql::Value;
use tacit_kernels::facts::Id;
use xxhash_rust::xxh3::Xxh3;

use crate::change::{Change, Changes, LogPosition, Op};
use crate::durable::quarantine::Quarantine;
use crate::durable::queries::{Connection, Row, blob, text};
use crate::episode_record::EpisodeRecord;
use crate::error::{Result, StorageError};
use crate::pattern::without_detail;
use crate::record::{self, RecordKind};
use crate::scan::{Filters, ScanPage};
use crate::side_record::SideRecord;

const POSITION: &str = "SELECT sequence, id FROM change ORDER BY sequence DESC LIMIT 1";
const NEWEST: &str = "SELECT coalesce(max(sequence), 0) FROM change";
const HORIZON: &str = "SELECT horizon FROM meta";
const LATEST_CHANGES: &str =
    "SELECT sequence, op, id FROM change WHERE sequence <= ? ORDER BY sequence DESC LIMIT ?";
const LATEST_PUTS: &str =
    "SELECT sequence, op, id FROM change WHERE sequence <= ? AND op = 0 ORDER BY sequence DESC LIMIT ?";
const IS_LOGGED: &str = "SELECT count(*) FROM change WHERE sequence = ? AND id = ?";
const REMOVALS: &str = "SELECT id FROM change WHERE sequence > ? AND sequence <= ? AND op IN (1, 3)";
const EPISODE: &str = "SELECT id, record FROM episode WHERE id = ?";
const VERSIONED_EPISODE: &str = "SELECT id, record, sequence FROM episode WHERE id = ?";
const PATTERN: &str = "SELECT id, record FROM pattern WHERE id = ? LIMIT 1";
const PATTERN_OF_NAMESPACE: &str = "SELECT id, record FROM pattern \
    WHERE id = ? AND namespace = (SELECT number FROM namespace WHERE name = ?)";
const SIDE_RECORD: &str = "SELECT id, record, sequence FROM note WHERE kind = ? AND id = ? AND is_there = 1";
const EPISODE_VERSION: &str = "SELECT sequence FROM episode WHERE id = ?";
const SIDE_RECORD_VERSION: &str = "SELECT sequence FROM note WHERE kind = ? AND id = ? AND is_there = 1";
const CHANGES: &str = "SELECT change.sequence, change.op, coalesce(episode.id, note.id, change.id), \
    coalesce(episode.record, note.record), note.kind FROM change \
    LEFT JOIN episode ON episode.sequence = change.sequence AND change.op = 0 \
    LEFT JOIN note ON note.sequence = change.sequence AND change.op = 2 \
    WHERE change.sequence > ? AND (change.op = 1 OR episode.sequence IS NOT NULL OR note.sequence IS NOT NULL) \
    ORDER BY change.sequence LIMIT ?";
const PENDING: &str = "SELECT id FROM episode WHERE state = 2 ORDER BY id LIMIT ?";

/// Returns the number of the newest change, as this connection sees it.
pub(crate) fn newest(connection: &mut Connection) -> Result<i64> {
    connection.number(NEWEST, vec![])
}

/// Returns the number of the change up to which the log was pruned.
pub(crate) fn horizon(connection: &mut Connection) -> Result<i64> {
    connection.number(HORIZON, vec![])
}

/// Returns the newest position of the store's history.
pub(crate) fn position(connection: &mut Connection) -> Result<LogPosition> {
    let read = |row: &Row| Ok(LogPosition { sequence: row.integer(0)?, id: row.id(1)? });
    Ok(connection.row(POSITION, vec![], read)?.unwrap_or_default())
}

/// Returns true if the store's history contains `position`.
pub(crate) fn is_logged(connection: &mut Connection, position: LogPosition) -> Result<bool> {
    let logged = vec![position.sequence.into(), blob(&position.id)];
    Ok(position == LogPosition::default() || connection.number(IS_LOGGED, logged)? == 1)
}

/// The newest entries of the log that stand for its history.
const HISTORY: usize = 64;

/// Returns a hash that stands for the changes up to `sequence`; `None` if the store has no such change.
///
/// Stores that were copies of each other and went different ways since have different hashes: among the newest entries
/// is one of an episode that only one of them has, because ids are never used twice.
pub(crate) fn history(connection: &mut Connection, sequence: i64) -> Result<Option<u64>> {
    if sequence > newest(connection)? {
        return Ok(None);
    }
    let mut hasher = Xxh3::new();
    for sql in [LATEST_CHANGES, LATEST_PUTS] {
        let entry = |row: &Row| Ok((row.integer(0)?, row.integer(1)?, row.id(2)?));
        for (number, op, id) in connection.rows(sql, vec![sequence.into(), count_value(HISTORY)], entry)? {
            hasher.update(&number.to_le_bytes());
            hasher.update(&op.to_le_bytes());
            hasher.update(&id);
        }
    }
    Ok(Some(hasher.digest()))
}

/// Returns the ids that were removed after the change numbered `since`, and the newest position. `None` means that
/// removals since then were pruned.
pub(crate) fn removals(connection: &mut Connection, since: i64) -> Result<(Option<Vec<Id>>, LogPosition)> {
    let newest = position(connection)?;
    if since < horizon(connection)? {
        return Ok((None, newest));
    }
    let stretch = vec![since.into(), newest.sequence.into()];
    Ok((Some(connection.rows(REMOVALS, stretch, |row| row.id(0))?), newest))
}

/// Returns the ids of the episodes that wait to be learned from, oldest first.
pub(crate) fn pending(connection: &mut Connection, limit: usize) -> Result<Vec<Id>> {
    connection.rows(PENDING, vec![count_value(limit)], |row| row.id(0))
}

/// Returns the value of one row; `None` means that it is absent or damaged.
///
/// A pattern without a namespace comes without its detail.
pub(crate) fn get(
    connection: &mut Connection,
    quarantine: &Quarantine,
    kind: RecordKind,
    id: &Id,
    namespace: Option<&str>,
) -> Result<Option<Vec<u8>>> {
    let (sql, values) = match (kind, namespace) {
        (RecordKind::Episode | RecordKind::Embedding, _) => (EPISODE, vec![blob(id)]),
        (RecordKind::Pattern, None) => (PATTERN, vec![blob(id)]),
        (RecordKind::Pattern, Some(name)) => (PATTERN_OF_NAMESPACE, vec![blob(id), text(name)]),
        (side, _) => (SIDE_RECORD, vec![(side as i64).into(), blob(id)]),
    };
    let has_detail = namespace.is_some();
    let read = connection.row(sql, values, |row| stored_value(kind, id, &row.blob(1)?, has_detail));
    let found = quarantine.sift(kind, *id, read)?.flatten();
    Ok(found.filter(|value| kind != RecordKind::Embedding || !value.is_empty()))
}

/// Returns the version of an episode or a side record, without decoding it; `None` means that it is absent.
pub(crate) fn version(connection: &mut Connection, kind: RecordKind, id: &Id) -> Result<Option<i64>> {
    let (sql, values) = if is_versioned_episode(kind)? {
        (EPISODE_VERSION, vec![blob(id)])
    } else {
        (SIDE_RECORD_VERSION, vec![(kind as i64).into(), blob(id)])
    };
    connection.row(sql, values, |row| row.integer(0))
}

/// Returns the version and the value of an episode or a side record, read together.
pub(crate) fn versioned(
    connection: &mut Connection,
    kind: RecordKind,
    id: &Id,
) -> Result<Option<(i64, Vec<u8>)>> {
    let (sql, values) = if is_versioned_episode(kind)? {
        (VERSIONED_EPISODE, vec![blob(id)])
    } else {
        (SIDE_RECORD, vec![(kind as i64).into(), blob(id)])
    };
    connection.row(sql, values, |row| Ok((row.integer(2)?, stored_value(kind, id, &row.blob(1)?, true)?)))
}

fn is_versioned_episode(kind: RecordKind) -> Result<bool> {
    if kind == RecordKind::Episode || kind.is_side_record() {
        return Ok(kind == RecordKind::Episode);
    }
    Err(StorageError::invalid("kind", "episode or a kind of side record", kind.name()))
}

/// Returns the part of a stored record that `kind` stands for.
pub fn stored_value(kind: RecordKind, id: &Id, stored: &[u8], has_detail: bool) -> Result<Vec<u8>> {
    let value = match kind {
        RecordKind::Episode => EpisodeRecord::decode(id, stored)?.payload,
        RecordKind::Embedding => EpisodeRecord::decode(id, stored)?.embedding,
        RecordKind::Pattern if has_detail => record::open(kind, id, stored)?,
        RecordKind::Pattern => return record::open(kind, id, stored).map(without_detail),
        side => SideRecord::decode(side, id, stored)?.record.unwrap_or_default(),
    };
    Ok(value.to_vec())
}

/// Returns one page of rows with their ids. Damaged rows are left out and do not shorten the page.
pub(crate) fn scan(
    connection: &mut Connection,
    quarantine: &Quarantine,
    kind: RecordKind,
    page: &ScanPage<'_>,
) -> Result<Vec<(Id, Vec<u8>)>> {
    page.filters.check(kind)?;
    let has_detail = page.filters.namespace.is_some();
    let (mut found, mut rest) = (Vec::new(), *page);
    loop {
        rest.limit = page.limit - found.len();
        let (sql, values) = scan_statement(kind, &rest);
        let (mut seen, mut last) = (0, rest.after);
        let rows = connection.rows(&sql, values, |row| {
            seen += 1;
            let id = row.id(0).unwrap_or_default();
            last = Some(id);
            let value = row.blob(1).and_then(|stored| stored_value(kind, &id, &stored, has_detail));
            quarantine.sift(kind, id, value.map(|value| (id, value)))
        })?;
        found.extend(rows.into_iter().flatten());
        if seen < rest.limit || found.len() == page.limit || last == rest.after {
            return Ok(found);
        }
        rest.after = last;
    }
}

/// Returns the statement that reads `page`, and its parameters.
fn scan_statement(kind: RecordKind, page: &ScanPage<'_>) -> (String, Vec<Value>) {
    let (table, mut conditions, mut values) = match kind {
        RecordKind::Episode => ("episode", vec![], vec![]),
        RecordKind::Embedding => ("episode", vec!["embedder IS NOT NULL"], vec![]),
        RecordKind::Pattern if page.filters.namespace.is_none() => {
            // A pattern is one row a namespace: one of them stands for all.
            let first =
                "namespace = (SELECT min(other.namespace) FROM pattern other WHERE other.id = pattern.id)";
            ("pattern", vec![first], vec![])
        }
        RecordKind::Pattern => ("pattern", vec![], vec![]),
        side => ("note", vec!["kind = ?", "is_there = 1"], vec![(side as i64).into()]),
    };
    add_filters(&page.filters, &mut conditions, &mut values);
    let (order, beyond) = if page.newest_first { ("DESC", "id < ?") } else { ("ASC", "id > ?") };
    if let Some(after) = page.after {
        conditions.push(beyond);
        values.push(blob(&after));
    }
    conditions.push("TRUE");
    values.push(count_value(page.limit));
    let conditions = conditions.join(" AND ");
    (format!("SELECT id, record FROM {table} WHERE {conditions} ORDER BY id {order} LIMIT ?"), values)
}

fn add_filters(filters: &Filters<'_>, conditions: &mut Vec<&str>, values: &mut Vec<Value>) {
    let given = [
        ("namespace = (SELECT number FROM namespace WHERE name = ?)", filters.namespace.map(text)),
        ("domain = ?", filters.domain.map(text)),
        ("task_key = ?", filters.task_key.map(text)),
        ("agent = ?", filters.agent.map(text)),
        ("external_id = ?", filters.external_id.map(text)),
        ("state = ?", filters.state.map(|state| Value::Integer(state as i64))),
        ("subject = ?", filters.subject.map(|id| blob(&id))),
    ];
    for (condition, value) in given {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    }
}

/// Returns the changes after `since`. Damaged rows are left out and do not end the stretch.
///
/// A `since` between 0 and the horizon is refused, because removals after it were pruned. A reader that began at 0
/// under this horizon (`began`) is allowed to read on: its rows were all read after the pruning.
pub(crate) fn changes(
    connection: &mut Connection,
    quarantine: &Quarantine,
    since: i64,
    limit: usize,
    began: Option<i64>,
) -> Result<Changes> {
    let horizon = horizon(connection)?;
    let since = since.max(0);
    if since > 0 && since < horizon && began != Some(horizon) {
        return Err(StorageError::resync(since, horizon));
    }
    let (mut rows, mut last) = (Vec::new(), since);
    loop {
        let (wanted, mut seen) = (limit - rows.len(), 0);
        let read = connection.rows(CHANGES, vec![last.into(), count_value(wanted)], |row| {
            seen += 1;
            last = row.integer(0)?;
            match change(row) {
                Err(error) if error.is_corrupt() => {
                    quarantine.sift(kind_of_change(row), row.id(2).unwrap_or_default(), Err(error))
                }
                read => read.map(Some),
            }
        })?;
        rows.extend(read.into_iter().flatten());
        if seen < wanted {
            last = newest(connection)?.max(since);
            break;
        }
        if rows.len() >= limit {
            break;
        }
    }
    Ok(Changes { rows, last, horizon })
}

fn kind_of_change(row: &Row) -> RecordKind {
    row.integer(4).and_then(RecordKind::from_number).unwrap_or(RecordKind::Episode)
}

fn change(row: &Row) -> Result<Change> {
    let (sequence, id) = (row.integer(0)?, row.id(2)?);
    match Op::from_number(row.integer(1)?)? {
        Op::Put => Change::put(sequence, id, row.blob(3)?),
        Op::SideRecord => {
            Change::side_record_of(sequence, RecordKind::from_number(row.integer(4)?)?, id, row.blob(3)?)
        }
        Op::Remove | Op::DropPattern => Ok(Change::remove(sequence, id)),
    }
}

fn count_value(count: usize) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::testing_script;
    use crate::example::{commit, commit_each, open, put, removal, side_record};
    use crate::{Batch, ErrorKind, StatValue, Store};

    fn all() -> ScanPage<'static> {
        ScanPage { after: None, limit: 2, newest_first: false, filters: Filters::default() }
    }

    fn store_with_damage(folder: &std::path::Path) -> Store {
        let store = open(folder);
        for number in 0..6 {
            let mut batch = put(number);
            batch.side_record(&side_record(number, Some(b"record"))).unwrap();
            commit(&store, batch).unwrap();
        }
        let path = folder.join("store.db");
        testing_script(&path, "UPDATE episode SET record = zeroblob(90) WHERE sequence IN (3, 5, 7)");
        testing_script(&path, "UPDATE note SET record = zeroblob(30) WHERE sequence IN (2, 4)");
        testing_script(&path, "UPDATE pattern SET record = zeroblob(20) WHERE number = 1");
        store
    }

    fn ids(numbers: &[u64]) -> Vec<Id> {
        numbers.iter().map(|number| crate::example::id(*number)).collect()
    }

    #[test]
    fn every_reader_leaves_damaged_rows_out_and_continues() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with_damage(folder.path());
        let mut page = all();
        let first: Vec<Id> =
            store.scan(RecordKind::Episode, &page).unwrap().into_iter().map(|row| row.0).collect();
        assert_eq!(first, ids(&[0, 4]));
        page.after = first.last().copied();
        assert_eq!(store.scan(RecordKind::Episode, &page).unwrap()[0].0, ids(&[5])[0]);
        let heuristics = store.scan(RecordKind::Heuristic, &all()).unwrap();
        assert_eq!(heuristics.into_iter().map(|row| row.0).collect::<Vec<_>>(), ids(&[2, 3]));
        assert_eq!(store.scan(RecordKind::Pattern, &all()).unwrap().len(), 2);
        let mut sequences = Vec::new();
        let mut last = 0;
        loop {
            let changes = store.changes(last, 2, None).unwrap();
            if changes.rows.is_empty() {
                break;
            }
            sequences.extend(changes.rows.iter().map(|change| change.sequence));
            last = changes.last;
        }
        assert_eq!(sequences, [1, 6, 8, 9, 10, 11, 12]);
        let found = store.get_many(RecordKind::Episode, &ids(&[0, 1, 4]), None).unwrap();
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
        let error = store.get(RecordKind::Episode, ids(&[1])[0], None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt);
        assert_eq!(store.damaged_count().unwrap(), 6);
    }

    #[test]
    fn damaged_rows_are_listed_removed_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with_damage(folder.path());
        assert_eq!(store.damaged_count().unwrap(), 0);
        let kinds: Vec<RecordKind> = store.damaged().unwrap().iter().map(|row| row.kind).collect();
        let (episode, pattern) = (RecordKind::Episode, RecordKind::Pattern);
        let heuristic = RecordKind::Heuristic;
        assert_eq!(kinds, [episode, episode, episode, pattern, heuristic, heuristic]);
        assert_eq!(store.damaged_count().unwrap(), 6);
        commit(&store, removal(1)).unwrap();
        assert_eq!(store.damaged_count().unwrap(), 4);
        let other = open(folder.path());
        assert_eq!(other.remove_damaged().unwrap().len(), 5);
        assert_eq!((other.damaged().unwrap(), other.remove_damaged().unwrap()), (vec![], vec![]));
        let since = 13;
        let gone = store.changes(since, 9, None).unwrap();
        let ops: Vec<Op> = gone.rows.iter().map(|change| change.op).collect();
        assert_eq!(ops, [Op::Remove, Op::Remove, Op::SideRecord, Op::SideRecord]);
        assert_eq!(gone.rows[2].side_record().unwrap(), side_record(0, None));
        assert_eq!(store.scan(RecordKind::Episode, &all()).unwrap().len(), 2);
        commit(&store, put(9)).unwrap();
        assert!(store.get(RecordKind::Pattern, ids(&[0])[0], Some("default")).unwrap().is_some());
    }

    #[test]
    fn a_reader_before_the_horizon_has_to_begin_again() {
        let folder = tempfile::tempdir().unwrap();
        let (store, other) = (open(folder.path()), open(folder.path()));
        for number in 0..8 {
            commit(&store, put(number)).unwrap();
        }
        commit_each(&store, 0..4, removal);
        let newest = store.sequence().unwrap();
        let first = other.changes(0, 2, None).unwrap();
        let done = store.compact(1).unwrap();
        assert_eq!((done.horizon, store.sequence().unwrap()), (newest - 1, newest));
        assert!(done.pruned >= 7, "{done:?}");
        for began in [None, Some(first.horizon)] {
            let error = other.changes(first.last, 9, began).unwrap_err();
            assert_eq!(error.kind, ErrorKind::ResyncRequired { since: first.last, horizon: newest - 1 });
        }
        assert!(other.changes(newest - 2, 9, None).is_err());
        let mut read = other.changes(0, 3, None).unwrap();
        let rest = other.changes(read.last, 9, Some(read.horizon)).unwrap();
        read.rows.extend(rest.rows);
        let puts = read.rows.iter().filter(|change| change.op == Op::Put).map(|change| change.id);
        assert_eq!(puts.collect::<Vec<_>>(), ids(&[4, 5, 6, 7]));
        assert_eq!(other.changes(newest - 1, 9, None).unwrap().last, newest);
    }

    /// A cache that has not followed the pruned removals drops everything instead.
    #[test]
    fn a_cache_older_than_the_horizon_serves_no_removed_value() {
        let folder = tempfile::tempdir().unwrap();
        let (store, other) = (open(folder.path()), open(folder.path()));
        commit(&store, put(1)).unwrap();
        assert!(store.get(RecordKind::Episode, ids(&[1])[0], None).unwrap().is_some());
        commit(&other, removal(1)).unwrap();
        commit(&other, put(2)).unwrap();
        other.compact(0).unwrap();
        store.sequence().unwrap();
        assert_eq!(store.get(RecordKind::Episode, ids(&[1])[0], None).unwrap(), None);
    }

    #[test]
    fn the_newest_number_is_not_used_again_after_pruning() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        commit(&store, removal(1)).unwrap();
        store.compact(0).unwrap();
        let horizon = store.stats().unwrap().into_iter().find(|(name, _)| *name == "horizon").unwrap().1;
        assert_eq!(horizon, StatValue::Int(store.sequence().unwrap()));
        let before = store.sequence().unwrap();
        assert_eq!(commit(&store, Batch::default()).unwrap().sequence, before);
        assert_eq!(commit(&store, put(2)).unwrap().sequence, before + 1);
    }
}
