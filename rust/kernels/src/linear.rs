//! Small systems of linear equations.

/// The solution of a symmetric positive definite system, by Cholesky's factors in place; `None` means not definite.
///
/// `matrix` lies row by row; its upper half is not read.
pub fn solve(matrix: &mut [f64], mut right: Vec<f64>) -> Option<Vec<f64>> {
    let n = right.len();
    for i in 0..n {
        for j in 0..=i {
            let (head, row) = matrix.split_at_mut(i * n);
            let other = if j < i { &head[j * n..j * n + j] } else { &[] };
            let sum = if j < i { inner(other, &row[..j]) } else { inner(&row[..i], &row[..i]) };
            let pivot = row[j] - sum;
            row[j] = match j < i {
                true => pivot / head[j * n + j],
                false if pivot > 0.0 => pivot.sqrt(),
                false => return None,
            };
        }
        right[i] = (right[i] - inner(&matrix[i * n..i * n + i], &right[..i])) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let later: f64 = (i + 1..n).map(|j| matrix[j * n + i] * right[j]).sum();
        right[i] = (right[i] - later) / matrix[i * n + i];
    }
    Some(right)
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_system_that_is_not_definite_has_no_solution() {
        assert_eq!(solve(&mut [1.0, 2.0, 2.0, 1.0], vec![1.0, 1.0]), None);
    }

    proptest! {
        #[test]
        fn the_solution_of_a_definite_system_solves_it(
            rows in prop::collection::vec(prop::collection::vec(-1.0f64..1.0, 6), 6),
            right in prop::collection::vec(-1.0f64..1.0, 6),
        ) {
            let mut matrix: Vec<f64> =
                (0..36).map(|at| inner(&rows[at / 6], &rows[at % 6]) + if at / 6 == at % 6 { 0.1 } else { 0.0 }).collect();
            let kept = matrix.clone();
            let solution = solve(&mut matrix, right.clone()).unwrap();
            for i in 0..6 {
                prop_assert!((inner(&kept[i * 6..][..6], &solution) - right[i]).abs() < 1e-6);
            }
        }
    }
}
