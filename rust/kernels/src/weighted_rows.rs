//! Sums of weighted rows: the inner loops of a linear model with many inputs, few of which are set.

use crate::simd::{dispatch, multiply_add};

/// Adds rows of a matrix, each by its factor: `sums += factor * matrix[row]` for each `(row, factor)`.
///
/// The matrix lies row by row, each as wide as `sums`.
pub fn add_rows(rows: &[(u32, f32)], matrix: &[f32], sums: &mut [f32]) {
    dispatch!(add_rows_body(rows: &[(u32, f32)], matrix: &[f32], sums: &mut [f32]));
}

#[inline(always)]
fn add_rows_body<const FUSED: bool>(rows: &[(u32, f32)], matrix: &[f32], sums: &mut [f32]) {
    let width = sums.len();
    for (row, factor) in rows {
        let row = &matrix[*row as usize * width..][..width];
        for (sum, element) in sums.iter_mut().zip(row) {
            *sum = multiply_add::<FUSED>(*element, *factor, *sum);
        }
    }
}

/// One step of gradient descent with a ridge: `row = keep * row + step * slopes`.
pub fn shrink_and_add(row: &mut [f32], slopes: &[f32], keep: f32, step: f32) {
    dispatch!(shrink_and_add_body(row: &mut [f32], slopes: &[f32], keep: f32, step: f32));
}

#[inline(always)]
fn shrink_and_add_body<const FUSED: bool>(row: &mut [f32], slopes: &[f32], keep: f32, step: f32) {
    for (element, slope) in row.iter_mut().zip(slopes) {
        *element = multiply_add::<FUSED>(*slope, step, *element * keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_rows_are_added_by_their_factors() {
        let mut sums = [1.0, 2.0];
        add_rows(&[(2, 0.5), (0, 2.0)], &[1.0, 10.0, 3.0, 30.0, 4.0, 40.0], &mut sums);
        assert_eq!(sums, [5.0, 42.0]);
    }

    #[test]
    fn a_row_shrinks_before_the_step_is_added() {
        let mut row = [8.0, -4.0];
        shrink_and_add(&mut row, &[1.0, 2.0], 0.5, -1.0);
        assert_eq!(row, [3.0, -4.0]);
    }
}
