//! How memories were used: what recalls showed, what of it was applied, and whether it went better than expected.

use super::behind::Behind;
use super::space::Space;
use crate::evidence::Interval;
use crate::facts::Id;
use crate::msgpack::{Malformed, Reader, Result};
use rustc_hash::FxHashMap;

/// Shares are rounded to this before they are added: sums are exact, so what is taken back leaves nothing behind.
const ONE: f64 = (1u64 << 24) as f64;
/// Among how many patterns for each that is wanted credit may choose.
const LOOKED_AT: usize = 2;

/// What became of one memory each time it was recalled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub retrieved: u32,
    pub applied: u32,
    /// How often what came of applying it was better than expected.
    pub helped: u32,
    trials: u64,
    successes: u64,
}

impl Usage {
    /// The share to which applying it helps, a half where nothing is known: Beta posterior, Jeffreys' prior.
    pub fn effectiveness(&self) -> Interval {
        Interval::of(self.successes as f64 / ONE, self.trials as f64 / ONE)
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

/// What a store says of one recall; no record where it was deleted.
#[derive(Clone, Copy, Debug)]
pub struct NoteRow<'a> {
    pub id: Id,
    pub namespace: &'a str,
    pub is_credit: bool,
    pub record: Option<&'a [u8]>,
}

/// What was recalled for an episode, or what of a recall was used, ready to be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Noted {
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

impl Noted {
    pub fn read(row: &NoteRow<'_>) -> Result<Self> {
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
#[derive(Debug, Default)]
pub(super) struct Usages {
    numbers: FxHashMap<Id, u32>,
    all: Vec<Usage>,
    /// How many uses are credited.
    applied: usize,
}

impl Usages {
    pub(super) fn of(&self, memory: &Id) -> Option<Usage> {
        let usage = self.all[*self.numbers.get(memory)? as usize];
        (usage != Usage::default()).then_some(usage)
    }

    /// How well it helps to apply a memory; none as long as no memory of the namespace was credited. A memory without
    /// credit stands at a half, so that credit moves it up or down and nothing else does.
    pub(super) fn effectiveness(&self, memory: &Id) -> Option<f64> {
        let mean = || self.numbers.get(memory).map_or(0.5, |number| self.all[*number as usize].mean());
        (self.applied > 0).then(mean)
    }

    /// For each pattern that is wanted, how many credit chooses among.
    pub(super) fn looked_at(&self) -> usize {
        if self.applied > 0 { LOOKED_AT } else { 1 }
    }

    /// The best of these patterns: support times the lower bound of success, times twice the effectiveness.
    pub(super) fn best(&self, mut behind: Vec<Behind>, limit: usize) -> Vec<Behind> {
        if self.applied > 0 {
            let worth = |each: &Behind| {
                each.support * each.summary.low * 2.0 * self.effectiveness(&each.pattern).unwrap_or(0.5)
            };
            behind.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then(a.pattern.cmp(&b.pattern)));
            behind.truncate(limit);
        }
        behind
    }

    fn show(&mut self, items: &[Id]) -> Box<[u32]> {
        let numbers: Box<[u32]> = items.iter().map(|memory| self.number(memory)).collect();
        numbers.iter().for_each(|number| self.all[*number as usize].retrieved += 1);
        numbers
    }

    fn hide(&mut self, items: &[u32]) {
        items.iter().for_each(|number| self.all[*number as usize].retrieved -= 1);
    }

    fn add(&mut self, uses: &[Used]) -> Box<[Credited]> {
        let credited: Box<[Credited]> =
            uses.iter().map(|used| Credited::of(used, self.number(&used.memory))).collect();
        credited.iter().for_each(|each| self.all[each.number as usize].add(each));
        self.applied += credited.len();
        credited
    }

    fn take(&mut self, credited: &[Credited]) {
        credited.iter().for_each(|each| self.all[each.number as usize].take(each));
        self.applied -= credited.len();
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

/// One use, as it was counted.
#[derive(Clone, Copy, Debug)]
struct Credited {
    number: u32,
    trials: u32,
    successes: u32,
}

impl Credited {
    fn of(used: &Used, number: u32) -> Self {
        let trials = (used.weight * ONE).round();
        Self { number, trials: trials as u32, successes: (used.helped * trials).round() as u32 }
    }

    fn has_helped(&self) -> bool {
        2 * u64::from(self.successes) > u64::from(self.trials)
    }
}

/// What is counted of each receipt and each credit, so that it can be taken back.
#[derive(Debug, Default)]
pub(super) struct Counted {
    receipts: FxHashMap<Id, Shown>,
    credits: FxHashMap<Id, (u32, Box<[Credited]>)>,
}

#[derive(Debug)]
struct Shown {
    place: u32,
    episode: Id,
    items: Box<[u32]>,
}

impl Counted {
    /// Counts a receipt or a credit in the space at `place`, in the stead of what was counted under its id before.
    pub(super) fn apply(&mut self, noted: Noted, place: u32, spaces: &mut [Space]) {
        match noted.content {
            Content::Receipt(content) => self.show(noted.id, content, place, spaces),
            Content::Credit(content) => self.credit(noted.id, content, place, spaces),
        }
    }

    fn show(&mut self, id: Id, content: Option<(Id, Vec<Id>)>, place: u32, spaces: &mut [Space]) {
        if let Some(before) = self.receipts.remove(&id) {
            spaces[before.place as usize].usages.hide(&before.items);
        }
        if let Some((episode, items)) = content {
            let items = spaces[place as usize].usages.show(&items);
            self.receipts.insert(id, Shown { place, episode, items });
        }
    }

    fn credit(&mut self, id: Id, content: Option<Vec<Used>>, place: u32, spaces: &mut [Space]) {
        if let Some((place, before)) = self.credits.remove(&id) {
            spaces[place as usize].usages.take(&before);
        }
        if let Some(uses) = content {
            let uses = spaces[place as usize].usages.add(&uses);
            self.credits.insert(id, (place, uses));
        }
    }

    /// The receipts of an episode, by id.
    pub(super) fn receipts_of(&self, episode: &Id) -> Vec<Id> {
        let of = self.receipts.iter().filter(|(_, shown)| shown.episode == *episode);
        let mut receipts: Vec<Id> = of.map(|(id, _)| *id).collect();
        receipts.sort_unstable();
        receipts
    }

    pub(super) fn bytes(&self) -> usize {
        let items: usize = self.receipts.values().map(|shown| shown.items.len() * 4).sum();
        let uses: usize = self.credits.values().map(|(_, uses)| uses.len() * size_of::<Credited>()).sum();
        items
            + uses
            + self.receipts.capacity() * (size_of::<(Id, Shown)>() + 1)
            + self.credits.capacity() * (size_of::<(Id, (u32, Box<[Credited]>))>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: [Id; 2] = [[1; 16], [2; 16]];

    fn bin(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut record = vec![0xa0 | name.len() as u8];
        record.extend_from_slice(name.as_bytes());
        record.extend_from_slice(&[0xc4, bytes.len() as u8]);
        record.extend_from_slice(bytes);
        record
    }

    fn receipt(items: &[Id]) -> Vec<u8> {
        [vec![0x82], bin("episode", &[9; 16]), bin("items", &items.concat())].concat()
    }

    fn credit(uses: &[(Id, f64, f64)]) -> Vec<u8> {
        let packed = |(id, weight, helped): &(Id, f64, f64)| {
            [&id[..], &weight.to_le_bytes(), &helped.to_le_bytes()].concat()
        };
        [vec![0x81], bin("uses", &uses.iter().flat_map(packed).collect::<Vec<u8>>())].concat()
    }

    fn noted(id: u8, is_credit: bool, record: Option<&[u8]>) -> Noted {
        Noted::read(&NoteRow { id: [id; 16], namespace: "n", is_credit, record }).unwrap()
    }

    fn after(order: &[Noted]) -> (Counted, Vec<Space>) {
        let (mut counted, mut spaces) = (Counted::default(), vec![Space::new("n", 1)]);
        order.iter().for_each(|each| counted.apply(each.clone(), 0, &mut spaces));
        (counted, spaces)
    }

    fn usages(order: &[Noted]) -> Vec<Option<Usage>> {
        let (_, spaces) = after(order);
        SHOWN.iter().map(|memory| spaces[0].usages.of(memory)).collect()
    }

    #[test]
    fn what_was_counted_depends_on_the_notes_there_are_and_not_on_their_order() {
        let shown = noted(5, false, Some(&receipt(&SHOWN)));
        let used = noted(5, true, Some(&credit(&[(SHOWN[0], 0.5, 0.75), (SHOWN[1], 0.5, 0.1)])));
        let corrected = noted(5, true, Some(&credit(&[(SHOWN[1], 1.0, 1.0)])));
        let expected = usages(&[shown.clone(), corrected.clone()]);
        assert_eq!(usages(&[used.clone(), shown.clone(), shown.clone(), corrected.clone()]), expected);
        assert_eq!(usages(&[corrected, shown.clone()]), expected);
        assert_eq!(expected[0].map(|usage| (usage.retrieved, usage.applied)), Some((1, 0)));
        assert_eq!(expected[1].map(|usage| (usage.applied, usage.helped)), Some((1, 1)));
        assert_eq!(usages(&[used, noted(5, true, None), shown, noted(5, false, None)]), [None, None]);
    }

    #[test]
    fn credit_moves_a_memory_away_from_a_half_and_its_interval_with_it() {
        let used = |share| noted(5, true, Some(&credit(&[(SHOWN[0], 1.0, share)])));
        let effectiveness = |share| usages(&[used(share)])[0].unwrap().effectiveness();
        assert_eq!(effectiveness(0.5).mean, 0.5);
        assert!(effectiveness(0.9).mean > 0.5 && effectiveness(0.1).mean < 0.5);
        assert!(effectiveness(0.9).low < 0.5, "one use decides nothing");
        let (_, spaces) = after(&[used(0.9)]);
        assert_eq!(spaces[0].usages.effectiveness(&SHOWN[1]), Some(0.5));
        assert_eq!(after(&[]).1[0].usages.effectiveness(&SHOWN[1]), None);
    }

    #[test]
    fn receipts_are_found_by_their_episode() {
        let (counted, _) =
            after(&[noted(6, false, Some(&receipt(&SHOWN))), noted(5, false, Some(&receipt(&[])))]);
        assert_eq!(counted.receipts_of(&[9; 16]), [[5; 16], [6; 16]]);
        assert_eq!(counted.receipts_of(&[8; 16]), [] as [Id; 0]);
    }

    #[test]
    fn what_is_malformed_is_named() {
        let read = |is_credit, record: &[u8]| {
            Noted::read(&NoteRow { id: [1; 16], namespace: "n", is_credit, record: Some(record) })
        };
        assert!(read(false, &[0x80]).is_err());
        assert!(read(false, b"").is_err());
        assert!(read(true, &bin("uses", &[0; 5])).is_err());
        assert!(read(true, &credit(&[(SHOWN[0], f64::NAN, 0.5)])).is_err());
        assert!(read(true, &credit(&[(SHOWN[0], 1.0, 1.5)])).is_err());
    }
}
