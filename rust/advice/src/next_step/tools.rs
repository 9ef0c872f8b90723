//! Names as small numbers, and the tools of successful runs.

use super::backoff_counts::symbol_of;
use rustc_hash::FxHashMap;

/// Symbols as numbers, in order of first use.
#[derive(Debug, Default)]
pub(super) struct SymbolNumbers {
    numbers: FxHashMap<u64, u32>,
    symbols: Vec<u64>,
}

impl SymbolNumbers {
    pub(super) fn number(&mut self, symbol: u64) -> u32 {
        let next = self.symbols.len() as u32;
        let number = *self.numbers.entry(symbol).or_insert(next);
        if number == next {
            self.symbols.push(symbol);
        }
        number
    }

    pub(super) fn get(&self, symbol: u64) -> Option<u32> {
        self.numbers.get(&symbol).copied()
    }

    pub(super) fn symbol(&self, number: u32) -> u64 {
        self.symbols[number as usize]
    }

    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * 17 + self.symbols.capacity() * 8
    }
}

/// The number of the tool that ends a run.
pub(super) const FINISH: u32 = 0;

/// Tools as numbers, and the known ones in the order of their names.
#[derive(Debug)]
pub(super) struct ToolNumbers {
    symbols: SymbolNumbers,
    names: Vec<Box<str>>,
    uses: Vec<u32>,
    /// The tools in use by name, finish behind them.
    known: Vec<u32>,
    /// The place of each tool in `known`.
    places: Vec<Option<u32>>,
}

impl Default for ToolNumbers {
    fn default() -> Self {
        let mut tools = Self {
            symbols: SymbolNumbers::default(),
            names: Vec::new(),
            uses: Vec::new(),
            known: Vec::new(),
            places: Vec::new(),
        };
        tools.add(0, "");
        tools
    }
}

impl ToolNumbers {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        let symbol = symbol_of(Some(name));
        self.symbols.get(symbol).unwrap_or_else(|| self.add(symbol, name))
    }

    fn add(&mut self, symbol: u64, name: &str) -> u32 {
        self.names.push(name.into());
        self.uses.push(0);
        self.places.push(None);
        self.symbols.number(symbol)
    }

    /// None for a tool that was never numbered.
    pub(super) fn get(&self, name: &str) -> Option<u32> {
        self.symbols.get(symbol_of(Some(name)))
    }

    /// None for finish.
    pub(super) fn name(&self, number: u32) -> Option<&str> {
        (number != FINISH).then(|| &*self.names[number as usize])
    }

    /// 0 for finish.
    pub(super) fn symbol(&self, number: u32) -> u64 {
        self.symbols.symbol(number)
    }

    /// A successful run used the tool once more.
    pub(super) fn used(&mut self, number: u32) {
        self.uses[number as usize] += 1;
        if self.uses[number as usize] == 1 {
            let at = self.known.partition_point(|known| self.order(*known) < self.order(number));
            self.known.insert(at, number);
            self.number_places();
        }
    }

    /// Takes back one `used`.
    pub(super) fn unused(&mut self, number: u32) {
        self.uses[number as usize] -= 1;
        if self.uses[number as usize] == 0 {
            self.known.retain(|known| *known != number);
            self.number_places();
        }
    }

    fn order(&self, number: u32) -> (bool, &str) {
        (number == FINISH, &self.names[number as usize])
    }

    fn number_places(&mut self) {
        self.places.fill(None);
        for (place, number) in self.known.iter().enumerate() {
            self.places[*number as usize] = Some(place as u32);
        }
    }

    /// The tools that successful runs used, by name, finish behind them.
    pub(super) fn known(&self) -> &[u32] {
        &self.known
    }

    pub(super) fn place(&self, number: u32) -> Option<usize> {
        self.places[number as usize].map(|place| place as usize)
    }

    pub(super) fn bytes(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + size_of::<Box<str>>()).sum();
        names + self.symbols.bytes() + self.names.len() * 16
    }
}
