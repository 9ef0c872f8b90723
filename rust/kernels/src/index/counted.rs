//! Receipts and credits as they are counted, so that they can be taken back.

use super::namespace_index::NamespaceIndex;
use super::usage::{Content, Credited, SideRecordEntry, Used};
use crate::facts::Id;
use crate::image::{Image, ImageReader, check, write_column};
use crate::msgpack::Result;
use rustc_hash::FxHashMap;

/// The counted part of each receipt and each credit, so that it can be taken back.
#[derive(Debug, Default)]
pub(super) struct Counted {
    receipts: FxHashMap<Id, Shown>,
    credits: FxHashMap<Id, (u32, Box<[Credited]>)>,
}

#[derive(Debug)]
struct Shown {
    place: u32,
    items: Box<[u32]>,
}

impl Counted {
    /// Counts a receipt or a credit in the namespace at `place`, in place of the one that was counted under its id
    /// before.
    pub(super) fn apply(&mut self, noted: SideRecordEntry, place: u32, spaces: &mut [NamespaceIndex]) {
        match noted.content {
            Content::Receipt(content) => self.show(noted.id, content, place, spaces),
            Content::Credit(content) => self.credit(noted.id, content, place, spaces),
        }
    }

    fn show(&mut self, id: Id, content: Option<(Id, Vec<Id>)>, place: u32, spaces: &mut [NamespaceIndex]) {
        if let Some(before) = self.receipts.remove(&id) {
            spaces[before.place as usize].usages.hide(&before.items);
        }
        if let Some((_, items)) = content {
            let items = spaces[place as usize].usages.show(&items);
            self.receipts.insert(id, Shown { place, items });
        }
    }

    fn credit(&mut self, id: Id, content: Option<Vec<Used>>, place: u32, spaces: &mut [NamespaceIndex]) {
        if let Some((place, before)) = self.credits.remove(&id) {
            spaces[place as usize].usages.take(&before);
        }
        if let Some(uses) = content {
            let uses = spaces[place as usize].usages.add(&uses);
            self.credits.insert(id, (place, uses));
        }
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

impl Counted {
    /// Fails unless every receipt and credit names memories of a namespace that is there.
    pub(super) fn check(&self, spaces: &[NamespaceIndex]) -> Result<()> {
        let is_known = |place: u32, number: u32| {
            spaces.get(place as usize).is_some_and(|space| (number as usize) < space.usages.len())
        };
        let mut shown =
            self.receipts.values().flat_map(|each| each.items.iter().map(|number| (each.place, *number)));
        let mut credited =
            self.credits.values().flat_map(|(place, uses)| uses.iter().map(|each| (*place, each.number())));
        let all_known = shown.all(|(place, number)| is_known(place, number))
            && credited.all(|(place, number)| is_known(place, number));
        check(all_known, "a receipt of an unknown memory")
    }
}

impl Image for Counted {
    fn write(&self, out: &mut Vec<u8>) {
        (self.receipts.len() as u64).write(out);
        for (id, shown) in by_id(&self.receipts) {
            id.write(out);
            shown.place.write(out);
            write_column(&shown.items, out);
        }
        (self.credits.len() as u64).write(out);
        for (id, (place, uses)) in by_id(&self.credits) {
            id.write(out);
            place.write(out);
            write_column(uses, out);
        }
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let mut counted = Self::default();
        for _ in 0..input.count(28)? {
            let id = Id::read(input)?;
            let shown = Shown { place: u32::read(input)?, items: Vec::read(input)?.into() };
            counted.receipts.insert(id, shown);
        }
        for _ in 0..input.count(28)? {
            let id = Id::read(input)?;
            counted.credits.insert(id, (u32::read(input)?, Vec::read(input)?.into()));
        }
        Ok(counted)
    }
}

fn by_id<T>(map: &FxHashMap<Id, T>) -> Vec<(&Id, &T)> {
    let mut rows: Vec<(&Id, &T)> = map.iter().collect();
    rows.sort_unstable_by_key(|(id, _)| **id);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::usage::{SideRecordRow, Usage};

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

    fn noted(id: u8, is_credit: bool, record: Option<&[u8]>) -> SideRecordEntry {
        SideRecordEntry::read(&SideRecordRow { id: [id; 16], namespace: "n", is_credit, record }).unwrap()
    }

    fn after(order: &[SideRecordEntry]) -> (Counted, Vec<NamespaceIndex>) {
        let (mut counted, mut spaces) = (Counted::default(), vec![NamespaceIndex::new("n", 1)]);
        order.iter().for_each(|each| counted.apply(each.clone(), 0, &mut spaces));
        (counted, spaces)
    }

    fn usages(order: &[SideRecordEntry]) -> Vec<Option<Usage>> {
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
    fn what_is_malformed_is_named() {
        let read = |is_credit, record: &[u8]| {
            SideRecordEntry::read(&SideRecordRow {
                id: [1; 16],
                namespace: "n",
                is_credit,
                record: Some(record),
            })
        };
        assert!(read(false, &[0x80]).is_err());
        assert!(read(false, b"").is_err());
        assert!(read(true, &bin("uses", &[0; 5])).is_err());
        assert!(read(true, &credit(&[(SHOWN[0], f64::NAN, 0.5)])).is_err());
        assert!(read(true, &credit(&[(SHOWN[0], 1.0, 1.5)])).is_err());
    }
}
