//! The Beta posterior of a success share, with Jeffreys' prior.

use std::f64::consts::PI;

/// The share of successes that trials speak for: its mean, and the bounds that hold it with 95% probability,
/// 2.5% lying beyond each. The lower bound is the confidence in a pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// The probability beyond each bound.
const TAIL: f64 = 0.025;
/// The normal quantile of `1 - TAIL`.
const DEVIATIONS: f64 = 1.959_963_984_540_054;

impl Interval {
    /// After `successes` of `trials`, both of which may be fractions; bounds are right to 1e-9.
    ///
    /// `0 <= successes <= trials` and both finite: the caller checks.
    ///
    /// # Examples
    /// ```
    /// let found = tacit_kernels::evidence::Interval::from_counts(9.0, 10.0);
    /// assert!((found.mean - 9.5 / 11.0).abs() < 1e-12);
    /// assert!(found.low < found.mean && found.mean < found.high);
    /// ```
    pub fn from_counts(successes: f64, trials: f64) -> Self {
        let (a, b) = (successes + 0.5, trials - successes + 0.5);
        let ln_beta = ln_beta(a, b);
        Self {
            mean: a / (a + b),
            low: lower_quantile(a, b, ln_beta),
            high: 1.0 - lower_quantile(b, a, ln_beta),
        }
    }

    /// The mean alone.
    pub fn mean_of(successes: f64, trials: f64) -> f64 {
        (successes + 0.5) / (trials + 1.0)
    }

    /// The lower bound alone, at half the price.
    pub fn low_of(successes: f64, trials: f64) -> f64 {
        let (a, b) = (successes + 0.5, trials - successes + 0.5);
        lower_quantile(a, b, ln_beta(a, b))
    }
}

/// The x below which Beta(a, b) lies with probability `TAIL`: a good start, then steps of the fourth order within a
/// shrinking bracket.
fn lower_quantile(a: f64, b: f64, ln_beta: f64) -> f64 {
    // The quantile lies below the mean, and `distribution` is right only there.
    let (mut below, mut above) = (0.0, a / (a + b));
    let mut x = start(a, b, ln_beta).clamp(f64::MIN_POSITIVE, above.min(1.0 - f64::EPSILON));
    for _ in 0..60 {
        let density = (a * x.ln() + b * (-x).ln_1p() - ln_beta).exp() / (x * (1.0 - x));
        let excess = distribution(a, b, x, density) - TAIL;
        if excess < 0.0 {
            below = x
        } else {
            above = x
        }
        let (step, remainder) = step(a, b, x, excess / density);
        let next = x + step;
        if step.abs() <= 1e-15 * x {
            break;
        }
        if !(below < next && next < above) {
            x = 0.5 * (below + above);
            continue;
        }
        x = next;
        if remainder <= 1e-12 * x.min(1.0 - x) {
            break;
        }
    }
    x
}

/// The step by which F reaches its target if it exceeds it by `error` times its density, and the size of the
/// series' last term, which bounds the truncation error.
fn step(a: f64, b: f64, x: f64, error: f64) -> (f64, f64) {
    let y = 1.0 - x;
    let (left, right) = ((a - 1.0) / x, (b - 1.0) / y);
    let slope = left - right;
    let bend = -left / x - right / y;
    let twist = 2.0 * (left / (x * x) - right / (y * y));
    let second = slope / 2.0;
    let third = (slope * slope + bend) / 6.0;
    let fourth = (slope * slope * slope + 3.0 * slope * bend + twist) / 24.0;
    let u = -error;
    let cubic = 2.0 * second * second - third;
    let quartic = 5.0 * second * (third - second * second) - fourth;
    let last = quartic * u.powi(4);
    (u - second * u * u + cubic * u.powi(3) + last, last.abs())
}

/// Near the quantile: within a percent of its distance from the mean, but for very few trials.
fn start(a: f64, b: f64, ln_beta: f64) -> f64 {
    if a < 1.0 {
        return ((TAIL * a).ln() + ln_beta).exp().powf(1.0 / a);
    }
    if b < 1.0 {
        // -ln x is nearly a Gamma(b) variable; its upper quantile is 2.51 for b = 1/2 and 3.69 for b = 1.
        let gamma = 2.511_94 + (b - 0.5) * 2.353_88;
        return (-gamma / (a + 0.5 * (b - 1.0))).exp();
    }
    let (left, right) = (1.0 / (2.0 * a - 1.0), 1.0 / (2.0 * b - 1.0));
    let h = 2.0 / (left + right);
    let lambda = (DEVIATIONS * DEVIATIONS - 3.0) / 6.0;
    let w = DEVIATIONS * (h + lambda).sqrt() / h - (right - left) * (lambda + 5.0 / 6.0 - 2.0 / (3.0 * h));
    a / (a + b * (2.0 * w).exp())
}

/// The regularised incomplete beta function below the mean, by its continued fraction (Didonato and Morris 1992).
fn distribution(a: f64, b: f64, x: f64, density: f64) -> f64 {
    let y = 1.0 - x;
    let term = |m: f64| m * (b - m) * x;
    let partial = |m: f64| {
        let odd = a + 2.0 * m - 1.0;
        m + term(m) / odd + (a + m) * (a * y - b * x + 1.0 + m * (2.0 - x)) / (odd + 2.0)
    };
    let (mut before, mut numerator) = (1.0, a * (a * y - b * x + 1.0) / (a + 1.0));
    let (mut before_d, mut denominator) = (0.0, 1.0);
    let mut fraction = numerator;
    for m in 1..100_000 {
        let m = f64::from(m);
        let odd = a + 2.0 * m - 1.0;
        let factor = (a + m - 1.0) * (a + b + m - 1.0) * term(m) * x / (odd * odd);
        let next = partial(m);
        (before, numerator) = (numerator, next * numerator + factor * before);
        (before_d, denominator) = (denominator, next * denominator + factor * before_d);
        let scale = 1.0 / denominator;
        (before, numerator, before_d, denominator) =
            (before * scale, numerator * scale, before_d * scale, 1.0);
        let change = (numerator - fraction).abs();
        fraction = numerator;
        if change <= 1e-14 * fraction.abs() {
            break;
        }
    }
    density * x * y / fraction
}

/// `ln B(a, b)`, without the cancellation of three large logarithms.
fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = (a.min(b), a.max(b));
    if small >= 10.0 {
        let correction = stirling(small) + stirling(large) - stirling(small + large);
        return 0.5 * (2.0 * PI / large).ln()
            + correction
            + (small - 0.5) * (small / (small + large)).ln()
            + large * (-small / (small + large)).ln_1p();
    }
    if large >= 10.0 {
        let correction = stirling(large) - stirling(small + large);
        return ln_gamma(small) + correction + small - small * (small + large).ln()
            + (large - 0.5) * (-small / (small + large)).ln_1p();
    }
    ln_gamma(small) + ln_gamma(large) - ln_gamma(small + large)
}

/// `ln Γ(x)` for positive x: Stirling's series from 10 on, and down from there by the recurrence.
fn ln_gamma(x: f64) -> f64 {
    let (mut shifted, mut product) = (x, 1.0);
    while shifted < 10.0 {
        product *= shifted;
        shifted += 1.0;
    }
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * (2.0 * PI).ln() + stirling(shifted) - product.ln()
}

/// The correction to Stirling's formula, for x >= 10.
fn stirling(x: f64) -> f64 {
    const SERIES: [f64; 6] =
        [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1_260.0, -1.0 / 1_680.0, 1.0 / 1_188.0, -691.0 / 360_360.0];
    let square = 1.0 / (x * x);
    SERIES.iter().rev().fold(0.0, |sum, term| sum * square + term) / x
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_close(found: Interval, low: f64, high: f64) {
        assert!((found.low - low).abs() < 1e-9 && (found.high - high).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn without_trials_nearly_everything_is_possible() {
        // Beta(1/2, 1/2) is the arcsine law: its quantile is sin²(πp/2).
        let low = (PI * TAIL / 2.0).sin().powi(2);
        assert_close(Interval::from_counts(0.0, 0.0), low, 1.0 - low);
        assert_eq!(Interval::from_counts(0.0, 0.0).mean, 0.5);
    }

    #[test]
    fn bounds_with_a_closed_form_are_met() {
        // Beta(a, 1) has the distribution x^a.
        for a in [0.5_f64, 1.0, 2.5, 80.0, 1e6] {
            let low = TAIL.powf(1.0 / a);
            let found = lower_quantile(a, 1.0, ln_beta(a, 1.0));
            assert!((found - low).abs() < 1e-12, "{a}: {found} {low}");
        }
    }

    #[test]
    fn success_and_failure_mirror_each_other() {
        let (rare, frequent) = (Interval::from_counts(2.0, 40.0), Interval::from_counts(38.0, 40.0));
        assert!((rare.low + frequent.high - 1.0).abs() < 1e-12);
        assert!((rare.mean + frequent.mean - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_logarithm_of_gamma_meets_factorials() {
        let factorial: f64 = (1..=20).map(f64::from).product();
        assert!((ln_gamma(21.0) - factorial.ln()).abs() < 1e-13 * factorial.ln());
        assert!((ln_gamma(0.5) - 0.5 * PI.ln()).abs() < 1e-14);
    }

    proptest! {
        #[test]
        fn bounds_hold_the_mean_and_narrow_with_more_of_the_same(
            trials in 0.0..1e6_f64,
            share in 0.0..=1.0_f64,
        ) {
            let once = Interval::from_counts(trials * share, trials);
            let twice = Interval::from_counts(2.0 * trials * share, 2.0 * trials);
            prop_assert!(0.0 < once.low && once.low < once.mean && once.mean < once.high && once.high <= 1.0);
            prop_assert!(twice.high - twice.low <= once.high - once.low + 1e-12);
            prop_assert_eq!(Interval::low_of(trials * share, trials), once.low);
        }

        #[test]
        fn the_distribution_at_a_bound_is_its_tail(trials in 0.0..1e5_f64, share in 0.0..=1.0_f64) {
            let (a, b) = (trials * share + 0.5, trials * (1.0 - share) + 0.5);
            let x = lower_quantile(a, b, ln_beta(a, b));
            let density = (a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b)).exp() / (x * (1.0 - x));
            prop_assert!((distribution(a, b, x, density) - TAIL).abs() < 1e-9);
        }
    }
}
