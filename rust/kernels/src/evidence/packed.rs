//! Sums as bytes, between the store that keeps them and the ledger that loads them.
//!
//! A number of strata, each with its names, then rows that refer to them by position. Little-endian.

use rustc_hash::FxHashMap;

use super::ledger::{StratumKey, Sum};
use crate::msgpack::{Malformed, Reader, Result};

/// Packs sums whose strata are given once: a sum names its stratum by the position among them.
#[derive(Debug, Default)]
pub struct PackedSums {
    strata: Vec<u8>,
    count: u32,
    rows: Vec<u8>,
}

impl PackedSums {
    /// The packed bytes of `sums`.
    pub fn of<'a>(sums: impl IntoIterator<Item = Sum<'a>>) -> Vec<u8> {
        let mut packed = Self::default();
        let mut positions = FxHashMap::default();
        for sum in sums {
            let StratumKey { namespace, domain, agent, complexity, month } = sum.stratum;
            let position = *positions
                .entry((namespace, domain, agent, complexity, month))
                .or_insert_with(|| packed.stratum(&sum.stratum));
            packed.sum(position, &sum);
        }
        packed.finish()
    }

    /// Adds a stratum and returns its position.
    pub fn stratum(&mut self, key: &StratumKey<'_>) -> u32 {
        for name in [key.namespace, key.domain, key.agent.unwrap_or_default()] {
            self.strata.extend_from_slice(&(name.len() as u32).to_le_bytes());
            self.strata.extend_from_slice(name.as_bytes());
        }
        self.strata.extend_from_slice(&[u8::from(key.agent.is_some()), key.complexity]);
        self.strata.extend_from_slice(&key.month.to_le_bytes());
        self.count += 1;
        self.count - 1
    }

    /// Adds a sum; its stratum is the one at `stratum`, whatever `sum` says.
    pub fn sum(&mut self, stratum: u32, sum: &Sum<'_>) {
        self.rows.extend_from_slice(&stratum.to_le_bytes());
        self.rows.extend_from_slice(&sum.pattern);
        self.rows.push(sum.kind);
        self.rows.extend_from_slice(&sum.trials.to_le_bytes());
        self.rows.extend_from_slice(&sum.successes.to_le_bytes());
        self.rows.extend_from_slice(&sum.episodes.to_le_bytes());
        self.rows.extend_from_slice(&sum.outcomes.to_le_bytes());
        self.rows.extend_from_slice(&sum.last_seen.to_le_bytes());
    }

    pub fn finish(self) -> Vec<u8> {
        let mut bytes = self.count.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.strata);
        bytes.extend_from_slice(&self.rows);
        bytes
    }
}

/// What [`PackedSums`] packed; no bytes are no sums.
pub fn decode_sums(bytes: &[u8]) -> Result<Vec<Sum<'_>>> {
    let mut reader = Reader::new(bytes);
    let mut strata = Vec::new();
    let count = if bytes.is_empty() { 0 } else { u32::from_le_bytes(array(&mut reader)?) };
    for _ in 0..count {
        strata.push(stratum(&mut reader)?);
    }
    let mut sums = Vec::new();
    while !reader.is_empty() {
        let position = u32::from_le_bytes(array(&mut reader)?);
        let stratum = *strata.get(position as usize).ok_or(Malformed("a sum of an unknown stratum"))?;
        sums.push(sum(&mut reader, stratum)?);
    }
    Ok(sums)
}

fn stratum<'a>(reader: &mut Reader<'a>) -> Result<StratumKey<'a>> {
    let [namespace, domain, agent] = [name(reader)?, name(reader)?, name(reader)?];
    let agent = (reader.byte()? == 1).then_some(agent);
    let complexity = reader.byte()?;
    Ok(StratumKey { namespace, domain, agent, complexity, month: u32::from_le_bytes(array(reader)?) })
}

fn sum<'a>(reader: &mut Reader<'a>, stratum: StratumKey<'a>) -> Result<Sum<'a>> {
    Ok(Sum {
        stratum,
        pattern: array(reader)?,
        kind: reader.byte()?,
        trials: u64::from_le_bytes(array(reader)?),
        successes: f64::from_le_bytes(array(reader)?),
        episodes: u64::from_le_bytes(array(reader)?),
        outcomes: f64::from_le_bytes(array(reader)?),
        last_seen: i64::from_le_bytes(array(reader)?),
    })
}

fn name<'a>(reader: &mut Reader<'a>) -> Result<&'a str> {
    let length = u32::from_le_bytes(array(reader)?);
    std::str::from_utf8(reader.take(length as usize)?).map_err(|_| Malformed("a name that is not UTF-8"))
}

fn array<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N]> {
    reader.take(N)?.try_into().map_err(|_| Malformed("the sums end early"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_come_back_as_they_were(
            strata in prop::collection::vec((any::<String>(), any::<Option<String>>(), any::<u8>(), any::<u32>()), 1..5),
            rows in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 16]>(), any::<u64>(), 0.0..9.0f64), 0..20),
        ) {
            let strata: Vec<StratumKey<'_>> = strata
                .iter()
                .map(|(name, agent, complexity, month)| StratumKey {
                    namespace: name, domain: name, agent: agent.as_deref(), complexity: *complexity, month: *month,
                })
                .collect();
            let mut packed = PackedSums::default();
            strata.iter().for_each(|key| { packed.stratum(key); });
            let sums: Vec<Sum<'_>> = rows
                .iter()
                .map(|(at, pattern, trials, share)| {
                    let position = at.index(strata.len());
                    let sum = Sum {
                        stratum: strata[position], pattern: *pattern, kind: 3, trials: *trials, successes: *share,
                        episodes: *trials, outcomes: *share, last_seen: -1,
                    };
                    packed.sum(position as u32, &sum);
                    sum
                })
                .collect();
            let bytes = packed.finish();
            prop_assert_eq!(&decode_sums(&bytes).unwrap(), &sums);
            let bytes = PackedSums::of(sums.clone());
            prop_assert_eq!(decode_sums(&bytes).unwrap(), sums);
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = decode_sums(&bytes);
        }
    }

    #[test]
    fn no_bytes_are_no_sums() {
        assert_eq!(decode_sums(&[]), Ok(vec![]));
    }
}
