//! In-place updates: which pages are written, and in which order.
//!
//! An updater works on a [`Pager`]: it takes new pages from it and gives pages back. Nothing is
//! written before the whole update is worked out; then every page is written once, in stages, each
//! on the disk before the next begins:
//!
//! 1. if pages of the free list are used: the meta page with the list that is left;
//! 2. **new pages**: those from the free list and those behind the old end of the file; then old
//!    pages in an **interim** form, if the updater needs one;
//! 3. the meta page: length, buckets, counters;
//! 4. **old pages** that change, in the order the updater gave them;
//! 5. pages that are free now, which link to each other;
//! 6. the meta page with the head of the free list.
//!
//! After every single write all keys that were there before are still found, provided that the
//! updater keeps two rules: **a key never moves into an old page** (but when the page that takes it
//! replaces, in the same write, the page that gives it), and **a page that receives or links is
//! written before the page that gives or is unlinked**. An interruption then leaves at worst: pages
//! that nobody owns, copies of keys in the place they moved away from, and links back to a page
//! that has left its chain.

use std::collections::{BTreeMap, BTreeSet};

use crate::bdb::PageNo;
use crate::bdb::item::OffPage;
use crate::bdb::meta::{FREE_OFFSET, LAST_PAGE_OFFSET};
use crate::bdb::page::{PageFormat, PageKind, PageSet, Pages};
use crate::bdb::page_buf::{Header, Links, overflow_page};
use crate::error::{Error, ErrorKind, Result};
use crate::file::UpdateAt;

/// The pages of a file while an update is worked out.
pub(crate) struct Pager {
    format: PageFormat,
    /// The number of pages before the update, the meta page included.
    old_count: u32,
    /// The number of pages now.
    count: u32,
    /// What is left of the old free list.
    free_head: PageNo,
    /// Pages taken from the free list.
    taken: BTreeSet<PageNo>,
    /// Reserved pages that come into use.
    claimed: BTreeSet<PageNo>,
    /// Pages, first and last, that are never on the free list.
    reserved: Vec<(PageNo, PageNo)>,
    /// Pages of the free list passed so far: a list that loops is an error.
    passed: PageSet,
    /// New pages that are not needed after all.
    spare: Vec<PageNo>,
    /// Old pages that nobody needs any more. They keep their content until the end.
    freed: Vec<PageNo>,
    /// Finished new pages.
    new_pages: BTreeMap<PageNo, Vec<u8>>,
}

impl Pager {
    /// The pages of a file of `count` pages whose free list begins at `free_head`.
    pub(crate) fn new(format: PageFormat, count: u32, free_head: PageNo) -> Pager {
        Pager {
            format,
            old_count: count,
            count,
            free_head,
            taken: BTreeSet::new(),
            claimed: BTreeSet::new(),
            reserved: Vec::new(),
            passed: PageSet::new(count),
            spare: Vec::new(),
            freed: Vec::new(),
            new_pages: BTreeMap::new(),
        }
    }

    /// Says which pages, first and last, have a use of their own: a free list with one of them is
    /// damaged.
    pub(crate) fn reserve(&mut self, ranges: Vec<(PageNo, PageNo)>) {
        self.reserved = ranges;
    }

    /// What all pages have in common.
    pub(crate) fn format(&self) -> PageFormat {
        self.format
    }

    /// Whether the page is a new one: not in use before the update.
    pub(crate) fn is_new(&self, page: PageNo) -> bool {
        page.0 >= self.old_count || self.taken.contains(&page) || self.claimed.contains(&page)
    }

    /// A page to use, from the free list if it has one.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the free list is damaged, `TooLong` when the file has 2^32 - 1 pages.
    pub(crate) fn allocate(&mut self, old: &Pages<'_>) -> Result<PageNo> {
        if let Some(page) = self.spare.pop() {
            return Ok(page);
        }
        if self.free_head == PageNo::NONE {
            return self.allocate_at_end(1);
        }
        let page = self.free_head;
        if !self.passed.insert(page) {
            return Err(Error::corrupt_page(
                page.0,
                "free list loops or leaves the file",
            ));
        }
        let is_reserved = |(first, last): &(PageNo, PageNo)| *first <= page && page <= *last;
        if self.reserved.iter().any(is_reserved) {
            let what = "page on the free list belongs to a bucket";
            return Err(Error::corrupt_page(page.0, what));
        }
        let free = old.page(page)?;
        if free.kind() != PageKind::Free {
            let what = format!("page on the free list has type {}", free.kind().byte());
            return Err(Error::corrupt_page(page.0, what));
        }
        self.free_head = free.next()?;
        self.taken.insert(page);
        Ok(page)
    }

    /// The first of `count` pages that follow each other at the end of the file.
    ///
    /// # Errors
    ///
    /// `TooLong` when the file would have more than 2^32 - 1 pages.
    pub(crate) fn allocate_at_end(&mut self, count: u32) -> Result<PageNo> {
        let first = self.count;
        self.count = first.checked_add(count).ok_or_else(|| {
            let size = self.format.size.bytes() as u64;
            let len = size * (u64::from(first) + u64::from(count));
            let max = size * u64::from(u32::MAX);
            Error::new(ErrorKind::TooLong {
                what: "table",
                len,
                max,
            })
        })?;
        Ok(PageNo(first))
    }

    /// Takes a page that was reserved for this use and holds nothing yet.
    pub(crate) fn claim(&mut self, page: PageNo) {
        self.claimed.insert(page);
    }

    /// Gives a page back. Its content stays on the disk until nothing refers to it any more.
    pub(crate) fn free(&mut self, page: PageNo) {
        self.new_pages.remove(&page);
        if self.is_new(page) {
            self.spare.push(page);
        } else {
            self.freed.push(page);
        }
    }

    /// Sets the content of a new page.
    pub(crate) fn set_new(&mut self, page: PageNo, bytes: Vec<u8>) {
        self.new_pages.insert(page, bytes);
    }

    /// Stores a long key or value on new overflow pages and returns the first.
    ///
    /// # Errors
    ///
    /// As [`Pager::allocate`]; `TooLong` for 4 GiB and more.
    pub(crate) fn store_overflow(&mut self, old: &Pages<'_>, bytes: &[u8]) -> Result<OffPage> {
        let len = u32::try_from(bytes.len()).map_err(|_| {
            Error::new(ErrorKind::TooLong {
                what: "item",
                len: bytes.len() as u64,
                max: u64::from(u32::MAX),
            })
        })?;
        let count = bytes.len().div_ceil(self.format.room());
        let pages = (0..count)
            .map(|_| self.allocate(old))
            .collect::<Result<Vec<_>>>()?;
        let link = |at: Option<usize>| {
            at.and_then(|at| pages.get(at))
                .copied()
                .unwrap_or(PageNo::NONE)
        };
        for (at, part) in bytes.chunks(self.format.room()).enumerate() {
            let mut page = vec![0; self.format.size.bytes()];
            let links = Links {
                number: link(Some(at)),
                prev: link(at.checked_sub(1)),
                next: link(Some(at + 1)),
            };
            overflow_page(&mut page, self.format, links, part);
            self.set_new(links.number, page);
        }
        let first = link(Some(0));
        Ok(OffPage { first, len })
    }

    /// A new overflow chain, read back: `len` bytes from page `first` on. `None` when the chain is
    /// not a new one.
    pub(crate) fn new_overflow(&self, first: PageNo, len: usize) -> Option<Vec<u8>> {
        let mut whole = Vec::with_capacity(len);
        let mut next = first;
        while whole.len() < len {
            let page = self.new_pages.get(&next)?;
            let start = self.format.header_len();
            let part = (len - whole.len()).min(self.format.room());
            whole.extend_from_slice(page.get(start..start + part)?);
            let next_offset = crate::bdb::page::NEXT_OFFSET;
            next = PageNo(self.format.order.u32(page, next_offset)?);
        }
        Some(whole)
    }

    /// The pages of a new overflow chain, in order; empty when the chain is not a new one.
    pub(crate) fn new_overflow_pages(&self, first: PageNo) -> Vec<PageNo> {
        let mut pages = Vec::new();
        let mut next = first;
        while let Some(page) = self.new_pages.get(&next) {
            pages.push(next);
            let next_offset = crate::bdb::page::NEXT_OFFSET;
            match self.format.order.u32(page, next_offset) {
                None | Some(0) => break,
                Some(number) => next = PageNo(number),
            }
        }
        pages
    }

    /// Writes the update to `out`, see the head of this file. `old_meta` and `new_meta` are the
    /// first page of the file before and after the update, in which the length, the free list and
    /// the checksum are filled in here. `interim` and `changed` are old pages in the form they have
    /// before and after the meta page changes, in order.
    ///
    /// # Errors
    ///
    /// Whatever `out` fails with; the file is then as after an interruption.
    pub(crate) fn commit(
        mut self,
        out: &mut dyn UpdateAt,
        old_meta: &[u8],
        new_meta: &[u8],
        interim: &[(PageNo, Vec<u8>)],
        changed: &[(PageNo, Vec<u8>)],
    ) -> Result<()> {
        let size = self.format.size.bytes() as u64;
        let offset = |page: PageNo| u64::from(page.0) * size;
        if !self.taken.is_empty() {
            let meta = self.meta(old_meta, self.old_count, self.free_head);
            out.write_at(0, &meta)?;
            out.sync()?;
        }
        // What an interrupted update left behind the end goes first: new pages that are not
        // written read as zeros.
        out.set_file_len(offset(PageNo(self.old_count)))?;
        out.set_file_len(offset(PageNo(self.count)))?;
        let new_pages = self.new_pages.iter();
        let interim = interim.iter().map(|(page, bytes)| (page, bytes));
        for (page, bytes) in new_pages.chain(interim) {
            out.write_at(offset(*page), bytes)?;
        }
        out.sync()?;
        out.write_at(0, &self.meta(new_meta, self.count, self.free_head))?;
        out.sync()?;
        for (page, bytes) in changed {
            out.write_at(offset(*page), bytes)?;
        }
        // What is not needed goes on the free list, the last page on top.
        self.freed.append(&mut self.spare);
        self.freed.sort_unstable();
        if self.freed.is_empty() {
            return out.sync();
        }
        out.sync()?;
        let mut head = self.free_head;
        for page in &self.freed {
            out.write_at(offset(*page), &self.free_page(*page, head))?;
            head = *page;
        }
        out.sync()?;
        out.write_at(0, &self.meta(new_meta, self.count, head))?;
        out.sync()
    }

    fn meta(&self, base: &[u8], count: u32, free_head: PageNo) -> Vec<u8> {
        let mut meta = base.to_vec();
        for (offset, value) in [(LAST_PAGE_OFFSET, count - 1), (FREE_OFFSET, free_head.0)] {
            self.format
                .order
                .put_u32(&mut meta, offset, value)
                .expect("a meta page is longer");
        }
        crate::bdb::meta::seal(&mut meta, self.format);
        meta
    }

    fn free_page(&self, number: PageNo, next: PageNo) -> Vec<u8> {
        let mut page = vec![0; self.format.size.bytes()];
        let links = Links {
            number,
            prev: PageNo::NONE,
            next,
        };
        let items = self.format.empty_items_offset();
        let kind = PageKind::Free;
        Header {
            links,
            entries: 0,
            items,
            level: 0,
            kind,
        }
        .write(&mut page, self.format);
        page
    }
}
