//! Writes a whole hash file from its entries, in one pass.
//!
//! # Layout
//!
//! With `2^k` buckets, bucket `b` has page `b + 1`; behind page `2^k` follow, bucket by bucket,
//! the further pages of the bucket's chain and then the overflow pages of its items. So the file
//! grows at two places only: the bucket pages and the pages behind them. Each has a buffer
//! (`Region`) that is written when it is full. The meta page is written last, because the file's
//! unique id is a digest of all other pages: **the same entries give the same bytes**, whatever
//! order they were inserted in.
//!
//! # Number of buckets
//!
//! The smallest power of two whose pages can hold all pairs if they are spread evenly. Some buckets
//! need a second page then: hardly any when the pages are filled by four fifths, half of them when
//! they are filled by all, and then one pair in twenty lies on a second page. With twice the buckets
//! the file would be larger than that of Berkeley DB, which splits buckets as they fill: measured,
//! it needs as many pages or more at any number of entries.
//!
//! # Order
//!
//! On-page keys of a bucket come first, sorted as [`compare_on_page`] says. Off-page keys follow
//! on pages of their own: on one page with a prefix of itself an off-page key gets lost by
//! Berkeley DB's binary search, because its comparison is no consistent order there.
//!
//! To change this safely: the digests in the tests are those of files that Berkeley DB 5.3 was
//! seen to read and update. A change of layout changes them, and needs that proof again.

mod writer;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::bdb::PageSize;
use crate::bdb::hash::function::HashFunction;
use crate::bdb::hash::pairs::compare_on_page;
use crate::bdb::item::HASH_OFF_PAGE_LEN;
use crate::bdb::meta::UID_LEN;
use crate::bdb::page::PageFormat;
use crate::bdb::writer::OVERLAP_MIN;
use crate::entries::{ENTRY_OVERHEAD, Entries, EntryStream, Spool, Spooled, Survivors};
use crate::error::Result;
use crate::file::WriteAt;
use crate::file::overlap::build_and_write;
use crate::threads::both;
use crate::wire::ByteOrder;
use writer::FileWriter;

/// The function of every file this crate writes.
const FUNCTION: HashFunction = HashFunction::Func5;

/// Settings for writing a hash file.
///
/// ```
/// use rpostmap::bdb::hash::{HashBuilder, HashReader};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com\0", b"relay:[mx.example.net]\0")?;
/// let builder = HashBuilder::new();
/// let mut file = Vec::new();
/// builder.build(&entries, &mut file)?;
/// // The same entries give the same bytes.
/// let mut again = Vec::new();
/// builder.build(&entries, &mut again)?;
/// assert_eq!(file, again);
/// let reader = HashReader::new(Store::from_bytes(file))?;
/// let found = reader.get(b"example.com\0")?;
/// assert_eq!(found.as_deref(), Some(&b"relay:[mx.example.net]\0"[..]));
/// # Ok::<(), rpostmap::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HashBuilder {
    page_size: PageSize,
    order: ByteOrder,
    bucket_count: Option<u32>,
    uid: Option<[u8; UID_LEN]>,
}

impl Default for HashBuilder {
    fn default() -> Self {
        HashBuilder {
            page_size: PageSize::DEFAULT,
            order: ByteOrder::NATIVE,
            bucket_count: None,
            uid: None,
        }
    }
}

impl HashBuilder {
    /// Pages of 4096 bytes in the byte order of this machine.
    pub fn new() -> HashBuilder {
        HashBuilder::default()
    }

    /// Sets the page size.
    pub fn page_size(mut self, size: PageSize) -> HashBuilder {
        self.page_size = size;
        self
    }

    /// Sets the byte order of the file.
    pub fn byte_order(mut self, order: ByteOrder) -> HashBuilder {
        self.order = order;
        self
    }

    /// Sets the file's unique id instead of deriving it from the content. Berkeley DB uses it only
    /// to tell files apart inside one shared cache.
    pub fn uid(mut self, uid: [u8; UID_LEN]) -> HashBuilder {
        self.uid = Some(uid);
        self
    }

    /// Sets the number of buckets: `2^log2`, with `log2` from 1 to 30.
    #[cfg(test)]
    fn bucket_count_log2(mut self, log2: u32) -> HashBuilder {
        self.bucket_count = Some(1 << log2);
        self
    }

    /// Writes the file that holds `entries` to `out`, which is empty, and returns the file's
    /// length in bytes.
    ///
    /// Needs 8 bytes of memory for each entry, and up to nine megabytes.
    ///
    /// # Errors
    ///
    /// `Unsupported` when `entries` has a key twice; `TooLong` when the file would have more than 2^32 - 1 pages; whatever `out` fails with.
    pub fn build(&self, entries: &Entries, out: &mut dyn WriteAt) -> Result<u64> {
        entries.check_distinct()?;
        let number_end = u32::try_from(entries.number_end()).unwrap_or(u32::MAX);
        let mut room = self.room();
        for (key_len, value_len) in (0..number_end).filter_map(|number| entries.lens(number)) {
            room.add(key_len, value_len);
        }
        let bucket_count = self.bucket_count.unwrap_or_else(|| room.bucket_count());
        self.run(room.entry_count, out, |out| {
            let mut file = FileWriter::new(out, self.format(), bucket_count)?;
            file.write_buckets(entries, 0..bucket_count)?;
            file.finish(self, entries.len())
        })
    }

    /// What must be known of all entries before the first is written.
    pub(crate) fn room(&self) -> RoomNeeded {
        RoomNeeded {
            sizes: PairSizes::new(self.format()),
            entry_count: 0,
            total: 0,
            bytes: 0,
        }
    }

    /// Sorts entries that do not fit into `memory` bytes into lists that do. `room` has seen all of
    /// them. `check` is called now and then.
    ///
    /// # Errors
    ///
    /// `Io`; those of `check`.
    pub(crate) fn distribute(
        &self,
        room: &RoomNeeded,
        entries: &mut Survivors,
        runs: &Spool,
        memory: usize,
        check: &mut dyn FnMut() -> Result<()>,
    ) -> Result<BucketLists> {
        let bucket_count = self.bucket_count.unwrap_or_else(|| room.bucket_count());
        let buckets_per_list = room.buckets_per_list(bucket_count, memory);
        let list_count = bucket_count.div_ceil(buckets_per_list) as usize;
        let mut lists = BucketLists {
            lists: Spool::new(Arc::clone(runs.scratch()), memory, list_count),
            bucket_count,
            buckets_per_list,
            entry_count: room.entry_count,
        };
        let mask = bucket_count - 1;
        while let Some((key, value)) = entries.next_entry()? {
            check()?;
            let list = (FUNCTION.hash(key) & mask) / lists.buckets_per_list;
            let number = 0;
            let record = Spooled { number, key, value };
            lists.lists.push(list as usize, record)?;
        }
        lists.lists.flush()?;
        Ok(lists)
    }

    /// As [`build`](HashBuilder::build), with one list at a time in memory.
    pub(crate) fn build_lists(&self, lists: &BucketLists, out: &mut dyn WriteAt) -> Result<u64> {
        self.run(lists.entry_count, out, |out| {
            let mut file = FileWriter::new(out, self.format(), lists.bucket_count)?;
            let mut entries = Entries::new();
            let mut first = 0;
            for list in 0..lists.bucket_count.div_ceil(lists.buckets_per_list) {
                entries.clear();
                let mut records = lists.lists.read(list as usize);
                while records.advance()? {
                    if let Some(Spooled { key, value, .. }) = records.record() {
                        entries.append(key, value)?;
                    }
                }
                let end = first + lists.buckets_per_list.min(lists.bucket_count - first);
                file.write_buckets(&entries, first..end)?;
                first = end;
            }
            file.finish(self, lists.entry_count)
        })
    }

    /// Runs `write` on a thread of its own if there are many entries.
    fn run(
        &self,
        entry_count: usize,
        out: &mut dyn WriteAt,
        write: impl FnOnce(&mut dyn WriteAt) -> Result<u64> + Send,
    ) -> Result<u64> {
        if entry_count < OVERLAP_MIN {
            write(out)
        } else {
            build_and_write(out, write)
        }
    }

    fn format(&self) -> PageFormat {
        PageFormat {
            size: self.page_size,
            order: self.order,
            checksum: false,
        }
    }
}

/// How much room pairs take on a page.
#[derive(Clone, Copy)]
struct PairSizes {
    /// The longest key or value that stays on a page.
    threshold: usize,
    /// What index and items of a page share.
    room: usize,
}

impl PairSizes {
    fn new(format: PageFormat) -> PairSizes {
        PairSizes {
            threshold: format.size.bytes() / 4,
            room: format.room(),
        }
    }

    #[inline]
    fn is_off_page(self, len: usize) -> bool {
        len > self.threshold
    }

    /// The bytes that a key or value of this length takes, its index entry included.
    #[inline]
    fn item_len(self, len: usize) -> usize {
        2 + if self.is_off_page(len) {
            HASH_OFF_PAGE_LEN
        } else {
            1 + len
        }
    }

    #[inline]
    fn pair_len(self, key_len: usize, value_len: usize) -> usize {
        self.item_len(key_len) + self.item_len(value_len)
    }
}

/// An entry with what sorting looks at first. The order: on-page keys as Berkeley DB sorts them,
/// then off-page keys.
struct Sortable<'e> {
    off_page: bool,
    /// The first eight bytes of the key, the first in the highest place. A key that ends earlier
    /// goes on with 0xff, because it sorts behind every longer key that begins like it.
    front: u64,
    key: &'e [u8],
    value: &'e [u8],
}

impl<'e> Sortable<'e> {
    #[inline]
    fn new(key: &'e [u8], value: &'e [u8], sizes: PairSizes) -> Sortable<'e> {
        let front = match key.first_chunk::<8>() {
            Some(front) => *front,
            None => {
                let mut front = [0xff; 8];
                front
                    .iter_mut()
                    .zip(key)
                    .for_each(|(place, byte)| *place = *byte);
                front
            }
        };
        let off_page = sizes.is_off_page(key.len());
        Sortable {
            off_page,
            front: u64::from_be_bytes(front),
            key,
            value,
        }
    }

    #[inline]
    fn compare(&self, other: &Sortable<'_>) -> Ordering {
        let fronts = (self.off_page, self.front).cmp(&(other.off_page, other.front));
        fronts.then_with(|| {
            if self.off_page {
                self.key.cmp(other.key)
            } else {
                compare_on_page(self.key, other.key)
            }
        })
    }
}

/// The room that all pairs take, which says how many buckets there are.
pub(crate) struct RoomNeeded {
    sizes: PairSizes,
    entry_count: usize,
    total: u64,
    /// Of keys and values themselves.
    bytes: u64,
}

/// Entries that do not fit into memory together: each list has those of some buckets that follow
/// each other.
pub(crate) struct BucketLists {
    lists: Spool,
    bucket_count: u32,
    buckets_per_list: u32,
    entry_count: usize,
}

impl RoomNeeded {
    /// Adds an entry, in any order.
    #[inline]
    pub(crate) fn add(&mut self, key_len: usize, value_len: usize) {
        self.entry_count += 1;
        self.total += self.sizes.pair_len(key_len, value_len) as u64;
        self.bytes += (key_len + value_len) as u64;
    }

    /// How many buckets' entries fit into `memory` bytes, with room for some that are fuller.
    fn buckets_per_list(&self, bucket_count: u32, memory: usize) -> u32 {
        let needed = self.bytes + (ENTRY_OVERHEAD * self.entry_count) as u64;
        let lists = (needed + needed / 4).div_ceil(memory.max(1) as u64);
        let lists = u32::try_from(lists).unwrap_or(u32::MAX);
        bucket_count.div_ceil(lists.clamp(1, bucket_count))
    }

    fn bucket_count(&self) -> u32 {
        let room = self.sizes.room as u64;
        let mut bucket_count: u32 = 2;
        while u64::from(bucket_count) * room < self.total && bucket_count < 1 << 30 {
            bucket_count *= 2;
        }
        bucket_count
    }
}

/// Which entries go to which bucket, for buckets that follow each other.
struct Plan {
    first: u32,
    /// Numbers of entries, bucket by bucket.
    numbers: Vec<u32>,
    /// Where each bucket's numbers end.
    ends: Vec<u32>,
}

impl Plan {
    /// All `entries` belong to `buckets`, of `bucket_count`.
    fn new(entries: &Entries, bucket_count: u32, buckets: Range<u32>) -> Plan {
        let number_end = u32::try_from(entries.number_end()).unwrap_or(u32::MAX);
        let hashes = hash_all(entries, number_end);
        let mask = bucket_count - 1;
        let place = |hash: u32| (hash & mask).wrapping_sub(buckets.start) as usize;
        let live = || {
            (0..number_end)
                .zip(&hashes)
                .filter(|&(number, _)| entries.lens(number).is_some())
        };
        // A counting sort: first where each bucket begins, then every number to its place.
        let mut ends = vec![0u32; buckets.len()];
        for (_, &hash) in live() {
            if let Some(count) = ends.get_mut(place(hash)) {
                *count += 1;
            }
        }
        let mut total = 0;
        for end in &mut ends {
            total += std::mem::replace(end, total);
        }
        let mut numbers = vec![0; entries.len()];
        for (number, &hash) in live() {
            if let Some(end) = ends.get_mut(place(hash))
                && let Some(place) = numbers.get_mut(*end as usize)
            {
                *place = number;
                *end += 1;
            }
        }
        Plan {
            first: buckets.start,
            numbers,
            ends,
        }
    }

    /// The entries of the buckets that are there of these.
    fn buckets(&self, buckets: Range<u32>) -> &[u32] {
        let end = |bucket: u32| {
            let last = (bucket - self.first).checked_sub(1)? as usize;
            let end = self.ends.get(last).or(self.ends.last())?;
            Some(*end as usize)
        };
        let start = end(buckets.start).unwrap_or(0);
        self.numbers
            .get(start..end(buckets.end).unwrap_or(0))
            .unwrap_or_default()
    }
}

/// The hash of every entry's key, by number, worked out on two threads. Replaced entries have no
/// bucket; they are skipped wherever numbers are walked.
fn hash_all(entries: &Entries, number_end: u32) -> Vec<u32> {
    let hash = |first: u32, hashes: &mut [u32]| {
        for (number, hash) in (first..).zip(hashes) {
            *hash = entries
                .entry(number)
                .map_or(0, |(key, _)| FUNCTION.hash(key));
        }
    };
    let mut hashes = vec![0; number_end as usize];
    let half = if hashes.len() < OVERLAP_MIN {
        0
    } else {
        number_end / 2
    };
    let (front, back) = hashes.split_at_mut(half as usize);
    if front.is_empty() {
        hash(0, back);
    } else {
        both(|| hash(half, back), || hash(0, front));
    }
    hashes
}

#[cfg(test)]
mod tests;
