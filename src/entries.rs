//! The entries of a table that is being built: keys and values in one arena, each key once.
//!
//! Keys and values are the bytes that will be stored, folded and with their NUL if they have one.
//! An entry costs its bytes plus about 30; ten million entries need no more allocations than ten.
//!
//! As long as the keys come in ascending order, byte by byte, each is known to be new without
//! looking for it: the index is made when the first one comes out of order. Old btree tables and
//! sorted sources never need it, and need no sorting either. Many entries that come at once need it
//! neither: they are appended, and those that repeat a key found when all are there.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]

mod merge;
mod settle;
mod sort;
mod spool;
mod stream;

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::OnceLock;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table};

use crate::error::{Error, ErrorKind, Result};

pub(crate) use merge::{Origin, Survivor, Survivors, write_run};
pub(crate) use sort::sorted_numbers;
pub(crate) use spool::{Spool, Spooled};
pub(crate) use stream::{EntryStream, Listed};

/// What happens to an entry whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnDuplicate {
    /// The first entry stays.
    #[default]
    KeepFirst,
    /// The last entry stays, in the place of the last.
    KeepLast,
    /// All stay, in the order of insertion; the first is the one that is found. Only files of the
    /// cdb format can hold them.
    KeepAll,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// Its key was new.
    New,
    /// Its key was there; [`OnDuplicate`] decided which of the two stayed, or that both did.
    Duplicate,
}

/// Where an entry begins in the arena; it ends where the next one begins. `key_len` is [`REMOVED`]
/// for one that was replaced.
#[derive(Clone, Copy)]
struct Record {
    start: u64,
    key_len: u32,
    /// Half of the key's hash, so that the index can be made and grow without touching the arena.
    hash: u32,
}

const REMOVED: u32 = u32::MAX;
/// With fewer entries it is not worth while to drop replaced ones.
const COMPACT_MIN: usize = 10_000;
/// What an entry takes beside its bytes: its record, and one of these: its place in the index, which is
/// there twice while it grows; what it is sorted by; or what it is settled by, but for many repeated
/// keys, which take a few bytes more.
pub(crate) const ENTRY_OVERHEAD: usize = 36;
/// The most bytes a key or a value can have.
const LEN_MAX: u64 = u32::MAX as u64 - 1;

/// Distinct keys with their values, in the order of insertion. After an insertion with
/// [`OnDuplicate::KeepAll`] a key may come several times.
#[derive(Default)]
pub struct Entries {
    arena: Vec<u8>,
    records: Vec<Record>,
    /// The first entry with each key; made when it is first needed, which it is not as long as all
    /// records ascend and none is removed.
    index: OnceLock<HashTable<u32>>,
    hasher: DefaultHashBuilder,
    /// The number of entries. Not that of the index, which may be gone.
    count: usize,
    /// How many records, from the first on, have ascending keys.
    ascending: usize,
    /// Half of the hash of every key that was ever kept twice.
    repeats: HashSet<u32>,
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
        if let Some(index) = self.index.get_mut() {
            index.reserve(count, |&number| index_hash(&self.records, number));
        }
    }

    /// Adds an entry; of two with one key the first stays.
    ///
    /// # Errors
    ///
    /// `TooLong` for a key or value of 4 GiB or more, or for more than 2^32 - 1 entries.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<Inserted> {
        self.insert_or(OnDuplicate::KeepFirst, key, value)
    }

    /// Adds an entry; `on_duplicate` says which of two with one key stays. With `KeepLast` no other
    /// with its key does.
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
        let record = self.record(key, value)?;
        let number = self.next_number()?;
        if self.index.get().is_none() && self.is_all_ascending() && self.is_behind_all(key) {
            self.ascending += 1;
            self.push(record, key, value);
            return Ok(Inserted::New);
        }
        self.index();
        let index = self.index.get_mut().expect("it is made by now");
        let entry = index.entry(
            spread(record.hash),
            |&other| is_key(&self.records, &self.arena, other, record.hash, key),
            |&other| index_hash(&self.records, other),
        );
        match entry {
            hash_table::Entry::Vacant(vacant) => {
                vacant.insert(number);
                self.push(record, key, value);
                Ok(Inserted::New)
            }
            hash_table::Entry::Occupied(mut occupied) => {
                match on_duplicate {
                    OnDuplicate::KeepFirst => {}
                    OnDuplicate::KeepLast => {
                        let mut old = std::mem::replace(occupied.get_mut(), number);
                        self.drop_record(old);
                        while let Some(other) = self.next_with_key(old, record.hash, key) {
                            self.drop_record(other);
                            old = other;
                        }
                        self.push(record, key, value);
                        self.compact();
                    }
                    OnDuplicate::KeepAll => {
                        self.repeats.insert(record.hash);
                        self.push(record, key, value);
                    }
                }
                Ok(Inserted::Duplicate)
            }
        }
    }

    /// Adds an entry behind the others without a look whether its key is there: for entries that are
    /// only to be sorted, or [settled](Entries::settle) before anything else is done with them.
    ///
    /// # Errors
    ///
    /// As [`Entries::insert`].
    #[inline]
    pub(crate) fn append(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let record = self.record(key, value)?;
        self.next_number()?;
        if self.is_all_ascending() && self.is_behind_all(key) {
            self.ascending += 1;
        }
        if self.index.get().is_some() {
            // It would lack this one.
            self.drop_index();
        }
        self.push(record, key, value);
        Ok(())
    }

    /// The record of an entry that comes behind the others.
    #[inline]
    fn record(&self, key: &[u8], value: &[u8]) -> Result<Record> {
        checked_len("value", value.len())?;
        Ok(Record {
            start: self.arena.len() as u64,
            key_len: checked_len("key", key.len())?,
            hash: half(self.hasher.hash_one(key)),
        })
    }

    /// Takes out all entries. The memory that they had is kept for others.
    pub(crate) fn clear(&mut self) {
        self.arena.clear();
        self.records.clear();
        self.index = OnceLock::new();
        self.count = 0;
        self.ascending = 0;
        self.repeats = HashSet::new();
    }

    /// The memory, in bytes, that the entries take at most until they are sorted: see
    /// [`ENTRY_OVERHEAD`].
    #[inline]
    pub(crate) fn memory(&self) -> usize {
        self.arena.len() + ENTRY_OVERHEAD * self.records.len()
    }

    /// Whether no record is behind one with a greater key, and none is removed.
    #[inline]
    fn is_all_ascending(&self) -> bool {
        self.ascending == self.records.len() && self.count == self.records.len()
    }

    /// Whether a key is greater than that of the last record.
    #[inline]
    fn is_behind_all(&self, key: &[u8]) -> bool {
        let last = self.records.last();
        last.is_none_or(|last| key_of(last, &self.arena) < Some(key))
    }

    #[inline]
    fn push(&mut self, record: Record, key: &[u8], value: &[u8]) {
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(value);
        self.records.push(record);
        self.count += 1;
    }

    /// Drops an entry that the index has forgotten.
    fn drop_record(&mut self, number: u32) {
        if let Some(record) = self.records.get_mut(number as usize) {
            record.key_len = REMOVED;
        }
        self.count -= 1;
    }

    /// Drops replaced entries, when they are the greater part by far.
    fn compact(&mut self) {
        if self.records.len() >= COMPACT_MIN && self.records.len() >= 2 * self.count {
            self.drop_replaced();
        }
    }

    /// Drops replaced entries, when they take the greater part of the memory. Looks at all to find out.
    pub(crate) fn compact_all(&mut self) {
        let live = self.iter().map(|(key, value)| key.len() + value.len());
        let live = live.sum::<usize>() + ENTRY_OVERHEAD * self.count;
        if live < self.memory() / 2 {
            self.drop_replaced();
        }
    }

    /// Drops the bytes of entries that were replaced. The others get new numbers.
    fn drop_replaced(&mut self) {
        let mut compact = Entries::new();
        compact.hasher = self.hasher.clone();
        for (key, value) in self.iter() {
            // They fitted before, so they fit now.
            let _ = compact.append(key, value);
        }
        compact.repeats = std::mem::take(&mut self.repeats);
        *self = compact;
    }

    /// Gives back the memory that only insertions and lookups need, which may come all the same.
    pub(crate) fn drop_index(&mut self) {
        self.index = OnceLock::new();
    }

    /// That no key is there several times, for formats that cannot hold that.
    ///
    /// # Errors
    ///
    /// `Unsupported` when one is or was.
    pub(crate) fn check_distinct(&self) -> Result<()> {
        match self.repeats.is_empty() {
            true => Ok(()),
            false => Err(Error::unsupported(
                "several entries with one key in a format that holds one",
            )),
        }
    }

    /// Removes an entry, the first with its key; `false` when it is not there. If there are more, the
    /// next one is the first then.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let hash = half(self.hasher.hash_one(key));
        self.index();
        let index = self.index.get_mut().expect("it is made by now");
        let found = index.find_entry(spread(hash), |&other| {
            is_key(&self.records, &self.arena, other, hash, key)
        });
        let Ok(found) = found else { return false };
        let (number, _) = found.remove();
        self.drop_record(number);
        if let Some(next) = self.next_with_key(number, hash, key)
            && let Some(index) = self.index.get_mut()
        {
            index.insert_unique(spread(hash), next, |&other| {
                index_hash(&self.records, other)
            });
        }
        true
    }

    /// The entry behind number `after` that has this key, too.
    fn next_with_key(&self, after: u32, hash: u32, key: &[u8]) -> Option<u32> {
        if !self.repeats.contains(&hash) {
            return None;
        }
        let end = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        let mut behind = after.saturating_add(1)..end;
        behind.find(|&other| is_key(&self.records, &self.arena, other, hash, key))
    }

    /// Whether there is an entry with this key.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.number_of(key).is_some()
    }

    /// The value of an entry.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.entry(self.number_of(key)?).map(|(_, value)| value)
    }

    /// The number of the entry with this key.
    fn number_of(&self, key: &[u8]) -> Option<u32> {
        if self.index.get().is_none() && self.is_all_ascending() {
            let found = self
                .records
                .binary_search_by(|record| key_of(record, &self.arena).cmp(&Some(key)));
            return u32::try_from(found.ok()?).ok();
        }
        let hash = half(self.hasher.hash_one(key));
        let same = |&other: &u32| is_key(&self.records, &self.arena, other, hash, key);
        self.index().find(spread(hash), same).copied()
    }

    fn index(&self) -> &HashTable<u32> {
        self.index.get_or_init(|| self.make_index())
    }

    fn make_index(&self) -> HashTable<u32> {
        let mut index = HashTable::with_capacity(self.records.capacity());
        for (number, record) in (0..).zip(&self.records) {
            let Some(key) = self.entry(number).map(|(key, _)| key) else {
                continue;
            };
            let index_hash = |&other: &u32| index_hash(&self.records, other);
            let is_there = self.repeats.contains(&record.hash)
                && index
                    .find(spread(record.hash), |&other| {
                        is_key(&self.records, &self.arena, other, record.hash, key)
                    })
                    .is_some();
            if !is_there {
                index.insert_unique(spread(record.hash), number, index_hash);
            }
        }
        index
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

    /// The entries with numbers below this one have ascending keys, byte by byte.
    pub(crate) fn ascending_end(&self) -> usize {
        self.ascending
    }

    /// The key and value of entry `number`, or `None` when it was replaced or never was.
    #[inline]
    pub(crate) fn entry(&self, number: u32) -> Option<(&[u8], &[u8])> {
        entry_of(&self.records, &self.arena, number)
    }

    /// Has the processor fetch the beginnings and ends of entries that lie far from each other. It
    /// does that for many at once, but not if something is done with each in between.
    pub(crate) fn fetch(&self, numbers: &[u32]) {
        let mut all = 0;
        for &number in numbers {
            if let Some((key, value)) = self.entry(number) {
                all ^= key.first().unwrap_or(&0) ^ value.last().unwrap_or(&0);
            }
        }
        black_box(all);
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

/// The key of a record that is not removed.
#[inline]
fn key_of<'a>(record: &Record, arena: &'a [u8]) -> Option<&'a [u8]> {
    let start = usize::try_from(record.start).ok()?;
    arena.get(start..)?.get(..record.key_len as usize)
}

/// What the index goes by.
#[inline]
fn index_hash(records: &[Record], number: u32) -> u64 {
    let record = records.get(number as usize);
    record.map_or(0, |record| spread(record.hash))
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

/// Whether entry `number` has this key.
fn is_key(records: &[Record], arena: &[u8], number: u32, hash: u32, key: &[u8]) -> bool {
    let Some(record) = records.get(number as usize) else {
        return false;
    };
    if record.hash != hash || usize::try_from(record.key_len) != Ok(key.len()) {
        return false;
    }
    key_of(record, arena) == Some(key)
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
mod tests;
