//! One node of a page: a key with a child or a value.

use std::ops::Range;

use crate::lmdb::PageNo;
use crate::lmdb::layout::{
    Layout, NODE_DATABASE, NODE_DUPLICATES, NODE_HEADER_LEN, NODE_KEY_LEN_OFFSET, NODE_OVERFLOW,
    WordWidth,
};
use crate::lmdb::page::PageKind;

/// A node that lies within its page as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'p> {
    key: &'p [u8],
    /// Where the key begins, from the beginning of the page.
    key_offset: usize,
    /// Where the node ends, padding included.
    end: usize,
    body: Body,
}

#[derive(Clone, Copy, Debug)]
enum Body {
    Child(PageNo),
    Value(Stored),
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// In the page: from and to, from the beginning of the page.
    Inline {
        /// Where it begins.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// In overflow pages.
    Run(OverflowRef),
    /// It is the record of a named database.
    Database,
    /// It is several values.
    Duplicates,
}

/// What a leaf says about a value in overflow pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverflowRef {
    /// The first page of the run.
    pub(crate) first: PageNo,
    /// The length of the value in bytes.
    pub(crate) len: u32,
    /// The number of pages, in files of LMDB 1.0.
    pub(crate) count: Option<u64>,
}

impl<'p> Node<'p> {
    /// The node at `offset` of `page`, a page of `kind`; else what is wrong with it.
    #[inline]
    pub(crate) fn new(
        page: &'p [u8],
        layout: &Layout,
        kind: PageKind,
        offset: usize,
    ) -> Result<Node<'p>, &'static str> {
        const PAST: &str = "node runs off the page";
        if !offset.is_multiple_of(2) {
            return Err("node begins at an odd offset");
        }
        let order = layout.order;
        let bytes = page.get(offset..).ok_or(PAST)?;
        let number = order.u32(bytes, 0).ok_or(PAST)?;
        let flags = order.u16(bytes, 4).ok_or(PAST)?;
        let key_len = usize::from(order.u16(bytes, NODE_KEY_LEN_OFFSET).ok_or(PAST)?);
        let key = bytes
            .get(NODE_HEADER_LEN..NODE_HEADER_LEN + key_len)
            .ok_or(PAST)?;
        let key_offset = offset + NODE_HEADER_LEN;
        let (end, body) = match kind {
            PageKind::Branch => {
                let high = match layout.width {
                    WordWidth::Four => 0,
                    WordWidth::Eight => u64::from(flags) << 32,
                };
                let child = PageNo(u64::from(number) | high);
                (key_offset + key_len, Body::Child(child))
            }
            PageKind::Leaf => {
                if key_len == 0 {
                    return Err("key is empty");
                }
                let start = key_offset + layout.stored_key_len(key_len);
                let (end, stored) = stored(page, layout, start, number, flags)?;
                (end, Body::Value(stored))
            }
        };
        Ok(Node {
            key,
            key_offset,
            end: end + end % 2,
            body,
        })
    }

    #[inline]
    pub(crate) fn key(&self) -> &'p [u8] {
        self.key
    }

    /// Where the key is, from the beginning of the page.
    #[inline]
    pub(crate) fn key_range(&self) -> Range<usize> {
        self.key_offset..self.key_offset + self.key.len()
    }

    /// Where the node is, padding included, from the beginning of the page.
    pub(crate) fn extent(&self) -> Range<usize> {
        self.key_offset - NODE_HEADER_LEN..self.end
    }

    /// The child of a node of a branch page; that of a leaf has none, and so no page.
    #[inline]
    pub(crate) fn child(&self) -> PageNo {
        match self.body {
            Body::Child(child) => child,
            Body::Value(_) => PageNo(0),
        }
    }

    /// The value of a node of a leaf.
    #[inline]
    pub(crate) fn stored(&self) -> Stored {
        match self.body {
            Body::Value(stored) => stored,
            Body::Child(_) => Stored::Database,
        }
    }
}

/// Where a leaf's node ends, and where its value is. `start` is where the value or the reference to it begins.
#[inline]
fn stored(
    page: &[u8],
    layout: &Layout,
    start: usize,
    len: u32,
    flags: u16,
) -> Result<(usize, Stored), &'static str> {
    let inline_end = start.saturating_add(len as usize);
    if flags == NODE_OVERFLOW {
        const PAST: &str = "reference to overflow pages runs off the page";
        let first = layout.word(page, start).ok_or(PAST)?;
        let end = start + layout.overflow_ref_len();
        if end > page.len() {
            return Err(PAST);
        }
        let width = layout.width.bytes();
        let count = match end - start == width {
            true => None,
            false => layout.word(page, start + 2 * width),
        };
        let first = PageNo(first);
        return Ok((end, Stored::Run(OverflowRef { first, len, count })));
    }
    if inline_end > page.len() {
        return Err("value runs off the page");
    }
    let stored = match flags {
        0 => Stored::Inline {
            start,
            end: inline_end,
        },
        _ if flags & !(NODE_DATABASE | NODE_DUPLICATES) != 0 => return Err("unknown node flags"),
        _ if flags & NODE_DUPLICATES != 0 => Stored::Duplicates,
        _ => Stored::Database,
    };
    Ok((inline_end, stored))
}
