//! One page of the tree.
//!
//! A page is checked as a whole before anything on it is believed: its items cover the page from
//! the lowest to its end without gap or overlap, and its keys ascend. So an index entry that
//! points at a neighbour's item is an error, not the neighbour's password.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use crate::bdb::PageNo;
use crate::bdb::btree::iter::KeyValue;
use crate::bdb::item::{
    INTERNAL_HEADER_LEN, InternalItem, LEAF_HEADER_LEN, LEAF_ON_PAGE, LeafItem, OffPage,
    TREE_ALIGNMENT, TreeKey,
};
use crate::bdb::meta::{BTREE_OLDEST_VERSION, BtreeMeta};
use crate::bdb::overflow;
use crate::bdb::page::{Page, PageKind, Pages};
use crate::error::{Error, Result};
use crate::wire;

/// The level of leaves.
pub(crate) const LEAF_LEVEL: u8 = 1;

const DUPLICATES_AS_KEY: &str = "a key cannot be a set of duplicates";

/// A direction in key order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Towards lesser keys.
    Before,
    /// Towards greater keys.
    Behind,
}

/// A leaf or an internal page.
pub(crate) struct Node<'a> {
    page: Page<'a>,
    is_leaf: bool,
    /// Pairs on a leaf, children of an internal page.
    len: usize,
    /// The lowest offset an item may have: the end of the index, which lies on the page.
    lowest_item: usize,
}

impl<'a> Node<'a> {
    /// `page` as a page of the tree. Only its type and level are checked.
    pub(crate) fn new(page: Page<'a>) -> Result<Node<'a>> {
        let number = page.number();
        let defect = |what: String| Err(Error::corrupt_page(number.0, what));
        let entry_count = usize::from(page.entry_count()?);
        let (is_leaf, len) = match (page.kind(), page.level()) {
            (PageKind::BtreeLeaf, LEAF_LEVEL) if entry_count % 2 != 0 => {
                return defect(format!("leaf with an odd number of entries, {entry_count}"));
            }
            (PageKind::BtreeLeaf, LEAF_LEVEL) => (true, entry_count / 2),
            (PageKind::BtreeInternal, level) if level > LEAF_LEVEL => (false, entry_count),
            (PageKind::BtreeLeaf | PageKind::BtreeInternal, level) => {
                let kind = page.kind().byte();
                return defect(format!("page of type {kind} at level {level} of the tree"));
            }
            (kind, _) => return defect(format!("page of the tree has type {}", kind.byte())),
        };
        if !is_leaf && len == 0 {
            return defect("internal page without children".into());
        }
        page.index()?;
        let lowest_item = page.lowest_item()?;
        Ok(Node {
            page,
            is_leaf,
            len,
            lowest_item,
        })
    }

    pub(crate) fn number(&self) -> PageNo {
        self.page.number()
    }

    pub(crate) fn level(&self) -> u8 {
        self.page.level()
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.is_leaf
    }

    /// The leaf before or behind this one, or [`PageNo::NONE`].
    pub(crate) fn neighbour(&self, side: Side) -> Result<PageNo> {
        match side {
            Side::Before => self.page.prev(),
            Side::Behind => self.page.next(),
        }
    }

    /// Pairs on a leaf, children of an internal page.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The key of pair or child `at`. Child 0 of an internal page has none that means anything.
    #[inline]
    pub(crate) fn key(&self, at: usize) -> Result<TreeKey<'_>> {
        if self.is_leaf {
            self.leaf_key(at)
        } else {
            self.internal_item(at).map(|item| item.key)
        }
    }

    /// The page below, for key and keys behind.
    #[inline]
    pub(crate) fn child(&self, at: usize) -> Result<PageNo> {
        self.internal_item(at).map(|item| item.child)
    }

    /// The value of pair `at`, and whether the pair is marked as deleted.
    #[inline]
    pub(crate) fn value(&self, at: usize) -> Result<(LeafItem<'_>, bool)> {
        self.leaf_item(2 * at + 1)
    }

    /// The on-page value of pair `at`, borrowed from the store where that is possible.
    pub(crate) fn value_bytes(&self, at: usize) -> Result<Cow<'a, [u8]>> {
        self.bytes_of(2 * at + 1)
    }

    /// The on-page key of pair or child `at`, borrowed from the store where that is possible.
    fn key_bytes(&self, at: usize) -> Result<Cow<'a, [u8]>> {
        self.bytes_of(if self.is_leaf { 2 * at } else { at })
    }

    /// Pair `at` of a leaf that was checked, when both its parts lie on the page and it is not marked
    /// as deleted.
    #[inline]
    pub(crate) fn plain_pair(&self, at: usize) -> Result<Option<KeyValue<'a>>> {
        if at >= self.len {
            return Ok(None);
        }
        let (Some(key), Some(value)) = (self.plain_item(2 * at), self.plain_item(2 * at + 1))
        else {
            return Ok(None);
        };
        Ok(Some((self.page.slice(key)?, self.page.slice(value)?)))
    }

    fn bytes_of(&self, entry: usize) -> Result<Cow<'a, [u8]>> {
        let offset = self.item_offset(entry)?;
        let len = usize::from(self.page.u16(offset)?);
        let start = offset + if self.is_leaf { 3 } else { 12 };
        self.page.slice(start..start + len)
    }

    /// The key of pair or child `at`, all of it.
    pub(crate) fn whole_key(
        &self,
        at: usize,
        read: impl FnOnce(OffPage) -> Result<Vec<u8>>,
    ) -> Result<Cow<'a, [u8]>> {
        match self.key(at)? {
            TreeKey::OnPage(_) => self.key_bytes(at),
            TreeKey::OffPage(item) => read(item).map(Cow::Owned),
        }
    }

    /// Whether pair `at` of a leaf is a further value of the key of the pair before, as files with
    /// several values for a key have them: both point at one item.
    pub(crate) fn shares_key(&self, at: usize) -> Result<bool> {
        match at.checked_sub(1) {
            Some(before) => Ok(self.item_offset(2 * at)? == self.item_offset(2 * before)?),
            None => Ok(false),
        }
    }

    /// The child that leads to `wanted`.
    pub(crate) fn route(&self, pages: &Pages<'_>, wanted: &[u8]) -> Result<usize> {
        let (mut low, mut high) = (1, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.compare(pages, middle, wanted)?.is_le() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low - 1)
    }

    /// The first pair of a leaf whose key is not less than `wanted`, and whether it is `wanted`.
    #[inline]
    pub(crate) fn find(&self, pages: &Pages<'_>, wanted: &[u8]) -> Result<(usize, bool)> {
        let (mut low, mut high, mut found) = (0, self.len, false);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare(pages, middle, wanted)? {
                Ordering::Less => low = middle + 1,
                order => {
                    found |= order.is_eq();
                    high = middle;
                }
            }
        }
        Ok((low, found))
    }

    /// How the key of pair or child `at` compares to `wanted`.
    #[inline]
    fn compare(&self, pages: &Pages<'_>, at: usize, wanted: &[u8]) -> Result<Ordering> {
        match self.plain_key(at) {
            Some(key) => Ok(wire::compare(key, wanted)),
            None => compare(pages, self.key(at)?, wanted),
        }
    }

    /// The key of pair or child `at` of a page that was checked, if it lies on the page.
    #[inline]
    fn plain_key(&self, at: usize) -> Option<&[u8]> {
        self.page.bytes().get(self.plain_item(self.entry_of(at))?)
    }

    /// Where the bytes of an item are on a page that was checked, if it is on-page and not marked as
    /// deleted.
    #[inline]
    fn plain_item(&self, entry: usize) -> Option<Range<usize>> {
        let header_len = match self.is_leaf {
            true => LEAF_HEADER_LEN,
            false => INTERNAL_HEADER_LEN,
        };
        let (bytes, format) = (self.page.bytes(), self.page.format());
        let offset = format.order.u16(bytes, format.header_len() + 2 * entry)?;
        let offset = usize::from(offset);
        let item = bytes.get(offset..)?;
        let len = usize::from(format.order.u16(item, 0)?);
        let is_plain = *item.get(2)? == LEAF_ON_PAGE;
        is_plain.then(|| offset + header_len..offset + header_len + len)
    }

    /// Checks the whole page. The keys of a page are read at most twice, and no two of them are the
    /// same, so this costs no more than the page and the chains of its keys.
    pub(crate) fn check(&self, pages: &Pages<'_>, meta: &BtreeMeta) -> Result<()> {
        self.check_cover()?;
        let first = usize::from(!self.is_leaf);
        let mut before: Option<TreeKey<'_>> = None;
        for at in first..self.len {
            let key = match self.plain_key(at) {
                Some(key) => TreeKey::OnPage(key),
                None => self.key(at)?,
            };
            if let Some(before) = before.replace(key) {
                // Berkeley DB 3.0 put long keys where they do not belong.
                let off_page = [before, key]
                    .iter()
                    .any(|key| matches!(key, TreeKey::OffPage(_)));
                if off_page && meta.version == BTREE_OLDEST_VERSION {
                    continue;
                }
                let order = compare_keys(pages, before, key)?;
                if order.is_lt() || (order.is_eq() && self.may_repeat(at, meta)?) {
                    continue;
                }
                let what = "keys are not in order";
                return Err(self.defect(self.entry_of(at), what));
            }
        }
        Ok(())
    }

    /// Whether the key of pair `at` may be the key of the pair before.
    fn may_repeat(&self, at: usize, meta: &BtreeMeta) -> Result<bool> {
        Ok(self.is_leaf && (meta.duplicates || self.value(at)?.1 || self.value(at - 1)?.1))
    }

    /// That the items of the page cover it from the lowest to its end, without gap or overlap.
    fn check_cover(&self) -> Result<()> {
        const WORD_BITS: usize = u64::BITS as usize;
        const UNITS_MAX: usize = 65536 / TREE_ALIGNMENT;
        let page_len = self.page.format().size.bytes();
        let entry_count = usize::from(self.page.entry_count()?);
        // 65536 is said as 0, but only by a page without items.
        let start = match usize::from(self.page.items_offset()?) {
            0 if entry_count == 0 => page_len,
            start => start,
        };
        if start < self.lowest_item || start > page_len {
            let what = format!("items are said to begin at {start}");
            return Err(Error::corrupt_page(self.number().0, what));
        }
        let mut used = [0u64; UNITS_MAX / WORD_BITS];
        let mut total = 0;
        let mut before = None;
        for entry in 0..entry_count {
            let offset = self.item_offset(entry)?;
            let len = if self.is_leaf {
                let (item, _) = self.leaf_item_at(entry, offset)?;
                // Several values of one key on the page share the key's item.
                if entry % 2 == 0 && before.replace(offset) == Some(offset) {
                    continue;
                }
                item.stored_len()
            } else {
                self.internal_item(entry)?.stored_len()
            };
            if offset < start || offset + len > page_len {
                return Err(self.defect(entry, "item lies outside the items of the page"));
            }
            total += len;
            let (mut unit, end) = (offset / TREE_ALIGNMENT, (offset + len) / TREE_ALIGNMENT);
            while unit < end {
                let (word, bit) = (unit / WORD_BITS, unit % WORD_BITS);
                let count = (end - unit).min(WORD_BITS - bit);
                let mask = (u64::MAX >> (WORD_BITS - count)) << bit;
                if let Some(word) = used.get_mut(word) {
                    if *word & mask != 0 {
                        return Err(self.defect(entry, "item overlaps another"));
                    }
                    *word |= mask;
                }
                unit += count;
            }
        }
        if total != page_len - start {
            let what = format!("items take {total} bytes of {}", page_len - start);
            return Err(Error::corrupt_page(self.number().0, what));
        }
        Ok(())
    }

    #[inline]
    fn internal_item(&self, at: usize) -> Result<InternalItem<'_>> {
        let offset = self.item_offset(at)?;
        let bytes = self.page.bytes().get(offset..).unwrap_or_default();
        InternalItem::parse(bytes, self.page.format().order).map_err(|what| self.defect(at, what))
    }

    #[inline]
    fn leaf_key(&self, at: usize) -> Result<TreeKey<'_>> {
        let (item, _) = self.leaf_item(2 * at)?;
        match item {
            LeafItem::OnPage(key) => Ok(TreeKey::OnPage(key)),
            LeafItem::OffPage(item) => Ok(TreeKey::OffPage(item)),
            LeafItem::OffPageDuplicates(_) => Err(self.defect(2 * at, DUPLICATES_AS_KEY)),
        }
    }

    #[inline]
    fn leaf_item(&self, entry: usize) -> Result<(LeafItem<'_>, bool)> {
        self.leaf_item_at(entry, self.item_offset(entry)?)
    }

    #[inline]
    fn leaf_item_at(&self, entry: usize, offset: usize) -> Result<(LeafItem<'_>, bool)> {
        let bytes = self.page.bytes().get(offset..).unwrap_or_default();
        LeafItem::parse(bytes, self.page.format().order).map_err(|what| self.defect(entry, what))
    }

    #[inline]
    fn item_offset(&self, entry: usize) -> Result<usize> {
        let format = self.page.format();
        let place = format.header_len() + 2 * entry;
        let index = self.page.bytes().get(..self.lowest_item);
        match index.and_then(|index| format.order.u16(index, place)) {
            Some(offset) => {
                let offset = usize::from(offset);
                if offset < self.lowest_item || offset % TREE_ALIGNMENT != 0 {
                    let what = format!("item begins at {offset}, where none can");
                    return Err(self.defect(entry, what));
                }
                Ok(offset)
            }
            None => Err(self.defect(entry, "no such entry")),
        }
    }

    /// The index entry of the key of pair or child `at`.
    fn entry_of(&self, at: usize) -> usize {
        if self.is_leaf { 2 * at } else { at }
    }

    /// A defect in index entry `entry`.
    #[cold]
    fn defect(&self, entry: usize, what: impl Into<String>) -> Error {
        let slot = u16::try_from(entry).unwrap_or(u16::MAX);
        Error::corrupt_slot(self.number().0, slot, what)
    }

    /// A defect that concerns the value of pair `at`.
    #[cold]
    pub(crate) fn value_defect(&self, at: usize, what: impl Into<String>) -> Error {
        self.defect(2 * at + 1, what)
    }
}

/// How `key` compares to `wanted`: byte by byte, a prefix first.
#[inline]
pub(crate) fn compare(pages: &Pages<'_>, key: TreeKey<'_>, wanted: &[u8]) -> Result<Ordering> {
    match key {
        TreeKey::OnPage(key) => Ok(key.cmp(wanted)),
        TreeKey::OffPage(item) => overflow::compare(pages, item, wanted),
    }
}

fn compare_keys(pages: &Pages<'_>, a: TreeKey<'_>, b: TreeKey<'_>) -> Result<Ordering> {
    match (a, b) {
        (a, TreeKey::OnPage(b)) => compare(pages, a, b),
        (TreeKey::OnPage(a), b) => compare(pages, b, a).map(Ordering::reverse),
        (a, TreeKey::OffPage(b)) => compare(pages, a, &overflow::read(pages, b, None)?),
    }
}
