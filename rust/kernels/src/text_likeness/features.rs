//! The features of a text, and of a query with the weight of each.

use crate::text::{self, Marked};
use std::sync::LazyLock;

const GRAM: usize = 4;
/// The largest number of features that are kept of one text: the first ones.
pub const MOST_FEATURES: usize = 1_024;
/// The weight of a function word of a query beside a word with a subject.
const FUNCTION_WORD_WEIGHT: f32 = 0.1;
/// Marks the code of a function word's weight.
const IS_FUNCTION_WORD: u8 = 1 << 7;

/// The features of one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextFeatures {
    /// Buckets in ascending order, each once.
    pub buckets: Vec<u16>,
    /// Terms of words that are not function words, in ascending order, each once.
    pub words: Vec<u64>,
}

impl TextFeatures {
    /// The words of a text and the grams of its words.
    pub fn new(text: &str) -> Self {
        let mut marked = Marked::default();
        Self::collect(text, |word, buckets| {
            marked.set(word);
            marked.grams(GRAM, |gram| buckets.push(bucket(gram)));
        })
    }

    /// The words of a text alone.
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

/// The features that a query looks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryFeatures {
    /// In ascending order, each once.
    pub buckets: Vec<u16>,
    /// The code of each bucket's weight: see `weight`.
    codes: Vec<u8>,
    /// Terms of words that are not function words, in ascending order, each once.
    pub words: Vec<u64>,
}

impl QueryFeatures {
    pub fn new(text: &str) -> Self {
        let (mut marked, mut found, mut grams) = (Marked::default(), Vec::new(), Vec::new());
        let words = TextFeatures::of_words(text).words;
        text::words(text, |word| {
            if found.len() >= 4 * MOST_FEATURES {
                return;
            }
            let mark = if text::is_function_word(word) { IS_FUNCTION_WORD } else { 0 };
            found.push((bucket(text::term(word)), mark));
            marked.set(word);
            marked.grams(GRAM, |gram| grams.push(bucket(gram)));
            let code = mark | grams.len().min(usize::from(IS_FUNCTION_WORD - 1)) as u8;
            found.extend(grams.drain(..).map(|gram| (gram, code)));
        });
        let (buckets, codes) = strongest(found).into_iter().unzip();
        Self { buckets, codes, words }
    }

    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The weight of each bucket before its rarity: 1 for a word, `1 / sqrt(n)` for each of a word's n grams, and a
    /// tenth of that for a function word. A long word counts more than a short one, but not as much as it is longer.
    pub fn weights(&self) -> impl Iterator<Item = f32> {
        self.codes.iter().map(|code| weight(*code))
    }

    /// The buckets of words, function words included.
    pub fn word_buckets(&self) -> impl Iterator<Item = u16> {
        let words = self.buckets.iter().zip(&self.codes).filter(|(_, code)| **code & !IS_FUNCTION_WORD == 0);
        words.map(|(bucket, _)| *bucket)
    }

    /// About how many bytes are held.
    pub fn bytes(&self) -> usize {
        self.buckets.len() * 3 + self.words.len() * 8
    }
}

/// The weight behind a code: seven bits are the number of grams that share it, 0 for a word, and one marks a function
/// word.
fn weight(code: u8) -> f32 {
    static WEIGHTS: LazyLock<[f32; 256]> = LazyLock::new(|| {
        std::array::from_fn(|code| {
            let word = if code as u8 & IS_FUNCTION_WORD == 0 { 1.0 } else { FUNCTION_WORD_WEIGHT };
            word / ((code as u8 & !IS_FUNCTION_WORD).max(1) as f32).sqrt()
        })
    });
    WEIGHTS[usize::from(code)]
}

/// The first distinct buckets up to the limit, sorted, each with the code of its largest weight.
fn strongest(found: Vec<(u16, u8)>) -> Vec<(u16, u8)> {
    let kept = distinct(found.iter().map(|(bucket, _)| *bucket).collect());
    let mut most: Vec<(u16, Option<u8>)> = kept.into_iter().map(|bucket| (bucket, None)).collect();
    for (bucket, code) in found {
        if let Ok(place) = most.binary_search_by_key(&bucket, |each| each.0) {
            let best = &mut most[place].1;
            if best.is_none_or(|best| weight(code) > weight(best)) {
                *best = Some(code);
            }
        }
    }
    most.into_iter().map(|(bucket, code)| (bucket, code.unwrap_or(0))).collect()
}

/// The bucket of a hashed feature.
pub fn bucket(hash: u64) -> u16 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_looks_for_the_features_of_a_text_of_the_same_words() {
        let text = "cancel the cancelled order of getUserName";
        let (query, features) = (QueryFeatures::new(text), TextFeatures::new(text));
        assert_eq!((query.buckets, query.words), (features.buckets, features.words));
    }

    #[test]
    fn grams_of_a_word_share_the_square_root_of_their_number() {
        assert_eq!((weight(0), weight(4)), (1.0, 0.5));
        assert_eq!((weight(IS_FUNCTION_WORD), weight(IS_FUNCTION_WORD | 4)), (0.1, 0.05));
    }
}
