//! Which parameters the calls of a tool carry, and in what form.

use super::hash::{self, mix};
use super::values::{Kind, Label, Scene};
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
pub(super) struct Parameter {
    pub(super) name: Box<str>,
    pub(super) slot: u32,
    pub(super) form: Option<Form>,
}

/// The usual inside of a parameter that is a list or a map.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) pieces: Vec<Piece>,
    /// The share of calls that have it.
    pub(super) share: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    List(u32),
    Map(u32),
    Name(Box<str>),
    Slot(u32),
}

/// The calls of one tool.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) count: u32,
    parameters: Vec<Passed>,
}

/// How often one parameter was passed, and in what forms.
#[derive(Debug)]
struct Passed {
    name: Box<str>,
    count: u32,
    forms: Vec<Counted>,
}

#[derive(Debug)]
struct Counted {
    form: u64,
    count: u32,
    run: u32,
    node: u32,
}

impl Calls {
    /// Counts a parameter that was passed.
    pub(super) fn add(&mut self, run: u32, scene: &Scene<'_>, node: u32) {
        let Label::Name(name) = scene.nodes[node as usize].label else { return };
        if let Some(passed) = self.passed(scene.str(name)) {
            passed.count += 1;
            passed.add_form(run, scene, node);
        }
    }

    fn passed(&mut self, name: &str) -> Option<&mut Passed> {
        let found = self.parameters.iter().position(|each| *each.name == *name);
        let place = found.unwrap_or(self.parameters.len());
        if place == MOST_PARAMETERS {
            return None;
        }
        if found.is_none() {
            self.parameters.push(Passed { name: name.into(), count: 0, forms: Vec::new() });
        }
        Some(&mut self.parameters[place])
    }

    /// The parameters that at least half of the calls carry, in the order in which they first came.
    pub(super) fn usual(&self, scenes: &[Scene<'_>], slots: &FxHashMap<u64, u32>) -> Vec<Parameter> {
        let usual = self.parameters.iter().filter(|each| each.count * 2 >= self.count);
        usual.filter_map(|each| each.parameter(scenes, slots)).collect()
    }
}

impl Passed {
    fn add_form(&mut self, run: u32, scene: &Scene<'_>, node: u32) {
        let form = form_of(scene, node);
        match self.forms.iter().position(|each| each.form == form) {
            Some(place) => self.forms[place].count += 1,
            None if self.forms.len() < MOST_FORMS => self.forms.push(Counted { form, count: 1, run, node }),
            None => {}
        }
    }

    fn parameter(&self, scenes: &[Scene<'_>], slots: &FxHashMap<u64, u32>) -> Option<Parameter> {
        let usual = self.forms.iter().max_by_key(|form| form.count)?;
        let scene = &scenes[usual.run as usize];
        let node = &scene.nodes[usual.node as usize];
        let share = usual.count as f32 / self.count as f32;
        let form = if node.kind.is_scalar() { None } else { pieces_of(scene, usual.node, slots) };
        Some(Parameter {
            name: self.name.clone(),
            slot: *slots.get(&node.rules[0])?,
            form: form.map(|pieces| Form { pieces, share }),
        })
    }
}

/// None where the value is too large to be filled piece by piece.
fn pieces_of(scene: &Scene<'_>, node: u32, slots: &FxHashMap<u64, u32>) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    collect(scene, node, slots, &mut pieces)?;
    Some(pieces)
}

fn collect(scene: &Scene<'_>, node: u32, slots: &FxHashMap<u64, u32>, pieces: &mut Vec<Piece>) -> Option<()> {
    let each = &scene.nodes[node as usize];
    let count = || scene.children(node).count() as u32;
    pieces.push(match each.kind {
        Kind::List => Piece::List(count()),
        Kind::Map => Piece::Map(count()),
        _ => Piece::Slot(*slots.get(&each.rules[0])?),
    });
    for child in scene.children(node) {
        if let Label::Name(name) = scene.nodes[child as usize].label {
            pieces.push(Piece::Name(scene.str(name).into()));
        }
        collect(scene, child, slots, pieces)?;
    }
    (pieces.len() <= MOST_PIECES).then_some(())
}

/// Values of equal form differ in their scalars alone.
fn form_of(scene: &Scene<'_>, node: u32) -> u64 {
    let start = match scene.nodes[node as usize].kind {
        Kind::List => hash::LIST,
        Kind::Map => hash::MAP,
        _ => return 1,
    };
    scene.children(node).fold(start, |sum, child| {
        let name = match scene.nodes[child as usize].label {
            Label::Name(name) => hash::of(scene.str(name)),
            _ => 0,
        };
        mix(mix(sum, name), form_of(scene, child))
    })
}
