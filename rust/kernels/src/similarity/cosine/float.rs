//! Dot products of floats, written out for each set of vector instructions: they bound every scan of vectors.

/// The dot product of two vectors of one length.
#[inline]
pub(in crate::similarity) fn dot(a: &[f32], b: &[f32]) -> f32 {
    products::<false>(a, b).0
}

/// The dot product of `a` and `b` and of `b` with itself, in one pass over `b`.
#[inline]
pub(super) fn dot_and_square(a: &[f32], b: &[f32]) -> (f32, f32) {
    products::<true>(a, b)
}

/// Both products; the second only if it is asked for.
#[inline]
fn products<const SQUARE: bool>(a: &[f32], b: &[f32]) -> (f32, f32) {
    assert!(a.len() == b.len(), "vectors must have one length");
    #[cfg(target_arch = "x86_64")]
    {
        use crate::simd::{Level, level};
        match level() {
            // SAFETY: the level says that this processor has these instructions; the lengths are equal.
            Level::Avx512 => return unsafe { avx512::<SQUARE>(a, b) },
            // SAFETY: as above.
            Level::Avx2 => return unsafe { avx2::<SQUARE>(a, b) },
            Level::Baseline => {}
        }
    }
    plain::<SQUARE>(a, b)
}

/// Eight sums that the compiler may keep in vectors.
fn plain<const SQUARE: bool>(a: &[f32], b: &[f32]) -> (f32, f32) {
    let (mut products, mut squares) = ([0.0; 8], [0.0; 8]);
    for (x, y) in a.chunks(8).zip(b.chunks(8)) {
        for (lane, (x, y)) in x.iter().zip(y).enumerate() {
            products[lane] += x * y;
            squares[lane] += if SQUARE { y * y } else { 0.0 };
        }
    }
    (products.iter().sum(), squares.iter().sum())
}

/// # Safety
/// The processor has AVX-512 F and the vectors have one length.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512<const SQUARE: bool>(a: &[f32], b: &[f32]) -> (f32, f32) {
    use std::arch::x86_64::*;
    let (mut products, mut squares) = ([_mm512_setzero_ps(); 4], [_mm512_setzero_ps(); 4]);
    let whole = b.len() / 64 * 64;
    for at in (0..whole).step_by(64) {
        for sum in 0..4 {
            // SAFETY: 64 numbers from `at` lie within both vectors. (A masked load would do for the rest as well, but
            // not every processor reads ahead of masked loads.)
            let (x, y) = unsafe {
                (
                    _mm512_loadu_ps(a.as_ptr().add(at + 16 * sum)),
                    _mm512_loadu_ps(b.as_ptr().add(at + 16 * sum)),
                )
            };
            products[sum] = _mm512_fmadd_ps(x, y, products[sum]);
            if SQUARE {
                squares[sum] = _mm512_fmadd_ps(y, y, squares[sum]);
            }
        }
    }
    let total = |sums: [__m512; 4]| {
        _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])))
    };
    let (product, square) = plain::<SQUARE>(&a[whole..], &b[whole..]);
    (total(products) + product, total(squares) + square)
}

/// # Safety
/// The processor has AVX2 and FMA and the vectors have one length.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const SQUARE: bool>(a: &[f32], b: &[f32]) -> (f32, f32) {
    use std::arch::x86_64::*;
    let (mut products, mut squares) = ([_mm256_setzero_ps(); 4], [_mm256_setzero_ps(); 4]);
    let whole = b.len() / 32 * 32;
    for at in (0..whole).step_by(32) {
        for sum in 0..4 {
            // SAFETY: 32 numbers from `at` lie within both vectors.
            let (x, y) = unsafe {
                (_mm256_loadu_ps(a.as_ptr().add(at + 8 * sum)), _mm256_loadu_ps(b.as_ptr().add(at + 8 * sum)))
            };
            products[sum] = _mm256_fmadd_ps(x, y, products[sum]);
            if SQUARE {
                squares[sum] = _mm256_fmadd_ps(y, y, squares[sum]);
            }
        }
    }
    let total = |sums: [__m256; 4]| {
        let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
        let half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
        _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)))
    };
    let (product, square) = plain::<SQUARE>(&a[whole..], &b[whole..]);
    (total(products) + product, total(squares) + square)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_agrees_with_the_sum(pairs in prop::collection::vec((-4.0f32..4.0, -4.0f32..4.0), 0..300)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let sum = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
            let near = |found: f32, expected: f64| (f64::from(found) - expected).abs() < 1e-5 * (16.0 + sum(&b, &b));
            let mut found = vec![plain::<true>(&a, &b), dot_and_square(&a, &b)];
            #[cfg(target_arch = "x86_64")]
            if crate::simd::level() != crate::simd::Level::Baseline {
                // SAFETY: every level above the baseline has these instructions.
                found.push(unsafe { avx2::<true>(&a, &b) });
            }
            for (product, square) in found {
                prop_assert!(near(product, sum(&a, &b)) && near(square, sum(&b, &b)));
            }
            prop_assert!(near(dot(&a, &b), sum(&a, &b)));
        }
    }
}
