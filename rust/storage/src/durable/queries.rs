//! One SQL connection with its prepared statements.
//!
//! The statements of libsql keep their state after use, ignore errors of binding and hand out live cursors.
//! [`Connection`] alone uses them: every run binds all parameters, is drained and is reset.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libsql::{Builder, OpenFlags, Value, ValueType};
use pollster::block_on;
use rustc_hash::FxHashMap;
use tacit_kernels::facts::Id;

use crate::durable::held_file::{FileId, HeldFile};
use crate::error::{Result, StorageError};
use crate::files::{self, with_suffix};

/// A connection to a local file, for one thread at a time.
///
/// The fields are dropped in their order: the statements, the connection, and the descriptor that keeps its locks.
pub(crate) struct Connection {
    statements: FxHashMap<String, libsql::Statement>,
    connection: libsql::Connection,
    /// The longest wait for a lock.
    patience: Duration,
    /// `None` for a database in memory.
    held: Option<HeldFile>,
}

/// The way in which a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    /// Writes the index of the log beside the file, and never the file.
    ReadOnly,
    /// Reads the file alone, without locks and without a log: nobody may write it.
    Immutable,
}

/// Returns SQLite's address of a file that nobody writes.
fn immutable_address(path: &Path) -> PathBuf {
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    PathBuf::from(format!("file:{escaped}?immutable=1"))
}

/// The pauses between two looks at a lock that somebody else holds.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// The settings of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pragmas {
    pub(crate) busy_timeout: Duration,
    pub(crate) cache_kib: i64,
    /// 1 is NORMAL, 2 is FULL.
    pub(crate) synchronous: i64,
    pub(crate) query_only: bool,
}

impl Connection {
    /// Opens `path`; creates a file that its owner alone may read if `create` is set. Opening writes nothing.
    pub(crate) fn open(path: &Path, create: bool) -> Result<Self> {
        if create
            && let Err(error) = files::create_private(path)
            && !path.exists()
        {
            return Err(StorageError::unopened(path, &error));
        }
        Self::open_as(path, Access::ReadWrite)
    }

    /// Opens a file that is there. Opening writes nothing.
    pub(crate) fn open_as(path: &Path, access: Access) -> Result<Self> {
        let held = HeldFile::open(path)?;
        let (flags, name) = match access {
            Access::ReadWrite => (OpenFlags::SQLITE_OPEN_READ_WRITE, path.to_owned()),
            Access::ReadOnly => (OpenFlags::SQLITE_OPEN_READ_ONLY, path.to_owned()),
            Access::Immutable => (OpenFlags::SQLITE_OPEN_READ_ONLY, immutable_address(path)),
        };
        let database = block_on(Builder::new_local(name).flags(flags).build())?;
        let connection = database.connect()?;
        if FileId::at(path).ok().flatten() != Some(held.id) {
            let message = format!("{} was replaced while it was being opened: open it again", path.display());
            return Err(StorageError::file_changed(message));
        }
        Ok(Self { statements: FxHashMap::default(), connection, patience: Duration::ZERO, held: Some(held) })
    }

    /// Returns true for a file without tables that has a log by its header, and none beside it.
    pub(crate) fn lacks_its_log(&self, path: &Path) -> bool {
        let mut start = [0; 105];
        let read = self.held.as_ref().map_or(Ok(None), |held| held.read_at(&mut start, 0));
        let is_logged = start[18..20] == [2, 2] && start[103..] == [0, 0];
        matches!(read, Ok(Some(()))) && is_logged && !with_suffix(path, "-wal").exists()
    }

    /// Opens an empty database in memory.
    pub(crate) fn in_memory() -> Result<Self> {
        let database = block_on(Builder::new_local(":memory:").build())?;
        let connection = database.connect()?;
        Ok(Self { statements: FxHashMap::default(), connection, patience: Duration::ZERO, held: None })
    }

    /// Returns the identity of the open file.
    pub(crate) fn file_id(&self) -> Option<FileId> {
        self.held.as_ref().map(|held| held.id)
    }

    /// Applies `pragmas` and makes sure that each of them took effect.
    pub(crate) fn configure(&mut self, pragmas: Pragmas) -> Result<()> {
        self.wait_for_others(pragmas.busy_timeout)?;
        self.set("cache_size", -pragmas.cache_kib)?;
        self.set("synchronous", pragmas.synchronous)?;
        self.set("foreign_keys", 1)?;
        self.set("secure_delete", 1)?;
        self.set("query_only", i64::from(pragmas.query_only))
    }

    /// Sets the longest wait for a lock of another connection.
    pub(crate) fn wait_for_others(&mut self, busy_timeout: Duration) -> Result<()> {
        self.patience = busy_timeout;
        self.set("busy_timeout", busy_timeout.as_millis() as i64)
    }

    /// Sets a PRAGMA and reads it back.
    pub(crate) fn set(&mut self, pragma: &str, value: i64) -> Result<()> {
        self.script(&format!("PRAGMA {pragma} = {value}"))?;
        let found = self.number(&format!("PRAGMA {pragma}"), vec![])?;
        if found == value {
            Ok(())
        } else {
            Err(StorageError::internal(format!("PRAGMA {pragma} is {found}, not {value}")))
        }
    }

    /// Runs statements without parameters, one after another, and drops their rows.
    pub(crate) fn script(&self, sql: &str) -> Result<()> {
        block_on(self.connection.execute_batch(sql))?;
        Ok(())
    }

    /// Runs a statement that returns no rows; returns how many rows it changed.
    pub(crate) fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<usize> {
        let statement = self.prepared(sql, values.len())?;
        let _reset = Reset(statement);
        Ok(block_on(statement.execute(values))?)
    }

    /// Maps each row, in order.
    pub(crate) fn rows<T>(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        mut read: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let statement = self.prepared(sql, values.len())?;
        let _reset = Reset(statement);
        let mut cursor = block_on(statement.query(values))?;
        let mut found = Vec::new();
        while let Some(row) = block_on(cursor.next())? {
            found.push(read(&Row(row))?);
        }
        Ok(found)
    }

    /// Maps the first row.
    pub(crate) fn row<T>(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        read: impl FnOnce(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        let statement = self.prepared(sql, values.len())?;
        let _reset = Reset(statement);
        let mut cursor = block_on(statement.query(values))?;
        block_on(cursor.next())?.map(|row| read(&Row(row))).transpose()
    }

    /// Returns the one whole number of a statement.
    pub(crate) fn number(&mut self, sql: &str, values: Vec<Value>) -> Result<i64> {
        let found = self.row(sql, values, |row| row.integer(0))?;
        found.ok_or_else(|| StorageError::internal(format!("no row from {sql:?}")))
    }

    /// Runs `body` inside a transaction that holds the write lock: all of it is written, or nothing is.
    pub(crate) fn transaction<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.begin_writing()?;
        match body(self) {
            Ok(value) => self.commit().map(|()| value),
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Takes the write lock. SQLite would ask for it every 100 ms: too seldom to meet the moments in which a busy
    /// neighbour gives it back.
    fn begin_writing(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.patience;
        self.connection.busy_timeout(Duration::ZERO)?;
        let mut pause = FIRST_PAUSE;
        let begun = loop {
            match self.execute("BEGIN IMMEDIATE", vec![]) {
                Err(error) if error.is_busy() && Instant::now() < deadline => {
                    std::thread::sleep(pause);
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
                outcome => break outcome,
            }
        };
        self.connection.busy_timeout(self.patience)?;
        begun.map(drop)
    }

    /// Runs `body` on one snapshot of the store.
    pub(crate) fn snapshot<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.execute("BEGIN", vec![])?;
        let outcome = body(self);
        self.roll_back();
        outcome
    }

    fn commit(&mut self) -> Result<()> {
        let outcome = self.execute("COMMIT", vec![]).map_err(StorageError::during_commit);
        if outcome.is_err() {
            self.roll_back();
        }
        outcome.map(drop)
    }

    /// Leaves the open transaction, if there is one. The next BEGIN reports a failure.
    pub(crate) fn roll_back(&mut self) {
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK", vec![]);
        }
    }

    fn prepared(&mut self, sql: &str, parameters: usize) -> Result<&libsql::Statement> {
        if !self.statements.contains_key(sql) {
            let statement = block_on(self.connection.prepare(sql))?;
            self.statements.insert(sql.to_owned(), statement);
        }
        let statement = &self.statements[sql];
        if statement.parameter_count() == parameters {
            Ok(statement)
        } else {
            let expected = statement.parameter_count();
            Err(StorageError::internal(format!("{sql:?} takes {expected} parameters, got {parameters}")))
        }
    }
}

/// Resets a statement however its run ended: a live cursor keeps the write-ahead log from being cut.
struct Reset<'a>(&'a libsql::Statement);

impl Drop for Reset<'_> {
    fn drop(&mut self) {
        self.0.reset();
    }
}

/// One row under the cursor. Stored text is read as a BLOB: libsql cuts text at a NUL and panics on text that is
/// not UTF-8.
pub(crate) struct Row(libsql::Row);

impl Row {
    /// Refuses text unread: only a damaged file has text here, and libsql panics on text that is not UTF-8.
    fn value(&self, column: i32) -> Result<Value> {
        match self.0.column_type(column)? {
            ValueType::Text => Err(wrong_type(column)),
            _ => Ok(self.0.get_value(column)?),
        }
    }

    pub(crate) fn integer(&self, column: i32) -> Result<i64> {
        match self.value(column)? {
            Value::Integer(value) => Ok(value),
            _ => Err(wrong_type(column)),
        }
    }

    pub(crate) fn blob(&self, column: i32) -> Result<Vec<u8>> {
        self.optional_blob(column)?.ok_or_else(|| wrong_type(column))
    }

    pub(crate) fn optional_blob(&self, column: i32) -> Result<Option<Vec<u8>>> {
        match self.value(column)? {
            Value::Blob(value) => Ok(Some(value)),
            Value::Null => Ok(None),
            _ => Err(wrong_type(column)),
        }
    }

    pub(crate) fn id(&self, column: i32) -> Result<Id> {
        self.blob(column)?.try_into().map_err(|_| StorageError::corrupt("an id that has not 16 bytes"))
    }

    /// Reads a word of SQLite's own, such as the value of a PRAGMA.
    pub(crate) fn word(&self, column: i32) -> Result<String> {
        match self.0.get_value(column)? {
            Value::Text(word) => Ok(word),
            _ => Err(wrong_type(column)),
        }
    }

    /// Reads text that was selected as a BLOB.
    pub(crate) fn text(&self, column: i32) -> Result<String> {
        String::from_utf8(self.blob(column)?).map_err(|_| StorageError::corrupt("text that is not UTF-8"))
    }
}

fn wrong_type(column: i32) -> StorageError {
    StorageError::corrupt(format!("column {column} holds another type than it was given"))
}

pub(crate) fn blob(bytes: &[u8]) -> Value {
    Value::Blob(bytes.to_vec())
}

pub(crate) fn optional_blob(bytes: Option<&Id>) -> Value {
    bytes.map_or(Value::Null, |bytes| blob(bytes))
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn optional_text(given: Option<&str>) -> Value {
    given.map_or(Value::Null, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(&folder.path().join("scratch.db"), true).unwrap();
        connection.script("CREATE TABLE number (value INTEGER NOT NULL)").unwrap();
        (folder, connection)
    }

    #[test]
    fn a_reused_statement_takes_its_new_parameters() {
        let (_folder, mut connection) = scratch();
        for value in 1..=3i64 {
            connection.execute("INSERT INTO number VALUES (?)", vec![value.into()]).unwrap();
        }
        let found = connection.rows("SELECT value FROM number", vec![], |row| row.integer(0)).unwrap();
        assert_eq!(found, [1, 2, 3]);
    }

    #[test]
    fn a_wrong_number_of_parameters_is_refused() {
        let (_folder, mut connection) = scratch();
        for values in [vec![], vec![1i64.into(), 2i64.into()]] {
            assert!(connection.execute("INSERT INTO number VALUES (?)", values).is_err());
        }
        assert_eq!(connection.number("SELECT count(*) FROM number", vec![]).unwrap(), 0);
    }

    #[test]
    fn a_transaction_that_fails_leaves_nothing_and_the_next_one_lands() {
        let (_folder, mut connection) = scratch();
        let failed: Result<()> = connection.transaction(|inner| {
            inner.execute("INSERT INTO number VALUES (1)", vec![])?;
            Err(StorageError::internal("no"))
        });
        assert!(failed.is_err());
        connection.transaction(|inner| inner.execute("INSERT INTO number VALUES (2)", vec![])).unwrap();
        assert_eq!(connection.number("SELECT sum(value) FROM number", vec![]).unwrap(), 2);
    }

    #[test]
    fn a_constraint_that_fails_leaves_the_statement_usable() {
        let (_folder, mut connection) = scratch();
        let insert = "INSERT INTO number VALUES (?)";
        assert!(connection.execute(insert, vec![Value::Null]).is_err());
        assert_eq!(connection.execute(insert, vec![5i64.into()]).unwrap(), 1);
    }

    #[test]
    fn reading_text_as_another_type_is_an_error() {
        let (_folder, mut connection) = scratch();
        let damaged = "SELECT CAST(x'61ff62' AS TEXT)";
        assert!(connection.row(damaged, vec![], |row| row.blob(0)).is_err());
        assert!(connection.row(damaged, vec![], |row| row.integer(0)).is_err());
    }

    #[test]
    fn a_pragma_that_does_not_take_effect_is_an_error() {
        let (_folder, mut connection) = scratch();
        assert!(connection.set("synchronous", 2).is_ok());
        assert!(connection.set("page_count", 7_777).is_err());
    }
}
