//! LMDB files, read without LMDB, whatever version and whatever machine wrote them.
//!
//! This folder knows the file format and nothing else: no Postfix, no configuration. Keys and
//! values are bytes; whether they end in a NUL is the caller's affair. The layout, with every
//! offset, is described in `docs/format-lmdb.md`.
//!
//! | file | job |
//! |---|---|
//! | [`layout`] | how wide and in which order numbers are, what fits where; recognising a file |
//! | [`meta`] | pages 0 and 1, and the records of the two trees |
//! | `state` | which state of the file is read, and whether it still is there afterwards |
//! | `page` | pages of trees and runs of overflow pages, fetched and checked |
//! | `node` | one node of a page: a key with a child or a value |
//! | `reader`, `iter` | looking keys up, listing all |
//! | [`verify`] | walk everything once, list every defect |
//! | [`salvage`] | every plausible entry of a damaged file |
//! | `open` | opening a file that others may be changing |
//! | [`builder`] | write a whole file from its entries |
//! | `page_buf` | pages in the making |
//! | `change` | change a file in place |
//! | `heed` | the C library, which does that |
//!
//! Supported: one database without a name and without duplicates, in files of LMDB 0.9 (data
//! version 1) and 1.0 (data version 3), of 32-bit and 64-bit machines of both byte orders.
//! Everything else is refused by name.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]

pub mod builder;
pub(crate) mod change;
#[cfg(feature = "lmdb")]
mod heed;
mod iter;
pub mod layout;
pub mod meta;
mod node;
mod open;
mod page;
mod page_buf;
mod reader;
pub mod salvage;
mod state;
pub mod verify;

pub use builder::LmdbBuilder;
pub use iter::{Iter, KeyValue};
pub use layout::{DataVersion, Layout};
pub use open::{is_lmdb, open_store};
pub use reader::LmdbReader;

use std::fmt;

use crate::error::Error;

/// The number of a page: its offset in the file divided by the page size. 0 and 1 are the meta
/// pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageNo(pub u64);

impl From<PageNo> for u64 {
    fn from(page: PageNo) -> u64 {
        page.0
    }
}

impl fmt::Display for PageNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A defect on page `page`.
fn corrupt_page(page: PageNo, what: impl Into<String>) -> Error {
    match u32::try_from(page.0) {
        Ok(page) => Error::corrupt_page(page, what),
        Err(_) => Error::corrupt(format!("page {page}: {}", what.into())),
    }
}
