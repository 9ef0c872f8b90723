//! Cosine of float vectors: exact, and by two smaller forms of the rows that are rescored exactly.
//!
//! The cosine with a zero vector is 0. Vectors are of finite length; where one pass can tell, it is checked.

use super::{Best, Leaders, NotFinite, Rows};
use crate::simd::dispatch;

mod float;
mod quantised;
mod sign_bits;

pub use quantised::{Code, Quantised};
pub use sign_bits::SignBits;

/// The dot product of two vectors of one length.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    float::dot(a, b)
}

/// The length of a vector.
#[inline]
pub fn norm(a: &[f32]) -> f32 {
    dot(a, a).sqrt()
}

/// The cosine of the angle between two vectors of one length, in -1 to 1.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    ratio(dot(a, b), norm(a) * norm(b))
}

/// The dot product of two rows of codes of one length, below 2^17.
#[inline]
pub fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    dispatch!(dot_i8_lanes(a: &[i8], b: &[i8]) -> i32)
}

/// The number of bits that differ between two rows of one length.
#[inline]
pub fn hamming(a: &[u64], b: &[u64]) -> u32 {
    dispatch!(hamming_words(a: &[u64], b: &[u64]) -> u32)
}

/// The `k` rows of the highest cosine with `query`, best first; equal scores by lower row.
pub fn top_k(query: &[f32], rows: Rows, k: usize) -> Result<Best, NotFinite> {
    let length = norm(query);
    let mut leaders = Leaders::new(k);
    let mut floor = f32::NEG_INFINITY;
    for (index, row) in rows.iter().enumerate() {
        let (product, square) = float::dot_and_square(query, row);
        if !square.is_finite() {
            return Err(NotFinite { row: index });
        }
        let score = ratio(product, length * square.sqrt());
        if score > floor {
            leaders.offer(index as u32, score);
            floor = leaders.floor();
        }
    }
    Ok(leaders.into_best())
}

/// The added 0 turns -0 into 0, so that the two are equal scores.
#[inline(always)]
fn ratio(product: f32, lengths: f32) -> f32 {
    if lengths > 0.0 { (product / lengths).clamp(-1.0, 1.0) + 0.0 } else { 0.0 }
}

#[inline(always)]
fn dot_i8_lanes<const FUSED: bool>(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum()
}

#[inline(always)]
fn hamming_words<const FUSED: bool>(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_cosine_with_a_zero_vector_is_zero() {
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 2.0]), 0.0);
        assert_eq!(top_k(&[0.0, 0.0], Rows::new(&[1.0, 2.0], 2), 1).unwrap().scores, [0.0]);
    }

    #[test]
    fn equal_rows_are_ranked_by_position() {
        let elements = [1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 0.0];
        assert_eq!(top_k(&[1.0, 0.0], Rows::new(&elements, 2), 3).unwrap().rows, [0, 2, 3]);
    }

    #[test]
    fn a_row_that_is_not_finite_is_named() {
        for odd in [f32::NAN, f32::INFINITY, f32::MAX] {
            let answer = top_k(&[1.0], Rows::new(&[1.0, odd], 1), 1);
            assert_eq!(answer, Err(NotFinite { row: 1 }));
        }
    }

    proptest! {
        #[test]
        fn codes_and_bits_agree_with_the_plain_sums(pairs in prop::collection::vec(any::<(i8, i8)>(), 0..300)) {
            let (a, b): (Vec<i8>, Vec<i8>) = pairs.iter().copied().unzip();
            prop_assert_eq!(dot_i8(&a, &b), dot_i8_lanes::<false>(&a, &b));
            let (x, y): (Vec<u64>, Vec<u64>) = pairs.iter().map(|&(x, y)| (x as u64, y as u64)).unzip();
            prop_assert_eq!(hamming(&x, &y), hamming_words::<false>(&x, &y));
        }
    }
}
