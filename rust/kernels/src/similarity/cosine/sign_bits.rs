//! Rows of one bit a number: the fewest differing bits choose finalists, exact cosines rank them.

use super::pairs::{dot, norm, ratio};
use crate::image::{Image, ImageReader, check};
use crate::msgpack::Result;
use crate::simd::dispatch;
use crate::similarity::leaders::{Best, Leaders};
use crate::similarity::rows::Rows;

/// Rows that stand together: word by word, so that one instruction compares a word of each.
const BLOCK: usize = 8;

/// The signs of rows of floats, packed.
#[derive(Clone, Debug)]
pub struct SignBits {
    /// Blocks of eight rows: the first word of each row, then the second word of each, and so on.
    bits: Vec<[u64; BLOCK]>,
    rows: usize,
    words: usize,
    width: usize,
}

impl SignBits {
    /// No rows yet; each will have `width` numbers, at least one.
    pub fn new(width: usize) -> Self {
        assert!(width > 0, "a row must have a number");
        Self { bits: Vec::new(), rows: 0, words: width.div_ceil(64), width }
    }

    /// The signs of all of `rows`.
    pub fn from_rows(rows: Rows) -> Self {
        let mut signs = Self::new(rows.width());
        rows.iter().for_each(|row| signs.push(row));
        signs
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// The packed signs of one row: a bit is set if the number is above 0.
    pub fn row(&self, index: usize) -> Vec<u64> {
        self.bits[index / BLOCK * self.words..][..self.words].iter().map(|word| word[index % BLOCK]).collect()
    }

    fn set(&mut self, index: usize, words: impl Iterator<Item = u64>) {
        let block = &mut self.bits[index / BLOCK * self.words..][..self.words];
        block.iter_mut().zip(words).for_each(|(place, word)| place[index % BLOCK] = word);
    }

    fn add(&mut self, words: impl Iterator<Item = u64>) {
        self.rows += 1;
        self.bits.resize(self.rows.div_ceil(BLOCK) * self.words, [0; BLOCK]);
        self.set(self.rows - 1, words);
    }

    /// Adds a row behind the others.
    pub fn push(&mut self, row: &[f32]) {
        self.add(row.chunks(64).map(pack));
    }

    /// Puts another row in the place of the one at `index`.
    pub fn replace(&mut self, index: usize, row: &[f32]) {
        self.set(index, row.chunks(64).map(pack));
    }

    /// Keeps the rows for which `keep` holds, in their order.
    pub fn retain(&mut self, keep: &[bool]) {
        let mut kept = Self::new(self.width);
        (0..self.rows).filter(|row| keep[*row]).for_each(|row| kept.add(self.row(row).into_iter()));
        *self = kept;
    }

    /// The `k` highest cosines with `query` among the `finalists` rows whose signs differ least from its own.
    /// `rows` are those whose signs these are. Fewer finalists are faster and find less.
    pub fn top_k(&self, query: &[f32], rows: Rows, k: usize, finalists: usize) -> Best {
        let length = norm(query);
        let mut leaders = Leaders::new(k);
        for index in self.nearest(query, finalists) {
            let row = rows.row(index as usize);
            leaders.offer(index, ratio(dot(query, row), length * norm(row)));
        }
        leaders.into_best()
    }

    /// The rows that are among the `count` nearest however ties are broken, the rows that tie for the places left
    /// over, and the number of those places. Rows for which `keep` is false are passed over; an empty `keep` keeps
    /// all.
    pub fn nearest_and_tied(
        &self,
        query: &[f32],
        count: usize,
        keep: &[bool],
    ) -> (Vec<u32>, Vec<u32>, usize) {
        let found = self.nearest_rows(query, count, keep);
        let limit = found.iter().map(|(distance, _)| *distance).max().unwrap_or(0);
        let limit = if found.len() > count { limit } else { u32::MAX };
        let (mut nearer, mut tied) = (Vec::with_capacity(count), Vec::new());
        for (distance, row) in found {
            if distance < limit { nearer.push(row) } else { tied.push(row) }
        }
        let places = count.saturating_sub(nearer.len()).min(tied.len());
        (nearer, tied, places)
    }

    /// The `count` rows whose signs differ least from those of `query`, in order of row; ties by lower row.
    pub fn nearest(&self, query: &[f32], count: usize) -> Vec<u32> {
        let mut found = self.nearest_rows(query, count, &[]);
        found.sort_unstable();
        found.truncate(count);
        let mut rows: Vec<u32> = found.into_iter().map(|(_, row)| row).collect();
        rows.sort_unstable();
        rows
    }

    /// At least the `count` nearest rows with their distances, and every row that is as near as the last of them.
    fn nearest_rows(&self, query: &[f32], count: usize, keep: &[bool]) -> Vec<(u32, u32)> {
        let query: Vec<u64> = query.chunks(64).map(pack).collect();
        let mut nearest = Nearest { count, limit: u32::MAX, found: Vec::new(), crowd: 4 * count + 64 };
        if count > 0 {
            let (signs, query, nearest) = (self, query.as_slice(), &mut nearest);
            dispatch!(scan(signs: &SignBits, query: &[u64], keep: &[bool], nearest: &mut Nearest));
        }
        nearest.narrow();
        nearest.found
    }
}

impl Image for SignBits {
    fn write(&self, out: &mut Vec<u8>) {
        (self.width as u64).write(out);
        (self.rows as u64).write(out);
        self.bits.write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let (width, rows) = (u64::read(input)? as usize, u64::read(input)? as usize);
        let (bits, words) = (Vec::read(input)?, width.div_ceil(64));
        let blocks = rows.div_ceil(BLOCK).checked_mul(words);
        check(width > 0 && blocks == Some(bits.len()), "signs without their rows")?;
        Ok(Self { bits, rows, words, width })
    }
}

/// The number of words is a constant for the common widths: the loop over a block then unrolls.
#[inline(always)]
fn scan<const FUSED: bool>(signs: &SignBits, query: &[u64], keep: &[bool], nearest: &mut Nearest) {
    match signs.words {
        4 => scan_words::<4>(signs, query, keep, nearest),
        6 => scan_words::<6>(signs, query, keep, nearest),
        8 => scan_words::<8>(signs, query, keep, nearest),
        12 => scan_words::<12>(signs, query, keep, nearest),
        16 => scan_words::<16>(signs, query, keep, nearest),
        24 => scan_words::<24>(signs, query, keep, nearest),
        words => {
            for (block, rows) in signs.bits.chunks_exact(words).enumerate() {
                nearest.offer(block, distances(query, rows), keep, signs.rows);
            }
        }
    }
}

#[inline(always)]
fn scan_words<const WORDS: usize>(signs: &SignBits, query: &[u64], keep: &[bool], nearest: &mut Nearest) {
    let query: &[u64; WORDS] = query.try_into().expect("a query has the words of a row");
    for (block, rows) in signs.bits.as_chunks::<WORDS>().0.iter().enumerate() {
        nearest.offer(block, distances(query, rows), keep, signs.rows);
    }
}

/// The number of bits of each row of a block that differ from those of `query`.
#[inline(always)]
fn distances(query: &[u64], rows: &[[u64; BLOCK]]) -> [u64; BLOCK] {
    let mut distances = [0; BLOCK];
    for (word, rows) in query.iter().zip(rows) {
        for lane in 0..BLOCK {
            distances[lane] += u64::from((word ^ rows[lane]).count_ones());
        }
    }
    distances
}

/// The rows found so far that may be among the `count` nearest.
struct Nearest {
    count: usize,
    /// No row beyond this distance is among them.
    limit: u32,
    found: Vec<(u32, u32)>,
    /// The number of rows found before the limit is lowered.
    crowd: usize,
}

impl Nearest {
    #[inline(always)]
    fn offer(&mut self, block: usize, distances: [u64; BLOCK], keep: &[bool], rows: usize) {
        let limit = u64::from(self.limit);
        if distances.iter().fold(false, |any, distance| any | (*distance <= limit)) {
            self.take(block, &distances, keep, rows);
        }
    }

    #[cold]
    #[inline(never)]
    fn take(&mut self, block: usize, distances: &[u64; BLOCK], keep: &[bool], rows: usize) {
        for (lane, distance) in distances.iter().enumerate() {
            let row = block * BLOCK + lane;
            if *distance <= u64::from(self.limit) && row < rows && keep.get(row).is_none_or(|keep| *keep) {
                self.found.push((*distance as u32, row as u32));
            }
        }
        if self.found.len() >= self.crowd {
            self.narrow();
            self.crowd = 2 * self.found.len() + 4 * self.count;
        }
    }

    /// Leaves the `count` nearest, and every row as near as the last of them.
    fn narrow(&mut self) {
        if self.count > 0 && self.found.len() > self.count {
            let (_, last, _) = self.found.select_nth_unstable(self.count - 1);
            self.limit = last.0;
            let limit = self.limit;
            self.found.retain(|(distance, _)| *distance <= limit);
        }
    }
}

/// Up to 64 numbers as bits.
fn pack(numbers: &[f32]) -> u64 {
    numbers.iter().enumerate().fold(0, |bits, (place, &x)| bits | u64::from(x > 0.0) << place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::similarity::{cosine::hamming, top_k};
    use proptest::prelude::*;

    fn matrix() -> impl Strategy<Value = (usize, Vec<f32>)> {
        prop::sample::select(vec![1usize, 5, 64, 130, 256, 384]).prop_flat_map(|width| {
            let rows = (2usize..40)
                .prop_flat_map(move |n| prop::collection::vec(-2i8..3, n * width))
                .prop_map(|elements| elements.into_iter().map(f32::from).collect());
            (Just(width), rows)
        })
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_of_a_sort_by_distance_and_row((width, elements) in matrix(), count in 0usize..14) {
            let (query, elements) = elements.split_at(width);
            let signs = SignBits::from_rows(Rows::new(elements, width));
            let packed: Vec<u64> = query.chunks(64).map(pack).collect();
            let mut expected: Vec<u32> = (0..signs.len() as u32).collect();
            expected.sort_by_key(|&row| hamming(&packed, &signs.row(row as usize)));
            expected.truncate(count);
            expected.sort_unstable();
            prop_assert_eq!(signs.nearest(query, count), expected);
        }

        #[test]
        fn tied_rows_fill_the_places_that_nearer_ones_leave((width, elements) in matrix(), count in 0usize..14) {
            let (query, elements) = elements.split_at(width);
            let mut signs = SignBits::from_rows(Rows::new(elements, width));
            let last = signs.len() - 1;
            let mut keep = vec![true; last + 1];
            let (mut nearer, tied, places) = signs.nearest_and_tied(query, count, &keep);
            nearer.extend(tied.into_iter().take(places));
            nearer.sort_unstable();
            prop_assert_eq!(nearer, signs.nearest(query, count));
            keep[last] = false;
            let (nearer, tied, _) = signs.nearest_and_tied(query, count, &keep);
            prop_assert!(!nearer.contains(&(last as u32)) && !tied.contains(&(last as u32)));
            let row = signs.row(last);
            signs.retain(&(0..=last).map(|row| row == last).collect::<Vec<_>>());
            prop_assert_eq!((signs.len(), signs.row(0)), (1, row));
        }

        #[test]
        fn with_every_row_a_finalist_the_answer_is_exact((width, elements) in matrix(), k in 1usize..5) {
            let (query, elements) = elements.split_at(width);
            let rows = Rows::new(elements, width);
            let found = SignBits::from_rows(rows).top_k(query, rows, k, rows.len());
            let exact = top_k(query, rows, k).unwrap();
            for (a, b) in found.scores.iter().zip(&exact.scores) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_replaced_row_has_the_signs_of_the_new_one() {
        let mut signs = SignBits::from_rows(Rows::new(&[1.0, -1.0, -1.0, 1.0], 2));
        signs.replace(1, &[2.0, 2.0]);
        assert_eq!((signs.row(0), signs.row(1)), (vec![0b01], vec![0b11]));
    }
}
