//! The old table in any format, and what a new one takes over from it.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use crate::bdb::btree::{BtreeBuilder, BtreeUpdater};
use crate::bdb::hash::{HashBuilder, HashUpdater};
use crate::bdb::page::PageFormat;
use crate::bdb::{OnExisting, PageSize};
use crate::entries::Entries;
use crate::error::{Error, Result};
use crate::file::WriteAt;
use crate::file::in_place::InPlace;
use crate::file::replace::Target;
use crate::file::store::{Store, StoreMode};
use crate::lmdb::change::Changes;
use crate::lmdb::{self, LmdbReader};
use crate::table::file::FileFormat;
use crate::table::lmdb::{LmdbOptions, change_in_place};
use crate::table::traits::Listing;
use crate::wire::ByteOrder;

/// Why there are no changes of cdb tables.
pub(super) const CDB_IS_CONSTANT: &str =
    "cdb tables cannot be changed, only made anew from their source";

/// What a table that is built anew takes over from the old one.
#[derive(Clone, Copy, Default)]
pub(super) enum Layout {
    /// Nothing: there is none.
    #[default]
    New,
    Bdb {
        page_size: PageSize,
        order: ByteOrder,
    },
    Lmdb(lmdb::Layout),
}

impl Layout {
    pub(super) fn build(
        self,
        format: FileFormat,
        options: &LmdbOptions,
        entries: &Entries,
        out: &mut dyn WriteAt,
    ) -> Result<u64> {
        match (self, format) {
            (Layout::Bdb { page_size, order }, FileFormat::Hash) => HashBuilder::new()
                .page_size(page_size)
                .byte_order(order)
                .build(entries, out),
            (Layout::Bdb { page_size, order }, FileFormat::Btree) => BtreeBuilder::new()
                .page_size(page_size)
                .byte_order(order)
                .build(entries, out),
            (Layout::Lmdb(layout), _) => options.builder(Some(layout)).build(entries, out),
            _ => format.build(options, entries, out),
        }
    }
}

/// An update of a file of any format.
pub(super) enum FormatUpdater {
    Hash(Box<HashUpdater>),
    Btree(Box<BtreeUpdater>),
    /// Only read here; the C library makes the changes.
    Lmdb(Box<LmdbReader>),
}

impl FormatUpdater {
    /// Opens a file that the caller has locked.
    pub(super) fn open(
        format: FileFormat,
        file: &File,
        path: &Path,
        mode: StoreMode,
    ) -> Result<FormatUpdater> {
        let file = file
            .try_clone()
            .map_err(|error| Error::io("open database", path, error))?;
        let store = Store::of_locked(file, path, mode)?;
        match format {
            FileFormat::Hash => HashUpdater::new(store)
                .map(Box::new)
                .map(FormatUpdater::Hash),
            FileFormat::Btree => BtreeUpdater::new(store)
                .map(Box::new)
                .map(FormatUpdater::Btree),
            FileFormat::Lmdb => LmdbReader::new(store)
                .map(Box::new)
                .map(FormatUpdater::Lmdb),
            FileFormat::Cdb => Err(Error::unsupported(CDB_IS_CONSTANT)),
        }
        .map_err(|error| error.in_file(path))
    }

    /// What the old file holds.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        match self {
            FormatUpdater::Hash(update) => update.old().get(key),
            FormatUpdater::Btree(update) => update.old().get(key),
            FormatUpdater::Lmdb(reader) => reader.get(key),
        }
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }

    /// All entries of the old file.
    pub(super) fn iter(&self) -> Result<Listing<'_>> {
        Ok(match self {
            FormatUpdater::Hash(update) => Box::new(update.old().iter()?),
            FormatUpdater::Btree(update) => Box::new(update.old().iter()?),
            FormatUpdater::Lmdb(reader) => Box::new(reader.iter()?),
        })
    }

    /// What all pages of a Berkeley DB file have in common, and how many belong to the table.
    fn pages(&self) -> Option<(PageFormat, u32)> {
        match self {
            FormatUpdater::Hash(update) => {
                let meta = update.old().meta();
                Some((meta.format, meta.page_count))
            }
            FormatUpdater::Btree(update) => {
                let meta = update.old().meta();
                Some((meta.format, meta.page_count))
            }
            FormatUpdater::Lmdb(_) => None,
        }
    }

    pub(super) fn layout(&self) -> Layout {
        match (self, self.pages()) {
            (FormatUpdater::Lmdb(reader), _) => Layout::Lmdb(*reader.layout()),
            (_, Some((format, _))) => Layout::Bdb {
                page_size: format.size,
                order: format.order,
            },
            (_, None) => Layout::New,
        }
    }

    /// Whether a table that is built anew has all that this one has. Builders write no checksums.
    pub(super) fn can_be_rebuilt(&self) -> bool {
        self.pages().is_none_or(|(format, _)| !format.checksum)
    }

    /// The table's length in bytes.
    pub(super) fn len(&self) -> u64 {
        match (self, self.pages()) {
            (_, Some((format, page_count))) => format.size.bytes() as u64 * u64::from(page_count),
            (FormatUpdater::Lmdb(reader), None) => {
                let page_count = reader.meta().last_page.0.saturating_add(1);
                page_count.saturating_mul(reader.layout().page_size.bytes() as u64)
            }
            (_, None) => 0,
        }
    }

    /// Makes the changes in place.
    pub(super) fn write(
        self,
        target: &Target,
        changes: &Changes<'_>,
        lmdb: &LmdbOptions,
    ) -> Result<()> {
        let file = target.existing();
        let file = file.ok_or_else(|| Error::corrupt("table is gone"))?;
        match self {
            FormatUpdater::Hash(mut update) => {
                for key in &changes.deletes {
                    update.delete(key)?;
                }
                for (key, value) in &changes.puts {
                    update.put(key, value, OnExisting::Replace)?;
                }
                update.commit(&mut InPlace::start(file, target.path())?)
            }
            FormatUpdater::Btree(mut update) => {
                for key in &changes.deletes {
                    update.delete(key)?;
                }
                for (key, value) in &changes.puts {
                    update.put(key, value, OnExisting::Replace)?;
                }
                update.commit(&mut InPlace::start(file, target.path())?)
            }
            FormatUpdater::Lmdb(_) => change_in_place(target, changes, lmdb),
        }
    }
}
