//! Rows of one byte a number: a scan reads a quarter of the memory, and bounds say which rows it cannot rule out.

use super::pairs::{dot, dot_i8, dot_i8_lanes, norm, ratio};
use crate::image::{Image, ImageReader, check};
use crate::msgpack::Result;
use crate::simd::dispatch;
use crate::similarity::leaders::{Best, Leaders};
use crate::similarity::rows::Rows;

/// The most that rounding in the sums can add to a cosine beyond the rows' own residuals.
const SLACK: f32 = 1e-5;

/// Unit rows as signed bytes, each with its scale and with how far its codes lie from it.
#[derive(Clone, Debug)]
pub struct Quantised {
    codes: Vec<i8>,
    scales: Vec<f32>,
    residuals: Vec<f32>,
    width: usize,
}

impl Quantised {
    /// No rows yet; each will have `width` numbers.
    pub fn new(width: usize) -> Self {
        Self { codes: Vec::new(), scales: Vec::new(), residuals: Vec::new(), width }
    }

    /// The codes of all of `rows`, which are of finite length.
    pub fn from_rows(rows: Rows) -> Self {
        let mut quantised = Self::new(rows.width());
        rows.iter().for_each(|row| quantised.push(row));
        quantised
    }

    pub fn len(&self) -> usize {
        self.scales.len()
    }

    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Adds a row behind the others.
    pub fn push(&mut self, row: &[f32]) {
        let index = self.len();
        self.codes.resize(self.codes.len() + self.width, 0);
        self.scales.push(0.0);
        self.residuals.push(0.0);
        self.replace(index, row);
    }

    /// Puts another row in the place of the one at `index`.
    pub fn replace(&mut self, index: usize, row: &[f32]) {
        let codes = &mut self.codes[index * self.width..][..self.width];
        (self.scales[index], self.residuals[index]) = encode(row, codes);
    }

    /// Keeps the rows for which `keep` holds, in their order.
    pub fn retain(&mut self, keep: &[bool]) {
        let rows = self.codes.chunks_exact(self.width).zip(keep);
        self.codes = rows.filter(|(_, keep)| **keep).flat_map(|(row, _)| row.iter().copied()).collect();
        let mut kept = keep.iter();
        self.scales.retain(|_| *kept.next().unwrap_or(&false));
        let mut kept = keep.iter();
        self.residuals.retain(|_| *kept.next().unwrap_or(&false));
    }

    /// A vector in the form of the rows.
    pub fn code(&self, query: &[f32]) -> Code {
        let mut codes = vec![0; self.width];
        let (scale, _) = encode(query, &mut codes);
        Code { codes, scale }
    }

    /// The cosine of a row with a vector, off by no more than their codes are.
    pub fn cosine(&self, index: usize, query: &Code) -> f32 {
        dot_i8(self.codes_of(index), &query.codes) as f32 * self.scales[index] * query.scale
    }

    /// The cosine of two rows, off by no more than their codes are.
    pub fn between(&self, a: usize, b: usize) -> f32 {
        dot_i8(self.codes_of(a), self.codes_of(b)) as f32 * self.scales[a] * self.scales[b]
    }

    /// The bytes of a row, for those who fetch them before they need them.
    pub(crate) fn codes_of(&self, index: usize) -> &[i8] {
        &self.codes[index * self.width..][..self.width]
    }

    pub fn bytes(&self) -> usize {
        self.codes.len() + 8 * self.scales.len()
    }

    /// The answer of `top_k` over the exact rows, from a scan of the codes. `rows` are the rows of these codes:
    /// those that the codes cannot rule out are scored by them.
    pub fn top_k(&self, query: &[f32], rows: Rows, k: usize) -> Best {
        let mut candidates = self.candidates(query, k);
        candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let length = norm(query);
        let mut leaders = Leaders::new(k);
        for (bound, index) in candidates {
            if bound < leaders.floor() {
                break;
            }
            let row = rows.row(index as usize);
            leaders.offer(index, ratio(dot(query, row), length * norm(row)));
        }
        leaders.into_best()
    }

    /// The rows whose cosine with `query` may be among the `k` highest, each with its upper bound.
    fn candidates(&self, query: &[f32], k: usize) -> Vec<(f32, u32)> {
        let mut codes = vec![0; self.width];
        let (scale, residual) = encode(query, &mut codes);
        let query = QuantisedQuery { codes: &codes, scale, residual };
        let quantised = self;
        dispatch!(bounds(quantised: &Quantised, query: QuantisedQuery, k: usize) -> Vec<(f32, u32)>)
    }
}

impl Image for Quantised {
    fn write(&self, out: &mut Vec<u8>) {
        (self.width as u64).write(out);
        self.codes.write(out);
        self.scales.write(out);
        self.residuals.write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let width = u64::read(input)? as usize;
        let (codes, scales): (Vec<i8>, Vec<f32>) = (Vec::read(input)?, Vec::read(input)?);
        let residuals: Vec<f32> = Vec::read(input)?;
        let elements = scales.len().checked_mul(width);
        check(elements == Some(codes.len()) && residuals.len() == scales.len(), "codes without their rows")?;
        Ok(Self { codes, scales, residuals, width })
    }
}

/// A vector of one byte a number.
#[derive(Clone, Debug)]
pub struct Code {
    codes: Vec<i8>,
    scale: f32,
}

/// A query in the form of the rows.
struct QuantisedQuery<'a> {
    codes: &'a [i8],
    scale: f32,
    residual: f32,
}

/// The error bound of a coded product. For units q and r with codes q' and r': |q.r - q'.r'| <= |q - q'| |r| + |q'|
/// |r - r'|, and |q'| <= 1 + |q - q'|.
#[inline(always)]
fn bounds<const FUSED: bool>(rows: &Quantised, query: QuantisedQuery, k: usize) -> Vec<(f32, u32)> {
    let mut lower = Leaders::new(k);
    let mut floor = f32::NEG_INFINITY;
    let mut candidates = Vec::new();
    for (index, codes) in rows.codes.chunks_exact(rows.width).enumerate() {
        let score = dot_i8_lanes::<FUSED>(query.codes, codes) as f32 * (query.scale * rows.scales[index]);
        let error = query.residual + (1.0 + query.residual) * rows.residuals[index] + SLACK;
        if score + error >= floor {
            candidates.push((score + error, index as u32));
            lower.offer(index as u32, score - error);
            floor = lower.floor();
        }
    }
    candidates.retain(|&(upper, _)| upper >= floor);
    candidates
}

/// Writes the codes of the unit vector along `row`; answers their scale and their distance from it.
fn encode(row: &[f32], codes: &mut [i8]) -> (f32, f32) {
    let length = norm(row);
    let largest = row.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    if length == 0.0 {
        codes.fill(0);
        return (0.0, 0.0);
    }
    let (scale, steps) = (largest / (127.0 * length), 127.0 / largest);
    let mut square = 0.0;
    for (code, &x) in codes.iter_mut().zip(row) {
        *code = (x * steps).round() as i8;
        let off = x / length - f32::from(*code) * scale;
        square += off * off;
    }
    (scale, square.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::similarity::top_k;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_answer_is_that_of_the_exact_scan(
            (width, elements) in (1usize..40).prop_flat_map(|width| (
                Just(width),
                (2usize..60).prop_flat_map(move |n| prop::collection::vec(-2.0f32..2.0, n * width)),
            )),
            k in 1usize..8,
        ) {
            let (query, elements) = elements.split_at(width);
            let rows = Rows::new(elements, width);
            let exact = top_k(query, rows, k).unwrap();
            let found = Quantised::from_rows(rows).top_k(query, rows, k);
            prop_assert_eq!(found.rows.len(), exact.rows.len());
            for (a, b) in found.scores.iter().zip(&exact.scores) {
                prop_assert!((a - b).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn a_replaced_row_is_found_by_what_it_is_now() {
        let mut quantised = Quantised::from_rows(Rows::new(&[1.0, 0.0, 0.0, 1.0], 2));
        quantised.replace(1, &[3.0, 0.1]);
        let rows = [1.0, 0.0, 3.0, 0.1];
        assert_eq!(quantised.top_k(&[3.0, 0.1], Rows::new(&rows, 2), 1).rows, [1]);
    }

    #[test]
    fn rows_that_are_kept_have_the_cosines_they_had() {
        let rows = [1.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.6, 0.8];
        let mut quantised = Quantised::from_rows(Rows::new(&rows, 2));
        quantised.retain(&[true, false, true, true]);
        let code = quantised.code(&[2.0, 0.0]);
        for (index, expected) in [(0, 1.0), (1, 0.0), (2, 0.6)] {
            assert!((quantised.cosine(index, &code) - expected).abs() < 0.01);
            assert!((quantised.between(0, index) - expected).abs() < 0.01);
        }
    }

    #[test]
    fn zero_rows_score_zero() {
        let rows = [0.0, 0.0, -1.0, 0.0];
        let best = Quantised::from_rows(Rows::new(&rows, 2)).top_k(&[1.0, 0.0], Rows::new(&rows, 2), 2);
        assert_eq!((best.rows, best.scores), (vec![0, 1], vec![0.0, -1.0]));
    }
}
