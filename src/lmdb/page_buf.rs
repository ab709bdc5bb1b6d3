//! Pages in the making, and the file that they are written to in order.

use crate::error::Result;
use crate::file::WriteAt;
use crate::lmdb::PageNo;
use crate::lmdb::builder::too_many_pages;
use crate::lmdb::layout::{Layout, NODE_HEADER_LEN, NODE_OFFSET_LEN};

/// The transaction that a new file says it was made by.
pub(super) const PAGE_TXN: u64 = 1;

/// Bytes gathered before they are written.
const BUFFER_LEN: usize = 1 << 18;

impl Layout {
    /// Writes number, transaction and flags of a page to its header; `None` when they do not fit.
    #[must_use = "None means that the header is not complete"]
    pub(super) fn put_page_header(
        &self,
        page: &mut [u8],
        number: PageNo,
        flags: u16,
    ) -> Option<()> {
        self.put_word(page, 0, number.0)?;
        if let Some(offset) = self.page_txn_offset() {
            self.put_word(page, offset, PAGE_TXN)?;
        }
        self.order.put_u16(page, self.page_flags_offset(), flags)
    }

    /// Writes what stands for a value in overflow pages to `buffer`, and returns the part that was
    /// written; `None` when it does not fit.
    pub(super) fn put_overflow_ref<'b>(
        &self,
        buffer: &'b mut [u8],
        first: PageNo,
        count: u64,
    ) -> Option<&'b [u8]> {
        let words = [first.0, PAGE_TXN, count];
        let width = self.width.bytes();
        let len = self.overflow_ref_len();
        for (at, word) in words.into_iter().enumerate().take(len / width) {
            self.put_word(buffer, at * width, word)?;
        }
        buffer.get(..len)
    }

    /// A child's number as the first two fields of a node; `None` when it is too large for them.
    pub(super) fn split_child(&self, page: PageNo) -> Option<(u32, u16)> {
        if page.0 >= self.page_end() {
            return None;
        }
        let low = u32::try_from(page.0 & 0xffff_ffff).ok()?;
        Some((low, u16::try_from(page.0 >> 32).ok()?))
    }

    /// One more than the largest number that a page can have: nodes have 48 bits for it.
    pub(super) const fn page_end(&self) -> u64 {
        match self.width.bytes() {
            4 => 1 << 32,
            _ => 1 << 48,
        }
    }
}

/// A leaf or branch page in the making.
pub(super) struct NodePageBuf {
    layout: Layout,
    flags: u16,
    bytes: Vec<u8>,
    /// Where the array of offsets ends, and where the lowest node begins.
    lower: usize,
    upper: usize,
}

impl NodePageBuf {
    /// An empty page with these flags.
    pub(super) fn new(layout: Layout, flags: u16) -> NodePageBuf {
        NodePageBuf {
            layout,
            flags,
            bytes: vec![0; layout.page_size.bytes()],
            lower: layout.header_len(),
            upper: layout.page_size.bytes(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lower == self.layout.header_len()
    }

    /// Whether a node fits that takes `space` bytes, offset included.
    #[inline]
    pub(super) fn has_room(&self, space: usize) -> bool {
        self.upper - self.lower >= space
    }

    /// Adds a node behind the others: its first two fields, its key and its value. It takes `space`
    /// bytes, offset included. `None`, and a useless page, when it does not fit.
    #[inline]
    #[must_use = "None means that the page is not complete"]
    pub(super) fn push(
        &mut self,
        space: usize,
        first: u32,
        flags: u16,
        key: &[u8],
        value: &[u8],
    ) -> Option<()> {
        if !self.has_room(space) {
            return None;
        }
        let order = self.layout.order;
        self.upper -= space.checked_sub(NODE_OFFSET_LEN)?;
        let stored = u16::try_from(self.upper - self.layout.base()).ok()?;
        order.put_u16(&mut self.bytes, self.lower, stored)?;
        self.lower += NODE_OFFSET_LEN;
        let node = self.bytes.get_mut(self.upper..)?;
        order.put_u32(node, 0, first)?;
        order.put_u16(node, 4, flags)?;
        order.put_u16(node, 6, u16::try_from(key.len()).ok()?)?;
        let (_, node) = node.split_at_mut_checked(NODE_HEADER_LEN)?;
        node.get_mut(..key.len())?.copy_from_slice(key);
        if !value.is_empty() {
            let (_, place) = node.split_at_mut_checked(self.layout.stored_key_len(key.len()))?;
            place.get_mut(..value.len())?.copy_from_slice(value);
        }
        Some(())
    }

    /// Writes it as page `number`, which is the next one, and makes it empty again.
    pub(super) fn write(&mut self, number: PageNo, out: &mut PageWriter<'_>) -> Result<()> {
        let layout = self.layout;
        let base = layout.base();
        let mut finish = || {
            layout.put_page_header(&mut self.bytes, number, self.flags)?;
            let (lower, upper) = (
                u16::try_from(self.lower - base).ok()?,
                u16::try_from(self.upper - base).ok()?,
            );
            let order = layout.order;
            order.put_u16(&mut self.bytes, layout.lower_offset(), lower)?;
            order.put_u16(&mut self.bytes, layout.upper_offset(), upper)
        };
        finish().ok_or_else(|| too_many_pages(&layout))?;
        out.append(&self.bytes)?;
        self.bytes.fill(0);
        self.lower = layout.header_len();
        self.upper = layout.page_size.bytes();
        Ok(())
    }
}

/// A file that is written page by page, from page 2 on.
pub(super) struct PageWriter<'o> {
    layout: Layout,
    out: &'o mut dyn WriteAt,
    /// Where the buffer begins in the file.
    offset: u64,
    buffer: Vec<u8>,
    /// The first number not handed out.
    next: u64,
}

/// The end of a file but for its meta pages.
pub(super) struct End<'o> {
    pub(super) out: &'o mut dyn WriteAt,
    pub(super) last_page: PageNo,
    /// The file's length.
    pub(super) bytes: u64,
}

impl<'o> PageWriter<'o> {
    pub(super) fn new(layout: Layout, out: &'o mut dyn WriteAt) -> PageWriter<'o> {
        PageWriter {
            layout,
            out,
            offset: 2 * layout.page_size.bytes() as u64,
            buffer: Vec::with_capacity(BUFFER_LEN),
            next: 2,
        }
    }

    /// The first of the numbers of the next `count` pages. They must be appended before others are
    /// asked for.
    ///
    /// # Errors
    ///
    /// `TooLong` when the layout has no such numbers.
    pub(super) fn take(&mut self, count: u64) -> Result<PageNo> {
        let first = self.next;
        let end = first.checked_add(count);
        match end.filter(|end| *end <= self.layout.page_end()) {
            Some(end) => {
                self.next = end;
                Ok(PageNo(first))
            }
            None => Err(too_many_pages(&self.layout)),
        }
    }

    pub(super) fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.buffer.len() >= BUFFER_LEN {
                self.flush()?;
            }
            let count = bytes.len().min(BUFFER_LEN - self.buffer.len());
            let (now, later) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Appends zeros up to the end of the page.
    pub(super) fn fill_page(&mut self) -> Result<()> {
        // The buffer begins at the beginning of a page and is a number of them long.
        let page_len = self.layout.page_size.bytes();
        let missing = self.buffer.len().next_multiple_of(page_len) - self.buffer.len();
        self.buffer.resize(self.buffer.len() + missing, 0);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let len = self.buffer.len() as u64;
        self.out.write_buffer(self.offset, &mut self.buffer)?;
        self.offset += len;
        self.buffer.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<End<'o>> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        Ok(End {
            out: self.out,
            last_page: PageNo(self.next - 1),
            bytes: self.next * self.layout.page_size.bytes() as u64,
        })
    }
}
