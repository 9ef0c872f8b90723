//! Jaccard: the share of two sets that is in both.

use std::cmp::Ordering;

/// The share of the union of two sets that both have; two empty sets are equal.
/// Both are in ascending order, each symbol once.
///
/// # Examples
/// ```
/// assert_eq!(tacit_kernels::similarity::jaccard::jaccard(&[1, 2], &[2]), 0.5);
/// ```
pub fn jaccard(a: &[u64], b: &[u64]) -> f32 {
    let common = common(a, b);
    let union = a.len() + b.len() - common;
    if union == 0 { 1.0 } else { common as f32 / union as f32 }
}

/// The number of symbols that both have.
fn common(a: &[u64], b: &[u64]) -> usize {
    let (mut at_a, mut at_b, mut common) = (0, 0, 0);
    while at_a < a.len() && at_b < b.len() {
        let order = a[at_a].cmp(&b[at_b]);
        common += usize::from(order == Ordering::Equal);
        at_a += usize::from(order != Ordering::Greater);
        at_b += usize::from(order != Ordering::Less);
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn two_empty_sets_are_equal_and_one_shares_nothing() {
        assert_eq!(jaccard(&[], &[]), 1.0);
        assert_eq!(jaccard(&[1], &[]), 0.0);
    }

    proptest! {
        #[test]
        fn the_share_is_that_of_the_sets(a: BTreeSet<u8>, b: BTreeSet<u8>) {
            let sorted = |set: &BTreeSet<u8>| set.iter().map(|&x| u64::from(x)).collect::<Vec<_>>();
            let union = a.union(&b).count();
            let expected = if union == 0 { 1.0 } else { a.intersection(&b).count() as f32 / union as f32 };
            prop_assert_eq!(jaccard(&sorted(&a), &sorted(&b)), expected);
        }
    }
}
