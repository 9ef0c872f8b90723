//! The entries of the change log.

use tacit_kernels::facts::Id;

use crate::episode_record::EpisodeRecord;
use crate::error::{Result, StorageError};
use crate::record::{self, RecordKind};
use crate::side_record::SideRecord;

/// The operations of the change log. The numbers are part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    Put = 0,
    Remove = 1,
    /// A side record was written or deleted.
    SideRecord = 2,
    /// A pattern left a namespace. Caches follow it; [`crate::Store::changes`] leaves it out.
    DropPattern = 3,
}

impl Op {
    pub fn name(self) -> &'static str {
        match self {
            Op::Put => "put",
            Op::Remove => "remove",
            Op::SideRecord => "side_record",
            Op::DropPattern => "drop_pattern",
        }
    }

    pub(crate) fn from_number(number: i64) -> Result<Self> {
        match number {
            0 => Ok(Op::Put),
            1 => Ok(Op::Remove),
            2 => Ok(Op::SideRecord),
            3 => Ok(Op::DropPattern),
            _ => Err(StorageError::corrupt(format!("a change has the unknown operation {number}"))),
        }
    }
}

/// A point in the history of a store: the number of a change, and the id that it concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LogPosition {
    pub(crate) sequence: i64,
    pub(crate) id: Id,
}

/// One entry of the change log. Its bytes were verified when they were read.
#[derive(Debug, Clone)]
pub struct Change {
    pub sequence: i64,
    pub op: Op,
    pub id: Id,
    kind: RecordKind,
    record: Vec<u8>,
}

impl Change {
    pub(crate) fn put(sequence: i64, id: Id, record: Vec<u8>) -> Result<Self> {
        EpisodeRecord::decode(&id, &record)?;
        Ok(Self { sequence, op: Op::Put, id, kind: RecordKind::Episode, record })
    }

    pub(crate) fn remove(sequence: i64, id: Id) -> Self {
        Self { sequence, op: Op::Remove, id, kind: RecordKind::Episode, record: Vec::new() }
    }

    pub(crate) fn side_record_of(sequence: i64, kind: RecordKind, id: Id, record: Vec<u8>) -> Result<Self> {
        SideRecord::decode(kind, &id, &record)?;
        Ok(Self { sequence, op: Op::SideRecord, id, kind, record })
    }

    /// Returns the episode of a put.
    pub fn episode(&self) -> Option<EpisodeRecord<'_>> {
        let value = self.record.get(record::HEADER..).filter(|_| self.op == Op::Put)?;
        EpisodeRecord::decode_value(self.id, value).ok()
    }

    /// Returns the side record that was written or deleted.
    pub fn side_record(&self) -> Option<SideRecord<'_>> {
        let value = self.record.get(record::HEADER..).filter(|_| self.op == Op::SideRecord)?;
        SideRecord::decode_value(self.kind, self.id, value).ok()
    }
}

/// A stretch of the change log, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub rows: Vec<Change>,
    /// The number up to which the log was read: the next call asks from here.
    pub last: i64,
    /// The horizon of the log when the stretch was read. A reader that began at 0 hands it on with its next call.
    pub horizon: i64,
}
