//! Shared parts of the bit-parallel measures of sequences: the places of each symbol in a pattern, and many texts
//! at once.
//!
//! A measure keeps one bit for each place of the pattern, in blocks of 64, and takes one step for each symbol of a
//! text. Texts of about one length are stepped together, one in a lane, so that the steps of one need not wait for
//! each other and may share vector instructions.

use std::hint::select_unpredictable;

use crate::sequence::Sequences;

/// Texts stepped together: the 64-bit lanes of the widest vector.
const LANES: usize = 8;

/// The number of texts put in order of length at a time: their results stay near the processor.
const WINDOW: usize = 1024;

/// Lengths that have a bucket of their own when texts are put in order of length.
const BUCKETS: usize = 256;

/// One word of bits for each lane.
pub(super) type Words<const N: usize> = [u64; N];

/// A bit-parallel measure. `Block` holds the state of 64 places of the pattern; `Carry` goes from block to block.
pub(super) trait Measure {
    type Block<const N: usize>: Copy;
    type Carry<const N: usize>: Copy;

    fn start<const N: usize>() -> Self::Block<N>;
    fn carry<const N: usize>() -> Self::Carry<N>;
    /// Takes one symbol of each text: `found` are the places of the block that hold it.
    fn step<const N: usize>(block: &mut Self::Block<N>, found: Words<N>, carry: &mut Self::Carry<N>);
    /// The contribution of a block to the value of the text in `lane`; `places` are its bits that belong to the
    /// pattern.
    fn value<const N: usize>(block: &Self::Block<N>, lane: usize, places: u64) -> i64;
}

/// The places of a pattern that hold each of its symbols.
pub(super) struct Masks {
    entries: Vec<MaskEntry>,
    multiplier: u64,
    shift: u32,
    /// True if each symbol stands at the place its hash points to: a look-up is then one comparison and no branch.
    direct: bool,
    /// One row of blocks for each symbol; row 0 is that of all other symbols.
    rows: Vec<u64>,
    blocks: usize,
    length: usize,
}

/// `found` is 0 in a free entry. It holds the mask itself if one block is enough, else the beginning of its row.
#[derive(Clone, Copy, Default)]
struct MaskEntry {
    symbol: u64,
    found: u64,
}

/// The number of hashes tried for one under which no two symbols of the pattern meet.
const TRIES: u64 = 8;

impl Masks {
    pub(super) fn new(pattern: &[u64]) -> Self {
        let mut masks = Self::hashed(pattern, 0);
        for attempt in 1..TRIES {
            if masks.direct {
                break;
            }
            masks = Self::hashed(pattern, attempt);
        }
        masks
    }

    fn hashed(pattern: &[u64], attempt: u64) -> Self {
        let slots = (pattern.len() * 16).next_power_of_two().max(16);
        let blocks = pattern.len().div_ceil(64);
        let mut masks = Self {
            entries: vec![MaskEntry::default(); slots],
            multiplier: 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(2 * attempt + 1),
            shift: 64 - slots.trailing_zeros(),
            direct: true,
            rows: vec![0; blocks],
            blocks,
            length: pattern.len(),
        };
        pattern.iter().enumerate().for_each(|(place, &symbol)| masks.add(place, symbol));
        masks
    }

    fn add(&mut self, place: usize, symbol: u64) {
        let slot = self.slot(symbol);
        self.direct &= slot == self.home(symbol);
        let bit = 1 << (place % 64);
        if self.blocks == 1 {
            self.entries[slot].found |= bit;
        } else {
            if self.entries[slot].found == 0 {
                self.entries[slot].found = self.rows.len() as u64;
                self.rows.resize(self.rows.len() + self.blocks, 0);
            }
            self.rows[self.entries[slot].found as usize + place / 64] |= bit;
        }
        self.entries[slot].symbol = symbol;
    }

    #[inline(always)]
    fn home(&self, symbol: u64) -> usize {
        (symbol.wrapping_mul(self.multiplier) >> self.shift) as usize
    }

    /// The entry of `symbol`, or the free one that it would take. At most one in sixteen is taken: the search ends.
    fn slot(&self, symbol: u64) -> usize {
        let mut slot = self.home(symbol);
        loop {
            let entry = self.entries[slot];
            if entry.symbol == symbol || entry.found == 0 {
                return slot;
            }
            slot = (slot + 1) & (self.entries.len() - 1);
        }
    }

    /// Adds the entries of each symbol.
    #[inline(always)]
    fn find(&self, symbols: &[u64], found: &mut Vec<u64>) {
        if self.direct {
            self.find_at_home(symbols, found);
        } else {
            found.extend(symbols.iter().map(|&symbol| self.entries[self.slot(symbol)].found));
        }
    }

    /// The fields are copied first, so that the loop need not read them again.
    #[inline(always)]
    fn find_at_home(&self, symbols: &[u64], found: &mut Vec<u64>) {
        let (entries, multiplier, shift) = (self.entries.as_slice(), self.multiplier, self.shift);
        found.extend(symbols.iter().map(|&symbol| {
            let home = (symbol.wrapping_mul(multiplier) >> shift) as usize;
            // SAFETY: the shift leaves a hash as many bits as the number of entries, a power of two, has.
            let entry = unsafe { entries.get_unchecked(home) };
            select_unpredictable(entry.symbol == symbol, entry.found, 0)
        }));
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
        let mut found = Vec::with_capacity(text.len());
        self.find(text, &mut found);
        let mut lanes = Lanes::<M, 1>::new(self);
        found.into_iter().for_each(|found| lanes.step([found]));
        lanes.value(0)
    }

    /// The value of each of the texts. Inlined into the functions that `dispatch!` compiles for the processor.
    #[inline(always)]
    pub(super) fn measure_many<M: Measure>(&self, texts: Sequences) -> Vec<i64> {
        let mut values = vec![0; texts.len()];
        let mut found = Vec::new();
        for (at, values) in values.chunks_mut(WINDOW).enumerate() {
            let window = texts.part(at * WINDOW..at * WINDOW + values.len());
            self.measure_window::<M>(window, &mut found, values);
        }
        values
    }

    #[inline(always)]
    fn measure_window<M: Measure>(&self, texts: Sequences, found: &mut Vec<u64>, values: &mut [i64]) {
        let order = by_length(texts);
        let symbols = &texts.symbols()[texts.start()..texts.end()];
        found.clear();
        self.find(symbols, found);
        found.resize(symbols.len() + texts.range(order[order.len() - 1] as usize).len(), 0);
        for group in order.chunks(LANES) {
            let indices: [u32; LANES] = each(|lane| group[lane.min(group.len() - 1)]);
            self.measure_group::<M>(texts, found, indices, values);
        }
    }

    /// The texts come in order of length: a lane that has ended continues with symbols whose results are ignored.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "the loop goes through eight texts side by side")]
    fn measure_group<M: Measure>(
        &self,
        texts: Sequences,
        found: &[u64],
        indices: [u32; LANES],
        values: &mut [i64],
    ) {
        let longest = texts.range(indices[LANES - 1] as usize).len();
        let texts_found: [&[u64]; LANES] =
            each(|lane| &found[texts.range(indices[lane] as usize).start - texts.start()..][..longest]);
        let mut lanes = Lanes::<M, LANES>::new(self);
        let mut taken = 0;
        for (lane, &index) in indices.iter().enumerate() {
            let length = texts.range(index as usize).len();
            for at in taken..length {
                lanes.step(each(|lane| texts_found[lane][at]));
            }
            taken = length;
            values[index as usize] = lanes.value(lane);
        }
    }
}

/// The state of one group of texts.
struct Lanes<'a, M: Measure, const N: usize> {
    masks: &'a Masks,
    /// The blocks of a pattern that fits into one: it stays in registers.
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
    fn step(&mut self, found: Words<N>) {
        let mut carry = M::carry();
        if self.masks.blocks <= 1 {
            M::step(&mut self.first, found, &mut carry);
        } else {
            for (at, block) in self.blocks.iter_mut().enumerate() {
                M::step(block, each(|lane| self.masks.rows[found[lane] as usize + at]), &mut carry);
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

/// An array of the results of `of` for each lane. (`array::map` is a call, and this is a loop without one.)
#[inline(always)]
fn each<T: Copy + Default, const N: usize>(of: impl Fn(usize) -> T) -> [T; N] {
    let mut all = [T::default(); N];
    for (lane, one) in all.iter_mut().enumerate() {
        *one = of(lane);
    }
    all
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
