//! Pages other than the meta page: header, index, and how they are fetched from a file.

use std::borrow::Cow;
use std::ops::Range;

use crate::bdb::hash::function::HashFunction;
use crate::bdb::{PageNo, PageSize};
use crate::error::{Error, Result};
use crate::file::store::Session;
use crate::wire::ByteOrder;

/// Log sequence number, two `u32`; "not logged" is 0, 1.
pub(crate) const LSN_OFFSET: usize = 0;
/// The page's own number.
pub(crate) const PGNO_OFFSET: usize = LSN_OFFSET + 8;
/// The page before this one in its chain.
pub(crate) const PREV_OFFSET: usize = PGNO_OFFSET + 4;
/// The page behind this one in its chain.
pub(crate) const NEXT_OFFSET: usize = PREV_OFFSET + 4;
/// How many index entries; on overflow pages the reference count.
pub(crate) const ENTRIES_OFFSET: usize = NEXT_OFFSET + 4;
/// Where the lowest item begins (`hf_offset`); on overflow pages the number of payload bytes.
pub(crate) const ITEMS_OFFSET: usize = ENTRIES_OFFSET + 2;
/// 0 on hash and overflow pages, 1 on leaves, more on internal pages.
pub(crate) const LEVEL_OFFSET: usize = ITEMS_OFFSET + 2;
/// The page type, see [`PageKind`].
pub(crate) const TYPE_OFFSET: usize = LEVEL_OFFSET + 1;
/// The length of the header: the index, or the payload, begins here.
pub(crate) const HEADER_LEN: usize = TYPE_OFFSET + 1;
/// The checksum of a page in a file that has them.
pub(crate) const CHECKSUM_OFFSET: usize = 28;
/// The length of the header in a file with checksums.
pub(crate) const CHECKSUM_HEADER_LEN: usize = CHECKSUM_OFFSET + 4;

/// What a page is, by its type byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PageKind {
    /// 0: on the free list, or never written.
    Free,
    /// 2: hash bucket, pairs in the order of insertion (files up to 4.5).
    HashUnsorted,
    /// 3: btree internal.
    BtreeInternal,
    /// 4: record-number internal; here only inside trees of duplicates.
    RecnoInternal,
    /// 5: btree leaf.
    BtreeLeaf,
    /// 6: record-number leaf; here only inside trees of duplicates.
    RecnoLeaf,
    /// 7: part of a long key or value.
    Overflow,
    /// 12: leaf of a tree of sorted duplicates.
    DuplicateLeaf,
    /// 13: hash bucket, pairs in key order.
    HashSorted,
    /// Any other value.
    Other(u8),
}

impl PageKind {
    /// The kind with this type byte.
    pub fn from_byte(byte: u8) -> PageKind {
        match byte {
            0 => PageKind::Free,
            2 => PageKind::HashUnsorted,
            3 => PageKind::BtreeInternal,
            4 => PageKind::RecnoInternal,
            5 => PageKind::BtreeLeaf,
            6 => PageKind::RecnoLeaf,
            7 => PageKind::Overflow,
            12 => PageKind::DuplicateLeaf,
            13 => PageKind::HashSorted,
            other => PageKind::Other(other),
        }
    }

    /// Whether the page holds pairs of a hash bucket.
    #[inline]
    pub fn is_hash(self) -> bool {
        matches!(self, PageKind::HashSorted | PageKind::HashUnsorted)
    }

    /// The type byte.
    pub fn byte(self) -> u8 {
        match self {
            PageKind::Free => 0,
            PageKind::HashUnsorted => 2,
            PageKind::BtreeInternal => 3,
            PageKind::RecnoInternal => 4,
            PageKind::BtreeLeaf => 5,
            PageKind::RecnoLeaf => 6,
            PageKind::Overflow => 7,
            PageKind::DuplicateLeaf => 12,
            PageKind::HashSorted => 13,
            PageKind::Other(other) => other,
        }
    }
}

/// What all pages of one file have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFormat {
    /// Bytes per page.
    pub size: PageSize,
    /// The order of every number in the file.
    pub order: ByteOrder,
    /// Whether pages carry a checksum, which makes their header longer.
    pub checksum: bool,
}

impl PageFormat {
    /// Bytes before the index, or before the payload of an overflow page.
    #[inline]
    pub fn header_len(self) -> usize {
        if self.checksum {
            CHECKSUM_HEADER_LEN
        } else {
            HEADER_LEN
        }
    }

    /// Bytes that the index and the items of a page share, or the payload of an overflow page.
    #[inline]
    pub fn room(self) -> usize {
        self.size.bytes() - self.header_len()
    }

    /// Where items begin on a page without any, as the header says it: the page size, which for
    /// 65536 wraps to 0.
    #[inline]
    pub fn empty_items_offset(self) -> u16 {
        // 65536 is the one size that does not fit, and wraps by definition of the format.
        u16::try_from(self.size.bytes()).unwrap_or(0)
    }
}

/// The pages of a file as one session sees them.
pub struct Pages<'a> {
    session: Session<'a>,
    format: PageFormat,
    count: u32,
}

impl<'a> Pages<'a> {
    /// The pages of `session`; `count` as the meta page was found to agree with.
    pub(crate) fn new(session: Session<'a>, format: PageFormat, count: u32) -> Pages<'a> {
        Pages {
            session,
            format,
            count,
        }
    }

    /// What all pages have in common.
    #[inline]
    pub fn format(&self) -> PageFormat {
        self.format
    }

    /// The number of pages, the meta page included.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Page `number`, which must exist, must not be the meta page, and must carry its own number.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the number is out of range, when the page carries another number or when its
    /// checksum is wrong; `Io` when it cannot be read.
    #[inline]
    pub fn page(&self, number: PageNo) -> Result<Page<'a>> {
        match self.page_or_blank(number)? {
            Some(page) => Ok(page),
            None => Err(Error::corrupt_page(number.0, "page was never written")),
        }
    }

    /// Page `number`, or `None` when all its bytes are zero: a page that was reserved but never
    /// written.
    ///
    /// # Errors
    ///
    /// As [`Pages::page`].
    #[inline]
    pub fn page_or_blank(&self, number: PageNo) -> Result<Option<Page<'a>>> {
        if number == PageNo::NONE || number.0 >= self.count {
            let what = format!("no such page, the last is {}", self.count - 1);
            return Err(Error::corrupt_page(number.0, what));
        }
        self.any_page(number)
    }

    /// A page as it lies in the file, nothing about it checked; `None` behind the file's end.
    pub(crate) fn unchecked(&self, number: PageNo) -> Result<Option<Page<'a>>> {
        Pages::unchecked_in(&self.session, self.format, number)
    }

    /// As [`Pages::unchecked`], for a session of which little is known yet.
    pub(crate) fn unchecked_in(
        session: &Session<'a>,
        format: PageFormat,
        number: PageNo,
    ) -> Result<Option<Page<'a>>> {
        let size = format.size.bytes();
        let bytes = session.read(u64::from(number.0) * size as u64, size)?;
        Ok(bytes.map(|bytes| Page {
            bytes,
            number,
            format,
        }))
    }

    /// What page `number` says it is, from its header alone, also for pages that the meta page does
    /// not know of.
    pub(crate) fn kind_of(&self, number: PageNo) -> Result<PageKind> {
        let offset = u64::from(number.0) * self.format.size.bytes() as u64;
        let header = self.session.read(offset, HEADER_LEN)?;
        let kind = header.as_deref().and_then(|header| header.get(TYPE_OFFSET));
        kind.map(|byte| PageKind::from_byte(*byte))
            .ok_or_else(|| Error::corrupt_page(number.0, "page lies beyond the end of the file"))
    }

    /// As [`Pages::page_or_blank`], also for pages that the meta page does not know of.
    pub(crate) fn any_page(&self, number: PageNo) -> Result<Option<Page<'a>>> {
        let size = self.format.size.bytes();
        let offset = u64::from(number.0) * size as u64;
        let Some(bytes) = self.session.read(offset, size)? else {
            return Err(Error::corrupt_page(
                number.0,
                "page lies beyond the end of the file",
            ));
        };
        let page = Page {
            bytes,
            number,
            format: self.format,
        };
        let own = page.u32(PGNO_OFFSET)?;
        if own != number.0 {
            if own == 0 && page.is_blank() {
                return Ok(None);
            }
            let what = format!("page carries the number {own}");
            return Err(Error::corrupt_page(number.0, what));
        }
        if self.format.checksum {
            page.check_sum()?;
        }
        Ok(Some(page))
    }
}

/// One page that carries its own number. Nothing else about it has been checked.
pub struct Page<'a> {
    bytes: Cow<'a, [u8]>,
    number: PageNo,
    format: PageFormat,
}

impl<'a> Page<'a> {
    /// The page's number.
    #[inline]
    pub fn number(&self) -> PageNo {
        self.number
    }

    /// What the page has in common with the others of its file.
    #[inline]
    pub fn format(&self) -> PageFormat {
        self.format
    }

    /// The whole page.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The previous page of the chain, or [`PageNo::NONE`].
    ///
    /// # Errors
    ///
    /// None in practice: a page is longer than its header.
    #[inline]
    pub fn prev(&self) -> Result<PageNo> {
        self.u32(PREV_OFFSET).map(PageNo)
    }

    /// The next page of the chain, or [`PageNo::NONE`].
    ///
    /// # Errors
    ///
    /// None in practice: a page is longer than its header.
    #[inline]
    pub fn next(&self) -> Result<PageNo> {
        self.u32(NEXT_OFFSET).map(PageNo)
    }

    /// The number of index entries; on an overflow page the number of references to the chain.
    ///
    /// # Errors
    ///
    /// None in practice: a page is longer than its header.
    #[inline]
    pub fn entry_count(&self) -> Result<u16> {
        self.u16(ENTRIES_OFFSET)
    }

    /// The offset of the lowest item as the header has it (`hf_offset`); on an overflow page the
    /// number of payload bytes.
    ///
    /// # Errors
    ///
    /// None in practice: a page is longer than its header.
    #[inline]
    pub fn items_offset(&self) -> Result<u16> {
        self.u16(ITEMS_OFFSET)
    }

    /// 0 on hash and overflow pages; in trees the height above the leaves, which have 1.
    #[inline]
    pub fn level(&self) -> u8 {
        self.bytes.get(LEVEL_OFFSET).copied().unwrap_or(0)
    }

    /// What the page says it is.
    #[inline]
    pub fn kind(&self) -> PageKind {
        PageKind::from_byte(self.bytes.get(TYPE_OFFSET).copied().unwrap_or(0))
    }

    /// The index: two bytes an entry.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it does not fit on the page.
    #[inline]
    pub fn index(&self) -> Result<&[u8]> {
        let start = self.format.header_len();
        let count = usize::from(self.entry_count()?);
        self.bytes.get(start..start + 2 * count).ok_or_else(|| {
            Error::corrupt_page(
                self.number.0,
                format!("index of {count} entries runs off the page"),
            )
        })
    }

    /// The lowest offset an item may have: the end of the index.
    ///
    /// # Errors
    ///
    /// None in practice: a page is longer than its header.
    #[inline]
    pub fn lowest_item(&self) -> Result<usize> {
        Ok(self.format.header_len() + 2 * usize::from(self.entry_count()?))
    }

    /// The bytes of `range`, borrowed from the store where that is possible.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the range is not inside the page.
    #[inline]
    pub fn slice(&self, range: Range<usize>) -> Result<Cow<'a, [u8]>> {
        let part = match &self.bytes {
            Cow::Borrowed(bytes) => bytes.get(range).map(Cow::Borrowed),
            Cow::Owned(bytes) => bytes.get(range).map(|part| Cow::Owned(part.to_vec())),
        };
        part.ok_or_else(|| Error::corrupt_page(self.number.0, "bytes outside the page"))
    }

    #[inline]
    pub(crate) fn u16(&self, offset: usize) -> Result<u16> {
        self.format
            .order
            .u16(&self.bytes, offset)
            .ok_or_else(|| self.too_short(offset))
    }

    #[inline]
    pub(crate) fn u32(&self, offset: usize) -> Result<u32> {
        self.format
            .order
            .u32(&self.bytes, offset)
            .ok_or_else(|| self.too_short(offset))
    }

    #[cold]
    fn too_short(&self, offset: usize) -> Error {
        Error::corrupt_page(self.number.0, format!("no number fits at offset {offset}"))
    }

    /// The number the page carries; its own, unless it was read unchecked.
    pub(crate) fn stated_number(&self) -> Result<PageNo> {
        self.u32(PGNO_OFFSET).map(PageNo)
    }

    /// Whether there is nothing on it but zeros.
    pub(crate) fn is_blank(&self) -> bool {
        // Many at a time, without a branch for each.
        let parts = self.bytes.chunks(64);
        parts
            .into_iter()
            .all(|part| part.iter().fold(0, |all, byte| all | byte) == 0)
    }

    /// Whether the checksum is right, or none is kept.
    pub(crate) fn has_right_sum(&self) -> Result<bool> {
        if !self.format.checksum {
            return Ok(true);
        }
        Ok(checksum(&self.bytes, CHECKSUM_OFFSET) == self.u32(CHECKSUM_OFFSET)?)
    }

    fn check_sum(&self) -> Result<()> {
        if !self.has_right_sum()? {
            return Err(Error::corrupt_page(self.number.0, "checksum is wrong"));
        }
        Ok(())
    }
}

/// The checksum of a page, its four bytes at `field` taken as zero.
pub(crate) fn checksum(page: &[u8], field: usize) -> u32 {
    let (before, rest) = page.split_at_checked(field).unwrap_or((page, &[]));
    let after = rest.get(4..).unwrap_or(&[]);
    HashFunction::Func4.hash_parts(&[before, &[0; 4], after])
}

/// A set of pages, one bit each; tells chains that meet where they must not.
pub(crate) struct PageSet(Vec<u64>);

impl PageSet {
    /// An empty set for a file of `count` pages.
    pub(crate) fn new(count: u32) -> PageSet {
        PageSet(vec![0; count.div_ceil(64) as usize])
    }

    /// Adds a page; `false` when it was in the set already or is not a page of the file.
    pub(crate) fn insert(&mut self, page: PageNo) -> bool {
        let Some(word) = self.0.get_mut((page.0 / 64) as usize) else {
            return false;
        };
        let bit = 1 << (page.0 % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether the page is in the set.
    pub(crate) fn contains(&self, page: PageNo) -> bool {
        let word = self.0.get((page.0 / 64) as usize);
        word.is_some_and(|word| *word & (1 << (page.0 % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_and_empty_page_mark_for_each_size() {
        for (bytes, checksum, room, mark) in [
            (512, false, 486, 512),
            (512, true, 480, 512),
            (65536, false, 65510, 0),
        ] {
            let format = PageFormat {
                size: PageSize::new(bytes).unwrap(),
                order: ByteOrder::Little,
                checksum,
            };
            assert_eq!(
                (format.room(), format.empty_items_offset()),
                (room, mark),
                "{bytes}"
            );
        }
        for bytes in [0, 256, 513, 131_072, u32::MAX] {
            assert_eq!(PageSize::new(bytes), None, "{bytes}");
        }
    }

    #[test]
    fn a_page_joins_a_set_once() {
        let mut set = PageSet::new(65);
        assert!(set.insert(PageNo(64)));
        assert!(!set.insert(PageNo(64)));
        assert!(set.insert(PageNo(0)));
        assert!(!set.insert(PageNo(200)), "not a page of the file");
    }
}
