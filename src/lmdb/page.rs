//! Pages of trees and runs of overflow pages, fetched and checked before anything in them is used.
//!
//! Rules and layout: `docs/format-lmdb.md`.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::Result;
use crate::file::store::Session;
use crate::lmdb::layout::{
    BRANCH, LEAF, Layout, NODE_HEADER_LEN, NODE_KEY_LEN_OFFSET, NODE_OFFSET_LEN, OVERFLOW,
};
use crate::lmdb::meta::Meta;
use crate::lmdb::node::{Node, OverflowRef};
use crate::lmdb::{PageNo, corrupt_page};
use crate::wire::compare;

/// What a page of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// It leads to other pages.
    Branch,
    /// It holds entries.
    Leaf,
}

/// The pages of one state of a file.
pub(crate) struct Pages<'a> {
    session: Session<'a>,
    layout: Layout,
    last: PageNo,
    txn: u64,
}

impl<'a> Pages<'a> {
    /// The pages of the state that `meta` describes.
    pub(crate) fn new(session: Session<'a>, layout: Layout, meta: &Meta) -> Pages<'a> {
        Pages {
            session,
            layout,
            last: meta.last_page,
            txn: meta.txn,
        }
    }

    pub(crate) fn session(&self) -> &Session<'a> {
        &self.session
    }

    /// The last page that may be in use.
    pub(crate) fn last(&self) -> PageNo {
        self.last
    }

    /// The number of whole pages that the file has.
    pub(crate) fn in_file(&self) -> u64 {
        self.session.len() / self.layout.page_size.bytes() as u64
    }

    /// Checks that pages `first` and the `count - 1` behind it belong to the state and to the file, and
    /// returns where they begin.
    pub(crate) fn locate(&self, first: PageNo, count: u64) -> Result<u64> {
        let past = first.0.checked_add(count);
        let Some(past) = past.filter(|past| first.0 >= 2 && *past - 1 <= self.last.0) else {
            let what = format!("not one of the pages 2 to {}", self.last);
            return Err(corrupt_page(first, what));
        };
        if past > self.in_file() {
            return Err(corrupt_page(first, "file is shorter than its last page"));
        }
        Ok(first.0 * self.layout.page_size.bytes() as u64)
    }

    /// The bytes of page `number`, which lies in the file.
    pub(crate) fn bytes(&self, number: PageNo) -> Result<Cow<'a, [u8]>> {
        let offset = self.locate(number, 1)?;
        let bytes = self.session.read(offset, self.layout.page_size.bytes())?;
        bytes.ok_or_else(|| corrupt_page(number, "file is shorter than its last page"))
    }

    /// Page `number`, which must be of `kind`.
    #[inline]
    pub(crate) fn tree_page(&self, number: PageNo, kind: PageKind) -> Result<Page<'a>> {
        let page = Page::new(self.bytes(number)?, self.layout, number)?;
        self.check_txn(number, &page.bytes)?;
        if page.kind != kind {
            let what = match kind {
                PageKind::Branch => "leaf above the level of the leaves",
                PageKind::Leaf => "branch page at the level of the leaves",
            };
            return Err(corrupt_page(number, what));
        }
        Ok(page)
    }

    /// Checks that a page was not written after the state it belongs to.
    pub(crate) fn check_txn(&self, number: PageNo, bytes: &[u8]) -> Result<()> {
        let Some(offset) = self.layout.page_txn_offset() else {
            return Ok(());
        };
        match self.layout.word(bytes, offset) {
            Some(txn) if txn <= self.txn => Ok(()),
            _ => Err(corrupt_page(number, "page is of a later transaction")),
        }
    }

    /// The number of pages of a run, checked.
    pub(crate) fn run_pages(&self, run: &OverflowRef) -> Result<u64> {
        let offset = self.locate(run.first, 1)?;
        let header = self.session.read(offset, self.layout.header_len())?;
        let bad = |what: String| corrupt_page(run.first, what);
        let Some(header) = header else {
            return Err(bad("file is shorter than its last page".into()));
        };
        let layout = &self.layout;
        let number = layout.word(&header, 0);
        let flags = layout.order.u16(&header, layout.page_flags_offset());
        let count = layout.order.u32(&header, layout.lower_offset());
        if number != Some(run.first.0) || flags != Some(OVERFLOW) {
            return Err(bad("not the first of a run of overflow pages".into()));
        }
        self.check_txn(run.first, &header)?;
        let count = u64::from(count.unwrap_or(0));
        let needed = layout.run_pages(run.len);
        if count < needed {
            return Err(bad(format!(
                "run of {count} pages for a value that needs {needed}"
            )));
        }
        if run.count.is_some_and(|stated| stated != count) {
            return Err(bad(format!(
                "run of {count} pages, but the entry says {}",
                run.count.unwrap_or(0)
            )));
        }
        self.locate(run.first, count)?;
        Ok(count)
    }

    /// The value in a run that [`Pages::run_pages`] found sound.
    pub(crate) fn run_value(&self, run: &OverflowRef) -> Result<Cow<'a, [u8]>> {
        let offset = self.locate(run.first, self.layout.run_pages(run.len))?;
        let start = offset + self.layout.header_len() as u64;
        let bytes = self.session.read(start, run.len as usize)?;
        bytes.ok_or_else(|| corrupt_page(run.first, "file is shorter than its last page"))
    }
}

/// A page of a tree with a sound header.
pub(crate) struct Page<'a> {
    bytes: Cow<'a, [u8]>,
    layout: Layout,
    number: PageNo,
    kind: PageKind,
    /// The number of nodes.
    len: usize,
    /// Where nodes may begin, from the beginning of the page.
    upper: usize,
}

impl<'a> Page<'a> {
    /// `bytes` as page `number` of a tree.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the header is not that of a page of a tree, or there is no node.
    #[inline]
    pub(crate) fn new(bytes: Cow<'a, [u8]>, layout: Layout, number: PageNo) -> Result<Page<'a>> {
        let bad = |what: String| Err(corrupt_page(number, what));
        let is_even = |offset: usize| offset.is_multiple_of(2);
        let u16_at = |offset| layout.order.u16(&bytes, offset).map_or(0, usize::from);
        let stated = layout.word(&bytes, 0).unwrap_or(0);
        if stated != number.0 {
            return bad(format!("page carries the number {stated}"));
        }
        let kind = match layout.order.u16(&bytes, layout.page_flags_offset()) {
            Some(BRANCH) => PageKind::Branch,
            Some(LEAF) => PageKind::Leaf,
            flags => return bad(format!("page has flags {:#x}", flags.unwrap_or(0))),
        };
        let header_len = layout.header_len();
        let lower = layout.base() + u16_at(layout.lower_offset());
        let upper = layout.base() + u16_at(layout.upper_offset());
        let in_order = header_len <= lower && lower <= upper && upper <= bytes.len();
        if !in_order || !is_even(lower) || !is_even(upper) {
            return bad(format!("free space from {lower} to {upper} cannot be"));
        }
        let len = (lower - header_len) / NODE_OFFSET_LEN;
        if len == 0 {
            return bad("page is empty".into());
        }
        Ok(Page {
            bytes,
            layout,
            number,
            kind,
            len,
            upper,
        })
    }

    pub(crate) fn number(&self) -> PageNo {
        self.number
    }

    pub(crate) fn kind(&self) -> PageKind {
        self.kind
    }

    /// The number of nodes, at least 1.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The size of the page.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Where the lowest node begins, from the beginning of the page.
    pub(crate) fn upper(&self) -> usize {
        self.upper
    }

    /// Node `at`, which is less than [`Page::len`], checked.
    #[inline]
    pub(crate) fn node(&self, at: usize) -> Result<Node<'_>> {
        let entry = self.layout.header_len() + NODE_OFFSET_LEN * at;
        let stored = self.layout.order.u16(&self.bytes, entry);
        let offset = self.layout.base() + stored.map_or(0, usize::from);
        let node = if offset < self.upper {
            Err("node is not among the nodes")
        } else {
            Node::new(&self.bytes, &self.layout, self.kind, offset)
        };
        node.map_err(|what| self.corrupt(at, what))
    }

    /// The key of node `at`, if all is well as far as the key goes.
    #[inline]
    fn key(&self, at: usize) -> Option<&[u8]> {
        let order = self.layout.order;
        let entry = self.layout.header_len() + NODE_OFFSET_LEN * at;
        let offset = self.layout.base() + usize::from(order.u16(&self.bytes, entry)?);
        if offset < self.upper || !offset.is_multiple_of(2) {
            return None;
        }
        let node = self.bytes.get(offset..)?;
        let len = usize::from(order.u16(node, NODE_KEY_LEN_OFFSET)?);
        node.get(NODE_HEADER_LEN..NODE_HEADER_LEN + len)
    }

    /// A defect in node `at`.
    pub(crate) fn corrupt(&self, at: usize, what: impl Into<String>) -> crate::Error {
        match (u32::try_from(self.number.0), u16::try_from(at)) {
            (Ok(page), Ok(slot)) => crate::Error::corrupt_slot(page, slot, what),
            _ => corrupt_page(self.number, what),
        }
    }

    /// A part of the page, borrowed if the page is.
    #[inline]
    pub(crate) fn slice(&self, range: Range<usize>) -> Cow<'a, [u8]> {
        match &self.bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(range).unwrap_or_default()),
            Cow::Owned(bytes) => Cow::Owned(bytes.get(range).unwrap_or_default().to_vec()),
        }
    }

    /// On a branch page: the child that `key` is below.
    pub(crate) fn route(&self, key: &[u8]) -> Result<PageNo> {
        let behind = self.partition(1, |probe| compare(probe, key).is_le())?;
        self.child(behind.saturating_sub(1))
    }

    /// On a branch page: child `at`.
    pub(crate) fn child(&self, at: usize) -> Result<PageNo> {
        Ok(self.node(at)?.child())
    }

    /// On a leaf: the node with `key`.
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<Node<'_>>> {
        let at = self.partition(0, |probe| compare(probe, key).is_lt())?;
        if at == self.len {
            return Ok(None);
        }
        let node = self.node(at)?;
        Ok((node.key() == key).then_some(node))
    }

    /// The first node from `from` on for whose key `is_before` is false, if it is true for all before
    /// that one.
    #[inline]
    fn partition(&self, from: usize, is_before: impl Fn(&[u8]) -> bool) -> Result<usize> {
        let (mut low, mut high) = (from, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            let probe = match self.key(middle) {
                Some(key) => key,
                None => self.node(middle)?.key(),
            };
            if is_before(probe) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lmdb::layout::{DataVersion, PageSize};

    /// A leaf of 256 bytes, LMDB 0.9, with the keys and values of `pairs`, lowest node last.
    fn leaf(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut page = vec![0; 256];
        let (mut lower, mut upper) = (16, 256);
        let put = |page: &mut [u8], at: usize, number: usize| {
            let number = u16::try_from(number).unwrap();
            page[at..at + 2].copy_from_slice(&number.to_le_bytes());
        };
        for (key, value) in pairs {
            upper -= (8 + key.len() + value.len()).next_multiple_of(2);
            put(&mut page, upper, value.len());
            put(&mut page, upper + 6, key.len());
            page[upper + 8..][..key.len()].copy_from_slice(key);
            page[upper + 8 + key.len()..][..value.len()].copy_from_slice(value);
            put(&mut page, lower, upper);
            lower += 2;
        }
        page[0] = 9;
        page[10] = 2;
        put(&mut page, 12, lower);
        put(&mut page, 14, upper);
        page
    }

    fn layout() -> Layout {
        let page_size = PageSize::new(256, DataVersion::V1).unwrap();
        Layout {
            page_size,
            ..Layout::V1
        }
    }

    fn page(bytes: &[u8]) -> Result<Page<'_>> {
        Page::new(bytes.into(), layout(), PageNo(9))
    }

    #[test]
    fn keys_are_found_and_children_are_chosen() {
        let bytes = leaf(&[(b"a", b"1"), (b"ab", b""), (b"b", b"333")]);
        let page = page(&bytes).unwrap();
        assert_eq!((page.len(), page.upper()), (3, 256 - 10 - 10 - 12));
        for (key, value) in [
            (&b"a"[..], Some(&b"1"[..])),
            (b"ab", Some(b"")),
            (b"b", Some(b"333")),
            (b"", None),
            (b"aa", None),
            (b"c", None),
        ] {
            let stored = page.find(key).unwrap().map(|node| node.stored());
            let found = stored.map(|stored| match stored {
                crate::lmdb::node::Stored::Inline { start, end } => page.slice(start..end),
                other => panic!("{other:?}"),
            });
            assert_eq!(found.as_deref(), value);
        }
        // The same bytes as a branch page: the lengths of the values are the children.
        let mut bytes = leaf(&[(b"", &[0; 5]), (b"k", &[0; 6]), (b"m", &[0; 7])]);
        bytes[10] = 1;
        let page = Page::new(bytes.into(), layout(), PageNo(9)).unwrap();
        for (key, child) in [("", 5), ("j", 5), ("k", 6), ("l", 6), ("m", 7), ("zz", 7)] {
            assert_eq!(page.route(key.as_bytes()).unwrap(), PageNo(child), "{key}");
        }
    }

    #[test]
    fn headers_and_nodes_that_cannot_be_are_refused() {
        let good = leaf(&[(b"key", b"value"), (b"z", b"")]);
        for (offset, value, text) in [
            (0, 8, "page 9: page carries the number 8"),
            (10, 3, "page 9: page has flags 0x3"),
            (10, 4, "page 9: page has flags 0x4"),
            (12, 16, "page 9: page is empty"),
            (12, 14, "page 9: free space from 14 to 230 cannot be"),
            (12, 19, "page 9: free space from 19 to 230 cannot be"),
            (12, 240, "page 9: free space from 240 to 230 cannot be"),
            (16, 241, "page 9, slot 0: node begins at an odd offset"),
            (16, 228, "page 9, slot 0: node is not among the nodes"),
            (16, 250, "page 9, slot 0: node runs off the page"),
            (246, 0, "page 9, slot 0: key is empty"),
            (240, 6, "page 9, slot 0: value runs off the page"),
            (244, 8, "page 9, slot 0: unknown node flags"),
        ] {
            let mut bytes = good.clone();
            bytes[offset] = value;
            let found = page(&bytes).and_then(|page| page.node(0).map(|_| ()));
            assert_eq!(found.unwrap_err().to_string(), text);
        }
    }
}
