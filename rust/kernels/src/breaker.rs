//! `CircuitBreaker`: stops calls to a service that keeps failing, and finds out when it works again. Time is an
//! argument.

mod moment;
mod window;

use std::time::{Duration, Instant};

pub use moment::Moment;
pub use window::{Ended, Tally, Window};

use crate::backoff::{Jitter, grown};
use window::Recent;

/// The conditions on which a breaker opens, for how long, and on which it closes again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerLimits {
    /// So many failures in a row open it; 0 leaves this rule out.
    pub failures_to_open: u32,
    pub window: Window,
    /// This share of failed calls in the window opens it; above 1 leaves this rule out.
    pub failure_rate: f64,
    /// This share of calls that took `slow_after` or longer opens it; above 1 leaves this rule out.
    pub slow_rate: f64,
    pub slow_after: Duration,
    /// Rates are not looked at before the window holds so many calls.
    pub minimum_calls: u32,
    /// The first break; each that follows a failed probe is `growth` times as long, at most `longest_open`.
    pub open_for: Duration,
    pub growth: f64,
    pub longest_open: Duration,
    /// A break is lengthened by a random share of itself, up to this one.
    pub jitter: f64,
    /// So many calls may probe a half-open breaker at a time.
    pub probes: u32,
    /// So many probes in a row must succeed to close it.
    pub probes_to_close: u32,
    pub seed: u64,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self {
            failures_to_open: 5,
            window: Window::Off,
            failure_rate: 0.5,
            slow_rate: f64::INFINITY,
            slow_after: Duration::MAX,
            minimum_calls: 10,
            open_for: Duration::from_secs(30),
            growth: 2.0,
            longest_open: Duration::from_secs(300),
            jitter: 0.1,
            probes: 1,
            probes_to_close: 1,
            seed: 0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Closed,
    Open,
    HalfOpen,
    /// Rejects every call until another state is set.
    ForcedOpen,
    /// Lets every call through and counts nothing but calls.
    Disabled,
    /// Lets every call through and keeps its figures.
    MetricsOnly,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }
}

/// Leave to make one call. Its result counts only while the breaker is still in the state that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit(u64);

impl Permit {
    pub fn generation(self) -> u64 {
        self.0
    }

    pub fn from_generation(generation: u64) -> Self {
        Self(generation)
    }
}

/// The figures of a breaker since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BreakerMetrics {
    pub admitted: u64,
    pub rejected: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub slow: u64,
    pub cancelled: u64,
    /// Results that came after the state that had admitted their call was over.
    pub late: u64,
    pub opened: u64,
    pub consecutive_failures: u32,
    /// The calls in the window.
    pub recent: Tally,
}

/// The data of each state.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { out: u32, succeeded: u32, until: Instant },
    Told(State),
}

/// Admits or rejects calls by how the earlier ones ended. No call to it waits; the guarded call runs outside it.
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
/// use tacit_kernels::breaker::{BreakerLimits, CircuitBreaker};
/// let mut breaker = CircuitBreaker::new(BreakerLimits { failures_to_open: 1, ..BreakerLimits::default() });
/// let permit = breaker.admit(Instant::now()).unwrap();
/// breaker.failed(permit, Instant::now(), Duration::ZERO);
/// assert!(breaker.admit(Instant::now()).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    limits: BreakerLimits,
    phase: Phase,
    generation: u64,
    recent: Recent,
    /// The number of breaks since it was last closed.
    breaks: u32,
    jitter: Jitter,
    metrics: BreakerMetrics,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new(BreakerLimits::default())
    }
}

impl CircuitBreaker {
    pub fn new(limits: BreakerLimits) -> Self {
        Self {
            limits,
            phase: Phase::Closed,
            generation: 0,
            recent: Recent::new(limits.window),
            breaks: 0,
            jitter: Jitter::new(limits.seed),
            metrics: BreakerMetrics::default(),
        }
    }

    pub fn limits(&self) -> &BreakerLimits {
        &self.limits
    }

    /// Admits a call, or returns the wait before asking again: zero while the probes that are out decide,
    /// `Duration::MAX` if it was forced open.
    pub fn admit(&mut self, now: impl Moment) -> Result<Permit, Duration> {
        if !matches!(self.phase, Phase::Closed) {
            self.may_pass(now).inspect_err(|_| self.metrics.rejected += 1)?;
        }
        self.metrics.admitted += 1;
        Ok(Permit(self.generation))
    }

    /// The admitted call ended well. A slow end may still open the breaker.
    pub fn succeeded(&mut self, permit: Permit, now: impl Moment, latency: Duration) {
        self.metrics.succeeded += 1;
        self.ended(permit, false, now, latency);
    }

    /// The admitted call failed.
    pub fn failed(&mut self, permit: Permit, now: impl Moment, latency: Duration) {
        self.metrics.failed += 1;
        self.ended(permit, true, now, latency);
    }

    /// The admitted call was given up by its caller: it says nothing about the other side.
    pub fn cancelled(&mut self, permit: Permit) {
        self.metrics.cancelled += 1;
        if let (true, Phase::HalfOpen { out, .. }) = (self.is_current(permit), &mut self.phase) {
            *out = out.saturating_sub(1);
        }
    }

    pub fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Told(state) => state,
        }
    }

    /// The time until a call may be admitted; zero if one may be now.
    pub fn retry_after(&self, now: impl Moment) -> Duration {
        match self.phase {
            Phase::Open { until } => until.saturating_duration_since(now.instant()),
            Phase::Told(State::ForcedOpen) => Duration::MAX,
            Phase::Closed | Phase::HalfOpen { .. } | Phase::Told(_) => Duration::ZERO,
        }
    }

    pub fn metrics(&self) -> BreakerMetrics {
        BreakerMetrics { recent: self.recent.total(), ..self.metrics }
    }

    /// Rejects every call until another state is set.
    pub fn force_open(&mut self) {
        self.enter(Phase::Told(State::ForcedOpen));
    }

    /// Admits every call, however it ends, until another state is set.
    pub fn disable(&mut self) {
        self.enter(Phase::Told(State::Disabled));
    }

    /// Admits every call and keeps its figures, until another state is set.
    pub fn only_measure(&mut self) {
        self.enter(Phase::Told(State::MetricsOnly));
    }

    /// Closes it, as if nothing had failed before.
    pub fn reset(&mut self) {
        self.close();
    }

    fn may_pass(&mut self, now: impl Moment) -> Result<(), Duration> {
        match self.phase {
            Phase::Closed | Phase::Told(State::Disabled | State::MetricsOnly) => Ok(()),
            Phase::Told(_) => Err(Duration::MAX),
            Phase::Open { until } => self.probe_after(until, now.instant()),
            Phase::HalfOpen { out, succeeded, until } if out < self.limits.probes.max(1) => {
                self.phase = Phase::HalfOpen { out: out + 1, succeeded, until };
                Ok(())
            }
            // Probes that never answered are given up: the half-open state begins anew.
            Phase::HalfOpen { until, .. } => {
                self.probe_after(until, now.instant()).map_err(|_| Duration::ZERO)
            }
        }
    }

    fn probe_after(&mut self, until: Instant, now: Instant) -> Result<(), Duration> {
        if now < until {
            return Err(until - now);
        }
        let patience = self.break_length();
        self.enter(Phase::HalfOpen { out: 1, succeeded: 0, until: later(now, patience) });
        Ok(())
    }

    fn ended(&mut self, permit: Permit, failed: bool, now: impl Moment, latency: Duration) {
        let ended = Ended { failed, slow: latency >= self.limits.slow_after };
        self.metrics.slow += u64::from(ended.slow);
        if !self.is_current(permit) {
            self.metrics.late += 1;
            return;
        }
        match self.phase {
            Phase::Closed => self.record(ended, now),
            Phase::HalfOpen { .. } => self.judge_probe(ended, now),
            Phase::Told(State::MetricsOnly) => {
                self.count(ended, now);
            }
            // An open breaker has given no permit of its generation; a disabled one does not look.
            Phase::Open { .. } | Phase::Told(_) => {}
        }
    }

    fn is_current(&self, permit: Permit) -> bool {
        permit.0 == self.generation
    }

    fn record(&mut self, ended: Ended, now: impl Moment) {
        if self.count(ended, now) {
            self.open(now.instant());
        }
    }

    /// Takes one result into the figures, and says whether they are a reason to open.
    fn count(&mut self, ended: Ended, now: impl Moment) -> bool {
        let limits = &self.limits;
        let failures = if ended.failed { self.metrics.consecutive_failures + 1 } else { 0 };
        self.metrics.consecutive_failures = failures;
        let recent = self.recent.record(ended, now);
        let in_a_row = limits.failures_to_open > 0 && failures >= limits.failures_to_open;
        let is_known = recent.calls >= limits.minimum_calls.max(1);
        let by_rate = recent.failure_rate() >= limits.failure_rate || recent.slow_rate() >= limits.slow_rate;
        in_a_row || (is_known && by_rate)
    }

    fn judge_probe(&mut self, ended: Ended, now: impl Moment) {
        let is_bad = ended.failed || (ended.slow && self.limits.slow_rate <= 1.0);
        if is_bad {
            return self.open(now.instant());
        }
        let Phase::HalfOpen { out, succeeded, .. } = &mut self.phase else { return };
        *out = out.saturating_sub(1);
        *succeeded += 1;
        if *succeeded >= self.limits.probes_to_close {
            self.close();
        }
    }

    fn open(&mut self, now: Instant) {
        let length = self.break_length();
        self.breaks += 1;
        self.metrics.opened += 1;
        self.enter(Phase::Open { until: later(now, length) });
    }

    fn close(&mut self) {
        self.breaks = 0;
        self.enter(Phase::Closed);
    }

    /// Every change of state passes here: permits of the state before are of no more account.
    fn enter(&mut self, phase: Phase) {
        self.generation += 1;
        self.phase = phase;
        self.recent.clear();
        self.metrics.consecutive_failures = 0;
    }

    fn break_length(&mut self) -> Duration {
        let BreakerLimits { open_for, growth, longest_open, jitter, .. } = self.limits;
        let length = grown(open_for, growth, self.breaks, longest_open);
        length.mul_f64(1.0 + jitter * self.jitter.share())
    }
}

/// The moment `wait` after `now`; a century if that is beyond the clock.
fn later(now: Instant, wait: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    now + wait.min(CENTURY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT_ONCE: Duration = Duration::ZERO;
    const LIMITS: BreakerLimits = BreakerLimits {
        failures_to_open: 3,
        window: Window::Off,
        failure_rate: 0.5,
        slow_rate: f64::INFINITY,
        slow_after: Duration::MAX,
        minimum_calls: 4,
        open_for: seconds(30),
        growth: 2.0,
        longest_open: seconds(100),
        jitter: 0.0,
        probes: 1,
        probes_to_close: 1,
        seed: 0,
    };

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn call(breaker: &mut CircuitBreaker, now: Instant, works: bool) -> Result<(), Duration> {
        let permit = breaker.admit(now)?;
        match works {
            true => breaker.succeeded(permit, now, AT_ONCE),
            false => breaker.failed(permit, now, AT_ONCE),
        }
        Ok(())
    }

    fn opened(limits: BreakerLimits, now: Instant) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new(limits);
        while breaker.state() == State::Closed {
            call(&mut breaker, now, false).unwrap();
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let (now, mut breaker) = (Instant::now(), CircuitBreaker::new(LIMITS));
        for works in [false, false, true, false, false] {
            call(&mut breaker, now, works).unwrap();
        }
        assert_eq!(breaker.state(), State::Closed);
        call(&mut breaker, now, false).unwrap();
        assert_eq!(breaker.state(), State::Open);
        assert_eq!(call(&mut breaker, now + seconds(10), true), Err(seconds(20)));
    }

    #[test]
    fn an_open_breaker_lets_one_probe_through_when_its_wait_is_over() {
        let now = Instant::now();
        let mut breaker = opened(LIMITS, now);
        let probe = breaker.admit(now + seconds(30)).unwrap();
        assert_eq!(breaker.state(), State::HalfOpen);
        assert_eq!(breaker.admit(now + seconds(30)), Err(Duration::ZERO));
        breaker.succeeded(probe, now + seconds(31), AT_ONCE);
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn each_failed_probe_doubles_the_break_up_to_the_longest() {
        let mut now = Instant::now();
        let mut breaker = opened(LIMITS, now);
        for length in [30, 60, 100, 100] {
            assert_eq!(breaker.retry_after(now), seconds(length));
            now += seconds(length);
            call(&mut breaker, now, false).unwrap();
        }
    }

    #[test]
    fn a_late_result_of_an_older_state_changes_nothing() {
        let (now, mut breaker) = (Instant::now(), CircuitBreaker::new(LIMITS));
        let early = breaker.admit(now).unwrap();
        (0..3).for_each(|_| call(&mut breaker, now, false).unwrap());
        breaker.succeeded(early, now, AT_ONCE);
        assert_eq!(breaker.state(), State::Open);
        let probe = breaker.admit(now + seconds(30)).unwrap();
        breaker.failed(early, now + seconds(30), AT_ONCE);
        breaker.cancelled(early);
        assert_eq!((breaker.state(), breaker.admit(now + seconds(30))), (State::HalfOpen, Err(AT_ONCE)));
        breaker.succeeded(probe, now + seconds(30), AT_ONCE);
        assert_eq!((breaker.state(), breaker.metrics().late), (State::Closed, 2));
    }

    #[test]
    fn a_cancelled_probe_makes_way_for_another() {
        let now = Instant::now();
        let mut breaker = opened(LIMITS, now);
        let probe = breaker.admit(now + seconds(30)).unwrap();
        breaker.cancelled(probe);
        assert_eq!(breaker.state(), State::HalfOpen);
        assert!(breaker.admit(now + seconds(30)).is_ok());
    }

    #[test]
    fn a_probe_that_never_answers_is_given_up() {
        let now = Instant::now();
        let mut breaker = opened(LIMITS, now);
        let lost = breaker.admit(now + seconds(30)).unwrap();
        assert_eq!(breaker.admit(now + seconds(31)), Err(AT_ONCE));
        let probe = breaker.admit(now + seconds(30 + 60)).unwrap();
        assert_ne!(lost, probe);
        breaker.failed(lost, now + seconds(91), AT_ONCE);
        assert_eq!(breaker.state(), State::HalfOpen);
    }

    #[test]
    fn as_many_probes_as_are_asked_for_must_succeed() {
        let limits = BreakerLimits { probes: 2, probes_to_close: 3, ..LIMITS };
        let now = Instant::now();
        let later = now + seconds(30);
        let mut breaker = opened(limits, now);
        let (first, second) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_err());
        breaker.succeeded(first, later, AT_ONCE);
        breaker.succeeded(second, later, AT_ONCE);
        assert_eq!(breaker.state(), State::HalfOpen);
        call(&mut breaker, later, true).unwrap();
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn half_the_calls_of_a_window_failing_opens_it_once_there_are_enough() {
        let limits = BreakerLimits { failures_to_open: 0, window: Window::Calls(4), ..LIMITS };
        let (now, mut breaker) = (Instant::now(), CircuitBreaker::new(limits));
        for works in [false, true, false] {
            call(&mut breaker, now, works).unwrap();
        }
        assert_eq!(breaker.state(), State::Closed);
        call(&mut breaker, now, true).unwrap();
        assert_eq!(breaker.state(), State::Open);
    }

    #[test]
    fn calls_that_left_the_window_of_calls_are_forgotten() {
        let limits = BreakerLimits { failures_to_open: 0, window: Window::Calls(4), ..LIMITS };
        let (now, mut breaker) = (Instant::now(), CircuitBreaker::new(limits));
        for works in [false, true, true, true, true, false, true, true] {
            call(&mut breaker, now, works).unwrap();
        }
        assert_eq!(breaker.metrics().recent, Tally { calls: 4, failed: 1, slow: 0 });
    }

    #[test]
    fn calls_that_left_the_window_of_time_are_forgotten() {
        let limits = BreakerLimits { failures_to_open: 0, window: Window::Time(seconds(10)), ..LIMITS };
        let (start, mut breaker) = (Instant::now(), CircuitBreaker::new(limits));
        let recent = [0, 1, 5, 10, 30].map(|after| {
            call(&mut breaker, start + seconds(after), after == 30).unwrap();
            breaker.metrics().recent.calls
        });
        assert_eq!(recent, [1, 2, 3, 3, 1]);
    }

    #[test]
    fn slow_calls_open_it_though_they_succeed() {
        let window = Window::Calls(4);
        let limits = BreakerLimits { window, slow_rate: 0.5, slow_after: seconds(1), ..LIMITS };
        let (now, mut breaker) = (Instant::now(), CircuitBreaker::new(limits));
        for latency_s in [0, 1, 0, 2] {
            let permit = breaker.admit(now).unwrap();
            breaker.succeeded(permit, now, seconds(latency_s));
        }
        assert_eq!((breaker.state(), breaker.metrics().slow), (State::Open, 2));
    }

    #[test]
    fn jitter_lengthens_a_break_and_its_seed_decides_by_how_much() {
        let now = Instant::now();
        let length = |seed| opened(BreakerLimits { jitter: 0.1, seed, ..LIMITS }, now).retry_after(now);
        assert_eq!(length(1), length(1));
        assert_ne!(length(1), length(2));
        assert!((0..100).all(|seed| (seconds(30)..=seconds(33)).contains(&length(seed))));
    }

    #[test]
    fn what_it_is_told_holds_until_it_is_told_otherwise() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::new(LIMITS);
        breaker.force_open();
        assert_eq!(call(&mut breaker, now + seconds(10_000), true), Err(Duration::MAX));
        breaker.disable();
        (0..9).for_each(|_| call(&mut breaker, now, false).unwrap());
        assert_eq!((breaker.state(), breaker.metrics().consecutive_failures), (State::Disabled, 0));
        breaker.only_measure();
        (0..9).for_each(|_| call(&mut breaker, now, false).unwrap());
        assert_eq!((breaker.state(), breaker.metrics().consecutive_failures), (State::MetricsOnly, 9));
        breaker.reset();
        assert_eq!((breaker.state(), breaker.metrics().consecutive_failures), (State::Closed, 0));
    }

    #[test]
    fn a_closed_breaker_without_windows_never_asks_for_the_time() {
        let never = || -> Instant { panic!("the time does not matter here") };
        let mut breaker = CircuitBreaker::new(LIMITS);
        let permit = breaker.admit(never).unwrap();
        breaker.succeeded(permit, never, AT_ONCE);
    }

    fn any_limits() -> impl Strategy<Value = BreakerLimits> {
        let window = prop_oneof![
            Just(Window::Off),
            (1..8_u32).prop_map(Window::Calls),
            (1..60_u64).prop_map(|length| Window::Time(seconds(length))),
        ];
        (0..4_u32, window, 1..4_u32, 1..3_u32, 0.0..0.5).prop_map(
            |(failures, window, probes, to_close, jitter)| BreakerLimits {
                failures_to_open: failures,
                window,
                probes,
                probes_to_close: to_close,
                jitter,
                ..LIMITS
            },
        )
    }

    proptest! {
        #[test]
        fn no_sequence_of_calls_lets_an_old_permit_flip_a_newer_state(
            limits in any_limits(),
            calls in prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), 0..40_u64), 1..120),
        ) {
            let (mut now, mut breaker) = (Instant::now(), CircuitBreaker::new(limits));
            let mut out: Vec<(Permit, u64)> = Vec::new();
            for (verb, which, step) in calls {
                now += seconds(step);
                let before = (breaker.state(), breaker.generation);
                if verb == 0 || out.is_empty() {
                    out.extend(breaker.admit(now).ok().map(|permit| (permit, breaker.generation)));
                    continue;
                }
                let (permit, generation) = out.swap_remove(which.index(out.len()));
                match verb {
                    1 => breaker.succeeded(permit, now, AT_ONCE),
                    2 => breaker.failed(permit, now, AT_ONCE),
                    _ => breaker.cancelled(permit),
                }
                if generation != before.1 {
                    prop_assert_eq!((breaker.state(), breaker.generation), before);
                }
            }
        }

        #[test]
        fn an_open_breaker_admits_nothing_before_its_time_and_something_after(limits in any_limits(), early in 0.0..1.0) {
            prop_assume!(limits.failures_to_open > 0);
            let now = Instant::now();
            let mut breaker = opened(limits, now);
            let wait = breaker.retry_after(now);
            prop_assert!(breaker.admit(now + wait.mul_f64(early * 0.999)).is_err());
            prop_assert!(breaker.admit(now + wait).is_ok());
        }

        #[test]
        fn never_more_probes_are_out_than_allowed(limits in any_limits(), asked in 1..10_usize) {
            prop_assume!(limits.failures_to_open > 0);
            let now = Instant::now();
            let mut breaker = opened(limits, now);
            let then = now + breaker.retry_after(now);
            let admitted = (0..asked).filter(|_| breaker.admit(then).is_ok()).count();
            prop_assert_eq!(admitted, asked.min(limits.probes as usize));
        }
    }
}
