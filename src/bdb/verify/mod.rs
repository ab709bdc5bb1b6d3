//! Walks everything in a file once and lists what is wrong with it, for hash and btree files.
//!
//! | file | job |
//! |---|---|
//! | `invariant` | the rules |
//! | `report` | defects and statistics |
//! | `meta` | page 0 |
//! | `walk` | who owns which page; the free list, and what nobody owns |
//! | `chain` | overflow chains |
//! | `hash` | buckets and their chains |
//! | `hash_page` | one hash page |
//! | `btree` | the tree, and trees of duplicates |
//! | `tree_page` | one page of a tree |
//!
//! Nothing in the file is trusted: every page is visited once, because it is claimed by the first
//! who refers to it and whoever refers to it again gets a defect instead. So time and memory are
//! linear in the length of the file. The one exception, overflow chains that several keys of a
//! btree share, has a budget.
//!
//! A defect does not end the walk, but what depends on a damaged number is left out: a chain behind
//! a damaged page is not followed, and its pages then show up as pages without an owner.

mod btree;
mod chain;
mod hash;
mod hash_page;
mod invariant;
mod meta;
mod report;
mod tree_page;
mod walk;

pub use invariant::Invariant;
pub use report::{Defect, PageCounts, Report, Statistics};

use crate::bdb::meta::{AccessMethod, Identity, META_LEN, RawMeta};
use crate::error::Result;
use crate::file::store::Store;
use report::Defects;
use walk::Walk;

/// Checks the whole hash or btree file that `store` holds.
///
/// A file without errors (see [`Report::is_clean`]) can be read from end to end. Warnings are about
/// waste, and about oddities that Berkeley DB itself leaves behind.
///
/// ```
/// use rpostmap::bdb::hash::HashBuilder;
/// use rpostmap::bdb::verify::{Invariant, verify};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com", b"smtp:[mail.example.com]")?;
/// let mut file = Vec::new();
/// HashBuilder::new().build(&entries, &mut file)?;
///
/// let report = verify(&Store::from_bytes(file.clone()))?;
/// assert!(report.is_clean());
/// assert_eq!(report.statistics.unwrap().entries, 1);
///
/// file.truncate(file.len() - 100);
/// let report = verify(&Store::from_bytes(file))?;
/// assert_eq!(report.defects[0].rule, Invariant::F2);
/// # Ok::<(), rpostmap::Error>(())
/// ```
///
/// # Errors
///
/// `Io` when the file cannot be read, `Unsupported` when it is a Berkeley DB file of a kind that
/// holds no table. Damage is no error.
pub fn verify(store: &Store) -> Result<Report> {
    let session = store.session()?;
    let mut defects = Defects::default();
    let page0 = session.read(0, META_LEN)?;
    let Some(page0) = page0.filter(|page0| page0.len() == META_LEN) else {
        let what = format!("{} bytes is too short", session.len());
        defects.file(Invariant::F1, what);
        return Ok(defects.into_report(None));
    };
    let identity = match Identity::parse(&page0) {
        Ok(identity) => identity,
        Err(error) if matches!(error.kind(), crate::ErrorKind::Unsupported { .. }) => {
            return Err(error);
        }
        Err(error) => {
            defects.page(Invariant::M2, 0_u32, error.kind().to_string());
            return Ok(defects.into_report(None));
        }
    };
    let raw = RawMeta::new(page0, identity);
    let Some(known) = meta::check(&raw, session.len(), &mut defects) else {
        return Ok(defects.into_report(None));
    };
    let mut walk = Walk::new(session, &raw, known, defects);
    match identity.method {
        AccessMethod::Hash => hash::walk(&mut walk, &raw)?,
        AccessMethod::Btree => btree::walk(&mut walk, &raw)?,
    }
    walk.free_list(&raw)?;
    walk.unowned()?;
    Ok(walk.finish())
}
