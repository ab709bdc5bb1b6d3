//! What `lmdb:` tables need beside what all table files need: other programs have them mapped, so
//! they are replaced or changed by the C library, never overwritten.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::entries::{Entries, sorted_numbers};
use crate::error::{Error, ErrorKind, Result};
use crate::file::lock::is_record_locked;
use crate::file::open::open_regular;
use crate::file::replace::Target;
use crate::file::store::{Store, StoreMode};
use crate::lmdb::builder::{MAP_SIZE_DEFAULT, check_key};
use crate::lmdb::change::{Changes, Place, apply, check};
use crate::lmdb::layout::HEAD_LEN;
use crate::lmdb::verify::verify;
use crate::lmdb::{DataVersion, Layout, LmdbBuilder};

/// How `lmdb:` tables are made and changed.
#[derive(Clone, Copy, Debug)]
pub struct LmdbOptions {
    /// For which LMDB a table is made. One that is changed keeps what it has.
    pub version: DataVersion,
    /// How far a table may grow at first, in bytes: `lmdb_map_size` of main.cf. It gets what it
    /// needs beyond that.
    pub map_size: u64,
}

impl Default for LmdbOptions {
    fn default() -> Self {
        LmdbOptions {
            version: DataVersion::V1,
            map_size: MAP_SIZE_DEFAULT,
        }
    }
}

impl LmdbOptions {
    /// The builder of new tables, or of one that has `layout`.
    pub(crate) fn builder(&self, layout: Option<Layout>) -> LmdbBuilder {
        LmdbBuilder::new()
            .layout(layout.unwrap_or(Layout::native(self.version)))
            .map_size(self.map_size)
    }
}

/// The error of the original for a file that is none of LMDB's.
fn not_lmdb(path: &Path) -> Error {
    let error = io::Error::other("MDB_INVALID: File is not an LMDB file");
    Error::io("open database", path, error)
}

/// Refuses to replace what never was a table. A damaged one may be replaced.
///
/// # Errors
///
/// `Io` with action "open database".
pub(crate) fn check_replaceable(target: &Target) -> Result<()> {
    let Some(file) = target.existing() else {
        return Ok(());
    };
    match layout_of(file, target.path()) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::Corrupt { page: Some(_), .. } => Ok(()),
            ErrorKind::Corrupt { page: None, .. } => Err(not_lmdb(target.path())),
            ErrorKind::Unsupported { what } => {
                let error = io::Error::other(format!("{what} is not supported"));
                Err(Error::io("open database", target.path(), error))
            }
            _ => Err(error),
        },
    }
}

/// Refuses a file that cannot be changed in place.
///
/// # Errors
///
/// `Io` with action "open database".
pub(crate) fn check_changeable(target: &Target) -> Result<()> {
    check_replaceable(target)?;
    let Some(file) = target.existing() else {
        return Ok(());
    };
    let Ok(layout) = layout_of(file, target.path()) else {
        // Whoever reads it says what is wrong.
        return Ok(());
    };
    check(&layout).map_err(|error| {
        let error = io::Error::other(error.to_string());
        Error::io("open database", target.path(), error)
    })
}

fn layout_of(file: &File, path: &Path) -> Result<Layout> {
    let mut head = [0; HEAD_LEN];
    let mut len = 0;
    while let Some(rest) = head.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, len as u64) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path, error)),
        }
    }
    Layout::recognise(head.get(..len).unwrap_or_default())
}

/// The file by whose presence programs that use the library's own locks give themselves away.
pub(crate) fn lock_file(target: &Target) -> Option<PathBuf> {
    let beside = |path: &Path| {
        let mut name = OsString::from(path);
        name.push("-lock");
        PathBuf::from(name)
    };
    [target.path(), target.real_path()]
        .into_iter()
        .map(beside)
        .find(|path| path.symlink_metadata().is_ok())
}

/// Whether a program has the table open at this moment by the locks that `lock_file` stands for:
/// as long as it has, it holds a lock on the first byte. The file itself outlives its users, be it
/// only `mdb_stat`. One that cannot be asked counts as used.
pub(crate) fn is_in_use(lock_file: &Path) -> bool {
    let Ok((file, _)) = open_regular(lock_file, OpenOptions::new().read(true)) else {
        return true;
    };
    is_record_locked(&file).unwrap_or(true)
}

/// Whether a transaction in place can put new entries into the file of `target`.
pub(crate) fn is_rewritable(target: &Target, options: &LmdbOptions) -> bool {
    let sound = |file: &File| {
        let store =
            Store::of_locked(file.try_clone().ok()?, target.path(), StoreMode::AUTO).ok()?;
        check_sound(&store).ok()
    };
    check(&Layout::native(options.version)).is_ok()
        && check_changeable(target).is_ok()
        && target.existing().is_none_or(|file| sound(file).is_some())
}

/// Refuses a file with any error that a verification finds: the C library believes files, and a
/// damaged one ends the process. That reads the whole file but for long values; whatever is left
/// out could be what the library comes upon, above all in the list of free pages.
fn check_sound(store: &Store) -> Result<()> {
    let report = verify(store)?;
    let Some(defect) = report.first_error() else {
        return Ok(());
    };
    let what = &defect.what;
    let what = match defect.place.page() {
        Some(page) => format!("page {page}: {what}"),
        None => what.clone(),
    };
    Err(Error::corrupt(format!(
        "{what}; it cannot be changed, build it again from its source"
    )))
}

/// Makes `changes` to the locked file of `target`, which must not be missing, in one transaction.
///
/// # Errors
///
/// `Corrupt` or `Unsupported` when the file is damaged or cannot be changed; `Io`.
pub(crate) fn change_in_place(
    target: &Target,
    changes: &Changes<'_>,
    options: &LmdbOptions,
) -> Result<()> {
    let shown = target.path();
    target.exclude_readers()?;
    if let Some(file) = target.existing() {
        check_changeable(target)?;
        let file = file
            .try_clone()
            .map_err(|error| Error::io("read", shown, error))?;
        let store = Store::of_locked(file, shown, StoreMode::AUTO)?;
        check_sound(&store).map_err(|error| error.in_file(shown))?;
    } else {
        check(&Layout::native(options.version)).map_err(|error| error.in_file(shown))?;
    }
    let file = target.locked().ok_or_else(|| {
        let error = io::Error::from(io::ErrorKind::NotFound);
        Error::io("open database", shown, error)
    })?;
    let place = Place {
        file,
        path: target.real_path(),
        shown,
        map_size: options.map_size,
        has_lock_file: lock_file(target).is_some(),
    };
    apply(place, changes)
}

/// Puts `entries` in the place of everything that is in the locked file of `target`, in one
/// transaction.
///
/// # Errors
///
/// As [`change_in_place`].
pub(crate) fn rewrite_in_place(
    target: &Target,
    entries: &Entries,
    options: &LmdbOptions,
) -> Result<u64> {
    check(&Layout::native(options.version)).map_err(|error| error.in_file(target.path()))?;
    let numbers = sorted_numbers(entries);
    let changes = Changes {
        clear: true,
        deletes: Vec::new(),
        puts: numbers
            .into_iter()
            .filter_map(|number| entries.entry(number))
            .collect(),
    };
    for (key, _) in &changes.puts {
        check_key(&Layout::NATIVE_V1, key).map_err(|error| error.in_file(target.path()))?;
    }
    change_in_place(target, &changes, options)?;
    let written = target.locked().map(File::metadata).transpose();
    let written = written.map_err(|error| Error::io("read", target.path(), error))?;
    Ok(written.map_or(0, |metadata| metadata.len()))
}
