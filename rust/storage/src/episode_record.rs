//! The record of one episode: its limits, its encoding and its decoding.

use tacit_kernels::facts::{Id, decode_facts};
use tacit_kernels::msgpack::{Malformed, Reader};
use tacit_kernels::trajectory::Complexity;

use crate::error::{Result, StorageError};
use crate::record::{self, RecordKind, check_namespace};

/// The limit of a text column in bytes.
const TEXT_LIMIT: usize = 10_000;
/// The bytes of the fixed part before the lengths: digest, complexity, state, both times, base.
const FIXED: usize = 16 + 2 + 8 + 8 + 1 + 8;
/// The limit of the packed facts of one episode in bytes.
const FACTS_LIMIT: usize = 1 << 20;

/// Returns the SQL expression for the packed facts in the column `record`, which a server evaluates beside its rows.
///
/// The fixed part of a record ends with nine lengths (u32, little-endian, one more than the length). The seventh is that
/// of the facts, which stand before the embedding and the payload at the end of the record.
pub fn facts_sql() -> String {
    let [facts, embedding, payload] = [6, 7, 8].map(|field| length_sql(record::HEADER + FIXED + field * 4));
    format!("substr(record, length(record) - {payload} - {embedding} - {facts} + 1, {facts})")
}

/// Returns the SQL expression for the length that is encoded at an offset of the column `record`.
///
/// SQLite has no function from bytes to numbers: each hexadecimal digit is looked up among all digits, whose places
/// count from 1.
fn length_sql(offset: usize) -> String {
    let digit = |place: usize| {
        // Little-endian bytes, each with its high digit first.
        let weight = 1u64 << (4 * (place ^ 1));
        let digit = format!("substr(hex(substr(record, {}, 4)), {}, 1)", offset + 1, place + 1);
        format!("instr('0123456789ABCDEF', {digit}) * {weight}")
    };
    let sum = std::array::from_fn::<String, 8, _>(digit).join(" + ");
    format!("max(0, {sum} - {} - 1)", 0x1111_1111)
}

/// The progress of an episode. The numbers are part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EpisodeState {
    Learned = 0,
    Open = 1,
    Pending = 2,
    Abandoned = 3,
}

impl EpisodeState {
    const ALL: [EpisodeState; 4] =
        [EpisodeState::Learned, EpisodeState::Open, EpisodeState::Pending, EpisodeState::Abandoned];

    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| StorageError::invalid("state", "learned, open, pending or abandoned", name))
    }

    pub fn name(self) -> &'static str {
        match self {
            EpisodeState::Learned => "learned",
            EpisodeState::Open => "open",
            EpisodeState::Pending => "pending",
            EpisodeState::Abandoned => "abandoned",
        }
    }
}

/// One episode, as a commit writes it and as a change returns it.
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
    pub state: EpisodeState,
    /// Microseconds since 1970, UTC.
    pub started_at: i64,
    pub ended_at: i64,
    /// The success share of the outcome, 0 to 1; `None` means that there is no outcome.
    pub base: Option<f64>,
    pub payload: &'a [u8],
    /// Packed by `tacit_kernels::facts::encode_facts`.
    pub facts: &'a [u8],
    pub embedder: Option<&'a str>,
    /// Little-endian f32; empty without an embedding.
    pub embedding: &'a [u8],
}

impl<'a> EpisodeRecord<'a> {
    /// Refuses a record that breaks a limit of the storage format.
    pub(crate) fn check(&self) -> Result<()> {
        RecordKind::Episode.check(self.payload.len())?;
        RecordKind::Embedding.check(self.embedding.len())?;
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
            return Err(StorageError::invalid("base", "within 0..=1", format!("{:?}", self.base)));
        }
        if self.embedder.is_some() == self.embedding.is_empty() || !self.embedding.len().is_multiple_of(4) {
            let given = format!("{} bytes of {:?}", self.embedding.len(), self.embedder);
            return Err(StorageError::invalid(
                "embedding",
                "a whole number of f32 with the name of an embedder",
                given,
            ));
        }
        Ok(())
    }

    /// Returns the same record in another state.
    pub(crate) fn with_state(self, state: EpisodeState) -> Self {
        Self { state, ..self }
    }

    /// Encodes the record into framed bytes.
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
            // One more than the length: 0 stands for an absent field.
            let length = field.map_or(0, |field| field.len() as u32 + 1);
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        for field in fields.into_iter().flatten() {
            bytes.extend_from_slice(field);
        }
        record::finish(RecordKind::Episode, &self.id, bytes)
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

    /// Decodes framed bytes, if they are whole and were written under `id`.
    pub(crate) fn decode(id: &Id, framed: &'a [u8]) -> Result<Self> {
        let value = record::open(RecordKind::Episode, id, framed)?;
        Self::decode_value(*id, value).map_err(|fault| StorageError::corrupt(fault.to_string()))
    }

    pub(crate) fn decode_value(id: Id, value: &'a [u8]) -> std::result::Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        let digest = array(&mut reader)?;
        let complexity = complexity(reader.byte()?)?;
        let state =
            *EpisodeState::ALL.get(usize::from(reader.byte()?)).ok_or(Malformed("an unknown state"))?;
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

pub(crate) fn malformed(field: &str, fault: Malformed) -> StorageError {
    StorageError::invalid(field, "packed as tacit packs them", fault)
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
            state: EpisodeState::Learned,
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
        fn decoding_returns_the_encoded_record(text: String, bytes: Vec<u8>, agent: bool, base: bool) {
            let mut given = episode(&text, &bytes);
            given.agent = agent.then_some("");
            given.base = base.then_some(0.1);
            let framed = given.encode();
            prop_assert_eq!(EpisodeRecord::decode(&given.id, &framed).unwrap(), given);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = EpisodeRecord::decode_value([0; 16], &bytes);
        }
    }

    #[test]
    fn a_broken_limit_names_its_field() {
        let long = "x".repeat(TEXT_LIMIT + 1);
        let refused = |episode: EpisodeRecord<'_>| episode.check().unwrap_err().message;
        assert!(
            refused(episode(&long, &[])).starts_with("external_id must be at most 10000 bytes; got 10001")
        );
        assert!(refused(EpisodeRecord { namespace: "", ..episode("", &[]) }).starts_with("namespace"));
        assert!(refused(EpisodeRecord { base: Some(f64::NAN), ..episode("", &[]) }).starts_with("base"));
        assert!(refused(EpisodeRecord { facts: &[1], ..episode("", &[]) }).starts_with("facts"));
        assert!(refused(EpisodeRecord { embedding: &[0; 4], ..episode("", &[]) }).starts_with("embedding"));
        assert!(refused(episode("", &vec![0; (10 << 20) + 1])).starts_with("episode must be at most"));
    }
}
