//! Levenshtein distance: the fewest insertions, deletions and replacements that make one sequence the other.
//!
//! Myers' bit-parallel algorithm in Hyyrö's form: each place of the pattern keeps whether the distance grows (`up`) or
//! falls (`down`) from the place before it, so that the distance is the length of the text and the sum of those.

use super::masks::{Masks, Measure, Words};
use crate::sequence::Sequences;
use crate::simd::dispatch;

/// The distance between two sequences.
///
/// # Examples
/// ```
/// assert_eq!(tacit_kernels::similarity::levenshtein::levenshtein(&[1, 2], &[1, 3, 2]), 1);
/// ```
pub fn levenshtein(a: &[u64], b: &[u64]) -> u32 {
    distance(Masks::new(a).measure::<Levenshtein>(b), b.len())
}

/// 1 less the distance as a share of the longer sequence, in 0 to 1; two empty sequences are equal.
///
/// # Examples
/// ```
/// assert_eq!(tacit_kernels::similarity::levenshtein::levenshtein_ratio(&[1, 2], &[1]), 0.5);
/// ```
pub fn levenshtein_ratio(a: &[u64], b: &[u64]) -> f32 {
    ratio(levenshtein(a, b), a.len().max(b.len()))
}

/// The distance between `query` and each of the sequences.
pub fn levenshtein_many(query: &[u64], sequences: Sequences) -> Vec<u32> {
    let values = dispatch!(measure(query: &[u64], sequences: Sequences) -> Vec<i64>);
    values.into_iter().zip(sequences.lengths()).map(|(value, length)| distance(value, length)).collect()
}

/// The ratio of `query` and each of the sequences.
pub fn levenshtein_ratio_many(query: &[u64], sequences: Sequences) -> Vec<f32> {
    let distances = levenshtein_many(query, sequences).into_iter();
    distances
        .zip(sequences.lengths())
        .map(|(distance, length)| ratio(distance, query.len().max(length)))
        .collect()
}

fn distance(rise: i64, length: usize) -> u32 {
    (length as i64 + rise) as u32
}

fn ratio(distance: u32, longer: usize) -> f32 {
    if longer == 0 { 1.0 } else { 1.0 - distance as f32 / longer as f32 }
}

#[inline(always)]
fn measure<const FUSED: bool>(query: &[u64], sequences: Sequences) -> Vec<i64> {
    Masks::new(query).measure_many::<Levenshtein>(sequences)
}

enum Levenshtein {}

/// From one place to the next, down the column of a text's symbol, or from one symbol to the next, along a row.
#[derive(Clone, Copy)]
struct RowChange<const N: usize> {
    up: Words<N>,
    down: Words<N>,
}

impl Measure for Levenshtein {
    type Block<const N: usize> = RowChange<N>;
    type Carry<const N: usize> = RowChange<N>;

    #[inline(always)]
    fn start<const N: usize>() -> RowChange<N> {
        RowChange { up: [u64::MAX; N], down: [0; N] }
    }

    /// Above the first place the distance is the number of symbols taken: it always grows.
    #[inline(always)]
    fn carry<const N: usize>() -> RowChange<N> {
        RowChange { up: [1; N], down: [0; N] }
    }

    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "a lane is a place in six words")]
    fn step<const N: usize>(column: &mut RowChange<N>, found: Words<N>, carry: &mut RowChange<N>) {
        for lane in 0..N {
            let (up, down) = (column.up[lane], column.down[lane]);
            let equal = found[lane] | carry.down[lane];
            let diagonal = ((equal & up).wrapping_add(up) ^ up) | equal | down;
            let row_up = down | !(diagonal | up);
            let row_down = diagonal & up;
            let above_up = (row_up << 1) | carry.up[lane];
            let above_down = (row_down << 1) | carry.down[lane];
            (carry.up[lane], carry.down[lane]) = (row_up >> 63, row_down >> 63);
            column.up[lane] = above_down | !(diagonal | above_up);
            column.down[lane] = above_up & diagonal;
        }
    }

    #[inline(always)]
    fn value<const N: usize>(column: &RowChange<N>, lane: usize, places: u64) -> i64 {
        let count = |words: &Words<N>| i64::from((words[lane] & places).count_ones());
        count(&column.up) - count(&column.down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook table.
    fn plain(a: &[u64], b: &[u64]) -> u32 {
        let mut row: Vec<u32> = (0..=b.len() as u32).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i as u32 + 1);
            for (j, y) in b.iter().enumerate() {
                let replaced = diagonal + u32::from(x != y);
                diagonal = row[j + 1];
                row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[b.len()]
    }

    fn sequence(longest: usize) -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(0u64..5, 0..longest)
    }

    #[test]
    fn two_empty_sequences_are_equal() {
        assert_eq!((levenshtein(&[], &[]), levenshtein_ratio(&[], &[])), (0, 1.0));
        assert_eq!((levenshtein(&[], &[1, 2]), levenshtein(&[1, 2], &[])), (2, 2));
    }

    #[test]
    fn the_edges_of_blocks_are_no_edges_of_the_distance() {
        for length in [63, 64, 65, 127, 128, 129, 200] {
            let a: Vec<u64> = (0..length).map(|place| place * place % 7).collect();
            let b: Vec<u64> = (0..length + 3).map(|place| place * 3 % 5).collect();
            assert_eq!(levenshtein(&a, &b), plain(&a, &b), "{length} symbols");
        }
    }

    proptest! {
        #[test]
        fn one_query_against_many_agrees_with_the_table(
            query in sequence(150),
            texts in prop::collection::vec(sequence(150), 0..20),
        ) {
            let (symbols, offsets) = Sequences::columns(&texts);
            let sequences = Sequences::new(&symbols, &offsets).unwrap();
            let expected: Vec<u32> = texts.iter().map(|text| plain(&query, text)).collect();
            prop_assert_eq!(&levenshtein_many(&query, sequences), &expected);
            let baseline = measure::<false>(&query, sequences);
            let baseline: Vec<u32> =
                baseline.into_iter().zip(&texts).map(|(value, text)| distance(value, text.len())).collect();
            prop_assert_eq!(baseline, expected);
            let ratios: Vec<f32> = texts.iter().map(|text| levenshtein_ratio(&query, text)).collect();
            prop_assert_eq!(levenshtein_ratio_many(&query, sequences), ratios);
        }
    }
}
