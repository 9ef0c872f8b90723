//! One query over one namespace: propose candidates, judge each by every signal, choose the hits.

use super::entry::tag_symbol;
use super::lexical::FieldScorer;
use super::namespace_index::NamespaceIndex;
use super::query::{Hit, Query, RecallLimits, Recalled, SIGNALS, Signal, Weights, order};
use super::supporting::Support;
use super::symbols::{Prefix, pairs};
use crate::evidence::decay;
use crate::facts::Id;
use crate::names::Names;
use crate::rank::{diversify, weighted_sum};
use crate::similarity::context::{self, Context};
use crate::similarity::cosine::Code;
use crate::text_likeness::{FeatureTable, QueryFeatures, bucket};
use crate::trajectory::symbol;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::time::Duration;

/// The candidates that words and vector each propose for each episode wanted, if that is more than asked for.
const CANDIDATES_PER_HIT: usize = 3;
/// The factor by which each source looks further as long as too few tasks that are no near-copies are among its proposals.
const FURTHER: usize = 4;
/// The number of proposals of each source after which no source looks further.
const MOST_CANDIDATES: usize = 1 << 13;
/// The episodes of the same domain that are proposed for that alone, newest first.
const SAME_DOMAIN: usize = 1_024;
/// The postings of words, and of pairs of tools, that are read for one query.
const BUDGET: u32 = 1 << 14;
const BUDGET_OF_PAIRS: u32 = 1 << 12;
/// The least sum of a touched episode: more than 0, so that it differs from an untouched one.
const LEAST: f32 = 1e-9;
/// The share of the task's text in the lexical signal; the rest is the text of the steps.
const TASK_SHARE: f64 = 0.8;
/// From how many of the nearest tasks episodes are judged by every signal: so many, or a multiple of the limit.
const TASKS: usize = 32;
const TASKS_PER_HIT: usize = 4;
/// The attempts at one task that are judged by every signal for each that may be a hit.
const ATTEMPTS: usize = 2;
/// The number of candidates ahead that memory is asked for.
const AHEAD: usize = 6;
/// The hits are chosen among so many times the limit.
const CHOSEN_AMONG: usize = 4;

/// Room that a query needs, used again by the next.
#[derive(Default)]
pub(super) struct Scratch {
    task: FeatureTable,
    steps: FeatureTable,
    prefix: Prefix,
    sums: CandidateSums,
    pub(super) support: Support,
}

/// A sum for every document, and which of them were touched.
#[derive(Default)]
struct CandidateSums {
    sums: Vec<f32>,
    /// The touched numbers, each once, in the first `len` places.
    touched: Vec<u32>,
    len: usize,
}

impl CandidateSums {
    fn fit(&mut self, documents: usize) {
        self.sums.resize(documents, 0.0);
        self.touched.resize(documents + 1, 0);
    }

    #[inline(always)]
    fn add(&mut self, number: u32, value: f32) {
        let sum = &mut self.sums[number as usize];
        self.touched[self.len] = number;
        self.len += usize::from(*sum == 0.0);
        *sum += value;
    }

    /// Adds to every sum that is not 0.
    fn raise(&mut self, by: impl Fn(u32) -> f32) {
        for number in &self.touched[..self.len] {
            self.sums[*number as usize] += by(*number);
        }
    }

    /// The sum's bits above the number, for each that was touched: a larger sum is a larger key.
    fn take(&mut self) -> Vec<u64> {
        let touched = &self.touched[..std::mem::take(&mut self.len)];
        let sums = &mut self.sums;
        let key = |number: &u32| {
            let sum = std::mem::take(&mut sums[*number as usize]);
            u64::from(sum.to_bits()) << 32 | u64::from(*number)
        };
        touched.iter().map(key).collect()
    }
}

/// A query in the terms of one namespace.
struct Question<'a> {
    wanted: QueryFeatures,
    code: Option<Code>,
    vector: Option<&'a [f32]>,
    domain: Option<u32>,
    language: Option<u32>,
    tags: Vec<u64>,
    has_context: bool,
    tools: Vec<u32>,
    pairs: Vec<u64>,
    now: i64,
    half_life: Option<f64>,
    weights: Weights,
}

/// A number that no name has: a name that the index never saw equals no other.
const UNKNOWN: u32 = u32::MAX;

impl<'a> Question<'a> {
    fn new(query: &Query<'a>, space: &NamespaceIndex, names: &Names) -> Self {
        let number = |name: &str| names.get(name).unwrap_or(UNKNOWN);
        let vector = query.vector.filter(|vector| vector.iter().any(|x| *x != 0.0));
        let tools: Vec<u64> = query.tools.iter().map(|tool| symbol(tool)).collect();
        let mut tags: Vec<u64> = query.tags.iter().map(|tag| tag_symbol(tag)).collect();
        tags.sort_unstable();
        tags.dedup();
        Self {
            wanted: QueryFeatures::new(query.task),
            code: vector.map(|vector| space.search.codes.code(vector)),
            vector,
            domain: query.domain.map(number),
            language: query.language.map(number),
            has_context: query.domain.is_some() || query.language.is_some() || !tags.is_empty(),
            tags,
            tools: query.tools.iter().map(|tool| names.get(tool).unwrap_or(0)).collect(),
            pairs: pairs(&tools),
            now: query.now,
            half_life: query.half_life,
            weights: query.weights,
        }
    }

    fn weight(&self, signal: Signal) -> f32 {
        self.weights[signal as usize] as f32
    }

    fn missing(&self) -> Vec<Signal> {
        let absent = [(Signal::Lexical, self.wanted.is_empty()), (Signal::Vector, self.code.is_none())];
        absent.into_iter().filter(|(_, is_absent)| *is_absent).map(|(signal, _)| signal).collect()
    }
}

/// The hits of a query within one namespace, and the episodes nearest to it.
pub(super) fn recall(
    space: &NamespaceIndex,
    names: &Names,
    query: &Query<'_>,
    choice: &RecallLimits,
    scratch: &mut Scratch,
) -> Recalled {
    let question = Question::new(query, space, names);
    let candidates = propose_enough(space, &question, choice, scratch);
    let judge = Judge::new(space, &question, names, scratch);
    let mut near = judge.all(&candidates);
    near.sort_unstable_by(|a, b| nearer(space, a, b));
    let nearest = near
        .iter()
        .take(choice.neighbours)
        .map(|near| (near.id, near.similarity * age_weight(space, near, query.now, choice.decay)))
        .collect();
    let judged = finalists(space, near, choice).into_iter().map(|near| judge.hit(near)).collect();
    Recalled { hits: choose(space, judged, choice), nearest, missing: question.missing() }
}

/// The weight of an episode's age: half for each half-life.
fn age_weight(space: &NamespaceIndex, near: &Near, now: i64, half_life: Option<Duration>) -> f64 {
    let Some(half_life) = half_life else { return 1.0 };
    let age = now.saturating_sub(space.documents[near.number as usize].ended_at).max(0);
    decay(Duration::from_micros(age as u64), half_life)
}

/// Orders the nearer first, then the better outcome, then by id.
fn nearer(space: &NamespaceIndex, a: &Near, b: &Near) -> Ordering {
    let base = |near: &Near| space.documents[near.number as usize].base.unwrap_or(0.0);
    let by_similarity = b.similarity.total_cmp(&a.similarity);
    by_similarity.then_with(|| base(b).total_cmp(&base(a))).then_with(|| a.id.cmp(&b.id))
}

/// The candidates of the sources: more of them until there are enough different tasks, or no more candidates.
fn propose_enough(
    space: &NamespaceIndex,
    question: &Question<'_>,
    choice: &RecallLimits,
    scratch: &mut Scratch,
) -> Vec<u32> {
    let mut wanted =
        choice.candidates.max(choice.limit.max(choice.neighbours).saturating_mul(CANDIDATES_PER_HIT));
    loop {
        let candidates = propose(space, question, wanted, choice, scratch);
        let distinct = match choice.per_copy {
            0 => distinct_among(&space.groups, &candidates),
            _ => distinct_among(&space.groups, &candidates).min(distinct_among(&space.copies, &candidates)),
        };
        if wanted >= space.live || distinct > choice.limit || wanted >= MOST_CANDIDATES {
            return candidates;
        }
        wanted = wanted.saturating_mul(FURTHER);
    }
}

fn distinct_among(keys: &[u64], candidates: &[u32]) -> usize {
    let distinct: FxHashSet<u64> = candidates.iter().map(|number| keys[*number as usize]).collect();
    distinct.len()
}

/// The union of the proposals of all sources, in ascending order.
fn propose(
    space: &NamespaceIndex,
    question: &Question<'_>,
    wanted: usize,
    choice: &RecallLimits,
    scratch: &mut Scratch,
) -> Vec<u32> {
    let sums = &mut scratch.sums;
    sums.fit(space.documents.len());
    let mut candidates = by_sums(space, question, wanted, sums);
    candidates.extend(by_vector(space, question.vector, wanted));
    candidates.sort_unstable();
    candidates.dedup();
    candidates.retain(|number| {
        let base = space.documents[*number as usize].base;
        space.alive[*number as usize] && (!choice.successes_only || base == Some(1.0))
    });
    candidates
}

/// The episodes with the largest sums of terms that need no look at each episode: the query's words by their
/// rarity, the pairs of neighbouring tools in the steps so far, and the domain, each by its weight in a score.
fn by_sums(
    space: &NamespaceIndex,
    question: &Question<'_>,
    wanted: usize,
    sums: &mut CandidateSums,
) -> Vec<u32> {
    add_words(space, question, sums);
    add_pairs(space, question, sums);
    add_domain(space, question, sums);
    largest(space, sums, wanted)
}

fn add_words(space: &NamespaceIndex, question: &Question<'_>, sums: &mut CandidateSums) {
    let words = &question.wanted.words;
    let rarity = |word: u64| space.search.task.rarity(bucket(word)) + space.search.steps.rarity(bucket(word));
    let all: f32 = words.iter().map(|word| rarity(*word)).sum();
    let weight =
        (question.weight(Signal::Lexical) + question.weight(Signal::Vector)).max(LEAST) / all.max(LEAST);
    for word in space.search.words.affordable(words, BUDGET, 1) {
        let value = weight * rarity(word).max(LEAST);
        space.search.words.each(word, |number| sums.add(number, value));
    }
}

fn add_pairs(space: &NamespaceIndex, question: &Question<'_>, sums: &mut CandidateSums) {
    let value = question.weight(Signal::Steps).max(LEAST) / question.pairs.len().max(1) as f32;
    for pair in space.search.pairs.affordable(&question.pairs, BUDGET_OF_PAIRS, 0) {
        space.search.pairs.each(pair, |number| sums.add(number, value));
    }
}

/// The newest of the domain may be candidates for that alone; of the others those that something else speaks for.
fn add_domain(space: &NamespaceIndex, question: &Question<'_>, sums: &mut CandidateSums) {
    let Some(domain) = question.domain else { return };
    let newest =
        space.domains.get(&domain).into_iter().flat_map(|same| same.recent.iter().rev().take(SAME_DOMAIN));
    newest.for_each(|number| sums.add(*number, LEAST));
    let value = question.weight(Signal::Context);
    let domains = &space.domain_of;
    sums.raise(|number| if domains[number as usize] == domain { value } else { 0.0 });
}

/// The documents with the `wanted` largest sums; ties by id. All sums are 0 again.
fn largest(space: &NamespaceIndex, sums: &mut CandidateSums, wanted: usize) -> Vec<u32> {
    let mut keys = sums.take();
    if space.live < space.documents.len() {
        keys.retain(|key| space.alive[*key as u32 as usize]);
    }
    if keys.len() <= wanted {
        return keys.into_iter().map(|key| key as u32).collect();
    }
    let last = keys.len() - wanted;
    let (_, least, _) = keys.select_nth_unstable(last);
    let least = *least >> 32;
    let (mut best, mut tied) = (Vec::with_capacity(wanted), Vec::new());
    for key in keys.into_iter().filter(|key| key >> 32 >= least) {
        if key >> 32 > least { best.push(key as u32) } else { tied.push(key as u32) }
    }
    let places = wanted - best.len();
    best.append(&mut first_by_id(space, tied, places));
    best
}

fn first_by_id(space: &NamespaceIndex, mut numbers: Vec<u32>, places: usize) -> Vec<u32> {
    if places > 0 && numbers.len() > places {
        numbers.select_nth_unstable_by_key(places - 1, |number| space.documents[*number as usize].id);
    }
    numbers.truncate(places);
    numbers
}

fn by_vector(space: &NamespaceIndex, vector: Option<&[f32]>, wanted: usize) -> Vec<u32> {
    let Some(vector) = vector else { return Vec::new() };
    let (mut nearest, tied, places) = space.search.signs.nearest_and_tied(vector, wanted, space.live_rows());
    nearest.append(&mut first_by_id(space, tied, places));
    nearest
}

/// A candidate with the values of the signals that compare.
struct Near {
    number: u32,
    id: Id,
    similarity: f64,
    values: [f64; SIGNALS],
}

/// The nearest of the nearest tasks: not too many attempts at any one of them.
fn finalists(space: &NamespaceIndex, near: Vec<Near>, choice: &RecallLimits) -> Vec<Near> {
    let tasks = TASKS.max(choice.limit.saturating_mul(TASKS_PER_HIT));
    let attempts = choice.per_task.saturating_mul(ATTEMPTS);
    let mut seen: FxHashMap<u64, usize> = FxHashMap::default();
    let copies = choice.per_copy.saturating_mul(ATTEMPTS);
    let mut seen_copies: FxHashMap<u64, usize> = FxHashMap::default();
    let is_one = |near: &Near| {
        if copies > 0 {
            let count = seen_copies.entry(space.copies[near.number as usize]).or_default();
            *count += 1;
            if *count > copies {
                return false;
            }
        }
        let is_full = seen.len() >= tasks;
        match seen.entry(space.groups[near.number as usize]) {
            Entry::Vacant(_) if is_full => false,
            entry => {
                let count = entry.or_default();
                *count += 1;
                *count <= attempts
            }
        }
    };
    near.into_iter().filter(is_one).collect()
}

/// The first of each group, as many as there may be.
fn at_most<T>(most: usize, all: Vec<T>, group: impl Fn(&T) -> u64) -> impl Iterator<Item = T> {
    let mut seen: FxHashMap<u64, usize> = FxHashMap::default();
    all.into_iter().filter(move |each| {
        let count = seen.entry(group(each)).or_default();
        *count += 1;
        *count <= most
    })
}

struct Judge<'a> {
    space: &'a NamespaceIndex,
    question: &'a Question<'a>,
    context: Context<'a>,
    task: FieldScorer<'a>,
    steps: FieldScorer<'a>,
    prefix: &'a Prefix,
    /// The weights of the signals that compare; 0 for the others.
    comparing: Weights,
}

impl<'a> Judge<'a> {
    fn new(
        space: &'a NamespaceIndex,
        question: &'a Question<'a>,
        names: &Names,
        scratch: &'a mut Scratch,
    ) -> Self {
        let Scratch { task, steps, prefix, .. } = scratch;
        prefix.set(&question.tools, names.len());
        Self {
            space,
            question,
            context: Context {
                domain: question.domain.map(u64::from),
                language: question.language.map(u64::from),
                tags: &question.tags,
            },
            task: space.search.task.scorer(&question.wanted, task),
            steps: space.search.steps.scorer(&question.wanted, steps),
            prefix,
            comparing: Signal::ALL
                .map(|signal| if signal.compares() { question.weights[signal as usize] } else { 0.0 }),
        }
    }

    /// Fetches the next candidates from memory while one is judged.
    fn all(&self, candidates: &[u32]) -> Vec<Near> {
        let ahead = candidates.iter().skip(AHEAD).map(Some).chain(std::iter::repeat(None));
        let judged = candidates.iter().zip(ahead).map(|(number, next)| {
            if let Some(next) = next {
                self.space.fetch(*next);
            }
            self.near(*number)
        });
        judged.collect()
    }

    fn near(&self, number: u32) -> Near {
        let mut values = [f64::NAN; SIGNALS];
        self.fill(number, &mut values, |signal| signal.compares());
        let similarity = weighted_sum(&values, &self.comparing, &mut [0.0; SIGNALS]);
        Near { number, id: self.space.documents[number as usize].id, similarity, values }
    }

    fn hit(&self, near: Near) -> (u32, Hit) {
        let Near { number, id, mut values, .. } = near;
        self.fill(number, &mut values, |signal| !signal.compares());
        let mut weights = [0.0; SIGNALS];
        let score = weighted_sum(&values, &self.question.weights, &mut weights);
        (number, Hit { id, score, values, weights })
    }

    fn fill(&self, number: u32, values: &mut [f64; SIGNALS], wanted: impl Fn(Signal) -> bool) {
        for signal in Signal::ALL {
            if wanted(signal) && self.question.weights[signal as usize] > 0.0 {
                values[signal as usize] = self.value(signal, number).unwrap_or(f64::NAN);
            }
        }
    }

    fn value(&self, signal: Signal, number: u32) -> Option<f64> {
        match signal {
            Signal::Lexical => self.lexical(number),
            Signal::Vector => self.vector(number),
            Signal::Context => self.context(number),
            Signal::Steps => self.step_similarity(number),
            Signal::Outcome => self.space.outcome(number),
            Signal::Evidence => self.space.taught.evidence(number),
            Signal::Recency => self.recency(number),
            Signal::Effectiveness => {
                self.space.usages.effectiveness(&self.space.documents[number as usize].id)
            }
        }
    }

    fn lexical(&self, number: u32) -> Option<f64> {
        if self.question.wanted.is_empty() {
            return None;
        }
        let (task, steps) = (f64::from(self.task.score(number)), f64::from(self.steps.score(number)));
        Some(TASK_SHARE * task + (1.0 - TASK_SHARE) * steps)
    }

    fn vector(&self, number: u32) -> Option<f64> {
        let code = self.question.code.as_ref()?;
        let document = &self.space.documents[number as usize];
        document
            .has_vector
            .then(|| f64::from(self.space.search.codes.cosine(number as usize, code).clamp(0.0, 1.0)))
    }

    fn context(&self, number: u32) -> Option<f64> {
        let has_context = self.question.has_context;
        has_context.then(|| f64::from(context::context(self.context, self.space.context(number))))
    }

    fn step_similarity(&self, number: u32) -> Option<f64> {
        (!self.prefix.is_empty()).then(|| f64::from(self.prefix.similarity(self.space.runs.iter(number))))
    }

    fn recency(&self, number: u32) -> Option<f64> {
        let age = self.question.now.saturating_sub(self.space.documents[number as usize].ended_at).max(0);
        Some((-(age as f64) / self.question.half_life?).exp2())
    }
}

/// The hits among the judged: the best that are neither more attempts at one task than wanted nor too much alike.
fn choose(space: &NamespaceIndex, mut judged: Vec<(u32, Hit)>, choice: &RecallLimits) -> Vec<Hit> {
    judged.sort_unstable_by(|a, b| order(&a.1, &b.1));
    let most = if choice.diversity > 0.0 { choice.limit.saturating_mul(CHOSEN_AMONG) } else { choice.limit };
    let few = at_most(choice.per_task, judged, |(number, _)| space.groups[*number as usize]).collect();
    let copies = if choice.per_copy > 0 { choice.per_copy } else { usize::MAX };
    let few = at_most(copies, few, |(number, _)| space.copies[*number as usize]);
    let among: Vec<(u32, Hit)> = few.take(most).collect();
    let relevance: Vec<f64> = among.iter().map(|(_, hit)| hit.score).collect();
    let likeness =
        |a: usize, b: usize| f64::from(space.search.codes.between(among[a].0 as usize, among[b].0 as usize));
    let chosen = diversify(&relevance, 1.0 - choice.diversity, choice.limit, likeness);
    let mut hits: Vec<Hit> = chosen.into_iter().map(|place| among[place].1).collect();
    hits.sort_unstable_by(order);
    hits
}

/// The nearest episodes and how near they are, by the signals that compare with the query.
pub(super) fn similar(
    space: &NamespaceIndex,
    names: &Names,
    query: &Query<'_>,
    limit: usize,
    successes_only: bool,
    scratch: &mut Scratch,
) -> Vec<(Id, f64)> {
    let choice = RecallLimits {
        limit: 0,
        neighbours: limit,
        candidates: limit,
        per_task: 1,
        per_copy: 0,
        diversity: 0.0,
        successes_only,
        decay: None,
    };
    recall(space, names, query, &choice, scratch).nearest
}
