//! Several judgements as one order: weighted sums, fused ranks, and variety among the best.

use std::cmp::Ordering;
use std::hash::Hash;

use rustc_hash::FxHashMap;

/// The sum of each value times its share of the weights; NaN stands for an absent value. `shares` receives the
/// factor of each value: 0 for an absent one, and 1 in all unless no weight is present.
pub fn weighted_sum(values: &[f64], weights: &[f64], shares: &mut [f64]) -> f64 {
    let present = |(value, weight): (&f64, &f64)| if value.is_nan() { 0.0 } else { *weight };
    let total: f64 = values.iter().zip(weights).map(present).sum();
    let mut sum = 0.0;
    for ((value, weight), share) in values.iter().zip(weights).zip(shares) {
        let counts = !value.is_nan() && total > 0.0;
        *share = if counts { weight / total } else { 0.0 };
        sum += if counts { *share * value } else { 0.0 };
    }
    sum
}

/// The weighted sum of each row of `values`, which has a column for each weight.
///
/// # Examples
/// ```
/// let sums = tacit_kernels::rank::weighted_sums(&[1.0, 0.0, 1.0, f64::NAN], &[3.0, 1.0]);
/// assert_eq!(sums, [0.75, 1.0]);
/// ```
pub fn weighted_sums(values: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut shares = vec![0.0; weights.len()];
    values.chunks_exact(weights.len().max(1)).map(|row| weighted_sum(row, weights, &mut shares)).collect()
}

/// The constant of reciprocal rank fusion, as its authors chose it (Cormack et al. 2009).
pub const FUSION_CONSTANT: f64 = 60.0;

/// The items of all lists, each list best first, by the sum of `1 / (constant + place)` over the lists that hold them;
/// the best first, ties by item. An item counts once a list, at its first place.
///
/// # Examples
/// ```
/// let ranked = tacit_kernels::rank::reciprocal_ranks([&[1, 2][..], &[2, 3]], 60.0);
/// assert_eq!(ranked[0].0, 2);
/// ```
pub fn reciprocal_ranks<'a, T, L>(lists: L, constant: f64) -> Vec<(T, f64)>
where
    T: Hash + Ord + Copy + 'a,
    L: IntoIterator<Item = &'a [T]>,
{
    let mut fused: FxHashMap<T, Fused> = FxHashMap::default();
    for (list, items) in lists.into_iter().enumerate() {
        for (place, item) in items.iter().enumerate() {
            let entry = fused.entry(*item).or_default();
            if entry.lists <= list {
                entry.lists = list + 1;
                entry.score += 1.0 / (constant + (place + 1) as f64);
            }
        }
    }
    let mut ranked: Vec<(T, f64)> = fused.into_iter().map(|(item, fused)| (item, fused.score)).collect();
    ranked.sort_unstable_by(|a, b| best_first(a.1, b.1).then_with(|| a.0.cmp(&b.0)));
    ranked
}

#[derive(Default)]
struct Fused {
    score: f64,
    /// One more than the number of the last list that counted.
    lists: usize,
}

/// Up to `limit` rows by maximal marginal relevance, in the order of their choice: each has the most of
/// `balance * relevance - (1 - balance) * its largest similarity to those chosen before`; ties go to the lower row.
///
/// `similarity` is asked once for each chosen row and each that is left.
///
/// # Examples
/// ```
/// let alike = |a: usize, b: usize| if a.max(b) < 2 { 1.0 } else { 0.0 };
/// assert_eq!(tacit_kernels::rank::diversify(&[1.0, 0.9, 0.5], 0.5, 2, alike), [0, 2]);
/// ```
pub fn diversify(
    relevance: &[f64],
    balance: f64,
    limit: usize,
    mut similarity: impl FnMut(usize, usize) -> f64,
) -> Vec<usize> {
    let mut left: Vec<usize> = (0..relevance.len()).collect();
    let mut likeness = vec![0.0_f64; relevance.len()];
    let mut chosen = Vec::with_capacity(limit.min(left.len()));
    while chosen.len() < limit && !left.is_empty() {
        let worth = |row: usize| balance * relevance[row] - (1.0 - balance) * likeness[row];
        let better = |best, place| if worth(left[place]) > worth(left[best]) { place } else { best };
        let row = left.remove((1..left.len()).fold(0, better));
        chosen.push(row);
        if balance < 1.0 && chosen.len() < limit {
            for &other in &left {
                likeness[other] = likeness[other].max(similarity(row, other));
            }
        }
    }
    chosen
}

/// Orders the larger first and NaN last.
pub fn best_first(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_absent_value_leaves_its_weight_to_the_others() {
        let mut shares = [9.0; 3];
        assert_eq!(weighted_sum(&[1.0, f64::NAN, 0.5], &[0.5, 1.0, 0.5], &mut shares), 0.75);
        assert_eq!(shares, [0.5, 0.0, 0.5]);
    }

    #[test]
    fn nothing_present_scores_nothing() {
        let mut shares = [9.0; 2];
        assert_eq!((weighted_sum(&[f64::NAN; 2], &[1.0; 2], &mut shares), shares), (0.0, [0.0; 2]));
        assert_eq!(weighted_sum(&[1.0; 2], &[0.0; 2], &mut shares), 0.0);
        assert!(weighted_sums(&[], &[]).is_empty());
    }

    #[test]
    fn what_two_lists_hold_comes_before_what_one_holds_higher() {
        let ranked = reciprocal_ranks([&["a", "b"][..], &["c", "b"][..]], FUSION_CONSTANT);
        let items: Vec<&str> = ranked.iter().map(|(item, _)| *item).collect();
        assert_eq!((items, ranked[0].1), (vec!["b", "a", "c"], 2.0 / 62.0));
    }

    #[test]
    fn an_item_named_twice_in_a_list_counts_once() {
        assert_eq!(reciprocal_ranks([&[7, 7, 8][..]], 0.0), [(7, 1.0), (8, 1.0 / 3.0)]);
    }

    #[test]
    fn a_copy_of_the_best_gives_way_to_something_else() {
        let likeness = |a: usize, b: usize| if a.max(b) < 2 { 1.0 } else { 0.0 };
        assert_eq!(diversify(&[1.0, 0.9, 0.5], 0.5, 2, likeness), [0, 2]);
        assert_eq!(diversify(&[1.0, 0.9, 0.5], 1.0, 2, likeness), [0, 1]);
        assert_eq!(diversify(&[0.5; 3], 1.0, 9, likeness), [0, 1, 2]);
        assert_eq!(diversify(&[], 0.5, 3, likeness), [0; 0]);
    }

    proptest! {
        #[test]
        fn a_sum_lies_between_the_values_it_weighs(values in prop::collection::vec(0.0..=1.0_f64, 1..8), seed: u64) {
            let mut jitter = crate::backoff::Jitter::new(seed);
            let weights: Vec<f64> = values.iter().map(|_| 0.1 + jitter.share()).collect();
            let mut shares = vec![0.0; values.len()];
            let sum = weighted_sum(&values, &weights, &mut shares);
            let least = values.iter().copied().fold(1.0, f64::min);
            let most = values.iter().copied().fold(0.0, f64::max);
            prop_assert!(least - 1e-12 <= sum && sum <= most + 1e-12);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }

        #[test]
        fn rows_are_chosen_once_each_and_the_most_relevant_first(
            relevance in prop::collection::vec(0.0..1.0_f64, 1..20),
            balance in 0.01..=1.0_f64,
            limit in 1..25_usize,
        ) {
            let chosen = diversify(&relevance, balance, limit, |a, b| 1.0 / (1.0 + a.abs_diff(b) as f64));
            let mut distinct = chosen.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!((distinct.len(), chosen.len()), (chosen.len(), limit.min(relevance.len())));
            prop_assert!(relevance.iter().all(|other| *other <= relevance[chosen[0]]));
        }
    }
}
