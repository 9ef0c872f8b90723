//! The record of a pattern: a msgpack map of its kind, its content and its detail.
//!
//! Kind and content are the same in each namespace, because their hash is the pattern's id. The detail (names of
//! parameters, steps that were tried) comes from the episodes of one namespace and is kept for that namespace only.

use tacit_kernels::facts::Id;
use tacit_kernels::msgpack::{Malformed, Reader};
use xxhash_rust::xxh3::xxh3_128;

/// Returns the id under which caches and the change log know a pattern of a namespace.
pub fn pattern_key(namespace: &str, pattern: &Id) -> Id {
    let mask = xxh3_128(namespace.as_bytes()).to_le_bytes();
    std::array::from_fn(|at| pattern[at] ^ mask[at])
}

/// Returns the record without its detail. A record that is no map, or has no detail, comes back as it is.
pub fn without_detail(record: &[u8]) -> Vec<u8> {
    stripped(record).ok().flatten().unwrap_or_else(|| record.to_vec())
}

fn stripped(record: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let mut reader = Reader::new(record);
    let entries = reader.map()?;
    let mut kept = Vec::new();
    for _ in 0..entries {
        let (key, value) = (reader.raw()?, reader.raw()?);
        if Reader::new(key).str() != Ok("detail") {
            kept.push([key, value]);
        }
    }
    if kept.len() == entries as usize || !reader.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(record.len());
    let written = rmp::encode::write_map_len(&mut bytes, kept.len() as u32);
    written.map_err(|_| Malformed("a map that cannot be written"))?;
    bytes.extend(kept.concat().concat());
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_detail_of_a_map_is_removed() {
        let full = b"\x83\xa4kind\x01\xa6detail\x91\xa6secret\xa7content\x81\xa1a\x02";
        assert_eq!(without_detail(full), b"\x82\xa4kind\x01\xa7content\x81\xa1a\x02");
        for other in [&b"\x90"[..], b"", b"\x82\xa4kind", b"\x81\xa4kind\x01", b"\xff\xff"] {
            assert_eq!(without_detail(other), other);
        }
    }

    #[test]
    fn the_key_of_a_pattern_differs_between_namespaces() {
        let pattern = [7; 16];
        assert_ne!(pattern_key("a", &pattern), pattern_key("b", &pattern));
        assert_eq!(pattern_key("a", &pattern_key("a", &pattern)), pattern);
    }
}
