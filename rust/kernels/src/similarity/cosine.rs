//! Cosine of float vectors: exact, and by two smaller forms of the rows that are rescored exactly.
//!
//! The cosine with a zero vector is 0. Vectors are of finite length; a function that can tell in one pass checks
//! it.

use super::leaders::{Best, Leaders};
use super::rows::{NotFinite, Rows};

pub(super) mod float;
mod pairs;
mod quantised;
mod sign_bits;

use pairs::ratio;
pub use pairs::{cosine, dot, dot_i8, hamming, norm};
pub use quantised::{Code, Quantised};
pub use sign_bits::SignBits;

/// The `k` rows of the highest cosine with `query`, best first; equal scores by lower row.
///
/// # Examples
/// ```
/// use tacit_kernels::similarity::{Rows, cosine::top_k};
/// let best = top_k(&[1.0, 0.0], Rows::new(&[0.0, 1.0, 2.0, 0.0], 2), 1).unwrap();
/// assert_eq!((best.rows, best.scores), (vec![1], vec![1.0]));
/// ```
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
