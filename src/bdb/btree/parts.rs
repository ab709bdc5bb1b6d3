//! Pages of a tree taken apart into pairs and children, and put together again: what an update
//! works on.

use crate::bdb::btree::node::{LEAF_LEVEL, Node};
use crate::bdb::btree::reader::Look;
use crate::bdb::item::{
    LEAF_HEADER_LEN, LeafItem, OffPage, TREE_OFF_PAGE_LEN, TreeKey, internal_len, tree_aligned,
};
use crate::bdb::page::PageFormat;
use crate::bdb::page_buf::{Links, TreePageBuf};
use crate::bdb::{PageNo, overflow};
use crate::error::{Error, Result};

/// A page taken apart.
pub(super) struct TreePage {
    pub(super) level: u8,
    pub(super) prev: PageNo,
    pub(super) next: PageNo,
    /// On a leaf.
    pub(super) pairs: Vec<Pair>,
    /// On an internal page.
    pub(super) children: Vec<Child>,
    /// Whether the page differs from that in the file.
    pub(super) changed: bool,
}

pub(super) struct Pair {
    pub(super) key: Key,
    pub(super) value: Value,
}

pub(super) struct Child {
    /// No key below is less. The first child's is empty, but may refer to a chain.
    pub(super) key: Key,
    pub(super) page: PageNo,
}

pub(super) struct Key {
    /// The key's bytes, wherever they lie.
    pub(super) bytes: Vec<u8>,
    /// Where the key lies when it is not on the page.
    pub(super) item: Option<OffPage>,
}

pub(super) enum Value {
    OnPage(Vec<u8>),
    OffPage(OffPage),
}

impl Key {
    /// The key of a first child.
    pub(super) fn none() -> Key {
        Key {
            bytes: Vec::new(),
            item: None,
        }
    }

    pub(super) fn stored(&self) -> TreeKey<'_> {
        match self.item {
            Some(item) => TreeKey::OffPage(item),
            None => TreeKey::OnPage(&self.bytes),
        }
    }
}

impl Value {
    pub(super) fn stored(&self) -> TreeKey<'_> {
        match self {
            Value::OnPage(bytes) => TreeKey::OnPage(bytes),
            Value::OffPage(item) => TreeKey::OffPage(*item),
        }
    }
}

/// The bytes that a key or value takes on a leaf, its index entry included.
pub(super) fn leaf_len(stored: TreeKey<'_>) -> usize {
    2 + match stored {
        TreeKey::OnPage(bytes) => tree_aligned(LEAF_HEADER_LEN + bytes.len()),
        TreeKey::OffPage(_) => TREE_OFF_PAGE_LEN,
    }
}

impl TreePage {
    pub(super) fn new(level: u8) -> TreePage {
        TreePage {
            level,
            prev: PageNo::NONE,
            next: PageNo::NONE,
            pairs: Vec::new(),
            children: Vec::new(),
            changed: true,
        }
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.level == LEAF_LEVEL
    }

    /// Pairs or children.
    pub(super) fn len(&self) -> usize {
        self.pairs.len() + self.children.len()
    }

    /// The bytes that each pair or child takes, index entries included.
    pub(super) fn lens(&self) -> impl Iterator<Item = usize> {
        let pair = |pair: &Pair| leaf_len(pair.key.stored()) + leaf_len(pair.value.stored());
        let child = |child: &Child| 2 + internal_len(child.key.stored());
        let pairs = self.pairs.iter().map(pair);
        pairs.chain(self.children.iter().map(child))
    }

    pub(super) fn used(&self) -> usize {
        self.lens().sum()
    }

    /// The least key on the page that means anything.
    pub(super) fn least_key(&self) -> Option<&Vec<u8>> {
        let pair = self.pairs.first().map(|pair| &pair.key.bytes);
        pair.or_else(|| self.children.get(1).map(|child| &child.key.bytes))
    }

    pub(super) fn greatest_key(&self) -> Option<&Vec<u8>> {
        let pair = self.pairs.last().map(|pair| &pair.key.bytes);
        let last = || self.children.last().filter(|_| self.children.len() > 1);
        pair.or_else(|| last().map(|child| &child.key.bytes))
    }

    /// The child that leads to `key`.
    pub(super) fn route(&self, key: &[u8]) -> usize {
        let others = self.children.get(1..).unwrap_or_default();
        others.partition_point(|child| *child.key.bytes <= *key)
    }

    /// How many pairs or children stay when the page is split, so that the larger part is as small
    /// as it can be.
    pub(super) fn middle(&self) -> usize {
        let total = self.used();
        let mut before = 0;
        let mut best = (usize::MAX, 1);
        for (at, len) in self.lens().enumerate().take(self.len().saturating_sub(1)) {
            before += len;
            best = best.min((before.max(total - before), at + 1));
        }
        best.1
    }

    /// The page as it is written.
    pub(super) fn compose(&self, number: PageNo, format: PageFormat) -> Result<Vec<u8>> {
        if self.used() > format.room() {
            let what = "items that are too long for this file leave no room";
            return Err(Error::corrupt_page(number.0, what));
        }
        let mut bytes = vec![0; format.size.bytes()];
        let mut page = TreePageBuf::new(&mut bytes, format);
        for pair in &self.pairs {
            page.push_leaf(pair.key.stored());
            page.push_leaf(pair.value.stored());
        }
        for child in &self.children {
            page.push_internal(child.page, child.key.stored());
        }
        let (prev, next) = (self.prev, self.next);
        page.finish(Links { number, prev, next }, self.level);
        Ok(bytes)
    }
}

/// What the separators above a page say about its keys: `low <= key < high`.
pub(super) struct Bounds<'k> {
    pub(super) low: Option<&'k Vec<u8>>,
    pub(super) high: Option<&'k Vec<u8>>,
}

impl Bounds<'_> {
    /// Whether a key is behind the page: left over from an interrupted update.
    pub(super) fn is_behind(&self, key: &[u8]) -> bool {
        self.high.is_some_and(|high| *key >= **high)
    }

    /// Whether a key is before the page, where no interruption leaves one.
    pub(super) fn is_before(&self, key: &[u8]) -> bool {
        self.low.is_some_and(|low| *key < **low)
    }

    /// Whether a key of `node` is behind the page. If the tree leads to the page from there too, it
    /// is in two places.
    pub(super) fn is_left_over(
        &self,
        look: &Look<'_>,
        node: &Node<'_>,
        key: &[u8],
    ) -> Result<bool> {
        if self.is_before(key) {
            return Err(misplaced(node.number()));
        }
        if !self.is_behind(key) {
            return Ok(false);
        }
        if look.leads_to(key, node.level(), node.number())? {
            return Err(in_two_places(node.number()));
        }
        Ok(true)
    }
}

pub(super) fn in_two_places(number: PageNo) -> Error {
    Error::corrupt_page(number.0, "page is in two places of the tree")
}

pub(super) fn misplaced(number: PageNo) -> Error {
    Error::corrupt_page(number.0, "keys do not belong where the tree leads to them")
}

/// Pairs of a leaf that do not stay there.
#[derive(Default)]
pub(super) struct Aside {
    /// They do not belong there and are nowhere else.
    pub(super) strays: Vec<Pair>,
    /// They are marked as deleted.
    pub(super) deleted: Vec<Pair>,
}

/// Takes the pairs of a leaf apart, without those that are elsewhere too: an interrupted update
/// left them over.
pub(super) fn take_pairs(
    look: &Look<'_>,
    node: &Node<'_>,
    bounds: &Bounds<'_>,
    threshold: usize,
    taken: &mut TreePage,
    aside: &mut Aside,
) -> Result<()> {
    let number = node.number();
    for at in 0..node.len() {
        let key = take_key(look, node, at, threshold)?;
        let is_behind = bounds.is_left_over(look, node, &key.bytes)?;
        if is_behind && look.is_elsewhere(&key.bytes, number)? {
            taken.changed = true;
            continue;
        }
        let (value, deleted) = node.value(at)?;
        let value = match value {
            LeafItem::OnPage(value) if value.len() > threshold => {
                return Err(too_long(number));
            }
            LeafItem::OnPage(value) => Value::OnPage(value.to_vec()),
            LeafItem::OffPage(item) => Value::OffPage(item),
            LeafItem::OffPageDuplicates(_) => {
                let what = "several values for a key in a file that does not allow it";
                return Err(node.value_defect(at, what));
            }
        };
        if deleted || is_behind {
            taken.changed = true;
            let list = if deleted {
                &mut aside.deleted
            } else {
                &mut aside.strays
            };
            list.push(Pair { key, value });
        } else {
            taken.pairs.push(Pair { key, value });
        }
    }
    Ok(())
}

pub(super) fn take_children(
    look: &Look<'_>,
    node: &Node<'_>,
    bounds: &Bounds<'_>,
    threshold: usize,
    taken: &mut TreePage,
) -> Result<()> {
    let number = node.number();
    for at in 0..node.len() {
        let page = node.child(at)?;
        if at == 0 {
            // The key means nothing, but if it has a chain it owns it.
            let item = match node.key(0)? {
                TreeKey::OnPage(_) => None,
                TreeKey::OffPage(item) => Some(item),
            };
            let bytes = Vec::new();
            let key = Key { bytes, item };
            taken.children.push(Child { key, page });
            continue;
        }
        let key = take_key(look, node, at, threshold)?;
        if bounds.is_left_over(look, node, &key.bytes)? {
            if !look.leads_to(&key.bytes, node.level() - 1, page)? {
                return Err(misplaced(number));
            }
            taken.changed = true;
            continue;
        }
        taken.children.push(Child { key, page });
    }
    Ok(())
}

pub(super) fn take_key(
    look: &Look<'_>,
    node: &Node<'_>,
    at: usize,
    threshold: usize,
) -> Result<Key> {
    let item = match node.key(at)? {
        TreeKey::OnPage(bytes) if bytes.len() > threshold => {
            return Err(too_long(node.number()));
        }
        TreeKey::OnPage(_) => None,
        TreeKey::OffPage(item) => Some(item),
    };
    let bytes = node.whole_key(at, |item| overflow::read(&look.pages, item, None))?;
    Ok(Key {
        bytes: bytes.into_owned(),
        item,
    })
}

pub(super) fn too_long(number: PageNo) -> Error {
    Error::corrupt_page(number.0, "item is too long to lie on a page")
}
