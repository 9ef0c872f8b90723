//! k-means: centres drawn by greedy k-means++ (Arthur and Vassilvitskii 2007), then moved to the means of their
//! nearest rows (Lloyd 1982).

use super::blocks::{Blocks, LANES, Lanes, TOGETHER, products, squared_distances};
use super::clustering::{Clustering, centred, means};
use crate::simd::dispatch;
use crate::similarity::Rows;

/// At most `k` clusters of rows that are near each other, after at most `iterations` moves of the centres. There
/// are fewer if fewer rows differ. The same arguments give the same clusters on the same processor. `k` is at least
/// 1; the rows are of finite length.
///
/// # Examples
/// ```
/// use tacit_kernels::{cluster::kmeans, similarity::Rows};
/// assert_eq!(kmeans(Rows::new(&[0.0, 0.1, 9.0], 1), 2, 0, 100).labels, [0, 0, 1]);
/// ```
pub fn kmeans(rows: Rows, k: usize, seed: u64, iterations: usize) -> Clustering {
    let elements = centred(rows);
    let near_zero = Rows::new(&elements, rows.width());
    let blocks = Blocks::from_rows(near_zero);
    let centres = spread(near_zero, &blocks, k, seed);
    let (labels, count) = settle(near_zero, &blocks, centres, iterations);
    let labels: Vec<Option<u32>> = labels.into_iter().map(Some).collect();
    Clustering::from_rows(rows, &labels, count)
}

/// The label of each row once no row changes its centre, or after so many moves; and the number of centres.
fn settle(rows: Rows, blocks: &Blocks, mut centres: Vec<f32>, iterations: usize) -> (Vec<u32>, usize) {
    let count = centres.len() / rows.width();
    let mut labels = assign(rows, blocks, &centres);
    for _ in 0..iterations {
        centres = moved(rows, &labels, centres);
        let next = assign(rows, blocks, &centres);
        if next == labels {
            break;
        }
        labels = next;
    }
    (labels, count)
}

/// Each centre at the mean of its rows; one without rows stays.
fn moved(rows: Rows, labels: &[u32], mut centres: Vec<f32>) -> Vec<f32> {
    let width = rows.width();
    let mut taken = vec![false; centres.len() / width];
    labels.iter().for_each(|&label| taken[label as usize] = true);
    let means = means(rows, labels.iter().map(|&label| Some(label)), taken.len());
    for ((centre, mean), _) in
        centres.chunks_mut(width).zip(means.chunks(width)).zip(taken).filter(|(_, taken)| *taken)
    {
        centre.copy_from_slice(mean);
    }
    centres
}

/// The nearest centre of each row; of equals the lower.
fn assign(rows: Rows, blocks: &Blocks, centres: &[f32]) -> Vec<u32> {
    let width = rows.width();
    let count = centres.len() / width;
    let mut centres = centres.to_vec();
    centres.resize(count.next_multiple_of(TOGETHER) * width, 0.0);
    let mut halves: Vec<f32> =
        centres.chunks(width).map(|centre| centre.iter().map(|x| x * x).sum::<f32>() / 2.0).collect();
    halves[count..].fill(f32::INFINITY);
    let (centres, halves) = (centres.as_slice(), halves.as_slice());
    let mut labels = dispatch!(nearest(blocks: &Blocks, centres: &[f32], halves: &[f32]) -> Vec<u32>);
    labels.truncate(rows.len());
    labels
}

/// The centre c with the least |c|²/2 - x.c is the nearest to x. `halves` holds the first term.
#[inline(always)]
fn nearest<const FUSED: bool>(blocks: &Blocks, centres: &[f32], halves: &[f32]) -> Vec<u32> {
    let width = centres.len() / halves.len();
    let mut labels = vec![0; blocks.len() * LANES];
    for (block, labels) in blocks.iter().zip(labels.as_chunks_mut::<LANES>().0) {
        let mut least = [f32::INFINITY; LANES];
        for (at, halves) in halves.as_chunks::<TOGETHER>().0.iter().enumerate() {
            let first = at * TOGETHER;
            let together = &centres[first * width..][..TOGETHER * width];
            let products = products(block, together);
            for place in 0..TOGETHER {
                for lane in 0..LANES {
                    let distance = halves[place] - products[place][lane];
                    let nearer = distance < least[lane];
                    least[lane] = if nearer { distance } else { least[lane] };
                    labels[lane] = if nearer { (first + place) as u32 } else { labels[lane] };
                }
            }
        }
    }
    labels
}

/// Up to `k` rows as centres: candidates are drawn with a probability that grows with their squared distance from
/// the centres before them, and the one that brings the rows nearest is taken. Fewer if all other rows equal a
/// centre.
fn spread(rows: Rows, blocks: &Blocks, k: usize, seed: u64) -> Vec<f32> {
    let trials = (2 + k.ilog2() as usize).min(TOGETHER);
    let halves: Vec<Lanes> = blocks.iter().map(half_squares).collect();
    let mut random = Random(seed);
    let mut distances = vec![[f32::INFINITY; LANES]; blocks.len()];
    let mut centres = Vec::with_capacity(k * rows.width());
    let mut chosen = random.below(rows.len());
    loop {
        centres.extend_from_slice(rows.row(chosen));
        let sums = approach(blocks, rows.row(chosen), &mut distances, rows.len());
        let total: f64 = sums.iter().sum();
        if centres.len() == k * rows.width() || total <= 0.0 {
            return centres;
        }
        let drawn: Vec<usize> = (0..trials).map(|_| pick(&distances, &sums, random.unit() * total)).collect();
        chosen = best_of(rows, blocks, &halves, &distances, &drawn);
    }
}

/// The one of the drawn rows that would leave the least sum of distances; of equals the first.
fn best_of(rows: Rows, blocks: &Blocks, halves: &[Lanes], distances: &[Lanes], drawn: &[usize]) -> usize {
    let mut candidates: Vec<f32> = drawn.iter().flat_map(|&row| rows.row(row)).copied().collect();
    candidates.resize(TOGETHER * rows.width(), 0.0);
    let candidates = candidates.as_slice();
    let left = dispatch!(
        left_by(blocks: &Blocks, halves: &[Lanes], distances: &[Lanes], candidates: &[f32]) -> Lefts
    );
    let best = (0..drawn.len()).min_by(|&a, &b| left[a].total_cmp(&left[b]));
    drawn[best.expect("some are drawn")]
}

/// The sum of squared distances that each candidate would leave.
type Lefts = [f32; TOGETHER];

/// The sum of all rows' squared distances from the nearest centre, if each candidate were one.
#[inline(always)]
fn left_by<const FUSED: bool>(
    blocks: &Blocks,
    halves: &[Lanes],
    distances: &[Lanes],
    candidates: &[f32],
) -> Lefts {
    let mut squares =
        candidates.chunks(candidates.len() / TOGETHER).map(|row| row.iter().map(|x| x * x).sum());
    let squares: Lefts = std::array::from_fn(|_| squares.next().unwrap_or(0.0));
    let mut sums = [[0.0; LANES]; TOGETHER];
    for ((block, half), nearest) in blocks.iter().zip(halves).zip(distances) {
        let products = products(block, candidates);
        for at in 0..TOGETHER {
            for lane in 0..LANES {
                let distance = squares[at] + 2.0 * (half[lane] - products[at][lane]);
                sums[at][lane] += distance.max(0.0).min(nearest[lane]);
            }
        }
    }
    sums.map(|lanes| lanes.iter().sum())
}

fn half_squares(block: &[Lanes]) -> Lanes {
    let mut halves = [0.0; LANES];
    for lanes in block {
        halves.iter_mut().zip(lanes).for_each(|(half, x)| *half += x * x / 2.0);
    }
    halves
}

/// Brings the squared distances from the nearest centre up to date with a new one; answers their sum in each block.
fn approach(blocks: &Blocks, centre: &[f32], distances: &mut [Lanes], rows: usize) -> Vec<f64> {
    dispatch!(shortened(blocks: &Blocks, centre: &[f32], distances: &mut [Lanes], rows: usize) -> Vec<f64>)
}

#[inline(always)]
fn shortened<const FUSED: bool>(
    blocks: &Blocks,
    centre: &[f32],
    distances: &mut [Lanes],
    rows: usize,
) -> Vec<f64> {
    let mut sums = Vec::with_capacity(distances.len());
    for (at, (block, nearest)) in blocks.iter().zip(distances).enumerate() {
        let found = squared_distances::<FUSED>(block, centre);
        for lane in 0..LANES {
            nearest[lane] = nearest[lane].min(found[lane]);
        }
        // The rows that fill up the last block are never chosen.
        nearest[LANES.min(rows - at * LANES)..].fill(0.0);
        sums.push(nearest.iter().map(|&distance| f64::from(distance)).sum());
    }
    sums
}

/// The row at which the running sum of distances passes `target`.
fn pick(distances: &[Lanes], sums: &[f64], mut target: f64) -> usize {
    let mut last = 0;
    for (at, (block, &sum)) in distances.iter().zip(sums).enumerate() {
        if sum <= 0.0 {
            continue;
        }
        for (lane, &distance) in block.iter().enumerate().filter(|(_, distance)| **distance > 0.0) {
            last = at * LANES + lane;
            if target < f64::from(distance) {
                return last;
            }
            target -= f64::from(distance);
        }
    }
    last
}

/// SplitMix64: a seed gives the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.unit() * limit as f64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix() -> impl Strategy<Value = (usize, Vec<f32>)> {
        (1usize..20, 1usize..60).prop_flat_map(|(width, rows)| {
            let elements = prop::collection::vec((-3i8..4).prop_map(f32::from), width * rows);
            (Just(width), elements)
        })
    }

    #[test]
    fn groups_that_lie_apart_are_found_whatever_the_seed() {
        let elements: Vec<f32> =
            (0..60).map(|row| (row % 3) as f32 * 100.0 + (row / 3) as f32 * 0.1).collect();
        for seed in 0..10 {
            let clustering = kmeans(Rows::new(&elements, 1), 3, seed, 20);
            assert!(clustering.labels.iter().enumerate().all(|(row, &label)| label == row as i32 % 3));
            assert_eq!(clustering.medoids, [27, 28, 29]);
        }
    }

    #[test]
    fn there_are_no_more_clusters_than_different_rows() {
        let clustering = kmeans(Rows::new(&[1.0, 2.0, 1.0, 2.0, 1.0], 1), 4, 7, 10);
        assert_eq!(clustering.labels, [0, 1, 0, 1, 0]);
        assert_eq!(clustering.medoids, [0, 1]);
    }

    proptest! {
        #[test]
        fn each_row_is_with_the_mean_that_is_nearest_once_settled((width, elements) in matrix(), k in 1usize..6) {
            let rows = Rows::new(&elements, width);
            let clustering = kmeans(rows, k, 3, 1000);
            let labels = || clustering.labels.iter().map(|&label| Some(label as u32));
            let means = means(rows, labels(), clustering.medoids.len());
            for (row, label) in rows.iter().zip(labels()) {
                let distance = |at: usize| super::super::clustering::squared_distance(row, &means[at * width..][..width]);
                let least = (0..clustering.medoids.len()).map(distance).fold(f64::INFINITY, f64::min);
                prop_assert!(distance(label.unwrap() as usize) <= least + 1e-3);
            }
        }

        #[test]
        fn every_level_assigns_alike((width, elements) in matrix()) {
            let rows = Rows::new(&elements, width);
            let blocks = Blocks::from_rows(rows);
            let centres = &elements[..elements.len().min(5 * width)];
            let nearest = |row: &[f32]| {
                let distances = centres.chunks(width).map(|centre| super::super::clustering::squared_distance(row, centre));
                distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0 as u32
            };
            prop_assert_eq!(assign(rows, &blocks, centres), rows.iter().map(nearest).collect::<Vec<u32>>());
        }
    }
}
