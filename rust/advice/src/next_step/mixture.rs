//! Several opinions on the next step as one, weighed by how well each predicted tasks that were held out.
//!
//! Two layers (stacking, Wolpert 1992): a linear pool `q(k) = sum_m w_m p_m(k)`, its weights by EM, and a logarithmic pool
//! around it, `P(k) ~ q(k)^b * prod_m p_m(k)^a_m`, its exponents by ridge regression around b = 1 and a = 0. With little to
//! go by, the first member decides alone.

use crate::halt::Halt;

/// The opinions: chains of counts with features, chains alone, features alone, nearest prefixes without and with domain
/// and agent, logistic regression on plain features. The first and the last are the safest.
pub(super) const MEMBERS: usize = 6;
/// How many held-out tasks the head start of the first and the last member is worth, half for each.
const HEAD_START: f64 = 3.0;
/// The ridge of the exponents, in the weight of held-out tasks: positions of one task are no independent witnesses.
const RIDGE: f64 = 1.0;
/// Added to a probability before its logarithm.
const FLOOR: f64 = 1e-3;
const ROUNDS: usize = 50;
const NEWTON_STEPS: usize = 12;
const EXPONENTS: usize = MEMBERS + 1;

/// The weights of both pools.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mixture {
    pub weights: [f64; MEMBERS],
    /// Of each member, then of the linear pool.
    exponents: [f64; EXPONENTS],
}

impl Default for Mixture {
    /// The first member alone.
    fn default() -> Self {
        let mut mixture = Self { weights: [0.0; MEMBERS], exponents: [0.0; EXPONENTS] };
        mixture.weights[0] = 1.0;
        mixture.exponents[MEMBERS] = 1.0;
        mixture
    }
}

/// Held-out positions with the opinions on each.
#[derive(Debug, Default)]
pub(super) struct HeldOut {
    columns: usize,
    /// For each position each member's probability of every column.
    opinions: Vec<f32>,
    next: Vec<u32>,
    tasks: usize,
}

impl HeldOut {
    pub(super) fn new(columns: usize, tasks: usize) -> Self {
        Self { columns, tasks, ..Self::default() }
    }

    /// Adds a position: the opinions of all members one after another, and the column that came.
    pub(super) fn add(&mut self, opinions: [&[f32]; MEMBERS], next: u32) {
        opinions.iter().for_each(|opinion| self.opinions.extend_from_slice(opinion));
        self.next.push(next);
    }

    /// How many positions a task has, in the mean.
    fn task_length(&self) -> f64 {
        self.next.len() as f64 / self.tasks.max(1) as f64
    }

    /// Each position's opinions, and the column that came.
    fn positions(&self) -> impl Iterator<Item = (&[f32], usize)> {
        self.opinions.chunks_exact(MEMBERS * self.columns).zip(self.next.iter().map(|next| *next as usize))
    }
}

impl Mixture {
    /// None: it was halted.
    pub(super) fn fit(held: &HeldOut, halt: &Halt) -> Option<Self> {
        let mut mixture = Self::default();
        if held.next.is_empty() {
            return Some(mixture);
        }
        mixture.weigh(held);
        mixture.sharpen(held, halt);
        halt.go_on().map(|()| mixture)
    }

    /// The linear pool, by EM; the first and the last member start with the weight of some tasks.
    fn weigh(&mut self, held: &HeldOut) {
        let head_start = HEAD_START * held.task_length();
        let truths: Vec<[f64; MEMBERS]> = held
            .positions()
            .map(|(opinions, next)| {
                std::array::from_fn(|member| f64::from(opinions[member * held.columns + next]))
            })
            .collect();
        self.weights = [1.0 / MEMBERS as f64; MEMBERS];
        for _ in 0..ROUNDS {
            let mut sums = [0.0; MEMBERS];
            (sums[0], sums[MEMBERS - 1]) = (head_start / 2.0, head_start / 2.0);
            for truth in &truths {
                let whole = inner(truth, &self.weights) + 1e-12;
                for (sum, (share, weight)) in sums.iter_mut().zip(truth.iter().zip(&self.weights)) {
                    *sum += share * weight / whole;
                }
            }
            let whole: f64 = sums.iter().sum();
            self.weights = sums.map(|sum| sum / whole);
        }
    }

    /// The exponents, by Newton's method; a step that does not help is halved.
    fn sharpen(&mut self, held: &HeldOut, halt: &Halt) {
        let mut loss = self.loss(held, &self.exponents);
        for _ in 0..NEWTON_STEPS {
            if halt.is_raised() {
                return;
            }
            let (gradient, mut curvature) = self.slopes(held);
            let Some(step) = tacit_kernels::linear::solve(&mut curvature, gradient) else { return };
            let mut share = 1.0;
            loop {
                let tried: [f64; EXPONENTS] = std::array::from_fn(|at| self.exponents[at] + share * step[at]);
                let new = self.loss(held, &tried);
                if new < loss {
                    let gain = loss - new;
                    (self.exponents, loss) = (tried, new);
                    if gain < 1e-6 * loss {
                        return;
                    }
                    break;
                }
                share /= 2.0;
                if share < 1e-3 {
                    return;
                }
            }
        }
    }

    fn loss(&self, held: &HeldOut, exponents: &[f64; EXPONENTS]) -> f64 {
        let mut logs = Logs::new(held.columns);
        let mut shares = vec![0.0; held.columns];
        let mut loss = RIDGE * held.task_length() / 2.0 * squares_around_prior(exponents);
        for (opinions, next) in held.positions() {
            logs.read(opinions, &self.weights);
            logs.pool(exponents, &mut shares);
            loss -= shares[next].max(1e-12).ln();
        }
        loss
    }

    fn slopes(&self, held: &HeldOut) -> (Vec<f64>, Vec<f64>) {
        let mut logs = Logs::new(held.columns);
        let mut shares = vec![0.0; held.columns];
        let (prior, ridge) = (Self::default().exponents, RIDGE * held.task_length());
        let mut gradient: Vec<f64> =
            self.exponents.iter().zip(&prior).map(|(exponent, prior)| ridge * (prior - exponent)).collect();
        let mut curvature = vec![0.0; EXPONENTS * EXPONENTS];
        (0..EXPONENTS).for_each(|at| curvature[at * EXPONENTS + at] = ridge);
        for (opinions, next) in held.positions() {
            logs.read(opinions, &self.weights);
            logs.pool(&self.exponents, &mut shares);
            let means: [f64; EXPONENTS] = std::array::from_fn(|at| inner(logs.of(at), &shares));
            for i in 0..EXPONENTS {
                gradient[i] += logs.of(i)[next] - means[i];
                for j in 0..=i {
                    let product = logs.of(i).iter().zip(logs.of(j)).zip(&shares);
                    let product: f64 = product.map(|((a, b), share)| a * b * share).sum();
                    curvature[i * EXPONENTS + j] += product - means[i] * means[j];
                }
            }
        }
        for i in 0..EXPONENTS {
            for j in i + 1..EXPONENTS {
                curvature[i * EXPONENTS + j] = curvature[j * EXPONENTS + i];
            }
        }
        (gradient, curvature)
    }

    /// The probability of each column; `opinions` has the columns of each member in turn.
    pub(super) fn pool(&self, opinions: &[f32]) -> Vec<f64> {
        let columns = opinions.len() / MEMBERS;
        let mut logs = Logs::new(columns);
        let mut shares = vec![0.0; columns];
        logs.read(opinions, &self.weights);
        logs.pool(&self.exponents, &mut shares);
        shares
    }
}

fn squares_around_prior(exponents: &[f64; EXPONENTS]) -> f64 {
    let prior = Mixture::default().exponents;
    exponents.iter().zip(&prior).map(|(exponent, prior)| (exponent - prior).powi(2)).sum()
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The logarithms of one position's opinions and of their linear pool.
struct Logs {
    columns: usize,
    values: Vec<f64>,
    linear: Vec<f64>,
}

impl Logs {
    fn new(columns: usize) -> Self {
        Self { columns, values: vec![0.0; EXPONENTS * columns], linear: vec![0.0; columns] }
    }

    fn read(&mut self, opinions: &[f32], weights: &[f64; MEMBERS]) {
        self.linear.fill(0.0);
        for (opinion, weight) in opinions.chunks_exact(self.columns).zip(weights) {
            self.linear.iter_mut().zip(opinion).for_each(|(sum, share)| *sum += weight * f64::from(*share));
        }
        let shares = opinions.iter().map(|share| f64::from(*share)).chain(self.linear.iter().copied());
        self.values.iter_mut().zip(shares).for_each(|(log, share)| *log = (share + FLOOR).ln());
    }

    fn of(&self, member: usize) -> &[f64] {
        &self.values[member * self.columns..][..self.columns]
    }

    fn pool(&self, exponents: &[f64; EXPONENTS], shares: &mut [f64]) {
        shares.fill(0.0);
        for (member, exponent) in exponents.iter().enumerate().filter(|(_, exponent)| **exponent != 0.0) {
            shares.iter_mut().zip(self.of(member)).for_each(|(sum, log)| *sum += exponent * log);
        }
        let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        shares.iter_mut().for_each(|share| *share = (*share - most).exp());
        let whole: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions on which the named member is right with 90% and all others guess.
    fn held(member: usize, positions: usize) -> HeldOut {
        let mut held = HeldOut::new(4, positions);
        for at in 0..positions {
            let next = at * 7 % 4;
            let says = |share: f32| {
                let shown = if at % 10 == 3 { (next + 1) % 4 } else { next };
                (0..4)
                    .map(|each| if each == shown { share } else { (1.0 - share) / 3.0 })
                    .collect::<Vec<f32>>()
            };
            let opinions: [Vec<f32>; MEMBERS] =
                std::array::from_fn(|each| if each == member { says(0.9) } else { vec![0.25; 4] });
            held.add(opinions.each_ref().map(Vec::as_slice), next as u32);
        }
        held
    }

    #[test]
    fn the_member_that_predicts_held_out_tasks_gets_the_weight() {
        for member in 0..MEMBERS {
            let mixture = Mixture::fit(&held(member, 200), &Halt::default()).unwrap();
            assert!(mixture.weights[member] > 0.9, "{member}: {:?}", mixture.weights);
        }
    }

    #[test]
    fn with_nothing_held_out_the_first_member_decides_alone() {
        let mixture = Mixture::fit(&HeldOut::new(3, 0), &Halt::default()).unwrap();
        let certain = [0.0, 0.0, 1.0].repeat(MEMBERS - 1);
        let shares = mixture.pool(&[[0.7, 0.2, 0.1].as_slice(), &certain].concat());
        assert!((shares[0] - 0.7).abs() < 1e-2, "{shares:?}");
        let few = Mixture::fit(&held(3, 2), &Halt::default()).unwrap();
        let safe = few.weights[0] + few.weights[MEMBERS - 1];
        assert!(safe > 0.5, "two positions do not turn the safest members out: {:?}", few.weights);
    }

    #[test]
    fn a_timid_member_is_made_bolder_and_a_bold_one_more_timid() {
        let says = |share: f32| {
            let mut held = HeldOut::new(2, 400);
            for at in 0..400 {
                let next = u32::from(at % 5 == 0);
                held.add([&[share, 1.0 - share]; MEMBERS], next);
            }
            let opinions: Vec<f32> = [share, 1.0 - share].repeat(MEMBERS);
            Mixture::fit(&held, &Halt::default()).unwrap().pool(&opinions)[0]
        };
        assert!((says(0.6) - 0.8).abs() < 0.03, "{}", says(0.6));
        assert!((says(0.97) - 0.8).abs() < 0.05, "{}", says(0.97));
    }

    #[test]
    fn probabilities_are_finite_and_sum_to_one_even_of_certain_opinions() {
        let mut held = HeldOut::new(2, 3);
        for at in 0..3 {
            held.add([&[1.0, 0.0]; MEMBERS], u32::from(at == 1));
        }
        let shares = Mixture::fit(&held, &Halt::default()).unwrap().pool(&[1.0, 0.0].repeat(MEMBERS));
        assert!(
            (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares.iter().all(|share| share.is_finite())
        );
    }
}
