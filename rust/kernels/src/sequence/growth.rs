//! Prefix growth (PrefixSpan, Pei et al. 2001): every pattern is its prefix and one more symbol, and is searched
//! only in the sequences of its prefix.
//!
//! Two limits are added: a pattern has at most `longest` symbols, and at most `gap` symbols in all are passed over
//! between its first and its last. A sequence that does not hold a prefix holds none of its extensions, so that the
//! extensions of a rare pattern are never searched.

use rustc_hash::FxHashMap;

use super::columns::Sequences;

/// The limits of the patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceLimits {
    pub shortest: usize,
    pub longest: usize,
    /// The symbols in all that a pattern may pass over.
    pub gap: usize,
    /// The sequences in which a pattern must be found.
    pub min_support: u32,
}

/// Stands behind the last symbol of each sequence.
const END: u32 = u32::MAX;

/// The counts of one sequence for each pattern found in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// A number of its own: the sum of these says which sequences they were.
    pub(super) print: u64,
    pub(super) success: u32,
}

/// The places of a pattern and the number of its sequences.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) occurrences: u32,
    pub(super) support: u32,
    pub(super) successes: u32,
    pub(super) print: u64,
    /// 1 more than the sequence that was counted last.
    counted: u32,
}

impl Count {
    #[inline(always)]
    fn add(&mut self, sequence: u32, marks: &[Mark]) {
        self.occurrences += 1;
        if self.counted != sequence + 1 {
            self.counted = sequence + 1;
            self.support += 1;
            self.successes += marks[sequence as usize].success;
            self.print = self.print.wrapping_add(marks[sequence as usize].print);
        }
    }
}

/// The place behind an occurrence of a pattern, and how many symbols it may still pass over.
#[derive(Clone, Copy)]
struct Occurrence {
    next: u32,
    gap: u32,
}

/// The patterns of some sequences, in lexical order by the first use of each symbol.
#[derive(Default)]
pub(super) struct Grown {
    /// The symbols by number.
    pub(super) alphabet: Vec<u64>,
    ids: Vec<u32>,
    ends: Vec<usize>,
    pub(super) counts: Vec<Count>,
}

impl Grown {
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    pub(super) fn pattern(&self, index: usize) -> &[u32] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.ids[start..self.ends[index]]
    }
}

/// All patterns up to the longest, also those shorter than the shortest.
pub(super) fn grow(sequences: Sequences, limits: SequenceLimits, marks: &[Mark]) -> Grown {
    let text = Text::new(sequences);
    let starts = (0..text.ids.len() as u32).map(|next| Occurrence { next, gap: 0 }).collect();
    let mut growth = Growth {
        limits,
        marks,
        counts: vec![Count::default(); text.alphabet.len()],
        prefix: Vec::new(),
        levels: Vec::new(),
        grown: Grown::default(),
        text,
    };
    growth.levels.resize_with(limits.longest + 1, GrownLevel::default);
    growth.levels[0].occurrences = starts;
    growth.extend(0..growth.text.ids.len());
    Grown { alphabet: growth.text.alphabet, ..growth.grown }
}

/// The sequences with small numbers for symbols and `END` behind each.
struct Text {
    alphabet: Vec<u64>,
    ids: Vec<u32>,
    sequence_of: Vec<u32>,
}

impl Text {
    fn new(sequences: Sequences) -> Self {
        let places = sequences.end() - sequences.start() + sequences.len();
        let (mut ids, mut sequence_of) = (Vec::with_capacity(places), Vec::with_capacity(places));
        let mut numbers = FxHashMap::default();
        let mut alphabet = Vec::new();
        for (index, symbols) in sequences.iter().enumerate() {
            ids.extend(symbols.iter().map(|&symbol| {
                *numbers.entry(symbol).or_insert_with(|| {
                    alphabet.push(symbol);
                    alphabet.len() as u32 - 1
                })
            }));
            ids.push(END);
            sequence_of.resize(ids.len(), index as u32);
        }
        Self { alphabet, ids, sequence_of }
    }
}

/// Patterns of one length that share a prefix: kept from call to call, so that growing allocates nothing.
#[derive(Default)]
struct GrownLevel {
    occurrences: Vec<Occurrence>,
    /// Each symbol that extends the prefix, its counts, and the end of its occurrences.
    extensions: Vec<(u32, Count, usize)>,
}

struct Growth<'a> {
    limits: SequenceLimits,
    marks: &'a [Mark],
    text: Text,
    /// For each symbol as an extension of the prefix; zero between calls.
    counts: Vec<Count>,
    prefix: Vec<u32>,
    levels: Vec<GrownLevel>,
    grown: Grown,
}

impl Growth<'_> {
    /// Grows all patterns that begin with the prefix, whose occurrences are those of its level in `range`.
    fn extend(&mut self, range: std::ops::Range<usize>) {
        let depth = self.prefix.len();
        let occurrences = std::mem::take(&mut self.levels[depth].occurrences);
        let mut next = std::mem::take(&mut self.levels[depth + 1]);
        self.count(&occurrences[range.clone()], &mut next);
        if depth + 1 < self.limits.longest {
            self.place(&occurrences[range], &mut next);
        }
        self.levels[depth].occurrences = occurrences;
        next.extensions.iter().for_each(|&(id, ..)| self.counts[id as usize] = Count::default());
        next.extensions.retain(|(_, count, _)| count.support >= self.limits.min_support);
        self.grow_each(next);
    }

    /// Counts each symbol that follows an occurrence, in order of symbol.
    fn count(&mut self, occurrences: &[Occurrence], next: &mut GrownLevel) {
        next.extensions.clear();
        for &occurrence in occurrences {
            for (place, _) in followers(&self.text.ids, occurrence) {
                let (id, sequence) = (self.text.ids[place], self.text.sequence_of[place]);
                let count = &mut self.counts[id as usize];
                if count.occurrences == 0 {
                    next.extensions.push((id, *count, 0));
                }
                count.add(sequence, self.marks);
            }
        }
        next.extensions.sort_unstable_by_key(|&(id, ..)| id);
        let mut end = 0;
        for (id, count, ends) in &mut next.extensions {
            *count = self.counts[*id as usize];
            end += if count.support >= self.limits.min_support { count.occurrences as usize } else { 0 };
            *ends = end;
        }
    }

    /// Puts the occurrences of each frequent extension one behind the other.
    fn place(&mut self, occurrences: &[Occurrence], next: &mut GrownLevel) {
        let mut start = 0;
        for &(id, _, end) in &next.extensions {
            self.counts[id as usize].occurrences = start as u32;
            start = end;
        }
        next.occurrences.clear();
        next.occurrences.resize(start, Occurrence { next: 0, gap: 0 });
        let first = if self.prefix.is_empty() { Some(self.limits.gap as u32) } else { None };
        for &occurrence in occurrences {
            for (place, gap) in followers(&self.text.ids, occurrence) {
                let count = &mut self.counts[self.text.ids[place] as usize];
                if count.support >= self.limits.min_support {
                    let placed = Occurrence { next: place as u32 + 1, gap: first.unwrap_or(gap) };
                    next.occurrences[count.occurrences as usize] = placed;
                    count.occurrences += 1;
                }
            }
        }
    }

    fn grow_each(&mut self, next: GrownLevel) {
        let depth = self.prefix.len();
        let GrownLevel { occurrences, extensions } = next;
        self.levels[depth + 1].occurrences = occurrences;
        let mut start = 0;
        for &(id, count, end) in &extensions {
            self.prefix.push(id);
            self.grown.ids.extend_from_slice(&self.prefix);
            self.grown.ends.push(self.grown.ids.len());
            self.grown.counts.push(count);
            if depth + 1 < self.limits.longest {
                self.extend(start..end);
            }
            self.prefix.pop();
            start = end;
        }
        self.levels[depth + 1].extensions = extensions;
    }
}

/// The places that may extend an occurrence, each with the gap that is left behind it.
#[inline(always)]
fn followers(ids: &[u32], occurrence: Occurrence) -> impl Iterator<Item = (usize, u32)> {
    let first = occurrence.next as usize;
    let gaps = (0..=occurrence.gap).rev();
    (first..).zip(gaps).take_while(|&(place, _)| ids[place] != END)
}
