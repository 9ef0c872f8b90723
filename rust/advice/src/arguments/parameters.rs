//! The parameters that the calls of a tool carry, and their forms.

use super::hash::{self, mix};
use super::values::{ValueKind, ValueLabel, ValueTree};
use rustc_hash::FxHashMap;

/// Values inside one parameter that are filled one by one.
pub(super) const MOST_LEAVES: usize = 16;
/// Parts of the longest form: values, names, lists and maps.
const MOST_PIECES: usize = 4 * MOST_LEAVES;
/// Parameters of one tool, and forms of one parameter, that are counted.
const MOST_PARAMETERS: usize = 128;
const MOST_FORMS: usize = 64;

/// A parameter as its tool's calls mostly carry it.
#[derive(Debug)]
pub(super) struct ToolParameter {
    pub(super) name: Box<str>,
    pub(super) slot: u32,
    pub(super) form: Option<ValueForm>,
}

/// The usual inside of a parameter that is a list or a map.
#[derive(Debug)]
pub(super) struct ValueForm {
    pub(super) pieces: Vec<FormPiece>,
    /// The share of calls that have it.
    pub(super) share: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum FormPiece {
    List(u32),
    Map(u32),
    Name(Box<str>),
    Slot(u32),
}

/// The calls of one tool.
#[derive(Debug, Default)]
pub(super) struct ToolCalls {
    pub(super) count: u32,
    parameters: Vec<PassedParameter>,
}

/// The count of one parameter and of each form that it had.
#[derive(Debug)]
struct PassedParameter {
    name: Box<str>,
    count: u32,
    forms: Vec<CountedForm>,
}

#[derive(Debug)]
struct CountedForm {
    form: u64,
    count: u32,
    run: u32,
    node: u32,
}

impl ToolCalls {
    /// Counts a parameter that was passed.
    pub(super) fn add(&mut self, run: u32, tree: &ValueTree<'_>, node: u32) {
        let ValueLabel::Name(name) = tree.nodes[node as usize].label else { return };
        if let Some(passed) = self.passed(tree.str(name)) {
            passed.count += 1;
            passed.add_form(run, tree, node);
        }
    }

    fn passed(&mut self, name: &str) -> Option<&mut PassedParameter> {
        let found = self.parameters.iter().position(|each| *each.name == *name);
        let place = found.unwrap_or(self.parameters.len());
        if place == MOST_PARAMETERS {
            return None;
        }
        if found.is_none() {
            self.parameters.push(PassedParameter { name: name.into(), count: 0, forms: Vec::new() });
        }
        Some(&mut self.parameters[place])
    }

    /// The parameters that at least half of the calls carry, in order of first use.
    pub(super) fn usual(&self, trees: &[ValueTree<'_>], slots: &FxHashMap<u64, u32>) -> Vec<ToolParameter> {
        let usual = self.parameters.iter().filter(|each| each.count * 2 >= self.count);
        usual.filter_map(|each| each.parameter(trees, slots)).collect()
    }
}

impl PassedParameter {
    fn add_form(&mut self, run: u32, tree: &ValueTree<'_>, node: u32) {
        let form = form_of(tree, node);
        match self.forms.iter().position(|each| each.form == form) {
            Some(place) => self.forms[place].count += 1,
            None if self.forms.len() < MOST_FORMS => {
                self.forms.push(CountedForm { form, count: 1, run, node })
            }
            None => {}
        }
    }

    fn parameter(&self, trees: &[ValueTree<'_>], slots: &FxHashMap<u64, u32>) -> Option<ToolParameter> {
        let usual = self.forms.iter().max_by_key(|form| form.count)?;
        let tree = &trees[usual.run as usize];
        let node = &tree.nodes[usual.node as usize];
        let share = usual.count as f32 / self.count as f32;
        let form = if node.kind.is_scalar() { None } else { pieces_of(tree, usual.node, slots) };
        Some(ToolParameter {
            name: self.name.clone(),
            slot: *slots.get(&node.rules[0])?,
            form: form.map(|pieces| ValueForm { pieces, share }),
        })
    }
}

/// `None` means that the value is too large to be filled piece by piece.
fn pieces_of(tree: &ValueTree<'_>, node: u32, slots: &FxHashMap<u64, u32>) -> Option<Vec<FormPiece>> {
    let mut pieces = Vec::new();
    collect(tree, node, slots, &mut pieces)?;
    Some(pieces)
}

fn collect(
    tree: &ValueTree<'_>,
    node: u32,
    slots: &FxHashMap<u64, u32>,
    pieces: &mut Vec<FormPiece>,
) -> Option<()> {
    let each = &tree.nodes[node as usize];
    let count = || tree.children(node).count() as u32;
    pieces.push(match each.kind {
        ValueKind::List => FormPiece::List(count()),
        ValueKind::Map => FormPiece::Map(count()),
        _ => FormPiece::Slot(*slots.get(&each.rules[0])?),
    });
    for child in tree.children(node) {
        if let ValueLabel::Name(name) = tree.nodes[child as usize].label {
            pieces.push(FormPiece::Name(tree.str(name).into()));
        }
        collect(tree, child, slots, pieces)?;
    }
    (pieces.len() <= MOST_PIECES).then_some(())
}

/// Values of equal form differ in their scalars alone.
fn form_of(tree: &ValueTree<'_>, node: u32) -> u64 {
    let start = match tree.nodes[node as usize].kind {
        ValueKind::List => hash::LIST,
        ValueKind::Map => hash::MAP,
        _ => return 1,
    };
    tree.children(node).fold(start, |sum, child| {
        let name = match tree.nodes[child as usize].label {
            ValueLabel::Name(name) => hash::text(tree.str(name)),
            _ => 0,
        };
        mix(mix(sum, name), form_of(tree, child))
    })
}
