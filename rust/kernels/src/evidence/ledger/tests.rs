use super::*;
use crate::image::{Image, ImageReader};
use proptest::prelude::*;

const MAY: i64 = 1_778_000_000_000_000;

fn id(number: u8) -> Id {
    [number; 16]
}

fn fact(number: u8, occurrences: u16, successes: f64) -> Fact {
    Fact { pattern: id(number), kind: number % 3, occurrences, successes }
}

fn key(domain: &'static str, agent: &'static str) -> StratumKey<'static> {
    StratumKey { namespace: "default", domain, agent: Some(agent), complexity: 1, month: 202_605, task: 0 }
}

fn sorted(ledger: &Ledger) -> Vec<String> {
    let mut sums: Vec<String> = ledger.sums().map(|sum| format!("{sum:?}")).collect();
    sums.sort();
    sums
}

#[test]
fn a_summary_adds_up_what_the_slice_holds() {
    let mut ledger = Ledger::new();
    ledger.add(key("sql", "small"), Some(1.0), &[fact(1, 3, 2.0)], MAY);
    ledger.add(key("sql", "large"), Some(0.5), &[fact(1, 1, 1.0)], MAY + 1);
    ledger.add(key("retail", "large"), Some(0.0), &[fact(1, 2, 0.0)], MAY + 2);
    let all = ledger.summary("default", &id(1), &Slice::default()).unwrap();
    assert_eq!((all.trials, all.successes, all.episodes, all.outcomes), (6, 3.0, 3, 1.5));
    assert_eq!(
        (all.agents, all.domains),
        (vec!["large".into(), "small".into()], vec!["retail".into(), "sql".into()])
    );
    assert_eq!((all.kind, all.last_seen, all.mean), (1, MAY + 2, 0.5));
    assert_eq!(
        (all.low, all.high),
        (Interval::from_counts(1.5, 3.0).low, Interval::from_counts(1.5, 3.0).high),
        "one trial an episode"
    );
    let sql = ledger.summary("default", &id(1), &Slice { domain: Some("sql"), ..Slice::default() }).unwrap();
    assert_eq!((sql.trials, sql.domains, sql.last_seen), (4, vec!["sql".to_owned()], MAY + 1));
    let large = Slice { domain: Some("sql"), agent: Some("large"), complexity: Some(1), decay: None };
    assert_eq!(ledger.summary("default", &id(1), &large).unwrap().trials, 1);
    assert_eq!(ledger.rates("default", &Slice::default()), (3, 1.5));
}

#[test]
fn what_a_slice_does_not_hold_has_no_summary() {
    let mut ledger = Ledger::new();
    ledger.add(key("sql", "small"), Some(1.0), &[fact(1, 1, 1.0)], MAY);
    let slice = |complexity| Slice { complexity: Some(complexity), ..Slice::default() };
    assert!(ledger.summary("default", &id(1), &slice(2)).is_none());
    assert!(ledger.summary("default", &id(2), &slice(1)).is_none());
    assert!(ledger.summary("other", &id(1), &slice(1)).is_none());
    assert!(ledger.summary("default", &id(1), &Slice { agent: Some("unheard of"), ..slice(1) }).is_none());
    assert_eq!(ledger.rates("other", &slice(1)), (0, 0.0));
}

#[test]
fn novelty_is_the_share_of_patterns_that_this_namespace_has_not_seen() {
    let mut ledger = Ledger::new();
    let facts = [fact(1, 1, 1.0), fact(2, 1, 1.0)];
    assert_eq!((ledger.novelty("default", &facts), ledger.novelty("default", &[])), (1.0, 0.0));
    ledger.add(key("sql", "small"), Some(1.0), &facts[..1], MAY);
    assert_eq!((ledger.novelty("default", &facts), ledger.novelty("other", &facts)), (0.5, 1.0));
    assert!(ledger.knows("default", &id(1)) && !ledger.knows("other", &id(1)));
}

#[test]
fn an_episode_without_an_outcome_counts_its_facts_and_no_outcome() {
    let mut ledger = Ledger::new();
    let unknown = [fact(1, 3, 2.0)];
    ledger.add(key("sql", "small"), None, &unknown, MAY);
    let summary = ledger.summary("default", &id(1), &Slice::default()).unwrap();
    assert_eq!((summary.trials, summary.successes, summary.episodes, summary.outcomes), (3, 2.0, 0, 0.0));
    assert_eq!(ledger.rates("default", &Slice::default()), (0, 0.0));
    ledger.add(key("sql", "small"), Some(1.0), &[fact(1, 1, 1.0)], MAY);
    ledger.remove(key("sql", "small"), Some(1.0), &[fact(1, 1, 1.0)]);
    assert!(ledger.summary("default", &id(1), &Slice::default()).is_some());
    ledger.remove(key("sql", "small"), None, &unknown);
    assert!(!ledger.knows("default", &id(1)));
}

#[test]
fn an_episode_without_an_agent_adds_no_name() {
    let mut ledger = Ledger::new();
    ledger.add(StratumKey { agent: None, ..key("sql", "") }, Some(1.0), &[fact(1, 1, 1.0)], MAY);
    assert!(ledger.summary("default", &id(1), &Slice::default()).unwrap().agents.is_empty());
    assert_eq!(ledger.sums().next().unwrap().stratum.agent, None);
}

#[test]
fn patterns_come_in_order_and_page_by_page() {
    let mut ledger = Ledger::new();
    let facts = [fact(1, 9, 9.0), fact(2, 30, 15.0), fact(4, 1, 1.0), fact(5, 9, 9.0)];
    for (after, fact) in facts.iter().enumerate() {
        ledger.add(key("sql", "small"), Some(1.0), std::slice::from_ref(fact), MAY - after as i64);
    }
    let listed = |kind, page| -> Vec<u8> {
        let patterns = ledger.patterns("default", kind, &Slice::default(), page);
        patterns.into_iter().map(|(id, _)| id[0]).collect()
    };
    assert_eq!(listed(None, Page::default()), [1, 4, 5, 2], "one episode each, however often");
    assert_eq!(listed(None, Page { order: Order::Trials, ..Page::default() }), [2, 1, 5, 4]);
    assert_eq!(listed(None, Page { order: Order::Recent, ..Page::default() }), [1, 2, 4, 5]);
    assert_eq!(listed(None, Page { limit: 2, offset: 1, ..Page::default() }), [4, 5]);
    assert_eq!(listed(None, Page { offset: 9, ..Page::default() }), [0; 0]);
    assert_eq!(listed(None, Page { min_trials: 2, ..Page::default() }), [1, 5, 2]);
    assert_eq!(listed(Some(1), Page::default()), [1, 4]);
}

#[test]
fn the_base_rate_of_a_pattern_is_that_of_its_domains_and_agents() {
    let mut ledger = Ledger::new();
    for (agent, outcome, facts) in [
        ("strong", 1.0, &[fact(1, 1, 1.0)][..]),
        ("strong", 1.0, &[]),
        ("strong", 0.0, &[]),
        ("weak", 0.0, &[fact(1, 1, 0.0)]),
        ("weak", 0.0, &[]),
        ("other", 1.0, &[]),
    ] {
        ledger.add(key("sql", agent), Some(outcome), facts, MAY);
    }
    let rate = |slice: &Slice<'_>| ledger.base_rate("default", &id(1), slice);
    assert_eq!(rate(&Slice::default()), Some((2.0 / 3.0 + 0.0) / 2.0));
    assert_eq!(rate(&Slice { agent: Some("weak"), ..Slice::default() }), Some(0.0));
    assert_eq!(ledger.base_rate("default", &id(2), &Slice::default()), None);
}

#[test]
fn the_mean_is_found_by_symbol() {
    let mut ledger = Ledger::new();
    ledger.add(key("sql", "small"), Some(1.0), &[fact(1, 3, 2.0)], MAY);
    ledger.add(key("sql", "large"), Some(1.0), &[fact(1, 1, 1.0)], MAY);
    let (namespace, symbol) = (ledger.namespace("default").unwrap(), ledger.symbol(&id(1)).unwrap());
    assert_eq!(ledger.mean_of(namespace, symbol), Some(3.5 / 5.0));
    assert_eq!(ledger.pattern(symbol), Some((id(1), 1)));
    assert_eq!(ledger.mean_of(namespace, symbol + 1), None);
}

#[test]
fn decay_widens_the_interval_and_leaves_the_counts() {
    let mut ledger = Ledger::new();
    for number in 0..40 {
        let share = f64::from(u8::from(number % 4 > 0));
        ledger.add(key("sql", "small"), Some(share), &[fact(1, 1, share)], MAY);
    }
    let decay = Decay { now: month_began(202_605) + 45 * DAY, half_life: Duration::from_secs(30 * 86_400) };
    let fresh = ledger.summary("default", &id(1), &Slice::default()).unwrap();
    let faded = ledger.summary("default", &id(1), &Slice { decay: Some(decay), ..Slice::default() }).unwrap();
    assert_eq!((faded.trials, faded.successes), (40, 30.0));
    assert_eq!(faded.low, Interval::from_counts(15.0, 20.0).low);
    assert!(faded.low < fresh.low && faded.high > fresh.high);
}

#[test]
fn a_contrast_compares_within_agents() {
    let mut ledger = Ledger::new();
    let habit = [fact(1, 1, 1.0)];
    let mut add = |agent, outcome, with: bool, times| {
        let facts = if with { &habit[..] } else { &[] };
        (0..times).for_each(|_| ledger.add(key("sql", agent), Some(outcome), facts, MAY));
    };
    for (agent, with, succeeded, failed) in
        [("strong", true, 64, 16), ("strong", false, 16, 4), ("weak", true, 4, 16), ("weak", false, 16, 64)]
    {
        add(agent, 1.0, with, succeeded);
        add(agent, 0.0, with, failed);
    }
    let found = ledger.odds_ratio("default", &id(1), None, &Slice::default());
    assert!((found.ratio - 1.0).abs() < 1e-12 && found.is_undecided());
    assert!(ledger.odds_ratio("other", &id(1), None, &Slice::default()).ratio.is_nan());
}

#[test]
fn a_contrast_among_alternatives_leaves_other_episodes_out() {
    let mut ledger = Ledger::new();
    for (number, outcome, times) in [(1, 1.0, 20), (1, 0.0, 10), (2, 1.0, 10), (2, 0.0, 20), (3, 1.0, 500)] {
        (0..times)
            .for_each(|_| ledger.add(key("sql", "small"), Some(outcome), &[fact(number, 1, outcome)], MAY));
    }
    let among = ledger.odds_ratio("default", &id(1), Some(&[id(2)]), &Slice::default());
    assert!((among.ratio - 4.0).abs() < 1e-12 && !among.is_undecided());
    assert_eq!(among, ledger.odds_ratio("default", &id(1), Some(&[id(1), id(2)]), &Slice::default()));
}

#[test]
fn months_are_those_of_the_calendar() {
    for (at, month) in [(0, 197_001), (-1, 196_912), (951_782_399, 200_002), (951_868_800, 200_003)] {
        assert_eq!(month_of(at * 1_000_000), month);
    }
    assert_eq!(month_began(197_001), 0);
    assert_eq!(month_began(200_003), 951_868_800_000_000);
}

type Told = (usize, Vec<(u8, u16, f64)>, f64);

fn any_episodes() -> impl Strategy<Value = Vec<Told>> {
    let facts = prop::collection::vec((0..6_u8, 1..5_u16, 0.0..1.0), 0..5);
    prop::collection::vec((0..4_usize, facts, 0.0..=1.0), 0..40)
}

fn told((stratum, facts, base): &Told) -> (StratumKey<'static>, Option<f64>, Vec<Fact>) {
    let strata = [key("sql", "small"), key("sql", "large"), key("retail", "small"), key("retail", "large")];
    let facts = facts.iter().map(|&(number, times, share)| fact(number + 1, times, share * f64::from(times)));
    (strata[*stratum], Some(*base), facts.collect())
}

proptest! {
    #[test]
    fn taking_back_what_was_added_leaves_none_of_it(kept in any_episodes(), taken in any_episodes()) {
        let (mut expected, mut ledger) = (Ledger::new(), Ledger::new());
        for (key, base, facts) in kept.iter().map(told) {
            expected.add(key, base, &facts, MAY);
        }
        for (key, base, facts) in taken.iter().chain(&kept).map(told) {
            ledger.add(key, base, &facts, MAY);
        }
        for (key, base, facts) in taken.iter().map(told) {
            ledger.remove(key, base, &facts);
        }
        prop_assert_eq!(sorted(&ledger), sorted(&expected));
    }

    #[test]
    fn rates_are_those_of_the_strata_whatever_comes_and_goes(kept in any_episodes(), taken in any_episodes()) {
        let mut ledger = Ledger::new();
        for (key, base, facts) in taken.iter().chain(&kept).map(told) {
            ledger.add(key, base, &facts, MAY);
        }
        for (key, base, facts) in taken.iter().map(told) {
            ledger.remove(key, base, &facts);
        }
        let mut image = Vec::new();
        ledger.write(&mut image);
        let read = Ledger::read(&mut ImageReader::new(&image)).unwrap();
        let every: Vec<Sum<'_>> = ledger.sums().filter(|sum| sum.pattern == EVERY_EPISODE).collect();
        let summed = |slice: &Slice<'_>| {
            let is_inside = |sum: &&Sum<'_>| {
                slice.domain.is_none_or(|domain| domain == sum.stratum.domain)
                    && slice.agent.is_none_or(|agent| Some(agent) == sum.stratum.agent)
            };
            let inside = || every.iter().filter(is_inside);
            (inside().map(|sum| sum.episodes).sum::<u64>(), inside().map(|sum| sum.outcomes).sum::<f64>())
        };
        for (domain, agent) in [(None, None), (Some("sql"), None), (None, Some("small")), (Some("sql"), Some("large"))] {
            let slice = Slice { domain, agent, ..Slice::default() };
            prop_assert_eq!(ledger.rates("default", &slice), summed(&slice));
            prop_assert_eq!(read.rates("default", &slice), summed(&slice));
            for pattern in (1..7).map(id) {
                let (mut expected, mut episodes) = (0.0, 0.0);
                let mut own: Vec<Sum<'_>> = ledger.sums().filter(|sum| sum.pattern == pattern).collect();
                own.sort_by_key(|sum| (sum.stratum.domain, sum.stratum.agent));
                for sum in own {
                    let StratumKey { domain: of, agent: by, .. } = sum.stratum;
                    if domain.is_none_or(|domain| domain == of) && agent.is_none_or(|agent| Some(agent) == by) {
                        let (all, outcomes) = summed(&Slice { domain: Some(of), agent: by, ..slice });
                        expected += sum.episodes as f64 * outcomes / all as f64;
                        episodes += sum.episodes as f64;
                    }
                }
                let base_rate = ledger.base_rate("default", &pattern, &slice);
                let expected = (episodes > 0.0).then(|| expected / episodes);
                prop_assert!(match (base_rate, expected) {
                    (Some(rate), Some(expected)) => (rate - expected).abs() < 1e-12,
                    (rate, expected) => rate == expected,
                }, "{base_rate:?} {expected:?}");
                prop_assert_eq!(read.base_rate("default", &pattern, &slice), base_rate);
            }
        }
    }

    #[test]
    fn groups_of_equal_counts_are_compared_as_if_each_was_sorted(
        parts in prop::collection::vec((0..30_u32, prop::array::uniform4(0..3_u8)), 0..60),
        half in any::<bool>(),
    ) {
        let unit = if half { 0.5 } else { 1.0 };
        let part = |counts: [u8; 4]| odds_ratio::Stratum::from(&counts.map(|count| unit * f64::from(count)));
        let mut groups = GroupStrata::default();
        let mut sums: FxHashMap<u32, odds_ratio::Stratum> = FxHashMap::default();
        for (group, counts) in parts {
            groups.add(group, &part(counts));
            sums.entry(group).or_default().add(&part(counts));
        }
        let mut sorted: Vec<odds_ratio::Stratum> =
            sums.into_values().filter(odds_ratio::Stratum::is_informative).collect();
        sorted.sort_unstable_by(odds_ratio::Stratum::order);
        let (found, expected) = (groups.odds_ratio(), odds_ratio(&sorted));
        prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }

    #[test]
    fn a_month_begins_within_itself(at in -2_000_000_000_000_000_i64..8_000_000_000_000_000) {
        let month = month_of(at);
        prop_assert_eq!(month_of(month_began(month)), month);
        prop_assert_ne!(month_of(month_began(month) - 1), month);
        prop_assert!(month_began(month) <= at);
    }
}
