//! An episode that is being recorded: its record grows step by step, as the msgpack that will be stored.

use crate::msgpack::{Malformed, Reader};

/// The limits of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpisodeLimits {
    pub steps: usize,
    pub bytes: usize,
}

/// Why a step was not taken. The episode is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("an episode has at most {limit} steps")]
    Steps { limit: usize },
    #[error("an episode has at most {limit} bytes, this step would make it {size}")]
    Bytes { limit: usize, size: usize },
}

/// Why the steps of another record were not taken. Those before the refused one were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Full(#[from] Full),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// The record of an open episode: the fields known at its start, and its steps so far.
#[derive(Debug, Clone)]
pub struct RecordBuilder {
    head: Vec<u8>,
    head_fields: u32,
    steps: Vec<u8>,
    /// The end of each step in `steps`.
    ends: Vec<usize>,
    limits: EpisodeLimits,
}

impl RecordBuilder {
    /// `head` is the inside of a msgpack map of `head_fields` entries: keys and values, no map header.
    pub fn new(head: Vec<u8>, head_fields: u32, limits: EpisodeLimits) -> Self {
        Self { head, head_fields, steps: Vec::with_capacity(1024), ends: Vec::new(), limits }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The number that the next step will bear; the first is 1.
    pub fn next_number(&self) -> u32 {
        self.count() + 1
    }

    /// Appends one step, a complete msgpack map.
    pub fn push(&mut self, step: &[u8]) -> Result<u32, Full> {
        if self.len() >= self.limits.steps {
            return Err(Full::Steps { limit: self.limits.steps });
        }
        let size = self.head.len() + self.steps.len() + step.len();
        if size > self.limits.bytes {
            return Err(Full::Bytes { limit: self.limits.bytes, size });
        }
        self.steps.extend_from_slice(step);
        self.ends.push(self.steps.len());
        Ok(self.count())
    }

    fn count(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Appends the steps of another record behind its own, with the numbers that follow.
    pub fn push_steps(&mut self, record: &[u8]) -> Result<u32, Unfit> {
        let mut reader = Reader::new(record);
        for _ in 0..reader.map()? {
            if reader.str()? != "steps" {
                reader.skip()?;
                continue;
            }
            for _ in 0..reader.array()? {
                let step = renumbered(reader.raw()?, self.next_number())?;
                self.push(&step)?;
            }
        }
        Ok(self.count())
    }

    /// A record of the steps after the first `before` alone: a map whose only entry is `steps`.
    pub fn steps_after(&self, before: usize) -> Vec<u8> {
        let before = before.min(self.len());
        let start = if before == 0 { 0 } else { self.ends[before - 1] };
        let mut record = Vec::with_capacity(self.steps.len() - start + 16);
        write_header(&mut record, 0xdf, 1);
        record.extend_from_slice(b"\xa5steps");
        write_header(&mut record, 0xdd, (self.len() - before) as u32);
        record.extend_from_slice(&self.steps[start..]);
        record
    }

    /// The record as it stands, with the fields of its ending (none while it is open).
    pub fn record(&self, ending: &[u8], ending_fields: u32) -> Vec<u8> {
        let mut record = Vec::with_capacity(self.head.len() + self.steps.len() + ending.len() + 16);
        write_header(&mut record, 0xdf, self.head_fields + 1 + ending_fields);
        record.extend_from_slice(&self.head);
        record.extend_from_slice(b"\xa5steps");
        write_header(&mut record, 0xdd, self.count());
        record.extend_from_slice(&self.steps);
        record.extend_from_slice(ending);
        record
    }
}

/// A step, a complete msgpack map, under another number.
fn renumbered(step: &[u8], number: u32) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(step);
    let fields = reader.map()?;
    let mut copy = Vec::with_capacity(step.len() + 8);
    write_header(&mut copy, 0xdf, fields);
    for _ in 0..fields {
        let key = reader.raw()?;
        copy.extend_from_slice(key);
        let value = reader.raw()?;
        if key == b"\xa6number" {
            write_header(&mut copy, 0xce, number);
        } else {
            copy.extend_from_slice(value);
        }
    }
    Ok(copy)
}

/// The record with the entries of another msgpack map behind its own.
pub fn extend(record: &[u8], more: &[u8]) -> Result<Vec<u8>, Malformed> {
    let own = Reader::new(record).map()?;
    let mut entries = Reader::new(more);
    let count = entries.map()?;
    let body =
        record.get(5..).filter(|_| record[0] == 0xdf).ok_or(Malformed("a record starts with a map32"))?;
    let mut extended = Vec::with_capacity(record.len() + more.len());
    write_header(&mut extended, 0xdf, own + count);
    extended.extend_from_slice(body);
    extended.extend_from_slice(entries.rest());
    Ok(extended)
}

/// Always the widest form (map32, array32), so that a count can be changed without moving what stands behind it.
fn write_header(out: &mut Vec<u8>, marker: u8, count: u32) {
    out.push(marker);
    out.extend_from_slice(&count.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::Trajectory;

    const LIMITS: EpisodeLimits = EpisodeLimits { steps: 2, bytes: 100 };
    const STEP: &[u8] = b"\x82\xa4tool\xa4look\xa6status\xa2ok";

    fn open() -> RecordBuilder {
        RecordBuilder::new(b"\xa4task\xa4find".to_vec(), 1, LIMITS)
    }

    #[test]
    fn the_record_reads_back_as_what_was_recorded() {
        let mut episode = open();
        episode.push(STEP).unwrap();
        let record = episode.record(b"\xa8ended_at\x07", 1);
        let trajectory = Trajectory::decode(&record).unwrap();
        assert_eq!((trajectory.task.as_str(), trajectory.len(), trajectory.ended_at), ("find", 1, Some(7)));
        let extended = extend(&record, b"\x81\xa5agent\xa1x").unwrap();
        assert_eq!(Trajectory::decode(&extended).unwrap().agent.as_deref(), Some("x"));
    }

    #[test]
    fn a_step_beyond_a_limit_leaves_the_episode_as_it_was() {
        let mut episode = open();
        episode.push(STEP).unwrap();
        let before = episode.record(b"", 0);
        assert!(matches!(episode.push(&[0; 100]), Err(Full::Bytes { limit: 100, .. })));
        assert_eq!(episode.record(b"", 0), before);
        episode.push(STEP).unwrap();
        assert_eq!(episode.push(STEP), Err(Full::Steps { limit: 2 }));
    }

    #[test]
    fn steps_that_are_pushed_again_bear_the_numbers_that_follow() {
        let step = b"\x82\xa4tool\xa4look\xa6number\x01";
        let mut first = open();
        first.push(step).unwrap();
        let mut second = open();
        second.push(STEP).unwrap();
        assert_eq!(second.push_steps(&first.record(b"", 0)), Ok(2));
        let moved = second.steps_after(1);
        assert!(moved.ends_with(b"\xa4tool\xa4look\xa6number\xce\x00\x00\x00\x02"));
        assert_eq!(second.steps_after(0).len() - moved.len(), STEP.len());
        assert!(second.steps_after(9).ends_with(b"\xdd\0\0\0\0"));
        let full = second.push_steps(&first.steps_after(0));
        assert_eq!(full, Err(Unfit::Full(Full::Steps { limit: 2 })));
        assert!(matches!(second.push_steps(b"\x81\xa5steps\x07"), Err(Unfit::Malformed(_))));
    }

    #[test]
    fn only_a_record_can_be_extended() {
        for other in [b"".as_slice(), b"\x80", b"\x80\0\0\0\0", b"\xdf\0\0"] {
            assert!(extend(other, b"\x80").is_err());
        }
    }
}
