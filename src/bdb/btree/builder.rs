//! Writes a whole btree file from its entries, in one pass.
//!
//! # Layout
//!
//! A single leaf is page 1, which is the root always. Otherwise the leaves have the pages from 2 on
//! in key order, the overflow pages of their items follow, then the internal pages level by level
//! upwards, each behind the overflow pages of its own keys; the last one, the root, takes page 1.
//! Pages are filled as far as they go. The meta page is written last, because the file's unique id
//! is a digest of all other pages: **the same entries give the same bytes**, whatever order they
//! were inserted in.
//!
//! # Separators
//!
//! The key between two leaves is the shortest beginning of the right leaf's first key that sorts
//! behind the left leaf's last key. The first key of an internal page is left empty and stands on
//! the level above.
//!
//! To change this safely: the digests in the tests are those of files that Berkeley DB 5.3 was
//! seen to read and update. A change of layout changes them, and needs that proof again.

use crate::bdb::btree::threshold;
use crate::bdb::item::{
    LEAF_HEADER_LEN, OffPage, TREE_OFF_PAGE_LEN, TreeKey, internal_len, tree_aligned,
};
use crate::bdb::meta::{
    BTREE_MAGIC, BTREE_META_TYPE, BTREE_VERSION, MIN_KEYS, MIN_KEYS_OFFSET, RECORD_PAD,
    RECORD_PAD_OFFSET, ROOT, ROOT_OFFSET, UID_LEN,
};
use crate::bdb::page::PageFormat;
use crate::bdb::page_buf::{Links, TreePageBuf};
use crate::bdb::writer::{NewMeta, OVERLAP_MIN, PageNumbers, Region, content_uid};
use crate::bdb::{PageNo, PageSize};
use crate::entries::{Entries, EntryStream, Listed, sorted_numbers};
use crate::error::Result;
use crate::file::WriteAt;
use crate::file::overlap::build_and_write;
use crate::wire::ByteOrder;

/// Settings for writing a btree file.
///
/// ```
/// use rpostmap::bdb::PageSize;
/// use rpostmap::bdb::btree::{BtreeBuilder, BtreeReader};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
/// use rpostmap::wire::ByteOrder;
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.org\0", b"local:\0")?;
/// entries.insert(b"example.com\0", b"relay:[mx.example.net]\0")?;
/// let mut file = Vec::new();
/// let builder = BtreeBuilder::new().page_size(PageSize::DEFAULT).byte_order(ByteOrder::Big);
/// let len = builder.build(&entries, &mut file)?;
/// assert_eq!(len, 2 * 4096, "the meta page and a leaf");
/// let reader = BtreeReader::new(Store::from_bytes(file))?;
/// let mut keys = Vec::new();
/// for entry in reader.iter()? {
///     keys.push(entry?.0.into_owned());
/// }
/// assert_eq!(keys, [b"example.com\0", b"example.org\0"], "in order");
/// # Ok::<(), rpostmap::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BtreeBuilder {
    page_size: PageSize,
    order: ByteOrder,
    uid: Option<[u8; UID_LEN]>,
}

impl Default for BtreeBuilder {
    fn default() -> Self {
        BtreeBuilder {
            page_size: PageSize::DEFAULT,
            order: ByteOrder::NATIVE,
            uid: None,
        }
    }
}

impl BtreeBuilder {
    /// Pages of 4096 bytes in the byte order of this machine.
    pub fn new() -> BtreeBuilder {
        BtreeBuilder::default()
    }

    /// Sets the page size.
    pub fn page_size(mut self, size: PageSize) -> BtreeBuilder {
        self.page_size = size;
        self
    }

    /// Sets the byte order of the file.
    pub fn byte_order(mut self, order: ByteOrder) -> BtreeBuilder {
        self.order = order;
        self
    }

    /// Sets the file's unique id instead of deriving it from the content. Berkeley DB uses it only
    /// to tell files apart inside one shared cache.
    pub fn uid(mut self, uid: [u8; UID_LEN]) -> BtreeBuilder {
        self.uid = Some(uid);
        self
    }

    /// Writes the file that holds `entries` to `out`, which is empty, and returns the file's
    /// length in bytes.
    ///
    /// Needs 20 bytes of memory for each entry, and up to nine megabytes.
    ///
    /// # Errors
    ///
    /// `Unsupported` when `entries` has a key twice; `TooLong` when the file would have more than 2^32 - 1 pages; whatever `out` fails with.
    pub fn build(&self, entries: &Entries, out: &mut dyn WriteAt) -> Result<u64> {
        entries.check_distinct()?;
        let numbers = sorted_numbers(entries);
        let mut cuts = self.leaf_cuts();
        for &number in &numbers {
            let (key_len, value_len) = entries.lens(number).unwrap_or((0, 0));
            cuts.add(key_len, value_len);
        }
        self.build_sorted(cuts, &mut Listed::new(entries, &numbers), out)
    }

    /// What must be known of all entries before the first is written.
    pub(crate) fn leaf_cuts(&self) -> LeafCuts {
        LeafCuts::new(ItemSizes::new(self.format()))
    }

    /// As [`build`](BtreeBuilder::build): `entries` come in the order of their keys, each once, and
    /// `cuts` has seen them all.
    pub(crate) fn build_sorted(
        &self,
        cuts: LeafCuts,
        entries: &mut (impl EntryStream + Send),
        out: &mut dyn WriteAt,
    ) -> Result<u64> {
        let entry_count = cuts.entry_count;
        let leaves = cuts.finish();
        let mut write = |out: &mut dyn WriteAt| {
            let mut file = FileWriter::new(out, self.format(), leaves.len())?;
            let lowest = file.write_leaves(entries, &leaves)?;
            let mut children = lowest.list();
            let mut level = 2;
            while children.len() > 1 {
                children = file.write_level(&children, level)?;
                level += 1;
            }
            file.finish(self)
        };
        if entry_count < OVERLAP_MIN {
            write(out)
        } else {
            build_and_write(out, write)
        }
    }

    fn format(&self) -> PageFormat {
        PageFormat {
            size: self.page_size,
            order: self.order,
            checksum: false,
        }
    }
}

/// How much room items take on a page.
#[derive(Clone, Copy)]
struct ItemSizes {
    /// The longest key or value that stays on a page.
    threshold: usize,
    /// What index and items of a page share.
    room: usize,
}

impl ItemSizes {
    fn new(format: PageFormat) -> ItemSizes {
        ItemSizes {
            threshold: threshold(format, MIN_KEYS),
            room: format.room(),
        }
    }

    #[inline]
    fn is_off_page(self, len: usize) -> bool {
        len > self.threshold
    }

    /// The bytes that a key or value of this length takes on a leaf, its index entry included.
    #[inline]
    fn leaf_item_len(self, len: usize) -> usize {
        2 + if self.is_off_page(len) {
            TREE_OFF_PAGE_LEN
        } else {
            tree_aligned(LEAF_HEADER_LEN + len)
        }
    }

    /// The bytes that a key takes on an internal page, its index entry included.
    fn internal_item_len(self, key: &[u8]) -> usize {
        2 + internal_len(if self.is_off_page(key.len()) {
            // Only the length counts here, and that is the same for all.
            TreeKey::OffPage(OffPage {
                first: PageNo::NONE,
                len: 0,
            })
        } else {
            TreeKey::OnPage(key)
        })
    }
}

/// How many entries go on each leaf.
#[derive(Clone)]
pub(crate) struct LeafCuts {
    sizes: ItemSizes,
    entry_count: usize,
    /// For each leaf that is full.
    counts: Vec<usize>,
    /// What is on the last one.
    count: usize,
    used: usize,
}

impl LeafCuts {
    fn new(sizes: ItemSizes) -> LeafCuts {
        LeafCuts {
            sizes,
            entry_count: 0,
            counts: Vec::new(),
            count: 0,
            used: 0,
        }
    }

    /// Adds an entry behind the others.
    #[inline]
    pub(crate) fn add(&mut self, key_len: usize, value_len: usize) {
        let len = self.sizes.leaf_item_len(key_len) + self.sizes.leaf_item_len(value_len);
        if self.count > 0 && self.used + len > self.sizes.room {
            self.counts.push(self.count);
            (self.count, self.used) = (0, 0);
        }
        self.entry_count += 1;
        self.count += 1;
        self.used += len;
    }

    /// The number for each leaf. There is always a leaf.
    fn finish(mut self) -> Vec<usize> {
        self.counts.push(self.count);
        self.counts
    }
}

/// The shortest beginning of `right` that sorts behind `left`, which sorts before `right`.
pub(crate) fn separator<'k>(left: &[u8], right: &'k [u8]) -> &'k [u8] {
    let shared = left.iter().zip(right).take_while(|(x, y)| x == y).count();
    right.get(..=shared).unwrap_or(right)
}

/// A page and the least key that leads to it.
struct Child<'e> {
    page: PageNo,
    separator: &'e [u8],
}

/// Pages and the least keys that lead to them, kept apart from the entries.
#[derive(Default)]
struct Children {
    pages: Vec<PageNo>,
    separators: Vec<u8>,
    /// Where each separator ends.
    ends: Vec<usize>,
}

impl Children {
    fn push(&mut self, page: PageNo, separator: &[u8]) {
        self.pages.push(page);
        self.separators.extend_from_slice(separator);
        self.ends.push(self.separators.len());
    }

    fn list(&self) -> Vec<Child<'_>> {
        let mut start = 0;
        let children = self.pages.iter().zip(&self.ends).map(|(&page, &end)| {
            let range = std::mem::replace(&mut start, end)..end;
            let separator = self.separators.get(range).unwrap_or_default();
            Child { page, separator }
        });
        children.collect()
    }
}

struct FileWriter<'o> {
    out: &'o mut dyn WriteAt,
    format: PageFormat,
    sizes: ItemSizes,
    /// Page 1.
    root: Region,
    leaves: Region,
    behind: Region,
    /// The numbers of the pages behind the leaves.
    numbers: PageNumbers,
}

impl<'o> FileWriter<'o> {
    fn new(
        out: &'o mut dyn WriteAt,
        format: PageFormat,
        leaf_count: usize,
    ) -> Result<FileWriter<'o>> {
        let size = format.size.bytes() as u64;
        let mut numbers = PageNumbers::from(ROOT.0 + 1, format);
        if leaf_count > 1 {
            numbers.take(leaf_count as u64)?;
        }
        Ok(FileWriter {
            out,
            format,
            sizes: ItemSizes::new(format),
            root: Region::new(size * u64::from(ROOT.0)),
            leaves: Region::new(size * u64::from(ROOT.0 + 1)),
            behind: Region::new(size * u64::from(numbers.next())),
            numbers,
        })
    }

    /// Writes all leaves; `counts` says how many entries go on each.
    fn write_leaves(
        &mut self,
        entries: &mut impl EntryStream,
        counts: &[usize],
    ) -> Result<Children> {
        let mut children = Children::default();
        let mut last_key = Vec::new();
        let mut page = if counts.len() > 1 {
            PageNo(ROOT.0 + 1)
        } else {
            ROOT
        };
        let mut prev = PageNo::NONE;
        for (at, &count) in counts.iter().enumerate() {
            let region = if page == ROOT {
                &mut self.root
            } else {
                &mut self.leaves
            };
            let buffer = region.page(self.format.size.bytes(), self.out)?;
            let mut leaf = TreePageBuf::new(buffer, self.format);
            let mut overflow = Overflow {
                region: &mut self.behind,
                numbers: &mut self.numbers,
                format: self.format,
                out: self.out,
            };
            for nth in 1..=count {
                let Some((key, value)) = entries.next_entry()? else {
                    break;
                };
                if nth == 1 {
                    children.push(page, separator(&last_key, key));
                }
                if nth == count {
                    last_key.clear();
                    last_key.extend_from_slice(key);
                }
                for bytes in [key, value] {
                    leaf.push_leaf(if self.sizes.is_off_page(bytes.len()) {
                        TreeKey::OffPage(overflow.write_chain(bytes)?)
                    } else {
                        TreeKey::OnPage(bytes)
                    });
                }
            }
            if count == 0 {
                children.push(page, &[]);
            }
            let next = if at + 1 < counts.len() {
                PageNo(page.0 + 1)
            } else {
                PageNo::NONE
            };
            let number = page;
            leaf.finish(Links { number, prev, next }, 1);
            (prev, page) = (page, next);
        }
        Ok(children)
    }

    /// Writes the level above `children`.
    fn write_level<'e>(&mut self, children: &[Child<'e>], level: u8) -> Result<Vec<Child<'e>>> {
        let mut parents = Vec::new();
        let mut rest = children;
        while let Some((first, behind)) = rest.split_first() {
            let mut used = self.sizes.internal_item_len(&[]);
            let more = behind
                .iter()
                .take_while(|child| {
                    used += self.sizes.internal_item_len(child.separator);
                    used <= self.sizes.room
                })
                .count();
            let (others, behind) = behind.split_at_checked(more).unwrap_or((behind, &[]));
            rest = behind;
            let mut keys = Vec::with_capacity(others.len());
            for child in others {
                keys.push(if self.sizes.is_off_page(child.separator.len()) {
                    TreeKey::OffPage(self.write_chain(child.separator)?)
                } else {
                    TreeKey::OnPage(child.separator)
                });
            }
            let is_root = parents.is_empty() && rest.is_empty();
            let (number, region) = if is_root {
                (ROOT, &mut self.root)
            } else {
                (PageNo(self.numbers.take(1)?), &mut self.behind)
            };
            let buffer = region.page(self.format.size.bytes(), self.out)?;
            let mut page = TreePageBuf::new(buffer, self.format);
            page.push_internal(first.page, TreeKey::OnPage(&[]));
            for (child, key) in others.iter().zip(keys) {
                page.push_internal(child.page, key);
            }
            let (prev, next) = (PageNo::NONE, PageNo::NONE);
            page.finish(Links { number, prev, next }, level);
            parents.push(Child {
                page: number,
                separator: first.separator,
            });
        }
        Ok(parents)
    }

    fn write_chain(&mut self, bytes: &[u8]) -> Result<OffPage> {
        let mut overflow = Overflow {
            region: &mut self.behind,
            numbers: &mut self.numbers,
            format: self.format,
            out: self.out,
        };
        overflow.write_chain(bytes)
    }

    fn finish(mut self, builder: &BtreeBuilder) -> Result<u64> {
        for region in [&mut self.root, &mut self.leaves, &mut self.behind] {
            region.flush(self.out)?;
        }
        let page_count = self.numbers.next();
        let uid = builder
            .uid
            .unwrap_or_else(|| content_uid([&self.root, &self.leaves, &self.behind]));
        let meta = NewMeta {
            magic: BTREE_MAGIC,
            version: BTREE_VERSION,
            meta_type: BTREE_META_TYPE,
            page_count,
            uid,
        };
        let fields = [
            (MIN_KEYS_OFFSET, MIN_KEYS),
            (RECORD_PAD_OFFSET, RECORD_PAD),
            (ROOT_OFFSET, ROOT.0),
        ];
        self.out.write_at(0, &meta.page(self.format, fields))?;
        Ok(u64::from(page_count) * self.format.size.bytes() as u64)
    }
}

/// Where long keys and values go.
struct Overflow<'w> {
    region: &'w mut Region,
    numbers: &'w mut PageNumbers,
    format: PageFormat,
    out: &'w mut dyn WriteAt,
}

impl Overflow<'_> {
    fn write_chain(&mut self, bytes: &[u8]) -> Result<OffPage> {
        let pages = bytes.len().div_ceil(self.format.room());
        let first = self.numbers.take(pages as u64)?;
        self.region
            .write_chain(first, bytes, self.format, self.out)?;
        // Entries are shorter than 4 GiB.
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Ok(OffPage {
            first: PageNo(first),
            len,
        })
    }
}

#[cfg(test)]
mod tests;
