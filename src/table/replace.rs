//! Puts a new table file in the place of the old one.

use std::fmt;
use std::path::Path;

use crate::entries::Entries;
use crate::error::{Result, masked};
use crate::file::WriteAt;
use crate::file::lock::WaiterLook;
use crate::file::replace::{NotStarted, Protocol, Replacement, Target};
use crate::file::scratch::Scratch;
use crate::file::signals::SignalHold;
use crate::file::staging::Staging;
use crate::table::file::FileFormat;
use crate::table::gather::Gathered;
use crate::table::lmdb::{LmdbOptions, is_in_use, is_rewritable, lock_file, rewrite_in_place};
use crate::table::notice::Notice;
use crate::threads::both;

/// Where a new table goes, and the right to put it there.
pub(crate) enum Place {
    /// A file of any name beside the table, whose own lock keeps others out.
    Beside {
        target: Target,
        /// As long as there is a scratch file that could get too long.
        signals: Option<SignalHold>,
    },
    /// The file that writers of cdb tables lock.
    Staging(Staging),
}

impl Place {
    /// Waits for the lock of the table file `path`.
    pub(crate) fn lock(
        format: FileFormat,
        path: &Path,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Place> {
        if format == FileFormat::Cdb {
            return Staging::lock(path).map(Place::Staging);
        }
        let target = format.lock(path)?;
        target.check_makeable()?;
        if target.removed_empty() {
            notify(Notice::RemovedEmpty {
                table: path.to_path_buf(),
            });
        }
        target.admit_readers()?;
        Ok(Place::Beside {
            target,
            signals: None,
        })
    }

    /// The table file, as it was given.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Beside { target, .. } => target.path(),
            Place::Staging(staging) => staging.path(),
        }
    }

    /// Whether a signal that is held asks the process to end. Beside a table none is held but while
    /// the new one is written.
    pub(crate) fn check_signals(&mut self) -> Result<()> {
        match self {
            Place::Beside { .. } => Ok(()),
            Place::Staging(staging) => staging.check_signals(),
        }
    }

    /// Makes a file beside the table for what does not fit into memory; `None` when that is not
    /// allowed there.
    pub(crate) fn scratch(&mut self) -> Result<Option<Scratch>> {
        match self {
            Place::Beside { target, signals } => {
                let hold = SignalHold::of_file_size(target.path())?;
                let scratch = Scratch::create(target.real_path(), target.path())?;
                *signals = scratch.is_some().then_some(hold);
                Ok(scratch)
            }
            Place::Staging(staging) => Scratch::create(staging.path(), staging.path()),
        }
    }

    /// As [`replace`].
    pub(crate) fn put(
        self,
        mode: u32,
        mut entries: Gathered,
        build: impl FnOnce(&mut Gathered, &mut dyn WriteAt) -> Result<u64>,
        lmdb: &LmdbOptions,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<u64> {
        match self {
            Place::Beside { target, signals } => {
                // From the start on the new file holds them.
                drop(signals);
                replace(target, mode, entries, build, lmdb, notify)
            }
            Place::Staging(mut staging) => {
                staging.start(mode)?;
                let len = build(&mut entries, &mut staging)?;
                while_dropping(entries, || staging.commit())?;
                Ok(len)
            }
        }
    }
}

/// Does `work`. To give back the memory of millions of entries takes as long as to wait for the
/// disk, so both happen at once.
fn while_dropping<T>(entries: Gathered, work: impl FnOnce() -> T) -> T {
    both(work, || drop(entries)).0
}

/// Writes the table of `entries` as `build` does, and puts it in the place of `target`. Returns what
/// `build` returned, the length in bytes. `mode` is for a table that does not exist yet.
pub(crate) fn replace(
    target: Target,
    mode: u32,
    mut entries: Gathered,
    build: impl FnOnce(&mut Gathered, &mut dyn WriteAt) -> Result<u64>,
    lmdb: &LmdbOptions,
    notify: &mut dyn FnMut(Notice),
) -> Result<u64> {
    let path = target.path().to_path_buf();
    let mut new = match target.protocol() {
        Protocol::Rewritten => target.start(mode)?,
        Protocol::Mapped => match start_mapped(target, mode, lmdb, notify)? {
            Ok(new) => new,
            Err(target) => return rewrite_in_place(&target, &entries.into_memory()?, lmdb),
        },
    };
    if let Some(reason) = new.in_place() {
        notify(in_place(&path, reason));
    }
    let len = build(&mut entries, &mut new)?;
    finish(new, len, entries, notify)
}

/// As [`replace`], for a table of [`Protocol::Rewritten`] that is there and could as well be changed
/// in place. Returns `target` and `entries` when it had better be, and nothing has happened then: no
/// file can be made to take its place; or a program waits for its lock, which may be the original. It
/// locks the file that it found, then opens what has the name: with another file there, the next one
/// would not wait for it.
pub(crate) fn replace_unless_waited_for(
    target: Target,
    entries: Entries,
    build: impl FnOnce(&Entries, &mut dyn WriteAt) -> Result<u64>,
    notify: &mut dyn FnMut(Notice),
) -> Result<Option<(Target, Entries)>> {
    let look = target.existing().and_then(WaiterLook::at);
    // It takes over the mode of the old one.
    let mut new = match target.start_beside(0) {
        Ok(new) => new,
        Err(not_started) => return Ok(Some((not_started.target, entries))),
    };
    let (built, is_waited_for) = both(
        || build(&entries, &mut new),
        || look.is_some_and(WaiterLook::finds_one),
    );
    let len = built?;
    if is_waited_for {
        return Ok(Some((new.give_up(), entries)));
    }
    finish(new, len, Gathered::Memory(entries), notify)?;
    Ok(None)
}

/// Gives the table that is written its name, and back the memory of its entries. Returns `len`, the
/// table's length in bytes.
fn finish(
    mut new: Replacement,
    len: u64,
    entries: Gathered,
    notify: &mut dyn FnMut(Notice),
) -> Result<u64> {
    let path = new.path().to_path_buf();
    let told = new.in_place().is_some();
    let other_links = new.old_has_other_links();
    new.set_len(len)?;
    match while_dropping(entries, || new.commit())? {
        Some(reason) if !told => notify(in_place(&path, &reason)),
        None if other_links => notify(Notice::OtherLinks { table: path }),
        _ => {}
    }
    Ok(len)
}

/// Starts a new file beside one that programs have mapped, or gives `target` back when it must be
/// changed in place.
fn start_mapped(
    target: Target,
    mode: u32,
    lmdb: &LmdbOptions,
    notify: &mut dyn FnMut(Notice),
) -> Result<Result<Replacement, Target>> {
    let table = target.path().to_path_buf();
    let lock_file = lock_file(&target);
    // What nobody uses now may be used in a moment, so even then the table stays the file it is,
    // unless that cannot be.
    let in_use = lock_file.as_deref().is_some_and(is_in_use);
    if let Some(lock_file) = lock_file
        && (in_use || is_rewritable(&target, lmdb))
    {
        if in_use {
            let lock_file = masked(&lock_file);
            let reason = format!("{lock_file} says that programs use it by locks of LMDB's own");
            notify(Notice::InTransaction {
                table: table.clone(),
                reason,
            });
        }
        if target.is_missing() {
            drop(target);
            return Target::lock_or_make(&table, mode).map(Err);
        }
        return Ok(Err(target));
    }
    match target.start_beside(mode) {
        Ok(new) => Ok(Ok(new)),
        Err(NotStarted { target, reason }) => {
            let reason = reason?.to_string();
            notify(Notice::InTransaction { table, reason });
            Ok(Err(target))
        }
    }
}

fn in_place(path: &Path, reason: &impl fmt::Display) -> Notice {
    Notice::InPlace {
        table: path.to_path_buf(),
        reason: reason.to_string(),
    }
}
