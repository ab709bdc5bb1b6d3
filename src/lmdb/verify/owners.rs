//! Who owns which page.

use crate::lmdb::PageNo;

/// The pages that have an owner. Takes a bit for each page of the file, however many pages the
/// meta page claims.
pub(super) struct Owners {
    in_file: Vec<u64>,
    page_count: u64,
    /// Free pages behind the end of the file, which may have been cut off.
    behind: Vec<PageNo>,
}

impl Owners {
    /// For a file of `page_count` pages.
    pub(super) fn new(page_count: u64) -> Owners {
        let words = usize::try_from(page_count.div_ceil(64)).unwrap_or(0);
        Owners {
            in_file: vec![0; words],
            page_count,
            behind: Vec::new(),
        }
    }

    /// Gives a page to an owner; `false` when it has one already. Of pages behind the end of the file
    /// that shows later, see [`Owners::doubled_behind`].
    pub(super) fn claim(&mut self, page: PageNo) -> bool {
        let word = usize::try_from(page.0 / 64).ok();
        let Some(word) = word.and_then(|word| self.in_file.get_mut(word)) else {
            self.behind.push(page);
            return true;
        };
        let bit = 1 << (page.0 % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Pages behind the end of the file that were claimed more than once.
    pub(super) fn doubled_behind(&mut self) -> Vec<PageNo> {
        self.behind.sort_unstable();
        let pairs = self.behind.windows(2);
        let doubled = pairs.filter_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        });
        let doubled = doubled.collect();
        self.behind.dedup();
        doubled
    }

    /// How many of the pages 2 to `last` have no owner, and the first of them.
    pub(super) fn unowned(&self, last: PageNo) -> (u64, Option<PageNo>) {
        let end = self.page_count.min(last.0.saturating_add(1));
        let is_owned = |page: u64| {
            let word = usize::try_from(page / 64).ok();
            let word = word.and_then(|word| self.in_file.get(word));
            word.is_some_and(|word| word & 1 << (page % 64) != 0)
        };
        let mut unowned = (2..end).filter(|page| !is_owned(*page)).map(PageNo);
        let first = unowned.next();
        let in_file = unowned.count() as u64 + u64::from(first.is_some());
        let behind = (last.0.saturating_add(1) - end.max(2).min(last.0.saturating_add(1)))
            .saturating_sub(self.behind.len() as u64);
        (in_file + behind, first)
    }
}
