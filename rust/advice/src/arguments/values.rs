//! All values of a run in one list, each with its place.

use super::hash::{self, NAME, mix, mix_text};
use super::task::TaskText;
use rustc_hash::{FxHashMap, FxHashSet};

/// No node, or no step.
pub(super) const NONE: u32 = u32::MAX;
/// Elements of a list that are told apart by their place.
const MOST_PLACES: u32 = 8;

/// The part of a run that has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum ValueSource {
    Task,
    Context,
    Arguments,
    Output,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum ValueKind {
    Null,
    Flag,
    Whole,
    Real,
    Text,
    List,
    Map,
}

impl ValueKind {
    pub(super) const ALL: [Self; 7] =
        [Self::Null, Self::Flag, Self::Whole, Self::Real, Self::Text, Self::List, Self::Map];

    pub(super) fn is_scalar(self) -> bool {
        self < Self::List
    }
}

/// A part of the tree's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextRange {
    start: u32,
    end: u32,
}

/// How a value is reached from the one around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueLabel {
    Root,
    Name(TextRange),
    Index(u32),
    /// The value is itself the key of an entry.
    Key,
    /// The value is a piece of the text around it.
    Piece,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ValueNode {
    pub(super) parent: u32,
    /// The first node that is not inside this one.
    pub(super) end: u32,
    pub(super) step: u32,
    pub(super) place: ValueSource,
    pub(super) kind: ValueKind,
    pub(super) label: ValueLabel,
    /// A scalar as text: the same for a number and the string that shows it.
    pub(super) text: TextRange,
    /// Set if the value can be passed on whole: no part of it was left out, or was a text read as a literal.
    pub(super) is_whole: bool,
    /// Set if the value was a text, read as a literal.
    pub(super) is_shown: bool,
    /// Equal values have equal keys, whatever their types.
    pub(super) key: u64,
    /// The last name on the way to the value.
    pub(super) name: u64,
    /// The hashes that find the value: its place, a wider place (0 for none), its name alone.
    pub(super) rules: [u64; 3],
}

/// The values of one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallValues {
    pub(super) tool: u64,
    pub(super) ok: i8,
    /// The first node of the step.
    pub(super) from: u32,
    /// The first scalar among its arguments, 0 for none.
    pub(super) first: u64,
}

/// The values of one run, in reading order.
#[derive(Debug, Default)]
pub(super) struct ValueTree<'a> {
    pub(super) nodes: Vec<ValueNode>,
    pub(super) calls: Vec<CallValues>,
    pub(super) task: TaskText,
    pub(super) agent: u64,
    pub(super) domain: u64,
    text: String,
    heads: FxHashMap<u64, u32>,
    before: Vec<[u32; 3]>,
    /// The rules that are asked for; `None` means all.
    wanted: Option<&'a FxHashSet<u64>>,
}

impl<'a> ValueTree<'a> {
    pub(super) fn new(task: TaskText, agent: u64, domain: u64, wanted: Option<&'a FxHashSet<u64>>) -> Self {
        Self { task, agent, domain, wanted, ..Self::default() }
    }

    pub(super) fn str(&self, range: TextRange) -> &str {
        &self.text[range.start as usize..range.end as usize]
    }

    /// The text that shows a scalar; empty for anything else.
    pub(super) fn text_of(&self, node: u32) -> &str {
        self.nodes.get(node as usize).map_or("", |node| self.str(node.text))
    }

    /// The nodes that a rule finds before `limit`, the newest first.
    pub(super) fn found(&self, rule: u64, limit: u32) -> impl Iterator<Item = u32> {
        let mut next = self.heads.get(&rule).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let node = next;
            next = self.before_in_chain(node, rule)?;
            Some(node)
        })
        .filter(move |node| *node < limit)
    }

    fn before_in_chain(&self, node: u32, rule: u64) -> Option<u32> {
        let rules = self.nodes.get(node as usize)?.rules;
        let which = rules.iter().position(|each| *each == rule)?;
        Some(self.before[node as usize][which])
    }

    /// The nodes directly inside a container.
    pub(super) fn children(&self, node: u32) -> impl Iterator<Item = u32> {
        let end = self.nodes[node as usize].end;
        let mut next = node + 1;
        std::iter::from_fn(move || {
            let child = next;
            (child < end).then(|| next = self.nodes[child as usize].end)?;
            Some(child)
        })
        .filter(|child| !matches!(self.nodes[*child as usize].label, ValueLabel::Key | ValueLabel::Piece))
    }

    /// Returns true if the value is empty, or was not read to its end.
    pub(super) fn is_empty(&self, node: &ValueNode) -> bool {
        !node.is_whole
            || match node.kind.is_scalar() {
                true => self.str(node.text).is_empty(),
                false => node.key == hash::MAP || node.key == hash::LIST,
            }
    }

    /// The first node after all that was said before the step; a step that is not there yet stands at the end.
    pub(super) fn limit(&self, step: usize) -> u32 {
        self.calls.get(step).map_or(self.nodes.len() as u32, |call| call.from)
    }

    pub(super) fn root(&mut self, place: ValueSource, step: u32, tool: u64) -> u32 {
        let path = mix(tool, place as u64 + 1);
        let rules = [path, 0, 0];
        self.push(ValueNode {
            parent: NONE,
            end: NONE,
            step,
            place,
            kind: ValueKind::Map,
            label: ValueLabel::Root,
            text: TextRange::default(),
            is_whole: true,
            is_shown: false,
            key: 0,
            name: 0,
            rules,
        })
    }

    fn push(&mut self, node: ValueNode) -> u32 {
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }

    /// Opens a value inside another; `close` or `settle` must follow.
    pub(super) fn open(&mut self, parent: u32, label: ValueLabel) -> u32 {
        let above = self.nodes[parent as usize];
        let (path, name) = match label {
            ValueLabel::Name(range) => {
                let key = self.str(range);
                (mix_text(above.rules[0], hash::general(key)), hash::text(key))
            }
            ValueLabel::Key => (mix(above.rules[0], hash::KEY), above.name),
            _ => (mix(above.rules[0], hash::ANY), above.name),
        };
        let rules = [path, 0, mix(NAME ^ above.place as u64, name)];
        self.push(ValueNode {
            parent,
            end: NONE,
            kind: ValueKind::Map,
            label,
            text: TextRange::default(),
            is_whole: true,
            is_shown: false,
            key: 0,
            name,
            rules,
            ..above
        })
    }

    pub(super) fn name(&mut self, name: &str) -> ValueLabel {
        ValueLabel::Name(self.keep(name))
    }

    pub(super) fn keep(&mut self, text: &str) -> TextRange {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        TextRange { start, end: self.text.len() as u32 }
    }

    pub(super) fn close(&mut self, node: u32, key: u64) {
        let end = self.nodes.len() as u32;
        let closed = &mut self.nodes[node as usize];
        (closed.end, closed.key) = (end, key);
    }

    /// Makes the nodes from `from` on findable.
    pub(super) fn link(&mut self, from: u32) {
        for node in from as usize..self.nodes.len() {
            let mut before = [NONE; 3];
            for (rule, before) in self.nodes[node].rules.into_iter().zip(&mut before) {
                if rule != 0 && self.wanted.is_none_or(|wanted| wanted.contains(&rule)) {
                    let head = self.heads.entry(rule).or_insert(NONE);
                    *before = std::mem::replace(head, node as u32);
                }
            }
            self.before.push(before);
        }
    }

    /// Ends a container: its key follows from its values.
    pub(super) fn settle(&mut self, node: u32) {
        if self.nodes[node as usize].end != NONE {
            return;
        }
        self.nodes[node as usize].end = self.nodes.len() as u32;
        let is_whole =
            |child: u32| self.nodes[child as usize].is_whole && !self.nodes[child as usize].is_shown;
        let are_whole = self.children(node).all(is_whole);
        self.nodes[node as usize].is_whole &= are_whole;
        let key = self.key_of(node);
        self.close(node, key);
    }

    /// Says of an open value that part of it is left out.
    pub(super) fn cut(&mut self, node: u32) {
        self.nodes[node as usize].is_whole = false;
    }

    /// Ends a value that is left out.
    pub(super) fn leave_out(&mut self, node: u32) {
        self.cut(node);
        self.become_scalar(node, ValueKind::Null, "");
        self.nodes[node as usize].key = hash::LEFT_OUT;
    }

    fn key_of(&self, node: u32) -> u64 {
        let keys = self.children(node).map(|child| self.nodes[child as usize]);
        match self.nodes[node as usize].kind {
            ValueKind::Map => keys.fold(hash::MAP, |sum, child| match child.label {
                ValueLabel::Name(range) => sum.wrapping_add(mix(hash::text(self.str(range)), child.key)),
                _ => sum,
            }),
            _ => keys.fold(hash::LIST, |sum, child| mix(sum, child.key)),
        }
    }

    pub(super) fn scalar(&mut self, parent: u32, label: ValueLabel, kind: ValueKind, text: &str) {
        let node = self.open(parent, label);
        self.become_scalar(node, kind, text);
    }

    pub(super) fn become_scalar(&mut self, node: u32, kind: ValueKind, text: &str) {
        let range = self.keep(text);
        let each = &mut self.nodes[node as usize];
        (each.kind, each.text) = (kind, range);
        if let ValueLabel::Index(index) = each.label {
            let exact = mix(each.rules[0], u64::from(index.min(MOST_PLACES)));
            each.rules = [exact, each.rules[0], each.rules[2]];
        }
        self.close(node, hash::text(text));
    }

    pub(super) fn become_number(&mut self, node: u32, number: f64) {
        self.become_scalar(node, ValueKind::Real, &number.to_string());
    }

    /// Opens the entry of a map; a name that looks like data is a value of its own.
    pub(super) fn entry(&mut self, map: u32, name: &str) -> u32 {
        if hash::is_data(name) {
            self.scalar(map, ValueLabel::Key, ValueKind::Text, name);
        }
        let label = self.name(name);
        self.open(map, label)
    }

    /// Removes the values that were added inside an open node.
    pub(super) fn forget_after(&mut self, node: u32) {
        self.nodes.truncate(node as usize + 1);
        let each = &mut self.nodes[node as usize];
        (each.kind, each.is_whole, each.end) = (ValueKind::Map, true, NONE);
    }

    /// The place of a value, as a person would name it.
    pub(super) fn source(&self, node: u32) -> String {
        let each = self.nodes[node as usize];
        match each.place {
            ValueSource::Task => "task".into(),
            ValueSource::Context => "context".into(),
            ValueSource::Arguments => {
                format!("step {} {}", each.step + 1, self.path(node).trim_start_matches('.'))
            }
            ValueSource::Output => format!("step {} output{}", each.step + 1, self.path(node)),
            ValueSource::Error => format!("step {} error", each.step + 1),
        }
    }

    fn path(&self, node: u32) -> String {
        let each = self.nodes[node as usize];
        if each.parent == NONE {
            return String::new();
        }
        let above = self.path(each.parent);
        match each.label {
            ValueLabel::Name(name) => format!("{above}.{}", self.str(name)),
            ValueLabel::Index(index) => format!("{above}[{index}]"),
            ValueLabel::Key => format!("{above}.{}", self.str(each.text)),
            ValueLabel::Root | ValueLabel::Piece => above,
        }
    }

    /// The place of a value without the number of its step.
    pub(super) fn pattern(&self, node: u32) -> String {
        let each = &self.nodes[node as usize];
        match each.place {
            ValueSource::Arguments => self.path(node).trim_start_matches('.').into(),
            _ => format!("output{}", self.path(node)),
        }
    }

    /// Appends the value as msgpack; a scalar as `kind` if it can be one.
    pub(super) fn encode(&self, node: u32, kind: Option<ValueKind>, out: &mut Vec<u8>) {
        let each = &self.nodes[node as usize];
        let count = || self.children(node).count() as u32;
        match each.kind {
            ValueKind::List => drop(rmp::encode::write_array_len(out, count())),
            ValueKind::Map => drop(rmp::encode::write_map_len(out, count())),
            own => {
                let text = self.str(each.text);
                let wanted = kind.filter(|kind| kind.is_scalar()).unwrap_or(own);
                if !encode_scalar(wanted, text, out) && !encode_scalar(own, text, out) {
                    out.push(0xc0);
                }
            }
        }
        for child in self.children(node) {
            if let ValueLabel::Name(name) = self.nodes[child as usize].label {
                let _ = rmp::encode::write_str(out, self.str(name));
            }
            self.encode(child, None, out);
        }
    }

    pub(super) fn set_kind(&mut self, node: u32, kind: ValueKind) {
        self.nodes[node as usize].kind = kind;
    }

    pub(super) fn step_of(&self, node: u32) -> Option<usize> {
        Some(self.nodes[node as usize].step).filter(|step| *step != NONE).map(|step| step as usize)
    }
}

/// Appends the scalar that the text shows; false means that it shows none of that kind.
fn encode_scalar(kind: ValueKind, text: &str, out: &mut Vec<u8>) -> bool {
    match kind {
        ValueKind::Text => rmp::encode::write_str(out, text).is_ok(),
        ValueKind::Flag => match text {
            "true" => {
                out.push(0xc3);
                true
            }
            "false" => {
                out.push(0xc2);
                true
            }
            _ => false,
        },
        ValueKind::Whole => match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(number), _) => rmp::encode::write_sint(out, number).is_ok(),
            (_, Ok(number)) => rmp::encode::write_uint(out, number).is_ok(),
            _ => false,
        },
        ValueKind::Real => text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .is_some_and(|number| rmp::encode::write_f64(out, number).is_ok()),
        _ => {
            out.push(0xc0);
            true
        }
    }
}
