//! What a verification finds: defects, and statistics.

use std::collections::BTreeMap;
use std::fmt;

use crate::bdb::PageSize;
use crate::bdb::meta::AccessMethod;
use crate::bdb::verify::{Invariant, Severity};
use crate::wire::ByteOrder;

/// How many defects of one kind are kept; the rest are counted.
const KEPT_MAX: usize = 1000;

/// A place where a file breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Defect {
    /// The rule.
    pub invariant: Invariant,
    /// How bad that is.
    pub severity: Severity,
    /// The page, counted from 0, when the defect lies in one.
    pub page: Option<u32>,
    /// The index entry on that page, counted from 0, when it lies in one.
    pub slot: Option<u16>,
    /// What was expected and what was found.
    pub what: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.severity.name(), self.invariant)?;
        if let Some(page) = self.page {
            write!(f, "page {page}")?;
            if let Some(slot) = self.slot {
                write!(f, ", slot {slot}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.what)
    }
}

/// The result of [`verify`](super::verify).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// What was counted; `None` when the meta page does not tell enough to look further.
    pub statistics: Option<Statistics>,
    /// In the order they were found. Of each invariant the first thousand.
    pub defects: Vec<Defect>,
    /// How many more defects there are.
    pub omitted: u64,
}

impl Report {
    /// Whether no defect is an error. Warnings do not count.
    pub fn is_clean(&self) -> bool {
        !self
            .defects
            .iter()
            .any(|defect| defect.severity == Severity::Error)
    }
}

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

/// Where defects are gathered.
#[derive(Default)]
pub(super) struct Defects {
    list: Vec<Defect>,
    /// How many were found, and whether an error was among them.
    counts: BTreeMap<Invariant, (usize, bool)>,
    omitted: u64,
}

impl Defects {
    pub(super) fn into_report(self, statistics: Option<Statistics>) -> Report {
        Report {
            statistics,
            defects: self.list,
            omitted: self.omitted,
        }
    }

    /// An error of the file as a whole.
    pub(super) fn file(&mut self, invariant: Invariant, what: impl Into<String>) {
        self.add(invariant, Severity::Error, None, None, what);
    }

    /// An error on a page.
    pub(super) fn page(&mut self, invariant: Invariant, page: u32, what: impl Into<String>) {
        self.add(invariant, Severity::Error, Some(page), None, what);
    }

    /// An error in an index entry of a page.
    pub(super) fn slot(
        &mut self,
        invariant: Invariant,
        page: u32,
        slot: usize,
        what: impl Into<String>,
    ) {
        let slot = u16::try_from(slot).ok();
        self.add(invariant, Severity::Error, Some(page), slot, what);
    }

    pub(super) fn add(
        &mut self,
        invariant: Invariant,
        severity: Severity,
        page: Option<u32>,
        slot: Option<u16>,
        what: impl Into<String>,
    ) {
        let (count, has_error) = self.counts.entry(invariant).or_default();
        *count += 1;
        // The first error is kept behind any number of warnings.
        let first_error = severity == Severity::Error && !*has_error;
        *has_error |= first_error;
        if *count > KEPT_MAX && !first_error {
            self.omitted += 1;
            return;
        }
        self.list.push(Defect {
            invariant,
            severity,
            page,
            slot,
            what: what.into(),
        });
    }
}
