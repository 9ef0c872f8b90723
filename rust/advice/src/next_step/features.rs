//! The sparse features of a run before its next step: names that are set or not, and weighted words.
//!
//! No feature knows a certain tool, agent or domain. Words weigh by their rarity in the training runs, and the
//! words of one kind have unit length together.

use super::backoff_counts::{MOST_POSITION, MOST_RUN, Prefix, START, StepSymbol, join, symbol_of};
use crate::run::{Run, RunStep};
use rmp::Marker;
use rustc_hash::{FxHashMap, FxHashSet};
use tacit_kernels::msgpack::Reader;
use tacit_kernels::text;
use tacit_kernels::trajectory::symbol_of_bytes;

/// How many words of one text count: the first ones.
const MOST_WORDS: usize = 300;
/// How much of one text is read.
const MOST_BYTES: usize = 4_000;
/// The largest number of last calls that are searched for words and for the origin of a value.
const MOST_CALLS: usize = 32;
/// Numbers of things beyond this are counted as this many.
const MOST_COUNT: usize = 4;
/// A quoted text longer than this is no value.
const VALUE_BYTES: usize = 48;

/// A run made ready: everything that its features are made of, as symbols.
#[derive(Debug)]
pub(super) struct RunFeatures {
    domain: u64,
    agent: u64,
    /// Distinct words of the task, ascending, each with a flag for digits.
    task: Vec<(u64, bool)>,
    steps: Vec<StepFeatures>,
}

#[derive(Debug)]
struct StepFeatures {
    what: StepSymbol,
    ok: bool,
    /// Distinct words of the arguments and of the result, ascending.
    arguments: Vec<u64>,
    result: Vec<u64>,
    result_bytes: usize,
    /// Symbols of the whole call and of the whole result.
    call: u64,
    gave: u64,
    /// The values that the arguments hold, ascending.
    values: Vec<u64>,
    /// The values that the result holds, each with its shape.
    offered: Vec<(u64, u8)>,
}

impl RunFeatures {
    /// Ready for its features before any of its steps, or behind them.
    pub(super) fn whole(run: &Run) -> Self {
        Self::new(run, 0)
    }

    /// Ready for its features after its last step only, at less cost.
    pub(super) fn ending(run: &Run) -> Self {
        Self::new(run, run.steps.len().saturating_sub(1))
    }

    /// The words of results before the step `read_from` are not read.
    fn new(run: &Run, read_from: usize) -> Self {
        let mut task = Vec::new();
        words_of(clipped(&run.task), |word| task.push((text::term(word), has_digit(word))));
        task.sort_unstable();
        task.dedup_by_key(|(word, _)| *word);
        let steps = run
            .steps
            .iter()
            .enumerate()
            .map(|(at, taken)| StepFeatures::new(taken, at >= read_from))
            .collect();
        Self { domain: domain_of(run), agent: symbol_of(run.agent.as_deref()), task, steps }
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn prefix(&self) -> Prefix {
        Prefix::new(self.domain, self.agent)
    }

    /// Distinct words of the task.
    pub(super) fn task_words(&self) -> impl Iterator<Item = u64> {
        self.task.iter().map(|(word, _)| *word)
    }

    /// Distinct words of the result of a step.
    pub(super) fn result_words(&self, step: usize) -> impl Iterator<Item = u64> {
        self.steps[step].result.iter().copied()
    }

    pub(super) fn step_symbols(&self) -> impl Iterator<Item = StepSymbol> {
        self.steps.iter().map(|step| step.what)
    }

    /// The words that count towards rarity: of the task, of each result and of each call.
    pub(super) fn texts(&self, mut visit: impl FnMut(TextKind, &mut dyn Iterator<Item = u64>)) {
        visit(TextKind::Task, &mut self.task.iter().map(|(word, _)| *word));
        for step in &self.steps {
            visit(TextKind::Result, &mut step.result.iter().copied());
            visit(TextKind::Arguments, &mut step.arguments.iter().copied());
        }
    }
}

/// The symbol of a run's domain.
pub(super) fn domain_of(run: &Run) -> u64 {
    symbol_of(Some(&run.domain))
}

/// A step as contexts and features see it.
pub(super) fn step_symbol(taken: &RunStep) -> StepSymbol {
    let failed = taken.ok == 0;
    let class = failed.then(|| symbol_of(Some(taken.error_class.as_deref().unwrap_or("error"))));
    StepSymbol { tool: symbol_of(Some(&taken.tool)), class: class.unwrap_or(0) }
}

impl StepFeatures {
    fn new(taken: &RunStep, read: bool) -> Self {
        let error = taken.error.as_deref().unwrap_or("");
        let mut step = Self {
            what: step_symbol(taken),
            ok: taken.ok != 0,
            arguments: Vec::new(),
            result: Vec::new(),
            result_bytes: 0,
            call: join(symbol_of(Some(&taken.tool)), symbol_of_bytes(&taken.parameters)),
            gave: join(symbol_of_bytes(&taken.output), symbol_of_bytes(error.as_bytes())),
            values: Vec::new(),
            offered: Vec::new(),
        };
        step.read_arguments(&taken.parameters);
        step.read_result(&taken.output, error, read);
        step
    }

    fn read_arguments(&mut self, parameters: &[u8]) {
        let (words, values) = (&mut self.arguments, &mut self.values);
        leaves(parameters, |leaf| {
            words_of(leaf, |word| words.push(text::term(word)));
            let parts = leaf.split(|c: char| c.is_whitespace() || ",;()[]{}\"'=".contains(c));
            values.extend(parts.filter(|part| !part.is_empty()).map(value_symbol));
        });
        distinct(&mut self.arguments);
        distinct(&mut self.values);
    }

    /// The output, or the error if there is none.
    fn read_result(&mut self, output: &[u8], error: &str, read: bool) {
        let mut leaf_of = |leaf: &str| {
            self.result_bytes += leaf.len();
            if self.result_bytes - leaf.len() > MOST_BYTES {
                return;
            }
            quoted(leaf, |value| self.offered.push((value_symbol(value), shape(value))));
            if read && self.result.len() < MOST_WORDS {
                words_of(leaf, |word| self.result.push(text::term(word)));
            }
        };
        leaves(output, &mut leaf_of);
        if self.result_bytes == 0 {
            self.result_bytes = error.len();
            words_of(clipped(error), |word| self.result.push(text::term(word)));
        }
        self.result.truncate(MOST_WORDS);
        distinct(&mut self.result);
    }
}

fn distinct(symbols: &mut Vec<u64>) {
    symbols.sort_unstable();
    symbols.dedup();
}

fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_BYTES)]
}

fn words_of(text: &str, visit: impl FnMut(&str)) {
    text::words(text, visit);
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

fn value_symbol(value: &str) -> u64 {
    symbol_of_bytes(value.as_bytes())
}

/// Flags for digits, capitals and small letters: values of one kind mostly agree in them.
fn shape(value: &str) -> u8 {
    let has = |test: fn(char) -> bool| u8::from(value.chars().any(test));
    has(|c| c.is_ascii_digit()) | has(char::is_uppercase) << 1 | has(char::is_lowercase) << 2
}

/// Visits the values in a text: those between quotes, or the whole of a short text without any.
fn quoted(text: &str, mut visit: impl FnMut(&str)) {
    if text.len() <= VALUE_BYTES && !text.contains(['"', '\'']) {
        return visit(text);
    }
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'']) {
        let (quote, after) = (rest.as_bytes()[at], &rest[at + 1..]);
        let near = &after.as_bytes()[..after.len().min(VALUE_BYTES + 1)];
        match near.iter().position(|byte| *byte == quote || *byte == b'\n') {
            Some(end) if near[end] == quote => {
                if end > 0 {
                    visit(&after[..end]);
                }
                rest = &after[end + 1..];
            }
            _ => rest = after,
        }
    }
}

/// Visits the keys and scalars of a msgpack value as text, in their order, each clipped.
fn leaves(value: &[u8], mut visit: impl FnMut(&str)) {
    let mut reader = Reader::new(value);
    while !reader.is_empty() && visit_leaf(&mut reader, &mut visit).is_ok() {}
}

/// Passes the head of a container or one scalar.
fn visit_leaf(reader: &mut Reader<'_>, visit: &mut impl FnMut(&str)) -> tacit_kernels::msgpack::Result<()> {
    match reader.marker()? {
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => reader.array().map(drop),
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => reader.map().map(drop),
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            reader.str().map(|text| visit(clipped(text)))
        }
        Marker::F32 | Marker::F64 => reader.number().map(|number| visit(&number.to_string())),
        Marker::True | Marker::False => {
            reader.byte().map(|byte| visit(if byte == 0xc3 { "true" } else { "false" }))
        }
        Marker::Null => reader.skip(),
        _ => match reader.int() {
            Ok(number) => {
                visit(&number.to_string());
                Ok(())
            }
            Err(_) => reader.skip(),
        },
    }
}

/// The kind of text that has a word: rarity is counted for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextKind {
    Task,
    Result,
    Arguments,
}

/// In how many texts of each kind a word stood.
#[derive(Debug, Default)]
pub(super) struct WordRarity {
    texts: [u32; 3],
    with: [FxHashMap<u64, u32>; 3],
}

impl WordRarity {
    pub(super) fn new<'a>(runs: impl Iterator<Item = &'a RunFeatures>) -> Self {
        let mut rarity = Self::default();
        for run in runs {
            run.texts(|kind, words| rarity.count(kind, words));
        }
        // A word that stood in one text is as rare as one that never stood.
        rarity.with.iter_mut().for_each(|with| with.retain(|_, texts| *texts > 1));
        rarity
    }

    fn count(&mut self, kind: TextKind, words: &mut dyn Iterator<Item = u64>) {
        self.texts[kind as usize] += 1;
        words.for_each(|word| *self.with[kind as usize].entry(word).or_default() += 1);
    }

    /// Above 0; more for rarer words.
    pub(super) fn weight(&self, kind: TextKind, word: u64) -> f32 {
        let with = self.with[kind as usize].get(&word).copied().unwrap_or(1);
        (1.0 + self.texts[kind as usize].max(1) as f32 / (1 + with) as f32).ln()
    }

    pub(super) fn bytes(&self) -> usize {
        self.with.iter().map(|with| with.capacity() * 17).sum()
    }
}

/// The kind of a feature, part of its hash: features of different kinds are different.
#[derive(Clone, Copy)]
#[repr(u64)]
enum FeatureKind {
    Bias = 1,
    Tools,
    Results,
    Outcomes,
    Domain,
    Agent,
    Position,
    Uses,
    Set,
    Run,
    TaskWord,
    TaskWordHere,
    ResultWord,
    ResultWordHere,
    ArgumentWord,
    EarlierWord,
    ResultSize,
    Repeats,
    Coverage,
    Origin,
}

/// Which features of a run are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FeatureSet {
    /// Many: names, words crossed with the last tool, repetitions, origins of values.
    Rich,
    /// Few: the last tools, uses, place, domain and agent, words of the task and of the last result.
    Plain,
}

impl FeatureSet {
    /// Visits every feature of a run's first `steps` steps with its value; `prefix` holds exactly these steps.
    pub(super) fn visit(
        self,
        run: &RunFeatures,
        steps: usize,
        prefix: &Prefix,
        rarity: &WordRarity,
        visit: impl FnMut(u32, f32),
    ) {
        let last = prefix.tools()[0];
        let writer = FeatureWriter { run, steps: &run.steps[..steps], prefix, rarity, last, visit };
        match self {
            Self::Rich => rich_features(writer),
            Self::Plain => plain_features(writer),
        }
    }
}

fn rich_features<V: FnMut(u32, f32)>(mut writer: FeatureWriter<'_, V>) {
    writer.names();
    writer.task_words();
    match writer.steps.split_last() {
        Some((last, before)) => {
            writer.last_step(last);
            writer.repeats(last, before);
            writer.coverage(last);
            writer.earlier_words(before);
            writer.origin(last, before);
        }
        None => writer.name(FeatureKind::Coverage, &[99, scale(writer.run.task.len())]),
    }
}

fn plain_features<V: FnMut(u32, f32)>(mut writer: FeatureWriter<'_, V>) {
    let (prefix, last) = (writer.prefix, writer.last);
    writer.name(FeatureKind::Bias, &[]);
    for (length, tools) in prefix.tools().into_iter().enumerate() {
        writer.name(FeatureKind::Tools, &[length as u64, tools]);
    }
    for (tool, uses) in &prefix.used {
        writer.number(FeatureKind::Uses, *tool, *uses, 3);
    }
    writer.number(FeatureKind::Position, 0, prefix.position, 20);
    for (kind, name) in [(FeatureKind::Domain, prefix.domain), (FeatureKind::Agent, prefix.agent)] {
        if name != 0 {
            writer.name(kind, &[name]);
            writer.name(kind, &[name, last]);
        }
    }
    let (run, step) = (writer.run, writer.steps.last());
    writer.words(TextKind::Task, || run.task_words(), &[(FeatureKind::TaskWord, 0)]);
    if let Some(step) = step {
        writer.name(FeatureKind::Outcomes, &[u64::from(step.ok)]);
        writer.words(TextKind::Result, || step.result.iter().copied(), &[(FeatureKind::ResultWord, 0)]);
    }
}

struct FeatureWriter<'a, V> {
    run: &'a RunFeatures,
    steps: &'a [StepFeatures],
    prefix: &'a Prefix,
    rarity: &'a WordRarity,
    /// The symbol of the last tool.
    last: u64,
    visit: V,
}

impl<V: FnMut(u32, f32)> FeatureWriter<'_, V> {
    fn name(&mut self, of: FeatureKind, parts: &[u64]) {
        (self.visit)(feature(of, parts), 1.0);
    }

    /// A number as a share of `most`, 1 beyond it.
    fn number(&mut self, of: FeatureKind, part: u64, number: u32, most: u32) {
        (self.visit)(feature(of, &[part]), number.min(most) as f32 / most as f32);
    }

    fn names(&mut self) {
        let (prefix, last) = (self.prefix, self.last);
        self.name(FeatureKind::Bias, &[]);
        for (length, tools) in prefix.tools().into_iter().enumerate() {
            self.name(FeatureKind::Tools, &[length as u64, tools]);
        }
        let results = prefix.results();
        for (length, result) in results.into_iter().enumerate() {
            self.name(FeatureKind::Results, &[length as u64, result]);
        }
        let fared = self.steps.iter().rev().take(3).fold(1, |fared, step| fared << 1 | u64::from(step.ok));
        self.name(FeatureKind::Outcomes, &[last, fared]);
        self.context_names(results[0]);
        for (tool, uses) in &prefix.used {
            self.name(FeatureKind::Uses, &[*tool, 1]);
            if *uses > 1 {
                self.name(FeatureKind::Uses, &[*tool, u64::from(*uses).min(MOST_COUNT as u64)]);
            }
            if *tool == prefix.last[0].tool {
                self.name(FeatureKind::Uses, &[START, last, u64::from(*uses).min(1 + MOST_COUNT as u64)]);
            }
        }
        self.name(FeatureKind::Set, &[prefix.set, last]);
        self.name(FeatureKind::Run, &[last, u64::from(prefix.run.min(MOST_RUN))]);
    }

    /// Agent and domain, alone and with the last steps.
    fn context_names(&mut self, result: u64) {
        let (prefix, last) = (self.prefix, self.last);
        let two = prefix.tools()[1];
        let place = u64::from(prefix.position.min(MOST_POSITION));
        let (domain, agent) = (prefix.domain, prefix.agent);
        self.name(FeatureKind::Domain, &[domain]);
        self.name(FeatureKind::Domain, &[domain, last]);
        self.name(FeatureKind::Domain, &[domain, two]);
        self.name(FeatureKind::Position, &[place]);
        self.name(FeatureKind::Position, &[place, last]);
        if agent != 0 {
            self.name(FeatureKind::Agent, &[agent]);
            self.name(FeatureKind::Agent, &[agent, result]);
            self.name(FeatureKind::Agent, &[agent, two]);
            self.name(FeatureKind::Agent, &[agent, domain, last]);
            self.name(FeatureKind::Position, &[place, agent, 1]);
        }
    }

    fn task_words(&mut self) {
        let run = self.run;
        self.words(
            TextKind::Task,
            || run.task_words(),
            &[(FeatureKind::TaskWord, 0), (FeatureKind::TaskWordHere, self.last)],
        );
    }

    /// Words of one kind, together of unit length, once for each way of naming them.
    fn words<W: Iterator<Item = u64>>(
        &mut self,
        kind: TextKind,
        words: impl Fn() -> W,
        names: &[(FeatureKind, u64)],
    ) {
        let weights: Vec<f32> = words().map(|word| self.rarity.weight(kind, word)).collect();
        let length = weights.iter().map(|weight| weight * weight).sum::<f32>().sqrt();
        for (word, weight) in words().zip(weights) {
            for (of, beside) in names {
                (self.visit)(feature(*of, &[word, *beside]), weight / length);
            }
        }
    }

    fn last_step(&mut self, last: &StepFeatures) {
        let here = self.last;
        let results = [(FeatureKind::ResultWord, 0), (FeatureKind::ResultWordHere, here)];
        self.words(TextKind::Result, || last.result.iter().copied(), &results);
        self.words(
            TextKind::Arguments,
            || last.arguments.iter().copied(),
            &[(FeatureKind::ArgumentWord, here)],
        );
        let size = scale(last.result_bytes);
        self.name(FeatureKind::ResultSize, &[size, here]);
        if self.prefix.agent != 0 {
            self.name(FeatureKind::ResultSize, &[size, here, self.prefix.agent]);
        }
        self.name(
            FeatureKind::ResultSize,
            &[99 + u64::from(last.result_bytes <= 2), self.prefix.results()[0]],
        );
    }

    /// Repetition: an earlier step had the same call or the same result as the last.
    fn repeats(&mut self, last: &StepFeatures, before: &[StepFeatures]) {
        let same_call = before.iter().any(|step| step.call == last.call);
        let same_result = before.iter().any(|step| step.gave == last.gave);
        self.name(FeatureKind::Repeats, &[u64::from(same_call), u64::from(same_result), self.last]);
        let calls: FxHashSet<u64> = self.steps.iter().map(|step| step.call).collect();
        self.name(FeatureKind::Repeats, &[(self.steps.len() - calls.len()).min(MOST_COUNT) as u64]);
    }

    /// How much of the task the calls so far have named.
    fn coverage(&mut self, last: &StepFeatures) {
        let task = &self.run.task;
        let mut named = vec![false; task.len()];
        for step in &self.steps[self.steps.len().saturating_sub(MOST_CALLS)..] {
            mark(task, &step.arguments, &mut named);
        }
        let (mut new, mut found) = (vec![false; task.len()], vec![false; task.len()]);
        mark(task, &last.arguments, &mut new);
        mark(task, &last.result, &mut found);
        let sixths =
            |marks: &[bool]| (6 * marks.iter().filter(|mark| **mark).count() / task.len().max(1)) as u64;
        let unused = task.iter().zip(&named).filter(|((_, digit), named)| *digit && !**named).count();
        let words = scale(last.arguments.len());
        let values = [sixths(&named), sixths(&new), sixths(&found), unused.min(MOST_COUNT) as u64, words];
        for (which, value) in values.into_iter().enumerate() {
            self.name(FeatureKind::Coverage, &[which as u64, value, self.last]);
        }
    }

    fn earlier_words(&mut self, before: &[StepFeatures]) {
        let before = &before[before.len().saturating_sub(MOST_CALLS)..];
        let mut words: Vec<(u64, u64)> = Vec::new();
        for step in before {
            words.extend(step.arguments.iter().map(|word| (*word, join(step.what.tool, *word))));
        }
        words.sort_unstable();
        words.dedup();
        let weights: Vec<f32> =
            words.iter().map(|(word, _)| self.rarity.weight(TextKind::Arguments, *word)).collect();
        let length = weights.iter().map(|weight| weight * weight).sum::<f32>().sqrt();
        for ((_, named), weight) in words.iter().zip(weights) {
            (self.visit)(feature(FeatureKind::EarlierWord, &[*named, self.last]), weight / length);
        }
    }

    /// The earlier result that offered a value of the last call, and its similar values that no call has used.
    fn origin(&mut self, last: &StepFeatures, before: &[StepFeatures]) {
        let offers = |step: &&StepFeatures| {
            step.offered.iter().any(|(value, _)| last.values.binary_search(value).is_ok())
        };
        let origin = before.iter().rev().take(MOST_CALLS).find(offers);
        let shown = origin.map_or([0, 0], |origin| [1 + self.unused_values(origin, last), origin.what.tool]);
        self.name(FeatureKind::Origin, &[self.last, shown[0], shown[1]]);
        if self.prefix.agent != 0 {
            self.name(FeatureKind::Origin, &[self.last, shown[0], shown[1], self.prefix.agent]);
        }
    }

    /// How many values that `origin` offered, of a shape that `last` took, no call has used.
    fn unused_values(&self, origin: &StepFeatures, last: &StepFeatures) -> u64 {
        let is_taken = |value: &u64| last.values.binary_search(value).is_ok();
        let shapes = origin.offered.iter().filter(|(value, _)| is_taken(value));
        let shapes: u8 = shapes.fold(0, |shapes, (_, shape)| shapes | 1 << shape);
        let mut unused_values: Vec<u64> = Vec::new();
        for (value, shape) in &origin.offered {
            if shapes & 1 << shape != 0 && !unused_values.contains(value) && !self.is_used(value) {
                unused_values.push(*value);
                if unused_values.len() == MOST_COUNT {
                    break;
                }
            }
        }
        unused_values.len() as u64
    }

    fn is_used(&self, value: &u64) -> bool {
        self.steps.iter().any(|step| step.values.binary_search(value).is_ok())
    }
}

/// Marks the task's words that `words` holds.
fn mark(task: &[(u64, bool)], words: &[u64], marks: &mut [bool]) {
    for word in words {
        if let Ok(at) = task.binary_search_by_key(word, |(word, _)| *word) {
            marks[at] = true;
        }
    }
}

fn feature(of: FeatureKind, parts: &[u64]) -> u32 {
    (parts.iter().fold(of as u64, |found, part| join(found, *part)) >> 32) as u32
}

/// The binary logarithm of a number and one, cut.
fn scale(number: usize) -> u64 {
    u64::from((number + 1).ilog2())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{packed, run};
    use super::*;
    use std::collections::BTreeMap;

    fn features_of(run: &Run, set: FeatureSet) -> BTreeMap<u32, f32> {
        let prepared = RunFeatures::ending(run);
        let mut prefix = prepared.prefix();
        prepared.step_symbols().for_each(|step| prefix.step(step));
        let mut found = BTreeMap::new();
        let rarity = WordRarity::new([&prepared].into_iter());
        set.visit(&prepared, prepared.len(), &prefix, &rarity, |feature, value| {
            assert!(found.insert(feature, value).is_none(), "a feature was visited twice");
        });
        found
    }

    fn rich_features_of(run: &Run) -> BTreeMap<u32, f32> {
        features_of(run, FeatureSet::Rich)
    }

    fn asked(task: &str) -> Run {
        let mut run = run(1, "find read find", None);
        run.task = task.into();
        run.steps[0].output = packed("{\"ids\": ['A1', 'B2', 'C3'], \"of\": 'x9'}");
        run.steps[1].parameters = packed("A1");
        run.steps[2].parameters = packed("cancel B2");
        run.steps[2].output = packed("order cancelled");
        run
    }

    #[test]
    fn the_words_of_one_kind_have_unit_length_together() {
        let only_names = rich_features_of(&asked(""));
        let with_words = rich_features_of(&asked("cancel the order of Mr Smith"));
        let words = with_words.iter().filter(|(feature, _)| !only_names.contains_key(feature));
        let length: f32 = words.map(|(_, value)| value * value).filter(|value| *value < 1.0).sum();
        assert!((length - 2.0).abs() < 1e-5, "task words alone and beside the last tool: {length}");
    }

    #[test]
    fn where_a_value_came_from_and_what_is_left_there_are_told() {
        let (run, mut other) = (asked("x"), asked("x"));
        let prepared = RunFeatures::ending(&run);
        let prefix = prepared.prefix();
        let rarity = WordRarity::default();
        let writer = FeatureWriter {
            run: &prepared,
            steps: &prepared.steps,
            prefix: &prefix,
            rarity: &rarity,
            last: 0,
            visit: |_, _| {},
        };
        assert_eq!(
            writer.unused_values(&prepared.steps[0], &prepared.steps[2]),
            1,
            "of A1, B2 and C3 no call used C3"
        );
        other.steps[2].parameters = packed("C3");
        other.steps[0].output = packed("['A1', 'C3']");
        assert_ne!(rich_features_of(&run), rich_features_of(&other));
    }

    #[test]
    fn plain_features_do_not_see_where_a_value_came_from() {
        let (run, mut other) = (asked("x"), asked("x"));
        other.steps[0].output = packed("['A1', 'C3']");
        other.steps[2].parameters = packed("C3");
        assert_eq!(features_of(&run, FeatureSet::Plain), features_of(&other, FeatureSet::Plain));
        other.steps[2].output = packed("order refused");
        assert_ne!(features_of(&run, FeatureSet::Plain), features_of(&other, FeatureSet::Plain));
    }

    #[test]
    fn rare_words_weigh_more_and_a_word_of_one_text_is_as_rare_as_an_unknown_one() {
        let runs: Vec<RunFeatures> = ["cancel order", "cancel flight", "cancel"]
            .iter()
            .map(|task| RunFeatures::whole(&asked(task)))
            .collect();
        let rarity = WordRarity::new(runs.iter());
        let weight = |word: &str| rarity.weight(TextKind::Task, text::term(word));
        assert!(weight("cancel") < weight("order"));
        assert_eq!(weight("order"), weight("refund"));
    }

    #[test]
    fn any_value_is_read_as_its_keys_and_scalars() {
        let mut value = Vec::new();
        rmp::encode::write_map_len(&mut value, 2).unwrap();
        rmp::encode::write_str(&mut value, "n").unwrap();
        rmp::encode::write_array_len(&mut value, 3).unwrap();
        rmp::encode::write_sint(&mut value, -3).unwrap();
        rmp::encode::write_nil(&mut value).unwrap();
        rmp::encode::write_bool(&mut value, true).unwrap();
        rmp::encode::write_f64(&mut value, 1.5).unwrap();
        rmp::encode::write_map_len(&mut value, 0).unwrap();
        let mut found = Vec::new();
        leaves(&value, |leaf| found.push(leaf.to_owned()));
        assert_eq!(found, ["n", "-3", "true", "1.5"]);
    }

    #[test]
    fn quotes_bound_values_and_a_short_text_is_one() {
        let mut found = Vec::new();
        quoted("a \"b c\" it's 'd'", |value| found.push(value.to_owned()));
        quoted("order 17", |value| found.push(value.to_owned()));
        quoted(&"\"x".repeat(90), |_| {});
        assert_eq!(found, ["b c", "s ", "order 17"]);
    }
}
