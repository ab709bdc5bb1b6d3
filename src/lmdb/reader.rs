//! Looks keys up.

use std::borrow::Cow;
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::file::store::Store;
use crate::lmdb::iter::Iter;
use crate::lmdb::layout::Layout;
use crate::lmdb::meta::Meta;
use crate::lmdb::node::{Node, OverflowRef, Stored};
use crate::lmdb::page::{Page, PageKind, Pages};
use crate::lmdb::state::{State, busy};
use crate::lmdb::{PageNo, corrupt_page};

/// The most levels a tree can have: the library's cursors have no room for more.
pub(crate) const DEPTH_MAX: u16 = 32;

/// How often a lookup is done again because a writer was faster.
const ATTEMPTS: u32 = 50;
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// An LMDB file, open for reading. `Send + Sync`; every method takes `&self`.
///
/// ```no_run
/// use std::path::Path;
/// use rpostmap::file::store::StoreMode;
/// use rpostmap::lmdb::{LmdbReader, open_store};
///
/// let store = open_store(Path::new("/etc/postfix/transport.lmdb"), StoreMode::AUTO)?;
/// let reader = LmdbReader::new(store)?;
/// assert!(reader.get(b"example.com\0")?.is_some());
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct LmdbReader {
    store: Store,
    layout: Layout,
    meta: Meta,
}

impl LmdbReader {
    /// Opens the LMDB file that `store` holds. Use [`open_store`](super::open_store) for a file that
    /// others may change.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Unsupported` when the meta pages are not those of a file this crate reads;
    /// `Io` when they cannot be read.
    pub fn new(store: Store) -> Result<LmdbReader> {
        let session = store.session()?;
        let state = State::read(&session)?;
        drop(session);
        let (layout, meta) = (state.layout(), *state.meta());
        check_main(&meta)?;
        Ok(LmdbReader {
            store,
            layout,
            meta,
        })
    }

    /// Version and machine of the file as of opening.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The meta page that counted when the file was opened.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The bytes behind the reader.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The value of `key`, whose bytes are compared as they are. An empty key, or one longer than
    /// the format allows, is not there.
    ///
    /// Costs a page for each level, and the pages of a long value. `Ok(None)` says that the pages
    /// on the way are sound, not that the order of all keys is: see [`verify`](super::verify).
    ///
    /// # Errors
    ///
    /// `Corrupt` when the file is damaged where the key would be; `Unsupported` when the value is a
    /// database of its own; `Lookup` when writers are faster than we are, again and again; `Io` when
    /// the file cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        for attempt in 0..ATTEMPTS {
            let look = self.look()?;
            let found = look.get(key);
            if look.still_holds() {
                return found;
            }
            drop(look);
            pause(attempt);
        }
        Err(busy())
    }

    /// All entries in the order of their keys. The iterator ends after the first error.
    ///
    /// All entries are of one state of the table. When the store is live and a writer is about to reuse pages of
    /// that state, the listing ends with an error (`Lookup`); a store in memory cannot be
    /// disturbed.
    ///
    /// # Errors
    ///
    /// The meta pages are read again when the store is live; errors as for [`LmdbReader::new`].
    pub fn iter(&self) -> Result<Iter<'_>> {
        Ok(Iter::new(self.look()?))
    }

    fn look(&self) -> Result<Look<'_>> {
        let mut session = self.store.session()?;
        if !session.is_live() {
            return Ok(Look {
                pages: Pages::new(session, self.layout, &self.meta),
                meta: self.meta,
                state: None,
            });
        }
        let state = State::read(&session)?;
        // The state may be younger than the session, and its file longer.
        session.refresh_len()?;
        let meta = *state.meta();
        check_main(&meta)?;
        Ok(Look {
            pages: Pages::new(session, state.layout(), &meta),
            meta,
            state: Some(state),
        })
    }
}

/// Waits a little longer each time.
pub(crate) fn pause(attempt: u32) {
    if attempt > 0 {
        thread::sleep(PAUSE_MAX.min(Duration::from_micros(100 << attempt.min(16))));
    }
}

/// Refuses a main tree of a kind that tables do not have.
fn check_main(meta: &Meta) -> Result<()> {
    if let Some(what) = unsupported_flags(meta.main.flags) {
        return Err(Error::unsupported(format!("LMDB database with {what}")));
    }
    let record = &meta.main;
    if (record.depth == 0) != record.root.is_none() || record.depth > DEPTH_MAX {
        let root = record
            .root
            .map_or("no root".into(), |root| format!("root {root}"));
        let what = format!("tree of depth {} with {root}", record.depth);
        return Err(Error::corrupt(what));
    }
    if meta.last_page < PageNo(1) {
        return Err(Error::corrupt("last page is 0"));
    }
    Ok(())
}

/// What the flags of a main tree ask for that is not done here.
pub(crate) fn unsupported_flags(flags: u16) -> Option<String> {
    let names = [
        (0x02, "keys in reverse order"),
        (0x04, "duplicate keys"),
        (0x08, "integer keys"),
        (0x10, "duplicates of fixed size"),
        (0x20, "integer duplicates"),
        (0x40, "duplicates in reverse order"),
    ];
    if flags == 0 {
        return None;
    }
    let mut set: Vec<&str> = names
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    if flags & !0x7e != 0 {
        set.push("unknown flags");
    }
    Some(set.join(", "))
}

/// One look at one state of a file.
pub(crate) struct Look<'a> {
    pub(crate) pages: Pages<'a>,
    pub(crate) meta: Meta,
    /// `None` when the bytes cannot change.
    state: Option<State>,
}

impl<'a> Look<'a> {
    /// Whether everything read so far is of one state.
    pub(crate) fn still_holds(&self) -> bool {
        let Some(state) = &self.state else {
            return true;
        };
        state.still_holds(self.pages.session())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Cow<'a, [u8]>>> {
        let Some(mut number) = self.meta.main.root else {
            return Ok(None);
        };
        for _ in 1..self.meta.main.depth {
            number = self.pages.tree_page(number, PageKind::Branch)?.route(key)?;
        }
        let leaf = self.pages.tree_page(number, PageKind::Leaf)?;
        match leaf.find(key)? {
            Some(node) => self.value(&leaf, &node, &mut |_| Ok(())).map(Some),
            None => Ok(None),
        }
    }

    /// The value of a leaf's node. `spend` is told the number of its overflow pages before they are
    /// read.
    pub(crate) fn value(
        &self,
        leaf: &Page<'a>,
        node: &Node<'_>,
        spend: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Cow<'a, [u8]>> {
        match node.stored() {
            Stored::Inline { start, end } => Ok(leaf.slice(start..end)),
            Stored::Run(run) => self.run(&run, spend),
            Stored::Database => Err(unsupported(leaf, "holds a named database")),
            Stored::Duplicates => Err(unsupported(leaf, "holds several values of a key")),
        }
    }

    fn run(
        &self,
        run: &OverflowRef,
        spend: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Cow<'a, [u8]>> {
        spend(self.pages.run_pages(run)?)?;
        self.pages.run_value(run)
    }
}

fn unsupported(leaf: &Page<'_>, what: &str) -> Error {
    Error::unsupported(format!("LMDB file {what}, on page {}", leaf.number()))
}

/// The error for more pages than a file can have.
pub(crate) fn visited_twice(number: PageNo) -> Error {
    corrupt_page(number, "pages of the tree are visited again and again")
}
