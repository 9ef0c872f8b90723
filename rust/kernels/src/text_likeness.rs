//! How alike two texts are: the one measure behind recalls, predictions, playbooks and contrast pairs.
//!
//! A text's features are its word stems and the 4-grams of its words, each hashed into one of 65,536 buckets and kept
//! once. A query scores a text by BM25 over the features that both have (Robertson and Zaragoza, 2009), divided by the
//! most that any text could score for the query: the score lies in 0 to 1 and does not depend on the other candidates.
//!
//! `score(q, d) = sum over shared f of weight_q(f) rarity(f) * (k1 + 1) / (1 + k1 (1 - b + b |d| / mean |d|)) / most(q)`

mod features;
mod scoring;

pub use features::{MOST_FEATURES, QueryFeatures, TextFeatures, bucket};
pub use scoring::{BUCKETS, FeatureCounts, FeatureTable, TextScorer};
