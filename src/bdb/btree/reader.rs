//! Looks keys up in btree files.
//!
//! A lookup walks from the root to a leaf. Four things keep a damaged file from giving a wrong
//! answer:
//!
//! * every page is checked as a whole before it is used (see `Node::check`), once for a snapshot;
//! * a key that is less or greater than all keys of its leaf is also looked for on the other side
//!   of the separator next to it: a damaged separator sends a search that far astray, not further;
//! * before "not found" is answered, the leaf's keys must belong where the separators led, so that
//!   a damaged reference to another page is noticed;
//! * files of Berkeley DB 3.0, which put long keys in the wrong place, are read from end to end
//!   before "not found" is answered.
//!
//! An update of another program that was interrupted may leave keys of a new page on the old page
//! too, behind the separator that leads to the new one. They are not an error; the new page counts.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bdb::PageNo;
use crate::bdb::btree::iter::Iter;
use crate::bdb::btree::node::{Node, Side, compare};
use crate::bdb::duplicate::{self, Walk};
use crate::bdb::item::LeafItem;
use crate::bdb::meta::{BTREE_OLDEST_VERSION, BtreeMeta, ROOT};
use crate::bdb::overflow;
use crate::bdb::page::{PageSet, Pages};
use crate::error::{Error, Result};
use crate::file::store::Store;

/// A btree file, open for reading. `Send + Sync`; every method takes `&self`.
///
/// ```
/// use rpostmap::bdb::btree::{BtreeBuilder, BtreeReader};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com", b"smtp:[mail.example.com]")?;
/// let mut file = Vec::new();
/// BtreeBuilder::new().build(&entries, &mut file)?;
///
/// let reader = BtreeReader::new(Store::from_bytes(file))?;
/// assert_eq!(reader.get(b"example.com")?.as_deref(), Some(&b"smtp:[mail.example.com]"[..]));
/// assert_eq!(reader.get(b"example.org")?, None);
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct BtreeReader {
    store: Store,
    meta: BtreeMeta,
    /// The pages that were found intact, one bit each; none when the bytes may change.
    intact: Option<Vec<AtomicU64>>,
}

impl BtreeReader {
    /// Opens the btree file that `store` holds.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Unsupported` when the meta page is not that of a btree file this crate reads;
    /// `Io` when it cannot be read.
    pub fn new(store: Store) -> Result<BtreeReader> {
        let session = store.session()?;
        let meta = BtreeMeta::read(&session)?;
        let words = meta.page_count.div_ceil(u64::BITS);
        let intact = (!session.is_live()).then(|| (0..words).map(|_| AtomicU64::new(0)).collect());
        drop(session);
        Ok(BtreeReader {
            store,
            meta,
            intact,
        })
    }

    /// The meta page as it was when the file was opened.
    pub fn meta(&self) -> &BtreeMeta {
        &self.meta
    }

    /// The bytes behind the reader.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The value of `key`, whose bytes are compared as they are. Of several values, the first.
    ///
    /// `Ok(None)` means that the file is intact as far as it was looked at and does not hold the
    /// key. Costs a page for each level, two levels more for a key at the edge of its page.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the file is damaged where the key would be; `Io` when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let look = self.look(false)?;
        let found = look.get(key)?;
        if found.is_none() && look.meta.version == BTREE_OLDEST_VERSION {
            drop(look);
            return self.get_anywhere(key);
        }
        Ok(found)
    }

    fn get_anywhere(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        for pair in self.iter()? {
            let (found, value) = pair?;
            if *found == *key {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// All pairs in key order. A key with several values comes once for each. The iterator ends
    /// after the first error.
    ///
    /// # Errors
    ///
    /// The meta page is read again when the store is live; `Corrupt` or `Io` as for
    /// [`BtreeReader::new`].
    pub fn iter(&self) -> Result<Iter<'_>> {
        Ok(Iter::new(self.look(true)?))
    }

    /// With `remember`, pages found intact are remembered as long as the look lasts at least.
    pub(crate) fn look(&self, remember: bool) -> Result<Look<'_>> {
        let session = self.store.session()?;
        let meta = if session.is_live() {
            Cow::Owned(BtreeMeta::read(&session)?)
        } else {
            Cow::Borrowed(&self.meta)
        };
        let intact = match &self.intact {
            Some(intact) => Intact::Shared(intact),
            None if remember => Intact::Own(RefCell::new(PageSet::new(meta.page_count))),
            None => Intact::Unknown,
        };
        Ok(Look {
            pages: Pages::new(session, meta.format, meta.page_count),
            meta,
            intact,
        })
    }
}

/// The pages that were found intact.
enum Intact<'a> {
    /// By any lookup: the bytes do not change.
    Shared(&'a [AtomicU64]),
    /// During this look.
    Own(RefCell<PageSet>),
    /// Nobody remembers.
    Unknown,
}

impl Intact<'_> {
    #[inline]
    fn contains(&self, page: PageNo) -> bool {
        match self {
            Intact::Shared(words) => words
                .get((page.0 / 64) as usize)
                .is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (page.0 % 64)) != 0),
            Intact::Own(set) => set.borrow().contains(page),
            Intact::Unknown => false,
        }
    }

    fn insert(&self, page: PageNo) {
        match self {
            Intact::Shared(words) => {
                if let Some(word) = words.get((page.0 / 64) as usize) {
                    word.fetch_or(1 << (page.0 % 64), Ordering::Relaxed);
                }
            }
            Intact::Own(set) => {
                set.borrow_mut().insert(page);
            }
            Intact::Unknown => {}
        }
    }
}

/// One consistent look at the file.
pub(crate) struct Look<'a> {
    pub(crate) pages: Pages<'a>,
    pub(crate) meta: Cow<'a, BtreeMeta>,
    intact: Intact<'a>,
}

/// An internal page on the way to a leaf, and the child that was taken.
struct Step<'a> {
    node: Node<'a>,
    child: usize,
}

/// The way from the root to a leaf. Without an allocation up to four levels, which hold the entries of
/// any table but a very large one.
#[derive(Default)]
struct Path<'a> {
    first: [Option<Step<'a>>; 4],
    further: Vec<Step<'a>>,
}

impl<'a> Path<'a> {
    fn push(&mut self, step: Step<'a>) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(step),
            None => self.further.push(step),
        }
    }

    /// From the root on.
    fn steps(&self) -> impl DoubleEndedIterator<Item = &Step<'a>> {
        self.first.iter().flatten().chain(&self.further)
    }
}

impl<'a> Look<'a> {
    /// The root, checked.
    pub(crate) fn root(&self) -> Result<Node<'a>> {
        self.node(ROOT)
    }

    /// Child `at` of `parent`, checked.
    pub(crate) fn child(&self, parent: &Node<'a>, at: usize) -> Result<Node<'a>> {
        let node = self.node(parent.child(at)?)?;
        // So a walk down ends, whatever the references say.
        if node.level() != parent.level() - 1 {
            let what = format!(
                "page of level {} below page {} of level {}",
                node.level(),
                parent.number(),
                parent.level()
            );
            return Err(Error::corrupt_page(node.number().0, what));
        }
        Ok(node)
    }

    /// Page `number` of the tree, checked.
    #[inline]
    pub(crate) fn node(&self, number: PageNo) -> Result<Node<'a>> {
        let node = Node::new(self.pages.page(number)?)?;
        if !self.intact.contains(number) {
            node.check(&self.pages, &self.meta)?;
            self.intact.insert(number);
        }
        Ok(node)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Cow<'a, [u8]>>> {
        let mut path = Path::default();
        let leaf = self.descend(self.root()?, key, Some(&mut path))?;
        let (at, found) = leaf.find(&self.pages, key)?;
        if found {
            return self.first_value(&leaf, at, key);
        }
        if self.meta.version == BTREE_OLDEST_VERSION {
            return Ok(None);
        }
        for (side, is_edge) in [(Side::Before, at == 0), (Side::Behind, at == leaf.len())] {
            if is_edge && let Some(value) = self.get_beside(&leaf, &path, side, key)? {
                return Ok(Some(value));
            }
        }
        self.check_place(&leaf, &path)?;
        Ok(None)
    }

    /// From `node` to the leaf that `key` belongs to.
    fn descend(
        &self,
        mut node: Node<'a>,
        key: &[u8],
        mut path: Option<&mut Path<'a>>,
    ) -> Result<Node<'a>> {
        while !node.is_leaf() {
            let child = node.route(&self.pages, key)?;
            let below = self.child(&node, child)?;
            if let Some(path) = path.as_deref_mut() {
                path.push(Step { node, child });
            }
            node = below;
        }
        Ok(node)
    }

    /// Looks for a key at the edge of its leaf on the other side of the next separator.
    fn get_beside(
        &self,
        leaf: &Node<'a>,
        path: &Path<'a>,
        side: Side,
        key: &[u8],
    ) -> Result<Option<Cow<'a, [u8]>>> {
        for Step { node, child } in path.steps().rev() {
            match side {
                Side::Before if *child > 0 => return self.get_below(node, child - 1, key),
                Side::Behind if child + 1 < node.len() => {
                    return self.get_below(node, child + 1, key);
                }
                _ => {}
            }
        }
        // The first or the last leaf of the tree. If it has a neighbour all the same, an update was
        // interrupted, or the root is not the root.
        let mut next = leaf.neighbour(side)?;
        let mut hops = 0;
        while next != PageNo::NONE {
            hops += 1;
            if hops > self.pages.count() {
                return Err(Error::corrupt_page(next.0, "leaves are linked in a circle"));
            }
            let leaf = self.leaf(next)?;
            let (at, found) = leaf.find(&self.pages, key)?;
            if found {
                return self.first_value(&leaf, at, key);
            }
            if (side == Side::Before && at > 0) || (side == Side::Behind && at < leaf.len()) {
                break;
            }
            next = leaf.neighbour(side)?;
        }
        Ok(None)
    }

    /// The first leaf of the tree.
    pub(crate) fn first_leaf(&self) -> Result<Node<'a>> {
        let mut node = self.root()?;
        while !node.is_leaf() {
            node = self.child(&node, 0)?;
        }
        Ok(node)
    }

    /// Page `number`, which must be a leaf, checked.
    pub(crate) fn leaf(&self, number: PageNo) -> Result<Node<'a>> {
        let node = self.node(number)?;
        if !node.is_leaf() {
            return Err(Error::corrupt_page(
                number.0,
                "leaf is linked to an internal page",
            ));
        }
        Ok(node)
    }

    /// The value of `key` if it is found below child `at` of `node`.
    fn get_below(&self, node: &Node<'a>, at: usize, key: &[u8]) -> Result<Option<Cow<'a, [u8]>>> {
        let leaf = self.descend(self.child(node, at)?, key, None)?;
        match leaf.find(&self.pages, key)? {
            (at, true) => self.first_value(&leaf, at, key),
            _ => Ok(None),
        }
    }

    /// That the keys of `leaf` belong where `path` leads.
    fn check_place(&self, leaf: &Node<'a>, path: &Path<'a>) -> Result<()> {
        if leaf.len() == 0 {
            return Ok(());
        }
        let first = leaf.whole_key(0, |item| overflow::read(&self.pages, item, None))?;
        let misplaced = |step: &Step<'_>| {
            let what = format!("keys do not belong below page {}", step.node.number());
            Err(Error::corrupt_page(leaf.number().0, what))
        };
        for step in path.steps() {
            let next = step.child + 1;
            if step.child > 0 && compare(&self.pages, step.node.key(step.child)?, &first)?.is_gt() {
                return misplaced(step);
            }
            // Left over from an interrupted update, if it is where it should be too.
            if next < step.node.len()
                && compare(&self.pages, step.node.key(next)?, &first)?.is_le()
                && !self.is_elsewhere(&first, leaf.number())?
            {
                return misplaced(step);
            }
        }
        Ok(())
    }

    /// Whether the page of `level` that the tree leads `key` to is page `number`.
    pub(crate) fn leads_to(&self, key: &[u8], level: u8, number: PageNo) -> Result<bool> {
        let mut node = self.root()?;
        while node.level() > level {
            node = self.child(&node, node.route(&self.pages, key)?)?;
        }
        Ok(node.number() == number)
    }

    /// Whether the leaf that the tree leads `key` to holds it, unless that is page `number`.
    pub(crate) fn is_elsewhere(&self, key: &[u8], number: PageNo) -> Result<bool> {
        let leaf = self.descend(self.root()?, key, None)?;
        Ok(leaf.number() != number && leaf.find(&self.pages, key)?.1)
    }

    /// The first value of `key` that is not deleted, from pair `at` on.
    fn first_value(
        &self,
        leaf: &Node<'a>,
        mut at: usize,
        key: &[u8],
    ) -> Result<Option<Cow<'a, [u8]>>> {
        let mut value = None;
        while at < leaf.len() && compare(&self.pages, leaf.key(at)?, key)?.is_eq() {
            self.each_value(leaf, at, None, |found| {
                value = Some(found);
                Walk::Stop
            })?;
            if value.is_some() {
                break;
            }
            at += 1;
        }
        Ok(value)
    }

    /// The values of pair `at`, none when it is marked as deleted.
    pub(crate) fn each_value(
        &self,
        leaf: &Node<'a>,
        at: usize,
        seen: Option<&mut PageSet>,
        mut each: impl FnMut(Cow<'a, [u8]>) -> Walk,
    ) -> Result<()> {
        match leaf.value(at)? {
            (_, true) => {}
            (LeafItem::OnPage(_), _) => {
                each(leaf.value_bytes(at)?);
            }
            (LeafItem::OffPage(item), _) => {
                each(overflow::read(&self.pages, item, seen).map(Cow::Owned)?);
            }
            (LeafItem::OffPageDuplicates(root), _) if self.meta.duplicates => {
                return duplicate::off_page(&self.pages, root, seen, |v| each(Cow::Owned(v)));
            }
            (LeafItem::OffPageDuplicates(_), _) => {
                let what = "several values for a key in a file that does not allow it";
                return Err(leaf.value_defect(at, what));
            }
        }
        Ok(())
    }
}
