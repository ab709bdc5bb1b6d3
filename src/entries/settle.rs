//! Finds the entries that repeat a key, all at once.
//!
//! ```text
//! hashes    with their numbers, divided by their highest bits into parts that fit a processor's cache
//! parts     on two threads: what may share its hash with others is sorted, and does so if it comes
//!           next to them
//! keys      compared where hashes agree, which but for repeated keys hardly any do
//! ```
//!
//! An index that is asked before each insertion costs several times as much: each question goes to
//! another place of it, and of millions of entries none is in a cache.

use super::{Entries, OnDuplicate, REMOVED, Record, is_key};
use crate::threads::both;

/// About so many hashes are looked at together.
const PART_LEN: usize = 1 << 14;
/// So many marks there are for each part, of one bit: eight or more for a hash.
const MARK_COUNT: usize = 1 << 17;
/// From this many entries on two threads share them.
const PARALLEL_MIN: usize = 1 << 15;

/// An entry whose key was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Repeated {
    pub(crate) number: u32,
    key_len: u32,
}

impl Entries {
    /// Decides which of several entries with one key stay, as [`insert_or`](Entries::insert_or) does
    /// for each, and returns all that repeat a key, in the order of insertion.
    ///
    /// Entries with numbers below `first` were there before: of several of those the first stays,
    /// and they are not returned.
    pub(crate) fn settle(&mut self, on_duplicate: OnDuplicate, first: u32) -> Vec<Repeated> {
        if self.is_all_ascending() {
            return Vec::new();
        }
        let mut repeated = Vec::new();
        // Of each key the entry that stays, of those whose hash is the same.
        let mut kept: Vec<u32> = Vec::new();
        let mut present = None;
        for both in shared_hashes(&self.records) {
            let (hash, number) = (high(both), low(both));
            if present.replace(hash) != Some(hash) {
                kept.clear();
            }
            let Some((key, _)) = self.entry(number) else {
                continue;
            };
            let same = |other: &&mut u32| is_key(&self.records, &self.arena, **other, hash, key);
            let Some(other) = kept.iter_mut().find(same) else {
                kept.push(number);
                continue;
            };
            if number < first {
                self.drop_record(number);
                continue;
            }
            let key_len = u32::try_from(key.len()).unwrap_or(REMOVED);
            repeated.push(Repeated { number, key_len });
            match on_duplicate {
                OnDuplicate::KeepFirst => self.drop_record(number),
                OnDuplicate::KeepLast => {
                    let old = std::mem::replace(other, number);
                    self.drop_record(old);
                }
                OnDuplicate::KeepAll => {
                    self.repeats.insert(hash);
                }
            }
        }
        repeated.sort_unstable();
        repeated
    }

    /// The key of an entry, whether it stayed or not.
    pub(crate) fn repeated_key(&self, repeated: Repeated) -> &[u8] {
        let record = self.records.get(repeated.number as usize);
        let start = record.and_then(|record| usize::try_from(record.start).ok());
        start
            .and_then(|start| self.arena.get(start..)?.get(..repeated.key_len as usize))
            .unwrap_or_default()
    }
}

/// The hash, in the high half, and the number of every record whose hash others have, too; ordered.
fn shared_hashes(records: &[Record]) -> Vec<u64> {
    let bits = (records.len() / PART_LEN).max(1).ilog2();
    let part_of = |hash: u32| usize::try_from(u64::from(hash) >> (32 - bits)).unwrap_or(0);
    // A counting sort: first where each part begins, then everything to its place.
    let mut ends = vec![0; 1 << bits];
    for record in records {
        if let Some(count) = ends.get_mut(part_of(record.hash)) {
            *count += 1;
        }
    }
    let mut total = 0;
    for end in &mut ends {
        total += std::mem::replace(end, total);
    }
    let mut all = vec![0; records.len()];
    for (number, record) in (0..).zip(records) {
        if let Some(end) = ends.get_mut(part_of(record.hash))
            && let Some(place) = all.get_mut(*end)
        {
            *place = u64::from(record.hash) << 32 | number;
            *end += 1;
        }
    }
    let (front_ends, back_ends) = ends.split_at(ends.len() / 2);
    let middle = front_ends.last().copied().unwrap_or(0);
    let (front, back) = all.split_at_mut(middle);
    let (in_front, in_back) = match records.len() < PARALLEL_MIN {
        true => (
            keep_shared(front, front_ends, 0),
            keep_shared(back, back_ends, middle),
        ),
        false => both(
            || keep_shared(front, front_ends, 0),
            || keep_shared(back, back_ends, middle),
        ),
    };
    all.copy_within(middle..middle + in_back, in_front);
    all.truncate(in_front + in_back);
    all
}

/// Moves what shares its hash with others in parts that end at `ends` minus `base` to the front,
/// ordered. Returns how many there are. What is behind them is of no use any more.
fn keep_shared(all: &mut [u64], ends: &[usize], base: usize) -> usize {
    let mut seen = Marks::new();
    let mut seen_twice = Marks::new();
    let mut kept = 0;
    let mut start = 0;
    for end in ends {
        let end = end - base;
        seen.clear();
        seen_twice.clear();
        for both in all.get(start..end).unwrap_or_default() {
            if seen.set(high(*both)) {
                seen_twice.set(high(*both));
            }
        }
        // At most as many are kept as were passed.
        let first = kept;
        for at in start..end {
            if let Some(&both) = all.get(at)
                && seen_twice.is_set(high(both))
                && let Some(place) = all.get_mut(kept)
            {
                *place = both;
                kept += 1;
            }
        }
        start = end;
        let candidates = all.get_mut(first..kept).unwrap_or_default();
        candidates.sort_unstable();
        kept = first + keep_groups(candidates);
    }
    kept
}

/// Moves what shares its hash with another one to the front. Returns how many there are.
fn keep_groups(sorted: &mut [u64]) -> usize {
    let mut kept = 0;
    let mut before = None;
    for at in 0..sorted.len() {
        let Some(&both) = sorted.get(at) else { break };
        let hash = Some(high(both));
        let behind = sorted.get(at + 1).map(|both| high(*both));
        if (hash == before || hash == behind)
            && let Some(place) = sorted.get_mut(kept)
        {
            *place = both;
            kept += 1;
        }
        before = hash;
    }
    kept
}

/// One mark for several hashes each.
struct Marks(Vec<u64>);

impl Marks {
    fn new() -> Marks {
        Marks(vec![0; MARK_COUNT / 64])
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Sets the mark of a hash; returns whether it was set.
    #[inline]
    fn set(&mut self, hash: u32) -> bool {
        let (word, bit) = Marks::place(hash);
        let Some(word) = self.0.get_mut(word) else {
            return false;
        };
        let was_set = *word & bit != 0;
        *word |= bit;
        was_set
    }

    #[inline]
    fn is_set(&self, hash: u32) -> bool {
        let (word, bit) = Marks::place(hash);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// By the low bits: those of a part agree in the high ones.
    #[inline]
    fn place(hash: u32) -> (usize, u64) {
        let mark = hash as usize % MARK_COUNT;
        (mark / 64, 1 << (mark % 64))
    }
}

fn high(both: u64) -> u32 {
    (both >> 32) as u32
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the others are the other half"
)]
fn low(both: u64) -> u32 {
    both as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::Inserted;

    /// What stays and what repeats a key: of all at once, and of one after the other.
    fn assert_same(keys: &[String], first: usize, on_duplicate: OnDuplicate) {
        let mut one_by_one = Entries::new();
        let mut at_once = Entries::new();
        let mut repeats = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let value = number.to_string();
            let is_old = number < first;
            let on_duplicate = match is_old {
                true => OnDuplicate::KeepFirst,
                false => on_duplicate,
            };
            let inserted = one_by_one.insert_or(on_duplicate, key.as_bytes(), value.as_bytes());
            if inserted.unwrap() == Inserted::Duplicate && !is_old {
                repeats.push(key.as_bytes());
            }
            at_once.append(key.as_bytes(), value.as_bytes()).unwrap();
        }
        let repeated = at_once.settle(on_duplicate, u32::try_from(first).unwrap());
        let found: Vec<&[u8]> = repeated
            .iter()
            .map(|one| at_once.repeated_key(*one))
            .collect();
        assert!(found == repeats, "{} {}", found.len(), repeats.len());
        assert_eq!(at_once.len(), one_by_one.len());
        assert!(at_once.iter().eq(one_by_one.iter()));
        assert_eq!(
            at_once.check_distinct().is_ok(),
            one_by_one.check_distinct().is_ok()
        );
        for key in keys {
            let key = key.as_bytes();
            assert_eq!(at_once.get(key), one_by_one.get(key));
        }
        for key in keys.iter().step_by(7) {
            let key = key.as_bytes();
            assert_eq!(at_once.remove(key), one_by_one.remove(key));
            assert_eq!(at_once.get(key), one_by_one.get(key));
        }
        assert!(at_once.iter().eq(one_by_one.iter()));
    }

    #[test]
    fn all_at_once_and_one_by_one_are_the_same() {
        for on_duplicate in [
            OnDuplicate::KeepFirst,
            OnDuplicate::KeepLast,
            OnDuplicate::KeepAll,
        ] {
            for (count, distinct) in [(0, 1), (1, 1), (2_000, 700), (900, 3), (40_000, 30_000)] {
                let keys: Vec<String> = (0..count)
                    .map(|i: u64| format!("key{}", i.wrapping_mul(2_654_435_761) % distinct))
                    .collect();
                for first in [0, keys.len() / 2] {
                    if on_duplicate != OnDuplicate::KeepAll || first == 0 {
                        assert_same(&keys, first, on_duplicate);
                    }
                }
            }
        }
    }

    #[test]
    fn ascending_keys_are_not_looked_at() {
        let mut entries = Entries::new();
        for key in ["a", "b", "c"] {
            entries.append(key.as_bytes(), b"").unwrap();
        }
        assert!(entries.settle(OnDuplicate::KeepFirst, 0).is_empty());
        assert!(entries.contains(b"b") && !entries.contains(b"d"));
        assert_eq!(entries.insert(b"b", b"x").unwrap(), Inserted::Duplicate);
        entries.append(b"b", b"x").unwrap();
        let repeated = entries.settle(OnDuplicate::KeepLast, 3);
        assert_eq!(repeated.len(), 1);
        assert_eq!(entries.repeated_key(repeated[0]), b"b");
    }
}
