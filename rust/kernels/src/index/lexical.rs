//! Text search in two moves: postings of words propose candidates, hashed features of each text score them.
//!
//! A text's features are its word stems and the 4-grams of its words, each hashed into one of 65,536 buckets and kept
//! once. The score is BM25 over features that are there or not, divided by the most that any text could score
//! for this query: it does not depend on the other candidates.

use crate::text::{self, Marked};
use rustc_hash::FxHashMap;

const GRAM: usize = 4;
const BUCKETS: usize = 1 << 16;
/// How many features of one text are kept: the first ones.
pub(super) const MOST_FEATURES: usize = 1_024;
/// How fast a text's length lowers what a feature in it counts.
const K1: f32 = 1.2;
const B: f32 = 0.75;
/// What a function word of a query counts beside a word with a subject.
const FUNCTION_WORD_WEIGHT: f32 = 0.1;

/// What is searched of one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Buckets in ascending order, each once.
    pub buckets: Vec<u16>,
    /// Words that are not function words, in ascending order, each once.
    pub words: Vec<u64>,
}

impl Features {
    /// Words and the grams of words.
    pub fn of(text: &str) -> Self {
        let mut marked = Marked::default();
        Self::collect(text, |word, buckets| {
            marked.set(word);
            marked.grams(GRAM, |gram| buckets.push(bucket(gram)));
        })
    }

    /// Words alone.
    pub fn of_words(text: &str) -> Self {
        Self::collect(text, |_, _| {})
    }

    fn collect(text: &str, mut more: impl FnMut(&str, &mut Vec<u16>)) -> Self {
        let mut features = Self::default();
        text::words(text, |word| {
            if features.buckets.len() >= 4 * MOST_FEATURES {
                return;
            }
            let term = text::term(word);
            features.buckets.push(bucket(term));
            if !text::is_function_word(word) {
                features.words.push(term);
            }
            more(word, &mut features.buckets);
        });
        features.buckets = distinct(features.buckets);
        features.words.sort_unstable();
        features.words.dedup();
        features
    }

    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

/// What a query looks for in a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// In ascending order, each once.
    buckets: Vec<u16>,
    /// What finding each of them counts, before its rarity: 1 for a word. The grams of a word share what the square
    /// root of their number counts, so that a long word is more than a short one, but not by as much as it is longer.
    weights: Vec<f32>,
    /// Words that are not function words, in ascending order, each once.
    pub words: Vec<u64>,
}

impl Wanted {
    pub(super) fn of(text: &str) -> Self {
        let (mut marked, mut found, mut grams) = (Marked::default(), Vec::new(), Vec::new());
        let words = Features::of_words(text).words;
        text::words(text, |word| {
            if found.len() >= 4 * MOST_FEATURES {
                return;
            }
            let weight = if text::is_function_word(word) { FUNCTION_WORD_WEIGHT } else { 1.0 };
            found.push((bucket(text::term(word)), weight));
            marked.set(word);
            marked.grams(GRAM, |gram| grams.push(bucket(gram)));
            let share = weight / (grams.len().max(1) as f32).sqrt();
            found.extend(grams.drain(..).map(|gram| (gram, share)));
        });
        let (buckets, weights) = strongest(found).into_iter().unzip();
        Self { buckets, weights, words }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

/// The first distinct buckets up to the limit, sorted, each with the most it was found with.
fn strongest(found: Vec<(u16, f32)>) -> Vec<(u16, f32)> {
    let kept = distinct(found.iter().map(|(bucket, _)| *bucket).collect());
    let mut most: Vec<(u16, f32)> = kept.into_iter().map(|bucket| (bucket, 0.0)).collect();
    for (bucket, weight) in found {
        if let Ok(place) = most.binary_search_by_key(&bucket, |each| each.0) {
            most[place].1 = most[place].1.max(weight);
        }
    }
    most
}

pub(crate) fn bucket(hash: u64) -> u16 {
    (hash >> 48) as u16
}

/// The first distinct buckets up to the limit, sorted.
fn distinct(mut buckets: Vec<u16>) -> Vec<u16> {
    if buckets.len() > MOST_FEATURES {
        let mut seen = rustc_hash::FxHashSet::default();
        buckets.retain(|bucket| seen.len() < MOST_FEATURES && seen.insert(*bucket));
    }
    buckets.sort_unstable();
    buckets.dedup();
    buckets
}

/// The features of one field (task text, or what stands in the steps) of every document.
#[derive(Clone, Debug, Default)]
pub(super) struct Field {
    buckets: Vec<u16>,
    /// Where each document's buckets end; they start where those of the one before end.
    ends: Vec<u32>,
    /// In how many live documents a bucket occurs.
    documents_with: FxHashMap<u16, u32>,
    live: u32,
    live_buckets: u64,
}

impl Field {
    /// Adds the next document.
    pub(super) fn push(&mut self, buckets: &[u16]) {
        self.buckets.extend_from_slice(buckets);
        self.ends.push(self.buckets.len() as u32);
        for bucket in buckets {
            *self.documents_with.entry(*bucket).or_default() += 1;
        }
        self.live += 1;
        self.live_buckets += buckets.len() as u64;
    }

    /// Takes a document out of the counts; its buckets stay where they are until `retain`.
    pub(super) fn remove(&mut self, document: u32) {
        let buckets = span(&self.ends, document);
        self.live -= 1;
        self.live_buckets -= buckets.len() as u64;
        for bucket in &self.buckets[buckets] {
            if let Some(count) = self.documents_with.get_mut(bucket) {
                *count -= 1;
            }
        }
    }

    /// Keeps the documents for which `keep` holds, in their order.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        retain_spans(&mut self.buckets, &mut self.ends, keep);
        self.documents_with.retain(|_, count| *count > 0);
    }

    pub(super) fn buckets(&self, document: u32) -> &[u16] {
        &self.buckets[span(&self.ends, document)]
    }

    pub(super) fn bytes(&self) -> usize {
        self.buckets.len() * 2 + self.ends.len() * 4 + self.documents_with.capacity() * 9
    }

    /// How much a bucket tells: rare ones tell more; never negative.
    pub(crate) fn rarity(&self, bucket: u16) -> f32 {
        let with = self.documents_with.get(&bucket).copied().unwrap_or(0) as f32;
        (1.0 + (self.live as f32 - with + 0.5) / (with + 0.5)).ln()
    }

    fn mean_length(&self) -> f32 {
        (self.live_buckets as f32 / self.live.max(1) as f32).max(1.0)
    }

    /// What each feature counts in a document of `length` features.
    fn share(&self, length: usize) -> f32 {
        (K1 + 1.0) / (1.0 + K1 * (1.0 - B + B * length as f32 / self.mean_length()))
    }

    /// The most that any document could score: the query's features of most value, and nothing else in the text.
    fn most(&self, values: &mut [f32]) -> f32 {
        values.sort_unstable_by(|a, b| b.total_cmp(a));
        let mut sum = 0.0;
        let prefixes = values.iter().enumerate().map(|(index, value)| {
            sum += value;
            sum * self.share(index + 1)
        });
        prefixes.fold(0.0, f32::max)
    }

    /// Makes ready to score documents against what a query looks for.
    pub(super) fn ask<'a>(&'a self, query: &Wanted, table: &'a mut Table) -> Asked<'a> {
        let pairs = query.buckets.iter().zip(&query.weights);
        let mut values: Vec<f32> = pairs.map(|(bucket, weight)| weight * self.rarity(*bucket)).collect();
        table.set(&query.buckets, &values);
        let most = self.most(&mut values);
        let mean_length = self.mean_length();
        let (constant, slope) = (1.0 + K1 * (1.0 - B), K1 * B / mean_length);
        Asked { field: self, table, scale: if most > 0.0 { (K1 + 1.0) / most } else { 0.0 }, constant, slope }
    }
}

/// A field and a query's weights.
pub(super) struct Asked<'a> {
    field: &'a Field,
    table: &'a Table,
    scale: f32,
    constant: f32,
    slope: f32,
}

impl Asked<'_> {
    /// In 0 to 1: 1 for the text that scores the most possible for this query.
    #[inline]
    pub(super) fn score(&self, document: u32) -> f32 {
        let buckets = self.field.buckets(document);
        let sum = self.table.sum(buckets);
        (sum * self.scale / (self.constant + self.slope * buckets.len() as f32)).min(1.0)
    }
}

/// The weight of every bucket, 0 for those that the query lacks; used again from query to query.
pub(super) struct Table {
    weights: Box<[f32]>,
    used: Vec<u16>,
}

impl Default for Table {
    fn default() -> Self {
        Self { weights: vec![0.0; BUCKETS].into_boxed_slice(), used: Vec::new() }
    }
}

impl Table {
    fn set(&mut self, buckets: &[u16], weights: &[f32]) {
        for bucket in self.used.drain(..) {
            self.weights[usize::from(bucket)] = 0.0;
        }
        for (bucket, weight) in buckets.iter().zip(weights) {
            self.weights[usize::from(*bucket)] = *weight;
        }
        self.used.extend_from_slice(buckets);
    }

    /// Four sums run beside each other: the order of additions is fixed, and none waits for the one before it.
    #[inline]
    fn sum(&self, buckets: &[u16]) -> f32 {
        let weights: &[f32; BUCKETS] = (&*self.weights).try_into().expect("a weight for every bucket");
        let (fours, rest) = buckets.as_chunks::<4>();
        let mut sums = [0.0f32; 4];
        for four in fours {
            for lane in 0..4 {
                sums[lane] += weights[usize::from(four[lane])];
            }
        }
        rest.iter().map(|bucket| weights[usize::from(*bucket)]).sum::<f32>()
            + (sums[0] + sums[1])
            + (sums[2] + sums[3])
    }
}

/// Which documents hold a word. A word of one document costs one map entry; others a list of growing gaps.
#[derive(Clone, Debug, Default)]
pub(super) struct Postings {
    places: FxHashMap<u32, u32>,
    lists: Vec<List>,
}

/// Set where a word's place is a list; clear where it is its only document.
const IS_LIST: u32 = 1 << 31;

#[derive(Clone, Debug, Default)]
struct List {
    count: u32,
    last: u32,
    gaps: Vec<u8>,
}

impl List {
    fn push(&mut self, document: u32) {
        let gap = if self.count == 0 { document } else { document - self.last };
        write_varint(gap, &mut self.gaps);
        self.count += 1;
        self.last = document;
    }

    fn each(&self, mut visit: impl FnMut(u32)) {
        let (mut document, mut at) = (0, 0);
        while at < self.gaps.len() {
            document += read_varint(&self.gaps, &mut at);
            visit(document);
        }
    }
}

impl Postings {
    /// Adds the next document under its words: documents come in ascending order.
    pub(super) fn push(&mut self, document: u32, words: &[u64]) {
        for word in words.iter().map(|word| key(*word)) {
            match self.places.get(&word).copied() {
                None => drop(self.places.insert(word, document)),
                Some(place) if place & IS_LIST != 0 => self.lists[(place ^ IS_LIST) as usize].push(document),
                Some(only) => {
                    self.places.insert(word, self.lists.len() as u32 | IS_LIST);
                    let mut list = List::default();
                    list.push(only);
                    list.push(document);
                    self.lists.push(list);
                }
            }
        }
    }

    /// In how many documents the word stands, removed ones included until `renumber`.
    pub(super) fn count(&self, word: u64) -> u32 {
        match self.places.get(&key(word)) {
            None => 0,
            Some(place) if place & IS_LIST != 0 => self.lists[(place ^ IS_LIST) as usize].count,
            Some(_) => 1,
        }
    }

    pub(super) fn each(&self, word: u64, mut visit: impl FnMut(u32)) {
        match self.places.get(&key(word)) {
            None => {}
            Some(place) if place & IS_LIST != 0 => self.lists[(place ^ IS_LIST) as usize].each(visit),
            Some(only) => visit(*only),
        }
    }

    /// The words of a query, rarest first, as long as their lists together stay within `budget` documents; the
    /// first `at_least` are there whatever they cost.
    pub(super) fn affordable(&self, words: &[u64], budget: u32, at_least: usize) -> Vec<u64> {
        let counts = words.iter().map(|word| (self.count(*word), *word));
        let mut known: Vec<(u32, u64)> = counts.filter(|(count, _)| *count > 0).collect();
        known.sort_unstable();
        let mut spent = 0u32;
        let within = known.into_iter().enumerate().take_while(|(place, (count, _))| {
            spent = spent.saturating_add(*count);
            *place < at_least || spent <= budget
        });
        within.map(|(_, (_, word))| word).collect()
    }

    /// Gives documents their new numbers; those without one leave.
    pub(super) fn renumber(&mut self, numbers: &[Option<u32>]) {
        let old = std::mem::take(self);
        for word in old.places.keys().map(|word| u64::from(*word)) {
            old.each(word, |document| {
                if let Some(number) = numbers[document as usize] {
                    self.push(number, &[word]);
                }
            });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let lists: usize = self.lists.iter().map(|list| size_of::<List>() + list.gaps.capacity()).sum();
        self.places.capacity() * 9 + lists
    }
}

/// What of a word's hash postings keep: two words in four thousand million share it.
fn key(word: u64) -> u32 {
    word as u32
}

pub(super) fn span(ends: &[u32], document: u32) -> std::ops::Range<usize> {
    let document = document as usize;
    let start = if document == 0 { 0 } else { ends[document - 1] };
    start as usize..ends[document] as usize
}

/// Keeps the spans for which `keep` holds, in their order.
pub(super) fn retain_spans<T: Copy>(elements: &mut Vec<T>, ends: &mut Vec<u32>, keep: &[bool]) {
    let (mut kept, mut kept_ends) = (Vec::new(), Vec::new());
    for document in (0..ends.len() as u32).filter(|document| keep[*document as usize]) {
        kept.extend_from_slice(&elements[span(ends, document)]);
        kept_ends.push(kept.len() as u32);
    }
    (*elements, *ends) = (kept, kept_ends);
}

pub(super) fn write_varint(mut value: u32, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[inline]
pub(super) fn read_varint(bytes: &[u8], at: &mut usize) -> u32 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn field(texts: &[&str]) -> Field {
        let mut field = Field::default();
        texts.iter().for_each(|text| field.push(&Features::of(text).buckets));
        field
    }

    fn scores(field: &Field, query: &str, documents: u32) -> Vec<f32> {
        let mut table = Table::default();
        let asked = field.ask(&Wanted::of(query), &mut table);
        (0..documents).map(|document| asked.score(document)).collect()
    }

    #[test]
    fn the_text_itself_scores_most_and_an_unrelated_one_nothing() {
        let field = field(&["cancel the order", "cancel a flight", "mug on a shelf"]);
        let scores = scores(&field, "cancel the order", 3);
        assert!(scores[0] > scores[1] && scores[1] > scores[2]);
        assert_eq!((scores[2], scores[0] > 0.6), (0.0, true));
    }

    #[test]
    fn a_word_with_a_subject_counts_more_than_one_that_carries_grammar() {
        let field = field(&["refund of that one", "all about the others", "unrelated text"]);
        let scores = scores(&field, "all about the refund", 3);
        assert!(scores[0] > scores[1] && scores[1] > scores[2]);
    }

    #[test]
    fn what_a_query_looks_for_is_what_a_text_of_the_same_words_has() {
        let text = "cancel the cancelled order of getUserName";
        assert_eq!(Wanted::of(text).buckets, Features::of(text).buckets);
        assert_eq!(Wanted::of(text).words, Features::of(text).words);
    }

    #[test]
    fn a_removed_text_changes_scores_as_if_it_had_never_been_there() {
        let mut with = field(&["refund the order", "cancel the order", "refund"]);
        with.remove(1);
        with.retain(&[true, false, true]);
        assert_eq!(
            scores(&with, "refund order", 2),
            scores(&field(&["refund the order", "refund"]), "refund order", 2)
        );
    }

    #[test]
    fn affordable_words_are_the_rarest_and_as_many_as_must_be() {
        let mut postings = Postings::default();
        (0..100)
            .for_each(|document| postings.push(document, if document % 10 == 0 { &[7, 8] } else { &[8] }));
        assert_eq!(postings.affordable(&[8, 7, 9], 50, 1), [7]);
        assert_eq!(postings.affordable(&[8, 7, 9], 110, 1), [7, 8]);
        assert_eq!(postings.affordable(&[8], 5, 1), [8]);
        assert!(postings.affordable(&[8], 5, 0).is_empty());
    }

    proptest! {
        #[test]
        fn postings_are_those_of_a_map_of_sets(
            documents in prop::collection::vec(prop::collection::btree_set(0u64..40, 0..6), 1..200),
            gone in prop::collection::btree_set(0usize..200, 0..50),
        ) {
            let mut postings = Postings::default();
            let mut numbers = Vec::new();
            let mut expected: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
            let mut next = 0;
            for (document, words) in documents.iter().enumerate() {
                postings.push(document as u32, &words.iter().copied().collect::<Vec<_>>());
                numbers.push((!gone.contains(&document)).then_some(next));
                if !gone.contains(&document) {
                    for word in words {
                        expected.entry(*word).or_default().insert(next);
                    }
                    next += 1;
                }
            }
            postings.renumber(&numbers);
            for word in 0..40 {
                let mut found = Vec::new();
                postings.each(word, |document| found.push(document));
                prop_assert_eq!(found, expected.get(&word).map_or(vec![], |set| set.iter().copied().collect()));
            }
            prop_assert_eq!(postings.len(), expected.len());
        }

        #[test]
        fn varints_come_back(value in any::<u32>()) {
            let (mut bytes, mut at) = (Vec::new(), 0);
            write_varint(value, &mut bytes);
            prop_assert_eq!((read_varint(&bytes, &mut at), at), (value, bytes.len()));
        }

        #[test]
        fn scores_lie_within_0_and_1(texts in prop::collection::vec("[a-e]{0,3} [a-e]{0,6} [a-e]{0,4}", 1..8), query in "[a-e ]{0,12}") {
            let field = field(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            for score in scores(&field, &query, texts.len() as u32) {
                prop_assert!((0.0..=1.0).contains(&score));
            }
        }
    }
}
