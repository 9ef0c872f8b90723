//! Rows of one bit a number: the fewest differing bits choose finalists, exact cosines rank them.

use super::{hamming_words, norm, ratio};
use crate::simd::dispatch;
use crate::similarity::{Best, Leaders, Rows};

/// The signs of rows of floats, packed.
#[derive(Clone, Debug)]
pub struct SignBits {
    bits: Vec<u64>,
    words: usize,
    width: usize,
}

impl SignBits {
    /// No rows yet; each will have `width` numbers, at least one.
    pub fn new(width: usize) -> Self {
        assert!(width > 0, "a row must have a number");
        Self { bits: Vec::new(), words: width.div_ceil(64), width }
    }

    /// The signs of all of `rows`.
    pub fn of(rows: Rows) -> Self {
        let mut signs = Self::new(rows.width());
        rows.iter().for_each(|row| signs.push(row));
        signs
    }

    pub fn len(&self) -> usize {
        self.bits.len() / self.words
    }

    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// The packed signs of one row: a bit is set where the number is above 0.
    pub fn row(&self, index: usize) -> &[u64] {
        &self.bits[index * self.words..][..self.words]
    }

    /// Adds a row behind the others.
    pub fn push(&mut self, row: &[f32]) {
        self.bits.extend(row.chunks(64).map(pack));
    }

    /// Puts another row in the place of the one at `index`.
    pub fn replace(&mut self, index: usize, row: &[f32]) {
        let places = &mut self.bits[index * self.words..][..self.words];
        places.iter_mut().zip(row.chunks(64)).for_each(|(place, numbers)| *place = pack(numbers));
    }

    /// Keeps the rows for which `keep` holds, in their order.
    pub fn retain(&mut self, keep: &[bool]) {
        let rows = self.bits.chunks_exact(self.words).zip(keep);
        self.bits = rows.filter(|(_, keep)| **keep).flat_map(|(row, _)| row.iter().copied()).collect();
    }

    /// The `k` highest cosines with `query` among the `finalists` rows whose signs differ least from its own.
    /// `rows` are those whose signs these are. Fewer finalists are faster and find less.
    pub fn top_k(&self, query: &[f32], rows: Rows, k: usize, finalists: usize) -> Best {
        let length = norm(query);
        let mut leaders = Leaders::new(k);
        for index in self.nearest(query, finalists) {
            let row = rows.row(index as usize);
            leaders.offer(index, ratio(super::dot(query, row), length * norm(row)));
        }
        leaders.into_best()
    }

    /// The rows that are among the `count` nearest whichever way ties are broken, and the rows that tie for the
    /// places left over: how many those are comes last. Rows for which `keep` does not hold are passed over.
    pub fn nearest_and_tied(
        &self,
        query: &[f32],
        count: usize,
        keep: &[bool],
    ) -> (Vec<u32>, Vec<u32>, usize) {
        let query: Vec<u64> = query.chunks(64).map(pack).collect();
        let mut distances = distances(&query, &self.bits);
        let gone = distances.iter_mut().zip(keep).filter(|(_, keep)| !**keep);
        gone.for_each(|(distance, _)| *distance = PASSED_OVER);
        let (limit, places) = cut(&distances, self.width, count);
        let at = |wanted: fn(&u32, &u32) -> bool| {
            let rows = distances.iter().enumerate().filter(|(_, distance)| wanted(distance, &limit));
            rows.map(|(row, _)| row as u32).collect::<Vec<u32>>()
        };
        (at(u32::lt), if places > 0 { at(u32::eq) } else { Vec::new() }, places)
    }

    /// The `count` rows whose signs differ least from those of `query`, in order of row; ties by lower row.
    pub fn nearest(&self, query: &[f32], count: usize) -> Vec<u32> {
        let query: Vec<u64> = query.chunks(64).map(pack).collect();
        let distances = distances(&query, &self.bits);
        let (limit, mut at_limit) = cut(&distances, self.width, count);
        let mut nearest = Vec::with_capacity(count.min(distances.len()));
        for (index, &distance) in distances.iter().enumerate() {
            if distance < limit {
                nearest.push(index as u32);
            } else if distance == limit && at_limit > 0 {
                at_limit -= 1;
                nearest.push(index as u32);
            }
        }
        nearest
    }
}

/// The distance of a row that is not asked for: above all others.
const PASSED_OVER: u32 = u32::MAX;

/// How many bits of each row differ from those of `query`.
fn distances(query: &[u64], bits: &[u64]) -> Vec<u32> {
    dispatch!(differing(query: &[u64], bits: &[u64]) -> Vec<u32>)
}

/// The number of words is a constant where the width is a common one: the loop over a row then unrolls.
#[inline(always)]
fn differing<const FUSED: bool>(query: &[u64], bits: &[u64]) -> Vec<u32> {
    match query.len() {
        4 => unrolled::<4>(query, bits),
        6 => unrolled::<6>(query, bits),
        8 => unrolled::<8>(query, bits),
        12 => unrolled::<12>(query, bits),
        16 => unrolled::<16>(query, bits),
        24 => unrolled::<24>(query, bits),
        words => bits.chunks_exact(words).map(|row| hamming_words::<FUSED>(query, row)).collect(),
    }
}

#[inline(always)]
fn unrolled<const WORDS: usize>(query: &[u64], bits: &[u64]) -> Vec<u32> {
    let query: &[u64; WORDS] = query.try_into().expect("a query has the words of a row");
    let rows = bits.as_chunks::<WORDS>().0;
    rows.iter().map(|row| (0..WORDS).map(|word| (query[word] ^ row[word]).count_ones()).sum()).collect()
}

/// The distance below which all rows are among the `count` nearest, and how many of those at it are.
fn cut(distances: &[u32], width: usize, count: usize) -> (u32, usize) {
    let mut rows_at = vec![0usize; width + 1];
    let asked_for = distances.iter().filter(|distance| **distance != PASSED_OVER);
    asked_for.for_each(|&distance| rows_at[distance as usize] += 1);
    let mut left = count;
    for (distance, &rows) in rows_at.iter().enumerate() {
        if rows >= left {
            return (distance as u32, left);
        }
        left -= rows;
    }
    (width as u32 + 1, 0)
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
            let rows = (2usize..12)
                .prop_flat_map(move |n| prop::collection::vec(-2i8..3, n * width))
                .prop_map(|elements| elements.into_iter().map(f32::from).collect());
            (Just(width), rows)
        })
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_of_a_sort_by_distance_and_row((width, elements) in matrix(), count in 0usize..14) {
            let (query, elements) = elements.split_at(width);
            let signs = SignBits::of(Rows::new(elements, width));
            let packed: Vec<u64> = query.chunks(64).map(pack).collect();
            let mut expected: Vec<u32> = (0..signs.len() as u32).collect();
            expected.sort_by_key(|&row| hamming(&packed, signs.row(row as usize)));
            expected.truncate(count);
            expected.sort_unstable();
            prop_assert_eq!(signs.nearest(query, count), expected);
        }

        #[test]
        fn tied_rows_fill_the_places_that_nearer_ones_leave((width, elements) in matrix(), count in 0usize..14) {
            let (query, elements) = elements.split_at(width);
            let mut signs = SignBits::of(Rows::new(elements, width));
            let last = signs.len() - 1;
            let mut keep = vec![true; last + 1];
            let (mut nearer, tied, places) = signs.nearest_and_tied(query, count, &keep);
            nearer.extend(tied.into_iter().take(places));
            nearer.sort_unstable();
            prop_assert_eq!(nearer, signs.nearest(query, count));
            keep[last] = false;
            let (nearer, tied, _) = signs.nearest_and_tied(query, count, &keep);
            prop_assert!(!nearer.contains(&(last as u32)) && !tied.contains(&(last as u32)));
            let row = signs.row(last).to_vec();
            signs.retain(&(0..=last).map(|row| row == last).collect::<Vec<_>>());
            prop_assert_eq!((signs.len(), signs.row(0)), (1, row.as_slice()));
        }

        #[test]
        fn with_every_row_a_finalist_the_answer_is_exact((width, elements) in matrix(), k in 1usize..5) {
            let (query, elements) = elements.split_at(width);
            let rows = Rows::new(elements, width);
            let found = SignBits::of(rows).top_k(query, rows, k, rows.len());
            let exact = top_k(query, rows, k).unwrap();
            for (a, b) in found.scores.iter().zip(&exact.scores) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_replaced_row_has_the_signs_of_the_new_one() {
        let mut signs = SignBits::of(Rows::new(&[1.0, -1.0, -1.0, 1.0], 2));
        signs.replace(1, &[2.0, 2.0]);
        assert_eq!((signs.row(0), signs.row(1)), ([0b01].as_slice(), [0b11].as_slice()));
    }
}
