//! Ways between the things that an episode's texts name: the place where it is, where each way leads, what lies beside
//! what on a list or map. They say which of the possible actions leads nearer to a thing that the task names.

use super::situation::Situation;
use super::tokens::{END, Token, hash, is_content, mix};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;

/// Phrases of the task that are looked for.
const MOST_GOALS: usize = 12;
/// Lines of results that are read.
const MOST_LINES: usize = 400;
/// Texts with at least so many lines are lists: the words of most lines are their form.
const LIST: usize = 3;

/// A thing that the task names, and the number of steps from every other thing to it.
struct Goal {
    /// The words to its left in the task, by number.
    context: u64,
    was_reached: bool,
    distances: FxHashMap<u64, u32>,
}

/// The ways of one episode so far.
#[derive(Default)]
pub(super) struct Routes {
    here: Vec<u64>,
    goals: Vec<Goal>,
}

impl Routes {
    pub(super) fn new(situation: &Situation<'_>) -> Self {
        let mut ways = Ways::default();
        let states = situation.past.iter().flat_map(|step| step.state.iter());
        for (_, text) in states {
            ways.add_view(text);
        }
        let here: Vec<u64> = situation.state.iter().filter_map(|(_, text)| ways.add_view(text)).collect();
        for step in situation.past {
            ways.add_result(step.result);
        }
        let goals = if ways.edges.is_empty() { Vec::new() } else { ways.goals(situation.task) };
        Self { here, goals }
    }

    /// For each thing that the task names and that the phrase is on a way to: a number for the words beside it in the
    /// task and whether it was reached, and for whether the phrase is nearer to it than the present place is.
    pub(super) fn towards(&self, phrase: u64) -> impl Iterator<Item = (u64, u64)> {
        self.goals.iter().filter_map(move |goal| {
            let there = *goal.distances.get(&phrase)?;
            let here = self.here.iter().filter_map(|place| goal.distances.get(place)).min()?;
            let nearer = match there.cmp(here) {
                std::cmp::Ordering::Less => 1,
                std::cmp::Ordering::Equal => 2,
                std::cmp::Ordering::Greater => 3,
            };
            Some((mix(&[goal.context, u64::from(goal.was_reached)]), nearer))
        })
    }
}

#[derive(Default)]
struct Ways {
    edges: FxHashMap<u64, Vec<u64>>,
    heads: FxHashSet<u64>,
    texts: FxHashSet<u64>,
    lines: usize,
}

impl Ways {
    /// Adds the state of one place: ways lead from its first phrase to the last phrase of each sentence. Returns the
    /// first phrase.
    fn add_view(&mut self, text: &[Token]) -> Option<u64> {
        let head = phrases(text, &[]).next().map(hash)?;
        if self.texts.insert(hash(text)) {
            self.heads.insert(head);
            for line in self.lines_of(text) {
                self.join(Some(head), phrases(line, &[]).last().map(hash));
            }
        }
        Some(head)
    }

    /// Adds a result. In a list the first phrase of a line is beside the others; any other one is read as a view. One that
    /// begins like a state says what the state says.
    fn add_result(&mut self, text: &[Token]) {
        let head = phrases(text, &[]).next().map(hash);
        if head.is_none_or(|head| self.heads.contains(&head)) || self.texts.contains(&hash(text)) {
            return;
        }
        let lines: Vec<&[Token]> =
            text.split(|token| *token == END).filter(|line| !line.is_empty()).collect();
        let form = form_words(&lines);
        if form.is_empty() {
            return;
        }
        self.texts.insert(hash(text));
        for line in self.lines_of(text) {
            let mut named = phrases(line, &form).map(hash);
            let first = named.next();
            named.for_each(|phrase| self.join(first, Some(phrase)));
        }
    }

    fn lines_of<'t>(&mut self, text: &'t [Token]) -> Vec<&'t [Token]> {
        let lines = text.split(|token| *token == END).filter(|line| !line.is_empty());
        let lines: Vec<&[Token]> = lines.take(MOST_LINES - self.lines).collect();
        self.lines += lines.len();
        lines
    }

    fn join(&mut self, one: Option<u64>, other: Option<u64>) {
        if let (Some(one), Some(other)) = (one, other)
            && one != other
        {
            for (from, to) in [(one, other), (other, one)] {
                let ways = self.edges.entry(from).or_default();
                if !ways.contains(&to) {
                    ways.push(to);
                }
            }
        }
    }

    fn goals(&self, task: &[Token]) -> Vec<Goal> {
        let goal = |phrase: &[Token]| {
            let start = task.windows(phrase.len()).position(|window| window == phrase).unwrap_or(0);
            let target = hash(phrase);
            self.edges.contains_key(&target).then(|| Goal {
                context: hash(&task[start.saturating_sub(3)..start]),
                was_reached: self.heads.contains(&target),
                distances: self.distances(target),
            })
        };
        phrases(task, &[]).filter_map(goal).take(MOST_GOALS).collect()
    }

    fn distances(&self, target: u64) -> FxHashMap<u64, u32> {
        let mut distances = FxHashMap::default();
        distances.insert(target, 0);
        let mut queue = VecDeque::from([target]);
        while let Some(place) = queue.pop_front() {
            let next = distances[&place] + 1;
            for other in self.edges.get(&place).map_or(&[][..], Vec::as_slice) {
                if !distances.contains_key(other) {
                    distances.insert(*other, next);
                    queue.push_back(*other);
                }
            }
        }
        distances
    }
}

/// The words that stand in at least six of ten lines; none for a text of few lines.
fn form_words(lines: &[&[Token]]) -> Vec<Token> {
    if lines.len() < LIST {
        return Vec::new();
    }
    let mut counts: FxHashMap<Token, usize> = FxHashMap::default();
    for line in lines {
        let distinct: FxHashSet<Token> = line.iter().copied().filter(|token| is_content(*token)).collect();
        distinct.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    counts.into_iter().filter(|(_, count)| count * 10 >= lines.len() * 6).map(|(word, _)| word).collect()
}

/// The runs of content words that are no form words.
fn phrases<'t>(text: &'t [Token], form: &[Token]) -> impl Iterator<Item = &'t [Token]> {
    text.split(move |token| !is_content(*token) || form.contains(token)).filter(|phrase| !phrase.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::situation::PastStep;
    use super::super::tokens::tests::read;
    use super::*;

    fn phrase(text: &str) -> u64 {
        hash(phrases(&read(text), &[]).next().unwrap())
    }

    #[test]
    fn a_map_tells_which_way_is_nearer() {
        let map = read(
            "The map reads.\nThe hall connects to the attic, cellar and porch.\nThe porch connects to the steam room.\n\
             The cellar connects to the hall.\nThe steam room connects to the porch and the laundry.\n\
             The laundry connects to the steam room.",
        );
        let task = read("Fetch the coin from the steam room");
        let look =
            read("You are in the hall. To the north you see the attic. To the east you see the porch.");
        let past = [PastStep {
            action: &[],
            parsed: Default::default(),
            result: &map,
            state: vec![],
            view: None,
            failed: false,
        }];
        let state = [(0, look.as_slice())];
        let situation = Situation { task: &task, past: &past, state: &state, last: &map, view: None };
        let routes = Routes::new(&situation);
        let nearer = |name: &str| routes.towards(phrase(name)).map(|(_, nearer)| nearer).collect::<Vec<_>>();
        assert_eq!((nearer("porch"), nearer("attic"), nearer("garden")), (vec![1], vec![3], vec![]));
    }

    #[test]
    fn places_seen_before_are_on_the_way_back() {
        let task = read("Bring it to the kitchen");
        let views = [
            read("You are in the kitchen. To the north you see the hall."),
            read("You are in the hall. To the north you see the attic. To the south you see the kitchen."),
        ];
        let attic = read("You are in the attic. To the south you see the hall.");
        let past: Vec<PastStep<'_>> = views
            .iter()
            .map(|view| PastStep {
                action: &[],
                parsed: Default::default(),
                result: view,
                state: vec![(0, view.as_slice())],
                view: None,
                failed: false,
            })
            .collect();
        let state = [(0, attic.as_slice())];
        let situation = Situation { task: &task, past: &past, state: &state, last: &attic, view: None };
        let nearer: Vec<u64> =
            Routes::new(&situation).towards(phrase("hall")).map(|(_, nearer)| nearer).collect();
        assert_eq!(nearer, [1]);
    }
}
