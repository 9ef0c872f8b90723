//! Examples of recorded choices: the action that was taken, beside others that the situation seems to allow.

use super::actions::{ActionId, Parsed};
use super::features::{Feature, Scene};
use super::kept::{KeptRun, KeptRuns};
use super::nearest::NearestFinder;
use super::ranker::{Ranker, TaskKinds, Training};
use super::situation::{PastStep, Situation};
use super::tokens::{Token, hash, is_name, mix};
use super::votes::Votes;
use crate::halt::Halt;
use rustc_hash::{FxHashMap, FxHashSet};

/// Choices that are learned from, about: so many in a memory of up to `MANY_RUNS`, fewer in a larger one.
const MOST_CHOICES: usize = 4_000;
const LEAST_CHOICES: usize = 1_200;
const MANY_RUNS: usize = 1_000;
const EPOCHS: usize = 6;
/// Runs from which a feature must be shared by three of them, not two.
const FEW_RUNS: usize = 20;
/// Neighbours that vote.
pub(super) const NEIGHBOURS: usize = 20;
/// Other actions of one example, by where they come from.
const MOST_VARIANTS: usize = 8;
const MOST_OWN: usize = 8;
const MOST_NEAR: usize = 6;
const MOST_OTHERS: usize = 28;
/// The weight of the last action of a failed run.
const FAILED: f32 = -0.3;
/// The largest weight of a run that was better than most of its kind, short of a success.
const PARTIAL: f32 = 0.7;

/// A fitted ranking, with the kinds of tasks that it tells apart.
#[derive(Clone, Debug, Default)]
pub(super) struct FittedRanker {
    pub(super) ranker: Ranker,
    pub(super) kinds: TaskKinds,
    /// How many runs used each form.
    forms: FxHashMap<u64, u32>,
}

impl FittedRanker {
    /// Returns true if no recorded run used the form.
    pub(super) fn is_new(&self, form: u64) -> bool {
        !self.forms.contains_key(&form)
    }

    /// Fits a ranking on the recorded choices. None: it was halted.
    pub(super) fn fit(kept: &KeptRuns, halt: &Halt) -> Option<Self> {
        let mut kinds = TaskKinds::default();
        for run in &kept.runs {
            halt.go_on()?;
            kinds.add(kept.texts.get(run.task));
        }
        let forms = form_counts(kept);
        let choices = Choices::new(kept, &kinds, &forms, halt)?;
        let mut training = Training::default();
        for number in choices.sample() {
            choices.add_run(number, &mut training, halt)?;
        }
        let ranker = training.fit(EPOCHS, least_runs(kept.runs.len()), halt)?;
        Some(Self { ranker, kinds, forms })
    }
}

/// About how many choices of so many runs are learned from. Each costs more in a larger memory, and more of them make
/// the ranking too sure of itself there.
fn most_choices(runs: usize) -> usize {
    (MOST_CHOICES * MANY_RUNS / runs.max(1)).clamp(LEAST_CHOICES, MOST_CHOICES)
}

/// How many runs must share a feature.
fn least_runs(runs: usize) -> u32 {
    if runs < FEW_RUNS { 2 } else { 3 }
}

/// How many runs used each form.
fn form_counts(kept: &KeptRuns) -> FxHashMap<u64, u32> {
    let mut counts = FxHashMap::default();
    for run in &kept.runs {
        let forms = run.steps.iter().map(|step| kept.actions.parse(kept.actions.tokens(step.action)).form);
        let distinct: FxHashSet<u64> = forms.collect();
        distinct.into_iter().for_each(|form| *counts.entry(form).or_insert(0) += 1);
    }
    counts
}

/// The weight of each run: 1 for a success, less for a share above the mean of its kind. A run that achieved nothing, and
/// was not as long as the longest of its kind, ended by its last action: that one is to be avoided.
fn run_weights(kept: &KeptRuns, kinds: &[Option<u64>]) -> Vec<f32> {
    let mut means: FxHashMap<Option<u64>, (f32, f32)> = FxHashMap::default();
    let mut longest: FxHashMap<Option<u64>, usize> = FxHashMap::default();
    for (run, kind) in kept.runs.iter().zip(kinds) {
        let length = longest.entry(*kind).or_default();
        *length = run.steps.len().max(*length);
        if let Some(share) = run.share {
            let mean = means.entry(*kind).or_default();
            *mean = (mean.0 + share, mean.1 + 1.0);
        }
    }
    let weight = |(run, kind): (&KeptRun, &Option<u64>)| {
        let (sum, count) = means.get(kind).copied().unwrap_or((0.0, 1.0));
        let mean = sum / count;
        match run.share {
            None => 0.0,
            Some(share) if share >= 1.0 => 1.0,
            Some(share) if share > mean => PARTIAL * (share - mean) / (1.0 - mean),
            Some(share) if share <= 0.0 && run.steps.len() < longest[kind] => FAILED,
            Some(_) => 0.0,
        }
    };
    kept.runs.iter().zip(kinds).map(weight).collect()
}

/// Recorded choices, made ready to be described.
struct Choices<'k> {
    kept: &'k KeptRuns,
    forms: &'k FxHashMap<u64, u32>,
    vocabulary: Vocabulary<'k>,
    finder: NearestFinder<'k>,
    /// Of each run the kind of its task, and its weight.
    kinds: Vec<Option<u64>>,
    weights: Vec<f32>,
}

impl<'k> Choices<'k> {
    /// None: it was halted.
    fn new(
        kept: &'k KeptRuns,
        kinds: &TaskKinds,
        forms: &'k FxHashMap<u64, u32>,
        halt: &Halt,
    ) -> Option<Self> {
        let kind_of = |run: &KeptRun| halt.go_on().map(|()| kinds.of(kept.texts.get(run.task)));
        let kinds = kept.runs.iter().map(kind_of).collect::<Option<Vec<_>>>()?;
        let weights = run_weights(kept, &kinds);
        let (vocabulary, finder) = (Vocabulary::new(kept), NearestFinder::new(kept));
        Some(Self { kept, forms, vocabulary, finder, kinds, weights })
    }

    /// The runs that are learned from, the newest first: with more choices than `most_choices` an even part of them.
    fn sample(&self) -> impl Iterator<Item = usize> {
        let all = (0..self.kept.runs.len()).rev().filter(move |number| self.choices_of(*number) > 0);
        let choices: usize = all.clone().map(|number| self.choices_of(number)).sum();
        let most = most_choices(self.kept.runs.len()).min(choices);
        let kept = move |at: usize| at * most / choices.max(1);
        all.enumerate().filter(move |(at, _)| kept(at + 1) > kept(*at)).map(|(_, number)| number)
    }

    /// How many choices of a run are learned from: of one that went wrong the last, or none.
    fn choices_of(&self, number: usize) -> usize {
        let (steps, weight) = (self.kept.runs[number].steps.len(), self.weights[number]);
        if weight > 0.0 { steps } else { usize::from(weight < 0.0).min(steps) }
    }

    /// Adds the choices of one run. None: it was halted.
    fn add_run(&self, number: usize, training: &mut Training, halt: &Halt) -> Option<()> {
        let (run, weight) = (&self.kept.runs[number], self.weights[number]);
        let steps = self.kept.past(run);
        let task = self.kept.texts.similarities(self.kept.texts.get(run.task));
        for at in run.steps.len() - self.choices_of(number)..run.steps.len() {
            halt.go_on()?;
            if weight < 0.0 || !run.steps[at].failed {
                training.add(number as u32, weight, &self.described(number, at, &steps, &task));
            }
        }
        Some(())
    }

    /// The features of the action that was taken, then of others.
    fn described(&self, number: usize, at: usize, steps: &[PastStep<'_>], task: &[f32]) -> Vec<Vec<Feature>> {
        let (kept, run) = (self.kept, &self.kept.runs[number]);
        let state = kept.state(&run.steps[at]);
        let situation = kept.situation(run, at, &steps[..at], &state);
        let neighbours = self.finder.nearest(&situation, task, number, NEIGHBOURS);
        let near =
            neighbours.iter().map(|each| kept.runs[each.run as usize].steps[each.step as usize].action);
        let candidates = self.vocabulary.candidates(kept, run, at, &situation, near);
        let votes = Votes::new(kept, &neighbours);
        let mut scene = Scene::new(&situation, self.kinds[number]);
        let describe = |tokens: &Vec<Token>| {
            let candidate = scene.candidate(&kept.actions, tokens);
            let shares = votes.shares(&scene.given(&candidate));
            let form = candidate.parsed.form;
            let own = steps.iter().any(|step| step.parsed.form == form);
            let is_new = self.forms.get(&form).is_none_or(|runs| *runs <= u32::from(own));
            let mut features = Vec::new();
            scene.describe(&candidate, shares, is_new, &mut features);
            features
        };
        candidates.iter().map(describe).collect()
    }
}

/// One form of recorded actions, with an action of it.
struct Form<'k> {
    parsed: Parsed,
    example: &'k [Token],
}

/// The forms and values of all recorded actions.
struct Vocabulary<'k> {
    forms: Vec<Form<'k>>,
    /// Values by their first word; with the form of the slot for calls with parameters.
    values: FxHashMap<Token, Vec<&'k [Token]>>,
    /// Set if values are exchanged: those of texts are, those of calls are not.
    exchanges: bool,
}

impl<'k> Vocabulary<'k> {
    fn new(kept: &'k KeptRuns) -> Self {
        let mut forms: FxHashMap<u64, Form<'k>> = FxHashMap::default();
        let mut values: FxHashMap<Token, Vec<&'k [Token]>> = FxHashMap::default();
        let mut seen = FxHashSet::default();
        let steps = kept.runs.iter().flat_map(|run| run.steps.iter());
        let ids = steps.flat_map(|step| std::iter::once(step.action).chain(step.offered.iter().copied()));
        let mut distinct: Vec<ActionId> = ids.collect();
        distinct.sort_by_cached_key(|id| hash(kept.actions.tokens(*id))); // ids tell the order of arrival
        distinct.dedup();
        for id in distinct {
            let example = kept.actions.tokens(id);
            let parsed = kept.actions.parse(example);
            for value in parsed.values(example) {
                if seen.insert(hash(value)) {
                    values.entry(value[0]).or_default().push(value);
                }
            }
            forms.entry(parsed.form).or_insert(Form { parsed, example });
        }
        let mut forms: Vec<Form<'k>> = forms.into_values().collect();
        forms.sort_unstable_by_key(|form| form.parsed.form);
        let exchanges = forms.iter().any(|form| !form.is_call() && !form.parsed.slots.is_empty());
        Self { forms, values, exchanges }
    }

    /// The values that the last result or the state names.
    fn present(&self, situation: &Situation<'_>) -> Vec<&'k [Token]> {
        let mut present: Vec<&'k [Token]> = Vec::new();
        let texts = situation.state.iter().map(|(_, text)| *text).chain([situation.last]);
        for text in texts {
            for (at, token) in text.iter().enumerate() {
                let here = self
                    .values
                    .get(token)
                    .into_iter()
                    .flatten()
                    .filter(|value| text[at..].starts_with(value));
                for value in here {
                    if !present.contains(value) {
                        present.push(value);
                    }
                }
            }
        }
        present
    }

    /// The action that was taken, then others: it with other values, those of the same run, those of the nearest
    /// situations, and other forms with values that are present.
    fn candidates(
        &self,
        kept: &KeptRuns,
        run: &KeptRun,
        at: usize,
        situation: &Situation<'_>,
        near: impl Iterator<Item = ActionId>,
    ) -> Vec<Vec<Token>> {
        let chosen = kept.actions.tokens(run.steps[at].action);
        let offered = &run.steps[at].offered;
        if !offered.is_empty() {
            let all = std::iter::once(&run.steps[at].action).chain(offered.iter());
            return all.map(|id| kept.actions.tokens(*id).to_vec()).collect();
        }
        let present = if self.exchanges { self.present(situation) } else { Vec::new() };
        let seed = hash(chosen) ^ at as u64;
        let own = run.steps.iter().map(|step| kept.actions.tokens(step.action).to_vec());
        let near = near.map(|id| kept.actions.tokens(id).to_vec());
        let mut list =
            CandidateList { list: vec![chosen.to_vec()], seen: [hash(chosen)].into_iter().collect() };
        list.add(shuffled(seed, variants(&kept.actions.parse(chosen), chosen, &present)), MOST_VARIANTS);
        list.add(shuffled(seed, own.collect()), MOST_OWN);
        list.add(near.collect(), MOST_NEAR);
        let others = self.forms.iter().flat_map(|form| form.filled(&present, seed)).collect();
        let room = (1 + MOST_OTHERS).saturating_sub(list.list.len());
        list.add(shuffled(seed, others), room);
        list.list
    }
}

struct CandidateList {
    list: Vec<Vec<Token>>,
    seen: FxHashSet<u64>,
}

impl CandidateList {
    fn add(&mut self, candidates: Vec<Vec<Token>>, most: usize) {
        let room = self.list.len() + most;
        for candidate in candidates {
            if self.list.len() < room && self.seen.insert(hash(&candidate)) {
                self.list.push(candidate);
            }
        }
    }
}

/// In an order that looks random and is always the same.
fn shuffled(seed: u64, mut candidates: Vec<Vec<Token>>) -> Vec<Vec<Token>> {
    candidates.sort_by_cached_key(|candidate| mix(&[seed, hash(candidate)]));
    candidates
}

/// The action with one of its values replaced.
fn variants(parsed: &Parsed, action: &[Token], present: &[&[Token]]) -> Vec<Vec<Token>> {
    let is_call = action.iter().any(|token| is_name(*token));
    let slots = if is_call { &[][..] } else { &parsed.slots };
    let replace = |(start, end): &(u32, u32), value: &[Token]| {
        [&action[..*start as usize], value, &action[*end as usize..]].concat()
    };
    slots.iter().flat_map(|slot| present.iter().map(move |value| replace(slot, value))).collect()
}

impl Form<'_> {
    fn is_call(&self) -> bool {
        self.example.iter().any(|token| is_name(*token))
    }

    /// The form with values that are present: each for one slot, some pairs for two.
    fn filled(&self, present: &[&[Token]], seed: u64) -> Vec<Vec<Token>> {
        match self.parsed.slots.as_slice() {
            [] => vec![self.example.to_vec()],
            _ if self.is_call() => vec![self.example.to_vec()],
            [_] => variants(&self.parsed, self.example, present),
            slots => (0..present.len().min(4) as u64)
                .map(|turn| {
                    let mut action = self.example.to_vec();
                    for (number, (start, end)) in slots.iter().enumerate().rev() {
                        let at = mix(&[seed, self.parsed.form, turn, number as u64]) % present.len() as u64;
                        action.splice(*start as usize..*end as usize, present[at as usize].iter().copied());
                    }
                    action
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_memory_learns_from_fewer_choices_but_never_from_too_few() {
        let choices = [0, 100, 1_000, 2_000, 10_000, 1_000_000].map(most_choices);
        assert_eq!(choices, [4_000, 4_000, 4_000, 2_000, 1_200, 1_200]);
    }
}
