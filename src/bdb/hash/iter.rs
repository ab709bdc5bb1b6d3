//! Lists all pairs of a hash file: bucket by bucket, page by page.

use std::borrow::Cow;
use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::bdb::duplicate::Walk;
use crate::bdb::hash::look::{Chain, Look};
use crate::bdb::hash::pairs::{DUPLICATES_AS_KEY, Pairs, Position};
use crate::bdb::item::HashItem;
use crate::bdb::overflow;
use crate::bdb::page::{Page, PageSet};
use crate::bdb::{BucketNo, PageNo};
use crate::error::{Error, Result};

/// A key and a value.
pub type KeyValue<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// All pairs of a file, see [`HashReader::iter`](super::HashReader::iter).
pub struct Iter<'a> {
    look: Look<'a>,
    /// The bucket to go to when the chain ends; `None` behind the last.
    bucket: Option<BucketNo>,
    chain: Option<Chain>,
    /// The page being read, its bucket, and how far it was read.
    page: Option<(Page<'a>, BucketNo, Position)>,
    /// Pages of chains, overflow pages and pages of duplicates read so far.
    seen: PageSet,
    /// The keys of a chain of several pages read so far. An interrupted update, or an old defect
    /// of Berkeley DB, can leave a key twice; the first is the one that lookups find.
    chain_keys: HashMap<Cow<'a, [u8]>, PageNo>,
    /// Further values of `key`, still to come.
    key: Cow<'a, [u8]>,
    values: VecDeque<Cow<'a, [u8]>>,
}

impl<'a> Iter<'a> {
    pub(super) fn new(look: Look<'a>) -> Iter<'a> {
        let seen = PageSet::new(look.pages.count());
        Iter {
            look,
            bucket: Some(BucketNo(0)),
            chain: None,
            page: None,
            seen,
            chain_keys: HashMap::new(),
            key: Cow::Borrowed(&[]),
            values: VecDeque::new(),
        }
    }

    fn next_value(&mut self) -> Result<Option<KeyValue<'a>>> {
        if let Some(value) = self.values.pop_front() {
            return Ok(Some((self.key.clone(), value)));
        }
        loop {
            if self.page.is_none() && !self.next_page()? {
                return Ok(None);
            }
            if let Some(pair) = self.next_pair()? {
                return Ok(Some(pair));
            }
        }
    }

    /// Goes to the next page that may hold pairs; `false` at the end of the file.
    fn next_page(&mut self) -> Result<bool> {
        while let Some(bucket) = self.bucket {
            let chain = match &mut self.chain {
                Some(chain) => chain,
                None => self
                    .chain
                    .insert(Chain::new(self.look.addressing(), bucket)?),
            };
            if let Some(page) = self.look.next_page(chain)? {
                if !self.seen.insert(page.number()) {
                    let what = "page belongs to two chains, or twice to one";
                    return Err(Error::corrupt_page(page.number().0, what));
                }
                let start = Pairs::new(&page)?.position();
                self.page = Some((page, bucket, start));
                return Ok(true);
            }
            self.chain = None;
            self.chain_keys.clear();
            let more = bucket.0 < self.look.addressing().max_bucket;
            self.bucket = more.then(|| BucketNo(bucket.0 + 1));
            if self.bucket.is_none()
                && let Some(function) = self.look.meta.function
            {
                // A listing that lacks entries must not end as if it were complete.
                self.look.check_unused(function, &mut self.seen)?;
                self.look.check_nothing_behind_end(function)?;
            }
        }
        Ok(false)
    }

    /// The next pair of the page, its further values put into `values`. `None` at the end of the
    /// page, which is dropped then, and for a pair that is not to be shown.
    fn next_pair(&mut self) -> Result<Option<KeyValue<'a>>> {
        let Some((page, bucket, position)) = &mut self.page else {
            return Ok(None);
        };
        let mut pairs = Pairs::resume(page, *position)?;
        let Some(pair) = pairs.next_pair()? else {
            self.page = None;
            return Ok(None);
        };
        *position = pairs.position();
        let (look, seen) = (&self.look, &mut self.seen);
        let key = match pairs.item(pair.slot, pair.key.clone())? {
            HashItem::OnPage(_) => {
                let key = page.slice(pair.key.start + 1..pair.key.end)?;
                if let Some(function) = look.meta.function
                    && !look.is_in_place(*bucket, page, &key, function)?
                {
                    return Ok(None);
                }
                key
            }
            HashItem::OffPage(item) => match look.off_page_key(*bucket, page, item, seen)? {
                Some(key) => Cow::Owned(key),
                None => return Ok(None),
            },
            HashItem::Duplicates(_) | HashItem::OffPageDuplicates(_) => {
                return Err(Error::corrupt_slot(
                    page.number().0,
                    pair.slot,
                    DUPLICATES_AS_KEY,
                ));
            }
        };
        let single = page.next()? == PageNo::NONE && self.chain_keys.is_empty();
        if !single {
            let number = page.number();
            let first = *self.chain_keys.entry(key.clone()).or_insert(number);
            // Which of two on one page a lookup finds depends on what else is there.
            if first != number {
                return Ok(None);
            }
        }
        let value = match pairs.item(pair.slot + 1, pair.value.clone())? {
            HashItem::OnPage(_) => page.slice(pair.value.start + 1..pair.value.end)?,
            HashItem::OffPage(item) => Cow::Owned(overflow::read(&look.pages, item, Some(seen))?),
            duplicates => {
                let values = &mut self.values;
                look.each_duplicate(page, pair.slot + 1, duplicates, Some(seen), |value| {
                    values.push_back(Cow::Owned(value));
                    Walk::On
                })?;
                let Some(first) = values.pop_front() else {
                    return Ok(None);
                };
                self.key = key.clone();
                first
            }
        };
        Ok(Some((key, value)))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<KeyValue<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_value();
        if next.is_err() {
            // What a damaged place gave before the defect is not to be trusted.
            self.values.clear();
            self.page = None;
            self.bucket = None;
        }
        next.transpose()
    }
}
