//! What a verification finds: defects, and statistics.

use crate::lmdb::PageNo;
use crate::lmdb::layout::Layout;
use crate::lmdb::verify::Rule;

/// A place where a file breaks a rule.
pub type Defect = crate::defect::Defect<Rule>;

/// The result of [`verify`](super::verify).
pub type Report = crate::defect::Report<Rule, Statistics>;

/// Where defects are gathered.
pub(super) type Defects = crate::defect::Defects<Rule>;

/// How many pages there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageCounts {
    /// The meta pages.
    pub meta: u64,
    /// Pages above the leaves.
    pub branch: u64,
    /// Leaves.
    pub leaf: u64,
    /// Pages of long values.
    pub overflow: u64,
    /// Pages of the tree that lists the free pages, and its overflow pages.
    pub free_list: u64,
    /// Free pages.
    pub free: u64,
    /// Pages that are neither in use nor free.
    pub lost: u64,
    /// Pages of the file behind the last one that the meta page knows of.
    pub behind_end: u64,
}

/// What was counted in a file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Version, width, byte order and page size.
    pub layout: Layout,
    /// The last transaction.
    pub txn: u64,
    /// The meta page that counts: 0 or 1.
    pub current_meta: PageNo,
    /// What the other meta page says of the transaction before: its id, root and last page. It is
    /// not checked.
    pub other: (u64, Option<PageNo>, PageNo),
    /// Keys with a value.
    pub entries: u64,
    /// Levels of the tree.
    pub depth: u16,
    /// Pages by kind.
    pub pages: PageCounts,
    /// Values on overflow pages.
    pub overflow_values: u64,
    /// Bytes that index and nodes take on leaves, and the room there is.
    pub used_bytes: u64,
    /// See `used_bytes`.
    pub room_bytes: u64,
    /// How far writers may let the file grow, in bytes.
    pub map_size: u64,
}

impl Statistics {
    /// How full the leaves are, in per cent.
    pub fn fill_percent(&self) -> f64 {
        if self.room_bytes == 0 {
            return 0.0;
        }
        100.0 * self.used_bytes as f64 / self.room_bytes as f64
    }
}
