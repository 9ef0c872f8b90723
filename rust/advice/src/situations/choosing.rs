//! Ranking the actions that are possible now.

use super::actions::action_tokens;
use super::features::{PossibleAction, Scene};
use super::kept::KeptRuns;
use super::nearest::{NearSituation, nearest};
use super::proposals::proposals;
use super::situation::{AskedTexts, Situation};
use super::training::{FittedRanker, NEIGHBOURS};
use super::votes::Votes;
use crate::halt::Halt;
use crate::reason::Reason;
use crate::run::Run;
use tacit_kernels::facts::Id;

/// The cost of each earlier attempt at the action that changed nothing or failed in this very state.
const IN_VAIN: f32 = 6.0;
/// The cost of each time that the action was taken in this very state.
const TAKEN_HERE: f32 = 3.0;
/// The cost of each time that the action's destination was seen in this episode.
const SEEN: f32 = 0.5;
const MOST_SEEN: usize = 4;
/// The cost of a form that no recorded run used.
const NEW_FORM: f32 = 2.0;
/// Votes are counted as ln(share + 0.02).
const LEAST_SHARE: f32 = 0.02;
/// The cost of the votes against an action, before the first fit.
const AGAINST: f32 = 2.0;
/// Episodes that are named for one action.
const MOST_EPISODES: usize = 3;
/// The ranking is fitted again after growth by one part in so many.
const GROWTH: usize = 16;

/// One of the given actions.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedAction {
    /// Its place among the given actions.
    pub given: usize,
    /// All given actions sum to 1.
    pub probability: f64,
    /// Signals: values times weights sum to the probability.
    pub reasons: Vec<Reason>,
    /// Episodes in whose nearest situations it was taken, values aligned.
    pub episodes: Vec<Id>,
}

/// The recorded situations of one namespace, and the ranking that was fitted on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SituationModel {
    kept: KeptRuns,
    fitted: Option<FittedRanker>,
    /// Runs at the last fit, and those that went since.
    fitted_runs: usize,
    is_stale: bool,
}

/// Situations to fit a ranking on.
#[derive(Debug)]
pub(crate) struct KeptSituations(KeptRuns);

impl KeptSituations {
    /// None: it was halted.
    pub(crate) fn fit(&self, halt: &Halt) -> Option<FittedSituations> {
        Some(FittedSituations { ranker: FittedRanker::fit(&self.0, halt)?, runs: self.0.total() })
    }
}

/// A ranking to be put in place.
#[derive(Debug)]
pub(crate) struct FittedSituations {
    ranker: FittedRanker,
    runs: usize,
}

impl SituationModel {
    pub(crate) fn put(&mut self, run: &Run) {
        self.kept.put(run);
    }

    pub(crate) fn remove(&mut self, id: &Id) {
        self.is_stale |= self.kept.remove(id);
    }

    /// Forgets a run, and a ranking that may have been fitted on it.
    pub(crate) fn forget(&mut self, id: &Id) {
        if self.kept.remove(id) {
            self.fitted = None;
            self.is_stale = true;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.kept.bytes() + self.fitted.as_ref().map_or(0, |fitted| fitted.ranker.bytes())
    }

    /// Returns true if the ranking is to be fitted: none is, the runs have grown by a sixteenth, or one is gone.
    pub(crate) fn is_due(&self) -> bool {
        let runs = self.kept.total();
        runs > 0 && (self.is_stale || runs >= self.fitted_runs + (self.fitted_runs / GROWTH).max(1))
    }

    /// The situations that are held, copied so that a ranking can be fitted while questions are answered.
    pub(crate) fn to_fit(&self) -> KeptSituations {
        KeptSituations(self.kept.clone())
    }

    /// The oldest and the newest run that is held.
    pub(crate) fn ends(&self) -> (Id, Id) {
        let [first, last] = [self.kept.runs.first(), self.kept.runs.last()];
        (first.map_or([0; 16], |run| run.id), last.map_or([0; 16], |run| run.id))
    }

    /// Replaces the ranking and gives the one before. It is stale from the start if a situation changed meanwhile.
    pub(crate) fn set_fitted(&mut self, fitted: FittedSituations, is_stale: bool) -> FittedSituations {
        let runs = std::mem::replace(&mut self.fitted_runs, fitted.runs);
        let ranker = self.fitted.replace(fitted.ranker).unwrap_or_default();
        self.is_stale = is_stale;
        FittedSituations { ranker, runs }
    }

    /// The given actions (a tool or text, and its parameters as msgpack), the best first; at most `limit` of them.
    pub(crate) fn choose(
        &self,
        asked: &Run,
        state: &[u8],
        actions: &[(&str, &[u8])],
        limit: usize,
    ) -> Vec<RankedAction> {
        let texts = AskedTexts::read(asked, state);
        let (past, entries) = (texts.past(&self.kept.actions), texts.state());
        let situation = texts.situation(&past, &entries);
        let near = nearest(&self.kept, &situation, NEIGHBOURS);
        self.rank(&situation, &near, actions, limit)
    }

    /// Returns true if recorded actions are texts, which situations propose; calls are not proposed.
    pub(crate) fn proposes(&self) -> bool {
        self.kept.actions.are_phrases()
    }

    /// Actions that the nearest situations propose, carried over to this one, the best first; at most `limit` of them.
    /// Empty where recorded actions are calls.
    pub(crate) fn propose(&self, asked: &Run, state: &[u8], limit: usize) -> Vec<(String, RankedAction)> {
        if !self.proposes() {
            return Vec::new();
        }
        let texts = AskedTexts::read(asked, state);
        let (past, entries) = (texts.past(&self.kept.actions), texts.state());
        let situation = texts.situation(&past, &entries);
        let near = nearest(&self.kept, &situation, NEIGHBOURS);
        let proposed = proposals(&self.kept, &situation, &near, AskedTexts::spelling(asked, state));
        let actions: Vec<(&str, &[u8])> = proposed.iter().map(|text| (text.as_str(), &[][..])).collect();
        let ranked = self.rank(&situation, &near, &actions, limit);
        ranked.into_iter().map(|each| (proposed[each.given].clone(), each)).collect()
    }

    fn rank(
        &self,
        situation: &Situation<'_>,
        near: &[NearSituation],
        actions: &[(&str, &[u8])],
        limit: usize,
    ) -> Vec<RankedAction> {
        let votes = Votes::new(&self.kept, near);
        let kind = self.fitted.as_ref().and_then(|fitted| fitted.kinds.of(situation.task));
        let mut scene = Scene::new(situation, kind);
        let tokens: Vec<_> =
            actions.iter().map(|(tool, parameters)| action_tokens(tool, parameters)).collect();
        let candidates: Vec<PossibleAction<'_>> =
            tokens.iter().map(|tokens| scene.candidate(&self.kept.actions, tokens)).collect();
        let mut judged: Vec<Judged> =
            candidates.iter().map(|candidate| self.judge(&scene, candidate, &votes)).collect();
        share(&mut judged);
        let mut order: Vec<usize> = (0..judged.len()).collect();
        order.sort_by(|a, b| judged[*b].both.total_cmp(&judged[*a].both).then(a.cmp(b)));
        order.truncate(limit);
        let ranked = |given: usize| {
            let candidate = &candidates[given];
            let voters = votes.voters(&scene.given(candidate));
            let mut episodes: Vec<Id> = Vec::new();
            for voter in voters {
                let id = self.kept.runs[voter.run as usize].id;
                if episodes.len() < MOST_EPISODES && !episodes.contains(&id) {
                    episodes.push(id);
                }
            }
            RankedAction {
                given,
                probability: judged[given].both,
                reasons: judged[given].reasons(),
                episodes,
            }
        };
        order.into_iter().map(ranked).collect()
    }

    fn judge(&self, scene: &Scene<'_>, candidate: &PossibleAction<'_>, votes: &Votes<'_>) -> Judged {
        let shares = votes.shares(&scene.given(candidate));
        let by_votes = (shares.same + shares.aligned + LEAST_SHARE).ln() - AGAINST * shares.against;
        let is_new = self.fitted.as_ref().is_some_and(|fitted| fitted.is_new(candidate.parsed.form));
        let both = match &self.fitted {
            None => by_votes,
            Some(fitted) => {
                let mut features = Vec::new();
                scene.describe(candidate, shares, is_new, &mut features);
                fitted.ranker.score(&features)
            }
        };
        let (here, in_vain) = scene.taken_here(candidate);
        let seen = scene.seen(candidate).min(MOST_SEEN);
        let costs = IN_VAIN * in_vain as f32 + TAKEN_HERE * here as f32 + SEEN * seen as f32;
        let new_form = if is_new && !candidate.said { NEW_FORM } else { 0.0 };
        let costs = costs + new_form;
        Judged { votes: f64::from(by_votes), both: f64::from(both - costs) }
    }
}

/// One action's votes and scores, first as logarithms, then as shares of 1.
struct Judged {
    votes: f64,
    both: f64,
}

fn share(judged: &mut [Judged]) {
    let votes = softmax(judged.iter().map(|each| each.votes));
    let both = softmax(judged.iter().map(|each| each.both));
    for (each, (votes, both)) in judged.iter_mut().zip(votes.into_iter().zip(both)) {
        (each.votes, each.both) = (votes, both);
    }
}

/// Scores as shares of 1.
fn softmax(scores: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let most = scores.clone().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.map(|score| (score - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

impl Judged {
    fn reasons(&self) -> Vec<Reason> {
        let term = |signal, value| Reason { signal, value, weight: 1.0 };
        vec![term("situations", self.votes), term("features", self.both - self.votes)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunStep;
    use proptest::prelude::*;

    fn packed(text: &str) -> Box<[u8]> {
        let mut value = Vec::new();
        rmp::encode::write_str(&mut value, text).unwrap();
        value.into()
    }

    fn look(fruit: &str) -> String {
        format!("You see a note, a {fruit} and a fig.")
    }

    fn step(action: &str, fruit: &str, said: &str) -> RunStep {
        RunStep {
            tool: action.into(),
            ok: 1,
            output: packed(said),
            state: packed(&look(fruit)),
            ..RunStep::default()
        }
    }

    fn note(fruit: &str) -> RunStep {
        step("read note", fruit, &format!("The note says: bring the {fruit}."))
    }

    fn run(number: u8, fruit: &str) -> Run {
        let taken = step(&format!("take {fruit}"), fruit, &format!("You take the {fruit}."));
        let steps = vec![note(fruit), taken];
        Run { id: [number; 16], task: "Follow the note".into(), base: Some(1.0), steps, ..Run::default() }
    }

    fn model(fruits: &[&str]) -> SituationModel {
        let mut model = SituationModel::default();
        (0..).zip(fruits).for_each(|(number, fruit)| model.put(&run(number, fruit)));
        model
    }

    fn fit(model: &mut SituationModel) {
        let fitted = model.to_fit().fit(&Halt::default()).unwrap();
        model.set_fitted(fitted, false);
    }

    fn first(model: &SituationModel, steps: Vec<RunStep>, fruit: &str, actions: &[&str]) -> usize {
        let asked = Run { task: "Follow the note".into(), steps, ..Run::default() };
        let actions: Vec<(&str, &[u8])> = actions.iter().map(|action| (*action, &[][..])).collect();
        model.choose(&asked, &packed(&look(fruit)), &actions, 1)[0].given
    }

    const FRUITS: [&str; 5] = ["apple", "plum", "pear", "grape", "lime"];

    #[test]
    fn a_new_value_is_carried_over_before_and_after_the_fit() {
        let mut model = model(&FRUITS);
        for _ in 0..2 {
            let actions = ["read note", "take fig", "take melon"];
            assert_eq!(first(&model, vec![note("melon")], "melon", &actions), 2);
            assert_eq!(first(&model, vec![], "melon", &actions), 0);
            fit(&mut model);
        }
    }

    #[test]
    fn a_fit_is_due_after_growth_and_after_a_loss() {
        let mut model = SituationModel::default();
        assert!(!model.is_due());
        model.put(&run(1, "apple"));
        model.put(&run(2, "plum"));
        assert!(model.is_due());
        fit(&mut model);
        assert!(!model.is_due());
        model.remove(&[1; 16]);
        assert!(model.is_due() && model.fitted.is_some());
    }

    #[test]
    fn a_ranking_is_forgotten_with_a_run_that_it_may_have_been_fitted_on() {
        let mut model = model(&FRUITS);
        fit(&mut model);
        model.forget(&[99; 16]);
        assert!(model.fitted.is_some() && !model.is_due());
        model.forget(&[1; 16]);
        assert!(model.fitted.is_none() && model.is_due());
    }

    #[test]
    fn what_was_in_vain_in_this_very_state_comes_last() {
        let model = model(&FRUITS);
        let tried = step("take melon", "melon", "You cannot take that.");
        assert_eq!(first(&model, vec![note("melon"), tried], "melon", &["take melon", "take fig"]), 1);
    }

    #[test]
    fn the_oldest_situations_give_way_to_a_budget() {
        let mut model = SituationModel::default();
        for number in 0..40_u8 {
            let noise: String = (0..1_000).map(|at| format!("word{number}x{at} ")).collect();
            let steps = (0..60).map(|at| step("look", "fig", &format!("{at} {noise}"))).collect();
            model.put(&Run { id: [number; 16], steps, base: Some(1.0), ..Run::default() });
        }
        assert!(model.bytes() <= 5 << 20, "{}", model.bytes());
        let held: Vec<u8> = model.kept.runs.iter().map(|run| run.id[0]).collect();
        assert!(held.len() < 40 && held.last() == Some(&39) && held.is_sorted());
        (0..40).for_each(|number| model.remove(&[number; 16]));
        assert!(model.kept.runs.is_empty() && model.kept.bytes() < 1 << 20);
    }

    proptest! {
        #[test]
        fn answers_depend_on_the_runs_held_and_not_on_their_order(
            order in Just((0..FRUITS.len()).collect::<Vec<_>>()).prop_shuffle(),
            gone in prop::collection::vec("[a-z]{3,6}", 0..3),
        ) {
            let mut shuffled = SituationModel::default();
            (100..).zip(&gone).for_each(|(number, fruit)| shuffled.put(&run(number, fruit)));
            order.iter().for_each(|at| shuffled.put(&run(*at as u8, FRUITS[*at])));
            (100..).zip(&gone).for_each(|(number, _)| shuffled.remove(&[number; 16]));
            let mut models = [shuffled, model(&FRUITS)];
            let answers = models.each_mut().map(|model| {
                fit(model);
                let asked = Run { task: "Follow the note".into(), steps: vec![note("kiwi")], ..Run::default() };
                let actions: Vec<(&str, &[u8])> = vec![("take kiwi", &[]), ("take fig", &[]), ("read note", &[])];
                model.choose(&asked, &packed(&look("kiwi")), &actions, 9)
            });
            prop_assert_eq!(&answers[0], &answers[1]);
        }
    }
}
