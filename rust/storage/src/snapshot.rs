//! The snapshot beside a store: what the processes of a store work out of its whole log, so that the next one need not
//! read the log from its start.
//!
//! The file is disposable. It is thrown away on any doubt: if it is torn or flipped, of another version or another
//! store, or of a history that this store does not have. It is read into memory and compared with its checksums before
//! anything is taken from it, and it is not mapped: a file that is truncated or replaced meanwhile is a failed read, and
//! kills nobody.
//!
//! Layout, with little-endian numbers:
//! ```text
//! "tacit-ix", the length of the header, the header, the header's checksum, the sections one after another
//! header: format, version of tacit, uuid of the store, schema, newest sequence, history,
//!         and of each section its name, its versions, its sequence, its length and its checksum
//! ```
//! A section is the state of one follower of the change log, up to a sequence of its own.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tacit_kernels::facts::Id;
use tacit_kernels::image::{Image, ImageReader, read_text, write_text};
use tacit_kernels::msgpack::Malformed;
use xxhash_rust::xxh3::xxh3_64;

use crate::files;

/// The first bytes of every snapshot.
const MAGIC: &[u8; 8] = b"tacit-ix";
/// The version of the layout.
const FORMAT: u32 = 1;
/// Limits of a file that is read: bytes that break them are no snapshot.
const LONGEST_HEADER: u64 = 1 << 16;
const LARGEST_FILE: u64 = 1 << 36;

/// The state of one follower of the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub name: String,
    pub version: SectionVersion,
    /// The number of the last change that the state contains.
    pub sequence: i64,
    pub bytes: Vec<u8>,
}

/// The versions of a section: of its bytes, and of the text functions that it was worked out by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionVersion {
    pub image: u32,
    pub text: u32,
}

/// The reason why a snapshot is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doubt {
    Absent,
    /// Another kind of file has the name: it is left as it is.
    Foreign,
    Unreadable(String),
    Unwritten(String),
    Damaged,
    OtherVersion,
    OtherStore,
    /// The store's history does not contain it.
    OtherHistory,
    /// The changes that it lacks were pruned.
    BehindHorizon,
}

impl Doubt {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Absent => "there is none",
            Self::Foreign => "another kind of file has its name and is left as it is",
            Self::Unreadable(error) => return format!("it cannot be read: {error}"),
            Self::Unwritten(error) => return format!("it cannot be written: {error}"),
            Self::Damaged => "it is damaged",
            Self::OtherVersion => "another version of tacit wrote it",
            Self::OtherStore => "it belongs to another store",
            Self::OtherHistory => "it contains changes that the store does not have",
            Self::BehindHorizon => "changes that it lacks were pruned from the log",
        }
        .to_owned()
    }
}

impl From<Malformed> for Doubt {
    fn from(_: Malformed) -> Self {
        Self::Damaged
    }
}

impl From<std::io::Error> for Doubt {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Absent,
            ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

/// The store and the point in its history that a snapshot belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SnapshotOwner {
    pub(crate) uuid: Id,
    pub(crate) schema: i64,
    /// The largest sequence of a section.
    pub(crate) sequence: i64,
    /// Stands for the changes up to there.
    pub(crate) history: u64,
}

/// The head of one section.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SectionHead {
    name: String,
    version: SectionVersion,
    sequence: i64,
    bytes: u64,
    checksum: u64,
}

/// The header of a file whose name, format and checksum were verified.
#[derive(Debug)]
pub(crate) struct SnapshotHeader {
    pub(crate) owner: SnapshotOwner,
    /// The bytes of the whole file.
    pub(crate) bytes: u64,
    sections: Vec<SectionHead>,
    /// The place at which the first section begins.
    start: u64,
}

impl SnapshotHeader {
    /// Opens a snapshot and reads its header.
    pub(crate) fn open(path: &Path) -> Result<(Self, File), Doubt> {
        let mut file = File::open(path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() > LARGEST_FILE {
            return Err(Doubt::Foreign);
        }
        if found.len() == 0 {
            return Err(Doubt::Absent);
        }
        let mut start = Vec::new();
        (&mut file).take(16).read_to_end(&mut start)?;
        if !start.starts_with(MAGIC) {
            return Err(Doubt::Foreign);
        }
        let length = u64::read(&mut ImageReader::new(&start[8..]))?;
        if length > LONGEST_HEADER {
            return Err(Doubt::Damaged);
        }
        let header = read_exactly(&mut file, length)?;
        let checksum = read_exactly(&mut file, 8)?;
        if u64::read(&mut ImageReader::new(&checksum))? != xxh3_64(&header) {
            return Err(Doubt::Damaged);
        }
        let header = Self::decode(&header, 24 + length, found.len())?;
        Ok((header, file))
    }

    fn decode(header: &[u8], start: u64, bytes: u64) -> Result<Self, Doubt> {
        let mut input = ImageReader::new(header);
        let is_ours =
            u32::read(&mut input)? == FORMAT && *read_text(&mut input)? == *env!("CARGO_PKG_VERSION");
        if !is_ours {
            return Err(Doubt::OtherVersion);
        }
        let owner = SnapshotOwner {
            uuid: Image::read(&mut input)?,
            schema: Image::read(&mut input)?,
            sequence: Image::read(&mut input)?,
            history: Image::read(&mut input)?,
        };
        let count = input.count(40)?;
        let sections = (0..count).map(|_| SectionHead::read(&mut input)).collect::<Result<Vec<_>, _>>()?;
        input.end()?;
        let end = sections.iter().try_fold(start, |end, section| end.checked_add(section.bytes));
        if end == Some(bytes) { Ok(Self { owner, bytes, sections, start }) } else { Err(Doubt::Damaged) }
    }

    /// The smallest sequence of a section: every later change may be missing.
    pub(crate) fn oldest(&self) -> i64 {
        self.sections.iter().map(|section| section.sequence).min().unwrap_or(self.owner.sequence)
    }

    /// Reads the section of this name and version, and compares it with its checksum.
    pub(crate) fn section(
        &self,
        file: &mut File,
        name: &str,
        version: SectionVersion,
    ) -> Result<Section, Doubt> {
        let mut at = self.start;
        for head in &self.sections {
            if head.name == name {
                let is_alike = head.version == version;
                return if is_alike { head.load(file, at) } else { Err(Doubt::OtherVersion) };
            }
            at += head.bytes;
        }
        Err(Doubt::Absent)
    }

    /// Reads every section but those of these names.
    pub(crate) fn sections_beside(&self, file: &mut File, names: &[&str]) -> Result<Vec<Section>, Doubt> {
        let (mut at, mut found) = (self.start, Vec::new());
        for head in &self.sections {
            if !names.contains(&head.name.as_str()) {
                found.push(head.load(file, at)?);
            }
            at += head.bytes;
        }
        Ok(found)
    }
}

impl SectionHead {
    fn of(section: &Section) -> Self {
        Self {
            name: section.name.clone(),
            version: section.version,
            sequence: section.sequence,
            bytes: section.bytes.len() as u64,
            checksum: xxh3_64(&section.bytes),
        }
    }

    fn load(&self, file: &mut File, at: u64) -> Result<Section, Doubt> {
        std::io::Seek::seek(file, std::io::SeekFrom::Start(at))?;
        let bytes = read_exactly(file, self.bytes)?;
        if xxh3_64(&bytes) != self.checksum {
            return Err(Doubt::Damaged);
        }
        Ok(Section { name: self.name.clone(), version: self.version, sequence: self.sequence, bytes })
    }
}

impl Image for SectionHead {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(&self.name, out);
        self.version.image.write(out);
        self.version.text.write(out);
        self.sequence.write(out);
        self.bytes.write(out);
        self.checksum.write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            name: read_text(input)?.into(),
            version: SectionVersion { image: u32::read(input)?, text: u32::read(input)? },
            sequence: i64::read(input)?,
            bytes: u64::read(input)?,
            checksum: u64::read(input)?,
        })
    }
}

/// Reads so many bytes; a file that has fewer is damaged. Memory grows with the bytes that are there.
fn read_exactly(file: &mut File, count: u64) -> Result<Vec<u8>, Doubt> {
    let mut bytes = Vec::new();
    let there = file.metadata()?.len();
    bytes
        .try_reserve_exact(count.min(there) as usize)
        .map_err(|error| Doubt::Unreadable(error.to_string()))?;
    file.take(count).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == count { Ok(bytes) } else { Err(Doubt::Damaged) }
}

/// Returns the path of the snapshot of a store.
pub(crate) fn snapshot_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".index");
    PathBuf::from(name)
}

/// Returns true for an absent or empty file, and for one that begins like a snapshot: nothing else is replaced.
pub(crate) fn may_replace(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {
            let mut start = Vec::new();
            let read =
                File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
            read.is_ok() && (start.is_empty() || start == MAGIC)
        }
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// The number of drafts that are begun for one snapshot.
const DRAFTS_AT_MOST: usize = 4;

/// Numbers the drafts of this process.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

/// Puts a new snapshot in the place of the one at `path`, whole or not at all: it is written and synced under another
/// name first. Its owner alone may read it, and nobody who may not read the database.
pub(crate) fn write(
    path: &Path,
    database: &Path,
    owner: &SnapshotOwner,
    sections: &[Section],
) -> std::io::Result<()> {
    remove_abandoned_drafts(path);
    let mut written = write_once(path, database, owner, sections);
    for _ in 1..DRAFTS_AT_MOST {
        // Another process took the draft for abandoned in the moment before it was locked, or removed an episode.
        if !matches!(&written, Err(error) if error.kind() == ErrorKind::NotFound) {
            break;
        }
        written = write_once(path, database, owner, sections);
    }
    written
}

fn write_once(
    path: &Path,
    database: &Path,
    owner: &SnapshotOwner,
    sections: &[Section],
) -> std::io::Result<()> {
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{number}.tmp", std::process::id()));
    let draft = PathBuf::from(name);
    let written = write_draft(&draft, database, owner, sections).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn write_draft(
    draft: &Path,
    database: &Path,
    owner: &SnapshotOwner,
    sections: &[Section],
) -> std::io::Result<()> {
    let mut file = files::create_private(draft)?;
    // Held while the draft is written: another process takes it for abandoned otherwise.
    file.lock()?;
    files::narrow_to(&file, database)?;
    let header = encode_header(owner, sections);
    file.write_all(MAGIC)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    file.write_all(&xxh3_64(&header).to_le_bytes())?;
    sections.iter().try_for_each(|section| file.write_all(&section.bytes))?;
    file.sync_all()
}

fn encode_header(owner: &SnapshotOwner, sections: &[Section]) -> Vec<u8> {
    let mut header = Vec::new();
    FORMAT.write(&mut header);
    write_text(env!("CARGO_PKG_VERSION"), &mut header);
    owner.uuid.write(&mut header);
    owner.schema.write(&mut header);
    owner.sequence.write(&mut header);
    owner.history.write(&mut header);
    (sections.len() as u64).write(&mut header);
    sections.iter().for_each(|section| SectionHead::of(section).write(&mut header));
    header
}

/// Deletes the snapshot, and every draft of one, of whichever process. A file of another kind stays.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    drafts(path).iter().for_each(|draft| drop(fs::remove_file(draft)));
    match fs::symlink_metadata(path) {
        Ok(_) if may_replace(path) => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Deletes the drafts that nobody writes any more.
fn remove_abandoned_drafts(path: &Path) {
    for draft in drafts(path) {
        let is_abandoned = File::open(&draft).is_ok_and(|file| file.try_lock().is_ok());
        if is_abandoned {
            let _ = fs::remove_file(draft);
        }
    }
}

/// Returns the files beside a snapshot that have the name of a draft: its own, a process, a number and `tmp`.
fn drafts(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_draft = |entry: &fs::DirEntry| {
        let found = entry.file_name();
        let rest = found.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        let middle = rest.and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(b".tmp"));
        middle.is_some_and(|middle| {
            middle.contains(&b'-') && middle.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
        })
    };
    entries.flatten().filter(is_draft).map(|entry| entry.path()).collect()
}
