//! What lands together in one transaction, and what is read back of it.

use tacit_kernels::facts::{Id, decode_contents, decode_facts};
use tacit_kernels::msgpack::{Malformed, Reader};
use tacit_kernels::trajectory::Complexity;

use crate::error::{Result, StorageError};
use crate::note::{Note, NoteRecord};
use crate::record::{self, Kind};

/// The most bytes a column of text may have.
const TEXT_LIMIT: usize = 10_000;
/// The most bytes the packed facts of one episode may have.
const FACTS_LIMIT: usize = 1 << 20;

/// How far an episode has come. The numbers are part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Learned = 0,
    Open = 1,
    Pending = 2,
    Abandoned = 3,
}

impl State {
    const ALL: [State; 4] = [State::Learned, State::Open, State::Pending, State::Abandoned];

    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| {
            StorageError::invalid("state", "must be learned, open, pending or abandoned", name)
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            State::Learned => "learned",
            State::Open => "open",
            State::Pending => "pending",
            State::Abandoned => "abandoned",
        }
    }
}

/// One episode as a commit lands it and as a change gives it back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpisodeRecord<'a> {
    pub id: Id,
    pub namespace: &'a str,
    pub external_id: Option<&'a str>,
    pub digest: [u8; 16],
    pub task_key: Option<&'a str>,
    pub domain: &'a str,
    pub agent: Option<&'a str>,
    pub complexity: Complexity,
    pub state: State,
    /// Microseconds since 1970, UTC.
    pub started_at: i64,
    pub ended_at: i64,
    /// The outcome's share; none while there is no outcome.
    pub base: Option<f64>,
    pub payload: &'a [u8],
    /// Packed by `tacit_kernels::facts::encode_facts`.
    pub facts: &'a [u8],
    pub embedder: Option<&'a str>,
    /// Little-endian f32; empty where there is none.
    pub embedding: &'a [u8],
}

impl<'a> EpisodeRecord<'a> {
    /// Refuses what breaks a limit of the storage format.
    fn check(&self) -> Result<()> {
        Kind::Episode.check(self.payload.len())?;
        Kind::Embedding.check(self.embedding.len())?;
        self.check_texts()?;
        self.check_numbers()?;
        if self.facts.len() > FACTS_LIMIT {
            return Err(StorageError::too_large("facts", FACTS_LIMIT, self.facts.len()));
        }
        decode_facts(self.facts).map(drop).map_err(|fault| malformed("facts", fault))
    }

    fn check_texts(&self) -> Result<()> {
        check_namespace(self.namespace)?;
        let texts = [
            ("external_id", self.external_id),
            ("task_key", self.task_key),
            ("domain", Some(self.domain)),
            ("agent", self.agent),
            ("embedder", self.embedder),
        ];
        for (field, text) in texts {
            let length = text.map_or(0, str::len);
            if length > TEXT_LIMIT {
                return Err(StorageError::too_large(field, TEXT_LIMIT, length));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        if self.base.is_some_and(|base| !(0.0..=1.0).contains(&base)) {
            return Err(StorageError::invalid("base", "must lie within 0..=1", format!("{:?}", self.base)));
        }
        if self.embedder.is_some() == self.embedding.is_empty() || !self.embedding.len().is_multiple_of(4) {
            let given = format!("{} bytes of {:?}", self.embedding.len(), self.embedder);
            return Err(StorageError::invalid(
                "embedding",
                "must be whole f32 with an embedder's name",
                given,
            ));
        }
        Ok(())
    }

    /// What taking this episode back needs: its facts and their stratum, and nothing it said.
    pub(crate) fn without_content(self) -> Self {
        Self { external_id: None, task_key: None, payload: &[], embedder: None, embedding: &[], ..self }
    }

    /// The framed bytes of this record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let fields = self.fields();
        let total: usize = fields.iter().map(|field| field.map_or(0, <[u8]>::len)).sum();
        let mut bytes = Vec::with_capacity(total + 128);
        record::begin(&mut bytes);
        bytes.extend_from_slice(&self.digest);
        bytes.extend_from_slice(&[self.complexity as u8, self.state as u8]);
        bytes.extend_from_slice(&self.started_at.to_le_bytes());
        bytes.extend_from_slice(&self.ended_at.to_le_bytes());
        bytes.push(u8::from(self.base.is_some()));
        bytes.extend_from_slice(&self.base.unwrap_or(0.0).to_le_bytes());
        for field in fields {
            // One more than the length, so that 0 says that there is nothing.
            let length = field.map_or(0, |field| field.len() as u32 + 1);
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        for field in fields.into_iter().flatten() {
            bytes.extend_from_slice(field);
        }
        record::finish(Kind::Episode, &self.id, bytes)
    }

    fn fields(&self) -> [Option<&'a [u8]>; 9] {
        [
            Some(self.namespace.as_bytes()),
            self.external_id.map(str::as_bytes),
            self.task_key.map(str::as_bytes),
            Some(self.domain.as_bytes()),
            self.agent.map(str::as_bytes),
            self.embedder.map(str::as_bytes),
            Some(self.facts),
            Some(self.embedding),
            Some(self.payload),
        ]
    }

    /// The record inside framed bytes, if they are whole and were written under `id`.
    pub(crate) fn decode(id: &Id, framed: &'a [u8]) -> Result<Self> {
        let value = record::open(Kind::Episode, id, framed)?;
        Self::decode_value(*id, value).map_err(|fault| StorageError::corrupt(fault.to_string()))
    }

    fn decode_value(id: Id, value: &'a [u8]) -> std::result::Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        let digest = array(&mut reader)?;
        let complexity = complexity(reader.byte()?)?;
        let state = *State::ALL.get(usize::from(reader.byte()?)).ok_or(Malformed("an unknown state"))?;
        let started_at = i64::from_le_bytes(array(&mut reader)?);
        let ended_at = i64::from_le_bytes(array(&mut reader)?);
        let has_base = reader.byte()? == 1;
        let base = has_base.then_some(f64::from_le_bytes(array(&mut reader)?));
        let fields = fields_of(&mut reader)?;
        Ok(Self {
            id,
            namespace: text(fields[0])?.unwrap_or_default(),
            external_id: text(fields[1])?,
            digest,
            task_key: text(fields[2])?,
            domain: text(fields[3])?.unwrap_or_default(),
            agent: text(fields[4])?,
            complexity,
            state,
            started_at,
            ended_at,
            base,
            payload: fields[8].unwrap_or_default(),
            facts: fields[6].unwrap_or_default(),
            embedder: text(fields[5])?,
            embedding: fields[7].unwrap_or_default(),
        })
    }
}

/// Refuses what is no name of a namespace.
pub(crate) fn check_namespace(name: &str) -> Result<()> {
    if (1..=128).contains(&name.chars().count()) {
        return Ok(());
    }
    Err(StorageError::invalid("namespace", "must have 1 to 128 characters", name))
}

fn fields_of<'a>(reader: &mut Reader<'a>) -> std::result::Result<[Option<&'a [u8]>; 9], Malformed> {
    let mut lengths = [0; 9];
    for length in &mut lengths {
        *length = u32::from_le_bytes(array(reader)?) as usize;
    }
    let mut fields = [None; 9];
    for (field, length) in fields.iter_mut().zip(lengths).filter(|(_, length)| *length > 0) {
        *field = Some(reader.take(length - 1)?);
    }
    Ok(fields)
}

fn array<const N: usize>(reader: &mut Reader<'_>) -> std::result::Result<[u8; N], Malformed> {
    reader.take(N)?.try_into().map_err(|_| Malformed("the record ends early"))
}

fn text(field: Option<&[u8]>) -> std::result::Result<Option<&str>, Malformed> {
    field.map(std::str::from_utf8).transpose().map_err(|_| Malformed("text that is not UTF-8"))
}

fn complexity(byte: u8) -> std::result::Result<Complexity, Malformed> {
    let name = Complexity::NAMES.get(usize::from(byte)).ok_or(Malformed("an unknown complexity"))?;
    Complexity::from_name(name).ok_or(Malformed("an unknown complexity"))
}

fn malformed(field: &str, fault: Malformed) -> StorageError {
    StorageError::invalid(field, "must be packed as tacit packs them", fault)
}

/// Episodes to put, ids to remove and notes, in one transaction; removals take place first, notes last.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) puts: Vec<Put>,
    pub(crate) removed: Vec<Id>,
    pub(crate) notes: Vec<Note>,
}

/// One episode, framed, and the patterns that it names.
#[derive(Debug, Clone)]
pub(crate) struct Put {
    pub(crate) id: Id,
    pub(crate) record: Vec<u8>,
    pub(crate) patterns: Vec<PatternRecord>,
}

impl Put {
    pub(crate) fn episode(&self) -> EpisodeRecord<'_> {
        let value = &self.record[record::HEADER..];
        EpisodeRecord::decode_value(self.id, value).expect("this process encoded the record")
    }
}

/// What a pattern says, framed.
#[derive(Debug, Clone)]
pub(crate) struct PatternRecord {
    pub(crate) id: Id,
    pub(crate) kind: u8,
    pub(crate) record: Vec<u8>,
}

impl Batch {
    /// Adds an episode and the packed contents of its patterns; refuses what breaks a limit.
    pub fn put(&mut self, episode: &EpisodeRecord<'_>, contents: &[u8]) -> Result<()> {
        episode.check()?;
        let patterns = pattern_records(contents)?;
        self.puts.push(Put { id: episode.id, record: episode.encode(), patterns });
        Ok(())
    }

    /// Adds the removal of an episode; removing one that is not there changes nothing.
    pub fn remove(&mut self, id: Id) {
        self.removed.push(id);
    }

    /// Adds a note, or its deletion; it replaces what has its kind and id. Refuses what breaks a limit.
    pub fn note(&mut self, note: &NoteRecord<'_>) -> Result<()> {
        note.check()?;
        self.notes.push(Note::of(note));
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.operations() == 0
    }

    /// How many rows this batch puts or removes.
    pub(crate) fn operations(&self) -> usize {
        self.puts.len() + self.removed.len() + self.notes.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        let puts = self.puts.iter().map(|put| put.record.len() + 256 * put.patterns.len());
        let notes = self.notes.iter().map(|note| note.framed.len());
        puts.chain(notes).sum()
    }
}

fn pattern_records(contents: &[u8]) -> Result<Vec<PatternRecord>> {
    let contents = decode_contents(contents).map_err(|fault| malformed("contents", fault))?;
    contents
        .into_iter()
        .map(|each| {
            Kind::Pattern.check(each.content.len())?;
            let record = record::frame(Kind::Pattern, &each.pattern, &each.content);
            Ok(PatternRecord { id: each.pattern, kind: each.kind, record })
        })
        .collect()
}

/// What a commit did, and where it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The newest change's number once the batch had landed.
    pub sequence: i64,
    pub committed: usize,
    pub unchanged: usize,
}

/// What a change did. The numbers are part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    Put = 0,
    Remove = 1,
    /// A note was written or deleted.
    Note = 2,
}

impl Op {
    pub fn name(self) -> &'static str {
        match self {
            Op::Put => "put",
            Op::Remove => "remove",
            Op::Note => "note",
        }
    }

    pub(crate) fn from_number(number: i64) -> Result<Self> {
        match number {
            0 => Ok(Op::Put),
            1 => Ok(Op::Remove),
            2 => Ok(Op::Note),
            _ => Err(StorageError::corrupt(format!("a change with the unknown op {number}"))),
        }
    }
}

/// One entry of the change log. Its bytes were verified when they were read.
#[derive(Debug, Clone)]
pub struct Change {
    pub sequence: i64,
    pub op: Op,
    pub id: Id,
    kind: Kind,
    record: Vec<u8>,
}

impl Change {
    pub(crate) fn put(sequence: i64, id: Id, record: Vec<u8>) -> Result<Self> {
        EpisodeRecord::decode(&id, &record)?;
        Ok(Self { sequence, op: Op::Put, id, kind: Kind::Episode, record })
    }

    pub(crate) fn remove(sequence: i64, id: Id) -> Self {
        Self { sequence, op: Op::Remove, id, kind: Kind::Episode, record: Vec::new() }
    }

    pub(crate) fn note_of(sequence: i64, kind: Kind, id: Id, record: Vec<u8>) -> Result<Self> {
        NoteRecord::decode(kind, &id, &record)?;
        Ok(Self { sequence, op: Op::Note, id, kind, record })
    }

    /// The episode that was put.
    pub fn episode(&self) -> Option<EpisodeRecord<'_>> {
        let value = self.record.get(record::HEADER..).filter(|_| self.op == Op::Put)?;
        EpisodeRecord::decode_value(self.id, value).ok()
    }

    /// The note that was written or deleted.
    pub fn note(&self) -> Option<NoteRecord<'_>> {
        let value = self.record.get(record::HEADER..).filter(|_| self.op == Op::Note)?;
        NoteRecord::decode_value(self.kind, self.id, value).ok()
    }
}

/// A stretch of the change log, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub rows: Vec<Change>,
    /// Up to which number the log was read: what to ask from next.
    pub last: i64,
}

/// What the facts of every change up to `watermark` sum up to, packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    pub watermark: i64,
    pub packed: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn episode<'a>(text: &'a str, bytes: &'a [u8]) -> EpisodeRecord<'a> {
        EpisodeRecord {
            id: [3; 16],
            namespace: "default",
            external_id: Some(text),
            digest: [4; 16],
            task_key: None,
            domain: text,
            agent: Some(""),
            complexity: Complexity::Complex,
            state: State::Learned,
            started_at: -1,
            ended_at: i64::MAX,
            base: Some(1.0 / 3.0),
            payload: bytes,
            facts: &[],
            embedder: None,
            embedding: &[],
        }
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was(text: String, bytes: Vec<u8>, agent: bool, base: bool) {
            let mut given = episode(&text, &bytes);
            given.agent = agent.then_some("");
            given.base = base.then_some(0.1);
            let framed = given.encode();
            prop_assert_eq!(EpisodeRecord::decode(&given.id, &framed).unwrap(), given);
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = EpisodeRecord::decode_value([0; 16], &bytes);
        }
    }

    #[test]
    fn what_breaks_a_limit_names_its_field() {
        let long = "x".repeat(TEXT_LIMIT + 1);
        let refused = |episode: EpisodeRecord<'_>| Batch::default().put(&episode, &[]).unwrap_err().message;
        assert!(refused(episode(&long, &[])).starts_with("external_id: at most 10000 bytes"));
        assert!(refused(EpisodeRecord { namespace: "", ..episode("", &[]) }).starts_with("namespace"));
        assert!(refused(EpisodeRecord { base: Some(f64::NAN), ..episode("", &[]) }).starts_with("base"));
        assert!(refused(EpisodeRecord { facts: &[1], ..episode("", &[]) }).starts_with("facts"));
        assert!(refused(EpisodeRecord { embedding: &[0; 4], ..episode("", &[]) }).starts_with("embedding"));
        assert!(refused(episode("", &vec![0; (10 << 20) + 1])).starts_with("episode: at most"));
    }
}
