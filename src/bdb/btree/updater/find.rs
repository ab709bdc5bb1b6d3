//! The way to a key: pages are loaded, and what an interrupted update left on them is put in order.

use crate::bdb::PageNo;
use crate::bdb::btree::node::Side;
use crate::bdb::btree::parts::{Aside, Bounds, TreePage, in_two_places, take_children, take_pairs};
use crate::bdb::btree::updater::{BtreeUpdater, Place, Step};
use crate::bdb::meta::ROOT;
use crate::error::{Error, Result};

impl BtreeUpdater {
    /// Where `key` is or would be. All pages on the way are loaded, and what they had astray is
    /// settled.
    pub(super) fn find(&mut self, key: &[u8]) -> Result<Place> {
        let place = self.find_once(key)?;
        if self.strays.is_empty() {
            return Ok(place);
        }
        self.settle_strays()?;
        self.find_once(key)
    }

    pub(super) fn settle_strays(&mut self) -> Result<()> {
        while let Some(stray) = self.strays.pop() {
            let mut place = self.find_once(&stray.key.bytes)?;
            if place.found {
                self.free_pair(&stray)?;
                continue;
            }
            // It moves from its old page: see the rules.
            self.renew_way(&mut place)?;
            let leaf = self.page(place.leaf)?;
            leaf.changed = true;
            leaf.pairs.insert(place.at, stray);
            self.split(place)?;
        }
        Ok(())
    }

    pub(super) fn find_once(&mut self, key: &[u8]) -> Result<Place> {
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

    pub(super) fn child(&mut self, number: PageNo, at: usize) -> Result<PageNo> {
        let child = self.page(number)?.children.get(at);
        let none = || Error::corrupt_page(number.0, "internal page without children");
        child.map(|child| child.page).ok_or_else(none)
    }

    /// Takes a page of the file apart, if that was not done. `path` leads to it.
    pub(super) fn load(&mut self, number: PageNo, path: &[Step]) -> Result<()> {
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
    pub(super) fn bounds(&self, path: &[Step]) -> Bounds<'_> {
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

    /// The leaf next to the one that `path` leads to, loaded.
    pub(super) fn leaf_beside(&mut self, path: &[Step], side: Side) -> Result<Option<PageNo>> {
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
}
