//! What was learned about one place where values vary.

use super::sources::Rule;
use super::template::Template;
use super::values::Kind;
use rustc_hash::{FxHashMap, FxHashSet};

/// A parameter of a tool, or a value inside it.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// What its own earlier values are found by.
    pub(super) seed: u64,
    pub(super) name: u64,
    /// The type of nearly all its values.
    pub(super) kind: Option<Kind>,
    /// Distinct tasks in which it was filled.
    pub(super) groups: u32,
    /// Where its values were found.
    pub(super) rules: Vec<Rule>,
    /// The most frequent first.
    pub(super) known: Vec<Known>,
    pub(super) places: FxHashMap<u64, u16>,
    pub(super) called: FxHashMap<u64, Vec<Call>>,
    /// What its values are made of.
    pub(super) builds: FxHashSet<u64>,
    /// The most frequent first.
    pub(super) templates: Vec<Template>,
    /// The templates that each agent uses, the most frequent first.
    pub(super) habits: FxHashMap<u64, Vec<u32>>,
    /// Where what stands in the gap of a template was found.
    pub(super) gap_rules: Vec<Rule>,
}

/// A value that a slot had in several tasks.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) key: u64,
    pub(super) bytes: Box<[u8]>,
    /// Its letters and digits alone.
    pub(super) squashed: u64,
    pub(super) terms: Box<[u64]>,
    pub(super) groups: u32,
}

/// A known value that goes with a word of the task, and in how many tasks it did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) known: u16,
    pub(super) groups: u32,
}

impl Slot {
    pub(super) fn known_at(&self, key: u64) -> Option<usize> {
        self.places.get(&key).map(|place| usize::from(*place))
    }

    /// The known values that go with a word of the task.
    pub(super) fn called_by(&self, term: u64) -> &[Call] {
        self.called.get(&term).map_or(&[], Vec::as_slice)
    }

    /// The places of its templates: those of the agent first, then anybody's.
    pub(super) fn usual_templates(&self, agent: u64) -> impl Iterator<Item = u32> {
        let own = self.habits.get(&agent).map_or(&[][..], Vec::as_slice);
        own.iter().copied().chain(0..self.templates.len() as u32)
    }

    pub(super) fn template_of(&self, text: &str) -> Option<u32> {
        self.templates.iter().position(|template| template.gap(text).is_some()).map(|place| place as u32)
    }

    /// How much memory it takes, nearly.
    pub(super) fn bytes(&self) -> usize {
        let known: usize =
            self.known.iter().map(|known| 96 + known.bytes.len() + known.terms.len() * 8).sum();
        let called: usize = self.called.values().map(|calls| 48 + calls.len() * 8).sum();
        256 + known + called + (self.rules.len() + self.gap_rules.len()) * 96 + self.places.len() * 12
    }

    /// Whether the slot holds lists or maps rather than single values.
    pub(super) fn is_container(&self) -> bool {
        self.kind.is_some_and(|kind| !kind.is_scalar())
    }
}
