//! Adds entries to a table, replaces and deletes them.
//!
//! The changes are gathered in memory under the table's exclusive lock, so that each key can be
//! told at once whether it is there. Then they are written in one of two ways, whichever costs
//! less: few changes in place, page by page, or for `lmdb:` in one transaction of its library; many
//! by building the table anew and renaming it over the old one. Readers notice either.
//!
//! | file | job |
//! |---|---|
//! | `add` | the entries of a source added |
//! | `format` | the old table in any format, and what a new one takes over from it |
//! | `asked` | what was asked about a table that was not there |

mod add;
mod asked;
mod format;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::entries::{Entries, Inserted, OnDuplicate};
use crate::error::{Error, Result};
use crate::file::WriteAt;
use crate::file::replace::{Protocol, Target};
use crate::file::store::StoreMode;
use crate::lmdb::change::Changes;
use crate::table::ahead::StoredForm;
use crate::table::file::{FileFormat, as_open_database};
use crate::table::gather::Gathered;
use crate::table::lmdb::{LmdbOptions, check_changeable, lock_file};
use crate::table::notice::Notice;
use crate::table::replace::{replace, replace_unless_waited_for};
use asked::Asked;
use format::{CDB_IS_CONSTANT, FormatUpdater, Layout};

/// A table is built anew when the changes have more than one byte for this many of the table: to
/// change a page in place costs about as much as to build several.
const REBUILD_RATIO: u64 = 8;

/// How many keys are looked up page by page, at least, before the whole table is read into memory.
const LOOKUPS_BY_PAGE: u64 = 200;
/// To look up a key takes as long as to read about so many bytes in one go.
const LOOKUP_COST_LEN: u64 = 8192;

/// A table that is locked for changes. Dropped without [`TableUpdater::commit`] it changes
/// nothing.
///
/// ```
/// use rpostmap::FileFormat;
/// use rpostmap::entries::OnDuplicate;
/// use rpostmap::table::{Missing, TableUpdater};
///
/// # let dir = std::env::temp_dir().join(format!("rpostmap-update-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).expect("a directory");
/// let path = dir.join("relay_password.db");
/// let mut notify = |notice| eprintln!("{notice}");
/// let missing = Missing::Create { mode: 0o600 };
/// let mut table = TableUpdater::open(FileFormat::Hash, &path, missing, &mut notify)?;
/// let (key, value) = (b"[mx.example.org]:587\0", b"user:password\0");
/// assert!(table.put(key, value, OnDuplicate::KeepFirst)?);
/// assert!(table.contains(key)?);
/// assert!(!table.delete(b"mx.example.org\0")?, "the brackets and the port belong to the key");
/// table.commit(&mut notify)?;
/// # std::fs::remove_dir_all(&dir).expect("removed");
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct TableUpdater {
    path: PathBuf,
    format: FileFormat,
    /// In front of `target`, so that it is dropped while the lock is still held.
    work: Work,
    target: Target,
    /// Permission bits for a table that does not exist yet.
    mode: u32,
    /// Whether programs hold on to the file, so that it must not be replaced.
    must_stay: bool,
    lmdb: LmdbOptions,
    /// What to do about a table that appears although none was found.
    asked: Asked,
    /// How entries of sources are stored.
    form: Option<StoredForm>,
}

/// How the changes are going to be written.
enum Work {
    /// In place: there are few so far.
    Pages {
        old: FormatUpdater,
        puts: Entries,
        deletes: HashSet<Vec<u8>>,
        /// The bytes of all changes.
        changed_len: u64,
        /// How many keys were looked up.
        lookups: u64,
    },
    /// By building the table anew from all its entries.
    Whole { entries: Entries, layout: Layout },
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
    /// is not what its type says or cannot be changed, as those of cdb tables.
    pub fn open(
        format: FileFormat,
        path: &Path,
        missing: Missing,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<TableUpdater> {
        if format == FileFormat::Cdb {
            return Err(Error::unsupported(CDB_IS_CONSTANT));
        }
        let target = match (missing, format) {
            (Missing::Create { mode }, FileFormat::Lmdb) => {
                Target::lock_or_make(path, mode).map_err(as_open_database)?
            }
            _ => format.lock(path)?,
        };
        target.admit_readers()?;
        let mode = match missing {
            Missing::Create { mode } => {
                target.check_makeable()?;
                mode
            }
            Missing::Refuse => {
                if target.removed_empty() {
                    return Err(Error::corrupt("file is empty").in_file(path));
                }
                if target.is_missing() {
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
        let must_stay = format == FileFormat::Lmdb && lock_file(&target).is_some();
        if format == FileFormat::Lmdb {
            check_changeable(&target)?;
        }
        let work = match target.existing() {
            None => Work::Whole {
                entries: Entries::new(),
                layout: Layout::default(),
            },
            Some(file) => Work::Pages {
                old: FormatUpdater::open(format, file, path, StoreMode::POSITIONED)?,
                puts: Entries::new(),
                deletes: HashSet::new(),
                changed_len: 0,
                lookups: 0,
            },
        };
        Ok(TableUpdater {
            path: path.to_path_buf(),
            format,
            work,
            target,
            mode,
            must_stay,
            lmdb: LmdbOptions::default(),
            asked: Asked::default(),
            form: None,
        })
    }

    /// Sets how a table of type `lmdb:` is changed, or made if there is none.
    /// [`add`](TableUpdater::add) takes that from its options.
    pub fn set_lmdb_options(&mut self, options: LmdbOptions) {
        self.lmdb = options;
    }

    /// Says how many bytes of changes are to come, as far as that is known. Many are handled faster
    /// when that is known from the start.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` when the old table cannot be read.
    pub fn expect(&mut self, len: u64) -> Result<()> {
        if self.gather_if_many(len)?
            && let Work::Whole { entries, .. } = &mut self.work
        {
            entries.settle(OnDuplicate::KeepFirst, u32::MAX);
        }
        Ok(())
    }

    /// How many more bytes of changes, at least, make the table be built anew. `None` if it is going
    /// to be anyhow, or never.
    pub fn len_to_rebuild(&self) -> Option<u64> {
        let Work::Pages {
            changed_len, old, ..
        } = &self.work
        else {
            return None;
        };
        if self.must_stay || !old.can_be_rebuilt() {
            return None;
        }
        Some((old.len() / REBUILD_RATIO + 1).saturating_sub(*changed_len))
    }

    /// Whether the table will hold `key`. Keys and values are bytes as stored.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` when the old table cannot tell.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        match &self.work {
            Work::Whole { entries, .. } => Ok(entries.contains(key)),
            Work::Pages { deletes, .. } if deletes.contains(key) => Ok(false),
            Work::Pages { puts, .. } if puts.contains(key) => Ok(true),
            Work::Pages { old, .. } => old.contains(key).map_err(|e| e.in_file(&self.path)),
        }
    }

    /// Adds an entry; `false` when its key is there already and the first entry is to stay.
    ///
    /// # Errors
    ///
    /// As [`TableUpdater::contains`]; `TooLong` or `EmptyKey` for a key that the format cannot hold.
    pub fn put(&mut self, key: &[u8], value: &[u8], on_duplicate: OnDuplicate) -> Result<bool> {
        self.check_key(key)?;
        self.count_lookup()?;
        let on_duplicate = self.format.on_duplicate(on_duplicate);
        let keep_first = on_duplicate == OnDuplicate::KeepFirst;
        if let Work::Pages { .. } = self.work
            && keep_first
            && self.contains(key)?
        {
            return Ok(false);
        }
        match &mut self.work {
            Work::Whole { entries, .. } => {
                let inserted = entries.insert_or(on_duplicate, key, value)?;
                let is_put = !keep_first || inserted == Inserted::New;
                if is_put && self.target.is_missing() {
                    self.asked.note(key, on_duplicate);
                }
                return Ok(is_put);
            }
            Work::Pages {
                puts,
                deletes,
                changed_len,
                ..
            } => {
                deletes.remove(key);
                puts.insert_or(OnDuplicate::KeepLast, key, value)?;
                *changed_len += (key.len() + value.len()) as u64;
            }
        }
        self.choose()?;
        Ok(true)
    }

    /// That the table can hold `key`.
    fn check_key(&self, key: &[u8]) -> Result<()> {
        let lmdb = match self.work {
            // What is there is of version 0.9.
            Work::Pages { .. } => LmdbOptions::default(),
            Work::Whole { .. } => self.lmdb,
        };
        let checked = self.format.check_key(&lmdb, key);
        checked.map_err(|error| error.in_file(&self.path))
    }

    /// Deletes an entry; `false` when it is not there.
    ///
    /// # Errors
    ///
    /// As [`TableUpdater::contains`].
    pub fn delete(&mut self, key: &[u8]) -> Result<bool> {
        self.count_lookup()?;
        if !self.contains(key)? {
            return Ok(false);
        }
        match &mut self.work {
            Work::Whole { entries, .. } => return Ok(entries.remove(key)),
            Work::Pages {
                puts,
                deletes,
                changed_len,
                ..
            } => {
                puts.remove(key);
                deletes.insert(key.to_vec());
                *changed_len += key.len() as u64;
            }
        }
        self.choose()?;
        Ok(true)
    }

    /// Reads the whole table into memory when many keys are looked up.
    fn count_lookup(&mut self) -> Result<()> {
        if let Work::Pages { old, lookups, .. } = &mut self.work {
            *lookups += 1;
            if *lookups == LOOKUPS_BY_PAGE.max(old.len() / LOOKUP_COST_LEN)
                && let Some(file) = self.target.existing()
            {
                *old = FormatUpdater::open(self.format, file, &self.path, StoreMode::AUTO)?;
            }
        }
        Ok(())
    }

    /// Goes over to building the table anew when there are many changes.
    fn choose(&mut self) -> Result<()> {
        self.expect(0)
    }

    /// Reads the whole table if it is to be built anew, with `expected_len` bytes of changes to come.
    /// Returns whether that was done: then its entries are to be settled, and the first of several
    /// with one key stays, which are new values in front of old ones.
    fn gather_if_many(&mut self, expected_len: u64) -> Result<bool> {
        if self
            .len_to_rebuild()
            .is_none_or(|least| expected_len < least)
        {
            return Ok(false);
        }
        let Some(file) = self.target.existing() else {
            return Ok(false);
        };
        let Work::Pages {
            old, puts, deletes, ..
        } = &mut self.work
        else {
            return Ok(false);
        };
        *old = FormatUpdater::open(self.format, file, &self.path, StoreMode::AUTO)?;
        let mut entries = std::mem::take(puts);
        // A guess; pages and text both have a few dozen bytes an entry.
        let len = usize::try_from(old.len() + expected_len).unwrap_or(0);
        entries.reserve(len / 100, len / 2);
        let in_file = |error: Error| error.in_file(&self.path);
        for pair in old.iter().map_err(in_file)? {
            let (key, value) = pair.map_err(in_file)?;
            if !deletes.contains(&*key) {
                entries.append(&key, &value)?;
            }
        }
        let layout = old.layout();
        self.work = Work::Whole { entries, layout };
        Ok(true)
    }

    /// Writes the changes and releases the lock. A table without changes is not touched.
    ///
    /// # Errors
    ///
    /// `Io` when the table cannot be written. In place, what was there before can still be read
    /// then; otherwise the old table is as it was. `Interrupted` by a signal. `Corrupt` when the
    /// file is damaged anywhere and the C library would have to change it.
    pub fn commit(self, notify: &mut dyn FnMut(Notice)) -> Result<()> {
        let TableUpdater {
            path,
            format,
            work,
            target,
            mode,
            must_stay: _,
            lmdb,
            asked,
            form,
        } = self;
        match work {
            Work::Whole { entries, layout } if target.is_missing() => {
                let mut new = target.start(mode)?;
                let len = layout.build(format, &lmdb, &entries, &mut new)?;
                new.set_len(len)?;
                if new.commit_unless_there()? {
                    return Ok(());
                }
                // Somebody else made it after we had looked.
                let missing = Missing::Create { mode };
                let mut table = TableUpdater::open(format, &path, missing, notify)?;
                table.lmdb = lmdb;
                table.form = form;
                for (key, value) in entries.iter() {
                    if !table.put(key, value, asked.about(key))? {
                        let table = format.name_in_warnings(&path);
                        let key = form.map_or_else(|| key.to_vec(), |form| form.shown(key));
                        notify(Notice::Duplicate { table, key });
                    }
                }
                table.commit(notify)
            }
            Work::Whole { entries, layout } => {
                let build = |entries: &Entries, out: &mut dyn WriteAt| {
                    layout.build(format, &lmdb, entries, out)
                };
                if target.protocol() == Protocol::Rewritten && target.existing().is_some() {
                    let kept = replace_unless_waited_for(target, entries, build, notify)?;
                    return kept.map_or(Ok(()), |(target, entries)| {
                        write_changes(format, &path, &target, &entries, &lmdb)
                    });
                }
                // Of others nothing can be kept, or writers of the original take no lock, and `replace`
                // knows what to do.
                let build = |entries: &mut Gathered, out: &mut dyn WriteAt| {
                    entries.build_with(&lmdb, out, build)
                };
                let entries = Gathered::Memory(entries);
                replace(target, mode, entries, build, &lmdb, notify).map(|_| ())
            }
            Work::Pages { puts, deletes, .. } if puts.is_empty() && deletes.is_empty() => Ok(()),
            Work::Pages {
                old, puts, deletes, ..
            } => {
                let changes = in_order(deletes.iter(), puts.iter());
                let written = old.write(&target, &changes, &lmdb);
                written.map_err(|error| error.in_file(&path))
            }
        }
    }
}

/// Changes the table in place to one that holds `entries` and nothing else.
fn write_changes(
    format: FileFormat,
    path: &Path,
    target: &Target,
    entries: &Entries,
    lmdb: &LmdbOptions,
) -> Result<()> {
    let in_file = |error: Error| error.in_file(path);
    let file = target.existing();
    let file = file.ok_or_else(|| in_file(Error::corrupt("table is gone")))?;
    let old = FormatUpdater::open(format, file, path, StoreMode::AUTO)?;
    let mut gone = Vec::new();
    for pair in old.iter().map_err(in_file)? {
        let (key, _) = pair.map_err(in_file)?;
        if !entries.contains(&key) {
            gone.push(key.into_owned());
        }
    }
    let mut puts = Vec::new();
    for (key, value) in entries.iter() {
        if old.get(key).map_err(in_file)?.as_deref() != Some(value) {
            puts.push((key, value));
        }
    }
    let changes = in_order(gone.iter(), puts);
    old.write(target, &changes, lmdb).map_err(in_file)
}

/// Changes in the order of their keys, so that the same ones give the same file.
fn in_order<'c>(
    deletes: impl IntoIterator<Item = &'c Vec<u8>>,
    puts: impl IntoIterator<Item = (&'c [u8], &'c [u8])>,
) -> Changes<'c> {
    let mut changes = Changes {
        clear: false,
        deletes: deletes.into_iter().map(Vec::as_slice).collect(),
        puts: puts.into_iter().collect(),
    };
    changes.deletes.sort_unstable();
    changes.puts.sort_unstable();
    changes
}
