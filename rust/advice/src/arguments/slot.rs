//! A slot: one place in calls that takes different values, and its learned values and sources.

use super::values::{ValueKind, ValueSource};
use rustc_hash::{FxHashMap, FxHashSet};

/// Distinct tasks that must agree before anything is learned from them.
pub(super) const LEAST_GROUPS: u32 = 2;
/// Bytes of the longest text that a template is made of.
pub(super) const LONGEST: usize = 96;

/// A parameter of a tool, or a value inside it.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// The hash that finds its own earlier values.
    pub(super) seed: u64,
    pub(super) name: u64,
    /// The type of nearly all its values.
    pub(super) kind: Option<ValueKind>,
    /// The number of distinct tasks that filled it.
    pub(super) groups: u32,
    /// The sources of its values.
    pub(super) rules: Vec<SourceRule>,
    /// The most frequent first.
    pub(super) known: Vec<KnownValue>,
    pub(super) places: FxHashMap<u64, u16>,
    pub(super) called: FxHashMap<u64, Vec<CalledValue>>,
    /// The makeup of its values: see `span::build`.
    pub(super) builds: FxHashSet<u64>,
    /// The most frequent first.
    pub(super) templates: Vec<Template>,
    /// The templates that each agent uses, the most frequent first.
    pub(super) habits: FxHashMap<u64, Vec<u32>>,
    /// The sources of the words in the gaps of its templates.
    pub(super) gap_rules: Vec<SourceRule>,
}

/// A value that a slot had in several tasks.
#[derive(Debug)]
pub(super) struct KnownValue {
    pub(super) key: u64,
    pub(super) bytes: Box<[u8]>,
    /// Its letters and digits alone.
    pub(super) squashed: u64,
    pub(super) terms: Box<[u64]>,
    pub(super) groups: u32,
}

/// A known value that goes with a word of the task, and in how many tasks it did.
#[derive(Debug, Clone, Copy)]
pub(super) struct CalledValue {
    pub(super) known: u16,
    pub(super) groups: u32,
}

impl Slot {
    pub(super) fn known_at(&self, key: u64) -> Option<usize> {
        self.places.get(&key).map(|place| usize::from(*place))
    }

    /// The known values that go with a word of the task.
    pub(super) fn called_by(&self, term: u64) -> &[CalledValue] {
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

    /// Returns true if the slot holds lists or maps rather than scalars.
    pub(super) fn is_container(&self) -> bool {
        self.kind.is_some_and(|kind| !kind.is_scalar())
    }
}

/// An earlier place of a slot's value.
#[derive(Debug, Clone)]
pub(super) struct SourceRule {
    pub(super) hash: u64,
    pub(super) place: ValueSource,
    /// Set if the place has the slot's own name.
    pub(super) is_namesake: bool,
    /// The tool of the step with the place.
    pub(super) tool: u64,
    /// The number of distinct tasks with the value there.
    pub(super) groups: u32,
    /// The place without the number of its step.
    pub(super) path: Box<str>,
}

/// A text with one variable word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) hash: u64,
    pub(super) before: Box<str>,
    pub(super) after: Box<str>,
    pub(super) groups: u32,
}

impl Template {
    /// The word in the gap of a text that has this form.
    pub(super) fn gap<'t>(&self, text: &'t str) -> Option<&'t str> {
        let gap = text.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        is_word(gap).then_some(gap)
    }

    pub(super) fn filled(&self, gap: &str) -> String {
        format!("{}{gap}{}", self.before, self.after)
    }
}

pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(is_of_word)
}

pub(super) fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
