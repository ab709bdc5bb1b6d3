//! Pages 0 and 1: what the file is, and where its two trees are. The page with the higher
//! transaction id counts.

use crate::error::{Error, Result};
use crate::lmdb::layout::{
    DataVersion, ENCRYPTED, Layout, MAGIC, META, RECORD_DEPTH_OFFSET, RECORD_FLAGS_OFFSET,
    RECORD_PAD_OFFSET,
};
use crate::lmdb::{PageNo, corrupt_page};

/// The record of a tree ("MDB_db"): the main one, or the list of free pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeRecord {
    /// The page size, in the record of the free list; else 0.
    pub pad: u32,
    /// Kinds of keys and values; in the record of the free list, the environment's flags too.
    pub flags: u16,
    /// Levels; 1 when the root is a leaf, 0 when there is none.
    pub depth: u16,
    /// The number of branch pages.
    pub branch_pages: u64,
    /// The number of leaves.
    pub leaf_pages: u64,
    /// The number of pages of overflow runs.
    pub overflow_pages: u64,
    /// The number of entries.
    pub entries: u64,
    /// The root, or `None` when the tree is empty.
    pub root: Option<PageNo>,
}

impl TreeRecord {
    /// A tree without entries.
    pub const fn empty(pad: u32, flags: u16) -> TreeRecord {
        TreeRecord {
            pad,
            flags,
            depth: 0,
            branch_pages: 0,
            leaf_pages: 0,
            overflow_pages: 0,
            entries: 0,
            root: None,
        }
    }

    fn parse(layout: &Layout, page: &[u8], at: usize) -> Option<TreeRecord> {
        let bytes = page.get(at..)?.get(..layout.record_len())?;
        let root = layout.word(bytes, layout.record_root_offset())?;
        Some(TreeRecord {
            pad: layout.order.u32(bytes, RECORD_PAD_OFFSET)?,
            flags: layout.order.u16(bytes, RECORD_FLAGS_OFFSET)?,
            depth: layout.order.u16(bytes, RECORD_DEPTH_OFFSET)?,
            branch_pages: layout.word(bytes, layout.record_branch_offset())?,
            leaf_pages: layout.word(bytes, layout.record_leaf_offset())?,
            overflow_pages: layout.word(bytes, layout.record_overflow_offset())?,
            entries: layout.word(bytes, layout.record_entries_offset())?,
            root: (root != layout.no_page()).then_some(PageNo(root)),
        })
    }

    fn put(&self, layout: &Layout, page: &mut [u8], at: usize) -> Option<()> {
        let bytes = page.get_mut(at..)?;
        let root = self.root.map_or(layout.no_page(), |root| root.0);
        layout.order.put_u32(bytes, RECORD_PAD_OFFSET, self.pad)?;
        layout
            .order
            .put_u16(bytes, RECORD_FLAGS_OFFSET, self.flags)?;
        layout
            .order
            .put_u16(bytes, RECORD_DEPTH_OFFSET, self.depth)?;
        layout.put_word(bytes, layout.record_branch_offset(), self.branch_pages)?;
        layout.put_word(bytes, layout.record_leaf_offset(), self.leaf_pages)?;
        layout.put_word(bytes, layout.record_overflow_offset(), self.overflow_pages)?;
        layout.put_word(bytes, layout.record_entries_offset(), self.entries)?;
        layout.put_word(bytes, layout.record_root_offset(), root)
    }
}

/// A meta page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// How far writers may let the file grow, in bytes. Means nothing to a reader.
    pub map_size: u64,
    /// The list of free pages.
    pub free: TreeRecord,
    /// The entries.
    pub main: TreeRecord,
    /// The last page in use or on the free list.
    pub last_page: PageNo,
    /// The transaction that wrote it.
    pub txn: u64,
}

impl Meta {
    /// Parses meta page `number` (0 or 1) of a file with `layout`. `page` is the page, or as much of it as
    /// there is.
    ///
    /// # Errors
    ///
    /// `Corrupt` when this is no meta page of a file with this layout; `Unsupported` when it is
    /// that of an encrypted file.
    pub fn parse(layout: &Layout, number: PageNo, page: &[u8]) -> Result<Meta> {
        let short = || corrupt_page(number, "file ends in a meta page");
        let order = layout.order;
        let magic = order.u32(page, layout.magic_offset()).ok_or_else(short)?;
        let version = order
            .u32(page, layout.magic_offset() + 4)
            .ok_or_else(short)?;
        let flags = order
            .u16(page, layout.page_flags_offset())
            .ok_or_else(short)?;
        let meta = Meta::fields(layout, page).ok_or_else(short)?;
        if flags & META == 0 || magic != MAGIC {
            return Err(corrupt_page(number, "not a meta page"));
        }
        if version != layout.version.number() {
            let what = format!("meta page has data version {version}");
            return Err(corrupt_page(number, what));
        }
        if meta.free.pad != layout.page_size.stored() {
            let what = format!("meta page has page size {}", meta.free.pad);
            return Err(corrupt_page(number, what));
        }
        if layout.version == DataVersion::V3 && meta.free.flags & ENCRYPTED != 0 {
            return Err(Error::unsupported("LMDB file is encrypted"));
        }
        Ok(meta)
    }

    /// The numbers of a meta page, whatever they are; `None` when `page` is too short.
    pub(crate) fn fields(layout: &Layout, page: &[u8]) -> Option<Meta> {
        Some(Meta {
            map_size: layout.word(page, layout.map_size_offset())?,
            free: TreeRecord::parse(layout, page, layout.free_record_offset())?,
            main: TreeRecord::parse(layout, page, layout.main_record_offset())?,
            last_page: PageNo(layout.word(page, layout.last_page_offset())?),
            txn: layout.word(page, layout.txn_offset())?,
        })
    }

    /// Writes it as page `number` (0 or 1) into `page`, which is a page of zeros; `None` when `page` is
    /// too short or a number is too large for the layout.
    #[must_use = "None means that the page is not complete"]
    pub fn put(&self, layout: &Layout, number: PageNo, page: &mut [u8]) -> Option<()> {
        let order = layout.order;
        layout.put_word(page, 0, number.0)?;
        order.put_u16(page, layout.page_flags_offset(), META)?;
        order.put_u32(page, layout.magic_offset(), MAGIC)?;
        order.put_u32(page, layout.magic_offset() + 4, layout.version.number())?;
        layout.put_word(page, layout.map_size_offset(), self.map_size)?;
        self.free.put(layout, page, layout.free_record_offset())?;
        self.main.put(layout, page, layout.main_record_offset())?;
        layout.put_word(page, layout.last_page_offset(), self.last_page.0)?;
        layout.put_word(page, layout.txn_offset(), self.txn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lmdb::layout::{INTEGER_KEYS, NO_SUBDIR, WordWidth};
    use crate::wire::ByteOrder;

    fn meta() -> Meta {
        Meta {
            map_size: 16 << 20,
            free: TreeRecord::empty(4096, INTEGER_KEYS | NO_SUBDIR),
            main: TreeRecord {
                depth: 1,
                leaf_pages: 1,
                entries: 2,
                root: Some(PageNo(2)),
                ..TreeRecord::empty(0, 0)
            },
            last_page: PageNo(2),
            txn: 1,
        }
    }

    #[test]
    fn a_page_of_the_usual_layout_is_that_of_the_library() {
        let mut page = [0; 4096];
        meta().put(&Layout::V1, PageNo(1), &mut page).unwrap();
        let words: Vec<(usize, u64)> = (0..page.len())
            .step_by(8)
            .map(|at| (at, ByteOrder::Little.u64(&page, at).unwrap()))
            .filter(|(_, word)| *word != 0)
            .collect();
        let expected = [
            (0x00, 1),
            (0x08, 0x0008_0000),
            (0x10, 0x1_beef_c0de),
            (0x20, 0x0100_0000),
            (0x28, 0x4008_0000_1000),
            (0x50, u64::MAX),
            (0x58, 0x0001_0000_0000_0000),
            (0x68, 1),
            (0x78, 2),
            (0x80, 2),
            (0x88, 2),
            (0x90, 1),
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn every_layout_reads_what_it_wrote() {
        for version in [DataVersion::V1, DataVersion::V3] {
            for width in [WordWidth::Four, WordWidth::Eight] {
                for order in [ByteOrder::Little, ByteOrder::Big] {
                    let layout = Layout {
                        version,
                        width,
                        order,
                        ..Layout::V1
                    };
                    let mut page = [0; 4096];
                    meta().put(&layout, PageNo(1), &mut page).unwrap();
                    assert_eq!(Layout::recognise(&page).unwrap(), layout);
                    assert_eq!(Meta::parse(&layout, PageNo(1), &page).unwrap(), meta());
                    let end = layout.meta_end();
                    assert!(Meta::parse(&layout, PageNo(1), &page[..end - 1]).is_err());
                }
            }
        }
    }

    #[test]
    fn what_is_no_meta_page_is_refused() {
        let layout = Layout::V3;
        let mut good = [0; 4096];
        meta().put(&layout, PageNo(0), &mut good).unwrap();
        for (offset, text) in [
            (layout.magic_offset(), "page 0: not a meta page"),
            (layout.page_flags_offset(), "page 0: not a meta page"),
            (
                layout.magic_offset() + 4,
                "page 0: meta page has data version 252",
            ),
            (
                layout.free_record_offset() + 1,
                "page 0: meta page has page size 61184",
            ),
            (layout.free_record_offset() + 5, "LMDB file is encrypted"),
        ] {
            let mut page = good;
            page[offset] ^= 0xff;
            let error = Meta::parse(&layout, PageNo(0), &page).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }
}
