//! Changes hash files in place: put, replace, delete.
//!
//! An update is worked out in memory on the buckets it touches: their pages are taken apart into
//! pairs, and put together anew when the update is written. The order of writing, and what an
//! interruption can leave, is told in `bdb::pager`; this file keeps its two rules:
//! a pair that must leave its page goes to a **new** page, and the pages of a chain are written
//! from the last to the first. What an earlier interruption left is put right first, where it
//! matters (see `interim_pages`).
//!
//! Pages are composed by the same rules as in the builder: sorted, nothing but zeros between index
//! and items, off-page keys and on-page keys apart.

mod interim;
mod items;
mod split;

use std::collections::{BTreeMap, BTreeSet};

use crate::bdb::hash::HashReader;
use crate::bdb::hash::bucket::{Addressing, GROUP_COUNT};
use crate::bdb::hash::function::HashFunction;
use crate::bdb::hash::look::Chain;
use crate::bdb::hash::parts::{Bucket, ChainPage, Pair, Value, take_apart};
use crate::bdb::meta::{
    ELEMENT_COUNT_OFFSET, HIGH_MASK_OFFSET, LOW_MASK_OFFSET, MAX_BUCKET_OFFSET, SPARES_OFFSET,
    check_groups,
};
use crate::bdb::page::PageSet;
use crate::bdb::pager::Pager;
use crate::bdb::{BucketNo, OnExisting, PageNo, Put};
use crate::error::{Error, Result};
use crate::file::UpdateAt;
use crate::file::store::Store;

/// The most that the element counter may say.
const ELEMENT_COUNT_MAX: u32 = 1 << 31;

/// An update of a hash file. Nothing is written before [`HashUpdater::commit`].
///
/// ```
/// use rpostmap::bdb::hash::{HashBuilder, HashReader, HashUpdater};
/// use rpostmap::bdb::{OnExisting, Put};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut file = Vec::new();
/// HashBuilder::new().build(&Entries::new(), &mut file)?;
///
/// let mut update = HashUpdater::new(Store::from_bytes(file.clone()))?;
/// assert_eq!(update.put(b"key", b"value", OnExisting::Keep)?, Put::Inserted);
/// assert_eq!(update.put(b"key", b"other", OnExisting::Keep)?, Put::Kept);
/// update.commit(&mut file)?;
///
/// let reader = HashReader::new(Store::from_bytes(file))?;
/// assert_eq!(reader.get(b"key")?.as_deref(), Some(&b"value"[..]));
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct HashUpdater {
    old: HashReader,
    function: HashFunction,
    addressing: Addressing,
    element_count: u32,
    pager: Pager,
    /// The buckets touched so far.
    buckets: BTreeMap<u32, Bucket>,
    /// Pages of chains, and overflow pages of keys, that were read.
    seen: PageSet,
    /// Overflow pages of the file that were freed.
    freed: PageSet,
    /// Keys that were deleted and not put again.
    deleted: BTreeSet<Vec<u8>>,
    /// Keys that were deleted, put again or not.
    gone: BTreeSet<Vec<u8>>,
    changed: bool,
}

impl HashUpdater {
    /// Begins an update of the hash file that `store` holds. The file must not change until the
    /// update is written or dropped.
    ///
    /// # Errors
    ///
    /// As [`HashReader::new`]; `Unsupported` for a file that can only be read: of version 6, 7 or
    /// 10, with several values for a key, or with a hash function of its own; `Corrupt` when an
    /// interrupted update left keys behind the end of the file.
    pub fn new(store: Store) -> Result<HashUpdater> {
        let old = HashReader::new(store)?;
        let meta = old.meta().clone();
        if !matches!(meta.version, 8 | 9) {
            let version = meta.version;
            let what = format!("update of Berkeley DB hash version {version} is not supported");
            return Err(Error::unsupported(what));
        }
        if meta.duplicates {
            let what =
                "update of a Berkeley DB file with several values for a key is not supported";
            return Err(Error::unsupported(what));
        }
        let Some(function) = meta.function else {
            let what =
                "update of a Berkeley DB file with a hash function of its own is not supported";
            return Err(Error::unsupported(what));
        };
        old.look()?.check_nothing_behind_end(function)?;
        let mut pager = Pager::new(meta.format, meta.page_count, PageNo(meta.free));
        // Also of groups that are not in use yet: readers do not need those.
        pager.reserve(check_groups(
            &meta.addressing,
            GROUP_COUNT,
            meta.page_count,
        )?);
        Ok(HashUpdater {
            function,
            pager,
            seen: PageSet::new(meta.page_count),
            freed: PageSet::new(meta.page_count),
            deleted: BTreeSet::new(),
            gone: BTreeSet::new(),
            element_count: meta.element_count,
            addressing: meta.addressing,
            buckets: BTreeMap::new(),
            changed: false,
            old,
        })
    }

    /// The file as it was when the update began.
    pub fn old(&self) -> &HashReader {
        &self.old
    }

    /// The value of `key` as the update has it by now.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the bucket is damaged; `Io` when it cannot be read.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some((bucket, page, at)) = self.find(key)? else {
            return Ok(None);
        };
        let page = self.bucket(bucket).pages.get(page);
        let item = match page
            .and_then(|page| page.pairs.get(at))
            .map(|pair| &pair.value)
        {
            None => return Ok(None),
            Some(Value::OnPage(value)) => return Ok(Some(value.clone())),
            Some(Value::OffPage(item)) => *item,
        };
        self.read_overflow(item).map(Some)
    }

    /// Adds a pair, or with [`OnExisting::Replace`] changes the value of a key.
    ///
    /// # Errors
    ///
    /// `Corrupt` when a page that the update needs is damaged; `TooLong` when the file gets too
    /// large; `Io` when it cannot be read. The update is of no use afterwards.
    pub fn put(&mut self, key: &[u8], value: &[u8], on_existing: OnExisting) -> Result<Put> {
        match (self.find(key)?, on_existing) {
            (Some(_), OnExisting::Keep) => Ok(Put::Kept),
            (Some((bucket, page, at)), OnExisting::Replace) => {
                self.drop_copies(bucket, page, at, key)?;
                self.replace(bucket, page, at, value)?;
                Ok(Put::Replaced)
            }
            (None, _) => {
                let was_there = self.deleted.remove(key);
                let bucket = self.bucket_of(key);
                let key_item = self.off_page(key)?;
                let value = self.value(value)?;
                let pair = Pair {
                    key: key.to_vec(),
                    key_item,
                    value,
                };
                self.element_count = (self.element_count + 1).min(ELEMENT_COUNT_MAX);
                // A key that comes back moves from its old page: see the rules.
                let new = if was_there {
                    self.new_pages_of(bucket)
                } else {
                    Vec::new()
                };
                self.insert(bucket, pair, |page| !was_there || new.contains(&page))?;
                Ok(Put::Inserted)
            }
        }
    }

    /// Deletes a key; `false` when it is not there.
    ///
    /// # Errors
    ///
    /// As [`HashUpdater::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<bool> {
        let mut found = false;
        // Old defects of Berkeley DB can leave a key twice on a page.
        while let Some((bucket, page, at)) = self.find(key)? {
            found = true;
            let pair = self.take(bucket, page, at);
            if let Some(pair) = &pair {
                self.free_items(pair)?;
            }
            self.element_count = self.element_count.saturating_sub(1);
            self.drop_empty_pages(bucket);
        }
        if found {
            self.deleted.insert(key.to_vec());
            self.gone.insert(key.to_vec());
        }
        Ok(found)
    }

    /// Writes the update to `out`, the file that was given to [`HashUpdater::new`], and nothing at
    /// all if nothing was changed. An interruption at any write leaves every key findable that was
    /// there before.
    ///
    /// # Errors
    ///
    /// Whatever `out` fails with; the file is then as after an interruption.
    pub fn commit(mut self, out: &mut dyn UpdateAt) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let format = self.pager.format();
        let mut old_pages = Vec::new();
        for bucket in std::mem::take(&mut self.buckets).into_values() {
            let numbers: Vec<PageNo> = bucket.pages.iter().map(|page| page.number).collect();
            let number = |at: Option<usize>| {
                at.and_then(|at| numbers.get(at))
                    .copied()
                    .unwrap_or(PageNo::NONE)
            };
            for (at, mut page) in bucket.pages.into_iter().enumerate().rev() {
                let (prev, next) = (number(at.checked_sub(1)), number(Some(at + 1)));
                if !page.changed && page.links == Some((prev, next)) {
                    continue;
                }
                let bytes = page.compose(format, prev, next);
                if self.pager.is_new(page.number) {
                    self.pager.set_new(page.number, bytes);
                } else {
                    old_pages.push((page.number, bytes));
                }
            }
        }
        let session = self.old.store().session()?;
        let old_meta = session.read(0, format.size.bytes())?;
        let old_meta = old_meta.ok_or_else(|| Error::corrupt("file lost its meta page"))?;
        let mut new_meta = old_meta.to_vec();
        self.write_meta(&mut new_meta);
        let interim = self.interim_pages()?;
        self.pager
            .commit(out, &old_meta, &new_meta, &interim, &old_pages)
    }

    fn write_meta(&self, page0: &mut [u8]) {
        let spares = self.addressing.spares.iter().enumerate();
        let fields = [
            (MAX_BUCKET_OFFSET, self.addressing.max_bucket),
            (HIGH_MASK_OFFSET, self.addressing.high_mask()),
            (LOW_MASK_OFFSET, self.addressing.low_mask()),
            (ELEMENT_COUNT_OFFSET, self.element_count),
        ];
        let spares = spares.map(|(group, spare)| (SPARES_OFFSET + 4 * group, *spare));
        let order = self.pager.format().order;
        for (offset, value) in fields.into_iter().chain(spares) {
            order
                .put_u32(page0, offset, value)
                .expect("a page holds the meta data");
        }
    }

    fn bucket_of(&self, key: &[u8]) -> BucketNo {
        self.addressing.bucket_of(self.function.hash(key))
    }

    /// Bucket, page and place of a key.
    fn find(&mut self, key: &[u8]) -> Result<Option<(BucketNo, usize, usize)>> {
        let number = self.bucket_of(key);
        self.load(number)?;
        for (page_at, page) in self.bucket(number).pages.iter().enumerate() {
            if let Some(at) = page.pairs.iter().position(|pair| pair.key == key) {
                return Ok(Some((number, page_at, at)));
            }
        }
        Ok(None)
    }

    fn bucket(&mut self, number: BucketNo) -> &mut Bucket {
        self.buckets.entry(number.0).or_default()
    }

    /// Takes a bucket of the file apart, unless that was done already. Afterwards a key is on one of
    /// its pages only.
    fn load(&mut self, number: BucketNo) -> Result<()> {
        if self.buckets.contains_key(&number.0) {
            return Ok(());
        }
        let look = self.old.look()?;
        let addressing = &self.old.meta().addressing;
        let mut chain = Chain::new(addressing, number)?;
        let mut bucket = Bucket::default();
        while let Some(page) = look.next_page(&mut chain)? {
            if !self.seen.insert(page.number()) {
                let what = "page belongs to two chains, or twice to one";
                return Err(Error::corrupt_page(page.number().0, what));
            }
            let taken = take_apart(&look, number, &page, self.function, &mut self.seen)?;
            self.changed |= taken.changed;
            bucket.pages.push(taken);
        }
        if bucket.pages.is_empty() {
            // Reserved and never written.
            let first = addressing.page_of(number).unwrap_or(PageNo::NONE);
            let links = Some((PageNo::NONE, PageNo::NONE));
            bucket.pages.push(ChainPage {
                links,
                changed: false,
                ..ChainPage::new(first)
            });
        }
        drop(look);
        let copies = bucket.take_copies();
        self.buckets.insert(number.0, bucket);
        if !copies.is_empty() {
            self.changed = true;
            for pair in copies {
                self.free_items(&pair)?;
            }
            self.drop_empty_pages(number);
        }
        Ok(())
    }

    fn take(&mut self, bucket: BucketNo, page: usize, at: usize) -> Option<Pair> {
        self.changed = true;
        let page = self.bucket(bucket).pages.get_mut(page)?;
        page.changed = true;
        (at < page.pairs.len()).then(|| page.pairs.remove(at))
    }

    fn replace(&mut self, bucket: BucketNo, page: usize, at: usize, value: &[u8]) -> Result<()> {
        let value = self.value(value)?;
        let room = self.pager.format().room();
        let Some(mut pair) = self.take(bucket, page, at) else {
            return Ok(());
        };
        let old = std::mem::replace(&mut pair.value, value);
        let place = self.bucket(bucket).pages.get_mut(page);
        match place {
            Some(page) if page.used() + pair.len() <= room => {
                if page.sorted {
                    let at = at.min(page.pairs.len());
                    page.pairs.insert(at, pair);
                } else {
                    page.insert(pair);
                }
            }
            _ => {
                // It leaves its page, so it must go to a new one.
                let new: Vec<PageNo> = self.new_pages_of(bucket);
                self.insert(bucket, pair, |page| new.contains(&page))?;
                self.drop_empty_pages(bucket);
            }
        }
        if let Value::OffPage(item) = old {
            self.free_overflow(item)?;
        }
        Ok(())
    }

    /// Drops further pairs with this key on its page.
    fn drop_copies(&mut self, bucket: BucketNo, page: usize, at: usize, key: &[u8]) -> Result<()> {
        let mut copies = Vec::new();
        if let Some(page) = self.bucket(bucket).pages.get_mut(page) {
            for place in (at + 1..page.pairs.len()).rev() {
                if page.pairs.get(place).is_some_and(|pair| pair.key == key) {
                    copies.push(page.pairs.remove(place));
                    page.changed = true;
                }
            }
        }
        for pair in copies {
            self.free_items(&pair)?;
        }
        Ok(())
    }

    fn new_pages_of(&mut self, bucket: BucketNo) -> Vec<PageNo> {
        let pager = &self.pager;
        let pages = self
            .buckets
            .get(&bucket.0)
            .map(|bucket| bucket.pages.as_slice());
        let numbers = pages.unwrap_or_default().iter().map(|page| page.number);
        numbers.filter(|page| pager.is_new(*page)).collect()
    }

    /// Puts a pair on the first page that takes it and that `may` be used, or on a further page;
    /// then splits a bucket.
    fn insert(&mut self, bucket: BucketNo, pair: Pair, may: impl Fn(PageNo) -> bool) -> Result<()> {
        self.changed = true;
        let room = self.pager.format().room();
        let fill_factor = self.old.meta().fill_factor;
        let mut pages = self.bucket(bucket).pages.iter_mut();
        if let Some(page) = pages.find(|page| may(page.number) && page.takes(&pair, room)) {
            page.insert(pair);
            if fill_factor == 0 || page.pairs.len() <= fill_factor as usize {
                return Ok(());
            }
        } else {
            let number = self.pager.allocate(&self.old.look()?.pages)?;
            let mut page = ChainPage::new(number);
            page.insert(pair);
            self.bucket(bucket).pages.push(page);
        }
        self.split()
    }
}
