//! Usage of memories: the recalls that showed them, the uses, and if those went better than expected.

use crate::evidence::Interval;
use crate::facts::Id;
use crate::image::{Fixed, Image, ImageReader, check};
use crate::msgpack::{Malformed, Reader, Result};
use rustc_hash::FxHashMap;

/// Shares are rounded to this before they are added: sums are exact, so that a share that is taken back leaves
/// nothing behind.
const ONE: f64 = (1u64 << 24) as f64;
/// Among how many patterns for each that is wanted credit may choose.
const LOOKED_AT: usize = 2;

/// The uses of one memory over all its recalls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub retrieved: u32,
    pub applied: u32,
    /// The uses that went better than expected.
    pub helped: u32,
    trials: u64,
    successes: u64,
}

impl Usage {
    /// The share of uses that help, a half if nothing is known: Beta posterior, Jeffreys' prior.
    pub fn effectiveness(&self) -> Interval {
        Interval::from_counts(self.successes as f64 / ONE, self.trials as f64 / ONE)
    }

    fn mean(&self) -> f64 {
        Interval::mean_of(self.successes as f64 / ONE, self.trials as f64 / ONE)
    }

    fn add(&mut self, credited: &Credited) {
        self.applied += 1;
        self.helped += u32::from(credited.has_helped());
        self.trials += u64::from(credited.trials);
        self.successes += u64::from(credited.successes);
    }

    fn take(&mut self, credited: &Credited) {
        self.applied -= 1;
        self.helped -= u32::from(credited.has_helped());
        self.trials -= u64::from(credited.trials);
        self.successes -= u64::from(credited.successes);
    }
}

/// A store's row of one recall; no record means that it was deleted.
#[derive(Clone, Copy, Debug)]
pub struct SideRecordRow<'a> {
    pub id: Id,
    pub namespace: &'a str,
    pub is_credit: bool,
    pub record: Option<&'a [u8]>,
}

/// A receipt or a credit, ready to be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct SideRecordEntry {
    pub id: Id,
    pub(super) namespace: String,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Receipt(Option<(Id, Vec<Id>)>),
    Credit(Option<Vec<Used>>),
}

/// A memory that was used: how much of a trial that counts for, and to which share it helped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Used {
    memory: Id,
    weight: f64,
    helped: f64,
}

#[cfg(test)]
impl Content {
    /// A memory that was used, for tests.
    pub(super) fn used(memory: Id, weight: f64, helped: f64) -> Used {
        Used { memory, weight, helped }
    }
}

impl SideRecordEntry {
    pub fn read(row: &SideRecordRow<'_>) -> Result<Self> {
        let content = if row.is_credit {
            Content::Credit(row.record.map(read_credit).transpose()?)
        } else {
            Content::Receipt(row.record.map(read_receipt).transpose()?)
        };
        Ok(Self { id: row.id, namespace: row.namespace.to_owned(), content })
    }
}

fn read_receipt(record: &[u8]) -> Result<(Id, Vec<Id>)> {
    let episode = field(record, "episode")?;
    let episode = episode.try_into().map_err(|_| Malformed("an id that has not 16 bytes"))?;
    let (items, rest) = field(record, "items")?.as_chunks::<16>();
    if rest.is_empty() { Ok((episode, items.to_vec())) } else { Err(Malformed("an item ends early")) }
}

fn read_credit(record: &[u8]) -> Result<Vec<Used>> {
    let (uses, rest) = field(record, "uses")?.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(Malformed("a use ends early"));
    }
    uses.iter().map(read_use).collect()
}

fn read_use(bytes: &[u8; 32]) -> Result<Used> {
    let mut reader = Reader::new(bytes);
    let mut array = |bytes| reader.take(bytes);
    let memory = array(16)?.try_into().map_err(|_| Malformed("an id that has not 16 bytes"))?;
    let mut share = || -> Result<f64> {
        let eight = array(8)?.try_into().map_err(|_| Malformed("a share ends early"))?;
        let share = f64::from_le_bytes(eight);
        if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(Malformed("a share beyond 0 to 1")) }
    };
    Ok(Used { memory, weight: share()?, helped: share()? })
}

/// The bytes under `name` in a map.
fn field<'a>(record: &'a [u8], name: &str) -> Result<&'a [u8]> {
    let mut reader = Reader::new(record);
    for _ in 0..reader.map()? {
        if reader.str()? == name {
            return reader.bin();
        }
        reader.skip()?;
    }
    Err(Malformed("a field is missing"))
}

/// The memories of one namespace that recalls showed.
#[derive(Clone, Debug, Default)]
pub(super) struct Usages {
    numbers: FxHashMap<Id, u32>,
    all: Vec<Usage>,
    /// The number of credited uses.
    applied: usize,
}

impl Usages {
    pub(super) fn of(&self, memory: &Id) -> Option<Usage> {
        let usage = self.all[*self.numbers.get(memory)? as usize];
        (usage != Usage::default()).then_some(usage)
    }

    /// The effectiveness of a memory; `None` as long as no memory of the namespace was credited. A memory without
    /// credit stands at a half, so that credit alone moves it up or down.
    pub(super) fn effectiveness(&self, memory: &Id) -> Option<f64> {
        let mean = || self.numbers.get(memory).map_or(0.5, |number| self.all[*number as usize].mean());
        (self.applied > 0).then(mean)
    }

    /// Returns true if any use is credited.
    pub(super) fn is_credited(&self) -> bool {
        self.applied > 0
    }

    /// The number of patterns among which credit chooses, for each that is wanted.
    pub(super) fn looked_at(&self) -> usize {
        if self.applied > 0 { LOOKED_AT } else { 1 }
    }

    pub(super) fn show(&mut self, items: &[Id]) -> Box<[u32]> {
        let numbers: Box<[u32]> = items.iter().map(|memory| self.number(memory)).collect();
        numbers.iter().for_each(|number| self.all[*number as usize].retrieved += 1);
        numbers
    }

    pub(super) fn hide(&mut self, items: &[u32]) {
        items.iter().for_each(|number| self.all[*number as usize].retrieved -= 1);
    }

    pub(super) fn add(&mut self, uses: &[Used]) -> Box<[Credited]> {
        let credited: Box<[Credited]> =
            uses.iter().map(|used| Credited::new(used, self.number(&used.memory))).collect();
        credited.iter().for_each(|each| self.all[each.number as usize].add(each));
        self.applied += credited.len();
        credited
    }

    pub(super) fn take(&mut self, credited: &[Credited]) {
        credited.iter().for_each(|each| self.all[each.number as usize].take(each));
        self.applied -= credited.len();
    }

    /// The number of memories that were shown or credited.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    fn number(&mut self, memory: &Id) -> u32 {
        let next = self.all.len() as u32;
        let number = *self.numbers.entry(*memory).or_insert(next);
        if number == next {
            self.all.push(Usage::default());
        }
        number
    }

    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * (size_of::<(Id, u32)>() + 1) + self.all.capacity() * size_of::<Usage>()
    }
}

impl Image for Usages {
    fn write(&self, out: &mut Vec<u8>) {
        let mut memories = vec![Id::default(); self.all.len()];
        self.numbers.iter().for_each(|(memory, number)| memories[*number as usize] = *memory);
        memories.write(out);
        let counts =
            |usage: &Usage| ([usage.retrieved, usage.applied, usage.helped], [usage.trials, usage.successes]);
        self.all.iter().map(counts).collect::<Vec<_>>().write(out);
        (self.applied as u64).write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let memories: Vec<Id> = Vec::read(input)?;
        let counts: Vec<([u32; 3], [u64; 2])> = Vec::read(input)?;
        let numbers: FxHashMap<Id, u32> = memories.iter().copied().zip(0..).collect();
        check(
            numbers.len() == counts.len() && memories.len() == counts.len(),
            "memories without their usage",
        )?;
        let usage = |([retrieved, applied, helped], [trials, successes]): ([u32; 3], [u64; 2])| Usage {
            retrieved,
            applied,
            helped,
            trials,
            successes,
        };
        let all = counts.into_iter().map(usage).collect();
        Ok(Self { numbers, all, applied: u64::read(input)? as usize })
    }
}

/// One use, as it was counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credited {
    number: u32,
    trials: u32,
    successes: u32,
}

impl Fixed for Credited {
    const BYTES: usize = 12;

    fn store(self, place: &mut [u8]) {
        [self.number, self.trials, self.successes].store(place);
    }

    fn load(bytes: &[u8]) -> Self {
        let [number, trials, successes] = Fixed::load(bytes);
        Self { number, trials, successes }
    }
}

impl Credited {
    /// The number of the memory among those of its namespace.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    fn new(used: &Used, number: u32) -> Self {
        let trials = (used.weight * ONE).round();
        Self { number, trials: trials as u32, successes: (used.helped * trials).round() as u32 }
    }

    fn has_helped(&self) -> bool {
        2 * u64::from(self.successes) > u64::from(self.trials)
    }
}
