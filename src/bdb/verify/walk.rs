//! Who owns which page; what the free list names, and what nobody owns.

use std::collections::HashMap;

use crate::bdb::PageNo;
use crate::bdb::meta::{AccessMethod, FREE_OFFSET, RawMeta};
use crate::bdb::page::{Page, PageFormat, PageKind, Pages};
use crate::bdb::verify::chain::Shared;
use crate::bdb::verify::meta::Known;
use crate::bdb::verify::report::Defects;
use crate::bdb::verify::{Invariant, PageCounts, Report, Statistics};
use crate::defect::Place;
use crate::error::Result;
use crate::file::store::Session;

/// What a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    None,
    Meta,
    Bucket,
    Chain,
    UnusedBucket,
    Internal,
    Leaf,
    Duplicate,
    Overflow,
    Free,
}

/// A place in an index: whose item refers to other pages.
#[derive(Clone, Copy)]
pub(super) struct Referrer {
    pub(super) page: u32,
    pub(super) slot: usize,
}

/// A verification on its way.
pub(super) struct Walk<'a> {
    pub(super) pages: Pages<'a>,
    pub(super) version: u32,
    pub(super) duplicates: bool,
    pub(super) method: AccessMethod,
    file_page_count: u32,
    owners: Vec<Owner>,
    pub(super) defects: Defects,
    pub(super) statistics: Statistics,
    /// Overflow chains that may have several references, by their first page.
    pub(super) shared: HashMap<PageNo, Shared>,
    /// How many more pages of shared chains may be read again.
    pub(super) rereads: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        session: Session<'a>,
        raw: &RawMeta<'_>,
        known: Known,
        defects: Defects,
    ) -> Walk<'a> {
        let identity = raw.identity();
        let mut owners = vec![Owner::None; known.page_count as usize];
        if let Some(meta) = owners.first_mut() {
            *meta = Owner::Meta;
        }
        Walk {
            pages: Pages::new(session, known.format, known.page_count),
            version: identity.version,
            duplicates: raw.duplicates(),
            method: identity.method,
            file_page_count: known.file_page_count,
            owners,
            defects,
            statistics: Statistics {
                method: identity.method,
                version: identity.version,
                order: identity.order,
                page_size: known.format.size,
                checksums: known.format.checksum,
                entries: 0,
                buckets: 0,
                pages: PageCounts::default(),
                used_bytes: 0,
                room_bytes: 0,
                chain_lengths: Default::default(),
                longest_lookup: 0,
                off_page_items: 0,
                height: None,
            },
            shared: HashMap::new(),
            rereads: 4 * u64::from(known.page_count),
        }
    }

    pub(super) fn format(&self) -> PageFormat {
        self.pages.format()
    }

    /// Whether the number is that of a page other than the meta page.
    pub(super) fn is_page(&self, number: PageNo) -> bool {
        number != PageNo::NONE && number.0 < self.pages.count()
    }

    /// Takes a page for `owner`, or says whose it is already. The page must be one.
    pub(super) fn claim(&mut self, number: PageNo, owner: Owner) -> Result<(), Owner> {
        match self.owners.get_mut(number.0 as usize) {
            Some(free @ Owner::None) => {
                *free = owner;
                Ok(())
            }
            Some(other) => Err(*other),
            None => Err(Owner::None),
        }
    }

    /// Says more exactly what a claimed page is.
    pub(super) fn change_owner(&mut self, number: PageNo, owner: Owner) {
        if let Some(claimed) = self.owners.get_mut(number.0 as usize) {
            *claimed = owner;
        }
    }

    /// A page that is owned, checked for its number and checksum; `None` after a defect, and for a
    /// blank page where `may_be_blank`.
    pub(super) fn owned_page(
        &mut self,
        number: PageNo,
        may_be_blank: bool,
    ) -> Result<Option<Page<'a>>> {
        let Some(page) = self.pages.unchecked(number)? else {
            let what = "page lies beyond the end of the file";
            self.defects.page(Invariant::F4, number.0, what);
            return Ok(None);
        };
        let stated = page.stated_number()?;
        if stated != number {
            if !page.is_blank() {
                let what = format!("page carries the number {stated}");
                self.defects.page(Invariant::F4, number.0, what);
            } else if !may_be_blank {
                let what = "page is blank";
                self.defects.page(Invariant::F4, number.0, what);
            }
            return Ok(None);
        }
        if !page.has_right_sum()? {
            let what = "checksum is wrong";
            self.defects.page(Invariant::F10, number.0, what);
        }
        Ok(Some(page))
    }

    /// Walks the free list.
    pub(super) fn free_list(&mut self, raw: &RawMeta<'_>) -> Result<()> {
        let mut number = PageNo(raw.field(FREE_OFFSET));
        let mut from = 0;
        while number != PageNo::NONE {
            if !self.is_page(number) {
                let what = format!("free list goes on to page {number}, which does not exist");
                self.defects.page(Invariant::F6, from, what);
                return Ok(());
            }
            if let Err(owner) = self.claim(number, Owner::Free) {
                let what = match owner {
                    Owner::Free => "free list loops to this page".to_string(),
                    owner => format!("page is on the free list, but {}", in_words(owner)),
                };
                self.defects.page(Invariant::F6, number.0, what);
                return Ok(());
            }
            let Some(page) = self.owned_page(number, false)? else {
                return Ok(());
            };
            if page.kind() != PageKind::Free {
                let what = format!("page on the free list has type {}", page.kind().byte());
                self.defects.page(Invariant::F7, number.0, what);
            }
            from = number.0;
            number = page.next()?;
        }
        Ok(())
    }

    /// Looks at the pages that nobody claimed.
    pub(super) fn unowned(&mut self) -> Result<()> {
        for number in (1..self.pages.count()).map(PageNo) {
            if self.owners.get(number.0 as usize) != Some(&Owner::None) {
                continue;
            }
            let Some(page) = self.pages.unchecked(number)? else {
                continue;
            };
            let kind = page.kind();
            let is_leak = self.method == AccessMethod::Hash
                && (kind.is_hash() || kind == PageKind::Free || page.is_blank());
            let what = format!("page of type {} belongs to nothing", kind.byte());
            if is_leak {
                let place = Place::Page(number.0.into());
                self.defects.warn(Invariant::F9, place, what);
            } else {
                self.defects.page(Invariant::F8, number.0, what);
            }
        }
        Ok(())
    }

    /// What was found.
    pub(super) fn finish(mut self) -> Report {
        self.check_shared();
        let counts = &mut self.statistics.pages;
        for owner in &self.owners {
            let count = match owner {
                Owner::None => &mut counts.unowned,
                Owner::Meta => &mut counts.meta,
                Owner::Bucket => &mut counts.bucket,
                Owner::Chain => &mut counts.chain,
                Owner::UnusedBucket => &mut counts.unused_bucket,
                Owner::Internal => &mut counts.internal,
                Owner::Leaf => &mut counts.leaf,
                Owner::Duplicate => &mut counts.duplicate,
                Owner::Overflow => &mut counts.overflow,
                Owner::Free => &mut counts.free,
            };
            *count += 1;
        }
        counts.behind_end = self.file_page_count.saturating_sub(self.pages.count());
        self.defects.into_report(Some(self.statistics))
    }
}

/// What the page of this owner is, to follow "page is wanted here, but ".
pub(super) fn in_words(owner: Owner) -> &'static str {
    match owner {
        Owner::None => "does not exist",
        Owner::Meta => "is the meta page",
        Owner::Bucket => "is the first page of a bucket",
        Owner::Chain => "belongs to a bucket",
        Owner::UnusedBucket => "is reserved for a bucket",
        Owner::Internal => "is an internal page of the tree",
        Owner::Leaf => "is a leaf of the tree",
        Owner::Duplicate => "belongs to a tree of duplicates",
        Owner::Overflow => "belongs to an overflow chain",
        Owner::Free => "is on the free list",
    }
}
