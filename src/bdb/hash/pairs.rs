//! The pairs of one hash page, and the order they stand in.
//!
//! Index entry 2i is the key of pair i, entry 2i + 1 its value. Item lengths are not stored: item 0
//! ends at the end of the page, every other item where the item before it begins. So the offsets
//! of an intact page fall strictly, and that is checked for every item before it is touched.

use std::cmp::Ordering;
use std::ops::Range;

use crate::bdb::item::{HASH_OFF_PAGE, HASH_ON_PAGE, HashItem};
use crate::bdb::page::Page;
use crate::error::{Error, Result};
use crate::wire;

/// Where the key and the value of a pair lie on their page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The index entry of the key; the value's is the next one.
    pub slot: u16,
    /// The key's item, type byte included.
    pub key: Range<usize>,
    /// The value's item, type byte included.
    pub value: Range<usize>,
}

/// A place between two pairs of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    slot: u16,
    end: usize,
}

impl Position {
    /// Where the lowest item passed so far begins; the end of the page before the first.
    pub fn lowest_item(self) -> usize {
        self.end
    }
}

pub(crate) const DUPLICATES_AS_KEY: &str = "a key cannot be a set of duplicates";

/// The pairs of a page, in index order. Ends after the first error.
pub struct Pairs<'p, 'a> {
    page: &'p Page<'a>,
    /// Index entries from `slot` on.
    index: &'p [u8],
    lowest: usize,
    end: usize,
    slot: u16,
}

impl<'p, 'a> Pairs<'p, 'a> {
    /// The pairs of `page`, which the caller knows to be a hash page.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the index runs off the page or has an odd number of entries.
    #[inline]
    pub fn new(page: &'p Page<'a>) -> Result<Pairs<'p, 'a>> {
        let index = page.index()?;
        if index.len() % 4 != 0 {
            let what = format!(
                "hash page with an odd number of entries, {}",
                index.len() / 2
            );
            return Err(Error::corrupt_page(page.number().0, what));
        }
        Ok(Pairs {
            page,
            index,
            lowest: page.lowest_item()?,
            end: page.format().size.bytes(),
            slot: 0,
        })
    }

    /// Goes on where another walk over the same page stood.
    ///
    /// # Errors
    ///
    /// As [`Pairs::new`].
    #[inline]
    pub fn resume(page: &'p Page<'a>, position: Position) -> Result<Pairs<'p, 'a>> {
        let mut pairs = Pairs::new(page)?;
        let done = 2 * usize::from(position.slot);
        pairs.index = page.index()?.get(done..).unwrap_or_default();
        pairs.slot = position.slot;
        pairs.end = position.end;
        Ok(pairs)
    }

    /// How far this walk has come.
    #[inline]
    pub fn position(&self) -> Position {
        Position {
            slot: self.slot,
            end: self.end,
        }
    }

    /// The pair whose on-page key is `key`, found by halving, if it is where the order of the page
    /// puts it. `None` proves nothing: the page may be unsorted, mixed with off-page keys, or
    /// damaged. [`Pairs::find`] tells.
    #[inline]
    pub fn find_sorted(&self, key: &[u8]) -> Option<Pair> {
        let (bytes, order) = (self.page.bytes(), self.page.format().order);
        let index = self.index;
        let (mut low, mut high) = (0, index.len() / 4);
        while low < high {
            let middle = low + (high - low) / 2;
            let start = usize::from(order.u16(index, 4 * middle)?);
            let end = match middle {
                0 => self.end,
                _ => usize::from(order.u16(index, 4 * middle - 2)?),
            };
            let (&HASH_ON_PAGE, probe) = bytes.get(start..end)?.split_first()? else {
                return None;
            };
            match compare_on_page(probe, key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => {
                    let value = usize::from(order.u16(index, 4 * middle + 2)?);
                    let slot = self.slot + u16::try_from(2 * middle).ok()?;
                    let inside = value >= self.lowest && value < start;
                    return inside.then_some(Pair {
                        slot,
                        key: start..end,
                        value: value..start,
                    });
                }
            }
        }
        None
    }

    /// The next pair whose key is `key`, or whose key lies off the page and has to be looked at
    /// there; `None` at the end of the page.
    ///
    /// Goes through all pairs, lengths first. It needs no order, so it is right on unsorted pages,
    /// on pages that mix on-page and off-page keys, and on pages that a defect left unsorted.
    ///
    /// # Errors
    ///
    /// `Corrupt` when an item passed on the way is malformed.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Result<Option<Candidate>> {
        let bytes = self.page.bytes();
        while let Some(pair) = self.next_pair()? {
            let item = bytes.get(pair.key.clone()).unwrap_or_default();
            match item.split_first() {
                Some((&HASH_ON_PAGE, body)) => {
                    if body.len() == key.len() && body == key {
                        return Ok(Some(Candidate::Hit(pair)));
                    }
                }
                Some((&HASH_OFF_PAGE, _)) => {
                    return Ok(Some(Candidate::OffPage(pair)));
                }
                _ => {
                    self.item(pair.slot, pair.key)?;
                    return Err(self.defect(pair.slot, DUPLICATES_AS_KEY));
                }
            }
        }
        Ok(None)
    }

    /// The next pair.
    ///
    /// # Errors
    ///
    /// `Corrupt` when one of its items does not lie where it must.
    #[inline]
    pub fn next_pair(&mut self) -> Result<Option<Pair>> {
        let Some((entry, rest)) = self.index.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let order = self.page.format().order;
        let (Some(key), Some(value)) = (order.u16(entry, 0), order.u16(entry, 2)) else {
            return Ok(None);
        };
        let (key, value) = (usize::from(key), usize::from(value));
        let slot = self.slot;
        if key >= self.end || value >= key || value < self.lowest {
            return Err(self.misplaced(slot, key, value));
        }
        let pair = Pair {
            slot,
            key: key..self.end,
            value: value..key,
        };
        self.index = rest;
        self.end = value;
        self.slot = slot.saturating_add(2);
        Ok(Some(pair))
    }

    /// The item at `range`, which belongs to index entry `slot`.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it is malformed.
    #[inline]
    pub fn item(&self, slot: u16, range: Range<usize>) -> Result<HashItem<'p>> {
        let bytes = self.page.bytes().get(range).unwrap_or_default();
        HashItem::parse(bytes, self.page.format().order).map_err(|what| self.defect(slot, what))
    }

    #[cold]
    fn defect(&self, slot: u16, what: impl Into<String>) -> Error {
        Error::corrupt_slot(self.page.number().0, slot, what)
    }

    #[cold]
    fn misplaced(&self, slot: u16, key: usize, value: usize) -> Error {
        let (slot, at, end) = if key >= self.end {
            (slot, key, self.end)
        } else {
            (slot + 1, value, key)
        };
        let what = if at >= end {
            format!("item begins at {at}, past its end at {end}")
        } else {
            format!("item begins at {at}, inside the index")
        };
        self.defect(slot, what)
    }
}

/// What [`Pairs::find`] stops at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// The pair with the wanted key.
    Hit(Pair),
    /// A pair whose key lies on overflow pages and may be the wanted one.
    OffPage(Pair),
}

/// The order of on-page keys in a sorted page: byte by byte, and of two keys that agree as far as
/// the shorter one goes, the **longer** first (`ab` before `a`, the empty key last).
#[inline]
pub fn compare_on_page(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.len().min(b.len());
    match (a.get(..common), b.get(..common)) {
        (Some(x), Some(y)) => wire::compare(x, y).then(b.len().cmp(&a.len())),
        _ => Ordering::Equal,
    }
}

/// The order of any two keys of a page, told whether each lies off the page: as
/// [`compare_on_page`] for two on-page keys, else the shorter first.
pub(crate) fn compare_keys(a: &[u8], a_off_page: bool, b: &[u8], b_off_page: bool) -> Ordering {
    if a_off_page || b_off_page {
        a.cmp(b)
    } else {
        compare_on_page(a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_key_and_its_prefix_the_longer_comes_first() {
        let mut keys = [&b""[..], b"a", b"aa", b"aab", b"ab", b"b"];
        keys.sort_by(|a, b| compare_on_page(a, b));
        assert_eq!(keys, [&b"aab"[..], b"aa", b"ab", b"a", b"b", b""]);
    }
}
