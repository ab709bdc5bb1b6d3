//! The entries of a table that is being built: keys and values in one arena, each key once.
//!
//! Keys and values are the bytes that will be stored, folded and with their NUL if they have one.
//! An entry costs its bytes plus about 30; ten million entries need no more allocations than ten.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]

mod sort;

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table};

use crate::error::{Error, ErrorKind, Result};

pub(crate) use sort::sorted_numbers;

/// What happens to an entry whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnDuplicate {
    /// The first entry stays.
    #[default]
    KeepFirst,
    /// The last entry stays, in the place of the last.
    KeepLast,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// Its key was new.
    New,
    /// Its key was there; [`OnDuplicate`] decided which of the two stayed.
    Duplicate,
}

/// Where an entry begins in the arena; it ends where the next one begins. `key_len` is [`REMOVED`]
/// for one that was replaced.
#[derive(Clone, Copy)]
struct Record {
    start: u64,
    key_len: u32,
    /// Half of the key's hash, so that the index can grow without touching the arena.
    hash: u32,
}

const REMOVED: u32 = u32::MAX;
/// With fewer entries it is not worth while to drop replaced ones.
const COMPACT_MIN: usize = 10_000;
/// The most bytes a key or a value can have.
const LEN_MAX: u64 = u32::MAX as u64 - 1;

/// Distinct keys with their values, in the order of insertion.
#[derive(Default)]
pub struct Entries {
    arena: Vec<u8>,
    records: Vec<Record>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The number of entries. Not that of the index, which may be gone.
    count: usize,
}

impl Entries {
    /// No entries.
    pub fn new() -> Entries {
        Entries::default()
    }

    /// Makes room for `count` more entries of `len` bytes altogether, keys and values. A hint: both
    /// may be off.
    pub fn reserve(&mut self, count: usize, len: usize) {
        self.arena.reserve(len);
        self.records.reserve(count);
        self.index.reserve(count, |&number| {
            self.records
                .get(number as usize)
                .map_or(0, |record| spread(record.hash))
        });
    }

    /// Adds an entry; of two with one key the first stays.
    ///
    /// # Errors
    ///
    /// `TooLong` for a key or value of 4 GiB or more, or for more than 2^32 - 1 entries.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<Inserted> {
        self.insert_or(OnDuplicate::KeepFirst, key, value)
    }

    /// Adds an entry; `on_duplicate` says which of two with one key stays.
    ///
    /// # Errors
    ///
    /// As [`Entries::insert`].
    pub fn insert_or(
        &mut self,
        on_duplicate: OnDuplicate,
        key: &[u8],
        value: &[u8],
    ) -> Result<Inserted> {
        let start = self.arena.len();
        self.arena.extend_from_slice(key);
        let key_end = self.arena.len();
        self.arena.extend_from_slice(value);
        checked_len("value", self.arena.len() - key_end)?;
        let record = Record {
            start: start as u64,
            key_len: checked_len("key", key.len())?,
            hash: half(self.hasher.hash_one(key)),
        };
        let number = self.next_number()?;
        let entry = self.index.entry(
            spread(record.hash),
            |&other| is_key(&self.records, &self.arena, other, record.hash, key),
            |&other| {
                self.records
                    .get(other as usize)
                    .map_or(0, |record| spread(record.hash))
            },
        );
        let inserted = match entry {
            hash_table::Entry::Vacant(vacant) => {
                vacant.insert(number);
                self.count += 1;
                Inserted::New
            }
            hash_table::Entry::Occupied(mut occupied) => {
                if on_duplicate == OnDuplicate::KeepFirst {
                    self.arena.truncate(start);
                    return Ok(Inserted::Duplicate);
                }
                let old = std::mem::replace(occupied.get_mut(), number);
                if let Some(old) = self.records.get_mut(old as usize) {
                    old.key_len = REMOVED;
                }
                Inserted::Duplicate
            }
        };
        self.records.push(record);
        if inserted == Inserted::Duplicate {
            self.compact();
        }
        Ok(inserted)
    }

    /// Drops the bytes of entries that were replaced, when they are the greater part.
    fn compact(&mut self) {
        if self.records.len() < COMPACT_MIN || self.records.len() < 2 * self.count {
            return;
        }
        let mut compact = Entries::new();
        compact.hasher = self.hasher.clone();
        for (key, value) in self.iter() {
            // They fitted before, so they fit now.
            let _ = compact.insert(key, value);
        }
        *self = compact;
    }

    /// Gives back the memory that only further insertions would need. What is inserted or looked
    /// for after that is not found among what is there.
    pub(crate) fn close(&mut self) {
        self.index = HashTable::new();
    }

    /// Removes an entry; `false` when it is not there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let hash = half(self.hasher.hash_one(key));
        let found = self.index.find_entry(spread(hash), |&other| {
            is_key(&self.records, &self.arena, other, hash, key)
        });
        let Ok(found) = found else { return false };
        let (number, _) = found.remove();
        self.count -= 1;
        if let Some(record) = self.records.get_mut(number as usize) {
            record.key_len = REMOVED;
        }
        true
    }

    /// Whether there is an entry with this key.
    pub fn contains(&self, key: &[u8]) -> bool {
        let hash = half(self.hasher.hash_one(key));
        let same = |&other: &u32| is_key(&self.records, &self.arena, other, hash, key);
        self.index.find(spread(hash), same).is_some()
    }

    fn next_number(&self) -> Result<u32> {
        let len = self.records.len() as u64;
        u32::try_from(len)
            .ok()
            .filter(|&number| number != u32::MAX)
            .ok_or_else(|| too_long("table", len, LEN_MAX))
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One more than the highest number of an entry. Numbers of replaced entries stay unused.
    pub(crate) fn number_end(&self) -> usize {
        self.records.len()
    }

    /// The key and value of entry `number`, or `None` when it was replaced or never was.
    #[inline]
    pub(crate) fn entry(&self, number: u32) -> Option<(&[u8], &[u8])> {
        entry_of(&self.records, &self.arena, number)
    }

    /// The lengths of key and value of entry `number`, without touching their bytes.
    #[inline]
    pub(crate) fn lens(&self, number: u32) -> Option<(usize, usize)> {
        let record = self
            .records
            .get(number as usize)
            .filter(|record| record.key_len != REMOVED)?;
        let len = end_of(&self.records, &self.arena, number) - record.start;
        let key_len = record.key_len as usize;
        Some((key_len, usize::try_from(len).ok()?.checked_sub(key_len)?))
    }

    /// All entries in the order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let numbers = 0..u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        numbers.filter_map(|number| self.entry(number))
    }
}

/// Where an entry ends in the arena.
#[inline]
fn end_of(records: &[Record], arena: &[u8], number: u32) -> u64 {
    records
        .get(number as usize + 1)
        .map_or(arena.len() as u64, |next| next.start)
}

#[inline]
fn entry_of<'a>(records: &[Record], arena: &'a [u8], number: u32) -> Option<(&'a [u8], &'a [u8])> {
    let record = records
        .get(number as usize)
        .filter(|record| record.key_len != REMOVED)?;
    let end = end_of(records, arena, number);
    let bytes = arena.get(usize::try_from(record.start).ok()?..usize::try_from(end).ok()?)?;
    bytes.split_at_checked(record.key_len as usize)
}

/// Whether entry `number` has this key. `arena` may go on behind the last entry.
fn is_key(records: &[Record], arena: &[u8], number: u32, hash: u32, key: &[u8]) -> bool {
    let Some(record) = records.get(number as usize) else {
        return false;
    };
    if record.hash != hash || usize::try_from(record.key_len) != Ok(key.len()) {
        return false;
    }
    let bytes = usize::try_from(record.start)
        .ok()
        .and_then(|start| arena.get(start..));
    bytes.is_some_and(|bytes| bytes.starts_with(key))
}

/// The half of a hash that is kept.
#[inline]
fn half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// A hash of full width from its kept half: the index takes its place from the low bits and its
/// tag from the high ones.
#[inline]
fn spread(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn checked_len(what: &'static str, len: usize) -> Result<u32> {
    match u32::try_from(len) {
        Ok(short) if u64::from(short) <= LEN_MAX => Ok(short),
        _ => Err(too_long(what, len as u64, LEN_MAX)),
    }
}

fn too_long(what: &'static str, len: u64, max: u64) -> Error {
    Error::new(ErrorKind::TooLong { what, len, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &Entries) -> Vec<(&[u8], &[u8])> {
        entries.iter().collect()
    }

    #[test]
    fn of_two_entries_the_first_stays_unless_asked_otherwise() {
        let mut entries = Entries::new();
        assert_eq!(entries.insert(b"a", b"1").unwrap(), Inserted::New);
        assert_eq!(entries.insert(b"b", b"2").unwrap(), Inserted::New);
        assert_eq!(entries.insert(b"a", b"3").unwrap(), Inserted::Duplicate);
        assert_eq!(list(&entries), [(&b"a"[..], &b"1"[..]), (b"b", b"2")]);
        assert_eq!(entries.len(), 2);
    }

    fn put_last(entries: &mut Entries, key: &[u8], value: &[u8]) -> Inserted {
        entries
            .insert_or(OnDuplicate::KeepLast, key, value)
            .unwrap()
    }

    #[test]
    fn a_removed_entry_is_gone_and_can_come_back() {
        let mut entries = Entries::new();
        entries.insert(b"a", b"1").unwrap();
        assert!(entries.contains(b"a"));
        assert!(entries.remove(b"a"));
        assert!(!entries.remove(b"a") && !entries.contains(b"a") && entries.is_empty());
        assert_eq!(entries.insert(b"a", b"2").unwrap(), Inserted::New);
        assert_eq!(list(&entries), [(&b"a"[..], &b"2"[..])]);
    }

    #[test]
    fn the_last_entry_stays_in_the_last_place_when_asked() {
        let mut entries = Entries::new();
        put_last(&mut entries, b"a", b"1");
        put_last(&mut entries, b"b", b"2");
        assert_eq!(put_last(&mut entries, b"a", b"3"), Inserted::Duplicate);
        assert_eq!(put_last(&mut entries, b"a", b"4"), Inserted::Duplicate);
        assert_eq!(list(&entries), [(&b"b"[..], &b"2"[..]), (b"a", b"4")]);
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn replaced_entries_do_not_pile_up() {
        let mut entries = Entries::new();
        for i in 0..100_000u32 {
            put_last(
                &mut entries,
                format!("{}", i % 100).as_bytes(),
                &[b'v'; 100],
            );
        }
        assert_eq!(entries.len(), 100);
        assert!(
            entries.arena.len() < 3 * COMPACT_MIN * 103,
            "{}",
            entries.arena.len()
        );
        assert_eq!(entries.iter().count(), 100);
        assert!(entries.contains(b"42"));
    }

    #[test]
    fn a_closed_collection_still_lists_its_entries() {
        let mut entries = Entries::new();
        entries.insert(b"a", b"1").unwrap();
        entries.insert(b"b", b"2").unwrap();
        entries.close();
        assert_eq!(entries.len(), 2);
        assert_eq!(list(&entries), [(&b"a"[..], &b"1"[..]), (b"b", b"2")]);
    }

    #[test]
    fn empty_keys_and_values_are_entries() {
        let mut entries = Entries::new();
        assert_eq!(entries.insert(b"", b"").unwrap(), Inserted::New);
        assert_eq!(entries.insert(b"", b"x").unwrap(), Inserted::Duplicate);
        assert_eq!(list(&entries), [(&b""[..], &b""[..])]);
    }

    #[test]
    fn many_entries_keep_their_order() {
        let mut entries = Entries::new();
        let keys: Vec<String> = (0..20_000)
            .map(|i| format!("key{}", i * 7919 % 20_000))
            .collect();
        for key in keys.iter().chain(&keys) {
            entries.insert(key.as_bytes(), b"").unwrap();
        }
        let listed: Vec<&[u8]> = entries.iter().map(|(key, _)| key).collect();
        assert_eq!(
            listed,
            keys.iter().map(String::as_bytes).collect::<Vec<_>>()
        );
    }
}
