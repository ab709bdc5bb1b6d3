//! The pages of one tree, and the overflow pages of its values.

use std::cmp::Ordering;

use crate::defect::Place;
use crate::error::Result;
use crate::lmdb::PageNo;
use crate::lmdb::layout::{Layout, NODE_OFFSET_LEN};
use crate::lmdb::node::{Node, OverflowRef, Stored};
use crate::lmdb::page::{Page, PageKind};
use crate::lmdb::verify::{Rule, Walk};

/// Which of the two trees of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// The entries.
    Main,
    /// The list of free pages.
    Free,
}

impl Tree {
    pub(super) fn name(self) -> &'static str {
        match self {
            Tree::Main => "main tree",
            Tree::Free => "free list",
        }
    }

    fn compare(self, layout: &Layout, one: &[u8], other: &[u8]) -> Ordering {
        match self {
            Tree::Main => one.cmp(other),
            Tree::Free => layout.word(one, 0).cmp(&layout.word(other, 0)),
        }
    }
}

/// What was found in a tree.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) branch: u64,
    pub(super) leaf: u64,
    pub(super) overflow: u64,
    pub(super) overflow_values: u64,
    pub(super) entries: u64,
    pub(super) used_bytes: u64,
    pub(super) room_bytes: u64,
    /// Free pages, in the free list.
    pub(super) listed: u64,
}

/// What the separators say about the keys below a page: `low <= key < high`.
#[derive(Clone, Copy)]
struct Bounds<'k> {
    low: Option<&'k [u8]>,
    high: Option<&'k [u8]>,
}

/// A walk through one tree.
struct TreeWalk<'c> {
    tree: Tree,
    counted: &'c mut Counted,
    /// The key of the last entry.
    last_key: Option<Vec<u8>>,
}

impl Walk<'_> {
    /// Visits every page of a tree of `depth` levels.
    pub(super) fn walk_tree(
        &mut self,
        tree: Tree,
        root: PageNo,
        depth: u16,
        counted: &mut Counted,
    ) -> Result<()> {
        let mut walk = TreeWalk {
            tree,
            counted,
            last_key: None,
        };
        let bounds = Bounds {
            low: None,
            high: None,
        };
        self.subtree(&mut walk, root, depth, bounds)
    }

    /// Visits page `number` and what is below. `levels` counts this one; so the recursion ends.
    fn subtree(
        &mut self,
        walk: &mut TreeWalk<'_>,
        number: PageNo,
        levels: u16,
        bounds: Bounds<'_>,
    ) -> Result<()> {
        let kind = match levels {
            1 => PageKind::Leaf,
            _ => PageKind::Branch,
        };
        let Some(page) = self.tree_page(number, kind)? else {
            return Ok(());
        };
        let mut nodes = Vec::with_capacity(page.len());
        for at in 0..page.len() {
            if let Some(node) = self.defects.found(Rule::L8, page.node(at))? {
                nodes.push((at, node));
            }
        }
        self.tiles(&page, &nodes);
        match kind {
            PageKind::Leaf => {
                walk.counted.leaf += 1;
                for (at, node) in &nodes {
                    self.entry(walk, &page, *at, node, bounds)?;
                }
                let index = (NODE_OFFSET_LEN * page.len()) as u64;
                let used = nodes.iter().map(|(_, node)| node.extent().len() as u64);
                walk.counted.used_bytes += index + used.sum::<u64>();
                walk.counted.room_bytes += self.layout.room() as u64;
                Ok(())
            }
            PageKind::Branch => {
                walk.counted.branch += 1;
                self.children(walk, &page, &nodes, levels, bounds)
            }
        }
    }

    /// The page, if it is sound and nobody's yet.
    fn tree_page(&mut self, number: PageNo, kind: PageKind) -> Result<Option<Page<'static>>> {
        let Some(bytes) = self.defects.found(Rule::L4, self.pages.bytes(number))? else {
            return Ok(None);
        };
        if !self.claim(number, 1) {
            return Ok(None);
        }
        // A copy, so that the walk can go on changing itself. There is one for each level.
        let bytes = bytes.into_owned();
        self.defects
            .found(Rule::L7, self.pages.check_txn(number, &bytes))?;
        let page = Page::new(bytes.into(), self.layout, number);
        let Some(page) = self.defects.found(Rule::L6, page)? else {
            return Ok(None);
        };
        if page.kind() != kind {
            let what = match kind {
                PageKind::Branch => "leaf above the level of the leaves",
                PageKind::Leaf => "branch page at the level of the leaves",
            };
            self.defects.page(Rule::L11, number, what);
            return Ok(None);
        }
        Ok(Some(page))
    }

    /// Checks that nodes fill the page from the lowest to the end.
    fn tiles(&mut self, page: &Page<'_>, nodes: &[(usize, Node<'_>)]) {
        let mut extents: Vec<_> = nodes
            .iter()
            .map(|(at, node)| (node.extent(), *at))
            .collect();
        extents.sort_unstable_by_key(|(extent, _)| extent.start);
        let mut end = page.upper();
        for (extent, at) in extents {
            if extent.start < end {
                let what = format!("node begins at {}, in another one", extent.start);
                self.defects.slot(Rule::L9, page.number(), at, what);
            } else if extent.start > end {
                let what = format!("nothing from {end} to {}", extent.start);
                self.defects
                    .warn(Rule::L9, Place::Page(page.number().0), what);
            }
            end = end.max(extent.end);
        }
        let page_end = self
            .layout
            .page_size
            .bytes()
            .saturating_sub(self.checksum_len);
        if end < page_end {
            let what = format!("nothing from {end} to {page_end}");
            self.defects
                .warn(Rule::L9, Place::Page(page.number().0), what);
        }
    }

    fn children(
        &mut self,
        walk: &mut TreeWalk<'_>,
        page: &Page<'_>,
        nodes: &[(usize, Node<'_>)],
        levels: u16,
        bounds: Bounds<'_>,
    ) -> Result<()> {
        let number = page.number();
        if page.len() < 2 {
            let what = "branch page has one child";
            match walk.tree {
                Tree::Main => self.defects.page(Rule::L11, number, what),
                Tree::Free => self.defects.warn(Rule::L11, Place::Page(number.0), what),
            }
        }
        let mut low = bounds.low;
        for (place, (at, node)) in nodes.iter().enumerate() {
            if *at == 0 {
                if !node.key().is_empty() {
                    let what = "first child has a separator";
                    self.defects.warn(Rule::L13, Place::Page(number.0), what);
                }
            } else {
                let key = node.key();
                let is_word = key.len() == self.layout.width.bytes();
                if walk.tree == Tree::Free && !is_word {
                    let what = "separator is no transaction";
                    self.defects.slot(Rule::L16, number, *at, what);
                    continue;
                }
                self.between(
                    walk.tree,
                    number,
                    *at,
                    key,
                    Bounds { low, ..bounds },
                    *at > 1,
                );
                low = Some(key);
            }
            let high = nodes.get(place + 1).map(|(_, next)| next.key());
            let below = Bounds {
                low,
                high: high.or(bounds.high),
            };
            self.subtree(walk, node.child(), levels - 1, below)?;
        }
        Ok(())
    }

    /// Checks that a key is where the separators say; with `strictly`, it must not be `low` itself.
    fn between(
        &mut self,
        tree: Tree,
        page: PageNo,
        at: usize,
        key: &[u8],
        bounds: Bounds<'_>,
        strictly: bool,
    ) {
        let is_low = bounds.low.is_some_and(|low| {
            let order = tree.compare(&self.layout, key, low);
            order.is_lt() || strictly && order.is_eq()
        });
        let is_high = bounds
            .high
            .is_some_and(|high| tree.compare(&self.layout, key, high).is_ge());
        if is_low {
            self.defects
                .slot(Rule::L12, page, at, "key is less than its place allows");
        }
        if is_high {
            self.defects
                .slot(Rule::L12, page, at, "key is greater than its place allows");
        }
    }

    fn entry(
        &mut self,
        walk: &mut TreeWalk<'_>,
        page: &Page<'_>,
        at: usize,
        node: &Node<'_>,
        bounds: Bounds<'_>,
    ) -> Result<()> {
        let (number, tree) = (page.number(), walk.tree);
        let key = node.key();
        walk.counted.entries += 1;
        if tree == Tree::Free && !self.is_free_key(number, at, key) {
            return Ok(());
        }
        let is_behind = walk
            .last_key
            .as_deref()
            .is_none_or(|last| tree.compare(&self.layout, last, key).is_lt());
        if !is_behind {
            let what = "key is not greater than the one before";
            self.defects.slot(Rule::L12, number, at, what);
        }
        self.between(tree, number, at, key, bounds, false);
        walk.last_key = Some(key.to_vec());
        let value = match node.stored() {
            Stored::Inline { start, end } => Some(page.slice(start..end)),
            Stored::Run(run) => match self.run(walk, &run)? {
                true if tree == Tree::Free => Some(self.pages.run_value(&run)?),
                _ => None,
            },
            Stored::Database => {
                self.defects
                    .slot(Rule::L3, number, at, "value is a database");
                None
            }
            Stored::Duplicates => {
                self.defects
                    .slot(Rule::L3, number, at, "key has several values");
                None
            }
        };
        if let Some(value) = value.filter(|_| tree == Tree::Free) {
            walk.counted.listed += self.free_record(number, at, &value);
        }
        Ok(())
    }

    /// Checks the run of a value; `false` when it cannot be read.
    fn run(&mut self, walk: &mut TreeWalk<'_>, run: &OverflowRef) -> Result<bool> {
        let count = self.defects.found(Rule::L10, self.pages.run_pages(run))?;
        let Some(count) = count else {
            return Ok(false);
        };
        walk.counted.overflow += count;
        walk.counted.overflow_values += 1;
        Ok(self.claim(run.first, count))
    }
}
