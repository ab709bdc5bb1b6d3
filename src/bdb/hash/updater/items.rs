//! Keys and values that are too long for their page.

use crate::bdb::hash::HashUpdater;
use crate::bdb::hash::parts::{Pair, Value};
use crate::bdb::item::OffPage;
use crate::bdb::overflow;
use crate::error::Result;

impl HashUpdater {
    /// Stores a long key; `None` for one that stays on its page.
    pub(super) fn off_page(&mut self, bytes: &[u8]) -> Result<Option<OffPage>> {
        let format = self.pager.format();
        if bytes.len() <= format.size.bytes() / 4 {
            return Ok(None);
        }
        let look = self.old.look()?;
        self.pager.store_overflow(&look.pages, bytes).map(Some)
    }

    pub(super) fn value(&mut self, bytes: &[u8]) -> Result<Value> {
        Ok(match self.off_page(bytes)? {
            Some(item) => Value::OffPage(item),
            None => Value::OnPage(bytes.to_vec()),
        })
    }

    pub(super) fn read_overflow(&self, item: OffPage) -> Result<Vec<u8>> {
        match self.pager.new_overflow(item.first, item.len as usize) {
            Some(whole) => Ok(whole),
            None => overflow::read(&self.old.look()?.pages, item, None),
        }
    }

    pub(super) fn free_overflow(&mut self, item: OffPage) -> Result<()> {
        let mut pages = self.pager.new_overflow_pages(item.first);
        if pages.is_empty() {
            let look = self.old.look()?;
            pages = overflow::pages(&look.pages, item, &mut self.freed)?;
        }
        pages.into_iter().for_each(|page| self.pager.free(page));
        Ok(())
    }

    pub(super) fn free_items(&mut self, pair: &Pair) -> Result<()> {
        if let Some(item) = pair.key_item {
            self.free_overflow(item)?;
        }
        match pair.value {
            Value::OffPage(item) => self.free_overflow(item),
            Value::OnPage(_) => Ok(()),
        }
    }
}
