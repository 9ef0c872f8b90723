//! The frame of a record: version, hash and value.
//!
//! A frame is 14 bytes and the value: version, kind, length of the value (u32), hash (u64), all little-endian.
//! The hash covers the value, the header and the id of the row, so that it detects a flipped bit as well as a
//! value that was moved under another id.

use tacit_kernels::facts::Id;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::error::{Result, StorageError};

pub(crate) const VERSION: u8 = 1;
pub(crate) const HEADER: usize = 14;

/// The kinds of records. The numbers are part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordKind {
    Episode = 1,
    Pattern = 2,
    Embedding = 3,
    Receipt = 4,
    Credit = 5,
    Heuristic = 6,
    Cluster = 7,
    Audit = 8,
    Merge = 9,
    Retirement = 10,
    Promotion = 11,
    OpenEpisode = 12,
    StepBatch = 13,
    Claim = 14,
}

impl RecordKind {
    pub const ALL: [RecordKind; 14] = [
        RecordKind::Episode,
        RecordKind::Pattern,
        RecordKind::Embedding,
        RecordKind::Receipt,
        RecordKind::Credit,
        RecordKind::Heuristic,
        RecordKind::Cluster,
        RecordKind::Audit,
        RecordKind::Merge,
        RecordKind::Retirement,
        RecordKind::Promotion,
        RecordKind::OpenEpisode,
        RecordKind::StepBatch,
        RecordKind::Claim,
    ];

    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            StorageError::invalid("kind", "episode, pattern, embedding or a kind of side record", name)
        })
    }

    pub(crate) fn from_number(number: i64) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| *kind as i64 == number);
        found.ok_or_else(|| StorageError::corrupt(format!("a record of the unknown kind {number}")))
    }

    /// Returns true for a kind that is kept beside the episodes and may be replaced and deleted.
    pub fn is_side_record(self) -> bool {
        !matches!(self, RecordKind::Episode | RecordKind::Pattern | RecordKind::Embedding)
    }

    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Episode => "episode",
            RecordKind::Pattern => "pattern",
            RecordKind::Embedding => "embedding",
            RecordKind::Receipt => "receipt",
            RecordKind::Credit => "credit",
            RecordKind::Heuristic => "heuristic",
            RecordKind::Cluster => "cluster",
            RecordKind::Audit => "audit",
            RecordKind::Merge => "merge",
            RecordKind::Retirement => "retirement",
            RecordKind::Promotion => "promotion",
            RecordKind::OpenEpisode => "open_episode",
            RecordKind::StepBatch => "step_batch",
            RecordKind::Claim => "claim",
        }
    }

    /// The limit of one value in bytes.
    pub fn limit(self) -> usize {
        match self {
            RecordKind::Episode | RecordKind::StepBatch => 10 << 20,
            RecordKind::Heuristic => 100 << 10,
            _ => 1 << 20,
        }
    }

    /// Refuses a value above the limit of its kind.
    pub fn check(self, bytes: usize) -> Result<()> {
        if bytes <= self.limit() {
            Ok(())
        } else {
            Err(StorageError::too_large(self.name(), self.limit(), bytes))
        }
    }
}

/// Frames `value` for storage under `id`.
pub(crate) fn frame(kind: RecordKind, id: &Id, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + value.len());
    begin(&mut bytes);
    bytes.extend_from_slice(value);
    finish(kind, id, bytes)
}

/// Leaves room for the header; the bytes that are appended after it become the value.
pub(crate) fn begin(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&[0; HEADER]);
}

/// Fills in the header of a frame that [`begin`] started.
pub(crate) fn finish(kind: RecordKind, id: &Id, mut bytes: Vec<u8>) -> Vec<u8> {
    let length = (bytes.len() - HEADER) as u32;
    let hash = hash_of(kind as u8, id, length, &bytes[HEADER..]);
    bytes[0] = VERSION;
    bytes[1] = kind as u8;
    bytes[2..6].copy_from_slice(&length.to_le_bytes());
    bytes[6..HEADER].copy_from_slice(&hash.to_le_bytes());
    bytes
}

/// Returns the value of a frame, if its hash is that of a `kind` stored under `id`.
pub(crate) fn open<'a>(kind: RecordKind, id: &Id, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let damaged = || StorageError::corrupt(format!("the {} {} is damaged", kind.name(), hexadecimal(id)));
    let (header, value) = bytes.split_at_checked(HEADER).ok_or_else(damaged)?;
    let expected = hash_of(kind as u8, id, value.len() as u32, value);
    let intact = header[0] == VERSION
        && header[1] == kind as u8
        && header[2..6] == (value.len() as u32).to_le_bytes()
        && header[6..] == expected.to_le_bytes();
    if intact { Ok(value) } else { Err(damaged()) }
}

/// Refuses a name that is no namespace.
pub(crate) fn check_namespace(name: &str) -> Result<()> {
    if (1..=128).contains(&name.chars().count()) {
        return Ok(());
    }
    Err(StorageError::invalid("namespace", "1 to 128 characters", name))
}

fn hash_of(kind: u8, id: &Id, length: u32, value: &[u8]) -> u64 {
    let mut address = [0; 22];
    address[0] = VERSION;
    address[1] = kind;
    address[2..6].copy_from_slice(&length.to_le_bytes());
    address[6..].copy_from_slice(id);
    xxh3_64_with_seed(value, xxh3_64(&address))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: Id = [7; 16];

    #[test]
    fn opening_detects_every_single_bit_flip() {
        for length in [0, 1, 3, 16, 17, 128, 129, 240, 241, 1_100] {
            let value: Vec<u8> = (0..length).map(|each| (each * 31 % 251) as u8).collect();
            let framed = frame(RecordKind::Episode, &ID, &value);
            for bit in 0..framed.len() * 8 {
                let mut flipped = framed.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(open(RecordKind::Episode, &ID, &flipped).is_err(), "bit {bit} of {length} bytes");
            }
        }
    }

    #[test]
    fn opening_under_another_id_or_kind_fails() {
        let framed = frame(RecordKind::Episode, &ID, b"value");
        assert!(open(RecordKind::Episode, &[8; 16], &framed).is_err());
        assert!(open(RecordKind::Pattern, &ID, &framed).is_err());
    }

    #[test]
    fn check_refuses_a_value_above_its_limit_only() {
        assert!(RecordKind::Pattern.check(1 << 20).is_ok());
        assert!(RecordKind::Pattern.check((1 << 20) + 1).is_err());
    }

    proptest! {
        #[test]
        fn opening_returns_the_framed_value(value: Vec<u8>, id: Id) {
            let framed = frame(RecordKind::Pattern, &id, &value);
            prop_assert_eq!(open(RecordKind::Pattern, &id, &framed).unwrap(), &value[..]);
        }

        #[test]
        fn opening_detects_a_shortened_or_lengthened_frame(value: Vec<u8>, cut in 1..20usize) {
            let framed = frame(RecordKind::Pattern, &ID, &value);
            prop_assert!(open(RecordKind::Pattern, &ID, &framed[..framed.len().saturating_sub(cut)]).is_err());
            let mut longer = framed;
            longer.extend(vec![0; cut]);
            prop_assert!(open(RecordKind::Pattern, &ID, &longer).is_err());
        }

        #[test]
        fn opening_never_panics(bytes: Vec<u8>) {
            prop_assert!(open(RecordKind::Embedding, &ID, &bytes).is_err());
        }
    }
}
