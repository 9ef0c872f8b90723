//! The texts of tasks: their words as numbers, and the cosine of character grams of the few that words propose.
//!
//! Grams do not cross words, so a text's grams are those of its words: they are kept once a word, not once a text.

use super::words::{Neighbour, TermCount, TermQuery, TermVectors, damped, rarity};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tacit_kernels::facts::Id;
use tacit_kernels::text::{self, Marked};
use xxhash_rust::xxh3::xxh3_64;

/// How many distinct words of one text are kept: the first ones.
const MOST_WORDS: usize = 1_024;
const GRAMS: std::ops::RangeInclusive<usize> = 3..=5;

/// A word of a text by its stem, and how often it stands there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WordCount {
    hash: u64,
    times: u32,
    stem: Box<str>,
}

/// The distinct words of a text in the order of their hashes.
pub(super) fn word_counts(task: &str) -> Vec<WordCount> {
    let mut places: FxHashMap<u64, usize> = FxHashMap::default();
    let mut words: Vec<WordCount> = Vec::new();
    text::words(task, |word| {
        let word = text::stem(word);
        let hash = xxh3_64(word.as_bytes());
        match places.get(&hash) {
            Some(place) => words[*place].times += 1,
            None if words.len() < MOST_WORDS => {
                places.insert(hash, words.len());
                words.push(WordCount { hash, times: 1, stem: word.into() });
            }
            None => {}
        }
    });
    words.sort_unstable_by_key(|word| word.hash);
    words
}

fn grams_of(word: &str, mut visit: impl FnMut(u64)) {
    let mut marked = Marked::default();
    marked.set(word);
    GRAMS.for_each(|length| marked.grams(length, &mut visit));
}

/// What stands for one word that some text holds.
#[derive(Clone, Debug, Default)]
struct WordEntry {
    hash: u64,
    /// How many texts hold it; none: the number is free.
    holders: u32,
    /// The numbers of its grams, as often as they stand in it.
    grams: Box<[u32]>,
}

#[derive(Clone, Debug, Default)]
struct GramEntry {
    hash: u64,
    /// In how many places of known words it stands; none: the number is free.
    holders: u32,
    /// In how many documents it stands.
    documents: u32,
}

/// The documents' words and grams. A document is the text of one task.
#[derive(Debug, Default)]
pub(super) struct TaskTexts {
    places: FxHashMap<u64, u32>,
    words: Vec<WordEntry>,
    free_words: Vec<u32>,
    gram_places: FxHashMap<u64, u32>,
    grams: Vec<GramEntry>,
    free_grams: Vec<u32>,
    pub(super) space: TermVectors,
}

impl TaskTexts {
    /// The words of a text as numbers that stay theirs until the text is released.
    pub(super) fn hold(&mut self, words: &[WordCount]) -> Arc<[TermCount]> {
        words.iter().map(|word| TermCount::new(self.hold_word(word), word.times)).collect()
    }

    fn hold_word(&mut self, word: &WordCount) -> u32 {
        if let Some(number) = self.places.get(&word.hash) {
            self.words[*number as usize].holders += 1;
            return *number;
        }
        let mut grams = Vec::new();
        grams_of(&word.stem, |gram| grams.push(self.hold_gram(gram)));
        let entry = WordEntry { hash: word.hash, holders: 1, grams: grams.into() };
        let number = place(&mut self.words, &mut self.free_words, entry);
        self.places.insert(word.hash, number);
        number
    }

    fn hold_gram(&mut self, hash: u64) -> u32 {
        if let Some(number) = self.gram_places.get(&hash) {
            self.grams[*number as usize].holders += 1;
            return *number;
        }
        let number =
            place(&mut self.grams, &mut self.free_grams, GramEntry { hash, holders: 1, documents: 0 });
        self.gram_places.insert(hash, number);
        number
    }

    /// A text is gone for good.
    pub(super) fn release(&mut self, terms: &[TermCount]) {
        for number in terms.iter().map(|term| term.number()) {
            let word = &mut self.words[number as usize];
            word.holders -= 1;
            if word.holders == 0 {
                let word = std::mem::take(word);
                self.places.remove(&word.hash);
                self.free_words.push(number);
                word.grams.iter().for_each(|gram| self.release_gram(*gram));
            }
        }
    }

    fn release_gram(&mut self, number: u32) {
        let gram = &mut self.grams[number as usize];
        gram.holders -= 1;
        if gram.holders == 0 {
            self.gram_places.remove(&gram.hash);
            self.free_grams.push(number);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let grams: usize = self.words.iter().map(|word| word.grams.len() * 4 + size_of::<WordEntry>()).sum();
        let places = (self.places.capacity() + self.gram_places.capacity()) * 13;
        grams + places + self.grams.capacity() * size_of::<GramEntry>() + self.space.bytes()
    }

    /// Makes a held text the document of this number.
    pub(super) fn put(&mut self, number: u32, first: Id, terms: Arc<[TermCount]>) {
        self.count_grams(&terms, |documents| *documents += 1);
        self.space.put(number, first, terms);
    }

    pub(super) fn remove(&mut self, number: u32) {
        let terms: Arc<[TermCount]> = self.space.terms(number).into();
        self.count_grams(&terms, |documents| *documents -= 1);
        self.space.remove(number);
    }

    fn count_grams(&mut self, terms: &[TermCount], count: impl Fn(&mut u32)) {
        let words = terms.iter().map(|term| &self.words[term.number() as usize]);
        let mut grams: Vec<u32> = words.flat_map(|word| word.grams.iter().copied()).collect();
        grams.sort_unstable();
        grams.dedup();
        grams.into_iter().for_each(|gram| count(&mut self.grams[gram as usize].documents));
    }

    /// A text to compare documents with.
    pub(super) fn question(&self, words: &[WordCount]) -> TermQuery {
        let mut question = TermQuery::default();
        for word in words {
            match self.places.get(&word.hash) {
                Some(number) => question.terms.push(TermCount::new(*number, word.times)),
                None => question.unknown.push(word.times),
            }
        }
        question
    }

    /// The cosine of the character grams of a text and of each of these documents.
    pub(super) fn character_cosines(&self, words: &[WordCount], near: &[Neighbour]) -> Vec<f32> {
        let mut counts = GramCounts::new(self.grams.len());
        let unknown = self.count_question(words, &mut counts);
        let squares: f32 =
            unknown.into_iter().map(|times| self.gram_weight(times, 0)).map(|weight| weight * weight).sum();
        let mut question = vec![0.0f32; self.grams.len()];
        let length = counts.drain(|gram, times| {
            let weight = self.gram_weight(times, self.grams[gram as usize].documents);
            question[gram as usize] = weight;
            weight * weight
        });
        let length = (length + squares).sqrt();
        near.iter().map(|near| self.character_cosine(near.document, &question, length, &mut counts)).collect()
    }

    /// Counts the grams that some word has; answers how often each of the others stands in the text.
    fn count_question(&self, words: &[WordCount], counts: &mut GramCounts) -> Vec<u32> {
        let mut unknown: FxHashMap<u64, usize> = FxHashMap::default();
        let mut times: Vec<u32> = Vec::new();
        for word in words {
            grams_of(&word.stem, |hash| match self.gram_places.get(&hash) {
                Some(gram) => counts.add(*gram, word.times),
                None => {
                    let next = times.len();
                    let place = *unknown.entry(hash).or_insert(next);
                    times.resize(times.len().max(place + 1), 0);
                    times[place] += word.times;
                }
            });
        }
        times
    }

    fn gram_weight(&self, times: u32, documents: u32) -> f32 {
        damped(times) * rarity(self.space.len(), documents as usize)
    }

    fn character_cosine(&self, document: u32, question: &[f32], length: f32, counts: &mut GramCounts) -> f32 {
        for term in self.space.terms(document) {
            let word = &self.words[term.number() as usize];
            word.grams.iter().for_each(|gram| counts.add(*gram, term.times()));
        }
        let mut product = 0.0;
        let squares = counts.drain(|gram, times| {
            let weight = self.gram_weight(times, self.grams[gram as usize].documents);
            product += weight * question[gram as usize];
            weight * weight
        });
        if squares > 0.0 && length > 0.0 { (product / (squares.sqrt() * length)).min(1.0) } else { 0.0 }
    }
}

fn place<T>(all: &mut Vec<T>, free: &mut Vec<u32>, one: T) -> u32 {
    match free.pop() {
        Some(number) => {
            all[number as usize] = one;
            number
        }
        None => {
            all.push(one);
            all.len() as u32 - 1
        }
    }
}

/// How often each gram stands in one text; used again from text to text.
struct GramCounts {
    times: Vec<u32>,
    touched: Vec<u32>,
}

impl GramCounts {
    fn new(grams: usize) -> Self {
        Self { times: vec![0; grams], touched: Vec::new() }
    }

    #[inline]
    fn add(&mut self, gram: u32, times: u32) {
        let count = &mut self.times[gram as usize];
        if *count == 0 {
            self.touched.push(gram);
        }
        *count += times;
    }

    /// The sum over the grams, in the order in which they were first met, of what `visit` says of them; all are forgotten.
    fn drain(&mut self, mut visit: impl FnMut(u32, u32) -> f32) -> f32 {
        let mut sum = 0.0;
        for gram in self.touched.drain(..) {
            sum += visit(gram, std::mem::take(&mut self.times[gram as usize]));
        }
        sum
    }
}
