//! What a verification finds: defects, and statistics.

use std::collections::BTreeMap;

use crate::bdb::PageSize;
use crate::bdb::meta::AccessMethod;
use crate::bdb::verify::Invariant;
use crate::wire::ByteOrder;

/// A place where a file breaks a rule.
pub type Defect = crate::defect::Defect<Invariant>;

/// The result of [`verify`](super::verify).
pub type Report = crate::defect::Report<Invariant, Statistics>;

/// Where defects are gathered.
pub(super) type Defects = crate::defect::Defects<Invariant>;

/// How many pages there are of each kind. Their sum is the number of pages of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageCounts {
    /// The meta page.
    pub meta: u32,
    /// First pages of buckets.
    pub bucket: u32,
    /// Further pages of buckets.
    pub chain: u32,
    /// Btree leaves.
    pub leaf: u32,
    /// Btree pages above the leaves.
    pub internal: u32,
    /// Pages of long keys and values.
    pub overflow: u32,
    /// Pages of trees that hold the values of one key.
    pub duplicate: u32,
    /// Pages on the free list.
    pub free: u32,
    /// Pages reserved for buckets that are not in use yet.
    pub unused_bucket: u32,
    /// Pages that belong to nothing.
    pub unowned: u32,
    /// Pages behind the last one that the meta page knows of.
    pub behind_end: u32,
}

/// What was counted in a file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Hash or btree.
    pub method: AccessMethod,
    /// The version of the method's format.
    pub version: u32,
    /// The byte order of the file.
    pub order: ByteOrder,
    /// The size of its pages.
    pub page_size: PageSize,
    /// Whether pages carry checksums.
    pub checksums: bool,
    /// Keys with a value; a key with several values counts once for each.
    pub entries: u64,
    /// Buckets in use; 0 for a btree.
    pub buckets: u32,
    /// Pages by kind.
    pub pages: PageCounts,
    /// Bytes that index and items take on the pages that hold entries, and the room there is.
    pub used_bytes: u64,
    /// See `used_bytes`.
    pub room_bytes: u64,
    /// For each length in pages, how many chains of buckets have it. An unwritten page counts as a
    /// page.
    pub chain_lengths: BTreeMap<u32, u64>,
    /// The most pages that finding one entry, or finding that there is none, takes: from the first
    /// page of the bucket or the root, those of a long key and value included.
    pub longest_lookup: u64,
    /// Keys and values on overflow pages.
    pub off_page_items: u64,
    /// Levels of a btree.
    pub height: Option<u8>,
}

impl Statistics {
    /// How full the pages that hold entries are, in per cent.
    pub fn fill_percent(&self) -> f64 {
        if self.room_bytes == 0 {
            return 0.0;
        }
        100.0 * self.used_bytes as f64 / self.room_bytes as f64
    }
}
