//! Framed, versioned, hashed bytes of one value.
//!
//! A frame is 14 bytes and the value: version, kind, length of the value (u32), hash (u64), all little-endian.
//! The hash covers the value, the header and the id under which it is stored, so that neither a flipped bit
//! nor a value that ended up under another id goes unnoticed.

use tacit_kernels::facts::Id;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::error::{Result, StorageError};

pub(crate) const VERSION: u8 = 1;
pub(crate) const HEADER: usize = 14;

/// What a record is of. The numbers are part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
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
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::Episode,
        Kind::Pattern,
        Kind::Embedding,
        Kind::Receipt,
        Kind::Credit,
        Kind::Heuristic,
        Kind::Cluster,
        Kind::Audit,
        Kind::Merge,
        Kind::Retirement,
        Kind::Promotion,
    ];

    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            StorageError::invalid("kind", "must be episode, pattern, embedding or a kind of note", name)
        })
    }

    pub(crate) fn from_number(number: i64) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| *kind as i64 == number);
        found.ok_or_else(|| StorageError::corrupt(format!("a record of the unknown kind {number}")))
    }

    /// Whether it is kept beside the episodes, replaced and deleted.
    pub fn is_note(self) -> bool {
        !matches!(self, Kind::Episode | Kind::Pattern | Kind::Embedding)
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Episode => "episode",
            Kind::Pattern => "pattern",
            Kind::Embedding => "embedding",
            Kind::Receipt => "receipt",
            Kind::Credit => "credit",
            Kind::Heuristic => "heuristic",
            Kind::Cluster => "cluster",
            Kind::Audit => "audit",
            Kind::Merge => "merge",
            Kind::Retirement => "retirement",
            Kind::Promotion => "promotion",
        }
    }

    /// The most bytes one value may have.
    pub fn limit(self) -> usize {
        match self {
            Kind::Episode => 10 << 20,
            Kind::Heuristic => 100 << 10,
            _ => 1 << 20,
        }
    }

    /// Refuses a value that is larger than its kind's limit.
    pub fn check(self, bytes: usize) -> Result<()> {
        if bytes <= self.limit() {
            Ok(())
        } else {
            Err(StorageError::too_large(self.name(), self.limit(), bytes))
        }
    }
}

/// `value` framed for storage under `id`.
pub(crate) fn frame(kind: Kind, id: &Id, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + value.len());
    begin(&mut bytes);
    bytes.extend_from_slice(value);
    finish(kind, id, bytes)
}

/// Leaves room for the header; what is appended after it becomes the value.
pub(crate) fn begin(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&[0; HEADER]);
}

/// Fills in the header of bytes that [`begin`] started.
pub(crate) fn finish(kind: Kind, id: &Id, mut bytes: Vec<u8>) -> Vec<u8> {
    let length = (bytes.len() - HEADER) as u32;
    let hash = hash_of(kind as u8, id, length, &bytes[HEADER..]);
    bytes[0] = VERSION;
    bytes[1] = kind as u8;
    bytes[2..6].copy_from_slice(&length.to_le_bytes());
    bytes[6..HEADER].copy_from_slice(&hash.to_le_bytes());
    bytes
}

/// The value inside `bytes`, if they are what was framed as `kind` under `id`.
pub(crate) fn open<'a>(kind: Kind, id: &Id, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let damaged = || StorageError::corrupt(format!("the {} {} is damaged", kind.name(), hexadecimal(id)));
    let (header, value) = bytes.split_at_checked(HEADER).ok_or_else(damaged)?;
    let expected = hash_of(kind as u8, id, value.len() as u32, value);
    let intact = header[0] == VERSION
        && header[1] == kind as u8
        && header[2..6] == (value.len() as u32).to_le_bytes()
        && header[6..] == expected.to_le_bytes();
    if intact { Ok(value) } else { Err(damaged()) }
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
    fn every_single_bit_flip_is_caught() {
        for length in [0, 1, 3, 16, 17, 128, 129, 240, 241, 1_100] {
            let value: Vec<u8> = (0..length).map(|each| (each * 31 % 251) as u8).collect();
            let framed = frame(Kind::Episode, &ID, &value);
            for bit in 0..framed.len() * 8 {
                let mut flipped = framed.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(open(Kind::Episode, &ID, &flipped).is_err(), "bit {bit} of {length} bytes");
            }
        }
    }

    #[test]
    fn a_value_under_another_id_or_kind_is_caught() {
        let framed = frame(Kind::Episode, &ID, b"value");
        assert!(open(Kind::Episode, &[8; 16], &framed).is_err());
        assert!(open(Kind::Pattern, &ID, &framed).is_err());
    }

    #[test]
    fn a_value_beyond_its_limit_is_refused_and_one_at_its_limit_is_not() {
        assert!(Kind::Pattern.check(1 << 20).is_ok());
        assert!(Kind::Pattern.check((1 << 20) + 1).is_err());
    }

    proptest! {
        #[test]
        fn a_framed_value_comes_back_as_it_was(value: Vec<u8>, id: Id) {
            let framed = frame(Kind::Pattern, &id, &value);
            prop_assert_eq!(open(Kind::Pattern, &id, &framed).unwrap(), &value[..]);
        }

        #[test]
        fn a_shortened_or_lengthened_frame_is_caught(value: Vec<u8>, cut in 1..20usize) {
            let framed = frame(Kind::Pattern, &ID, &value);
            prop_assert!(open(Kind::Pattern, &ID, &framed[..framed.len().saturating_sub(cut)]).is_err());
            let mut longer = framed;
            longer.extend(vec![0; cut]);
            prop_assert!(open(Kind::Pattern, &ID, &longer).is_err());
        }

        #[test]
        fn no_bytes_make_opening_panic(bytes: Vec<u8>) {
            prop_assert!(open(Kind::Embedding, &ID, &bytes).is_err());
        }
    }
}
