//! Writes a whole file from its entries, in one pass.
//!
//! # Layout
//!
//! Pages are numbered in the order in which they are written, from 2 on, and are written in that
//! order. A leaf is filled as far as it goes and written when the next entry does not fit; then
//! comes the run of overflow pages of that entry, if it has one. A branch page that is full is held
//! back until the next one of its level is full as well: should the last page of a level get one
//! child only, it takes the last child of the page held back, because LMDB allows no branch page with
//! a single child. The root is the last page. The meta pages say that one transaction was made, and
//! are written last; there is no free list. Unused bytes are zero: **the same entries give the same
//! bytes**, and with few entries those that the original's `postmap` writes.
//!
//! Memory: two pages of each level, and the buffer of what is written next.
//!
//! To change this safely: the digests in the tests are those of files that LMDB 0.9 and 1.0 were
//! seen to read, copy, compact and update. A change of layout changes them, and needs that proof
//! again.

use crate::entries::{Entries, EntryStream, Listed, sorted_numbers};
use crate::error::{Error, ErrorKind, Result};
use crate::file::WriteAt;
use crate::file::overlap::build_and_write;
use crate::lmdb::PageNo;
use crate::lmdb::layout::{
    BRANCH, INTEGER_KEYS, LEAF, Layout, NO_SUBDIR, NODE_OVERFLOW, OVERFLOW, WordWidth,
};
use crate::lmdb::meta::{Meta, TreeRecord};
use crate::lmdb::page_buf::{NodePageBuf, PAGE_TXN, PageWriter};

/// The size of the map in a new file unless something else is asked for: what `lmdb_map_size` of
/// Postfix is by default, 16 MiB.
pub const MAP_SIZE_DEFAULT: u64 = 16 << 20;

/// From this many entries on a file is written while it is worked out.
const OVERLAP_MIN: usize = 10_000;

/// Settings for writing an LMDB file.
///
/// ```
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
/// use rpostmap::lmdb::{LmdbBuilder, LmdbReader};
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com\0", b"relay:[mx.example.net]\0")?;
/// let mut file = Vec::new();
/// let len = LmdbBuilder::new().build(&entries, &mut file)?;
/// assert_eq!(len, 3 * 4096, "two meta pages and a leaf");
/// let reader = LmdbReader::new(Store::from_bytes(file))?;
/// assert!(reader.get(b"example.com\0")?.is_some());
/// # Ok::<(), rpostmap::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LmdbBuilder {
    layout: Layout,
    map_size: u64,
}

impl Default for LmdbBuilder {
    fn default() -> Self {
        LmdbBuilder {
            layout: Layout::NATIVE_V1,
            map_size: MAP_SIZE_DEFAULT,
        }
    }
}

impl LmdbBuilder {
    /// Files of LMDB 0.9 as this machine has them, with pages of 4096 bytes.
    pub fn new() -> LmdbBuilder {
        LmdbBuilder::default()
    }

    /// Sets version, machine and page size.
    pub fn layout(mut self, layout: Layout) -> LmdbBuilder {
        self.layout = layout;
        self
    }

    /// Sets how far programs that do not say so themselves may let the file grow, in bytes. It is
    /// doubled until the file fits. What no machine could map is cut down.
    pub fn map_size(mut self, bytes: u64) -> LmdbBuilder {
        self.map_size = bytes;
        self
    }

    /// Writes the file that holds `entries` to `out`, which is empty, and returns the file's
    /// length in bytes.
    ///
    /// Needs 20 bytes of memory for each entry, and two megabytes.
    ///
    /// # Errors
    ///
    /// Before anything is written: `EmptyKey`; `TooLong` for a key longer than
    /// [`Layout::longest_key`]. Later: `TooLong` for a table that needs wider page numbers than the
    /// layout has; whatever `out` fails with.
    pub fn build(&self, entries: &Entries, out: &mut dyn WriteAt) -> Result<u64> {
        for (key, _) in entries.iter() {
            check_key(&self.layout, key)?;
        }
        let numbers = sorted_numbers(entries);
        self.build_sorted(entries.len(), &mut Listed::new(entries, &numbers), out)
    }

    /// As [`build`](LmdbBuilder::build): `entries`, about `entry_count`, come in the order of their
    /// keys, each once, and their keys are of the right lengths.
    pub(crate) fn build_sorted(
        &self,
        entry_count: usize,
        entries: &mut (impl EntryStream + Send),
        out: &mut dyn WriteAt,
    ) -> Result<u64> {
        let mut write = |out: &mut dyn WriteAt| {
            let mut file = FileBuilder::new(self.layout, out);
            while let Some((key, value)) = entries.next_entry()? {
                file.add(key, value)?;
            }
            file.finish(self.map_size)
        };
        if entry_count < OVERLAP_MIN {
            write(out)
        } else {
            build_and_write(out, write)
        }
    }
}

/// Refuses a key that files of this layout cannot hold.
///
/// # Errors
///
/// `EmptyKey`, `TooLong`.
pub(crate) fn check_key(layout: &Layout, key: &[u8]) -> Result<()> {
    let max = layout.longest_key();
    match key.len() {
        0 => Err(Error::new(ErrorKind::EmptyKey)),
        len if len > max => Err(Error::new(ErrorKind::TooLong {
            what: "key",
            len: len as u64,
            max: max as u64,
        })),
        _ => Ok(()),
    }
}

/// A page that was written, and the least key in it and below it.
struct Child {
    key: Vec<u8>,
    page: PageNo,
}

/// The branch pages of one height that are not written yet.
#[derive(Default)]
struct Level {
    /// A full one, behind those that were written.
    held: Vec<Child>,
    /// The last one.
    open: Vec<Child>,
    /// The room that `open` takes.
    open_space: usize,
}

/// A file in the making.
struct FileBuilder<'o> {
    layout: Layout,
    out: PageWriter<'o>,
    leaf: NodePageBuf,
    /// The first key of `leaf`.
    leaf_key: Vec<u8>,
    /// From the one above the leaves upwards.
    levels: Vec<Level>,
    main: TreeRecord,
}

impl<'o> FileBuilder<'o> {
    fn new(layout: Layout, out: &'o mut dyn WriteAt) -> FileBuilder<'o> {
        FileBuilder {
            layout,
            out: PageWriter::new(layout, out),
            leaf: NodePageBuf::new(layout, LEAF),
            leaf_key: Vec::new(),
            levels: Vec::new(),
            main: TreeRecord::empty(0, 0),
        }
    }

    /// Adds an entry behind those with lesser keys.
    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let layout = self.layout;
        let is_inline = layout.is_inline(key.len(), value.len());
        let space = if is_inline {
            layout.inline_node_space(key.len(), value.len())
        } else {
            layout.overflow_node_space(key.len())
        };
        if !self.leaf.has_room(space) {
            self.flush_leaf()?;
        }
        if self.leaf.is_empty() {
            self.leaf_key.clear();
            self.leaf_key.extend_from_slice(key);
        }
        // Entries are shorter than 4 GiB.
        let value_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let written = if is_inline {
            self.leaf.push(space, value_len, 0, key, value)
        } else {
            let (first, count) = self.write_run(value, value_len)?;
            let mut reference = [0; 24];
            let reference = layout
                .put_overflow_ref(&mut reference, first, count)
                .ok_or_else(|| too_many_pages(&layout))?;
            self.leaf
                .push(space, value_len, NODE_OVERFLOW, key, reference)
        };
        written.expect("a key within the limit and its value, or where it is, fit on a page");
        self.main.entries += 1;
        Ok(())
    }

    /// Writes a long value; returns the number of its first page and of its pages.
    fn write_run(&mut self, value: &[u8], value_len: u32) -> Result<(PageNo, u64)> {
        let layout = self.layout;
        let count = layout.run_pages(value_len);
        let first = self.out.take(count)?;
        let mut header = [0; 24];
        let header = header
            .get_mut(..layout.header_len())
            .expect("no header is longer");
        let stored_count = u32::try_from(count).unwrap_or(u32::MAX);
        layout
            .put_page_header(header, first, OVERFLOW)
            .and_then(|()| {
                layout
                    .order
                    .put_u32(header, layout.lower_offset(), stored_count)
            })
            .ok_or_else(|| too_many_pages(&layout))?;
        self.out.append(header)?;
        self.out.append(value)?;
        self.out.fill_page()?;
        self.main.overflow_pages += count;
        Ok((first, count))
    }

    fn flush_leaf(&mut self) -> Result<()> {
        let page = self.out.take(1)?;
        self.leaf.write(page, &mut self.out)?;
        self.main.leaf_pages += 1;
        let key = self.leaf_key.clone();
        self.add_child(0, Child { key, page })
    }

    /// Adds a page that was written to the branch page above it.
    fn add_child(&mut self, height: usize, child: Child) -> Result<()> {
        if self.levels.len() == height {
            self.levels.push(Level::default());
        }
        let room = self.layout.room();
        let space = self.layout.branch_node_space(child.key.len());
        let Some(level) = self.levels.get_mut(height) else {
            return Ok(());
        };
        let mut full = Vec::new();
        if level.open_space + space > room {
            full = std::mem::replace(&mut level.held, std::mem::take(&mut level.open));
        }
        level.open_space = match level.open.is_empty() {
            // The first key is not stored.
            true => self.layout.branch_node_space(0),
            false => level.open_space + space,
        };
        level.open.push(child);
        if full.is_empty() {
            return Ok(());
        }
        self.write_branch(height, &full)
    }

    fn write_branch(&mut self, height: usize, children: &[Child]) -> Result<()> {
        let layout = self.layout;
        let number = self.out.take(1)?;
        let mut page = NodePageBuf::new(layout, BRANCH);
        for (at, child) in children.iter().enumerate() {
            let key = if at == 0 { &[][..] } else { &child.key };
            let (low, high) = layout
                .split_child(child.page)
                .ok_or_else(|| too_many_pages(&layout))?;
            let space = layout.branch_node_space(key.len());
            page.push(space, low, high, key, &[])
                .expect("the room was counted");
        }
        page.write(number, &mut self.out)?;
        self.main.branch_pages += 1;
        let key = children.first().map(|child| child.key.clone());
        let key = key.unwrap_or_default();
        self.add_child(height + 1, Child { key, page: number })
    }

    /// Writes what is left of all levels, and returns the root.
    fn finish_levels(&mut self) -> Result<Option<PageNo>> {
        let mut height = 0;
        while let Some(level) = self.levels.get_mut(height) {
            let mut held = std::mem::take(&mut level.held);
            let mut open = std::mem::take(&mut level.open);
            if open.len() == 1 {
                match held.pop() {
                    Some(last) => open.insert(0, last),
                    None => return Ok(open.first().map(|root| root.page)),
                }
            }
            if !held.is_empty() {
                self.write_branch(height, &held)?;
            }
            self.write_branch(height, &open)?;
            height += 1;
        }
        Ok(None)
    }

    fn finish(mut self, map_size: u64) -> Result<u64> {
        if !self.leaf.is_empty() {
            self.flush_leaf()?;
        }
        self.main.root = self.finish_levels()?;
        // The last level has the root as its only child.
        let depth = self.levels.len();
        self.main.depth = u16::try_from(depth).map_err(|_| too_many_pages(&self.layout))?;
        let layout = self.layout;
        let end = self.out.finish()?;
        let most = match layout.width {
            WordWidth::Four => 1 << 30,
            WordWidth::Eight => 1 << 40,
        };
        let mut map_size = map_size.clamp(1, most);
        while map_size < end.bytes {
            map_size = map_size.saturating_mul(2);
        }
        let page_size = layout.page_size.stored();
        let empty = Meta {
            map_size,
            free: TreeRecord::empty(page_size, INTEGER_KEYS | NO_SUBDIR),
            main: TreeRecord::empty(0, 0),
            last_page: PageNo(1),
            txn: 0,
        };
        let full = Meta {
            main: self.main,
            last_page: end.last_page,
            txn: if self.main.root.is_some() {
                PAGE_TXN
            } else {
                0
            },
            ..empty
        };
        let mut pages = vec![0; 2 * layout.page_size.bytes()];
        let (first, second) = pages.split_at_mut(layout.page_size.bytes());
        empty
            .put(&layout, PageNo(0), first)
            .and_then(|()| full.put(&layout, PageNo(1), second))
            .ok_or_else(|| too_many_pages(&layout))?;
        end.out.write_at(0, &pages)?;
        Ok(end.bytes)
    }
}

/// The error for a table whose pages have no numbers in this layout.
pub(super) fn too_many_pages(layout: &Layout) -> Error {
    let max = layout.page_end() * layout.page_size.bytes() as u64;
    Error::new(ErrorKind::TooLong {
        what: "table",
        len: max + 1,
        max,
    })
}

#[cfg(test)]
mod tests;
