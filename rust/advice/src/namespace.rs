//! The models of one namespace, kept in step with each other.

use crate::arguments::ArgumentModel;
use crate::next_step::NextStepModel;
use crate::outcome::{self, OutcomeFit, Prediction};
use crate::plans::{self, Plan, PlanDecay};
use crate::run::Run;
use crate::situations::SituationModel;
use crate::tasks::TaskHistory;
use crate::watch::Watches;
use tacit_kernels::facts::Id;

/// The models of one namespace.
#[derive(Debug, Default)]
pub(crate) struct NamespaceModels {
    pub(crate) steps: NextStepModel,
    pub(crate) tasks: TaskHistory,
    pub(crate) outcomes: OutcomeFit,
    pub(crate) arguments: ArgumentModel,
    pub(crate) situations: SituationModel,
    pub(crate) watches: Watches,
}

impl NamespaceModels {
    pub(crate) fn put(&mut self, run: &Run) {
        self.watches.note_change(&run.id);
        self.steps.put(run);
        self.situations.put(run);
        if self.tasks.put(run) {
            self.outcomes.mark_changed(&run.id);
        }
    }

    /// Takes back one `put`, for another one of the same episode. Models that were fitted on it are stale.
    pub(crate) fn remove(&mut self, id: &Id) {
        self.watches.note_change(id);
        self.steps.remove(id);
        self.situations.remove(id);
        if self.tasks.remove(id) {
            self.outcomes.mark_changed(id);
        }
        self.drop_odds_of_nothing();
    }

    /// Without an episode there is nothing to fit again: the odds are those of an empty memory.
    fn drop_odds_of_nothing(&mut self) {
        if self.tasks.is_empty() {
            self.outcomes = OutcomeFit::default();
        }
    }

    /// Forgets an episode, and everything that was fitted on it: the counts answer alone until the next fit.
    pub(crate) fn forget(&mut self, id: &Id) {
        self.watches.note_forgotten(id);
        if self.steps.forget(id) {
            self.arguments = ArgumentModel::default();
        }
        self.situations.forget(id);
        if self.tasks.remove(id) {
            self.outcomes.forget(id);
        }
        self.drop_odds_of_nothing();
    }

    /// About how many bytes are held.
    pub(crate) fn bytes(&self) -> usize {
        self.steps.bytes() + self.tasks.bytes() + self.arguments.bytes() + self.situations.bytes()
    }

    /// How an attempt at the run's task will go.
    pub(crate) fn predict(&self, run: &Run) -> Prediction {
        outcome::predict(&self.tasks, &self.outcomes, &self.tasks.ask(run))
    }

    /// One plan for the run's task, with at most `limit` of the episodes behind it.
    pub(crate) fn plan(&self, run: &Run, limit: usize, fading: Option<PlanDecay>) -> Plan {
        plans::plan(&self.tasks, &self.tasks.ask(run), limit, fading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitting::Part;
    use crate::halt::Halt;
    use crate::run::RunStep;
    use crate::tasks::MOST_STEPS;
    use proptest::prelude::*;
    use tacit_kernels::index::{Change, EpisodeRow, Index, Query, Signal};
    use tacit_kernels::text::TEXT_VERSION;

    /// An episode by number: its task's key is the first word of the task, if it begins with a #.
    fn run(number: u8, task: &str, agent: &str, base: f64, tools: &str) -> Run {
        let key = task.split(' ').next().filter(|word| word.starts_with('#')).map(str::to_owned);
        let taken = |tool: char| RunStep { tool: tool.into(), ok: 1, ..RunStep::default() };
        Run {
            id: [number; 16],
            group: tacit_kernels::index::group_of(key.as_deref(), task),
            task: task.into(),
            task_key: key,
            domain: if number.is_multiple_of(3) { "shop".into() } else { "bank".into() },
            agent: Some(agent.into()),
            base: Some(base),
            reward_total: (!number.is_multiple_of(5)).then_some(base + f64::from(number) / 100.0),
            steps: tools.chars().map(taken).collect(),
            ..Run::default()
        }
    }

    fn model(runs: &[Run]) -> NamespaceModels {
        let mut model = NamespaceModels::default();
        runs.iter().for_each(|run| model.put(run));
        settle(&mut model);
        model
    }

    fn settle(model: &mut NamespaceModels) {
        if let Some(due) = model.due_fit(Part::Outcomes) {
            let fitted = due.fit(&Halt::default()).unwrap();
            assert!(!model.install(fitted).was_refused);
        }
    }

    fn question(task: &str) -> Run {
        Run { base: None, ..run(1, task, "a", 0.0, "") }
    }

    fn tools(plan: &Plan) -> String {
        plan.steps.iter().map(|step| step.tool.as_str()).collect()
    }

    #[test]
    fn an_empty_memory_says_half_within_almost_everything() {
        let model = model(&[]);
        let prediction = model.predict(&question("refund order"));
        assert_eq!((prediction.success.value, prediction.base_rate, prediction.support), (0.5, 0.5, 0.0));
        assert!(prediction.success.low < 0.01 && prediction.success.high > 0.99);
        assert_eq!((prediction.steps, prediction.reward), (None, None));
        assert_eq!(model.plan(&question("refund order"), 5, None), Plan::default());
    }

    #[test]
    fn a_plan_that_worked_lately_outweighs_one_that_worked_long_ago() {
        const DAY: i64 = 86_400_000_000;
        let at = |number: u8, tools: &str, day: i64| Run {
            ended_at: day * DAY,
            ..run(number, "deploy the service", "a", 1.0, tools)
        };
        let old = (0..10).map(|number| at(number, "xy", i64::from(number)));
        let new = (10..14).map(|number| at(number, "xz", 400 + i64::from(number)));
        let model = model(&old.chain(new).collect::<Vec<_>>());
        let asked = question("deploy the service");
        let fading = PlanDecay { now: 420 * DAY, half_life: std::time::Duration::from_secs(30 * 86_400) };
        assert_eq!(tools(&model.plan(&asked, 5, None)), "xy");
        assert_eq!(tools(&model.plan(&asked, 5, Some(fading))), "xz");
    }

    #[test]
    fn a_task_that_always_failed_is_expected_to_fail_and_one_like_it_too() {
        let mut runs: Vec<Run> =
            (0..40).map(|i| run(i, &format!("#a{i} cancel order {i}"), "a", 1.0, "xy")).collect();
        runs.extend((40..80).map(|i| run(i, &format!("#b{i} upgrade flight {i}"), "a", 0.0, "z")));
        runs.extend((80..84).map(|i| run(i, "#c change seat", "a", 0.0, "z")));
        let model = model(&runs);
        let success = |task: &str| model.predict(&question(task)).success.value;
        assert!(success("#c change seat") < 0.3);
        assert!(success("#new upgrade flight 7") < 0.4);
        assert!(success("#new cancel order 7") > 0.6);
        assert_eq!(model.predict(&question("#c change seat")).support, 4.0);
    }

    #[test]
    fn a_task_is_known_by_its_very_text_where_no_key_is_given() {
        let model = model(&[run(1, "#c change seat", "a", 1.0, "xyz"), run(2, "buy a hat", "a", 0.0, "z")]);
        let unkeyed = Run { task_key: None, group: 0, ..question("#c change seat") };
        let names_the_task =
            |run: &Run| model.predict(run).reasons.iter().any(|reason| reason.signal == "task");
        assert!(names_the_task(&unkeyed));
        let other = Run { task_key: Some("other".into()), ..unkeyed };
        assert!(!names_the_task(&other));
    }

    #[test]
    fn a_plan_is_that_of_the_similar_successes_and_names_them() {
        let model = model(&[
            run(1, "#a cancel order", "a", 1.0, "fcn"),
            run(2, "#b cancel the order 2", "a", 1.0, "fcn"),
            run(3, "#c cancel my order", "a", 0.0, "q"),
            run(4, "#d brew coffee", "a", 1.0, "gb"),
        ]);
        let plan = model.plan(&question("cancel order 9"), 2, None);
        assert_eq!(tools(&plan), "fcn");
        assert_eq!(plan.episodes, [[1; 16], [2; 16]]);
        assert!(plan.steps.iter().all(|step| step.share > 0.9 && step.share <= 1.0));
    }

    #[test]
    fn a_task_without_anything_in_common_is_given_the_plan_of_the_newest_successes() {
        let model =
            model(&[run(1, "#a cancel order", "a", 1.0, "fc"), run(2, "#b brew coffee", "a", 1.0, "fc")]);
        let stranger = Run { domain: "elsewhere".into(), ..question("zzz") };
        assert_eq!(tools(&model.plan(&stranger, 5, None)), "fc");
    }

    #[test]
    fn words_of_a_later_wording_are_asked_about_without_being_the_task_s_own() {
        let model = model(&[
            run(1, "#a cancel", "a", 1.0, "fc"),
            run(2, "#a void purchase agreement", "a", 1.0, "fc"),
        ]);
        let asked = question("void purchase agreement cancel");
        assert!(model.predict(&asked).support > 0.0);
        assert_eq!(tools(&model.plan(&asked, 5, None)), "fc");
    }

    const TASKS: [&str; 8] = [
        "cancel order 17 and refund it to the card",
        "refund order 18",
        "cancel the flight to Oslo and refund it",
        "exchange the mug of order 19 for a bowl",
        "how many orders did the customer cancel",
        "change the seat on the flight to Oslo",
        "brew coffee",
        "cancel order 20",
    ];

    fn record_of(task: &str) -> Vec<u8> {
        use rmp::encode::{write_map_len, write_str};
        let mut out = Vec::new();
        write_map_len(&mut out, 3).unwrap();
        ["task", task, "namespace", ""].iter().for_each(|text| write_str(&mut out, text).unwrap());
        write_str(&mut out, "outcome").unwrap();
        write_map_len(&mut out, 1).unwrap();
        ["kind", "success"].iter().for_each(|text| write_str(&mut out, text).unwrap());
        out
    }

    /// The ids that the index finds for a text, by the likeness of texts alone.
    fn recalled(task: &str) -> Vec<Id> {
        let records: Vec<Vec<u8>> = TASKS.iter().map(|task| record_of(task)).collect();
        let mut index = Index::new("none", 1);
        let changes = (0u8..).zip(&records).map(|(number, record)| {
            Change::Put(EpisodeRow {
                id: [number; 16],
                payload: record,
                facts: &[],
                embedder: None,
                embedding: &[],
            })
        });
        index.apply(tacit_kernels::index::prepare(changes, "none", 1, TEXT_VERSION).unwrap(), 1);
        let query = Query {
            namespace: "",
            task,
            vector: None,
            domain: None,
            language: None,
            tags: &[],
            tools: &[],
            now: 0,
            half_life: None,
            weights: Signal::ALL.map(|signal| f64::from(u8::from(signal == Signal::Lexical))),
        };
        let found = index.similar(&query, TASKS.len(), false);
        found.into_iter().filter(|(_, similarity)| *similarity > 0.0).map(|(id, _)| id).collect()
    }

    #[test]
    fn recall_predict_and_playbook_see_the_same_neighbours_of_a_text() {
        let runs: Vec<Run> = (0u8..)
            .zip(TASKS)
            .map(|(number, task)| Run { domain: "d".into(), ..run(number, task, "a", 1.0, "x") })
            .collect();
        let models = model(&runs);
        for asked in ["cancel my order and refund me", "flights to Oslo", "how many mugs", "order 17"] {
            let expected = recalled(asked);
            assert!(!expected.is_empty());
            let asked = Run { domain: "d".into(), ..question(asked) };
            let query = models.tasks.ask(&asked);
            let near = models.tasks.nearest(&query, TASKS.len(), |_| true);
            let nearest: Vec<Id> = near.iter().map(|near| models.tasks.first(near.document)).collect();
            assert_eq!(nearest, expected);
            assert_eq!(models.plan(&asked, expected.len(), None).episodes, expected);
            let mut predicted: Vec<Id> = outcome::neighbours(&models.tasks, &query)
                .iter()
                .map(|near| models.tasks.first(near.task))
                .collect();
            predicted.sort_unstable();
            let mut expected = expected;
            expected.sort_unstable();
            assert_eq!(predicted, expected);
        }
    }

    #[test]
    fn very_long_plans_are_merged_too() {
        let long: String = "abcdefgh".repeat(200);
        let runs: Vec<Run> = (0..25)
            .map(|i| run(i, &format!("#t{i} write report"), "a", 1.0, &long[usize::from(i)..]))
            .collect();
        let plan = model(&runs).plan(&question("write report"), 5, None);
        assert_eq!((plan.steps.len(), plan.episodes.len()), (MOST_STEPS, 5));
    }

    const WORDS: [&str; 6] = ["cancel", "order", "flight", "naïve", "取消订单", "the_order"];

    fn any_run() -> impl Strategy<Value = Run> {
        let task = prop::collection::vec(0usize..6, 0..4)
            .prop_map(|words| words.into_iter().map(|word| WORDS[word]).collect::<Vec<_>>().join(" "));
        let key = prop::option::of(0u8..3);
        (any::<u8>(), key, task, 0u8..3, 0u8..3, "[abc]{0,5}").prop_map(
            |(number, key, task, agent, base, tools)| {
                let task = key.map_or(task.clone(), |key| format!("#{key} {task}"));
                run(number, &task, &agent.to_string(), f64::from(base) / 2.0, &tools)
            },
        )
    }

    fn distinct(mut runs: Vec<Run>) -> Vec<Run> {
        let mut seen = rustc_hash::FxHashSet::default();
        runs.retain(|run| seen.insert(run.id));
        runs
    }

    proptest! {
        #[test]
        fn answers_hang_on_which_episodes_are_held_not_on_their_order_or_on_those_that_left(
            runs in prop::collection::vec(any_run(), 1..40),
            keep in 0usize..40,
            asked in any_run(),
        ) {
            let runs = distinct(runs);
            let (kept, gone) = runs.split_at(keep.min(runs.len()));
            let mut moved = NamespaceModels::default();
            for (at, run) in runs.iter().rev().enumerate() {
                moved.put(run);
                if at % 7 == 3 {
                    settle(&mut moved);
                }
            }
            gone.iter().for_each(|run| moved.remove(&run.id));
            settle(&mut moved);
            let plain = model(kept);
            let question = Run { base: None, ..asked };
            prop_assert_eq!(moved.tasks.len(), kept.len());
            prop_assert_eq!(moved.tasks.totals, plain.tasks.totals);
            prop_assert_eq!(moved.predict(&question), plain.predict(&question));
            prop_assert_eq!(moved.plan(&question, 5, None), plain.plan(&question, 5, None));
        }

        #[test]
        fn a_prediction_is_a_probability_between_its_bounds_and_the_sum_of_its_reasons(
            runs in prop::collection::vec(any_run(), 0..40),
            asked in any_run(),
        ) {
            let prediction = model(&runs).predict(&Run { base: None, ..asked });
            let Prediction { success, base_rate, steps, support, reasons, .. } = prediction;
            prop_assert!(0.0 <= success.low && success.low <= success.value && success.value <= success.high && success.high <= 1.0);
            let sum: f64 = reasons.iter().map(|reason| reason.value * reason.weight).sum();
            prop_assert!((sum - success.value).abs() < 1e-9);
            prop_assert!(base_rate > 0.0 && base_rate < 1.0 && support >= 0.0);
            prop_assert!(steps.is_none_or(|steps| steps.low <= steps.value && steps.value <= steps.high));
        }
    }
}
