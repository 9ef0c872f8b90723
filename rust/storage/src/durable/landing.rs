//! How batches become rows: one transaction a group, and none of its batches harms another.

use rustc_hash::{FxHashMap, FxHashSet};
use tacit_kernels::facts::Id;

use crate::batch::{Batch, EpisodeRecord, Op, PatternRecord, Put, Receipt};
use crate::durable::fold;
use crate::durable::queries::{Connection, Row, blob, optional_text, text};
use crate::error::{ErrorKind, Result, StorageError};
use crate::note::Note;
use crate::record::hexadecimal;

const NEWEST: &str = "SELECT coalesce(max(sequence), 0) FROM change";
const LOG: &str = "INSERT INTO change (sequence, op, id) VALUES (?, ?, ?)";
const PUT: &str = "INSERT INTO episode (sequence, id, namespace, external_id, digest, task_key, domain, agent, \
    complexity, state, started_at, ended_at, base, embedder, record) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
const DIGEST_OF_ID: &str = "SELECT digest FROM episode WHERE id = ?";
const DIGEST_OF_EXTERNAL: &str = "SELECT digest FROM episode WHERE namespace = ? AND external_id = ?";
const STORED: &str = "SELECT sequence, record FROM episode WHERE id = ?";
const BURY: &str = "INSERT INTO tombstone (sequence, id, put, record) VALUES (?, ?, ?, ?)";
const DELETE: &str = "DELETE FROM episode WHERE sequence = ?";
const PATTERN: &str = "INSERT INTO pattern (id, kind, record) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
const STORED_NOTE: &str = "SELECT namespace, is_there, record FROM note WHERE kind = ? AND id = ?";
const NOTE: &str = "INSERT OR REPLACE INTO note (sequence, kind, id, namespace, is_there, record) \
    VALUES (?, ?, ?, ?, ?, ?)";
const NAMESPACE: &str = "INSERT INTO namespace (name) VALUES (?) ON CONFLICT DO NOTHING";
const NUMBER_OF_NAMESPACE: &str = "SELECT number FROM namespace WHERE name = ?";

/// How many ids of stored patterns are remembered, so that they are not offered to the store again.
const REMEMBERED_PATTERNS: usize = 1 << 16;

/// The newest change's number, as this connection's transaction sees it.
pub(crate) fn newest(connection: &mut Connection) -> Result<i64> {
    connection.number(NEWEST, vec![])
}

/// The writing side of the store: its connection, and what it knows to be stored.
pub(crate) struct Landing {
    connection: Connection,
    known: Known,
}

/// What is in the store and stays there. Forgotten whenever a transaction is rolled back.
#[derive(Default)]
struct Known {
    /// No fold is due before so many changes after this one.
    folded: i64,
    /// How many of the changes after it are notes, which no fold concerns.
    notes: i64,
    namespaces: FxHashMap<String, i64>,
    patterns: FxHashSet<Id>,
}

impl Landing {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, known: Known::default() }
    }

    /// Lands `batches` in one transaction; an outcome for each, in their order.
    ///
    /// A batch that cannot land leaves nothing, and takes no other batch with it.
    pub(crate) fn land(&mut self, batches: &[&Batch]) -> Vec<Result<Receipt>> {
        match self.land_together(batches) {
            Ok(outcomes) => outcomes,
            Err(error) if batches.len() > 1 && is_of_one_batch(&error) => {
                batches.iter().map(|batch| self.land_alone(batch)).collect()
            }
            Err(error) => batches.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn land_alone(&mut self, batch: &Batch) -> Result<Receipt> {
        self.land_together(&[batch])?.remove(0)
    }

    fn land_together(&mut self, batches: &[&Batch]) -> Result<Vec<Result<Receipt>>> {
        let Self { connection, known } = self;
        let outcome = connection.transaction(|inner| {
            let mut log = Log { newest: newest(inner)? };
            let landed = batches.iter().map(|batch| land_guarded(inner, known, &mut log, batch));
            let landed = landed.collect::<Result<Vec<_>>>()?;
            fold_if_due(inner, known, log.newest, fold::DUE)?;
            Ok(landed)
        });
        if outcome.is_err() {
            self.known = Known::default();
        }
        outcome
    }

    /// Folds what is left over, so that the next reader of the sums has nothing to add. What fails here is done
    /// by a later fold.
    pub(crate) fn finish(&mut self) {
        let Self { connection, known } = self;
        let _ = connection.transaction(|inner| {
            let newest = newest(inner)?;
            fold_if_due(inner, known, newest, 1)
        });
    }

    /// Leaves whatever transaction a panic left open.
    pub(crate) fn recover(&mut self) {
        self.connection.roll_back();
        self.known = Known::default();
    }
}

/// Folds where `due` changes wait. A fold that fails takes nothing with it: the batches land, and the changes wait
/// for a later one.
fn fold_if_due(connection: &mut Connection, known: &mut Known, newest: i64, due: i64) -> Result<()> {
    if known.waiting(newest) < due {
        return Ok(());
    }
    let watermark = fold::watermark(connection)?;
    if watermark != known.folded {
        known.folded_up_to(watermark);
    }
    if known.waiting(newest) < due {
        return Ok(());
    }
    connection.execute("SAVEPOINT fold", vec![])?;
    if fold::fold(connection, newest).is_err() {
        connection.execute("ROLLBACK TO fold", vec![])?;
    }
    known.folded_up_to(newest);
    connection.execute("RELEASE fold", vec![])?;
    Ok(())
}

/// Whether another batch of the same group might fare better.
fn is_of_one_batch(error: &StorageError) -> bool {
    !matches!(
        error.kind,
        ErrorKind::Unavailable { .. } | ErrorKind::CommitUnknown | ErrorKind::ReadOnly | ErrorKind::Schema
    )
}

/// The number that the last change took.
struct Log {
    newest: i64,
}

impl Log {
    fn take(&mut self, connection: &mut Connection, op: Op, id: &Id) -> Result<()> {
        let sequence = self.newest + 1;
        connection.execute(LOG, vec![sequence.into(), (op as i64).into(), blob(id)])?;
        self.newest = sequence;
        Ok(())
    }
}

/// One batch's outcome. An outer error ends the transaction, an inner one is this batch's own.
fn land_guarded(
    connection: &mut Connection,
    known: &mut Known,
    log: &mut Log,
    batch: &Batch,
) -> Result<Result<Receipt>> {
    if batch.operations() <= 1 {
        return split(land(connection, known, log, batch));
    }
    let before = log.newest;
    connection.execute("SAVEPOINT batch", vec![])?;
    let outcome = split(land(connection, known, log, batch))?;
    if outcome.is_err() {
        connection.execute("ROLLBACK TO batch", vec![])?;
        *known = Known::default();
        log.newest = before;
    }
    connection.execute("RELEASE batch", vec![])?;
    Ok(outcome)
}

/// A conflict is the batch's own; any other error concerns the transaction.
fn split<T>(outcome: Result<T>) -> Result<Result<T>> {
    match outcome {
        Err(error) if !matches!(error.kind, ErrorKind::Conflict { .. }) => Err(error),
        own => Ok(own),
    }
}

fn land(connection: &mut Connection, known: &mut Known, log: &mut Log, batch: &Batch) -> Result<Receipt> {
    let mut committed = 0;
    for id in &batch.removed {
        committed += usize::from(remove(connection, log, id)?);
    }
    for each in &batch.puts {
        committed += usize::from(put(connection, known, log, each)?);
    }
    for each in &batch.notes {
        committed += usize::from(write(connection, known, log, each)?);
    }
    Ok(Receipt { sequence: log.newest, committed, unchanged: batch.operations() - committed })
}

/// False where no episode has this id.
fn remove(connection: &mut Connection, log: &mut Log, id: &Id) -> Result<bool> {
    let stored = connection.row(STORED, vec![blob(id)], |row| Ok((row.integer(0)?, row.blob(1)?)))?;
    let Some((sequence, record)) = stored else { return Ok(false) };
    let taught = EpisodeRecord::decode(id, &record)?.without_content().encode();
    log.take(connection, Op::Remove, id)?;
    let tombstone = vec![log.newest.into(), blob(id), sequence.into(), taught.into()];
    connection.execute(BURY, tombstone)?;
    connection.execute(DELETE, vec![sequence.into()])?;
    Ok(true)
}

/// False where the same content is stored already.
fn put(connection: &mut Connection, known: &mut Known, log: &mut Log, put: &Put) -> Result<bool> {
    let episode = put.episode();
    let namespace = known.namespace(connection, episode.namespace)?;
    let columns = columns(log.newest + 1, namespace, &episode, &put.record);
    if connection.execute(PUT, columns)? == 0 {
        return is_stored(connection, namespace, &episode).map(|()| false);
    }
    for pattern in &put.patterns {
        known.pattern(connection, pattern)?;
    }
    log.take(connection, Op::Put, &put.id)?;
    Ok(true)
}

/// False where the note is as it should be already.
fn write(connection: &mut Connection, known: &mut Known, log: &mut Log, note: &Note) -> Result<bool> {
    let namespace = known.namespace(connection, &note.namespace)?;
    let key = vec![(note.kind as i64).into(), blob(&note.id)];
    let read = |row: &Row| Ok((row.integer(0)?, row.integer(1)? == 1, row.blob(2)?));
    match connection.row(STORED_NOTE, key, read)? {
        Some((home, true, _)) if home != namespace && note.is_there => {
            return Err(StorageError::conflict(&hexadecimal(&note.id), &note.namespace));
        }
        Some((home, true, framed)) if home != namespace || framed == note.framed => return Ok(false),
        Some((_, true, _)) => (),
        _ if note.is_there => (),
        _ => return Ok(false),
    }
    log.take(connection, Op::Note, &note.id)?;
    let (kind, is_there) = (note.kind as i64, i64::from(note.is_there));
    let record = blob(&note.framed);
    let values =
        vec![log.newest.into(), kind.into(), blob(&note.id), namespace.into(), is_there.into(), record];
    connection.execute(NOTE, values)?;
    known.notes += 1;
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

/// Ok where what stands in the way of `episode` has the same content; a conflict otherwise.
fn is_stored(connection: &mut Connection, namespace: i64, episode: &EpisodeRecord<'_>) -> Result<()> {
    let by_id = connection.row(DIGEST_OF_ID, vec![blob(&episode.id)], |row| row.blob(0))?;
    let stored = match by_id {
        Some(digest) => Some(digest),
        None => {
            let external = vec![namespace.into(), optional_text(episode.external_id)];
            connection.row(DIGEST_OF_EXTERNAL, external, |row| row.blob(0))?
        }
    };
    if stored.is_some_and(|digest| digest == episode.digest) {
        return Ok(());
    }
    let name = episode.external_id.map_or_else(|| hexadecimal(&episode.id), str::to_owned);
    Err(StorageError::conflict(&name, episode.namespace))
}

impl Known {
    /// At most so many changes of episodes wait for a fold.
    fn waiting(&self, newest: i64) -> i64 {
        newest - self.folded - self.notes
    }

    fn folded_up_to(&mut self, sequence: i64) {
        (self.folded, self.notes) = (sequence, 0);
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

    fn pattern(&mut self, connection: &mut Connection, pattern: &PatternRecord) -> Result<()> {
        if self.patterns.contains(&pattern.id) {
            return Ok(());
        }
        let values = vec![blob(&pattern.id), i64::from(pattern.kind).into(), blob(&pattern.record)];
        connection.execute(PATTERN, values)?;
        if self.patterns.len() >= REMEMBERED_PATTERNS {
            self.patterns.clear();
        }
        self.patterns.insert(pattern.id);
        Ok(())
    }
}
