//! DBSCAN (Ester et al. 1996): dense regions are clusters, rows far from all of them are noise. Exact: every pair
//! is compared.

use super::blocks::{Blocks, LANES, Lanes, TOGETHER, products};
use super::clustering::{Clustering, Metric, centred, squared_distance};
use super::neighbours::{Border, Neighbours};
use crate::sequence::Sequences;
use crate::simd::dispatch;
use crate::similarity::Rows;
use crate::similarity::cosine::norm;
use crate::similarity::lcs::lcs_length_many;
use crate::similarity::levenshtein::levenshtein_ratio_many;

/// Blocks that are compared with the same rows before the next rows are read.
const PANEL: usize = 8;

/// Clusters of rows that are within `eps` of each other. A row with `min_points` rows within `eps`, itself counted,
/// is dense; dense rows within `eps` of each other share a cluster, and other rows join the first they border on.
/// The rows are of finite length.
///
/// # Examples
/// ```
/// use tacit_kernels::{cluster::{Metric, dbscan}, similarity::Rows};
/// let found = dbscan(Rows::new(&[0.0, 0.1, 9.0], 1), Metric::Euclidean, 0.5, 2);
/// assert_eq!(found.labels, [0, 0, -1]);
/// ```
pub fn dbscan(rows: Rows, metric: Metric, eps: f64, min_points: usize) -> Clustering {
    let plane = Plane::new(rows, metric, eps);
    let weights = vec![1; rows.len()];
    let mut neighbours = Neighbours::new(&weights, min_points);
    for first in (0..plane.blocks.len()).step_by(PANEL) {
        compare_panel(&plane, first, &mut neighbours);
    }
    let (labels, count) = neighbours.labels(Border::FirstCluster);
    match metric {
        Metric::Euclidean => Clustering::from_rows(rows, &labels, count),
        Metric::Cosine => Clustering::from_rows(plane.rows(), &labels, count),
    }
}

/// Clusters of sequences: their distance is 1 less their Levenshtein ratio.
pub fn dbscan_sequences(sequences: Sequences, eps: f64, min_points: usize) -> Clustering {
    let distances_after = |index| {
        let others = sequences.part(index + 1..sequences.len());
        levenshtein_ratio_many(sequences.get(index), others).into_iter().map(|ratio| 1.0 - ratio)
    };
    dbscan_by(&vec![1; sequences.len()], distances_after, eps, min_points, Border::FirstCluster)
}

/// Clusters of whatever has the given distances: as many rows as columns, of which the upper half is read.
pub fn dbscan_distances(distances: Rows, eps: f64, min_points: usize) -> Clustering {
    let distances_after = |index| distances.row(index)[index + 1..].iter().copied();
    dbscan_by(&vec![1; distances.len()], distances_after, eps, min_points, Border::FirstCluster)
}

/// Clusters of different plans, each with the number of times it was followed: their distance is 1 less their LCS
/// ratio. A plan that was followed `min_points` times is dense by itself; one that is not dense joins the cluster of
/// the first dense plan it borders on. So a further plan changes only the clusters around it.
pub fn dbscan_plans(plans: Sequences, times: &[usize], eps: f64, min_points: usize) -> Clustering {
    let distances_after = |index| lcs_distances(plans.get(index), plans.part(index + 1..plans.len()));
    dbscan_by(times, distances_after, eps, min_points, Border::FirstNeighbour)
}

/// Compares in full precision: a distance that equals a limit is not beyond it.
fn lcs_distances(plan: &[u64], others: Sequences) -> Vec<f64> {
    let distance = |(common, length): (u32, usize)| match plan.len() + length {
        0 => 0.0,
        steps => (steps - 2 * common as usize) as f64 / steps as f64,
    };
    lcs_length_many(plan, others).into_iter().zip(others.lengths()).map(distance).collect()
}

/// `distances_after` answers the distances of one thing from all behind it. It is asked twice for each: the second
/// time for the medoids, of which the distances to the other members sum up to the least. They are summed in single
/// precision, which makes the sums exact: the order of the members is nothing to them.
fn dbscan_by<D: IntoIterator<Item: Into<f64>>>(
    weights: &[usize],
    distances_after: impl Fn(usize) -> D,
    eps: f64,
    min_points: usize,
    border: Border,
) -> Clustering {
    let count = weights.len();
    let mut neighbours = Neighbours::new(weights, min_points);
    for index in 0..count {
        for (other, distance) in (index + 1..).zip(distances_after(index)) {
            if distance.into() <= eps {
                neighbours.pair(index as u32, other as u32);
            }
        }
    }
    let (labels, _) = neighbours.labels(border);
    let mut costs = vec![0.0; count];
    for index in (0..count).filter(|&index| labels[index].is_some()) {
        for (other, distance) in (index + 1..).zip(distances_after(index)) {
            if labels[other] == labels[index] {
                let distance = f64::from(distance.into() as f32);
                costs[index] += distance * weights[other] as f64;
                costs[other] += distance * weights[index] as f64;
            }
        }
    }
    Clustering::in_order(&labels, &costs)
}

/// Rows, and the terms that turn products of them into distances: two rows are near if the sum of their terms, less
/// `factor` times their product, is at most `limit`.
///
/// Euclidean: |a - b|² = |a|² + |b|² - 2 a·b. Cosine: 1 - a·b = ½ + ½ - a·b for unit vectors. Rounding errors of
/// the sums are smaller than the slack by which the terms are widened: pairs that are near by the low terms but not
/// by the high ones are compared again, in full.
struct Plane<'a> {
    given: Rows<'a>,
    metric: Metric,
    eps: f64,
    elements: Vec<f32>,
    blocks: Blocks,
    low: Vec<f32>,
    high: Vec<f32>,
    factor: f32,
    limit: f32,
}

impl<'a> Plane<'a> {
    fn new(given: Rows<'a>, metric: Metric, eps: f64) -> Self {
        let (mut elements, factor, limit) = match metric {
            Metric::Euclidean => (centred(given), 2.0, eps * eps),
            Metric::Cosine => (units(given), 1.0, eps),
        };
        let rows = Rows::new(&elements, given.width());
        let term = |row: &[f32]| match metric {
            Metric::Euclidean => norm(row).powi(2),
            Metric::Cosine => 0.5,
        };
        let slack = (given.width() + 16) as f32 * f32::EPSILON;
        let widened = |by: f32| {
            let mut terms: Vec<f32> = rows.iter().map(|row| term(row) * by).collect();
            terms.resize(given.len().next_multiple_of(LANES), f32::INFINITY);
            terms
        };
        let (low, high, blocks) = (widened(1.0 - slack), widened(1.0 + slack), Blocks::from_rows(rows));
        elements.resize(low.len() * given.width(), 0.0);
        Self { given, metric, eps, elements, blocks, low, high, factor, limit: limit as f32 }
    }

    /// The rows as they are compared.
    fn rows(&self) -> Rows<'_> {
        Rows::new(&self.elements[..self.given.len() * self.given.width()], self.given.width())
    }

    /// The elements of the rows from `start` that are compared with a block at a time.
    #[inline(always)]
    fn together(&self, start: usize) -> &[f32] {
        &self.elements[start * self.given.width()..][..TOGETHER * self.given.width()]
    }

    /// Returns true if a row of the block may be near one of the rows from `start`.
    #[inline(always)]
    fn may_be_near(&self, block: usize, start: usize, products: &[Lanes; TOGETHER]) -> bool {
        let terms = &self.low[block * LANES..][..LANES];
        let mut least = [f32::INFINITY; LANES];
        for (term, product) in self.low[start..][..TOGETHER].iter().zip(products) {
            for lane in 0..LANES {
                least[lane] = least[lane].min(term - self.factor * product[lane]);
            }
        }
        let limit = self.limit * (1.0 + 4.0 * f32::EPSILON);
        (0..LANES).fold(false, |near, lane| near | (terms[lane] + least[lane] <= limit))
    }

    /// Reports the pairs of near rows, the first in the block and the other behind it.
    fn tell(&self, block: usize, start: usize, products: &[Lanes; TOGETHER], neighbours: &mut Neighbours) {
        for (other, products) in (start..self.given.len()).zip(products) {
            for (row, &product) in (block * LANES..other.min((block + 1) * LANES)).zip(products) {
                if self.is_near(row, other, product) {
                    neighbours.pair(row as u32, other as u32);
                }
            }
        }
    }

    #[inline]
    fn is_near(&self, row: usize, other: usize, product: f32) -> bool {
        let distance = |terms: &[f32]| terms[row] + (terms[other] - self.factor * product);
        if distance(&self.low) > self.limit * (1.0 + 4.0 * f32::EPSILON) {
            return false;
        }
        distance(&self.high) <= self.limit * (1.0 - 4.0 * f32::EPSILON)
            || self.is_exactly_near(self.given.row(row), self.given.row(other))
    }

    fn is_exactly_near(&self, a: &[f32], b: &[f32]) -> bool {
        match self.metric {
            Metric::Euclidean => squared_distance(a, b) <= self.eps * self.eps,
            Metric::Cosine => exact_cosine_distance(a, b) <= self.eps,
        }
    }
}

fn compare_panel(plane: &Plane, first: usize, neighbours: &mut Neighbours) {
    dispatch!(compare(plane: &Plane, first: usize, neighbours: &mut Neighbours))
}

/// Compares the rows of a panel of blocks with each other and with all rows behind them.
#[inline(always)]
fn compare<const FUSED: bool>(plane: &Plane, first: usize, neighbours: &mut Neighbours) {
    let panel = first..(first + PANEL).min(plane.blocks.len());
    for start in (first * LANES..plane.given.len()).step_by(TOGETHER) {
        let others = plane.together(start);
        for block in panel.start..panel.end.min((start + TOGETHER).div_ceil(LANES)) {
            let products = products(plane.blocks.block(block), others);
            if plane.may_be_near(block, start, &products) {
                plane.tell(block, start, &products, neighbours);
            }
        }
    }
}

/// Each row at length 1; zeros stay.
fn units(rows: Rows) -> Vec<f32> {
    let unit = |row: &'_ [f32]| {
        let length = norm(row);
        let by = if length > 0.0 { 1.0 / length } else { 0.0 };
        row.iter().map(|x| x * by).collect::<Vec<f32>>()
    };
    rows.iter().flat_map(unit).collect()
}

fn exact_cosine_distance(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { 1.0 - dot(a, b) / lengths } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From each dense row outwards, in order of row: the textbook.
    fn plain(count: usize, near: impl Fn(usize, usize) -> bool, min_points: usize) -> Vec<i32> {
        let neighbours: Vec<Vec<usize>> = (0..count)
            .map(|row| (0..count).filter(|&other| other == row || near(row, other)).collect())
            .collect();
        let mut labels = vec![-1; count];
        let mut next = 0;
        for row in 0..count {
            if labels[row] != -1 || neighbours[row].len() < min_points {
                continue;
            }
            let mut open = vec![row];
            while let Some(row) = open.pop() {
                if labels[row] == -1 {
                    labels[row] = next;
                    if neighbours[row].len() >= min_points {
                        open.extend(&neighbours[row]);
                    }
                }
            }
            next += 1;
        }
        in_order_of_rows(&labels)
    }

    fn in_order_of_rows(labels: &[i32]) -> Vec<i32> {
        let labels: Vec<Option<u32>> = labels.iter().map(|&label| u32::try_from(label).ok()).collect();
        Clustering::in_order(&labels, &vec![0.0; labels.len()]).labels
    }

    fn matrix() -> impl Strategy<Value = (usize, Vec<f32>)> {
        (1usize..6, 1usize..150).prop_flat_map(|(width, rows)| {
            let elements = prop::collection::vec((-9i8..10).prop_map(f32::from), width * rows);
            (Just(width), elements)
        })
    }

    #[test]
    fn a_radius_whose_square_overflows_makes_one_cluster() {
        let elements = [0.0, 1.0, 5.0];
        let found = dbscan(Rows::new(&elements, 1), Metric::Euclidean, 1e30, 2);
        assert_eq!(found.labels, [0, 0, 0]);
    }

    proptest! {
        #[test]
        fn both_metrics_agree_with_the_textbook_also_at_the_limit(
            (width, elements) in matrix(),
            eps in prop::sample::select(vec![0.0, 0.1, 0.5, 1.0, 2.0, 5.0f64.sqrt()]),
            min_points in 1usize..6,
        ) {
            let rows = Rows::new(&elements, width);
            let found = dbscan(rows, Metric::Euclidean, eps, min_points);
            let near = |a, b| squared_distance(rows.row(a), rows.row(b)) <= eps * eps;
            prop_assert_eq!(found.labels, plain(rows.len(), near, min_points));
            let found = dbscan(rows, Metric::Cosine, eps, min_points);
            let near = |a, b| exact_cosine_distance(rows.row(a), rows.row(b)) <= eps;
            prop_assert_eq!(found.labels, plain(rows.len(), near, min_points));
        }

        #[test]
        fn sequences_cluster_by_their_distances(
            texts in prop::collection::vec(prop::collection::vec(0u64..3, 0..6), 1..20),
            min_points in 1usize..4,
        ) {
            let (symbols, offsets) = Sequences::columns(&texts);
            let sequences = Sequences::new(&symbols, &offsets).unwrap();
            let distances: Vec<f32> =
                texts.iter().flat_map(|text| levenshtein_ratio_many(text, sequences)).map(|ratio| 1.0 - ratio).collect();
            let rows = Rows::new(&distances, texts.len());
            let found = dbscan_sequences(sequences, 0.4, min_points);
            prop_assert_eq!(&found, &dbscan_distances(rows, 0.4, min_points));
            let near = |a, b| f64::from(rows.row(a)[b]) <= 0.4;
            prop_assert_eq!(found.labels, plain(texts.len(), near, min_points));
        }
    }

    fn plain_distance(a: &[u64], b: &[u64]) -> f64 {
        lcs_distances(a, Sequences::new(b, &[0, b.len() as u64]).unwrap())[0]
    }

    proptest! {
        #[test]
        fn a_plan_counts_as_often_as_it_was_followed(
            times in prop::collection::btree_map(prop::collection::vec(0u64..4, 1..6), 1usize..4, 1..14),
            eps in prop::sample::select(vec![0.0, 0.2, 0.25, 0.4, 0.5]),
            min_points in 1usize..6,
        ) {
            let plans: Vec<Vec<u64>> = times.keys().cloned().collect();
            let times: Vec<usize> = times.into_values().collect();
            let (symbols, offsets) = Sequences::columns(&plans);
            let found = dbscan_plans(Sequences::new(&symbols, &offsets).unwrap(), &times, eps, min_points);
            let near = |a: usize, b: usize| plain_distance(&plans[a], &plans[b]) <= eps;
            let reach = |a: usize| (0..plans.len()).filter(|&b| near(a, b)).map(|b| times[b]).sum::<usize>();
            let dense: Vec<bool> = (0..plans.len()).map(|plan| reach(plan) >= min_points).collect();
            for plan in 0..plans.len() {
                let first = (0..plans.len()).find(|&other| dense[other] && near(plan, other));
                let joined = if dense[plan] { Some(plan) } else { first };
                prop_assert_eq!(found.labels[plan], joined.map_or(super::super::clustering::NOISE, |other| found.labels[other]));
                for other in (0..plans.len()).filter(|&other| dense[plan] && dense[other] && near(plan, other)) {
                    prop_assert_eq!(found.labels[plan], found.labels[other]);
                }
            }
        }
    }

    #[test]
    fn plans_at_the_limit_are_near() {
        let plans: Vec<Vec<u64>> = vec![(0..10).collect(), (0..7).chain(20..23).collect()];
        let (symbols, offsets) = Sequences::columns(&plans);
        let labels = |eps| dbscan_plans(Sequences::new(&symbols, &offsets).unwrap(), &[1, 1], eps, 2).labels;
        assert_eq!((labels(0.3), labels(0.299)), (vec![0, 0], vec![-1, -1]));
    }

    #[test]
    fn the_plan_of_many_stands_for_the_few() {
        let (symbols, offsets) = Sequences::columns(&[vec![1, 2, 3], vec![1, 2, 4], vec![1, 2]]);
        let plans = Sequences::new(&symbols, &offsets).unwrap();
        assert_eq!(dbscan_plans(plans, &[1, 1, 1], 0.4, 2).medoids, [2]);
        assert_eq!(dbscan_plans(plans, &[1, 9, 1], 0.4, 2).medoids, [1]);
    }

    #[test]
    fn a_medoid_is_the_member_nearest_to_the_others() {
        let elements = [0.0, 1.0, 2.0, 3.0, 4.0, 100.0];
        let found = dbscan(Rows::new(&elements, 1), Metric::Euclidean, 1.0, 2);
        assert_eq!((found.labels, found.medoids), (vec![0, 0, 0, 0, 0, -1], vec![2]));
    }

    #[test]
    fn rows_far_from_the_origin_are_told_apart() {
        let elements = [1e6, 1e6 + 0.5, 1e6 + 1.0, 1e6 + 10.0];
        let found = dbscan(Rows::new(&elements, 1), Metric::Euclidean, 0.5, 2);
        assert_eq!(found.labels, [0, 0, 0, -1]);
    }
}
