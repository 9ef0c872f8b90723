//! The default embedder: words and character grams hashed into a vector. No model, no download, no randomness.

use crate::text::{self, Marked};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The weight of a function word, relative to a word with a subject.
const FUNCTION_WORD_WEIGHT: f32 = 0.3;
const SHORTEST_GRAM: usize = 3;
const LONGEST_GRAM: usize = 5;

/// Texts to unit vectors: texts that share words, or parts of words, point the same way.
/// Only additions, products and square roots are used, in a fixed order: every machine gives the same bits.
///
/// # Examples
/// ```
/// let embedder = tacit_kernels::embed::HashedEmbedder::new(384);
/// let cosine = |a: &str, b: &str| -> f32 {
///     embedder.embed(a).iter().zip(embedder.embed(b)).map(|(x, y)| x * y).sum()
/// };
/// assert!(cosine("cancel the order", "cancelled orders") > cosine("cancel the order", "a clean mug"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedEmbedder {
    dimension: usize,
}

impl HashedEmbedder {
    pub fn new(dimension: usize) -> Self {
        assert!(dimension > 0, "a vector has at least one dimension");
        Self { dimension }
    }

    /// The label of this embedder's vectors; another feature hash or dimension is another embedder.
    pub fn name(&self) -> String {
        format!("hashed-{}-v1", self.dimension)
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The vector of one text: of length 1, or zero for a text without a word.
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let mut row = vec![0.0; self.dimension];
        self.embed_into(text, &mut HashedFeatures::default(), &mut row);
        row
    }

    /// The vectors of many texts, one after another.
    pub fn embed_many<'a>(&self, texts: impl ExactSizeIterator<Item = &'a str>) -> Vec<f32> {
        let mut rows = vec![0.0; self.dimension * texts.len()];
        let mut features = HashedFeatures::default();
        for (text, row) in texts.zip(rows.chunks_exact_mut(self.dimension)) {
            self.embed_into(text, &mut features, row);
        }
        rows
    }

    fn embed_into(&self, text: &str, features: &mut HashedFeatures, row: &mut [f32]) {
        features.read(text);
        for (hash, value) in features.values() {
            let slot = ((hash >> 32) * self.dimension as u64) >> 32;
            row[slot as usize] += if hash & 1 == 0 { value } else { -value };
        }
        normalise(row);
    }
}

/// Scales to length 1; a zero vector stays zero.
fn normalise(row: &mut [f32]) {
    let length = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}

/// The hashed features of one text with their weights, in the order of their hashes.
#[derive(Default)]
struct HashedFeatures {
    marked: Marked,
    found: Vec<(u64, f32)>,
}

impl HashedFeatures {
    fn read(&mut self, text: &str) {
        self.found.clear();
        text::words(text, |word| {
            let weight = if text::is_function_word(word) { FUNCTION_WORD_WEIGHT } else { 1.0 };
            self.found.push((xxh3_64_with_seed(text::stem(word).as_bytes(), 2), weight));
            self.marked.set(word);
            for length in SHORTEST_GRAM..=LONGEST_GRAM {
                self.marked.grams(length, |gram| self.found.push((gram, weight)));
            }
        });
        self.found.sort_unstable_by_key(|(hash, weight)| (*hash, weight.to_bits()));
    }

    /// Each distinct feature with the square root of its count, times the largest weight it was seen with.
    fn values(&self) -> impl Iterator<Item = (u64, f32)> {
        self.found.chunk_by(|a, b| a.0 == b.0).map(|same| {
            let (hash, weight) = same[same.len() - 1];
            (hash, weight * (same.len() as f32).sqrt())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn texts_about_the_same_thing_are_nearer() {
        let embedder = HashedEmbedder::new(384);
        let query = embedder.embed("cancel the order and refund it");
        let same = embedder.embed("Order cancellation with a refund");
        let other = embedder.embed("put a clean mug on the shelf");
        assert!(cosine(&query, &same) > 0.35);
        assert!(cosine(&query, &other) < 0.2);
    }

    #[test]
    fn many_texts_give_the_rows_of_each() {
        let embedder = HashedEmbedder::new(64);
        let rows = embedder.embed_many(["one text", "", "another"].into_iter());
        assert_eq!(rows[..64], embedder.embed("one text"));
        assert!(rows[64..128].iter().all(|x| *x == 0.0));
        assert_eq!(rows[128..], embedder.embed("another"));
    }

    proptest! {
        #[test]
        fn every_vector_has_length_one_or_zero(text in ".{0,80}") {
            let row = HashedEmbedder::new(96).embed(&text);
            let length = cosine(&row, &row);
            prop_assert!(length == 0.0 || (length - 1.0).abs() < 1e-5);
        }
    }
}
