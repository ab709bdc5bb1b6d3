//! Adds entries to a table, replaces and deletes them.
//!
//! The changes are gathered in memory under the table's exclusive lock, so that each key can be
//! told at once whether it is there. Then they are written in one of two ways, whichever costs
//! less: few changes in place, page by page; many by building the table anew and renaming it over
//! the old one. Readers notice either.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::bdb::hash::{HashBuilder, HashUpdater};
use crate::bdb::{OnExisting, PageSize};
use crate::entries::{Entries, OnDuplicate};
use crate::error::{Error, Result};
use crate::file::WriteAt;
use crate::file::in_place::InPlace;
use crate::file::replace::Target;
use crate::file::store::Store;
use crate::table::file::FileFormat;
use crate::table::notice::Notice;
use crate::table::replace::replace;
use crate::table::traits::KeyValue;
use crate::wire::ByteOrder;

/// A table is built anew when the changes have more than one byte for this many of the table: to
/// change a page in place costs about as much as to build several.
const REBUILD_RATIO: u64 = 8;

/// A table that is locked for changes. Dropped without [`TableUpdater::commit`] it changes
/// nothing.
pub struct TableUpdater {
    path: PathBuf,
    format: FileFormat,
    /// In front of `target`, so that it is dropped while the lock is still held.
    old: Option<FormatUpdater>,
    target: Target,
    /// New values, `None` for keys to delete.
    changes: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// The bytes of all changes.
    changed_len: u64,
    /// Permission bits for a table that does not exist yet.
    mode: u32,
}

/// What a table that is not there means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A table is made, with these permission bits.
    Create {
        /// The permission bits.
        mode: u32,
    },
    /// An error.
    Refuse,
}

impl TableUpdater {
    /// Waits for the exclusive lock of the table file `path` and opens it.
    ///
    /// # Errors
    ///
    /// `Io` with action "open", "open database" or "lock"; `Corrupt` or `Unsupported` when the file
    /// is not what its type says or cannot be changed.
    pub fn open(
        format: FileFormat,
        path: &Path,
        missing: Missing,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<TableUpdater> {
        let target = Target::lock(path)?;
        let mode = match missing {
            Missing::Create { mode } => mode,
            Missing::Refuse => {
                if target.removed_empty() {
                    return Err(Error::corrupt("file is empty").in_file(path));
                }
                if target.existing().is_none() {
                    let error = io::Error::from_raw_os_error(nix::libc::ENOENT);
                    return Err(Error::io("open database", path, error));
                }
                0
            }
        };
        if target.removed_empty() {
            notify(Notice::RemovedEmpty {
                table: path.to_path_buf(),
            });
        }
        let old = target.existing().map(|file| {
            let file = file
                .try_clone()
                .map_err(|error| Error::io("open database", path, error))?;
            let store = Store::of_locked(file, path)?;
            FormatUpdater::new(format, store).map_err(|error| error.in_file(path))
        });
        Ok(TableUpdater {
            path: path.to_path_buf(),
            format,
            old: old.transpose()?,
            target,
            changes: HashMap::new(),
            changed_len: 0,
            mode,
        })
    }

    /// The value of `key` as the table will have it. Keys and values are bytes as stored.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` when the old table cannot tell.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        match (self.changes.get(key), &self.old) {
            (Some(change), _) => Ok(change.is_some()),
            (None, Some(old)) => old.contains(key).map_err(|error| error.in_file(&self.path)),
            (None, None) => Ok(false),
        }
    }

    /// Adds an entry; `false` when its key is there already and the first entry is to stay.
    ///
    /// # Errors
    ///
    /// As [`TableUpdater::contains`].
    pub fn put(&mut self, key: &[u8], value: &[u8], on_duplicate: OnDuplicate) -> Result<bool> {
        if on_duplicate == OnDuplicate::KeepFirst && self.contains(key)? {
            return Ok(false);
        }
        self.changed_len += (key.len() + value.len()) as u64;
        self.changes.insert(key.to_vec(), Some(value.to_vec()));
        Ok(true)
    }

    /// Deletes an entry; `false` when it is not there.
    ///
    /// # Errors
    ///
    /// As [`TableUpdater::contains`].
    pub fn delete(&mut self, key: &[u8]) -> Result<bool> {
        if !self.contains(key)? {
            return Ok(false);
        }
        self.changed_len += key.len() as u64;
        self.changes.insert(key.to_vec(), None);
        Ok(true)
    }

    /// Writes the changes and releases the lock. A table without changes is not touched.
    ///
    /// # Errors
    ///
    /// `Io` when the table cannot be written. In place, what was there before can still be read
    /// then; otherwise the old table is as it was. `Interrupted` by a signal.
    pub fn commit(mut self, notify: &mut dyn FnMut(Notice)) -> Result<()> {
        if self.changes.is_empty() && self.old.is_some() {
            return Ok(());
        }
        let old_len = self.old.as_ref().map_or(0, |old| old.len());
        if self.changed_len * REBUILD_RATIO > old_len {
            return self.rebuild(notify);
        }
        let Some(mut old) = self.old.take() else {
            return Ok(());
        };
        let (path, file) = (&self.path, self.target.existing());
        let file = file.ok_or_else(|| Error::corrupt("table is gone"))?;
        let written = old
            .apply(self.changes)
            .and_then(|()| old.commit(&mut InPlace::start(file, path)?));
        written.map_err(|error| error.in_file(path))
    }

    fn rebuild(self, notify: &mut dyn FnMut(Notice)) -> Result<()> {
        let TableUpdater {
            path,
            format,
            old,
            target,
            mut changes,
            mode,
            ..
        } = self;
        let mut entries = Entries::new();
        let mut layout = Layout::default();
        if let Some(old) = old {
            layout = old.layout();
            let in_file = |error: Error| error.in_file(&path);
            for pair in old.iter().map_err(in_file)? {
                let (key, value) = pair.map_err(in_file)?;
                if !changes.contains_key(&*key) {
                    entries.insert(&key, &value)?;
                }
            }
        }
        for (key, value) in changes.drain() {
            if let Some(value) = value {
                entries.insert(&key, &value)?;
            }
        }
        replace(
            target,
            mode,
            &mut |out| layout.build(format, &entries, out),
            notify,
        )?;
        Ok(())
    }
}

/// What a table that is built anew takes over from the old one.
#[derive(Clone, Copy)]
struct Layout {
    page_size: PageSize,
    order: ByteOrder,
}

impl Default for Layout {
    fn default() -> Self {
        Layout {
            page_size: PageSize::DEFAULT,
            order: ByteOrder::NATIVE,
        }
    }
}

impl Layout {
    fn build(self, format: FileFormat, entries: &Entries, out: &mut dyn WriteAt) -> Result<u64> {
        match format {
            FileFormat::Hash => HashBuilder::new()
                .page_size(self.page_size)
                .byte_order(self.order)
                .build(entries, out),
        }
    }
}

/// An update of a file of any format.
enum FormatUpdater {
    Hash(Box<HashUpdater>),
}

impl FormatUpdater {
    fn new(format: FileFormat, store: Store) -> Result<FormatUpdater> {
        match format {
            FileFormat::Hash => HashUpdater::new(store)
                .map(Box::new)
                .map(FormatUpdater::Hash),
        }
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        match self {
            FormatUpdater::Hash(update) => Ok(update.old().get(key)?.is_some()),
        }
    }

    /// All entries of the old file.
    fn iter(&self) -> Result<impl Iterator<Item = Result<KeyValue<'_>>>> {
        match self {
            FormatUpdater::Hash(update) => update.old().iter(),
        }
    }

    fn layout(&self) -> Layout {
        let format = match self {
            FormatUpdater::Hash(update) => update.old().meta().format,
        };
        Layout {
            page_size: format.size,
            order: format.order,
        }
    }

    /// The file's length in bytes.
    fn len(&self) -> u64 {
        let (format, page_count) = match self {
            FormatUpdater::Hash(update) => {
                (update.old().meta().format, update.old().meta().page_count)
            }
        };
        format.size.bytes() as u64 * u64::from(page_count)
    }

    fn apply(&mut self, changes: HashMap<Vec<u8>, Option<Vec<u8>>>) -> Result<()> {
        // In the order of keys, so that the same changes give the same file.
        let mut changes: Vec<_> = changes.into_iter().collect();
        changes.sort_unstable();
        for (key, change) in changes {
            match (&mut *self, change) {
                (FormatUpdater::Hash(update), Some(value)) => {
                    update.put(&key, &value, OnExisting::Replace)?;
                }
                (FormatUpdater::Hash(update), None) => {
                    update.delete(&key)?;
                }
            }
        }
        Ok(())
    }

    fn commit(self, out: &mut InPlace<'_>) -> Result<()> {
        match self {
            FormatUpdater::Hash(update) => update.commit(out),
        }
    }
}
