//! Buckets taken apart into pairs, and put together again: what an update works on.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::bdb::hash::function::HashFunction;
use crate::bdb::hash::look::Look;
use crate::bdb::hash::pairs::{DUPLICATES_AS_KEY, Pairs, compare_keys};
use crate::bdb::item::{HASH_OFF_PAGE_LEN, HASH_ON_PAGE, HashItem, OffPage, hash_off_page};
use crate::bdb::page::{Page, PageFormat, PageKind, PageSet};
use crate::bdb::page_buf::{HashPageBuf, Links};
use crate::bdb::{BucketNo, PageNo};
use crate::error::{Error, Result};
use crate::wire::ByteOrder;

/// A bucket taken apart. There is always a first page.
#[derive(Default)]
pub(super) struct Bucket {
    pub(super) pages: Vec<ChainPage>,
}

impl Bucket {
    /// Takes out pairs whose key is on an earlier page too: lookups find that one. An interrupted
    /// update, or an old defect of Berkeley DB, can leave a key twice; on one page both would be
    /// listed, and either be found.
    pub(super) fn take_copies(&mut self) -> Vec<Pair> {
        if self.pages.len() < 2 {
            return Vec::new();
        }
        let mut first = HashMap::new();
        let mut places = Vec::new();
        for (page_at, page) in self.pages.iter().enumerate() {
            for (at, pair) in page.pairs.iter().enumerate() {
                if *first.entry(pair.key.as_slice()).or_insert(page_at) != page_at {
                    places.push((page_at, at));
                }
            }
        }
        let mut places = places.into_iter().peekable();
        let mut copies = Vec::new();
        for (page_at, page) in self.pages.iter_mut().enumerate() {
            let before = page.pairs.len();
            for (at, pair) in std::mem::take(&mut page.pairs).into_iter().enumerate() {
                match places.next_if_eq(&(page_at, at)) {
                    Some(_) => copies.push(pair),
                    None => page.pairs.push(pair),
                }
            }
            page.changed |= page.pairs.len() != before;
        }
        copies
    }
}

pub(super) struct ChainPage {
    pub(super) number: PageNo,
    /// The links as the file has them; `None` for a page that is not written yet.
    pub(super) links: Option<(PageNo, PageNo)>,
    pub(super) pairs: Vec<Pair>,
    /// Whether the pairs are in order, as on all pages but those of old versions.
    pub(super) sorted: bool,
    /// Whether the pairs differ from those in the file.
    pub(super) changed: bool,
}

pub(super) struct Pair {
    /// The key's bytes, wherever they lie.
    pub(super) key: Vec<u8>,
    /// Where the key lies when it is not on the page.
    pub(super) key_item: Option<OffPage>,
    pub(super) value: Value,
}

pub(super) enum Value {
    OnPage(Vec<u8>),
    OffPage(OffPage),
}

impl Pair {
    /// The bytes the pair takes on its page, index entries included.
    pub(super) fn len(&self) -> usize {
        let key = item_len(self.key_item.is_some(), self.key.len());
        key + self.value.len()
    }
}

impl Value {
    pub(super) fn len(&self) -> usize {
        match self {
            Value::OnPage(value) => item_len(false, value.len()),
            Value::OffPage(_) => item_len(true, 0),
        }
    }
}

/// The bytes an item takes on its page, its index entry included.
fn item_len(off_page: bool, len: usize) -> usize {
    2 + if off_page { HASH_OFF_PAGE_LEN } else { 1 + len }
}

impl ChainPage {
    pub(super) fn new(number: PageNo) -> ChainPage {
        ChainPage {
            number,
            links: None,
            pairs: Vec::new(),
            sorted: true,
            changed: true,
        }
    }

    pub(super) fn used(&self) -> usize {
        self.pairs.iter().map(Pair::len).sum()
    }

    /// Whether the page has room for the pair and no key of the other kind: on one page with a
    /// prefix of itself an off-page key gets lost by Berkeley DB.
    pub(super) fn takes(&self, pair: &Pair, room: usize) -> bool {
        let off_page = pair.key_item.is_some();
        self.used() + pair.len() <= room
            && self
                .pairs
                .iter()
                .all(|other| other.key_item.is_some() == off_page)
    }

    pub(super) fn sort(&mut self) {
        if !self.sorted {
            self.pairs.sort_by(compare);
            self.sorted = true;
        }
    }

    /// The page as it is written.
    pub(super) fn compose(&mut self, format: PageFormat, prev: PageNo, next: PageNo) -> Vec<u8> {
        self.sort();
        let mut bytes = vec![0; format.size.bytes()];
        let mut page = HashPageBuf::new(&mut bytes, format);
        for pair in &self.pairs {
            push(&mut page, pair, format.order);
        }
        page.finish(Links {
            number: self.number,
            prev,
            next,
        });
        bytes
    }

    pub(super) fn insert(&mut self, pair: Pair) {
        self.sort();
        let after = |other: &Pair| compare(other, &pair).is_gt();
        let at = self
            .pairs
            .iter()
            .position(after)
            .unwrap_or(self.pairs.len());
        self.pairs.insert(at, pair);
        self.changed = true;
    }
}

pub(super) fn compare(a: &Pair, b: &Pair) -> Ordering {
    compare_keys(&a.key, a.key_item.is_some(), &b.key, b.key_item.is_some())
}

fn push(page: &mut HashPageBuf<'_>, pair: &Pair, order: ByteOrder) {
    match pair.key_item {
        None => page.push_on_page(HASH_ON_PAGE, &pair.key),
        Some(item) => page.push_item(&hash_off_page(item, order)),
    }
    match &pair.value {
        Value::OnPage(value) => page.push_on_page(HASH_ON_PAGE, value),
        Value::OffPage(item) => page.push_item(&hash_off_page(*item, order)),
    }
}

/// Takes a page apart into its pairs, checking everything that an update relies on. Copies of
/// keys that an interrupted split left behind are dropped.
pub(super) fn take_apart(
    look: &Look<'_>,
    bucket: BucketNo,
    page: &Page<'_>,
    function: HashFunction,
    seen: &mut PageSet,
) -> Result<ChainPage> {
    let number = page.number();
    let mut taken = ChainPage {
        number,
        links: Some((page.prev()?, page.next()?)),
        pairs: Vec::new(),
        sorted: page.kind() == PageKind::HashSorted,
        changed: false,
    };
    let mut pairs = Pairs::new(page)?;
    while let Some(pair) = pairs.next_pair()? {
        let (key, key_item) = match pairs.item(pair.slot, pair.key)? {
            HashItem::OnPage(key) => {
                let in_place = look.is_in_place(bucket, page, key, function)?;
                (in_place.then(|| key.to_vec()), None)
            }
            HashItem::OffPage(item) => (look.off_page_key(bucket, page, item, seen)?, Some(item)),
            HashItem::Duplicates(_) | HashItem::OffPageDuplicates(_) => {
                return Err(Error::corrupt_slot(number.0, pair.slot, DUPLICATES_AS_KEY));
            }
        };
        let value = take_value(page, pairs.item(pair.slot + 1, pair.value)?, pair.slot + 1)?;
        match key {
            Some(key) => taken.pairs.push(Pair {
                key,
                key_item,
                value,
            }),
            None => taken.changed = true,
        }
    }
    let lowest = pairs.position().lowest_item();
    let stated = match page.items_offset()? {
        0 => 65536,
        offset => usize::from(offset),
    };
    if lowest != stated {
        let what = format!("items are said to begin at {stated}, but begin at {lowest}");
        return Err(Error::corrupt_page(number.0, what));
    }
    Ok(taken)
}

/// A value, which lies at `slot` of its page.
pub(super) fn take_value(page: &Page<'_>, item: HashItem<'_>, slot: u16) -> Result<Value> {
    match item {
        HashItem::OnPage(value) => Ok(Value::OnPage(value.to_vec())),
        HashItem::OffPage(item) => Ok(Value::OffPage(item)),
        HashItem::Duplicates(_) | HashItem::OffPageDuplicates(_) => {
            let what = "several values for a key in a file that does not allow it";
            Err(Error::corrupt_slot(page.number().0, slot, what))
        }
    }
}
