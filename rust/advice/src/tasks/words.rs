//! Word TF-IDF of texts: which are nearest by cosine, from postings of hashed words.
//!
//! A word counts 1 + ln(times in the text), times 1 + ln((1 + texts) / (1 + texts with it)). All sums run in the order of
//! the words' hashes, so that the cosine of two texts depends on which texts there are, not on how they came.

use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};
use tacit_kernels::facts::Id;

/// How many postings a question reads, its rarest words first, before the candidates are fixed.
const MOST_POSTINGS: usize = 6_000;
/// At least so many candidates are then scored by all their words.
const CANDIDATES: usize = 128;

/// The number of a word, and how often it stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TermCount(u32);

impl TermCount {
    const MOST_TIMES: u32 = 15;

    pub(super) fn new(number: u32, times: u32) -> Self {
        Self(number << 4 | times.min(Self::MOST_TIMES))
    }

    #[inline]
    pub(super) fn number(self) -> u32 {
        self.0 >> 4
    }

    pub(super) fn times(self) -> u32 {
        self.0 & Self::MOST_TIMES
    }

    #[inline]
    fn damped(self) -> f32 {
        match self.times() {
            1 => 1.0,
            times => damped(times),
        }
    }
}

/// What so many times in one text count for.
pub(super) fn damped(times: u32) -> f32 {
    match times {
        0 => 0.0,
        times => 1.0 + logarithm(times as usize),
    }
}

/// The natural logarithm of a whole number.
pub(super) fn logarithm(number: usize) -> f32 {
    static TABLE: LazyLock<Box<[f32]>> =
        LazyLock::new(|| (0..1 << 16).map(|n| (n as f64).ln() as f32).collect());
    TABLE.get(number).copied().unwrap_or_else(|| (number as f64).ln() as f32)
}

/// What a word or gram in `documents` of `all` texts counts for.
#[inline]
pub(super) fn rarity(all: usize, documents: usize) -> f32 {
    1.0 + logarithm(1 + all) - logarithm(1 + documents)
}

#[derive(Clone, Debug)]
struct TermDocument {
    /// Of equally near documents, the one whose first episode has the lower id comes first.
    first: Id,
    /// In the order of the words' hashes.
    terms: Arc<[TermCount]>,
}

/// A text to compare with: known words by number, in the order of their hashes, and what its other words add.
#[derive(Clone, Debug, Default)]
pub(crate) struct TermQuery {
    pub(super) terms: Vec<TermCount>,
    /// How often each word stands there that no document holds.
    pub(super) unknown: Vec<u32>,
}

/// A document and its cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Neighbour {
    pub(crate) document: u32,
    pub(crate) cosine: f32,
}

/// The texts that are compared. Documents have numbers that their owner gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct TermVectors {
    documents: Vec<Option<TermDocument>>,
    /// For each word the documents that hold it, as terms of document and times; their order means nothing.
    postings: Vec<Vec<TermCount>>,
    live: usize,
    /// What each word counts for, and the length of each document's vector, while `is_settled`.
    rarities: Vec<f32>,
    lengths: Vec<f32>,
    is_settled: bool,
}

impl TermVectors {
    /// Takes a document in under a number that is free.
    pub(crate) fn put(&mut self, number: u32, first: Id, terms: Arc<[TermCount]>) {
        for term in terms.iter() {
            let word = term.number() as usize;
            if self.postings.len() <= word {
                self.postings.resize_with(word + 1, Vec::new);
            }
            self.postings[word].push(TermCount::new(number, term.times()));
        }
        if self.documents.len() <= number as usize {
            self.documents.resize(number as usize + 1, None);
        }
        self.documents[number as usize] = Some(TermDocument { first, terms });
        self.live += 1;
        self.is_settled = false;
    }

    pub(crate) fn remove(&mut self, number: u32) {
        let Some(document) = self.documents.get_mut(number as usize).and_then(Option::take) else { return };
        for term in document.terms.iter() {
            let list = &mut self.postings[term.number() as usize];
            if let Some(place) = list.iter().position(|posting| posting.number() == number) {
                list.swap_remove(place);
            }
        }
        self.live -= 1;
        self.is_settled = false;
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Brings up to date what depends on all documents: every put and removal changes it, only questions need it.
    pub(crate) fn settle(&mut self) {
        if !self.is_settled {
            self.rarities = self.postings.iter().map(|list| rarity(self.live, list.len())).collect();
            let length = |document: &Option<TermDocument>| {
                document.as_ref().map_or(0.0, |document| self.length(&document.terms))
            };
            self.lengths = self.documents.iter().map(length).collect();
            self.is_settled = true;
        }
    }

    fn length(&self, terms: &[TermCount]) -> f32 {
        terms.iter().map(|term| self.weight(*term)).map(|weight| weight * weight).sum::<f32>().sqrt()
    }

    #[inline]
    fn weight(&self, term: TermCount) -> f32 {
        term.damped() * self.rarity(term)
    }

    /// A word that is held but stands in no document is as rare as an unknown one.
    #[inline]
    fn rarity(&self, term: TermCount) -> f32 {
        let known = self.rarities.get(term.number() as usize).copied();
        known.unwrap_or_else(|| rarity(self.live, 0))
    }

    fn with(&self, word: u32) -> usize {
        self.postings.get(word as usize).map_or(0, Vec::len)
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn bytes(&self) -> usize {
        let postings: usize =
            self.postings.iter().map(|list| list.capacity() * 4 + size_of::<Vec<TermCount>>()).sum();
        postings
            + self.documents.capacity() * size_of::<Option<TermDocument>>()
            + (self.lengths.capacity() + self.rarities.capacity()) * 4
    }

    pub(super) fn terms(&self, document: u32) -> &[TermCount] {
        self.documents[document as usize].as_ref().map_or(&[], |document| &document.terms)
    }

    pub(crate) fn first(&self, document: u32) -> Id {
        self.documents[document as usize].as_ref().map_or([0; 16], |document| document.first)
    }

    /// The length of a question's vector.
    fn question_length(&self, question: &TermQuery) -> f32 {
        let unknown = |times: &u32| damped(*times) * rarity(self.live, 0);
        let squares = question.unknown.iter().map(unknown).map(|weight| weight * weight).sum::<f32>();
        (self.length(&question.terms).powi(2) + squares).sqrt()
    }

    /// The wanted documents that share a word with the question, the nearest first, at most so many.
    /// Exact unless the question's words stand in more than 6,000 places: the rarest then say who is considered.
    pub(crate) fn nearest(
        &self,
        question: &TermQuery,
        most: usize,
        wanted: impl Fn(u32) -> bool,
    ) -> Vec<Neighbour> {
        debug_assert!(self.is_settled);
        let (read, left) = self.affordable(&question.terms);
        let mut near = self.sums(&read, wanted);
        near.iter_mut().for_each(|near| near.cosine /= self.lengths[near.document as usize]);
        let candidates = if left.is_empty() { most } else { CANDIDATES.max(4 * most) };
        self.keep_nearest(&mut near, candidates);
        if !left.is_empty() {
            self.add(&left, &mut near);
            self.keep_nearest(&mut near, most);
        }
        let length = self.question_length(question);
        near.iter_mut().for_each(|near| near.cosine = (near.cosine / length).min(1.0));
        near
    }

    /// The documents that share a word with this one, itself left out.
    pub(crate) fn nearest_to(&self, document: u32, most: usize) -> Vec<Neighbour> {
        let question = TermQuery { terms: self.terms(document).to_vec(), unknown: Vec::new() };
        self.nearest(&question, most, |other| other != document)
    }

    /// The question's words whose postings are read, rarest first, and the common ones that are left.
    fn affordable(&self, terms: &[TermCount]) -> (Vec<TermCount>, Vec<TermCount>) {
        let mut known: Vec<TermCount> =
            terms.iter().copied().filter(|term| self.with(term.number()) > 0).collect();
        known.sort_by_key(|term| self.with(term.number()));
        let mut spent = 0;
        let within = known.iter().take_while(|term| {
            let is_first = spent == 0;
            spent += self.with(term.number());
            is_first || spent <= MOST_POSTINGS
        });
        let left = known.split_off(within.count());
        (known, left)
    }

    /// The inner products over these words, of every wanted document that holds one of them.
    fn sums(&self, words: &[TermCount], wanted: impl Fn(u32) -> bool) -> Vec<Neighbour> {
        let mut sums = vec![0.0f32; self.documents.len()];
        let mut touched = Vec::new();
        for term in words {
            let weight = self.weight(*term) * self.rarity(*term);
            for posting in &self.postings[term.number() as usize] {
                let sum = &mut sums[posting.number() as usize];
                if *sum == 0.0 {
                    touched.push(posting.number());
                }
                *sum += weight * posting.damped();
            }
        }
        let near = touched.into_iter().filter(|document| wanted(*document));
        near.map(|document| Neighbour { document, cosine: sums[document as usize] }).collect()
    }

    /// Adds what the left words contribute to the candidates.
    fn add(&self, left: &[TermCount], near: &mut [Neighbour]) {
        let weights: FxHashMap<u32, f32> =
            left.iter().map(|term| (term.number(), self.weight(*term))).collect();
        for near in near {
            let mut sum = 0.0;
            for term in self.terms(near.document) {
                if let Some(weight) = weights.get(&term.number()) {
                    sum += weight * self.weight(*term);
                }
            }
            near.cosine += sum / self.lengths[near.document as usize];
        }
    }

    fn keep_nearest(&self, near: &mut Vec<Neighbour>, most: usize) {
        let order = |a: &Neighbour, b: &Neighbour| self.order(a, b);
        if near.len() > most && most > 0 {
            near.select_nth_unstable_by(most - 1, order);
        }
        near.truncate(most);
        near.sort_unstable_by(order);
    }

    fn order(&self, a: &Neighbour, b: &Neighbour) -> Ordering {
        b.cosine.total_cmp(&a.cosine).then_with(|| self.first(a.document).cmp(&self.first(b.document)))
    }

    /// The cosines between the documents, row by row.
    pub(crate) fn cosines(&self, documents: &[u32]) -> Vec<f64> {
        let rows = self.unit_rows(documents);
        let width = rows.iter().flatten().map(|(place, _)| *place as usize + 1).max().unwrap_or(0);
        let mut cosines = vec![1.0; rows.len() * rows.len()];
        let mut dense = vec![0.0f32; width];
        for (i, row) in rows.iter().enumerate() {
            row.iter().for_each(|(place, weight)| dense[*place as usize] = *weight);
            for (j, other) in rows[..i].iter().enumerate() {
                let cosine = f64::from(inner(&dense, other));
                cosines[i * rows.len() + j] = cosine;
                cosines[j * rows.len() + i] = cosine;
            }
            row.iter().for_each(|(place, _)| dense[*place as usize] = 0.0);
        }
        cosines
    }

    /// Each document's vector of length 1, its words under numbers that run from 0 without gaps.
    fn unit_rows(&self, documents: &[u32]) -> Vec<Vec<(u32, f32)>> {
        let mut places: FxHashMap<u32, u32> = FxHashMap::default();
        let mut row = |document: &u32| {
            let length = self.lengths[*document as usize];
            let mut place = |term: &TermCount| {
                let next = places.len() as u32;
                (*places.entry(term.number()).or_insert(next), self.weight(*term) / length)
            };
            self.terms(*document).iter().map(&mut place).collect()
        };
        documents.iter().map(&mut row).collect()
    }
}

/// Four sums run beside each other: the order of additions is fixed, and none waits for the one before it.
fn inner(dense: &[f32], row: &[(u32, f32)]) -> f32 {
    let (fours, rest) = row.as_chunks::<4>();
    let mut sums = [0.0f32; 4];
    for four in fours {
        for lane in 0..4 {
            sums[lane] += dense[four[lane].0 as usize] * four[lane].1;
        }
    }
    rest.iter().map(|(place, weight)| dense[*place as usize] * weight).sum::<f32>()
        + (sums[0] + sums[1])
        + (sums[2] + sums[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Bag = Vec<(u32, u32)>;

    fn terms(bag: &Bag) -> Arc<[TermCount]> {
        bag.iter().map(|(word, times)| TermCount::new(*word, *times)).collect()
    }

    fn space(bags: &[Bag]) -> TermVectors {
        let mut space = TermVectors::default();
        for (number, bag) in bags.iter().enumerate() {
            space.put(number as u32, [number as u8; 16], terms(bag));
        }
        space.settle();
        space
    }

    fn question(bag: &Bag) -> TermQuery {
        TermQuery { terms: terms(bag).to_vec(), unknown: vec![] }
    }

    /// The textbook cosine, in doubles.
    fn plain(bags: &[Bag], a: &Bag, b: &Bag) -> f64 {
        let rarity = |word: u32| {
            let with = bags.iter().filter(|bag| bag.iter().any(|(other, _)| *other == word)).count();
            1.0 + ((1 + bags.len()) as f64 / (1 + with) as f64).ln()
        };
        let weight = |bag: &Bag, word: u32| {
            let times = bag.iter().find(|(other, _)| *other == word).map_or(0, |(_, times)| *times);
            if times == 0 { 0.0 } else { (1.0 + f64::from(times).ln()) * rarity(word) }
        };
        let length = |bag: &Bag| bag.iter().map(|(word, _)| weight(bag, *word).powi(2)).sum::<f64>().sqrt();
        let product: f64 = a.iter().map(|(word, _)| weight(a, *word) * weight(b, *word)).sum();
        if product == 0.0 { 0.0 } else { product / (length(a) * length(b)) }
    }

    fn bags(most: usize) -> impl Strategy<Value = Vec<Bag>> {
        let bag =
            prop::collection::btree_map(0u32..12, 1u32..5, 1..6).prop_map(|bag| bag.into_iter().collect());
        prop::collection::vec(bag, 1..most)
    }

    #[test]
    fn what_is_too_common_to_be_read_still_counts_for_the_candidates() {
        let bags: Vec<Bag> = (0..10_000).map(|i| vec![(0, 1 + i % 3), (1, 1), (2 + i % 50, 1)]).collect();
        let space = space(&bags);
        let asked = vec![(0, 1), (1, 1), (7, 1)];
        let near = space.nearest(&question(&asked), 5, |_| true);
        assert!(
            (f64::from(near[0].cosine) - plain(&bags, &asked, &bags[near[0].document as usize])).abs() < 1e-4
        );
        assert!(near.iter().all(|near| near.document % 50 == 5 && near.document % 3 == 0));
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_of_the_textbook(bags in bags(20), asked in bags(2), gone in 0usize..20) {
            let (mut space, gone) = (space(&bags), gone % bags.len());
            space.remove(gone as u32);
            space.settle();
            let left: Vec<Bag> = bags.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, bag)| bag.clone()).collect();
            let near = space.nearest(&question(&asked[0]), 5, |_| true);
            let mut expected: Vec<f64> = left.iter().map(|bag| plain(&left, &asked[0], bag)).filter(|cosine| *cosine > 0.0).collect();
            expected.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(near.len(), expected.len().min(5));
            for (near, expected) in near.iter().zip(expected) {
                prop_assert!((f64::from(near.cosine) - expected).abs() < 1e-5);
                prop_assert!((f64::from(near.cosine) - plain(&left, &asked[0], &bags[near.document as usize])).abs() < 1e-5);
            }
            let documents: Vec<u32> = near.iter().map(|near| near.document).collect();
            let between = space.cosines(&documents);
            for (i, a) in documents.iter().enumerate() {
                for (j, b) in documents.iter().enumerate() {
                    let expected = plain(&left, &bags[*a as usize], &bags[*b as usize]);
                    prop_assert!((between[i * documents.len() + j] - expected).abs() < 1e-5);
                }
            }
        }
    }
}
