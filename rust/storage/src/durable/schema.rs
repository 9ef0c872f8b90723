//! Whose file it is and which schema it has; brings an older one up to date.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::durable::queries::{Connection, blob};
use crate::error::{ErrorKind, Result, StorageError};

/// "taci": what SQLite's header says about whose file this is.
const APPLICATION: i64 = 0x7461_6369;

/// Every schema there has been, oldest first. Add at the end; never edit what stands.
const MIGRATIONS: &[(&str, &str)] = &[
    ("001_experience", include_str!("schema/001_experience.sql")),
    ("002_note", include_str!("schema/002_note.sql")),
];

/// The schema that this version writes.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Refuses a file of somebody else's or of a newer tacit; creates or updates the schema of any other.
pub(crate) fn prepare(path: &Path, patience: Duration) -> Result<()> {
    let mut connection = Connection::open(path, true)?;
    connection.wait_for_others(patience)?;
    if connection.snapshot(version)? == NEWEST {
        return Ok(());
    }
    use_write_ahead_log(&mut connection, patience)?;
    migrate(&mut connection, MIGRATIONS)
}

/// The schema of the file; 0 where it is empty. Runs inside a transaction: another process may be initialising.
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
    if required <= NEWEST {
        Ok(version)
    } else {
        let message = format!("the store has schema {required}; this version of tacit knows up to {NEWEST}");
        Err(StorageError::schema(message))
    }
}

/// SQLite does not wait for the lock that this change needs, so we do.
fn use_write_ahead_log(connection: &mut Connection, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match connection.row("PRAGMA journal_mode = wal", vec![], |row| row.word(0)) {
            Ok(Some(mode)) if mode == "wal" => return Ok(()),
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(mode) => return Err(StorageError::internal(format!("the journal mode stays {mode:?}"))),
            Err(error) => return Err(error),
        }
    }
}

fn is_busy(error: &StorageError) -> bool {
    matches!(error.kind, ErrorKind::Unavailable { .. })
}

/// The claim and the change land together: two processes cannot both apply a migration.
fn migrate(connection: &mut Connection, migrations: &[(&str, &str)]) -> Result<()> {
    for (number, (name, sql)) in (1..).zip(migrations) {
        connection.transaction(|inner| {
            if version(inner)? >= number {
                return Ok(());
            }
            inner.script(sql)?;
            inner.execute("INSERT INTO migration VALUES (?, ?)", vec![number.into(), (*name).into()])?;
            if number == 1 {
                identify(inner)?;
            }
            inner.script(&format!("PRAGMA user_version = {number}"))
        })?;
    }
    Ok(())
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

    /// A file as each earlier version left it, with an episode's change in it.
    #[test]
    fn a_file_of_every_earlier_schema_is_brought_up_to_date_and_keeps_what_it_holds() {
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
    fn several_that_open_a_new_file_at_once_initialise_it_once() {
        let (_folder, path) = path();
        std::thread::scope(|scope| {
            let opened: Vec<_> = (0..4).map(|_| scope.spawn(|| prepare(&path, PATIENCE))).collect();
            for each in opened {
                each.join().unwrap().unwrap();
            }
        });
        let mut connection = Connection::open(&path, false).unwrap();
        assert_eq!(connection.number("SELECT count(*) FROM migration", vec![]).unwrap(), NEWEST);
    }

    #[test]
    fn a_newer_schema_is_refused_before_anything_is_touched() {
        for newer in ["PRAGMA user_version = 99", "UPDATE meta SET min_writer = 99"] {
            let (_folder, path) = path();
            prepare(&path, PATIENCE).unwrap();
            Connection::open(&path, false).unwrap().script(newer).unwrap();
            let before = std::fs::read(&path).unwrap();
            assert_eq!(prepare(&path, PATIENCE).unwrap_err().kind, ErrorKind::Schema);
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }

    #[test]
    fn a_file_of_somebody_elses_is_refused_and_left_as_it_was() {
        let (_folder, path) = path();
        Connection::open(&path, true).unwrap().script("CREATE TABLE theirs (value)").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert_eq!(prepare(&path, PATIENCE).unwrap_err().kind, ErrorKind::Schema);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::write(&path, vec![7; 8_192]).unwrap();
        assert_eq!(prepare(&path, PATIENCE).unwrap_err().kind, ErrorKind::Schema);
    }
}
