//! What a verification finds: defects, and statistics.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::lmdb::PageNo;
use crate::lmdb::layout::Layout;
use crate::lmdb::verify::{Rule, Severity};

/// How many defects of one kind are kept; the rest are counted.
const KEPT_MAX: usize = 1000;

/// A place where a file breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Defect {
    /// The rule.
    pub rule: Rule,
    /// How bad that is.
    pub severity: Severity,
    /// The page, counted from 0, when the defect lies in one.
    pub page: Option<u64>,
    /// The node on that page, counted from 0, when it lies in one.
    pub node: Option<u16>,
    /// What was expected and what was found.
    pub what: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.severity.name(), self.rule)?;
        if let Some(page) = self.page {
            write!(f, "page {page}")?;
            if let Some(node) = self.node {
                write!(f, ", node {node}")?;
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
    /// What was counted; `None` when the meta pages do not tell enough to look further.
    pub statistics: Option<Statistics>,
    /// In the order they were found. Of each rule the first thousand.
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

/// Where defects are gathered.
#[derive(Default)]
pub(super) struct Defects {
    list: Vec<Defect>,
    /// How many were found, and whether an error was among them.
    counts: BTreeMap<Rule, (usize, bool)>,
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

    /// Something odd about the file as a whole.
    pub(super) fn file_note(&mut self, rule: Rule, what: impl Into<String>) {
        self.add(rule, Severity::Warning, None, None, what);
    }

    /// An error on a page.
    pub(super) fn page(&mut self, rule: Rule, page: PageNo, what: impl Into<String>) {
        self.add(rule, Severity::Error, Some(page), None, what);
    }

    /// Something odd on a page.
    pub(super) fn page_note(&mut self, rule: Rule, page: PageNo, what: impl Into<String>) {
        self.add(rule, Severity::Warning, Some(page), None, what);
    }

    /// An error in a node.
    pub(super) fn node(&mut self, rule: Rule, page: PageNo, at: usize, what: impl Into<String>) {
        self.add(rule, Severity::Error, Some(page), Some(at), what);
    }

    /// Takes damage that a reading function found as a defect; any other error ends the
    /// verification.
    pub(super) fn found<T>(&mut self, rule: Rule, result: Result<T>) -> Result<Option<T>> {
        let error: Error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let ErrorKind::Corrupt { page, slot, what } = error.kind() else {
            return Err(error);
        };
        let page = page.map(|page| PageNo(u64::from(page)));
        self.add(rule, Severity::Error, page, slot.map(usize::from), what);
        Ok(None)
    }

    fn add(
        &mut self,
        rule: Rule,
        severity: Severity,
        page: Option<PageNo>,
        node: Option<usize>,
        what: impl Into<String>,
    ) {
        let (count, has_error) = self.counts.entry(rule).or_default();
        *count += 1;
        // The first error is kept behind any number of warnings.
        let first_error = severity == Severity::Error && !*has_error;
        *has_error |= first_error;
        if *count > KEPT_MAX && !first_error {
            self.omitted += 1;
            return;
        }
        self.list.push(Defect {
            rule,
            severity,
            page: page.map(|page| page.0),
            node: node.and_then(|node| u16::try_from(node).ok()),
            what: what.into(),
        });
    }
}
