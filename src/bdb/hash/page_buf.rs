//! Composes hash and overflow pages in a buffer of one page.

use crate::bdb::PageNo;
use crate::bdb::page::{
    ENTRIES_OFFSET, HEADER_LEN, ITEMS_OFFSET, LEVEL_OFFSET, LSN_OFFSET, NEXT_OFFSET, PGNO_OFFSET,
    PREV_OFFSET, PageFormat, PageKind, TYPE_OFFSET,
};
use crate::wire::ByteOrder;

/// Why the writes below cannot miss: offsets of the header lie inside the smallest page, and
/// callers add only what [`pair_len`](super::builder::pair_len) said would fit.
const FITS: &str = "callers put on a page only what fits";

/// The links in a page's header.
#[derive(Clone, Copy)]
pub(super) struct Links {
    pub(super) number: PageNo,
    pub(super) prev: PageNo,
    pub(super) next: PageNo,
}

/// A hash page in the making: items are added from the end of the page downwards.
pub(super) struct HashPageBuf<'b> {
    bytes: &'b mut [u8],
    order: ByteOrder,
    index_end: usize,
    items_start: usize,
}

impl<'b> HashPageBuf<'b> {
    /// An empty page in `bytes`, which are zero and as long as a page.
    pub(super) fn new(bytes: &'b mut [u8], format: PageFormat) -> HashPageBuf<'b> {
        let items_start = bytes.len();
        HashPageBuf {
            bytes,
            order: format.order,
            index_end: HEADER_LEN,
            items_start,
        }
    }

    /// Adds an item: its type byte and its bytes.
    #[inline]
    pub(super) fn push_on_page(&mut self, kind: u8, body: &[u8]) {
        let at = self.items_start - body.len() - 1;
        let (first, rest) = self
            .bytes
            .get_mut(at..self.items_start)
            .and_then(<[u8]>::split_first_mut)
            .expect(FITS);
        *first = kind;
        rest.copy_from_slice(body);
        self.index(at);
    }

    /// Adds an item whose type byte is part of its bytes.
    pub(super) fn push_item(&mut self, item: &[u8]) {
        let at = self.items_start - item.len();
        self.bytes
            .get_mut(at..self.items_start)
            .expect(FITS)
            .copy_from_slice(item);
        self.index(at);
    }

    #[inline]
    fn index(&mut self, at: usize) {
        let offset = u16::try_from(at).expect(FITS);
        self.order
            .put_u16(self.bytes, self.index_end, offset)
            .expect(FITS);
        self.index_end += 2;
        self.items_start = at;
        debug_assert!(self.index_end <= self.items_start, "{FITS}");
    }

    /// Writes the header.
    pub(super) fn finish(self, links: Links) {
        let entries = (self.index_end - HEADER_LEN) / 2;
        // An empty page of 65536 bytes says 0.
        let items = u16::try_from(self.items_start).unwrap_or(0);
        let entries = u16::try_from(entries).expect(FITS);
        header(
            self.bytes,
            self.order,
            links,
            entries,
            items,
            PageKind::HashSorted,
        );
    }
}

/// Fills `bytes`, zero and as long as a page, as a page of an overflow chain.
pub(super) fn overflow_page(bytes: &mut [u8], order: ByteOrder, links: Links, payload: &[u8]) {
    let len = u16::try_from(payload.len()).expect(FITS);
    bytes
        .get_mut(HEADER_LEN..HEADER_LEN + payload.len())
        .expect(FITS)
        .copy_from_slice(payload);
    // The first number is the count of references: one.
    header(bytes, order, links, 1, len, PageKind::Overflow);
}

fn header(
    bytes: &mut [u8],
    order: ByteOrder,
    links: Links,
    entries: u16,
    items: u16,
    kind: PageKind,
) {
    for (offset, value) in [
        (LSN_OFFSET, 0),
        (LSN_OFFSET + 4, 1),
        (PGNO_OFFSET, links.number.0),
        (PREV_OFFSET, links.prev.0),
        (NEXT_OFFSET, links.next.0),
    ] {
        order.put_u32(bytes, offset, value).expect(FITS);
    }
    order.put_u16(bytes, ENTRIES_OFFSET, entries).expect(FITS);
    order.put_u16(bytes, ITEMS_OFFSET, items).expect(FITS);
    *bytes.get_mut(LEVEL_OFFSET).expect(FITS) = 0;
    *bytes.get_mut(TYPE_OFFSET).expect(FITS) = kind.byte();
}
