//! The snapshot of an open store: which one is used, and when it is written or deleted.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::durable::Durable;
use crate::error::StorageError;
use crate::snapshot::{
    self, Doubt, Section, SectionVersion, SnapshotHeader, SnapshotOwner, may_replace, snapshot_path,
};

/// The state of the snapshot beside a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotState {
    /// The number of the newest change in the file; `None` if no process of this version can use it.
    pub sequence: Option<i64>,
    pub bytes: u64,
    /// The number up to which this process read it instead of the log; `None` if it read the log from its start.
    pub used: Option<i64>,
    /// Why there is no usable file, or why the last one could not be written.
    pub problem: Option<String>,
}

/// The snapshot beside a store, as this process uses it.
pub(crate) struct Snapshots {
    /// `None` if none is wanted.
    path: Option<PathBuf>,
    database: PathBuf,
    state: Mutex<Used>,
}

/// The use that this process made of snapshots.
#[derive(Debug, Default)]
struct Used {
    sequence: Option<i64>,
    /// Why the content of the file cannot be used, although the file belongs to the store.
    doubt: Option<String>,
    /// Why the last one could not be written or deleted.
    failure: Option<String>,
}

impl Snapshots {
    pub(crate) fn new(database: &Path, is_wanted: bool) -> Self {
        let path = is_wanted.then(|| snapshot_path(database));
        Self { path, database: database.to_owned(), state: Mutex::default() }
    }

    /// Returns a section; `None` on any doubt. A snapshot from before a removal is deleted, because it holds what was
    /// removed: the caller follows the log from there.
    pub(crate) fn read(&self, durable: &Durable, name: &str, version: SectionVersion) -> Option<Section> {
        let path = self.path.as_ref()?;
        let (header, mut file) = open(path, durable).ok()?;
        let section = match header.section(&mut file, name, version) {
            Ok(section) => section,
            Err(doubt) => {
                self.doubt(&doubt.reason());
                return None;
            }
        };
        if has_removals(durable, header.oldest()) {
            self.remove();
        }
        self.lock().sequence = Some(section.sequence);
        Some(section)
    }

    /// Replaces the snapshot; says whether a new one is there.
    pub(crate) fn write(&self, durable: &Durable, sections: Vec<Section>) -> bool {
        let Some(path) = &self.path else { return false };
        match self.replace(path, durable, sections) {
            Ok(is_there) => {
                let mut used = self.lock();
                (used.doubt, used.failure) = (None, None);
                is_there
            }
            Err(doubt) => {
                self.lock().failure = Some(doubt.reason());
                false
            }
        }
    }

    fn replace(&self, path: &Path, durable: &Durable, mut sections: Vec<Section>) -> Result<bool, Doubt> {
        if !may_replace(path) {
            return Err(Doubt::Foreign);
        }
        let names: Vec<String> = sections.iter().map(|section| section.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Ok((header, mut file)) = open(path, durable)
            && !has_removals(durable, header.oldest())
        {
            sections.extend(header.sections_beside(&mut file, &names).unwrap_or_default());
        }
        let Some(oldest) = sections.iter().map(|section| section.sequence).min() else { return Ok(false) };
        let sequence = sections.iter().map(|section| section.sequence).max().unwrap_or(oldest);
        let history = durable.history(sequence).map_err(|error| Doubt::Unreadable(error.message))?;
        let history = history.ok_or(Doubt::OtherHistory)?;
        let owner = SnapshotOwner { uuid: durable.uuid(), schema: durable.schema(), sequence, history };
        if has_removals(durable, oldest) {
            return Ok(false);
        }
        snapshot::write(path, &self.database, &owner, &sections)
            .map_err(|error| Doubt::Unwritten(error.to_string()))?;
        // A removal commits and then deletes the file. One that committed before the new file was there has deleted the
        // old one perhaps; one that commits after this look deletes the new one.
        let is_clean = !has_removals(durable, oldest);
        if !is_clean {
            self.remove();
        }
        Ok(is_clean)
    }

    /// Deletes the snapshot, because it holds the content of an episode that was removed.
    pub(crate) fn remove(&self) {
        if let Err(error) = snapshot::remove(&snapshot_path(&self.database)) {
            self.lock().failure = Some(format!("it cannot be deleted: {error}"));
        }
    }

    /// Deletes a snapshot from before a removal: the process that removed the episode may have been interrupted.
    pub(crate) fn remove_outlived(&self, durable: &Durable) {
        let found = self.path.as_ref().map(|path| SnapshotHeader::open(path));
        if let Some(Ok((header, _))) = found
            && header.owner.uuid == durable.uuid()
            && has_removals(durable, header.oldest())
        {
            self.remove();
        }
    }

    /// Notes why the content of the file cannot be used.
    pub(crate) fn doubt(&self, reason: &str) {
        let mut used = self.lock();
        used.sequence = None;
        used.doubt = Some(reason.to_owned());
    }

    pub(crate) fn state(&self, durable: &Durable) -> SnapshotState {
        let (used, doubt, failure) = {
            let used = self.lock();
            (used.sequence, used.doubt.clone(), used.failure.clone())
        };
        let Some(path) = &self.path else {
            return SnapshotState { problem: Some("none is wanted".to_owned()), ..SnapshotState::default() };
        };
        match open(path, durable) {
            Ok((header, _)) if doubt.is_none() => SnapshotState {
                sequence: Some(header.owner.sequence),
                bytes: header.bytes,
                used,
                problem: failure,
            },
            Ok(_) => SnapshotState { problem: doubt, ..SnapshotState::default() },
            Err(found) => {
                let problem = Some(failure.unwrap_or_else(|| found.reason()));
                SnapshotState { used, problem, ..SnapshotState::default() }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a snapshot that belongs to this store and to its history.
fn open(path: &Path, durable: &Durable) -> Result<(SnapshotHeader, std::fs::File), Doubt> {
    let (header, file) = SnapshotHeader::open(path)?;
    let SnapshotOwner { uuid, schema, sequence, history } = header.owner;
    if uuid != durable.uuid() {
        return Err(Doubt::OtherStore);
    }
    if schema != durable.schema() {
        return Err(Doubt::OtherVersion);
    }
    let unreadable = |error: StorageError| Doubt::Unreadable(error.message);
    if durable.is_pruned(header.oldest()).map_err(unreadable)? {
        return Err(Doubt::BehindHorizon);
    }
    match durable.history(sequence).map_err(unreadable)? {
        Some(found) if found == history => Ok((header, file)),
        _ => Err(Doubt::OtherHistory),
    }
}

/// Returns true if an episode was removed after this change, or if that is unknown.
fn has_removals(durable: &Durable, since: i64) -> bool {
    !matches!(durable.removals(since), Ok((Some(removed), _)) if removed.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::example::{
        close, commit, commit_each, open as open_store, options, put, removal, side_record,
    };
    use crate::{Batch, Options, Store};

    const VERSION: SectionVersion = SectionVersion { image: 1, text: 2 };

    fn section(store: &Store, name: &str, text: &str) -> Section {
        let sequence = store.sequence().unwrap();
        Section { name: name.to_owned(), version: VERSION, sequence, bytes: text.as_bytes().to_vec() }
    }

    fn file(folder: &Path) -> PathBuf {
        folder.join("store.db.index")
    }

    fn read(store: &Store) -> Option<Vec<u8>> {
        store.read_snapshot("index", VERSION).unwrap().map(|section| section.bytes)
    }

    fn problem(store: &Store) -> String {
        store.snapshot().unwrap().problem.unwrap_or_default()
    }

    /// A folder with a store of a few episodes and its snapshot.
    fn with_snapshot() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path());
        commit_each(&store, 0..5, put);
        assert!(store.write_snapshot(vec![section(&store, "index", "what was worked out")]).unwrap());
        (folder, store)
    }

    #[test]
    fn another_process_reads_what_was_written() {
        let (folder, store) = with_snapshot();
        commit(&store, put(9)).unwrap();
        let other = open_store(folder.path());
        let found = other.read_snapshot("index", VERSION).unwrap().unwrap();
        assert_eq!((found.sequence, found.bytes.as_slice()), (5, "what was worked out".as_bytes()));
        let state = other.snapshot().unwrap();
        let bytes = fs::metadata(file(folder.path())).unwrap().len();
        assert_eq!(state, SnapshotState { sequence: Some(5), bytes, used: Some(5), problem: None });
        assert_eq!(store.snapshot().unwrap().used, None);
        assert_eq!(other.read_snapshot("other", VERSION).unwrap(), None);
    }

    #[test]
    fn a_section_of_another_version_is_not_read() {
        let (_folder, store) = with_snapshot();
        for version in [SectionVersion { image: 2, ..VERSION }, SectionVersion { text: 1, ..VERSION }] {
            assert_eq!(store.read_snapshot("index", version).unwrap(), None);
        }
        assert_eq!(problem(&store), "another version of tacit wrote it");
    }

    #[test]
    fn a_file_with_any_byte_flipped_or_missing_is_not_read() {
        let (folder, store) = with_snapshot();
        let path = file(folder.path());
        let whole = fs::read(&path).unwrap();
        let damaged = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            assert_eq!(read(&store), None);
        };
        for at in 0..whole.len() {
            damaged(&whole[..at]);
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            damaged(&flipped);
        }
        damaged(&[whole.as_slice(), b"more"].concat());
        damaged(&vec![0; whole.len()]);
        fs::write(&path, &whole).unwrap();
        assert!(read(&store).is_some());
    }

    #[test]
    fn a_length_beyond_the_file_takes_no_memory() {
        let (folder, store) = with_snapshot();
        let path = file(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        assert_eq!((read(&store), problem(&store).as_str()), (None, "it is damaged"));
    }

    #[test]
    fn a_damaged_or_empty_file_is_replaced_by_the_next_snapshot() {
        let (folder, store) = with_snapshot();
        let path = file(folder.path());
        for left in ["", "tacit-ix and then something else"] {
            fs::write(&path, left).unwrap();
            assert!(store.write_snapshot(vec![section(&store, "index", "new")]).unwrap());
            assert_eq!(read(&store).unwrap(), b"new");
        }
    }

    #[test]
    fn another_kind_of_file_is_left_as_it_is() {
        let (folder, store) = with_snapshot();
        let path = file(folder.path());
        for theirs in ["a thesis", "tacit", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
            fs::write(&path, theirs).unwrap();
            assert_eq!(read(&store), None);
            assert!(!store.write_snapshot(vec![section(&store, "index", "new")]).unwrap());
            assert!(problem(&store).starts_with("another kind of file"));
            commit(&store, put(20)).unwrap();
            commit(&store, removal(20)).unwrap();
            assert_eq!(fs::read(&path).unwrap(), theirs.as_bytes());
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(read(&store), None);
        assert!(!store.write_snapshot(vec![section(&store, "index", "new")]).unwrap());
    }

    #[test]
    fn the_snapshot_of_another_store_is_not_read() {
        let (folder, _store) = with_snapshot();
        let (other_folder, other) = with_snapshot();
        fs::copy(file(folder.path()), file(other_folder.path())).unwrap();
        assert_eq!((read(&other), problem(&other).as_str()), (None, "it belongs to another store"));
    }

    #[test]
    fn a_snapshot_ahead_of_a_restored_store_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path());
        commit_each(&store, 0..5, put);
        let backup = folder.path().join("backup.db");
        store.back_up(&backup).unwrap();
        commit_each(&store, 5..8, put);
        assert!(store.write_snapshot(vec![section(&store, "index", "of eight")]).unwrap());
        close(&store);
        for later in [0u64, 2, 3, 4] {
            let restored = folder.path().join(format!("restored-{later}.db"));
            fs::copy(&backup, &restored).unwrap();
            let copy = Store::open(&Options { path: restored.clone(), ..options(folder.path()) }).unwrap();
            // The restored store goes another way, and becomes as long as the one of the snapshot, or longer.
            commit_each(&copy, 30..30 + later, put);
            for number in 0..later {
                let mut batch = Batch::default();
                batch.side_record(&side_record(number, Some(b"same"))).unwrap();
                commit(&copy, batch).unwrap();
            }
            fs::copy(file(folder.path()), folder.path().join(format!("restored-{later}.db.index"))).unwrap();
            assert_eq!(
                (read(&copy), problem(&copy).contains("does not have")),
                (None, true),
                "{later} later"
            );
        }
    }

    #[test]
    fn a_snapshot_whose_next_changes_were_pruned_is_not_read() {
        let (_folder, store) = with_snapshot();
        commit_each(&store, 10..14, put);
        commit(&store, removal(10)).unwrap();
        assert!(!file(_folder.path()).exists());
        assert!(store.write_snapshot(vec![section(&store, "index", "new")]).unwrap());
        commit_each(&store, 14..18, put);
        store.compact(0).unwrap();
        assert_eq!((read(&store), problem(&store).contains("pruned")), (None, true));
    }

    #[test]
    fn a_removal_deletes_the_snapshot_and_every_draft() {
        let (folder, store) = with_snapshot();
        let draft = folder.path().join("store.db.index.123-4.tmp");
        fs::write(&draft, "half a snapshot").unwrap();
        let bystander = folder.path().join("store.db.index.notes.tmp");
        fs::write(&bystander, "theirs").unwrap();
        commit(&store, removal(2)).unwrap();
        assert!(!file(folder.path()).exists() && !draft.exists() && bystander.exists());
    }

    #[test]
    fn a_store_that_keeps_no_snapshot_deletes_one_that_holds_a_removed_episode() {
        let (folder, store) = with_snapshot();
        let without = Store::open(&Options { has_snapshot: false, ..options(folder.path()) }).unwrap();
        assert_eq!(read(&without), None);
        assert!(!without.write_snapshot(vec![section(&without, "index", "new")]).unwrap());
        assert!(read(&store).is_some());
        commit(&without, removal(2)).unwrap();
        assert!(!file(folder.path()).exists());
    }

    #[test]
    fn a_snapshot_from_before_a_removal_is_read_once_and_deleted() {
        let (folder, store) = with_snapshot();
        let kept = fs::read(file(folder.path())).unwrap();
        commit(&store, removal(2)).unwrap();
        // As after a crash between the commit and the deletion.
        fs::write(file(folder.path()), kept).unwrap();
        let other = open_store(folder.path());
        assert!(read(&other).is_some());
        assert!(!file(folder.path()).exists());
    }

    #[test]
    fn closing_deletes_a_snapshot_that_outlived_a_removal() {
        let (folder, store) = with_snapshot();
        let kept = fs::read(file(folder.path())).unwrap();
        commit(&store, removal(2)).unwrap();
        fs::write(file(folder.path()), kept).unwrap();
        close(&store);
        assert!(!file(folder.path()).exists());
    }

    #[test]
    fn a_snapshot_whose_content_is_of_no_use_counts_as_none_until_it_is_replaced() {
        let (_folder, store) = with_snapshot();
        store.doubt_snapshot("it is for another embedder").unwrap();
        let state = store.snapshot().unwrap();
        assert_eq!((state.sequence, state.problem.as_deref()), (None, Some("it is for another embedder")));
        assert!(store.write_snapshot(vec![section(&store, "index", "new")]).unwrap());
        assert_eq!(store.snapshot().unwrap().sequence, Some(5));
    }

    #[test]
    fn an_index_that_lacks_a_removal_writes_no_snapshot() {
        let (folder, store) = with_snapshot();
        let late = section(&store, "index", "of before the removal");
        commit(&open_store(folder.path()), removal(2)).unwrap();
        assert!(!store.write_snapshot(vec![late]).unwrap());
        assert!(!file(folder.path()).exists());
    }

    #[test]
    fn sections_of_other_names_stay_until_an_episode_is_removed() {
        let (_folder, store) = with_snapshot();
        let names = |store: &Store| {
            ["index", "advice"].map(|name| store.read_snapshot(name, VERSION).unwrap().is_some())
        };
        assert!(store.write_snapshot(vec![section(&store, "advice", "models")]).unwrap());
        assert_eq!(names(&store), [true, true]);
        commit(&store, put(8)).unwrap();
        assert!(store.write_snapshot(vec![section(&store, "index", "newer")]).unwrap());
        assert_eq!((names(&store), read(&store).unwrap().as_slice()), ([true, true], b"newer".as_slice()));
        commit(&store, removal(8)).unwrap();
        assert!(store.write_snapshot(vec![section(&store, "index", "newest")]).unwrap());
        assert_eq!(names(&store), [true, false]);
    }

    #[cfg(unix)]
    #[test]
    fn a_snapshot_is_private_and_no_wider_than_its_database() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, store) = with_snapshot();
        let database = folder.path().join("store.db");
        for (of_database, expected) in [(0o644, 0o600), (0o666, 0o600), (0o400, 0o400)] {
            fs::set_permissions(&database, PermissionsExt::from_mode(of_database)).unwrap();
            assert!(store.write_snapshot(vec![section(&store, "index", "new")]).unwrap());
            let mode = fs::metadata(file(folder.path())).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, expected);
        }
    }

    #[test]
    fn abandoned_drafts_are_deleted_and_one_that_is_being_written_stays() {
        let (folder, store) = with_snapshot();
        let drafts = [1, 2].map(|number| folder.path().join(format!("store.db.index.99999-{number}.tmp")));
        drafts.iter().for_each(|draft| fs::write(draft, "half").unwrap());
        let writing = fs::File::open(&drafts[1]).unwrap();
        writing.lock().unwrap();
        assert!(store.write_snapshot(vec![section(&store, "index", "new")]).unwrap());
        assert_eq!(drafts.map(|draft| draft.exists()), [false, true]);
    }

    #[test]
    fn several_stores_that_write_at_once_leave_one_whole_snapshot() {
        let (folder, store) = with_snapshot();
        let stores: Vec<Store> = (0..3).map(|_| open_store(folder.path())).collect();
        let start = std::sync::Barrier::new(stores.len());
        std::thread::scope(|scope| {
            for (number, one) in stores.iter().enumerate() {
                let (start, text) = (&start, number.to_string().repeat(50_000));
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..5 {
                        assert!(one.write_snapshot(vec![section(one, "index", &text)]).unwrap());
                        assert!(read(one).is_some());
                    }
                });
            }
        });
        let bytes = read(&store).unwrap();
        assert_eq!((bytes.len(), bytes.iter().all(|byte| *byte == bytes[0])), (50_000, true));
        assert!(
            fs::read_dir(folder.path())
                .unwrap()
                .all(|entry| { !entry.unwrap().file_name().to_string_lossy().ends_with(".tmp") })
        );
    }
}
