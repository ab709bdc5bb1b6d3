//! Several values under one key. Postfix never writes them; other programs' files may hold them.

use crate::bdb::PageNo;
use crate::bdb::item::{LEAF_HEADER_LEN, LeafItem};
use crate::bdb::overflow;
use crate::bdb::page::{Page, PageKind, PageSet, Pages};
use crate::error::{Error, Result};
use crate::wire::ByteOrder;

/// Whether a walk goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    /// To the next value.
    On,
    /// No further.
    Stop,
}

/// The values of an item that holds them on its page: `u16` length, bytes, the length again.
pub(crate) fn on_page<'v>(
    mut values: &'v [u8],
    order: ByteOrder,
    mut each: impl FnMut(&'v [u8]) -> Walk,
) -> Result<(), String> {
    while !values.is_empty() {
        let len = usize::from(order.u16(values, 0).ok_or("duplicates are cut short")?);
        let value = values
            .get(2..2 + len)
            .ok_or("duplicate runs off its item")?;
        if order.u16(values, 2 + len).map(usize::from) != Some(len) {
            return Err("the two lengths of a duplicate differ".into());
        }
        if each(value) == Walk::Stop {
            return Ok(());
        }
        values = values.get(4 + len..).unwrap_or_default();
    }
    Ok(())
}

/// The values of a tree of duplicates, in the tree's order.
pub(crate) fn off_page(
    pages: &Pages<'_>,
    root: PageNo,
    mut seen: Option<&mut PageSet>,
    mut each: impl FnMut(Vec<u8>) -> Walk,
) -> Result<()> {
    let mut leaf = leftmost_leaf(pages, root)?;
    let mut visited = 0;
    loop {
        let number = leaf.number();
        visited += 1;
        let again = seen.as_deref_mut().is_some_and(|seen| !seen.insert(number));
        if again || visited > pages.count() {
            return Err(Error::corrupt_page(
                number.0,
                "leaf of duplicates is visited twice",
            ));
        }
        // Many entries of an index may point at one item; the values would outgrow the file.
        let mut items_len = 0;
        for slot in 0..leaf.entry_count()? {
            let item = leaf
                .bytes()
                .get(item_offset(&leaf, slot)?..)
                .unwrap_or_default();
            let (item, deleted) = LeafItem::parse(item, leaf.format().order)
                .map_err(|what| Error::corrupt_slot(number.0, slot, what))?;
            if deleted {
                continue;
            }
            let value = match item {
                LeafItem::OnPage(value) => {
                    items_len += LEAF_HEADER_LEN + value.len();
                    if items_len > leaf.format().room() {
                        let what = "items overlap";
                        return Err(Error::corrupt_slot(number.0, slot, what));
                    }
                    value.to_vec()
                }
                LeafItem::OffPage(item) => overflow::read(pages, item, seen.as_deref_mut())?,
                LeafItem::OffPageDuplicates(_) => {
                    let what = "duplicates of a duplicate";
                    return Err(Error::corrupt_slot(number.0, slot, what));
                }
            };
            if each(value) == Walk::Stop {
                return Ok(());
            }
        }
        let next = leaf.next()?;
        if next == PageNo::NONE {
            return Ok(());
        }
        leaf = pages.page(next)?;
        check_leaf(&leaf)?;
        if leaf.prev()? != number {
            return Err(Error::corrupt_page(
                next.0,
                format!("page does not link back to {number}"),
            ));
        }
    }
}

fn leftmost_leaf<'a>(pages: &Pages<'a>, root: PageNo) -> Result<Page<'a>> {
    let mut page = pages.page(root)?;
    // The level falls with every step, so the descent ends.
    while let Some(child_offset) = match page.kind() {
        PageKind::BtreeInternal => Some(4),
        PageKind::RecnoInternal => Some(0),
        _ => None,
    } {
        let child = page.u32(item_offset(&page, 0)? + child_offset)?;
        let level = page.level();
        page = pages.page(PageNo(child))?;
        if page.level() >= level {
            return Err(Error::corrupt_page(
                child,
                "tree of duplicates does not descend",
            ));
        }
    }
    check_leaf(&page)?;
    Ok(page)
}

fn check_leaf(page: &Page<'_>) -> Result<()> {
    match page.kind() {
        PageKind::DuplicateLeaf | PageKind::RecnoLeaf => Ok(()),
        kind => {
            let what = format!("leaf of duplicates has type {}", kind.byte());
            Err(Error::corrupt_page(page.number().0, what))
        }
    }
}

fn item_offset(page: &Page<'_>, slot: u16) -> Result<usize> {
    let offset = page
        .format()
        .order
        .u16(page.index()?, 2 * usize::from(slot))
        .map(usize::from);
    match offset {
        Some(offset) if offset >= page.lowest_item()? => Ok(offset),
        _ => Err(Error::corrupt_slot(
            page.number().0,
            slot,
            "item lies in the index",
        )),
    }
}
