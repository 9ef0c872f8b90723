//! The image of an index: the state that a process saves, so that the next one need not read every episode again.

use super::namespace_index::{Ledgers, NamespaceIndex};
use super::{Counted, IMAGE_VERSION, Index};
use crate::evidence::Ledger;
use crate::extract::GAVE_UP;
use crate::image::{Image, ImageReader, check, read_part, read_text, write_part, write_text};
use crate::msgpack::{Malformed, Result};
use crate::names::Names;

impl Index {
    /// Drops what removed episodes left in the columns and in the names, so that no image holds it.
    pub fn tidy(&mut self) {
        for (place, space) in self.all.iter_mut().enumerate() {
            if !space.close_gaps() {
                continue;
            }
            for (number, document) in space.documents.iter().enumerate() {
                self.homes.insert(document.id, (place as u32, number as u32));
            }
        }
        let mut is_used = vec![false; self.names.len() + 1];
        self.all.iter().for_each(|space| space.mark_names(&mut is_used));
        if let Some(gave_up) = self.names.get(GAVE_UP) {
            is_used[gave_up as usize] = true;
        }
        self.all.iter_mut().for_each(|space| space.drop_fixes(|number| is_used[number as usize]));
        self.names.erase_unused(|number| is_used[number as usize]);
        let Self { names, ledgers, .. } = self;
        for ledger in [&mut ledgers.all, &mut ledgers.first_ways] {
            ledger.erase_unused(|name| names.get(name).is_some());
        }
    }

    /// The image of this index; `None` means that an episode was removed since `tidy`.
    pub fn image(&self) -> Option<Vec<u8>> {
        if self.all.iter().any(NamespaceIndex::has_gaps) {
            return None;
        }
        let mut out = Vec::with_capacity(self.size().bytes);
        IMAGE_VERSION.write(&mut out);
        write_text(&self.embedder, &mut out);
        (self.dimension as u64).write(&mut out);
        self.sequence.write(&mut out);
        self.names.write(&mut out);
        write_part(&mut out, |out| self.ledgers.all.write(out));
        write_part(&mut out, |out| self.ledgers.first_ways.write(out));
        (self.all.len() as u64).write(&mut out);
        self.all.iter().for_each(|space| space.write(&mut out));
        self.counted.write(&mut out);
        Some(out)
    }

    /// The index of an image that `image` made; `None` means that it is of another version, or for other vectors.
    ///
    /// The index answers, and follows changes, as the one that the image was made of.
    pub fn from_image(image: &[u8], embedder: &str, dimension: usize) -> Result<Option<Self>> {
        let mut input = ImageReader::new(image);
        if u32::read(&mut input)? != IMAGE_VERSION {
            return Ok(None);
        }
        let is_alike = *read_text(&mut input)? == *embedder && u64::read(&mut input)? == dimension as u64;
        if !is_alike || dimension == 0 {
            return Ok(None);
        }
        let mut index = Self::new(embedder, dimension);
        index.sequence = i64::read(&mut input)?;
        index.names = Names::read(&mut input)?;
        let (mut all, mut first_ways) = (read_part(&mut input)?, read_part(&mut input)?);
        // Half of the work is that of the ledger: it is read beside the columns.
        let (ledger, columns) = std::thread::scope(|scope| {
            let ledger = scope.spawn(|| read_whole(&mut all));
            let columns = index.read_spaces(&mut input);
            (ledger.join().unwrap_or(Err(Malformed("a ledger that cannot be read"))), columns)
        });
        columns?;
        index.ledgers = Ledgers { all: ledger?, first_ways: read_whole(&mut first_ways)? };
        let symbols = index.ledgers.all.patterns_known();
        index.all.iter().try_for_each(|space| space.check_symbols(symbols))?;
        index.counted = Counted::read(&mut input)?;
        index.counted.check(&index.all)?;
        index.enter_homes()?;
        input.end()?;
        Ok(Some(index))
    }

    fn read_spaces(&mut self, input: &mut ImageReader<'_>) -> Result<()> {
        for place in 0..input.count(1)? as u32 {
            let space = NamespaceIndex::read(input, self.dimension, self.names.len())?;
            let is_new = self.spaces.insert(space.namespace.clone(), place).is_none();
            check(is_new, "a namespace stands twice")?;
            self.all.push(space);
        }
        Ok(())
    }

    /// Works out where each episode lies.
    fn enter_homes(&mut self) -> Result<()> {
        let count = self.all.iter().map(|space| space.documents.len()).sum();
        self.homes.reserve(count);
        for (place, space) in (0u32..).zip(&self.all) {
            let ids = space.documents.iter().map(|document| document.id);
            self.homes.extend(ids.zip(0u32..).map(|(id, number)| (id, (place, number))));
        }
        check(self.homes.len() == count, "an episode stands twice")
    }
}

fn read_whole(input: &mut ImageReader<'_>) -> Result<Ledger> {
    let ledger = Ledger::read(input)?;
    input.end()?;
    Ok(ledger)
}

#[cfg(test)]
mod tests;
