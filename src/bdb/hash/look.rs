//! One consistent look at a hash file: lookups, chains, and the checks that make their answers
//! safe.
//!
//! A lookup hashes the key, takes the bucket's page and walks its chain. Three things keep a
//! damaged file from answering "not found" for a key it holds:
//!
//! * every page on the way is checked (number, type, links, item offsets), and the search of a
//!   page needs no order (see [`Pairs::find`]);
//! * before "not found" is answered, the first key of the bucket must hash to the bucket, and when
//!   the hash value was folded because the table has not grown that far, the page that the key
//!   would move to must not hold it already;
//! * a bucket without any key cannot be checked that way, so the first miss in such a bucket
//!   checks the place of every key of the file, once.
//!
//! All that is found out once, of a file that does not change. When each page of a chain was found to
//! be in order, with all keys in their bucket, later lookups ask the digests of its pages, see
//! [`digest`](super::digest), and come here no more.
//!
//! An interrupted update is no damage. What it can leave (see `bdb::pager`) is
//! read right: a key that is still in the bucket or on the page it moved away from, keys on the
//! page of a bucket that is not in use yet, a page that links back to a page that left the chain.

mod chain;
mod places;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::bdb::duplicate::{self, Walk};
use crate::bdb::hash::bucket::Addressing;
use crate::bdb::hash::function::{HashFunction, Hashes};
use crate::bdb::hash::known::{Known, Mark};
use crate::bdb::hash::pairs::{Candidate, DUPLICATES_AS_KEY, Pair, Pairs, compare_on_page};
use crate::bdb::item::{HashItem, OffPage};
use crate::bdb::meta::HashMeta;
use crate::bdb::overflow;
use crate::bdb::page::{Page, PageKind, PageSet, Pages};
use crate::bdb::{BucketNo, PageNo};
use crate::error::{Error, Result};
use crate::file::store::Session;

pub(super) use self::chain::Chain;

/// One consistent look at the file.
pub(super) struct Look<'a> {
    pub(super) pages: Pages<'a>,
    pub(super) meta: Cow<'a, HashMeta>,
    /// What earlier looks found out, if the file is still the same. Pages have marks only when it
    /// cannot change.
    known: Option<&'a Known>,
    is_live: bool,
    /// Pages visited to find the right place of keys that lie in a wrong one.
    stray_visits: Cell<u64>,
    /// The off-page keys of one bucket that were read so far, each with the page it is on.
    long_keys: RefCell<(BucketNo, BTreeMap<OffPage, PageNo>)>,
}

/// How many such visits there may be, for each page of the file. An interrupted update needs far
/// fewer; without a limit a hostile file could ask for the square of its size.
const STRAY_VISITS_PER_PAGE: u64 = 128;

impl<'a> Look<'a> {
    /// A look at the file of `session`, whose meta page is `meta`.
    pub(super) fn new(
        session: Session<'a>,
        meta: Cow<'a, HashMeta>,
        known: Option<&'a Known>,
    ) -> Look<'a> {
        let is_live = session.is_live();
        let pages = Pages::new(session, meta.format, meta.page_count);
        Look {
            pages,
            meta,
            known,
            is_live,
            stray_visits: Cell::new(0),
            long_keys: RefCell::default(),
        }
    }

    pub(super) fn addressing(&self) -> &Addressing {
        &self.meta.addressing
    }

    /// What is known about the pages of the file, if they cannot change.
    #[inline]
    fn known_pages(&self) -> Option<&'a Known> {
        self.known.filter(|_| !self.is_live)
    }

    pub(super) fn get(&self, key: &[u8], function: HashFunction) -> Result<Option<Cow<'a, [u8]>>> {
        let hash = function.hash(key);
        let bucket = self.addressing().bucket_of(hash);
        let mut chain = Chain::new(self.addressing(), bucket)?;
        let mut has_keys = false;
        let mut is_listed = true;
        while let Some(page) = self.next_page(&mut chain)? {
            let (value, sound) = self.find_in_bucket(bucket, &page, key, function)?;
            if value.is_some() {
                if self.known_pages().is_some_and(Known::count_halving) {
                    // What is wrong with other keys is for those who look for them.
                    let _ = self.list(bucket, function);
                }
                return Ok(value);
            }
            is_listed = is_listed && sound && self.has_digest(&page);
            if !has_keys {
                has_keys = match sound {
                    true => page.entry_count()? != 0,
                    false => self.check_first_key(bucket, &page, function)?,
                };
            }
        }
        if is_listed && has_keys {
            self.set_listed(bucket);
        }
        self.check_not_grown(hash, key)?;
        self.check_behind_end(key)?;
        if !has_keys && !self.known.is_some_and(Known::are_places_checked) {
            self.check_places(function)?;
            self.known.into_iter().for_each(Known::set_places_checked);
        }
        Ok(None)
    }

    /// The value of a key on a page of its bucket, and whether the page is known to be sound.
    #[inline]
    fn find_in_bucket(
        &self,
        bucket: BucketNo,
        page: &Page<'a>,
        key: &[u8],
        function: HashFunction,
    ) -> Result<(Option<Cow<'a, [u8]>>, bool)> {
        let pairs = Pairs::new(page)?;
        if page.kind() == PageKind::HashSorted {
            // Most lookups that find something end here.
            if let Some(pair) = pairs.find_sorted(key) {
                return Ok((Some(self.value(page, &pairs, &pair)?), false));
            }
            if self.is_sound(bucket, page, function)? {
                return Ok((None, true));
            }
        }
        Ok((self.find_among_all(page, key)?, false))
    }

    /// Makes digests of all pages of a bucket, if they can have any.
    fn list(&self, bucket: BucketNo, function: HashFunction) -> Result<()> {
        let mut chain = Chain::new(self.addressing(), bucket)?;
        while let Some(page) = self.next_page(&mut chain)? {
            let is_listed = page.kind() == PageKind::HashSorted
                && self.is_sound(bucket, &page, function)?
                && self.has_digest(&page);
            if !is_listed {
                return Ok(());
            }
        }
        self.set_listed(bucket);
        Ok(())
    }

    fn has_digest(&self, page: &Page<'_>) -> bool {
        self.known_pages()
            .is_some_and(|known| known.digests().has(page.number()))
    }

    /// Remembers that all pages of a bucket, which has keys, were found sound and have digests.
    fn set_listed(&self, bucket: BucketNo) {
        if let (Some(known), Some(first)) = (self.known_pages(), self.addressing().page_of(bucket))
        {
            known.set(first, Mark::Listed);
        }
    }

    /// Whether halving is known to find whatever a page holds. Found out once for each page, and a
    /// digest is made then.
    #[inline]
    fn is_sound(&self, bucket: BucketNo, page: &Page<'_>, function: HashFunction) -> Result<bool> {
        match self.known_pages() {
            Some(known) if known.is_sound(page.number()) => Ok(true),
            Some(known) => self.find_sound(known, bucket, page, function),
            None => Ok(false),
        }
    }

    fn find_sound(
        &self,
        known: &Known,
        bucket: BucketNo,
        page: &Page<'_>,
        function: HashFunction,
    ) -> Result<bool> {
        let mut pairs = Pairs::new(page)?;
        let mut last: Option<&[u8]> = None;
        let mut hashes = Hashes::new(function);
        // In order up to the end, or to what?
        let mut walk = || {
            while let Some(pair) = pairs.next_pair()? {
                let HashItem::OnPage(key) = pairs.item(pair.slot, pair.key)? else {
                    return Ok(false);
                };
                if last.is_some_and(|last| compare_on_page(last, key).is_ge()) {
                    return Ok(false);
                }
                last = Some(key);
                hashes.push(key);
            }
            Ok(true)
        };
        let is_in_order: Result<bool> = walk();
        let hashes = hashes.finish();
        // A key in a wrong bucket counts before what is behind it.
        let is_here = |hash: &u32| self.addressing().bucket_of(*hash) == bucket;
        if !hashes.iter().all(is_here) || !is_in_order? {
            return Ok(false);
        }
        known.digests().keep(page.number(), &hashes, page.next()?);
        known.set(page.number(), Mark::Sound);
        Ok(true)
    }

    /// Whether `bucket` holds the key.
    pub(super) fn holds(&self, bucket: BucketNo, key: &[u8]) -> Result<bool> {
        let mut chain = Chain::new(self.addressing(), bucket)?;
        while let Some(page) = self.next_page(&mut chain)? {
            self.charge_stray(page.number(), 1)?;
            if self.find_on(&page, key)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn charge_stray(&self, page: PageNo, visits: u64) -> Result<()> {
        let visits = self.stray_visits.get() + visits;
        self.stray_visits.set(visits);
        if visits > STRAY_VISITS_PER_PAGE * u64::from(self.pages.count()) {
            let what = "too many keys lie in a wrong bucket";
            return Err(Error::corrupt_page(page.0, what));
        }
        Ok(())
    }

    /// The bytes of an off-page key of `bucket`, its pages noted in `seen`; `None` when it is a
    /// copy of a key that is in its place, see [`Look::is_in_place`], or on an earlier page of the
    /// chain.
    pub(super) fn off_page_key(
        &self,
        bucket: BucketNo,
        page: &Page<'_>,
        item: OffPage,
        seen: &mut PageSet,
    ) -> Result<Option<Vec<u8>>> {
        let key = overflow::read(&self.pages, item, None)?;
        let in_place = match self.meta.function {
            Some(function) => self.is_in_place(bucket, page, &key, function)?,
            None => true,
        };
        if !in_place || self.is_on_earlier_page(bucket, page, item) {
            // The copy shares its pages with the key, so they are not noted.
            let pages = u64::from(item.len) / self.pages.format().room() as u64;
            self.charge_stray(page.number(), pages)?;
            return Ok(None);
        }
        overflow::pages(&self.pages, item, seen)?;
        Ok(Some(key))
    }

    /// Whether the same off-page key was on another page of the bucket before. An update that was
    /// interrupted while it moved the key to a new page left it on the old one too.
    fn is_on_earlier_page(&self, bucket: BucketNo, page: &Page<'_>, item: OffPage) -> bool {
        let (of_bucket, keys) = &mut *self.long_keys.borrow_mut();
        if *of_bucket != bucket {
            *of_bucket = bucket;
            keys.clear();
        }
        *keys.entry(item).or_insert(page.number()) != page.number()
    }

    /// Looks through every bucket: the file uses a hash function we do not know.
    pub(super) fn get_anywhere(&self, key: &[u8]) -> Result<Option<Cow<'a, [u8]>>> {
        for bucket in 0..=self.addressing().max_bucket {
            let mut chain = Chain::new(self.addressing(), BucketNo(bucket))?;
            while let Some(page) = self.next_page(&mut chain)? {
                if let Some(value) = self.find_on(&page, key)? {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    fn find_on(&self, page: &Page<'a>, key: &[u8]) -> Result<Option<Cow<'a, [u8]>>> {
        let pairs = Pairs::new(page)?;
        if page.kind() == PageKind::HashSorted
            && let Some(pair) = pairs.find_sorted(key)
        {
            return self.value(page, &pairs, &pair).map(Some);
        }
        self.find_among_all(page, key)
    }

    /// The value of a key on a page in whatever order.
    fn find_among_all(&self, page: &Page<'a>, key: &[u8]) -> Result<Option<Cow<'a, [u8]>>> {
        let mut pairs = Pairs::new(page)?;
        while let Some(candidate) = pairs.find(key)? {
            let pair = match candidate {
                Candidate::Hit(pair) => pair,
                Candidate::OffPage(pair) => {
                    let HashItem::OffPage(item) = pairs.item(pair.slot, pair.key.clone())? else {
                        continue;
                    };
                    if !overflow::equals(&self.pages, item, key)? {
                        continue;
                    }
                    pair
                }
            };
            return self.value(page, &pairs, &pair).map(Some);
        }
        Ok(None)
    }

    /// The value of a pair; of several, the first.
    fn value(&self, page: &Page<'a>, pairs: &Pairs<'_, 'a>, pair: &Pair) -> Result<Cow<'a, [u8]>> {
        match pairs.item(pair.slot + 1, pair.value.clone())? {
            HashItem::OnPage(_) => page.slice(pair.value.start + 1..pair.value.end),
            HashItem::OffPage(item) => overflow::read(&self.pages, item, None).map(Cow::Owned),
            duplicates => {
                let mut first = None;
                self.each_duplicate(page, pair.slot + 1, duplicates, None, |value| {
                    first = Some(value);
                    Walk::Stop
                })?;
                let none = || Error::corrupt_slot(page.number().0, pair.slot + 1, "no value");
                first.map(Cow::Owned).ok_or_else(none)
            }
        }
    }

    pub(super) fn each_duplicate(
        &self,
        page: &Page<'_>,
        slot: u16,
        item: HashItem<'_>,
        seen: Option<&mut PageSet>,
        mut each: impl FnMut(Vec<u8>) -> Walk,
    ) -> Result<()> {
        let number = page.number().0;
        if !self.meta.duplicates {
            let what = "several values for a key in a file that does not allow it";
            return Err(Error::corrupt_slot(number, slot, what));
        }
        match item {
            HashItem::Duplicates(values) => {
                duplicate::on_page(values, self.meta.format.order, |value| each(value.to_vec()))
                    .map_err(|what| Error::corrupt_slot(number, slot, what))
            }
            HashItem::OffPageDuplicates(root) => duplicate::off_page(&self.pages, root, seen, each),
            HashItem::OnPage(_) | HashItem::OffPage(_) => Ok(()),
        }
    }

    /// The bytes of a key.
    pub(super) fn key<'k>(&self, page: &Page<'_>, item: HashItem<'k>) -> Result<Cow<'k, [u8]>> {
        match item {
            HashItem::OnPage(key) => Ok(Cow::Borrowed(key)),
            HashItem::OffPage(item) => overflow::read(&self.pages, item, None).map(Cow::Owned),
            HashItem::Duplicates(_) | HashItem::OffPageDuplicates(_) => {
                Err(Error::corrupt_page(page.number().0, DUPLICATES_AS_KEY))
            }
        }
    }

    /// The next page of a chain. A page that does not link back to the one before it must prove by
    /// its first key that it belongs to the bucket.
    #[inline]
    pub(super) fn next_page(&self, chain: &mut Chain) -> Result<Option<Page<'a>>> {
        let prev = chain.prev;
        let Some(page) = chain.next_page(&self.pages)? else {
            return Ok(None);
        };
        if page.prev()? != prev && !self.proves_itself(chain.bucket, &page)? {
            let what = format!("page links back to {}, not {prev}", page.prev()?);
            return Err(Error::corrupt_page(page.number().0, what));
        }
        Ok(Some(page))
    }

    #[cold]
    fn proves_itself(&self, bucket: BucketNo, page: &Page<'_>) -> Result<bool> {
        // A first page has nothing before it, ever.
        if Some(page.number()) == self.addressing().page_of(bucket) {
            return Ok(false);
        }
        let Some(function) = self.meta.function else {
            return Ok(false);
        };
        let mut pairs = Pairs::new(page)?;
        let Some(pair) = pairs.next_pair()? else {
            return Ok(false);
        };
        let key = self.key(page, pairs.item(pair.slot, pair.key)?)?;
        Ok(self.addressing().bucket_of(function.hash(&key)) == bucket)
    }
}
