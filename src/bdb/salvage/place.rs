//! Which of several places is the right one for a key.

use std::collections::HashMap;

use crate::bdb::hash::bucket::Addressing;
use crate::bdb::hash::function::HashFunction;
use crate::bdb::item::{InternalItem, TreeKey};
use crate::bdb::page::{Page, PageKind, PageSet, Pages};
use crate::bdb::{BucketNo, PageNo};
use crate::error::Result;

/// What is known of the buckets that pages belong to; nothing, for a btree or without meta page.
pub(super) struct Places {
    hash: Option<(Addressing, HashFunction)>,
    /// The bucket of each page of a chain, worked out when the first key is found twice.
    buckets: Option<HashMap<PageNo, BucketNo>>,
    /// How many more pages may be read to find leaves.
    visits: u64,
}

impl Places {
    pub(super) fn new(pages: &Pages<'_>, hash: Option<&(Addressing, HashFunction)>) -> Places {
        Places {
            hash: hash.cloned(),
            buckets: None,
            visits: 16 * u64::from(pages.count()),
        }
    }

    /// Whether `new` is a better place for the key than `old`, which was found before.
    pub(super) fn is_better(
        &mut self,
        pages: &Pages<'_>,
        key: &[u8],
        new: PageNo,
        old: PageNo,
    ) -> Result<bool> {
        let Some((addressing, function)) = &self.hash else {
            return Ok(self.leaf_of(pages, key)? == Some(new));
        };
        let buckets = match &mut self.buckets {
            Some(buckets) => buckets,
            none => none.insert(chains(pages, addressing)?),
        };
        let home = addressing.bucket_of(function.hash(key));
        let rank = |page| {
            let bucket = buckets.get(&page).copied();
            (bucket == Some(home), bucket)
        };
        Ok(rank(new) > rank(old))
    }

    /// The leaf that the separators of a btree lead to, if they lead anywhere.
    fn leaf_of(&mut self, pages: &Pages<'_>, key: &[u8]) -> Result<Option<PageNo>> {
        let mut number = PageNo(1);
        let mut level = None;
        loop {
            let Some(rest) = self.visits.checked_sub(1) else {
                return Ok(None);
            };
            self.visits = rest;
            let Some(page) = pages.unchecked(number)? else {
                return Ok(None);
            };
            match page.kind() {
                PageKind::BtreeLeaf => return Ok(Some(number)),
                PageKind::BtreeInternal => {}
                _ => return Ok(None),
            }
            if level.is_some_and(|level| page.level() >= level) {
                return Ok(None);
            }
            level = Some(page.level());
            let Some(child) = route(&page, key) else {
                return Ok(None);
            };
            number = child;
        }
    }
}

/// The child of an internal page below which `key` lies. Long separators are passed over.
fn route(page: &Page<'_>, key: &[u8]) -> Option<PageNo> {
    let order = page.format().order;
    let index = page.index().ok()?;
    let mut child = None;
    for slot in 0..index.len() / 2 {
        let start = usize::from(order.u16(index, 2 * slot)?);
        let item = InternalItem::parse(page.bytes().get(start..)?, order).ok()?;
        if slot > 0
            && let TreeKey::OnPage(separator) = item.key
            && separator > key
        {
            break;
        }
        child = Some(item.child);
    }
    child
}

/// The bucket of every page of every chain, also of buckets that the meta page does not know yet.
fn chains(pages: &Pages<'_>, addressing: &Addressing) -> Result<HashMap<PageNo, BucketNo>> {
    let mut buckets = HashMap::new();
    let mut seen = PageSet::new(pages.count());
    for group in 0..addressing.spares.len() {
        let (first, last) = Addressing::buckets_of_group(group);
        let inside = |bucket| {
            let page = addressing.page_of(bucket);
            page.is_some_and(|page| page.0 < pages.count())
        };
        if !inside(first) || !inside(last) {
            continue;
        }
        for bucket in (first.0..=last.0).map(BucketNo) {
            let mut next = addressing.page_of(bucket);
            while let Some(number) = next.filter(|&number| number != PageNo::NONE) {
                let page = pages.unchecked(number)?;
                let Some(page) = page.filter(|page| page.kind().is_hash()) else {
                    break;
                };
                if !seen.insert(number) {
                    break;
                }
                buckets.insert(number, bucket);
                next = Some(page.next()?);
            }
        }
    }
    Ok(buckets)
}
