//! Facts of one episode about patterns, packed into the episode's own row.

use crate::msgpack::{Malformed, Reader, Result};

/// A UUIDv7 of an episode, or the content hash of a pattern.
pub type Id = [u8; 16];

/// The kinds of patterns, as they are written in facts. The numbers are part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PatternKind {
    ToolSequence = 0,
    DecisionPoint = 1,
    ErrorRecovery = 2,
    ContextPattern = 3,
    Cluster = 4,
    Heuristic = 5,
    /// A stranger's kind: its name stands in the pattern's content.
    Other = 255,
}

impl PatternKind {
    pub const NAMED: [(PatternKind, &'static str); 6] = [
        (PatternKind::ToolSequence, "tool_sequence"),
        (PatternKind::DecisionPoint, "decision_point"),
        (PatternKind::ErrorRecovery, "error_recovery"),
        (PatternKind::ContextPattern, "context_pattern"),
        (PatternKind::Cluster, "cluster"),
        (PatternKind::Heuristic, "heuristic"),
    ];

    pub fn from_name(name: &str) -> PatternKind {
        Self::NAMED.iter().find(|(_, known)| *known == name).map_or(PatternKind::Other, |(kind, _)| *kind)
    }

    pub fn from_byte(byte: u8) -> PatternKind {
        Self::NAMED.iter().find(|(kind, _)| *kind as u8 == byte).map_or(PatternKind::Other, |(kind, _)| *kind)
    }
}

/// One pattern's share in one episode: how often it occurred, and how often it did its job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fact {
    pub pattern: Id,
    pub kind: u8,
    pub occurrences: u16,
    /// The sum of `ok` over the occurrences: within `0..=occurrences`.
    pub successes: f64,
}

/// A pattern's content as msgpack, under the hash that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternContent {
    pub pattern: Id,
    pub kind: u8,
    pub content: Vec<u8>,
}

const FACT_BYTES: usize = 16 + 1 + 2 + 8;

/// 27 bytes a fact: pattern, kind, occurrences and successes, little-endian.
pub fn encode_facts(facts: &[Fact]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(facts.len() * FACT_BYTES);
    for fact in facts {
        bytes.extend_from_slice(&fact.pattern);
        bytes.push(fact.kind);
        bytes.extend_from_slice(&fact.occurrences.to_le_bytes());
        bytes.extend_from_slice(&fact.successes.to_le_bytes());
    }
    bytes
}

pub fn decode_facts(bytes: &[u8]) -> Result<Vec<Fact>> {
    if !bytes.len().is_multiple_of(FACT_BYTES) {
        return Err(Malformed("facts end early"));
    }
    bytes.chunks_exact(FACT_BYTES).map(decode_fact).collect()
}

fn decode_fact(bytes: &[u8]) -> Result<Fact> {
    let mut reader = Reader::new(bytes);
    let fact = Fact {
        pattern: reader.take(16)?.try_into().map_err(|_| Malformed("a pattern id has 16 bytes"))?,
        kind: reader.byte()?,
        occurrences: u16::from_le_bytes([reader.byte()?, reader.byte()?]),
        successes: f64::from_le_bytes(reader.take(8)?.try_into().map_err(|_| Malformed("facts end early"))?),
    };
    if fact.successes >= 0.0 && fact.successes <= f64::from(fact.occurrences) {
        Ok(fact)
    } else {
        Err(Malformed("successes lie outside 0..=occurrences"))
    }
}

/// Pattern, kind, length of the content as u32, content.
pub fn encode_contents(contents: &[PatternContent]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(contents.iter().map(|each| each.content.len() + 21).sum());
    for each in contents {
        bytes.extend_from_slice(&each.pattern);
        bytes.push(each.kind);
        bytes.extend_from_slice(&(each.content.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&each.content);
    }
    bytes
}

pub fn decode_contents(bytes: &[u8]) -> Result<Vec<PatternContent>> {
    let mut reader = Reader::new(bytes);
    let mut contents = Vec::new();
    while !reader.is_empty() {
        let pattern = reader.take(16)?.try_into().map_err(|_| Malformed("a pattern id has 16 bytes"))?;
        let kind = reader.byte()?;
        let length =
            u32::from_le_bytes(reader.take(4)?.try_into().map_err(|_| Malformed("contents end early"))?);
        contents.push(PatternContent { pattern, kind, content: reader.take(length as usize)?.to_vec() });
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn facts_come_back_as_they_were(rows in proptest::collection::vec((any::<Id>(), any::<u8>(), any::<u16>(), 0.0..=1.0f64), 0..40)) {
            let facts: Vec<Fact> = rows.into_iter()
                .map(|(pattern, kind, occurrences, share)| Fact { pattern, kind, occurrences, successes: share * f64::from(occurrences) })
                .collect();
            prop_assert_eq!(decode_facts(&encode_facts(&facts)).unwrap(), facts);
        }

        #[test]
        fn contents_come_back_as_they_were(rows in proptest::collection::vec((any::<Id>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..20)) {
            let contents: Vec<PatternContent> = rows.into_iter()
                .map(|(pattern, kind, content)| PatternContent { pattern, kind, content })
                .collect();
            prop_assert_eq!(decode_contents(&encode_contents(&contents)).unwrap(), contents);
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_facts(&bytes);
            let _ = decode_contents(&bytes);
        }
    }

    #[test]
    fn facts_that_claim_more_successes_than_occurrences_are_refused() {
        let fact = Fact { pattern: [1; 16], kind: 0, occurrences: 1, successes: 2.0 };
        assert!(decode_facts(&encode_facts(&[fact])).is_err());
    }
}
