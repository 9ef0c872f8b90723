//! The rewriting of rows by migrations.

use rustc_hash::FxHashMap;
use tacit_kernels::facts::Id;
use tacit_kernels::msgpack::{Malformed, Reader};

use crate::durable::fact_counts::facts_of;
use crate::durable::queries::{Connection, blob};
use crate::error::Result;
use crate::pattern::without_detail;
use crate::record::{self, RecordKind};
use crate::side_record::SideRecord;

/// The rows that are read at a time.
const PAGE: i64 = 500;

const EPISODES: &str = "SELECT namespace, id, record FROM episode ORDER BY sequence";
const OLD_PATTERNS: &str =
    "SELECT number, id, kind, record FROM old_pattern WHERE number > ? ORDER BY number LIMIT ?";
const PATTERN: &str = "INSERT INTO pattern (namespace, id, kind, record) VALUES (?, ?, ?, ?)";
const RECEIPTS: &str = "SELECT sequence, id, record FROM note \
    WHERE kind = 4 AND is_there = 1 AND sequence > ? ORDER BY sequence LIMIT ?";
const SET_SUBJECT: &str = "UPDATE note SET subject = ?, record = ? WHERE sequence = ?";

/// Gives each namespace its own row of the patterns that its facts name, and each receipt its episode as subject.
///
/// A pattern that no fact names is dropped. The detail of a pattern that several namespaces name is dropped as well:
/// the old schema does not say which of them it came from.
pub(crate) fn namespaces_of_patterns(connection: &mut Connection) -> Result<()> {
    let mut homes: FxHashMap<Id, Vec<i64>> = FxHashMap::default();
    connection.rows(EPISODES, vec![], |row| {
        if let (Ok(namespace), Ok(id), Ok(record)) = (row.integer(0), row.id(1), row.blob(2)) {
            for fact in facts_of(&id, &record) {
                let named = homes.entry(fact.pattern).or_default();
                if !named.contains(&namespace) {
                    named.push(namespace);
                }
            }
        }
        Ok(())
    })?;
    copy_patterns(connection, &homes)?;
    connection.script("DROP TABLE old_pattern")?;
    set_subjects(connection)
}

fn copy_patterns(connection: &mut Connection, homes: &FxHashMap<Id, Vec<i64>>) -> Result<()> {
    let mut last = 0;
    loop {
        let page = connection.rows(OLD_PATTERNS, vec![last.into(), PAGE.into()], |row| {
            Ok((row.integer(0)?, row.id(1)?, row.integer(2)?, row.blob(3)?))
        })?;
        let Some((newest, ..)) = page.last() else { return Ok(()) };
        last = *newest;
        for (_, id, kind, stored) in &page {
            let Some(namespaces) = homes.get(id) else { continue };
            let shared = if namespaces.len() > 1 { shared_record(id, stored) } else { None };
            for namespace in namespaces {
                let stored = blob(shared.as_ref().unwrap_or(stored));
                let values = vec![(*namespace).into(), blob(id), (*kind).into(), stored];
                connection.execute(PATTERN, values)?;
            }
        }
    }
}

/// Returns the frame of a pattern without its detail; `None` for a damaged one, which stays as it is.
fn shared_record(id: &Id, stored: &[u8]) -> Option<Vec<u8>> {
    let value = record::open(RecordKind::Pattern, id, stored).ok()?;
    Some(record::frame(RecordKind::Pattern, id, &without_detail(value)))
}

fn set_subjects(connection: &mut Connection) -> Result<()> {
    let mut last = 0;
    loop {
        let page = connection.rows(RECEIPTS, vec![last.into(), PAGE.into()], |row| {
            Ok((row.integer(0)?, row.id(1)?, row.blob(2)?))
        })?;
        let Some((newest, ..)) = page.last() else { return Ok(()) };
        last = *newest;
        for (sequence, id, stored) in &page {
            let Ok(receipt) = SideRecord::decode(RecordKind::Receipt, id, stored) else { continue };
            let episode = receipt.record.and_then(|record| episode_of(record).ok()?);
            if let Some(subject) = episode {
                let framed = SideRecord { subject: Some(subject), ..receipt }.encode();
                let values = vec![blob(&subject), blob(&framed), (*sequence).into()];
                connection.execute(SET_SUBJECT, values)?;
            }
        }
    }
}

/// Returns the episode that a receipt names.
fn episode_of(receipt: &[u8]) -> std::result::Result<Option<Id>, Malformed> {
    let mut reader = Reader::new(receipt);
    for _ in 0..reader.map()? {
        if reader.str()? == "episode" {
            return Ok(reader.bin()?.try_into().ok());
        }
        reader.skip()?;
    }
    Ok(None)
}
