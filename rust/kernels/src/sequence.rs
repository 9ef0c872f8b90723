//! Sequences of symbols, many in two columns, and the patterns they share.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

mod columns;
mod growth;

pub use columns::Sequences;
pub use growth::SequenceLimits;
use growth::{Count, Grown, Mark, grow};

/// Patterns in two columns, and in how many sequences each is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    pub symbols: Vec<u64>,
    pub offsets: Vec<u64>,
    pub support: Vec<u32>,
}

/// Runs of symbols and how often each occurs in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ngrams {
    pub patterns: Patterns,
    pub occurrences: Vec<u32>,
}

/// Patterns that tell successes from failures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discriminative {
    pub patterns: Patterns,
    /// The successes among the sequences with the pattern.
    pub successes: Vec<u32>,
    /// The logarithm of the odds ratio divided by its standard error: above 0 if the pattern goes with success.
    pub scores: Vec<f64>,
}

/// All runs of symbols without a gap, in lexical order by the first use of each symbol.
pub fn ngrams(sequences: Sequences, limits: SequenceLimits) -> Ngrams {
    let marks = vec![Mark { print: 0, success: 0 }; sequences.len()];
    let grown = grow(sequences, SequenceLimits { gap: 0, ..limits }, &marks);
    let chosen = at_least(&grown, limits.shortest);
    let occurrences = chosen.iter().map(|&index| grown.counts[index].occurrences).collect();
    Ngrams { patterns: patterns(&grown, &chosen), occurrences }
}

/// The closed patterns: those of which no pattern with one more symbol, up to the longest, is found in the same
/// sequences. The more frequent first, then the shorter, then in order of symbols.
///
/// # Examples
/// ```
/// use tacit_kernels::sequence::{SequenceLimits, Sequences, frequent};
/// let (symbols, offsets) = Sequences::columns(&[vec![1, 9, 2], vec![1, 2]]);
/// let limits = SequenceLimits { shortest: 2, longest: 5, gap: 1, min_support: 2 };
/// let found = frequent(Sequences::new(&symbols, &offsets).unwrap(), limits);
/// assert_eq!((found.symbols, found.support), (vec![1, 2], vec![2]));
/// ```
pub fn frequent(sequences: Sequences, limits: SequenceLimits) -> Patterns {
    let marks: Vec<Mark> =
        (0..sequences.len()).map(|index| Mark { print: mixed(index), success: 0 }).collect();
    let grown = grow(sequences, limits, &marks);
    let mut chosen = closed(&grown, limits.shortest);
    chosen.sort_by_cached_key(|&index| (Reverse(grown.counts[index].support), written(&grown, index)));
    patterns(&grown, &chosen)
}

/// The closed patterns and how they divide successes from failures, the clearest first, then as in `frequent`.
/// `successes` has an entry for each sequence.
pub fn discriminative(sequences: Sequences, successes: &[bool], limits: SequenceLimits) -> Discriminative {
    let mark = |(index, &success)| Mark { print: mixed(index), success: u32::from(success) };
    let marks: Vec<Mark> = successes.iter().enumerate().map(mark).collect();
    let grown = grow(sequences, limits, &marks);
    let of_all = successes.iter().filter(|&&success| success).count() as f64;
    let score = |index: usize| contrast(&grown.counts[index], of_all, successes.len() as f64 - of_all);
    let mut chosen = closed(&grown, limits.shortest);
    chosen.sort_by_cached_key(|&index| {
        (Reverse(score(index).abs().to_bits()), Reverse(grown.counts[index].support), written(&grown, index))
    });
    Discriminative {
        patterns: patterns(&grown, &chosen),
        successes: chosen.iter().map(|&index| grown.counts[index].successes).collect(),
        scores: chosen.iter().map(|&index| score(index)).collect(),
    }
}

/// The logarithm of the odds ratio by its standard error, with half a sequence added to each cell of the table.
fn contrast(count: &Count, successes: f64, failures: f64) -> f64 {
    let (won, lost) = (f64::from(count.successes), f64::from(count.support - count.successes));
    let cells = [won, lost, successes - won, failures - lost].map(|cell| cell + 0.5);
    let odds = (cells[0] * cells[3] / (cells[1] * cells[2])).ln();
    odds / cells.iter().map(|cell| 1.0 / cell).sum::<f64>().sqrt()
}

fn at_least(grown: &Grown, shortest: usize) -> Vec<usize> {
    (0..grown.len()).filter(|&index| grown.pattern(index).len() >= shortest).collect()
}

/// The patterns that are found elsewhere too than each pattern with one more symbol that holds them.
fn closed(grown: &Grown, shortest: usize) -> Vec<usize> {
    let place: FxHashMap<&[u32], usize> =
        (0..grown.len()).map(|index| (grown.pattern(index), index)).collect();
    let mut absorbed = vec![false; grown.len()];
    for index in at_least(grown, 2) {
        let pattern = grown.pattern(index);
        for left_out in 0..pattern.len() {
            let shorter = [&pattern[..left_out], &pattern[left_out + 1..]].concat();
            if let Some(&shorter) = place.get(shorter.as_slice()) {
                absorbed[shorter] |= in_same_sequences(&grown.counts[shorter], &grown.counts[index]);
            }
        }
    }
    at_least(grown, shortest).into_iter().filter(|&index| !absorbed[index]).collect()
}

fn in_same_sequences(a: &Count, b: &Count) -> bool {
    a.support == b.support && a.print == b.print
}

/// A number of its own for each sequence: sums of different sequences of one count do not meet but by a 2^-64 chance.
fn mixed(index: usize) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&(index as u64).to_le_bytes())
}

/// The length and the symbols of a pattern.
fn written(grown: &Grown, index: usize) -> (usize, Vec<u64>) {
    let pattern = grown.pattern(index);
    (pattern.len(), pattern.iter().map(|&id| grown.alphabet[id as usize]).collect())
}

fn patterns(grown: &Grown, chosen: &[usize]) -> Patterns {
    let mut patterns = Patterns { offsets: vec![0], ..Patterns::default() };
    for &index in chosen {
        patterns.symbols.extend(grown.pattern(index).iter().map(|&id| grown.alphabet[id as usize]));
        patterns.offsets.push(patterns.symbols.len() as u64);
        patterns.support.push(grown.counts[index].support);
    }
    patterns
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_are_the_sequences_they_were_made_of() {
        let given = [vec![1, 2], vec![], vec![3]];
        let (symbols, offsets) = Sequences::columns(&given);
        let sequences = Sequences::new(&symbols, &offsets).unwrap();
        assert!(sequences.iter().eq(given.iter().map(Vec::as_slice)));
        assert!(sequences.lengths().eq([2, 0, 1]));
    }

    #[test]
    fn offsets_that_lead_nowhere_are_refused() {
        for offsets in [[].as_slice(), &[0, 4], &[2, 1], &[0, 3, 1]] {
            assert!(Sequences::new(&[7, 8, 9], offsets).is_none(), "{offsets:?}");
        }
    }

    /// Each pattern with the sequences it is found in, by trying every choice of places.
    fn plain(texts: &[Vec<u64>], limits: SequenceLimits) -> BTreeMap<Vec<u64>, BTreeSet<usize>> {
        let mut found: BTreeMap<Vec<u64>, BTreeSet<usize>> = BTreeMap::new();
        for (index, text) in texts.iter().enumerate() {
            for start in 0..text.len() {
                for end in start + 1..=text.len().min(start + limits.longest + limits.gap) {
                    for pattern in choices(&text[start..end], limits) {
                        found.entry(pattern).or_default().insert(index);
                    }
                }
            }
        }
        found.retain(|_, sequences| sequences.len() >= limits.min_support as usize);
        found
    }

    /// The window without up to `gap` of its inner symbols.
    fn choices(window: &[u64], limits: SequenceLimits) -> Vec<Vec<u64>> {
        (0u32..1 << window.len())
            .filter(|kept| kept & 1 == 1 && kept >> (window.len() - 1) & 1 == 1)
            .filter(|kept| window.len() - kept.count_ones() as usize <= limits.gap)
            .map(|kept| (0..window.len()).filter(|at| kept >> at & 1 == 1).map(|at| window[at]).collect())
            .filter(|pattern: &Vec<u64>| pattern.len() <= limits.longest)
            .collect()
    }

    fn plain_closed(texts: &[Vec<u64>], limits: SequenceLimits) -> BTreeMap<Vec<u64>, BTreeSet<usize>> {
        let found = plain(texts, limits);
        let without = |longer: &[u64], at: usize| [&longer[..at], &longer[at + 1..]].concat();
        let absorbed = |pattern: &Vec<u64>, sequences: &BTreeSet<usize>| {
            found.iter().filter(|(longer, _)| longer.len() == pattern.len() + 1).any(|(longer, others)| {
                others == sequences && (0..longer.len()).any(|at| &without(longer, at) == pattern)
            })
        };
        let kept = |(pattern, sequences): &(&Vec<u64>, &BTreeSet<usize>)| {
            pattern.len() >= limits.shortest && !absorbed(pattern, sequences)
        };
        found.iter().filter(kept).map(|(pattern, sequences)| (pattern.clone(), sequences.clone())).collect()
    }

    fn listed(patterns: &Patterns) -> Vec<Vec<u64>> {
        Sequences::new(&patterns.symbols, &patterns.offsets).unwrap().iter().map(<[u64]>::to_vec).collect()
    }

    fn texts() -> impl Strategy<Value = Vec<Vec<u64>>> {
        prop::collection::vec(prop::collection::vec(0u64..4, 0..9), 0..8)
    }

    fn limits() -> impl Strategy<Value = SequenceLimits> {
        (1usize..3, 0usize..3, 0usize..3, 1u32..4).prop_map(|(shortest, more, gap, min_support)| {
            SequenceLimits { shortest, longest: shortest + more, gap, min_support }
        })
    }

    proptest! {
        #[test]
        fn frequent_patterns_are_the_closed_ones_in_order(texts in texts(), limits in limits()) {
            let (symbols, offsets) = Sequences::columns(&texts);
            let found = frequent(Sequences::new(&symbols, &offsets).unwrap(), limits);
            let mut expected: Vec<(Reverse<usize>, usize, Vec<u64>)> = plain_closed(&texts, limits)
                .into_iter()
                .map(|(pattern, sequences)| (Reverse(sequences.len()), pattern.len(), pattern))
                .collect();
            expected.sort();
            let support: Vec<u32> = expected.iter().map(|(Reverse(support), ..)| *support as u32).collect();
            prop_assert_eq!(&found.support, &support);
            prop_assert_eq!(listed(&found), expected.into_iter().map(|(.., pattern)| pattern).collect::<Vec<_>>());
        }

        #[test]
        fn discriminative_patterns_count_the_successes_among_their_sequences(
            texts in texts(),
            limits in limits(),
            seed: u8,
        ) {
            let (symbols, offsets) = Sequences::columns(&texts);
            let successes: Vec<bool> = (0..texts.len()).map(|index| seed >> index & 1 == 1).collect();
            let found = discriminative(Sequences::new(&symbols, &offsets).unwrap(), &successes, limits);
            let expected = plain_closed(&texts, limits);
            prop_assert_eq!(found.successes.len(), expected.len());
            for (pattern, won) in listed(&found.patterns).iter().zip(&found.successes) {
                prop_assert_eq!(expected[pattern].iter().filter(|&&index| successes[index]).count(), *won as usize);
            }
            prop_assert!(found.scores.is_sorted_by(|a, b| a.abs() >= b.abs()));
        }

        #[test]
        fn ngrams_are_the_windows(texts in texts(), longest in 1usize..5, min_support in 1u32..3) {
            let (symbols, offsets) = Sequences::columns(&texts);
            let limits = SequenceLimits { shortest: 1, longest, gap: 0, min_support };
            let found = ngrams(Sequences::new(&symbols, &offsets).unwrap(), limits);
            let mut expected: BTreeMap<Vec<u64>, (u32, BTreeSet<usize>)> = BTreeMap::new();
            for (index, text) in texts.iter().enumerate() {
                for window in (1..=longest).flat_map(|length| text.windows(length)) {
                    let (occurrences, sequences) = expected.entry(window.to_vec()).or_default();
                    *occurrences += 1;
                    sequences.insert(index);
                }
            }
            expected.retain(|_, (_, sequences)| sequences.len() >= min_support as usize);
            let counted = found.occurrences.iter().zip(&found.patterns.support);
            let counted: BTreeMap<Vec<u64>, (u32, usize)> = listed(&found.patterns)
                .into_iter()
                .zip(counted.map(|(&occurrences, &support)| (occurrences, support as usize)))
                .collect();
            let expected: BTreeMap<Vec<u64>, (u32, usize)> = expected
                .into_iter()
                .map(|(pattern, (occurrences, sequences))| (pattern, (occurrences, sequences.len())))
                .collect();
            prop_assert_eq!(counted, expected);
        }
    }

    #[test]
    fn a_pattern_that_goes_with_success_scores_above_one_that_goes_with_failure() {
        let texts: Vec<Vec<u64>> = (0..40).map(|index| vec![index % 2, 7, 8]).collect();
        let successes: Vec<bool> = (0..40).map(|index| index % 2 == 0).collect();
        let (symbols, offsets) = Sequences::columns(&texts);
        let limits = SequenceLimits { shortest: 2, longest: 3, gap: 0, min_support: 5 };
        let found = discriminative(Sequences::new(&symbols, &offsets).unwrap(), &successes, limits);
        assert_eq!(listed(&found.patterns), [vec![0, 7, 8], vec![1, 7, 8], vec![7, 8]]);
        assert_eq!((found.patterns.support, found.successes), (vec![20, 20, 40], vec![20, 0, 20]));
        assert!(found.scores[0] > 2.0 && found.scores[1] < -2.0 && found.scores[2].abs() < 1e-9);
    }
}
