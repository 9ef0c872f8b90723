//! The schema of a store's file: checks whose file it is, and brings an older schema up to date.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::durable::backup::back_up_schema;
use crate::durable::queries::{Connection, blob};
use crate::durable::rewrite;
use crate::error::{Result, StorageError};

/// "taci": the application id in SQLite's header.
const APPLICATION: i64 = 0x7461_6369;

/// One step from a schema to the next.
struct Migration {
    name: &'static str,
    sql: &'static str,
    /// Rewrites rows after the SQL. The file is backed up before such a step.
    rewrite: Option<fn(&mut Connection) -> Result<()>>,
}

/// Every schema there has been, oldest first. Add at the end; never edit a released step.
const MIGRATIONS: &[Migration] = &[
    Migration { name: "001_experience", sql: include_str!("schema/001_experience.sql"), rewrite: None },
    Migration { name: "002_note", sql: include_str!("schema/002_note.sql"), rewrite: None },
    Migration {
        name: "003_namespaces_of_patterns",
        sql: include_str!("schema/003_namespaces_of_patterns.sql"),
        rewrite: Some(rewrite::namespaces_of_patterns),
    },
    Migration { name: "004_claims", sql: include_str!("schema/004_claims.sql"), rewrite: None },
];

/// The schema that this version writes.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// The newest schema, for an empty database that this crate does not open.
pub struct NewestSchema {
    /// One statement a table and an index.
    pub statements: Vec<String>,
    /// The names of the steps to it, oldest first: the rows of the table `migration`, numbered from 1.
    pub steps: Vec<&'static str>,
}

/// Returns the schema that this version gives to a new file.
pub fn newest_schema() -> Result<NewestSchema> {
    let mut scratch = Connection::in_memory()?;
    migrate(&mut scratch, MIGRATIONS)?;
    let tables_first =
        "SELECT CAST(sql AS BLOB) FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'index', rowid";
    let statements = scratch.rows(tables_first, vec![], |row| row.text(0))?;
    Ok(NewestSchema { statements, steps: MIGRATIONS.iter().map(|step| step.name).collect() })
}

/// Creates the schema of a new file and updates that of an older one. Refuses a file that is not tacit's, or that a
/// newer tacit wrote, before anything is touched.
///
/// Keep the returned connection until the next one has read: the last one of all empties the log, and a copy of a
/// young file without its log is recognised by the tables that it lacks.
pub(crate) fn prepare(path: &Path, patience: Duration) -> Result<Connection> {
    let mut connection = Connection::open(path, true)?;
    require_whole(&connection, path)?;
    connection.wait_for_others(patience)?;
    let found = connection.snapshot(version)?;
    let mode = connection.row("PRAGMA journal_mode", vec![], |row| row.word(0))?;
    if mode.as_deref() != Some("wal") {
        use_write_ahead_log(&mut connection, patience)?;
    }
    if found == NEWEST {
        return Ok(connection);
    }
    connection.set("secure_delete", 1)?;
    if found > 0 && rewrites_rows(found) {
        back_up_schema(&mut connection, path, found)?;
    }
    migrate(&mut connection, MIGRATIONS)?;
    Ok(connection)
}

/// The time in which another process that creates the file makes its log.
const MAKING: Duration = Duration::from_secs(1);

/// Refuses the copy of a file whose tables were all in its log. Looks at the file before SQLite makes a new log.
pub(crate) fn require_whole(connection: &Connection, path: &Path) -> Result<()> {
    let deadline = Instant::now() + MAKING;
    while connection.lacks_its_log(path) {
        if Instant::now() > deadline {
            let message = format!(
                "{} is an incomplete copy: its content is in the write-ahead log of the file that was copied; copy an \
                 open memory with `tacit backup FILE`",
                path.display()
            );
            return Err(StorageError::schema(message));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Refuses a file that is no store of tacit's.
pub(crate) fn require_store(connection: &mut Connection) -> Result<()> {
    match connection.number("PRAGMA application_id", vec![])? {
        APPLICATION => Ok(()),
        _ => Err(StorageError::schema("the file is a database, but not a tacit store")),
    }
}

/// Returns true if a step beyond the schema `found` rewrites rows.
fn rewrites_rows(found: i64) -> bool {
    MIGRATIONS.iter().skip(found as usize).any(|step| step.rewrite.is_some())
}

/// Returns the schema of the file; 0 for an empty file. Runs inside a transaction, because another process may be
/// initialising the file.
fn version(connection: &mut Connection) -> Result<i64> {
    let application = connection.number("PRAGMA application_id", vec![])?;
    let version = connection.number("PRAGMA user_version", vec![])?;
    let objects = connection.number("SELECT count(*) FROM sqlite_schema", vec![])?;
    match application {
        APPLICATION => supported(connection, version),
        0 if version == 0 && objects == 0 => Ok(0),
        _ => Err(StorageError::schema("the file is a database, but not a tacit store")),
    }
}

fn supported(connection: &mut Connection, version: i64) -> Result<i64> {
    let oldest = "SELECT max(min_reader, min_writer) FROM meta";
    let required = connection.row(oldest, vec![], |row| row.integer(0))?.unwrap_or(version).max(version);
    require_supported(required).map(|()| version)
}

/// Refuses a schema beyond the newest one that this version knows.
pub(crate) fn require_supported(required: i64) -> Result<()> {
    if required <= NEWEST {
        return Ok(());
    }
    let message = format!("the store has schema {required}; this version of tacit knows up to {NEWEST}");
    Err(StorageError::schema(message))
}

/// Writes the first page without changing it: SQLite counts such writes.
pub(crate) fn write_first_page(connection: &mut Connection) -> Result<()> {
    connection.script(&format!("PRAGMA user_version = {NEWEST}"))
}

/// Refuses a store that is only read unless it has the newest schema: another one would have to be updated.
pub(crate) fn require_newest(connection: &mut Connection) -> Result<()> {
    let found = connection.snapshot(version)?;
    if found == NEWEST {
        return Ok(());
    }
    let state = if found == 0 { "no schema yet".to_owned() } else { format!("schema {found}") };
    let message =
        format!("the store has {state}, and reading needs {NEWEST}: open it once without read_only");
    Err(StorageError::schema(message))
}

/// Refuses an open store that a newer version has updated in the meantime.
pub(crate) fn check_version(connection: &mut Connection) -> Result<()> {
    let version = connection.number("PRAGMA user_version", vec![])?;
    supported(connection, version).map(drop)
}

/// Switches to the write-ahead log. SQLite does not wait for the lock that this needs, so this function does.
fn use_write_ahead_log(connection: &mut Connection, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match connection.row("PRAGMA journal_mode = wal", vec![], |row| row.word(0)) {
            Ok(Some(mode)) if mode == "wal" => return Ok(()),
            Err(error) if error.is_busy() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(mode) => return Err(StorageError::internal(format!("the journal mode stays {mode:?}"))),
            Err(error) => return Err(error),
        }
    }
}

/// Applies the steps that the file lacks in one transaction, which records them: two processes cannot both apply one,
/// and no other opener sees a schema between two steps.
fn migrate(connection: &mut Connection, migrations: &[Migration]) -> Result<()> {
    connection.transaction(|inner| {
        let found = version(inner)?;
        for (number, step) in (1..).zip(migrations).skip(found as usize) {
            inner.script(step.sql)?;
            inner.execute("INSERT INTO migration VALUES (?, ?)", vec![number.into(), step.name.into()])?;
            if number == 1 {
                identify(inner)?;
            }
            if let Some(rewrite) = step.rewrite {
                rewrite(inner)?;
            }
            inner.script(&format!("PRAGMA user_version = {number}"))?;
        }
        Ok(())
    })
}

fn identify(connection: &mut Connection) -> Result<()> {
    let uuid = uuid::Uuid::now_v7();
    let meta = "INSERT INTO meta (one, uuid, min_reader, min_writer, folded) VALUES (1, ?, 1, 1, 0)";
    connection.execute(meta, vec![blob(uuid.as_bytes())])?;
    connection.script(&format!("PRAGMA application_id = {APPLICATION}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn path() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        (folder, path)
    }

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn a_new_file_gets_the_newest_schema_and_an_identity() {
        let (_folder, path) = path();
        prepare(&path, PATIENCE).unwrap();
        prepare(&path, PATIENCE).unwrap();
        let mut connection = Connection::open(&path, false).unwrap();
        assert_eq!(version(&mut connection).unwrap(), NEWEST);
        assert_eq!(connection.number("SELECT count(*) FROM meta", vec![]).unwrap(), 1);
    }

    #[test]
    fn the_statements_of_the_newest_schema_make_the_tables_of_a_new_file() {
        let (_folder, path) = path();
        prepare(&path, PATIENCE).unwrap();
        let schema = newest_schema().unwrap();
        let copy = path.with_extension("copy");
        let mut connection = Connection::open(&copy, true).unwrap();
        for statement in &schema.statements {
            connection.script(statement).unwrap();
        }
        let shape =
            "SELECT CAST(name || ' ' || sql AS BLOB) FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let made = |connection: &mut Connection| connection.rows(shape, vec![], |row| row.text(0)).unwrap();
        let expected = made(&mut Connection::open(&path, false).unwrap());
        assert_eq!(made(&mut connection), expected);
        assert_eq!(schema.steps.len() as i64, NEWEST);
    }

    /// A file as each earlier version left it, with one change in it.
    #[test]
    fn a_file_of_every_earlier_schema_is_updated_and_keeps_its_rows() {
        for earlier in 1..MIGRATIONS.len() {
            let (_folder, path) = path();
            let mut connection = Connection::open(&path, true).unwrap();
            use_write_ahead_log(&mut connection, PATIENCE).unwrap();
            migrate(&mut connection, &MIGRATIONS[..earlier]).unwrap();
            connection.script("INSERT INTO change VALUES (1, 1, zeroblob(16))").unwrap();
            drop(connection);
            prepare(&path, PATIENCE).unwrap();
            let mut connection = Connection::open(&path, false).unwrap();
            assert_eq!(version(&mut connection).unwrap(), NEWEST);
            assert_eq!(connection.number("SELECT count(*) FROM change", vec![]).unwrap(), 1);
            assert_eq!(connection.number("SELECT count(*) FROM note", vec![]).unwrap(), 0);
            let uuid = connection.row("SELECT uuid FROM meta", vec![], |row| row.id(0)).unwrap();
            assert!(uuid.is_some());
        }
    }

    #[test]
    fn rows_are_rewritten_after_a_backup_and_an_empty_file_needs_none() {
        let (folder, path) = path();
        let mut connection = Connection::open(&path, true).unwrap();
        use_write_ahead_log(&mut connection, PATIENCE).unwrap();
        migrate(&mut connection, &MIGRATIONS[..2]).unwrap();
        drop(connection);
        prepare(&path, PATIENCE).unwrap();
        let backup = folder.path().join("store.db.schema-2.bak");
        let mut copy = Connection::open(&backup, false).unwrap();
        assert_eq!(version(&mut copy).unwrap(), 2);
        assert_eq!(copy.number("SELECT count(*) FROM tombstone", vec![]).unwrap(), 0);
        assert!(no_draft_in(folder.path()));
        let fresh = folder.path().join("fresh.db");
        prepare(&fresh, PATIENCE).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    /// The name of the backup is taken by a folder: the file system refuses it as it would without room.
    #[test]
    fn a_store_that_cannot_be_backed_up_is_not_migrated() {
        let (folder, path) = path();
        let mut connection = Connection::open(&path, true).unwrap();
        use_write_ahead_log(&mut connection, PATIENCE).unwrap();
        migrate(&mut connection, &MIGRATIONS[..2]).unwrap();
        let taken = folder.path().join("store.db.schema-2.bak");
        std::fs::create_dir(&taken).unwrap();
        let error = prepare(&path, PATIENCE).map(drop).unwrap_err();
        assert!(error.message.contains("is backed up before it is updated"), "{error}");
        assert_eq!(version(&mut connection).unwrap(), 2);
        assert!(no_draft_in(folder.path()));
        std::fs::remove_dir(&taken).unwrap();
        prepare(&path, PATIENCE).unwrap();
    }

    fn no_draft_in(folder: &Path) -> bool {
        let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        names.into_iter().all(|name| !name.to_str().unwrap().contains(".tmp"))
    }

    fn prepare_at_once(path: &Path) {
        let start = std::sync::Barrier::new(8);
        let opened = || {
            start.wait();
            prepare(path, PATIENCE).map(drop)
        };
        std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(opened)).collect();
            for opener in openers {
                opener.join().unwrap().unwrap();
            }
        });
        let mut connection = Connection::open(path, false).unwrap();
        assert_eq!(connection.number("SELECT count(*) FROM migration", vec![]).unwrap(), NEWEST);
        assert_eq!(connection.number("SELECT count(*) FROM meta", vec![]).unwrap(), 1);
    }

    #[test]
    fn concurrent_openers_initialise_a_new_file_once_and_back_nothing_up() {
        for _ in 0..10 {
            let (folder, path) = path();
            prepare_at_once(&path);
            assert!(crate::durable::backup::schema_backups(&path).is_empty());
            assert!(no_draft_in(folder.path()));
        }
    }

    #[test]
    fn concurrent_openers_update_an_older_file_once_and_leave_one_backup() {
        for _ in 0..10 {
            let (folder, path) = path();
            let mut connection = Connection::open(&path, true).unwrap();
            use_write_ahead_log(&mut connection, PATIENCE).unwrap();
            migrate(&mut connection, &MIGRATIONS[..2]).unwrap();
            drop(connection);
            prepare_at_once(&path);
            assert_eq!(crate::durable::backup::schema_backups(&path).len(), 1);
            assert!(no_draft_in(folder.path()));
        }
    }

    #[test]
    fn a_newer_schema_is_refused_before_anything_is_touched() {
        for newer in ["PRAGMA user_version = 99", "UPDATE meta SET min_writer = 99"] {
            let (_folder, path) = path();
            prepare(&path, PATIENCE).unwrap();
            Connection::open(&path, false).unwrap().script(newer).unwrap();
            let before = std::fs::read(&path).unwrap();
            assert_eq!(prepare(&path, PATIENCE).map(drop).unwrap_err().kind, ErrorKind::Schema);
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }

    #[test]
    fn a_foreign_file_is_refused_and_left_unchanged() {
        let (_folder, path) = path();
        Connection::open(&path, true).unwrap().script("CREATE TABLE theirs (value)").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert_eq!(prepare(&path, PATIENCE).map(drop).unwrap_err().kind, ErrorKind::Schema);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::write(&path, vec![7; 8_192]).unwrap();
        assert_eq!(prepare(&path, PATIENCE).map(drop).unwrap_err().kind, ErrorKind::Schema);
    }
}
