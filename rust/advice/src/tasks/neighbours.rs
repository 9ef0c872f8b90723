//! The texts nearest to a query, by the likeness that recalls use.
//!
//! Words propose candidates and features score them, as in the index: the rarest words of the query are read first, and
//! all of a candidate's features count. A memory of fewer than `MOST_POSTINGS` texts is searched exactly.

use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tacit_kernels::text_likeness::{BUCKETS, FeatureCounts, FeatureTable, QueryFeatures, bucket};

/// The number of postings that a query reads, its rarest words first.
const MOST_POSTINGS: usize = 1 << 14;
/// The least number of candidates that are scored by all their features.
const CANDIDATES: usize = 128;

/// A text and how alike it is to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Neighbour {
    pub(crate) document: u32,
    /// The score that the index gives the text, in 0 to 1.
    pub(crate) likeness: f32,
}

#[derive(Clone, Debug)]
struct SearchedText {
    features: Arc<QueryFeatures>,
    /// The buckets of its words, which are few among its features.
    words: Box<[u16]>,
    /// The order of equally near texts: a number that does not depend on the order of arrival.
    order: u64,
}

/// Texts by the number that their owner gives them.
#[derive(Debug, Default)]
pub(crate) struct TextNeighbours {
    counts: FeatureCounts,
    texts: Vec<Option<SearchedText>>,
    /// The texts with each word, in no particular order.
    postings: FxHashMap<u64, Vec<u32>>,
    scratches: Scratches,
    /// Grows with each change of the counts.
    version: u64,
}

/// Room that a query needs, used again by the next.
struct Scratch {
    table: FeatureTable,
    /// The rarity of each bucket that was asked for, NaN for the others, as of a version of the counts.
    rarities: Vec<f32>,
    version: u64,
    /// By text: the sum of the rarity of the words that it shares with the query; all 0 between queries.
    sums: Vec<f32>,
}

impl Scratch {
    #[inline]
    fn rarity(&mut self, counts: &FeatureCounts, bucket: u16) -> f32 {
        let rarity = &mut self.rarities[usize::from(bucket)];
        if rarity.is_nan() {
            *rarity = counts.smoothed_rarity(bucket);
        }
        *rarity
    }
}

/// Scratches that no query uses now.
#[derive(Default)]
struct Scratches(Mutex<Vec<Scratch>>);

impl fmt::Debug for Scratches {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Scratches")
    }
}

impl Scratches {
    fn with<T>(&self, version: u64, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let new = || Scratch {
            table: FeatureTable::default(),
            rarities: vec![f32::NAN; BUCKETS],
            version,
            sums: Vec::new(),
        };
        let mut scratch = idle.unwrap_or_else(new);
        if scratch.version != version {
            scratch.rarities.fill(f32::NAN);
            scratch.version = version;
        }
        let result = work(&mut scratch);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        result
    }
}

impl TextNeighbours {
    /// Adds a text under a number that is free.
    pub(crate) fn put(&mut self, number: u32, order: u64, features: Arc<QueryFeatures>) {
        for word in &features.words {
            self.postings.entry(*word).or_default().push(number);
        }
        if self.texts.len() <= number as usize {
            self.texts.resize(number as usize + 1, None);
        }
        let words = features.word_buckets().collect();
        self.texts[number as usize] = Some(SearchedText { features, words, order });
    }

    pub(crate) fn remove(&mut self, number: u32) {
        let Some(text) = self.texts.get_mut(number as usize).and_then(Option::take) else { return };
        for word in &text.features.words {
            if let Some(list) = self.postings.get_mut(word) {
                list.retain(|other| *other != number);
                if list.is_empty() {
                    self.postings.remove(word);
                }
            }
        }
    }

    /// Counts an episode with this text towards the rarity of its features.
    pub(crate) fn count(&mut self, features: &QueryFeatures) {
        self.version += 1;
        self.counts.add(&features.buckets);
    }

    /// Takes back one `count`.
    pub(crate) fn discount(&mut self, features: &QueryFeatures) {
        self.version += 1;
        self.counts.remove(&features.buckets);
    }

    pub(crate) fn bytes(&self) -> usize {
        let texts = self.texts.iter().flatten();
        let texts: usize = texts.map(|text| text.features.bytes() + text.words.len() * 2 + 80).sum();
        let postings: usize = self.postings.values().map(|list| list.capacity() * 4 + 40).sum();
        texts + postings + self.counts.bytes()
    }

    /// The wanted texts that share a word with the query, the most alike first: enough for `most` tasks, or all.
    pub(crate) fn nearest(
        &self,
        query: &QueryFeatures,
        most: usize,
        wanted: impl Fn(u32) -> bool,
    ) -> Vec<Neighbour> {
        let mut near: Vec<Neighbour> = self.scratches.with(self.version, |scratch| {
            let candidates = self.candidates(query, CANDIDATES.max(2 * most), wanted, &mut scratch.sums);
            let scorer = self.counts.scorer(query, &mut scratch.table);
            let neighbour =
                |document: u32| Neighbour { document, likeness: scorer.score(self.buckets(document)) };
            candidates.into_iter().map(neighbour).collect()
        });
        near.sort_unstable_by(|a, b| {
            let by_likeness = b.likeness.total_cmp(&a.likeness);
            by_likeness.then_with(|| self.order(a.document).cmp(&self.order(b.document)))
        });
        near
    }

    /// The wanted texts with the highest sum of the rarity of shared words. `sums` is all 0, and is left so.
    fn candidates(
        &self,
        query: &QueryFeatures,
        most: usize,
        wanted: impl Fn(u32) -> bool,
        sums: &mut Vec<f32>,
    ) -> Vec<u32> {
        sums.resize(self.texts.len(), 0.0);
        let mut touched = Vec::new();
        for (list, rarity) in self.affordable(query) {
            for text in list {
                let sum = &mut sums[*text as usize];
                if *sum == 0.0 {
                    touched.push(*text);
                }
                *sum += rarity;
            }
        }
        let summed = |text: &u32| (std::mem::take(&mut sums[*text as usize]), *text);
        let summed: Vec<(f32, u32)> = touched.iter().map(summed).collect();
        let mut highest = highest_wanted(summed, most, wanted);
        self.keep_highest(&mut highest, most);
        highest.into_iter().map(|(_, text)| text).collect()
    }

    /// Keeps the texts with the highest sums; of equal ones those that come first. The sums alone are compared but for
    /// those that are equal to the lowest that is kept.
    fn keep_highest(&self, summed: &mut Vec<(f32, u32)>, most: usize) {
        if summed.len() <= most {
            return;
        }
        let (_, (lowest, _), _) = summed.select_nth_unstable_by(most, |a, b| b.0.total_cmp(&a.0));
        let lowest = *lowest;
        let mut equal: Vec<(f32, u32)> = summed.iter().copied().filter(|(sum, _)| *sum == lowest).collect();
        summed.retain(|(sum, _)| *sum > lowest);
        let room = most - summed.len();
        if room > 0 {
            equal.select_nth_unstable_by_key(room, |(_, text)| self.order(*text));
        }
        equal.truncate(room);
        summed.append(&mut equal);
    }

    /// The postings that are read, rarest first, each with the rarity of its word.
    fn affordable(&self, query: &QueryFeatures) -> impl Iterator<Item = (&Vec<u32>, f32)> {
        let known = query.words.iter().filter_map(|word| Some((self.postings.get(word)?, *word)));
        let mut known: Vec<(&Vec<u32>, u64)> = known.collect();
        known.sort_unstable_by_key(|(list, word)| (list.len(), *word));
        let mut spent = 0;
        let within = known.into_iter().take_while(move |(list, _)| {
            let is_first = spent == 0;
            spent += list.len();
            is_first || spent <= MOST_POSTINGS
        });
        within.map(|(list, word)| (list, self.counts.rarity(bucket(word)).max(f32::MIN_POSITIVE)))
    }

    fn order(&self, document: u32) -> u64 {
        self.texts[document as usize].as_ref().map_or(0, |text| text.order)
    }

    fn buckets(&self, document: u32) -> &[u16] {
        self.texts[document as usize].as_ref().map_or(&[], |text| &text.features.buckets)
    }

    /// The texts that share a word with this one, itself left out.
    pub(crate) fn nearest_to(&self, document: u32, most: usize) -> Vec<Neighbour> {
        self.nearest(self.features(document), most, |other| other != document)
    }

    /// The features of a text that is there.
    pub(crate) fn features(&self, document: u32) -> &QueryFeatures {
        &self.texts[document as usize].as_ref().expect("a document that is there").features
    }

    /// The cosine between the words of a query and of each text.
    pub(crate) fn word_cosines_with(&self, query: &QueryFeatures, documents: &[u32]) -> Vec<f64> {
        self.scratches.with(self.version, |scratch| {
            let row = self.word_row(query.word_buckets(), scratch);
            let mut cosine = |document: &u32| inner_product(&row, &self.row_of(*document, scratch));
            documents.iter().map(&mut cosine).collect()
        })
    }

    /// A query's words as a vector of length 1.
    pub(crate) fn words_of(&self, query: &QueryFeatures) -> WordRow {
        self.scratches.with(self.version, |scratch| self.word_row(query.word_buckets(), scratch))
    }

    /// The cosines between the words of texts, row by row.
    pub(crate) fn word_cosines(&self, documents: &[u32]) -> Vec<f64> {
        let rows: Vec<WordRow> = self.scratches.with(self.version, |scratch| {
            documents.iter().map(|document| self.row_of(*document, scratch)).collect()
        });
        let n = rows.len();
        let mut cosines = vec![1.0; n * n];
        for i in 0..n {
            for j in 0..i {
                let cosine = inner_product(&rows[i], &rows[j]);
                cosines[i * n + j] = cosine;
                cosines[j * n + i] = cosine;
            }
        }
        cosines
    }

    fn row_of(&self, document: u32, scratch: &mut Scratch) -> WordRow {
        let words = self.texts[document as usize].as_ref().map_or(&[][..], |text| &text.words);
        self.word_row(words.iter().copied(), scratch)
    }

    /// A text's words as a vector of length 1, each word weighted by `1 + ln((1 + n) / (1 + k))`.
    fn word_row(&self, words: impl Iterator<Item = u16>, scratch: &mut Scratch) -> WordRow {
        let weight = |bucket: u16| (bucket, scratch.rarity(&self.counts, bucket));
        let mut row: WordRow = words.map(weight).collect();
        let length = row.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
        row.iter_mut().for_each(|(_, weight)| *weight /= length);
        row
    }
}

/// Wanted texts that include the `most` with the highest sums, and all that are equal to the lowest of those. Only
/// texts with high sums are asked whether they are wanted.
fn highest_wanted(mut summed: Vec<(f32, u32)>, most: usize, wanted: impl Fn(u32) -> bool) -> Vec<(f32, u32)> {
    let (mut found, mut chunk) = (Vec::new(), most.max(1));
    while found.len() < most && summed.len() > chunk {
        let (_, (lowest, _), _) = summed.select_nth_unstable_by(chunk - 1, |a, b| b.0.total_cmp(&a.0));
        let lowest = *lowest;
        summed.retain(|each| {
            let is_high = each.0 >= lowest;
            if is_high && wanted(each.1) {
                found.push(*each);
            }
            !is_high
        });
        chunk *= 2;
    }
    if found.len() < most {
        found.extend(summed.into_iter().filter(|(_, text)| wanted(*text)));
    }
    found
}

/// The buckets of a text's words, ascending, with their weights.
pub(crate) type WordRow = Vec<(u16, f32)>;

/// The inner product of two rows in ascending order of their buckets. The steps have no branch to guess wrong: which of
/// two buckets is smaller follows no rule.
fn inner_product(a: &WordRow, b: &WordRow) -> f64 {
    let (mut i, mut j, mut sum) = (0, 0, 0.0f32);
    while i < a.len() && j < b.len() {
        let ((left, x), (right, y)) = (a[i], b[j]);
        sum += if left == right { x * y } else { 0.0 };
        i += usize::from(left <= right);
        j += usize::from(right <= left);
    }
    f64::from(sum.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn neighbours(orders: &[u64]) -> TextNeighbours {
        let mut neighbours = TextNeighbours::default();
        let features = Arc::new(QueryFeatures::default());
        (0..).zip(orders).for_each(|(number, order)| neighbours.put(number, *order, features.clone()));
        neighbours
    }

    proptest! {
        #[test]
        fn the_highest_wanted_texts_are_those_of_a_filter_and_a_sort(
            sums in prop::collection::vec(1..9_u8, 0..60),
            most in 0..20_usize,
            modulus in 1..6_u32,
        ) {
            let summed: Vec<(f32, u32)> = sums.iter().map(|sum| f32::from(*sum)).zip(0..).collect();
            let wanted = |text: u32| text.is_multiple_of(modulus);
            let mut all: Vec<(f32, u32)> = summed.iter().copied().filter(|(_, text)| wanted(*text)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let mut found = highest_wanted(summed, most, wanted);
            found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            prop_assert!(found.len() >= most.min(all.len()));
            prop_assert_eq!(&found[..], &all[..found.len()]);
        }

        #[test]
        fn the_texts_that_are_kept_are_the_first_by_sum_and_then_by_order(
            texts in prop::collection::vec((1..4_u8, any::<u64>()), 0..40),
            most in 0..40_usize,
        ) {
            let orders: Vec<u64> = texts.iter().map(|(_, order)| *order).collect();
            let mut summed: Vec<(f32, u32)> =
                (0..).zip(&texts).map(|(number, (sum, _))| (f32::from(*sum), number)).collect();
            let mut expected = summed.clone();
            expected.sort_by_key(|(sum, number)| (std::cmp::Reverse(*sum as u8), orders[*number as usize]));
            expected.truncate(most);
            neighbours(&orders).keep_highest(&mut summed, most);
            let key = |(sum, number): &(f32, u32)| (*sum as u8, orders[*number as usize]);
            summed.sort_by_key(key);
            expected.sort_by_key(key);
            let keys = |kept: &[(f32, u32)]| kept.iter().map(key).collect::<Vec<_>>();
            prop_assert_eq!(keys(&summed), keys(&expected));
        }
    }
}
