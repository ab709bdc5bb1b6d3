//! Changes btree files in place: put, replace, delete.
//!
//! An update is worked out in memory on the pages it touches, which are taken apart into pairs and
//! children and put together anew when the update is written. The order of writing, and what an
//! interruption can leave, is told in `bdb::pager`. This file keeps its rules so:
//!
//! * a page that is split keeps its lesser half, the other half goes to a new page; nothing is ever
//!   merged. Only the root takes over another page's content: its last child's, in one write;
//! * old pages are written level by level from the root down. So a separator that leads to a new
//!   page is there before the old page gives up the keys behind it, and the way to an emptied page
//!   is closed before its neighbours forget it;
//! * a key that is deleted and put again goes to a new page.

use std::collections::{BTreeMap, BTreeSet};

use crate::bdb::btree::builder::separator;
use crate::bdb::btree::node::{LEAF_LEVEL, Side};
use crate::bdb::btree::parts::{
    Aside, Bounds, Child, Key, Pair, TreePage, Value, in_two_places, take_children, take_pairs,
};
use crate::bdb::btree::reader::BtreeReader;
use crate::bdb::btree::threshold;
use crate::bdb::item::{OffPage, TreeKey};
use crate::bdb::meta::{BTREE_VERSION, ROOT};
use crate::bdb::page::{CHECKSUM_OFFSET, ENTRIES_OFFSET, PageSet, checksum};
use crate::bdb::pager::Pager;
use crate::bdb::{OnExisting, PageNo, Put, overflow};
use crate::error::{Error, ErrorKind, Result};
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
                self.renew(&mut place)?;
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

    /// The first pages of chains that lost a reference and still have one.
    fn counted_chains(&self) -> Result<Vec<(PageNo, Vec<u8>)>> {
        let look = self.old.look(false)?;
        let format = self.pager.format();
        let mut pages = Vec::new();
        for (&number, &count) in self.references.iter().filter(|(_, count)| **count > 0) {
            let mut bytes = look.pages.page(number)?.bytes().to_vec();
            let header = "a page is longer than its header";
            format
                .order
                .put_u16(&mut bytes, ENTRIES_OFFSET, count)
                .expect(header);
            if format.checksum {
                let sum = checksum(&bytes, CHECKSUM_OFFSET);
                format
                    .order
                    .put_u32(&mut bytes, CHECKSUM_OFFSET, sum)
                    .expect(header);
            }
            pages.push((number, bytes));
        }
        Ok(pages)
    }

    /// Where `key` is or would be. All pages on the way are loaded, and what they had astray is
    /// settled.
    fn find(&mut self, key: &[u8]) -> Result<Place> {
        let place = self.find_once(key)?;
        if self.strays.is_empty() {
            return Ok(place);
        }
        self.settle_strays()?;
        self.find_once(key)
    }

    fn settle_strays(&mut self) -> Result<()> {
        while let Some(stray) = self.strays.pop() {
            let mut place = self.find_once(&stray.key.bytes)?;
            if place.found {
                self.free_pair(&stray)?;
                continue;
            }
            // It moves from its old page: see the rules.
            self.renew(&mut place)?;
            let leaf = self.page(place.leaf)?;
            leaf.changed = true;
            leaf.pairs.insert(place.at, stray);
            self.split(place)?;
        }
        Ok(())
    }

    fn find_once(&mut self, key: &[u8]) -> Result<Place> {
        let (mut path, mut number) = (Vec::new(), ROOT);
        loop {
            self.load(number, &path)?;
            let page = self.page(number)?;
            if page.is_leaf() {
                let at = page.pairs.partition_point(|pair| *pair.key.bytes < *key);
                let found = page.pairs.get(at).is_some_and(|pair| pair.key.bytes == key);
                return Ok(Place {
                    path,
                    leaf: number,
                    at,
                    found,
                });
            }
            let child = page.route(key);
            path.push(Step {
                page: number,
                child,
            });
            number = self.child(number, child)?;
        }
    }

    /// A page that was loaded.
    fn page(&mut self, number: PageNo) -> Result<&mut TreePage> {
        let page = self.pages.get_mut(&number);
        page.ok_or_else(|| in_two_places(number))
    }

    fn child(&mut self, number: PageNo, at: usize) -> Result<PageNo> {
        let child = self.page(number)?.children.get(at);
        let none = || Error::corrupt_page(number.0, "internal page without children");
        child.map(|child| child.page).ok_or_else(none)
    }

    /// Takes a page of the file apart, if that was not done. `path` leads to it.
    fn load(&mut self, number: PageNo, path: &[Step]) -> Result<()> {
        if let Some(page) = self.pages.get(&number) {
            let bounds = self.bounds(path);
            let edges = [page.least_key(), page.greatest_key()];
            let mut edges = edges.into_iter().flatten();
            if edges.any(|key| bounds.is_before(key) || bounds.is_behind(key)) {
                return Err(in_two_places(number));
            }
            return Ok(());
        }
        if self.freed.contains(number) {
            return Err(in_two_places(number));
        }
        let above = path.last().and_then(|step| self.pages.get(&step.page));
        let level = above.map(|above| above.level - 1);
        let bounds = self.bounds(path);
        let look = self.old.look(true)?;
        let node = look.node(number)?;
        if level.is_some_and(|level| level != node.level()) {
            let what = format!("page of level {} at another level", node.level());
            return Err(Error::corrupt_page(number.0, what));
        }
        let mut taken = TreePage::new(node.level());
        taken.changed = false;
        (taken.prev, taken.next) = (node.neighbour(Side::Before)?, node.neighbour(Side::Behind)?);
        let mut aside = Aside::default();
        if node.is_leaf() {
            take_pairs(
                &look,
                &node,
                &bounds,
                self.threshold,
                &mut taken,
                &mut aside,
            )?;
        } else {
            take_children(&look, &node, &bounds, self.threshold, &mut taken)?;
        }
        drop(look);
        self.pages.insert(number, taken);
        self.strays.append(&mut aside.strays);
        for pair in aside.deleted {
            self.free_pair(&pair)?;
        }
        Ok(())
    }

    /// What the separators of the pages in `path` say about the page it leads to.
    fn bounds(&self, path: &[Step]) -> Bounds<'_> {
        let (mut low, mut high) = (None, None);
        for step in path {
            let Some(above) = self.pages.get(&step.page) else {
                continue;
            };
            let key = |at: usize| above.children.get(at).map(|child| &child.key.bytes);
            if step.child > 0 {
                low = key(step.child);
            }
            high = key(step.child + 1).or(high);
        }
        Bounds { low, high }
    }

    /// Overflow pages for a key or value that is too long for a page.
    fn off_page(&mut self, bytes: &[u8]) -> Result<Option<OffPage>> {
        if bytes.len() <= self.threshold {
            return Ok(None);
        }
        let look = self.old.look(false)?;
        let first = self.pager.store_overflow(&look.pages, bytes)?;
        let len = u32::try_from(bytes.len()).map_err(|_| {
            let (len, max) = (bytes.len() as u64, u64::from(u32::MAX));
            Error::new(ErrorKind::TooLong {
                what: "item",
                len,
                max,
            })
        })?;
        Ok(Some(OffPage { first, len }))
    }

    fn key(&mut self, bytes: Vec<u8>) -> Result<Key> {
        let item = self.off_page(&bytes)?;
        Ok(Key { bytes, item })
    }

    fn allocate(&mut self) -> Result<PageNo> {
        self.pager.allocate(&self.old.look(false)?.pages)
    }

    fn free_pair(&mut self, pair: &Pair) -> Result<()> {
        for stored in [pair.key.stored(), pair.value.stored()] {
            if let TreeKey::OffPage(item) = stored {
                self.free_overflow(item)?;
            }
        }
        Ok(())
    }

    /// Drops one reference to a chain, and the chain with the last.
    fn free_overflow(&mut self, item: OffPage) -> Result<()> {
        let mut pages = self.pager.new_overflow_pages(item.first);
        if pages.is_empty() {
            let look = self.old.look(false)?;
            let count = match self.references.get(&item.first) {
                Some(&count) => count,
                None => look.pages.page(item.first)?.entry_count()?,
            };
            if count > 1 {
                self.references.insert(item.first, count - 1);
                return Ok(());
            }
            self.references.remove(&item.first);
            pages = overflow::pages(&look.pages, item, &mut self.freed)?;
        }
        pages.into_iter().for_each(|page| self.pager.free(page));
        Ok(())
    }

    fn free_tree_page(&mut self, number: PageNo) -> Result<TreePage> {
        let page = self.pages.remove(&number);
        if !self.pager.is_new(number) && !self.freed.insert(number) {
            return Err(in_two_places(number));
        }
        self.pager.free(number);
        page.ok_or_else(|| in_two_places(number))
    }

    /// The leaf next to the one that `path` leads to, loaded.
    fn leaf_beside(&mut self, path: &[Step], side: Side) -> Result<Option<PageNo>> {
        for (depth, step) in path.iter().enumerate().rev() {
            let len = self.page(step.page)?.len();
            let child = match side {
                Side::Before => step.child.checked_sub(1),
                Side::Behind => Some(step.child + 1).filter(|child| *child < len),
            };
            let Some(mut child) = child else {
                continue;
            };
            let mut path = path.get(..depth).unwrap_or_default().to_vec();
            let mut number = step.page;
            loop {
                path.push(Step {
                    page: number,
                    child,
                });
                number = self.child(number, child)?;
                self.load(number, &path)?;
                let page = self.page(number)?;
                if page.is_leaf() {
                    return Ok(Some(number));
                }
                child = match side {
                    Side::Before => page.len() - 1,
                    Side::Behind => 0,
                };
            }
        }
        Ok(None)
    }

    /// Makes `before` and `behind` neighbours.
    fn link(&mut self, before: Option<PageNo>, behind: Option<PageNo>) -> Result<()> {
        if let Some(number) = before {
            let page = self.page(number)?;
            let next = behind.unwrap_or(PageNo::NONE);
            page.changed |= page.next != next;
            page.next = next;
        }
        if let Some(number) = behind {
            let page = self.page(number)?;
            let prev = before.unwrap_or(PageNo::NONE);
            page.changed |= page.prev != prev;
            page.prev = prev;
        }
        Ok(())
    }

    /// Moves the pairs of an old leaf to a new page.
    fn renew(&mut self, place: &mut Place) -> Result<()> {
        if self.pager.is_new(place.leaf) {
            return Ok(());
        }
        let Some(step) = place.path.last().copied() else {
            return Ok(());
        };
        let before = self.leaf_beside(&place.path, Side::Before)?;
        let behind = self.leaf_beside(&place.path, Side::Behind)?;
        let new = self.allocate()?;
        let mut page = self.free_tree_page(place.leaf)?;
        page.changed = true;
        self.pages.insert(new, page);
        let above = self.page(step.page)?;
        above.changed = true;
        if let Some(child) = above.children.get_mut(step.child) {
            child.page = new;
        }
        self.link(before, Some(new))?;
        self.link(Some(new), behind)?;
        place.leaf = new;
        Ok(())
    }

    /// Splits the leaf of `place` if it is too full, and the pages above as far as needed.
    fn split(&mut self, place: Place) -> Result<()> {
        let room = self.pager.format().room();
        let Place {
            mut path,
            leaf: mut number,
            mut at,
            ..
        } = place;
        while self.page(number)?.used() > room {
            if number == ROOT {
                // Its content goes to a new page, which is split then.
                let below = self.allocate()?;
                let root = self.page(ROOT)?;
                let level = root.level.checked_add(1);
                let level = level.ok_or_else(|| Error::corrupt_page(ROOT.0, "tree is too high"))?;
                let old = std::mem::replace(root, TreePage::new(level));
                root.children.push(Child {
                    key: Key::none(),
                    page: below,
                });
                let mut page = TreePage::new(old.level);
                (page.pairs, page.children) = (old.pairs, old.children);
                self.pages.insert(below, page);
                path = vec![Step {
                    page: ROOT,
                    child: 0,
                }];
                number = below;
            }
            let behind = if self.page(number)?.is_leaf() {
                self.leaf_beside(&path, Side::Behind)?
            } else {
                None
            };
            let is_last = path.iter().all(|step| {
                let above = self.pages.get(&step.page);
                above.is_some_and(|above| step.child + 1 == above.len())
            });
            let new = self.allocate()?;
            let page = self.page(number)?;
            page.changed = true;
            let len = page.len();
            // Keys that come in order leave full pages behind them.
            let cut = if is_last && at + 1 == len && len > 1 {
                len - 1
            } else {
                page.middle()
            };
            let mut right = TreePage::new(page.level);
            let separator = if page.is_leaf() {
                right.pairs = page.pairs.split_off(cut.min(len));
                let key = |pair: Option<&Pair>| pair.map(|pair| pair.key.bytes.clone());
                let last = key(page.pairs.last()).unwrap_or_default();
                let first = key(right.pairs.first()).unwrap_or_default();
                self.pages.insert(new, right);
                self.link(Some(number), Some(new))?;
                self.link(Some(new), behind)?;
                self.key(separator(&last, &first).to_vec())?
            } else {
                right.children = page.children.split_off(cut.min(len));
                let first = right.children.first_mut();
                let key = first.map(|first| std::mem::replace(&mut first.key, Key::none()));
                self.pages.insert(new, right);
                key.ok_or_else(|| Error::corrupt_page(number.0, "page cannot be split"))?
            };
            let Some(step) = path.pop() else {
                return Err(Error::corrupt_page(number.0, "page cannot be split"));
            };
            let above = self.page(step.page)?;
            above.changed = true;
            at = step.child + 1;
            above.children.insert(
                at,
                Child {
                    key: separator,
                    page: new,
                },
            );
            number = step.page;
        }
        Ok(())
    }

    /// Takes the empty leaf of `place` out of the tree, and the pages above that get empty.
    fn unlink(&mut self, place: Place) -> Result<()> {
        let Place { mut path, leaf, .. } = place;
        // Both are loaded before the separators between them go.
        let before = self.leaf_beside(&path, Side::Before)?;
        let behind = self.leaf_beside(&path, Side::Behind)?;
        self.link(before, behind)?;
        self.free_tree_page(leaf)?;
        while let Some(step) = path.pop() {
            let above = self.page(step.page)?;
            above.changed = true;
            let mut unused = vec![above.children.remove(step.child).key.item];
            if step.child == 0
                && let Some(first) = above.children.first_mut()
            {
                unused.push(first.key.item.take());
                first.key.bytes.clear();
            }
            let is_empty = above.children.is_empty();
            for item in unused.into_iter().flatten() {
                self.free_overflow(item)?;
            }
            if !is_empty {
                break;
            }
            if step.page == ROOT {
                *self.page(ROOT)? = TreePage::new(LEAF_LEVEL);
                break;
            }
            self.free_tree_page(step.page)?;
        }
        self.collapse()
    }

    /// While the root has a single child, it takes the child's place.
    fn collapse(&mut self) -> Result<()> {
        while let [only] = &*self.page(ROOT)?.children {
            let (child, item) = (only.page, only.key.item);
            let step = Step {
                page: ROOT,
                child: 0,
            };
            self.load(child, &[step])?;
            let mut page = self.free_tree_page(child)?;
            page.changed = true;
            (page.prev, page.next) = (PageNo::NONE, PageNo::NONE);
            *self.page(ROOT)? = page;
            if let Some(item) = item {
                self.free_overflow(item)?;
            }
        }
        Ok(())
    }
}
