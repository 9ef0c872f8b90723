//! Logistic regression on plain features: the one minimum of `-sum ln P(next) + RIDGE / 2 * |W|^2`, with
//! `P(k) ~ exp(sum_f W[f, k] x_f)`.
//!
//! Found by L-BFGS (Nocedal and Wright 2006, algorithm 7.4) from zeros, with the curvature of each weight alone as its
//! first guess, and a step being halved until the loss falls as Armijo's rule asks: the same runs give the same weights.

use super::softmax::{FeatureSpace, SoftmaxWeights, TrainingSet};
use crate::halt::Halt;
use std::collections::VecDeque;

const RIDGE: f64 = 1.0;
/// How many of the last steps tell the curvature.
const MEMORY: usize = 8;
/// The most steps: so many visits of positions, but between these numbers. After 30 steps from 10,000 positions the loss
/// was 1.5% above the minimum.
const MOST_VISITS: usize = 100_000;
const MOST_STEPS: [usize; 2] = [30, 100];
/// The search ends with a step that lowers the loss by no more than this share of it.
const LEAST_GAIN: f64 = 1e-7;
/// The share of the decline that the slope promises which a step must bring (Armijo).
const PROMISED: f64 = 1e-4;
/// The search ends if a step must be made shorter than this share of itself.
const SHORTEST: f64 = 1e-6;

/// None: it was halted.
pub(super) fn logistic_regression(
    training: &TrainingSet,
    space: &FeatureSpace,
    halt: &Halt,
) -> Option<SoftmaxWeights> {
    let mut here = Point::at(SoftmaxWeights::new(space, false), training, space, halt)?;
    let mut curvature = Curvature::new(training, space);
    let [fewest, most] = MOST_STEPS;
    for _ in 0..(MOST_VISITS / training.next.len().max(1)).clamp(fewest, most) {
        let direction = curvature.direction(&here.slopes);
        let decline = inner(&direction, &here.slopes);
        if decline >= 0.0 {
            break;
        }
        let mut share = 1.0;
        let there = loop {
            let there = Point::at(here.moved(&direction, share), training, space, halt)?;
            if there.loss <= here.loss + PROMISED * share * decline {
                break there;
            }
            share /= 2.0;
            if share < SHORTEST {
                return Some(here.weights);
            }
        };
        let gain = here.loss - there.loss;
        curvature.learn(&here, &there);
        here = there;
        if gain <= LEAST_GAIN * here.loss {
            break;
        }
    }
    Some(here.weights)
}

/// Weights, with their loss and its slopes.
struct Point {
    weights: SoftmaxWeights,
    loss: f64,
    slopes: Vec<f32>,
}

impl Point {
    fn at(
        weights: SoftmaxWeights,
        training: &TrainingSet,
        space: &FeatureSpace,
        halt: &Halt,
    ) -> Option<Self> {
        let mut loss = RIDGE / 2.0 * inner(&weights.features, &weights.features);
        let mut slopes: Vec<f32> = weights.features.iter().map(|weight| RIDGE as f32 * weight).collect();
        let mut scores = Vec::new();
        for at in 0..training.next.len() {
            halt.go_on()?;
            loss += training.add_slope(&weights, at, space, &mut scores, &mut slopes);
        }
        Some(Self { weights, loss, slopes })
    }

    fn moved(&self, direction: &[f32], share: f64) -> SoftmaxWeights {
        let moved = self.weights.features.iter().zip(direction);
        SoftmaxWeights::of_features(moved.map(|(weight, step)| weight + share as f32 * step).collect())
    }
}

/// The last steps and what they did to the slopes.
struct Curvature {
    pairs: VecDeque<Pair>,
    /// One by the curvature of each weight alone.
    shares: Vec<f32>,
}

struct Pair {
    step: Vec<f32>,
    change: Vec<f32>,
    /// The inner product of both, above 0.
    product: f64,
}

impl Curvature {
    fn new(training: &TrainingSet, space: &FeatureSpace) -> Self {
        let mut columns = vec![0.0f32; space.width];
        training.next.iter().for_each(|next| columns[*next as usize] += 1.0);
        let all = training.next.len().max(1) as f32;
        columns.iter_mut().for_each(|count| *count = *count / all * (1.0 - *count / all));
        let mut shares = Vec::with_capacity(space.rows.len() * space.width);
        for squares in training.squares(space) {
            shares.extend(columns.iter().map(|spread| 1.0 / (RIDGE as f32 + squares * spread)));
        }
        Self { pairs: VecDeque::new(), shares }
    }

    fn learn(&mut self, before: &Point, after: &Point) {
        let step = difference(&after.weights.features, &before.weights.features);
        let change = difference(&after.slopes, &before.slopes);
        let product = inner(&step, &change);
        if product > 0.0 {
            if self.pairs.len() == MEMORY {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair { step, change, product });
        }
    }

    /// The step to the minimum as far as the last steps tell; straight down before the first.
    fn direction(&self, slopes: &[f32]) -> Vec<f32> {
        let mut direction: Vec<f32> = slopes.iter().map(|slope| -slope).collect();
        let mut shares = Vec::with_capacity(MEMORY);
        for pair in self.pairs.iter().rev() {
            let share = inner(&pair.step, &direction) / pair.product;
            add(&mut direction, &pair.change, -share);
            shares.push(share);
        }
        direction.iter_mut().zip(&self.shares).for_each(|(each, share)| *each *= share);
        if let Some(last) = self.pairs.back() {
            let squares = last
                .change
                .iter()
                .zip(&self.shares)
                .map(|(change, share)| f64::from(change * change * share));
            let scale = (last.product / squares.sum::<f64>()) as f32;
            direction.iter_mut().for_each(|each| *each *= scale);
        }
        for (pair, share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let other = inner(&pair.change, &direction) / pair.product;
            add(&mut direction, &pair.step, share - other);
        }
        direction
    }
}

fn inner(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(x, y)| x - y).collect()
}

fn add(sum: &mut [f32], of: &[f32], factor: f64) {
    sum.iter_mut().zip(of).for_each(|(sum, each)| *sum += factor as f32 * each);
}
