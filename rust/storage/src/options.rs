//! The options of a store.

use std::path::PathBuf;
use std::time::Duration;

use tacit_kernels::lru::LruLimits;

use crate::error::{Result, StorageError};

/// The options that [`crate::Store::open`] takes.
#[derive(Debug, Clone)]
pub struct Options {
    pub path: PathBuf,
    /// True for a store that is only read: the file may lie in a place that takes no writes.
    pub read_only: bool,
    pub durability: Durability,
    /// The number of connections that read at the same time.
    pub readers: usize,
    /// The longest wait for a lock of another process.
    pub busy_timeout: Duration,
    /// The limits of the values that stay in memory after a read.
    pub cache: LruLimits,
    pub cache_file: CacheFile,
    /// True if a snapshot of what is worked out of the log lies beside the database. The file is disposable.
    pub has_snapshot: bool,
}

/// The place of the cache that outlives the process. The file is disposable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheFile {
    None,
    /// The store's own path with `-cache` appended.
    NextToDatabase,
    At(PathBuf),
}

/// The failures that an acknowledged commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power.
    Durable,
    /// The death of the process. The loss of power may cost the last commits, never the file.
    Fast,
}

impl Durability {
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "durable" => Ok(Self::Durable),
            "fast" => Ok(Self::Fast),
            _ => Err(StorageError::invalid("durability", "durable or fast", name)),
        }
    }
}

/// One value of [`crate::Store::stats`].
#[derive(Debug, Clone, PartialEq)]
pub enum StatValue {
    Int(i64),
    Float(f64),
    Text(String),
}
