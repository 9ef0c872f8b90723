//! `Lru`: the most recently used entries stay, within a number of entries, a number of bytes and an age. Time is an
//! argument.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

use rustc_hash::FxBuildHasher;

/// The limits of an [`Lru`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LruLimits {
    pub entries: usize,
    pub bytes: usize,
    /// The age at which an entry is no longer served, counted from its insertion.
    pub ttl: Duration,
    /// The time between two searches for expired entries.
    pub cleanup_every: Duration,
}

impl Default for LruLimits {
    fn default() -> Self {
        Self {
            entries: 1_000,
            bytes: 64 << 20,
            ttl: Duration::from_secs(3_600),
            cleanup_every: Duration::from_secs(300),
        }
    }
}

/// The counts of an [`Lru`] since it was made, and its present size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LruMetrics {
    pub hits: u64,
    pub misses: u64,
    /// Entries that gave way to newer ones.
    pub evictions: u64,
    /// Entries that grew too old, whether a `get` or a cleanup noticed.
    pub expirations: u64,
    pub bytes: usize,
    pub len: usize,
}

impl LruMetrics {
    /// Hits among all lookups; 0 before the first.
    pub fn hit_rate(&self) -> f64 {
        let lookups = self.hits + self.misses;
        if lookups == 0 { 0.0 } else { self.hits as f64 / lookups as f64 }
    }
}

/// No slot: the end of a list.
const NONE: u32 = u32::MAX;

/// One entry and its neighbours in the order of use.
struct Slot<K, V> {
    entry: Option<LruEntry<K, V>>,
    newer: u32,
    older: u32,
}

struct LruEntry<K, V> {
    key: K,
    value: V,
    bytes: usize,
    inserted: Instant,
}

/// Values by key. `get`, `insert` and `remove` take constant time, but for the cleanup that is due once
/// in `LruLimits::cleanup_every`; the limits hold after every call.
///
/// # Examples
/// ```
/// use std::time::Instant;
/// use tacit_kernels::lru::{Lru, LruLimits};
/// let mut cache = Lru::new(LruLimits { entries: 1, ..LruLimits::default() });
/// let now = Instant::now();
/// cache.insert("a", 1, 10, now);
/// cache.insert("b", 2, 10, now);
/// assert_eq!(cache.get("a", now), None);
/// assert_eq!(cache.get("b", now), Some(&2));
/// ```
pub struct Lru<K, V, S = FxBuildHasher> {
    limits: LruLimits,
    slots: Vec<Slot<K, V>>,
    rows: HashMap<K, u32, S>,
    /// Slots whose entry is gone, to be filled first.
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    next_cleanup: Option<Instant>,
    metrics: LruMetrics,
}

impl<K: Hash + Eq + Clone, V> Lru<K, V> {
    /// Empty, for keys that nobody outside chooses: the hash is fast, not hard to collide.
    pub fn new(limits: LruLimits) -> Self {
        Self::with_hasher(limits, FxBuildHasher)
    }
}

impl<K: Hash + Eq + Clone, V, S: BuildHasher> Lru<K, V, S> {
    pub fn with_hasher(limits: LruLimits, hasher: S) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            rows: HashMap::with_hasher(hasher),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            next_cleanup: None,
            metrics: LruMetrics::default(),
        }
    }

    pub fn limits(&self) -> LruLimits {
        self.limits
    }

    /// The value of `key`, which becomes the most recently used; an expired one is dropped and missed.
    pub fn get<Q>(&mut self, key: &Q, now: Instant) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cleanup_if_due(now);
        let Some(&row) = self.rows.get(key) else {
            self.metrics.misses += 1;
            return None;
        };
        if self.is_expired(row, now) {
            self.metrics.expirations += 1;
            self.metrics.misses += 1;
            self.drop_row(row);
            return None;
        }
        self.metrics.hits += 1;
        self.touch(row);
        self.slots[row as usize].entry.as_ref().map(|entry| &entry.value)
    }

    /// Holds `value`, which weighs `bytes`, in place of the previous value of `key`; the least recently used give
    /// way.
    ///
    /// Returns false, and leaves `key` without a value, if it alone weighs more than the budget.
    pub fn insert(&mut self, key: K, value: V, bytes: usize, now: Instant) -> bool {
        self.cleanup_if_due(now);
        self.remove(&key);
        if bytes > self.limits.bytes || self.limits.entries == 0 {
            return false;
        }
        self.make_room(bytes);
        let row = self.place(LruEntry { key: key.clone(), value, bytes, inserted: now });
        self.rows.insert(key, row);
        self.metrics.bytes += bytes;
        self.metrics.len += 1;
        true
    }

    /// Gives back the value of `key`, fresh or expired, and forgets it.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let row = *self.rows.get(key)?;
        Some(self.drop_row(row).value)
    }

    /// Forgets every value; the counts of hits, misses, evictions and expirations stand.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.rows.clear();
        self.free.clear();
        (self.newest, self.oldest) = (NONE, NONE);
        (self.metrics.bytes, self.metrics.len) = (0, 0);
    }

    /// Drops every expired value and says how many there were.
    pub fn cleanup(&mut self, now: Instant) -> usize {
        let expired: Vec<u32> =
            self.rows.values().copied().filter(|&row| self.is_expired(row, now)).collect();
        for &row in &expired {
            self.drop_row(row);
        }
        self.metrics.expirations += expired.len() as u64;
        self.next_cleanup = now.checked_add(self.limits.cleanup_every);
        expired.len()
    }

    pub fn metrics(&self) -> LruMetrics {
        self.metrics
    }

    pub fn len(&self) -> usize {
        self.metrics.len
    }

    pub fn is_empty(&self) -> bool {
        self.metrics.len == 0
    }

    fn cleanup_if_due(&mut self, now: Instant) {
        match self.next_cleanup {
            Some(due) if now < due => {}
            Some(_) => {
                self.cleanup(now);
            }
            None => self.next_cleanup = now.checked_add(self.limits.cleanup_every),
        }
    }

    fn make_room(&mut self, bytes: usize) {
        while self.metrics.len >= self.limits.entries || self.metrics.bytes > self.limits.bytes - bytes {
            self.drop_row(self.oldest);
            self.metrics.evictions += 1;
        }
    }

    /// Puts `entry` into a free slot, as the newest.
    fn place(&mut self, entry: LruEntry<K, V>) -> u32 {
        let slot = Slot { entry: Some(entry), newer: NONE, older: NONE };
        let row = match self.free.pop() {
            Some(row) => {
                self.slots[row as usize] = slot;
                row
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.link_newest(row);
        row
    }

    /// Takes the entry out of its slot, its list and the map. The row is in use.
    fn drop_row(&mut self, row: u32) -> LruEntry<K, V> {
        self.unlink(row);
        let entry = self.slots[row as usize].entry.take().expect("a listed row holds an entry");
        self.rows.remove(&entry.key);
        self.free.push(row);
        self.metrics.bytes -= entry.bytes;
        self.metrics.len -= 1;
        entry
    }

    fn is_expired(&self, row: u32, now: Instant) -> bool {
        let entry = self.slots[row as usize].entry.as_ref();
        entry.is_some_and(|entry| now.saturating_duration_since(entry.inserted) >= self.limits.ttl)
    }

    fn touch(&mut self, row: u32) {
        if self.newest != row {
            self.unlink(row);
            self.link_newest(row);
        }
    }

    fn unlink(&mut self, row: u32) {
        let Slot { newer, older, .. } = self.slots[row as usize];
        match newer {
            NONE => self.newest = older,
            _ => self.slots[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            _ => self.slots[older as usize].newer = newer,
        }
    }

    fn link_newest(&mut self, row: u32) {
        let second = std::mem::replace(&mut self.newest, row);
        let slot = &mut self.slots[row as usize];
        (slot.newer, slot.older) = (NONE, second);
        match second {
            NONE => self.oldest = row,
            _ => self.slots[second as usize].newer = row,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(entries: usize, bytes: usize, ttl_s: u64) -> LruLimits {
        LruLimits { entries, bytes, ttl: Duration::from_secs(ttl_s), ..LruLimits::default() }
    }

    #[test]
    fn the_least_recently_used_gives_way() {
        let now = Instant::now();
        let mut lru = Lru::new(limits(2, 100, 60));
        lru.insert("a", 1, 1, now);
        lru.insert("b", 2, 1, now);
        assert_eq!(lru.get("a", now), Some(&1));
        lru.insert("c", 3, 1, now);
        assert_eq!(lru.get("b", now), None);
        assert_eq!(lru.get("a", now), Some(&1));
        assert_eq!(lru.get("c", now), Some(&3));
        assert_eq!(
            lru.metrics(),
            LruMetrics { hits: 3, misses: 1, evictions: 1, expirations: 0, bytes: 2, len: 2 }
        );
        assert_eq!(lru.metrics().hit_rate(), 0.75);
    }

    #[test]
    fn an_entry_is_served_until_its_age_reaches_the_limit() {
        let start = Instant::now();
        let mut lru = Lru::new(limits(2, 100, 60));
        lru.insert("a", 1, 1, start);
        assert_eq!(lru.get("a", start + Duration::from_millis(59_999)), Some(&1));
        assert_eq!(lru.get("a", start + Duration::from_secs(60)), None);
        assert_eq!((lru.metrics().expirations, lru.len(), lru.metrics().bytes), (1, 0, 0));
    }

    #[test]
    fn what_nobody_asks_for_is_dropped_by_the_cleanup_that_is_due() {
        let start = Instant::now();
        let mut lru = Lru::new(LruLimits { ttl: Duration::from_secs(10), ..LruLimits::default() });
        lru.insert("a", 1, 5, start);
        lru.get("other", start + Duration::from_secs(299));
        assert_eq!(lru.len(), 1);
        lru.get("other", start + Duration::from_secs(300));
        assert_eq!((lru.len(), lru.metrics().expirations), (0, 1));
    }

    #[test]
    fn a_value_heavier_than_the_budget_is_refused_and_replaces_nothing_stale() {
        let now = Instant::now();
        let mut lru = Lru::new(limits(10, 10, 60));
        assert!(lru.insert("a", 1, 4, now));
        assert!(lru.insert("b", 2, 4, now));
        assert!(!lru.insert("a", 3, 11, now));
        assert_eq!(lru.get("a", now), None);
        assert_eq!(lru.get("b", now), Some(&2));
    }

    #[test]
    fn replacing_a_value_replaces_its_weight() {
        let now = Instant::now();
        let mut lru = Lru::new(limits(10, 10, 60));
        lru.insert("a", 1, 9, now);
        lru.insert("a", 2, 3, now);
        assert_eq!((lru.metrics().bytes, lru.metrics().evictions, lru.get("a", now)), (3, 0, Some(&2)));
    }

    #[test]
    fn removed_and_evicted_values_are_really_dropped() {
        let now = Instant::now();
        let value = std::rc::Rc::new(());
        let mut lru = Lru::new(limits(2, 100, 60));
        for key in 0..5 {
            lru.insert(key, value.clone(), 1, now);
        }
        assert_eq!(std::rc::Rc::strong_count(&value), 3);
        lru.remove(&4);
        assert_eq!(std::rc::Rc::strong_count(&value), 2);
        lru.clear();
        assert_eq!((std::rc::Rc::strong_count(&value), lru.len(), lru.is_empty()), (1, 0, true));
    }

    #[test]
    fn a_clock_that_steps_back_expires_nothing() {
        let start = Instant::now() + Duration::from_secs(100);
        let mut lru = Lru::new(limits(2, 100, 60));
        lru.insert("a", 1, 1, start);
        assert_eq!(lru.get("a", start - Duration::from_secs(90)), Some(&1));
    }

    /// The same cache as a list, newest first.
    #[derive(Default)]
    struct Listed(Vec<(u8, u32, usize, u64)>);

    impl Listed {
        fn get(&mut self, key: u8, now: u64, ttl: u64) -> Option<u32> {
            let at = self.0.iter().position(|entry| entry.0 == key)?;
            let entry = self.0.remove(at);
            if now >= entry.3 + ttl {
                return None;
            }
            self.0.insert(0, entry);
            Some(entry.1)
        }

        fn insert(&mut self, key: u8, value: u32, bytes: usize, now: u64, limits: LruLimits) {
            self.0.retain(|entry| entry.0 != key);
            if bytes > limits.bytes {
                return;
            }
            self.0.insert(0, (key, value, bytes, now));
            while self.0.len() > limits.entries || self.bytes() > limits.bytes {
                self.0.pop();
            }
        }

        fn bytes(&self) -> usize {
            self.0.iter().map(|entry| entry.2).sum()
        }
    }

    proptest! {
        #[test]
        fn any_sequence_of_calls_agrees_with_a_list_and_stays_within_its_limits(
            calls in prop::collection::vec((0..4u8, 0..12u8, 0..40usize, 0..8u64), 0..200),
        ) {
            let limits = LruLimits { cleanup_every: Duration::MAX, ..limits(5, 60, 20) };
            let (start, mut elapsed) = (Instant::now(), 0);
            let (mut lru, mut listed) = (Lru::new(limits), Listed::default());
            for (number, (verb, key, bytes, step)) in calls.into_iter().enumerate() {
                elapsed += step;
                let now = start + Duration::from_secs(elapsed);
                match verb {
                    0 | 1 => prop_assert_eq!(lru.get(&key, now).copied(), listed.get(key, elapsed, 20)),
                    2 => {
                        lru.insert(key, number as u32, bytes, now);
                        listed.insert(key, number as u32, bytes, elapsed, limits);
                    }
                    _ => {
                        lru.remove(&key);
                        listed.0.retain(|entry| entry.0 != key);
                    }
                }
                prop_assert_eq!((lru.len(), lru.metrics().bytes), (listed.0.len(), listed.bytes()));
                prop_assert!(lru.len() <= limits.entries && lru.metrics().bytes <= limits.bytes);
            }
        }
    }
}
