//! What the bit-parallel measures of sequences share: where a pattern holds a symbol, and many texts at once.
//!
//! A measure keeps one bit for each place of the pattern, in blocks of 64, and takes one step for each symbol
//! of a text. Texts of about one length are stepped together, one in a lane, so that the steps of one need not
//! wait for each other and may share vector instructions.

use crate::sequence::Sequences;

/// Texts stepped together: the 64-bit lanes of the widest vector.
const LANES: usize = 8;

/// Lengths that have a bucket of their own when texts are put in order of length.
const BUCKETS: usize = 1024;

/// One word of bits for each lane.
pub(super) type Words<const N: usize> = [u64; N];

/// A bit-parallel measure. `Block` holds what 64 places of the pattern know; `Carry` goes from block to block.
pub(super) trait Measure {
    type Block<const N: usize>: Copy;
    type Carry<const N: usize>: Copy;

    fn start<const N: usize>() -> Self::Block<N>;
    fn carry<const N: usize>() -> Self::Carry<N>;
    /// Takes one symbol of each text: `found` are the places of the block that hold it.
    fn step<const N: usize>(block: &mut Self::Block<N>, found: Words<N>, carry: &mut Self::Carry<N>);
    /// What a block adds to the value of the text in `lane`; `places` are its bits that belong to the pattern.
    fn value<const N: usize>(block: &Self::Block<N>, lane: usize, places: u64) -> i64;
}

/// The places of a pattern that hold each of its symbols.
pub(super) struct Masks {
    entries: Vec<Entry>,
    shift: u32,
    /// One row of blocks for each symbol; row 0 is that of all other symbols.
    rows: Vec<u64>,
    blocks: usize,
    length: usize,
}

/// `found` is 0 in a free entry. It holds the mask itself where one block is enough, the number of a row otherwise.
#[derive(Clone, Copy, Default)]
struct Entry {
    symbol: u64,
    found: u64,
}

impl Masks {
    pub(super) fn new(pattern: &[u64]) -> Self {
        let slots = (pattern.len() * 8).next_power_of_two().max(16);
        let blocks = pattern.len().div_ceil(64);
        let mut masks = Self {
            entries: vec![Entry::default(); slots],
            shift: 64 - slots.trailing_zeros(),
            rows: vec![0; blocks],
            blocks,
            length: pattern.len(),
        };
        pattern.iter().enumerate().for_each(|(place, &symbol)| masks.add(place, symbol));
        masks
    }

    fn add(&mut self, place: usize, symbol: u64) {
        let slot = self.slot(symbol);
        let bit = 1 << (place % 64);
        if self.blocks == 1 {
            self.entries[slot].found |= bit;
        } else {
            if self.entries[slot].found == 0 {
                self.entries[slot].found = (self.rows.len() / self.blocks) as u64;
                self.rows.resize(self.rows.len() + self.blocks, 0);
            }
            self.rows[self.entries[slot].found as usize * self.blocks + place / 64] |= bit;
        }
        self.entries[slot].symbol = symbol;
    }

    /// The entry of `symbol`, or the free one where it would be. At most an eighth is taken: the search ends.
    #[inline(always)]
    fn slot(&self, symbol: u64) -> usize {
        let mut slot = (symbol.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize;
        loop {
            let entry = self.entries[slot];
            if (entry.symbol == symbol) | (entry.found == 0) {
                return slot;
            }
            slot = (slot + 1) & (self.entries.len() - 1);
        }
    }

    #[inline(always)]
    fn found(&self, symbol: u64) -> u64 {
        self.entries[self.slot(symbol)].found
    }

    /// The bits of a block that stand for places of the pattern.
    fn places(&self, block: usize) -> u64 {
        match self.length - block * 64 {
            left @ 0..64 => (1 << left) - 1,
            _ => u64::MAX,
        }
    }

    /// The value of one text.
    pub(super) fn measure<M: Measure>(&self, text: &[u64]) -> i64 {
        let mut lanes = Lanes::<M, 1>::new(self);
        text.iter().for_each(|&symbol| lanes.step([symbol]));
        lanes.value(0)
    }

    /// The value of each of the texts. Inlined into what `dispatch!` compiles for the processor.
    #[inline(always)]
    pub(super) fn measure_many<M: Measure>(&self, texts: Sequences) -> Vec<i64> {
        let mut values = vec![0; texts.len()];
        let order = by_length(texts);
        for group in order.chunks(LANES) {
            let indices: [u32; LANES] = std::array::from_fn(|lane| group[lane.min(group.len() - 1)]);
            self.measure_group::<M>(texts, indices, &mut values);
        }
        values
    }

    /// The texts come in order of length: a lane that has ended goes on with symbols that nobody looks at.
    #[inline(always)]
    fn measure_group<M: Measure>(&self, texts: Sequences, indices: [u32; LANES], values: &mut [i64]) {
        let starts = indices.map(|index| texts.range(index as usize).start);
        let mut lanes = Lanes::<M, LANES>::new(self);
        let mut taken = 0;
        for (lane, &index) in indices.iter().enumerate() {
            let length = texts.range(index as usize).len();
            for at in taken..length {
                lanes.step(starts.map(|start| texts.symbols().get(start + at).copied().unwrap_or(0)));
            }
            taken = length;
            values[index as usize] = lanes.value(lane);
        }
    }
}

/// The state of one group of texts.
struct Lanes<'a, M: Measure, const N: usize> {
    masks: &'a Masks,
    /// Used where the pattern fits into one block: it stays in registers.
    first: M::Block<N>,
    blocks: Vec<M::Block<N>>,
}

impl<'a, M: Measure, const N: usize> Lanes<'a, M, N> {
    #[inline(always)]
    fn new(masks: &'a Masks) -> Self {
        let blocks = if masks.blocks > 1 { vec![M::start(); masks.blocks] } else { Vec::new() };
        Self { masks, first: M::start(), blocks }
    }

    #[inline(always)]
    fn step(&mut self, symbols: [u64; N]) {
        let found = symbols.map(|symbol| self.masks.found(symbol));
        let mut carry = M::carry();
        if self.masks.blocks <= 1 {
            M::step(&mut self.first, found, &mut carry);
        } else {
            let rows = found.map(|row| row as usize * self.masks.blocks);
            for (at, block) in self.blocks.iter_mut().enumerate() {
                M::step(block, rows.map(|row| self.masks.rows[row + at]), &mut carry);
            }
        }
    }

    #[inline(always)]
    fn value(&self, lane: usize) -> i64 {
        let part = |at, block| M::value(block, lane, self.masks.places(at));
        match self.masks.blocks {
            0 => 0,
            1 => part(0, &self.first),
            _ => self.blocks.iter().enumerate().map(|(at, block)| part(at, block)).sum(),
        }
    }
}

/// The numbers of the texts, the shorter first.
fn by_length(texts: Sequences) -> Vec<u32> {
    let bucket = |index: usize| texts.range(index).len().min(BUCKETS - 1);
    let mut ends = [0usize; BUCKETS];
    (0..texts.len()).for_each(|index| ends[bucket(index)] += 1);
    let mut end = 0;
    for places in &mut ends {
        (end, *places) = (end + *places, end);
    }
    let long = ends[BUCKETS - 1];
    let mut order = vec![0; texts.len()];
    for index in 0..texts.len() {
        let place = &mut ends[bucket(index)];
        order[*place] = index as u32;
        *place += 1;
    }
    order[long..].sort_unstable_by_key(|&index| texts.range(index as usize).len());
    order
}
