//! Composes hash, btree and overflow pages in a buffer of one page.
//!
//! What is not used is zero, also on pages that held something before: a deleted password does not
//! linger.

use crate::bdb::PageNo;
use crate::bdb::item::{
    INTERNAL_HEADER_LEN, LEAF_HEADER_LEN, LEAF_OFF_PAGE, LEAF_ON_PAGE, TREE_OFF_PAGE_LEN, TreeKey,
    internal_len, tree_aligned, tree_off_page,
};
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

/// A btree page in the making: items are added from the end of the page downwards.
pub(crate) struct TreePageBuf<'b> {
    bytes: &'b mut [u8],
    format: PageFormat,
    index_end: usize,
    items_start: usize,
}

impl<'b> TreePageBuf<'b> {
    /// An empty page in `bytes`, which are zero and as long as a page.
    pub(crate) fn new(bytes: &'b mut [u8], format: PageFormat) -> TreePageBuf<'b> {
        let items_start = bytes.len();
        TreePageBuf {
            bytes,
            format,
            index_end: format.header_len(),
            items_start,
        }
    }

    /// Adds a key or value of a leaf. The key of a pair comes before its value.
    #[inline]
    pub(crate) fn push_leaf(&mut self, key_or_value: TreeKey<'_>) {
        let order = self.format.order;
        match key_or_value {
            TreeKey::OnPage(body) => {
                let item = self.item(tree_aligned(LEAF_HEADER_LEN + body.len()));
                let len = u16::try_from(body.len()).expect(FITS);
                order.put_u16(item, 0, len).expect(FITS);
                let (head, rest) = item.split_at_mut_checked(LEAF_HEADER_LEN).expect(FITS);
                *head.last_mut().expect(FITS) = LEAF_ON_PAGE;
                rest.get_mut(..body.len())
                    .expect(FITS)
                    .copy_from_slice(body);
            }
            TreeKey::OffPage(off_page) => {
                let item = self.item(TREE_OFF_PAGE_LEN);
                item.copy_from_slice(&tree_off_page(off_page, order));
            }
        }
    }

    /// Adds an item of an internal page.
    pub(crate) fn push_internal(&mut self, child: PageNo, key: TreeKey<'_>) {
        let order = self.format.order;
        let item = self.item(internal_len(key));
        let (head, body) = item.split_at_mut_checked(INTERNAL_HEADER_LEN).expect(FITS);
        let off_page;
        let (kind, key) = match key {
            TreeKey::OnPage(key) => (LEAF_ON_PAGE, key),
            TreeKey::OffPage(item) => {
                off_page = tree_off_page(item, order);
                (LEAF_OFF_PAGE, &off_page[..])
            }
        };
        let len = u16::try_from(key.len()).expect(FITS);
        order.put_u16(head, 0, len).expect(FITS);
        *head.get_mut(2).expect(FITS) = kind;
        order.put_u32(head, 4, child.0).expect(FITS);
        body.get_mut(..key.len()).expect(FITS).copy_from_slice(key);
    }

    /// Room for an item of `len` bytes, which has its index entry.
    #[inline]
    fn item(&mut self, len: usize) -> &mut [u8] {
        let at = self.items_start - len;
        let offset = u16::try_from(at).expect(FITS);
        self.format
            .order
            .put_u16(self.bytes, self.index_end, offset)
            .expect(FITS);
        self.index_end += 2;
        debug_assert!(self.index_end <= at, "{FITS}");
        let end = std::mem::replace(&mut self.items_start, at);
        self.bytes.get_mut(at..end).expect(FITS)
    }

    /// Writes the header: of a leaf when `level` is 1, else of an internal page.
    pub(crate) fn finish(self, links: Links, level: u8) {
        let entries = (self.index_end - self.format.header_len()) / 2;
        // An empty page of 65536 bytes says 0.
        let items = u16::try_from(self.items_start).unwrap_or(0);
        let entries = u16::try_from(entries).expect(FITS);
        let kind = if level == 1 {
            PageKind::BtreeLeaf
        } else {
            PageKind::BtreeInternal
        };
        Header {
            links,
            entries,
            items,
            level,
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
