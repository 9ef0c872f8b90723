//! One query over one namespace: propose candidates, judge each by every signal, choose the hits.

use super::entry::tag_symbol;
use super::lexical::{Asked, Features, Postings, Table, bucket};
use super::query::{Choice, Found, Hit, Query, SIGNALS, Signal, Weights, order, weigh};
use super::space::Space;
use super::symbols::{Names, Prefix, pairs};
use crate::facts::Id;
use crate::similarity::context::{self, Context};
use crate::similarity::cosine::Code;
use crate::trajectory::symbol;
use std::cmp::Ordering;

/// How many candidates each source proposes: to these, and to a multiple of the limit.
const PROPOSALS: usize = 100;
const PROPOSALS_PER_HIT: usize = 8;
/// How many of the same context, newest first.
const SAME_CONTEXT: usize = 32;
/// How many postings one source reads for one query.
const BUDGET: u32 = 1 << 16;
/// How much of the lexical signal is the task's text; the rest is what stands in the steps.
const TASK_SHARE: f32 = 0.85;
/// The hits are chosen among so many times the limit.
const CHOSEN_AMONG: usize = 4;

/// Room that a query needs, used again by the next.
#[derive(Default)]
pub(super) struct Scratch {
    task: Table,
    steps: Table,
    prefix: Prefix,
    sums: Vec<f32>,
    touched: Vec<u32>,
}

/// A query in the terms of one namespace.
struct Question<'a> {
    features: Features,
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
    fn of(query: &Query<'a>, space: &Space, names: &Names) -> Self {
        let number = |name: &str| names.get(name).unwrap_or(UNKNOWN);
        let vector = query.vector.filter(|vector| vector.iter().any(|x| *x != 0.0));
        let tools: Vec<u64> = query.tools.iter().map(|tool| symbol(tool)).collect();
        let mut tags: Vec<u64> = query.tags.iter().map(|tag| tag_symbol(tag)).collect();
        tags.sort_unstable();
        tags.dedup();
        Self {
            features: Features::of(query.task),
            code: vector.map(|vector| space.codes.code(vector)),
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

    fn missing(&self) -> Vec<Signal> {
        let absent = [(Signal::Lexical, self.features.is_empty()), (Signal::Vector, self.code.is_none())];
        absent.into_iter().filter(|(_, is_absent)| *is_absent).map(|(signal, _)| signal).collect()
    }
}

/// The hits of a query within one namespace.
pub(super) fn recall(
    space: &Space,
    names: &Names,
    query: &Query<'_>,
    choice: &Choice,
    scratch: &mut Scratch,
) -> Found {
    let question = Question::of(query, space, names);
    let wanted = PROPOSALS.max(choice.limit.saturating_mul(PROPOSALS_PER_HIT));
    let candidates = propose(space, &question, wanted, choice, scratch);
    let judged = judge(space, &question, names.len(), &candidates, scratch);
    Found { hits: choose(space, judged, choice), missing: question.missing() }
}

/// The union of what each source proposes, in ascending order.
fn propose(
    space: &Space,
    question: &Question<'_>,
    wanted: usize,
    choice: &Choice,
    scratch: &mut Scratch,
) -> Vec<u32> {
    let rarity = |word: u64| space.task.rarity(bucket(word)) + space.steps.rarity(bucket(word));
    let mut candidates = by_postings(space, &space.words, &question.features.words, rarity, wanted, scratch);
    candidates.extend(by_vector(space, question.vector, wanted));
    candidates.extend(by_postings(space, &space.pairs, &question.pairs, |_| 1.0, wanted, scratch));
    candidates.extend(by_context(space, question));
    candidates.sort_unstable();
    candidates.dedup();
    candidates.retain(|number| {
        let base = space.documents[*number as usize].base;
        space.alive[*number as usize] && (!choice.successes_only || base == Some(1.0))
    });
    candidates
}

/// Those that hold the most of the words, each counted by its rarity.
fn by_postings(
    space: &Space,
    postings: &Postings,
    words: &[u64],
    rarity: impl Fn(u64) -> f32,
    wanted: usize,
    scratch: &mut Scratch,
) -> Vec<u32> {
    scratch.sums.resize(space.documents.len(), 0.0);
    let (sums, touched) = (&mut scratch.sums, &mut scratch.touched);
    for word in postings.affordable(words, BUDGET) {
        let rarity = rarity(word);
        postings.each(word, |number| {
            let sum = &mut sums[number as usize];
            if *sum == 0.0 {
                touched.push(number);
            }
            *sum += rarity;
        });
    }
    touched
        .retain(|number| space.alive[*number as usize] || std::mem::take(&mut sums[*number as usize]) < 0.0);
    let id = |number: &u32| space.documents[*number as usize].id;
    let best = keep_first(touched, wanted, |a, b| {
        sums[*b as usize].total_cmp(&sums[*a as usize]).then_with(|| id(a).cmp(&id(b)))
    });
    touched.drain(..).for_each(|number| sums[number as usize] = 0.0);
    best
}

/// The `wanted` that come first in `order`, themselves in no order.
fn keep_first(all: &mut [u32], wanted: usize, order: impl FnMut(&u32, &u32) -> Ordering) -> Vec<u32> {
    if wanted == 0 {
        return Vec::new();
    }
    if all.len() > wanted {
        all.select_nth_unstable_by(wanted - 1, order);
    }
    all[..all.len().min(wanted)].to_vec()
}

fn by_vector(space: &Space, vector: Option<&[f32]>, wanted: usize) -> Vec<u32> {
    let Some(vector) = vector else { return Vec::new() };
    let (mut nearest, mut tied, places) = space.signs.nearest_and_tied(vector, wanted, space.live_rows());
    let id = |number: &u32| space.documents[*number as usize].id;
    nearest.append(&mut keep_first(&mut tied, places, |a, b| id(a).cmp(&id(b))));
    nearest
}

/// The newest of the same domain.
fn by_context(space: &Space, question: &Question<'_>) -> impl Iterator<Item = u32> {
    let domain = question.domain.and_then(|domain| space.domains.get(&domain));
    domain.into_iter().flat_map(|domain| domain.recent.iter().rev().take(SAME_CONTEXT).copied())
}

/// Every candidate with the value of every signal.
fn judge(
    space: &Space,
    question: &Question<'_>,
    names: usize,
    candidates: &[u32],
    scratch: &mut Scratch,
) -> Vec<(u32, Hit)> {
    scratch.prefix.set(&question.tools, names);
    let judge = Judge {
        space,
        question,
        context: Context {
            domain: question.domain.map(u64::from),
            language: question.language.map(u64::from),
            tags: &question.tags,
        },
        task: space.task.ask(&question.features.buckets, &mut scratch.task),
        steps: space.steps.ask(&question.features.buckets, &mut scratch.steps),
        prefix: &scratch.prefix,
    };
    candidates.iter().map(|number| (*number, judge.hit(*number))).collect()
}

struct Judge<'a> {
    space: &'a Space,
    question: &'a Question<'a>,
    context: Context<'a>,
    task: Asked<'a>,
    steps: Asked<'a>,
    prefix: &'a Prefix,
}

impl Judge<'_> {
    fn hit(&self, number: u32) -> Hit {
        let mut values = [f64::NAN; SIGNALS];
        for signal in Signal::ALL {
            if self.question.weights[signal as usize] > 0.0 {
                values[signal as usize] = self.value(signal, number).unwrap_or(f64::NAN);
            }
        }
        weigh(self.space.documents[number as usize].id, values, &self.question.weights)
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
        }
    }

    fn lexical(&self, number: u32) -> Option<f64> {
        if self.question.features.is_empty() {
            return None;
        }
        let (task, steps) = (self.task.score(number), self.steps.score(number));
        Some(f64::from(TASK_SHARE * task + (1.0 - TASK_SHARE) * steps))
    }

    fn vector(&self, number: u32) -> Option<f64> {
        let code = self.question.code.as_ref()?;
        let document = &self.space.documents[number as usize];
        document.has_vector.then(|| f64::from(self.space.codes.cosine(number as usize, code).clamp(0.0, 1.0)))
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
fn choose(space: &Space, mut judged: Vec<(u32, Hit)>, choice: &Choice) -> Vec<Hit> {
    judged.sort_unstable_by(|a, b| order(&a.1, &b.1));
    let mut among = fewer_per_task(space, judged, choice);
    let mut likeness = vec![0.0f32; among.len()];
    let mut hits = Vec::with_capacity(choice.limit.min(among.len()));
    while hits.len() < choice.limit && !among.is_empty() {
        let worth = |place: usize| among[place].1.score - choice.diversity * f64::from(likeness[place]);
        let best =
            (0..among.len()).fold(0, |best, place| if worth(place) > worth(best) { place } else { best });
        let (number, hit) = among.remove(best);
        likeness.remove(best);
        hits.push(hit);
        if choice.diversity > 0.0 {
            for (place, (other, _)) in among.iter().enumerate() {
                likeness[place] = likeness[place].max(space.codes.between(number as usize, *other as usize));
            }
        }
    }
    hits.sort_unstable_by(order);
    hits
}

/// The best, at most `per_task` of one task, as many as the choice is made among.
fn fewer_per_task(space: &Space, judged: Vec<(u32, Hit)>, choice: &Choice) -> Vec<(u32, Hit)> {
    let most = if choice.diversity > 0.0 { choice.limit.saturating_mul(CHOSEN_AMONG) } else { choice.limit };
    let mut attempts: rustc_hash::FxHashMap<u64, usize> = Default::default();
    let few = judged.into_iter().filter(|(number, _)| {
        let attempt = attempts.entry(space.groups[*number as usize]).or_default();
        *attempt += 1;
        *attempt <= choice.per_task
    });
    few.take(most).collect()
}

/// The nearest episodes and how near they are, by the signals that compare with the query.
pub(super) fn similar(
    space: &Space,
    names: &Names,
    query: &Query<'_>,
    limit: usize,
    successes_only: bool,
    scratch: &mut Scratch,
) -> Vec<(Id, f64)> {
    let mut query = query.clone();
    for signal in Signal::ALL.into_iter().filter(|signal| !signal.compares()) {
        query.weights[signal as usize] = 0.0;
    }
    let choice = Choice { limit, per_task: usize::MAX, diversity: 0.0, successes_only };
    let found = recall(space, names, &query, &choice, scratch);
    found.hits.iter().map(|hit| (hit.id, hit.score)).collect()
}
