//! Entries one after the other, wherever they come from: what builders of sorted files consume.

use std::slice;

use crate::entries::Entries;
use crate::error::Result;

/// Entries in an order.
pub(crate) trait EntryStream {
    /// The next key and its value, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being fetched.
    fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>>;
}

/// Entries in memory, in the order of a list of their numbers.
pub(crate) struct Listed<'e> {
    entries: &'e Entries,
    numbers: slice::Iter<'e, u32>,
}

impl<'e> Listed<'e> {
    pub(crate) fn new(entries: &'e Entries, numbers: &'e [u32]) -> Listed<'e> {
        let numbers = numbers.iter();
        Listed { entries, numbers }
    }
}

impl EntryStream for Listed<'_> {
    #[inline]
    fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        let mut found = self
            .numbers
            .by_ref()
            .map(|&number| self.entries.entry(number));
        Ok(found.find_map(|entry| entry))
    }
}
