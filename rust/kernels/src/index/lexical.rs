//! The texts of one field of all documents, and the postings of their words that propose candidates.

use crate::image::{Fixed, Image, ImageReader, check, read_map};
use crate::msgpack::{Malformed, Result};
use crate::text_likeness::{FeatureCounts, FeatureTable, QueryFeatures, TextScorer};
use rustc_hash::FxHashMap;

/// The features of one field (task text, or what stands in the steps) of every document.
#[derive(Clone, Debug, Default)]
pub(super) struct Field {
    buckets: Vec<u16>,
    /// The end of each document's buckets; they start at the end of those before.
    ends: Vec<u32>,
    /// The features of the live documents.
    counts: FeatureCounts,
}

impl Field {
    /// Adds the next document.
    pub(super) fn push(&mut self, buckets: &[u16]) {
        self.buckets.extend_from_slice(buckets);
        self.ends.push(self.buckets.len() as u32);
        self.counts.add(buckets);
    }

    /// Takes a document out of the counts; its buckets stay where they are until `retain`.
    pub(super) fn remove(&mut self, document: u32) {
        let buckets = span(&self.ends, document);
        self.counts.remove(&self.buckets[buckets]);
    }

    /// Keeps the documents for which `keep` holds, in their order.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        retain_spans(&mut self.buckets, &mut self.ends, keep);
        self.counts.shrink();
    }

    /// The number of documents.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn buckets(&self, document: u32) -> &[u16] {
        &self.buckets[span(&self.ends, document)]
    }

    pub(super) fn bytes(&self) -> usize {
        self.buckets.len() * 2 + self.ends.len() * 4 + self.counts.bytes()
    }

    /// The rarity of a feature among the live documents.
    pub(crate) fn rarity(&self, bucket: u16) -> f32 {
        self.counts.rarity(bucket)
    }

    /// Prepares to score documents for a query.
    pub(super) fn scorer<'a>(
        &'a self,
        query: &QueryFeatures,
        table: &'a mut FeatureTable,
    ) -> FieldScorer<'a> {
        FieldScorer { field: self, scorer: self.counts.scorer(query, table) }
    }
}

impl Image for Field {
    fn write(&self, out: &mut Vec<u8>) {
        self.buckets.write(out);
        self.ends.write(out);
        self.counts.write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let (buckets, ends) = read_spans(input)?;
        Ok(Self { buckets, ends, counts: FeatureCounts::read(input)? })
    }
}

/// A field and the scorer of a query.
pub(super) struct FieldScorer<'a> {
    field: &'a Field,
    scorer: TextScorer<'a>,
}

impl FieldScorer<'_> {
    /// The score of a document, in 0 to 1.
    #[inline]
    pub(super) fn score(&self, document: u32) -> f32 {
        self.scorer.score(self.field.buckets(document))
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

    /// Returns true if every posting names one of so many documents.
    pub(super) fn are_below(&self, documents: usize) -> bool {
        let is_below = |document: u32| (document as usize) < documents;
        let single = self.places.values().filter(|place| *place & IS_LIST == 0);
        single.copied().all(is_below) && self.lists.iter().all(|list| is_below(list.last))
    }

    pub(super) fn bytes(&self) -> usize {
        let lists: usize = self.lists.iter().map(|list| size_of::<List>() + list.gaps.capacity()).sum();
        self.places.capacity() * 9 + lists
    }
}

impl Image for Postings {
    fn write(&self, out: &mut Vec<u8>) {
        // Lists are numbered in the order of their words, whatever their order here.
        let mut places: Vec<(u32, u32)> = self.places.iter().map(|(word, place)| (*word, *place)).collect();
        places.sort_unstable();
        let mut lists: Vec<&List> = Vec::with_capacity(self.lists.len());
        for (_, place) in places.iter_mut().filter(|(_, place)| *place & IS_LIST != 0) {
            let number = std::mem::replace(place, lists.len() as u32 | IS_LIST) ^ IS_LIST;
            lists.push(&self.lists[number as usize]);
        }
        places.write(out);
        lists.iter().map(|list| list.count).collect::<Vec<_>>().write(out);
        lists.iter().map(|list| list.last).collect::<Vec<_>>().write(out);
        let (mut gaps, mut ends) = (Vec::new(), Vec::with_capacity(lists.len()));
        for list in lists {
            gaps.extend_from_slice(&list.gaps);
            ends.push(gaps.len() as u64);
        }
        gaps.write(out);
        ends.write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let places: FxHashMap<u32, u32> = read_map(input)?;
        let (counts, lasts): (Vec<u32>, Vec<u32>) = (Vec::read(input)?, Vec::read(input)?);
        let (gaps, ends): (Vec<u8>, Vec<u64>) = (Vec::read(input)?, Vec::read(input)?);
        let lengths = [counts.len(), lasts.len(), ends.len()];
        check(lengths.iter().all(|length| *length == counts.len()), "postings of unequal length")?;
        let is_known = |place: &u32| *place & IS_LIST == 0 || ((*place ^ IS_LIST) as usize) < counts.len();
        check(places.values().all(is_known), "a word without its postings")?;
        let mut start = 0;
        let list = |(at, end): (usize, &u64)| {
            let gaps = gaps.get(start..*end as usize).ok_or(Malformed("postings end early"))?.to_vec();
            start = *end as usize;
            check_varints(&gaps)?;
            Ok(List { count: counts[at], last: lasts[at], gaps })
        };
        let lists = ends.iter().enumerate().map(list).collect::<Result<Vec<List>>>()?;
        Ok(Self { places, lists })
    }
}

/// Fails unless bytes of variable length end with their last number.
pub(super) fn check_varints(bytes: &[u8]) -> Result<()> {
    check(bytes.last().is_none_or(|last| *last < 0x80), "a number ends early")
}

/// Reads elements and the ends of their spans, one a document.
pub(super) fn read_spans<T: Fixed>(input: &mut ImageReader<'_>) -> Result<(Vec<T>, Vec<u32>)> {
    let (elements, ends): (Vec<T>, Vec<u32>) = (Vec::read(input)?, Vec::read(input)?);
    let is_whole = ends.last().map_or(0, |last| *last as usize) == elements.len();
    check(is_whole && ends.is_sorted(), "spans without their elements")?;
    Ok((elements, ends))
}

/// The half of a word's hash that postings keep: one pair of words in four thousand million shares it.
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
    use crate::text_likeness::TextFeatures;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn field(texts: &[&str]) -> Field {
        let mut field = Field::default();
        texts.iter().for_each(|text| field.push(&TextFeatures::new(text).buckets));
        field
    }

    fn scores(field: &Field, query: &str, documents: u32) -> Vec<f32> {
        let mut table = FeatureTable::default();
        let scorer = field.scorer(&QueryFeatures::new(query), &mut table);
        (0..documents).map(|document| scorer.score(document)).collect()
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
    }
}
