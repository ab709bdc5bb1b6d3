//! Trees: that of a btree file, and those that hold the values of one key.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::bdb::PageNo;
use crate::bdb::btree::{LEAF_LEVEL, threshold};
use crate::bdb::meta::{
    AccessMethod, BTREE_OLDEST_VERSION, MIN_KEYS, MIN_KEYS_OFFSET, RECORD_LEN_OFFSET, ROOT,
    ROOT_OFFSET, RawMeta,
};
use crate::bdb::page::{Page, PageKind};
use crate::bdb::verify::Invariant;
use crate::bdb::verify::tree_page::{Body, Entry};
use crate::bdb::verify::walk::{Owner, Referrer, Walk, in_words};
use crate::defect::{Severity, at_slot};
use crate::error::Result;

/// What a tree holds, and where the walk through it is.
struct Tree {
    kind: TreeKind,
    /// The longest key or value that lies on a page.
    most: usize,
    height: u8,
    entries: u64,
    /// The leaf before, and where it says the next one is.
    last_leaf: Option<(PageNo, PageNo)>,
    /// Whether a leaf was left out since.
    gap: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TreeKind {
    /// Keys and values.
    Table,
    /// The values of one key, in order.
    SortedValues,
    /// The values of one key, as they came.
    Values,
}

/// Where a page hangs in its tree.
#[derive(Clone, Copy)]
struct Branch<'k> {
    number: PageNo,
    /// `None` for the root.
    level: Option<u8>,
    lower: Option<&'k [u8]>,
    upper: Option<&'k [u8]>,
}

impl Tree {
    fn new(kind: TreeKind, most: usize) -> Tree {
        Tree {
            kind,
            most,
            height: 0,
            entries: 0,
            last_leaf: None,
            gap: false,
        }
    }

    /// Whether a page of the kind belongs into the tree, and is a leaf.
    fn is_leaf(&self, kind: PageKind) -> Option<bool> {
        match (self.kind, kind) {
            (TreeKind::Table, PageKind::BtreeLeaf)
            | (TreeKind::SortedValues, PageKind::DuplicateLeaf)
            | (TreeKind::Values, PageKind::RecnoLeaf) => Some(true),
            (TreeKind::Table | TreeKind::SortedValues, PageKind::BtreeInternal)
            | (TreeKind::Values, PageKind::RecnoInternal) => Some(false),
            _ => None,
        }
    }
}

/// Walks a btree file.
pub(super) fn walk(walk: &mut Walk<'_>, raw: &RawMeta<'_>) -> Result<()> {
    let format = walk.format();
    let mut defect = |rule, what: String| walk.defects.page(rule, 0_u32, what);
    let min_keys = raw.method_field(MIN_KEYS_OFFSET);
    let most = threshold(format, min_keys);
    if min_keys < MIN_KEYS || most == 0 {
        let what = format!("{min_keys} keys are to find room on a page");
        defect(Invariant::B1, what);
    }
    let root = raw.method_field(ROOT_OFFSET);
    if root != ROOT.0 {
        defect(Invariant::B2, format!("root is said to be page {root}"));
    }
    let record_len = raw.method_field(RECORD_LEN_OFFSET);
    if record_len != 0 {
        defect(Invariant::B3, format!("records of {record_len} bytes"));
    }
    let mut tree = Tree::new(TreeKind::Table, most);
    walk.tree(&mut tree, ROOT)?;
    walk.statistics.height = Some(tree.height);
    walk.statistics.entries += tree.entries;
    let longest = &mut walk.statistics.longest_lookup;
    *longest = (*longest).max(u64::from(tree.height));
    Ok(())
}

impl<'a> Walk<'a> {
    /// Walks a tree of duplicates that the item at `place` refers to, and returns its height and
    /// how many values it holds.
    pub(super) fn duplicate_tree(&mut self, place: Referrer, root: PageNo) -> Result<(u8, u64)> {
        let page = match self.is_page(root) {
            true => self.pages.unchecked(root)?,
            false => None,
        };
        let Some(page) = page else {
            let what = format!("duplicates lie on page {root}, which does not exist");
            self.defects
                .slot(Invariant::B4, place.page, place.slot, what);
            return Ok((0, 0));
        };
        let kind = match page.kind() {
            PageKind::RecnoInternal | PageKind::RecnoLeaf => TreeKind::Values,
            _ => TreeKind::SortedValues,
        };
        let mut tree = Tree::new(kind, usize::MAX);
        self.tree(&mut tree, root)?;
        Ok((tree.height, tree.entries))
    }

    fn tree(&mut self, tree: &mut Tree, root: PageNo) -> Result<()> {
        self.branch(
            tree,
            Branch {
                number: root,
                level: None,
                lower: None,
                upper: None,
            },
        )?;
        if let Some((leaf, next)) = tree.last_leaf
            && !tree.gap
            && next != PageNo::NONE
        {
            let what = format!("last leaf goes on to page {next}");
            self.defects.page(Invariant::B12, leaf.0, what);
        }
        Ok(())
    }

    /// Walks a page and what is below. The level falls with each step, so this goes no deeper than
    /// 255 pages.
    fn branch(&mut self, tree: &mut Tree, branch: Branch<'_>) -> Result<()> {
        let number = branch.number;
        let Some(page) = self.tree_member(tree, number)? else {
            tree.gap = true;
            return Ok(());
        };
        let Some(is_leaf) = tree.is_leaf(page.kind()) else {
            let what = format!("page of the tree has type {}", page.kind().byte());
            self.defects.page(Invariant::B6, number.0, what);
            tree.gap = true;
            return Ok(());
        };
        let stated = page.level();
        let level = branch.level.unwrap_or(stated);
        if stated != level || is_leaf != (level == LEAF_LEVEL) || level == 0 {
            let what = match is_leaf {
                true => format!("leaf at level {level} says that its level is {stated}"),
                false => format!("internal page at level {level} says that its level is {stated}"),
            };
            self.defects.page(Invariant::B7, number.0, what);
        }
        if branch.level.is_none() {
            tree.height = level;
        }
        if tree.kind == TreeKind::Table {
            let owner = if is_leaf {
                Owner::Leaf
            } else {
                Owner::Internal
            };
            self.change_owner(number, owner);
        }
        let (entries, complete) = self.tree_page(&page)?;
        if is_leaf {
            self.leaf(tree, branch, &page, &entries, complete)
        } else if level > LEAF_LEVEL {
            self.internal(tree, branch, level, &page, &entries, complete)
        } else {
            tree.gap = true;
            Ok(())
        }
    }

    /// Page `number`, claimed for the tree.
    fn tree_member(&mut self, tree: &Tree, number: PageNo) -> Result<Option<Page<'a>>> {
        let owner = match tree.kind {
            TreeKind::Table => Owner::Leaf,
            TreeKind::SortedValues | TreeKind::Values => Owner::Duplicate,
        };
        if let Err(other) = self.claim(number, owner) {
            let rule = match other {
                Owner::Internal | Owner::Leaf | Owner::Duplicate => Invariant::B5,
                _ => Invariant::F5,
            };
            let what = format!("tree comes here, but the page {}", in_words(other));
            self.defects.page(rule, number.0, what);
            return Ok(None);
        }
        self.owned_page(number, false)
    }

    fn internal(
        &mut self,
        tree: &mut Tree,
        branch: Branch<'_>,
        level: u8,
        page: &Page<'a>,
        entries: &[Entry<'a>],
        complete: bool,
    ) -> Result<()> {
        let number = branch.number.0;
        if page.entry_count()? == 0 {
            let what = "internal page has no children";
            self.defects.page(Invariant::B9, number, what);
        }
        tree.gap |= !complete;
        let mut keys = Vec::with_capacity(entries.len());
        for entry in entries {
            self.check_tree_len(number, entry, tree.most);
            let key = self.tree_key(number, entry, entry.slot > 0)?;
            // The first key stands for "less than everything", whatever it says.
            keys.push(key.filter(|_| entry.slot > 0));
        }
        let ordered: Vec<_> = entries.iter().zip(&keys).skip(1).collect();
        self.order(tree, branch, &ordered);
        for (at, entry) in entries.iter().enumerate() {
            if !self.is_page(entry.child) {
                let what = format!("child is page {}, which does not exist", entry.child);
                self.defects.slot(Invariant::B4, number, entry.slot, what);
                tree.gap = true;
                continue;
            }
            let bound = |at: usize| keys.get(at).and_then(|key| key.as_deref());
            let child = Branch {
                number: entry.child,
                level: Some(level - 1),
                lower: if at == 0 { branch.lower } else { bound(at) },
                upper: if at + 1 == entries.len() {
                    branch.upper
                } else {
                    bound(at + 1)
                },
            };
            self.branch(tree, child)?;
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        tree: &mut Tree,
        branch: Branch<'_>,
        page: &Page<'a>,
        entries: &[Entry<'a>],
        complete: bool,
    ) -> Result<()> {
        self.leaf_links(tree, page)?;
        let number = branch.number.0;
        let table = tree.kind == TreeKind::Table;
        let entry_count = page.entry_count()?;
        if table {
            self.statistics.room_bytes += self.format().room() as u64;
            if entry_count % 2 != 0 {
                let what = format!("leaf has {entry_count} index entries");
                self.defects.page(Invariant::P2, number, what);
            }
        }
        let mut keys = Vec::with_capacity(entries.len());
        let mut key_pages = 0;
        for entry in entries {
            self.check_tree_len(number, entry, tree.most);
            let is_key = table && entry.slot % 2 == 0;
            if entry.is_repeated() {
                continue;
            }
            if let Body::Duplicates(root) = entry.body {
                let place = Referrer {
                    page: number,
                    slot: entry.slot,
                };
                if is_key || !table || !self.duplicates {
                    let what = "set of duplicates where there can be none";
                    self.defects.slot(Invariant::P5, number, entry.slot, what);
                } else {
                    let (height, values) = self.duplicate_tree(place, root)?;
                    tree.entries += values;
                    self.longest_tree_lookup(tree, key_pages + u64::from(height));
                }
                continue;
            }
            let pages = match &entry.body {
                Body::OffPage(item) => u64::from(item.len).div_ceil(self.format().room() as u64),
                _ => 0,
            };
            let ordered = is_key || tree.kind == TreeKind::SortedValues;
            let key = self.tree_key(number, entry, ordered)?;
            if is_key {
                key_pages = pages;
            } else {
                tree.entries += 1;
                self.longest_tree_lookup(tree, key_pages + pages);
            }
            if ordered {
                keys.push((entry, key));
            }
        }
        if complete {
            let ordered: Vec<_> = keys.iter().map(|(entry, key)| (*entry, key)).collect();
            self.order(tree, branch, &ordered);
        }
        Ok(())
    }

    fn longest_tree_lookup(&mut self, tree: &Tree, extra_pages: u64) {
        if self.method == AccessMethod::Btree && tree.kind == TreeKind::Table {
            let longest = &mut self.statistics.longest_lookup;
            *longest = (*longest).max(u64::from(tree.height) + extra_pages);
        }
    }

    /// The bytes of a key if they are `wanted`; its chain is checked in any case.
    fn tree_key(
        &mut self,
        page: u32,
        entry: &Entry<'a>,
        wanted: bool,
    ) -> Result<Option<Cow<'a, [u8]>>> {
        let place = Referrer {
            page,
            slot: entry.slot,
        };
        match &entry.body {
            Body::Bytes(bytes) => Ok(wanted.then(|| bytes.clone())),
            Body::OffPage(item) => Ok(self.chain(place, *item, wanted)?.map(Cow::Owned)),
            Body::Duplicates(_) | Body::Nothing => Ok(None),
        }
    }

    /// That keys ascend, within the bounds of their page.
    fn order(
        &mut self,
        tree: &Tree,
        branch: Branch<'_>,
        keys: &[(&Entry<'a>, &Option<Cow<'a, [u8]>>)],
    ) {
        // That version put long keys in the wrong place.
        let astray = self.method == AccessMethod::Btree && self.version == BTREE_OLDEST_VERSION;
        let page = branch.number.0;
        // A value can stand on both sides of a separator, a key cannot.
        let repeats = tree.kind != TreeKind::Table;
        let mut before: Option<(&[u8], bool)> = None;
        for (entry, key) in keys {
            let Some(key) = key.as_deref() else { continue };
            let place = at_slot(page, entry.slot);
            let mut defect = |rule, tolerated, what: &str| {
                let severity = match tolerated {
                    true => Severity::Warning,
                    false => Severity::Error,
                };
                self.defects.add(rule, severity, place, what);
            };
            let is_long = matches!(entry.body, Body::OffPage(_));
            if let Some((before, was_long)) = before.replace((key, is_long))
                && before >= key
            {
                let what = "key is not greater than the one before";
                defect(Invariant::B10, astray && (is_long || was_long), what);
            }
            if branch.lower.is_some_and(|lower| key < lower) {
                let what = "key is less than the separator that leads to the page";
                defect(Invariant::B11, astray, what);
            }
            let above = branch.upper.map(|upper| key.cmp(upper));
            if above == Some(Ordering::Greater) || (above == Some(Ordering::Equal) && !repeats) {
                let what = "key is not less than the separator behind the page";
                defect(Invariant::B11, astray, what);
            }
        }
    }

    /// That the leaf hangs behind the one before.
    fn leaf_links(&mut self, tree: &mut Tree, page: &Page<'_>) -> Result<()> {
        let (number, next) = (page.number(), page.next()?);
        let last = tree.last_leaf.replace((number, next));
        if std::mem::take(&mut tree.gap) {
            return Ok(());
        }
        let expected = last.map_or(PageNo::NONE, |(leaf, _)| leaf);
        if page.prev()? != expected {
            let what = format!("leaf links back to {}, not {expected}", page.prev()?);
            self.defects.page(Invariant::B12, number.0, what);
        }
        if let Some((leaf, next)) = last
            && next != number
        {
            let what = format!("leaf goes on to page {next}, not {number}");
            self.defects.page(Invariant::B12, leaf.0, what);
        }
        Ok(())
    }
}
