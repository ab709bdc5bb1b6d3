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

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::bdb::hash::HashReader;
use crate::bdb::hash::bucket::{Addressing, GROUP_COUNT, group, high_mask};
use crate::bdb::hash::function::HashFunction;
use crate::bdb::hash::look::Chain;
use crate::bdb::hash::pairs::Pairs;
use crate::bdb::hash::parts::{Bucket, ChainPage, Pair, Value, compare, take_apart};
use crate::bdb::item::OffPage;
use crate::bdb::meta::{
    ELEMENT_COUNT_OFFSET, HIGH_MASK_OFFSET, LOW_MASK_OFFSET, MAX_BUCKET_OFFSET, SPARES_OFFSET,
    check_groups,
};
use crate::bdb::page::{PageKind, PageSet};
use crate::bdb::page_buf::{HashPageBuf, Links};
use crate::bdb::pager::Pager;
use crate::bdb::{BucketNo, OnExisting, PageNo, Put, overflow};
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
        // Old defects of Berkeley DB and interrupted updates can leave a key twice.
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

    /// Takes a bucket of the file apart, unless that was done already.
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
        self.buckets.insert(number.0, bucket);
        Ok(())
    }

    /// Stores a long key; `None` for one that stays on its page.
    fn off_page(&mut self, bytes: &[u8]) -> Result<Option<OffPage>> {
        let format = self.pager.format();
        if bytes.len() <= format.size.bytes() / 4 {
            return Ok(None);
        }
        let look = self.old.look()?;
        let first = self.pager.store_overflow(&look.pages, bytes)?;
        let len = u32::try_from(bytes.len()).map_err(|_| {
            let (len, max) = (bytes.len() as u64, u64::from(u32::MAX));
            Error::new(crate::error::ErrorKind::TooLong {
                what: "item",
                len,
                max,
            })
        })?;
        Ok(Some(OffPage { first, len }))
    }

    fn value(&mut self, bytes: &[u8]) -> Result<Value> {
        Ok(match self.off_page(bytes)? {
            Some(item) => Value::OffPage(item),
            None => Value::OnPage(bytes.to_vec()),
        })
    }

    fn read_overflow(&self, item: OffPage) -> Result<Vec<u8>> {
        match self.pager.new_overflow(item.first, item.len as usize) {
            Some(whole) => Ok(whole),
            None => overflow::read(&self.old.look()?.pages, item, None),
        }
    }

    fn free_overflow(&mut self, item: OffPage) -> Result<()> {
        let mut pages = self.pager.new_overflow_pages(item.first);
        if pages.is_empty() {
            let look = self.old.look()?;
            pages = overflow::pages(&look.pages, item, &mut self.freed)?;
        }
        pages.into_iter().for_each(|page| self.pager.free(page));
        Ok(())
    }

    fn free_items(&mut self, pair: &Pair) -> Result<()> {
        if let Some(item) = pair.key_item {
            self.free_overflow(item)?;
        }
        match pair.value {
            Value::OffPage(item) => self.free_overflow(item),
            Value::OnPage(_) => Ok(()),
        }
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

    /// Drops pairs with this key behind the one at `page`, `at`.
    fn drop_copies(&mut self, bucket: BucketNo, page: usize, at: usize, key: &[u8]) -> Result<()> {
        let mut copies = Vec::new();
        for (page_at, other) in self.bucket(bucket).pages.iter_mut().enumerate().skip(page) {
            let mut place = 0;
            while let Some(found) = other
                .pairs
                .iter()
                .skip(place)
                .position(|pair| pair.key == key)
            {
                place += found;
                if (page_at, place) == (page, at) {
                    place += 1;
                    continue;
                }
                copies.push(other.pairs.remove(place));
                other.changed = true;
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

    /// Brings the next bucket into use and shares out the pairs of the one it was part of.
    fn split(&mut self) -> Result<()> {
        let Some(new) = self.addressing.max_bucket.checked_add(1).map(BucketNo) else {
            return Ok(());
        };
        let group = group(new);
        let (first, _) = Addressing::buckets_of_group(group);
        let Some(spare) = self.addressing.spares.get(group).copied() else {
            return Ok(());
        };
        if first == new && spare == 0 {
            // A new group, as many buckets as there are so far, at the end of the file. The last
            // of its pages must be there, the others may be a hole.
            let first_page = self.pager.allocate_at_end(new.0)?;
            let last_page = PageNo(first_page.0 + (new.0 - 1));
            if let Some(spare) = self.addressing.spares.get_mut(group) {
                *spare = first_page.0 - new.0;
            }
            let format = self.pager.format();
            let mut bytes = vec![0; format.size.bytes()];
            let links = Links {
                number: last_page,
                prev: PageNo::NONE,
                next: PageNo::NONE,
            };
            HashPageBuf::new(&mut bytes, format).finish(links);
            self.pager.set_new(last_page, bytes);
        }
        let old = BucketNo(new.0 & (high_mask(new.0) >> 1));
        self.load(old)?;
        self.addressing.max_bucket = new.0;
        let Some(first_page) = self.addressing.page_of(new) else {
            let what = format!("bucket {} has no page", new.0);
            return Err(Error::corrupt_page(0, what));
        };
        self.check_unused(first_page, new)?;
        self.pager.claim(first_page);
        let moving = self.take_pairs_of(old, new)?;
        let bucket = self.fresh_bucket(first_page, moving)?;
        self.buckets.insert(new.0, bucket);
        self.gather(old);
        self.drop_empty_pages(old);
        Ok(())
    }

    /// That nothing else is on the page reserved for bucket `new`: no chain and no long item uses
    /// it. An interrupted split may have left copies of the bucket's keys there.
    fn check_unused(&self, first_page: PageNo, new: BucketNo) -> Result<()> {
        let look = self.old.look()?;
        if first_page.0 >= look.pages.count() {
            return Ok(());
        }
        let Some(page) = look.pages.page_or_blank(first_page)? else {
            return Ok(());
        };
        let in_use = || {
            let what = format!("page reserved for bucket {} is in use", new.0);
            Err(Error::corrupt_page(first_page.0, what))
        };
        if page.kind() == PageKind::Free {
            return Ok(());
        }
        if !page.kind().is_hash() || self.seen.contains(first_page) {
            return in_use();
        }
        let mut pairs = Pairs::new(&page)?;
        while let Some(pair) = pairs.next_pair()? {
            let key = look.key(&page, pairs.item(pair.slot, pair.key)?)?;
            if self.bucket_of(&key) != new {
                return in_use();
            }
        }
        Ok(())
    }

    /// Takes the pairs out of bucket `old` that belong to bucket `new` by now.
    fn take_pairs_of(&mut self, old: BucketNo, new: BucketNo) -> Result<Vec<Pair>> {
        let (function, addressing) = (self.function, self.addressing.clone());
        let mut moving = Vec::new();
        for page in &mut self.bucket(old).pages {
            let before = page.pairs.len();
            for pair in std::mem::take(&mut page.pairs) {
                match addressing.bucket_of(function.hash(&pair.key)) {
                    home if home == old => page.pairs.push(pair),
                    home if home == new => moving.push(pair),
                    home => {
                        let what = format!("key of bucket {} lies in bucket {}", home.0, old.0);
                        return Err(Error::corrupt_page(page.number.0, what));
                    }
                }
            }
            page.changed |= page.pairs.len() != before;
        }
        Ok(moving)
    }

    /// A bucket on new pages, the first of which is given.
    fn fresh_bucket(&mut self, first: PageNo, mut pairs: Vec<Pair>) -> Result<Bucket> {
        let room = self.pager.format().room();
        // On-page keys first; in each kind the order of the page.
        pairs.sort_by(|a, b| {
            let kind = |pair: &Pair| pair.key_item.is_some();
            kind(a).cmp(&kind(b)).then_with(|| compare(a, b))
        });
        let mut pages = vec![ChainPage::new(first)];
        for pair in pairs {
            if !pages.last().is_some_and(|page| page.takes(&pair, room)) {
                let number = self.pager.allocate(&self.old.look()?.pages)?;
                pages.push(ChainPage::new(number));
            }
            if let Some(page) = pages.last_mut() {
                page.pairs.push(pair);
            }
        }
        Ok(Bucket { pages })
    }

    /// Puts all pairs of a bucket on its first page if they fit there. One write then does it: it
    /// brings the pairs and cuts off the pages they come from.
    fn gather(&mut self, number: BucketNo) {
        let room = self.pager.format().room();
        let pages = &mut self.bucket(number).pages;
        let pairs = || pages.iter().flat_map(|page| &page.pairs);
        let used: usize = pairs().map(Pair::len).sum();
        let off_page = pairs().filter(|pair| pair.key_item.is_some()).count();
        if pages.len() < 2 || used > room || (off_page != 0 && off_page != pairs().count()) {
            return;
        }
        let mut all: Vec<Pair> = pages
            .iter_mut()
            .flat_map(|page| page.pairs.drain(..))
            .collect();
        all.sort_by(compare);
        if let Some(first) = pages.first_mut() {
            first.pairs = all;
            first.sorted = true;
            first.changed = true;
        }
    }

    /// Takes pages without pairs out of a chain. The first page cannot go: it takes over the pairs
    /// of the next one, which goes instead.
    fn drop_empty_pages(&mut self, number: BucketNo) {
        let mut unused = Vec::new();
        let mut rest: VecDeque<ChainPage> = self.bucket(number).pages.drain(..).collect();
        let mut kept: Vec<ChainPage> = rest.pop_front().into_iter().collect();
        for page in rest {
            match kept.last_mut() {
                _ if page.pairs.is_empty() => unused.push(page.number),
                Some(first) if first.pairs.is_empty() => {
                    unused.push(page.number);
                    first.pairs = page.pairs;
                    first.sorted = page.sorted;
                    first.changed = true;
                }
                _ => kept.push(page),
            }
        }
        self.bucket(number).pages = kept;
        unused.into_iter().for_each(|page| self.pager.free(page));
    }
}
