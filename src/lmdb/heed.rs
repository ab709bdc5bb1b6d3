//! The C library, through the crate `heed`: the only place that uses it, and for changes alone.
//!
//! The library maps the file. With `NO_LOCK` it takes no locks of its own, as in Postfix; the
//! caller holds the record lock that Postfix' programs take.

use std::io;

use heed::types::Bytes;
use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, PutFlags, WithoutTls,
};

use crate::error::{Error, Result};
use crate::file::open::same_file;
use crate::file::signals::SignalHold;
use crate::lmdb::change::{Changes, Place};

/// The size of a map is a multiple of the page size of memory, which nowhere is larger.
const MAP_STEP: usize = 1 << 16;
/// Room for growth beyond the file that is there.
const MAP_SPARE: u64 = 1 << 16;

type Table<'e> = Database<'e, Bytes, Bytes>;

/// What ended a transaction.
enum Failure {
    /// The map is too small; nothing was changed.
    MapFull,
    Other(Error),
}

/// As [`super::change::apply`].
pub(super) fn apply(place: Place<'_>, changes: &Changes<'_>) -> Result<()> {
    let failed = |error| Error::io("write", place.shown, error);
    let len = place.file.metadata().map_err(failed)?.len();
    let wanted = place.map_size.max(len.saturating_add(MAP_SPARE));
    let mut map_size = usize::try_from(wanted)
        .ok()
        .and_then(|size| size.checked_next_multiple_of(MAP_STEP));
    while let Some(size) = map_size {
        match attempt(place, size, changes) {
            Err(Failure::MapFull) => map_size = size.checked_mul(2),
            Err(Failure::Other(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
    Err(failed(io::ErrorKind::OutOfMemory.into()))
}

fn attempt(place: Place<'_>, map_size: usize, changes: &Changes<'_>) -> Result<(), Failure> {
    let failed = |error: heed::Error| failure(place, error);
    let env = open(place, map_size)?;
    let table = main_table(&env).map_err(failed)?;
    // With the library's own locks this waits for other writers.
    let mut txn = env.write_txn().map_err(failed)?;
    let _signals = SignalHold::start(place.shown).map_err(Failure::Other)?;
    let mut change = || {
        if changes.clear {
            table.clear(&mut txn)?;
        }
        for key in &changes.deletes {
            table.delete(&mut txn, key)?;
        }
        let flags = match changes.clear {
            true => PutFlags::APPEND,
            false => PutFlags::empty(),
        };
        for (key, value) in &changes.puts {
            table.put_with_flags(&mut txn, flags, key, value)?;
        }
        Ok(())
    };
    change().map_err(failed)?;
    txn.commit().map_err(failed)
}

fn open(place: Place<'_>, map_size: usize) -> Result<Env<WithoutTls>, Failure> {
    let failed = |error: heed::Error| failure(place, error);
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_size);
    let mut flags = EnvFlags::NO_SUB_DIR;
    if !place.has_lock_file {
        flags |= EnvFlags::NO_LOCK;
    }
    // SAFETY: NO_SUB_DIR says where the file is. NO_LOCK asks the caller to keep other writers of
    // the file out, which the exclusive lock on `place.file` does for all that keep to Postfix'
    // rules; those that keep to the library's are told by the lock file, which is used then.
    #[expect(unsafe_code, reason = "heed cannot know who else writes")]
    unsafe {
        options.flags(flags);
    }
    // SAFETY: the file is mapped, so it must not be cut short or overwritten while `env` lives. The
    // caller holds its lock meanwhile; writers add pages and change those that no reader uses, and
    // whoever replaces the table renames. The library trusts the pages, which the caller has had
    // verified under the same lock.
    #[expect(unsafe_code, reason = "heed cannot know what others do to the file")]
    let opened = unsafe { options.open(place.path) };
    let env = opened.map_err(failed)?;
    let mapped = env.try_clone_inner_file().map_err(failed)?;
    let is_same = match (mapped.metadata(), place.file.metadata()) {
        (Ok(mapped), Ok(locked)) => same_file(&mapped, &locked),
        _ => false,
    };
    if !is_same {
        let error = io::Error::other("the table was replaced meanwhile; try again");
        return Err(Failure::Other(Error::io("write", place.shown, error)));
    }
    Ok(env)
}

fn main_table(env: &Env<WithoutTls>) -> Result<Table<'_>, heed::Error> {
    let txn = env.read_txn()?;
    let opened = env.open_databases_and_commit(txn, |open, txn| {
        let table: Option<Table<'_>> = open.open_database(txn, None)?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(table))
    })?;
    match opened.commit().flatten() {
        Some(table) => Ok(table),
        // The database without a name is in every file.
        None => Err(heed::Error::Mdb(MdbError::NotFound)),
    }
}

fn failure(place: Place<'_>, error: heed::Error) -> Failure {
    let error = match error {
        heed::Error::Mdb(MdbError::MapFull) => return Failure::MapFull,
        heed::Error::Io(error) => error,
        heed::Error::Mdb(MdbError::VersionMismatch) if place.has_lock_file => io::Error::other(
            "a program has it open with another version of LMDB, whose locks this one does not know; \
             stop that program first",
        ),
        heed::Error::EnvAlreadyOpened => io::Error::other("this program has it open with LMDB"),
        error => io::Error::other(error.to_string()),
    };
    Failure::Other(Error::io("write", place.shown, error))
}
