//! The columns that search reads of every episode: texts, words, pairs of tools, vectors and tags.

use super::entry::Entry;
use super::lexical::{Field, Postings, read_spans, retain_spans, span};
use crate::image::{Image, ImageReader, check};
use crate::msgpack::Result;
use crate::simd::fetch;
use crate::similarity::cosine::{Quantised, SignBits};

/// The searchable columns of one namespace, an element an episode. A copy of a namespace shares them until either side
/// changes: they are most of an index's memory.
#[derive(Clone, Debug)]
pub(super) struct Searchable {
    pub(super) task: Field,
    pub(super) steps: Field,
    pub(super) words: Postings,
    pub(super) pairs: Postings,
    pub(super) signs: SignBits,
    pub(super) codes: Quantised,
    tags: Vec<u64>,
    tag_ends: Vec<u32>,
}

impl Searchable {
    pub(super) fn new(dimension: usize) -> Self {
        Self {
            task: Field::default(),
            steps: Field::default(),
            words: Postings::default(),
            pairs: Postings::default(),
            signs: SignBits::new(dimension),
            codes: Quantised::new(dimension),
            tags: Vec::new(),
            tag_ends: Vec::new(),
        }
    }

    /// Adds the episode with the next number.
    pub(super) fn push(&mut self, number: u32, entry: &Entry) {
        self.task.push(&entry.task.buckets);
        self.steps.push(&entry.steps.buckets);
        self.words.push(number, &entry.words());
        self.pairs.push(number, &entry.pairs());
        self.tags.extend_from_slice(&entry.tags);
        self.tag_ends.push(self.tags.len() as u32);
        // An episode without a vector takes a row of zeros, which is compared with nothing.
        let zeros;
        let vector = match &entry.vector {
            Some(vector) => vector,
            None => {
                zeros = vec![0.0; self.codes.width()];
                &zeros
            }
        };
        self.signs.push(vector);
        self.codes.push(vector);
    }

    /// Takes an episode out of the counts; its columns stay until `renumber`.
    pub(super) fn remove(&mut self, number: u32) {
        self.task.remove(number);
        self.steps.remove(number);
    }

    /// Drops the rows that are not kept; `numbers` gives each old row its new number.
    pub(super) fn renumber(&mut self, keep: &[bool], numbers: &[Option<u32>]) {
        self.task.retain(keep);
        self.steps.retain(keep);
        self.words.renumber(numbers);
        self.pairs.renumber(numbers);
        self.signs.retain(keep);
        self.codes.retain(keep);
        retain_spans(&mut self.tags, &mut self.tag_ends, keep);
    }

    pub(super) fn tags(&self, number: u32) -> &[u64] {
        &self.tags[span(&self.tag_ends, number)]
    }

    /// Asks memory for the columns that judging this episode will read.
    pub(super) fn fetch(&self, number: u32) {
        fetch(self.codes.codes_of(number as usize));
        fetch(self.task.buckets(number));
        fetch(self.steps.buckets(number));
    }

    /// The number of episodes.
    pub(super) fn len(&self) -> usize {
        self.tag_ends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let sign_bytes = self.signs.len() * self.codes.width().div_ceil(64) * 8;
        let columns = [&self.task, &self.steps].map(Field::bytes).iter().sum::<usize>();
        let postings = [&self.words, &self.pairs].map(Postings::bytes).iter().sum::<usize>();
        sign_bytes + self.codes.bytes() + columns + postings + self.tags.len() * 8
    }
}

impl Image for Searchable {
    fn write(&self, out: &mut Vec<u8>) {
        self.task.write(out);
        self.steps.write(out);
        self.words.write(out);
        self.pairs.write(out);
        self.signs.write(out);
        self.codes.write(out);
        self.tags.write(out);
        self.tag_ends.write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let (task, steps) = (Field::read(input)?, Field::read(input)?);
        let (words, pairs) = (Postings::read(input)?, Postings::read(input)?);
        let (signs, codes) = (SignBits::read(input)?, Quantised::read(input)?);
        let (tags, tag_ends) = read_spans(input)?;
        let episodes = [task.len(), steps.len(), signs.len(), codes.len()];
        check(episodes.iter().all(|each| *each == tag_ends.len()), "columns of unequal length")?;
        check(signs.width() == codes.width(), "vectors of two dimensions")?;
        check(
            [&words, &pairs].iter().all(|postings| postings.are_below(tag_ends.len())),
            "a word of no episode",
        )?;
        Ok(Self { task, steps, words, pairs, signs, codes, tags, tag_ends })
    }
}
