//! Names as small numbers.

use crate::image::{Image, ImageReader, check, read_text, write_text};
use crate::msgpack::Result;
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

    /// Erases the text of every name whose number `is_used` denies. Its number stands for no name from then on, and no
    /// other name gets it.
    pub fn erase_unused(&mut self, is_used: impl Fn(u32) -> bool) {
        for (number, name) in (1..).zip(&mut self.names) {
            if !is_used(number) && self.numbers.get(name) == Some(&number) {
                self.numbers.remove(name);
                *name = "".into();
            }
        }
    }

    pub fn bytes(&self) -> usize {
        self.names.iter().map(|name| 2 * (name.len() + size_of::<Box<str>>()) + 8).sum()
    }
}

impl Image for Names {
    fn write(&self, out: &mut Vec<u8>) {
        (self.names.len() as u64).write(out);
        for (number, name) in (1u32..).zip(&self.names) {
            u8::from(self.numbers.get(name) == Some(&number)).write(out);
            write_text(name, out);
        }
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let mut names = Self::default();
        for number in 1..=input.count(9)? as u32 {
            let (is_used, name) = (u8::read(input)? == 1, read_text(input)?);
            if is_used {
                check(names.numbers.insert(name.clone(), number).is_none(), "a name stands twice")?;
            }
            names.names.push(name);
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erased_name_leaves_no_text_and_its_number_to_nobody() {
        let mut names = Names::default();
        for name in ["", "secret", "search"] {
            names.number(name);
        }
        names.erase_unused(|number| number != 2);
        assert_eq!((names.get("secret"), names.name(2), names.get("")), (None, Some(""), Some(1)));
        let mut bytes = Vec::new();
        names.write(&mut bytes);
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        let mut read = Names::read(&mut ImageReader::new(&bytes)).unwrap();
        assert_eq!((read.get(""), read.get("search"), read.number("secret")), (Some(1), Some(3), 4));
    }
}
