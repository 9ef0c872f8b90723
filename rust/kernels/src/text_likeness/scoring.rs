//! Scores of texts for a query, from the number of texts that have each feature.

use super::features::QueryFeatures;
use crate::image::{Image, ImageReader, read_map, write_map};
use crate::msgpack::Result;
use rustc_hash::FxHashMap;

/// The number of buckets that features fall into.
pub const BUCKETS: usize = 1 << 16;
/// BM25's saturation, and how much a text's length lowers the value of a feature in it.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// The number of texts with each feature, and the lengths of the texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureCounts {
    texts_with: FxHashMap<u16, u32>,
    texts: u32,
    features: u64,
}

impl Image for FeatureCounts {
    fn write(&self, out: &mut Vec<u8>) {
        write_map(&self.texts_with, out);
        self.texts.write(out);
        self.features.write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        Ok(Self { texts_with: read_map(input)?, texts: u32::read(input)?, features: u64::read(input)? })
    }
}

impl FeatureCounts {
    /// Counts a text's buckets.
    pub fn add(&mut self, buckets: &[u16]) {
        for bucket in buckets {
            *self.texts_with.entry(*bucket).or_default() += 1;
        }
        self.texts += 1;
        self.features += buckets.len() as u64;
    }

    /// Takes back one `add` of the same buckets.
    pub fn remove(&mut self, buckets: &[u16]) {
        for bucket in buckets {
            if let Some(count) = self.texts_with.get_mut(bucket) {
                *count -= 1;
            }
        }
        self.texts -= 1;
        self.features -= buckets.len() as u64;
    }

    /// Drops the entries of features that no text has any more.
    pub fn shrink(&mut self) {
        self.texts_with.retain(|_, count| *count > 0);
    }

    pub fn bytes(&self) -> usize {
        self.texts_with.capacity() * 9
    }

    /// BM25's inverse document frequency, `ln(1 + (n - k + .5) / (k + .5))` of a feature in k of n texts: never below 0.
    pub fn rarity(&self, bucket: u16) -> f32 {
        let with = self.texts_with.get(&bucket).copied().unwrap_or(0) as f32;
        (1.0 + (self.texts as f32 - with + 0.5) / (with + 0.5)).ln()
    }

    /// The inverse document frequency of TF-IDF, `1 + ln((1 + n) / (1 + k))` of a feature in k of n texts: 1 or more.
    pub fn smoothed_rarity(&self, bucket: u16) -> f32 {
        let with = self.texts_with.get(&bucket).copied().unwrap_or(0);
        1.0 + ((1 + self.texts) as f32 / (1 + with) as f32).ln()
    }

    fn mean_length(&self) -> f32 {
        (self.features as f32 / self.texts.max(1) as f32).max(1.0)
    }

    /// The factor of each feature in a text of `length` features.
    fn share(&self, length: usize) -> f32 {
        (K1 + 1.0) / (1.0 + K1 * (1.0 - B + B * length as f32 / self.mean_length()))
    }

    /// The most that any text could score: the query's features of the highest value and nothing else.
    fn most(&self, values: &mut [f32]) -> f32 {
        values.sort_unstable_by(|a, b| b.total_cmp(a));
        let mut sum = 0.0;
        let prefixes = values.iter().enumerate().map(|(index, value)| {
            sum += value;
            sum * self.share(index + 1)
        });
        prefixes.fold(0.0, f32::max)
    }

    /// Prepares to score texts for a query. The table is used again from query to query.
    pub fn scorer<'a>(&self, query: &QueryFeatures, table: &'a mut FeatureTable) -> TextScorer<'a> {
        let pairs = query.buckets.iter().zip(query.weights());
        let mut values: Vec<f32> = pairs.map(|(bucket, weight)| weight * self.rarity(*bucket)).collect();
        table.set(&query.buckets, &values);
        let most = self.most(&mut values);
        let (constant, slope) = (1.0 + K1 * (1.0 - B), K1 * B / self.mean_length());
        TextScorer { table, scale: if most > 0.0 { (K1 + 1.0) / most } else { 0.0 }, constant, slope }
    }
}

/// Scores texts for one query.
pub struct TextScorer<'a> {
    table: &'a FeatureTable,
    scale: f32,
    constant: f32,
    slope: f32,
}

impl TextScorer<'_> {
    /// The score of a text with these buckets, in 0 to 1: 1 for the text that scores the most possible for this query.
    #[inline]
    pub fn score(&self, buckets: &[u16]) -> f32 {
        let sum = self.table.sum(buckets);
        (sum * self.scale / (self.constant + self.slope * buckets.len() as f32)).min(1.0)
    }
}

/// A value for every bucket, 0 for those that the query lacks.
pub struct FeatureTable {
    values: Box<[f32]>,
    used: Vec<u16>,
}

impl Default for FeatureTable {
    fn default() -> Self {
        Self { values: vec![0.0; BUCKETS].into_boxed_slice(), used: Vec::new() }
    }
}

impl FeatureTable {
    fn set(&mut self, buckets: &[u16], values: &[f32]) {
        for bucket in self.used.drain(..) {
            self.values[usize::from(bucket)] = 0.0;
        }
        for (bucket, value) in buckets.iter().zip(values) {
            self.values[usize::from(*bucket)] = *value;
        }
        self.used.extend_from_slice(buckets);
    }

    /// The sum of the buckets' values. Four sums run beside each other: the order of additions is fixed, and none
    /// waits for the one before it.
    #[inline]
    fn sum(&self, buckets: &[u16]) -> f32 {
        let values: &[f32; BUCKETS] = (&*self.values).try_into().expect("a value for every bucket");
        let (fours, rest) = buckets.as_chunks::<4>();
        let mut sums = [0.0f32; 4];
        for four in fours {
            for lane in 0..4 {
                sums[lane] += values[usize::from(four[lane])];
            }
        }
        rest.iter().map(|bucket| values[usize::from(*bucket)]).sum::<f32>()
            + (sums[0] + sums[1])
            + (sums[2] + sums[3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_likeness::TextFeatures;
    use proptest::prelude::*;

    fn scores(texts: &[&str], query: &str) -> Vec<f32> {
        let texts: Vec<TextFeatures> = texts.iter().map(|text| TextFeatures::new(text)).collect();
        let mut counts = FeatureCounts::default();
        texts.iter().for_each(|text| counts.add(&text.buckets));
        let mut table = FeatureTable::default();
        let scorer = counts.scorer(&QueryFeatures::new(query), &mut table);
        texts.iter().map(|text| scorer.score(&text.buckets)).collect()
    }

    #[test]
    fn the_text_itself_scores_most_and_an_unrelated_one_nothing() {
        let scores = scores(&["cancel the order", "cancel a flight", "mug on a shelf"], "cancel the order");
        assert!(scores[0] > scores[1] && scores[1] > scores[2]);
        assert_eq!((scores[2], scores[0] > 0.6), (0.0, true));
    }

    #[test]
    fn a_word_with_a_subject_counts_more_than_one_that_carries_grammar() {
        let scores =
            scores(&["refund of that one", "all about the others", "unrelated text"], "all about the refund");
        assert!(scores[0] > scores[1] && scores[1] > scores[2]);
    }

    proptest! {
        #[test]
        fn scores_lie_within_0_and_1(
            texts in prop::collection::vec("[a-e]{0,3} [a-e]{0,6} [a-e]{0,4}", 1..8),
            query in "[a-e ]{0,12}",
        ) {
            for score in scores(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &query) {
                prop_assert!((0.0..=1.0).contains(&score));
            }
        }

        #[test]
        fn removed_texts_leave_no_trace_in_the_counts(
            kept in prop::collection::vec(prop::collection::btree_set(0u16..9, 0..6), 0..6),
            gone in prop::collection::vec(prop::collection::btree_set(0u16..9, 0..6), 0..6),
        ) {
            let (mut counts, mut expected) = (FeatureCounts::default(), FeatureCounts::default());
            let buckets = |set: &std::collections::BTreeSet<u16>| set.iter().copied().collect::<Vec<u16>>();
            gone.iter().chain(&kept).for_each(|set| counts.add(&buckets(set)));
            gone.iter().for_each(|set| counts.remove(&buckets(set)));
            counts.shrink();
            kept.iter().for_each(|set| expected.add(&buckets(set)));
            prop_assert_eq!(counts, expected);
        }
    }
}
