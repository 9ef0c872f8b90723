//! Longest common subsequence, bit-parallel after Hyyrö (2004): a place's bit is cleared if the length grows by one
//! there.

use super::masks::{Masks, Measure, Words};
use crate::sequence::Sequences;
use crate::simd::dispatch;
use rustc_hash::FxHashMap;

/// The length of the longest sequence that both hold, in order but not necessarily without gaps.
///
/// # Examples
/// ```
/// assert_eq!(tacit_kernels::similarity::lcs::lcs_length(&[1, 2, 3], &[1, 3]), 2);
/// ```
pub fn lcs_length(a: &[u64], b: &[u64]) -> u32 {
    Masks::new(a).measure::<Lcs>(b) as u32
}

/// Twice the common length as a share of both lengths, in 0 to 1; two empty sequences are equal.
///
/// # Examples
/// ```
/// assert_eq!(tacit_kernels::similarity::lcs::lcs_ratio(&[1, 1, 2], &[2]), 0.5);
/// ```
pub fn lcs_ratio(a: &[u64], b: &[u64]) -> f32 {
    share(2 * lcs_length(a, b), a.len() + b.len())
}

/// The share of the longer sequence that the common one covers, in 0 to 1; two empty sequences are equal.
pub fn lcs_coverage(a: &[u64], b: &[u64]) -> f32 {
    share(lcs_length(a, b), a.len().max(b.len()))
}

/// The common length of `query` and each of the sequences.
pub fn lcs_length_many(query: &[u64], sequences: Sequences) -> Vec<u32> {
    let values = dispatch!(measure(query: &[u64], sequences: Sequences) -> Vec<i64>);
    values.into_iter().map(|length| length as u32).collect()
}

/// The ratio of `query` and each of the sequences.
pub fn lcs_ratio_many(query: &[u64], sequences: Sequences) -> Vec<f32> {
    let common = lcs_length_many(query, sequences).into_iter();
    common.zip(sequences.lengths()).map(|(common, length)| share(2 * common, query.len() + length)).collect()
}

/// The coverage of `query` and each of the sequences.
pub fn lcs_coverage_many(query: &[u64], sequences: Sequences) -> Vec<f32> {
    let common = lcs_length_many(query, sequences).into_iter();
    common.zip(sequences.lengths()).map(|(common, length)| share(common, query.len().max(length))).collect()
}

/// One longest common subsequence: the places of its symbols in `a` and in `b`, ascending.
pub fn lcs_places(a: &[u64], b: &[u64]) -> Vec<(u32, u32)> {
    let rows = grown_rows(a, b);
    let blocks = a.len().div_ceil(64);
    let is_clear = |row: usize, place: usize| rows[row * blocks + place / 64] >> (place % 64) & 1 == 0;
    let (mut left, mut right) = (a.len(), b.len());
    let mut places = Vec::new();
    while left > 0 && right > 0 {
        if !is_clear(right - 1, left - 1) {
            left -= 1;
        } else if right > 1 && is_clear(right - 2, left - 1) {
            right -= 1;
        } else {
            places.push((left as u32 - 1, right as u32 - 1));
            left -= 1;
            right -= 1;
        }
    }
    places.reverse();
    places
}

/// The bits of `a`'s places after each symbol of `b`: a place's bit is clear if the common length grows by one
/// there.
fn grown_rows(a: &[u64], b: &[u64]) -> Vec<u64> {
    let blocks = a.len().div_ceil(64);
    let mut masks: FxHashMap<u64, Vec<u64>> = FxHashMap::default();
    for (place, symbol) in a.iter().enumerate() {
        masks.entry(*symbol).or_insert_with(|| vec![0; blocks])[place / 64] |= 1 << (place % 64);
    }
    let nowhere = vec![0; blocks];
    let mut rows = Vec::with_capacity(blocks * b.len());
    let mut row = vec![u64::MAX; blocks];
    for symbol in b {
        let mut carry = Lcs::carry::<1>();
        for (block, found) in row.iter_mut().zip(masks.get(symbol).unwrap_or(&nowhere)) {
            let mut lane = [*block];
            Lcs::step(&mut lane, [*found], &mut carry);
            *block = lane[0];
        }
        rows.extend_from_slice(&row);
    }
    rows
}

fn share(part: u32, whole: usize) -> f32 {
    if whole == 0 { 1.0 } else { part as f32 / whole as f32 }
}

#[inline(always)]
fn measure<const FUSED: bool>(query: &[u64], sequences: Sequences) -> Vec<i64> {
    Masks::new(query).measure_many::<Lcs>(sequences)
}

enum Lcs {}

impl Measure for Lcs {
    type Block<const N: usize> = Words<N>;
    type Carry<const N: usize> = Words<N>;

    #[inline(always)]
    fn start<const N: usize>() -> Words<N> {
        [u64::MAX; N]
    }

    #[inline(always)]
    fn carry<const N: usize>() -> Words<N> {
        [0; N]
    }

    #[inline(always)]
    fn step<const N: usize>(block: &mut Words<N>, found: Words<N>, carry: &mut Words<N>) {
        for lane in 0..N {
            let kept = block[lane] & !found[lane];
            let sum = block[lane].wrapping_add(block[lane] & found[lane]);
            let carried = sum.wrapping_add(carry[lane]);
            carry[lane] = u64::from(sum < block[lane]) | u64::from(carried < sum);
            block[lane] = carried | kept;
        }
    }

    #[inline(always)]
    fn value<const N: usize>(block: &Words<N>, lane: usize, places: u64) -> i64 {
        i64::from((!block[lane] & places).count_ones())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook table.
    fn plain(a: &[u64], b: &[u64]) -> u32 {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (j, y) in b.iter().enumerate() {
                let grown = if x == y { diagonal + 1 } else { row[j].max(row[j + 1]) };
                diagonal = std::mem::replace(&mut row[j + 1], grown);
            }
        }
        row[b.len()]
    }

    fn sequence(longest: usize) -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(0u64..5, 0..longest)
    }

    #[test]
    fn two_empty_sequences_are_equal() {
        assert_eq!((lcs_ratio(&[], &[]), lcs_coverage(&[], &[])), (1.0, 1.0));
        assert_eq!((lcs_ratio(&[1], &[]), lcs_coverage(&[], &[1])), (0.0, 0.0));
    }

    #[test]
    fn a_gap_does_not_end_the_common_sequence() {
        assert_eq!(lcs_length(&[1, 2, 3, 4], &[1, 9, 3, 4]), 3);
        assert_eq!(lcs_ratio(&[1, 2, 3, 4], &[1, 3]), 4.0 / 6.0);
        assert_eq!(lcs_coverage(&[1, 2, 3, 4], &[1, 3]), 0.5);
    }

    proptest! {
        #[test]
        fn the_places_are_a_common_subsequence_as_long_as_any(a in sequence(150), b in sequence(150)) {
            let places = lcs_places(&a, &b);
            prop_assert_eq!(places.len() as u32, plain(&a, &b));
            prop_assert!(places.iter().all(|(i, j)| a[*i as usize] == b[*j as usize]));
            prop_assert!(places.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1));
        }

        #[test]
        fn one_query_against_many_agrees_with_the_table(
            query in sequence(150),
            texts in prop::collection::vec(sequence(150), 0..20),
        ) {
            let (symbols, offsets) = Sequences::columns(&texts);
            let sequences = Sequences::new(&symbols, &offsets).unwrap();
            let expected: Vec<u32> = texts.iter().map(|text| plain(&query, text)).collect();
            prop_assert_eq!(&lcs_length_many(&query, sequences), &expected);
            let baseline = measure::<false>(&query, sequences).into_iter().map(|length| length as u32);
            prop_assert_eq!(baseline.collect::<Vec<u32>>(), expected);
            let ratios: Vec<f32> = texts.iter().map(|text| lcs_ratio(&query, text)).collect();
            prop_assert_eq!(lcs_ratio_many(&query, sequences), ratios);
            let coverages: Vec<f32> = texts.iter().map(|text| lcs_coverage(&query, text)).collect();
            prop_assert_eq!(lcs_coverage_many(&query, sequences), coverages);
        }
    }
}
