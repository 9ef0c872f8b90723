//! Names as small numbers.

use rustc_hash::FxHashMap;

/// Names as numbers, from 1 on: 0 stands for no name.
///
/// # Examples
/// ```
/// let mut names = tacit_kernels::names::Names::default();
/// let number = names.number("search");
/// assert_eq!((number, names.name(number), names.get("open")), (1, Some("search"), None));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Names {
    numbers: FxHashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
}

impl Names {
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.into());
        self.numbers.insert(name.into(), self.names.len() as u32);
        self.names.len() as u32
    }

    pub fn number_of(&mut self, name: Option<&str>) -> u32 {
        name.map_or(0, |name| self.number(name))
    }

    /// The number of the name; `None` means that it was never numbered.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name of the number; `None` for 0.
    pub fn name(&self, number: u32) -> Option<&str> {
        self.names.get((number as usize).checked_sub(1)?).map(|name| &**name)
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.names.iter().map(|name| 2 * (name.len() + size_of::<Box<str>>()) + 8).sum()
    }
}
