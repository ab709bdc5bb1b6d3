//! Gets everything plausible out of a damaged file.
//!
//! | file | job |
//! |---|---|
//! | `layout` | version, machine and page size: from a meta page, else by looking at the pages |
//! | `scan` | the entries of one leaf |
//!
//! The newest tree is walked as far as it can be read. Then every other page that looks like a leaf
//! is read too. LMDB never changes a page that is in use but writes a new one, so what such pages
//! hold may be an old value or a deleted entry: those entries never replace one of the tree, and are
//! listed apart.
//!
//! Every page is read once, and overflow pages belong to the first entry that comes by; so time and
//! memory are linear in the length of the file.

mod layout;
mod scan;

use std::collections::{BTreeMap, btree_map};

use crate::error::{Error, ErrorKind, Result};
use crate::file::store::Store;
use crate::lmdb::PageNo;
use crate::lmdb::layout::Layout;
use crate::lmdb::meta::{Meta, TreeRecord};
use crate::lmdb::node::{OverflowRef, Stored};
use crate::lmdb::page::{Page, PageKind, Pages};

/// How many skipped places are kept; the rest are counted.
const KEPT_MAX: usize = 10_000;

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pair {
    /// The key's bytes as stored.
    pub key: Vec<u8>,
    /// The value's bytes as stored.
    pub value: Vec<u8>,
    /// The page it was found on.
    pub page: PageNo,
    /// Its node on that page.
    pub node: u16,
    /// The transaction that wrote the page, in files of LMDB 1.0.
    pub txn: Option<u64>,
}

/// A place that gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The key, when it is known and only the value is lost.
    pub key: Option<Vec<u8>>,
    /// Where and why.
    pub what: String,
}

/// What was found in a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Salvage {
    /// Version, machine and page size.
    pub layout: Layout,
    /// Whether the layout is a guess, because no meta page could be believed.
    pub guessed: bool,
    /// The entries of the newest tree, in the order of their keys.
    pub pairs: Vec<Pair>,
    /// Entries of pages that the tree does not lead to, in the order of their keys, each key once
    /// and none that is in `pairs`. They may be lost entries, or old or deleted ones. Of several
    /// values the one of the latest transaction; where that is not known, any.
    pub orphans: Vec<Pair>,
    /// Whether the whole tree could be read, so that orphans are old or deleted entries.
    pub complete: bool,
    /// Places of the tree that should have given an entry and did not.
    pub skipped: Vec<Skipped>,
    /// How many such places there are beyond those listed.
    pub omitted: u64,
}

/// Looks for entries in the file that `store` holds.
///
/// # Errors
///
/// `Corrupt` when no page of the file looks like one of LMDB, whatever the layout; `Unsupported` for
/// an encrypted file; `Io` when it cannot be read.
pub fn salvage(store: &Store) -> Result<Salvage> {
    let session = store.session()?;
    let known = layout::find(&session)?;
    let size = known.layout.page_size.bytes() as u64;
    let count = session.len() / size;
    // Every page of the file may hold something, whenever it was written.
    let everything = Meta {
        map_size: 0,
        free: TreeRecord::empty(0, 0),
        main: TreeRecord::empty(0, 0),
        last_page: PageNo(count.saturating_sub(1)),
        txn: u64::MAX,
    };
    let words = usize::try_from(count.div_ceil(64)).unwrap_or(0);
    let mut salvager = Salvager {
        pages: Pages::new(session, known.layout, &everything),
        layout: known.layout,
        seen: vec![0; words],
        pairs: BTreeMap::new(),
        orphans: BTreeMap::new(),
        skipped: Vec::new(),
        omitted: 0,
    };
    let complete = salvager.newest_tree(&known.metas)?;
    for number in (2..count).map(PageNo) {
        salvager.orphan_page(number)?;
    }
    Ok(Salvage {
        layout: known.layout,
        guessed: known.guessed,
        complete: complete && !known.guessed && salvager.skipped.is_empty(),
        pairs: salvager.pairs.into_values().collect(),
        orphans: salvager.orphans.into_values().collect(),
        skipped: salvager.skipped,
        omitted: salvager.omitted,
    })
}

struct Salvager<'a> {
    pages: Pages<'a>,
    layout: Layout,
    /// Pages that were visited or belong to a value, one bit each.
    seen: Vec<u64>,
    pairs: BTreeMap<Vec<u8>, Pair>,
    orphans: BTreeMap<Vec<u8>, Pair>,
    skipped: Vec<Skipped>,
    omitted: u64,
}

impl<'a> Salvager<'a> {
    /// Takes a page; `false` when it was taken before.
    fn claim(&mut self, page: PageNo) -> bool {
        let word = usize::try_from(page.0 / 64).ok();
        let Some(word) = word.and_then(|word| self.seen.get_mut(word)) else {
            return false;
        };
        let bit = 1 << (page.0 % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn is_seen(&self, page: PageNo) -> bool {
        let word = usize::try_from(page.0 / 64).ok();
        let word = word.and_then(|word| self.seen.get(word));
        word.is_none_or(|word| word & 1 << (page.0 % 64) != 0)
    }

    fn skip(&mut self, key: Option<&[u8]>, what: String) {
        if self.skipped.len() >= KEPT_MAX {
            self.omitted += 1;
            return;
        }
        self.skipped.push(Skipped {
            key: key.map(<[u8]>::to_vec),
            what,
        });
    }

    /// Walks the newest tree whose root can be read. `false` when that is not the one that counts.
    fn newest_tree(&mut self, metas: &[Meta]) -> Result<bool> {
        let mut complete = metas.len() == 2;
        for meta in metas {
            let Some(root) = meta.main.root else {
                return Ok(complete);
            };
            match readable(self.page(root))? {
                Ok(_) => {
                    self.walk(root)?;
                    self.walk_free(meta)?;
                    return Ok(complete);
                }
                Err(error) => {
                    complete = false;
                    self.skip(None, format!("tree of transaction {}: {error}", meta.txn));
                }
            }
        }
        Ok(false)
    }

    fn page(&self, number: PageNo) -> Result<Page<'a>> {
        Page::new(self.pages.bytes(number)?, self.layout, number)
    }

    fn walk(&mut self, root: PageNo) -> Result<()> {
        let mut waiting = vec![root];
        while let Some(number) = waiting.pop() {
            let page = match readable(self.page(number))? {
                Ok(page) => page,
                Err(error) => {
                    self.skip(None, error.to_string());
                    continue;
                }
            };
            if !self.claim(number) {
                self.skip(
                    None,
                    format!("page {number}: page has two places in the tree"),
                );
                continue;
            }
            match page.kind() {
                PageKind::Leaf => self.leaf(&page)?,
                PageKind::Branch => {
                    // From the last to the first, so that the first is visited next.
                    for at in (0..page.len()).rev() {
                        match readable(page.child(at))? {
                            Ok(child) => waiting.push(child),
                            Err(error) => self.skip(None, error.to_string()),
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the pages of the free list, which hold no entries. Damage to it does no harm.
    fn walk_free(&mut self, meta: &Meta) -> Result<()> {
        let mut waiting: Vec<PageNo> = meta.free.root.into_iter().collect();
        while let Some(number) = waiting.pop() {
            let Ok(page) = readable(self.page(number))? else {
                continue;
            };
            if page.kind() == PageKind::Leaf {
                if scan::is_free_list(&page, &self.layout) {
                    self.claim(number);
                }
            } else if self.claim(number) {
                let children = (0..page.len()).filter_map(|at| page.child(at).ok());
                waiting.extend(children);
            }
        }
        Ok(())
    }

    /// Takes the entries of a leaf of the tree.
    fn leaf(&mut self, page: &Page<'a>) -> Result<()> {
        let found = scan::entries(page);
        for what in found.skipped {
            self.skip(None, what);
        }
        for (at, key, stored) in found.entries {
            let value = match readable(self.value(page, stored))? {
                Ok(value) => value,
                Err(error) => {
                    self.skip(Some(&key), format!("value is lost: {error}"));
                    continue;
                }
            };
            let pair = self.pair(page, at, key, value);
            match self.pairs.entry(pair.key.clone()) {
                btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(pair);
                }
                btree_map::Entry::Occupied(_) => {
                    let what = format!("page {}: key is in the tree twice", pair.page);
                    self.skip(Some(&pair.key), what);
                }
            }
        }
        Ok(())
    }

    /// Takes the entries of a page that the tree does not lead to, if it looks like a leaf.
    fn orphan_page(&mut self, number: PageNo) -> Result<()> {
        if self.is_seen(number) {
            return Ok(());
        }
        let Ok(page) = readable(self.page(number))? else {
            return Ok(());
        };
        if page.kind() != PageKind::Leaf || scan::is_free_list(&page, &self.layout) {
            return Ok(());
        }
        for (at, key, stored) in scan::entries(&page).entries {
            // An old value of a long entry is gone once its pages are used again.
            let Ok(value) = readable(self.value(&page, stored))? else {
                continue;
            };
            let pair = self.pair(&page, at, key, value);
            if self.pairs.contains_key(&pair.key) {
                continue;
            }
            match self.orphans.entry(pair.key.clone()) {
                btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(pair);
                }
                btree_map::Entry::Occupied(mut other) => {
                    if other.get().txn < pair.txn {
                        other.insert(pair);
                    }
                }
            }
        }
        Ok(())
    }

    fn pair(&self, page: &Page<'_>, at: u16, key: Vec<u8>, value: Vec<u8>) -> Pair {
        let txn = self.layout.page_txn_offset();
        let txn = txn.and_then(|at| {
            self.layout
                .word(&page.slice(0..self.layout.header_len()), at)
        });
        Pair {
            key,
            value,
            page: page.number(),
            node: at,
            txn,
        }
    }

    fn value(&mut self, page: &Page<'a>, stored: Stored) -> Result<Vec<u8>> {
        match stored {
            Stored::Inline { start, end } => Ok(page.slice(start..end).into_owned()),
            Stored::Run(run) => self.run(&run),
            Stored::Database => Err(Error::corrupt("value is a database")),
            Stored::Duplicates => Err(Error::corrupt("key has several values")),
        }
    }

    fn run(&mut self, run: &OverflowRef) -> Result<Vec<u8>> {
        let count = self.pages.run_pages(run)?;
        let run_pages = (run.first.0..run.first.0.saturating_add(count)).map(PageNo);
        for page in run_pages {
            if !self.claim(page) {
                let what = format!("overflow page {page} belongs to something else");
                return Err(Error::corrupt(what));
            }
        }
        self.pages.run_value(run).map(std::borrow::Cow::into_owned)
    }
}

/// Tells damage, which is skipped, from errors that end everything.
fn readable<T>(result: Result<T>) -> Result<Result<T>> {
    match result {
        Err(error) if !matches!(error.kind(), ErrorKind::Corrupt { .. }) => Err(error),
        result => Ok(result),
    }
}
