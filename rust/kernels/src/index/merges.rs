//! Patterns that were merged into others: an episode's facts about them count for the survivor.

use crate::facts::{Fact, Id};
use crate::image::{Image, ImageReader, read_map, write_map};
use crate::msgpack::Result;
use rustc_hash::FxHashMap;

/// The survivor of each merged pattern in one namespace. A survivor was not merged itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Merges {
    survivors: FxHashMap<Id, Id>,
}

impl Merges {
    /// Merges from pairs of a pattern and its survivor. A chain of pairs leads to its last pattern, and a circle
    /// merges nothing.
    pub(super) fn from_pairs(pairs: &[(Id, Id)]) -> Self {
        let direct: FxHashMap<Id, Id> = pairs.iter().copied().collect();
        let last = |pattern: &Id| {
            let mut survivor = *direct.get(pattern)?;
            for _ in 0..direct.len() {
                match direct.get(&survivor) {
                    Some(next) => survivor = *next,
                    None => return Some((*pattern, survivor)),
                }
            }
            None
        };
        Self { survivors: direct.keys().filter_map(last).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.survivors.is_empty()
    }

    /// The pattern that stands for this one: itself, unless it was merged.
    pub(super) fn survivor<'a>(&'a self, pattern: &'a Id) -> &'a Id {
        self.survivors.get(pattern).unwrap_or(pattern)
    }

    pub(super) fn contains(&self, pattern: &Id) -> bool {
        self.survivors.contains_key(pattern)
    }

    /// Each merged pattern with its survivor.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Id, &Id)> {
        self.survivors.iter()
    }

    /// The facts of one episode as they count: its facts about several patterns that are one now are one fact, so
    /// that the episode counts once.
    pub(super) fn counted(&self, facts: &[Fact]) -> Vec<Fact> {
        let mut counted: Vec<Fact> = Vec::with_capacity(facts.len());
        if self.is_empty() {
            counted.extend_from_slice(facts);
            return counted;
        }
        let mut places: FxHashMap<Id, usize> = FxHashMap::default();
        for fact in facts {
            let pattern = *self.survivor(&fact.pattern);
            let place = *places.entry(pattern).or_insert(counted.len());
            match counted.get_mut(place) {
                Some(known) => {
                    known.occurrences = known.occurrences.saturating_add(fact.occurrences);
                    known.successes = (known.successes + fact.successes).min(f64::from(known.occurrences));
                }
                None => counted.push(Fact { pattern, ..*fact }),
            }
        }
        counted
    }
}

impl Image for Merges {
    fn write(&self, out: &mut Vec<u8>) {
        write_map(&self.survivors, out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        Ok(Self { survivors: read_map(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(number: u8, occurrences: u16, successes: f64) -> Fact {
        Fact { pattern: [number; 16], kind: 0, occurrences, successes }
    }

    #[test]
    fn an_episode_that_shows_both_counts_once() {
        let merges = Merges::from_pairs(&[([1; 16], [2; 16])]);
        let counted = merges.counted(&[fact(1, 2, 1.0), fact(3, 1, 1.0), fact(2, 1, 1.0)]);
        assert_eq!(counted, [fact(2, 3, 2.0), fact(3, 1, 1.0)]);
    }

    #[test]
    fn merging_twice_leads_to_the_last_survivor_and_a_circle_nowhere() {
        let merges = Merges::from_pairs(&[([1; 16], [2; 16]), ([2; 16], [3; 16])]);
        assert_eq!((merges.survivor(&[1; 16]), merges.survivor(&[2; 16])), (&[3; 16], &[3; 16]));
        let circle = Merges::from_pairs(&[([1; 16], [2; 16]), ([2; 16], [1; 16])]);
        assert!(circle.is_empty());
    }
}
