//! The pairs of one page, as many as are well-formed.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::bdb::PageNo;
use crate::bdb::duplicate::{self, Walk};
use crate::bdb::item::{HashItem, InternalItem, LeafItem, OffPage, TREE_ALIGNMENT, TreeKey};
use crate::bdb::meta::AccessMethod;
use crate::bdb::page::{Page, PageKind, PageSet, Pages};
use crate::error::Result;

/// A pair, its long parts not yet read.
pub(super) struct Found {
    /// The index entry of the key.
    pub(super) slot: u16,
    pub(super) key: Key,
    pub(super) values: Vec<Value>,
    pub(super) deleted: bool,
}

pub(super) enum Key {
    Bytes(Vec<u8>),
    OffPage(OffPage),
}

pub(super) enum Value {
    Bytes(Vec<u8>),
    OffPage(OffPage),
    /// The root of a tree of values.
    Tree(PageNo),
}

type Lost<'l> = dyn FnMut(Option<u16>, String) + 'l;

/// The pairs of a page that holds or held pairs, of a file of this method; what gives none is told
/// to `lost`.
pub(super) fn pairs(
    page: &Page<'_>,
    method: Option<AccessMethod>,
    deleted: bool,
    lost: &mut Lost<'_>,
) -> Vec<Found> {
    match page.kind() {
        PageKind::BtreeLeaf => leaf_pairs(page, stated_count(page, lost), deleted, lost),
        PageKind::Free => deleted_pairs(page, method),
        _ => hash_pairs(page, stated_count(page, lost), lost),
    }
}

/// The number of index entries, or as many as fit.
fn stated_count(page: &Page<'_>, lost: &mut Lost<'_>) -> usize {
    let count = page.entry_count().map_or(0, usize::from);
    let most = page.format().room() / 2;
    if count > most {
        lost(None, format!("index of {count} entries runs off the page"));
    }
    count.min(most)
}

fn offset(page: &Page<'_>, slot: usize) -> usize {
    let at = page.format().header_len() + 2 * slot;
    page.u16(at).map_or(0, usize::from)
}

fn hash_pairs(page: &Page<'_>, count: usize, lost: &mut Lost<'_>) -> Vec<Found> {
    let order = page.format().order;
    let size = page.format().size.bytes();
    let stated_end = page.format().header_len() + 2 * count;
    if !count.is_multiple_of(2) {
        lost(None, format!("index has {count} entries"));
    }
    let mut found = Vec::new();
    for slot in (0..count.saturating_sub(1)).step_by(2) {
        let end = match slot {
            0 => size,
            _ => offset(page, slot - 1),
        };
        let (key, value) = (offset(page, slot), offset(page, slot + 1));
        let number = u16::try_from(slot).unwrap_or(u16::MAX);
        if value < stated_end || value >= key || key >= end || end > size {
            let what = format!("items from {value} and {key} to {end} cannot be");
            lost(Some(number), what);
            continue;
        }
        let item = |start, end| {
            let bytes = page.bytes().get(start..end).unwrap_or_default();
            HashItem::parse(bytes, order)
        };
        let key = match item(key, end) {
            Ok(HashItem::OnPage(bytes)) => Key::Bytes(bytes.to_vec()),
            Ok(HashItem::OffPage(item)) => Key::OffPage(item),
            Ok(_) => {
                lost(Some(number), "key is a set of duplicates".into());
                continue;
            }
            Err(what) => {
                lost(Some(number), what);
                continue;
            }
        };
        let key_start = offset(page, slot);
        let mut values = Vec::new();
        match item(value, key_start) {
            Ok(HashItem::OnPage(bytes)) => values.push(Value::Bytes(bytes.to_vec())),
            Ok(HashItem::OffPage(item)) => values.push(Value::OffPage(item)),
            Ok(HashItem::OffPageDuplicates(root)) => values.push(Value::Tree(root)),
            Ok(HashItem::Duplicates(bytes)) => {
                let walked = duplicate::on_page(bytes, order, |value| {
                    values.push(Value::Bytes(value.to_vec()));
                    Walk::On
                });
                if let Err(what) = walked {
                    lost(Some(number + 1), what);
                }
            }
            Err(what) => lost(Some(number + 1), what),
        }
        if !values.is_empty() {
            found.push(Found {
                slot: number,
                key,
                values,
                deleted: false,
            });
        }
    }
    found
}

fn leaf_pairs(page: &Page<'_>, count: usize, deleted: bool, lost: &mut Lost<'_>) -> Vec<Found> {
    let order = page.format().order;
    let lowest = page.format().header_len() + 2 * count;
    if !count.is_multiple_of(2) {
        lost(None, format!("index has {count} entries"));
    }
    let item = |slot| {
        let start = offset(page, slot);
        if start < lowest || !start.is_multiple_of(TREE_ALIGNMENT) {
            return Err(format!("item begins at {start}"));
        }
        let bytes = page.bytes().get(start..).unwrap_or_default();
        LeafItem::parse(bytes, order)
    };
    let mut found: Vec<Found> = Vec::new();
    let mut last_key = None;
    // Items that overlap could give as much as the square of the page.
    let mut left = page.format().size.bytes();
    let len_of = |item: &LeafItem<'_>| match item {
        LeafItem::OnPage(bytes) => bytes.len(),
        LeafItem::OffPage(_) | LeafItem::OffPageDuplicates(_) => 0,
    };
    for slot in (0..count.saturating_sub(1)).step_by(2) {
        let number = u16::try_from(slot).unwrap_or(u16::MAX);
        let (key, value) = match (item(slot), item(slot + 1)) {
            (Ok((key, _)), Ok(value)) => (key, value),
            (Err(what), _) => {
                lost(Some(number), what);
                continue;
            }
            (_, Err(what)) => {
                lost(Some(number + 1), what);
                continue;
            }
        };
        let (value, is_deleted) = value;
        if is_deleted && !deleted {
            continue;
        }
        let is_again = last_key == Some((offset(page, slot), is_deleted));
        let key_len = if is_again { 0 } else { len_of(&key) };
        let Some(rest) = left.checked_sub(key_len + len_of(&value)) else {
            lost(Some(number), "items of the page overlap".into());
            return found;
        };
        left = rest;
        let value = match value {
            LeafItem::OnPage(bytes) => Value::Bytes(bytes.to_vec()),
            LeafItem::OffPage(item) => Value::OffPage(item),
            LeafItem::OffPageDuplicates(root) => Value::Tree(root),
        };
        // Several values of a key share the item of the key.
        last_key = Some((offset(page, slot), is_deleted));
        if is_again && let Some(last) = found.last_mut() {
            last.values.push(value);
            continue;
        }
        let key = match key {
            LeafItem::OnPage(bytes) => Key::Bytes(bytes.to_vec()),
            LeafItem::OffPage(item) => Key::OffPage(item),
            LeafItem::OffPageDuplicates(_) => {
                lost(Some(number), "key is a set of duplicates".into());
                last_key = None;
                continue;
            }
        };
        found.push(Found {
            slot: number,
            key,
            values: vec![value],
            deleted: is_deleted,
        });
    }
    found
}

/// What a free page held. Berkeley DB sets its count of entries to 0 and leaves the rest, or what
/// the last deletions left of it, so the index is as long as it makes sense.
fn deleted_pairs(page: &Page<'_>, method: Option<AccessMethod>) -> Vec<Found> {
    let mut found = match method {
        Some(AccessMethod::Hash) => deleted_hash_pairs(page),
        Some(AccessMethod::Btree) => deleted_leaf_pairs(page),
        None => {
            let found = deleted_leaf_pairs(page);
            if found.is_empty() {
                deleted_hash_pairs(page)
            } else {
                found
            }
        }
    };
    for pair in &mut found {
        pair.deleted = true;
    }
    found
}

fn deleted_hash_pairs(page: &Page<'_>) -> Vec<Found> {
    let header_len = page.format().header_len();
    let mut count = 0;
    let mut end = page.format().size.bytes();
    loop {
        let start = offset(page, count);
        if start >= end || start < header_len + 2 * (count + 1) {
            break;
        }
        end = start;
        count += 1;
    }
    hash_pairs(page, count - count % 2, &mut |_, _| {})
}

/// Every deletion moves items, and the index entries of those that are left: an old entry can point
/// at the item of another pair, or into one, and an item can lie below its own copy. So a pair
/// counts only if its value lies right below its key, as both were put there, is no copy of it, and
/// if it stands behind a pair with a lesser key. Of hundreds a few are wrong all the same.
fn deleted_leaf_pairs(page: &Page<'_>) -> Vec<Found> {
    let header_len = page.format().header_len();
    let order = page.format().order;
    let size = page.format().size.bytes();
    let item = |slot: usize| {
        let start = offset(page, slot);
        if start < header_len + 2 * (slot + 1) || !start.is_multiple_of(TREE_ALIGNMENT) {
            return None;
        }
        let (item, _) = LeafItem::parse(page.bytes().get(start..)?, order).ok()?;
        Some((start, start + item.stored_len(), item))
    };
    let mut found: Vec<Found> = Vec::new();
    // Where items of pairs that count lie.
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let slots = (size - header_len) / 2;
    for slot in (0..slots.saturating_sub(1)).step_by(2) {
        let (Some((start, end, key)), Some((value_start, value_end, value))) =
            (item(slot), item(slot + 1))
        else {
            continue;
        };
        let before = taken.range(..end).next_back();
        let is_free = before.is_none_or(|(_, &taken_end)| taken_end <= value_start);
        if value_end != start || key == value || !is_free {
            continue;
        }
        let key = match key {
            LeafItem::OnPage(bytes) => Key::Bytes(bytes.to_vec()),
            LeafItem::OffPage(item) => Key::OffPage(item),
            LeafItem::OffPageDuplicates(_) => continue,
        };
        if let (
            Some(Found {
                key: Key::Bytes(last),
                ..
            }),
            Key::Bytes(key),
        ) = (found.last(), &key)
            && last >= key
        {
            continue;
        }
        let value = match value {
            LeafItem::OnPage(bytes) => Value::Bytes(bytes.to_vec()),
            LeafItem::OffPage(item) => Value::OffPage(item),
            LeafItem::OffPageDuplicates(root) => Value::Tree(root),
        };
        taken.insert(value_start, end);
        found.push(Found {
            slot: u16::try_from(slot).unwrap_or(u16::MAX),
            key,
            values: vec![value],
            deleted: true,
        });
    }
    found
}

/// The long separators of an internal page.
pub(super) fn separators(page: &Page<'_>) -> Vec<OffPage> {
    let order = page.format().order;
    let count = page.entry_count().map_or(0, usize::from);
    let count = count.min(page.format().room() / 2);
    let separator = |slot| {
        let item = page.bytes().get(offset(page, slot)..)?;
        match InternalItem::parse(item, order).ok()?.key {
            TreeKey::OffPage(item) => Some(item),
            TreeKey::OnPage(_) => None,
        }
    };
    (0..count).filter_map(separator).collect()
}

/// The values of a tree, as far as it can be read.
pub(super) fn tree(
    pages: &Pages<'_>,
    root: PageNo,
    seen: &mut PageSet,
    values: &mut Vec<Rc<[u8]>>,
) -> Result<()> {
    duplicate::off_page(pages, root, Some(seen), |value| {
        values.push(Rc::from(value));
        Walk::On
    })
}
