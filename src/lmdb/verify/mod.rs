//! Walks everything in a file once and lists what is wrong with it.
//!
//! | file | job |
//! |---|---|
//! | `rule` | the rules |
//! | `report` | defects and statistics |
//! | `owners` | who owns which page |
//! | `tree` | the pages of one tree, and the overflow pages of its values |
//! | `free` | the list of free pages |
//!
//! Nothing in the file is trusted: every page is visited once, because it is claimed by the first
//! who refers to it and whoever refers to it again gets a defect instead. So time and memory are
//! linear in the length of the file.
//!
//! A defect does not end the walk, but what depends on a damaged number is left out: what is below
//! a damaged page shows up as lost.

mod free;
mod owners;
mod report;
mod rule;
mod tree;

pub use crate::defect::Place;
pub use report::{Defect, PageCounts, Report, Statistics};
pub use rule::Rule;

use crate::error::{ErrorKind, Result};
use crate::file::store::{Session, Store};
use crate::lmdb::PageNo;
use crate::lmdb::layout::{DataVersion, HEAD_LEN, Layout};
use crate::lmdb::meta::{Meta, TreeRecord};
use crate::lmdb::page::Pages;
use crate::lmdb::reader::{DEPTH_MAX, unsupported_flags};
use crate::lmdb::state::{State, busy};
use owners::Owners;
use report::Defects;
use tree::{Counted, Tree};

/// Checks the whole LMDB file that `store` holds.
///
/// A file without errors (see [`Report::is_clean`]) can be read from end to end. Warnings are about
/// waste, and about oddities that LMDB itself leaves behind.
///
/// ```no_run
/// use std::path::Path;
/// use rpostmap::file::store::StoreMode;
/// use rpostmap::lmdb::{open_store, verify::verify};
///
/// let store = open_store(Path::new("/etc/postfix/transport.lmdb"), StoreMode::AUTO)?;
/// for defect in verify(&store)?.defects {
///     println!("{defect}");
/// }
/// # Ok::<(), rpostmap::Error>(())
/// ```
///
/// # Errors
///
/// `Unsupported` when it is an LMDB file of a development version, or encrypted; `Lookup` when the
/// store is live and a writer was faster; `Io` when the file cannot be read. Damage is no error.
pub fn verify(store: &Store) -> Result<Report> {
    let mut session = store.session()?;
    if !session.is_live() {
        return verify_session(session);
    }
    let state = State::read(&session).ok();
    session.refresh_len()?;
    let report = verify_session(session)?;
    let session = store.session()?;
    match state {
        Some(state) if !state.still_holds(&session) => Err(busy()),
        _ => Ok(report),
    }
}

fn verify_session(session: Session<'_>) -> Result<Report> {
    let mut defects = Defects::default();
    let Some((layout, metas)) = meta_pages(&session, &mut defects)? else {
        return Ok(defects.into_report(None));
    };
    let [first, second] = metas;
    let (current, meta, other) = match second.txn > first.txn {
        true => (PageNo(1), second, first),
        false => (PageNo(0), first, second),
    };
    if let Some(what) = unsupported_flags(meta.main.flags) {
        defects.page(Rule::L3, current, format!("main tree has {what}"));
        return Ok(defects.into_report(None));
    }
    let checksum_len = match layout.version {
        DataVersion::V1 => 0,
        DataVersion::V3 => {
            let size = layout.page_size.bytes();
            let bytes = session.read(size as u64 - 2, 2)?;
            bytes
                .and_then(|bytes| layout.order.u16(&bytes, 0))
                .map_or(0, usize::from)
        }
    };
    let pages = Pages::new(session, layout, &meta);
    let mut walk = Walk {
        owners: Owners::new(pages.in_file()),
        pages,
        layout,
        txn: meta.txn,
        checksum_len,
        defects,
    };
    walk.last_page(current, &meta);
    let main = walk.tree(Tree::Main, current, &meta.main)?;
    let free = walk.tree(Tree::Free, current, &meta.free)?;
    let lost = walk.lost(&meta);
    let in_file = walk.pages.in_file();
    let statistics = Statistics {
        layout,
        txn: meta.txn,
        current_meta: current,
        other: (other.txn, other.main.root, other.last_page),
        entries: main.entries,
        depth: meta.main.depth,
        pages: PageCounts {
            meta: 2,
            branch: main.branch,
            leaf: main.leaf,
            overflow: main.overflow,
            free_list: free.branch + free.leaf + free.overflow,
            free: free.listed,
            lost,
            behind_end: in_file.saturating_sub(meta.last_page.0.saturating_add(1)),
        },
        overflow_values: main.overflow_values,
        used_bytes: main.used_bytes,
        room_bytes: main.room_bytes,
        map_size: meta.map_size,
    };
    Ok(walk.defects.into_report(Some(statistics)))
}

/// The layout and both meta pages, or `None` when there is no use in going on.
fn meta_pages(session: &Session<'_>, defects: &mut Defects) -> Result<Option<(Layout, [Meta; 2])>> {
    let head_len = HEAD_LEN.min(usize::try_from(session.len()).unwrap_or(HEAD_LEN));
    let head = session.read(0, head_len)?.unwrap_or_default();
    let layout = match Layout::recognise(&head) {
        Err(error) if !matches!(error.kind(), ErrorKind::Corrupt { .. }) => return Err(error),
        result => defects.found(Rule::L1, result)?,
    };
    let Some(layout) = layout else {
        return Ok(None);
    };
    let mut metas = [None; 2];
    for (number, meta) in [PageNo(0), PageNo(1)].into_iter().zip(&mut metas) {
        let offset = number.0 * layout.page_size.bytes() as u64;
        let page = session.read(offset, layout.meta_end())?.unwrap_or_default();
        *meta = defects.found(Rule::L2, Meta::parse(&layout, number, &page))?;
        let stated = layout.word(&page, 0);
        if meta.is_some() && stated != Some(number.0) {
            let what = format!("page carries the number {}", stated.unwrap_or(0));
            defects.page(Rule::L2, number, what);
        }
    }
    Ok(match metas {
        [Some(first), Some(second)] => Some((layout, [first, second])),
        _ => None,
    })
}

/// A verification at work.
struct Walk<'a> {
    pages: Pages<'a>,
    owners: Owners,
    layout: Layout,
    /// The last transaction.
    txn: u64,
    /// Bytes at the end of each page that are not for nodes.
    checksum_len: usize,
    defects: Defects,
}

impl Walk<'_> {
    fn last_page(&mut self, current: PageNo, meta: &Meta) {
        if meta.last_page < PageNo(1) {
            self.defects.page(Rule::L4, current, "last page is 0");
        }
        let len = self.pages.session().len();
        let size = self.layout.page_size.bytes() as u64;
        let end = meta.last_page.0.saturating_add(1).saturating_mul(size);
        if len < end {
            // What is in use and missing is an error of its own.
            let what = format!("file has {len} bytes, its last page ends at {end}");
            self.defects.warn(Rule::L18, Place::File, what);
        }
    }

    /// Walks a tree, and compares what is there with its record.
    fn tree(&mut self, tree: Tree, current: PageNo, record: &TreeRecord) -> Result<Counted> {
        let mut counted = Counted::default();
        let name = tree.name();
        if (record.depth == 0) != record.root.is_none() || record.depth > DEPTH_MAX {
            let root = record
                .root
                .map_or("no root".into(), |root| format!("root {root}"));
            let what = format!("{name} of depth {} with {root}", record.depth);
            self.defects.page(Rule::L5, current, what);
            return Ok(counted);
        }
        if let Some(root) = record.root {
            self.walk_tree(tree, root, record.depth, &mut counted)?;
        }
        for (kind, stated, found) in [
            ("branch pages", record.branch_pages, counted.branch),
            ("leaves", record.leaf_pages, counted.leaf),
            ("overflow pages", record.overflow_pages, counted.overflow),
            ("entries", record.entries, counted.entries),
        ] {
            if stated != found {
                let what = format!("{name} has {found} {kind}, not {stated}");
                self.defects.page(Rule::L14, current, what);
            }
        }
        Ok(counted)
    }

    /// Reports pages that nobody owns; returns how many.
    fn lost(&mut self, meta: &Meta) -> u64 {
        for page in self.owners.doubled_behind() {
            self.defects.page(Rule::L15, page, "page is free twice");
        }
        let (count, first) = self.owners.unowned(meta.last_page);
        if count > 0 {
            let from = first.map_or(String::new(), |first| {
                format!(", the first is page {first}")
            });
            let plural = if count == 1 { "page is" } else { "pages are" };
            let what = format!("{count} {plural} neither in use nor free{from}");
            self.defects.warn(Rule::L17, Place::File, what);
        }
        count
    }

    /// Claims a run of pages that lie in the file; `false`, with a defect, when one of them has an
    /// owner. What is behind that one is not looked at, so that runs which overlap cost no more than
    /// runs which do not.
    fn claim(&mut self, first: PageNo, count: u64) -> bool {
        let taken = (first.0..first.0.saturating_add(count))
            .map(PageNo)
            .find(|page| !self.owners.claim(*page));
        if let Some(page) = taken {
            self.defects.page(Rule::L15, page, "page has two owners");
        }
        taken.is_none()
    }
}
