//! Changes btree files in place: put, replace, delete.
//!
//! An update is worked out in memory on the pages it touches, which are taken apart into pairs and
//! children and put together anew when the update is written. The order of writing, and what an
//! interruption can leave, is told in `bdb::pager`. This file keeps its rules so:
//!
//! * both halves of a page that is split go to new pages, and one write, that of the page above,
//!   leads to them. So no page ever holds keys behind the separators that lead to it: a copy of a
//!   key that was left there would come to light when the key itself is deleted. The root stays
//!   where it is, and is written once with what is left or new below it;
//! * nothing is merged. Only the root takes over another page's content: its last child's, in one
//!   write;
//! * old pages are written level by level from the root down: a page gets keys from beyond its old
//!   separators only after those are gone;
//! * a key that is deleted and put again may have lost its way at any level, so its new page and
//!   all pages on the way to it are new: they come into the tree with the root;
//! * so do the pages on the way to a leaf that becomes the first or the last, because readers
//!   follow the links that lead on from there, and an old leaf still has one to the page it lost.
//!
//! What is interrupted then leaves a tree with every key where it belongs, and with wrong links
//! between its leaves at most, which this file never follows.
//!
//! | file | job |
//! |---|---|
//! | `find` | the way to a key; pages loaded and put in order |
//! | `shape` | pages split, moved and taken out of the tree |
//! | `chains` | overflow chains and freed pages |

mod chains;
mod find;
mod shape;

use std::collections::{BTreeMap, BTreeSet};

use crate::bdb::btree::parts::{Pair, TreePage, Value, in_two_places};
use crate::bdb::btree::reader::BtreeReader;
use crate::bdb::btree::threshold;
use crate::bdb::meta::{BTREE_VERSION, ROOT};
use crate::bdb::page::PageSet;
use crate::bdb::pager::Pager;
use crate::bdb::{OnExisting, PageNo, Put, overflow};
use crate::error::{Error, Result};
use crate::file::UpdateAt;
use crate::file::store::Store;

/// An update of a btree file. Nothing is written before [`BtreeUpdater::commit`].
///
/// ```
/// use rpostmap::bdb::{OnExisting, Put};
/// use rpostmap::bdb::btree::{BtreeBuilder, BtreeReader, BtreeUpdater};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut file = Vec::new();
/// BtreeBuilder::new().build(&Entries::new(), &mut file)?;
///
/// let mut update = BtreeUpdater::new(Store::from_bytes(file.clone()))?;
/// assert_eq!(update.put(b"key", b"value", OnExisting::Keep)?, Put::Inserted);
/// assert_eq!(update.put(b"key", b"other", OnExisting::Keep)?, Put::Kept);
/// update.commit(&mut file)?;
///
/// let reader = BtreeReader::new(Store::from_bytes(file))?;
/// assert_eq!(reader.get(b"key")?.as_deref(), Some(&b"value"[..]));
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct BtreeUpdater {
    old: BtreeReader,
    pager: Pager,
    threshold: usize,
    /// The pages touched so far.
    pages: BTreeMap<PageNo, TreePage>,
    /// Pages of the tree and overflow pages of the file that were freed.
    freed: PageSet,
    /// The references left to chains of the file that had several. The first page counts them.
    references: BTreeMap<PageNo, u16>,
    /// Keys that were deleted and not put again.
    deleted: BTreeSet<Vec<u8>>,
    /// Pairs found on a page that the tree does not lead to for their keys, and not where it does:
    /// an interrupted update that wanted to delete them, or a damaged separator. They go where they
    /// belong.
    strays: Vec<Pair>,
    changed: bool,
}

/// An internal page on the way to a leaf, and the child that was taken.
#[derive(Clone, Copy)]
struct Step {
    page: PageNo,
    child: usize,
}

/// Where a key is or would be.
struct Place {
    path: Vec<Step>,
    leaf: PageNo,
    at: usize,
    found: bool,
}

impl BtreeUpdater {
    /// Begins an update of the btree file that `store` holds. The file must not change until the
    /// update is written or dropped.
    ///
    /// # Errors
    ///
    /// As [`BtreeReader::new`]; `Unsupported` for a file that can only be read: of a version other
    /// than 9, with several values for a key, or with record numbers.
    pub fn new(store: Store) -> Result<BtreeUpdater> {
        let old = BtreeReader::new(store)?;
        let meta = old.meta().clone();
        if meta.version != BTREE_VERSION {
            let version = meta.version;
            let what = format!("update of Berkeley DB btree version {version} is not supported");
            return Err(Error::unsupported(what));
        }
        if meta.duplicates {
            let what =
                "update of a Berkeley DB file with several values for a key is not supported";
            return Err(Error::unsupported(what));
        }
        if meta.record_numbers {
            let what = "update of a Berkeley DB file with record numbers is not supported";
            return Err(Error::unsupported(what));
        }
        Ok(BtreeUpdater {
            pager: Pager::new(meta.format, meta.page_count, PageNo(meta.free)),
            threshold: threshold(meta.format, meta.min_keys),
            pages: BTreeMap::new(),
            freed: PageSet::new(meta.page_count),
            references: BTreeMap::new(),
            deleted: BTreeSet::new(),
            strays: Vec::new(),
            changed: false,
            old,
        })
    }

    /// The file as it was when the update began.
    pub fn old(&self) -> &BtreeReader {
        &self.old
    }

    /// The value of `key` as the update has it by now.
    ///
    /// # Errors
    ///
    /// `Corrupt` when a page on the way is damaged; `Io` when it cannot be read.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let place = self.find(key)?;
        if !place.found {
            return Ok(None);
        }
        let pair = self.page(place.leaf)?.pairs.get(place.at);
        let item = match pair.map(|pair| &pair.value) {
            None => return Ok(None),
            Some(Value::OnPage(value)) => return Ok(Some(value.clone())),
            Some(Value::OffPage(item)) => *item,
        };
        match self.pager.new_overflow(item.first, item.len as usize) {
            Some(whole) => Ok(Some(whole)),
            None => overflow::read(&self.old.look(false)?.pages, item, None).map(Some),
        }
    }

    /// Adds a pair, or with [`OnExisting::Replace`] changes the value of a key.
    ///
    /// # Errors
    ///
    /// `Corrupt` when a page that the update needs is damaged; `TooLong` when the file gets too
    /// large; `Io` when it cannot be read. The update is of no use afterwards.
    pub fn put(&mut self, key: &[u8], value: &[u8], on_existing: OnExisting) -> Result<Put> {
        let mut place = self.find(key)?;
        if place.found && on_existing == OnExisting::Keep {
            return Ok(Put::Kept);
        }
        self.changed = true;
        let value = match self.off_page(value)? {
            Some(item) => Value::OffPage(item),
            None => Value::OnPage(value.to_vec()),
        };
        if place.found {
            let leaf = self.page(place.leaf)?;
            leaf.changed = true;
            let pair = leaf.pairs.get_mut(place.at);
            let old = pair.map(|pair| std::mem::replace(&mut pair.value, value));
            if let Some(Value::OffPage(item)) = old {
                self.free_overflow(item)?;
            }
        } else {
            // A key that comes back moves from its old page: see the rules.
            if self.deleted.remove(key) {
                self.renew_way(&mut place)?;
            }
            let key = self.key(key.to_vec())?;
            let leaf = self.page(place.leaf)?;
            leaf.changed = true;
            leaf.pairs.insert(place.at, Pair { key, value });
        }
        let found = place.found;
        self.split(place)?;
        Ok(if found { Put::Replaced } else { Put::Inserted })
    }

    /// Deletes a key; `false` when it is not there.
    ///
    /// # Errors
    ///
    /// As [`BtreeUpdater::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<bool> {
        let place = self.find(key)?;
        if !place.found {
            return Ok(false);
        }
        self.changed = true;
        let leaf = self.page(place.leaf)?;
        leaf.changed = true;
        let pair = leaf.pairs.remove(place.at);
        let is_empty = leaf.pairs.is_empty();
        self.free_pair(&pair)?;
        if is_empty && place.leaf != ROOT {
            self.unlink(place)?;
        }
        self.deleted.insert(key.to_vec());
        Ok(true)
    }

    /// Writes the update to `out`, the file that was given to [`BtreeUpdater::new`], and nothing at
    /// all if nothing was changed. An interruption at any write leaves every key findable that was
    /// there before.
    ///
    /// # Errors
    ///
    /// Whatever `out` fails with; the file is then as after an interruption.
    pub fn commit(mut self, out: &mut dyn UpdateAt) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        self.settle_strays()?;
        let format = self.pager.format();
        let mut old_pages = Vec::new();
        for (number, page) in std::mem::take(&mut self.pages) {
            if !page.changed {
                continue;
            }
            let bytes = page.compose(number, format)?;
            if self.pager.is_new(number) {
                self.pager.set_new(number, bytes);
            } else {
                old_pages.push((page.level, number, bytes));
            }
        }
        old_pages.sort_by_key(|(level, number, _)| (std::cmp::Reverse(*level), *number));
        let mut old_pages: Vec<(PageNo, Vec<u8>)> = old_pages
            .into_iter()
            .map(|(_, number, bytes)| (number, bytes))
            .collect();
        old_pages.extend(self.counted_chains()?);
        let session = self.old.store().session()?;
        let meta = session.read(0, format.size.bytes())?;
        let meta = meta.ok_or_else(|| Error::corrupt("file lost its meta page"))?;
        self.pager.commit(out, &meta, &meta, &[], &old_pages)
    }

    /// A page that was loaded.
    fn page(&mut self, number: PageNo) -> Result<&mut TreePage> {
        let page = self.pages.get_mut(&number);
        page.ok_or_else(|| in_two_places(number))
    }

    fn allocate(&mut self) -> Result<PageNo> {
        self.pager.allocate(&self.old.look(false)?.pages)
    }
}
