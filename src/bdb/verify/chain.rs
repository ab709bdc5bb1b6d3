//! Overflow chains.

use crate::bdb::PageNo;
use crate::bdb::item::OffPage;
use crate::bdb::meta::AccessMethod;
use crate::bdb::overflow;
use crate::bdb::page::PageKind;
use crate::bdb::verify::Invariant;
use crate::bdb::verify::walk::{Owner, Referrer, Walk, in_words};
use crate::error::Result;

/// A chain of a btree, which in files of old versions several keys can refer to.
pub(super) struct Shared {
    stated_references: u16,
    references: u64,
    len: u32,
}

impl Walk<'_> {
    /// Checks the chain of an item that lies at `place`, and returns its bytes if it is intact and
    /// `wanted`.
    pub(super) fn chain(
        &mut self,
        place: Referrer,
        item: OffPage,
        wanted: bool,
    ) -> Result<Option<Vec<u8>>> {
        self.statistics.off_page_items += 1;
        if !self.is_page(item.first) {
            let what = format!("item begins on page {}, which does not exist", item.first);
            self.defects
                .slot(Invariant::O1, place.page, place.slot, what);
            return Ok(None);
        }
        let shared = self.shared.get(&item.first).map(|shared| shared.len);
        if let Some(len) = shared {
            return self.shared_chain(place, item, len, wanted);
        }
        let mut bytes = Vec::new();
        let mut missing = item.len;
        let (mut number, mut prev) = (item.first, PageNo::NONE);
        let mut intact = true;
        loop {
            if let Err(owner) = self.claim(number, Owner::Overflow) {
                let rule = match owner {
                    Owner::Overflow => Invariant::O6,
                    _ => Invariant::F5,
                };
                let what = format!(
                    "overflow chain comes here, but the page {}",
                    in_words(owner)
                );
                self.defects.page(rule, number.0, what);
                return Ok(None);
            }
            let Some(part) = self.part(number, prev, &mut intact)? else {
                return Ok(None);
            };
            if let Some(rest) = missing.checked_sub(part.len) {
                missing = rest;
            } else {
                let what = format!("chain holds more than the {} bytes of its item", item.len);
                self.defects.page(Invariant::O5, number.0, what);
                intact = false;
                missing = 0;
            }
            if wanted {
                bytes.extend_from_slice(&part.payload);
            }
            if prev == PageNo::NONE {
                self.count_references(number, item.len, part.references);
            } else if part.references != 1 {
                let what = format!("reference count is {}", part.references);
                self.defects.page(Invariant::O4, number.0, what);
            }
            if part.next == PageNo::NONE {
                break;
            }
            if !self.is_page(part.next) {
                let what = format!("chain goes on to page {}, which does not exist", part.next);
                self.defects.page(Invariant::O1, number.0, what);
                return Ok(None);
            }
            prev = number;
            number = part.next;
        }
        if missing > 0 {
            let what = format!("chain ends {missing} bytes early");
            self.defects.page(Invariant::O5, number.0, what);
            intact = false;
        }
        Ok((intact && wanted).then_some(bytes))
    }

    /// One page of a chain; `None` when it is none.
    fn part(&mut self, number: PageNo, prev: PageNo, intact: &mut bool) -> Result<Option<Part>> {
        let Some(page) = self.pages.unchecked(number)? else {
            return Ok(None);
        };
        let mut defect = |rule, what: String| {
            self.defects.page(rule, number.0, what);
            *intact = false;
        };
        if page.kind() != PageKind::Overflow {
            let kind = page.kind().byte();
            defect(Invariant::O2, format!("overflow page has type {kind}"));
            return Ok(None);
        }
        let stated = page.stated_number()?;
        if stated != number {
            let what = format!("page carries the number {stated}");
            defect(Invariant::O2, what);
        }
        if page.level() != 0 {
            let what = format!("overflow page has level {}", page.level());
            defect(Invariant::O2, what);
        }
        if !page.has_right_sum()? {
            defect(Invariant::F10, "checksum is wrong".into());
        }
        if page.prev()? != prev {
            let what = format!("page links back to {}, not {prev}", page.prev()?);
            defect(Invariant::O3, what);
        }
        let len = page.items_offset()?;
        let start = page.format().header_len();
        let fits = len > 0 && usize::from(len) <= page.format().room();
        if !fits {
            defect(Invariant::O5, format!("overflow page holds {len} bytes"));
        }
        let payload = page.bytes().get(start..start + usize::from(len));
        Ok(Some(Part {
            payload: payload.filter(|_| fits).unwrap_or_default().to_vec(),
            len: u32::from(len),
            next: page.next()?,
            references: page.entry_count()?,
        }))
    }

    fn count_references(&mut self, first: PageNo, len: u32, stated_references: u16) {
        if self.method == AccessMethod::Btree {
            let shared = Shared {
                stated_references,
                references: 1,
                len,
            };
            self.shared.insert(first, shared);
        } else if stated_references != 1 {
            let what = format!("reference count is {stated_references}");
            self.defects.page(Invariant::O4, first.0, what);
        }
    }

    /// A chain that was checked before for another item of a btree.
    fn shared_chain(
        &mut self,
        place: Referrer,
        item: OffPage,
        len: u32,
        wanted: bool,
    ) -> Result<Option<Vec<u8>>> {
        if len != item.len {
            let what = format!(
                "item of {} bytes shares its chain with one of {len}",
                item.len
            );
            self.defects
                .slot(Invariant::O6, place.page, place.slot, what);
            return Ok(None);
        }
        if let Some(shared) = self.shared.get_mut(&item.first) {
            shared.references += 1;
        }
        let pages = 1 + u64::from(item.len) / self.format().room() as u64;
        if !wanted {
            return Ok(None);
        }
        let Some(rest) = self.rereads.checked_sub(pages) else {
            let what = "too many items share their chains; not compared";
            self.defects
                .slot(Invariant::O4, place.page, place.slot, what);
            return Ok(None);
        };
        self.rereads = rest;
        Ok(overflow::read(&self.pages, item, None).ok())
    }

    /// Compares the references counted with those the chains tell.
    pub(super) fn check_shared(&mut self) {
        let mut shared: Vec<_> = self.shared.drain().collect();
        shared.sort_unstable_by_key(|(first, _)| *first);
        for (first, shared) in shared {
            if u64::from(shared.stated_references) != shared.references {
                let what = format!(
                    "reference count is {}, but {} items refer to the chain",
                    shared.stated_references, shared.references
                );
                self.defects.page(Invariant::O4, first.0, what);
            }
        }
    }
}

struct Part {
    payload: Vec<u8>,
    len: u32,
    next: PageNo,
    references: u16,
}
