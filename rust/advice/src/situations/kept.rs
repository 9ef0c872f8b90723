//! The recorded situations of a namespace: what was done in each, and how its episode ended.

use super::actions::{ActionBook, ActionId};
use super::situation::{MOST_STEPS, PastStep, Situation, joined, result_tokens, text_tokens, view_of};
use super::texts::{TextId, Texts};
use super::tokens::{Token, hash, mix, state_entries};
use crate::run::{Run, RunStep};
use tacit_kernels::facts::Id;

/// Bytes that may always be used, and bytes for each episode beyond them.
const LEAST_BYTES: usize = 4 << 20;
/// Possible actions that are kept of one step.
const MOST_OFFERED: usize = 24;

/// One recorded run.
#[derive(Clone, Debug)]
pub(super) struct KeptRun {
    pub(super) id: Id,
    pub(super) task: TextId,
    /// The share of success; `None` means unknown.
    pub(super) share: Option<f32>,
    pub(super) steps: Box<[KeptStep]>,
    /// The state before the first step as one text.
    first: TextId,
}

/// One recorded situation and what was done in it.
#[derive(Clone, Debug)]
pub(super) struct KeptStep {
    pub(super) action: ActionId,
    pub(super) failed: bool,
    pub(super) result: TextId,
    pub(super) state: Box<[(u32, TextId)]>,
    /// Some of the other actions that were possible.
    pub(super) offered: Box<[ActionId]>,
}

/// The runs that are kept, by id, within a budget of bytes.
#[derive(Clone, Debug)]
pub(super) struct KeptRuns {
    pub(super) texts: Texts,
    pub(super) actions: ActionBook,
    pub(super) runs: Vec<KeptRun>,
    bytes_an_episode: usize,
    episodes: usize,
    steps: usize,
    entries: usize,
}

impl Default for KeptRuns {
    fn default() -> Self {
        Self {
            texts: Texts::default(),
            actions: ActionBook::default(),
            runs: Vec::new(),
            bytes_an_episode: 1_024,
            episodes: 0,
            steps: 0,
            entries: 0,
        }
    }
}

/// The other actions that were possible, a fixed choice of them that looks random; every third begins like the one
/// that was taken.
fn sample(step: &RunStep, at: usize) -> Vec<&str> {
    let verb = step.tool.split(' ').next();
    let mut others: Vec<&str> =
        step.offered.iter().map(String::as_str).filter(|other| *other != step.tool).collect();
    others.sort_by_cached_key(|other| mix(&[at as u64, hash(&text_tokens(other))]));
    others.dedup();
    let (mut alike, mut unlike): (Vec<&str>, Vec<&str>) =
        others.into_iter().partition(|other| other.split(' ').next() == verb);
    let room = MOST_OFFERED.saturating_sub(unlike.len()).max(MOST_OFFERED / 3);
    alike.truncate(room);
    unlike.truncate(MOST_OFFERED - alike.len());
    alike.append(&mut unlike);
    alike
}

impl KeptRuns {
    /// Holds the situations of a run that has ended. Beyond the budget the oldest runs give way.
    pub(super) fn put(&mut self, run: &Run) {
        self.episodes += 1;
        if run.steps.is_empty() || self.bytes_an_episode == 0 {
            return;
        }
        let kept = self.keep(run);
        self.steps += kept.steps.len();
        self.entries += kept.steps.iter().map(|step| step.state.len() + step.offered.len()).sum::<usize>();
        let at = self.runs.partition_point(|other| other.id < kept.id);
        self.runs.insert(at, kept);
        while self.bytes() > LEAST_BYTES.max(self.bytes_an_episode * self.episodes) && self.runs.len() > 1 {
            self.drop_at(0);
        }
    }

    fn keep(&mut self, run: &Run) -> KeptRun {
        let (texts, actions) = (&mut self.texts, &mut self.actions);
        let steps = &run.steps[run.steps.len().saturating_sub(MOST_STEPS)..];
        let mut first = Vec::new();
        let mut keep = |(at, step): (usize, &RunStep)| {
            let state = state_entries(&step.state);
            if at == 0 {
                first = joined(state.iter().map(|(_, text)| text.as_slice()));
            }
            KeptStep {
                action: actions.add(&step.tool, &step.parameters),
                offered: sample(step, at).iter().map(|other| actions.add(other, &[])).collect(),
                failed: step.ok == 0,
                result: texts.add(&result_tokens(step)),
                state: state.iter().map(|(key, text)| (*key, texts.add(text))).collect(),
            }
        };
        let steps = steps.iter().enumerate().map(&mut keep).collect();
        let first = self.texts.add(&first);
        let share = run.base.map(|base| base as f32);
        KeptRun { id: run.id, task: self.texts.add(&text_tokens(&run.task)), share, steps, first }
    }

    /// Forgets a run; returns true if its situations were held.
    pub(super) fn remove(&mut self, id: &Id) -> bool {
        self.episodes = self.episodes.saturating_sub(1);
        let found = self.runs.binary_search_by(|run| run.id.cmp(id));
        if let Ok(at) = found {
            self.drop_at(at);
        }
        found.is_ok()
    }

    /// How many runs there are, beyond the budget too.
    pub(super) fn total(&self) -> usize {
        self.episodes
    }

    fn drop_at(&mut self, at: usize) {
        let run = self.runs.remove(at);
        self.texts.release(run.task);
        self.texts.release(run.first);
        self.steps -= run.steps.len();
        for step in &run.steps {
            self.entries -= step.state.len();
            self.actions.release(step.action);
            self.entries -= step.offered.len();
            step.offered.iter().for_each(|other| self.actions.release(*other));
            self.texts.release(step.result);
            step.state.iter().for_each(|(_, text)| self.texts.release(*text));
        }
    }

    /// About how many bytes are held.
    pub(super) fn bytes(&self) -> usize {
        let runs = self.runs.len() * 72 + self.steps * 48 + self.entries * 8;
        runs + self.texts.bytes() + self.actions.bytes()
    }

    /// The steps of a run as they stand before its later situations.
    pub(super) fn past(&self, run: &KeptRun) -> Vec<PastStep<'_>> {
        let step = |step: &KeptStep| {
            let action = self.actions.tokens(step.action);
            PastStep {
                action,
                parsed: self.actions.parse(action),
                result: self.texts.get(step.result),
                state: self.state(step),
                view: view_of(step.state.iter().map(|(_, text)| self.texts.get(*text))),
                failed: step.failed,
            }
        };
        run.steps.iter().map(step).collect()
    }

    pub(super) fn state(&self, step: &KeptStep) -> Vec<(u32, &[Token])> {
        step.state.iter().map(|(key, text)| (*key, self.texts.get(*text))).collect()
    }

    /// The situation that a step was taken in; `past` are the steps before it, or none of them where only the texts are
    /// looked at.
    pub(super) fn situation<'a>(
        &'a self,
        run: &KeptRun,
        at: usize,
        past: &'a [PastStep<'a>],
        state: &'a [(u32, &'a [Token])],
    ) -> Situation<'a> {
        let last = at.checked_sub(1).map_or(run.first, |before| run.steps[before].result);
        Situation {
            task: self.texts.get(run.task),
            past,
            state,
            last: self.texts.get(last),
            view: view_of(state.iter().map(|(_, text)| *text)),
        }
    }
}
