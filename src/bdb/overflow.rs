//! Keys and values that are too long for a page: chains of overflow pages.
//!
//! Hostile chains may loop, cross, or claim any length. A walk ends as soon as a page does not
//! link back to the one before it, or when the claimed length is reached, and memory grows only
//! with the bytes that are really there.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::bdb::PageNo;
use crate::bdb::item::OffPage;
use crate::bdb::page::{PageKind, PageSet, Pages};
use crate::error::{Error, Result};

/// The parts of a chain, in order.
struct Parts<'p, 'a> {
    pages: &'p Pages<'a>,
    next: PageNo,
    prev: PageNo,
    missing: u32,
}

impl<'p, 'a> Parts<'p, 'a> {
    fn new(pages: &'p Pages<'a>, item: OffPage) -> Result<Parts<'p, 'a>> {
        let most = u64::from(pages.count()) * pages.format().room() as u64;
        if u64::from(item.len) > most {
            let what = format!("item of {} bytes is longer than the file", item.len);
            return Err(Error::corrupt_page(item.first.0, what));
        }
        Ok(Parts {
            pages,
            next: item.first,
            prev: PageNo::NONE,
            missing: item.len,
        })
    }

    /// The number and the payload of the next page, or `None` at the end.
    fn next_part(&mut self) -> Result<Option<(PageNo, Cow<'a, [u8]>)>> {
        if self.missing == 0 {
            return Ok(None);
        }
        let number = self.next;
        if number == PageNo::NONE {
            let what = format!("chain ends {} bytes early", self.missing);
            return Err(Error::corrupt_page(self.prev.0, what));
        }
        let page = self.pages.page(number)?;
        let defect = |what: String| Err(Error::corrupt_page(number.0, what));
        if page.kind() != PageKind::Overflow {
            return defect(format!("overflow page has type {}", page.kind().byte()));
        }
        // A page has one `prev`, so this also ends every loop.
        if page.prev()? != self.prev {
            return defect(format!(
                "page links back to {}, not {}",
                page.prev()?,
                self.prev
            ));
        }
        let len = usize::from(page.items_offset()?);
        if len == 0 || len > self.pages.format().room() {
            return defect(format!("overflow page holds {len} bytes"));
        }
        match u32::try_from(len)
            .ok()
            .and_then(|len| self.missing.checked_sub(len))
        {
            Some(missing) => self.missing = missing,
            None => return defect(format!("chain is longer than its item, {len} bytes here")),
        }
        let start = self.pages.format().header_len();
        let part = page.slice(start..start + len)?;
        self.next = page.next()?;
        self.prev = number;
        if self.missing == 0 && self.next != PageNo::NONE {
            return defect(format!(
                "chain goes on behind its end, to page {}",
                self.next
            ));
        }
        Ok(Some((number, part)))
    }
}

/// The whole item. With `seen`, a page that is in the set already is an error: a full listing
/// reads each overflow page once, however many items point at it.
pub(crate) fn read(
    pages: &Pages<'_>,
    item: OffPage,
    mut seen: Option<&mut PageSet>,
) -> Result<Vec<u8>> {
    let mut parts = Parts::new(pages, item)?;
    let mut whole = Vec::new();
    while let Some((number, part)) = parts.next_part()? {
        if let Some(seen) = seen.as_deref_mut()
            && !seen.insert(number)
        {
            return Err(Error::corrupt_page(
                number.0,
                "overflow page belongs to two items",
            ));
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}

/// Whether the item is exactly `bytes`. Compares lengths before it touches the chain.
pub(crate) fn equals(pages: &Pages<'_>, item: OffPage, bytes: &[u8]) -> Result<bool> {
    if usize::try_from(item.len) != Ok(bytes.len()) {
        return Ok(false);
    }
    let mut parts = Parts::new(pages, item)?;
    let mut rest = bytes;
    while let Some((_, part)) = parts.next_part()? {
        match rest.strip_prefix(&*part) {
            Some(behind) => rest = behind,
            None => return Ok(false),
        }
    }
    Ok(rest.is_empty())
}

/// The pages of the item's chain, in order, about to be freed. A page in `freed` belongs to
/// another item too.
pub(crate) fn pages(pages: &Pages<'_>, item: OffPage, freed: &mut PageSet) -> Result<Vec<PageNo>> {
    let mut parts = Parts::new(pages, item)?;
    let mut numbers = Vec::new();
    while let Some((number, _)) = parts.next_part()? {
        if !freed.insert(number) {
            return Err(Error::corrupt_page(
                number.0,
                "overflow page belongs to two items",
            ));
        }
        numbers.push(number);
    }
    Ok(numbers)
}

/// How the item compares to `bytes`: byte by byte, a prefix first. Reads no further than the first
/// difference.
pub(crate) fn compare(pages: &Pages<'_>, item: OffPage, bytes: &[u8]) -> Result<Ordering> {
    let mut parts = Parts::new(pages, item)?;
    let mut rest = bytes;
    while let Some((_, part)) = parts.next_part()? {
        let (front, behind) = rest.split_at_checked(part.len()).unwrap_or((rest, &[]));
        // A shorter front is a prefix or differs; in both cases that decides.
        match (*part).cmp(front) {
            Ordering::Equal => rest = behind,
            different => return Ok(different),
        }
    }
    Ok(if rest.is_empty() {
        Ordering::Equal
    } else {
        Ordering::Less
    })
}
