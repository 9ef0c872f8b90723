//! Two vectors, or two rows of codes or bits.

use super::float;
use crate::simd::dispatch;

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

/// The added 0 turns -0 into 0, so that the two are equal scores.
#[inline(always)]
pub(super) fn ratio(product: f32, lengths: f32) -> f32 {
    if lengths > 0.0 { (product / lengths).clamp(-1.0, 1.0) + 0.0 } else { 0.0 }
}

#[inline(always)]
pub(super) fn dot_i8_lanes<const FUSED: bool>(a: &[i8], b: &[i8]) -> i32 {
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
