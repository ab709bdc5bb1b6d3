//! Overflow chains and freed pages.

use crate::bdb::btree::parts::{Key, Pair, TreePage, in_two_places};
use crate::bdb::btree::updater::BtreeUpdater;
use crate::bdb::item::{OffPage, TreeKey};
use crate::bdb::page::{CHECKSUM_OFFSET, ENTRIES_OFFSET, checksum};
use crate::bdb::{PageNo, overflow};
use crate::error::Result;

impl BtreeUpdater {
    /// Overflow pages for a key or value that is too long for a page.
    pub(super) fn off_page(&mut self, bytes: &[u8]) -> Result<Option<OffPage>> {
        if bytes.len() <= self.threshold {
            return Ok(None);
        }
        let look = self.old.look(false)?;
        self.pager.store_overflow(&look.pages, bytes).map(Some)
    }

    pub(super) fn key(&mut self, bytes: Vec<u8>) -> Result<Key> {
        let item = self.off_page(&bytes)?;
        Ok(Key { bytes, item })
    }

    pub(super) fn free_pair(&mut self, pair: &Pair) -> Result<()> {
        for stored in [pair.key.stored(), pair.value.stored()] {
            if let TreeKey::OffPage(item) = stored {
                self.free_overflow(item)?;
            }
        }
        Ok(())
    }

    /// Drops one reference to a chain, and the chain with the last.
    pub(super) fn free_overflow(&mut self, item: OffPage) -> Result<()> {
        let mut pages = self.pager.new_overflow_pages(item.first);
        if pages.is_empty() {
            let look = self.old.look(false)?;
            let count = match self.references.get(&item.first) {
                Some(&count) => count,
                None => look.pages.page(item.first)?.entry_count()?,
            };
            if count > 1 {
                self.references.insert(item.first, count - 1);
                return Ok(());
            }
            self.references.remove(&item.first);
            pages = overflow::pages(&look.pages, item, &mut self.freed)?;
        }
        pages.into_iter().for_each(|page| self.pager.free(page));
        Ok(())
    }

    pub(super) fn free_tree_page(&mut self, number: PageNo) -> Result<TreePage> {
        let page = self.pages.remove(&number);
        if !self.pager.is_new(number) && !self.freed.insert(number) {
            return Err(in_two_places(number));
        }
        self.pager.free(number);
        page.ok_or_else(|| in_two_places(number))
    }

    /// The first pages of chains that lost a reference and still have one.
    pub(super) fn counted_chains(&self) -> Result<Vec<(PageNo, Vec<u8>)>> {
        let look = self.old.look(false)?;
        let format = self.pager.format();
        let mut pages = Vec::new();
        for (&number, &count) in self.references.iter().filter(|(_, count)| **count > 0) {
            let mut bytes = look.pages.page(number)?.bytes().to_vec();
            let header = "a page is longer than its header";
            format
                .order
                .put_u16(&mut bytes, ENTRIES_OFFSET, count)
                .expect(header);
            if format.checksum {
                let sum = checksum(&bytes, CHECKSUM_OFFSET);
                format
                    .order
                    .put_u32(&mut bytes, CHECKSUM_OFFSET, sum)
                    .expect(header);
            }
            pages.push((number, bytes));
        }
        Ok(pages)
    }
}
