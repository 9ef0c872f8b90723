//! What was learned about one place where values vary.

use super::values::{ValueKind, ValueSource};
use rustc_hash::{FxHashMap, FxHashSet};

/// Distinct tasks that must agree before anything is learned from them.
pub(super) const LEAST_GROUPS: u32 = 2;
/// Bytes of the longest text that a template is made of.
pub(super) const LONGEST: usize = 96;

/// A parameter of a tool, or a value inside it.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// What its own earlier values are found by.
    pub(super) seed: u64,
    pub(super) name: u64,
    /// The type of nearly all its values.
    pub(super) kind: Option<ValueKind>,
    /// Distinct tasks in which it was filled.
    pub(super) groups: u32,
    /// Where its values were found.
    pub(super) rules: Vec<SourceRule>,
    /// The most frequent first.
    pub(super) known: Vec<KnownValue>,
    pub(super) places: FxHashMap<u64, u16>,
    pub(super) called: FxHashMap<u64, Vec<CalledValue>>,
    /// What its values are made of.
    pub(super) builds: FxHashSet<u64>,
    /// The most frequent first.
    pub(super) templates: Vec<Template>,
    /// The templates that each agent uses, the most frequent first.
    pub(super) habits: FxHashMap<u64, Vec<u32>>,
    /// Where what stands in the gap of a template was found.
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

    /// Whether the slot holds lists or maps rather than single values.
    pub(super) fn is_container(&self) -> bool {
        self.kind.is_some_and(|kind| !kind.is_scalar())
    }
}

/// A place where a slot's value stood before.
#[derive(Debug, Clone)]
pub(super) struct SourceRule {
    pub(super) hash: u64,
    pub(super) place: ValueSource,
    /// Whether the place bears the slot's own name.
    pub(super) is_namesake: bool,
    /// The tool whose step said it.
    pub(super) tool: u64,
    /// Distinct tasks in which the value stood there.
    pub(super) groups: u32,
    /// The place without the number of its step.
    pub(super) path: Box<str>,
}

/// A text in which one word varies.
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
