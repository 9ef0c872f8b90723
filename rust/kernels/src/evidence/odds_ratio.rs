//! Success with a pattern against success without it, among comparable episodes: a strong agent must not make its
//! habits look like causes.

/// One group of comparable episodes: how many succeeded and failed with and without the pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stratum {
    pub with_succeeded: f64,
    pub with_failed: f64,
    pub without_succeeded: f64,
    pub without_failed: f64,
}

impl From<&[f64; 4]> for Stratum {
    /// In the order of the fields.
    fn from(&[with_succeeded, with_failed, without_succeeded, without_failed]: &[f64; 4]) -> Self {
        Self { with_succeeded, with_failed, without_succeeded, without_failed }
    }
}

impl Stratum {
    pub(super) fn add(&mut self, other: &Self) {
        self.with_succeeded += other.with_succeeded;
        self.with_failed += other.with_failed;
        self.without_succeeded += other.without_succeeded;
        self.without_failed += other.without_failed;
    }

    /// By the counts, in the order of the fields.
    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.with_succeeded
            .total_cmp(&other.with_succeeded)
            .then(self.with_failed.total_cmp(&other.with_failed))
            .then(self.without_succeeded.total_cmp(&other.without_succeeded))
            .then(self.without_failed.total_cmp(&other.without_failed))
    }

    /// The bits of the counts: equal ones are the same stratum.
    pub(super) fn bits(&self) -> [u64; 4] {
        let Self { with_succeeded, with_failed, without_succeeded, without_failed } = *self;
        [with_succeeded, with_failed, without_succeeded, without_failed].map(f64::to_bits)
    }

    fn with(&self) -> f64 {
        self.with_succeeded + self.with_failed
    }

    fn without(&self) -> f64 {
        self.without_succeeded + self.without_failed
    }

    fn total(&self) -> f64 {
        self.with() + self.without()
    }

    /// A stratum in which all or none have the pattern compares nothing.
    pub(super) fn is_informative(&self) -> bool {
        self.with() > 0.0 && self.without() > 0.0
    }

    fn plus_half(&self) -> Self {
        Self {
            with_succeeded: self.with_succeeded + 0.5,
            with_failed: self.with_failed + 0.5,
            without_succeeded: self.without_succeeded + 0.5,
            without_failed: self.without_failed + 0.5,
        }
    }
}

/// The common odds ratio over strata (Mantel-Haenszel) with its 95% interval (Robins, Breslow and Greenland).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OddsRatio {
    /// The factor by which the pattern multiplies the odds of success; NaN if nothing could be compared.
    pub ratio: f64,
    pub low: f64,
    pub high: f64,
    /// The difference of the shares of success, the strata weighted by the episodes they compare.
    pub lift: f64,
    /// The two-sided p-value of the Mantel-Haenszel test with the correction for continuity; 1 if nothing could be
    /// compared.
    pub p_value: f64,
}

impl OddsRatio {
    const UNKNOWN: Self = Self { ratio: f64::NAN, low: 0.0, high: f64::INFINITY, lift: 0.0, p_value: 1.0 };

    /// Returns true if any stratum had episodes with the pattern and episodes without it.
    pub fn is_defined(&self) -> bool {
        !self.ratio.is_nan()
    }

    /// Returns true if the evidence leaves open which of the two is better: the interval contains 1.
    pub fn is_undecided(&self) -> bool {
        !(self.low > 1.0 || self.high < 1.0)
    }
}

/// Compares success with and without a pattern within each stratum, and pools the strata (Mantel and Haenszel 1959;
/// interval after Robins, Breslow and Greenland 1986).
///
/// Strata without a comparison count for nothing. If one side never failed or never succeeded in any of them, half
/// an episode is added to each cell, so that the ratio stays finite and the interval wide.
///
/// # Examples
/// ```
/// use tacit_kernels::evidence::{Stratum, odds_ratio};
/// // 8 of 10 succeeded with the pattern, 4 of 10 without it: (8 / 2) / (4 / 6).
/// let found = odds_ratio(&[Stratum::from(&[8.0, 2.0, 4.0, 6.0])]);
/// assert!((found.ratio - 6.0).abs() < 1e-9);
/// ```
pub fn odds_ratio(strata: &[Stratum]) -> OddsRatio {
    let comparing: Vec<Stratum> = strata.iter().copied().filter(Stratum::is_informative).collect();
    if comparing.is_empty() {
        return OddsRatio::UNKNOWN;
    }
    let mut sums = Sums::over(&comparing);
    if sums.for_it <= 0.0 || sums.against_it <= 0.0 {
        let corrected: Vec<Stratum> = comparing.iter().map(Stratum::plus_half).collect();
        sums = Sums::over(&corrected);
    }
    let ratio = sums.for_it / sums.against_it;
    let margin = 1.959_963_984_540_054 * sums.variance().sqrt();
    OddsRatio {
        ratio,
        low: ratio * (-margin).exp(),
        high: ratio * margin.exp(),
        lift: difference(&comparing),
        p_value: p_value(&comparing),
    }
}

/// The two-sided p-value of the pooled difference. Every stratum holds a comparison.
fn p_value(strata: &[Stratum]) -> f64 {
    let (mut excess, mut variance) = (0.0, 0.0);
    for stratum in strata.iter().filter(|stratum| stratum.total() > 1.0) {
        let total = stratum.total();
        let succeeded = stratum.with_succeeded + stratum.without_succeeded;
        let share = stratum.with() / total;
        excess += stratum.with_succeeded - share * succeeded;
        variance += share * (1.0 - share) * succeeded * (total - succeeded) / (total - 1.0);
    }
    let beyond = (excess.abs() - 0.5).max(0.0);
    if variance > 0.0 { normal_tails(beyond / variance.sqrt()) } else { 1.0 }
}

/// The share of a normal distribution beyond `deviations` on both sides: the complementary error function by a
/// Chebyshev fit (Numerical Recipes) with a relative error below 1.2e-7 everywhere.
fn normal_tails(deviations: f64) -> f64 {
    const TERMS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let z = deviations.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let series = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    (t * (series - z * z).exp()).min(1.0)
}

/// The p_values of many comparisons, each raised to the smallest share of false discoveries at which it would still be
/// one (Benjamini and Hochberg): taking all that are at most q, no more than a share q of them is chance on average.
///
/// # Examples
/// ```
/// assert_eq!(tacit_kernels::evidence::benjamini_hochberg(&[0.01, 0.5]), [0.02, 0.5]);
/// ```
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_unstable_by(|a, b| p_values[*b].total_cmp(&p_values[*a]));
    let mut shares = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (place, index) in order.into_iter().enumerate() {
        let rank = p_values.len() - place;
        least = least.min(p_values[index] * p_values.len() as f64 / rank as f64);
        shares[index] = least;
    }
    shares
}

/// The sums of Robins, Breslow and Greenland: R and S, and PR, PS + QR, QS.
#[derive(Default)]
struct Sums {
    for_it: f64,
    against_it: f64,
    both_for: f64,
    mixed: f64,
    both_against: f64,
}

impl Sums {
    fn over(strata: &[Stratum]) -> Self {
        let mut sums = Self::default();
        for stratum in strata {
            sums.add(stratum);
        }
        sums
    }

    fn add(&mut self, stratum: &Stratum) {
        let total = stratum.total();
        let concordant = (stratum.with_succeeded + stratum.without_failed) / total;
        let discordant = (stratum.with_failed + stratum.without_succeeded) / total;
        let for_it = stratum.with_succeeded * stratum.without_failed / total;
        let against_it = stratum.with_failed * stratum.without_succeeded / total;
        self.for_it += for_it;
        self.against_it += against_it;
        self.both_for += concordant * for_it;
        self.mixed += concordant * against_it + discordant * for_it;
        self.both_against += discordant * against_it;
    }

    /// The variance of the logarithm of the ratio.
    fn variance(&self) -> f64 {
        let (r, s) = (self.for_it, self.against_it);
        (self.both_for / r / r + self.mixed / r / s + self.both_against / s / s) / 2.0
    }
}

/// The difference of the success shares, weighted as Mantel and Haenszel do. Every stratum compares.
fn difference(strata: &[Stratum]) -> f64 {
    let (mut gained, mut weight) = (0.0, 0.0);
    for stratum in strata {
        let (with, without, total) = (stratum.with(), stratum.without(), stratum.total());
        gained += (stratum.with_succeeded * without - stratum.without_succeeded * with) / total;
        weight += with * without / total;
    }
    gained / weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stratum(with: [f64; 2], without: [f64; 2]) -> Stratum {
        Stratum::from(&[with[0], with[1], without[0], without[1]])
    }

    #[test]
    fn one_stratum_gives_the_odds_ratio_and_its_standard_interval() {
        let found = odds_ratio(&[stratum([20.0, 10.0], [10.0, 20.0])]);
        let margin = 1.959_963_984_540_054 * (2.0 / 20.0 + 2.0 / 10.0_f64).sqrt();
        assert!((found.ratio - 4.0).abs() < 1e-12);
        assert!((found.low - 4.0 * (-margin).exp()).abs() < 1e-9);
        assert!((found.high - 4.0 * margin.exp()).abs() < 1e-9);
        assert!((found.lift - 1.0 / 3.0).abs() < 1e-12 && !found.is_undecided());
    }

    #[test]
    fn a_strong_agents_habit_is_not_a_cause() {
        // The strong agent succeeds in 80% and has the habit often; the weak one in 20%, and has it rarely.
        let strata = [stratum([64.0, 16.0], [16.0, 4.0]), stratum([4.0, 16.0], [16.0, 64.0])];
        let pooled = stratum([68.0, 32.0], [32.0, 68.0]);
        assert!(!odds_ratio(&[pooled]).is_undecided());
        assert!(odds_ratio(&strata).is_undecided() && (odds_ratio(&strata).ratio - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_chance_of_a_difference_is_that_of_the_test_of_mantel_and_haenszel() {
        // One stratum: excess 5, variance 30 * 30 * 30 * 30 / (60² * 59), so (5 - .5) / 1.9528 = 2.3044 deviations.
        let found = odds_ratio(&[stratum([20.0, 10.0], [10.0, 20.0])]);
        assert!((found.p_value - 0.021_200).abs() < 1e-4, "{}", found.p_value);
        assert_eq!(odds_ratio(&[stratum([5.0, 5.0], [5.0, 5.0])]).p_value, 1.0);
        assert!((normal_tails(1.959_963_984_540_054) - 0.05).abs() < 1e-7);
        assert!((normal_tails(6.0) / 1.973_175_290_075e-9 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn of_many_comparisons_those_below_their_share_of_the_level_are_discoveries() {
        let shares = benjamini_hochberg(&[0.01, 0.5, 0.02, 0.03, 1.0]);
        let expected = [0.05, 0.625, 0.05, 0.05, 1.0];
        assert!(shares.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{shares:?}");
        assert!(benjamini_hochberg(&[]).is_empty());
    }

    #[test]
    fn nothing_to_compare_is_undecided() {
        let one_sided = stratum([5.0, 1.0], [0.0, 0.0]);
        for strata in [&[][..], &[Stratum::default()], &[one_sided]] {
            let found = odds_ratio(strata);
            assert!(found.ratio.is_nan() && found.is_undecided() && found.lift == 0.0);
        }
    }

    #[test]
    fn a_side_that_never_failed_has_a_finite_ratio() {
        let few = odds_ratio(&[stratum([2.0, 0.0], [1.0, 1.0])]);
        let many = odds_ratio(&[stratum([200.0, 0.0], [100.0, 100.0])]);
        assert!(few.ratio.is_finite() && few.is_undecided());
        assert!(many.ratio.is_finite() && !many.is_undecided());
    }

    #[test]
    fn evidence_that_has_all_but_faded_is_undecided() {
        for faded in [1e-100, 1e-200, 1e-300] {
            let found = odds_ratio(&[stratum([2.0 * faded, faded], [faded, 2.0 * faded])]);
            assert!(found.is_undecided() && found.low < 0.1 && found.high > 10.0, "{found:?}");
        }
    }

    fn any_strata() -> impl Strategy<Value = Vec<Stratum>> {
        let cell = || 0.0..50.0_f64;
        let any_stratum = (cell(), cell(), cell(), cell()).prop_map(|(a, b, c, d)| stratum([a, b], [c, d]));
        prop::collection::vec(any_stratum, 1..8)
    }

    proptest! {
        #[test]
        fn exchanging_with_and_without_inverts_the_ratio(strata in any_strata()) {
            let exchanged: Vec<Stratum> = strata
                .iter()
                .map(|s| stratum([s.without_succeeded, s.without_failed], [s.with_succeeded, s.with_failed]))
                .collect();
            let (found, mirrored) = (odds_ratio(&strata), odds_ratio(&exchanged));
            prop_assert!((found.ratio * mirrored.ratio - 1.0).abs() < 1e-9);
            prop_assert!((found.low * mirrored.high - 1.0).abs() < 1e-9);
            prop_assert!((found.lift + mirrored.lift).abs() < 1e-9);
            prop_assert!((-1.0..=1.0).contains(&found.lift));
        }
    }
}
