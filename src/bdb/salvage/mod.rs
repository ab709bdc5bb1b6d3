//! Gets everything plausible out of a damaged file, whatever its meta page says.
//!
//! | file | job |
//! |---|---|
//! | `layout` | page size and byte order: from the meta page, else by looking at the pages |
//! | `scan` | the pairs of one page |
//! | `place` | which page is the right one for a key that is found on several |
//!
//! Links and the free list are ignored, and the meta page is only asked for hints. Every page of the
//! file is read once. Overflow pages belong to the first item that comes by, and to copies of that
//! item; so time and memory are linear in the length of the file.
//!
//! Pages of type 0 are skipped: they hold what was deleted, and may be years old.

mod layout;
mod place;
mod scan;

use std::collections::hash_map::{Entry, HashMap};
use std::rc::Rc;

use crate::bdb::item::OffPage;
use crate::bdb::meta::AccessMethod;
use crate::bdb::page::{PageFormat, PageKind, PageSet, Pages};
use crate::bdb::{PageNo, PageSize, SlotNo, overflow};
use crate::error::Result;
use crate::file::store::Store;
use layout::Layout;
use place::Places;
use scan::Found;

/// How many skipped places and conflicts are kept; the rest are counted.
const KEPT_MAX: usize = 10_000;

/// What to look for.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Also look for deleted pairs, on free pages and among items marked as deleted. What is there
    /// can be old, and can be a part only.
    pub deleted: bool,
    /// Take this page size, whatever the file says.
    pub page_size: Option<PageSize>,
}

impl Options {
    /// The same, with deleted pairs or without.
    pub fn deleted(mut self, deleted: bool) -> Options {
        self.deleted = deleted;
        self
    }
}

/// A pair that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pair {
    /// The key's bytes as stored.
    pub key: Vec<u8>,
    /// The value's bytes as stored.
    pub value: Vec<u8>,
    /// The page it was found on.
    pub page: PageNo,
    /// The index entry of the key on that page.
    pub slot: SlotNo,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// A place that gave nothing: an item, a page that is not what it should be, or pages that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The page.
    pub page: PageNo,
    /// The index entry, when it is about one.
    pub slot: Option<SlotNo>,
    /// The key, when it is known and only the value is lost.
    pub key: Option<Vec<u8>>,
    /// Why.
    pub what: String,
}

/// A key that was found in two places with different values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The key's bytes as stored.
    pub key: Vec<u8>,
    /// Page and index entry of the pair that was taken.
    pub taken: (PageNo, SlotNo),
    /// Page and index entry of the pair that was not.
    pub dropped: (PageNo, SlotNo),
}

/// A chain of overflow pages that no pair refers to: a key or a value, nobody knows whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Orphan {
    /// Its first page.
    pub first: PageNo,
    /// How many bytes it holds.
    pub len: u64,
}

/// What was found in a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Salvage {
    /// Page size, byte order and checksums, as far as they could be told.
    pub format: PageFormat,
    /// Whether that is a guess, because the meta page could not be believed.
    pub guessed: bool,
    /// The pairs in the order of the file, each key once. A key with several values comes once for
    /// each.
    pub pairs: Vec<Pair>,
    /// Places that should have given a pair and did not.
    pub skipped: Vec<Skipped>,
    /// Keys that were found with different values.
    pub conflicts: Vec<Conflict>,
    /// Overflow chains that belong to nothing.
    pub orphans: Vec<Orphan>,
    /// How many skipped places and conflicts there are beyond those listed.
    pub omitted: u64,
}

/// Looks for pairs on every page of the file that `store` holds.
///
/// ```
/// use rpostmap::bdb::hash::HashBuilder;
/// use rpostmap::bdb::salvage::{Options, salvage};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com", b"smtp:[mail.example.com]")?;
/// let mut file = Vec::new();
/// HashBuilder::new().build(&entries, &mut file)?;
/// file[..512].fill(0);
///
/// let found = salvage(&Store::from_bytes(file), Options::default())?;
/// assert!(found.guessed);
/// assert_eq!(found.pairs[0].value, b"smtp:[mail.example.com]");
/// # Ok::<(), rpostmap::Error>(())
/// ```
///
/// # Errors
///
/// `Corrupt` when no page of the file looks like one of a hash or btree file, whatever the page
/// size; `Unsupported` for an encrypted file; `Io` when it cannot be read.
pub fn salvage(store: &Store, options: Options) -> Result<Salvage> {
    let session = store.session()?;
    let layout = layout::find(&session, options.page_size)?;
    let count = layout.page_count;
    let pages = Pages::new(session, layout.format, count);
    let places = Places::new(&pages, layout.hash.as_ref());
    let mut salvager = Salvager {
        seen: PageSet::new(count),
        rereads: 4 * u64::from(count),
        pages,
        places,
        method: layout.method,
        options,
        units: Vec::new(),
        by_key: HashMap::new(),
        chains: HashMap::new(),
        skipped: Vec::new(),
        conflicts: Vec::new(),
        omitted: 0,
    };
    for number in (1..count).map(PageNo) {
        salvager.page(number)?;
    }
    salvager.behind_end(&layout);
    let orphans = salvager.orphans()?;
    let mut pairs = Vec::new();
    for unit in salvager.units {
        for value in &unit.values {
            pairs.push(Pair {
                key: unit.key.to_vec(),
                value: value.to_vec(),
                page: unit.page,
                slot: unit.slot,
                deleted: unit.deleted,
            });
        }
    }
    Ok(Salvage {
        format: layout.format,
        guessed: layout.guessed,
        pairs,
        skipped: salvager.skipped,
        conflicts: salvager.conflicts,
        orphans,
        omitted: salvager.omitted,
    })
}

/// A key and all its values in one place.
struct Unit {
    key: Rc<[u8]>,
    values: Vec<Rc<[u8]>>,
    page: PageNo,
    slot: SlotNo,
    deleted: bool,
}

/// The bytes of a chain, and the key they belong to; a key's chain belongs to the key itself.
type Chain = (Rc<[u8]>, Rc<[u8]>);

struct Salvager<'a> {
    pages: Pages<'a>,
    places: Places,
    method: Option<AccessMethod>,
    options: Options,
    units: Vec<Unit>,
    by_key: HashMap<Rc<[u8]>, usize>,
    /// Overflow pages and pages of duplicates that are spoken for.
    seen: PageSet,
    /// Chains that were read.
    chains: HashMap<OffPage, Chain>,
    /// How many more pages of chains may serve a second item.
    rereads: u64,
    skipped: Vec<Skipped>,
    conflicts: Vec<Conflict>,
    omitted: u64,
}

impl Salvager<'_> {
    fn skip(&mut self, page: PageNo, slot: Option<u16>, key: Option<&[u8]>, what: String) {
        if self.skipped.len() >= KEPT_MAX {
            self.omitted += 1;
            return;
        }
        self.skipped.push(Skipped {
            page,
            slot: slot.map(SlotNo),
            key: key.map(<[u8]>::to_vec),
            what,
        });
    }

    fn page(&mut self, number: PageNo) -> Result<()> {
        let Some(page) = self.pages.unchecked(number)? else {
            return Ok(());
        };
        let kind = page.kind();
        let deleted = kind == PageKind::Free;
        let holds_pairs = kind.is_hash() || kind == PageKind::BtreeLeaf;
        let stated = page.stated_number()?;
        let is_implausible = stated != number || matches!(kind, PageKind::Other(_));
        if is_implausible && !page.is_blank() {
            let kind = kind.byte();
            let what = if stated != number {
                format!("page of type {kind} carries the number {stated}")
            } else {
                format!("page has type {kind}, which no table has")
            };
            self.skip(number, None, None, what);
        }
        if kind == PageKind::BtreeInternal && stated == number {
            // Long separators have chains of their own, which are no lost entries.
            for item in scan::separators(&page) {
                let _ = overflow::pages(&self.pages, item, &mut self.seen);
            }
        }
        if !(holds_pairs || deleted && self.options.deleted) {
            return Ok(());
        }
        if stated != number {
            return Ok(());
        }
        if !page.has_right_sum()? {
            let what = "checksum is wrong; what the page holds was taken all the same".into();
            self.skip(number, None, None, what);
        }
        let mut lost = Vec::new();
        let found = scan::pairs(
            &page,
            self.method,
            self.options.deleted,
            &mut |slot, what| {
                lost.push((slot, what));
            },
        );
        for (slot, what) in lost {
            self.skip(number, slot, None, what);
        }
        for found in found {
            self.take(number, found)?;
        }
        Ok(())
    }

    /// Says what is missing at the end of the file.
    fn behind_end(&mut self, layout: &Layout) {
        let end = PageNo(layout.page_count);
        if layout.trailing_len > 0 {
            let what = format!("only {} bytes of the page are there", layout.trailing_len);
            self.skip(end, None, None, what);
        }
        if let Some(last) = layout.last_page.filter(|&last| last >= layout.page_count) {
            let what = format!("missing, as all pages up to {last}: the file ends before them");
            self.skip(end, None, None, what);
        }
    }

    /// Takes what was found at a place, unless the key is there already and this is a worse place.
    fn take(&mut self, page: PageNo, found: Found) -> Result<()> {
        let key = match self.key_bytes(&found) {
            Ok(key) => key,
            Err(what) => {
                let what = format!("key is lost: {what}");
                self.skip(page, Some(found.slot), None, what);
                return Ok(());
            }
        };
        let mut values = Vec::new();
        for item in &found.values {
            if let Err(what) = self.value_bytes(&key, item, &mut values) {
                let what = format!("value is lost: {what}");
                self.skip(page, Some(found.slot), Some(&key), what);
            }
        }
        if values.is_empty() {
            return Ok(());
        }
        let unit = Unit {
            key: Rc::clone(&key),
            values,
            page,
            slot: SlotNo(found.slot),
            deleted: found.deleted,
        };
        let at = match self.by_key.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(self.units.len());
                self.units.push(unit);
                return Ok(());
            }
            Entry::Occupied(occupied) => *occupied.get(),
        };
        let Some(old) = self.units.get_mut(at) else {
            return Ok(());
        };
        let better = if unit.deleted != old.deleted {
            old.deleted
        } else {
            self.places
                .is_better(&self.pages, &unit.key, unit.page, old.page)?
        };
        let dropped = if better {
            std::mem::replace(old, unit)
        } else {
            unit
        };
        let same = dropped.values.len() == old.values.len()
            && dropped
                .values
                .iter()
                .zip(&old.values)
                .all(|(a, b)| Rc::ptr_eq(a, b) || a == b);
        if same {
            return Ok(());
        }
        if self.conflicts.len() >= KEPT_MAX {
            self.omitted += 1;
            return Ok(());
        }
        self.conflicts.push(Conflict {
            key: old.key.to_vec(),
            taken: (old.page, old.slot),
            dropped: (dropped.page, dropped.slot),
        });
        Ok(())
    }

    fn key_bytes(&mut self, found: &Found) -> Result<Rc<[u8]>, String> {
        match &found.key {
            scan::Key::Bytes(bytes) => Ok(Rc::from(bytes.as_slice())),
            scan::Key::OffPage(item) => self.chain(*item, None),
        }
    }

    fn value_bytes(
        &mut self,
        key: &Rc<[u8]>,
        item: &scan::Value,
        values: &mut Vec<Rc<[u8]>>,
    ) -> Result<(), String> {
        match item {
            scan::Value::Bytes(bytes) => values.push(Rc::from(bytes.as_slice())),
            scan::Value::OffPage(item) => values.push(self.chain(*item, Some(key))?),
            scan::Value::Tree(root) => {
                scan::tree(&self.pages, *root, &mut self.seen, values)
                    .map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// The bytes of a chain: a key, or the value of `key`.
    fn chain(&mut self, item: OffPage, key: Option<&Rc<[u8]>>) -> Result<Rc<[u8]>, String> {
        let pages = 1 + u64::from(item.len) / self.pages.format().room() as u64;
        if let Some((bytes, owner)) = self.chains.get(&item) {
            let Some(rest) = self.rereads.checked_sub(pages) else {
                return Err("too many items share their overflow pages".into());
            };
            self.rereads = rest;
            let is_key = Rc::ptr_eq(bytes, owner);
            if key.map_or(!is_key, |key| {
                is_key || !Rc::ptr_eq(key, owner) && key != owner
            }) {
                return Err("its overflow pages belong to another item".into());
            }
            return Ok(Rc::clone(bytes));
        }
        let bytes = overflow::read(&self.pages, item, Some(&mut self.seen));
        let bytes: Rc<[u8]> = Rc::from(bytes.map_err(|error| error.to_string())?);
        let owner = key.unwrap_or(&bytes);
        let entry = (Rc::clone(&bytes), Rc::clone(owner));
        self.chains.insert(item, entry);
        Ok(bytes)
    }

    /// Chains of overflow pages that nothing referred to.
    fn orphans(&mut self) -> Result<Vec<Orphan>> {
        let mut orphans = Vec::new();
        let mut seen = std::mem::replace(&mut self.seen, PageSet::new(0));
        // Chains begin at pages without a page before; then what is left of broken ones.
        for starts_only in [true, false] {
            for first in (1..self.pages.count()).map(PageNo) {
                let mut number = first;
                let mut len = 0;
                while let Some(page) = self.pages.unchecked(number)? {
                    let is_part =
                        page.kind() == PageKind::Overflow && page.stated_number()? == number;
                    let is_start = number != first || !starts_only || page.prev()? == PageNo::NONE;
                    if !is_part || !is_start || !seen.insert(number) {
                        break;
                    }
                    len += u64::from(page.items_offset()?);
                    number = page.next()?;
                    if number == PageNo::NONE {
                        break;
                    }
                }
                if len > 0 {
                    orphans.push(Orphan { first, len });
                }
            }
        }
        orphans.sort_unstable_by_key(|orphan| orphan.first);
        Ok(orphans)
    }
}
