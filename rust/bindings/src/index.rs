//! The in-memory retrieval index, as Python sees it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use numpy::{Element, IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use tacit_kernels::evidence::{Compared, Decay, Interval, OddsRatio, Order, Page, Slice, Summary};
use tacit_kernels::facts::{Fact, PatternKind, decode_facts};
use tacit_kernels::index::{
    AnswerLimits, Change, Choices, Chooser, DEFAULT_WEIGHTS, EpisodeRow, Hit, IMAGE_VERSION, Index, NextStep,
    PlanCluster, Query, RecallLimits, SIGNALS, SideRecordRow, Signal, StepChoice, SupportedPattern,
    TaskAttempts, Unreadable, Usage, Weights, prepare, prepare_notes,
};
use tacit_kernels::text::TextVersion;
use tacit_kernels::trajectory::Complexity;
use tacit_storage::{EpisodeState, Op, Section, SectionVersion};

use crate::cluster::radius;
use crate::convert;
use crate::error::{CorruptRecordError, invalid, storage_failure};
use crate::store::{PyChanges, PyStore};

type PyUsage = (u32, u32, u32, f64, f64, f64);
type PyId = [u8; 16];
type PyNear<'py> = (Bound<'py, PyBytes>, f64);
/// Attempts, successes, and the ids of the best successes.
type PyTaskAttempts<'py> = (usize, usize, Vec<Bound<'py, PyBytes>>, usize, usize);
type PyAttempt<'py> = (Bound<'py, PyBytes>, Option<f64>);
type PyUsedPattern = (PySummary, Option<PyUsage>);
/// Hits with the attempts at their tasks, missing signals, working patterns, failing ones, next steps.
type PyAnswer<'py> = (
    Vec<(PyHit, PyTaskAttempts<'py>)>,
    Vec<&'static str>,
    Vec<PyUsedPattern>,
    Vec<PyUsedPattern>,
    Vec<PyNextStep>,
);

/// The retrieval index of one store: it follows the store's changes and answers recalls from memory.
#[pyclass(frozen, name = "Index", module = "tacit._native")]
pub(crate) struct PyIndex {
    index: RwLock<Index>,
    embedder: String,
    dimension: usize,
    text_version: TextVersion,
}

/// The number of times that a merge is planned anew because episodes came meanwhile, before it is planned under the
/// lock.
const MERGE_PLANS: usize = 3;

#[pymethods]
impl PyIndex {
    #[new]
    #[pyo3(signature = (embedder_name, dimension, *, text_version = None))]
    fn new(embedder_name: String, dimension: usize, text_version: Option<u32>) -> PyResult<Self> {
        let text_version = convert::text_version(text_version)?;
        match dimension {
            1..=65_536 => {
                let index = RwLock::new(Index::new(&embedder_name, dimension));
                Ok(Self { index, embedder: embedder_name, dimension, text_version })
            }
            _ => Err(invalid("dimension", "must be within 1 and 65,536", dimension)),
        }
    }

    #[getter]
    fn embedder_name(&self) -> &str {
        &self.embedder
    }

    #[getter]
    fn dimension(&self) -> usize {
        self.dimension
    }

    /// The version of the text functions that made the facts which this index counts.
    #[getter]
    fn text_version(&self) -> u32 {
        self.text_version.number()
    }

    /// The number of the last change that was applied.
    #[getter]
    fn sequence(&self, py: Python<'_>) -> i64 {
        py.detach(|| self.read().sequence())
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.read().len())
    }

    fn __contains__(&self, py: Python<'_>, id: PyId) -> bool {
        py.detach(|| self.read().holds(&id))
    }

    /// Applies the store's changes, all or none, and returns the number of the last one applied.
    /// A row that cannot be read raises CorruptRecordError, which names it.
    fn apply(&self, py: Python<'_>, changes: &Bound<'_, PyAny>) -> PyResult<i64> {
        if let Ok(native) = changes.cast::<PyChanges>() {
            let (rows, last) = (native.get().rows(), native.get().last());
            let notes = rows.iter().filter_map(native_note);
            return py.detach(|| self.follow(rows.iter().filter_map(native_change), notes, last));
        }
        let rows: Vec<PyChange> = changes.try_iter()?.map(|row| row?.extract()).collect::<PyResult<_>>()?;
        let last = last_of(changes, &rows)?;
        let notes = rows.iter().filter_map(PyChange::side_record);
        py.detach(|| self.follow(rows.iter().filter_map(PyChange::change), notes, last))
    }

    /// The episodes that help most with a new task, best first; the signals that the answer did without; and as many
    /// of the nearest episodes as `neighbours`, as `similar` gives them; with `decay_s`, a half-life, old ones weigh less.
    #[pyo3(signature = (task, *, now, limit, neighbours = 0, candidates = 100, namespace = "default", vector = None, domain = None, language = None,
        tags = vec![], tools = vec![], half_life_s = None, weights = None, per_task = 1, per_copy = 0, diversity = 0.0,
        successes_only = false, decay_s = None))]
    #[allow(clippy::too_many_arguments)]
    fn recall<'py>(
        &self,
        py: Python<'py>,
        task: &str,
        now: i64,
        limit: usize,
        neighbours: usize,
        candidates: usize,
        namespace: &str,
        vector: Option<&[u8]>,
        domain: Option<&str>,
        language: Option<&str>,
        tags: Vec<PyBackedStr>,
        tools: Vec<PyBackedStr>,
        half_life_s: Option<f64>,
        weights: Option<Vec<f64>>,
        per_task: usize,
        per_copy: usize,
        diversity: f64,
        successes_only: bool,
        decay_s: Option<f64>,
    ) -> PyResult<(Vec<PyHit>, Vec<&'static str>, Vec<PyNear<'py>>)> {
        let (tags, tools) = (strs(&tags), strs(&tools));
        let vector = self.vector(vector)?;
        let half_life = half_life_s.map(|seconds| seconds * 1e6);
        let weights = weights_of(weights)?;
        let query = Query {
            namespace,
            task,
            vector: vector.as_deref(),
            domain,
            language,
            tags: &tags,
            tools: &tools,
            now,
            half_life,
            weights,
        };
        let decay = decay_of(now, decay_s)?.map(|decay| decay.half_life);
        let choice = RecallLimits {
            limit,
            neighbours,
            candidates,
            per_task,
            per_copy,
            diversity,
            successes_only,
            decay,
        };
        let found = py.detach(|| self.read().recall(&query, &choice));
        Ok((found.hits.into_iter().map(PyHit).collect(), names_of(found.missing), rows_of(py, found.nearest)))
    }

    /// The comparable episodes that help most with a new task, best first; the signals that the answer did without; the
    /// patterns behind the nearest episodes that mostly work and those that surely fail; and the next steps.
    ///
    /// Each episode comes with the judged attempts at its task, the successes among them, the ids of at most `successes`
    /// of the best, and its judged near-copies and those that succeeded. Each pattern comes with its usage.
    #[pyo3(signature = (task, *, now, limit, neighbours, candidates, namespace, vector, domain, language, tags, tools, half_life_s,
        weights, per_copy, diversity, decay_s, relevance_floor, patterns, pitfalls, next_steps, successes))]
    #[allow(clippy::too_many_arguments)]
    fn answer<'py>(
        &self,
        py: Python<'py>,
        task: &str,
        now: i64,
        limit: usize,
        neighbours: usize,
        candidates: usize,
        namespace: &str,
        vector: Option<&[u8]>,
        domain: Option<&str>,
        language: Option<&str>,
        tags: Vec<PyBackedStr>,
        tools: Vec<PyBackedStr>,
        half_life_s: Option<f64>,
        weights: Option<Vec<f64>>,
        per_copy: usize,
        diversity: f64,
        decay_s: Option<f64>,
        relevance_floor: f64,
        patterns: usize,
        pitfalls: usize,
        next_steps: usize,
        successes: usize,
    ) -> PyResult<PyAnswer<'py>> {
        let (tags, tools) = (strs(&tags), strs(&tools));
        let vector = self.vector(vector)?;
        let query = Query {
            namespace,
            task,
            vector: vector.as_deref(),
            domain,
            language,
            tags: &tags,
            tools: &tools,
            now,
            half_life: half_life_s.map(|seconds| seconds * 1e6),
            weights: weights_of(weights)?,
        };
        let slice = Slice { decay: decay_of(now, decay_s)?, ..Slice::default() };
        let choice = RecallLimits {
            limit,
            neighbours,
            candidates,
            per_task: 1,
            per_copy,
            diversity,
            successes_only: false,
            decay: slice.decay.map(|decay| decay.half_life),
        };
        let limits = AnswerLimits { relevance_floor, patterns, pitfalls, next_steps, successes };
        let found = py.detach(|| self.read().answer(&query, &choice, &slice, limits));
        let used = |rows: Vec<(SupportedPattern, Option<Usage>)>| -> Vec<PyUsedPattern> {
            let row = |(behind, usage): (SupportedPattern, Option<Usage>)| {
                (PySummary::from_supporting(behind), usage.map(row_of_usage))
            };
            rows.into_iter().map(row).collect()
        };
        let hits = found.hits.into_iter().map(|(hit, tried)| (PyHit(hit), row_of_attempts(py, tried)));
        Ok((
            hits.collect(),
            names_of(found.missing),
            used(found.working),
            used(found.failing),
            found.next_steps.into_iter().map(PyNextStep).collect(),
        ))
    }

    /// The nearest episodes with how near they are in 0 to 1, nearest first, without regard to how they went.
    #[pyo3(signature = (task, *, limit, namespace = "default", vector = None, domain = None, language = None,
        tags = vec![], tools = vec![], weights = None, successes_only = false))]
    #[allow(clippy::too_many_arguments)]
    fn similar<'py>(
        &self,
        py: Python<'py>,
        task: &str,
        limit: usize,
        namespace: &str,
        vector: Option<&[u8]>,
        domain: Option<&str>,
        language: Option<&str>,
        tags: Vec<PyBackedStr>,
        tools: Vec<PyBackedStr>,
        weights: Option<Vec<f64>>,
        successes_only: bool,
    ) -> PyResult<Vec<PyNear<'py>>> {
        let (tags, tools) = (strs(&tags), strs(&tools));
        let vector = self.vector(vector)?;
        let (now, half_life, weights) = (0, None, weights_of(weights)?);
        let query = Query {
            namespace,
            task,
            vector: vector.as_deref(),
            domain,
            language,
            tags: &tags,
            tools: &tools,
            now,
            half_life,
            weights,
        };
        let nearest = py.detach(|| self.read().similar(&query, limit, successes_only));
        Ok(rows_of(py, nearest))
    }

    /// Median seconds, steps and error rate of the domain's successes, and its episodes. `None` means unknown.
    fn medians(
        &self,
        py: Python<'_>,
        namespace: &str,
        domain: &str,
    ) -> (Option<f64>, Option<f64>, Option<f64>, usize) {
        let medians = py.detach(|| self.read().medians(namespace, domain));
        (medians.seconds, medians.steps, medians.error_rate, medians.episodes)
    }

    /// A reward's score in 0 to 1: its mid-rank within namespace and domain once 20 episodes are there,
    /// total / (1 + total) before.
    fn percentile(&self, py: Python<'_>, namespace: &str, domain: &str, total: f64) -> f64 {
        py.detach(|| self.read().percentile(namespace, domain, total))
    }

    /// The share of success and the tools of each attempt at one task, by the episode's id.
    fn attempts(&self, py: Python<'_>, namespace: &str, task_key: &str) -> Vec<(Option<f64>, Vec<String>)> {
        let attempts = py.detach(|| self.read().attempts(namespace, task_key));
        attempts.into_iter().map(|each| (each.base, each.tools)).collect()
    }

    /// The ids of the attempts at one task with the share of success of each, by id.
    fn by_task_key<'py>(&self, py: Python<'py>, namespace: &str, task_key: &str) -> Vec<PyAttempt<'py>> {
        let outcomes = py.detach(|| self.read().outcomes_of(namespace, task_key));
        outcomes.into_iter().map(|(id, base)| (PyBytes::new(py, &id), base)).collect()
    }

    /// The failures at one task so far, whether it ever succeeded, and the tools of the latest failure.
    fn earlier_attempts(
        &self,
        py: Python<'_>,
        namespace: &str,
        task_key: &str,
    ) -> (usize, bool, Vec<String>) {
        let earlier = py.detach(|| self.read().earlier_attempts(namespace, task_key));
        (earlier.failed, earlier.has_success, earlier.last_failed)
    }

    /// For each episode: the attempts at its task that were judged, the successes among them, and the ids of the
    /// best successes (fewest steps, then earliest), at most `most`.
    fn task_attempts<'py>(
        &self,
        py: Python<'py>,
        namespace: &str,
        ids: Vec<PyId>,
        most: usize,
    ) -> Vec<PyTaskAttempts<'py>> {
        let found = py.detach(|| self.read().task_attempts(namespace, &ids, most));
        found.into_iter().map(|each| row_of_attempts(py, each)).collect()
    }

    /// Returns true if the namespace holds any fact about the pattern.
    fn knows(&self, py: Python<'_>, namespace: &str, pattern: PyId) -> bool {
        py.detach(|| self.read().knows(namespace, &pattern))
    }

    /// The patterns of packed facts that the namespace has never seen.
    fn unseen<'py>(
        &self,
        py: Python<'py>,
        namespace: &str,
        facts: &[u8],
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let mut facts = read_facts(facts)?;
        py.detach(|| {
            let index = self.read();
            facts.retain(|fact| !index.knows(namespace, &fact.pattern));
        });
        Ok(facts.iter().map(|fact| PyBytes::new(py, &fact.pattern)).collect())
    }

    /// The share of the patterns of packed facts that the namespace has never seen.
    fn novelty(&self, py: Python<'_>, namespace: &str, facts: &[u8]) -> PyResult<f64> {
        let facts = read_facts(facts)?;
        Ok(py.detach(|| self.read().novelty(namespace, &facts)))
    }

    /// Trials and successes so far of the approach that packed facts name: the tools used in such a context.
    fn approach(&self, py: Python<'_>, namespace: &str, facts: &[u8]) -> PyResult<(u64, f64)> {
        let facts = read_facts(facts)?;
        Ok(py.detach(|| self.read().approach(namespace, &facts)))
    }

    /// The ways out of an error that were taken, the best proven first: the next tool, and the evidence.
    fn recoveries(
        &self,
        py: Python<'_>,
        namespace: &str,
        tool: &str,
        error_class: &str,
    ) -> Vec<(String, PySummary)> {
        py.detach(|| {
            let index = self.read();
            let row = |(next, id, summary)| {
                (next, PySummary::beside(&index, namespace, id, summary, &Slice::default()))
            };
            index.recoveries(namespace, tool, error_class).into_iter().map(row).collect()
        })
    }

    /// For each error, a tool and a class: the way out with the largest lower bound of success, as the next tool,
    /// successes and trials; None if no lower bound is above one half.
    fn best_recoveries(
        &self,
        py: Python<'_>,
        namespace: &str,
        errors: Vec<(PyBackedStr, PyBackedStr)>,
    ) -> Vec<Option<(String, f64, u64)>> {
        py.detach(|| {
            let index = self.read();
            let best = |(tool, class): &(PyBackedStr, PyBackedStr)| {
                let best = index.best_recovery(namespace, tool, class)?;
                Some((best.next, best.successes, best.trials))
            };
            errors.iter().map(best).collect()
        })
    }

    /// The patterns of a slice with their evidence, in the order asked for, then by id. With a half-life, evidence
    /// counts for less the longer it lies before `now`, in microseconds.
    #[pyo3(signature = (namespace, *, kind = None, domain = None, agent = None, complexity = None,
        order = "confidence", min_trials = 1, limit = 100, offset = 0, now = 0, half_life_s = None))]
    #[allow(clippy::too_many_arguments)]
    fn patterns(
        &self,
        py: Python<'_>,
        namespace: &str,
        kind: Option<&str>,
        domain: Option<&str>,
        agent: Option<&str>,
        complexity: Option<&str>,
        order: &str,
        min_trials: u64,
        limit: usize,
        offset: usize,
        now: i64,
        half_life_s: Option<f64>,
    ) -> PyResult<Vec<PySummary>> {
        let page = Page { order: order_of(order)?, min_trials, limit, offset };
        let decay = decay_of(now, half_life_s)?;
        let slice = Slice { domain, agent, complexity: complexity.map(complexity_of).transpose()?, decay };
        let kind = kind.map(|kind| PatternKind::from_name(kind) as u8);
        Ok(py.detach(|| {
            let index = self.read();
            let patterns = index.ledger().patterns(namespace, kind, &slice, page);
            let row = |(id, summary)| PySummary::beside(&index, namespace, id, summary, &slice);
            patterns.into_iter().map(row).collect()
        }))
    }

    /// The patterns of a kind that were tried, by id: the id, the number of episodes that show it, and the numbers of
    /// their domains.
    fn pattern_domains<'py>(
        &self,
        py: Python<'py>,
        namespace: &str,
        kind: &str,
    ) -> Vec<(Bound<'py, PyBytes>, u64, Vec<u32>)> {
        let kind = PatternKind::from_name(kind) as u8;
        let rows = py.detach(|| self.read().ledger().pattern_domains(namespace, kind));
        rows.into_iter().map(|(id, episodes, domains)| (PyBytes::new(py, &id), episodes, domains)).collect()
    }

    /// Makes patterns of the namespace count for others: pairs of a pattern and the one that stands for it. Patterns
    /// that were merged before and are not named count for themselves again.
    ///
    /// The merge is worked out while readers go on; they wait only while it is carried out.
    fn merge(&self, py: Python<'_>, namespace: &str, pairs: Vec<(PyId, PyId)>) {
        py.detach(|| {
            for _ in 0..MERGE_PLANS {
                let plan = self.read().plan_merge(namespace, &pairs);
                if self.write().carry_out(namespace, plan) {
                    return;
                }
            }
            self.write().merge(namespace, &pairs);
        });
    }

    /// Fills this index, which is empty, from the snapshot beside a store; returns the number of the last change in it.
    /// `None` means that there is no snapshot for this index, or a doubt about it: the index stays empty.
    fn read_snapshot(&self, py: Python<'_>, store: &PyStore) -> PyResult<Option<i64>> {
        py.detach(|| {
            let Some(section) = store.store().read_snapshot(SECTION, self.section_version())? else {
                return Ok(None);
            };
            match self.fill(&section.bytes) {
                None => Ok(Some(section.sequence)),
                Some(doubt) => store.store().doubt_snapshot(doubt).map(|()| None),
            }
        })
        .map_err(storage_failure)
    }

    /// Replaces the snapshot beside a store by one of this index; returns false if that failed, or if an episode was
    /// removed meanwhile.
    fn write_snapshot(&self, py: Python<'_>, store: &PyStore) -> PyResult<bool> {
        py.detach(|| {
            let Some((sequence, bytes)) = self.image() else { return Ok(false) };
            let (name, version) = (SECTION.to_owned(), self.section_version());
            store.store().write_snapshot(vec![Section { name, version, sequence, bytes }])
        })
        .map_err(storage_failure)
    }

    /// A copy of one namespace, for trying merges out: changes of either side do not reach the other.
    fn private_copy(&self, py: Python<'_>, namespace: &str) -> Self {
        let index = RwLock::new(py.detach(|| self.read().private_copy(namespace)));
        let Self { embedder, dimension, text_version, .. } = self;
        Self { index, embedder: embedder.clone(), dimension: *dimension, text_version: *text_version }
    }

    /// Returns an empty index with the same settings and merges, to be filled while this one answers.
    fn empty(&self, py: Python<'_>) -> Self {
        let index = py.detach(|| RwLock::new(self.read().renewed()));
        let (embedder, dimension) = (self.embedder.clone(), self.dimension);
        Self { index, embedder, dimension, text_version: self.text_version }
    }

    /// Exchanges the contents of two indexes.
    fn swap(&self, py: Python<'_>, other: &Self) {
        if !std::ptr::eq(self, other) {
            py.detach(|| std::mem::swap(&mut *self.write(), &mut *other.write()));
        }
    }

    /// Stands for the episodes that the namespace holds: the same ones have the same digest, in whatever order they
    /// came; 0 for none.
    fn digest(&self, py: Python<'_>, namespace: &str) -> u64 {
        py.detach(|| self.read().digest(namespace))
    }

    /// Every pattern that at least `min_episodes` show, beside the episodes that are comparable and do not show it.
    #[pyo3(signature = (namespace, *, min_episodes = 1, domain = None, agent = None))]
    fn compared(
        &self,
        py: Python<'_>,
        namespace: &str,
        min_episodes: u64,
        domain: Option<&str>,
        agent: Option<&str>,
    ) -> PyCompared {
        let slice = Slice { domain, agent, ..Slice::default() };
        PyCompared(py.detach(|| self.read().compared(namespace, &slice, min_episodes)))
    }

    /// The choices of every episode of the namespace, or of one of its domains, in every state it was in.
    #[pyo3(signature = (namespace, domain = None))]
    fn choices(&self, py: Python<'_>, namespace: &str, domain: Option<&str>) -> PyChoices {
        PyChoices(py.detach(|| self.read().choices(namespace, domain)))
    }

    /// The patterns behind the `nearest` episodes, each with its weight: those that mostly work, then those that
    /// surely fail more often than not. With a half-life, evidence counts for less the longer it lies before `now`.
    #[pyo3(signature = (namespace, nearest, *, patterns = 5, pitfalls = 3, now = 0, half_life_s = None))]
    #[allow(clippy::too_many_arguments)]
    fn supporting_patterns(
        &self,
        py: Python<'_>,
        namespace: &str,
        nearest: Vec<(PyId, f64)>,
        patterns: usize,
        pitfalls: usize,
        now: i64,
        half_life_s: Option<f64>,
    ) -> PyResult<(Vec<PySummary>, Vec<PySummary>)> {
        let slice = Slice { decay: decay_of(now, half_life_s)?, ..Slice::default() };
        let (work, fail) =
            py.detach(|| self.read().supporting_patterns(namespace, &nearest, &slice, patterns, pitfalls));
        let rows =
            |behind: Vec<SupportedPattern>| behind.into_iter().map(PySummary::from_supporting).collect();
        Ok((rows(work), rows(fail)))
    }

    /// The tools that may come after `tools`, most likely first, by the runs of the `nearest` episodes, each with
    /// its weight.
    fn next_steps(
        &self,
        py: Python<'_>,
        tools: Vec<PyBackedStr>,
        nearest: Vec<(PyId, f64)>,
    ) -> Vec<PyNextStep> {
        let tools = strs(&tools);
        py.detach(|| self.read().next_steps(&tools, &nearest)).into_iter().map(PyNextStep).collect()
    }

    /// Groups of the namespace's newest successes with similar plans, the number of successes considered, and the
    /// number of older ones left out.
    ///
    /// Plans are similar within `eps`, which is compared with 1 - LCS ratio; `min_points` successes within `eps`
    /// make a plan one that a group grows from. With `groups` there are so many groups of successes that used tools
    /// in similar proportions, and every success is in one.
    #[pyo3(signature = (namespace, domain = None, *, eps, min_points, newest, groups = 0))]
    #[allow(clippy::too_many_arguments)]
    fn clusters(
        &self,
        py: Python<'_>,
        namespace: &str,
        domain: Option<&str>,
        eps: f64,
        min_points: usize,
        newest: usize,
        groups: usize,
    ) -> PyResult<(Vec<PyCluster>, usize, usize)> {
        let (eps, min_points) = (radius(eps)?, convert::positive("min_points", min_points)?);
        let newest = convert::positive("newest", newest)?;
        let (clusters, looked_at, left_out) = py.detach(|| {
            let plans = self.read().plans(namespace, domain, newest);
            let clusters = match groups {
                0 => plans.clusters(eps, min_points),
                groups => plans.families(groups),
            };
            (clusters, plans.len(), plans.left_out())
        });
        Ok((clusters.into_iter().map(PyCluster).collect(), looked_at, left_out))
    }

    /// The share of success that an episode has to be expected with, by its domain, difficulty and agent; `strength`
    /// is how many episodes the wider share counts for beside each narrower one.
    #[pyo3(signature = (namespace, *, domain, complexity, agent, strength))]
    fn expected(
        &self,
        py: Python<'_>,
        namespace: &str,
        domain: &str,
        complexity: &str,
        agent: Option<&str>,
        strength: f64,
    ) -> PyResult<f64> {
        let complexity = Some(complexity_of(complexity)?);
        let slice = Slice { domain: Some(domain), agent, complexity, decay: None };
        Ok(py.detach(|| self.read().expected(namespace, &slice, strength)))
    }

    /// The LCS ratio of the steps of each episode and these tools; `None` means that the episode is not there.
    fn plan_similarities(
        &self,
        py: Python<'_>,
        tools: Vec<PyBackedStr>,
        episodes: Vec<PyId>,
    ) -> Vec<Option<f32>> {
        let tools = strs(&tools);
        py.detach(|| {
            let index = self.read();
            episodes.iter().map(|episode| index.plan_similarity(&tools, episode)).collect()
        })
    }

    /// For each memory the times it was retrieved, applied and helped, and its effectiveness with the 95% interval
    /// (mean, low, high). `None` means that no recall showed it.
    fn usages(&self, py: Python<'_>, namespace: &str, memories: Vec<PyId>) -> Vec<Option<PyUsage>> {
        let usages: Vec<_> = py.detach(|| {
            let index = self.read();
            memories.iter().map(|memory| index.usage(namespace, memory)).collect()
        });
        usages.into_iter().map(|usage| usage.map(row_of_usage)).collect()
    }

    /// The size of the index.
    fn stats(&self, py: Python<'_>) -> std::collections::BTreeMap<&'static str, usize> {
        let size = py.detach(|| self.read().size());
        [
            ("episodes", size.episodes),
            ("namespaces", size.namespaces),
            ("terms", size.terms),
            ("bytes", size.bytes),
        ]
        .into()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("Index({:?}, {}, episodes={})", self.embedder, self.dimension, self.__len__(py))
    }
}

/// The name of the index's section in a snapshot.
const SECTION: &str = "index";

/// The number of images that are begun again because an episode was removed meanwhile.
const IMAGES: usize = 3;

impl PyIndex {
    /// The versions of its section in a snapshot.
    pub(crate) fn section_version(&self) -> SectionVersion {
        SectionVersion { image: IMAGE_VERSION, text: self.text_version.number() }
    }

    /// The image of the index and the number of the last change in it; `None` if removals kept coming. Readers go on
    /// while it is written.
    pub(crate) fn image(&self) -> Option<(i64, Vec<u8>)> {
        (0..IMAGES).find_map(|_| {
            self.write().tidy();
            let index = self.read();
            index.image().map(|image| (index.sequence(), image))
        })
    }

    /// Takes the contents of an image; returns the reason why it cannot, or `None`.
    pub(crate) fn fill(&self, image: &[u8]) -> Option<&'static str> {
        let filled = match Index::from_image(image, &self.embedder, self.dimension) {
            Ok(Some(filled)) => filled,
            Ok(None) => return Some("it is for another embedder"),
            Err(_) => return Some("it is damaged"),
        };
        let mut index = self.write();
        if index.sequence() > 0 {
            return Some("the index is not empty");
        }
        *index = filled;
        None
    }

    /// A panic while writing leaves nothing half done that a reader could trip over.
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows are read before the index is locked: recalls go on meanwhile.
    fn follow<'a>(
        &self,
        changes: impl Iterator<Item = Change<'a>>,
        notes: impl Iterator<Item = SideRecordRow<'a>>,
        sequence: i64,
    ) -> PyResult<i64> {
        let prepared =
            prepare(changes, &self.embedder, self.dimension, self.text_version).map_err(unreadable)?;
        let noted = prepare_notes(notes).map_err(|Unreadable { id, why }| {
            CorruptRecordError::new_err(format!("note {}: {why}", hexadecimal(&id)))
        })?;
        let mut index = self.write();
        index.count(noted);
        index.apply(prepared, sequence);
        Ok(index.sequence())
    }

    fn vector(&self, packed: Option<&[u8]>) -> PyResult<Option<Vec<f32>>> {
        packed.map(|packed| convert::packed_vector("vector", packed, self.dimension)).transpose()
    }
}

/// The number of the last of the changes, which may lie beyond those that are listed.
pub(crate) fn last_of(changes: &Bound<'_, PyAny>, rows: &[PyChange]) -> PyResult<i64> {
    match changes.getattr_opt("last")? {
        Some(last) => last.extract(),
        None => Ok(rows.iter().map(|row| row.sequence).max().unwrap_or(0)),
    }
}

/// A row of a native store's log as a change for the index; `None` means that the index does not need it.
pub(crate) fn native_change(row: &tacit_storage::Change) -> Option<Change<'_>> {
    match row.episode() {
        Some(episode) if episode.state == EpisodeState::Learned => Some(Change::Put(EpisodeRow {
            id: row.id,
            payload: episode.payload,
            facts: episode.facts,
            embedder: episode.embedder,
            embedding: episode.embedding,
        })),
        _ if row.op == Op::SideRecord => None,
        _ => Some(Change::Remove(row.id)),
    }
}

/// A row of a native store's log that holds a receipt or a credit.
fn native_note(row: &tacit_storage::Change) -> Option<SideRecordRow<'_>> {
    let note = row.side_record()?;
    let is_credit = match note.kind {
        tacit_storage::RecordKind::Credit => true,
        tacit_storage::RecordKind::Receipt => false,
        _ => return None,
    };
    Some(SideRecordRow { id: note.id, namespace: note.namespace, is_credit, record: note.record })
}

/// One row of a store's change log: `tacit.model.record.Change`.
#[derive(FromPyObject)]
pub(crate) struct PyChange {
    sequence: i64,
    op: PyBackedStr,
    id: PyId,
    record: Option<PyRecord>,
    side_record: Option<PySideRecord>,
}

/// `tacit.model.record.SideRecord`.
#[derive(FromPyObject)]
struct PySideRecord {
    kind: PyBackedStr,
    namespace: PyBackedStr,
    record: Option<PyBackedBytes>,
}

/// The fields of `tacit.model.record.EpisodeRecord` that the index reads.
#[derive(FromPyObject)]
struct PyRecord {
    state: PyBackedStr,
    payload: PyBackedBytes,
    facts: PyBackedBytes,
    embedder: Option<PyBackedStr>,
    embedding: PyBackedBytes,
}

impl PyChange {
    /// An episode that is open, pending or abandoned is not found: it taught nothing yet.
    pub(crate) fn change(&self) -> Option<Change<'_>> {
        match &self.record {
            Some(record) if &*self.op == "put" && &*record.state == "learned" => {
                Some(Change::Put(EpisodeRow {
                    id: self.id,
                    payload: &record.payload,
                    facts: &record.facts,
                    embedder: record.embedder.as_deref(),
                    embedding: &record.embedding,
                }))
            }
            _ if &*self.op == "side_record" => None,
            _ => Some(Change::Remove(self.id)),
        }
    }
}

impl PyChange {
    /// The receipt or credit of this change.
    fn side_record(&self) -> Option<SideRecordRow<'_>> {
        let note = self.side_record.as_ref()?;
        let is_credit = match &*note.kind {
            "credit" => true,
            "receipt" => false,
            _ => return None,
        };
        Some(SideRecordRow {
            id: self.id,
            namespace: &note.namespace,
            is_credit,
            record: note.record.as_deref(),
        })
    }
}

/// One episode that answers a recall.
#[pyclass(frozen, name = "HitRow", module = "tacit._native")]
pub(crate) struct PyHit(Hit);

#[pymethods]
impl PyHit {
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.id)
    }

    /// The sum of value times weight over the reasons.
    #[getter]
    fn score(&self) -> f64 {
        self.0.score
    }

    /// (signal, value in 0 to 1, weight) of every signal that is present; the weights sum to 1.
    #[getter]
    fn reasons(&self) -> Vec<(&'static str, f64, f64)> {
        let present = Signal::ALL.into_iter().filter(|signal| !self.0.values[*signal as usize].is_nan());
        present
            .map(|each| (each.name(), self.0.values[each as usize], self.0.weights[each as usize]))
            .collect()
    }

    /// Returns true if the texts are alike by at least `floor`, or else the domain or the steps so far.
    fn is_comparable(&self, floor: f64) -> bool {
        self.0.is_comparable(floor)
    }

    fn __repr__(&self) -> String {
        format!("HitRow(score={:.3})", self.0.score)
    }
}

/// The evidence about one pattern.
#[pyclass(frozen, name = "SummaryRow", module = "tacit._native")]
pub(crate) struct PySummary {
    id: PyId,
    summary: Summary,
    odds_ratio: Option<OddsRatio>,
}

impl PySummary {
    /// The evidence, compared with that of comparable episodes.
    fn beside(index: &Index, namespace: &str, id: PyId, summary: Summary, slice: &Slice<'_>) -> Self {
        let odds_ratio = index.odds_ratio(namespace, &id, slice).filter(OddsRatio::is_defined);
        Self { id, summary, odds_ratio }
    }

    fn from_supporting(behind: SupportedPattern) -> Self {
        let odds_ratio = Some(behind.odds_ratio).filter(OddsRatio::is_defined);
        Self { id: behind.pattern, summary: behind.summary, odds_ratio }
    }
}

#[pymethods]
impl PySummary {
    /// The pattern's.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.id)
    }

    #[getter]
    fn trials(&self) -> u64 {
        self.summary.trials
    }

    #[getter]
    fn successes(&self) -> f64 {
        self.summary.successes
    }

    /// The number of episodes that show it.
    #[getter]
    fn episodes(&self) -> u64 {
        self.summary.episodes
    }

    /// The sum of those episodes' shares of success.
    #[getter]
    fn outcomes(&self) -> f64 {
        self.summary.outcomes
    }

    #[getter]
    fn mean(&self) -> f64 {
        self.summary.mean
    }

    /// The lower end of the 95% interval.
    #[getter]
    fn low(&self) -> f64 {
        self.summary.low
    }

    /// The upper end of the 95% interval.
    #[getter]
    fn high(&self) -> f64 {
        self.summary.high
    }

    /// Microseconds since 1970, UTC.
    #[getter]
    fn last_seen(&self) -> i64 {
        self.summary.last_seen
    }

    /// The odds ratio of success against comparable episodes with its 95% interval; `None` means that there are
    /// none.
    #[getter]
    fn odds(&self) -> Option<(f64, f64, f64)> {
        self.odds_ratio.map(|odds_ratio| (odds_ratio.ratio, odds_ratio.low, odds_ratio.high))
    }

    #[getter]
    fn agents(&self) -> Vec<String> {
        self.summary.agents.clone()
    }

    #[getter]
    fn domains(&self) -> Vec<String> {
        self.summary.domains.clone()
    }

    fn __repr__(&self) -> String {
        let Summary { trials, mean, low, high, .. } = self.summary;
        format!("SummaryRow(trials={trials}, mean={mean:.3}, low={low:.3}, high={high:.3})")
    }
}

/// One tool that may come next.
#[pyclass(frozen, name = "NextStepRow", module = "tacit._native")]
pub(crate) struct PyNextStep(NextStep);

#[pymethods]
impl PyNextStep {
    /// The tool's name; `None` means finishing.
    #[getter]
    fn tool(&self) -> Option<&str> {
        self.0.tool.as_deref()
    }

    /// The shares of all next steps sum to 1.
    #[getter]
    fn share(&self) -> f64 {
        self.0.share
    }

    /// The times that it came next after the longest run of last steps that was seen.
    #[getter]
    fn seen(&self) -> u32 {
        self.0.seen
    }

    /// The times that this run was seen.
    #[getter]
    fn of(&self) -> u32 {
        self.0.of
    }

    /// The number of steps of this run.
    #[getter]
    fn context(&self) -> usize {
        self.0.context
    }

    fn __repr__(&self) -> String {
        format!("NextStepRow({:?}, {:.3})", self.0.tool.as_deref().unwrap_or("finish"), self.0.share)
    }
}

/// Successes with similar plans.
#[pyclass(frozen, name = "ClusterRow", module = "tacit._native")]
pub(crate) struct PyCluster(PlanCluster);

#[pymethods]
impl PyCluster {
    /// The episodes' ids, ascending.
    #[getter]
    fn members<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.members.iter().map(|id| PyBytes::new(py, id)).collect()
    }

    /// The first episode with the plan that is most similar to those of all others.
    #[getter]
    fn medoid<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.medoid)
    }

    /// The tools of that plan.
    #[getter]
    fn plan(&self) -> Vec<String> {
        self.0.plan.clone()
    }

    #[getter]
    fn domains(&self) -> Vec<String> {
        self.0.domains.clone()
    }

    fn __len__(&self) -> usize {
        self.0.members.len()
    }

    fn __repr__(&self) -> String {
        format!("ClusterRow(episodes={}, plan={:?})", self.0.members.len(), self.0.plan)
    }
}

/// Patterns beside the episodes that are comparable and do not show them; every column has an element a pattern.
#[pyclass(frozen, name = "ComparedRows", module = "tacit._native")]
pub(crate) struct PyCompared(Vec<Compared>);

#[pymethods]
impl PyCompared {
    /// Ascending.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.iter().map(|each| PyBytes::new(py, &each.pattern)).collect()
    }

    #[getter]
    fn kinds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u8>>> {
        self.column(py, |each| each.kind)
    }

    #[getter]
    fn episodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u64>>> {
        self.column(py, |each| each.episodes)
    }

    /// Microseconds since 1970, UTC.
    #[getter]
    fn last_seen<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<i64>>> {
        self.column(py, |each| each.last_seen)
    }

    /// The odds ratio; NaN if nothing can be compared.
    #[getter]
    fn odds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        self.column(py, |each| each.odds_ratio.ratio)
    }

    #[getter]
    fn odds_low<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        self.column(py, |each| each.odds_ratio.low)
    }

    #[getter]
    fn odds_high<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        self.column(py, |each| each.odds_ratio.high)
    }

    /// The two-sided p-value of a difference at least as large.
    #[getter]
    fn p_values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        self.column(py, |each| each.odds_ratio.p_value)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

impl PyCompared {
    fn column<'py, T: Element>(
        &self,
        py: Python<'py>,
        of: fn(&Compared) -> T,
    ) -> PyResult<Bound<'py, PyArray1<T>>> {
        convert::import_numpy(py)?;
        Ok(self.0.iter().map(of).collect::<Vec<T>>().into_pyarray(py))
    }
}

/// The choices of episodes as columns: one element a choice, or one an episode. Names are given by their place in
/// `names`; -1 means none.
#[pyclass(frozen, name = "Choices", module = "tacit._native")]
pub(crate) struct PyChoices(Choices);

#[pymethods]
impl PyChoices {
    /// Tools, error classes, domains, languages, frameworks, task types and agents, sorted.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.0.names.clone()
    }

    /// Tools in the order of their first use.
    #[getter]
    fn approaches(&self) -> Vec<Vec<String>> {
        self.0.approaches.clone()
    }

    /// One row a choice, by episode and step: the episode's place, the steps taken so far, the last tool (-1 at the
    /// start), its result (-1 none, -2 success, else the class of its error), the steps failed so far, if the last
    /// two had failed, the tool chosen (-1 to finish), its result (1, 0, -1 unknown), and if the last tool failed
    /// with that class again later.
    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i32>>> {
        let row = |each: &StepChoice| {
            [
                each.episode,
                each.step,
                each.after,
                each.result,
                each.errors,
                each.again,
                each.choose,
                each.ok,
                each.came_back,
            ]
        };
        table(py, self.0.choices.iter().map(row), self.0.choices.len())
    }

    /// One row an episode: domain, language, framework, task type, agent, complexity (0 simple to 3 unknown), the
    /// place of its approach, and the number of its task; -1 for a task that its agent tried once.
    #[getter]
    fn episodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i32>>> {
        let row = |each: &Chooser| {
            [
                each.domain,
                each.language,
                each.framework,
                each.task_type,
                each.agent,
                each.complexity,
                each.approach,
                each.task,
            ]
        };
        table(py, self.0.episodes.iter().map(row), self.0.episodes.len())
    }

    /// The share of success of each episode.
    #[getter]
    fn outcomes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        convert::import_numpy(py)?;
        Ok(self.0.episodes.iter().map(|each| each.base).collect::<Vec<f64>>().into_pyarray(py))
    }

    fn __len__(&self) -> usize {
        self.0.choices.len()
    }
}

fn table<const N: usize>(
    py: Python<'_>,
    rows: impl Iterator<Item = [i32; N]>,
    height: usize,
) -> PyResult<Bound<'_, PyArray2<i32>>> {
    convert::import_numpy(py)?;
    rows.flatten().collect::<Vec<i32>>().into_pyarray(py).reshape([height, N])
}

pub(crate) fn decay_of(now: i64, half_life_s: Option<f64>) -> PyResult<Option<Decay>> {
    let Some(seconds) = half_life_s else { return Ok(None) };
    let half_life = convert::seconds("half_life_s", seconds)?;
    match half_life.is_zero() {
        true => Err(invalid("half_life_s", "must be more than 0", seconds)),
        false => Ok(Some(Decay { now, half_life })),
    }
}

fn row_of_attempts<'py>(py: Python<'py>, found: TaskAttempts) -> PyTaskAttempts<'py> {
    let best = found.best.iter().map(|id| PyBytes::new(py, id)).collect();
    (found.attempts, found.successes, best, found.copies, found.copies_succeeded)
}

fn row_of_usage(usage: Usage) -> PyUsage {
    let Interval { mean, low, high } = usage.effectiveness();
    (usage.retrieved, usage.applied, usage.helped, mean, low, high)
}

pub(crate) fn strs(texts: &[PyBackedStr]) -> Vec<&str> {
    texts.iter().map(|text| &**text).collect()
}

fn weights_of(weights: Option<Vec<f64>>) -> PyResult<Weights> {
    let Some(weights) = weights else { return Ok(DEFAULT_WEIGHTS) };
    let each: Weights = weights.try_into().map_err(|given: Vec<f64>| {
        invalid("weights", &format!("must be {SIGNALS}, one a signal"), given.len())
    })?;
    match each.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        Some(weight) => Err(invalid("weights", "must be finite and not negative", weight)),
        None => Ok(each),
    }
}

fn names_of(signals: Vec<Signal>) -> Vec<&'static str> {
    signals.into_iter().map(Signal::name).collect()
}

fn rows_of<'py>(py: Python<'py>, nearest: Vec<(PyId, f64)>) -> Vec<PyNear<'py>> {
    nearest.into_iter().map(|(id, similarity)| (PyBytes::new(py, &id), similarity)).collect()
}

fn read_facts(facts: &[u8]) -> PyResult<Vec<Fact>> {
    decode_facts(facts).map_err(|fault| invalid("facts", "must be packed facts", fault))
}

fn order_of(name: &str) -> PyResult<Order> {
    match name {
        "confidence" => Ok(Order::Confidence),
        "trials" => Ok(Order::Trials),
        "recent" => Ok(Order::Recent),
        _ => Err(invalid("order", "must be confidence, trials or recent", name)),
    }
}

fn complexity_of(name: &str) -> PyResult<u8> {
    let complexity = Complexity::from_name(name);
    complexity
        .map(|complexity| complexity as u8)
        .ok_or_else(|| invalid("complexity", "must be simple, moderate, complex or unknown", name))
}

pub(crate) fn unreadable(Unreadable { id, why }: Unreadable) -> PyErr {
    CorruptRecordError::new_err(format!("episode {}: {why}", hexadecimal(&id)))
}

fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
