//! The actions of episodes that came to one condition, each compared with the other actions under it.

use super::ledger::exact;
use super::odds_ratio::{OddsRatio, Stratum, odds_ratio};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::sync::{Arc, OnceLock};

/// The episodes of a history, by place: their outcomes, and their features as numbers.
#[derive(Clone, Debug)]
pub struct EpisodeColumns {
    outcomes: Vec<f64>,
    /// One row an episode.
    features: Vec<i64>,
    width: usize,
}

impl EpisodeColumns {
    /// `features` holds `width` numbers an episode. `None` means that the columns differ in length.
    pub fn new(outcomes: Vec<f64>, features: Vec<i64>, width: usize) -> Option<Self> {
        (features.len() == outcomes.len() * width).then_some(Self { outcomes, features, width })
    }

    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// The number of features of an episode.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A feature of an episode; -1 for an episode that is not among these.
    fn feature(&self, episode: u32, feature: usize) -> i64 {
        self.features.get(episode as usize * self.width + feature).copied().unwrap_or(-1)
    }
}

/// The occurrences of a condition, one element each, by episode.
#[derive(Clone, Copy, Debug)]
pub struct ActionOccurrences<'a> {
    /// The place of the episode, ascending.
    pub episode: &'a [i64],
    pub action: &'a [i64],
    /// How well the action worked, within 0..1.
    pub success: &'a [f64],
}

/// The evidence of one action under a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionEvidence {
    pub action: i64,
    pub successes: f64,
    /// The sum over the different episodes of the mean success of their occurrences: one trial an episode.
    pub by_episode: f64,
    /// The episode of each occurrence, ascending.
    pub occurrences: Vec<u32>,
    /// The number of different episodes.
    pub episodes: usize,
    /// The number of episodes in which it came first.
    pub first: usize,
    /// The sum of the different episodes' outcomes.
    pub outcomes: f64,
    /// The success of the episodes that did this first beside that of those that did something else first.
    pub odds_ratio: OddsRatio,
}

/// One value of a feature: an action's odds ratio among the episodes with the value, and among those without it.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSplit {
    pub value: i64,
    pub inside: OddsRatio,
    pub outside: OddsRatio,
}

/// The number of some episodes of one stratum, and the sum of their outcomes, exact in any order.
#[derive(Clone, Copy, Debug, Default)]
struct OutcomeTotals {
    episodes: f64,
    outcomes: f64,
}

impl OutcomeTotals {
    fn add(&mut self, outcome: f64) {
        self.episodes += 1.0;
        self.outcomes += exact(outcome);
    }

    fn without(self, other: Self) -> Self {
        Self { episodes: self.episodes - other.episodes, outcomes: self.outcomes - other.outcomes }
    }
}

/// The totals of some episodes by the number of their stratum.
type ByStratum = FxHashMap<u32, OutcomeTotals>;

/// The first occurrence of an episode, and the number of the episode's stratum.
type First = (u32, u32);

/// The values of one feature among the first occurrences: how many have it, and the totals by stratum.
type Values = FxHashMap<i64, (usize, ByStratum)>;

/// A condition with the totals that every comparison under it starts from: one comparison costs the occurrences of
/// the action, not all of them.
#[derive(Debug)]
pub struct ConditionEvidence {
    columns: Arc<EpisodeColumns>,
    episode: Vec<u32>,
    action: Vec<i64>,
    success: Vec<f64>,
    first: Vec<First>,
    totals: Vec<OutcomeTotals>,
    /// By feature, made when they are first needed.
    values: Vec<OnceLock<Values>>,
}

impl ConditionEvidence {
    /// `strata` has a number for each episode: only episodes with the same one are compared. `None` means that an
    /// occurrence names no episode, that they are not in order, or that columns differ in length.
    pub fn new(
        columns: Arc<EpisodeColumns>,
        strata: &[i64],
        occurrences: ActionOccurrences<'_>,
    ) -> Option<Self> {
        let ActionOccurrences { episode, action, success } = occurrences;
        let is_known = |place: &i64| usize::try_from(*place).is_ok_and(|place| place < columns.len());
        let is_sound = strata.len() == columns.len()
            && (action.len(), success.len()) == (episode.len(), episode.len())
            && episode.is_sorted()
            && episode.iter().all(is_known);
        if !is_sound {
            return None;
        }
        let (first, totals) = first_occurrences(&columns, strata, episode);
        Some(Self {
            episode: episode.iter().map(|place| *place as u32).collect(),
            action: action.to_vec(),
            success: success.to_vec(),
            first,
            totals,
            values: (0..columns.width).map(|_| OnceLock::new()).collect(),
            columns,
        })
    }

    pub fn len(&self) -> usize {
        self.episode.len()
    }

    pub fn is_empty(&self) -> bool {
        self.episode.is_empty()
    }

    /// The number of features of an episode.
    pub fn features(&self) -> usize {
        self.values.len()
    }

    /// The evidence of each action with at least `min_trials` occurrences, the most frequent first, then by number.
    pub fn actions(&self, min_trials: usize) -> Vec<ActionEvidence> {
        let mut occurrences: FxHashMap<i64, Vec<u32>> = FxHashMap::default();
        for (at, action) in self.action.iter().enumerate() {
            occurrences.entry(*action).or_default().push(at as u32);
        }
        let mut firsts: FxHashMap<i64, Vec<First>> = FxHashMap::default();
        for first in &self.first {
            firsts.entry(self.action[first.0 as usize]).or_default().push(*first);
        }
        let mut frequent: Vec<(i64, Vec<u32>)> =
            occurrences.into_iter().filter(|(_, own)| own.len() >= min_trials).collect();
        frequent.sort_unstable_by_key(|(action, own)| (Reverse(own.len()), *action));
        let evidence = |(action, own): (i64, Vec<u32>)| {
            let first = firsts.get(&action).map_or(&[][..], Vec::as_slice);
            self.evidence(action, &own, first, &self.success)
        };
        frequent.into_iter().map(evidence).collect()
    }

    /// The evidence of the occurrences for which `own` is true, counted as one action with these successes.
    pub fn of_some(&self, own: &[bool], success: &[f64]) -> ActionEvidence {
        let chosen: Vec<u32> = (0..self.len() as u32).filter(|at| own[*at as usize]).collect();
        self.evidence(1, &chosen, &self.first_of(own), success)
    }

    fn first_of(&self, own: &[bool]) -> Vec<First> {
        self.first.iter().copied().filter(|(at, _)| own[*at as usize]).collect()
    }

    fn evidence(&self, action: i64, own: &[u32], first: &[First], success: &[f64]) -> ActionEvidence {
        let occurrences: Vec<u32> = own.iter().map(|at| self.episode[*at as usize]).collect();
        let mut episodes = occurrences.clone();
        episodes.dedup();
        ActionEvidence {
            action,
            successes: own.iter().map(|at| success[*at as usize]).sum(),
            by_episode: own
                .chunk_by(|one, next| self.episode[*one as usize] == self.episode[*next as usize])
                .map(|of| of.iter().map(|at| success[*at as usize]).sum::<f64>() / of.len() as f64)
                .sum(),
            occurrences,
            first: first.len(),
            outcomes: episodes.iter().map(|episode| self.columns.outcomes[*episode as usize]).sum(),
            episodes: episodes.len(),
            odds_ratio: compare(&self.totals_of(first), |number| self.totals[number as usize]),
        }
    }

    fn totals_of(&self, first: &[First]) -> ByStratum {
        let mut totals = ByStratum::default();
        for (at, number) in first {
            totals.entry(*number).or_default().add(self.outcome_at(*at));
        }
        totals
    }

    fn outcome_at(&self, at: u32) -> f64 {
        self.columns.outcomes[self.episode[at as usize] as usize]
    }

    /// The values of a feature of which `least` episodes did this first and `least` something else, with as many of
    /// both among the other values, ascending.
    pub fn splits(&self, own: &[bool], feature: usize, least: usize) -> Vec<FeatureSplit> {
        let values = self.values[feature].get_or_init(|| self.values_of(feature));
        let mut did: FxHashMap<i64, Vec<First>> = FxHashMap::default();
        for first in self.first_of(own) {
            did.entry(self.feature_at(first.0, feature)).or_default().push(first);
        }
        let with: usize = did.values().map(Vec::len).sum();
        let without = self.first.len() - with;
        let is_enough = |(value, first): &(&i64, &Vec<First>)| {
            let others = values[*value].0 - first.len();
            first.len().min(others).min(with - first.len()).min(without - others) >= least
        };
        let mut chosen: Vec<i64> = did.iter().filter(is_enough).map(|(value, _)| *value).collect();
        chosen.sort_unstable();
        let totals: FxHashMap<i64, ByStratum> =
            did.iter().map(|(value, first)| (*value, self.totals_of(first))).collect();
        let all = if chosen.is_empty() { ByStratum::default() } else { self.totals_of(&self.first_of(own)) };
        let split = |value: i64| self.split(value, &totals[&value], &all, &values[&value].1);
        chosen.into_iter().map(split).collect()
    }

    /// `did` and `with_value` are the totals of the episodes with the value: of those that did it, and of all.
    fn split(
        &self,
        value: i64,
        did: &ByStratum,
        all_did: &ByStratum,
        with_value: &ByStratum,
    ) -> FeatureSplit {
        let of = |totals: &ByStratum, number: u32| totals.get(&number).copied().unwrap_or_default();
        let rest = all_did.iter().map(|(number, totals)| (*number, totals.without(of(did, *number))));
        let rest: ByStratum = rest.filter(|(_, totals)| totals.episodes > 0.0).collect();
        FeatureSplit {
            value,
            inside: compare(did, |number| of(with_value, number)),
            outside: compare(&rest, |number| self.totals[number as usize].without(of(with_value, number))),
        }
    }

    fn values_of(&self, feature: usize) -> Values {
        let mut values = Values::default();
        for (at, number) in &self.first {
            let (count, totals) = values.entry(self.feature_at(*at, feature)).or_default();
            *count += 1;
            totals.entry(*number).or_default().add(self.outcome_at(*at));
        }
        values
    }

    fn feature_at(&self, at: u32, feature: usize) -> i64 {
        self.columns.feature(self.episode[at as usize], feature)
    }

    /// The values of a feature that the occurrences of an action have, ascending, without negative ones; of more than
    /// `most` the most frequent, then the smaller.
    pub fn values_among(&self, evidence: &ActionEvidence, feature: usize, most: usize) -> Vec<i64> {
        let mut counts: FxHashMap<i64, usize> = FxHashMap::default();
        for episode in &evidence.occurrences {
            *counts.entry(self.columns.feature(*episode, feature)).or_default() += 1;
        }
        let mut ranked: Vec<(i64, usize)> = counts.into_iter().filter(|(value, _)| *value >= 0).collect();
        ranked.sort_unstable_by_key(|(value, count)| (Reverse(*count), *value));
        ranked.truncate(most);
        let mut values: Vec<i64> = ranked.into_iter().map(|(value, _)| value).collect();
        values.sort_unstable();
        values
    }
}

/// The first occurrence of each episode with the number of its stratum, and the totals of each stratum. Strata are
/// numbered in ascending order.
fn first_occurrences(
    columns: &EpisodeColumns,
    strata: &[i64],
    episode: &[i64],
) -> (Vec<First>, Vec<OutcomeTotals>) {
    let is_first = |at: &usize| *at == 0 || episode[*at] != episode[*at - 1];
    let firsts: Vec<usize> = (0..episode.len()).filter(is_first).collect();
    let mut numbers: Vec<i64> = firsts.iter().map(|at| strata[episode[*at] as usize]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let numbers: FxHashMap<i64, u32> = numbers.into_iter().zip(0..).collect();
    let mut totals = vec![OutcomeTotals::default(); numbers.len()];
    let numbered = firsts.into_iter().map(|at| {
        let place = episode[at] as usize;
        let number = numbers[&strata[place]];
        totals[number as usize].add(columns.outcomes[place]);
        (at as u32, number)
    });
    (numbered.collect(), totals)
}

/// Compares those that did something with the rest of `all`, stratum by stratum in the order of their numbers.
fn compare(did: &ByStratum, all: impl Fn(u32) -> OutcomeTotals) -> OddsRatio {
    let mut numbered: Vec<(u32, OutcomeTotals)> = did.iter().map(|(number, with)| (*number, *with)).collect();
    numbered.sort_unstable_by_key(|(number, _)| *number);
    let stratum = |(number, with): (u32, OutcomeTotals)| {
        let without = all(number).without(with);
        Stratum {
            with_succeeded: with.outcomes,
            with_failed: with.episodes - with.outcomes,
            without_succeeded: without.outcomes,
            without_failed: without.episodes - without.outcomes,
        }
    };
    odds_ratio(&numbered.into_iter().map(stratum).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    struct Case {
        strata: Vec<i64>,
        outcomes: Vec<f64>,
        features: Vec<i64>,
        episode: Vec<i64>,
        action: Vec<i64>,
    }

    fn any_case() -> impl Strategy<Value = Case> {
        let episode = (0..3_i64, prop::sample::select(vec![0.0, 0.5, 1.0]), -1..3_i64);
        let occurrence = (any::<prop::sample::Index>(), 0..4_i64);
        (prop::collection::vec(episode, 1..40), prop::collection::vec(occurrence, 0..80)).prop_map(
            |(episodes, occurrences)| {
                let mut placed: Vec<(i64, i64)> = occurrences
                    .iter()
                    .map(|(at, action)| (at.index(episodes.len()) as i64, *action))
                    .collect();
                placed.sort_by_key(|(episode, _)| *episode);
                Case {
                    strata: episodes.iter().map(|each| each.0).collect(),
                    outcomes: episodes.iter().map(|each| each.1).collect(),
                    features: episodes.iter().map(|each| each.2).collect(),
                    episode: placed.iter().map(|each| each.0).collect(),
                    action: placed.iter().map(|each| each.1).collect(),
                }
            },
        )
    }

    impl Case {
        fn evidence(&self) -> ConditionEvidence {
            let columns = EpisodeColumns::new(self.outcomes.clone(), self.features.clone(), 1).unwrap();
            let success = vec![1.0; self.episode.len()];
            let occurrences =
                ActionOccurrences { episode: &self.episode, action: &self.action, success: &success };
            ConditionEvidence::new(Arc::new(columns), &self.strata, occurrences).unwrap()
        }

        /// The odds ratio by one pass over all episodes whose feature passes.
        fn odds(&self, action: i64, passes: impl Fn(i64) -> bool) -> OddsRatio {
            let mut strata: std::collections::BTreeMap<i64, [f64; 4]> = Default::default();
            for at in 0..self.episode.len() {
                let place = self.episode[at] as usize;
                let is_first = at == 0 || self.episode[at - 1] != self.episode[at];
                if is_first && passes(self.features[place]) {
                    let cells = strata.entry(self.strata[place]).or_default();
                    let from = if self.action[at] == action { 0 } else { 2 };
                    cells[from] += self.outcomes[place];
                    cells[from + 1] += 1.0 - self.outcomes[place];
                }
            }
            odds_ratio(&strata.values().map(Stratum::from).collect::<Vec<_>>())
        }
    }

    fn same(a: &OddsRatio, b: &OddsRatio) -> bool {
        format!("{a:?}") == format!("{b:?}")
    }

    proptest! {
        #[test]
        fn every_action_is_compared_as_by_a_pass_over_all_episodes(case in any_case()) {
            for found in case.evidence().actions(1) {
                let own = |at: &usize| case.action[*at] == found.action;
                let places: Vec<i64> = (0..case.action.len()).filter(own).map(|at| case.episode[at]).collect();
                prop_assert!(same(&found.odds_ratio, &case.odds(found.action, |_| true)));
                prop_assert_eq!(&found.occurrences.iter().map(|at| i64::from(*at)).collect::<Vec<_>>(), &places);
                let different: std::collections::BTreeSet<i64> = places.iter().copied().collect();
                prop_assert_eq!(found.episodes, different.len());
                let outcomes: f64 = different.iter().map(|place| case.outcomes[*place as usize]).sum();
                prop_assert_eq!(found.outcomes, outcomes);
            }
        }

        #[test]
        fn a_split_compares_the_episodes_with_a_value_and_those_without(case in any_case(), action in 0..4_i64) {
            let own: Vec<bool> = case.action.iter().map(|each| *each == action).collect();
            for split in case.evidence().splits(&own, 0, 1) {
                prop_assert!(same(&split.inside, &case.odds(action, |value| value == split.value)));
                prop_assert!(same(&split.outside, &case.odds(action, |value| value != split.value)));
            }
        }

        #[test]
        fn some_occurrences_are_compared_like_an_action(case in any_case(), action in 0..4_i64) {
            let own: Vec<bool> = case.action.iter().map(|each| *each == action).collect();
            let evidence = case.evidence();
            let found = evidence.of_some(&own, &vec![1.0; own.len()]);
            let listed = evidence.actions(1).into_iter().find(|each| each.action == action);
            prop_assert_eq!(listed.is_some(), own.contains(&true));
            if let Some(listed) = listed {
                prop_assert!(same(&listed.odds_ratio, &found.odds_ratio));
                prop_assert_eq!((listed.first, listed.successes), (found.first, found.successes));
            }
        }
    }

    #[test]
    fn a_split_needs_enough_episodes_on_all_four_sides() {
        let case = Case {
            strata: vec![0; 8],
            outcomes: vec![1.0; 8],
            features: vec![0, 0, 0, 0, 1, 1, 1, 1],
            episode: (0..8).collect(),
            action: vec![0, 0, 1, 1, 0, 0, 1, 1],
        };
        let own: Vec<bool> = case.action.iter().map(|action| *action == 0).collect();
        assert_eq!(case.evidence().splits(&own, 0, 2).len(), 2);
        assert!(case.evidence().splits(&own, 0, 3).is_empty());
    }

    #[test]
    fn values_are_the_most_frequent_in_ascending_order() {
        let case = Case {
            strata: vec![0; 5],
            outcomes: vec![1.0; 5],
            features: vec![7, 3, 7, 5, -1],
            episode: (0..5).collect(),
            action: vec![0; 5],
        };
        let evidence = case.evidence();
        let found = &evidence.actions(1)[0];
        assert_eq!(evidence.values_among(found, 0, 9), [3, 5, 7]);
        assert_eq!(evidence.values_among(found, 0, 2), [3, 7]);
    }

    #[test]
    fn unsound_columns_are_refused() {
        let columns = Arc::new(EpisodeColumns::new(vec![1.0, 0.0], vec![0, 0], 1).unwrap());
        let make = |episode: &[i64], strata: &[i64]| {
            let (action, success) = (vec![0; episode.len()], vec![1.0; episode.len()]);
            let occurrences = ActionOccurrences { episode, action: &action, success: &success };
            ConditionEvidence::new(columns.clone(), strata, occurrences).is_some()
        };
        assert!(make(&[0, 1], &[0, 0]));
        assert!(!make(&[1, 0], &[0, 0]) && !make(&[0, 2], &[0, 0]) && !make(&[-1], &[0, 0]));
        assert!(!make(&[0], &[0]));
        assert!(EpisodeColumns::new(vec![1.0], vec![], 1).is_none());
    }
}
