//! The list of free pages: under each transaction, the pages that it made free.

use crate::lmdb::PageNo;
use crate::lmdb::verify::{Rule, Walk};

impl Walk<'_> {
    /// Whether a key of the free list is a transaction that has been.
    pub(super) fn is_free_key(&mut self, page: PageNo, at: usize, key: &[u8]) -> bool {
        let txn = match key.len() == self.layout.width.bytes() {
            true => self.layout.word(key, 0),
            false => None,
        };
        let what = match txn {
            None => format!("key of {} bytes is no transaction", key.len()),
            Some(txn) if txn == 0 || txn > self.txn => {
                format!(
                    "pages of transaction {txn}, but the last one is {}",
                    self.txn
                )
            }
            Some(_) => return true,
        };
        self.defects.slot(Rule::L16, page, at, what);
        false
    }

    /// Checks and claims the pages that a record lists: a count, then so many numbers in descending
    /// order, then anything. Returns how many there are.
    pub(super) fn free_record(&mut self, page: PageNo, at: usize, value: &[u8]) -> u64 {
        let layout = self.layout;
        let width = layout.width.bytes();
        let count = layout.word(value, 0);
        let room = (value.len() / width).saturating_sub(1);
        let count = count.and_then(|count| usize::try_from(count).ok());
        let Some(count) = count.filter(|count| *count <= room && value.len().is_multiple_of(width))
        else {
            let what = format!("list of free pages does not fit in {} bytes", value.len());
            self.defects.slot(Rule::L16, page, at, what);
            return 0;
        };
        let mut listed = 0;
        let mut before = None;
        for place in 1..=count {
            let number = layout.word(value, place * width).map_or(PageNo(0), PageNo);
            let is_in_order = before.is_none_or(|before| number < before);
            before = Some(number);
            if number < PageNo(2) || number > self.pages.last() {
                let what = format!(
                    "free page {number} is not one of the pages 2 to {}",
                    self.pages.last()
                );
                self.defects.slot(Rule::L16, page, at, what);
                continue;
            }
            if !is_in_order {
                let what = format!("free page {number} is listed behind a lower one");
                self.defects.slot(Rule::L16, page, at, what);
            }
            if self.owners.claim(number) {
                listed += 1;
            } else {
                let what = format!("page {number} is free and has an owner");
                self.defects.slot(Rule::L15, page, at, what);
            }
        }
        listed
    }
}
