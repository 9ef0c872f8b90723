//! Findings: how they are written, and how many of them are kept.

use rmp::encode;
use rustc_hash::FxHashMap;

use crate::facts::{Fact, Id, PatternContent, PatternKind};
use crate::trajectory::Trajectory;

/// The choice of an episode that ends: no tool has this name.
pub const FINISH: &str = "<finish>";
/// The choice after an error that nothing follows.
pub const GAVE_UP: &str = "<gave up>";

/// One pattern as one episode shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub pattern: Id,
    pub kind: PatternKind,
    /// The record of the pattern: a msgpack map of `kind`, `content` and, if there is one, `detail`.
    pub record: Vec<u8>,
    /// The range of `content` within `record`.
    pub content: std::ops::Range<usize>,
    /// For each occurrence in order, the share within 0..=1 to which it did its job.
    pub ok: Vec<f64>,
    /// The extractors that found it: a bit for each of `Findings::extractors`.
    pub found_by: u32,
}

/// The findings of some extractors in one episode, each pattern once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    pub extractors: Vec<String>,
    pub found: Vec<Found>,
}

impl Found {
    /// A finding of the content (msgpack, keys sorted), with the detail of its first occurrence. The detail is no
    /// part of the identity.
    pub fn new(kind: &str, content: &[u8], detail: Option<&[u8]>, ok: Vec<f64>) -> Self {
        let mut record = Vec::with_capacity(content.len() + detail.map_or(0, <[u8]>::len) + 40);
        write_map(&mut record, if detail.is_some() { 3 } else { 2 });
        write_str(&mut record, "kind");
        write_str(&mut record, kind);
        write_str(&mut record, "content");
        let start = record.len();
        record.extend_from_slice(content);
        let content = start..record.len();
        if let Some(detail) = detail {
            write_str(&mut record, "detail");
            record.extend_from_slice(detail);
        }
        let pattern = pattern_id(kind, &record[content.clone()]);
        Self { pattern, kind: PatternKind::from_name(kind), record, content, ok, found_by: 0 }
    }
}

/// The identity of a pattern: the first half of BLAKE3 over its kind, a zero byte and its content.
pub fn pattern_id(kind: &str, content: &[u8]) -> Id {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.as_bytes()).update(&[0]).update(content);
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    id
}

impl Findings {
    /// The findings of several extractors as one. If two found the same content, one finding names both, with the
    /// occurrences of the extractor that saw more.
    pub fn merge(parts: Vec<(String, Vec<Found>)>) -> Self {
        let mut merged = Findings::default();
        let mut places: FxHashMap<Id, usize> = FxHashMap::default();
        for (name, found) in parts {
            let by = 1 << merged.extractors.len().min(31);
            merged.extractors.push(name);
            for each in found {
                merged.add(&mut places, each, by);
            }
        }
        merged
    }

    fn add(&mut self, places: &mut FxHashMap<Id, usize>, each: Found, by: u32) {
        let place = *places.entry(each.pattern).or_insert(self.found.len());
        match self.found.get_mut(place) {
            Some(known) => {
                known.found_by |= by;
                if each.ok.len() > known.ok.len() {
                    known.ok = each.ok;
                }
            }
            None => self.found.push(Found { found_by: by, ..each }),
        }
    }

    pub fn facts(&self) -> Vec<Fact> {
        self.found
            .iter()
            .map(|found| Fact {
                pattern: found.pattern,
                kind: found.kind as u8,
                occurrences: found.ok.len().min(usize::from(u16::MAX)) as u16,
                successes: found.ok.iter().take(usize::from(u16::MAX)).sum(),
            })
            .collect()
    }

    pub fn contents(&self) -> Vec<PatternContent> {
        self.found
            .iter()
            .map(|found| PatternContent {
                pattern: found.pattern,
                kind: found.kind as u8,
                content: found.record.clone(),
            })
            .collect()
    }
}

/// The distinct tools of a stretch in the order of their names: calls of one batch have no order of their own.
pub(super) fn distinct_tools(trajectory: &Trajectory, stretch: std::ops::Range<usize>) -> Vec<u32> {
    let mut tools = trajectory.tool_indices[stretch].to_vec();
    tools.sort_unstable_by_key(|tool| &trajectory.tool_names[*tool as usize]);
    tools.dedup();
    tools
}

/// At most `limit` of the counted things: the more frequent first among equals of `rank`, then the earlier.
pub(super) fn keep<T: Ord>(mut counted: Vec<CountedFinding<T>>, limit: usize) -> Vec<CountedFinding<T>> {
    let key = |each: &CountedFinding<T>| (each.rank, std::cmp::Reverse(each.count), each.first);
    counted.sort_by(|one, other| key(one).cmp(&key(other)).then_with(|| one.what.cmp(&other.what)));
    counted.truncate(limit);
    counted
}

/// A pattern of an episode with its count and the step of its first occurrence.
pub(super) struct CountedFinding<T> {
    pub(super) what: T,
    pub(super) rank: usize,
    pub(super) count: usize,
    pub(super) first: usize,
}

// Writing to a vector cannot fail, so the results that rmp returns for any writer are dropped here, once.

pub(super) fn write_map(out: &mut Vec<u8>, entries: u32) {
    let _ = encode::write_map_len(out, entries);
}

pub(super) fn write_array(out: &mut Vec<u8>, elements: usize) {
    let _ = encode::write_array_len(out, elements as u32);
}

pub(super) fn write_str(out: &mut Vec<u8>, text: &str) {
    let _ = encode::write_str(out, text);
}

pub(super) fn write_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => write_str(out, text),
        None => out.push(0xc0),
    }
}

pub(super) fn write_strs<'a>(out: &mut Vec<u8>, texts: impl ExactSizeIterator<Item = &'a str>) {
    write_array(out, texts.len());
    for text in texts {
        write_str(out, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kind: &str, content: &[u8], ok: Vec<f64>) -> Found {
        Found::new(kind, content, None, ok)
    }

    #[test]
    fn the_detail_is_no_part_of_the_identity() {
        let with = Found::new("tool_sequence", b"\xa1a", Some(b"\xa1d"), vec![1.0]);
        assert_eq!(with.pattern, found("tool_sequence", b"\xa1a", vec![]).pattern);
        assert_ne!(with.pattern, found("decision_point", b"\xa1a", vec![]).pattern);
    }

    #[test]
    fn what_two_extractors_found_is_one_finding_that_names_both() {
        let merged = Findings::merge(vec![
            ("a".into(), vec![found("k", b"\xa1x", vec![1.0])]),
            ("b".into(), vec![found("k", b"\xa1x", vec![1.0, 0.0]), found("k", b"\xa1y", vec![0.5])]),
        ]);
        assert_eq!(merged.found.len(), 2);
        assert_eq!((merged.found[0].found_by, merged.found[1].found_by), (0b11, 0b10));
        assert_eq!(merged.facts()[0].occurrences, 2);
        assert_eq!(merged.facts()[1].successes, 0.5);
    }
}
