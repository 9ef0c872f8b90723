//! The score of an episode and its components.
//!
//! `total = base * (efficiency * complexity_bonus * quality_multiplier + learning_bonus)`: a failure scores 0, a
//! partial success its share. The multiplicative form and the constants follow the re-implemented system; the
//! learning bonus stands inside the product with `base`, so that no bonus lifts a failure above a success.

use crate::trajectory::{Complexity, Trajectory};

/// The constants of the score. `tacit.RewardWeights` states the defaults and their meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardWeights {
    pub duration_share: f64,
    pub complexity_bonus: [f64; 4],
    pub tests_artifact: f64,
    pub many_artifacts: f64,
    pub high_coverage: f64,
    pub fair_coverage: f64,
    pub no_lint_warnings: f64,
    pub many_errors: f64,
    pub some_errors: f64,
    pub no_errors: f64,
    pub novelty: f64,
    pub many_tools: f64,
    pub several_tools: f64,
    pub recovery: f64,
    pub steady: f64,
    pub flawless: f64,
    pub swift: f64,
    pub learning_cap: f64,
}

impl Default for RewardWeights {
    fn default() -> Self {
        Self {
            duration_share: 0.5,
            complexity_bonus: [1.0, 1.1, 1.2, 1.1],
            tests_artifact: 0.1,
            many_artifacts: 0.05,
            high_coverage: 0.15,
            fair_coverage: 0.1,
            no_lint_warnings: 0.05,
            many_errors: 0.2,
            some_errors: 0.1,
            no_errors: 0.1,
            novelty: 0.3,
            many_tools: 0.15,
            several_tools: 0.1,
            recovery: 0.15,
            steady: 0.2,
            flawless: 0.15,
            swift: 0.1,
            learning_cap: 0.5,
        }
    }
}

/// The medians of the domain's successes: the yardstick of efficiency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    pub seconds: f64,
    pub steps: f64,
}

/// The measures of one episode that the score reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scorable {
    /// The outcome's share, within 0..=1.
    pub base: f64,
    /// Seconds; a negative number means unknown.
    pub seconds: f64,
    pub steps: u32,
    pub failed: u32,
    pub succeeded: u32,
    pub distinct_tools: u32,
    /// A failed step was followed later by a successful step of the same tool.
    pub recovered: bool,
    pub complexity: Complexity,
    pub artifacts: u32,
    pub names_tests: bool,
    /// Percent; NaN means unknown.
    pub test_coverage: f64,
    /// A count; NaN means unknown.
    pub lint_warnings: f64,
    /// Share of the episode's patterns that the namespace had never seen.
    pub novelty: f64,
}

/// The score and its components.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reward {
    pub total: f64,
    pub base: f64,
    pub efficiency: f64,
    pub complexity_bonus: f64,
    pub quality_multiplier: f64,
    pub learning_bonus: f64,
}

impl Scorable {
    /// The columns' summary. An open episode scores as a failure.
    pub fn from_trajectory(trajectory: &Trajectory, novelty: f64) -> Self {
        Self {
            base: trajectory.base.unwrap_or(0.0),
            seconds: trajectory.seconds().unwrap_or(-1.0),
            steps: trajectory.len() as u32,
            failed: trajectory.failed_steps() as u32,
            succeeded: trajectory.ok.iter().filter(|ok| **ok == 1).count() as u32,
            distinct_tools: trajectory.tool_names.len() as u32,
            recovered: has_recovered(trajectory),
            complexity: trajectory.complexity,
            artifacts: trajectory.quality.artifacts,
            names_tests: trajectory.quality.names_tests,
            test_coverage: trajectory.quality.test_coverage.unwrap_or(f64::NAN),
            lint_warnings: trajectory.quality.lint_warnings.unwrap_or(f64::NAN),
            novelty,
        }
    }
}

fn has_recovered(trajectory: &Trajectory) -> bool {
    let mut failed = vec![false; trajectory.tool_names.len()];
    trajectory.tool_indices.iter().zip(&trajectory.ok).any(|(tool, ok)| {
        let has_failed = &mut failed[*tool as usize];
        *has_failed |= *ok == 0;
        *has_failed && *ok == 1
    })
}

/// The score of one episode, relative to its domain's medians.
pub fn score(episode: &Scorable, usual: Usual, weights: &RewardWeights) -> Reward {
    let efficiency = efficiency(episode, usual, weights);
    let complexity_bonus = weights.complexity_bonus[episode.complexity as usize];
    let quality_multiplier = quality_multiplier(episode, weights);
    let learning_bonus = learning_bonus(episode, weights);
    let total = episode.base * (efficiency * complexity_bonus * quality_multiplier + learning_bonus);
    Reward { total, base: episode.base, efficiency, complexity_bonus, quality_multiplier, learning_bonus }
}

/// The scores of many episodes: the same arithmetic in the same order, so the same bits.
pub fn score_many(episodes: &[Scorable], usual: &[Usual], weights: &RewardWeights) -> Vec<Reward> {
    episodes.iter().zip(usual).map(|(episode, usual)| score(episode, *usual, weights)).collect()
}

/// Within (0.5, 1.5]: the less time and the fewer steps, the higher.
fn efficiency(episode: &Scorable, usual: Usual, weights: &RewardWeights) -> f64 {
    let times_usual = if episode.seconds < 0.0 { 1.0 } else { episode.seconds / usual.seconds.max(1e-6) };
    let duration = 0.5 + decay(times_usual / 2.0);
    let steps = if episode.steps == 0 {
        0.5
    } else {
        0.5 + decay(f64::from(episode.steps) / usual.steps.max(1.0) / 2.0)
    };
    weights.duration_share * duration + (1.0 - weights.duration_share) * steps
}

fn quality_multiplier(episode: &Scorable, weights: &RewardWeights) -> f64 {
    let mut multiplier = 1.0;
    if episode.base == 1.0 {
        multiplier += if episode.names_tests { weights.tests_artifact } else { 0.0 };
        multiplier += if episode.artifacts >= 3 { weights.many_artifacts } else { 0.0 };
    }
    multiplier += match episode.test_coverage {
        coverage if coverage > 80.0 => weights.high_coverage,
        coverage if coverage > 60.0 => weights.fair_coverage,
        _ => 0.0,
    };
    multiplier += if episode.lint_warnings == 0.0 { weights.no_lint_warnings } else { 0.0 };
    multiplier + error_rate_bonus(episode, weights)
}

fn error_rate_bonus(episode: &Scorable, weights: &RewardWeights) -> f64 {
    let (failed, steps) = (f64::from(episode.failed), f64::from(episode.steps));
    if failed > 0.3 * steps {
        -weights.many_errors
    } else if failed > 0.1 * steps {
        -weights.some_errors
    } else if episode.failed == 0 && episode.steps > 0 {
        weights.no_errors
    } else {
        0.0
    }
}

fn learning_bonus(episode: &Scorable, weights: &RewardWeights) -> f64 {
    let mut bonus = episode.novelty * weights.novelty;
    bonus += match (episode.distinct_tools, episode.steps) {
        (5.., _) => weights.many_tools,
        (3.., 3..) => weights.several_tools,
        _ => 0.0,
    };
    bonus += if episode.recovered { weights.recovery } else { 0.0 };
    bonus += steadiness(episode, weights);
    let swift = episode.seconds >= 0.0 && episode.seconds < 30.0 && (1..=9).contains(&episode.steps);
    bonus += if swift { weights.swift } else { 0.0 };
    bonus.min(weights.learning_cap)
}

fn steadiness(episode: &Scorable, weights: &RewardWeights) -> f64 {
    if episode.steps >= 5 && f64::from(episode.succeeded) > 0.9 * f64::from(episode.steps) {
        weights.steady
    } else if episode.steps >= 3 && episode.succeeded == episode.steps {
        weights.flawless
    } else {
        0.0
    }
}

/// exp(-x) for x >= 0, without a call: Cody-Waite reduction and a polynomial of degree 13 (relative error below 1e-15).
fn decay(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52: adding it rounds to an integer
    let x = -x.min(700.0);
    let whole = (x * std::f64::consts::LOG2_E + ROUNDER) - ROUNDER;
    let rest = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    let mut sum = INVERSE_FACTORIALS[13];
    for coefficient in INVERSE_FACTORIALS[..13].iter().rev() {
        sum = sum * rest + coefficient;
    }
    sum * f64::from_bits(((whole as i64 + 1023) as u64) << 52)
}

const INVERSE_FACTORIALS: [f64; 14] = {
    let mut inverse = [1.0; 14];
    let mut n = 1;
    while n < 14 {
        inverse[n] = inverse[n - 1] / n as f64;
        n += 1;
    }
    inverse
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USUAL: Usual = Usual { seconds: 60.0, steps: 10.0 };

    fn plain() -> Scorable {
        Scorable {
            base: 1.0,
            seconds: 60.0,
            steps: 10,
            failed: 0,
            succeeded: 10,
            distinct_tools: 2,
            recovered: false,
            complexity: Complexity::Simple,
            artifacts: 0,
            names_tests: false,
            test_coverage: f64::NAN,
            lint_warnings: f64::NAN,
            novelty: 0.0,
        }
    }

    fn total(episode: &Scorable) -> f64 {
        score(episode, USUAL, &RewardWeights::default()).total
    }

    #[test]
    fn a_usual_success_scores_as_by_hand() {
        let reward = score(&plain(), USUAL, &RewardWeights::default());
        assert!((reward.efficiency - (0.5 + (-0.5f64).exp())).abs() < 1e-15);
        assert_eq!((reward.quality_multiplier, reward.learning_bonus), (1.1, 0.2));
        assert!((reward.total - ((0.5 + (-0.5f64).exp()) * 1.1 + 0.2)).abs() < 1e-15);
    }

    #[test]
    fn a_failure_scores_nothing_whatever_its_bonuses() {
        assert_eq!(total(&Scorable { base: 0.0, novelty: 1.0, recovered: true, ..plain() }), 0.0);
    }

    #[test]
    fn an_unknown_duration_counts_as_the_usual_one() {
        assert_eq!(total(&Scorable { seconds: -1.0, ..plain() }), total(&plain()));
    }

    #[test]
    fn the_best_quality_is_one_point_four_five_and_the_worst_point_eight() {
        let weights = RewardWeights::default();
        let best =
            Scorable { names_tests: true, artifacts: 3, test_coverage: 81.0, lint_warnings: 0.0, ..plain() };
        assert!((quality_multiplier(&best, &weights) - 1.45).abs() < 1e-12);
        let worst = Scorable { failed: 4, succeeded: 6, ..plain() };
        assert!((quality_multiplier(&worst, &weights) - 0.8).abs() < 1e-12);
    }

    prop_compose! {
        fn any_episode()(
            base in 0.0..=1.0f64, seconds in -1.0..1e5f64, ok in 0u32..500, failed in 0u32..500, silent in 0u32..50,
            distinct_tools in 0u32..20, recovered: bool, complexity in 0usize..4, artifacts in 0u32..6, names_tests: bool,
            coverage in prop::option::of(0.0..100.0f64), lint in prop::option::of(0.0..3.0f64), novelty in 0.0..=1.0f64,
        ) -> Scorable {
            let complexity = Complexity::from_name(Complexity::NAMES[complexity]).unwrap();
            Scorable {
                base, seconds, steps: ok + failed + silent, failed, succeeded: ok, distinct_tools, recovered, complexity, artifacts,
                names_tests, test_coverage: coverage.unwrap_or(f64::NAN), lint_warnings: lint.map_or(f64::NAN, f64::floor), novelty,
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_exceeds_its_stated_range(episode in any_episode(), seconds in 0.0..1e4f64, steps in 0.0..1e3f64) {
            let reward = score(&episode, Usual { seconds, steps }, &RewardWeights::default());
            prop_assert!(reward.efficiency >= 0.5 && reward.efficiency <= 1.5);
            prop_assert!(reward.quality_multiplier > 0.799 && reward.quality_multiplier < 1.451);
            prop_assert!((0.0..=0.5).contains(&reward.learning_bonus));
            prop_assert!(reward.total >= 0.0 && reward.total <= 1.5 * 1.2 * 1.451 + 0.5);
        }

        #[test]
        fn the_total_grows_with_the_base(episode in any_episode(), more in 0.0..=1.0f64) {
            prop_assume!(episode.base != 1.0 && more != 1.0);
            let less = total(&Scorable { base: episode.base.min(more), ..episode });
            let more = total(&Scorable { base: episode.base.max(more), ..episode });
            prop_assert!(less <= more);
        }

        #[test]
        fn efficiency_falls_with_seconds_and_steps(episode in any_episode(), seconds in 0.0..1e4f64, steps in 1u32..400) {
            let of = |episode: Scorable| efficiency(&episode, USUAL, &RewardWeights::default());
            let (swift, slow) = (of(Scorable { seconds, ..episode }), of(Scorable { seconds: seconds + 1.0, ..episode }));
            prop_assert!(slow <= swift);
            let (short, long) = (of(Scorable { steps, ..episode }), of(Scorable { steps: steps + 1, ..episode }));
            prop_assert!(long <= short);
        }

        #[test]
        fn quality_falls_with_the_error_rate(episode in any_episode(), failed in 0u32..100) {
            let weights = RewardWeights::default();
            let steps = 100;
            let of = |failed| quality_multiplier(&Scorable { steps, failed, succeeded: steps - failed, ..episode }, &weights);
            prop_assert!(of(failed + 1) <= of(failed));
        }

        #[test]
        fn many_at_once_agree_with_one_by_one_to_the_last_bit(episodes in prop::collection::vec(any_episode(), 0..50)) {
            let weights = RewardWeights::default();
            let usual = vec![USUAL; episodes.len()];
            let bits = |reward: &Reward| [reward.total, reward.efficiency, reward.quality_multiplier, reward.learning_bonus].map(f64::to_bits);
            for (many, one) in score_many(&episodes, &usual, &weights).iter().zip(&episodes) {
                prop_assert_eq!(bits(many), bits(&score(one, USUAL, &weights)));
            }
        }

        #[test]
        fn decay_is_the_exponential(x in 0.0..650.0f64) {
            let exact = (-x).exp();
            prop_assert!((decay(x) - exact).abs() <= 1e-14 * exact);
        }
    }
}
