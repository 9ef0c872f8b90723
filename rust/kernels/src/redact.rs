//! Secrets are replaced by markers before a record is stored: `[REDACTED:rule:hash8]`.
//!
//! The hash is keyed, so equal secrets of one memory stay equal and say nothing about themselves.

mod providers;
mod scan;
mod words;

use rmp::Marker;

use crate::msgpack::{Malformed, Reader, Result};
use scan::{Span, find, marker_length, rule_of, scheme_length};
use words::{Sensitivity, is_placeholder, is_random, sensitivity};

/// JSON of a record is at most 128 deep; the steps and their fields stand around it.
const DEEPEST: usize = 160;
const SHORTEST_TEXT: usize = 8;
/// A shorter name of a value is no key by its format.
const SHORTEST_KEY: usize = 20;

/// Replaces secrets, with the key of one memory.
#[derive(Clone)]
pub struct Redactor {
    key: [u8; 32],
}

/// A record without its secrets, and how many there were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    pub record: Vec<u8>,
    pub secrets: u32,
}

impl Redactor {
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The record of an episode (msgpack) without secrets in its task, metadata, steps and outcome; `None` if it has
    /// none. Ids and names (agent, tool, task key, external id, tags) are left as they are.
    ///
    /// Fails with `Malformed` if the record is not msgpack, or deeper than a record can be.
    pub fn redact_record(&self, record: &[u8]) -> Result<Option<Redacted>> {
        let mut edit = Edit::new(self, record);
        let mut reader = Reader::new(record);
        for _ in 0..reader.map()? {
            match reader.str()? {
                "task" | "metadata" | "outcome" => edit.value(&mut reader, None, 0)?,
                "steps" => {
                    for _ in 0..reader.array()? {
                        edit.step(&mut reader)?;
                    }
                }
                _ => reader.skip()?,
            }
        }
        Ok(edit.finish())
    }

    /// One JSON value (msgpack) without secrets; `None` if it has none.
    pub fn redact_value(&self, value: &[u8]) -> Result<Option<Redacted>> {
        let mut edit = Edit::new(self, value);
        edit.value(&mut Reader::new(value), None, 0)?;
        Ok(edit.finish())
    }

    /// One text without secrets, and how many there were; `None` if it has none.
    pub fn redact_text(&self, text: &str) -> Option<(String, u32)> {
        let mut spans = Vec::new();
        find(text, &mut spans);
        (!spans.is_empty()).then(|| (self.replaced(text, &spans), spans.len() as u32))
    }

    fn replaced(&self, text: &str, spans: &[Span]) -> String {
        let mut redacted = String::with_capacity(text.len() + 24 * spans.len());
        let mut copied = 0;
        for span in spans {
            redacted.push_str(&text[copied..span.start]);
            redacted.push_str(&self.marker(span.rule, &text.as_bytes()[span.start..span.end]));
            copied = span.end;
        }
        redacted.push_str(&text[copied..]);
        redacted
    }

    fn marker(&self, rule: &str, secret: &[u8]) -> String {
        let hash = blake3::keyed_hash(&self.key, secret).to_hex();
        format!("[REDACTED:{rule}:{}]", &hash[..8])
    }
}

/// A msgpack value that is copied up to each text that changes. Counts of maps and arrays stay as they are.
struct Edit<'a> {
    redactor: &'a Redactor,
    original: &'a [u8],
    written: Vec<u8>,
    copied: usize,
    secrets: u32,
    spans: Vec<Span>,
}

impl<'a> Edit<'a> {
    fn new(redactor: &'a Redactor, original: &'a [u8]) -> Self {
        Self { redactor, original, written: Vec::new(), copied: 0, secrets: 0, spans: Vec::new() }
    }

    fn finish(mut self) -> Option<Redacted> {
        if self.secrets == 0 {
            return None;
        }
        self.written.extend_from_slice(&self.original[self.copied..]);
        Some(Redacted { record: self.written, secrets: self.secrets })
    }

    /// The fields of a step that an agent, a tool or an environment wrote.
    fn step(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        for _ in 0..reader.map()? {
            match reader.str()? {
                "action" | "parameters" | "output" | "error" | "metadata" | "state" => {
                    self.value(reader, None, 1)?;
                }
                _ => reader.skip()?,
            }
        }
        Ok(())
    }

    /// One value and all values in it. `named` says how strongly the name it stands under announces a secret.
    fn value(&mut self, reader: &mut Reader<'a>, named: Option<Sensitivity>, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err(Malformed("a record is at most 160 levels deep"));
        }
        match reader.marker()? {
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => self.map(reader, named, depth),
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => self.array(reader, named, depth),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => self.text(reader, named),
            Marker::Null | Marker::True | Marker::False => reader.skip(),
            _ if named == Some(Sensitivity::Password) => self.number(reader),
            _ => reader.skip(),
        }
    }

    fn map(&mut self, reader: &mut Reader<'a>, named: Option<Sensitivity>, depth: usize) -> Result<()> {
        // Under `credentials` also `{"user": ..., "id": ...}` may stand: there only random values are secrets.
        let inherited = named.map(|_| Sensitivity::Weak);
        for _ in 0..reader.map()? {
            let start = self.offset(reader);
            let key = reader.str()?;
            let name = sensitivity(key.as_bytes());
            if key.len() >= SHORTEST_KEY {
                self.scan(start, self.offset(reader), key, None);
            }
            self.value(reader, name.max(inherited), depth + 1)?;
        }
        Ok(())
    }

    /// In a list of arguments an option names the element after it: `["--password", "..."]`.
    fn array(&mut self, reader: &mut Reader<'a>, named: Option<Sensitivity>, depth: usize) -> Result<()> {
        let mut option = None;
        for _ in 0..reader.array()? {
            let mut element = *reader;
            self.value(reader, named.max(option), depth + 1)?;
            let text = element.str().unwrap_or("");
            option = text.strip_prefix("--").and_then(|name| sensitivity(name.as_bytes()));
        }
        Ok(())
    }

    fn text(&mut self, reader: &mut Reader<'a>, named: Option<Sensitivity>) -> Result<()> {
        let start = self.offset(reader);
        let text = reader.str()?;
        if text.len() >= SHORTEST_TEXT || named.is_some() {
            self.scan(start, self.offset(reader), text, named);
        }
        Ok(())
    }

    /// Replaces the secrets of the text that stands at `start..end`.
    fn scan(&mut self, start: usize, end: usize, text: &str, named: Option<Sensitivity>) {
        self.spans.clear();
        find(text, &mut self.spans);
        if let Some(span) = named.and_then(|named| whole_secret(text, named, &self.spans)) {
            self.spans.clear();
            self.spans.push(span);
        }
        if !self.spans.is_empty() {
            let replaced = self.redactor.replaced(text, &self.spans);
            self.secrets += self.spans.len() as u32;
            self.write_text(start, end, &replaced);
        }
    }

    /// A number under the name of a password becomes a marker.
    fn number(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let start = self.offset(reader);
        let marker = self.redactor.marker("password", reader.raw()?);
        self.secrets += 1;
        self.write_text(start, self.offset(reader), &marker);
        Ok(())
    }

    fn offset(&self, reader: &Reader<'_>) -> usize {
        self.original.len() - reader.rest().len()
    }

    fn write_text(&mut self, start: usize, end: usize, text: &str) {
        self.written.extend_from_slice(&self.original[self.copied..start]);
        rmp::encode::write_str(&mut self.written, text).expect("writing to memory does not fail");
        self.copied = end;
    }
}

/// The whole text under a name that announces a secret, the scheme of an authorization left out; `None` if the rules
/// found all of it, or if it is a marker, a placeholder, or, under a weak name, not random.
fn whole_secret(text: &str, named: Sensitivity, found: &[Span]) -> Option<Span> {
    let start = scheme_length(text.as_bytes());
    let value = &text.as_bytes()[start..];
    let covered = matches!(found, [only] if only.start <= start && only.end == text.len());
    let is_marker = marker_length(value) == Some(value.len());
    if covered || is_marker || is_placeholder(value) || (named == Sensitivity::Weak && !is_random(value)) {
        return None;
    }
    Some(Span { start, end: text.len(), rule: rule_of(named) })
}

#[cfg(test)]
mod tests;
