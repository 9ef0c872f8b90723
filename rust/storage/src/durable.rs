//! The durable side of a store: what a commit has acknowledged is here, whatever happens next.

mod fold;
mod landing;
mod pool;
mod queries;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use libsql::Value;
use tacit_kernels::facts::Id;

use crate::batch::{Batch, Change, Changes, EpisodeRecord, Op, Sums};
use crate::cache::Position;
use crate::durable::landing::Landing;
use crate::durable::pool::Pool;
use crate::durable::queries::{Connection, Pragmas, Row, blob, text};
use crate::durable::writer::Writer;
use crate::error::{Result, StorageError};
use crate::note::NoteRecord;
use crate::record::{self, Kind};
use crate::{Durability, Figure, Filters, Options, Page};

pub(crate) use crate::durable::schema::NEWEST as SCHEMA;
pub(crate) use crate::durable::writer::Commit;

/// Pages that readers and the writer keep in memory, each for itself.
const READER_CACHE_KIB: i64 = 16 << 10;
const WRITER_CACHE_KIB: i64 = 32 << 10;

/// Where the store is durable.
pub(crate) struct Durable(Place);

enum Place {
    Local(Local),
}

impl Durable {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        Local::open(options).map(|local| Self(Place::Local(local)))
    }

    pub(crate) fn path(&self) -> &Path {
        let Place::Local(local) = &self.0;
        &local.path
    }

    /// Which store this is, wherever its file is moved to.
    pub(crate) fn uuid(&self) -> Id {
        let Place::Local(local) = &self.0;
        local.uuid
    }

    /// Where the store's history stands.
    pub(crate) fn position(&self) -> Result<Position> {
        let Place::Local(local) = &self.0;
        position(&mut *local.readers.lease()?)
    }

    /// Whether the store's history leads through `position`.
    pub(crate) fn has(&self, position: Position) -> Result<bool> {
        let Place::Local(local) = &self.0;
        let logged = vec![position.sequence.into(), blob(&position.id)];
        let found = local.readers.lease()?.number(IS_LOGGED, logged)?;
        Ok(position == Position::default() || found == 1)
    }

    /// The ids that were removed after the change numbered `since`, and up to where.
    pub(crate) fn removals(&self, since: i64) -> Result<(Vec<Id>, Position)> {
        let Place::Local(local) = &self.0;
        let mut reader = local.readers.lease()?;
        let newest = position(&mut reader)?;
        if newest.sequence == since {
            return Ok((Vec::new(), newest));
        }
        let stretch = vec![since.into(), newest.sequence.into()];
        Ok((reader.rows(REMOVALS, stretch, |row| row.id(0))?, newest))
    }

    pub(crate) fn submit(&self, batch: Batch) -> Commit {
        let Place::Local(local) = &self.0;
        local.writer.submit(batch)
    }

    /// The values of `ids`, in their order; none where there is no such row.
    pub(crate) fn get_many(&self, kind: Kind, ids: &[Id]) -> Result<Vec<Option<Vec<u8>>>> {
        let Place::Local(local) = &self.0;
        let mut reader = local.readers.lease()?;
        ids.iter().map(|id| get(&mut reader, kind, id)).collect()
    }

    pub(crate) fn scan(&self, kind: Kind, page: &Page<'_>) -> Result<Vec<(Id, Vec<u8>)>> {
        let Place::Local(local) = &self.0;
        let (sql, values) = scan_of(kind, page)?;
        let mut reader = local.readers.lease()?;
        let found = reader.rows(&sql, values, |row| keyed_value(kind, row))?;
        Ok(found)
    }

    pub(crate) fn changes(&self, since: i64, limit: usize) -> Result<Changes> {
        let Place::Local(local) = &self.0;
        local.readers.lease()?.snapshot(|reader| changes(reader, since, limit))
    }

    pub(crate) fn sums(&self) -> Result<Sums> {
        let Place::Local(local) = &self.0;
        local.readers.lease()?.snapshot(fold::sums)
    }

    pub(crate) fn pending(&self, limit: usize) -> Result<Vec<Id>> {
        let Place::Local(local) = &self.0;
        local.readers.lease()?.rows(PENDING, vec![whole(limit)], |row| row.id(0))
    }

    /// Named counts of what is stored and how it is held.
    pub(crate) fn stats(&self) -> Result<Vec<(&'static str, Figure)>> {
        let Place::Local(local) = &self.0;
        let mut reader = local.readers.lease()?;
        let counted = STATS.iter().map(|(name, sql)| Ok((*name, Figure::Count(reader.number(sql, vec![])?))));
        let mut stats = counted.collect::<Result<Vec<_>>>()?;
        stats.push(("queued", Figure::Count(local.writer.queued() as i64)));
        Ok(stats)
    }

    /// Lets the writer end once it has landed what was submitted; nothing is accepted after this.
    pub(crate) fn stop(&self) {
        let Place::Local(local) = &self.0;
        local.writer.stop();
    }

    pub(crate) fn has_stopped(&self, patience: Duration) -> bool {
        let Place::Local(local) = &self.0;
        local.writer.has_stopped(patience)
    }
}

/// A libSQL file on this machine.
struct Local {
    path: PathBuf,
    uuid: Id,
    writer: Writer,
    readers: Pool,
}

impl Local {
    fn open(options: &Options) -> Result<Self> {
        let path = absolute(&options.path)?;
        schema::prepare(&path, options.busy_timeout)?;
        let synchronous = match options.durability {
            Durability::Durable => 2,
            Durability::Fast => 1,
        };
        let busy_timeout = options.busy_timeout;
        let pragmas = Pragmas { busy_timeout, cache_kib: WRITER_CACHE_KIB, synchronous, query_only: false };
        let mut connection = Connection::open(&path, false)?;
        connection.configure(pragmas)?;
        let uuid = connection.row(UUID, vec![], |row| row.id(0))?;
        let uuid = uuid.ok_or_else(|| StorageError::schema("the store does not say which it is"))?;
        let writer = Writer::start(Landing::new(connection))?;
        let pragmas = Pragmas { cache_kib: READER_CACHE_KIB, ..pragmas };
        Ok(Self { readers: Pool::new(&path, pragmas, options.readers), path, uuid, writer })
    }
}

/// An absolute path is nothing but a path to SQLite: not a URI, not `:memory:`, not a temporary file.
fn absolute(path: &Path) -> Result<PathBuf> {
    let given = path.to_str().filter(|text| !text.is_empty() && !text.contains('\0'));
    let given =
        given.ok_or_else(|| StorageError::invalid("path", "must be UTF-8 without NUL", path.display()))?;
    std::path::absolute(given).map_err(|error| StorageError::invalid("path", error.to_string(), given))
}

/// Holds the write lock of a store until it is dropped.
#[cfg(test)]
pub(crate) fn testing_lock(path: &Path) -> impl Drop + use<> {
    struct Held(Connection);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.roll_back();
        }
    }
    let mut connection = Connection::open(path, false).unwrap();
    connection.execute("BEGIN IMMEDIATE", vec![]).unwrap();
    Held(connection)
}

const UUID: &str = "SELECT uuid FROM meta";
const POSITION: &str = "SELECT sequence, id FROM change ORDER BY sequence DESC LIMIT 1";
const IS_LOGGED: &str = "SELECT count(*) FROM change WHERE sequence = ? AND id = ?";
const REMOVALS: &str = "SELECT id FROM change WHERE sequence > ? AND sequence <= ? AND op = 1";
const EPISODE: &str = "SELECT id, record FROM episode WHERE id = ?";
const PATTERN: &str = "SELECT id, record FROM pattern WHERE id = ?";
const NOTE: &str = "SELECT id, record FROM note WHERE kind = ? AND id = ? AND is_there = 1";
const CHANGES: &str = "SELECT change.sequence, change.op, change.id, coalesce(episode.record, note.record), \
    note.kind FROM change \
    LEFT JOIN episode ON episode.sequence = change.sequence AND change.op = 0 \
    LEFT JOIN note ON note.sequence = change.sequence AND change.op = 2 \
    WHERE change.sequence > ? AND (change.op = 1 OR episode.sequence IS NOT NULL OR note.sequence IS NOT NULL) \
    ORDER BY change.sequence LIMIT ?";
const PENDING: &str = "SELECT id FROM episode WHERE state = 2 ORDER BY id LIMIT ?";
const STATS: [(&str, &str); 8] = [
    ("episodes", "SELECT count(*) FROM episode"),
    ("patterns", "SELECT count(*) FROM pattern"),
    ("pending", "SELECT count(*) FROM episode WHERE state = 2"),
    ("notes", "SELECT count(*) FROM note WHERE is_there = 1"),
    ("sums", "SELECT count(*) FROM sum"),
    ("folded", "SELECT folded FROM meta"),
    ("sequence", "SELECT coalesce(max(sequence), 0) FROM change"),
    ("file_bytes", "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"),
];

fn position(reader: &mut Connection) -> Result<Position> {
    let read = |row: &Row| Ok(Position { sequence: row.integer(0)?, id: row.id(1)? });
    Ok(reader.row(POSITION, vec![], read)?.unwrap_or_default())
}

fn get(reader: &mut Connection, kind: Kind, id: &Id) -> Result<Option<Vec<u8>>> {
    let (sql, values) = match kind {
        Kind::Episode | Kind::Embedding => (EPISODE, vec![blob(id)]),
        Kind::Pattern => (PATTERN, vec![blob(id)]),
        note => (NOTE, vec![(note as i64).into(), blob(id)]),
    };
    let found = reader.row(sql, values, |row| value_of(kind, id, &row.blob(1)?))?;
    Ok(found.filter(|value| kind != Kind::Embedding || !value.is_empty()))
}

fn keyed_value(kind: Kind, row: &Row) -> Result<(Id, Vec<u8>)> {
    let id = row.id(0)?;
    Ok((id, value_of(kind, &id, &row.blob(1)?)?))
}

/// What a caller who asked for `kind` gets of a stored record.
fn value_of(kind: Kind, id: &Id, stored: &[u8]) -> Result<Vec<u8>> {
    let value = match kind {
        Kind::Episode => EpisodeRecord::decode(id, stored)?.payload,
        Kind::Embedding => EpisodeRecord::decode(id, stored)?.embedding,
        Kind::Pattern => record::open(Kind::Pattern, id, stored)?,
        note => NoteRecord::decode(note, id, stored)?.record.unwrap_or_default(),
    };
    Ok(value.to_vec())
}

fn changes(reader: &mut Connection, since: i64, limit: usize) -> Result<Changes> {
    let rows = reader.rows(CHANGES, vec![since.into(), whole(limit)], change)?;
    let last = match rows.last() {
        Some(change) if rows.len() >= limit => change.sequence,
        _ if limit == 0 => since,
        _ => landing::newest(reader)?.max(since),
    };
    Ok(Changes { rows, last })
}

fn change(row: &Row) -> Result<Change> {
    let (sequence, id) = (row.integer(0)?, row.id(2)?);
    match Op::from_number(row.integer(1)?)? {
        Op::Put => Change::put(sequence, id, row.blob(3)?),
        Op::Remove => Ok(Change::remove(sequence, id)),
        Op::Note => Change::note_of(sequence, Kind::from_number(row.integer(4)?)?, id, row.blob(3)?),
    }
}

/// The statement that reads `page`, and its parameters.
fn scan_of(kind: Kind, page: &Page<'_>) -> Result<(String, Vec<Value>)> {
    page.filters.check(kind)?;
    let (table, mut conditions, mut values) = match kind {
        Kind::Episode => ("episode", vec![], vec![]),
        Kind::Embedding => ("episode", vec!["embedder IS NOT NULL"], vec![]),
        Kind::Pattern => ("pattern", vec![], vec![]),
        note => ("note", vec!["kind = ?", "is_there = 1"], vec![(note as i64).into()]),
    };
    page.filters.conditions(&mut conditions, &mut values);
    let (order, beyond) = if page.newest_first { ("DESC", "id < ?") } else { ("ASC", "id > ?") };
    if let Some(after) = page.after {
        conditions.push(beyond);
        values.push(blob(&after));
    }
    conditions.push("TRUE");
    values.push(whole(page.limit));
    let conditions = conditions.join(" AND ");
    Ok((format!("SELECT id, record FROM {table} WHERE {conditions} ORDER BY id {order} LIMIT ?"), values))
}

impl Filters<'_> {
    /// Refuses filters that rows of this kind do not have.
    fn check(&self, kind: Kind) -> Result<()> {
        let of_namespace = Self { namespace: self.namespace, ..Self::default() };
        let refused = match kind {
            Kind::Episode | Kind::Embedding => return Ok(()),
            Kind::Pattern => (*self != Self::default()).then_some("patterns cannot be filtered"),
            _ => (*self != of_namespace).then_some("notes are filtered by namespace alone"),
        };
        refused.map_or(Ok(()), |limit| Err(StorageError::invalid("kind", limit, kind.name())))
    }

    fn conditions(&self, conditions: &mut Vec<&str>, values: &mut Vec<Value>) {
        let texts = [
            ("namespace = (SELECT number FROM namespace WHERE name = ?)", self.namespace),
            ("domain = ?", self.domain),
            ("task_key = ?", self.task_key),
            ("agent = ?", self.agent),
            ("external_id = ?", self.external_id),
        ];
        for (condition, given) in texts {
            if let Some(given) = given {
                conditions.push(condition);
                values.push(text(given));
            }
        }
        if let Some(state) = self.state {
            conditions.push("state = ?");
            values.push((state as i64).into());
        }
    }
}

fn whole(count: usize) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
