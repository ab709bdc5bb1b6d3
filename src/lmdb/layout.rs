//! What depends on the version of LMDB and on the machine that wrote a file: the width and order
//! of numbers, where things are, and how much fits.
//!
//! Sizes and offsets are in bytes. Names in quotes are those of LMDB's own header file.

use crate::error::{Error, Result};
use crate::wire::ByteOrder;

/// The first number of a meta record.
pub const MAGIC: u32 = 0xBEEF_C0DE;

/// Page flag: a page above the leaves.
pub const BRANCH: u16 = 0x01;
/// Page flag: a page of entries.
pub const LEAF: u16 = 0x02;
/// Page flag: the first page of a run that holds one long value.
pub const OVERFLOW: u16 = 0x04;
/// Page flag: page 0 or 1.
pub const META: u16 = 0x08;

/// Node flag: the value is in overflow pages.
pub const NODE_OVERFLOW: u16 = 0x01;
/// Node flag: the value is the record of a named database.
pub const NODE_DATABASE: u16 = 0x02;
/// Node flag: the value is a page of duplicates.
pub const NODE_DUPLICATES: u16 = 0x04;

/// Database flag: keys are integers of the machine. Set in the record of the free list.
pub const INTEGER_KEYS: u16 = 0x08;
/// Environment flag, kept in the record of the free list: the file has no directory of its own.
pub const NO_SUBDIR: u16 = 0x4000;
/// Environment flag, kept in the record of the free list: pages are encrypted.
pub const ENCRYPTED: u16 = 0x2000;

/// In a node, before the key: the length of the value or the child's number (u32), flags (u16), the
/// length of the key (u16).
pub const NODE_HEADER_LEN: usize = 8;
/// In a node: the length of its key.
pub const NODE_KEY_LEN_OFFSET: usize = 6;
/// An entry of the array of offsets that a page begins with.
pub const NODE_OFFSET_LEN: usize = 2;

/// In a record of a tree: a number that means something in the free list's only, where it is the
/// page size (u32).
pub const RECORD_PAD_OFFSET: usize = 0;
/// In a record of a tree: flags (u16).
pub const RECORD_FLAGS_OFFSET: usize = 4;
/// In a record of a tree: the number of levels (u16).
pub const RECORD_DEPTH_OFFSET: usize = 6;

/// The longest key that LMDB 0.9 stores.
pub const LONGEST_KEY_V1: usize = 511;

/// How many bytes at the beginning of a file [`Layout::recognise`] wants to see.
pub const HEAD_LEN: usize = 24 + 136;

/// What is said of a file without any bytes. A program that creates a table through the library leaves
/// one if it dies at once; the library fails with an error of its own.
pub(crate) const EMPTY: &str = "file is empty, not an LMDB file yet";

/// The format of a file, as its meta pages number it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataVersion {
    /// Every LMDB 0.9.
    #[default]
    V1,
    /// LMDB 1.0.
    V3,
}

impl DataVersion {
    /// The number in the meta pages.
    pub const fn number(self) -> u32 {
        match self {
            DataVersion::V1 => 1,
            DataVersion::V3 => 3,
        }
    }

    /// The releases of LMDB that use it: "0.9" or "1.0".
    pub const fn release(self) -> &'static str {
        match self {
            DataVersion::V1 => "0.9",
            DataVersion::V3 => "1.0",
        }
    }
}

/// How wide page numbers, transaction ids and counts are: the `size_t` of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WordWidth {
    /// 32-bit machines.
    Four,
    /// 64-bit machines.
    Eight,
}

impl WordWidth {
    /// In bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        match self {
            WordWidth::Four => 4,
            WordWidth::Eight => 8,
        }
    }
}

/// The size of every page of a file: a power of two from 256 to 65536 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(u32);

impl PageSize {
    /// 4096 bytes, the usual size of a page of memory.
    pub const DEFAULT: PageSize = PageSize(4096);

    /// `bytes` as a page size, or `None` when it is no power of two from 256 to the most that
    /// `version` can use.
    pub const fn new(bytes: u32, version: DataVersion) -> Option<PageSize> {
        let max = match version {
            DataVersion::V1 => 32768,
            DataVersion::V3 => 65536,
        };
        if bytes.is_power_of_two() && bytes >= 256 && bytes <= max {
            Some(PageSize(bytes))
        } else {
            None
        }
    }

    /// The size in bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }

    /// The size in bytes, as it is stored.
    pub const fn stored(self) -> u32 {
        self.0
    }
}

/// Everything that depends on version and machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// LMDB 0.9 or 1.0.
    pub version: DataVersion,
    /// The width of words.
    pub width: WordWidth,
    /// The order of the bytes of every number.
    pub order: ByteOrder,
    /// The size of pages.
    pub page_size: PageSize,
}

impl Layout {
    /// What LMDB 0.9 writes on the usual machines: 64-bit, little-endian, pages of 4096 bytes.
    pub const V1: Layout = Layout::usual(DataVersion::V1);
    /// What LMDB 1.0 writes on the usual machines.
    pub const V3: Layout = Layout::usual(DataVersion::V3);

    /// What LMDB 0.9 writes on this machine, with pages of 4096 bytes.
    pub const NATIVE_V1: Layout = Layout::native(DataVersion::V1);

    /// What LMDB of this version writes on this machine, with pages of 4096 bytes. A library copes
    /// with pages of another size than those of the machine's memory, but not with another width
    /// or order.
    pub const fn native(version: DataVersion) -> Layout {
        Layout {
            width: if cfg!(target_pointer_width = "64") {
                WordWidth::Eight
            } else {
                WordWidth::Four
            },
            order: ByteOrder::NATIVE,
            ..Layout::usual(version)
        }
    }

    const fn usual(version: DataVersion) -> Layout {
        Layout {
            version,
            width: WordWidth::Eight,
            order: ByteOrder::Little,
            page_size: PageSize::DEFAULT,
        }
    }

    /// The layout of the file that begins with `head`: [`HEAD_LEN`] bytes, or the whole file if it
    /// is shorter.
    ///
    /// Looks for the magic number where each layout has it, in either byte order, and reads the
    /// page size behind it. The rest of the meta page is not looked at.
    ///
    /// # Errors
    ///
    /// `Corrupt` when `head` does not begin an LMDB file; `Unsupported` for a data version of a
    /// development build.
    pub fn recognise(head: &[u8]) -> Result<Layout> {
        if head.is_empty() {
            return Err(Error::corrupt(EMPTY));
        }
        let mut other_version = None;
        for (offset, version, width) in MAGIC_PLACES {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                if order.u32(head, offset) != Some(MAGIC) {
                    continue;
                }
                match order.u32(head, offset + 4) {
                    Some(number) if number == version.number() => {
                        return Layout::with_page_size(head, version, width, order);
                    }
                    Some(number) => other_version = Some(number),
                    None => {}
                }
            }
        }
        Err(match other_version {
            Some(number) => {
                Error::unsupported(format!("LMDB data version {number} is not supported"))
            }
            None => Error::corrupt("not an LMDB file"),
        })
    }

    fn with_page_size(
        head: &[u8],
        version: DataVersion,
        width: WordWidth,
        order: ByteOrder,
    ) -> Result<Layout> {
        let layout = Layout {
            version,
            width,
            order,
            page_size: PageSize::DEFAULT,
        };
        let offset = layout.free_record_offset() + RECORD_PAD_OFFSET;
        let Some(size) = order.u32(head, offset) else {
            return Err(Error::corrupt("file ends in its first meta page"));
        };
        match PageSize::new(size, version) {
            Some(page_size) => Ok(Layout {
                page_size,
                ..layout
            }),
            None => Err(Error::corrupt_page(0, format!("bad page size {size}"))),
        }
    }

    // Page header.

    /// The length of a page header ("PAGEHDRSZ"). Meta records, offsets of nodes and the values in
    /// overflow pages begin here.
    #[inline]
    pub const fn header_len(&self) -> usize {
        match self.version {
            DataVersion::V1 => self.width.bytes() + 8,
            DataVersion::V3 => 2 * self.width.bytes() + 8,
        }
    }

    /// What offsets stored in a page count from: its beginning, or the end of its header.
    #[inline]
    pub const fn base(&self) -> usize {
        match self.version {
            DataVersion::V1 => 0,
            DataVersion::V3 => self.header_len(),
        }
    }

    /// Where a page has the transaction that wrote it (a word), if it has one.
    #[inline]
    pub const fn page_txn_offset(&self) -> Option<usize> {
        match self.version {
            DataVersion::V1 => None,
            DataVersion::V3 => Some(self.width.bytes()),
        }
    }

    /// Where a page has its flags (u16). Its number, a word, is at 0.
    #[inline]
    pub const fn page_flags_offset(&self) -> usize {
        self.header_len() - 6
    }

    /// Where a page has the end of the array of offsets (u16, from [`base`](Layout::base)), or an
    /// overflow page the length of its run in pages (u32).
    #[inline]
    pub const fn lower_offset(&self) -> usize {
        self.header_len() - 4
    }

    /// Where a page has the beginning of the lowest node (u16, from [`base`](Layout::base)).
    #[inline]
    pub const fn upper_offset(&self) -> usize {
        self.header_len() - 2
    }

    // Meta pages: offsets from the beginning of the page.

    /// The magic number (u32); the data version (u32) follows.
    pub const fn magic_offset(&self) -> usize {
        self.header_len()
    }

    /// The address of a fixed map (a word).
    pub const fn map_address_offset(&self) -> usize {
        self.header_len() + 8
    }

    /// The size of the map (a word).
    pub const fn map_size_offset(&self) -> usize {
        self.map_address_offset() + self.width.bytes()
    }

    /// The record of the free list.
    pub const fn free_record_offset(&self) -> usize {
        self.map_size_offset() + self.width.bytes()
    }

    /// The record of the main tree.
    pub const fn main_record_offset(&self) -> usize {
        self.free_record_offset() + self.record_len()
    }

    /// The number of the last page (a word).
    pub const fn last_page_offset(&self) -> usize {
        self.main_record_offset() + self.record_len()
    }

    /// The transaction (a word).
    pub const fn txn_offset(&self) -> usize {
        self.last_page_offset() + self.width.bytes()
    }

    /// Where a meta page's content ends.
    pub const fn meta_end(&self) -> usize {
        self.txn_offset() + self.width.bytes()
    }

    // Records of trees: offsets from the beginning of the record.

    /// The length of a record ("MDB_db").
    #[inline]
    pub const fn record_len(&self) -> usize {
        8 + 5 * self.width.bytes()
    }

    /// The number of branch pages (a word).
    pub const fn record_branch_offset(&self) -> usize {
        8
    }

    /// The number of leaves (a word).
    pub const fn record_leaf_offset(&self) -> usize {
        8 + self.width.bytes()
    }

    /// The number of overflow pages (a word).
    pub const fn record_overflow_offset(&self) -> usize {
        8 + 2 * self.width.bytes()
    }

    /// The number of entries (a word).
    pub const fn record_entries_offset(&self) -> usize {
        8 + 3 * self.width.bytes()
    }

    /// The root's page number (a word).
    pub const fn record_root_offset(&self) -> usize {
        8 + 4 * self.width.bytes()
    }

    // What fits.

    /// The room in a page for offsets and nodes.
    pub const fn room(&self) -> usize {
        self.page_size.bytes() - self.header_len()
    }

    /// The longest node; a longer one has its value in overflow pages ("me_nodemax").
    pub const fn node_max(&self) -> usize {
        (self.room() / 2) / 2 * 2 - 2
    }

    /// The longest key that the library stores.
    pub const fn longest_key(&self) -> usize {
        match self.version {
            DataVersion::V1 => LONGEST_KEY_V1,
            // A named database must fit beside the key.
            DataVersion::V3 => self.node_max() - NODE_HEADER_LEN - self.record_len(),
        }
    }

    /// What a key of `key_len` bytes takes in a leaf before its value begins.
    #[inline]
    pub const fn stored_key_len(&self, key_len: usize) -> usize {
        match self.version {
            DataVersion::V1 => key_len,
            DataVersion::V3 => even(key_len),
        }
    }

    /// What stands in a leaf for a value in overflow pages: the number of the first page, and in
    /// version 3 the transaction that wrote it and the number of pages; all words.
    #[inline]
    pub const fn overflow_ref_len(&self) -> usize {
        match self.version {
            DataVersion::V1 => self.width.bytes(),
            DataVersion::V3 => 3 * self.width.bytes(),
        }
    }

    /// Whether the library keeps a value of `value_len` bytes with its key in the leaf.
    pub const fn is_inline(&self, key_len: usize, value_len: usize) -> bool {
        let before = NODE_HEADER_LEN + self.stored_key_len(key_len);
        before <= self.node_max() && value_len <= self.node_max() - before
    }

    /// What an entry with its value in the leaf takes of a page's room, offset included.
    pub const fn inline_node_space(&self, key_len: usize, value_len: usize) -> usize {
        NODE_OFFSET_LEN + even(NODE_HEADER_LEN + self.stored_key_len(key_len) + value_len)
    }

    /// What an entry with its value in overflow pages takes of a leaf's room, offset included.
    pub const fn overflow_node_space(&self, key_len: usize) -> usize {
        self.inline_node_space(key_len, self.overflow_ref_len())
    }

    /// What a child takes of a branch page's room, offset included. The first child's key is not
    /// stored: its length is 0.
    pub const fn branch_node_space(&self, key_len: usize) -> usize {
        NODE_OFFSET_LEN + even(NODE_HEADER_LEN + key_len)
    }

    /// The number of overflow pages that a value of `value_len` bytes needs.
    #[inline]
    pub const fn run_pages(&self, value_len: u32) -> u64 {
        // One header for the whole run.
        let len = self.header_len() as u64 + value_len as u64;
        len.div_ceil(self.page_size.bytes() as u64)
    }

    // Words.

    /// The word at `offset`, or `None` when it does not lie inside `bytes`.
    #[inline]
    pub fn word(&self, bytes: &[u8], offset: usize) -> Option<u64> {
        match self.width {
            WordWidth::Four => self.order.u32(bytes, offset).map(u64::from),
            WordWidth::Eight => self.order.u64(bytes, offset),
        }
    }

    /// Writes a word at `offset`; `None`, and nothing written, when it does not fit there or is
    /// wider than a word of this layout.
    #[must_use = "None means that nothing was written"]
    pub fn put_word(&self, bytes: &mut [u8], offset: usize, value: u64) -> Option<()> {
        match self.width {
            WordWidth::Four => self
                .order
                .put_u32(bytes, offset, u32::try_from(value).ok()?),
            WordWidth::Eight => self.order.put_u64(bytes, offset, value),
        }
    }

    /// The word that means "no page": all ones.
    pub const fn no_page(&self) -> u64 {
        match self.width {
            WordWidth::Four => u32::MAX as u64,
            WordWidth::Eight => u64::MAX,
        }
    }
}

/// `len` rounded up to an even number.
#[inline]
pub(super) const fn even(len: usize) -> usize {
    len + len % 2
}

/// Where the magic number is: the length of the page header.
const MAGIC_PLACES: [(usize, DataVersion, WordWidth); 4] = [
    (16, DataVersion::V1, WordWidth::Eight),
    (12, DataVersion::V1, WordWidth::Four),
    (24, DataVersion::V3, WordWidth::Eight),
    (16, DataVersion::V3, WordWidth::Four),
];

#[cfg(test)]
mod tests;
