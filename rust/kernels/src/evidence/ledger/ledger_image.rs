//! The image of a ledger.

use rustc_hash::FxHashMap;

use super::cells::{PatternSums, read_rows, write_rows};
use super::episode_totals::EpisodeTotals;
use super::groups::Groups;
use super::{Book, Interner, Ledger, StratumSymbols, is_frequent};
use crate::facts::Id;
use crate::image::{Fixed, Image, ImageReader, check, read_text, write_text};
use crate::msgpack::Result;

impl Image for Interner {
    fn write(&self, out: &mut Vec<u8>) {
        (self.names.len() as u64).write(out);
        for (symbol, name) in (0u32..).zip(&self.names) {
            u8::from(self.symbols.get(name) == Some(&symbol)).write(out);
            write_text(name, out);
        }
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let mut interner = Self::default();
        for symbol in 0..input.count(9)? as u32 {
            let (is_used, name) = (u8::read(input)? == 1, read_text(input)?);
            if is_used {
                check(interner.symbols.insert(name.clone(), symbol).is_none(), "a name stands twice")?;
            }
            interner.names.push(name);
        }
        Ok(interner)
    }
}

impl Fixed for StratumSymbols {
    const BYTES: usize = 16;

    fn store(self, place: &mut [u8]) {
        [self.domain, self.agent, u32::from(self.complexity), self.month].store(place);
    }

    fn load(bytes: &[u8]) -> Self {
        let [domain, agent, complexity, month] = Fixed::load(bytes);
        Self { domain, agent, complexity: complexity as u8, month }
    }
}

impl Book {
    fn read(input: &mut ImageReader<'_>, strata: &[StratumSymbols], patterns: usize) -> Result<Self> {
        let groups = Groups::read(input)?;
        groups.check_strata(strata.len())?;
        let rows = read_rows(input, strata.len(), groups.months())?;
        check(rows.keys().all(|symbol| (*symbol as usize) < patterns), "a row of no pattern")?;
        let frequent = rows.values().filter(|row| is_frequent(row)).count();
        let every = rows.get(&0).map_or(&[][..], PatternSums::cells);
        let mut outcomes = EpisodeTotals::default();
        every.iter().for_each(|cell| outcomes.add(strata[cell.stratum as usize].circumstances(), cell));
        Ok(Self { rows, frequent, groups, outcomes })
    }
}

impl Image for Ledger {
    fn write(&self, out: &mut Vec<u8>) {
        self.names.write(out);
        self.strata.write(out);
        self.patterns.write(out);
        self.namespaces.write(out);
        for book in &self.books {
            book.groups.write(out);
            write_rows(&book.rows, out);
        }
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let names = Interner::read(input)?;
        let strata: Vec<StratumSymbols> = Vec::read(input)?;
        let of_names = names.names.len();
        let is_named = |stratum: &StratumSymbols| {
            (stratum.domain as usize) < of_names && (stratum.agent as usize) < of_names
        };
        check(strata.iter().all(is_named), "a stratum without its names")?;
        let stratum_symbols: FxHashMap<StratumSymbols, u32> = strata.iter().copied().zip(0..).collect();
        let patterns: Vec<(Id, u8)> = Vec::read(input)?;
        let pattern_symbols: FxHashMap<Id, u32> = patterns.iter().map(|(id, _)| *id).zip(0..).collect();
        let namespaces = Interner::read(input)?;
        let book = |_| Book::read(input, &strata, patterns.len());
        let books = (0..namespaces.names.len()).map(book).collect::<Result<Vec<Book>>>()?;
        let is_numbered = stratum_symbols.len() == strata.len() && pattern_symbols.len() == patterns.len();
        check(is_numbered && !patterns.is_empty() && of_names > 0, "a number stands twice")?;
        Ok(Self { names, strata, stratum_symbols, patterns, pattern_symbols, namespaces, books })
    }
}

impl Ledger {
    /// Erases the names of domains and agents that `is_used` denies: their strata have no evidence any more.
    pub(crate) fn erase_unused(&mut self, is_used: impl Fn(&str) -> bool) {
        for (symbol, name) in (0u32..).zip(&mut self.names.names).skip(1) {
            if self.names.symbols.get(name) == Some(&symbol) && !is_used(name) {
                self.names.symbols.remove(name);
                *name = "".into();
            }
        }
    }

    /// The number of patterns that have a symbol.
    pub(crate) fn patterns_known(&self) -> usize {
        self.patterns.len()
    }
}
