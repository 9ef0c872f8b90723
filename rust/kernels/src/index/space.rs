//! One namespace of the index: nothing in it is seen from another.

use super::entry::Entry;
use super::lexical::{Field, Postings, retain_spans, span};
use super::statistics::{Measures, Statistics};
use super::symbols::{Names, Runs};
use super::taught::Taught;
use crate::evidence::{Ledger, StratumKey, month_of};
use crate::facts::Id;
use crate::simd::fetch;
use crate::similarity::context::Context;
use crate::similarity::cosine::{Quantised, SignBits};
use crate::trajectory::Complexity;
use rustc_hash::FxHashMap;

/// The index is renumbered once more than this share of it is gone.
const MOST_GONE: f64 = 0.2;
const FEWEST_GONE: usize = 64;

/// What is known of one episode beside its text, vector, steps, tags and patterns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Document {
    pub id: Id,
    pub ended_at: i64,
    pub base: Option<f64>,
    pub measures: Measures,
    /// Numbers of names; 0 for none.
    pub domain: u32,
    pub language: u32,
    pub framework: u32,
    pub task_type: u32,
    pub agent: u32,
    pub complexity: Complexity,
    pub has_vector: bool,
}

/// The episodes of one domain.
#[derive(Debug, Default)]
pub(super) struct Domain {
    pub statistics: Statistics,
    /// By end, then by id.
    pub recent: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Space {
    pub documents: Vec<Document>,
    pub alive: Vec<bool>,
    pub live: usize,
    pub groups: Vec<u64>,
    pub(super) domain_of: Vec<u32>,
    pub task: Field,
    pub steps: Field,
    pub words: Postings,
    pub pairs: Postings,
    pub runs: Runs,
    pub signs: SignBits,
    pub codes: Quantised,
    tags: Vec<u64>,
    tag_ends: Vec<u32>,
    pub(super) taught: Taught,
    pub(super) domains: FxHashMap<u32, Domain>,
    namespace: Box<str>,
    /// The ways out of each error that were taken here, with the patterns that they are.
    pub(super) recoveries: FxHashMap<u64, Vec<(u32, Id)>>,
}

impl Space {
    pub(super) fn new(namespace: &str, dimension: usize) -> Self {
        Self {
            documents: Vec::new(),
            alive: Vec::new(),
            live: 0,
            groups: Vec::new(),
            domain_of: Vec::new(),
            task: Field::default(),
            steps: Field::default(),
            words: Postings::default(),
            pairs: Postings::default(),
            runs: Runs::default(),
            signs: SignBits::new(dimension),
            codes: Quantised::new(dimension),
            tags: Vec::new(),
            tag_ends: Vec::new(),
            taught: Taught::default(),
            domains: FxHashMap::default(),
            namespace: namespace.into(),
            recoveries: FxHashMap::default(),
        }
    }

    /// Adds an episode that is not there yet; answers its number.
    pub(super) fn push(&mut self, entry: &Entry, names: &mut Names, ledger: &mut Ledger) -> u32 {
        let number = self.documents.len() as u32;
        let document = document_of(entry, names);
        self.task.push(&entry.task.buckets);
        self.steps.push(&entry.steps.buckets);
        self.words.push(number, &entry.words());
        self.pairs.push(number, &entry.pairs());
        let tools: Vec<u32> = entry.tool_names.iter().map(|name| names.number(name)).collect();
        self.runs.push(&entry.tool_indices.iter().map(|index| tools[*index as usize]).collect::<Vec<_>>());
        self.push_vector(entry.vector.as_deref());
        self.tags.extend_from_slice(&entry.tags);
        self.tag_ends.push(self.tags.len() as u32);
        self.teach(entry, &document, names, ledger);
        self.documents.push(document);
        self.alive.push(true);
        self.live += 1;
        self.groups.push(entry.group);
        self.domain_of.push(document.domain);
        self.enter_domain(number);
        number
    }

    /// What the episode says about patterns is counted, and every pattern's mean is up to date.
    fn teach(&mut self, entry: &Entry, document: &Document, names: &mut Names, ledger: &mut Ledger) {
        ledger.add(self.stratum(document, names), entry.base, &entry.facts, entry.ended_at);
        self.taught.push(&entry.facts, entry.base, ledger);
        self.taught.refresh(entry.facts.iter().map(|fact| &fact.pattern), &self.namespace, ledger);
        for recovery in &entry.recoveries {
            let next = names.number(&recovery.next);
            let known = self.recoveries.entry(recovery.error).or_default();
            if !known.iter().any(|(_, pattern)| *pattern == recovery.pattern) {
                known.push((next, recovery.pattern));
            }
        }
    }

    fn unteach(&mut self, number: u32, names: &Names, ledger: &mut Ledger) {
        let document = self.documents[number as usize];
        let facts = self.taught.facts(number, document.base, ledger);
        ledger.remove(self.stratum(&document, names), document.base, &facts);
        self.taught.refresh(facts.iter().map(|fact| &fact.pattern), &self.namespace, ledger);
    }

    fn stratum<'a>(&'a self, document: &Document, names: &'a Names) -> StratumKey<'a> {
        StratumKey {
            namespace: &self.namespace,
            domain: names.name(document.domain).unwrap_or_default(),
            agent: names.name(document.agent),
            complexity: document.complexity as u8,
            month: month_of(document.ended_at),
        }
    }

    fn push_vector(&mut self, vector: Option<&[f32]>) {
        let none;
        let vector = match vector {
            Some(vector) => vector,
            None => {
                none = vec![0.0; self.codes.width()];
                &none
            }
        };
        self.signs.push(vector);
        self.codes.push(vector);
    }

    fn enter_domain(&mut self, number: u32) {
        let document = self.documents[number as usize];
        let domain = self.domains.entry(document.domain).or_default();
        domain.statistics.add(&document.measures);
        let age = |other: &u32| age(&self.documents[*other as usize]) < age(&document);
        let place = match domain.recent.last() {
            Some(last) if !age(last) => domain.recent.partition_point(age),
            _ => domain.recent.len(),
        };
        domain.recent.insert(place, number);
    }

    /// Takes an episode out: what is left scores as if it had never been there.
    pub(super) fn remove(&mut self, number: u32, names: &Names, ledger: &mut Ledger) {
        self.unteach(number, names, ledger);
        let document = self.documents[number as usize];
        self.alive[number as usize] = false;
        self.live -= 1;
        self.task.remove(number);
        self.steps.remove(number);
        if let Some(domain) = self.domains.get_mut(&document.domain) {
            domain.statistics.remove(&document.measures);
            let place =
                domain.recent.partition_point(|other| age(&self.documents[*other as usize]) < age(&document));
            domain.recent.remove(place);
            if domain.recent.is_empty() {
                self.domains.remove(&document.domain);
            }
        }
    }

    /// For each row whether it is alive; empty where all are.
    pub(crate) fn live_rows(&self) -> &[bool] {
        if self.live == self.alive.len() { &[] } else { &self.alive }
    }

    /// Whether so much is gone that renumbering pays.
    pub(super) fn is_sparse(&self) -> bool {
        let gone = self.documents.len() - self.live;
        gone > FEWEST_GONE && gone as f64 > MOST_GONE * self.documents.len() as f64
    }

    /// Closes the gaps that removed episodes left; numbers change.
    pub(super) fn renumber(&mut self) {
        let keep = std::mem::take(&mut self.alive);
        let mut next = 0;
        let numbers: Vec<Option<u32>> = keep
            .iter()
            .map(|keep| {
                next += u32::from(*keep);
                keep.then(|| next - 1)
            })
            .collect();
        retain(&mut self.documents, &keep);
        retain(&mut self.groups, &keep);
        retain(&mut self.domain_of, &keep);
        self.task.retain(&keep);
        self.steps.retain(&keep);
        self.words.renumber(&numbers);
        self.pairs.renumber(&numbers);
        self.runs.retain(&keep);
        self.signs.retain(&keep);
        self.codes.retain(&keep);
        retain_spans(&mut self.tags, &mut self.tag_ends, &keep);
        self.taught.retain(&keep);
        for number in self.domains.values_mut().flat_map(|domain| &mut domain.recent) {
            *number = numbers[*number as usize].unwrap_or_default();
        }
        self.alive = vec![true; self.documents.len()];
    }

    pub(super) fn tags(&self, number: u32) -> &[u64] {
        &self.tags[span(&self.tag_ends, number)]
    }

    pub(super) fn context(&self, number: u32) -> Context<'_> {
        let document = &self.documents[number as usize];
        let known = |name: u32| (name > 0).then_some(u64::from(name));
        Context {
            domain: known(document.domain),
            language: known(document.language),
            tags: self.tags(number),
        }
    }

    /// Asks memory for what judging this document will read.
    pub(super) fn fetch(&self, number: u32) {
        fetch(std::slice::from_ref(&self.documents[number as usize]));
        fetch(self.codes.codes_of(number as usize));
        fetch(self.task.buckets(number));
        fetch(self.steps.buckets(number));
    }

    /// A reward's score in 0 to 1 among those of its domain; none for an episode without a reward.
    pub(super) fn outcome(&self, number: u32) -> Option<f64> {
        let document = &self.documents[number as usize];
        let total = document.measures.total?;
        Some(self.domains.get(&document.domain)?.statistics.score(total))
    }

    pub(super) fn bytes(&self) -> usize {
        let fixed = size_of::<Document>() + size_of::<u64>() + 1 + 3 * size_of::<u32>();
        let domains: usize =
            self.domains.values().map(|domain| domain.statistics.bytes() + domain.recent.len() * 4).sum();
        self.documents.len() * (fixed + self.codes.width().div_ceil(64) * 8)
            + self.codes.bytes()
            + self.task.bytes()
            + self.steps.bytes()
            + self.words.bytes()
            + self.pairs.bytes()
            + self.runs.bytes()
            + self.tags.len() * 8
            + self.taught.bytes()
            + domains
    }
}

fn age(document: &Document) -> (i64, Id) {
    (document.ended_at, document.id)
}

fn retain<T>(elements: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    elements.retain(|_| *keep.next().unwrap_or(&false));
}

fn document_of(entry: &Entry, names: &mut Names) -> Document {
    Document {
        id: entry.id,
        ended_at: entry.ended_at,
        base: entry.base,
        measures: entry.measures,
        domain: names.number(&entry.domain),
        language: names.number_of(entry.language.as_deref()),
        framework: names.number_of(entry.framework.as_deref()),
        task_type: names.number(&entry.task_type),
        agent: names.number_of(entry.agent.as_deref()),
        complexity: entry.complexity,
        has_vector: entry.vector.is_some(),
    }
}
