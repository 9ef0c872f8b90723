//! The nearest recorded prefixes: what came after the thirty positions most like this one.
//!
//! Four blocks of equal weight are compared by cosine: the last tools, domain and agent, the words of the task, and the
//! words of the last result. The words of tasks are compared exactly; the other blocks as signed sketches of a few bytes.

use super::backoff_counts::{MOST_POSITION, Prefix, join};
use super::features::{RunFeatures, TextKind, WordRarity};
use rustc_hash::FxHashMap;
use tacit_kernels::sketch;

/// How many positions vote.
const NEAREST: usize = 30;
/// How many positions after one last tool are compared: the newest.
const MOST_COMPARED: usize = 1_024;
/// The lengths of the blocks of a sketch: history, result, domain and agent.
const HISTORY: usize = 64;
const RESULT: usize = 64;
const FIELDS: usize = 32;
const LENGTH: usize = HISTORY + RESULT + FIELDS;
/// How many texts with a word of the task are read, its rarest words first.
const MOST_POSTINGS: usize = 1 << 13;

/// The length of each block of a sketch, and its square.
const SCALE: f32 = 120.0;
const SQUARED_SCALE: f32 = SCALE * SCALE;

/// Recorded positions, ready to be compared.
#[derive(Debug, Default)]
pub(super) struct NearestPrefixes {
    /// By the symbol of the last tool, oldest first.
    places: FxHashMap<u64, Vec<u32>>,
    sketches: Vec<i8>,
    next: Vec<u32>,
    /// The number of the task's text of each position.
    texts: Vec<u32>,
    /// The texts with each word, and the weight of the word there.
    words: FxHashMap<u64, Vec<(u32, f32)>>,
    known_texts: FxHashMap<u64, u32>,
}

/// Votes for each column, without and with domain and agent; each sums to 1, or is empty if nothing was found.
pub(super) struct NearestVotes {
    pub plain: Vec<f32>,
    pub with_fields: Vec<f32>,
}

impl NearestPrefixes {
    /// Adds a position; positions come oldest first.
    pub(super) fn add(
        &mut self,
        run: &RunFeatures,
        steps: usize,
        prefix: &Prefix,
        rarity: &WordRarity,
        next: u32,
    ) {
        let place = self.next.len() as u32;
        let text = self.text_of(run, rarity);
        self.sketches.extend(sketch_of(run, steps, prefix, rarity));
        self.next.push(next);
        self.texts.push(text);
        self.places.entry(prefix.last[0].tool).or_default().push(place);
    }

    fn text_of(&mut self, run: &RunFeatures, rarity: &WordRarity) -> u32 {
        let hash = run.task_words().fold(7, join);
        let new = self.known_texts.len() as u32;
        let number = *self.known_texts.entry(hash).or_insert(new);
        if number == new {
            for (word, weight) in weighted(run.task_words(), rarity, TextKind::Task) {
                self.words.entry(word).or_default().push((new, weight));
            }
        }
        number
    }

    /// The votes after some steps of a run.
    pub(super) fn votes(
        &self,
        run: &RunFeatures,
        steps: usize,
        prefix: &Prefix,
        rarity: &WordRarity,
        columns: usize,
    ) -> NearestVotes {
        let none = NearestVotes { plain: Vec::new(), with_fields: Vec::new() };
        let Some(places) = self.places.get(&prefix.last[0].tool) else { return none };
        let places = &places[places.len().saturating_sub(MOST_COMPARED)..];
        let likeness = self.text_likeness(run, rarity);
        let asked = sketch_of(run, steps, prefix, rarity);
        let shown = sketch::products(&asked, &self.sketches, places, 0..HISTORY + RESULT);
        let fields = sketch::products(&asked, &self.sketches, places, HISTORY + RESULT..LENGTH);
        let mut plain = Vec::with_capacity(places.len());
        let mut with_fields = Vec::with_capacity(places.len());
        for (place, (shown, fields)) in places.iter().zip(shown.into_iter().zip(fields)) {
            let at = *place as usize;
            let shown = shown as f32 / SQUARED_SCALE + likeness[self.texts[at] as usize];
            plain.push(vote_of(shown / 3.0, self.next[at]));
            with_fields.push(vote_of((shown + fields as f32 / SQUARED_SCALE) / 4.0, self.next[at]));
        }
        NearestVotes { plain: votes_of(plain, columns), with_fields: votes_of(with_fields, columns) }
    }

    fn text_likeness(&self, run: &RunFeatures, rarity: &WordRarity) -> Vec<f32> {
        let mut likeness = vec![0.0; self.known_texts.len()];
        let mut words = weighted(run.task_words(), rarity, TextKind::Task);
        words.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut read = 0;
        for (texts, weight) in words.iter().filter_map(|(word, weight)| Some((self.words.get(word)?, weight)))
        {
            read += texts.len();
            if read > MOST_POSTINGS {
                break;
            }
            texts.iter().for_each(|(text, other)| likeness[*text as usize] += weight * other);
        }
        likeness
    }

    pub(super) fn bytes(&self) -> usize {
        let words: usize = self.words.values().map(|texts| 40 + texts.capacity() * 8).sum();
        self.sketches.len() + self.next.len() * 16 + self.known_texts.capacity() * 13 + words
    }
}

/// A likeness and a column as one number, in the order of the likeness: that of the bits of a number from 0 on.
fn vote_of(likeness: f32, next: u32) -> u64 {
    u64::from(likeness.max(0.0).to_bits()) << 32 | u64::from(next)
}

/// The votes of the most alike, each by the cube of its likeness.
fn votes_of(mut found: Vec<u64>, columns: usize) -> Vec<f32> {
    let kept = NEAREST.min(found.len());
    let split = found.len() - kept;
    if split > 0 {
        found.select_nth_unstable(split);
    }
    let mut votes = vec![0.0; columns];
    let mut sum = 0.0;
    for vote in &found[split..] {
        let (likeness, next) = (f32::from_bits((vote >> 32) as u32), *vote as u32);
        let vote = likeness.powi(3) + 1e-9;
        votes[next as usize] += vote;
        sum += vote;
    }
    votes.iter_mut().for_each(|vote| *vote /= sum);
    votes
}

/// Words with their rarities, together of length 1.
fn weighted(words: impl Iterator<Item = u64>, rarity: &WordRarity, kind: TextKind) -> Vec<(u64, f32)> {
    let mut found: Vec<(u64, f32)> = words.map(|word| (word, rarity.weight(kind, word))).collect();
    let length = found.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
    found.iter_mut().for_each(|(_, weight)| *weight /= length);
    found
}

/// The blocks of a position but the task's words, each of length `SCALE`, rounded to bytes.
fn sketch_of(run: &RunFeatures, steps: usize, prefix: &Prefix, rarity: &WordRarity) -> [i8; LENGTH] {
    let mut dense = [0.0f32; LENGTH];
    let (history, rest) = dense.split_at_mut(HISTORY);
    let (result, fields) = rest.split_at_mut(RESULT);
    let mut put = |feature: u64, value: f32| add(history, feature, value);
    for (length, tools) in prefix.tools().into_iter().take(3).enumerate() {
        put(join(length as u64 + 1, tools), 1.0);
    }
    for (tool, uses) in &prefix.used {
        put(join(11, *tool), (*uses).min(3) as f32 / 3.0);
    }
    put(12, prefix.position.min(20) as f32 / 20.0);
    put(join(13, u64::from(prefix.position.min(MOST_POSITION))), 1.0);
    if steps > 0 {
        put(14, f32::from(u8::from(prefix.last[0].class == 0)));
        for (word, weight) in weighted(run.result_words(steps - 1), rarity, TextKind::Result) {
            add(result, word, weight);
        }
    }
    for (kind, name) in [(15, prefix.domain), (16, prefix.agent)] {
        add(fields, join(kind, name), 1.0);
        add(fields, join(join(kind, name), prefix.last[0].tool), 1.0);
    }
    for block in [history, result, fields] {
        let length = block.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            block.iter_mut().for_each(|value| *value *= SCALE / length);
        }
    }
    dense.map(|value| value.round() as i8)
}

/// Adds a feature in one place of a block, with a sign: products of blocks are those of the features, nearly.
fn add(block: &mut [f32], feature: u64, value: f32) {
    let hash = join(feature, 17);
    let place = (hash >> 33) as usize % block.len();
    block[place] += if hash & 1 == 0 { value } else { -value };
}

#[cfg(test)]
mod tests {
    use super::super::tests::{packed, run};
    use super::*;
    use crate::run::Run;

    const LOOK: u32 = 0;
    const HALVE: u32 = 1;
    const TRIPLE: u32 = 2;

    /// A run of one look at a task.
    fn looked(number: u8, task: &str, agent: &str, result: &str) -> RunFeatures {
        let mut run: Run = run(number, "look", Some(1.0));
        (run.task, run.agent) = (task.into(), Some(agent.into()));
        run.steps[0].output = packed(result);
        RunFeatures::whole(&run)
    }

    fn prefix_of(run: &RunFeatures) -> Prefix {
        let mut prefix = run.prefix();
        run.step_symbols().for_each(|step| prefix.step(step));
        prefix
    }

    /// The best column without and with domain and agent.
    fn best(known: &[(RunFeatures, u32)], asked: &RunFeatures) -> [Option<usize>; 2] {
        let rarity = WordRarity::new(known.iter().map(|(run, _)| run));
        let mut nearest = NearestPrefixes::default();
        for (run, next) in known {
            nearest.add(run, 0, &run.prefix(), &rarity, LOOK);
            nearest.add(run, 1, &prefix_of(run), &rarity, *next);
        }
        let votes = nearest.votes(asked, 1, &prefix_of(asked), &rarity, 3);
        [votes.plain, votes.with_fields].map(|votes| {
            let places = votes.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            places.map(|(place, _)| place)
        })
    }

    fn column(column: u32) -> Option<usize> {
        Some(column as usize)
    }

    /// Sixty positions: tasks of one word are halved, those of the other tripled.
    fn by_task(word: fn(u8) -> (&'static str, u32)) -> Vec<(RunFeatures, u32)> {
        let known = |number| {
            let (task, next) = word(number);
            (looked(number, &format!("{task} number {number}"), "a", "done"), next)
        };
        (0..60).map(known).collect()
    }

    #[test]
    fn positions_of_tasks_with_the_same_rare_word_decide() {
        let known = by_task(|number| if number % 2 == 0 { ("split", HALVE) } else { ("grow", TRIPLE) });
        assert_eq!(best(&known, &looked(99, "split it", "a", "done"))[0], column(HALVE));
        assert_eq!(best(&known, &looked(99, "grow it", "a", "done"))[0], column(TRIPLE));
    }

    #[test]
    fn the_last_result_decides_between_equal_tasks() {
        let known: Vec<_> = (0..60)
            .map(|number| {
                let (result, next) = if number % 2 == 0 { ("even", HALVE) } else { ("odd", TRIPLE) };
                (looked(number, "do it", "a", result), next)
            })
            .collect();
        assert_eq!(best(&known, &looked(99, "do it", "a", "odd"))[0], column(TRIPLE));
    }

    #[test]
    fn the_agent_decides_where_domain_and_agent_are_compared() {
        let known: Vec<_> = (0..60)
            .map(|number| {
                let (agent, next) = if number % 2 == 0 { ("one", HALVE) } else { ("other", TRIPLE) };
                (looked(number, "do it", agent, "done"), next)
            })
            .collect();
        assert_eq!(best(&known, &looked(99, "do it", "one", "done"))[1], column(HALVE));
        assert_eq!(best(&known, &looked(99, "do it", "other", "done"))[1], column(TRIPLE));
    }

    #[test]
    fn nothing_votes_after_a_tool_that_was_never_used() {
        let known = by_task(|_| ("split", HALVE));
        let stranger = RunFeatures::whole(&run(99, "jump", None));
        assert_eq!(best(&known, &stranger), [None, None]);
    }
}
