//! The best of many rows, kept while they are offered.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The best rows and their scores, best first; equal scores by lower row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Best {
    pub rows: Vec<u32>,
    pub scores: Vec<f32>,
}

/// Keeps the `k` best of the rows offered. Scores are never NaN.
#[derive(Debug)]
pub struct Leaders {
    k: usize,
    worst_first: BinaryHeap<Scored>,
}

impl Leaders {
    pub fn new(k: usize) -> Self {
        Self { k, worst_first: BinaryHeap::new() }
    }

    /// The score that a later row must exceed to be kept, once there are `k`.
    #[inline]
    pub fn floor(&self) -> f32 {
        match self.worst_first.peek() {
            Some(worst) if self.worst_first.len() == self.k => worst.score,
            _ => f32::NEG_INFINITY,
        }
    }

    /// Rows may come in any order: of equal scores the lower row is kept.
    #[inline]
    pub fn offer(&mut self, row: u32, score: f32) {
        if self.worst_first.len() < self.k {
            self.worst_first.push(Scored { score, row });
        } else if let Some(mut worst) = self.worst_first.peek_mut() {
            let offered = Scored { score, row };
            if offered < *worst {
                *worst = offered;
            }
        }
    }

    pub fn into_best(self) -> Best {
        let ranked = self.worst_first.into_sorted_vec();
        Best {
            rows: ranked.iter().map(|scored| scored.row).collect(),
            scores: ranked.iter().map(|scored| scored.score).collect(),
        }
    }
}

/// Ordered so that the better is the less: a higher score, then a lower row.
#[derive(Clone, Copy, Debug)]
struct Scored {
    score: f32,
    row: u32,
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scored {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_scores_keep_the_lower_rows_whatever_the_order_of_offers() {
        for rows in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let mut leaders = Leaders::new(2);
            rows.iter().for_each(|&row| leaders.offer(row, 0.5));
            assert_eq!(leaders.into_best().rows, [0, 1]);
        }
    }

    #[test]
    fn no_leaders_are_kept_when_none_are_asked_for() {
        let mut leaders = Leaders::new(0);
        leaders.offer(0, 1.0);
        assert_eq!(leaders.into_best(), Best::default());
    }

    proptest! {
        #[test]
        fn leaders_are_the_head_of_the_sorted_scores(
            scores in prop::collection::vec(-4i8..4, 0..40),
            k in 0usize..12,
        ) {
            let mut leaders = Leaders::new(k);
            let mut sorted: Vec<(u32, f32)> =
                scores.iter().enumerate().map(|(row, &score)| (row as u32, f32::from(score))).collect();
            sorted.iter().for_each(|&(row, score)| leaders.offer(row, score));
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            sorted.truncate(k);
            let best = leaders.into_best();
            prop_assert_eq!(best.rows.into_iter().zip(best.scores).collect::<Vec<_>>(), sorted);
        }
    }
}
