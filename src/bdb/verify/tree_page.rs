//! One page of a tree: its index, its items, and that they fill the page.

use std::borrow::Cow;

use crate::bdb::PageNo;
use crate::bdb::item::{
    INTERNAL_HEADER_LEN, InternalItem, LEAF_HEADER_LEN, LeafItem, OffPage, TREE_ALIGNMENT, TreeKey,
};
use crate::bdb::page::{Page, PageKind};
use crate::bdb::verify::Invariant;
use crate::bdb::verify::walk::Walk;
use crate::defect::at_slot;
use crate::error::Result;
use crate::wire::ByteOrder;

/// Length of the entries of internal pages of unsorted duplicates.
const RECNO_INTERNAL_LEN: usize = 8;
/// The types of leaf and internal items, without the bit for deleted ones.
const ITEM_TYPES: std::ops::RangeInclusive<u8> = 1..=3;
const DELETED: u8 = 0x80;

/// What an entry says.
pub(super) enum Body<'a> {
    Bytes(Cow<'a, [u8]>),
    OffPage(OffPage),
    Duplicates(PageNo),
    /// Nothing: it only leads to a child.
    Nothing,
}

/// An index entry of a page of a tree.
pub(super) struct Entry<'a> {
    pub(super) slot: usize,
    pub(super) offset: usize,
    pub(super) body: Body<'a>,
    /// On internal pages.
    pub(super) child: PageNo,
    deleted: bool,
    stored_len: usize,
}

impl Entry<'_> {
    /// The key of another value of the key before.
    fn repeated(slot: usize, offset: usize) -> Self {
        Entry {
            slot,
            offset,
            body: Body::Nothing,
            child: PageNo::NONE,
            deleted: false,
            stored_len: 0,
        }
    }

    /// Whether the entry stands for the key of the entry before.
    pub(super) fn is_repeated(&self) -> bool {
        self.stored_len == 0
    }
}

impl<'a> Walk<'a> {
    /// Checks a page of a tree and returns its entries, as many as are well-formed. Says whether
    /// that is all of them.
    pub(super) fn tree_page(&mut self, page: &Page<'a>) -> Result<(Vec<Entry<'a>>, bool)> {
        let number = page.number().0;
        let Ok(index) = page.index() else {
            let what = format!("index of {} entries runs off the page", page.entry_count()?);
            self.defects.page(Invariant::P3, number, what);
            return Ok((Vec::new(), false));
        };
        let (order, kind) = (self.format().order, page.kind());
        let lowest = page.lowest_item()?;
        let size = self.format().size.bytes();
        let mut entries: Vec<Entry<'a>> = Vec::with_capacity(index.len() / 2);
        let mut complete = true;
        let mut last_key = None;
        let mut total = 0;
        for slot in 0..index.len() / 2 {
            let offset = usize::from(order.u16(index, 2 * slot).unwrap_or(0));
            if offset < lowest || offset >= size || !offset.is_multiple_of(TREE_ALIGNMENT) {
                let what = format!("item begins at {offset}");
                self.defects.slot(Invariant::P3, number, slot, what);
                complete = false;
                continue;
            }
            // Values of one key share the key's item.
            let is_key = kind == PageKind::BtreeLeaf && slot % 2 == 0;
            if self.duplicates && is_key && last_key.replace(offset) == Some(offset) {
                entries.push(Entry::repeated(slot, offset));
                continue;
            }
            match parse(page, slot, offset, kind, order) {
                Ok(entry) if total + entry.stored_len > size => {
                    // What overlaps could be as much as the square of the page.
                    let what = "items are longer than the page in sum";
                    self.defects.slot(Invariant::P7, number, slot, what);
                    return Ok((entries, false));
                }
                Ok(entry) if offset + entry.stored_len > size => {
                    let what = "item runs off the page";
                    self.defects.slot(Invariant::P3, number, slot, what);
                    complete = false;
                }
                Ok(entry) => {
                    total += entry.stored_len;
                    if entry.deleted {
                        let what = "item is marked as deleted";
                        self.defects.slot(Invariant::B8, number, slot, what);
                    }
                    entries.push(entry);
                }
                Err((rule, what)) => {
                    self.defects.slot(rule, number, slot, what);
                    complete = false;
                }
            }
        }
        if complete {
            self.cover(page, &entries)?;
        }
        Ok((entries, complete))
    }

    /// That the items fill the page from the lowest to its end.
    fn cover(&mut self, page: &Page<'_>, entries: &[Entry<'_>]) -> Result<()> {
        let number = page.number().0;
        let size = self.format().size.bytes();
        let mut ranges = Vec::with_capacity(entries.len());
        for entry in entries.iter().filter(|entry| !entry.is_repeated()) {
            ranges.push((entry.offset, entry.offset + entry.stored_len));
        }
        ranges.sort_unstable();
        let lowest = ranges.first().map_or(size, |range| range.0);
        let stated = page.items_offset()?;
        let expected = match ranges.first() {
            Some(range) => u16::try_from(range.0).unwrap_or(0),
            None => page.format().empty_items_offset(),
        };
        if stated != expected {
            let what = format!("items are said to begin at {stated}, but begin at {lowest}");
            self.defects.page(Invariant::P4, number, what);
        }
        if page.kind() == PageKind::BtreeLeaf {
            self.statistics.used_bytes += (2 * entries.len() + size - lowest) as u64;
        }
        let mut end = lowest;
        for (start, behind) in ranges.iter().copied().chain([(size, size)]) {
            if start != end {
                let what = if start > end {
                    format!("no item covers the bytes from {end} to {start}")
                } else {
                    format!("two items cover the bytes from {start} to {end}")
                };
                self.defects.page(Invariant::P7, number, what);
                break;
            }
            end = behind;
        }
        Ok(())
    }

    /// Warns of an item that should be on overflow pages.
    pub(super) fn check_tree_len(&mut self, page: u32, entry: &Entry<'_>, most: usize) {
        if let Body::Bytes(bytes) = &entry.body
            && bytes.len() > most
        {
            let what = format!(
                "item of {} bytes lies on the page, the most is {most}",
                bytes.len()
            );
            let place = at_slot(page, entry.slot);
            self.defects.warn(Invariant::P6, place, what);
        }
    }
}

/// The item at `offset`, or which rule it breaks and how.
fn parse<'a>(
    page: &Page<'a>,
    slot: usize,
    offset: usize,
    kind: PageKind,
    order: ByteOrder,
) -> Result<Entry<'a>, (Invariant, String)> {
    let cut_short = || (Invariant::P3, "item runs off the page".to_string());
    let item = page.bytes().get(offset..).ok_or_else(cut_short)?;
    let slice = |start: usize, len: usize| {
        let start = offset + start;
        page.slice(start..start + len).map_err(|_| cut_short())
    };
    let entry = |body, child, deleted, stored_len: usize| Entry {
        slot,
        offset,
        body,
        child,
        deleted,
        stored_len: stored_len.next_multiple_of(TREE_ALIGNMENT),
    };
    match kind {
        PageKind::RecnoInternal => {
            let child = order.u32(item, 0).ok_or_else(cut_short)?;
            Ok(entry(
                Body::Nothing,
                PageNo(child),
                false,
                RECNO_INTERNAL_LEN,
            ))
        }
        PageKind::BtreeInternal => {
            let parsed = InternalItem::parse(item, order).map_err(|what| (rule(item), what))?;
            let body = match parsed.key {
                TreeKey::OnPage(key) => Body::Bytes(slice(INTERNAL_HEADER_LEN, key.len())?),
                TreeKey::OffPage(item) => Body::OffPage(item),
            };
            Ok(entry(body, parsed.child, false, parsed.stored_len()))
        }
        _ => {
            let (parsed, deleted) =
                LeafItem::parse(item, order).map_err(|what| (rule(item), what))?;
            let body = match parsed {
                LeafItem::OnPage(bytes) => Body::Bytes(slice(LEAF_HEADER_LEN, bytes.len())?),
                LeafItem::OffPage(item) => Body::OffPage(item),
                LeafItem::OffPageDuplicates(root) => Body::Duplicates(root),
            };
            Ok(entry(body, PageNo::NONE, deleted, parsed.stored_len()))
        }
    }
}

/// The rule that an item breaks which cannot be read: its type is wrong, or it is cut short.
fn rule(item: &[u8]) -> Invariant {
    match item.get(2) {
        Some(kind) if !ITEM_TYPES.contains(&(kind & !DELETED)) => Invariant::P5,
        _ => Invariant::P3,
    }
}
