//! Composes hash and overflow pages in a buffer of one page.
//!
//! What is not used is zero, also on pages that held something before: a deleted password does not
//! linger.

use crate::bdb::PageNo;
use crate::bdb::page::{
    CHECKSUM_OFFSET, ENTRIES_OFFSET, ITEMS_OFFSET, LEVEL_OFFSET, LSN_OFFSET, NEXT_OFFSET,
    PGNO_OFFSET, PREV_OFFSET, PageFormat, PageKind, TYPE_OFFSET, checksum,
};

/// Why the writes below cannot miss: offsets of the header lie inside the smallest page, and
/// callers counted what they add.
const FITS: &str = "callers put on a page only what fits";

/// The links in a page's header.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    pub(crate) number: PageNo,
    pub(crate) prev: PageNo,
    pub(crate) next: PageNo,
}

/// A hash page in the making: items are added from the end of the page downwards.
pub(crate) struct HashPageBuf<'b> {
    bytes: &'b mut [u8],
    format: PageFormat,
    index_end: usize,
    items_start: usize,
}

impl<'b> HashPageBuf<'b> {
    /// An empty page in `bytes`, which are zero and as long as a page.
    pub(crate) fn new(bytes: &'b mut [u8], format: PageFormat) -> HashPageBuf<'b> {
        let items_start = bytes.len();
        HashPageBuf {
            bytes,
            format,
            index_end: format.header_len(),
            items_start,
        }
    }

    /// Adds an item: its type byte and its bytes.
    #[inline]
    pub(crate) fn push_on_page(&mut self, kind: u8, body: &[u8]) {
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
    pub(crate) fn push_item(&mut self, item: &[u8]) {
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
        self.format
            .order
            .put_u16(self.bytes, self.index_end, offset)
            .expect(FITS);
        self.index_end += 2;
        self.items_start = at;
        debug_assert!(self.index_end <= self.items_start, "{FITS}");
    }

    /// Writes the header.
    pub(crate) fn finish(self, links: Links) {
        let entries = (self.index_end - self.format.header_len()) / 2;
        // An empty page of 65536 bytes says 0.
        let items = u16::try_from(self.items_start).unwrap_or(0);
        let entries = u16::try_from(entries).expect(FITS);
        let kind = PageKind::HashSorted;
        Header {
            links,
            entries,
            items,
            level: 0,
            kind,
        }
        .write(self.bytes, self.format);
    }
}

/// Fills `bytes`, zero and as long as a page, as a page of an overflow chain.
pub(crate) fn overflow_page(bytes: &mut [u8], format: PageFormat, links: Links, payload: &[u8]) {
    let start = format.header_len();
    let items = u16::try_from(payload.len()).expect(FITS);
    bytes
        .get_mut(start..start + payload.len())
        .expect(FITS)
        .copy_from_slice(payload);
    // The count of entries is the count of references: one.
    let kind = PageKind::Overflow;
    Header {
        links,
        entries: 1,
        items,
        level: 0,
        kind,
    }
    .write(bytes, format);
}

/// The header of a page.
pub(crate) struct Header {
    pub(crate) links: Links,
    pub(crate) entries: u16,
    pub(crate) items: u16,
    pub(crate) level: u8,
    pub(crate) kind: PageKind,
}

impl Header {
    /// Writes the header of the otherwise finished page `bytes`, and its checksum if it has one.
    pub(crate) fn write(&self, bytes: &mut [u8], format: PageFormat) {
        let order = format.order;
        for (offset, value) in [
            (LSN_OFFSET, 0),
            (LSN_OFFSET + 4, 1),
            (PGNO_OFFSET, self.links.number.0),
            (PREV_OFFSET, self.links.prev.0),
            (NEXT_OFFSET, self.links.next.0),
        ] {
            order.put_u32(bytes, offset, value).expect(FITS);
        }
        order
            .put_u16(bytes, ENTRIES_OFFSET, self.entries)
            .expect(FITS);
        order.put_u16(bytes, ITEMS_OFFSET, self.items).expect(FITS);
        *bytes.get_mut(LEVEL_OFFSET).expect(FITS) = self.level;
        *bytes.get_mut(TYPE_OFFSET).expect(FITS) = self.kind.byte();
        if format.checksum {
            let sum = checksum(bytes, CHECKSUM_OFFSET);
            order.put_u32(bytes, CHECKSUM_OFFSET, sum).expect(FITS);
        }
    }
}
