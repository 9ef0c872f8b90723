//! Calibration of a choice's probability, fitted on tasks that the ranker was not trained on.

use super::ranking::{self, RankerExamples};
use crate::halt::Halt;

/// Rounds of Newton's method, each by less than a full step because the parameters are moved one by one.
const ROUNDS: usize = 12;
const DAMPING: f64 = 0.6;
/// The ridge towards a slope of 1 and offsets of 0: a probability that needs no correction.
const RIDGE: f64 = 2.0;

/// A choice's log-odds are stretched by one slope and shifted by an offset of its slot: Platt scaling with shrunken
/// offsets.
#[derive(Debug, Clone)]
pub(super) struct Calibration {
    base: f64,
    slope: f64,
    slots: Vec<f64>,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { base: 0.0, slope: 1.0, slots: Vec::new() }
    }
}

/// One choice and its correctness.
struct CalibrationTrial {
    slot: usize,
    logit: f64,
    right: f64,
    weight: f64,
}

impl Calibration {
    /// Fits on two halves of the tasks, each judged by the weights of the other half.
    pub(super) fn fit(examples: &RankerExamples, slots: usize, halt: &Halt) -> Option<Self> {
        let halves =
            [ranking::learn(examples, Some(false), halt)?, ranking::learn(examples, Some(true), halt)?];
        let mut trials = Vec::with_capacity(examples.len());
        let mut chances = Vec::new();
        for place in 0..examples.len() {
            let example = examples.get(place);
            ranking::chances_of(examples, place, &halves[usize::from(!example.half)], &mut chances);
            trials.extend(ranking::best_of(&chances).map(|best| CalibrationTrial {
                slot: example.slot as usize,
                logit: logit(chances[best]),
                right: f64::from(u8::from(best == example.right as usize)),
                weight: f64::from(example.weight),
            }));
        }
        let mut calibration = Self { slots: vec![0.0; slots], ..Self::default() };
        (0..ROUNDS).for_each(|_| calibration.improve(&trials));
        Some(calibration)
    }

    pub(super) fn chance(&self, slot: usize, chance: f32) -> f32 {
        sigmoid(self.base + self.slope * logit(chance) + self.slots[slot]) as f32
    }

    fn improve(&mut self, trials: &[CalibrationTrial]) {
        let mut base = NewtonSum::default();
        let mut slope = NewtonSum::held(self.slope - 1.0);
        let mut slots: Vec<NewtonSum> = self.slots.iter().map(|offset| NewtonSum::held(*offset)).collect();
        for trial in trials {
            let chance = sigmoid(self.base + self.slope * trial.logit + self.slots[trial.slot]);
            let (error, curve) =
                (trial.weight * (chance - trial.right), trial.weight * chance * (1.0 - chance));
            base.add(error, curve);
            slope.add(error * trial.logit, curve * trial.logit * trial.logit);
            slots[trial.slot].add(error, curve);
        }
        self.base -= base.step();
        self.slope = (self.slope - slope.step()).clamp(0.2, 1.5);
        self.slots.iter_mut().zip(slots).for_each(|(offset, newton)| *offset -= newton.step());
    }
}

/// The first and second derivative of the loss by one parameter.
#[derive(Default)]
struct NewtonSum {
    error: f64,
    curve: f64,
}

impl NewtonSum {
    /// With a penalty on how far the parameter is from its rest.
    fn held(offset: f64) -> Self {
        Self { error: RIDGE * offset, curve: RIDGE }
    }

    fn add(&mut self, error: f64, curve: f64) {
        self.error += error;
        self.curve += curve;
    }

    fn step(&self) -> f64 {
        DAMPING * (self.error / self.curve.max(1e-6)).clamp(-2.0, 2.0)
    }
}

fn logit(chance: f32) -> f64 {
    let chance = f64::from(chance).clamp(1e-4, 1.0 - 1e-4);
    (chance / (1.0 - chance)).ln()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
