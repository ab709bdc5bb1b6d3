//! What an index entry points at: the items of hash pages and those of trees.
//!
//! Numbers inside items are not aligned. The bytes of an item that carry no meaning are garbage in
//! files written by Berkeley DB and zero in ours.

use crate::bdb::PageNo;
use crate::wire::ByteOrder;

/// Hash item: a key or value on the page (`H_KEYDATA`).
pub(crate) const HASH_ON_PAGE: u8 = 1;
/// Hash item: several values on the page (`H_DUPLICATE`).
pub(crate) const HASH_DUPLICATES: u8 = 2;
/// Hash item: a key or value on overflow pages (`H_OFFPAGE`).
pub(crate) const HASH_OFF_PAGE: u8 = 3;
/// Hash item: a tree of values (`H_OFFDUP`).
pub(crate) const HASH_OFF_PAGE_DUPLICATES: u8 = 4;
/// Hash item: an external file (`H_BLOB`, version 10).
pub(crate) const HASH_BLOB: u8 = 5;

/// Length of a hash item that refers to overflow pages: type, three bytes without meaning, first
/// page, length.
pub(crate) const HASH_OFF_PAGE_LEN: usize = 12;

/// A key or value that lies on overflow pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffPage {
    /// The first page of the chain.
    pub first: PageNo,
    /// Its length in bytes.
    pub len: u32,
}

/// An item of a hash page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashItem<'a> {
    /// The bytes of a key or value.
    OnPage(&'a [u8]),
    /// A key or value elsewhere.
    OffPage(OffPage),
    /// Values of one key: `u16` length, bytes, `u16` length again, and so on.
    Duplicates(&'a [u8]),
    /// The root page of a tree that holds the values of one key.
    OffPageDuplicates(PageNo),
}

impl<'a> HashItem<'a> {
    /// Reads an item from exactly its bytes.
    ///
    /// # Errors
    ///
    /// What is wrong with the item.
    #[inline]
    pub fn parse(item: &'a [u8], order: ByteOrder) -> Result<HashItem<'a>, String> {
        let Some((&kind, body)) = item.split_first() else {
            return Err("item is empty".into());
        };
        match kind {
            HASH_ON_PAGE => Ok(HashItem::OnPage(body)),
            HASH_DUPLICATES => Ok(HashItem::Duplicates(body)),
            HASH_OFF_PAGE if item.len() == HASH_OFF_PAGE_LEN => {
                match (order.u32(item, 4), order.u32(item, 8)) {
                    (Some(first), Some(len)) => Ok(HashItem::OffPage(OffPage {
                        first: PageNo(first),
                        len,
                    })),
                    _ => Err("off-page item is cut short".into()),
                }
            }
            HASH_OFF_PAGE => Err(format!(
                "off-page item of {} bytes, not {HASH_OFF_PAGE_LEN}",
                item.len()
            )),
            HASH_OFF_PAGE_DUPLICATES => match order.u32(item, 4) {
                Some(root) => Ok(HashItem::OffPageDuplicates(PageNo(root))),
                None => Err("reference to duplicates is cut short".into()),
            },
            HASH_BLOB => Err("external file items (Berkeley DB 6) are not supported".into()),
            other => Err(format!("no such item type: {other}")),
        }
    }
}

/// The 12 bytes of a hash item that refers to overflow pages.
pub(crate) fn hash_off_page(item: OffPage, order: ByteOrder) -> [u8; HASH_OFF_PAGE_LEN] {
    let mut bytes = [0; HASH_OFF_PAGE_LEN];
    bytes[0] = HASH_OFF_PAGE;
    // Offsets 4 and 8 lie inside 12 bytes.
    let _ = order.put_u32(&mut bytes, 4, item.first.0);
    let _ = order.put_u32(&mut bytes, 8, item.len);
    bytes
}

/// Items of trees begin at multiples of this, and their lengths are rounded up to it.
pub(crate) const TREE_ALIGNMENT: usize = 4;
/// Length of a leaf item that refers to other pages, and of the key in an internal item that does:
/// two bytes without meaning, type, one without meaning, first page, length.
pub(crate) const TREE_OFF_PAGE_LEN: usize = 12;
/// Bytes of a leaf item before its key or value: length, type.
pub(crate) const LEAF_HEADER_LEN: usize = 3;
/// Bytes of an internal item before its key: length, type, one without meaning, child, records.
pub(crate) const INTERNAL_HEADER_LEN: usize = 12;

/// `len` rounded up to where the next item of a tree may begin.
#[inline]
pub(crate) fn tree_aligned(len: usize) -> usize {
    len.next_multiple_of(TREE_ALIGNMENT)
}

/// A key or value of a leaf of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafItem<'a> {
    /// The bytes (`B_KEYDATA`).
    OnPage(&'a [u8]),
    /// A key or value elsewhere (`B_OVERFLOW`).
    OffPage(OffPage),
    /// The root page of a tree that holds the values of one key (`B_DUPLICATE`).
    OffPageDuplicates(PageNo),
}

/// Bit of the type byte of a leaf item: deleted, but a cursor pointed at it.
const LEAF_DELETED: u8 = 0x80;
pub(crate) const LEAF_ON_PAGE: u8 = 1;
const LEAF_DUPLICATES: u8 = 2;
pub(crate) const LEAF_OFF_PAGE: u8 = 3;

const CUT_SHORT: &str = "item runs off the page";

impl<'a> LeafItem<'a> {
    /// Reads the item that begins where `bytes` begins; the second half says whether it is marked
    /// as deleted.
    ///
    /// # Errors
    ///
    /// What is wrong with the item.
    pub fn parse(bytes: &'a [u8], order: ByteOrder) -> Result<(LeafItem<'a>, bool), String> {
        let (Some(len), Some(&kind)) = (order.u16(bytes, 0), bytes.get(2)) else {
            return Err(CUT_SHORT.into());
        };
        let item = match kind & !LEAF_DELETED {
            LEAF_ON_PAGE => LeafItem::OnPage(
                bytes
                    .get(LEAF_HEADER_LEN..LEAF_HEADER_LEN + usize::from(len))
                    .ok_or(CUT_SHORT)?,
            ),
            LEAF_DUPLICATES => {
                LeafItem::OffPageDuplicates(PageNo(order.u32(bytes, 4).ok_or(CUT_SHORT)?))
            }
            LEAF_OFF_PAGE => LeafItem::OffPage(OffPage {
                first: PageNo(order.u32(bytes, 4).ok_or(CUT_SHORT)?),
                len: order.u32(bytes, 8).ok_or(CUT_SHORT)?,
            }),
            other => return Err(format!("no such item type: {other}")),
        };
        Ok((item, kind & LEAF_DELETED != 0))
    }

    /// The bytes it takes on its page, padding included.
    #[inline]
    pub fn stored_len(&self) -> usize {
        match self {
            LeafItem::OnPage(bytes) => tree_aligned(LEAF_HEADER_LEN + bytes.len()),
            LeafItem::OffPage(_) | LeafItem::OffPageDuplicates(_) => TREE_OFF_PAGE_LEN,
        }
    }
}

/// A key of a tree: of a pair in a leaf, or between two children of an internal page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeKey<'a> {
    /// The bytes.
    OnPage(&'a [u8]),
    /// A key elsewhere.
    OffPage(OffPage),
}

/// An item of an internal page of a tree (`BINTERNAL`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InternalItem<'a> {
    /// No key below the child is less than this. In the first item of a page it has no meaning.
    pub key: TreeKey<'a>,
    /// The page one level below.
    pub child: PageNo,
}

impl<'a> InternalItem<'a> {
    /// Reads the item that begins where `bytes` begins.
    ///
    /// # Errors
    ///
    /// What is wrong with the item.
    #[inline]
    pub fn parse(bytes: &'a [u8], order: ByteOrder) -> Result<InternalItem<'a>, String> {
        let (Some(len), Some(&kind)) = (order.u16(bytes, 0), bytes.get(2)) else {
            return Err(CUT_SHORT.into());
        };
        let child = PageNo(order.u32(bytes, 4).ok_or(CUT_SHORT)?);
        let end = INTERNAL_HEADER_LEN + usize::from(len);
        let body = bytes.get(INTERNAL_HEADER_LEN..end).ok_or(CUT_SHORT)?;
        let key = match kind & !LEAF_DELETED {
            LEAF_ON_PAGE => TreeKey::OnPage(body),
            LEAF_OFF_PAGE if body.len() == TREE_OFF_PAGE_LEN => TreeKey::OffPage(OffPage {
                first: PageNo(order.u32(body, 4).ok_or(CUT_SHORT)?),
                len: order.u32(body, 8).ok_or(CUT_SHORT)?,
            }),
            LEAF_OFF_PAGE => {
                return Err(format!(
                    "off-page key of {} bytes, not {TREE_OFF_PAGE_LEN}",
                    body.len()
                ));
            }
            other => return Err(format!("no such item type: {other}")),
        };
        Ok(InternalItem { key, child })
    }

    /// The bytes it takes on its page, padding included.
    #[inline]
    pub fn stored_len(&self) -> usize {
        internal_len(self.key)
    }
}

/// The bytes that an internal item with this key takes on its page, padding included.
#[inline]
pub(crate) fn internal_len(key: TreeKey<'_>) -> usize {
    let key_len = match key {
        TreeKey::OnPage(bytes) => bytes.len(),
        TreeKey::OffPage(_) => TREE_OFF_PAGE_LEN,
    };
    tree_aligned(INTERNAL_HEADER_LEN + key_len)
}

/// The 12 bytes that refer to overflow pages, in a leaf or as the key of an internal item.
pub(crate) fn tree_off_page(item: OffPage, order: ByteOrder) -> [u8; TREE_OFF_PAGE_LEN] {
    let mut bytes = [0; TREE_OFF_PAGE_LEN];
    bytes[2] = LEAF_OFF_PAGE;
    // Offsets 4 and 8 lie inside 12 bytes.
    let _ = order.put_u32(&mut bytes, 4, item.first.0);
    let _ = order.put_u32(&mut bytes, 8, item.len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_items_of_every_kind() {
        let order = ByteOrder::Little;
        let off_page = OffPage {
            first: PageNo(5),
            len: 1001,
        };
        for (bytes, expect) in [
            (&b"\x01abc"[..], HashItem::OnPage(b"abc")),
            (b"\x01", HashItem::OnPage(b"")),
            (b"\x02\x01\0x\x01\0", HashItem::Duplicates(b"\x01\0x\x01\0")),
            (
                b"\x03\xaa\xbb\xcc\x05\0\0\0\xe9\x03\0\0",
                HashItem::OffPage(off_page),
            ),
            (
                b"\x04\xaa\xbb\xcc\x05\0\0\0",
                HashItem::OffPageDuplicates(PageNo(5)),
            ),
        ] {
            assert_eq!(
                HashItem::parse(bytes, order),
                Ok(expect),
                "{}",
                bytes.escape_ascii()
            );
        }
        assert_eq!(
            &hash_off_page(off_page, order),
            b"\x03\0\0\0\x05\0\0\0\xe9\x03\0\0"
        );
    }

    #[test]
    fn malformed_items_are_errors() {
        for bytes in [
            &b""[..],
            b"\x00",
            b"\x03\0\0\0\x05\0\0\0\xe9\x03\0",
            b"\x03\0\0\0\x05\0\0\0\xe9\x03\0\0\0",
            b"\x04\0\0\0\x05\0\0",
            b"\x05",
            b"\xff",
        ] {
            let item = HashItem::parse(bytes, ByteOrder::Big);
            assert!(item.is_err(), "{}", bytes.escape_ascii());
        }
        for bytes in [
            &b""[..],
            b"\0\0",
            b"\x05\0\x01abc",
            b"\0\0\x03\0\x05\0\0\0",
            b"\0\0\x09",
        ] {
            let item = LeafItem::parse(bytes, ByteOrder::Little);
            assert!(item.is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn leaf_items_tell_the_deleted_mark() {
        let order = ByteOrder::Big;
        assert_eq!(
            LeafItem::parse(b"\0\x02\x01abXX", order),
            Ok((LeafItem::OnPage(b"ab"), false))
        );
        assert_eq!(
            LeafItem::parse(b"\0\x02\x81ab", order),
            Ok((LeafItem::OnPage(b"ab"), true))
        );
    }
}
