//! Rows in blocks of sixteen, turned on their side: products of a row with sixteen others share each number of it.

use crate::simd::{dispatch, multiply_add};
use crate::similarity::Rows;

/// Rows side by side: the 32-bit lanes of the widest vector.
pub(super) const LANES: usize = 16;

/// Rows that are compared with a block at a time.
pub(super) const TOGETHER: usize = 8;

/// One number of each row of a block.
pub(super) type Lanes = [f32; LANES];

/// Rows in blocks, the last filled up with rows of zeros.
pub(super) struct Blocks {
    columns: Vec<Lanes>,
    width: usize,
}

impl Blocks {
    pub(super) fn from_rows(rows: Rows) -> Self {
        let width = rows.width();
        let mut columns = vec![[0.0; LANES]; rows.len().div_ceil(LANES) * width];
        for (index, row) in rows.iter().enumerate() {
            let block = &mut columns[index / LANES * width..][..width];
            block.iter_mut().zip(row).for_each(|(lanes, &x)| lanes[index % LANES] = x);
        }
        Self { columns, width }
    }

    pub(super) fn len(&self) -> usize {
        self.columns.len() / self.width
    }

    #[inline(always)]
    pub(super) fn block(&self, index: usize) -> &[Lanes] {
        &self.columns[index * self.width..][..self.width]
    }

    pub(super) fn iter(&self) -> std::slice::ChunksExact<'_, Lanes> {
        self.columns.chunks_exact(self.width)
    }
}

/// The product of each of the others, rows one after another, with each row of the block. A function of its own,
/// because code inlined around the loop may cost it its registers.
#[inline(never)]
pub(super) fn products(block: &[Lanes], others: &[f32]) -> [Lanes; TOGETHER] {
    assert!(others.len() == TOGETHER * block.len(), "the others must be as wide as the block");
    dispatch!(product_sums(block: &[Lanes], others: &[f32]) -> [Lanes; TOGETHER])
}

#[inline(always)]
fn product_sums<const FUSED: bool>(block: &[Lanes], others: &[f32]) -> [Lanes; TOGETHER] {
    let width = block.len();
    let mut sums = [[0.0; LANES]; TOGETHER];
    for (at, lanes) in block.iter().enumerate() {
        for (place, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `products` has seen that there are as many others: `place` and `at` are less than their counts.
            let other = unsafe { *others.get_unchecked(place * width + at) };
            for lane in 0..LANES {
                sum[lane] = multiply_add::<FUSED>(lanes[lane], other, sum[lane]);
            }
        }
    }
    sums
}

/// The squared distance of another row from each row of the block: 0 from its equals.
/// Two sums are kept side by side, so that an addition need not wait for the one before it.
#[inline(always)]
pub(super) fn squared_distances<const FUSED: bool>(block: &[Lanes], other: &[f32]) -> Lanes {
    let ((columns, last_column), (numbers, last)) = (block.as_chunks::<2>(), other.as_chunks::<2>());
    let (mut even, mut odd) = ([0.0; LANES], [0.0; LANES]);
    for (lanes, y) in columns.iter().zip(numbers) {
        add_squares::<FUSED>(&mut even, &lanes[0], y[0]);
        add_squares::<FUSED>(&mut odd, &lanes[1], y[1]);
    }
    if let ([lanes], [y]) = (last_column, last) {
        add_squares::<FUSED>(&mut even, lanes, *y);
    }
    for lane in 0..LANES {
        even[lane] += odd[lane];
    }
    even
}

#[inline(always)]
fn add_squares<const FUSED: bool>(sums: &mut Lanes, lanes: &Lanes, y: f32) {
    for lane in 0..LANES {
        let off = lanes[lane] - y;
        sums[lane] = multiply_add::<FUSED>(off, off, sums[lane]);
    }
}
