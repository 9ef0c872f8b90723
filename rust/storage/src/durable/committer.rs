//! The writing half of the SQL: one transaction a group of batches, and no batch harms another.

use std::sync::Arc;
use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};
use tacit_kernels::facts::{Id, decode_facts};

use crate::batch::{Batch, FramedEpisode, FramedPattern, Receipt};
use crate::change::Op;
use crate::durable::fact_counts::{FactCounts, facts_of};
use crate::durable::queries::{Connection, Row, blob, optional_blob, optional_text, text};
use crate::durable::reads::{newest, version};
use crate::durable::schema;
use crate::durable::turns::Turns;
use crate::durable::watch::FileWatch;
use crate::episode_record::{EpisodeRecord, EpisodeState};
use crate::error::{ErrorKind, Result, StorageError};
use crate::pattern::pattern_key;
use crate::record::{RecordKind, hexadecimal};
use crate::side_record::FramedSideRecord;

const LOG: &str = "INSERT INTO change (sequence, op, id) VALUES (?, ?, ?)";
const PUT: &str = "INSERT INTO episode (sequence, id, namespace, external_id, digest, task_key, domain, agent, \
    complexity, state, started_at, ended_at, base, embedder, record) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
const DIGEST_OF_ID: &str = "SELECT digest FROM episode WHERE id = ?";
const DIGEST_OF_EXTERNAL: &str = "SELECT digest FROM episode WHERE external_id = ? \
    AND namespace = (SELECT number FROM namespace WHERE name = ?)";
const STORED: &str = "SELECT sequence, record, namespace FROM episode WHERE id = ?";
const STATE: &str = "SELECT state FROM episode WHERE id = ?";
const DELETE: &str = "DELETE FROM episode WHERE sequence = ?";
const SET_STATE: &str = "UPDATE episode SET sequence = ?, state = ?, record = ? WHERE id = ?";
const PATTERN: &str = "INSERT INTO pattern (namespace, id, kind, record) VALUES (?, ?, ?, ?) \
    ON CONFLICT DO NOTHING";
const DELETE_PATTERN: &str = "DELETE FROM pattern WHERE id = ? AND namespace = ?";
const STORED_SIDE_RECORD: &str = "SELECT namespace, is_there, record FROM note WHERE kind = ? AND id = ?";
const SIDE_RECORD: &str = "INSERT OR REPLACE INTO note \
    (sequence, kind, id, namespace, is_there, record, subject) VALUES (?, ?, ?, ?, ?, ?, ?)";
const NAMESPACE: &str = "INSERT INTO namespace (name) VALUES (?) ON CONFLICT DO NOTHING";
const NUMBER_OF_NAMESPACE: &str = "SELECT number FROM namespace WHERE name = ?";
const NAME_OF_NAMESPACE: &str = "SELECT CAST(name AS BLOB) FROM namespace WHERE number = ?";
const OTHERS_REMOVED: &str = "SELECT EXISTS (SELECT 1 FROM change WHERE sequence > ? AND op IN (1, 3)) \
    OR (SELECT horizon FROM meta) > ?";

/// The number of stored patterns that the committer remembers and does not offer to the store again.
const REMEMBERED_PATTERNS: usize = 1 << 16;

/// The writing connection, and what the committer knows of the store.
pub(crate) struct Committer {
    connection: Connection,
    known: KnownRows,
    watch: Arc<FileWatch>,
    turns: Turns,
    /// Makes room on a full disk; returns false if there was nothing to give up.
    make_room: MakeRoom,
}

pub(crate) type MakeRoom = Box<dyn Fn() -> bool + Send>;

/// Rows that are known to be stored. A transaction that is rolled back clears them.
#[derive(Default)]
struct KnownRows {
    /// The newest change at the end of the last transaction.
    newest: i64,
    /// The newest change that the last transaction found at its beginning.
    found: i64,
    /// True once this session has written the first page, whose counter tells its file from an older copy.
    is_marked: bool,
    namespaces: FxHashMap<String, i64>,
    patterns: FxHashSet<(i64, Id)>,
    /// `None` until an episode is removed.
    fact_counts: Option<FactCounts>,
}

impl Committer {
    pub(crate) fn new(connection: Connection, watch: Arc<FileWatch>, make_room: MakeRoom) -> Self {
        Self { connection, known: KnownRows::default(), watch, turns: Turns::new(Instant::now()), make_room }
    }

    /// Commits `batches` in one transaction; returns an outcome for each, in their order.
    ///
    /// A batch that fails leaves nothing, and does not fail the others.
    pub(crate) fn commit_group(&mut self, batches: &[&Batch]) -> Vec<Result<Receipt>> {
        self.turns.pause(Instant::now()).into_iter().for_each(std::thread::sleep);
        let known = self.known.newest;
        let mut outcome = self.commit_together(batches);
        if outcome.as_ref().is_err_and(StorageError::is_full) && (self.make_room)() {
            outcome = self.commit_together(batches);
        }
        self.turns.ended(Instant::now(), known > 0 && self.known.found > known);
        match outcome {
            Ok(outcomes) => outcomes,
            Err(error) if batches.len() > 1 && is_of_one_batch(&error) => {
                batches.iter().map(|batch| self.commit_one(batch)).collect()
            }
            Err(error) => batches.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn commit_one(&mut self, batch: &Batch) -> Result<Receipt> {
        self.commit_together(&[batch])?.remove(0)
    }

    fn commit_together(&mut self, batches: &[&Batch]) -> Result<Vec<Result<Receipt>>> {
        let Self { connection, known, watch, .. } = self;
        let outcome = connection.transaction(|inner| {
            watch.check_for_writing(inner)?;
            schema::check_version(inner)?;
            if !std::mem::replace(&mut known.is_marked, true) {
                schema::write_first_page(inner)?;
            }
            let mut log = ChangeLog { newest: newest(inner)? };
            known.follow(inner, log.newest)?;
            known.found = log.newest;
            let outcomes = batches.iter().map(|batch| commit_guarded(inner, known, &mut log, batch));
            let outcomes = outcomes.collect::<Result<Vec<_>>>()?;
            known.newest = log.newest;
            Ok(outcomes)
        });
        if outcome.is_err() {
            self.known = KnownRows::default();
            self.watch.settle(&mut self.connection);
        }
        outcome
    }

    /// Leaves the transaction that a panic left open.
    pub(crate) fn recover(&mut self) {
        self.connection.roll_back();
        self.known = KnownRows::default();
    }
}

impl Drop for Committer {
    /// SQLite carries the log into the file when it closes the last connection: not into another one.
    fn drop(&mut self) {
        let _ = self.watch.check_for_writing(&mut self.connection);
        self.watch.settle(&mut self.connection);
    }
}

/// Returns true if another batch of the same group might succeed.
fn is_of_one_batch(error: &StorageError) -> bool {
    !matches!(
        error.kind,
        ErrorKind::Unavailable { .. }
            | ErrorKind::CommitUnknown
            | ErrorKind::FileChanged
            | ErrorKind::ReadOnly
            | ErrorKind::Schema
    )
}

/// The change log inside a transaction.
struct ChangeLog {
    newest: i64,
}

impl ChangeLog {
    /// Appends an entry and returns its number.
    fn append(&mut self, connection: &mut Connection, op: Op, id: &Id) -> Result<i64> {
        let sequence = self.newest + 1;
        connection.execute(LOG, vec![sequence.into(), (op as i64).into(), blob(id)])?;
        self.newest = sequence;
        Ok(sequence)
    }
}

/// Returns one batch's outcome. An outer error ends the transaction, an inner one is the batch's own.
fn commit_guarded(
    connection: &mut Connection,
    known: &mut KnownRows,
    log: &mut ChangeLog,
    batch: &Batch,
) -> Result<Result<Receipt>> {
    if batch.operations() <= 1 {
        return split(commit_batch(connection, known, log, batch));
    }
    let before = log.newest;
    connection.execute("SAVEPOINT batch", vec![])?;
    let outcome = split(commit_batch(connection, known, log, batch))?;
    if outcome.is_err() {
        connection.execute("ROLLBACK TO batch", vec![])?;
        *known = KnownRows { newest: before, ..KnownRows::default() };
        log.newest = before;
    }
    connection.execute("RELEASE batch", vec![])?;
    Ok(outcome)
}

/// Separates conflicts, which are the batch's own, from errors that concern the transaction.
fn split<T>(outcome: Result<T>) -> Result<Result<T>> {
    match outcome {
        Err(error)
            if !matches!(error.kind, ErrorKind::Conflict { .. } | ErrorKind::VersionConflict { .. }) =>
        {
            Err(error)
        }
        own => Ok(own),
    }
}

fn commit_batch(
    connection: &mut Connection,
    known: &mut KnownRows,
    log: &mut ChangeLog,
    batch: &Batch,
) -> Result<Receipt> {
    if batch.needs_comparison() {
        if is_stored_already(connection, batch)? {
            return Ok(Receipt { sequence: log.newest, committed: 0, unchanged: batch.operations() });
        }
        check_expectations(connection, batch)?;
    }
    let mut committed = 0;
    let mut unnamed = Vec::new();
    for id in &batch.removed {
        committed += usize::from(remove(connection, known, log, id, &mut unnamed)?);
    }
    for (id, state) in &batch.states {
        committed += usize::from(set_state(connection, log, id, *state)?);
    }
    for each in &batch.puts {
        committed += usize::from(put(connection, known, log, each)?);
    }
    for each in &batch.side_records {
        committed += usize::from(write(connection, known, log, each)?);
    }
    drop_unnamed(connection, known, log, unnamed)?;
    Ok(Receipt { sequence: log.newest, committed, unchanged: batch.operations() - committed })
}

/// Fails with the first precondition that does not hold.
fn check_expectations(connection: &mut Connection, batch: &Batch) -> Result<()> {
    for each in &batch.expected {
        let found = version(connection, each.kind, &each.id)?;
        if found != each.version {
            return Err(each.conflict(found));
        }
    }
    Ok(())
}

/// Returns true if the store is already as the batch would leave it.
fn is_stored_already(connection: &mut Connection, batch: &Batch) -> Result<bool> {
    for id in &batch.removed {
        let is_put = batch.puts.iter().any(|put| put.id == *id);
        if !is_put && version(connection, RecordKind::Episode, id)?.is_some() {
            return Ok(false);
        }
    }
    for (id, state) in &batch.states {
        let stored = connection.row(STATE, vec![blob(id)], |row| row.integer(0))?;
        if stored != Some(*state as i64) {
            return Ok(false);
        }
    }
    for put in &batch.puts {
        if !is_put_stored(connection, put, batch.removed.contains(&put.id))? {
            return Ok(false);
        }
    }
    for each in &batch.side_records {
        if side_record_fate(connection, each)? != SideRecordFate::Unchanged {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A replacement is stored if the bytes are the same; any other episode if its digest is.
fn is_put_stored(connection: &mut Connection, put: &FramedEpisode, is_replacement: bool) -> Result<bool> {
    if is_replacement {
        let stored = connection.row(STORED, vec![blob(&put.id)], |row| row.blob(1))?;
        return Ok(stored.is_some_and(|record| record == put.record));
    }
    let episode = put.episode();
    let stored = stored_digest(connection, &episode)?;
    Ok(stored.is_some_and(|digest| digest == episode.digest))
}

/// Removes an episode and adds its patterns to `unnamed` for a look; false if no episode has this id.
///
/// The row goes without being decoded, so that a damaged one can be removed.
fn remove(
    connection: &mut Connection,
    known: &mut KnownRows,
    log: &mut ChangeLog,
    id: &Id,
    unnamed: &mut Vec<(i64, Id)>,
) -> Result<bool> {
    let read = |row: &Row| Ok((row.integer(0)?, row.blob(1)?, row.integer(2)?));
    let Some((sequence, record, namespace)) = connection.row(STORED, vec![blob(id)], read)? else {
        return Ok(false);
    };
    let facts = facts_of(id, &record);
    known.fact_counts(connection)?.subtract(namespace, &facts);
    unnamed.extend(facts.iter().map(|fact| (namespace, fact.pattern)));
    log.append(connection, Op::Remove, id)?;
    connection.execute(DELETE, vec![sequence.into()])?;
    Ok(true)
}

/// Moves an episode to another state under a new version; false if it is in that state.
///
/// The change is logged as a removal and a put, so that followers replace the episode.
fn set_state(connection: &mut Connection, log: &mut ChangeLog, id: &Id, state: EpisodeState) -> Result<bool> {
    let stored = connection.row(STORED, vec![blob(id)], |row| row.blob(1))?;
    let Some(record) = stored else {
        let name = hexadecimal(id);
        return Err(StorageError::version_conflict("episode", &name, Some(0), None));
    };
    let episode = EpisodeRecord::decode(id, &record)?;
    if episode.state == state {
        return Ok(false);
    }
    let record = episode.with_state(state).encode();
    log.append(connection, Op::Remove, id)?;
    let sequence = log.append(connection, Op::Put, id)?;
    let values = vec![sequence.into(), (state as i64).into(), blob(&record), blob(id)];
    connection.execute(SET_STATE, values)?;
    Ok(true)
}

/// Stores an episode; false if the same content is stored already.
fn put(
    connection: &mut Connection,
    known: &mut KnownRows,
    log: &mut ChangeLog,
    put: &FramedEpisode,
) -> Result<bool> {
    let episode = put.episode();
    let namespace = known.namespace(connection, episode.namespace)?;
    let columns = columns(log.newest + 1, namespace, &episode, &put.record);
    if connection.execute(PUT, columns)? == 0 {
        return require_same_content(connection, &episode).map(|()| false);
    }
    if let Some(counts) = &mut known.fact_counts {
        counts.add(namespace, &decode_facts(episode.facts).unwrap_or_default());
    }
    for pattern in &put.patterns {
        known.pattern(connection, namespace, pattern)?;
    }
    log.append(connection, Op::Put, &put.id)?;
    Ok(true)
}

/// Removes the patterns that no fact of their namespace names any more.
fn drop_unnamed(
    connection: &mut Connection,
    known: &mut KnownRows,
    log: &mut ChangeLog,
    mut candidates: Vec<(i64, Id)>,
) -> Result<()> {
    candidates.sort_unstable();
    candidates.dedup();
    for (namespace, pattern) in candidates {
        if !known.fact_counts(connection)?.take_unnamed(namespace, &pattern) {
            continue;
        }
        known.patterns.remove(&(namespace, pattern));
        if connection.execute(DELETE_PATTERN, vec![blob(&pattern), namespace.into()])? > 0 {
            let name = connection.row(NAME_OF_NAMESPACE, vec![namespace.into()], |row| row.text(0))?;
            let key = pattern_key(&name.unwrap_or_default(), &pattern);
            log.append(connection, Op::DropPattern, &key)?;
        }
    }
    Ok(())
}

/// The effect that a side record would have on the store.
#[derive(PartialEq, Eq)]
enum SideRecordFate {
    Unchanged,
    Written,
    /// The same kind and id stand for a side record of another namespace.
    Conflict,
}

fn side_record_fate(connection: &mut Connection, given: &FramedSideRecord) -> Result<SideRecordFate> {
    let home = connection.row(NUMBER_OF_NAMESPACE, vec![text(&given.namespace)], |row| row.integer(0))?;
    let key = vec![(given.kind as i64).into(), blob(&given.id)];
    let read = |row: &Row| Ok((row.integer(0)?, row.integer(1)? == 1, row.blob(2)?));
    let stored = connection.row(STORED_SIDE_RECORD, key, read)?.filter(|(_, is_there, _)| *is_there);
    Ok(match stored {
        Some((namespace, _, _)) if Some(namespace) != home && given.is_there => SideRecordFate::Conflict,
        Some((namespace, _, framed)) if Some(namespace) != home || framed == given.framed => {
            SideRecordFate::Unchanged
        }
        None if !given.is_there => SideRecordFate::Unchanged,
        _ => SideRecordFate::Written,
    })
}

/// Writes or deletes a side record; false if it is stored so already.
fn write(
    connection: &mut Connection,
    known: &mut KnownRows,
    log: &mut ChangeLog,
    given: &FramedSideRecord,
) -> Result<bool> {
    match side_record_fate(connection, given)? {
        SideRecordFate::Unchanged => return Ok(false),
        SideRecordFate::Conflict => {
            return Err(StorageError::conflict(&hexadecimal(&given.id), &given.namespace));
        }
        SideRecordFate::Written => (),
    }
    let namespace = known.namespace(connection, &given.namespace)?;
    let sequence = log.append(connection, Op::SideRecord, &given.id)?;
    let subject = given.subject.filter(|_| given.is_there);
    let values = vec![
        sequence.into(),
        (given.kind as i64).into(),
        blob(&given.id),
        namespace.into(),
        i64::from(given.is_there).into(),
        blob(&given.framed),
        optional_blob(subject.as_ref()),
    ];
    connection.execute(SIDE_RECORD, values)?;
    Ok(true)
}

fn columns(sequence: i64, namespace: i64, episode: &EpisodeRecord<'_>, record: &[u8]) -> Vec<libsql::Value> {
    vec![
        sequence.into(),
        blob(&episode.id),
        namespace.into(),
        optional_text(episode.external_id),
        blob(&episode.digest),
        optional_text(episode.task_key),
        text(episode.domain),
        optional_text(episode.agent),
        (episode.complexity as i64).into(),
        (episode.state as i64).into(),
        episode.started_at.into(),
        episode.ended_at.into(),
        episode.base.map_or(libsql::Value::Null, libsql::Value::Real),
        optional_text(episode.embedder),
        blob(record),
    ]
}

/// Returns the digest of the episode with this id, else of the one with this external id.
fn stored_digest(connection: &mut Connection, episode: &EpisodeRecord<'_>) -> Result<Option<Vec<u8>>> {
    let by_id = connection.row(DIGEST_OF_ID, vec![blob(&episode.id)], |row| row.blob(0))?;
    if by_id.is_some() || episode.external_id.is_none() {
        return Ok(by_id);
    }
    let external = vec![optional_text(episode.external_id), text(episode.namespace)];
    connection.row(DIGEST_OF_EXTERNAL, external, |row| row.blob(0))
}

/// Succeeds if the stored episode that `episode` collides with has the same content; a conflict otherwise.
fn require_same_content(connection: &mut Connection, episode: &EpisodeRecord<'_>) -> Result<()> {
    if stored_digest(connection, episode)?.is_some_and(|digest| digest == episode.digest) {
        return Ok(());
    }
    let name = episode.external_id.map_or_else(|| hexadecimal(&episode.id), str::to_owned);
    Err(StorageError::conflict(&name, episode.namespace))
}

impl KnownRows {
    /// Clears what other processes may have changed since the last transaction.
    fn follow(&mut self, connection: &mut Connection, newest: i64) -> Result<()> {
        if self.newest == newest {
            return Ok(());
        }
        self.fact_counts = None;
        if connection.number(OTHERS_REMOVED, vec![self.newest.into(), self.newest.into()])? == 1 {
            self.patterns.clear();
        }
        Ok(())
    }

    /// Returns the fact counts; reads them if they are not known.
    fn fact_counts(&mut self, connection: &mut Connection) -> Result<&mut FactCounts> {
        if self.fact_counts.is_none() {
            self.fact_counts = Some(FactCounts::read(connection)?);
        }
        self.fact_counts.as_mut().ok_or_else(|| StorageError::internal("no fact counts"))
    }

    fn namespace(&mut self, connection: &mut Connection, name: &str) -> Result<i64> {
        if let Some(number) = self.namespaces.get(name) {
            return Ok(*number);
        }
        connection.execute(NAMESPACE, vec![text(name)])?;
        let number = connection.number(NUMBER_OF_NAMESPACE, vec![text(name)])?;
        self.namespaces.insert(name.to_owned(), number);
        Ok(number)
    }

    fn pattern(
        &mut self,
        connection: &mut Connection,
        namespace: i64,
        pattern: &FramedPattern,
    ) -> Result<()> {
        if self.patterns.contains(&(namespace, pattern.id)) {
            return Ok(());
        }
        let kind = i64::from(pattern.kind);
        let values = vec![namespace.into(), blob(&pattern.id), kind.into(), blob(&pattern.record)];
        connection.execute(PATTERN, values)?;
        if self.patterns.len() >= REMEMBERED_PATTERNS {
            self.patterns.clear();
        }
        self.patterns.insert((namespace, pattern.id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::testing_script;
    use crate::example::{close, commit, episode, id, open, put, removal, side_record, taught};
    use crate::{Expectation, Store};

    fn expecting(mut batch: Batch, kind: RecordKind, number: u64, version: Option<i64>) -> Batch {
        batch.expect(Expectation { kind, id: id(number), version }).unwrap();
        batch
    }

    fn with_side_record(mut batch: Batch, number: u64, record: &[u8]) -> Batch {
        batch.side_record(&side_record(number, Some(record))).unwrap();
        batch
    }

    fn version_of(store: &Store, number: u64) -> Option<i64> {
        store.version(RecordKind::Episode, id(number)).unwrap()
    }

    #[test]
    fn a_batch_whose_precondition_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, with_side_record(put(1), 7, b"first")).unwrap();
        let (episode, side) = (RecordKind::Episode, RecordKind::Heuristic);
        let wrong = [
            (episode, 1, None),
            (episode, 1, Some(2)),
            (episode, 9, Some(1)),
            (side, 7, None),
            (side, 7, Some(1)),
            (side, 9, Some(2)),
        ];
        for (kind, number, version) in wrong {
            let batch = expecting(with_side_record(put(2), 8, b"new"), kind, number, version);
            let error = commit(&store, batch).unwrap_err();
            let ErrorKind::VersionConflict { expected, found, .. } = error.kind else { panic!("{error}") };
            assert_eq!((expected, found), (version, store.version(kind, id(number)).unwrap()));
            assert!(error.retryable);
        }
        assert_eq!((store.sequence().unwrap(), version_of(&store, 2)), (2, None));
        let right = expecting(expecting(put(2), side, 7, Some(2)), episode, 1, Some(1));
        assert_eq!(commit(&store, right).unwrap().sequence, 3);
    }

    /// One of the writers that read the same version wins; the others get a conflict, however they are grouped.
    #[test]
    fn of_concurrent_writers_with_one_expectation_exactly_one_commits() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, with_side_record(Batch::default(), 7, b"free")).unwrap();
        let won = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for claim in 0..8u8 {
                let (store, won) = (&store, &won);
                scope.spawn(move || {
                    let batch = with_side_record(Batch::default(), 7, &[claim]);
                    let outcome = commit(store, expecting(batch, RecordKind::Heuristic, 7, Some(1)));
                    won.fetch_add(usize::from(outcome.is_ok()), std::sync::atomic::Ordering::Relaxed);
                });
            }
        });
        assert_eq!((won.into_inner(), store.sequence().unwrap()), (1, 2));
    }

    #[test]
    fn a_repeated_batch_is_unchanged_although_its_precondition_fails_by_then() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        let mut replacement = Batch::default();
        replacement.remove(id(1));
        replacement.put(&EpisodeRecord { digest: [9; 16], ..episode(1, b"new", &[]) }, &[]).unwrap();
        let replacement = expecting(replacement, RecordKind::Episode, 1, Some(1));
        assert_eq!(commit(&store, replacement.clone()).unwrap().committed, 2);
        let sequence = store.sequence().unwrap();
        let again = commit(&store, replacement).unwrap();
        assert_eq!((again.committed, again.unchanged, again.sequence), (0, 2, sequence));
    }

    #[test]
    fn a_change_of_state_gives_a_new_version_and_keeps_the_record() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        let moved = |state| {
            let mut batch = Batch::default();
            batch.set_state(id(1), state);
            commit(&store, batch).unwrap()
        };
        assert_eq!(moved(EpisodeState::Learned).unchanged, 1);
        assert_eq!((moved(EpisodeState::Pending).sequence, version_of(&store, 1)), (3, Some(3)));
        assert_eq!(store.pending(9).unwrap(), [id(1)]);
        let changes = store.changes(1, 9, None).unwrap();
        assert_eq!(changes.rows.len(), 2);
        assert_eq!(changes.rows[1].episode().unwrap().payload, 1u64.to_be_bytes());
        let mut absent = put(2);
        absent.set_state(id(9), EpisodeState::Open);
        let error = commit(&store, absent).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::VersionConflict { found: None, .. }));
        assert_eq!(version_of(&store, 2), None);
    }

    fn has_pattern(store: &Store, number: u64) -> bool {
        store.get(RecordKind::Pattern, id(number), Some("default")).unwrap().is_some()
    }

    /// Two handles stand for two processes: each remembers patterns that the other may have removed.
    #[test]
    fn a_pattern_that_another_process_dropped_is_stored_again_when_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (open(folder.path()), open(folder.path()));
        commit(&one, put(1)).unwrap();
        assert!(has_pattern(&one, 1) && has_pattern(&other, 1));
        commit(&other, removal(1)).unwrap();
        one.sequence().unwrap();
        assert!(!has_pattern(&one, 1));
        commit(&one, put(4)).unwrap();
        assert!(has_pattern(&one, 1));
        commit(&other, put(7)).unwrap();
        commit(&one, removal(4)).unwrap();
        assert!(has_pattern(&one, 1));
        // The counts that the last removal read do not know of this episode.
        commit(&other, put(10)).unwrap();
        commit(&one, removal(7)).unwrap();
        assert!(has_pattern(&one, 1));
        commit(&one, removal(10)).unwrap();
        assert!(!has_pattern(&one, 1));
    }

    /// The counts are read by the first removal and kept by the commits after it.
    #[test]
    fn one_process_drops_and_stores_a_pattern_as_its_facts_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        commit(&store, put(2)).unwrap();
        commit(&store, removal(2)).unwrap();
        commit(&store, put(4)).unwrap();
        commit(&store, removal(1)).unwrap();
        assert!(has_pattern(&store, 1));
        commit(&store, removal(4)).unwrap();
        assert!(!has_pattern(&store, 1));
        commit(&store, put(7)).unwrap();
        assert!(has_pattern(&store, 1));
    }

    #[test]
    fn a_batch_that_fails_leaves_the_counts_of_facts_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        commit(&store, put(4)).unwrap();
        for _ in 0..2 {
            let mut failing = removal(1);
            failing.puts.extend(crate::example::contradiction(4).puts);
            commit(&store, failing).unwrap_err();
        }
        commit(&store, removal(1)).unwrap();
        assert!(has_pattern(&store, 1));
        commit(&store, removal(4)).unwrap();
        assert!(!has_pattern(&store, 1));
    }

    #[test]
    fn removed_content_is_in_no_file_after_closing() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let secret = b"an unmistakable sentence".repeat(400);
        let (facts, contents) = taught(1, 1.0);
        let mut batch = put(2);
        batch.put(&episode(1, &secret, &facts), &contents).unwrap();
        commit(&store, batch).unwrap();
        store.get(RecordKind::Episode, id(1), None).unwrap();
        close(&store);
        let holds = || {
            let files = std::fs::read_dir(folder.path()).unwrap();
            files.into_iter().any(|file| {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                bytes.windows(24).any(|window| window == &secret[..24])
            })
        };
        assert!(holds());
        let store = open(folder.path());
        commit(&store, removal(1)).unwrap();
        close(&store);
        assert!(!holds());
    }

    #[test]
    fn a_damaged_episode_is_removed_without_being_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        testing_script(&folder.path().join("store.db"), "UPDATE episode SET record = zeroblob(80)");
        assert_eq!(version_of(&store, 1), Some(1));
        assert_eq!(commit(&store, removal(1)).unwrap().committed, 1);
        assert_eq!(version_of(&store, 1), None);
    }
}
