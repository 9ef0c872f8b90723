//! Groups of similar rows or sequences, each with the member that stands for it.

mod blocks;
mod clustering;
mod dbscan;
mod kmeans;
mod neighbours;

pub use clustering::{Clustering, Metric, NOISE};
pub use dbscan::{dbscan, dbscan_distances, dbscan_plans, dbscan_sequences};
pub use kmeans::kmeans;
