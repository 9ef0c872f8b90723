//! Labels of rows, each group with the member that stands for it.

use rustc_hash::FxHashMap;

use crate::similarity::Rows;

/// The label of a row that belongs to no cluster.
pub const NOISE: i32 = -1;

/// The cluster of each row. Clusters are numbered in the order of their first rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clustering {
    pub labels: Vec<i32>,
    /// For each cluster the member nearest to all others; of equals the lower row.
    pub medoids: Vec<u32>,
}

/// The distance of two vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Euclidean,
    /// 1 less the cosine; a vector of zeros is 1 from every other.
    Cosine,
}

impl Clustering {
    /// Clusters of rows; a row without a label is noise. Of several members the one nearest to their mean is that
    /// with the least sum of squared distances to all of them.
    pub(super) fn from_rows(rows: Rows, labels: &[Option<u32>], count: usize) -> Self {
        let (means, width) = (means(rows, labels.iter().copied(), count), rows.width());
        let cost = |(row, label): (&[f32], &Option<u32>)| match label {
            Some(label) => squared_distance(row, &means[*label as usize * width..][..width]),
            None => 0.0,
        };
        Self::in_order(labels, &rows.iter().zip(labels).map(cost).collect::<Vec<f64>>())
    }

    /// Clusters numbered in the order of their first rows, each with its member of the least cost.
    pub(super) fn in_order(labels: &[Option<u32>], costs: &[f64]) -> Self {
        let mut numbers = FxHashMap::default();
        let mut clustering = Self::default();
        for (row, label) in labels.iter().enumerate() {
            let next = numbers.len() as i32;
            let number = label.map_or(NOISE, |label| *numbers.entry(label).or_insert(next));
            clustering.labels.push(number);
            if number == next {
                clustering.medoids.push(row as u32);
            } else if number != NOISE && costs[row] < costs[clustering.medoids[number as usize] as usize] {
                clustering.medoids[number as usize] = row as u32;
            }
        }
        clustering
    }
}

/// The mean of the rows that each label stands for, one row a label; of a label without rows, zeros.
pub(super) fn means(rows: Rows, labels: impl Iterator<Item = Option<u32>>, count: usize) -> Vec<f32> {
    let width = rows.width();
    let (mut sums, mut sizes) = (vec![0.0f64; count * width], vec![0u32; count]);
    for (row, label) in rows.iter().zip(labels) {
        let Some(label) = label.map(|label| label as usize) else { continue };
        sizes[label] += 1;
        let sum = &mut sums[label * width..][..width];
        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let sizes = sizes.into_iter().flat_map(|size| std::iter::repeat_n(f64::from(size.max(1)), width));
    sums.into_iter().zip(sizes).map(|(sum, size)| (sum / size) as f32).collect()
}

/// The rows less their mean: the same distances, of smaller numbers.
pub(super) fn centred(rows: Rows) -> Vec<f32> {
    let mean = means(rows, std::iter::repeat_n(Some(0), rows.len()), 1);
    rows.iter().flat_map(|row| row.iter().zip(&mean).map(|(x, mean)| x - mean)).collect()
}

pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum()
}
