//! Berkeley DB files, read and written without Berkeley DB.
//!
//! This folder knows the file format and nothing else: no Postfix, no locks, no configuration.
//! Keys and values are bytes; whether they end in a NUL is the caller's affair. The layout, with
//! every offset, is described in `docs/format-bdb.md`.
//!
//! | file | job |
//! |---|---|
//! | [`meta`] | page 0: which kind of file, version, byte order, page size, where things are |
//! | [`page`] | the header and the index of every other page; [`page::Pages`] fetches them |
//! | `page_buf` | composing pages |
//! | `pager` | in-place updates: new pages, and the order of writes |
//! | `writer` | what builders of whole files share |
//! | [`item`] | what an index entry points at |
//! | `overflow` | chains of pages that hold one long key or value |
//! | `duplicate` | several values under one key, which Postfix never writes |
//! | [`verify`] | walk everything once, list every defect |
//! | [`salvage`] | every plausible pair of a damaged file |
//! | [`hash`] | the hash access method: function, buckets, reader, builder, updater |
//! | [`btree`] | the btree access method: pages of the tree, reader, builder, updater |
//!
//! Supported: hash files of versions 6 to 10 and btree files of versions 7 to 10 for reading,
//! version 9 of both for writing, and hash files of version 8 for changes; both byte orders; page
//! sizes 512 to 65536; page checksums, which changes keep up and builders do not write. Everything
//! else is refused by name.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]

pub mod btree;
mod duplicate;
pub mod hash;
pub mod item;
pub mod meta;
mod overflow;
pub mod page;
mod page_buf;
pub(crate) mod pager;
pub mod salvage;
pub mod verify;
mod writer;

use std::fmt;

/// The number of a page: its offset in the file divided by the page size. 0 is the meta page, and
/// in links stands for "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageNo(pub u32);

impl PageNo {
    /// The meta page; in a link: no page.
    pub const NONE: PageNo = PageNo(0);
}

impl fmt::Display for PageNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a hash bucket, from 0 to `max_bucket`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketNo(pub u32);

/// The number of an entry in a page's index, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotNo(pub u16);

/// The size of every page of a file: a power of two from 512 to 65536 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(u32);

impl PageSize {
    /// 4096 bytes, what Berkeley DB chooses on the usual file systems.
    pub const DEFAULT: PageSize = PageSize(4096);

    /// `bytes` as a page size, or `None` when it is no power of two from 512 to 65536.
    pub const fn new(bytes: u32) -> Option<PageSize> {
        if bytes.is_power_of_two() && bytes >= 512 && bytes <= 65536 {
            Some(PageSize(bytes))
        } else {
            None
        }
    }

    /// The size in bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }
}

/// What an update does about a key that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExisting {
    /// The old value stays.
    Keep,
    /// The new value takes its place.
    Replace,
}

/// What became of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Its key was new.
    Inserted,
    /// Its key was there, the old value stayed.
    Kept,
    /// Its key was there, its value is now the new one.
    Replaced,
}
