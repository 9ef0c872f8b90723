//! Facts of every episode, a few bytes each, and the mean of each pattern.

use super::lexical::{read_spans, read_varint, retain_spans, span, write_varint};
use super::merges::Merges;
use crate::evidence::Ledger;
use crate::facts::{Fact, Id};
use crate::image::{Image, ImageReader, check};
use crate::msgpack::Result;
use rustc_hash::FxHashMap;

/// The facts of every document of one namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Taught {
    /// Patterns that this namespace has, numbered: by the ledger's symbol, and back.
    numbers: FxHashMap<u32, u32>,
    symbols: Vec<u32>,
    /// By number: the pattern's mean over the namespace's evidence.
    means: Vec<f32>,
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

/// The form of a fact's successes, in the two lowest bits of its occurrences.
const SHARE: u32 = 0;
const COUNT: u32 = 1;
const EXACT: u32 = 2;

/// One fact as it is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) number: u32,
    pub(super) occurrences: u16,
    pub(super) successes: f64,
}

impl Taught {
    /// Adds the next document's facts; `symbols` has the ledger's symbol of each.
    pub(super) fn push(&mut self, facts: &[Fact], symbols: &[u32], base: Option<f64>) {
        let kept = |(fact, symbol): (&Fact, &u32)| Kept {
            number: self.number(*symbol),
            occurrences: fact.occurrences,
            successes: fact.successes,
        };
        let mut kept: Vec<Kept> = facts.iter().zip(symbols).map(kept).collect();
        kept.sort_by_key(|fact| fact.number);
        let mut before = 0;
        for fact in kept {
            write_varint(fact.number - before, &mut self.bytes);
            before = fact.number;
            write_outcome(&fact, base.unwrap_or(0.0), &mut self.bytes);
        }
        self.ends.push(self.bytes.len() as u32);
    }

    /// The number of the ledger's symbol, a new one if it has none.
    pub(super) fn number(&mut self, symbol: u32) -> u32 {
        let next = self.symbols.len() as u32;
        let number = *self.numbers.entry(symbol).or_insert(next);
        if number == next {
            self.symbols.push(symbol);
            self.means.push(f32::NAN);
        }
        number
    }

    /// The number of patterns.
    pub(super) fn patterns(&self) -> usize {
        self.symbols.len()
    }

    /// A document's facts, in the order of their numbers.
    pub(super) fn of(&self, document: u32, base: Option<f64>) -> impl Iterator<Item = Kept> {
        let bytes = &self.bytes[span(&self.ends, document)];
        let (mut at, mut number) = (0, 0);
        std::iter::from_fn(move || {
            (at < bytes.len()).then(|| {
                number += read_varint(bytes, &mut at);
                let (occurrences, successes) = read_outcome(bytes, &mut at, base.unwrap_or(0.0));
                Kept { number, occurrences, successes }
            })
        })
    }

    /// A document's facts as the ledger counted them.
    pub(super) fn facts(&self, document: u32, base: Option<f64>, ledger: &Ledger) -> Vec<Fact> {
        let fact = |kept: Kept| {
            let (pattern, kind) = ledger.pattern(self.symbols[kept.number as usize])?;
            Some(Fact { pattern, kind, occurrences: kept.occurrences, successes: kept.successes })
        };
        self.of(document, base).filter_map(fact).collect()
    }

    /// Brings the means of these patterns up to date: each has that of the pattern it was merged into.
    pub(super) fn refresh<'a>(
        &mut self,
        patterns: impl Iterator<Item = &'a Id>,
        merges: &Merges,
        namespace: &str,
        ledger: &Ledger,
    ) {
        let Some(namespace) = ledger.namespace(namespace) else { return };
        for pattern in patterns {
            let (symbol, survivor) = (ledger.symbol(pattern), ledger.symbol(merges.survivor(pattern)));
            if let Some(number) = symbol.and_then(|symbol| self.numbers.get(&symbol)) {
                let mean = survivor.and_then(|survivor| ledger.mean_of(namespace, survivor));
                self.means[*number as usize] = mean.map_or(f32::NAN, |mean| mean as f32);
            }
        }
    }

    /// `refresh` for patterns by the ledger's symbols, none of which was merged.
    pub(super) fn refresh_numbered(&mut self, symbols: &[u32], namespace: &str, ledger: &Ledger) {
        let Some(namespace) = ledger.namespace(namespace) else { return };
        for symbol in symbols {
            if let Some(number) = self.numbers.get(symbol) {
                let mean = ledger.mean_of(namespace, *symbol);
                self.means[*number as usize] = mean.map_or(f32::NAN, |mean| mean as f32);
            }
        }
    }

    /// The mean of a document's patterns; `None` means that it has none.
    pub(super) fn evidence(&self, document: u32) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0u32);
        for kept in self.of(document, None) {
            sum += f64::from(self.means[kept.number as usize]);
            count += 1;
        }
        (count > 0).then(|| sum / f64::from(count))
    }

    pub(super) fn mean(&self, number: u32) -> f64 {
        f64::from(self.means[number as usize])
    }

    /// The ledger's symbol of a pattern.
    pub(super) fn symbol(&self, number: u32) -> u32 {
        self.symbols[number as usize]
    }

    /// The number of documents.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The largest of the ledger's symbols that has a number here.
    pub(super) fn largest_symbol(&self) -> Option<u32> {
        self.symbols.iter().max().copied()
    }

    pub(super) fn retain(&mut self, keep: &[bool]) {
        retain_spans(&mut self.bytes, &mut self.ends, keep);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4 + self.symbols.len() * 8 + self.numbers.capacity() * 9
    }
}

impl Image for Taught {
    fn write(&self, out: &mut Vec<u8>) {
        self.symbols.write(out);
        self.means.write(out);
        self.bytes.write(out);
        self.ends.write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let (symbols, means): (Vec<u32>, Vec<f32>) = (Vec::read(input)?, Vec::read(input)?);
        let (bytes, ends) = read_spans(input)?;
        let numbers: FxHashMap<u32, u32> = symbols.iter().copied().zip(0..).collect();
        check(
            numbers.len() == symbols.len() && means.len() == symbols.len(),
            "patterns without their means",
        )?;
        Ok(Self { numbers, symbols, means, bytes, ends })
    }
}

/// Writes the successes. Most are the episode's share, or a count; any other number is written in full.
fn write_outcome(fact: &Kept, base: f64, bytes: &mut Vec<u8>) {
    let occurrences = u32::from(fact.occurrences) << 2;
    let count = fact.successes as u32;
    if fact.successes == base * f64::from(fact.occurrences) {
        write_varint(occurrences | SHARE, bytes);
    } else if f64::from(count) == fact.successes {
        write_varint(occurrences | COUNT, bytes);
        write_varint(count, bytes);
    } else {
        write_varint(occurrences | EXACT, bytes);
        bytes.extend_from_slice(&fact.successes.to_le_bytes());
    }
}

fn read_outcome(bytes: &[u8], at: &mut usize, base: f64) -> (u16, f64) {
    let head = read_varint(bytes, at);
    let occurrences = (head >> 2) as u16;
    let successes = match head & 3 {
        SHARE => base * f64::from(occurrences),
        COUNT => f64::from(read_varint(bytes, at)),
        _ => {
            let exact = bytes[*at..*at + 8].try_into().map_or(0.0, f64::from_le_bytes);
            *at += 8;
            exact
        }
    };
    (occurrences, successes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::StratumKey;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn facts_come_back_as_they_were(
            documents in prop::collection::vec(
                (prop::sample::select(vec![0.0, 0.5, 1.0, 1.0 / 3.0]), prop::collection::btree_map(1u8..20, (1u16..300, 0.0..=1.0f64, 0u8..3), 0..8)),
                1..8,
            ),
        ) {
            let (mut ledger, mut taught) = (Ledger::new(), Taught::default());
            let key = StratumKey { namespace: "n", domain: "d", agent: None, complexity: 0, month: 202_401, task: 0 };
            let facts = |base: f64, patterns: &std::collections::BTreeMap<u8, (u16, f64, u8)>| -> Vec<Fact> {
                let fact = |(pattern, (occurrences, share, way)): (&u8, &(u16, f64, u8))| {
                    let many = f64::from(*occurrences);
                    let successes = [base * many, (share * many).floor(), share * many][usize::from(*way)];
                    Fact { pattern: [*pattern; 16], kind: 1, occurrences: *occurrences, successes }
                };
                patterns.iter().map(fact).collect()
            };
            for (base, patterns) in &documents {
                ledger.add(key, Some(*base), &facts(*base, patterns), 0);
                let facts = facts(*base, patterns);
                let symbols: Vec<u32> = facts.iter().filter_map(|fact| ledger.symbol(&fact.pattern)).collect();
                taught.push(&facts, &symbols, Some(*base));
            }
            for (document, (base, patterns)) in documents.iter().enumerate() {
                let mut found = taught.facts(document as u32, Some(*base), &ledger);
                found.sort_by_key(|fact| fact.pattern);
                prop_assert_eq!(found, facts(*base, patterns));
            }
        }
    }
}
