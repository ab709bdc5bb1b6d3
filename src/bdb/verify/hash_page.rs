//! One hash page: its index, its items, their order.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use crate::bdb::duplicate::{self, Walk as Go};
use crate::bdb::hash::pairs::{DUPLICATES_AS_KEY, compare_keys};
use crate::bdb::item::{HASH_OFF_PAGE_DUPLICATES, HashItem};
use crate::bdb::page::{Page, PageKind};
use crate::bdb::verify::Invariant;
use crate::bdb::verify::walk::{Referrer, Walk};
use crate::defect::{Severity, at_slot};
use crate::error::Result;

/// Length of a reference to a tree of duplicates: type, three bytes without meaning, root page.
const OFF_PAGE_DUPLICATES_LEN: usize = 8;

/// A key of a page, with what looking it up costs.
pub(super) struct FoundKey<'a> {
    pub(super) slot: usize,
    /// `None` when its overflow chain is damaged.
    pub(super) bytes: Option<Cow<'a, [u8]>>,
    is_off_page: bool,
    /// Pages of overflow chains and trees that key and value take.
    pub(super) extra_pages: u64,
}

impl<'a> Walk<'a> {
    /// Checks the pairs of a hash page and returns their keys.
    pub(super) fn hash_page(&mut self, page: &Page<'a>) -> Result<Vec<FoundKey<'a>>> {
        let number = page.number().0;
        let entry_count = usize::from(page.entry_count()?);
        if entry_count % 2 != 0 {
            let what = format!("index has {entry_count} entries");
            self.defects.page(Invariant::P2, number, what);
        }
        let Some(offsets) = self.hash_offsets(page)? else {
            return Ok(Vec::new());
        };
        let size = self.format().size.bytes();
        let mut end = size;
        let mut keys = Vec::with_capacity(offsets.len() / 2);
        for (at, pair) in offsets.chunks_exact(2).enumerate() {
            if let [key, value] = *pair {
                keys.push(self.pair(page, 2 * at, key..end, value..key)?);
                end = value;
            }
        }
        let lowest = offsets.last().copied().unwrap_or(size);
        self.statistics.used_bytes += (2 * entry_count + size - lowest) as u64;
        if offsets.len() == entry_count {
            let stated = page.items_offset()?;
            let expected = match offsets.last() {
                Some(&lowest) => u16::try_from(lowest).unwrap_or(0),
                None => page.format().empty_items_offset(),
            };
            if stated != expected {
                let what = format!("items are said to begin at {stated}, but begin at {lowest}");
                self.defects.page(Invariant::P4, number, what);
            }
        }
        if page.kind() == PageKind::HashSorted {
            self.hash_order(number, &keys);
        }
        Ok(keys)
    }

    /// The offsets of the items, as many as lie where they must.
    fn hash_offsets(&mut self, page: &Page<'_>) -> Result<Option<Vec<usize>>> {
        let number = page.number().0;
        let Ok(index) = page.index() else {
            let what = format!("index of {} entries runs off the page", page.entry_count()?);
            self.defects.page(Invariant::P3, number, what);
            return Ok(None);
        };
        let lowest = page.lowest_item()?;
        let mut end = page.format().size.bytes();
        let mut offsets = Vec::with_capacity(index.len() / 2);
        for slot in 0..index.len() / 2 {
            let offset = page.format().order.u16(index, 2 * slot);
            let offset = usize::from(offset.unwrap_or(0));
            if offset < lowest || offset >= end {
                let what = format!("item begins at {offset}, not from {lowest} to {}", end - 1);
                self.defects.slot(Invariant::P3, number, slot, what);
                break;
            }
            offsets.push(offset);
            end = offset;
        }
        Ok(Some(offsets))
    }

    /// Checks a pair; `slot` is the index entry of the key.
    fn pair(
        &mut self,
        page: &Page<'a>,
        slot: usize,
        key: Range<usize>,
        value: Range<usize>,
    ) -> Result<FoundKey<'a>> {
        let number = page.number().0;
        let mut found = FoundKey {
            slot,
            bytes: None,
            is_off_page: false,
            extra_pages: 0,
        };
        let room = self.format().room() as u64;
        let pages_of = |len: u32| u64::from(len).div_ceil(room);
        let bytes = page.bytes();
        let order = self.format().order;
        let place = |slot| Referrer { page: number, slot };

        match HashItem::parse(bytes.get(key.clone()).unwrap_or_default(), order) {
            Ok(HashItem::OnPage(bytes)) => {
                self.check_len(place(slot), bytes.len());
                found.bytes = page.slice(key.start + 1..key.end).ok();
            }
            Ok(HashItem::OffPage(item)) => {
                found.is_off_page = true;
                found.extra_pages += pages_of(item.len);
                found.bytes = self.chain(place(slot), item, true)?.map(Cow::Owned);
            }
            Ok(HashItem::Duplicates(_) | HashItem::OffPageDuplicates(_)) => {
                self.defects
                    .slot(Invariant::P5, number, slot, DUPLICATES_AS_KEY);
            }
            Err(what) => self.defects.slot(Invariant::P5, number, slot, what),
        }

        let slot = slot + 1;
        let item = bytes.get(value).unwrap_or_default();
        let is_short = item.first() == Some(&HASH_OFF_PAGE_DUPLICATES)
            && item.len() != OFF_PAGE_DUPLICATES_LEN;
        match HashItem::parse(item, order) {
            Ok(HashItem::OnPage(bytes)) => {
                self.check_len(place(slot), bytes.len());
                self.statistics.entries += 1;
            }
            Ok(HashItem::OffPage(item)) => {
                found.extra_pages += pages_of(item.len);
                self.chain(place(slot), item, false)?;
                self.statistics.entries += 1;
            }
            Ok(_) if !self.duplicates => {
                let what = "several values for a key in a file that does not allow it";
                self.defects.slot(Invariant::P5, number, slot, what);
            }
            Ok(HashItem::Duplicates(values)) => {
                let mut count = 0;
                let walked = duplicate::on_page(values, order, |_| {
                    count += 1;
                    Go::On
                });
                self.statistics.entries += count;
                let walked = walked.and_then(|()| match count {
                    0 => Err("set of duplicates is empty".into()),
                    _ => Ok(()),
                });
                if let Err(what) = walked {
                    self.defects.slot(Invariant::P5, number, slot, what);
                }
            }
            Ok(HashItem::OffPageDuplicates(_)) if is_short => {
                let what = format!("reference to duplicates of {} bytes", item.len());
                self.defects.slot(Invariant::P5, number, slot, what);
            }
            Ok(HashItem::OffPageDuplicates(root)) => {
                let (height, entries) = self.duplicate_tree(place(slot), root)?;
                found.extra_pages += u64::from(height);
                self.statistics.entries += entries;
            }
            Err(what) => self.defects.slot(Invariant::P5, number, slot, what),
        }
        Ok(found)
    }

    fn check_len(&mut self, place: Referrer, len: usize) {
        let most = self.format().size.bytes() / 4;
        if len > most {
            let what = format!("item of {len} bytes lies on the page, the most is {most}");
            let place = at_slot(place.page, place.slot);
            self.defects.warn(Invariant::P6, place, what);
        }
    }

    /// The order of a sorted page. With an off-page key among them the order is one that Berkeley
    /// DB itself does not keep.
    fn hash_order(&mut self, page: u32, keys: &[FoundKey<'_>]) {
        let mixed = keys.iter().any(|key| key.is_off_page);
        let severity = if mixed {
            Severity::Warning
        } else {
            Severity::Error
        };
        for pair in keys.windows(2) {
            let [before, key] = pair else { continue };
            let (Some(a), Some(b)) = (&before.bytes, &key.bytes) else {
                continue;
            };
            // Equal keys break another rule.
            if compare_keys(a, before.is_off_page, b, key.is_off_page) == Ordering::Greater {
                let place = at_slot(page, key.slot);
                let what = "key should stand before the one before it";
                self.defects.add(Invariant::H11, severity, place, what);
            }
        }
    }
}
