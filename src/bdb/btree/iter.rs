//! Lists all pairs of a btree file in key order.
//!
//! The walk goes through the tree, not along the links between the leaves: so it finds what lookups
//! find. Leaves that hang on the first or the last leaf but not on the tree are visited too: an
//! interrupted update or a damaged root leaves them there. Each page is visited once, each chain
//! read once.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem;

use crate::bdb::PageNo;
use crate::bdb::btree::node::{Node, Side, compare};
use crate::bdb::btree::reader::Look;
use crate::bdb::duplicate::Walk;
use crate::bdb::item::TreeKey;
use crate::bdb::meta::BTREE_OLDEST_VERSION;
use crate::bdb::overflow;
use crate::bdb::page::PageSet;
use crate::error::{Error, Result};

/// A key and a value.
pub type KeyValue<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// All pairs of a file, see [`BtreeReader::iter`](super::BtreeReader::iter).
pub struct Iter<'a> {
    look: Look<'a>,
    /// Whether the walk has left the root.
    started: bool,
    /// The internal pages from the root to where the walk is.
    frames: Vec<Frame<'a>>,
    leaf: Option<Leaf<'a>>,
    /// Leaves before the first leaf of the tree, the nearest first.
    before: Vec<PageNo>,
    /// The leaf behind the one the walk is on.
    behind: PageNo,
    /// Pages of the tree.
    pages_seen: PageSet,
    /// Overflow pages of internal keys. Files of old versions share them with keys of leaves.
    separators_seen: PageSet,
    /// Overflow and duplicate pages of leaves.
    chains_seen: PageSet,
    /// Overflow pages of keys that an interrupted update left over; the keys are elsewhere too.
    leftovers_seen: PageSet,
    /// The values still to come for `key`.
    key: Cow<'a, [u8]>,
    values: VecDeque<Cow<'a, [u8]>>,
}

/// What the separators say about the keys below a page: `low <= key < high`.
#[derive(Clone, Default)]
struct Bounds<'a> {
    low: Option<Cow<'a, [u8]>>,
    high: Option<Cow<'a, [u8]>>,
}

impl Bounds<'_> {
    fn is_behind(&self, key: &[u8]) -> bool {
        self.high.as_deref().is_some_and(|high| key >= high)
    }

    /// As [`Bounds::is_behind`], for a key that may lie elsewhere.
    fn is_stored_behind(&self, look: &Look<'_>, key: TreeKey<'_>) -> Result<bool> {
        match &self.high {
            Some(high) => Ok(compare(&look.pages, key, high)?.is_ge()),
            None => Ok(false),
        }
    }
}

struct Frame<'a> {
    node: Node<'a>,
    bounds: Bounds<'a>,
    /// The next child to visit.
    child: usize,
    /// The keys of the children from `child` on; that of child 0 is empty and means nothing.
    keys: VecDeque<Cow<'a, [u8]>>,
}

struct Leaf<'a> {
    node: Node<'a>,
    /// The next pair.
    at: usize,
    bounds: Bounds<'a>,
    /// Whether there are keys that the bounds leave out.
    exceeds: bool,
}

impl<'a> Iter<'a> {
    pub(crate) fn new(look: Look<'a>) -> Iter<'a> {
        let count = look.pages.count();
        Iter {
            look,
            started: false,
            frames: Vec::new(),
            leaf: None,
            before: Vec::new(),
            behind: PageNo::NONE,
            pages_seen: PageSet::new(count),
            separators_seen: PageSet::new(count),
            chains_seen: PageSet::new(count),
            leftovers_seen: PageSet::new(count),
            key: Cow::Borrowed(&[]),
            values: VecDeque::new(),
        }
    }

    fn next_value(&mut self) -> Result<Option<KeyValue<'a>>> {
        loop {
            if let Some(value) = self.values.pop_front() {
                let last = self.values.is_empty();
                let key = if last {
                    mem::take(&mut self.key)
                } else {
                    self.key.clone()
                };
                return Ok(Some((key, value)));
            }
            if self.leaf.is_none() && !self.next_leaf()? {
                return Ok(None);
            }
            // Nearly all pairs are of this kind.
            if let Some(leaf) = self.leaf.as_mut().filter(|leaf| !leaf.exceeds)
                && let Some(pair) = leaf.node.plain_pair(leaf.at)?
            {
                leaf.at += 1;
                return Ok(Some(pair));
            }
            self.next_pair()?;
        }
    }

    /// Goes to the next leaf; `false` behind the last.
    fn next_leaf(&mut self) -> Result<bool> {
        if !self.started {
            self.started = true;
            let root = self.look.root()?;
            self.find_leaves_before(self.look.first_leaf()?)?;
            self.enter(root, Bounds::default())?;
        }
        if let Some(number) = self.before.pop() {
            self.enter(self.look.leaf(number)?, Bounds::default())?;
            return Ok(true);
        }
        while self.leaf.is_none() {
            let Some(frame) = self.frames.last_mut() else {
                if self.behind == PageNo::NONE {
                    return Ok(false);
                }
                self.enter(self.look.leaf(self.behind)?, Bounds::default())?;
                continue;
            };
            let Some(key) = frame.keys.pop_front() else {
                self.frames.pop();
                continue;
            };
            let at = frame.child;
            frame.child += 1;
            let next_key = frame.keys.front();
            let mut bounds = frame.bounds.clone();
            if at > 0 && bounds.is_behind(&key) {
                // Either an update that was interrupted moved the child to another page, or the
                // bound is damaged.
                let (child, level) = (frame.node.child(at)?, frame.node.level() - 1);
                if self.look.leads_to(&key, level, child)? {
                    continue;
                }
                bounds.high = next_key.cloned();
            } else if let Some(next_key) = next_key
                && !bounds.is_behind(next_key)
            {
                bounds.high = Some(next_key.clone());
            }
            if at > 0 {
                bounds.low = Some(key);
            }
            let node = self.look.child(&frame.node, at)?;
            self.enter(node, bounds)?;
        }
        Ok(true)
    }

    fn find_leaves_before(&mut self, first: Node<'a>) -> Result<()> {
        let mut hops = 0;
        let mut number = first.neighbour(Side::Before)?;
        while number != PageNo::NONE {
            hops += 1;
            if hops > self.look.pages.count() {
                return Err(Error::corrupt_page(
                    number.0,
                    "leaves are linked in a circle",
                ));
            }
            self.before.push(number);
            number = self.look.leaf(number)?.neighbour(Side::Before)?;
        }
        Ok(())
    }

    fn enter(&mut self, node: Node<'a>, mut bounds: Bounds<'a>) -> Result<()> {
        if !self.pages_seen.insert(node.number()) {
            let what = "page is in two places of the tree";
            return Err(Error::corrupt_page(node.number().0, what));
        }
        if self.look.meta.version == BTREE_OLDEST_VERSION {
            // Its long keys are in the wrong place.
            bounds = Bounds::default();
        }
        if node.is_leaf() {
            if node.len() > 0 {
                let first =
                    node.whole_key(0, |item| overflow::read(&self.look.pages, item, None))?;
                if bounds.low.as_ref().is_some_and(|low| first < *low) {
                    return Err(misplaced(&node));
                }
            }
            let exceeds = match node.len().checked_sub(1) {
                // Keys ascend.
                Some(last) => bounds.is_stored_behind(&self.look, node.key(last)?)?,
                None => false,
            };
            self.behind = node.neighbour(Side::Behind)?;
            self.leaf = Some(Leaf {
                node,
                at: 0,
                bounds,
                exceeds,
            });
            return Ok(());
        }
        let mut keys = VecDeque::with_capacity(node.len());
        keys.push_back(Cow::Borrowed(&[][..]));
        for at in 1..node.len() {
            let seen = if bounds.is_stored_behind(&self.look, node.key(at)?)? {
                &mut self.leftovers_seen
            } else {
                &mut self.separators_seen
            };
            let pages = &self.look.pages;
            keys.push_back(node.whole_key(at, |item| overflow::read(pages, item, Some(seen)))?);
        }
        if let (Some(first), Some(low)) = (keys.get(1), &bounds.low)
            && first <= low
        {
            return Err(misplaced(&node));
        }
        self.frames.push(Frame {
            node,
            bounds,
            child: 0,
            keys,
        });
        Ok(())
    }

    /// Takes the next pair of the leaf into `key` and `values`, or drops the leaf at its end.
    fn next_pair(&mut self) -> Result<()> {
        let Some(leaf) = &mut self.leaf else {
            return Ok(());
        };
        if leaf.at >= leaf.node.len() {
            self.leaf = None;
            return Ok(());
        }
        let at = leaf.at;
        leaf.at += 1;
        let (look, seen) = (&self.look, &mut self.chains_seen);
        let is_behind = leaf.exceeds && leaf.bounds.is_stored_behind(look, leaf.node.key(at)?)?;
        let mut key_seen = if is_behind {
            Some(&mut self.leftovers_seen)
        } else if leaf.node.shares_key(at)? {
            // A key that several values share is read once for each.
            None
        } else {
            Some(&mut *seen)
        };
        self.key = leaf.node.whole_key(at, |item| {
            overflow::read(&look.pages, item, key_seen.take())
        })?;
        // Left over from an update that was interrupted, or the bound is damaged.
        if is_behind && look.is_elsewhere(&self.key, leaf.node.number())? {
            return Ok(());
        }
        let values = &mut self.values;
        look.each_value(&leaf.node, at, Some(seen), |value| {
            values.push_back(value);
            Walk::On
        })
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<KeyValue<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_value();
        if next.is_err() {
            // What a damaged place gave before the defect is not to be trusted.
            self.values.clear();
            self.leaf = None;
            self.frames.clear();
        }
        next.transpose()
    }
}

fn misplaced(node: &Node<'_>) -> Error {
    let what = "keys are less than the separator that leads to them";
    Error::corrupt_page(node.number().0, what)
}
