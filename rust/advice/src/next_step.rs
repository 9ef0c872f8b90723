//! The next step of a run: counts of successful runs, and a softmax regression fitted on them.

mod backoff_counts;
mod compact_runs;
mod cross_fit;
mod features;
mod fixes;
mod logistic;
mod mixture;
mod nearest;
mod softmax;
mod step_model;
mod tools;

pub use fixes::Fix;
pub(super) use step_model::SoftmaxModel;

use crate::reason::Reason;
use crate::run::Run;
use backoff_counts::{CHAINS, ContextCounts, Prefix, StepSymbol, expected_shares, support_of, symbol_of};
use compact_runs::{CompactRun, CompactRuns, IN_BATCH, UNKNOWN};
use features::{RunFeatures, domain_of, step_symbol};
use fixes::{Failure, FixCounts, FixDiscounts, HeldOutError, before};
use mixture::MEMBERS;
use softmax::{MOST_POSITIONS, evidence};
use tacit_kernels::facts::Id;
use tools::{FINISH, SymbolNumbers, ToolNumbers};

/// The models are fitted again after growth by one part in so many, and by at most so many runs.
const GROWTH: usize = 16;
const MOST_NEW: usize = 250;
const EQUAL_CHAINS: [f32; CHAINS] = [1.0 / CHAINS as f32; CHAINS];
/// The score by features of a tool that the fit has not seen.
const UNSEEN: f64 = -20.0;
/// The newest runs that are searched for errors, and about how many errors discounts are learned from.
const MOST_READ: usize = 1_000;
const MOST_ERRORS: usize = 500;

/// A step that may come next.
#[derive(Clone, Debug, PartialEq)]
pub struct SuggestedStep {
    /// None: the run may finish.
    pub tool: Option<String>,
    /// All steps that may come next sum to 1.
    pub probability: f64,
    /// How many steps of successful runs were taken after the longest known run of the last tools.
    pub support: f64,
    /// Signals: values times weights sum to the probability.
    pub reasons: Vec<Reason>,
    /// A few of the runs that took this step after the same last tools: the most alike, then the newest.
    pub episodes: Vec<Id>,
}

/// The steps of one namespace's runs. The model depends on the runs, not on their order.
#[derive(Debug, Default)]
pub(super) struct NextStepModel {
    tools: ToolNumbers,
    symbols: SymbolNumbers,
    runs: CompactRuns,
    counts: ContextCounts,
    fixes: FixCounts,
    discounts: FittedDiscounts,
    fitted: Option<FittedSoftmax>,
}

/// The fitted regression.
#[derive(Debug)]
struct FittedSoftmax {
    softmax: SoftmaxModel,
    /// How many successes there were.
    size: usize,
    /// The runs that it was learned from, oldest first.
    from: Vec<Id>,
    /// Set if one of them is gone.
    is_stale: bool,
}

/// The discounts of rare contexts of an error, and what they were learned from.
#[derive(Debug, Default)]
struct FittedDiscounts {
    discounts: FixDiscounts,
    /// How many runs there were.
    runs: usize,
    /// Set if one of them is gone or has changed.
    is_stale: bool,
}

/// The newest errors whose fix is known, as the counts of the other runs see them.
pub(crate) struct DueFixes {
    errors: Vec<HeldOutError>,
    runs: usize,
}

impl DueFixes {
    pub(crate) fn fit(&self) -> FittedFixes {
        FittedFixes { discounts: FixDiscounts::fit(&self.errors), runs: self.runs }
    }
}

/// Discounts to be put in place.
#[derive(Debug)]
pub(crate) struct FittedFixes {
    discounts: FixDiscounts,
    runs: usize,
}

/// A query: the run so far, and its expected next steps by each chain.
struct StepQuery<'a> {
    run: &'a Run,
    prefix: Prefix,
    expected: Vec<f64>,
    support: f64,
}

impl NextStepModel {
    /// Counts an episode that has ended. One that was counted before must be removed first.
    ///
    /// One whose outcome is unknown shows which fixes worked, as a failed one does, and nothing else.
    pub(super) fn put(&mut self, run: &Run) {
        let domain = self.symbols.number(domain_of(run));
        let agent = self.symbols.number(symbol_of(run.agent.as_deref()));
        let (tools, symbols) = (&mut self.tools, &mut self.symbols);
        let numbers = run.ordered_steps().into_iter().map(|(step, is_start)| {
            let class = symbols.number(step_symbol(step).class);
            [tools.number(&step.tool), if is_start { class } else { class | IN_BATCH }]
        });
        let run = CompactRun::new(run.id, run.is_success(), domain, agent, numbers);
        self.count(&run, ContextCounts::add, ToolNumbers::used);
        self.runs.insert(run);
    }

    /// Takes back one `put`. A regression that was fitted on the run becomes stale.
    pub(super) fn remove(&mut self, id: &Id) {
        if let Some(fitted) = &mut self.fitted {
            fitted.is_stale |= fitted.from.binary_search(id).is_ok();
        }
        self.discounts.is_stale = true;
        if let Some(run) = self.runs.remove(id) {
            self.count(&run, ContextCounts::remove, ToolNumbers::unused);
        }
    }

    fn count(
        &mut self,
        run: &CompactRun,
        change: fn(&mut ContextCounts, &[u64], u32),
        using: fn(&mut ToolNumbers, u32),
    ) {
        let (agent, steps) = self.symbols_of(run);
        let starts = run.starts();
        self.fixes.count(agent, &steps, &starts, run.succeeded, change);
        if !run.succeeded {
            return;
        }
        let mut prefix = Prefix::new(self.symbols.symbol(run.domain()), agent);
        for (at, start) in starts.iter().enumerate() {
            let stretch = &steps[*start..starts.get(at + 1).copied().unwrap_or(steps.len())];
            for (tool, _) in stretch {
                change(&mut self.counts, &prefix.contexts(), *tool);
                using(&mut self.tools, *tool);
            }
            stretch.iter().for_each(|(_, step)| prefix.step(*step));
        }
        change(&mut self.counts, &prefix.contexts(), FINISH);
        using(&mut self.tools, FINISH);
    }

    /// The symbol of a run's agent, and its steps.
    fn symbols_of(&self, run: &CompactRun) -> (u64, Vec<(u32, StepSymbol)>) {
        let steps = run.steps().iter().map(|step| (step[0], self.step_symbol(*step))).collect();
        (self.symbols.symbol(run.agent()), steps)
    }

    /// Takes back one `put` for good: a regression that was fitted on the run is forgotten with it.
    pub(super) fn forget(&mut self, id: &Id) -> bool {
        self.remove(id);
        let was_fitted_on = self.fitted.take_if(|fitted| fitted.from.binary_search(id).is_ok()).is_some();
        self.discounts.discounts = FixDiscounts::default();
        was_fitted_on
    }

    /// Returns true if the discounts are to be learned again: a run is gone, or there is one more in sixteen.
    pub(crate) fn are_fixes_due(&self) -> bool {
        let FittedDiscounts { runs, is_stale, .. } = self.discounts;
        let held = self.runs.len();
        held > 0 && (is_stale || held >= runs + (runs / GROWTH).max(1))
    }

    /// The newest errors, each as the counts of the other runs see it.
    pub(crate) fn due_fixes(&self) -> DueFixes {
        let mut errors = Vec::new();
        for run in self.runs.newest(MOST_READ) {
            let (agent, steps) = self.symbols_of(run);
            errors.extend(self.fixes.held_out(agent, &steps, &run.starts(), run.succeeded));
            if errors.len() >= MOST_ERRORS {
                break;
            }
        }
        DueFixes { errors, runs: self.runs.len() }
    }

    /// The newest run.
    pub(crate) fn last_run(&self) -> Id {
        self.runs.last()
    }

    pub(crate) fn set_fixes(&mut self, fitted: &FittedFixes, is_stale: bool) {
        self.discounts = FittedDiscounts { discounts: fitted.discounts, runs: fitted.runs, is_stale };
    }

    fn step_symbol(&self, [tool, class]: [u32; 2]) -> StepSymbol {
        StepSymbol { tool: self.tools.symbol(tool), class: self.symbols.symbol(class & !IN_BATCH) }
    }

    /// The next steps after those of `run`, the likeliest first. Empty before the first success.
    pub(super) fn suggest(&self, run: &Run, limit: usize) -> Vec<SuggestedStep> {
        let known = self.tools.known();
        if known.is_empty() {
            return Vec::new();
        }
        let query = self.query(run);
        let scores = self.scores(&query);
        let mut best: Vec<usize> = (0..known.len()).collect();
        best.sort_by(|a, b| scores[*b].probability().total_cmp(&scores[*a].probability()));
        best.truncate(limit);
        let last = run.steps.iter().rev().map(|step| self.tools.get(&step.tool).unwrap_or(UNKNOWN));
        let last: Vec<u32> = last.chain([FINISH]).take(4).collect();
        let domain = self.symbols.get(domain_of(run));
        let suggested = |at: usize| SuggestedStep {
            tool: self.tools.name(known[at]).map(str::to_owned),
            probability: scores[at].probability(),
            support: query.support,
            reasons: scores[at].reasons(),
            episodes: self.runs.examples_of(&last, known[at], domain),
        };
        best.into_iter().map(suggested).collect()
    }

    fn query<'a>(&self, run: &'a Run) -> StepQuery<'a> {
        let mut prefix = Prefix::new(domain_of(run), symbol_of(run.agent.as_deref()));
        run.ordered_steps().into_iter().for_each(|(step, _)| prefix.step(step_symbol(step)));
        let rows = prefix.contexts().map(|context| self.counts.row(context));
        let rows = rows.each_ref().map(|row| row.counts());
        let mut expected = vec![0.0; CHAINS * self.tools.known().len()];
        expected_shares(&rows, &mut expected, |tool| self.tools.place(tool));
        StepQuery { run, prefix, expected, support: f64::from(support_of(&rows)) }
    }

    /// The scores of each known tool.
    fn scores(&self, query: &StepQuery<'_>) -> Vec<StepScores> {
        let Some(FittedSoftmax { softmax, .. }) = &self.fitted else {
            let sequence = shares(&self.chain_scores(query, &EQUAL_CHAINS));
            return sequence.into_iter().map(StepScores::of_counts).collect();
        };
        let members = self.opinions(query, softmax);
        let opinions: Vec<f32> = members.iter().flatten().map(|share| *share as f32).collect();
        let pooled = softmax.mixture().pool(&opinions);
        let scores = |at: usize| StepScores {
            members: members.each_ref().map(|member| member[at]),
            weights: softmax.mixture().weights,
            probability: pooled[at],
        };
        (0..opinions.len() / MEMBERS).map(scores).collect()
    }

    /// The log-linear score of each known tool by the chains.
    fn chain_scores(&self, query: &StepQuery<'_>, weights: &[f32; CHAINS]) -> Vec<f64> {
        let mut sums = vec![0.0; self.tools.known().len()];
        for (chain, weight) in query.expected.chunks_exact(sums.len()).zip(weights) {
            let scores = chain.iter().map(|expected| f64::from(weight * evidence(*expected)));
            sums.iter_mut().zip(scores).for_each(|(sum, scores)| *sum += scores);
        }
        sums
    }

    /// The probability of each known tool by each member of the mixture. Tools that the fit has not seen have only the
    /// chains; where nothing is near, the nearest prefixes agree with the first member.
    fn opinions(&self, query: &StepQuery<'_>, softmax: &SoftmaxModel) -> [Vec<f64>; MEMBERS] {
        let run = RunFeatures::ending(query.run);
        let [beside, alone, logistic] = softmax.score(&run, &query.prefix);
        let votes = softmax.votes(&run, &query.prefix);
        let columns: Vec<Option<usize>> =
            self.tools.known().iter().map(|tool| softmax.column(self.tools.symbol(*tool))).collect();
        let of = |values: &[f32], without: f64| -> Vec<f64> {
            let value = |at: usize| values.get(at).map_or(without, |value| f64::from(*value));
            columns.iter().map(|column| column.map_or(without, value)).collect()
        };
        let joint = self.chain_scores(query, softmax.chain_weights());
        let joint = shares(&joint.iter().zip(of(&beside, 0.0)).map(|(a, b)| a + b).collect::<Vec<f64>>());
        let vote = |votes: &[f32]| {
            let found = of(votes, 0.0);
            let sum: f64 = found.iter().sum();
            if sum > 0.0 { found.into_iter().map(|each| each / sum).collect() } else { joint.clone() }
        };
        let (plain, with_fields) = (vote(&votes.plain), vote(&votes.with_fields));
        let sequence = shares(&self.chain_scores(query, &EQUAL_CHAINS));
        let (alone, logistic) = (shares(&of(&alone, UNSEEN)), shares(&of(&logistic, UNSEEN)));
        [joint, sequence, alone, plain, with_fields, logistic]
    }

    /// Fixes for an error of `class`, the likeliest to work first. The run's steps are those before the error, or end
    /// with the step that failed; steps and agent may be missing.
    pub(super) fn recover(&self, run: &Run, tool: Option<&str>, class: &str, limit: usize) -> Vec<Fix> {
        let ordered = run.ordered_steps();
        let steps: Vec<(u32, StepSymbol)> = ordered.iter().map(|(step, _)| (0, step_symbol(step))).collect();
        let failed = StepSymbol { tool: symbol_of(tool), class: symbol_of(Some(class)) };
        // The failed step stands in the last stretch: the steps before are those before its batch.
        let start = ordered.iter().rposition(|(_, is_start)| *is_start).unwrap_or(0);
        let ends_with_it = steps[start..].iter().any(|(_, last)| *last == failed);
        let at = if ends_with_it { start } else { steps.len() };
        let before = (tool.is_some() && !steps.is_empty()).then(|| before(&steps, at));
        let agent = symbol_of(run.agent.as_deref());
        let (mut fixes, support) = self.fixes.ranked(
            &Failure { tool: failed.tool, class: failed.class, agent, before },
            &self.discounts.discounts,
        );
        fixes.sort_by(|a, b| {
            b.1.total_cmp(&a.1).then_with(|| self.tools.name(a.0).cmp(&self.tools.name(b.0)))
        });
        let number = |class: u64| self.symbols.get(class);
        let known = tool.and_then(|tool| self.tools.get(tool)).zip(number(failed.class).zip(number(0)));
        let known = known.map(|(tool, (class, well))| ([tool, class], well));
        let fix = |(tool, probability)| Fix {
            tool: self.tools.name(tool).map(str::to_owned),
            probability,
            support: f64::from(support),
            episodes: known
                .map_or_else(Vec::new, |(failed, well)| self.runs.examples_of_fix(failed, tool, well)),
        };
        fixes.into_iter().take(limit).map(fix).collect()
    }

    /// Returns true if the regression is to be fitted again: see `due`.
    pub(crate) fn is_due(&self) -> bool {
        let size = grid_size(self.runs.successes());
        let is_current = self.fitted.as_ref().is_some_and(|fitted| fitted.size == size && !fitted.is_stale);
        size > 0 && !is_current
    }

    /// The successes to fit on, oldest first; `None` means that the last fit is current: its runs are all held, and the
    /// number of successes is on the same step of the grid of sizes. They are the newest of the oldest so many, with at
    /// most 20,000 next steps together.
    pub(super) fn due(&self) -> Option<Vec<Id>> {
        if !self.is_due() {
            return None;
        }
        let size = grid_size(self.runs.successes());
        let first: Vec<(&Id, usize)> = self.runs.succeeded().take(size).collect();
        let mut positions = 0;
        let newest = first.iter().rev().take_while(|(_, more)| {
            positions += more;
            positions <= MOST_POSITIONS
        });
        let count = newest.count().max(1);
        Some(first[first.len() - count..].iter().map(|(id, _)| **id).collect())
    }

    /// Replaces the regression by one fitted on the runs that `due` named, and gives the one before. Some of the runs may
    /// have changed by now, or be no successes any more.
    pub(crate) fn set_fitted(
        &mut self,
        softmax: SoftmaxModel,
        from: Vec<Id>,
        was_changed: bool,
    ) -> Option<SoftmaxModel> {
        let is_stale = was_changed || !from.iter().all(|id| self.runs.has_success(id));
        let size =
            self.runs.succeeded().take_while(|(id, _)| from.last().is_some_and(|last| *id <= last)).count();
        let before = self.fitted.replace(FittedSoftmax { softmax, size, from, is_stale });
        before.map(|fitted| fitted.softmax)
    }

    pub(super) fn bytes(&self) -> usize {
        let fitted = self.fitted.as_ref().map_or(0, |fitted| fitted.softmax.bytes() + fitted.from.len() * 16);
        self.runs.bytes()
            + fitted
            + self.counts.bytes()
            + self.fixes.bytes()
            + self.tools.bytes()
            + self.symbols.bytes()
    }
}

/// The largest size of the grid that is not above `count`: up to 31 every size, then 32, 34, 36, ...
fn grid_size(count: usize) -> usize {
    let mut size = 0;
    while next_size(size) <= count && size < GROWTH * MOST_NEW {
        size = next_size(size);
    }
    size + count.saturating_sub(size) / MOST_NEW * MOST_NEW * usize::from(size >= GROWTH * MOST_NEW)
}

fn next_size(size: usize) -> usize {
    size + (size / GROWTH).clamp(1, MOST_NEW)
}

/// The scores of one tool.
#[derive(Clone, Copy)]
struct StepScores {
    /// The probability by each member of the mixture, and the member's weight.
    members: [f64; MEMBERS],
    weights: [f64; MEMBERS],
    /// The probability by the whole mixture.
    probability: f64,
}

impl StepScores {
    /// Before the first fit the chains decide alone.
    fn of_counts(sequence: f64) -> Self {
        let (mut members, mut weights) = ([0.0; MEMBERS], [0.0; MEMBERS]);
        (members[1], weights[1]) = (sequence, 1.0);
        Self { members, weights, probability: sequence }
    }

    fn probability(&self) -> f64 {
        self.probability
    }

    /// Each member by its weight; `agreement` is the rest of the probability.
    fn reasons(&self) -> Vec<Reason> {
        let [joint, sequence, features, plain, with_fields, logistic] = self.members;
        let [joint_weight, sequence_weight, features_weight, plain_weight, fields_weight, logistic_weight] =
            self.weights;
        let linear: f64 = self.members.iter().zip(&self.weights).map(|(value, weight)| value * weight).sum();
        let nearest_weight = plain_weight + fields_weight;
        let nearest = match nearest_weight > 0.0 {
            true => (plain * plain_weight + with_fields * fields_weight) / nearest_weight,
            false => 0.0,
        };
        let terms = [
            ("sequence", sequence, sequence_weight),
            ("features", features, features_weight),
            ("joint", joint, joint_weight),
            ("logistic", logistic, logistic_weight),
            ("nearest", nearest, nearest_weight),
            ("agreement", self.probability - linear, 1.0),
        ];
        let terms = terms.into_iter().filter(|(_, value, weight)| *value != 0.0 && *weight > 0.0);
        terms.map(|(signal, value, weight)| Reason { signal, value, weight }).collect()
    }
}

/// Scores as shares of 1.
fn shares(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|score| (score - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::run::RunStep;
    use proptest::prelude::*;

    /// A text as a msgpack value.
    pub(super) fn packed(text: &str) -> Box<[u8]> {
        let mut value = Vec::new();
        rmp::encode::write_str(&mut value, text).unwrap();
        value.into()
    }

    /// A run of the tools, those with "!" failing; every number is a task of its own.
    pub(super) fn run(number: u8, tools: &str, base: Option<f64>) -> Run {
        let step = |word: &str| RunStep {
            tool: word.trim_end_matches('!').into(),
            ok: i8::from(!word.ends_with('!')),
            error_class: word.ends_with('!').then(|| "refused".into()),
            ..RunStep::default()
        };
        let steps = tools.split_whitespace().map(step).collect();
        Run { id: [number; 16], group: u64::from(number), domain: "d".into(), base, steps, ..Run::default() }
    }

    fn model(plans: &[&str]) -> NextStepModel {
        let mut model = NextStepModel::default();
        plans.iter().enumerate().for_each(|(at, plan)| model.put(&run(at as u8, plan, Some(1.0))));
        model
    }

    fn names(suggested: &[SuggestedStep]) -> Vec<&str> {
        suggested.iter().map(|each| each.tool.as_deref().unwrap_or("-")).collect()
    }

    #[test]
    fn an_empty_memory_suggests_nothing_and_a_failure_teaches_no_step() {
        let mut model = NextStepModel::default();
        assert!(model.suggest(&run(9, "", None), 5).is_empty());
        model.put(&run(1, "a b", Some(0.0)));
        model.put(&run(2, "a b", None));
        assert!(model.suggest(&run(9, "", None), 5).is_empty());
        assert_eq!(model.due(), None);
    }

    #[test]
    fn what_followed_the_last_tools_comes_first_and_finish_is_one_of_the_steps() {
        let model = model(&["look read write", "look read write", "look write"]);
        assert_eq!(names(&model.suggest(&run(9, "look read", None), 9))[0], "write");
        let last = model.suggest(&run(9, "look read write", None), 9);
        assert_eq!((names(&last)[0], last[0].support), ("-", 2.0));
        assert!((last.iter().map(|each| each.probability).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn reasons_sum_to_the_probability_before_and_after_learning() {
        let mut model = model(&["look read write", "look read write", "look write", "look read"]);
        for _ in 0..2 {
            for each in model.suggest(&run(9, "look", None), 9) {
                let sum: f64 = each.reasons.iter().map(|term| term.value * term.weight).sum();
                assert!((sum - each.probability).abs() < 1e-12);
            }
            let runs: Vec<Run> = (0..4).map(|number| run(number, "look read write", Some(1.0))).collect();
            set_fitted(&mut model, &runs, (0..4).map(|number| [number; 16]).collect());
        }
    }

    #[test]
    fn the_runs_behind_a_step_are_the_most_alike_then_the_newest() {
        let model =
            model(&["look read write", "read write", "look read write", "look write", "look read write"]);
        let first = &model.suggest(&run(9, "look read", None), 1)[0];
        assert_eq!(first.episodes, [[4; 16], [2; 16], [0; 16]]);
    }

    #[test]
    fn a_tool_that_only_forgotten_runs_used_is_not_suggested() {
        let mut model = model(&["look read", "look write"]);
        model.remove(&[1; 16]);
        let suggested = model.suggest(&run(9, "look", None), 9);
        assert_eq!((suggested.len(), names(&suggested).contains(&"write")), (3, false));
    }

    fn set_fitted(model: &mut NextStepModel, runs: &[Run], from: Vec<Id>) {
        model.set_fitted(SoftmaxModel::fit(runs, &crate::Halt::default()).unwrap(), from, false);
    }

    fn learn(model: &mut NextStepModel) {
        let due = model.due().unwrap();
        let runs: Vec<Run> = due.iter().map(|id| run(id[0], "a b", Some(1.0))).collect();
        set_fitted(model, &runs, due);
    }

    #[test]
    fn a_fit_is_due_again_after_enough_growth() {
        let mut model = model(&["a b"; 60]);
        assert_eq!(model.due().map(|due| due.len()), Some(60));
        learn(&mut model);
        assert_eq!(model.due(), None);
        (60..62).for_each(|number| model.put(&run(number, "a b", Some(1.0))));
        assert_eq!(model.due(), None);
        model.put(&run(62, "a b", Some(1.0)));
        assert_eq!(model.due().unwrap().last(), Some(&[62; 16]));
    }

    #[test]
    fn a_fit_is_due_again_when_one_of_its_runs_is_forgotten() {
        let mut model = model(&["a b"; 62]);
        learn(&mut model);
        model.remove(&[61; 16]);
        assert_eq!(model.due(), None, "it did not learn from the last one");
        model.put(&run(61, "a b", Some(1.0)));
        model.remove(&[7; 16]);
        let due = model.due().unwrap();
        assert_eq!((due.len(), due.contains(&[7; 16])), (60, false));
        learn(&mut model);
        assert_eq!(model.due(), None);
    }

    #[test]
    fn what_was_forgotten_while_memory_learned_from_it_is_not_kept() {
        let mut model = model(&["a b"; 4]);
        let due = model.due().unwrap();
        model.remove(&[1; 16]);
        model.put(&run(9, "a b", Some(1.0)));
        let runs: Vec<Run> = due.iter().map(|id| run(id[0], "a b", Some(1.0))).collect();
        set_fitted(&mut model, &runs, due);
        assert_eq!(model.due().unwrap(), [[0; 16], [2; 16], [3; 16], [9; 16]]);
    }

    #[test]
    fn sizes_grow_by_a_sixteenth_and_no_more_than_250() {
        let mut sizes: Vec<usize> = (28..46).map(grid_size).collect();
        sizes.dedup();
        assert_eq!(sizes, [28, 29, 30, 31, 32, 34, 36, 38, 40, 42, 44]);
        assert_eq!([0, 1, 34, 35].map(grid_size), [0, 1, 34, 34]);
        let large = grid_size(1_000_000);
        assert!(large <= 1_000_000 && large > 999_750);
        assert_eq!((grid_size(large), grid_size(large - 1)), (large, large - 250));
    }

    #[test]
    fn the_way_out_that_worked_comes_first() {
        let mut model = NextStepModel::default();
        for (number, plan) in
            ["look! list look", "look! list look", "look! look! list look", "list look"].iter().enumerate()
        {
            model.put(&run(number as u8, plan, Some((number % 2) as f64)));
        }
        let fixes = model.recover(&run(9, "", None), Some("look"), "refused", 5);
        assert_eq!((fixes[0].tool.as_deref(), fixes[0].support), (Some("list"), 3.0));
        assert!((fixes.iter().map(|fix| fix.probability).sum::<f64>() - 1.0).abs() < 1e-12);
        let again = model.recover(&run(9, "look!", None), Some("look"), "refused", 5);
        assert_eq!(again[0].support, 2.0, "two runs began with it");
        assert_eq!(model.recover(&run(9, "", None), None, "refused", 1)[0].tool.as_deref(), Some("list"));
    }

    #[test]
    fn a_failed_run_that_ended_with_an_error_did_not_find_a_way_out() {
        let mut model = model(&["look read!"]);
        model.put(&run(8, "look look!", Some(0.0)));
        let ends = |tool: &str| model.recover(&run(9, "", None), Some(tool), "refused", 9);
        assert_eq!(ends("read")[0].tool, None);
        assert!(ends("look").iter().all(|fix| fix.support == 0.0));
    }

    proptest! {
        #[test]
        fn answers_depend_on_the_runs_held_and_not_on_their_order(
            plans in prop::collection::vec("([abc]!? ){0,5}", 1..8),
            gone in prop::collection::vec("([abcd]!? ){0,5}", 0..4),
            query in "([abc] ){0,3}",
        ) {
            let mut one = NextStepModel::default();
            gone.iter().enumerate().for_each(|(at, plan)| one.put(&run(100 + at as u8, plan, Some(1.0))));
            plans.iter().enumerate().rev().for_each(|(at, plan)| one.put(&run(at as u8, plan, Some(1.0))));
            gone.iter().enumerate().for_each(|(at, _)| one.remove(&[100 + at as u8; 16]));
            let plans: Vec<&str> = plans.iter().map(String::as_str).collect();
            let other = model(&plans);
            let question = run(99, &query, None);
            prop_assert_eq!(one.suggest(&question, 9), other.suggest(&question, 9));
            prop_assert_eq!(one.recover(&question, Some("a"), "refused", 9), other.recover(&question, Some("a"), "refused", 9));
            prop_assert_eq!(one.due(), other.due());
        }
    }
}
