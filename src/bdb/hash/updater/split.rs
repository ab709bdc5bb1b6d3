//! A table that grows: the next bucket comes into use and shares the pairs of the one it was part of.

use std::collections::VecDeque;

use crate::bdb::hash::HashUpdater;
use crate::bdb::hash::bucket::{Addressing, group, high_mask};
use crate::bdb::hash::pairs::Pairs;
use crate::bdb::hash::parts::{Bucket, ChainPage, Pair, compare};
use crate::bdb::page::PageKind;
use crate::bdb::page_buf::{HashPageBuf, Links};
use crate::bdb::{BucketNo, PageNo};
use crate::error::{Error, Result};

impl HashUpdater {
    /// Brings the next bucket into use and shares out the pairs of the one it was part of.
    pub(super) fn split(&mut self) -> Result<()> {
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
    pub(super) fn drop_empty_pages(&mut self, number: BucketNo) {
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
