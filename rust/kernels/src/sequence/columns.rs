//! Many sequences of symbols in two columns.

/// Many sequences, one after another: sequence `i` is `symbols[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    symbols: &'a [u64],
    offsets: &'a [u64],
}

impl<'a> Sequences<'a> {
    /// `None` unless the offsets, at least one, ascend and end within the symbols.
    pub fn new(symbols: &'a [u64], offsets: &'a [u64]) -> Option<Self> {
        let inside = offsets.last().is_some_and(|&end| end <= symbols.len() as u64);
        (inside && offsets.is_sorted()).then_some(Self { symbols, offsets })
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The symbols of all sequences.
    pub fn symbols(&self) -> &'a [u64] {
        self.symbols
    }

    /// Some of the sequences.
    pub fn part(&self, indices: std::ops::Range<usize>) -> Self {
        Self { symbols: self.symbols, offsets: &self.offsets[indices.start..=indices.end] }
    }

    /// The place among the symbols at which the first sequence begins.
    pub fn start(&self) -> usize {
        self.offsets[0] as usize
    }

    /// The place among the symbols at which the last sequence ends.
    pub fn end(&self) -> usize {
        self.offsets[self.offsets.len() - 1] as usize
    }

    /// The range of a sequence among the symbols.
    #[inline]
    pub fn range(&self, index: usize) -> std::ops::Range<usize> {
        self.offsets[index] as usize..self.offsets[index + 1] as usize
    }

    pub fn get(&self, index: usize) -> &'a [u64] {
        &self.symbols[self.range(index)]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u64]> {
        let sequences = *self;
        (0..self.len()).map(move |index| sequences.get(index))
    }

    pub fn lengths(&self) -> impl ExactSizeIterator<Item = usize> {
        let sequences = *self;
        (0..self.len()).map(move |index| sequences.range(index).len())
    }

    /// The columns of the given sequences.
    pub fn columns(sequences: &[Vec<u64>]) -> (Vec<u64>, Vec<u64>) {
        let mut offsets = vec![0];
        for sequence in sequences {
            offsets.push(offsets[offsets.len() - 1] + sequence.len() as u64);
        }
        (sequences.concat(), offsets)
    }
}
