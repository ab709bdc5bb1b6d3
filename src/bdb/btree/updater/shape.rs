//! Pages that are split, moved and taken out of the tree.

use crate::bdb::PageNo;
use crate::bdb::btree::builder::separator;
use crate::bdb::btree::node::{LEAF_LEVEL, Side};
use crate::bdb::btree::parts::{Child, Key, Pair, TreePage};
use crate::bdb::btree::updater::{BtreeUpdater, Place, Step};
use crate::bdb::meta::ROOT;
use crate::error::{Error, Result};

impl BtreeUpdater {
    /// Makes `before` and `behind` neighbours.
    pub(super) fn link(&mut self, before: Option<PageNo>, behind: Option<PageNo>) -> Result<()> {
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

    /// Moves the page that `path` leads to to a new page, if it is an old one, and returns its
    /// number. The root stays where it is.
    fn renew(&mut self, path: &[Step], number: PageNo) -> Result<PageNo> {
        let Some(step) = path.last() else {
            return Ok(number);
        };
        if self.pager.is_new(number) {
            return Ok(number);
        }
        let is_leaf = self.page(number)?.is_leaf();
        let mut beside = [None, None];
        if is_leaf {
            beside = [
                self.leaf_beside(path, Side::Before)?,
                self.leaf_beside(path, Side::Behind)?,
            ];
        }
        let new = self.allocate()?;
        let mut page = self.free_tree_page(number)?;
        page.changed = true;
        self.pages.insert(new, page);
        let above = self.page(step.page)?;
        above.changed = true;
        if let Some(child) = above.children.get_mut(step.child) {
            child.page = new;
        }
        if is_leaf {
            let [before, behind] = beside;
            self.link(before, Some(new))?;
            self.link(Some(new), behind)?;
        }
        Ok(new)
    }

    /// Moves the leaf of `place` and all pages on the way to it to new pages: they come into the
    /// tree with one write, that of the root.
    pub(super) fn renew_way(&mut self, place: &mut Place) -> Result<()> {
        for depth in 1..=place.path.len() {
            let (way, rest) = place.path.split_at_mut(depth);
            let page = match rest.first_mut() {
                Some(step) => &mut step.page,
                None => &mut place.leaf,
            };
            *page = self.renew(way, *page)?;
        }
        Ok(())
    }

    /// Splits the leaf of `place` if it is too full, and the pages above as far as needed.
    pub(super) fn split(&mut self, place: Place) -> Result<()> {
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
            number = self.renew(&path, number)?;
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
    pub(super) fn unlink(&mut self, place: Place) -> Result<()> {
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
        self.collapse()?;
        // At its end a tree must not lead on to a page that has left it, see the rules.
        for (beside, side) in [(before, Side::Before), (behind, Side::Behind)] {
            if beside.is_none() {
                let mut edge = self.edge(side)?;
                self.renew_way(&mut edge)?;
            }
        }
        Ok(())
    }

    /// The first leaf of the tree, or the last.
    fn edge(&mut self, side: Side) -> Result<Place> {
        let (mut path, mut number) = (Vec::new(), ROOT);
        loop {
            self.load(number, &path)?;
            let page = self.page(number)?;
            if page.is_leaf() {
                return Ok(Place {
                    path,
                    leaf: number,
                    at: 0,
                    found: false,
                });
            }
            let child = match side {
                Side::Before => 0,
                Side::Behind => page.len().saturating_sub(1),
            };
            path.push(Step {
                page: number,
                child,
            });
            number = self.child(number, child)?;
        }
    }

    /// While the root has a single child, it takes the child's place.
    pub(super) fn collapse(&mut self) -> Result<()> {
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
