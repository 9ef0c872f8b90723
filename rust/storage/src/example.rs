//! Small valid values for the tests of this crate.

use std::path::Path;
use std::time::Duration;

use tacit_kernels::facts::{Fact, Id, PatternContent, encode_contents, encode_facts};
use tacit_kernels::lru::LruLimits;
use tacit_kernels::trajectory::Complexity;

use crate::{
    Batch, CacheFile, Durability, EpisodeRecord, EpisodeState, Options, Receipt, RecordKind, Result,
    SideRecord, Store,
};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn id(number: u64) -> Id {
    let mut id = [0x70; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// Packed facts about pattern `number`, with its packed content.
pub(crate) fn taught(number: u64, successes: f64) -> (Vec<u8>, Vec<u8>) {
    let fact = Fact { pattern: id(number), kind: 0, occurrences: 3, successes };
    let content = PatternContent { pattern: id(number), kind: 0, content: vec![0x90] };
    (encode_facts(&[fact]), encode_contents(&[content]))
}

/// An episode that differs from others in id, content and time.
pub(crate) fn episode<'a>(number: u64, payload: &'a [u8], facts: &'a [u8]) -> EpisodeRecord<'a> {
    EpisodeRecord {
        id: id(number),
        namespace: "default",
        external_id: None,
        digest: id(number),
        task_key: None,
        domain: "retail",
        agent: None,
        complexity: Complexity::Simple,
        state: EpisodeState::Learned,
        started_at: 0,
        ended_at: number as i64 * 86_400_000_000,
        base: Some(1.0),
        payload,
        facts,
        embedder: None,
        embedding: &[],
    }
}

/// A batch of one plain episode.
pub(crate) fn put(number: u64) -> Batch {
    let (facts, contents) = taught(number % 3, 1.0);
    let mut batch = Batch::default();
    batch.put(&episode(number, &number.to_be_bytes(), &facts), &contents).unwrap();
    batch
}

/// A batch of one episode with another content than `put(number)`.
pub(crate) fn contradiction(number: u64) -> Batch {
    let mut batch = Batch::default();
    batch.put(&EpisodeRecord { digest: [9; 16], ..episode(number, &[], &[]) }, &[]).unwrap();
    batch
}

pub(crate) fn removal(number: u64) -> Batch {
    let mut batch = Batch::default();
    batch.remove(id(number));
    batch
}

/// A heuristic, or its deletion.
pub(crate) fn side_record(number: u64, record: Option<&[u8]>) -> SideRecord<'_> {
    SideRecord { kind: RecordKind::Heuristic, id: id(number), namespace: "default", subject: None, record }
}

pub(crate) fn options(folder: &Path) -> Options {
    Options {
        path: folder.join("store.db"),
        read_only: false,
        durability: Durability::Fast,
        readers: 2,
        busy_timeout: Duration::from_secs(5),
        cache: LruLimits::default(),
        cache_file: CacheFile::NextToDatabase,
        has_snapshot: true,
    }
}

pub(crate) fn open(folder: &Path) -> Store {
    Store::open(&options(folder)).unwrap()
}

pub(crate) fn commit(store: &Store, batch: Batch) -> Result<Receipt> {
    store.submit(batch)?.wait(PATIENCE).expect("the writer answers")
}

/// Commits one batch for each number.
pub(crate) fn commit_each(store: &Store, numbers: std::ops::Range<u64>, batch: impl Fn(u64) -> Batch) {
    for number in numbers {
        commit(store, batch(number)).unwrap();
    }
}

pub(crate) fn close(store: &Store) {
    assert!(store.close(PATIENCE));
}
