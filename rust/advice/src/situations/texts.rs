//! The texts of recorded situations: each distinct one is held once, found by its words.

use super::tokens::{Token, hash, is_content};
use rustc_hash::FxHashMap;

/// A text that is held, by number.
pub(super) type TextId = u32;

/// Counted texts with an inverted index of their content words.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    held: Vec<IndexedText>,
    ids: FxHashMap<u64, TextId>,
    postings: FxHashMap<Token, Vec<TextId>>,
    free: Vec<TextId>,
    tokens: usize,
    posted: usize,
}

#[derive(Clone, Debug, Default)]
struct IndexedText {
    tokens: Box<[Token]>,
    /// How many distinct content words it has.
    words: u32,
    uses: u32,
}

impl Texts {
    /// The number of a text, which is held until it was released as often as it was added.
    pub(super) fn add(&mut self, tokens: &[Token]) -> TextId {
        let key = hash(tokens);
        if let Some(id) = self.ids.get(&key) {
            self.held[*id as usize].uses += 1;
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.held.push(IndexedText::default());
            self.held.len() as TextId - 1
        });
        let words = distinct_words(tokens);
        for word in &words {
            self.postings.entry(*word).or_default().push(id);
        }
        self.tokens += tokens.len();
        self.posted += words.len();
        self.held[id as usize] = IndexedText { tokens: tokens.into(), words: words.len() as u32, uses: 1 };
        self.ids.insert(key, id);
        id
    }

    pub(super) fn release(&mut self, id: TextId) {
        let held = &mut self.held[id as usize];
        held.uses -= 1;
        if held.uses > 0 {
            return;
        }
        let held = std::mem::take(held);
        self.ids.remove(&hash(&held.tokens));
        for word in distinct_words(&held.tokens) {
            if let Some(posted) = self.postings.get_mut(&word) {
                posted.retain(|other| *other != id);
                if posted.is_empty() {
                    self.postings.remove(&word);
                }
            }
        }
        self.tokens -= held.tokens.len();
        self.posted -= held.words as usize;
        self.free.push(id);
    }

    pub(super) fn get(&self, id: TextId) -> &[Token] {
        &self.held[id as usize].tokens
    }

    /// ln(1 + N / n) for a word in n of the N texts.
    pub(super) fn idf(&self, word: Token) -> f32 {
        let found = self.postings.get(&word).map_or(1, Vec::len);
        (1.0 + self.ids.len() as f32 / found as f32).ln()
    }

    /// How like each held text is, by number: the geometric mean of the share of the query's idf that it has and of the
    /// share of its words that the query has.
    pub(super) fn similarities(&self, query: &[Token]) -> Vec<f32> {
        let mut sums = vec![0.0_f32; self.held.len()];
        let mut shared = vec![0_u16; self.held.len()];
        let mut most = 0.0;
        for word in distinct_words(query) {
            let idf = self.idf(word);
            most += idf;
            for id in self.postings.get(&word).map_or(&[][..], Vec::as_slice) {
                sums[*id as usize] += idf;
                shared[*id as usize] += 1;
            }
        }
        for (id, sum) in sums.iter_mut().enumerate().filter(|(_, sum)| **sum > 0.0) {
            *sum = (*sum / most * f32::from(shared[id]) / self.held[id].words as f32).sqrt();
        }
        sums
    }

    pub(super) fn bytes(&self) -> usize {
        self.tokens * 4 + self.posted * 4 + self.held.len() * 40 + self.postings.len() * 48
    }
}

fn distinct_words(tokens: &[Token]) -> Vec<Token> {
    let mut words: Vec<Token> = tokens.iter().copied().filter(|token| is_content(*token)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tests::read;
    use super::*;

    #[test]
    fn a_text_is_held_once_and_until_its_last_use_is_released() {
        let mut texts = Texts::default();
        let empty = texts.bytes();
        let kitchen = read("You are in the kitchen");
        let id = texts.add(&kitchen);
        assert_eq!(texts.add(&kitchen), id);
        texts.release(id);
        assert_eq!(texts.get(id), kitchen);
        texts.release(id);
        assert_eq!(texts.similarities(&kitchen), [0.0]);
        assert!(texts.bytes() < empty + 64 && texts.postings.is_empty());
        assert_eq!(texts.add(&read("A garden")), id, "its number is given again");
    }

    #[test]
    fn a_text_with_the_same_rare_words_is_more_alike() {
        let mut texts = Texts::default();
        let [kitchen, garden, _] = ["the kitchen with a stove", "the garden with a stove", "a stove"]
            .map(|text| texts.add(&read(text)));
        let alike = texts.similarities(&read("the kitchen with a stove"));
        assert_eq!(alike[kitchen as usize], 1.0);
        assert!(alike[garden as usize] < 0.5);
    }
}
