//! Products of short vectors of bytes: many small comparisons at once.

use crate::simd::dispatch;
use std::ops::Range;

/// The inner products of a vector with some rows of a matrix, both read within `range` only.
///
/// The matrix lies row by row, each as long as `asked`.
pub fn products(asked: &[i8], matrix: &[i8], rows: &[u32], range: Range<usize>) -> Vec<i32> {
    let mut found = vec![0; rows.len()];
    write_products(asked, matrix, rows, range, &mut found);
    found
}

fn write_products(asked: &[i8], matrix: &[i8], rows: &[u32], range: Range<usize>, found: &mut [i32]) {
    dispatch!(products_body(
        asked: &[i8],
        matrix: &[i8],
        rows: &[u32],
        range: Range<usize>,
        found: &mut [i32],
    ));
}

#[inline(always)]
fn products_body<const FUSED: bool>(
    asked: &[i8],
    matrix: &[i8],
    rows: &[u32],
    range: Range<usize>,
    found: &mut [i32],
) {
    let length = asked.len();
    let asked = &asked[range.clone()];
    for (found, row) in found.iter_mut().zip(rows) {
        let row = &matrix[*row as usize * length..][range.clone()];
        *found = asked.iter().zip(row).map(|(a, b)| i32::from(i16::from(*a) * i16::from(*b))).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_named_rows_are_read_within_the_range() {
        let matrix = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(products(&[1, 10, 100], &matrix, &[2, 0], 1..3), [980, 320]);
        assert_eq!(products(&[1, 10, 100], &matrix, &[], 0..3), [0_i32; 0]);
    }

    proptest! {
        #[test]
        fn products_are_those_of_whole_numbers(
            rows in prop::collection::vec(prop::collection::vec(-127i8..=127, 40), 1..9),
        ) {
            let matrix: Vec<i8> = rows.iter().flatten().copied().collect();
            let places: Vec<u32> = (0..rows.len() as u32).collect();
            let expected: Vec<i32> = rows
                .iter()
                .map(|row| row[3..37].iter().zip(&rows[0][3..37]).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum())
                .collect();
            prop_assert_eq!(products(&rows[0], &matrix, &places, 3..37), expected);
        }
    }
}
