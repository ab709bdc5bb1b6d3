//! Old pages in the form they get before anything else of an update can be seen.
//!
//! A split that was interrupted leaves copies of the keys it moved: in the bucket they came from, or
//! on the page of the bucket they were to go to. They do no harm as long as each key is in its own
//! bucket too. So before a key is deleted there, its copies go: a reader could not tell one that
//! is left from a lost key.

use std::collections::{BTreeMap, BTreeSet};

use crate::bdb::hash::HashUpdater;
use crate::bdb::hash::bucket::high_mask;
use crate::bdb::hash::look::{Chain, Look};
use crate::bdb::hash::pairs::Pairs;
use crate::bdb::hash::parts::{ChainPage, Pair, take_apart, take_value};
use crate::bdb::item::HashItem;
use crate::bdb::page::{Page, PageKind, PageSet};
use crate::bdb::{BucketNo, PageNo};
use crate::error::Result;

impl HashUpdater {
    /// Old pages without copies of keys that were deleted, and without the deleted keys that would
    /// be in a wrong bucket as soon as the meta page is written.
    pub(super) fn interim_pages(&self) -> Result<Vec<(PageNo, Vec<u8>)>> {
        let look = self.old.look()?;
        let format = self.pager.format();
        let old = look.addressing();
        let (mut buckets, mut unused) = (BTreeMap::new(), BTreeSet::new());
        for key in &self.gone {
            let hash = self.function.hash(key);
            let home = old.bucket_of(hash);
            for origin in origins(home) {
                buckets.entry(origin).or_insert(false);
            }
            if home != self.addressing.bucket_of(hash) {
                buckets.insert(home, true);
            }
            let unfolded = BucketNo(hash & old.high_mask());
            // One that comes into use is written anew.
            if unfolded.0 > self.addressing.max_bucket {
                unused.insert(unfolded);
            }
        }
        // Copies before the keys themselves: a bucket comes behind those it was split off from.
        let mut interim = Vec::new();
        for bucket in unused {
            interim.extend(self.clear_unused(&look, bucket)?);
        }
        // A set of its own: many of these pages were read before.
        let mut seen = PageSet::new(look.pages.count());
        for (bucket, has_moving) in buckets {
            let mut chain = Chain::new(old, bucket)?;
            let mut pages = Vec::new();
            while let Some(page) = look.next_page(&mut chain)? {
                if !has_moving && !self.may_have_copies(&look, bucket, &page)? {
                    continue;
                }
                let mut taken = take_apart(&look, bucket, &page, self.function, &mut seen)?;
                let before = taken.pairs.len();
                taken.pairs.retain(|pair| !self.leaves(&pair.key, bucket));
                if taken.changed || taken.pairs.len() != before {
                    let bytes = taken.compose(format, page.prev()?, page.next()?);
                    pages.push((taken.number, bytes));
                }
            }
            // A key may be on two pages; lookups find it on the first.
            interim.extend(pages.into_iter().rev());
        }
        Ok(interim)
    }

    /// Whether a deleted key must leave its bucket before the meta page is written. One that stays in
    /// its bucket until the pages of that are written goes from all pages then, in their order.
    fn leaves(&self, key: &[u8], bucket: BucketNo) -> bool {
        self.deleted.contains(key) && self.bucket_of(key) != bucket
    }

    /// Whether a page of `bucket` has keys that belong elsewhere. Long ones, which are not on the page,
    /// may.
    fn may_have_copies(&self, look: &Look<'_>, bucket: BucketNo, page: &Page<'_>) -> Result<bool> {
        let mut pairs = Pairs::new(page)?;
        while let Some(pair) = pairs.next_pair()? {
            let is_at_home = match pairs.item(pair.slot, pair.key)? {
                HashItem::OnPage(key) => {
                    look.addressing().bucket_of(self.function.hash(key)) == bucket
                }
                _ => false,
            };
            if !is_at_home {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The page of a bucket that is not in use, without the keys that were deleted; `None` when it
    /// has none of them.
    fn clear_unused(&self, look: &Look<'_>, bucket: BucketNo) -> Result<Option<(PageNo, Vec<u8>)>> {
        let page = look.unused_page(bucket)?;
        let Some(page) = page.filter(|page| page.kind().is_hash()) else {
            return Ok(None);
        };
        let mut left = ChainPage::new(page.number());
        left.sorted = page.kind() == PageKind::HashSorted;
        left.changed = false;
        let mut pairs = Pairs::new(&page)?;
        while let Some(pair) = pairs.next_pair()? {
            let item = pairs.item(pair.slot, pair.key)?;
            let key_item = match &item {
                HashItem::OffPage(item) => Some(*item),
                _ => None,
            };
            let key = look.key(&page, item)?.into_owned();
            if self.gone.contains(&key) {
                left.changed = true;
                continue;
            }
            let slot = pair.slot + 1;
            let value = take_value(&page, pairs.item(slot, pair.value)?, slot)?;
            left.pairs.push(Pair {
                key,
                key_item,
                value,
            });
        }
        if !left.changed {
            return Ok(None);
        }
        let bytes = left.compose(self.pager.format(), page.prev()?, page.next()?);
        Ok(Some((left.number, bytes)))
    }
}

/// The buckets that one was split off from: the last, the one that was split off from, and so on.
fn origins(bucket: BucketNo) -> impl Iterator<Item = BucketNo> {
    let origin = |bucket: &BucketNo| {
        let number = bucket.0;
        (number != 0).then(|| BucketNo(number & (high_mask(number) >> 1)))
    };
    std::iter::successors(origin(&bucket), origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_comes_from_those_with_fewer_bits() {
        for (bucket, expect) in [
            (0, &[][..]),
            (1, &[0]),
            (2, &[0]),
            (3, &[1, 0]),
            (11, &[3, 1, 0]),
            (12, &[4, 0]),
        ] {
            let found: Vec<u32> = origins(BucketNo(bucket)).map(|bucket| bucket.0).collect();
            assert_eq!(found, expect, "bucket {bucket}");
        }
    }
}
